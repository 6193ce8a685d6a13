//! The southbound server over real TCP, with peers made by hand from the codec.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests

#[path = "southbound/peer.rs"]
mod peer;

#[path = "southbound/crowd.rs"]
mod crowd;
#[path = "southbound/handshake.rs"]
mod handshake;
#[path = "southbound/hostile.rs"]
mod hostile;
#[path = "southbound/session.rs"]
mod session;
