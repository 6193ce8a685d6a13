//! `isolane-k8s-bridge node`: the side of each node.

use tokio_util::sync::CancellationToken;

/// Arguments of `node`.
#[derive(clap::Args)]
pub struct NodeArgs {}

/// Runs until `stop`.
pub async fn run(_args: NodeArgs, _stop: CancellationToken) -> anyhow::Result<()> {
    anyhow::bail!("this version can't do that yet")
}
