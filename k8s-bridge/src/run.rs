//! `isolane-k8s-bridge run`: the cluster's side.

use tokio_util::sync::CancellationToken;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {}

/// Runs until `stop`.
pub async fn run(_args: RunArgs, stop: CancellationToken) -> anyhow::Result<()> {
    stop.cancelled().await;
    anyhow::bail!("this version can't do that yet")
}
