//! Talks OpenFlow 1.3 to switches.
//!
//! ```text
//! listener ──accepts──► session ⇄ machine      one task a switch; the machine decides
//!                          │  ▲
//!             Event, Punt  │  │  SwitchHandle: apply, read, packet_out, close
//!                          ▼  │
//!                        the core
//! ```
//!
//! Start at `machine`: it has no I/O and no clock. `session` carries bytes
//! between it and the socket, `registry` keeps two sessions from being one
//! switch, `listener` lets connections in. `dry` is a session for simulations.
//!
//! A session never waits for another one. What it reports is awaited, so a
//! slow core slows only the sockets that have something to report; what is
//! asked of it is queued within a bound, and refused beyond it.

mod config;
mod dry;
mod event;
mod handle;
mod limit;
mod listener;
mod machine;
mod punts;
mod registry;
mod report;
mod session;
mod shared;
mod stats;

pub use config::SouthboundConfig;
pub use dry::{DrySession, Told};
pub use event::{
    ApplyFailure, Connected, Event, EventSink, Punt, ReadFailure, RequestError, SessionId, Tables,
};
pub use handle::{SendError, SwitchHandle};
pub use listener::{listen, serve};
pub use punts::{PuntReceiver, PuntSender};
