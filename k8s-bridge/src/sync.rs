//! Carries out plans: reads what a plan needs, does its steps, and tells.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use api::error::ProblemKind;
use api::name::{PortRef, SwitchRef};
use api::types::{Attachment, PortSpec, Wait};
use api::values::{NetworkName, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::annotation::Annotation;
use crate::catalog::Catalog;
use crate::controller::{Controller, is};
use crate::events::Events;
use crate::facts::Facts;
use crate::kept::Kept;
use crate::names::{KEPT, NETWORKS, RECORD};
use crate::networks::Want;
use crate::owners::{Cluster, PodKey};
use crate::plan::{Life, Message, Step, View, plan, warn};
use crate::record::Record;
use crate::world::World;

/// What one replica has to work with.
#[derive(Clone)]
pub struct Bridge {
    /// The cluster.
    pub kube: Client,
    /// Which one it is.
    pub cluster: Arc<Cluster>,
    /// Isolane's controller.
    pub controller: Controller,
    /// The cluster's definitions.
    pub catalog: Catalog,
    /// Where people are told.
    pub events: Events,
    /// Whether we say which pool ports are ready.
    pub marks: bool,
    /// How long a pod may hold ports without a node, in milliseconds.
    pub unbound: u64,
}

/// Pods and nodes, shared by the leading replica's tasks.
#[derive(Clone, Default)]
pub struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    /// The world, for a moment; never held across a wait.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time now, as the controller writes it.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// What became of a pod.
enum Alive {
    There(Arc<Facts>),
    WithoutNode(Arc<Facts>),
    Gone(Option<Arc<Facts>>),
}

impl Bridge {
    /// Makes one pod's ports as they should be. Says whether that changed who
    /// has which ports.
    pub async fn settle(&self, key: &PodKey, world: &SharedWorld) -> anyhow::Result<bool> {
        let held = self.controller.attachments_of(&self.cluster, key).await?;
        let alive = self.alive(key, &held, world).await?;
        let life = match &alive {
            Alive::There(facts) => Life::There(facts),
            Alive::WithoutNode(facts) => Life::WithoutNode(facts),
            Alive::Gone(facts) => Life::Gone(facts.as_deref()),
        };
        let facts = match &alive {
            Alive::There(facts) | Alive::WithoutNode(facts) => Some(facts),
            Alive::Gone(last) => last.as_ref(),
        };
        let node = facts.and_then(|facts| facts.node.as_ref());
        let declared = match &alive {
            Alive::There(facts) if !facts.status.is_empty() => self.declared(&held).await?,
            _ => HashMap::new(),
        };
        let annotation = facts.and_then(|facts| Annotation::parse(facts.networks.as_ref()?).ok());
        let definitions = self.catalog.for_annotation(annotation.as_ref(), &key.namespace).await;
        // Of pods that have theirs nothing can be taken.
        let taken = match (node, &alive) {
            (Some(node), Alive::There(facts)) if facts.record.is_some() && !facts.started => {
                world.lock().taken_on(node, &self.catalog.known())
            }
            _ => BTreeSet::new(),
        };
        let view = View {
            cluster: &self.cluster,
            key,
            life,
            held: &held,
            declared: &declared,
            definitions: &definitions,
            taken: &taken,
            marks: self.marks && !node.is_some_and(|node| world.lock().has_side(node)),
            unbound: self.unbound,
            now: now(),
        };
        let mut trouble = None;
        let mut changed = false;
        for step in plan(&view) {
            changed |= matches!(step, Step::Release { .. } | Step::Join { .. });
            // One step's failure is no reason to leave the others undone.
            if let Err(error) = self.perform(key, facts, step).await {
                trouble.get_or_insert(error);
            }
        }
        match trouble {
            Some(error) => Err(error),
            None => {
                if let Alive::Gone(_) = alive {
                    world.lock().forget(key);
                }
                Ok(changed)
            }
        }
    }

    /// Whether the pod is there: as the watch says, or by a live read where
    /// that may be behind and ports depend on it.
    async fn alive(
        &self,
        key: &PodKey,
        held: &[Attachment],
        world: &SharedWorld,
    ) -> anyhow::Result<Alive> {
        let (there, gone) = {
            let world = world.lock();
            (world.pod(key).cloned(), world.gone(key).cloned())
        };
        let old = |h: &Attachment| now().millis().saturating_sub(h.since.millis()) > self.unbound;
        let facts = match (there, gone) {
            (Some(facts), _) if facts.node.is_none() && held.iter().any(old) => {
                match self.read(&facts.key, &facts.name).await? {
                    Some(live) => {
                        let live = Arc::new(live);
                        world.lock().learn(Facts::clone(&live));
                        live
                    }
                    None => return Ok(Alive::Gone(Some(facts))),
                }
            }
            (Some(facts), _) => facts,
            (None, Some(facts)) => return Ok(Alive::Gone(Some(facts))),
            (None, None) => match self.find(key).await? {
                Some(live) => Arc::new(live),
                None => return Ok(Alive::Gone(None)),
            },
        };
        if let Some(node) = &facts.node
            && world.lock().lacks_node(node)
        {
            let nodes: Api<Node> = Api::all(self.kube.clone());
            if nodes.get_metadata_opt(node).await?.is_none() {
                return Ok(Alive::WithoutNode(facts));
            }
        }
        Ok(Alive::There(facts))
    }

    /// A pod by its name, if it is still the same one.
    pub async fn read(&self, key: &PodKey, name: &str) -> Result<Option<Facts>, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.kube.clone(), &key.namespace);
        let found = pods.get_opt(name).await?;
        Ok(found.as_ref().and_then(Facts::of).filter(|facts| facts.key == *key))
    }

    /// A pod by its uid alone.
    async fn find(&self, key: &PodKey) -> Result<Option<Facts>, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.kube.clone(), &key.namespace);
        let all = pods.list(&ListParams::default()).await?;
        Ok(all.iter().filter_map(Facts::of).find(|facts| facts.key == *key))
    }

    /// What is declared of these ports.
    async fn declared(
        &self,
        held: &[Attachment],
    ) -> anyhow::Result<HashMap<(SwitchRef, PortRef), PortSpec>> {
        let client = self.controller.client();
        let mut declared = HashMap::new();
        for Attachment { network, switch, port, .. } in held {
            match client.port(network, switch, port).await {
                Ok(body) => drop(declared.insert((switch.clone(), port.clone()), body.spec())),
                Err(error) if error.problem().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(declared)
    }

    async fn perform(
        &self,
        key: &PodKey,
        facts: Option<&Arc<Facts>>,
        step: Step,
    ) -> anyhow::Result<()> {
        let pod = facts.map(|facts| facts.name.as_str()).unwrap_or_default();
        let namespace = key.namespace.as_str();
        match step {
            Step::NotReady(switch, port) => {
                // Noted before it is said, so that what is kept back is given
                // back one day, whoever leads then.
                if let Some(node) = facts.and_then(|facts| facts.node.as_deref()) {
                    let port = port.to_string();
                    self.note(node, |kept| kept.add(&port, &key.uid)).await?;
                }
                self.controller.mark(&switch, &port, false).await?;
            }
            Step::Ready(switch, port) => {
                let node = facts.and_then(|facts| facts.node.as_deref());
                self.give_back(node, &switch, &port, &key.uid).await?;
            }
            Step::Release { attachment, why } => {
                let Attachment { id, network, switch, port, .. } = *attachment;
                self.controller.client().delete_attachment(&id, Wait::Stored).await?;
                metrics::counter!("isolane_bridge_released_total").increment(1);
                tracing::info!(
                    namespace, pod, uid = key.uid, %network, %switch, %port, "released: {why}"
                );
                if let Some(facts) = facts {
                    let note = format!("left {network} ({port} of {switch}): {why}");
                    let message = Message { warning: false, reason: "NetworkLeft", note };
                    self.events.pod(facts, message);
                }
            }
            Step::Put { network, switch, port, spec, again } => {
                self.put(facts, &network, &switch, &port, &spec, again).await?;
            }
            Step::Join { node, original, annotation, wants } => {
                let facts = facts.context("a pod that joins is there")?;
                self.join(facts, &node, &original, &annotation, &wants).await?;
            }
            Step::Annotate(record) => {
                let facts = facts.context("a pod that is annotated is there")?;
                self.annotate(facts, &record).await?;
            }
            Step::Tell(message) => {
                if let Some(facts) = facts {
                    self.events.pod(facts, message);
                }
            }
        }
        Ok(())
    }

    /// A port may be given out again as far as this pod is concerned. Another
    /// one may be a reason to keep it back.
    pub async fn give_back(
        &self,
        node: Option<&str>,
        switch: &SwitchRef,
        port: &PortRef,
        pod: &str,
    ) -> anyhow::Result<()> {
        let name = port.to_string();
        let mut kept = match node {
            Some(node) => self.kept(node).await?.map(|(kept, _)| kept).unwrap_or_default(),
            None => Kept::default(),
        };
        kept.remove(&name, pod);
        if !kept.has(&name) {
            self.controller.mark(switch, port, true).await?;
        }
        if let Some(node) = node {
            self.note(node, |kept| kept.remove(&name, pod)).await?;
        }
        Ok(())
    }

    /// What is noted on a node, and the node's version; `None` without such a
    /// node.
    async fn kept(&self, node: &str) -> Result<Option<(Kept, Option<String>)>, kube::Error> {
        let nodes: Api<Node> = Api::all(self.kube.clone());
        let found = nodes.get_metadata_opt(node).await?;
        Ok(found.map(|it| (Kept::of(&it.metadata), it.metadata.resource_version)))
    }

    /// Changes what is noted on a node. A node that is gone has nothing.
    pub async fn note(&self, node: &str, change: impl Fn(&mut Kept) -> bool) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(self.kube.clone());
        // Its kubelet writes it often.
        for _ in 0..10 {
            let Some((mut kept, version)) = self.kept(node).await? else { return Ok(()) };
            if !change(&mut kept) {
                return Ok(());
            }
            let patch = Patch::Merge(json!({"metadata": {
                "resourceVersion": version,
                "annotations": {KEPT: kept.to_text()},
            }}));
            match nodes.patch_status(node, &PatchParams::default(), &patch).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error).context("what is kept back can't be noted"),
            }
        }
        anyhow::bail!("node {node} is being changed all the time")
    }

    async fn put(
        &self,
        facts: Option<&Arc<Facts>>,
        network: &NetworkName,
        switch: &SwitchRef,
        port: &PortRef,
        spec: &PortSpec,
        again: bool,
    ) -> anyhow::Result<()> {
        let mut answer = self.controller.put_port(network, switch, port, spec).await;
        if answer.as_ref().is_err_and(|error| is(error, ProblemKind::NetworkNotFound)) {
            let definitions = self.catalog.known();
            let made = definitions.iter().find(|it| it.network().as_ref() == Some(network));
            let spec_of = made.and_then(|definition| definition.spec(&self.cluster));
            let fresh = spec_of.unwrap_or_else(|| api::types::NetworkSpec::new(network.clone()));
            self.controller.make_network(&fresh).await?;
            answer = self.controller.put_port(network, switch, port, spec).await;
        }
        let message = match answer {
            Ok(()) if again => {
                metrics::counter!("isolane_bridge_put_back_total").increment(1);
                let note = format!("{port} of {switch} was detached from {network}, and is back");
                Message { warning: false, reason: "NetworkRejoined", note }
            }
            Ok(()) => return Ok(()),
            Err(error) if is(&error, ProblemKind::PortInUse) => warn(
                "PortTaken",
                format!(
                    "{port} of {switch} was detached from {network}, and is somebody else's now \
                     ({error}); delete the pod so that it is made anew"
                ),
            ),
            Err(error) => return Err(error.into()),
        };
        if let Some(facts) = facts {
            self.events.pod(facts, message);
        }
        Ok(())
    }

    /// The repair path: what the webhook would have done.
    async fn join(
        &self,
        facts: &Arc<Facts>,
        node: &str,
        original: &str,
        annotation: &Annotation,
        wants: &[Want],
    ) -> anyhow::Result<()> {
        // The watch may be behind: a pod that was repaired or started
        // meanwhile is settled again by its own event.
        let live = self.read(&facts.key, &facts.name).await?;
        let Some(live) = live.filter(|live| {
            live.node.as_deref() == Some(node)
                && live.networks.as_deref() == Some(original)
                && live.record == facts.record
                && !live.started
                && !live.ended
        }) else {
            return Ok(());
        };
        let ports = match self.controller.attach(&self.cluster, &facts.key, node, wants).await {
            Ok(ports) => ports,
            Err(error) => {
                self.events.pod(facts, warn(error.reason(), error.to_string()));
                return Err(error.into());
            }
        };
        let record = self.record(&facts.key, node, original, annotation, wants, &ports).await?;
        self.annotate(&live, &record).await?;
        self.events.pod(facts, joined(node, &record));
        Ok(())
    }

    /// The record of a pod that got these ports. Ports that are of no use are
    /// given back.
    pub async fn record(
        &self,
        key: &PodKey,
        node: &str,
        original: &str,
        annotation: &Annotation,
        wants: &[Want],
        ports: &[Attachment],
    ) -> Result<Record, crate::controller::AttachError> {
        let known = self.catalog.known();
        let record = Record::new(node, original, annotation, wants, ports, &known, &key.namespace);
        if let Some(record) = record {
            return Ok(record);
        }
        for port in ports {
            let _ = self.controller.client().delete_attachment(&port.id, Wait::Stored).await;
        }
        let odd = ports.iter().map(|port| port.port.to_string());
        let odd = odd.filter(|port| crate::names::Pair::of_vhost(port).is_none());
        Err(crate::controller::AttachError::NotAPair {
            node: node.to_owned(),
            port: odd.collect::<Vec<_>>().join(", "),
        })
    }

    /// Writes the record and what it makes of the annotation, on exactly the
    /// pod that was read.
    async fn annotate(&self, facts: &Facts, record: &Record) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.kube.clone(), &facts.key.namespace);
        let patch = json!({"metadata": {
            "uid": facts.key.uid,
            "resourceVersion": facts.version,
            "annotations": {NETWORKS: record.result, RECORD: record.to_text()},
        }});
        pods.patch(&facts.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .context("the pod's annotations can't be written")?;
        metrics::counter!("isolane_bridge_repaired_total").increment(1);
        Ok(())
    }
}

/// What people are told when a pod has its ports.
pub fn joined(node: &str, record: &Record) -> Message {
    let each = record
        .ports
        .iter()
        .map(|port| format!("{} by {} ({} of {node})", port.network, port.interface, port.port));
    let note = format!("joins {}", each.collect::<Vec<_>>().join(", "));
    Message { warning: false, reason: "NetworkJoined", note }
}

/// How long a worker may be busy with one pod.
pub const SETTLE: Duration = Duration::from_secs(60);
