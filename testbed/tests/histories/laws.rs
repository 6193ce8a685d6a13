//! What frames and tables must and must not do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use api::types::{FlowView, Host, HostSource, State};
use controller::engine::Engine;
use controller::lift::lift;
use controller::model::{PortRef, SwitchRef};
use openflow::{DatapathId, PortNo};
use testbed::fabric::{Deliveries, Place};

use crate::plan::{MACS, PORTS};
use crate::world::{Allowed, Port, Tag, World};

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

/// The address of a MAC.
pub fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + n as u8)
}

/// An announcement of an address.
fn arp(to: [u8; 6], from: [u8; 6], ip: Ipv4Addr) -> Vec<u8> {
    let mut bytes = [to, from].concat();
    bytes.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    bytes.extend(from);
    bytes.extend(ip.octets());
    bytes.extend([0; 6]);
    bytes.extend(address(99).octets());
    bytes.resize(60, 0);
    bytes
}

/// A frame that a port lets out, if it is held to this MAC or to none.
pub fn own_frame(world: &World, port: Port, to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    match world.enforced.get(&port) {
        Some(allowed) if allowed.address => arp(to, from, address(allowed.mac)),
        _ => frame(to, from, None),
    }
}

fn admits(allowed: Allowed, bytes: &[u8]) -> bool {
    bytes[6..12] == mac(allowed.mac)
        && (!allowed.address
            || bytes == arp(bytes[..6].try_into().unwrap(), mac(allowed.mac), address(allowed.mac)))
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
    if let Some(allowed) = world.firm.get(&from)
        && !admits(*allowed, bytes)
        && !heard.is_empty()
    {
        return Err(format!(
            "{from:?} may only send as {allowed:?}, and {} from {:02x?} is heard at {heard:?}",
            about(),
            &bytes[6..]
        ));
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
    let Some(place) = world.place(from).filter(|_| !world.dead.contains(&from.0)) else {
        return Ok(None);
    };
    let tag = world.dice.once_in(4).then(|| world.dice.throw(4095) as u16);
    let bytes = match world.enforced.get(&from).copied() {
        None => frame(to, prober(from), tag),
        Some(allowed) => {
            forge(world, from, to, allowed)?;
            match allowed.address {
                true => arp(to, mac(allowed.mac), address(allowed.mac)),
                false => frame(to, mac(allowed.mac), tag),
            }
        }
    };
    let result = world.probe(place, bytes.clone());
    heard(world, from, &bytes, &result).map(Some)
}

/// What a port sends that it may not.
fn forge(world: &mut World, from: Port, to: [u8; 6], allowed: Allowed) -> Result<(), String> {
    let Some(place) = world.place(from) else { return Ok(()) };
    let own = mac(allowed.mac);
    let bytes = match world.dice.throw(if allowed.address { 5 } else { 2 }) {
        0 => frame(to, prober(from), None),
        1 => arp(to, mac(allowed.mac + 1), address(allowed.mac)),
        2 => arp(to, own, address(allowed.mac + 1)),
        3 => frame(to, own, None),
        _ => frame(to, own, Some(7)),
    };
    let result = world.probe(place, bytes.clone());
    heard(world, from, &bytes, &result).map(drop)
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
    hosts(world, |_| true)
}

/// Those of them that it learnt.
pub fn learnt_hosts(world: &World) -> BTreeMap<(Tag, [u8; 6]), Port> {
    hosts(world, |host| host.source == HostSource::Learnt)
}

fn hosts(world: &World, wanted: impl Fn(&Host) -> bool) -> BTreeMap<(Tag, [u8; 6]), Port> {
    let hosts = world.lab.engine().show_hosts();
    let known = hosts.into_iter().filter(|host| wanted(host)).filter_map(|host| {
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
    learnt_hosts_run_out(world)?;
    let away: BTreeSet<_> =
        (1..=world.plan.switches).filter(|switch| !world.is_connected(*switch)).collect();
    let reach = reach(world, |switch| !away.contains(&switch));
    // A cable that fell silent, its ports up, just when a switch at its end was gone: nobody can tell until it is back.
    let trusts_a_dead_cable = {
        let links = world.lab.engine().show_links();
        let believed = |n: usize| {
            let trunk = format!("t{n}");
            links.iter().any(|link| link.up && link.a.port.to_string() == trunk)
        };
        let cables = world.plan.cables.iter().enumerate();
        let mut dead = cables.filter(|(n, _)| !world.crosses(*n) && believed(*n));
        dead.any(|(_, cable)| away.contains(&cable.a) || away.contains(&cable.b))
    };
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
            let fine = if trusts_a_dead_cable {
                heard.is_subset(&must) || !away.is_empty()
            } else if away.is_empty() || at.is_some() {
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

/// Every connected switch holds what the controller says that it should, but for flows to hosts that lead to a switch
/// that is away and can't confirm its own.
pub fn compare_tables(world: &mut World) -> Result<(), String> {
    let connected: Vec<_> =
        (1..=world.plan.switches).filter(|switch| world.is_connected(*switch)).collect();
    let mut lacking = BTreeSet::new();
    for switch in connected {
        let (there, groups) = held(world, switch);
        let (wanted, wanted_groups) = desired(world.lab.engine(), switch);
        let extra: Vec<_> =
            there.difference(&wanted).chain(groups.difference(&wanted_groups)).collect();
        if !extra.is_empty() {
            return Err(format!("switch {switch} holds {extra:#?} too much"));
        }
        lacking.extend(wanted_groups.difference(&groups).map(|group| (switch, group.clone())));
        lacking.extend(wanted.difference(&there).map(|flow| (switch, flow.clone())));
    }
    let mut waiting = BTreeSet::new();
    loop {
        let before = waiting.len();
        for (switch, flow) in &lacking {
            let next = next_hop(world, *switch, flow);
            let waits = |next: u64| {
                !world.is_connected(next) || waiting.contains(&(next, what_matches(flow)))
            };
            if next.is_some_and(waits) {
                waiting.insert((*switch, what_matches(flow)));
            }
        }
        if waiting.len() == before {
            break;
        }
    }
    lacking.retain(|(switch, flow)| !waiting.contains(&(*switch, what_matches(flow))));
    match lacking.first() {
        Some((switch, _)) => Err(format!("switch {switch} lacks {lacking:#?}")),
        None => Ok(()),
    }
}

/// Table, priority and match of a flow in text.
fn what_matches(flow: &str) -> String {
    flow.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The switch to which a flow to a host leads.
fn next_hop(world: &World, switch: u64, flow: &str) -> Option<u64> {
    let (_, port) = flow.strip_prefix("t2 200 ")?.rsplit_once("output:")?;
    let place = Place { switch: DatapathId(switch), port: PortNo(port.parse().ok()?) };
    world.lab.fabric.peer(place).map(|peer| peer.switch.0)
}

/// Isolane's flows, and the groups, on a switch, in text.
fn held(world: &mut World, switch: u64) -> (BTreeSet<String>, BTreeSet<String>) {
    let flows = world.flows(switch).into_iter().map(|flow| {
        let instructions: Vec<_> = flow.instructions.iter().map(ToString::to_string).collect();
        let what = if instructions.is_empty() { "drop".to_owned() } else { instructions.join(",") };
        format!(
            "t{} {} {} 0x{:016x} -> {what}",
            flow.table_id.0, flow.priority, flow.match_, flow.cookie
        )
    });
    let flows = flows.collect();
    let groups = world.groups(switch).into_iter().map(|group| {
        let buckets: BTreeSet<_> = group
            .buckets
            .iter()
            .map(|bucket| {
                let all: Vec<_> = bucket.actions.iter().map(ToString::to_string).collect();
                all.join(",")
            })
            .collect();
        format!("group {} {buckets:?}", group.group_id.0)
    });
    (flows, groups.collect())
}

/// Each learnt host is forgotten once it is silent: its switch counts its frames, and tells.
fn learnt_hosts_run_out(world: &mut World) -> Result<(), String> {
    for ((_, mac), port) in learnt_hosts(world) {
        if !world.is_connected(port.0) {
            continue;
        }
        let Some(place) = world.place(port) else { continue };
        let counted = world.flows(port.0).iter().any(|flow| {
            flow.idle_timeout != 0
                && flow.match_.eth_src_field().is_some_and(|field| field.value.0 == mac)
                && flow.match_.in_port_field().is_some_and(|field| field.value == place.port)
        });
        if !counted {
            return Err(format!("{mac:02x?} is learnt at {port:?} for ever: no flow counts it"));
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
