//! What the controller is told: which interfaces may be given out, and what the overlay document says of links,
//! physical switches and their ports.
//!
//! A task of its own, so that a controller that is away holds nothing up on the node. Every call is idempotent: what
//! failed is tried again, and everything is said anew from time to time, in case somebody changed it by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::client::ClientError;
use api::name::{PortRef, SwitchRef};
use api::types::{Document, Encap, End, LinkBody, PoolPortBody, SwitchPatch, Wait};
use tokio::sync::watch;

use super::names;
use super::overlay::{DeclaredLink, Node, Overlay, Tunnel};
use super::ovs::Vsctl;
use super::plan::{NOTE, Readiness};
use crate::access::Access;

/// Until the second try; each further pause is twice as long, up to the longest. The first often comes too soon: the
/// switch has not connected yet.
const RETRY: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);
/// After this time everything is said anew.
const AGAIN: Duration = Duration::from_secs(300);

/// What is to be told.
#[derive(Clone, Debug)]
pub struct News {
    /// The document.
    pub overlay: Arc<Overlay>,
    /// Each `vhostN`.
    pub pool: BTreeMap<String, Readiness>,
}

/// Tells one controller about one node.
#[derive(Debug)]
pub struct Reporter {
    access: Access,
    node: String,
    ovs: Vsctl,
    /// What it was told of each interface, and took.
    told: BTreeMap<String, bool>,
    /// The document that it was told, and took.
    taken: Option<Arc<Overlay>>,
}

/// The links that a document wants declared, as far as a node is concerned: its own tunnels that LLDP doesn't tell
/// the kind of, and what the document declares.
pub fn links(overlay: &Overlay, node: &str) -> Vec<DeclaredLink> {
    let mut links = Vec::new();
    let here = overlay.node(node).and_then(|at| Some((at, overlay.nodes.get(at)?)));
    if let Some((at, here)) = here
        && overlay.tunnel == Tunnel::OvsVxlan
    {
        for (k, peer) in overlay.tunnels_of(at) {
            let end = |node: &Node| {
                let port = names::vxlan(k).parse::<PortRef>().ok()?;
                Some(End { switch: node.switch().ok()?, port })
            };
            if let (Some(a), Some(b)) = (end(here), end(peer)) {
                links.push(DeclaredLink { a, b, encap: Encap::TunId });
            }
        }
    }
    links.extend(overlay.declared_links.iter().cloned());
    links
}

/// Whether two declarations are of the same link, whatever they say of it.
fn same(one: &DeclaredLink, other: &DeclaredLink) -> bool {
    (&one.a, &one.b) == (&other.a, &other.b) || (&one.a, &one.b) == (&other.b, &other.a)
}

impl Reporter {
    /// Tells this controller about this node; notes are left on the bridge of this Open vSwitch.
    pub fn new(access: Access, node: String, ovs: Vsctl) -> Self {
        Self { access, node, ovs, told: BTreeMap::new(), taken: None }
    }

    /// Tells all that comes, until nobody has anything to tell.
    pub async fn run(mut self, mut news: watch::Receiver<Option<News>>) {
        let mut complaint = None;
        let mut retry = RETRY;
        let mut forget_at = tokio::time::Instant::now() + AGAIN;
        loop {
            if tokio::time::Instant::now() >= forget_at {
                self.told.clear();
                self.taken = None;
                forget_at = tokio::time::Instant::now() + AGAIN;
            }
            let latest = news.borrow_and_update().clone();
            let problems = match &latest {
                Some(news) => self.tell(news).await,
                None => Vec::new(),
            };
            let said = problems.join("; ");
            if latest.is_some() && complaint.as_ref() != Some(&said) {
                match said.as_str() {
                    "" => {
                        tracing::info!(controller = self.access.url(), "the controller knows all");
                    }
                    _ => tracing::warn!(controller = self.access.url(), "not told: {said}"),
                }
                complaint = Some(said);
            }
            let is_told = problems.is_empty();
            let pause = if is_told { AGAIN } else { retry };
            retry = if is_told { RETRY } else { (retry * 2).min(LONGEST) };
            let end = (tokio::time::Instant::now() + pause).min(forget_at);
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(end) => {}
            }
        }
    }

    /// Tells what the controller hasn't taken yet, and returns what it didn't take.
    pub async fn tell(&mut self, news: &News) -> Vec<String> {
        // A token that was renewed is used from the next try on.
        self.access.look();
        let mut problems = Vec::new();
        if let Err(error) = self.tell_pool(&news.pool).await {
            problems.push(error);
        }
        if self.taken.as_deref() != Some(&*news.overlay) {
            let before = problems.len();
            self.tell_overlay(&news.overlay, &mut problems).await;
            if problems.len() == before {
                self.taken = Some(Arc::clone(&news.overlay));
            }
        }
        problems
    }

    async fn tell_pool(&mut self, pool: &BTreeMap<String, Readiness>) -> Result<(), String> {
        let (client, switch) = (self.access.client(), self.switch()?);
        self.told.retain(|port, _| pool.contains_key(port));
        let mut refused = Vec::new();
        // What must not be given out goes first.
        let ready = |readiness: &Readiness| *readiness == Readiness::Ready;
        let mut order: Vec<(&String, bool)> =
            pool.iter().map(|(port, it)| (port, ready(it))).collect();
        order.sort_by_key(|(_, ready)| *ready);
        for (port, ready) in order {
            if self.told.get(port) == Some(&ready) {
                continue;
            }
            let name: PortRef = port.parse().map_err(|error: api::Invalid| error.to_string())?;
            match client.put_pool_port(&switch, &name, PoolPortBody { ready }).await {
                Ok(_) => {
                    tracing::info!(%port, ready, "told whether the interface may be given out");
                    self.told.insert(port.clone(), ready);
                }
                Err(error @ ClientError::Problem(_)) => refused.push(format!("{port}: {error}")),
                // It would be the same with the others, and each would take its time.
                Err(error) => return Err(error.to_string()),
            }
        }
        match refused.first() {
            None => Ok(()),
            Some(first) if refused.len() == 1 => Err(first.clone()),
            Some(first) => Err(format!("{first} (and {} more)", refused.len() - 1)),
        }
    }

    async fn tell_overlay(&self, overlay: &Overlay, problems: &mut Vec<String>) {
        let client = self.access.client();
        let wanted = links(overlay, &self.node);
        let before = problems.len();
        let noted = self.noted(&overlay.bridge).await;
        let gone: Vec<&DeclaredLink> =
            noted.iter().filter(|it| !wanted.iter().any(|want| same(it, want))).collect();
        // Noted before it is said, so that whatever was declared is known to be ours.
        let mut both = wanted.clone();
        both.extend(gone.iter().copied().cloned());
        self.note(&overlay.bridge, &noted, &both, problems).await;
        for link in gone {
            if let Err(error) = client.delete_link(&link.a, &link.b, Wait::Stored).await {
                problems.push(format!("link {} {}: {error}", link.a, link.b));
            }
        }
        for link in &wanted {
            let body = LinkBody { encap: link.encap };
            if let Err(error) = client.put_link(&link.a, &link.b, &body, Wait::Stored).await {
                problems.push(format!("link {} {}: {error}", link.a, link.b));
            }
        }
        for switch in &overlay.switches {
            let patch = SwitchPatch {
                name: switch.name.clone().map(Some),
                pool: switch.pool.clone().map(Some),
                trunks: switch.trunks.clone().map(Some),
            };
            if patch == SwitchPatch::default() {
                continue;
            }
            let patched = client.patch_switch(&switch.dpid.into(), &patch, Wait::Stored).await;
            if let Err(error) = patched {
                problems.push(format!("switch {}: {error}", switch.dpid));
            }
        }
        if let Some(ports) = &overlay.ports {
            let set = Some(overlay.set.clone());
            let document = Document { set, ports: ports.clone(), ..Document::default() };
            if let Err(error) = client.apply(&document, true, Wait::Stored).await {
                problems.push(format!("ports: {error}"));
            }
        }
        if problems.len() == before {
            self.note(&overlay.bridge, &both, &wanted, problems).await;
        }
    }

    /// Takes back what was said of this node: its interfaces, and links that end here.
    pub async fn withdraw(&self, bridge: &str, pool: &[String]) -> Vec<String> {
        let client = self.access.client();
        let mut problems = Vec::new();
        let here = match self.switch() {
            Ok(switch) => switch,
            Err(error) => return vec![error],
        };
        for port in pool {
            let Ok(name) = port.parse::<PortRef>() else { continue };
            match client.put_pool_port(&here, &name, PoolPortBody { ready: false }).await {
                Ok(_) => {}
                // The controller never knew this switch, or this port.
                Err(error) if error.problem().is_some_and(|it| it.status() == 404) => {}
                Err(error) => problems.push(format!("{port}: {error}")),
            }
        }
        let dpid = SwitchRef::Dpid(names::dpid(&self.node));
        let ends_here = |end: &End| end.switch == here || end.switch == dpid;
        for link in self.noted(bridge).await {
            if !ends_here(&link.a) && !ends_here(&link.b) {
                continue;
            }
            if let Err(error) = client.delete_link(&link.a, &link.b, Wait::Stored).await {
                problems.push(format!("link {} {}: {error}", link.a, link.b));
            }
        }
        problems
    }

    fn switch(&self) -> Result<SwitchRef, String> {
        let name = api::name::Name::new(self.node.as_bytes()).map_err(|error| error.to_string())?;
        Ok(SwitchRef::Name(name))
    }

    /// The links that were declared by this node, as the note on its bridge says. A note that can't be read says
    /// nothing: then nothing is taken back.
    async fn noted(&self, bridge: &str) -> Vec<DeclaredLink> {
        match self.ovs.note(bridge, NOTE).await {
            Ok(note) => serde_json::from_str(&note).unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, "the note of declared links can't be read");
                Vec::new()
            }
        }
    }

    async fn note(
        &self,
        bridge: &str,
        before: &[DeclaredLink],
        now: &[DeclaredLink],
        problems: &mut Vec<String>,
    ) {
        if before == now {
            return;
        }
        let noted = match serde_json::to_string(now) {
            Ok(note) => {
                self.ovs.set_note(bridge, NOTE, &note).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = noted {
            problems.push(format!("the note of declared links: {error}"));
        }
    }
}
