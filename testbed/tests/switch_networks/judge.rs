//! What frames may do, and what they must.

use std::collections::BTreeSet;

use openflow::{
    Body, DatapathId, FlowStats, FlowStatsRequest, GroupDesc, MacAddr, MultipartReplyBody,
    MultipartRequestBody,
};
use proptest::prelude::*;
use testbed::fabric::{Deliveries, Fabric};

use super::apply::Lab;
use super::world::{At, NETWORKS, PORTS, World, mac, network_id};

const MULTICAST: MacAddr = MacAddr([1, 0, 0x5e, 0, 0, 1]);
/// No host's.
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 9, 9]);

/// A frame to `to`, with a tag of the tenant's own if `tagged`.
fn frame(to: MacAddr, tagged: bool) -> Vec<u8> {
    let source = MacAddr([2, 0, 0, 0, 7, 7]);
    let tag: &[u8] = if tagged { &[0x88, 0xa8, 0xe0, 100, 0x81, 0, 0x20, 5] } else { &[] };
    [&to.0[..], &source.0, tag, &[0x88, 0xb5], b"tenant"].concat()
}

/// Sends a frame and looks at what must hold at all times: no loop, nothing twice, nothing altered, nothing outside.
fn deliver(
    lab: &mut Lab,
    from: At,
    to: MacAddr,
    allowed: &BTreeSet<At>,
) -> Result<BTreeSet<At>, TestCaseError> {
    // The whole of it takes long; a tag changes nothing about where a frame goes, so half of them carry one.
    let sent = frame(to, (from.0 + u64::from(to.0[5])).is_multiple_of(2));
    let result: Deliveries = lab.fabric.send(from, &sent[..]);
    prop_assert!(!result.looped, "a frame from {:?} to {} loops", from, to);
    let places: Vec<At> =
        result.frames.iter().map(|(place, _)| (place.switch.0, place.port.0)).collect();
    let once: BTreeSet<_> = places.iter().copied().collect();
    prop_assert_eq!(
        once.len(),
        places.len(),
        "a frame from {:?} to {} arrives twice: {:?}",
        from,
        to,
        places
    );
    for (place, frame) in &result.frames {
        prop_assert_eq!(&frame.bytes[..], &sent[..], "altered at {}", place);
    }
    let outside: Vec<_> = once.difference(allowed).collect();
    prop_assert!(outside.is_empty(), "a frame from {:?} to {} gets out at {:?}", from, to, outside);
    prop_assert!(!once.contains(&from), "a frame comes back to {:?}", from);
    // Only the first switch may show it to the controller, and only once.
    let shown: Vec<_> = result.packet_ins().map(|(switch, _)| switch.0).collect();
    prop_assert!(shown.is_empty() || shown == [from.0], "shown by {:?}", shown);
    Ok(once)
}

/// The laws while things change.
pub fn between(lab: &mut Lab, old: &World, new: &World) -> Result<(), TestCaseError> {
    let steady = old.up == new.up;
    for index in 0..NETWORKS.len() {
        let either: BTreeSet<_> = old.members(index).chain(new.members(index)).collect();
        let graph = lab.graph(&new.up);
        for &from in &either {
            deliver(lab, from, MacAddr::BROADCAST, &either)?;
            deliver(lab, from, STRANGER, &either)?;
            for number in 0..4 {
                let delivered = deliver(lab, from, mac(number), &either)?;
                let place = |world: &World| world.hosts.get(&(index, number)).map(|(at, _)| *at);
                let stays = |at: &At| {
                    old.ports.get(at) == Some(&index) && new.ports.get(at) == Some(&index)
                };
                let Some(at) = place(old).filter(|at| place(new) == Some(*at)) else { continue };
                let joined = at.0 == from.0
                    || graph
                        .next_hop(network_id(index), DatapathId(from.0), DatapathId(at.0))
                        .is_some();
                if steady && joined && at != from && stays(&at) && stays(&from) {
                    prop_assert!(
                        delivered.contains(&at),
                        "{:?} to {} at {:?} is lost",
                        from,
                        mac(number),
                        at
                    );
                }
            }
        }
    }
    outsiders(lab, &[old, new])
}

/// Ports without a network hear nothing, which `deliver` sees, and say nothing.
fn outsiders(lab: &mut Lab, worlds: &[&World]) -> Result<(), TestCaseError> {
    let all =
        (1..=lab.topology.switches).flat_map(|switch| (1..=PORTS).map(move |port| (switch, port)));
    let outside = all.filter(|at| worlds.iter().all(|world| !world.ports.contains_key(at)));
    for from in outside.take(3).collect::<Vec<_>>() {
        for to in [MacAddr::BROADCAST, mac(1)] {
            deliver(lab, from, to, &BTreeSet::new())?;
        }
    }
    Ok(())
}

/// What holds when all is done: frames reach exactly whom they should.
pub fn settled(lab: &mut Lab, world: &World) -> Result<(), TestCaseError> {
    let graph = lab.graph(&world.up);
    for index in 0..NETWORKS.len() {
        let members: BTreeSet<_> = world.members(index).collect();
        for &from in &members {
            let joined = |at: &At| {
                at.0 == from.0
                    || graph
                        .next_hop(network_id(index), DatapathId(from.0), DatapathId(at.0))
                        .is_some()
            };
            let everyone: BTreeSet<_> =
                members.iter().copied().filter(|at| *at != from && joined(at)).collect();
            for to in [MacAddr::BROADCAST, MULTICAST, STRANGER] {
                prop_assert_eq!(
                    deliver(lab, from, to, &members)?,
                    everyone.clone(),
                    "{:?} to {}",
                    from,
                    to
                );
            }
            for number in 0..4 {
                let want = match world.hosts.get(&(index, number)) {
                    Some((at, true)) if *at == from => BTreeSet::new(),
                    Some((at, true)) if joined(at) => BTreeSet::from([*at]),
                    _ => everyone.clone(),
                };
                let got = deliver(lab, from, mac(number), &members)?;
                prop_assert_eq!(got, want, "{:?} to {}", from, mac(number));
            }
        }
    }
    outsiders(lab, &[world])
}

/// The flows and groups that a switch reports.
pub fn reports(fabric: &mut Fabric, switch: DatapathId) -> (Vec<FlowStats>, Vec<GroupDesc>) {
    let (mut flows, mut groups) = (Vec::new(), Vec::new());
    let asks =
        [MultipartRequestBody::Flow(FlowStatsRequest::default()), MultipartRequestBody::GroupDesc];
    for body in asks.into_iter().flat_map(|ask| fabric.request(switch, ask)) {
        let Body::MultipartReply(reply) = body else { panic!("{body:?}") };
        match reply.body {
            MultipartReplyBody::Flow(list) => flows.extend(list),
            MultipartReplyBody::GroupDesc(list) => groups.extend(list),
            other => panic!("{other:?}"),
        }
    }
    (flows, groups)
}
