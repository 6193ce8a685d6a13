//! `isolane-k8s-bridge`: arguments, logging, and ending on a signal.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use k8s_bridge::{node, run};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Brings Kubernetes pods into Isolane's virtual networks.
#[derive(Parser)]
#[command(name = "isolane-k8s-bridge", version, about, arg_required_else_help = true)]
struct Arguments {
    /// How log lines are written to standard error
    #[arg(long, global = true, env = "ISOLANE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Watch a cluster, and attach its pods to the networks they ask for
    Run(Box<run::RunArgs>),
    /// Make a node's interfaces, tunnels and bridge as the overlay document says
    Node(node::NodeArgs),
}

fn main() -> ExitCode {
    let Arguments { log_format, command } = Arguments::parse();
    start_log(log_format);
    match start(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("isolane-k8s-bridge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    // Kubernetes, the controller and the webhook all speak TLS by ring. Only a
    // second call could fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        match command {
            Command::Run(args) => run::run(*args, stop).await,
            Command::Node(args) => node::run(args, stop).await,
        }
    })
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("ISOLANE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM can't be caught; it will end the process at once");
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("ending");
    stop.cancel();
}
