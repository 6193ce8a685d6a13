//! `isolane-k8s-bridge node` on real devices: each node is a network namespace with its own Open vSwitch.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod devices;
mod frames;
mod pool;
mod together;
mod world;
