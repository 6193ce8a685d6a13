//! What stories play on: a real API server, the real controller, the real bridge, and nodes: either real Open vSwitch
//! with the nodes' side, or only switches that speak OpenFlow.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use api::types::Attachment;
use serde_json::Value;
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::kube::{Balancer, Bridge, BridgePlan, Cluster, ClusterSpec, NETWORKS, Nodes, PodSpec};
use testbed::netns::NetNs;
use testbed::switch::{Datapath, PortSpec};
use testbed::wait::{Look, until_every};
use testbed::wire::{EmbeddedFabric, EmbeddedSwitch};

use crate::manifests::manifest;

pub type Checked = Result<(), LabError>;

/// For bridge and controller to follow what happened. Milliseconds; a loaded machine takes longer.
pub const LIMIT: Duration = Duration::from_secs(90);
/// Looks at the API server or the controller until the condition holds, and leaves them time for other things.
pub fn until<T>(
    what: &str,
    limit: Duration,
    look: impl FnMut() -> Result<Look<T>, LabError>,
) -> Result<T, LabError> {
    until_every(Duration::from_millis(100), what, limit, look)
}

/// By this an attachment's owner begins.
const OURS: &str = "k8s/";

/// Everything but the scheduler and the kubelets, which are the story.
pub struct Stage<Scene> {
    // Fields are dropped in order; the scene, whose namespace all the others may be in, last.
    pub bridges: BTreeMap<String, Bridge>,
    pub plan: BridgePlan,
    /// Between the bridge and the controller.
    pub line: Balancer,
    pub cluster: Cluster,
    pub controller: Controller,
    pub scene: Scene,
}

/// Nodes on real Open vSwitch, with their side; and the way from there to the controller.
pub struct Real {
    pub line: Balancer,
    pub nodes: Nodes,
}

/// Switches of this process, `n1` and so on, without links: they only take what they are told.
pub struct Embedded {
    switches: Vec<EmbeddedSwitch>,
    _runtime: tokio::runtime::Runtime,
}

impl Stage<Real> {
    /// Nodes of these names, each with so many pool interfaces.
    pub fn real(names: &[&str], interfaces: usize) -> Result<Self, LabError> {
        let mut nodes = Nodes::build(names, interfaces)?;
        let controller = Controller::start((Nodes::STORY, 0).into())?;
        let line = Balancer::at(Nodes::STORY, vec![controller.rest().address()])?;
        nodes.start_sides(controller.openflow(), line.address())?;
        let stage = Self::open(
            names.iter().map(|name| (*name).to_owned()).collect(),
            interfaces,
            &spec()?,
            controller,
            |_, plan| {
                plan.arguments.push("--node-side".to_owned());
                Ok(())
            },
            Real { line, nodes },
        )?;
        stage.controller.wait_for_switches(names.len())?;
        stage.controller.wait_for_links(names.len() * (names.len() - 1) / 2)?;
        for name in names {
            stage.wait_for_room(name, interfaces)?;
        }
        Ok(stage)
    }

    /// A node's own network namespace.
    pub fn node(&self, name: &str) -> Result<&NetNs, LabError> {
        Ok(self.scene.nodes.node(name)?.namespace())
    }
}

impl Stage<Embedded> {
    /// So many nodes, each with so many pool interfaces.
    pub fn embedded(nodes: usize, interfaces: usize) -> Result<Self, LabError> {
        Self::embedded_on(&spec()?, nodes, interfaces)
    }

    /// The same on a cluster that is started as said.
    pub fn embedded_on(
        spec: &ClusterSpec,
        nodes: usize,
        interfaces: usize,
    ) -> Result<Self, LabError> {
        let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
        let stage = Self::embedded_so(spec, controller, nodes, interfaces, |_, _| Ok(()))?;
        stage.wait_for_rooms(interfaces)?;
        Ok(stage)
    }

    /// The same with this controller and a bridge whose plan is changed; nobody waits for what it tells of nodes.
    pub fn embedded_so(
        spec: &ClusterSpec,
        controller: Controller,
        nodes: usize,
        interfaces: usize,
        adapt: impl FnOnce(&Cluster, &mut BridgePlan) -> Checked,
    ) -> Result<Self, LabError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| LabError::io("starting a runtime", source))?;
        let names: Vec<String> = (1..=nodes).map(|index| format!("n{index}")).collect();
        let fabric = EmbeddedFabric::new().without_capture();
        let mut switches = Vec::new();
        {
            let _inside = runtime.enter();
            for (dpid, name) in (1..).zip(&names) {
                let ports = (1..).zip(1..=interfaces);
                let ports = ports
                    .map(|(port, index): (u32, _)| PortSpec::new(port, format!("vhost{index}")));
                switches.push(
                    fabric.add(controller.openflow(), Datapath::new(dpid, name.clone(), ports)),
                );
            }
        }
        let scene = Embedded { switches, _runtime: runtime };
        let stage = Self::open(names, interfaces, spec, controller, adapt, scene)?;
        stage.controller.wait_for_switches(nodes)?;
        Ok(stage)
    }

    /// Waits until every node tells the scheduler that it has so many interfaces.
    pub fn wait_for_rooms(&self, interfaces: usize) -> Checked {
        (1..=self.scene.switches.len())
            .try_for_each(|index| self.wait_for_room(&format!("n{index}"), interfaces))
    }
}

impl<Scene> Stage<Scene> {
    fn open(
        nodes: Vec<String>,
        interfaces: usize,
        spec: &ClusterSpec,
        controller: Controller,
        adapt: impl FnOnce(&Cluster, &mut BridgePlan) -> Checked,
        scene: Scene,
    ) -> Result<Self, LabError> {
        let cluster = Cluster::start_with(spec.clone())?;
        nodes.iter().try_for_each(|name| cluster.node(name))?;
        cluster.pool_definitions("default", interfaces)?;
        let line = Balancer::over(vec![controller.rest().address()])?;
        // With the rights that the manifests give it, and no others.
        for file in ["namespace.yaml", "bridge-rights.yaml"] {
            cluster.apply(&manifest(file)?, false)?;
        }
        let mut plan = BridgePlan::alone(&cluster, line.address())?;
        plan.kubeconfig = cluster.account_kubeconfig("isolane", "isolane-k8s-bridge")?;
        plan.arguments = vec!["--namespace=isolane".to_owned()];
        adapt(&cluster, &mut plan)?;
        let mut stage = Self { bridges: BTreeMap::new(), plan, line, cluster, controller, scene };
        stage.start_bridge()?;
        Ok(stage)
    }

    /// Starts the bridge, again if need be, and waits until the API server asks it.
    pub fn start_bridge(&mut self) -> Checked {
        self.start_replica(&self.plan.clone())
    }

    /// Starts a replica, again if need be, and waits until the API server asks the bridge.
    pub fn start_replica(&mut self, plan: &BridgePlan) -> Checked {
        let bridge = plan.start(self.cluster.folder())?;
        self.bridges.insert(plan.name.clone(), bridge);
        self.wait_until_asked(plan)
    }

    /// Ends a replica as `kill -9` does.
    pub fn kill_bridge(&mut self, name: &str) -> Checked {
        let bridge = self.bridges.remove(name);
        bridge.ok_or_else(|| LabError::Wrong(format!("no bridge {name}")))?.kill()
    }

    /// What all replicas logged.
    pub fn bridge_logs(&self) -> String {
        self.bridges.iter().map(|(name, it)| format!("== {name}\n{}", it.log())).collect()
    }

    /// Waits until the replica is registered and the API server asks it: a pod that asks is given a request for an
    /// interface, which a dry run tells.
    pub fn wait_until_asked(&self, plan: &BridgePlan) -> Checked {
        let cluster = &self.cluster;
        let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
        let pod = PodSpec::new("probe").networks("vpod-of-nobody");
        let pods = "/api/v1/namespaces/default/pods?dryRun=All";
        if self.cluster.config_of("default", "vpod-of-nobody").is_err() {
            self.cluster.network("default", "vpod-of-nobody")?;
        }
        until("the API server to ask the bridge", LIMIT, || {
            let registered = cluster.api().get(path)?.to_string();
            let made = cluster.api().call("POST", pods, &pod.object())?.to_string();
            Ok(
                match (plan.by_service || registered.contains(&plan.webhook.to_string()))
                    && made.contains("isolane.io/port")
                {
                    true => Look::Done(()),
                    false => Look::NotYet(format!("{registered}\n{made}\n{}", self.bridge_logs())),
                },
            )
        })
    }

    /// Waits until a node tells the scheduler that it has so many interfaces.
    pub fn wait_for_room(&self, node: &str, count: usize) -> Checked {
        until(&format!("{node} to have {count} interfaces"), LIMIT, || {
            let status = &self.cluster.node_named(node)?["status"];
            Ok(match room(status) == count {
                true => Look::Done(()),
                false => Look::NotYet(format!("{status}\n{}", self.bridge_logs())),
            })
        })
    }

    /// All attachments the bridge holds at the controller.
    pub fn attachments(&self) -> Result<Vec<Attachment>, LabError> {
        #[derive(serde::Deserialize)]
        struct Page {
            items: Vec<Attachment>,
            next: Option<String>,
        }
        let mut all = Vec::new();
        let mut query = String::new();
        loop {
            let path = format!("/api/v1/attachments?owner_prefix={OURS}{query}");
            let page: Page = self.controller.rest().get(&path)?.typed(&[200])?;
            all.extend(page.items);
            match page.next {
                Some(cursor) => query = format!("&cursor={cursor}"),
                None => return Ok(all),
            }
        }
    }

    /// Waits until the controller holds exactly so many attachments.
    pub fn wait_for_attachments(&self, count: usize) -> Result<Vec<Attachment>, LabError> {
        until(&format!("{count} attachments"), LIMIT, || {
            let all = self.attachments()?;
            Ok(match all.len() == count {
                true => Look::Done(all),
                false => Look::NotYet(format!("{all:#?}\n{}", self.bridge_logs())),
            })
        })
    }

    /// Waits until the controller's attachments are exactly what the pods' annotations say, each port once.
    pub fn wait_until_consistent(&self) -> Result<BTreeMap<Place, String>, LabError> {
        until("attachments to be what the pods say", LIMIT, || {
            let (pods, held) = (self.given()?, self.attachments()?);
            let mut ports = BTreeMap::new();
            for it in &held {
                let uid = it.owner.to_string().split('/').nth(3).unwrap_or_default().to_owned();
                ports.insert((it.switch.to_string(), it.port.to_string()), uid);
            }
            Ok(match pods {
                Ok(pods) if pods == ports && held.len() == ports.len() => Look::Done(pods),
                pods => Look::NotYet(format!("{pods:#?}\nbut {ports:#?}\n{}", self.bridge_logs())),
            })
        })
    }

    /// By port: the uid of the pod on that node whose annotation names its other end. An error says why that isn't so
    /// yet: a pod that asked has no interface, or two have one.
    fn given(&self) -> Result<Result<BTreeMap<Place, String>, String>, LabError> {
        let pods = self.cluster.api().done(self.cluster.api().get("/api/v1/pods"))?;
        let mut given = BTreeMap::new();
        for pod in pods["items"].as_array().into_iter().flatten() {
            for place in match places(pod) {
                Ok(places) => places,
                Err(error) => return Ok(Err(error)),
            } {
                let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
                if let Some(other) = given.insert(place.clone(), uid) {
                    return Ok(Err(format!(
                        "{place:?} is given to {} and to {other}",
                        pod["metadata"]["name"]
                    )));
                }
            }
        }
        Ok(Ok(given))
    }
}

/// A node and a port of its switch.
pub type Place = (String, String);

/// The ports that a pod holds by its annotation: none if it isn't bound, or has ended.
pub fn places(pod: &Value) -> Result<Vec<Place>, String> {
    let Some(node) = pod["spec"]["nodeName"].as_str() else { return Ok(Vec::new()) };
    let text = pod["metadata"]["annotations"][NETWORKS].as_str().unwrap_or_default();
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let wanted = testbed::kube::wanted(text, namespace).map_err(|error| error.to_string())?;
    let port = |name: &str| match name.strip_prefix("vpod") {
        Some(number) => Ok((node.to_owned(), format!("vhost{number}"))),
        None => Err(format!("{} on {node} has only {text}", pod["metadata"]["name"])),
    };
    if ["Succeeded", "Failed"].contains(&pod["status"]["phase"].as_str().unwrap_or_default()) {
        return Ok(Vec::new());
    }
    wanted.iter().map(|it| port(&it.name)).collect()
}

/// The interfaces that a node's status offers.
pub fn room(status: &Value) -> usize {
    let text = status["allocatable"]["isolane.io/port"].as_str().unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// On the API server that was chosen.
pub fn spec() -> Result<ClusterSpec, LabError> {
    let assets = crate::chosen_assets().map_err(|reason| LabError::Wrong(reason.to_owned()))?;
    Ok(ClusterSpec { assets, watch_cache: true })
}

/// Does the same with each of many, on some threads at once, and keeps the order.
pub fn at_once<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, LabError> + Sync,
) -> Result<Vec<R>, LabError> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    done.lock().unwrap().insert(index, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}
