//! How long an attach through a pool takes, against one of a port that the caller names, in the same run and by turns.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::fleet::{Fleet, FleetPlan};
use super::http::Client;
use super::numbers::Times;
use crate::controller::Controller;

/// Options of `testbed bench pool`.
#[derive(Args)]
pub struct PoolArgs {
    /// Ports of the pool; half of them are attached all the time
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000], value_parser = clap::value_parser!(u32).range(2..=10_000))]
    ports: Vec<u32>,
    /// Attaches that are measured, of each kind
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    attaches: u32,
}

/// Attaches before any is counted.
const WARM_UP: u32 = 50;

/// Measures and prints.
///
/// # Errors
/// When something isn't answered as it should be.
pub fn run(args: &PoolArgs) -> Result<()> {
    for ports in &args.ports {
        let controller = Controller::start(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(args, &controller, *ports))?;
    }
    Ok(())
}

async fn measure(args: &PoolArgs, controller: &Controller, ports: u32) -> Result<()> {
    // One port more, which isn't ready: it is the one that is named.
    let plan = FleetPlan {
        switches: 1,
        ports: ports + 1,
        links: Vec::new(),
        tunnels: false,
        tables: false,
    };
    let mut fleet = Fleet::connect(controller.openflow(), &plan).await?;
    let mut client = Client::connect(controller.rest().address()).await?;
    let named = format!("/api/v1/networks/blue/ports/s1/p{}", ports + 1);
    let pool = "/api/v1/networks/blue/attachments";
    while client.call("GET", "/api/v1/switches/s1", "").await?.0 != 200 {}
    for body in [r#"{"name":"blue"}"#, r#"{"name":"others"}"#] {
        client.expect("POST", "/api/v1/networks", body, &[201]).await?;
    }
    client.expect("PATCH", "/api/v1/switches/s1", r#"{"pool":"p*"}"#, &[200]).await?;
    let kept = format!("/api/v1/switches/s1/pool/p{}", ports + 1);
    client.expect("PUT", &kept, r#"{"ready":false}"#, &[201]).await?;
    let others: Vec<_> =
        (0..ports / 2).map(|n| json!({ "switch": "s1", "owner": format!("other-{n}") })).collect();
    let path = "/api/v1/networks/others/attachments?timeout=60s";
    client.expect("POST", path, &json!(others).to_string(), &[201]).await?;

    let (mut picked, mut put, mut detached) =
        (Times::default(), Times::default(), Times::default());
    for turn in 0..WARM_UP + args.attaches {
        if turn == WARM_UP {
            (picked, put, detached) = Default::default();
        }
        let body = json!({ "switch": "s1", "owner": "me" }).to_string();
        let begin = Instant::now();
        let answer = client.expect("POST", pool, &body, &[201]).await?;
        picked.add(begin.elapsed());
        let attachment: Value = serde_json::from_slice(&answer)?;
        let id = attachment["id"].as_str().unwrap_or_default();
        let path = format!("/api/v1/attachments/{id}");
        client.timed("DELETE", &path, "", &[204], &mut detached).await?;
        client.timed("PUT", &named, r#"{"owner":"me"}"#, &[201], &mut put).await?;
        client.expect("DELETE", &named, "", &[204]).await?;
        fleet.check()?;
    }
    println!("pool of {ports} ports, half of them attached, wait=installed");
    println!("  attach, from the pool    {picked}");
    println!("  attach, named port       {put}");
    println!("  detach                   {detached}");
    Ok(())
}
