//! The Isolane controller.
//!
//! ```text
//! REST -> intents -> views(topology, hosts) -> compile -> diff -> plan -> reconcile -> southbound -> switch
//! switch -> southbound -> events -> topology, hosts -> views -> compile -> …
//! ```
//!
//! The middle is pure: [`routes`], [`compile`], [`diff`] and [`plan`] take
//! values and return values. [`engine`] is the one task that owns state and
//! decides; [`run`] connects it to the world.

pub mod attachments;
pub mod backup;
pub mod base;
pub mod cli;
pub mod compile;
pub mod config;
pub mod cookie;
pub mod decode;
pub mod diff;
pub mod discovery;
pub mod engine;
pub mod flow;
pub mod free_ports;
pub mod graph;
pub mod hosts;
pub mod ids;
pub mod installed;
pub mod intents;
pub mod lift;
pub mod lldp;
pub mod lower;
pub mod model;
pub mod plan;
pub mod pools;
pub mod quiet;
pub mod rest;
pub mod routes;
pub mod run;
pub mod slice;
pub mod southbound;
pub mod store;
pub mod topology;
pub mod views;
pub mod world;
