//! What a switch reports it holds, as slices: the inverse of `lower`.
//!
//! A flow counts as part of a slice only if it is exactly what a rule of the
//! slice means; everything else that carries our mark is a stray, to be
//! removed. So altered or damaged flows are noticed, whatever was done to them.

use std::collections::{BTreeMap, BTreeSet};

use openflow::{FlowRemoved, FlowStats, GroupDesc, GroupType};

use crate::base::{self, BaseRule};
use crate::cookie::Cookie;
use crate::diff::Rule;
use crate::flow::{self, Flow};
use crate::model::NetworkId;
use crate::slice::{Slice, Source};

pub use crate::flow::network_of_metadata;

/// A flow in our name that no slice has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// As it was read.
    pub flow: Flow,
}

/// What was read of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// What is in order.
    pub slice: Slice,
    /// What isn't.
    pub strays: Vec<Stray>,
    /// Whether the slice must be written anew: there are strays, or its group
    /// and the flow to it don't go together.
    pub damaged: bool,
}

/// What was read of a switch.
#[derive(Clone, Debug, Default)]
pub struct Lifted {
    /// By network, those that nobody knows any more included.
    pub networks: BTreeMap<NetworkId, Read>,
    /// The switch's own flows.
    pub base: BTreeSet<BaseRule>,
    /// Rules in whose place somebody put something else.
    pub altered: BTreeSet<BaseRule>,
}

/// Sorts what a switch reported. Flows without our mark, and groups that
/// aren't ours, are passed over.
pub fn lift(flows: &[FlowStats], groups: &[GroupDesc]) -> Lifted {
    let mut lifted = Lifted::default();
    let mut by_network: BTreeMap<NetworkId, Vec<Flow>> = BTreeMap::new();
    let mut base = Vec::new();
    for stats in flows {
        match Cookie::network(stats.cookie) {
            Some(0) => base.push(flow_of(stats)),
            Some(id) => {
                if let Some(id) = NetworkId::new(id) {
                    by_network.entry(id).or_default().push(flow_of(stats));
                }
            }
            None => {}
        }
    }
    (lifted.base, lifted.altered) = base::lift(&base);
    let mut ours: BTreeMap<_, _> = groups
        .iter()
        .filter_map(|group| Some((NetworkId::of_group(group.group_id)?, group)))
        .collect();
    for (id, flows) in by_network {
        lifted.networks.insert(id, read(id, flows, ours.remove(&id)));
    }
    for (id, group) in ours {
        lifted.networks.insert(id, read(id, Vec::new(), Some(group)));
    }
    lifted
}

fn read(id: NetworkId, flows: Vec<Flow>, group: Option<&GroupDesc>) -> Read {
    let there: BTreeSet<_> = flows.iter().collect();
    let guesses: BTreeSet<_> = flows.iter().filter_map(flow::guess).collect();
    let mut accounted = BTreeSet::new();
    let mut read = Read::default();
    let mut flood = false;
    for rule in guesses {
        let meant = flow::flows(id, rule);
        if meant.is_empty() || !meant.iter().all(|flow| there.contains(flow)) {
            continue;
        }
        accounted.extend(meant);
        match rule {
            Rule::Edge(port) => {
                read.slice.edges.insert(port);
            }
            Rule::KnownIn(port, encap) => {
                read.slice.known_in.insert(port, encap);
            }
            Rule::FloodIn(port, encap) => {
                read.slice.flood_in.insert(port, encap);
            }
            Rule::Source(source) => {
                read.slice.sources.insert(source);
            }
            Rule::Host(mac, out) => {
                read.slice.hosts.insert(mac, out);
            }
            Rule::Flood => flood = true,
        }
    }
    let strays = flows.into_iter().filter(|flow| !accounted.contains(flow));
    read.strays = strays.map(|flow| Stray { flow }).collect();
    let whole = group.is_none_or(|group| take_group(id, group, &mut read.slice));
    let expected = read.slice.floods();
    read.damaged =
        !read.strays.is_empty() || !whole || flood != expected || group.is_some() != expected;
    read
}

/// Takes a flood group's buckets over. Returns whether they are as ours are.
fn take_group(id: NetworkId, group: &GroupDesc, slice: &mut Slice) -> bool {
    let outs = group.buckets.iter().map(|bucket| flow::out_of(&bucket.actions));
    let Some(outs) = outs.collect::<Option<BTreeSet<_>>>() else { return false };
    let meant = flow::buckets(id, &outs);
    let same = meant.len() == group.buckets.len()
        && meant
            .iter()
            .all(|bucket| group.buckets.iter().any(|other| other.actions == bucket.actions));
    if same && group.group_type == GroupType::All {
        slice.flood_out = outs;
    }
    same && group.group_type == GroupType::All
}

/// A flow as a switch reports it.
pub fn flow_of(stats: &FlowStats) -> Flow {
    let instructions = stats.instructions.iter().map(plain).collect();
    Flow {
        idle_timeout: stats.idle_timeout,
        hard_timeout: stats.hard_timeout,
        ..Flow::new(
            stats.table_id.0,
            stats.priority,
            stats.match_.clone(),
            instructions,
            stats.cookie,
        )
    }
}

/// Outputs without `max_len`, which means nothing but towards the controller,
/// and which switches report as they like.
fn plain(instruction: &openflow::Instruction) -> openflow::Instruction {
    use openflow::{Action, Instruction, PortNo};
    let plain = |action: &Action| match action {
        Action::Output { port, .. } if *port != PortNo::CONTROLLER => Action::output(*port),
        same => same.clone(),
    };
    match instruction {
        Instruction::ApplyActions(actions) => {
            Instruction::ApplyActions(actions.iter().map(plain).collect())
        }
        same => same.clone(),
    }
}

/// The network and rule that a reported flow may belong to.
pub fn rule_of(stats: &FlowStats) -> Option<(NetworkId, Rule)> {
    let id = NetworkId::new(Cookie::network(stats.cookie)?)?;
    Some((id, flow::guess(&flow_of(stats))?))
}

/// The learnt host whose flow a switch removed.
pub fn rule_of_removed(removed: &FlowRemoved) -> Option<(NetworkId, Rule)> {
    let id = NetworkId::new(Cookie::network(removed.cookie)?)?;
    if !Cookie::is_learnt(removed.cookie) {
        return None;
    }
    let port = removed.match_.in_port_field()?.value;
    let mac = removed.match_.eth_src_field()?.value;
    Some((id, Rule::Source(Source::Learnt(port, mac))))
}
