//! Pods join virtual networks: the real `isolane` and `isolane-k8s-bridge` against a real Kubernetes API server.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod cluster;
