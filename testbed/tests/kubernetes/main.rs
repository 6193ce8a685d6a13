//! Pods join virtual networks: the real `isolane` and `isolane-k8s-bridge` against a real Kubernetes API server.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod away;
mod bridge_bindings;
mod bridge_duties;
mod bridge_lives;
mod churn;
mod cluster;
mod full_pool;
mod manifests;
mod old_pods;
mod ping_pong;
mod race;
mod stage;
