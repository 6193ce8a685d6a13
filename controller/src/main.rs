//! `isolane`: the controller and its command line.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use controller::cli;
use controller::config::{Config, LogFormat, ServeArgs};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long the end may take, which callers may rely on to be 5 s.
const LONGEST_END: Duration = Duration::from_millis(4700);

/// An SDN controller for virtual networks over OpenFlow 1.3 switches.
#[derive(Parser)]
#[command(name = "isolane", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller
    Serve(ServeArgs),
    /// Read OpenFlow messages as hex, one a line, and tell each as a line of JSON
    Decode,
    #[command(flatten)]
    Call(cli::Command),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(args) => serve(args),
        Command::Decode => decode(),
        Command::Call(command) => return cli::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("isolane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn decode() -> anyhow::Result<()> {
    match controller::decode::run(io::stdin().lock(), io::stdout().lock()) {
        // Whoever reads has seen enough, as with `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("standard input or output"),
    }
}

fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    start_log(config.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        controller::run::run(config, stop).await
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
    tracing::info!("ending; the switches' flows stay");
    std::thread::spawn(|| {
        // A disk or a machine that hangs must not hold up the end: what was
        // acknowledged is durable.
        std::thread::sleep(LONGEST_END);
        tracing::warn!("not everything could be ended in order; nothing acknowledged is lost");
        std::process::exit(0);
    });
    stop.cancel();
}
