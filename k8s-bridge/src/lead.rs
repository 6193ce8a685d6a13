//! What only one replica does: following pods and nodes, detaching, repairing,
//! comparing.
//!
//! ```text
//! watch of pods  ──┐                  ┌─ 8 workers: settle one pod (sync.rs)
//! watch of nodes ──┼─► World, Dirty ──┤
//! compare ─────────┘                  └─ nodes' status
//! ```
//!
//! Events only mark pods dirty; a worker looks at the pod and its ports as
//! they are then. The comparison finds what no event told, both ways.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::error::ProblemKind;
use api::types::{Attachment, Wait};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::controller::is;
use crate::dirty::Dirty;
use crate::fabric::{self, Change};
use crate::facts::Facts;
use crate::networks::Kind;
use crate::owners::PodKey;
use crate::plan::{Life, Step, View, plan, warn};
use crate::sync::{Bridge, SETTLE, SharedWorld, now};
use crate::watch::follow;

const WORKERS: usize = 8;
/// How long changes are gathered before everything is compared for them.
const GATHER: Duration = Duration::from_millis(700);
/// How soon a comparison that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// State of one leadership.
#[derive(Clone)]
struct Lead {
    bridge: Bridge,
    world: SharedWorld,
    dirty: Dirty<PodKey>,
    /// Something changed that only a comparison answers.
    compare: Arc<Notify>,
    /// Nodes' numbers may be wrong.
    nodes: Arc<Notify>,
    /// What each node should advertise.
    wanted: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// Leads until `stop`.
pub async fn lead(bridge: Bridge, every: Duration, stop: CancellationToken) {
    let lead = Lead {
        bridge,
        world: SharedWorld::default(),
        dirty: Dirty::new(),
        compare: Arc::new(Notify::new()),
        nodes: Arc::new(Notify::new()),
        wanted: Arc::default(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(lead.clone().follow_pods(stop.clone()));
    tasks.spawn(lead.clone().follow_nodes(stop.clone()));
    tasks.spawn(lead.clone().follow_definitions(stop.clone()));
    tasks.spawn(lead.clone().compare_often(every, stop.clone()));
    tasks.spawn(lead.clone().advertise(stop.clone()));
    for _ in 0..WORKERS {
        tasks.spawn(lead.clone().work(stop.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            // A defect. What is left of this leadership is of no use: another
            // one starts afresh.
            tracing::error!(%error, "a task of the leading replica failed");
            stop.cancel();
        }
    }
}

impl Lead {
    async fn follow_pods(self, stop: CancellationToken) {
        let api: Api<Pod> = Api::all(self.bridge.kube.clone());
        follow(api, "pods", &stop, |event| {
            let listed = matches!(event, kube::runtime::watcher::Event::InitDone);
            let dirty = self.world.lock().on_pod(event);
            dirty.into_iter().for_each(|key| self.dirty.mark(key));
            if listed {
                self.compare.notify_one();
            }
        })
        .await;
    }

    async fn follow_nodes(self, stop: CancellationToken) {
        let api: Api<Node> = Api::all(self.bridge.kube.clone());
        follow(api, "nodes", &stop, |event| {
            let listed = matches!(event, kube::runtime::watcher::Event::InitDone);
            let dirty = self.world.lock().on_node(event);
            dirty.into_iter().for_each(|key| self.dirty.mark(key));
            self.nodes.notify_one();
            if listed {
                self.compare.notify_one();
            }
        })
        .await;
    }

    /// A definition that comes may be what a pod waits for; one that goes may
    /// leave an empty network.
    async fn follow_definitions(self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.bridge.catalog.changed()).await.is_some() {
            self.compare.notify_one();
        }
    }

    async fn work(self, stop: CancellationToken) {
        while let Some(key) = stop.run_until_cancelled(self.dirty.next()).await {
            let work = timeout(SETTLE, self.bridge.settle(&key, &self.world));
            let Some(outcome) = stop.run_until_cancelled(work).await else { return };
            let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("it took too long")));
            if let Err(error) = &outcome {
                metrics::counter!("isolane_bridge_settle_errors_total").increment(1);
                tracing::warn!(
                    namespace = key.namespace,
                    uid = key.uid,
                    error = format!("{error:#}"),
                    "a pod isn't settled; it is tried again"
                );
            }
            self.dirty.done(key, outcome.is_ok());
            if matches!(outcome, Ok(true)) {
                // A pod that left may have been the last of its network, and
                // its node may have more to offer.
                self.compare.notify_one();
            }
        }
    }

    async fn compare_often(self, every: Duration, stop: CancellationToken) {
        let mut soon = None;
        loop {
            let asked = async {
                self.compare.notified().await;
                sleep(GATHER).await;
            };
            let wait = async {
                tokio::select! {
                    () = asked => {}
                    () = sleep(soon.unwrap_or(every)) => {}
                }
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
            if !self.world.lock().is_listed() || !self.bridge.catalog.is_listed() {
                soon = Some(RETRY);
                continue;
            }
            let Some(outcome) = stop.run_until_cancelled(self.compare()).await else { return };
            soon = None;
            if let Err(error) = outcome {
                tracing::warn!(error = format!("{error:#}"), "nothing could be compared");
                soon = Some(RETRY);
            }
        }
    }

    /// Compares pods with attachments, definitions with networks, nodes with
    /// pools; both ways.
    async fn compare(&self) -> anyhow::Result<()> {
        let bridge = &self.bridge;
        let attachments = bridge.controller.attachments(&bridge.cluster).await?;
        let switches = bridge.controller.client().switches().await?;
        let wanted = {
            let mut world = self.world.lock();
            let definitions = bridge.catalog.known();
            let sides =
                fabric::sides(&bridge.cluster, &world, &definitions, &switches, &attachments);
            world.saw_sides(sides);
            fabric::advertised(&bridge.cluster, &world, &switches, &attachments)
        };
        let marked = self.compare_pods(&attachments);
        let networks = self.compare_networks().await.and(self.give_back().await);
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        self.nodes.notify_one();
        metrics::counter!("isolane_bridge_comparisons_total").increment(1);
        metrics::gauge!("isolane_bridge_attachments").set(attachments.len() as f64);
        if marked > 0 {
            tracing::debug!(pods = marked, "the comparison found work");
        }
        networks
    }

    /// Marks each pod whose ports are not as they should be.
    fn compare_pods(&self, attachments: &[Attachment]) -> usize {
        let bridge = &self.bridge;
        let mut held: HashMap<PodKey, Vec<Attachment>> = HashMap::new();
        for attachment in attachments {
            if let Some((key, _)) = bridge.cluster.read(&attachment.owner) {
                held.entry(key).or_default().push(attachment.clone());
            }
        }
        let definitions = bridge.catalog.known();
        let relabelled = bridge.catalog.take_relabelled();
        let (declared, now) = (HashMap::new(), now());
        let world = self.world.lock();
        let taken = world.taken(&definitions);
        let none = BTreeSet::new();
        let mut keys: HashSet<PodKey> = held.keys().cloned().collect();
        let concerned = world.pods().filter(|facts| facts.concerns_us() && facts.node.is_some());
        keys.extend(concerned.map(|facts| facts.key.clone()));
        let mut marked = 0;
        for key in keys {
            let facts: Option<Arc<Facts>> = world.pod(&key).cloned();
            let stranded =
                |facts: &Facts| facts.node.as_ref().is_some_and(|node| world.lacks_node(node));
            let side = |node: &String| world.has_side(node);
            let node = facts.as_ref().and_then(|facts| facts.node.as_ref());
            let life = match facts.as_deref() {
                Some(facts) if stranded(facts) => Life::WithoutNode(facts),
                Some(facts) => Life::There(facts),
                None => Life::Gone(None),
            };
            let view = View {
                cluster: &bridge.cluster,
                key: &key,
                life,
                held: held.get(&key).map(Vec::as_slice).unwrap_or_default(),
                declared: &declared,
                definitions: &definitions,
                taken: node.and_then(|node| taken.get(node)).unwrap_or(&none),
                marks: bridge.marks && !node.is_some_and(side),
                unbound: bridge.unbound,
                now,
            };
            // What is declared of ports is looked at when the pod is settled.
            let anew = view.held.iter().any(|port| relabelled.contains(&port.network));
            // What is only to be told was told when the pod changed.
            if anew || plan(&view).iter().any(|step| !matches!(step, Step::Tell(_))) {
                self.dirty.suggest(key);
                marked += 1;
            }
        }
        marked
    }

    /// Gives back what was kept back because of pods that went while nobody
    /// watched.
    async fn give_back(&self) -> anyhow::Result<()> {
        let bridge = &self.bridge;
        let left = if bridge.marks { self.world.lock().left_over() } else { Vec::new() };
        for (node, port, pod) in left {
            let side = self.world.lock().has_side(&node);
            let (Ok(switch), Ok(at)) = (node.parse(), port.parse()) else { continue };
            if side {
                // It says by itself which ports are ready.
                bridge.note(&node, |kept| kept.remove(&port, &pod)).await?;
            } else {
                bridge.give_back(Some(&node), &switch, &at, &pod).await?;
                tracing::info!(node, port, uid = pod, "given back: its pod is gone");
            }
        }
        Ok(())
    }

    async fn compare_networks(&self) -> anyhow::Result<()> {
        let bridge = &self.bridge;
        let there = bridge.controller.client().networks().await?;
        let definitions = bridge.catalog.known();
        for definition in definitions.iter().filter(|it| it.kind == Kind::Network) {
            if let Err(why) = definition.limit() {
                let note = format!("{why}; the limit that is so by default holds");
                bridge.events.definition(definition, warn("LabelIgnored", note));
            }
        }
        let mut trouble = Ok(());
        for change in fabric::networks(&bridge.cluster, &definitions, &there) {
            // One that fails is no reason to leave the others undone.
            if let Err(error) = self.change_network(change).await {
                trouble = trouble.and(Err(error));
            }
        }
        trouble
    }

    async fn change_network(&self, change: Change) -> anyhow::Result<()> {
        let bridge = &self.bridge;
        let client = bridge.controller.client();
        match change {
            Change::Make(spec) => {
                bridge.controller.make_network(&spec).await?;
                tracing::info!(network = %spec.name, "made a network");
            }
            Change::Put(spec) => {
                client.put_network(&spec, Wait::Stored).await?;
                tracing::info!(network = %spec.name, "changed a network");
            }
            Change::Delete(network, key) => {
                // The watch may be behind a definition that was just made.
                if bridge.catalog.read(&key).await?.is_some_and(|it| it.kind == Kind::Network) {
                    return Ok(());
                }
                match client.delete_network(&network, false, Wait::Stored).await {
                    Ok(_) => tracing::info!(%network, "removed a network without definition"),
                    // Somebody joined it meanwhile: it stays for now.
                    Err(error) if is(&error, ProblemKind::NetworkInUse) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Change::Keep { definition, network, ports: _ } => {
                let note = format!(
                    "the definition was deleted while pods are in its network {network}: it \
                     stays until the last of them is gone, and takes no new ones"
                );
                bridge.events.definition(&definition, warn("NetworkKept", note));
            }
        }
        Ok(())
    }

    /// Keeps what nodes advertise as it should be. A kubelet that starts sets
    /// it to nothing.
    async fn advertise(self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.nodes.notified()).await.is_some() {
            let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let wrong: Vec<(String, u64)> = {
                let world = self.world.lock();
                let is_wrong = |name: &str, ports: u64| {
                    world.node(name).is_some_and(|node| node.advertised != Some(ports))
                };
                wanted.into_iter().filter(|(name, ports)| is_wrong(name, *ports)).collect()
            };
            let api: Api<Node> = Api::all(self.bridge.kube.clone());
            let mut failed = false;
            for (node, ports) in wrong {
                let patch = Patch::Merge(fabric::node_patch(ports));
                match api.patch_status(&node, &PatchParams::default(), &patch).await {
                    Ok(_) => tracing::info!(node, ports, "the node advertises its ports"),
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => {
                        failed = true;
                        tracing::warn!(node, ports, %error, "the node's ports aren't advertised");
                    }
                }
            }
            if failed && stop.run_until_cancelled(sleep(RETRY)).await.is_some() {
                self.nodes.notify_one();
            }
        }
    }
}
