//! From what a node has to what it should have.
//!
//! Pure: facts and wishes in, a plan out. Nothing that is as it should be is touched, so applying a plan twice changes
//! nothing, and a plan that was only half done is completed by the next. What wasn't made here is used where it fits,
//! and never removed.
//!
//! Start at [`diff`]. `pairs` and `tunnels` are the devices, `bridge` is Open vSwitch; [`removal`] is the way back.

mod bridge;
mod pairs;
mod tunnels;

pub use bridge::MAX_BACKOFF;

use super::desired::Desired;
use super::facts::Facts;
use super::names::Device;
use super::plan::{LinkStep, Plan};

/// What is to be done so that a node has what it should have.
pub fn diff(facts: &Facts, want: &Desired) -> Plan {
    let mut plan = Plan::default();
    pairs::diff(facts, want, &mut plan);
    tunnels::diff(facts, want, &mut plan);
    bridge::diff(facts, want, &mut plan);
    plan
}

/// What is to be done so that a node has nothing that was made here.
pub fn removal(facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    bridge::removal(facts, &mut plan);
    for link in &facts.links {
        match Device::of(&link.name) {
            // The pod's end goes with the other.
            Some(Device::Host(_) | Device::Vxlan(_)) if link.ours() => {
                plan.unlinks.push(LinkStep::Delete { index: link.index, name: link.name.clone() });
            }
            Some(Device::Host(_)) => plan.links.extend(pairs::forget(link)),
            _ => {}
        }
    }
    if facts.ovs.is_none() {
        plan.problems
            .push("Open vSwitch doesn't answer: its bridge stays until this is run again".into());
    }
    plan
}

#[cfg(test)]
mod tests;
