//! The pairs `vpodN` and `vhostN`.
//!
//! A pair is there as long as one of its ends is: a `vpodN` that isn't in this namespace is inside a pod, and its
//! pair must not be made anew. Pairs that L2S-M made are used as they are.

use crate::node::desired::Desired;
use crate::node::facts::{Facts, Kind, Link};
use crate::node::names::{self, Device};
use crate::node::plan::{Change, LinkStep, Plan, Readiness, mac_text};

/// Adds to the plan what the pairs need.
pub fn diff(facts: &Facts, want: &Desired, plan: &mut Plan) {
    for n in 1..=want.interfaces {
        let (host, pod) = (names::host(n), names::pod(n));
        match pair(facts, want, n, plan) {
            Ok(readiness) => drop(plan.pool.insert(host, readiness)),
            Err(problem) => {
                plan.pool.insert(host, Readiness::Not(problem.clone()));
                plan.problems.push(format!("{pod}: {problem}"));
            }
        }
    }
    for link in facts.links.iter().filter(|link| link.ours()) {
        match (Device::of(&link.name), &link.kind) {
            (Some(Device::Host(n)), Kind::Veth { elsewhere, .. }) if n > want.interfaces => {
                if *elsewhere {
                    let why = "is beyond the document's number, and goes when its pod has ended";
                    plan.problems.push(format!("{}: {why}", names::pod(n)));
                    plan.pool.insert(link.name.clone(), Readiness::Not(why.to_owned()));
                } else {
                    plan.unlinks.push(delete(link));
                }
            }
            _ => {}
        }
    }
}

/// One pair: whether it may be given out, or what is wrong with it.
fn pair(facts: &Facts, want: &Desired, n: u32, plan: &mut Plan) -> Result<Readiness, String> {
    let (host_name, pod_name) = (names::host(n), names::pod(n));
    match (facts.link(&host_name), facts.link(&pod_name)) {
        (None, None) => {
            let mac = names::pod_mac(&want.node, n);
            let mtu = want.mtu;
            plan.links.push(LinkStep::AddPair { host: host_name, pod: pod_name, mac, mtu });
            Ok(Readiness::Not("is being made".into()))
        }
        (None, Some(pod)) => match pod.kind {
            Kind::Veth { elsewhere: true, .. } => Err(format!(
                "{host_name} is in another network namespace: another switch has taken it (L2S-M's? then remove its \
                 switch pod first)"
            )),
            Kind::Veth { peer, elsewhere: false } => {
                let other = facts.at(peer).map_or("gone", |link| link.name.as_str());
                Err(format!("its other end is not {host_name} but {other}; rename or remove it"))
            }
            _ => Err(format!("there is a device {pod_name} of another kind; rename or remove it")),
        },
        (Some(host), pod) => joined(facts, want, n, (host, pod), plan),
    }
}

fn joined(
    facts: &Facts,
    want: &Desired,
    n: u32,
    (host, pod): (&Link, Option<&Link>),
    plan: &mut Plan,
) -> Result<Readiness, String> {
    let Kind::Veth { peer, elsewhere } = host.kind else {
        return Err(format!(
            "there is a device {} of another kind; rename or remove it",
            host.name
        ));
    };
    // The end in the bridge, wherever the other is. Whatever was taken over keeps its MTU: pods use it.
    let mtu = if want.mtu_from.is_for(host.ours()) { want.mtu } else { host.mtu };
    if host.mtu != mtu {
        plan.links.push(change(host, Change::Mtu(mtu)));
    }
    if host.host_hears {
        plan.links.push(change(host, Change::Deaf));
    }
    if !host.up {
        plan.links.push(change(host, Change::Up(true)));
    }
    let pod = match (elsewhere, pod) {
        (true, None) => return Ok(Readiness::Not("is inside a pod".into())),
        (false, Some(pod)) if pod.index == peer => pod,
        (false, None) => {
            let name = facts.at(peer).map_or("gone", |link| link.name.as_str());
            return Err(format!("is called {name} here; a pod's end that went wrong? rename it"));
        }
        (_, Some(_)) => {
            return Err(format!("is not the other end of {}; rename or remove it", host.name));
        }
    };
    if pod.master.is_some() {
        return Err("is part of another device here; take it out of that".into());
    }
    let before = plan.links.len();
    reset(want, n, (host, pod), mtu, plan);
    if plan.links.len() > before {
        return Ok(Readiness::Not("is being reset".into()));
    }
    Ok(Readiness::Ready)
}

/// Makes a pod's end at home as it was before any pod had it: MAC, MTU and flags survive a move between namespaces.
fn reset(want: &Desired, n: u32, (host, pod): (&Link, &Link), mtu: u32, plan: &mut Plan) {
    let mut push = |of: &Link, what: Change| plan.links.push(change(of, what));
    // Down first: nobody but a pod should hear the network that this end may be attached to by now.
    if pod.up {
        push(pod, Change::Up(false));
    }
    if pod.odd_flags {
        push(pod, Change::PlainFlags);
    }
    if pod.mtu != mtu {
        push(pod, Change::Mtu(mtu));
    }
    let mac = if host.ours() {
        Some(names::pod_mac(&want.node, n))
    } else if let Some(mac) = remembered(host) {
        Some(mac)
    } else {
        if host.alias.is_empty() && pod.mac.len() == 6 {
            push(host, Change::Alias(format!("{}{}", memory(host), mac_text(&pod.mac))));
        }
        None
    };
    if let Some(mac) = mac
        && pod.mac != mac
    {
        push(pod, Change::Mac(mac));
    }
}

/// How the alias of a `vhostN` that was taken over says which MAC address its pod's end had.
fn memory(host: &Link) -> String {
    format!("isolane: taken over; {} had ", host.name.replacen("vhost", "vpod", 1))
}

fn remembered(host: &Link) -> Option<[u8; 6]> {
    let text = host.alias.strip_prefix(&memory(host))?;
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|it| u8::from_str_radix(it, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// Takes that note away again.
pub fn forget(host: &Link) -> Option<LinkStep> {
    host.alias.starts_with(&memory(host)).then(|| change(host, Change::Alias(String::new())))
}

pub(super) fn change(link: &Link, change: Change) -> LinkStep {
    LinkStep::Change { index: link.index, name: link.name.clone(), change }
}

pub(super) fn delete(link: &Link) -> LinkStep {
    LinkStep::Delete { index: link.index, name: link.name.clone() }
}
