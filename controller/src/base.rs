//! A switch's own flows, the same whatever its networks: who is never learnt,
//! who is, and which ports' announcements come to the controller.

use std::collections::BTreeSet;

use openflow::{Action, Body, Instruction, MacAddr, Match, PortNo, VlanVid};

use crate::cookie::Cookie;
use crate::flow::Flow;
use crate::lldp;
use crate::lower::{Steps, add, delete};

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
    /// Table 1: any other unknown source goes on, and a copy comes up. A port
    /// that causes too many is muted by a flow of its network: the virtual
    /// meter of OpenFlow would drop announcements along with the copies, and
    /// one flooding host would take its switch's links down.
    Learn,
}

/// The rules that every switch has.
pub fn constant() -> BTreeSet<BaseRule> {
    BTreeSet::from([BaseRule::GroupSource, BaseRule::ZeroSource, BaseRule::Learn])
}

/// The flow of a rule.
pub fn flow(rule: BaseRule) -> Flow {
    const ANNOUNCEMENT: u16 = 400;
    const NEVER_LEARNT: u16 = 100;
    let on = vec![Instruction::goto(2)];
    let flow = |table, priority, match_, instructions| {
        Flow::new(table, priority, match_, instructions, Cookie::base())
    };
    match rule {
        BaseRule::Announcements(port, tunnel) => {
            let match_ =
                Match::new().in_port(port).eth_type(lldp::ETHERTYPE).vlan_vid(VlanVid::NONE);
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
    }
}

/// What writes some rules and removes others.
pub fn lower(set: &[BaseRule], remove: &[BaseRule]) -> Steps {
    let set = set.iter().map(|rule| add(&flow(*rule))).collect();
    let remove = remove.iter().map(|rule| delete(&flow(*rule))).collect();
    [set, remove].into_iter().filter(|step: &Vec<Body>| !step.is_empty()).collect()
}

/// The rules that a switch's own flows are, and those in whose place there is
/// something else; what resembles none is passed over.
pub fn lift(flows: &[Flow]) -> (BTreeSet<BaseRule>, BTreeSet<BaseRule>) {
    let guesses = flows.iter().map(|read| {
        let port = read.match_.in_port_field().map(|field| field.value);
        match (read.table, port) {
            (0, Some(port)) => {
                BaseRule::Announcements(port, read.match_.tunnel_id_field().is_some())
            }
            _ if read.match_.is_empty() => BaseRule::Learn,
            _ if read.match_.eth_src_field().is_some_and(|field| field.mask.is_some()) => {
                BaseRule::GroupSource
            }
            _ => BaseRule::ZeroSource,
        }
    });
    let (mut right, mut altered) = (BTreeSet::new(), BTreeSet::new());
    for (rule, read) in guesses.zip(flows) {
        let meant = flow(rule);
        if meant == *read {
            right.insert(rule);
        } else if meant.overwrites(read) {
            altered.insert(rule);
        }
    }
    (right, altered)
}
