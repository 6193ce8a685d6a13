//! The bridge, its ports and its controllers.

use std::collections::BTreeMap;

use crate::node::desired::{self, Desired};
use crate::node::facts::{Bridge, Controller, Facts, Kind, Link, Ovs, Port};
use crate::node::names::{self, Device};
use crate::node::plan::{LinkStep, MADE, MARK, NOTE, OvsStep, Plan, Readiness};

/// How long Open vSwitch waits at most between two attempts to reach a controller, in ms.
pub const MAX_BACKOFF: i64 = 1_000;

/// Adds to the plan what Open vSwitch needs.
pub fn diff(facts: &Facts, want: &Desired, plan: &mut Plan) {
    let Some(ovs) = &facts.ovs else {
        let why = "Open vSwitch doesn't answer";
        plan.problems.push(format!("{why}: {}", facts.ovs_trouble));
        for readiness in plan.pool.values_mut().filter(|it| **it == Readiness::Ready) {
            *readiness = Readiness::Not(why.to_owned());
        }
        return;
    };
    for (name, bridge) in &ovs.bridges {
        if *name != want.bridge.name && made(&bridge.external_ids) {
            plan.ovs.push(OvsStep::DeleteBridge(name.clone()));
        }
    }
    let name = &want.bridge.name;
    let nothing = Bridge::default();
    let bridge = ovs.bridges.get(name).unwrap_or(&nothing);
    if !ovs.bridges.contains_key(name) {
        plan.ovs.push(OvsStep::AddBridge(name.clone()));
    }
    let is_new = !ovs.bridges.contains_key(name);
    settings(ovs, bridge, is_new, &want.bridge, plan);
    controllers(bridge, &want.bridge, plan);
    ports(facts, ovs, bridge, want, plan);
}

/// Adds to the plan what takes our part of Open vSwitch's database away.
pub fn removal(facts: &Facts, plan: &mut Plan) {
    for (name, bridge) in facts.ovs.iter().flat_map(|ovs| &ovs.bridges) {
        if made(&bridge.external_ids) {
            plan.ovs.push(OvsStep::DeleteBridge(name.clone()));
            continue;
        }
        for (port, _) in bridge.ports.iter().filter(|(_, port)| made(&port.external_ids)) {
            plan.ovs.push(OvsStep::DeletePort { bridge: name.clone(), port: port.clone() });
        }
        if bridge.external_ids.contains_key(NOTE) {
            plan.ovs.push(OvsStep::DropNote(name.clone()));
        }
        let mut controllers = bridge.controllers.iter();
        if !bridge.controllers.is_empty() && controllers.all(|it| made(&it.external_ids)) {
            plan.ovs.push(OvsStep::DeleteControllers(name.clone()));
        }
    }
}

fn made(external_ids: &BTreeMap<String, String>) -> bool {
    external_ids.get(MARK).is_some_and(|it| it == MADE)
}

fn settings(ovs: &Ovs, bridge: &Bridge, is_new: bool, want: &desired::Bridge, plan: &mut Plan) {
    let mut set = |column: &str, value: &str| {
        plan.ovs.push(OvsStep::SetBridge {
            bridge: want.name.clone(),
            column: column.to_owned(),
            value: value.to_owned(),
        });
    };
    let only_userspace =
        ovs.datapath_types.contains("netdev") && !ovs.datapath_types.contains("system");
    let datapath = match &want.datapath_type {
        Some(said) => said.as_str(),
        None if is_new && only_userspace => "netdev",
        None => bridge.datapath_type.as_str(),
    };
    // An empty type is the usual one, `system`.
    let plain = |it: &str| if it == "system" { String::new() } else { it.to_owned() };
    if plain(datapath) != plain(&bridge.datapath_type) {
        set("datapath_type", datapath);
    }
    if !bridge.protocols.iter().eq(["OpenFlow13"]) {
        set("protocols", "OpenFlow13");
    }
    if bridge.fail_mode != "secure" {
        set("fail_mode", "secure");
    }
    for (key, value) in &want.other_config {
        if bridge.other_config.get(key) != Some(value) {
            set(&format!("other_config:{key}"), value);
        }
    }
}

fn controllers(bridge: &Bridge, want: &desired::Bridge, plan: &mut Plan) {
    if want.controllers.is_empty() {
        return; // not said: whatever is set stays
    }
    if bridge.controllers.len() != want.controllers.len() {
        let (bridge, targets) = (want.name.clone(), want.controllers.clone());
        plan.ovs.push(OvsStep::SetControllers { bridge, targets });
        return;
    }
    let missing = want.controllers.iter().filter(|target| !has(&bridge.controllers, target));
    let surplus = bridge.controllers.iter().filter(|it| !want.controllers.contains(&it.target));
    for (record, target) in surplus.zip(missing) {
        let (uuid, target) = (record.uuid.clone(), target.clone());
        plan.ovs.push(OvsStep::Retarget { uuid, target });
    }
    for record in &bridge.controllers {
        if record.connection_mode != "out-of-band" || record.max_backoff != Some(MAX_BACKOFF) {
            plan.ovs.push(OvsStep::TuneController { uuid: record.uuid.clone() });
        }
    }
}

fn has(controllers: &[Controller], target: &str) -> bool {
    controllers.iter().any(|it| it.target == target)
}

fn ports(facts: &Facts, ovs: &Ovs, bridge: &Bridge, want: &Desired, plan: &mut Plan) {
    let wanted = wanted(facts, want, plan);
    let name = &want.bridge.name;
    for (port, there) in &bridge.ports {
        if !wanted.contains_key(port) && made(&there.external_ids) {
            plan.ovs.push(OvsStep::DeletePort { bridge: name.clone(), port: port.clone() });
        }
    }
    for (port, tunnel) in wanted {
        let elsewhere =
            ovs.bridges.iter().find(|(at, it)| *at != name && it.ports.contains_key(&port));
        let problem = match (bridge.ports.get(&port), elsewhere) {
            // Ours, of another name, goes in this same transaction.
            (None, Some((at, other))) if !made(&other.external_ids) => {
                Some(format!("is a port of bridge {at}; take it out of that"))
            }
            (None, _) => {
                plan.ovs.push(add(name, &port, tunnel));
                Some("is not in the bridge yet".to_owned())
            }
            (Some(there), _) => keep(name, (&port, there), tunnel, plan),
        };
        // Only what lasts is worth a line; the rest shows by the steps.
        if let Some(problem) = problem {
            if let Some(readiness) = plan.pool.get_mut(&port).filter(|it| **it == Readiness::Ready)
            {
                *readiness = Readiness::Not(problem.clone());
            }
            if !plan
                .ovs
                .iter()
                .any(|step| matches!(step, OvsStep::AddPort { port: it, .. } if *it == port))
            {
                plan.problems.push(format!("port {port}: {problem}"));
            }
        }
    }
}

fn add(bridge: &str, port: &str, tunnel: Option<BTreeMap<String, String>>) -> OvsStep {
    OvsStep::AddPort { bridge: bridge.to_owned(), port: port.to_owned(), tunnel }
}

/// A port that is there: makes it as it should be, and says what keeps it from working.
fn keep(
    bridge: &str,
    (name, there): (&str, &Port),
    tunnel: Option<BTreeMap<String, String>>,
    plan: &mut Plan,
) -> Option<String> {
    let kind = there.kind.as_str();
    let right = match tunnel {
        Some(_) => kind == "vxlan",
        None => matches!(kind, "" | "system"),
    };
    if !right && !made(&there.external_ids) {
        return Some(format!("is of the kind {kind:?}; remove it"));
    }
    if !right {
        plan.ovs.push(OvsStep::DeletePort { bridge: bridge.to_owned(), port: name.to_owned() });
        plan.ovs.push(add(bridge, name, tunnel));
        return Some("is not in the bridge yet".to_owned());
    }
    if let Some(options) = tunnel
        && options != there.options
    {
        plan.ovs.push(OvsStep::SetOptions { port: name.to_owned(), options });
    }
    match there.number {
        _ if !there.error.is_empty() => Some(format!("Open vSwitch can't use it: {}", there.error)),
        Some(number) if number > 0 => None,
        Some(_) => Some("Open vSwitch can't use it; its log says why".to_owned()),
        None => Some("Open vSwitch has not taken it: ovs-vswitchd is not running, or its kernel module is missing (then write \
             `datapath_type: netdev`)".to_owned()),
    }
}

/// The ports that the bridge should have now: devices that are there or about to be made, and tunnels.
fn wanted(
    facts: &Facts,
    want: &Desired,
    plan: &mut Plan,
) -> BTreeMap<String, Option<BTreeMap<String, String>>> {
    let mut ports = BTreeMap::new();
    let about_to_be = |name: &String| {
        plan.links.iter().any(|step| match step {
            LinkStep::AddPair { host, .. } => host == name,
            LinkStep::AddVxlan { name: it, .. } => it == name,
            _ => false,
        })
    };
    let mut absent = Vec::new();
    for name in &want.bridge.devices {
        let tunnel = want.vxlans.get(name);
        // A device that only has the name of a tunnel must not get into the bridge.
        let fits = |it: &Link| match (&it.kind, tunnel) {
            (Kind::Vxlan { vni, udp_port, .. }, Some(tunnel)) => {
                (*vni, *udp_port) == (tunnel.vni, tunnel.udp_port)
            }
            (_, tunnel) => tunnel.is_none(),
        };
        if facts.link(name).is_some_and(fits) || about_to_be(name) {
            ports.insert(name.clone(), None);
        } else if tunnel.is_none() {
            absent.push(format!("port {name}: there is no such device"));
        }
    }
    for n in 1..=want.interfaces {
        let name = names::host(n);
        let there = facts.link(&name).is_some_and(|it| matches!(it.kind, Kind::Veth { .. }));
        if there || about_to_be(&name) {
            ports.insert(name, None);
        }
    }
    // Beyond the document's number, but still used by a pod.
    for link in facts.links.iter().filter(|link| link.ours()) {
        if matches!(link.kind, Kind::Veth { elsewhere: true, .. })
            && matches!(Device::of(&link.name), Some(Device::Host(_)))
        {
            ports.insert(link.name.clone(), None);
        }
    }
    for (name, options) in &want.bridge.tunnels {
        ports.insert(name.clone(), Some(options.clone()));
    }
    plan.problems.extend(absent);
    ports
}
