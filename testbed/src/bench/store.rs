//! Acknowledged attaches a second, by how many clients ask at once, against what the disk itself can sync.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use tokio::task::JoinSet;

use super::http::Client;
use crate::controller::Controller;

/// Ports of each network.
const PORTS: u64 = 100;

/// Options of `testbed bench store`.
#[derive(Args)]
pub struct StoreArgs {
    /// Seconds that each figure is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Clients at once; given several times, one after the other
    #[arg(long, default_values_t = [1, 8, 64])]
    clients: Vec<u32>,
}

/// Measures and prints. Where the folder for temporary files is decides which disk it is (`TMPDIR`).
///
/// # Errors
/// When something isn't answered as it should be.
pub fn run(args: &StoreArgs) -> Result<()> {
    let time = Duration::from_secs(args.seconds);
    let controller = Controller::start(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let folder = controller.data_dir();
    let address = controller.rest().address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (turn, clients) in args.clients.iter().enumerate() {
        // Beside each figure, for disks have moods.
        let disk = syncs(&folder, time / 2)?;
        let rate = runtime.block_on(attaches(address, turn, *clients, time))?;
        println!(
            "{clients:4} clients: {rate:8.0} attaches/s, {:6.1} × the disk's {disk:.0} syncs/s",
            rate / disk
        );
    }
    controller.stop()?;
    Ok(())
}

/// How often a second the disk takes 4 KiB and syncs them, one time after the other.
fn syncs(folder: &Path, time: Duration) -> Result<f64> {
    let path = folder.join("syncs");
    let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    let (begin, mut count) = (Instant::now(), 0_u64);
    while begin.elapsed() < time {
        file.write_all_at(&[count as u8; 4096], (count % 256) * 4096)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Attaches a second that are acknowledged as stored. Their switches don't exist: it is the store that is measured.
async fn attaches(address: SocketAddr, turn: usize, clients: u32, time: Duration) -> Result<f64> {
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for client in 0..clients {
        tasks.spawn(async move {
            let mut connection = Client::connect(address).await?;
            let mut count = 0_u64;
            while begin.elapsed() < time {
                // Networks of their own, and none with many ports: looking at all of them isn't what is measured.
                let network = format!("net-{turn}-{client}-{}", count / PORTS);
                if count.is_multiple_of(PORTS) {
                    let spec = format!(r#"{{"name":"{network}"}}"#);
                    connection.expect("POST", "/api/v1/networks", &spec, &[201]).await?;
                }
                count += 1;
                let port = format!("t{turn}c{client}/p{count}");
                let path = format!("/api/v1/networks/{network}/ports/{port}?wait=stored");
                connection.expect("PUT", &path, "{}", &[201, 202]).await?;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}
