//! The way from Kubernetes to Isolane: pods that ask for networks become
//! attachments, by the controller's REST API. No OpenFlow, and no state that
//! a restart could lose.
//!
//! [`run`] is the cluster's side, [`node`] is the side of each node.
//!
//! Decided without I/O: [`annotation`] and [`networks`] say what a pod asks
//! for, [`verdict`] what the API server is answered, [`plan`] what is done
//! about a pod, [`fabric`] about networks and nodes, [`world`] what events
//! mean. The rest carries it out.

pub mod access;
pub mod admission;
pub mod annotation;
pub mod catalog;
pub mod certs;
pub mod controller;
pub mod dirty;
pub mod events;
pub mod fabric;
pub mod facts;
pub mod kept;
pub mod lead;
pub mod lease;
pub mod names;
pub mod networks;
pub mod node;
pub mod owners;
pub mod plan;
pub mod record;
pub mod registration;
pub mod run;
pub mod status;
pub mod sync;
pub mod verdict;
pub mod watch;
pub mod world;
