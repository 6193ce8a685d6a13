//! Virtual networks on real Open vSwitch, by the real controller: who hears whom, and who doesn't.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod audit;
mod changes;
mod hammer;
mod reconnect;
mod refusals;
mod restart;
mod story;
mod topologies;
