//! Whether this replica can serve, and its metrics.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admission::health_router;
use crate::catalog::Catalog;

/// The API server acts on a new configuration a moment after it took it.
const SETTLED: Duration = Duration::from_millis(1_500);

/// A handle; clones share what is known.
#[derive(Clone)]
pub struct Health {
    catalog: Catalog,
    registered: Arc<Mutex<Option<Instant>>>,
}

impl Health {
    /// Not ready yet.
    pub fn new(catalog: Catalog) -> Self {
        Self { catalog, registered: Arc::default() }
    }

    /// The webhook is registered; `anew` if that was just done.
    pub fn registered(&self, anew: bool) {
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if anew || registered.is_none() {
            *registered = Some(Instant::now());
        }
    }

    /// What it waits for before it can serve; `None` if it can.
    pub fn waits_for(&self) -> Option<&'static str> {
        let registered = *self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        match registered {
            None => Some("the webhook isn't registered yet"),
            Some(at) if at.elapsed() < SETTLED => Some("the webhook was registered just now"),
            Some(_) if !self.catalog.is_listed() => {
                Some("the network attachment definitions aren't listed yet (is their CRD there?)")
            }
            Some(_) => None,
        }
    }
}

/// Starts to record metrics.
pub fn recorder() -> anyhow::Result<PrometheusHandle> {
    const SECONDS: [f64; 12] =
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0];
    let name = Matcher::Prefix("isolane_bridge_review_".to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(name, &SECONDS)?
        .install_recorder()
        .context("metrics can't be recorded")
}

/// Serves `/metrics`, `/healthz` and `/readyz` until `stop`.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    health: Health,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/metrics", get(move || std::future::ready(metrics.render())))
        .merge(health_router(health));
    let stopped = stop.cancelled_owned();
    api::serve(listener, router, None, api::serve::Bounds::default(), stopped).await;
}

/// The listener of an address that was chosen, or `None` where the one that is
/// so by default is somebody else's.
pub async fn listener(
    chosen: Option<SocketAddr>,
    usual: SocketAddr,
) -> anyhow::Result<Option<TcpListener>> {
    match (chosen, TcpListener::bind(chosen.unwrap_or(usual)).await) {
        (_, Ok(listener)) => Ok(Some(listener)),
        (Some(address), Err(error)) => Err(error).context(format!("can't listen on {address}")),
        (None, Err(error)) => {
            tracing::warn!(%error, address = %usual, "no metrics are served; choose --status");
            Ok(None)
        }
    }
}
