//! The laws of `lift`: what was lowered is read back as it was, and nothing
//! that was altered, lost or added in our name passes unnoticed.
//!
//! Messages are turned into what a switch would report of them here; that real
//! switches report so is shown on embedded ones, in the testbed.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use controller::cookie::{Cookie, Kind};
use controller::diff::rules;
use controller::flow::{self, Flow};
use controller::lift::lift;
use controller::lower::add;
use controller::model::{Encap, NetworkId};
use controller::slice::{Out, Slice, Source};
use openflow::{
    Action, Body, Bucket, FlowStats, GroupDesc, GroupId, GroupType, Instruction, MacAddr, Match,
    PortNo, TableId,
};
use proptest::prelude::*;
use proptest::sample::Index;

/// What a switch reports.
#[derive(Clone, Debug, PartialEq)]
struct Tables {
    flows: Vec<FlowStats>,
    groups: Vec<GroupDesc>,
}

impl Tables {
    fn of(network: NetworkId, slice: &Slice) -> Self {
        let flows = rules(slice).into_iter().flat_map(|rule| flow::flows(network, rule));
        let group = slice.floods().then(|| GroupDesc {
            group_type: GroupType::All,
            group_id: network.group(),
            buckets: flow::buckets(network, &slice.flood_out),
        });
        Self {
            flows: flows.map(|flow| stats(&flow)).collect(),
            groups: group.into_iter().collect(),
        }
    }

    /// Whether exactly these slices are read from them, and nothing else.
    fn hold(&self, slices: &BTreeMap<NetworkId, Slice>) -> bool {
        let read = lift(&self.flows, &self.groups);
        let sound = read.networks.values().all(|read| !read.damaged && read.strays.is_empty());
        let read = read.networks.into_iter().map(|(id, read)| (id, read.slice));
        sound && read.filter(|(_, slice)| !slice.is_empty()).eq(slices.clone())
    }
}

/// A flow as reported by a switch that took it and counted something since.
fn stats(flow: &Flow) -> FlowStats {
    let Body::FlowMod(sent) = add(flow) else { unreachable!("a flow is written by a flow-mod") };
    FlowStats {
        table_id: sent.table_id,
        duration_sec: 17,
        duration_nsec: 4,
        priority: sent.priority,
        idle_timeout: sent.idle_timeout,
        hard_timeout: sent.hard_timeout,
        flags: sent.flags,
        cookie: sent.cookie,
        packet_count: 3,
        byte_count: 200,
        match_: sent.match_,
        instructions: sent.instructions,
    }
}

fn mac() -> impl Strategy<Value = MacAddr> {
    (0u8..6).prop_map(|n| MacAddr([2, 0, 0, 0, 0, n]))
}

fn address() -> impl Strategy<Value = IpAddr> {
    let link_local = |n| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, n);
    prop_oneof![
        (1u8..4).prop_map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))),
        (1u16..4).prop_map(|n| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n))),
        // Those that the MACs above give by themselves, and others.
        (0u16..8).prop_map(move |n| IpAddr::V6(link_local(n))),
    ]
}

/// What a port may have in table 1.
fn sources(port: PortNo) -> impl Strategy<Value = BTreeSet<Source>> {
    let admitted =
        prop::collection::btree_map(mac(), (0..3, prop::collection::vec(address(), 0..3)), 0..4);
    (admitted, any::<bool>(), any::<bool>()).prop_map(move |(admitted, deny, muted)| {
        let mut all = BTreeSet::new();
        for (mac, (kind, ips)) in admitted {
            match kind {
                0 => all.extend([Source::Learnt(port, mac)]),
                1 => all.extend([Source::Declared(port, mac)]),
                _ => {
                    all.insert(Source::Bootstrap(port, mac));
                    all.extend(ips.into_iter().map(|ip| Source::Address(port, mac, ip)));
                }
            }
        }
        all.extend(deny.then_some(Source::Deny(port)));
        all.extend(muted.then_some(Source::Muted(port)));
        all
    })
}

fn trunks(vlan: bool) -> impl Strategy<Value = BTreeMap<PortNo, Encap>> {
    let encap = if vlan {
        prop_oneof![Just(Encap::Vlan), Just(Encap::TunId)].boxed()
    } else {
        Just(Encap::TunId).boxed()
    };
    prop::collection::btree_map((100u32..104).prop_map(PortNo), encap, 0..4)
}

fn slice(vlan: bool) -> impl Strategy<Value = Slice> {
    let ports = || prop::collection::btree_set((1u32..5).prop_map(PortNo), 0..4);
    let speakers = prop::collection::btree_map((1u32..5).prop_map(PortNo), any::<()>(), 0..3)
        .prop_flat_map(|ports| ports.into_keys().map(sources).collect::<Vec<_>>());
    let hosts = prop::collection::btree_map(mac(), any::<Index>(), 0..5);
    (ports(), ports(), trunks(vlan), trunks(vlan), trunks(vlan), speakers, hosts, any::<bool>())
        .prop_map(|(edges, heard, known_in, flood_in, flood_to, speakers, hosts, full)| {
            let outs = heard.into_iter().map(Out::Edge);
            let outs: BTreeSet<_> = outs
                .chain(flood_to.into_iter().map(|(port, encap)| Out::Trunk(port, encap)))
                .collect();
            let mut sources: BTreeSet<_> = speakers.into_iter().flatten().collect();
            sources.extend(full.then_some(Source::Full));
            let targets: Vec<_> = outs.iter().copied().chain([Out::Edge(PortNo(9))]).collect();
            let hosts = hosts.into_iter().map(|(mac, at)| (mac, *at.get(&targets))).collect();
            Slice { edges, known_in, flood_in, sources, hosts, flood_out: outs }
        })
}

/// A network and its slice; every other one is beyond those with VLAN tags.
fn network() -> impl Strategy<Value = (NetworkId, Slice)> {
    any::<bool>().prop_flat_map(|vlan| {
        let ids =
            if vlan { 1..=NetworkId::MAX_VLAN } else { NetworkId::MAX_VLAN + 1..=NetworkId::MAX };
        (ids.prop_map(|id| NetworkId::new(id).unwrap()), slice(vlan))
    })
}

/// Something that is done to a switch's tables behind the controller's back.
#[derive(Clone, Debug)]
enum Damage {
    Lose(Index),
    Priority(Index, u16),
    Cookie(Index, u64),
    Table(Index, u8),
    Timeouts(Index, u16, u16),
    Match(Index, u32),
    Instructions(Index, Change),
    Extra(Flow),
    LoseGroup,
    GroupType,
    Bucket(Index, Change),
    ExtraBucket(u32),
    TwiceTheBucket(Index),
    ExtraGroup(u32),
}

/// Something that is done to a list of actions or instructions.
#[derive(Clone, Debug)]
enum Change {
    Lose(Index),
    Clear,
    Output(u32),
    Other(Index, u32),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<Index>().prop_map(Change::Lose),
        Just(Change::Clear),
        (1u32..200).prop_map(Change::Output),
        (any::<Index>(), 1u32..200).prop_map(|(at, to)| Change::Other(at, to)),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let extra = (0u8..4, 0u16..500, 1u32..110, mac(), 0u8..7, any::<bool>());
    let extra = extra.prop_map(|(table, priority, port, mac, kind, narrow)| {
        let match_ = Match::new().in_port(port);
        let match_ = if narrow { match_.eth_src(mac) } else { match_ };
        // The network's cookie is put in where it is known.
        Flow::new(table, priority, match_, vec![Instruction::goto(table + 1)], u64::from(kind))
    });
    prop_oneof![
        at().prop_map(Damage::Lose),
        (at(), 1u16..400).prop_map(|(at, by)| Damage::Priority(at, by)),
        (at(), 0u64..40).prop_map(|(at, bit)| Damage::Cookie(at, bit)),
        (at(), 1u8..4).prop_map(|(at, by)| Damage::Table(at, by)),
        (at(), 0u16..2, 0u16..2).prop_map(|(at, idle, hard)| Damage::Timeouts(at, idle, hard)),
        (at(), 1u32..200).prop_map(|(at, to)| Damage::Match(at, to)),
        (at(), change()).prop_map(|(at, change)| Damage::Instructions(at, change)),
        extra.prop_map(Damage::Extra),
        Just(Damage::LoseGroup),
        Just(Damage::GroupType),
        (at(), change()).prop_map(|(at, change)| Damage::Bucket(at, change)),
        (1u32..200).prop_map(Damage::ExtraBucket),
        at().prop_map(Damage::TwiceTheBucket),
        (1u32..1000).prop_map(Damage::ExtraGroup),
    ]
}

fn change_actions(actions: &mut Vec<Action>, change: &Change) {
    match change {
        Change::Lose(at) if !actions.is_empty() => drop(actions.remove(at.index(actions.len()))),
        Change::Lose(_) => {}
        Change::Clear => actions.clear(),
        Change::Output(to) => actions.push(Action::output(*to)),
        Change::Other(at, to) if !actions.is_empty() => {
            let at = at.index(actions.len());
            actions[at] = Action::output(*to);
        }
        Change::Other(..) => {}
    }
}

fn change_instructions(instructions: &mut Vec<Instruction>, change: &Change) {
    if let Change::Lose(at) = change
        && !instructions.is_empty()
    {
        instructions.remove(at.index(instructions.len()));
        return;
    }
    let actions = instructions.iter_mut().find_map(|instruction| match instruction {
        Instruction::ApplyActions(actions) => Some(actions),
        _ => None,
    });
    match (actions, change) {
        (Some(actions), change) => change_actions(actions, change),
        (None, Change::Output(to) | Change::Other(_, to)) => {
            instructions.push(Instruction::apply([Action::output(*to)]));
        }
        (None, _) => instructions.clear(),
    }
}

impl Damage {
    /// Does it; a switch can't hold two flows of one table, priority and match.
    fn act(&self, id: NetworkId, tables: &mut Tables) {
        let Tables { flows, groups } = tables;
        let some = |at: &Index, of: usize| (of > 0).then(|| at.index(of));
        match self {
            Self::Lose(at) => drop(some(at, flows.len()).map(|at| flows.remove(at))),
            Self::Priority(at, by) => each(flows, at, |flow| flow.priority += by),
            Self::Cookie(at, bit) => each(flows, at, |flow| flow.cookie ^= 1 << bit),
            Self::Table(at, by) => {
                each(flows, at, |flow| flow.table_id = TableId(flow.table_id.0 + by))
            }
            Self::Timeouts(at, idle, hard) => each(flows, at, |flow| {
                flow.idle_timeout += idle;
                flow.hard_timeout += hard;
            }),
            Self::Match(at, to) => each(flows, at, |flow| {
                flow.match_ = flow.match_.clone().ip_dscp(0).eth_type(*to as u16).canonical();
            }),
            Self::Instructions(at, change) => {
                each(flows, at, |flow| change_instructions(&mut flow.instructions, change))
            }
            Self::Extra(flow) => {
                let kinds = [
                    Kind::Base,
                    Kind::Edge,
                    Kind::Trunk,
                    Kind::Learnt,
                    Kind::Source,
                    Kind::Host,
                    Kind::Flood,
                ];
                flows.push(stats(&Flow {
                    cookie: Cookie::of(id, kinds[flow.cookie as usize]),
                    ..flow.clone()
                }));
            }
            Self::LoseGroup => groups.clear(),
            Self::GroupType => {
                groups.iter_mut().for_each(|group| group.group_type = GroupType::Select)
            }
            Self::Bucket(at, change) => {
                let buckets = groups.iter_mut().flat_map(|group| &mut group.buckets);
                let mut buckets: Vec<_> = buckets.collect();
                if let Some(at) = some(at, buckets.len()) {
                    change_actions(&mut buckets[at].actions, change);
                }
            }
            Self::ExtraBucket(to) => {
                groups
                    .iter_mut()
                    .for_each(|group| group.buckets.push(Bucket::new([Action::output(*to)])));
            }
            Self::TwiceTheBucket(at) => {
                for group in groups {
                    let again = some(at, group.buckets.len()).map(|at| group.buckets[at].clone());
                    group.buckets.extend(again);
                }
            }
            Self::ExtraGroup(by) => {
                let GroupId(mark) = id.group();
                let group_id =
                    GroupId((mark & 0xff00_0000) | ((id.value() + by) % (NetworkId::MAX - 1) + 1));
                let taken = groups.iter().any(|group| group.group_id == group_id);
                let buckets = vec![Bucket::new([Action::output(1)])];
                groups.extend((!taken).then_some(GroupDesc {
                    group_type: GroupType::All,
                    group_id,
                    buckets,
                }));
            }
        }
    }
}

fn each(flows: &mut [FlowStats], at: &Index, change: impl FnOnce(&mut FlowStats)) {
    if !flows.is_empty() {
        change(&mut flows[at.index(flows.len())]);
    }
}

/// Whether no two flows have the same table, priority and match.
fn possible(tables: &Tables) -> bool {
    let keys = tables.flows.iter().map(|flow| (flow.table_id, flow.priority, flow.match_.clone()));
    keys.collect::<BTreeSet<_>>().len() == tables.flows.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1) * 4, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Any number of networks side by side, in whatever order they are reported.
    #[test]
    fn what_was_lowered_is_read_back(
        all in prop::collection::vec(network(), 1..4),
        seed in any::<u64>(),
    ) {
        let mut taken = BTreeSet::new();
        let mut slices = BTreeMap::new();
        let mut tables = Tables { flows: Vec::new(), groups: Vec::new() };
        for (id, mut slice) in all {
            // A port is in one network at a time.
            slice.edges.retain(|port| taken.insert(*port));
            if !slice.is_empty() && !slices.contains_key(&id) {
                let of = Tables::of(id, &slice);
                tables.flows.extend(of.flows);
                tables.groups.extend(of.groups);
                slices.insert(id, slice);
            }
        }
        let (flows, groups) = (tables.flows.len().max(1), tables.groups.len().max(1));
        tables.flows.rotate_left(seed as usize % flows);
        tables.groups.rotate_left(seed as usize % groups);
        prop_assert!(possible(&tables), "two flows have one match");
        prop_assert!(tables.hold(&slices), "{:?}", lift(&tables.flows, &tables.groups));
    }

    /// Whatever single thing is done to it.
    #[test]
    fn no_damage_passes_unnoticed((id, slice) in network(), damage in damage()) {
        let whole = Tables::of(id, &slice);
        let mut damaged = whole.clone();
        damage.act(id, &mut damaged);
        let slices = [(id, slice)].into_iter().filter(|(_, slice)| !slice.is_empty()).collect();
        prop_assume!(damaged != whole && possible(&damaged));
        prop_assert!(!damaged.hold(&slices), "{damage:?} is not noticed");
    }
}
