//! The way from Kubernetes to Isolane: pods that ask for networks become
//! attachments, by the controller's REST API. No OpenFlow, and no state that
//! a restart could lose.
//!
//! [`run`] is the cluster's side, [`node`] is the side of each node.

pub mod node;
pub mod run;
