//! The kernel's VXLAN devices.

use super::pairs::{change, delete};
use crate::node::desired::{Desired, Vxlan};
use crate::node::facts::{Facts, Kind, Link};
use crate::node::names::Device;
use crate::node::plan::{Change, LinkStep, Plan};

/// Adds to the plan what the tunnels need.
pub fn diff(facts: &Facts, want: &Desired, plan: &mut Plan) {
    for (name, vxlan) in &want.vxlans {
        let made = match facts.link(name) {
            None => add(facts, want, name, vxlan, plan),
            Some(link) => keep(facts, want, (link, vxlan), plan),
        };
        if let Err(problem) = made {
            plan.problems.push(format!("{name}: {problem}"));
        }
    }
    for link in facts.links.iter().filter(|link| link.ours()) {
        let tunnel = matches!(Device::of(&link.name), Some(Device::Vxlan(_)));
        if tunnel && !want.vxlans.contains_key(&link.name) {
            plan.unlinks.push(delete(link));
        }
    }
}

fn add(
    facts: &Facts,
    want: &Desired,
    name: &str,
    vxlan: &Vxlan,
    plan: &mut Plan,
) -> Result<(), String> {
    let Vxlan { vni, udp_port, remote } = *vxlan;
    // The kernel has one device for a VNI and port, and would only say that something exists. One of ours that is
    // in the way goes in this plan; the next then makes this one.
    let same = |link: &&Link| matches!(link.kind, Kind::Vxlan { vni: v, udp_port: p, .. } if v == vni && p == udp_port);
    if let Some(other) = facts.links.iter().find(|link| link.name != name && same(link)) {
        let going = other.ours() && !want.vxlans.contains_key(&other.name);
        return if going {
            Ok(())
        } else {
            Err(format!(
                "VNI {vni} on UDP port {udp_port} is in use by {}; remove that",
                other.name
            ))
        };
    }
    let (name, mtu) = (name.to_owned(), want.mtu);
    plan.links.push(LinkStep::AddVxlan { name, vni, udp_port, remote, mtu });
    Ok(())
}

fn keep(
    facts: &Facts,
    want: &Desired,
    (link, vxlan): (&Link, &Vxlan),
    plan: &mut Plan,
) -> Result<(), String> {
    let same_network = matches!(
        link.kind,
        Kind::Vxlan { vni, udp_port, .. } if vni == vxlan.vni && udp_port == vxlan.udp_port
    );
    let remote = match link.kind {
        Kind::Vxlan { remote, .. } => remote,
        _ => None,
    };
    if !same_network {
        if !link.ours() {
            return Err(format!(
                "there is a device of this name that is not VXLAN with VNI {} on UDP port {}; rename or remove it",
                vxlan.vni, vxlan.udp_port
            ));
        }
        plan.links.push(delete(link));
        return add(facts, want, &link.name, vxlan, plan);
    }
    // A device can change its remote end, but not between IPv4 and IPv6.
    let family_stays = remote.is_none_or(|it| it.is_ipv4() == vxlan.remote.is_ipv4());
    if remote != Some(vxlan.remote) && link.ours() && !family_stays {
        plan.links.push(delete(link));
        return add(facts, want, &link.name, vxlan, plan);
    }
    if remote != Some(vxlan.remote) {
        plan.links.push(change(link, Change::Remote(vxlan.remote)));
    }
    if link.mtu != want.mtu && want.mtu_from.is_for(link.ours()) {
        plan.links.push(change(link, Change::Mtu(want.mtu)));
    }
    if link.host_hears {
        plan.links.push(change(link, Change::Deaf));
    }
    if !link.up {
        plan.links.push(change(link, Change::Up(true)));
    }
    Ok(())
}
