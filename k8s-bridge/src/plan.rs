//! What is to be done about one pod: its state and its ports to steps.
//!
//! Pure. [`plan`] is asked again whenever anything changes, and at intervals,
//! so a step that fails is only late. Nothing is released at a pod's deletion
//! timestamp: its interfaces are still in it.

use std::collections::{BTreeSet, HashMap};

use api::name::{PortRef, SwitchRef};
use api::types::{Attachment, PortSpec};
use api::values::{NetworkName, Timestamp};

use crate::annotation::Annotation;
use crate::facts::{Facts, Reported};
use crate::names::{NETWORKS, Pair};
use crate::networks::{Asked, Definitions, Want};
use crate::owners::{Cluster, PodKey};
use crate::record::{Held, Record};
use crate::verdict::unreadable;

/// What is known of a pod.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Whose attachments are ours.
    pub cluster: &'a Cluster,
    /// The pod.
    pub key: &'a PodKey,
    /// What it says.
    pub life: Life<'a>,
    /// The attachments under its owner.
    pub held: &'a [Attachment],
    /// What is declared of those ports, where that was read.
    pub declared: &'a HashMap<(SwitchRef, PortRef), PortSpec>,
    /// The definitions.
    pub definitions: &'a Definitions,
    /// Ports of the pod's node whose interface another pod names itself.
    pub taken: &'a BTreeSet<String>,
    /// Whether we say which ports are ready; else the nodes' side does.
    pub marks: bool,
    /// How long a pod may hold ports without a node, in milliseconds.
    pub unbound: u64,
    /// The time.
    pub now: Timestamp,
}

/// Whether a pod is there.
#[derive(Clone, Copy)]
pub enum Life<'a> {
    /// It is.
    There(&'a Facts),
    /// It is, and its node is not.
    WithoutNode(&'a Facts),
    /// It is gone; what it last said, if that is known.
    Gone(Option<&'a Facts>),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A pool's port may not be given out for now.
    NotReady(SwitchRef, PortRef),
    /// It may again, as far as this pod is concerned.
    Ready(SwitchRef, PortRef),
    /// A port is detached.
    Release {
        /// Which one.
        attachment: Box<Attachment>,
        /// Why, as a sentence without its end.
        why: String,
    },
    /// A port is attached, or what is declared of it changes.
    Put {
        /// The network.
        network: NetworkName,
        /// The switch.
        switch: SwitchRef,
        /// The port.
        port: PortRef,
        /// What is declared of it.
        spec: Box<PortSpec>,
        /// Whether it was attached, and somebody detached it.
        again: bool,
    },
    /// A pod that has a node gets its ports and its annotations.
    Join {
        /// The node.
        node: String,
        /// The annotation as it is now.
        original: String,
        /// The same, read.
        annotation: Annotation,
        /// What it asks for.
        wants: Vec<Want>,
    },
    /// The pod's annotations become these.
    Annotate(Box<Record>),
    /// People are told.
    Tell(Message),
}

/// What people are told about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether something is wrong.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
}

/// A message that says that something is wrong.
pub fn warn(reason: &'static str, note: impl Into<String>) -> Message {
    Message { warning: true, reason, note: note.into() }
}

/// What is to be done about this pod; nothing if all is well.
pub fn plan(view: &View<'_>) -> Vec<Step> {
    match view.life {
        Life::Gone(last) => gone(view, last),
        Life::WithoutNode(pod) => {
            let node = pod.node.as_deref().unwrap_or_default();
            release(view.held, &format!("its node {node} is gone"))
        }
        Life::There(pod) if pod.ended => ended(view),
        Life::There(pod) => match &pod.node {
            None => unbound(view),
            Some(node) => bound(view, pod, node),
        },
    }
}

fn gone(view: &View<'_>, last: Option<&Facts>) -> Vec<Step> {
    let mut steps = release(view.held, "the pod is gone");
    if view.marks
        && let Some(last) = last
    {
        steps.extend(marked(view, last).map(|(switch, port)| Step::Ready(switch, port)));
    }
    steps
}

/// Ports that we marked not ready because of this pod: its own when it ended,
/// and one that it named itself.
fn marked(view: &View<'_>, pod: &Facts) -> impl Iterator<Item = (SwitchRef, PortRef)> {
    let mut names: Vec<String> = Vec::new();
    if pod.ended
        && let Some(ports) =
            pod.record.as_ref().and_then(|r| r.ports_for(pod, &[], view.definitions))
    {
        names.extend(ports.iter().map(|port| port.port.clone()));
    }
    if let Some(pair) = usurped(view.definitions, pod) {
        names.push(pair.vhost());
    }
    let switch: Option<SwitchRef> = pod.node.as_ref().and_then(|node| node.parse().ok());
    names.into_iter().filter_map(move |name| Some((switch.clone()?, name.parse().ok()?)))
}

/// The pool interface that a pod names without having got it from us.
pub fn usurped(definitions: &Definitions, pod: &Facts) -> Option<Pair> {
    let given = pod.record.as_ref().and_then(|record| record.ports_for(pod, &[], definitions));
    if pod.mirror || given.is_some() || pod.node.is_none() {
        return None;
    }
    let annotation = Annotation::parse(pod.networks.as_ref()?).ok()?;
    match definitions.resolve(&annotation, &pod.key.namespace) {
        Asked::Interface { pair, .. } => Some(pair),
        _ => None,
    }
}

/// It has ended, and its interfaces may still be in it.
fn ended(view: &View<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if view.marks {
        let ports = view.held.iter().map(|h| Step::NotReady(h.switch.clone(), h.port.clone()));
        steps.extend(ports);
    }
    steps.extend(release(view.held, "the pod has ended"));
    steps
}

/// While it has no node, it may hold a port on each node that was tried.
fn unbound(view: &View<'_>) -> Vec<Step> {
    let old = |h: &&Attachment| view.now.millis().saturating_sub(h.since.millis()) > view.unbound;
    let old: Vec<Attachment> = view.held.iter().filter(old).cloned().collect();
    release(&old, &format!("the pod has got no node in {} s", view.unbound / 1_000))
}

fn bound(view: &View<'_>, pod: &Facts, node: &str) -> Vec<Step> {
    let elsewhere = |h: &&Attachment| match &h.switch {
        // A switch without its name may be this node's.
        SwitchRef::Dpid(_) => false,
        name @ SwitchRef::Name(_) => node.parse().is_ok_and(|node: SwitchRef| node != *name),
    };
    let (others, here): (Vec<_>, Vec<_>) = view.held.iter().partition(elsewhere);
    let others: Vec<Attachment> = others.into_iter().cloned().collect();
    let mut steps = release(&others, &format!("the pod is on node {node}"));
    let here: Vec<Attachment> = here.into_iter().cloned().collect();
    let here = here.as_slice();
    if pod.mirror {
        steps.extend(release(here, "a static pod gets no ports"));
        return steps;
    }
    if let Some(record) = &pod.record
        && let Some(ports) = record.ports_for(pod, here, view.definitions)
    {
        steps.extend(recorded(view, pod, node, record, ports, here));
        return steps;
    }
    if let Some(record) = Record::rebuilt(view.cluster, pod, here, view.definitions) {
        steps.push(Step::Annotate(Box::new(record)));
        return steps;
    }
    steps.extend(unrecorded(view, pod, node, here));
    steps
}

/// The pod has been given its ports: each must be attached as it was.
fn recorded(
    view: &View<'_>,
    pod: &Facts,
    node: &str,
    record: &Record,
    ports: &[Held],
    here: &[Attachment],
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut right: Vec<&Attachment> = Vec::new();
    for port in ports {
        let (Some(owner), Ok(switch), Ok(at)) = (
            view.cluster.owner(view.key, &port.interface),
            node.parse::<SwitchRef>(),
            port.port.parse::<PortRef>(),
        ) else {
            continue;
        };
        let found =
            here.iter().find(|h| h.owner == owner && h.network == port.network && h.port == at);
        let seen = seen(view, pod, port);
        if let Seen::Other(name) = &seen {
            steps.push(Step::Tell(warn(
                "StatusDisagrees",
                format!(
                    "interface {} should be {}, and the pod's network-status says {name}: \
                     {port} is detached from {}; delete the pod so that it is made anew",
                    port.interface,
                    port.pair().map(Pair::vpod).unwrap_or_default(),
                    port.network,
                    port = port.port,
                ),
            )));
            continue; // released below
        }
        if view.taken.contains(&port.port) && !pod.started {
            steps.push(Step::Tell(warn(
                "PortTaken",
                format!(
                    "another pod of node {node} names {} itself, and may have it before this one: \
                     {port} is detached from {} until that pod is gone",
                    port.pair().map(Pair::vpod).unwrap_or_default(),
                    port.network,
                    port = port.port,
                ),
            )));
            continue; // released below
        }
        let enforce = is_enforced(view, record, pod, port);
        let declared = |spec: &PortSpec| {
            let Seen::Same(reported) = &seen else { return spec.clone() };
            let mac: Vec<_> = reported.mac.into_iter().collect();
            let enforce = enforce && !mac.is_empty();
            PortSpec { mac, ips: reported.ips.clone(), enforce, ..spec.clone() }
        };
        match found {
            Some(found) => {
                right.push(found);
                let key = (found.switch.clone(), found.port.clone());
                if let Some(now) = view.declared.get(&key)
                    && declared(now) != *now
                {
                    steps.push(Step::Put {
                        network: port.network.clone(),
                        switch: found.switch.clone(),
                        port: at,
                        spec: Box::new(declared(now)),
                        again: false,
                    });
                }
            }
            None => {
                let spec = PortSpec { owner: Some(owner), ..PortSpec::default() };
                steps.push(Step::Put {
                    network: port.network.clone(),
                    switch,
                    port: at,
                    spec: Box::new(declared(&spec)),
                    again: true,
                });
            }
        }
    }
    // What is not the pod's goes first: it may be in the way of what is.
    let wrong: Vec<Attachment> = here.iter().filter(|h| !right.contains(h)).cloned().collect();
    let mut all = release(&wrong, "it is not what the pod has");
    all.extend(steps);
    if pod.networks.as_ref() != Some(&record.result) {
        all.push(Step::Annotate(Box::new(record.clone())));
        all.push(Step::Tell(warn(
            "AnnotationRestored",
            format!(
                "annotation {NETWORKS} was changed while the pod runs, and is as it was again: \
                 networks of a pod can't change; delete the pod and make it anew"
            ),
        )));
    }
    all
}

/// The webhook was not asked, or its answer was not waited for.
fn unrecorded(view: &View<'_>, pod: &Facts, node: &str, here: &[Attachment]) -> Vec<Step> {
    let drop_all = |why: &str, message: Option<Message>| {
        let mut steps = release(here, why);
        steps.extend(message.map(Step::Tell));
        steps
    };
    let Some(original) = &pod.networks else {
        return drop_all("the pod asks for no network", None);
    };
    if pod.host_network {
        return drop_all("the pod uses its node's own network", None);
    }
    let annotation = match Annotation::parse(original) {
        Ok(annotation) => annotation,
        Err(error) => {
            let message = warn("NetworksIgnored", unreadable(&error));
            return drop_all("the pod's annotation can't be read", Some(message));
        }
    };
    match view.definitions.resolve(&annotation, &view.key.namespace) {
        Asked::Networks(wants) if wants.is_empty() => {
            drop_all("the pod asks for no network of ours", None)
        }
        Asked::Networks(_) if pod.started => drop_all(
            "the pod runs without its networks",
            Some(warn(
                "NetworksMissing",
                format!(
                    "the pod was started without its networks ({original}); delete it so that it \
                     is made anew"
                ),
            )),
        ),
        Asked::Networks(_) if pod.deleting => drop_all("the pod is being deleted", None),
        Asked::Networks(wants) => vec![Step::Join {
            node: node.to_owned(),
            original: original.clone(),
            annotation,
            wants,
        }],
        Asked::Nothing(why) => {
            let message = warn("NetworksIgnored", why);
            drop_all("the pod asks for what can't be had", Some(message))
        }
        Asked::Interface { name, pair, .. } => {
            let note = format!(
                "annotation {NETWORKS} names {name}, an interface of the pool that the pod was \
                 not given: {pair} of node {node} is kept back; delete the pod, and name a network"
            );
            let mut steps = drop_all(
                "the pod names a pool interface itself",
                Some(warn("PoolInterfaceNamed", note)),
            );
            if view.marks
                && let (Ok(switch), Ok(port)) = (node.parse(), pair.vhost().parse())
            {
                steps.insert(0, Step::NotReady(switch, port));
            }
            steps
        }
    }
}

/// What plugins report of a port.
enum Seen<'a> {
    /// Nothing yet.
    Nothing,
    /// The interface that it should be.
    Same(&'a Reported),
    /// Another one, by this name.
    Other(String),
}

fn seen<'a>(view: &View<'_>, pod: &'a Facts, port: &Held) -> Seen<'a> {
    let Some(pair) = port.pair() else { return Seen::Nothing };
    let target = view.definitions.target(pair, &view.key.namespace);
    let namespace = target.namespace.as_deref().unwrap_or(&view.key.namespace);
    let definition = view.definitions.find(namespace, &target.name);
    let config_name = definition.and_then(|definition| definition.config_name.as_deref());
    let is_it = |reported: &&Reported| {
        let name = reported.name.rsplit('/').next().unwrap_or_default();
        name == target.name || Some(reported.name.as_str()) == config_name
    };
    if let Some(reported) = pod.status.iter().find(is_it) {
        return Seen::Same(reported);
    }
    let there = |reported: &&Reported| reported.interface.as_ref() == Some(&port.interface);
    match pod.status.iter().find(there) {
        Some(other) => Seen::Other(other.name.clone()),
        None => Seen::Nothing,
    }
}

fn is_enforced(view: &View<'_>, record: &Record, pod: &Facts, port: &Held) -> bool {
    let definition = Annotation::parse(&record.original).ok().and_then(|annotation| {
        let (namespace, name) = annotation.entries().get(port.entry)?.key(&pod.key.namespace);
        view.definitions.find(&namespace, &name).cloned()
    });
    definition.is_some_and(|definition| definition.enforce)
}

fn release(held: &[Attachment], why: &str) -> Vec<Step> {
    let step = |attachment: &Attachment| Step::Release {
        attachment: Box::new(attachment.clone()),
        why: why.to_owned(),
    };
    held.iter().map(step).collect()
}

#[cfg(test)]
mod tests;
