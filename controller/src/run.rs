//! Builds and connects every task of `isolane serve`.
//!
//! ```text
//!  listener ─► session × switches ──events (4096)──► engine × 1 ◄──calls (1024)── REST × requests
//!                  ▲      └─────────punts (4096, fair, dropped when full)──►│
//!                  └───────── apply, read, packet-out ────────────────┘
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use api::Options;
use api::router::{Access, Tokens};
use api::serve::Bounds;
use api::tls::ServerTls;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, TlsFiles};
use crate::cookie::Cookie;
use crate::engine::{Engine, EngineConfig, Inputs};
use crate::lldp::Key;
use crate::rest::Rest;
use crate::southbound::{self, EventSink, SouthboundConfig};
use crate::store::Disk;

/// Events that may wait for the engine; sessions wait when it is behind.
const EVENTS: usize = 4096;
/// Frames that may wait for the engine; more are dropped.
const PUNTS: usize = 4096;

/// Runs the controller until `stop` is cancelled, then answers what it took
/// and returns. The switches' flows stay.
///
/// # Errors
/// When an address can't be listened on, a file can't be read, or the store
/// can't be opened; the text says which and why.
pub async fn run(config: Config, stop: CancellationToken) -> Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder().context("can't set up metrics")?;
    let store = Disk::open(&config.data_dir)?;
    let openflow = southbound::listen(config.openflow, 4096)
        .with_context(|| format!("can't listen for switches on {}", config.openflow))?;
    let tls = config.tls.as_ref().map(read_tls).transpose()?;
    let http = TcpListener::bind(config.http)
        .await
        .with_context(|| format!("can't listen for the REST API on {}", config.http))?;
    if !config.openflow.ip().is_loopback() {
        warn!(address = %config.openflow, "switches connect without TLS: whoever reaches this address can be a switch");
    }

    if let Access::Tokens(tokens) = &config.access
        && tokens.weak() > 0
    {
        warn!(
            weak = tokens.weak(),
            "tokens shorter than {} characters can be guessed",
            Tokens::STRONG
        );
    }

    let (sink, events, punts) = EventSink::channel(EVENTS, PUNTS);
    let engine_config = EngineConfig {
        timing: config.lldp,
        store: Box::new(store),
        lldp_key: Key::new(rand::random()),
        switch_away: config.switch_away,
        restart_hold: config.restart_hold,
        audit_interval: config.audit_interval,
    };
    let engine = Engine::new(engine_config, Instant::now())?;
    // The engine ends last: requests that are drained still need it.
    let engine_stop = CancellationToken::new();
    let (engine, engine_task) = engine.spawn(Inputs { events, punts }, engine_stop.clone());

    let southbound = SouthboundConfig {
        echo_interval: config.echo_interval,
        echo_limit: config.echo_limit,
        cookie: Cookie::mark(),
        cookie_mask: Cookie::MASK,
        ..SouthboundConfig::default()
    };
    info!(address = %openflow.local_addr()?, "waiting for switches (OpenFlow 1.3)");
    let southbound_stop = CancellationToken::new();
    let switches =
        tokio::spawn(southbound::serve(openflow, southbound, sink, southbound_stop.clone()));

    let closer = engine.clone();
    let plane = Arc::new(Rest::new(engine, metrics).until(stop.clone()));
    let router = api::router(plane, Options::new(config.access));
    info!(address = %http.local_addr()?, tls = config.tls.is_some(), "REST API");
    api::serve(http, router, tls, Bounds::default(), stop.cancelled_owned()).await;

    // That sessions end now says nothing about switches.
    let closing = closer.run(Engine::close_notes);
    // It fails only if the engine has ended.
    let _ = tokio::time::timeout(Duration::from_millis(300), closing).await;
    southbound_stop.cancel();
    // What a session had to say when it ended doesn't matter any more.
    let _ = tokio::time::timeout(Duration::from_millis(500), switches).await;
    engine_stop.cancel();
    let _ = engine_task.await;
    Ok(())
}

fn read_tls(files: &TlsFiles) -> Result<ServerTls> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("can't read {}", path.display()));
    let client_ca = files.client_ca.as_deref().map(read).transpose()?;
    ServerTls::from_pem(&read(&files.cert)?, &read(&files.key)?, client_ca.as_deref()).with_context(
        || format!("{} and {} can't be used for TLS", files.cert.display(), files.key.display()),
    )
}
