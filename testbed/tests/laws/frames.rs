//! What frames must and must not do.

use std::collections::{BTreeMap, BTreeSet};

use controller::lift::network_of_metadata;
use controller::model::Place;
use openflow::MacAddr;
use testbed::fabric::Deliveries;

use crate::story::{MACS, mac, macs};
use crate::world::{Failure, Wish, World, at, fail};

/// What a frame was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Everybody,
    Group,
    Host(MacAddr),
}

impl To {
    fn mac(self) -> MacAddr {
        match self {
            Self::Everybody => MacAddr([0xff; 6]),
            Self::Group => MacAddr([1, 0, 0x5e, 0, 0, 7]),
            Self::Host(mac) => mac,
        }
    }
}

/// The source of frames that only look: nobody's, and never learnt, since
/// nobody answers the copy.
fn prober(from: Place) -> MacAddr {
    MacAddr([2, 0xff, 0, 0, from.switch.0 as u8, from.port.0 as u8])
}

fn frame(to: MacAddr, from: MacAddr, tenant_tag: Option<u16>) -> Vec<u8> {
    let mut bytes = [to.0, from.0].concat();
    if let Some(vid) = tenant_tag {
        bytes.extend(0x8100u16.to_be_bytes());
        bytes.extend(vid.to_be_bytes());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.extend(b"as the tenant sent it, long enough for any switch");
    bytes
}

/// Sends a frame and checks what holds at all times: it ends, nobody hears it
/// twice or hears himself, and it arrives as it was sent. Returns where.
fn send(
    world: &mut World,
    from: Place,
    to: To,
    source: MacAddr,
) -> Result<(BTreeSet<Place>, Deliveries), Failure> {
    let tag = (world.dice.throw(4) == 0).then(|| world.dice.throw(4095) as u16);
    let bytes = frame(to.mac(), source, tag);
    let result = world.fabric.send(at(from), bytes.clone());
    let about = || format!("a frame from {from} to {to:?} with tag {tag:?}");
    if result.looped {
        return Err(fail(format!("{} loops", about())));
    }
    let mut heard = BTreeSet::new();
    for (place, frame) in &result.frames {
        let place = Place::new(place.switch, place.port);
        if frame.bytes != bytes || frame.tunnel_id != 0 {
            return Err(fail(format!("{} arrives at {place} as {frame:?}", about())));
        }
        if place == from || !heard.insert(place) {
            return Err(fail(format!("{} arrives at {place} again", about())));
        }
    }
    Ok((heard, result))
}

/// Some frames, on the way from one wish to another.
pub fn look(world: &mut World, old: &Wish, new: &Wish, steady: bool) -> Result<(), Failure> {
    let either: BTreeSet<_> = old.members.keys().chain(new.members.keys()).copied().collect();
    let either: Vec<_> = either.into_iter().collect();
    for _ in 0..LOOKS.min(either.len()) {
        let from = either[world.dice.throw(either.len())];
        // Hosts that anybody knows, most of the time.
        let nets = [old, new].map(|wish| wish.members.get(&from));
        let known = old.hosts.keys().chain(new.hosts.keys());
        let known: Vec<_> = known.filter(|(net, _)| nets.contains(&Some(net))).collect();
        let to = match world.dice.throw(6) {
            0 => To::Everybody,
            1 => To::Group,
            2 => To::Host(mac(world.dice.throw(MACS.into()) as u8)),
            _ if known.is_empty() => continue,
            _ => To::Host(known[world.dice.throw(known.len())].1),
        };
        look_at(world, old, new, steady, from, to)?;
    }
    Ok(())
}

/// How many frames are looked at after each message.
const LOOKS: usize = 3;

fn look_at(
    world: &mut World,
    old: &Wish,
    new: &Wish,
    steady: bool,
    from: Place,
    to: To,
) -> Result<(), Failure> {
    let (heard, _) = send(world, from, to, prober(from))?;
    // A port that changes networks is in one of them at a time, or in none.
    let nets: BTreeSet<_> = [old, new].iter().filter_map(|wish| wish.members.get(&from)).collect();
    let within = |net: &usize| {
        heard.iter().all(|place| [old, new].iter().any(|wish| wish.members.get(place) == Some(net)))
    };
    if !nets.into_iter().any(within) {
        return Err(fail(format!(
            "a frame from {from} to {to:?} reaches another network: {heard:?}"
        )));
    }
    let (Some(net), To::Host(mac)) = (new.members.get(&from), to) else { return Ok(()) };
    // Where it is, whether anybody knows that yet, still, or not.
    let there = |wish: &Wish| wish.hosts.get(&(*net, mac)).map(|(place, _)| *place);
    let (was, is) = (there(old).or(there(new)), there(new).or(there(old)));
    let stays = |place: Place| [old, new].iter().all(|wish| wish.members.get(&place) == Some(net));
    if let Some(place) = is.filter(|place| was == Some(*place))
        && steady
        && stays(from)
        && stays(place)
        && place != from
        && reaches(world, *net, from, place)
        && !heard.contains(&place)
    {
        return Err(fail(format!("unicast from {from} to {mac} at {place} is lost")));
    }
    Ok(())
}

/// Whether links that can carry the network join two places.
fn reaches(world: &World, net: usize, from: Place, to: Place) -> bool {
    let id = world.plan.networks[net];
    from.switch == to.switch || world.graph().next_hop(id, from.switch, to.switch).is_some()
}

/// In a settled world every frame reaches exactly whom it is for.
pub fn exact(world: &mut World) -> Result<(), Failure> {
    let wish = world.wish.clone();
    let mut joined = BTreeMap::new();
    for (from, net) in &wish.members {
        let all = wish.ports_of(*net).into_iter();
        let others: BTreeSet<_> =
            all.filter(|to| to != from && reaches(world, *net, *from, *to)).collect();
        joined.insert(*from, others);
    }
    for (from, net) in &wish.members {
        for to in [To::Everybody, To::Group].into_iter().chain(macs().map(To::Host)) {
            let known = match to {
                To::Host(mac) => wish.hosts.get(&(*net, mac)).map(|(place, _)| *place),
                _ => None,
            };
            let want = match known {
                Some(place) if place == *from => BTreeSet::new(),
                Some(place) if reaches(world, *net, *from, place) => BTreeSet::from([place]),
                _ => joined[from].clone(),
            };
            let (heard, _) = send(world, *from, to, prober(*from))?;
            if heard != want {
                return Err(fail(format!(
                    "a frame from {from} (network {}) to {to:?} reaches {heard:?}, not {want:?}",
                    world.plan.networks[*net]
                )));
            }
        }
    }
    // Who is in no network is heard by nobody.
    let alone = world
        .plan
        .ids()
        .flat_map(|id| (1..=crate::story::PORTS).map(move |port| Place::new(id, port.into())));
    for from in alone.filter(|place| !wish.members.contains_key(place)).collect::<Vec<_>>() {
        let (heard, result) = send(world, from, To::Everybody, prober(from))?;
        if !heard.is_empty() || result.packet_ins().next().is_some() {
            return Err(fail(format!("{from} is in no network and is heard at {heard:?}")));
        }
    }
    Ok(())
}

/// A host speaks in a settled world: everybody in its network hears it, and the
/// controller hears it exactly if it can learn something from it.
pub fn speak(world: &mut World, from: Place, mac: MacAddr) -> Result<(), Failure> {
    let net = world.wish.members.get(&from).copied();
    let (heard, result) = send(world, from, To::Everybody, mac)?;
    let all = net.map(|net| world.wish.ports_of(net)).unwrap_or_default();
    let want: BTreeSet<_> = all
        .into_iter()
        .filter(|to| *to != from && net.is_some_and(|net| reaches(world, net, from, *to)))
        .collect();
    if heard != want {
        return Err(fail(format!(
            "{mac} speaks at {from} and is heard at {heard:?}, not {want:?}"
        )));
    }
    let mut told = Vec::new();
    for (switch, packet) in result.packet_ins() {
        let metadata = packet.match_.metadata_field().map(|field| field.value);
        let port = packet.in_port();
        told.push((switch, port, metadata.and_then(network_of_metadata)));
    }
    let is_known =
        net.is_some_and(|net| world.wish.hosts.get(&(net, mac)).is_some_and(|(at, _)| *at == from));
    let expected: Vec<_> = net
        .filter(|_| !is_known)
        .map(|net| (from.switch, Some(from.port), Some(world.plan.networks[net])))
        .into_iter()
        .collect();
    if told != expected {
        return Err(fail(format!(
            "{mac} speaks at {from}: the controller hears {told:?}, not {expected:?}"
        )));
    }
    if let Some(net) = net {
        world
            .wish
            .hosts
            .entry((net, mac))
            .and_modify(|(at, learnt)| {
                // One that was declared elsewhere stays there.
                if *learnt {
                    *at = from;
                }
            })
            .or_insert((from, true));
    }
    Ok(())
}
