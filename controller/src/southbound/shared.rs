//! What all sessions share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use openflow::DatapathId;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::config::SouthboundConfig;
use super::event::{Event, EventSink};
use super::limit::LogLimit;
use super::registry::Registry;

/// Lines in the log about refused connections, a second, over all peers.
const REFUSALS: u32 = 20;

/// What all sessions share; no lock in it is held while one waits.
pub(super) struct Shared {
    pub config: Arc<SouthboundConfig>,
    pub registry: Arc<Registry>,
    pub events: EventSink,
    pub shutdown: CancellationToken,
    /// Of lines about refused connections, over all peers.
    refusals: Mutex<LogLimit>,
}

impl Shared {
    pub(super) fn new(
        config: SouthboundConfig,
        events: EventSink,
        shutdown: CancellationToken,
    ) -> Self {
        let (config, registry) = (Arc::new(config), Arc::new(Registry::default()));
        Self { config, registry, events, shutdown, refusals: Mutex::new(LogLimit::new(REFUSALS)) }
    }

    /// A line in the log, unless there were too many.
    pub(super) fn refused(&self, peer: SocketAddr, dpid: Option<DatapathId>, reason: &str) {
        // A limiter is never half changed, so one that a panic left is as good as any.
        let passed =
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
        if let Some(held_back) = passed {
            let dpid = dpid.map(tracing::field::display);
            warn!(%peer, dpid, reason, held_back, "connection refused");
        }
    }

    /// Tells the core, and waits until it has room. Whether it was told.
    pub(super) async fn report(&self, event: Event) -> bool {
        tokio::select! {
            biased;
            told = self.events.control.send(event) => told.is_ok(),
            () = self.shutdown.cancelled() => false,
        }
    }
}
