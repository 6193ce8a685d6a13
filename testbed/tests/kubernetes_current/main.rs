//! The stories of `tests/kubernetes` once more, on a current API server: where there is one, see `make kube-current`.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../kubernetes/away.rs"]
mod away;
#[path = "../kubernetes/bridge_bindings.rs"]
mod bridge_bindings;
#[path = "../kubernetes/bridge_duties.rs"]
mod bridge_duties;
#[path = "../kubernetes/bridge_files.rs"]
mod bridge_files;
#[path = "../kubernetes/bridge_kept.rs"]
mod bridge_kept;
#[path = "../kubernetes/bridge_lives.rs"]
mod bridge_lives;
#[path = "../kubernetes/bridge_service.rs"]
mod bridge_service;
#[path = "../kubernetes/churn.rs"]
mod churn;
#[path = "../kubernetes/cluster.rs"]
mod cluster;
#[path = "../kubernetes/full_pool.rs"]
mod full_pool;
#[path = "../kubernetes/manifests.rs"]
mod manifests;
#[path = "../kubernetes/old_pods.rs"]
mod old_pods;
#[path = "../kubernetes/ping_pong.rs"]
mod ping_pong;
#[path = "../kubernetes/race.rs"]
mod race;
#[path = "../kubernetes/stage.rs"]
mod stage;

// The API server that stories play on, and the head of each of them.
use testbed::kube::{current_assets as chosen_assets, needs_current_kube as needs_kube};
