//! What frames and tables must and must not do.

use std::collections::{BTreeMap, BTreeSet};

use api::types::{FlowView, State};
use controller::engine::Engine;
use controller::lift::lift;
use controller::model::{PortRef, SwitchRef};
use openflow::DatapathId;
use testbed::fabric::Deliveries;

use crate::plan::{MACS, PORTS};
use crate::world::{Port, Tag, World};

pub const EVERYBODY: [u8; 6] = [0xff; 6];
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 7];

/// Frames that are looked at after a change.
const LOOKS: usize = 3;

pub fn mac(n: u32) -> [u8; 6] {
    [2, 0, 0, 0, 0, n as u8]
}

/// The source of frames that only look: nobody's, and never learnt.
fn prober((switch, slot): Port) -> [u8; 6] {
    [2, 0xff, 0, 0, switch as u8, slot as u8]
}

pub fn frame(to: [u8; 6], from: [u8; 6], tenant_tag: Option<u16>) -> Vec<u8> {
    let mut bytes = [to, from].concat();
    if let Some(vid) = tenant_tag {
        bytes.extend(0x8100u16.to_be_bytes());
        bytes.extend(vid.to_be_bytes());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.extend(b"as the tenant sent it, long enough for any switch");
    bytes
}

/// What holds at all times: a frame ends, arrives as it was sent and once, and only where its network is.
/// Returns where it arrived.
pub fn heard(
    world: &World,
    from: Port,
    bytes: &[u8],
    result: &Deliveries,
) -> Result<BTreeSet<Port>, String> {
    let about = || format!("a frame from {from:?} to {:02x?}", &bytes[..6]);
    if result.looped {
        return Err(format!("{} loops", about()));
    }
    let mut heard = BTreeSet::new();
    for (place, frame) in &result.frames {
        if frame.bytes != bytes || frame.tunnel_id != 0 {
            return Err(format!("{} arrives at {place} as {frame:?}", about()));
        }
        let Some(port) = world.port_at(*place) else {
            return Err(format!("{} leaves by {place}, which is no host's", about()));
        };
        if port == from || !heard.insert(port) {
            return Err(format!("{} arrives at {port:?} again", about()));
        }
    }
    let none = BTreeMap::new();
    let tags = |port: &Port| world.owners.get(port).unwrap_or(&none);
    let within = |tag: &Tag| heard.iter().all(|port| tags(port).contains_key(tag));
    if !heard.is_empty() && !tags(&from).keys().any(within) {
        let tags: Vec<_> = heard.iter().map(|port| (port, tags(port))).collect();
        return Err(format!(
            "{} reaches another network: from {:?} to {tags:?}",
            about(),
            world.owners.get(&from)
        ));
    }
    Ok(heard)
}

fn send(world: &mut World, from: Port, to: [u8; 6]) -> Result<Option<BTreeSet<Port>>, String> {
    let Some(place) = world.place(from) else { return Ok(None) };
    let tag = world.dice.once_in(4).then(|| world.dice.throw(4095) as u16);
    let bytes = frame(to, prober(from), tag);
    let result = world.probe(place, bytes.clone());
    heard(world, from, &bytes, &result).map(Some)
}

/// Some frames, at any time.
pub fn always(world: &mut World) -> Result<(), String> {
    let from: Vec<_> = world.owners.keys().copied().collect();
    for _ in 0..LOOKS.min(from.len()) {
        let from = from[world.dice.throw(from.len())];
        let to = match world.dice.throw(6) {
            0..=2 => EVERYBODY,
            3 => GROUP,
            _ => mac(world.dice.throw(MACS as usize + 1) as u32),
        };
        let Some(heard) = send(world, from, to)? else { continue };
        if to[0] & 1 == 0 {
            unicast_is_not_lost(world, from, to, &heard)?;
        }
        if let Some(steady) = &world.steady
            && to[0] & 1 == 1
            && let Some(tag) = steady.get(&from)
        {
            let reach = reach(world, |_| true);
            let lost = steady.iter().find(|(port, of)| {
                *of == tag
                    && **port != from
                    && reach[&port.0] == reach[&from.0]
                    && !heard.contains(port)
            });
            if let Some((port, _)) = lost {
                return Err(format!(
                    "a flood from {from:?} to {port:?} is lost while nothing fails"
                ));
            }
        }
    }
    Ok(())
}

/// While nothing fails, a frame to a host that is known where it last spoke reaches it, known or flooded.
fn unicast_is_not_lost(
    world: &World,
    from: Port,
    to: [u8; 6],
    heard: &BTreeSet<Port>,
) -> Result<(), String> {
    let Some(steady) = &world.steady else { return Ok(()) };
    let Some(tag) = steady.get(&from) else { return Ok(()) };
    let Some(at) = world.homes.get(&(*tag, to)) else { return Ok(()) };
    if *at != from && steady.get(at) == Some(tag) && !heard.contains(at) {
        let reach = reach(world, |_| true);
        if reach[&at.0] == reach[&from.0] {
            return Err(format!(
                "a frame from {from:?} to {to:02x?} at {at:?} is lost while nothing fails"
            ));
        }
    }
    Ok(())
}

/// The lowest switch that each can reach over cables that work and switches that may be used.
fn reach(world: &World, usable: impl Fn(u64) -> bool) -> BTreeMap<u64, u64> {
    let mut lowest: BTreeMap<_, _> =
        (1..=world.plan.switches).map(|switch| (switch, switch)).collect();
    loop {
        let mut changed = false;
        for (n, cable) in world.plan.cables.iter().enumerate() {
            if !world.crosses(n) || !usable(cable.a) || !usable(cable.b) {
                continue;
            }
            let least = lowest[&cable.a].min(lowest[&cable.b]);
            for end in [cable.a, cable.b] {
                changed |= lowest.insert(end, least) != Some(least);
            }
        }
        if !changed {
            return lowest;
        }
    }
}

/// Where the controller says that hosts are.
pub fn known_hosts(world: &World) -> BTreeMap<(Tag, [u8; 6]), Port> {
    let hosts = world.lab.engine().show_hosts();
    let known = hosts.into_iter().filter_map(|host| {
        let (_, tag) = world.networks.iter().find(|(name, _)| *name == host.network)?;
        let SwitchRef::Name(switch) = &host.switch else { return None };
        let PortRef::Name(port) = &host.port else { return None };
        let switch =
            std::str::from_utf8(switch.as_bytes()).ok()?.strip_prefix('s')?.parse().ok()?;
        let slot = std::str::from_utf8(port.as_bytes()).ok()?.strip_prefix('h')?.parse().ok()?;
        Some(((*tag, host.mac.bytes()), (switch, slot)))
    });
    known.collect()
}

/// What holds in a settled world: each frame reaches whom it is for wherever there is a way, and connected switches
/// hold what is desired.
pub fn settled(world: &mut World) -> Result<(), String> {
    compare_tables(world)?;
    let away: BTreeSet<_> =
        (1..=world.plan.switches).filter(|switch| !world.is_connected(*switch)).collect();
    let reach = reach(world, |switch| !away.contains(&switch));
    let known = known_hosts(world);
    let ports = world.ports.clone();
    let connected = |port: &Port| !away.contains(&port.0);
    for (&from, &tag) in ports.iter().filter(|(port, _)| connected(port)) {
        let others: BTreeSet<_> = ports
            .iter()
            .filter(|(port, of)| **of == tag && **port != from && connected(port))
            .filter(|(port, _)| reach[&port.0] == reach[&from.0])
            .map(|(port, _)| *port)
            .collect();
        for to in [EVERYBODY, GROUP].into_iter().chain((0..=MACS).map(mac)) {
            let Some(heard) = send(world, from, to)? else {
                return Err(format!("port {from:?} is gone"));
            };
            let at = known.get(&(tag, to)).copied();
            let must = match at {
                Some(at) if at == from => BTreeSet::new(),
                Some(at) if others.contains(&at) => BTreeSet::from([at]),
                // Where that can't be reached, or nobody knows, it is flooded.
                Some(_) if !away.is_empty() => continue,
                _ => others.clone(),
            };
            let fine = if away.is_empty() || at.is_some() {
                heard == must
            } else {
                must.is_subset(&heard)
            };
            if !fine {
                return Err(format!(
                    "a frame from {from:?} (network {:?}) to {to:02x?} reaches {heard:?}, not {must:?}; known at {at:?}; away: {away:?}",
                    world.name_of(tag)
                ));
            }
        }
    }
    // Who is in no network is heard by nobody.
    for switch in 1..=world.plan.switches {
        for port in (1..=PORTS).map(|slot| (switch, slot)) {
            if connected(&port)
                && world.owners.get(&port).is_none_or(BTreeMap::is_empty)
                && let Some(heard) = send(world, port, EVERYBODY)?
                && !heard.is_empty()
            {
                return Err(format!("{port:?} is in no network and is heard at {heard:?}"));
            }
        }
    }
    if away.is_empty() {
        let engine = world.lab.engine();
        for network in engine.all_networks().map(|record| engine.show_network(record)) {
            if network.state != State::Installed {
                return Err(format!(
                    "{} is {:?}: {:?}",
                    network.name, network.state, network.reason
                ));
            }
        }
    }
    Ok(())
}

/// Every connected switch holds what the controller says that it should.
fn compare_tables(world: &mut World) -> Result<(), String> {
    for switch in 1..=world.plan.switches {
        if !world.is_connected(switch) {
            continue;
        }
        let flows = world.flows(switch);
        let there: BTreeSet<_> = flows
            .iter()
            .map(|flow| {
                let instructions: Vec<_> =
                    flow.instructions.iter().map(ToString::to_string).collect();
                let what = if instructions.is_empty() {
                    "drop".to_owned()
                } else {
                    instructions.join(",")
                };
                format!(
                    "t{} {} {} 0x{:016x} -> {what}",
                    flow.table_id.0, flow.priority, flow.match_, flow.cookie
                )
            })
            .collect();
        let groups: BTreeSet<_> = world
            .groups(switch)
            .iter()
            .map(|group| {
                let buckets: BTreeSet<_> = group
                    .buckets
                    .iter()
                    .map(|bucket| {
                        let all: Vec<_> = bucket.actions.iter().map(ToString::to_string).collect();
                        all.join(",")
                    })
                    .collect();
                format!("group {} {buckets:?}", group.group_id.0)
            })
            .collect();
        let (wanted, wanted_groups) = desired(world.lab.engine(), switch);
        if there != wanted || groups != wanted_groups {
            let extra: Vec<_> =
                there.difference(&wanted).chain(groups.difference(&wanted_groups)).collect();
            let missing: Vec<_> =
                wanted.difference(&there).chain(wanted_groups.difference(&groups)).collect();
            return Err(format!(
                "switch {switch} holds {extra:#?} too much and lacks {missing:#?}"
            ));
        }
    }
    Ok(())
}

fn desired(engine: &Engine, switch: u64) -> (BTreeSet<String>, BTreeSet<String>) {
    let tables = engine.show_flows(DatapathId(switch), FlowView::Desired);
    let flows = tables.items.iter().map(|flow| {
        format!(
            "t{} {} {} {} -> {}",
            flow.table, flow.priority, flow.r#match, flow.cookie, flow.instructions
        )
    });
    let groups = tables.groups.iter().map(|group| {
        let buckets: BTreeSet<_> = group.buckets.iter().cloned().collect();
        format!("group {} {buckets:?}", group.id)
    });
    (flows.collect(), groups.collect())
}

/// What holds when all is undone: nothing is left, and every id is free.
pub fn undone(world: &mut World) -> Result<(), String> {
    for switch in 1..=world.plan.switches {
        let (flows, groups) = (world.flows(switch), world.groups(switch));
        let lifted = lift(&flows, &groups);
        if !lifted.networks.is_empty() || !groups.is_empty() {
            return Err(format!("switch {switch} still holds {:?}, {groups:?}", lifted.networks));
        }
    }
    if !world.was_renumbered() && world.lab.fabric.tables() != world.fresh {
        return Err(format!(
            "when all is undone there is\n{}\nnot\n{}",
            world.lab.fabric.tables(),
            world.fresh
        ));
    }
    match world.next_id()? {
        1 => Ok(()),
        other => Err(format!("network ids were lost: the next one is {other}")),
    }
}
