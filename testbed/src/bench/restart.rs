//! How long a controller that was killed takes until all its switches are known to hold what they should, and what it
//! sends them for that, which is nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use super::fleet::{Fleet, FleetPlan};
use super::http::Client;
use super::shape::Shape;
use crate::controller::Controller;

/// Options of `testbed bench restart`.
#[derive(Args)]
pub struct RestartArgs {
    /// Switches, in a leaf-spine topology
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=5000))]
    switches: u64,
    /// Attached ports of each leaf
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    ports: u32,
    /// Ports of each network
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    ports_per_network: u32,
}

/// For everything to settle.
const SETTLE: Duration = Duration::from_secs(1800);

/// Measures and prints.
///
/// # Errors
/// When something isn't answered as it should be.
pub fn run(args: &RestartArgs) -> Result<()> {
    let controller = Controller::start(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let links = Shape::LeafSpine.links(args.switches);
    let plan = FleetPlan {
        switches: args.switches,
        ports: args.ports,
        links: links.clone(),
        tunnels: true,
        tables: true,
    };
    let mut fleet = runtime.block_on(Fleet::staying(controller.openflow(), &plan))?;
    let begin = Instant::now();
    let ports = runtime.block_on(fill(args, &links, controller.rest().address()))?;
    runtime.block_on(in_sync(controller.rest().address(), args.switches, &mut fleet))?;
    let told = fleet.told().now();
    println!(
        "{} switches, {} links, {ports} ports: made in {:.1} s, by {} flow-mods; {}",
        args.switches,
        links.len(),
        begin.elapsed().as_secs_f64(),
        told.flows,
        memory(&controller, args.switches, ports)?
    );
    // A moment for what is only noted.
    std::thread::sleep(Duration::from_secs(2));
    let begin = Instant::now();
    let controller = controller.kill_and_restart()?;
    let ready = begin.elapsed();
    runtime.block_on(in_sync(controller.rest().address(), args.switches, &mut fleet))?;
    let all = begin.elapsed();
    let sent = fleet.told().now().since(told);
    println!(
        "killed and started: answers after {:.1} s, all in sync after {:.1} s; {} flow-mods, {} group-mods; {}",
        ready.as_secs_f64(),
        all.as_secs_f64(),
        sent.flows,
        sent.groups,
        memory(&controller, args.switches, ports)?
    );
    controller.stop()?;
    Ok(())
}

/// Declares the links and attaches all ports; returns how many.
async fn fill(
    args: &RestartArgs,
    links: &[super::shape::Link],
    address: SocketAddr,
) -> Result<u64> {
    let mut client = Client::connect(address).await?;
    for [(a, at_a), (b, at_b)] in links {
        let path = format!("/api/v1/links/s{a}/t{at_a}/s{b}/t{at_b}?wait=stored");
        client.expect("PUT", &path, r#"{"encap":"tun_id"}"#, &[200, 201, 202]).await?;
    }
    let leaves: Vec<_> = (Shape::LeafSpine.first_leaf(args.switches)..=args.switches).collect();
    let count = leaves.len() as u64 * u64::from(args.ports);
    let all: Vec<_> =
        (1..=args.ports).flat_map(|port| leaves.iter().map(move |leaf| (*leaf, port))).collect();
    for (n, ports) in all.chunks(args.ports_per_network as usize).enumerate() {
        let network = format!("net-{n}");
        let ports = ports.iter().map(|(leaf, port)| {
            json!({ "network": network, "switch": format!("s{leaf}"), "port": port })
        });
        let document =
            json!({ "networks": [{ "name": network }], "ports": ports.collect::<Vec<_>>() });
        let path = "/api/v1/apply?wait=stored";
        client.expect("POST", path, &document.to_string(), &[200, 202]).await?;
    }
    Ok(count)
}

/// Waits until all switches are in sync.
async fn in_sync(address: SocketAddr, switches: u64, fleet: &mut Fleet) -> Result<()> {
    let begin = Instant::now();
    let mut client = Client::connect(address).await?;
    loop {
        fleet.check()?;
        let metrics = client.expect("GET", "/metrics", "", &[200]).await?;
        let metrics = String::from_utf8_lossy(&metrics);
        let line = metrics.lines().find_map(|line| line.strip_prefix("isolane_switches_in_sync "));
        let count: f64 = line.context("no isolane_switches_in_sync")?.trim().parse()?;
        if count as u64 == switches {
            return Ok(());
        }
        if begin.elapsed() > SETTLE {
            bail!("{count} of {switches} switches are in sync after {SETTLE:?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The controller's memory now, in all and for each switch and port.
fn memory(controller: &Controller, switches: u64, ports: u64) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", controller.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(format!(
        "{} MiB, {} KiB a switch, {:.1} KiB a port",
        kib / 1024,
        kib / switches.max(1),
        kib as f64 / ports.max(1) as f64
    ))
}
