//! A switch's own flows, the same whatever its networks: who is never learnt,
//! who is, and which ports' announcements come to the controller.

use std::collections::BTreeSet;

use openflow::{
    Action, Body, Instruction, MacAddr, Match, MeterBand, MeterBandKind, MeterFlags, MeterId, MeterMod, MeterModCommand, PortNo,
    VlanVid,
};

use crate::cookie::Cookie;
use crate::flow::Flow;
use crate::lldp;
use crate::lower::{Steps, add, delete};

/// Frames a second that a switch may send up, where it can limit them.
pub const PUNTS_A_SECOND: u32 = 1000;

/// One of a switch's own statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BaseRule {
    /// Table 0: untagged LLDP from this port comes up; on a trunk whose tags
    /// are tunnel keys, only that without a key.
    Announcements(PortNo, bool),
    /// Table 1: a source with the group bit isn't learnt.
    GroupSource,
    /// Table 1: a source of all zeros isn't learnt.
    ZeroSource,
    /// Table 1: any other unknown source goes on, and a copy comes up.
    Learn,
    /// What comes up is limited.
    Limit,
}

/// The rules that every switch has.
pub fn constant(meters: bool) -> BTreeSet<BaseRule> {
    let limit = meters.then_some(BaseRule::Limit);
    [BaseRule::GroupSource, BaseRule::ZeroSource, BaseRule::Learn].into_iter().chain(limit).collect()
}

/// The flow of a rule; the limit is none.
pub fn flow(rule: BaseRule) -> Option<Flow> {
    const ANNOUNCEMENT: u16 = 400;
    const NEVER_LEARNT: u16 = 100;
    let on = vec![Instruction::goto(2)];
    let flow = |table, priority, match_, instructions| {
        Some(Flow::new(table, priority, match_, instructions, Cookie::base()))
    };
    match rule {
        BaseRule::Announcements(port, tunnel) => {
            let match_ = Match::new().in_port(port).eth_type(lldp::ETHERTYPE).vlan_vid(VlanVid::NONE);
            let match_ = if tunnel { match_.tunnel_id(0) } else { match_ };
            flow(0, ANNOUNCEMENT, match_, vec![Instruction::apply([Action::controller()])])
        }
        BaseRule::GroupSource => {
            let group = MacAddr([1, 0, 0, 0, 0, 0]);
            flow(1, NEVER_LEARNT, Match::new().eth_src_masked(group, group), on)
        }
        BaseRule::ZeroSource => flow(1, NEVER_LEARNT, Match::new().eth_src(MacAddr([0; 6])), on),
        BaseRule::Learn => {
            let copy = vec![Instruction::apply([Action::controller()]), Instruction::goto(2)];
            flow(1, 0, Match::new(), copy)
        }
        BaseRule::Limit => None,
    }
}

/// What turns one set of rules into another.
pub fn lower(old: &BTreeSet<BaseRule>, new: &BTreeSet<BaseRule>) -> Steps {
    let mut set: Vec<Body> = new.difference(old).filter_map(|rule| flow(*rule)).map(|flow| add(&flow)).collect();
    if new.contains(&BaseRule::Limit) && !old.contains(&BaseRule::Limit) {
        set.extend(limit());
    }
    let remove: Vec<Body> = old.difference(new).filter_map(|rule| flow(*rule)).map(|flow| delete(&flow)).collect();
    [set, remove].into_iter().filter(|step| !step.is_empty()).collect()
}

/// The meter of what goes to the controllers. It may be there already, and
/// nothing tells: it is removed first, which is never an error.
fn limit() -> [Body; 2] {
    let meter = |command, bands| {
        Body::MeterMod(MeterMod { command, flags: MeterFlags::PKTPS, meter_id: MeterId::CONTROLLER, bands })
    };
    let band = MeterBand { rate: PUNTS_A_SECOND, burst_size: PUNTS_A_SECOND, kind: MeterBandKind::Drop };
    [meter(MeterModCommand::Delete, Vec::new()), meter(MeterModCommand::Add, vec![band])]
}

/// The rules that a switch's own flows are. The meter isn't among its flows,
/// so it is always written anew.
pub fn lift(flows: &[Flow]) -> BTreeSet<BaseRule> {
    let guesses = flows.iter().map(|read| {
        let port = read.match_.in_port_field().map(|field| field.value);
        match (read.table, port) {
            (0, Some(port)) => BaseRule::Announcements(port, read.match_.tunnel_id_field().is_some()),
            _ if read.match_.is_empty() => BaseRule::Learn,
            _ if read.match_.eth_src_field().is_some_and(|field| field.mask.is_some()) => BaseRule::GroupSource,
            _ => BaseRule::ZeroSource,
        }
    });
    let right = guesses.zip(flows).filter(|(rule, read)| flow(*rule).as_ref() == Some(*read));
    right.map(|(rule, _)| rule).collect()
}
