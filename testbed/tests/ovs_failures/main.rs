//! Links, switches and sessions that fail on real Open vSwitch, and hosts that attack: networks heal and stay apart.
//!
//! How long it takes to heal is printed (`MEASURED`), not asserted: see it with `--nocapture`.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod away;
mod enforce;
mod founded;
mod full;
mod hostile;
mod links;
mod lost_flows;
mod pulse;
mod renumbered;
#[path = "../ovs_networks/story.rs"]
#[allow(dead_code, reason = "shared with ovs_networks, which uses the rest")]
mod story;
