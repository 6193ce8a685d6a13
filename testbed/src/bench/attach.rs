//! How long an attach takes until it is acknowledged as installed, on a controller with next to nothing and, in the
//! same run and by turns, on one with many networks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::fleet::{Fleet, FleetPlan, Mods};
use super::http::Client;
use super::numbers::Times;
use super::shape::{Link, Shape};
use crate::controller::Controller;

/// Options of `testbed bench attach`.
#[derive(Args)]
pub struct AttachArgs {
    /// Switches of each controller
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=5000))]
    switches: u64,
    /// Networks of the loaded controller; 0 measures the empty one alone
    #[arg(long, default_value_t = 10_000)]
    networks: u32,
    /// Ports of each network, those that are attached to included
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    ports_per_network: u32,
    /// Clients that attach at once, each to a network of its own; one by one is measured first
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Attaches that are measured, of each kind
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    attaches: u32,
    /// How trunks carry tags; there are 2,047 networks' worth of vlan
    #[arg(long, value_enum, default_value_t = Encap::TunId)]
    encap: Encap,
    /// How the switches are joined
    #[arg(long, value_enum, default_value_t = Shape::LeafSpine)]
    topology: Shape,
    /// Keep flows and groups in the switches' tables; otherwise they are taken, counted and acknowledged
    #[arg(long)]
    tables: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encap {
    Vlan,
    #[value(name = "tun_id")]
    TunId,
}

/// For everything to settle after many changes.
const SETTLE: Duration = Duration::from_secs(600);
/// Attaches before any is counted.
const WARM_UP: u32 = 50;

/// Measures and prints.
///
/// # Errors
/// When something isn't answered as it should be.
pub fn run(args: &AttachArgs) -> Result<()> {
    if args.encap == Encap::Vlan && args.networks + args.clients > 2047 {
        bail!(
            "--encap vlan has tags for 2047 networks, and every client has one too: use --encap tun_id"
        );
    }
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Controller::start(any)?;
    let second = if args.networks > 0 { Some(Controller::start(any)?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut empty = Side::new(args, &first).await.context("the empty controller")?;
        let mut loaded = match &second {
            Some(controller) => {
                Some(Side::new(args, controller).await.context("the loaded controller")?)
            }
            None => None,
        };
        if let Some(side) = &mut loaded {
            side.load(args).await?;
        }
        measure(args, &mut empty, loaded.as_mut()).await
    })
}

/// A controller with its switches.
struct Side {
    fleet: Fleet,
    address: SocketAddr,
    client: Client,
    shape: Layout,
}

/// Who has which port.
#[derive(Clone)]
struct Layout {
    leaves: Vec<u64>,
    clients: u32,
    links: Vec<Link>,
}

impl Layout {
    /// The port through which one client attaches to one leaf after the other.
    fn path(&self, client: u32, turn: u32) -> String {
        let leaf = self.leaves[turn as usize % self.leaves.len()];
        format!("/api/v1/networks/client-{client}/ports/s{leaf}/p{}", 2 * client + 2)
    }

    /// Ports that each client's network has all the time, one of each leaf as far as there are leaves.
    fn fixed(&self, client: u32, ports: u32) -> Vec<(u64, u32)> {
        let leaves = self.leaves.iter().take(ports as usize);
        leaves.map(|leaf| (*leaf, 2 * client + 1)).collect()
    }

    /// Ports of other networks: spread over all leaves.
    fn others(&self, networks: u32, each: u32) -> Vec<Vec<(u64, u32)>> {
        let mut next = vec![2 * self.clients + 1; self.leaves.len()];
        let count = self.leaves.len();
        let network = |n: usize, next: &mut Vec<u32>| {
            let ports = (0..each as usize).map(|port| {
                let at = (n * 7 + port * 11 + port / count) % count;
                next[at] += 1;
                (self.leaves[at], next[at])
            });
            ports.collect()
        };
        (0..networks as usize).map(|n| network(n, &mut next)).collect()
    }
}

impl Side {
    async fn new(args: &AttachArgs, controller: &Controller) -> Result<Self> {
        let shape = Layout {
            leaves: (args.topology.first_leaf(args.switches)..=args.switches).collect(),
            clients: args.clients,
            links: args.topology.links(args.switches),
        };
        let others = shape.others(args.networks, args.ports_per_network);
        let most = others.iter().flatten().map(|(_, port)| *port).max();
        let plan = FleetPlan {
            switches: args.switches,
            ports: most.unwrap_or(2 * args.clients).max(2 * args.clients),
            links: shape.links.clone(),
            tunnels: args.encap == Encap::TunId,
            tables: args.tables,
        };
        let fleet = Fleet::connect(controller.openflow(), &plan).await?;
        let address = controller.rest().address();
        let mut side = Self { fleet, address, client: Client::connect(address).await?, shape };
        side.declare_links(args.encap).await?;
        for client in 0..args.clients {
            let body = json!({ "name": format!("client-{client}") }).to_string();
            side.client.expect("POST", "/api/v1/networks", &body, &[201]).await?;
            for (leaf, port) in side.shape.fixed(client, args.ports_per_network - 1) {
                let path = format!("/api/v1/networks/client-{client}/ports/s{leaf}/p{port}");
                side.client.expect("PUT", &path, "{}", &[201]).await?;
            }
        }
        Ok(side)
    }

    async fn declare_links(&mut self, encap: Encap) -> Result<()> {
        self.until("/api/v1/switches", "connected", Value::Bool(true)).await?;
        let encap = if encap == Encap::Vlan { "vlan" } else { "tun_id" };
        let body = json!({ "encap": encap }).to_string();
        for [(a, at_a), (b, at_b)] in self.shape.links.clone() {
            let path = format!("/api/v1/links/s{a}/t{at_a}/s{b}/t{at_b}");
            self.client.expect("PUT", &path, &body, &[200, 201, 202]).await?;
        }
        self.until("/api/v1/links", "up", Value::Bool(true)).await
    }

    /// Waits until all of a list have this.
    async fn until(&mut self, path: &str, key: &str, want: Value) -> Result<()> {
        let begin = Instant::now();
        loop {
            self.fleet.check()?;
            let asked = Instant::now();
            let mut left = 0;
            let mut cursor = String::new();
            loop {
                let page = format!("{path}?limit=1000{cursor}");
                let list = self.client.expect("GET", &page, "", &[200]).await?;
                let list: Value = serde_json::from_slice(&list)?;
                let items = list["items"].as_array().context("a list has items")?;
                left += items.iter().filter(|item| item[key] != want).count();
                match list["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            if left == 0 {
                return Ok(());
            }
            if begin.elapsed() > SETTLE {
                bail!("{left} of {path} still haven't {key} {want} after {SETTLE:?}");
            }
            // Long lists are work for the controller, too.
            tokio::time::sleep(Duration::from_millis(50).max(asked.elapsed() * 3)).await;
        }
    }

    /// Gives the controller all the other networks.
    async fn load(&mut self, args: &AttachArgs) -> Result<()> {
        let (begin, before) = (Instant::now(), self.fleet.told().now());
        let all = self.shape.others(args.networks, args.ports_per_network);
        let name = |n: usize| format!("net-{n}");
        for (piece, some) in all.chunks(2500).enumerate() {
            let first = piece * 2500;
            let networks: Vec<_> =
                (first..first + some.len()).map(|n| json!({ "name": name(n) })).collect();
            let ports = some.iter().enumerate().flat_map(|(n, ports)| {
                ports.iter().map(move |(switch, port)| {
                    json!({ "network": name(first + n), "switch": format!("s{switch}"), "port": format!("p{port}") })
                })
            });
            let document = json!({ "networks": networks, "ports": ports.collect::<Vec<_>>() });
            let path = "/api/v1/apply?wait=installed&timeout=5m";
            self.client.expect("POST", path, &document.to_string(), &[200, 201]).await?;
        }
        let (took, told) = (begin.elapsed(), self.fleet.told().now().since(before));
        println!(
            "loaded {} networks of {} ports in {:.1} s: {} flow-mods, {} group-mods",
            args.networks,
            args.ports_per_network,
            took.as_secs_f64(),
            told.flows,
            told.groups
        );
        self.until("/api/v1/switches", "in_sync", Value::Bool(true)).await
    }

    /// Attaches and detaches one port; what the attach took.
    async fn attach(&mut self, turn: u32, wait: &str, seen: &mut Seen) -> Result<()> {
        let path = self.shape.path(0, turn);
        let before = self.fleet.told().now();
        let with_wait = format!("{path}?wait={wait}");
        self.client.timed("PUT", &with_wait, "{}", &[201, 202], &mut seen.attach).await?;
        seen.mods.push(self.fleet.told().now().since(before));
        self.client.timed("DELETE", &path, "", &[204], &mut seen.detach).await
    }
}

/// What was measured of one kind.
#[derive(Default)]
struct Seen {
    attach: Times,
    detach: Times,
    mods: Vec<Mods>,
}

async fn measure(args: &AttachArgs, empty: &mut Side, loaded: Option<&mut Side>) -> Result<()> {
    println!(
        "{} switches ({:?}, {} links, {:?}), networks of {} ports; switches {}",
        args.switches,
        args.topology,
        empty.shape.links.len(),
        args.encap,
        args.ports_per_network,
        if args.tables { "with tables" } else { "only count" }
    );
    let mut sides: Vec<(&str, &mut Side)> = vec![("empty", empty)];
    sides.extend(loaded.map(|side| ("loaded", side)));
    let mut installed: Vec<Seen> = sides.iter().map(|_| Seen::default()).collect();
    let mut stored: Vec<Seen> = sides.iter().map(|_| Seen::default()).collect();
    let mut http: Vec<Times> = sides.iter().map(|_| Times::default()).collect();
    for turn in 0..WARM_UP + args.attaches {
        // By turns, so that whatever else the machine does falls on both.
        for (n, (_, side)) in sides.iter_mut().enumerate() {
            if turn == WARM_UP {
                (installed[n], stored[n], http[n]) = Default::default();
            }
            side.attach(turn, "installed", &mut installed[n]).await?;
            side.attach(turn, "stored", &mut stored[n]).await?;
            side.client.timed("GET", "/healthz", "", &[200], &mut http[n]).await?;
            side.fleet.check()?;
        }
    }
    for (n, (name, _)) in sides.iter().enumerate() {
        println!("{name}, one client");
        println!("  HTTP alone (/healthz)    {}", http[n]);
        println!("  attach, wait=stored      {}", stored[n].attach);
        println!("  attach, wait=installed   {}", installed[n].attach);
        println!("  detach, wait=installed   {}", installed[n].detach);
        println!("  told per attach          {}", per_attach(&installed[n].mods));
    }
    if let [empty, loaded] = installed.as_slice() {
        let ratio = loaded.attach.median().as_secs_f64() / empty.attach.median().as_secs_f64();
        let same = empty.mods.iter().zip(&loaded.mods).filter(|(a, b)| a == b).count();
        println!(
            "loaded against empty: {ratio:.2} times the p50; {same} of {} attaches told the same",
            empty.mods.len()
        );
    }
    if args.clients > 1 {
        for (name, side) in &mut sides {
            let (times, took) = at_once(args, side).await?;
            let rate = times.count() as f64 / took.as_secs_f64();
            println!(
                "{name}, {} clients: {rate:.0} attaches/s (each followed by its detach)",
                args.clients
            );
            println!("  attach, wait=installed   {times}");
        }
    }
    Ok(())
}

/// All clients at once: how long each attach took, and all of them.
async fn at_once(args: &AttachArgs, side: &Side) -> Result<(Times, Duration)> {
    let mut tasks = tokio::task::JoinSet::new();
    let begin = Instant::now();
    for client in 0..args.clients {
        let (shape, address) = (side.shape.clone(), side.address);
        let turns = args.attaches.div_ceil(args.clients);
        tasks.spawn(async move {
            let mut http = Client::connect(address).await?;
            let mut times = Times::default();
            for turn in 0..turns {
                let path = shape.path(client, turn);
                http.timed("PUT", &path, "{}", &[201], &mut times).await?;
                http.expect("DELETE", &path, "", &[204]).await?;
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok((all, begin.elapsed()))
}

fn per_attach(mods: &[Mods]) -> String {
    let count = mods.len().max(1) as f64;
    let range = |of: fn(&Mods) -> u64| {
        let (least, most) =
            (mods.iter().map(of).min().unwrap_or(0), mods.iter().map(of).max().unwrap_or(0));
        let mean = mods.iter().map(of).sum::<u64>() as f64 / count;
        format!("{mean:.1} ({least} to {most})")
    };
    format!(
        "flow-mods {}, group-mods {}, barriers {}",
        range(|mods| mods.flows),
        range(|mods| mods.groups),
        range(|mods| mods.barriers)
    )
}
