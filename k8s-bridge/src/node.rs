//! The node's side: makes a node's interfaces, tunnels and bridge as the overlay document says, and keeps them so.
//!
//! ```text
//! overlay document ─► desired ─┐
//!                              ├─► diff ─► plan ─► links (rtnetlink), ovs (ovs-vsctl)
//! devices, database ─► facts ──┘             └───► report (the controller's REST API)
//! ```
//!
//! `overlay`, `desired` and `diff` are pure. The loop here looks when the kernel has news, and from time to time; it
//! keeps nothing that matters, so it may be killed at any moment, and everything works on without it.

mod desired;
mod diff;
mod facts;
mod links;
mod names;
mod overlay;
mod ovs;
mod plan;
mod report;
mod target;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use desired::{MtuFrom, Surroundings, desired};
use diff::{diff, removal};
use facts::Facts;
use links::Links;
use overlay::Overlay;
use ovs::Vsctl;
use plan::Plan;
use report::{News, Reporter};
use target::Target;

use crate::access::Access;

/// A plan that is carried out brings forth another: what was made gets into the bridge, what left the bridge goes.
const ROUNDS: usize = 6;
/// Between two looks when the kernel has much to tell.
const PAUSE: Duration = Duration::from_millis(200);
/// How long `--once` waits for the controller to know this switch.
const ONCE: Duration = Duration::from_secs(20);
/// How long one call of the controller may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `node`.
#[derive(Debug, clap::Args)]
pub struct NodeArgs {
    /// The overlay document, in YAML or JSON
    #[arg(long, env = "ISOLANE_OVERLAY", value_name = "FILE", required_unless_present = "remove")]
    overlay: Option<PathBuf>,
    /// This node's name in the document
    #[arg(long, env = "NODE_NAME", value_name = "NAME", required_unless_present = "remove")]
    node: Option<String>,
    /// Where the OpenFlow controller is, such as tcp:HOST:6653; may be given several times
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    openflow: Vec<Target>,
    /// URL of the controller's REST API, which is told which interfaces may be given out
    #[arg(long, env = "ISOLANE_CONTROLLER", value_name = "URL")]
    controller: Option<String>,
    /// File whose first token is sent to the controller; it is read again when it changes
    #[arg(long, env = "ISOLANE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authorities to trust besides the system's, in PEM
    #[arg(long, env = "ISOLANE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Make it so and end, instead of keeping it so
    #[arg(long)]
    once: bool,
    /// Take away what was made here, and nothing else
    #[arg(long, conflicts_with = "once")]
    remove: bool,
    /// Seconds between two looks when there is no news
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    period: u64,
}

/// Makes the node's side true, and keeps it so until `stop`.
///
/// # Errors
/// A document that is wrong, a node that isn't in it, no right to change devices; with `--once` anything that could
/// not be made true.
pub async fn run(args: NodeArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let node = args.node.clone().unwrap_or_default();
    let ovs = Vsctl::found();
    let links = Links::connect()?;
    let reporter = match &args.controller {
        Some(url) if !node.is_empty() => {
            let access = Access::new(url, args.token_file.clone(), args.ca.clone(), PATIENCE)?;
            Some(Reporter::new(access, node.clone(), ovs.clone()))
        }
        Some(_) => bail!("--controller needs --node: whose interfaces are they?"),
        None => None,
    };
    let mut side = Side { node, links, ovs, targets: Vec::new(), underlay_mtu: None };
    if args.remove {
        return remove(&side, reporter).await;
    }
    let Some(path) = &args.overlay else { bail!("--overlay is missing") };
    let bytes = read(path)?;
    let overlay = parse(path, &bytes)?;
    if args.once {
        if overlay.node(&side.node).is_none() {
            bail!("{}: {}", path.display(), not_a_node(&overlay, &side.node));
        }
        return once(&mut side, &args, overlay, reporter).await;
    }
    keep(side, &args, (path, bytes, overlay), reporter, stop).await
}

async fn once(
    side: &mut Side,
    args: &NodeArgs,
    overlay: Overlay,
    reporter: Option<Reporter>,
) -> anyhow::Result<()> {
    let plan = side.make(args, &overlay).await?;
    let mut problems = plan.problems;
    if let Some(mut reporter) = reporter {
        let news = News { overlay: Arc::new(overlay), pool: plan.pool };
        let end = tokio::time::Instant::now() + ONCE;
        let untold = loop {
            let untold = reporter.tell(&news).await;
            if untold.is_empty() || tokio::time::Instant::now() >= end {
                break untold;
            }
            tokio::time::sleep(PAUSE).await;
        };
        problems.extend(untold.into_iter().map(|it| format!("controller: {it}")));
    }
    if !problems.is_empty() {
        bail!("not as the document says:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

async fn keep(
    mut side: Side,
    args: &NodeArgs,
    (path, bytes, overlay): (&Path, Vec<u8>, Overlay),
    reporter: Option<Reporter>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut overlay = Arc::new(overlay);
    let mut kernel = links::news()?;
    let (tell, told) = watch::channel(None);
    let reporter = reporter.map(|reporter| tokio::spawn(reporter.run(told)));
    let mut complaint = None;
    let mut document = Document { path, bytes, look: every(Duration::from_secs(1)) };
    let mut period = every(Duration::from_secs(args.period));
    loop {
        match side.make(args, &overlay).await {
            Ok(plan) => {
                let said = plan.problems.join("; ");
                if complaint.as_ref() != Some(&said) {
                    match said.as_str() {
                        "" => tracing::info!(node = side.node, "all is as the document says"),
                        _ => tracing::warn!(node = side.node, "not as the document says: {said}"),
                    }
                    complaint = Some(said);
                }
                tell.send_replace(Some(News { overlay: Arc::clone(&overlay), pool: plan.pool }));
            }
            Err(error) => {
                let said = format!("{error:#}");
                if complaint.as_ref() != Some(&said) {
                    tracing::error!(node = side.node, "{said}");
                    complaint = Some(said);
                }
            }
        }
        if !reason(&stop, &mut kernel, &mut period, &mut document, &mut overlay).await {
            break;
        }
    }
    tracing::info!(node = side.node, "ends; everything stays as it is");
    drop(tell);
    if let Some(task) = reporter {
        task.abort();
    }
    Ok(())
}

/// Waits until there is a reason to look again: news, time, another document. `false`: it ends.
async fn reason(
    stop: &CancellationToken,
    kernel: &mut mpsc::Receiver<()>,
    period: &mut Interval,
    document: &mut Document<'_>,
    overlay: &mut Arc<Overlay>,
) -> bool {
    loop {
        tokio::select! {
            () = stop.cancelled() => return false,
            Some(()) = kernel.recv() => {
                // Devices come in crowds; and what was done just now is news as well.
                tokio::time::sleep(PAUSE).await;
                return true;
            }
            _ = period.tick() => return true,
            _ = document.look.tick() => {
                if let Some(new) = document.reread() {
                    *overlay = Arc::new(new);
                    return true;
                }
            }
        }
    }
}

/// Ticks from a period after now on; one that was missed is not made up for.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

/// The file that the overlay document is in.
struct Document<'a> {
    path: &'a Path,
    /// What was in it.
    bytes: Vec<u8>,
    look: Interval,
}

impl Document<'_> {
    /// The document, if it was changed into another one that can be used. One that can't leaves things as they are.
    fn reread(&mut self) -> Option<Overlay> {
        let now = match read(self.path) {
            Ok(now) if now == self.bytes => return None,
            Ok(now) => now,
            Err(error) => {
                tracing::debug!("{error:#}: the document as it was read last stays in force");
                return None;
            }
        };
        self.bytes = now;
        match parse(self.path, &self.bytes) {
            Ok(overlay) => {
                tracing::info!(document = %self.path.display(), "the document has changed");
                Some(overlay)
            }
            Err(error) => {
                tracing::error!("{error:#}: the document as it was before stays in force");
                None
            }
        }
    }
}

async fn remove(side: &Side, reporter: Option<Reporter>) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    if let Some(reporter) = reporter {
        let facts = side.facts().await?;
        let pool: Vec<String> = facts
            .links
            .iter()
            .filter(|it| {
                it.ours() && matches!(names::Device::of(&it.name), Some(names::Device::Host(_)))
            })
            .map(|it| it.name.clone())
            .collect();
        let bridges = facts.ovs.iter().flat_map(|ovs| &ovs.bridges);
        let mut noted = bridges.filter(|(_, it)| it.external_ids.contains_key(plan::NOTE));
        let bridge = noted.next().map_or(names::BRIDGE, |(name, _)| name);
        problems.extend(reporter.withdraw(bridge, &pool).await);
    }
    let plan = side.carry_out(removal).await?;
    problems.extend(plan.problems);
    if !problems.is_empty() {
        bail!("not all is gone:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// One node's devices and its Open vSwitch.
struct Side {
    /// The node's name.
    node: String,
    links: Links,
    ovs: Vsctl,
    /// The controllers' addresses, when they last had any.
    targets: Vec<String>,
    /// The underlay's MTU, when it could last be told.
    underlay_mtu: Option<u32>,
}

impl Side {
    /// Makes it as the document says, as far as that goes. What is left undone is in the plan that comes back.
    async fn make(&mut self, args: &NodeArgs, overlay: &Overlay) -> anyhow::Result<Plan> {
        let mut unresolved = Vec::new();
        let mut targets = Vec::new();
        for target in &args.openflow {
            match target.resolved().await {
                Ok(target) => targets.push(target.to_string()),
                Err(error) => unresolved.push(format!("--openflow {target}: {error}")),
            }
        }
        if unresolved.is_empty() {
            self.targets = targets;
        }
        let around = Surroundings {
            underlay_mtu: self.underlay_mtu(overlay).await?,
            controllers: self.targets.clone(),
        };
        let Some(want) = desired(overlay, &self.node, &around) else {
            // Not taken away by itself: a slip in the document would cut off every pod of this node.
            bail!("{}: what was made stays until `node --remove`", not_a_node(overlay, &self.node));
        };
        if want.mtu_from == MtuFrom::Guess {
            tracing::warn!(
                mtu = want.mtu,
                "no device has this node's address, and no route leads to another node: new devices get an MTU for \
                 an underlay of 1500 bytes"
            );
        }
        let mut plan = self.carry_out(|facts| diff(facts, &want)).await?;
        plan.problems.extend(unresolved);
        Ok(plan)
    }

    async fn underlay_mtu(&mut self, overlay: &Overlay) -> anyhow::Result<Option<u32>> {
        let Some((at, here)) =
            overlay.node(&self.node).and_then(|at| Some((at, overlay.nodes.get(at)?)))
        else {
            return Ok(None);
        };
        let peers: Vec<_> = overlay.tunnels_of(at).map(|(_, peer)| peer.address).collect();
        let links = self.links.read().await?;
        if let Some(mtu) = self.links.underlay_mtu(&links, here.address, &peers).await? {
            self.underlay_mtu = Some(mtu);
        }
        Ok(self.underlay_mtu)
    }

    async fn facts(&self) -> anyhow::Result<Facts> {
        let links = self.links.read().await.context("listing devices")?;
        let (ovs, ovs_trouble) = match self.ovs.read().await {
            Ok(ovs) => (Some(ovs), String::new()),
            Err(error) => (None, error.to_string()),
        };
        Ok(Facts { links, ovs, ovs_trouble })
    }

    /// Carries plans out until nothing is left to do, or what is left can't be done.
    async fn carry_out(&self, plan: impl Fn(&Facts) -> Plan) -> anyhow::Result<Plan> {
        let mut failed = Vec::new();
        let mut next = plan(&self.facts().await?);
        for _ in 0..ROUNDS {
            if next.is_empty() {
                // What failed, and isn't to be done any more, was overtaken: such as by a pod that took its interface.
                return Ok(next);
            }
            failed = self.perform(&next).await;
            next = plan(&self.facts().await?);
        }
        if !next.is_empty() {
            let left = next.to_string();
            let left = left.lines().filter(|line| !line.starts_with('!')).collect::<Vec<_>>();
            failed.push(format!("left undone: {}", left.join("; ")));
            next.problems.append(&mut failed);
        }
        Ok(next)
    }

    async fn perform(&self, plan: &Plan) -> Vec<String> {
        let mut failed = Vec::new();
        for step in &plan.links {
            tracing::info!("{step}");
            if let Err(error) = self.links.apply(step).await {
                failed.push(format!("{step}: {error}"));
            }
        }
        if !plan.ovs.is_empty() {
            plan.ovs.iter().for_each(|step| tracing::info!("{step}"));
            if let Err(error) = self.ovs.apply(&plan.ovs).await {
                failed.push(format!("Open vSwitch: {error}"));
            }
        }
        for step in &plan.unlinks {
            tracing::info!("{step}");
            if let Err(error) = self.links.apply(step).await {
                failed.push(format!("{step}: {error}"));
            }
        }
        failed
    }
}

fn not_a_node(overlay: &Overlay, node: &str) -> String {
    let names: Vec<&str> = overlay.nodes.iter().map(|it| it.name.as_str()).take(10).collect();
    let more = if overlay.nodes.len() > names.len() { ", …" } else { "" };
    format!("nodes: there is no {node} among {}{more}", names.join(", "))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn parse(path: &Path, bytes: &[u8]) -> anyhow::Result<Overlay> {
    Overlay::parse(bytes).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}
