//! A real Kubernetes API server, and nothing else of a cluster: etcd and kube-apiserver on loopback.
//!
//! Start at [`Cluster::start`]. There is no scheduler, no controller manager and no kubelet: stories say themselves
//! what those would do ([`Cluster::bind`], [`Cluster::delete_now`], [`Cluster::set_phase`]). RBAC is on; a story gets
//! a kubeconfig for the administrator, for the scheduler, and for any service account.
//!
//! ```text
//!   story ── REST ─► kube-apiserver ─► etcd          both on loopback of the namespace that the story is in,
//!                     │      ▲                       with free ports, own certificates, own folder
//!            webhook ─┘      └─ watches, leases      gone when the value is dropped or the test is killed
//!             bridge replicas
//! ```

mod api;
mod assets;
mod balancer;
mod bridge;
mod cluster;
mod cni;
mod daemon;
mod keys;
mod multus;
mod nodes;
mod objects;
mod record;
mod server;
mod verbs;

pub use api::{Api, is_refused};
pub use assets::{
    Assets, REQUIRE_CURRENT_KUBE, REQUIRE_KUBE, all_assets, current_assets, missing_kube,
    needs_current_kube, needs_kube, oldest_assets,
};
pub use balancer::{Balancer, Mode};
pub use bridge::{Bridge, BridgePlan};
pub use cluster::{Cluster, ClusterSpec};
pub use cni::{Cni, missing_cni, needs_cni};
pub use daemon::Daemon;
pub use multus::{Sandbox, Wanted, wanted};
pub use nodes::{Node, Nodes};
pub use objects::{L2SM_NETWORK, NETWORK_STATUS, NETWORKS, PodSpec, pool_definition};
pub use record::Record;
pub use verbs::{PodEvent, documents};
