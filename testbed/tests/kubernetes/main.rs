//! Pods join virtual networks: the real `isolane` and `isolane-k8s-bridge` against a real Kubernetes API server, the
//! oldest there is. `tests/kubernetes_current` plays the same on the newest.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod away;
mod bridge_bindings;
mod bridge_duties;
mod bridge_files;
mod bridge_kept;
mod bridge_lives;
mod bridge_service;
mod churn;
mod cluster;
mod full_pool;
mod manifests;
mod old_pods;
mod ping_pong;
mod race;
mod stage;

// The API server that stories play on, and the head of each of them.
use testbed::kube::{needs_kube, oldest_assets as chosen_assets};
