//! Whole documents of desired state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::invalid::Invalid;
use crate::name::{PortRef, SwitchRef};
use crate::read_only::written;
use crate::types::network::NetworkSpec;
use crate::types::port::{PortSpec, few};
use crate::types::state::{Change, State, SwitchReason, acknowledge};
use crate::values::{HostIp, Labels, MacAddr, NetworkName, Owner, SetName};

/// Networks and ports that are wanted, all or nothing.
///
/// Objects that exist already are made as the document says. With `prune`,
/// those of the same set that the document doesn't name are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The set that the document's objects belong to from now on. Without it
    /// they belong to none, and nothing can be pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetName>,
    /// The networks.
    #[serde(default)]
    pub networks: Vec<NetworkSpec>,
    /// The ports. A port's network is in the document, or exists already.
    #[serde(default)]
    pub ports: Vec<DocumentPort>,
}

/// A port in a network, as a document says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct DocumentPort {
    /// The network.
    pub network: NetworkName,
    /// The switch.
    pub switch: SwitchRef,
    /// The port.
    pub port: PortRef,
    /// MAC addresses of its host, as in `PortSpec`.
    #[serde(default, deserialize_with = "few", skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub mac: Vec<MacAddr>,
    /// IP addresses of its host, as in `PortSpec`.
    #[serde(default, deserialize_with = "few", skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub ips: Vec<HostIp>,
    /// Whether `mac` and `ips` are an allow-list; `mac` can't be empty then.
    #[serde(default)]
    pub enforce: bool,
    /// Who the port is held for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The caller's own notes.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

written!(DocumentPort, ["number", "set", "state", "reason", "reasons"]);

impl DocumentPort {
    /// What is said of the port's host.
    pub fn spec(&self) -> PortSpec {
        PortSpec {
            mac: self.mac.clone(),
            ips: self.ips.clone(),
            enforce: self.enforce,
            owner: self.owner.clone(),
            labels: self.labels.clone(),
        }
    }
}

impl Document {
    /// Refuses what each object allows but all together don't: an object that
    /// is named twice, a port that [`PortSpec::check`] refuses, and pruning
    /// without a set.
    ///
    /// Two references that only turn out to be one port on the live switch are
    /// not found here.
    pub fn check(&self, prune: bool) -> Result<(), Problem> {
        let twice = |what| Invalid::new(what, "is named twice in this document");
        let mut names = BTreeSet::new();
        for (at, network) in self.networks.iter().enumerate() {
            if !names.insert(&network.name) {
                let error = Problem::invalid(&twice("network name"));
                return Err(error.at(format!("/networks/{at}/name")));
            }
        }
        let mut places = BTreeSet::new();
        for (at, port) in self.ports.iter().enumerate() {
            if !places.insert((&port.switch, &port.port)) {
                return Err(Problem::invalid(&twice("port")).at(format!("/ports/{at}/port")));
            }
            if let Err(error) = port.spec().check() {
                return Err(Problem::invalid(&error).at(format!("/ports/{at}/{}", error.what)));
            }
        }
        if prune && self.set.is_none() {
            let why = "is missing; prune removes what a set no longer names, so it needs one";
            return Err(Problem::invalid(&Invalid::new("set", why)).at("/set"));
        }
        Ok(())
    }
}

/// What kind of object a document changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A network.
    Network,
    /// A port in a network.
    Port,
}

/// What became of one object of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectChange {
    /// What kind of object it is.
    pub kind: ObjectKind,
    /// The network, or the network that the port is in.
    pub network: NetworkName,
    /// The port's switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchRef>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// What became of it.
    pub change: Change,
    /// How far it has come.
    pub state: State,
    /// Why it isn't `installed`.
    pub reason: Option<String>,
}

/// What applying a document did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// The document's set.
    pub set: Option<SetName>,
    /// How many objects are new.
    pub created: u64,
    /// How many objects are different now.
    pub updated: u64,
    /// How many objects are gone.
    pub deleted: u64,
    /// How many objects were as the document says.
    pub unchanged: u64,
    /// Each object that is new, different or gone, those of the document in
    /// its order, then those pruned.
    pub changes: Vec<ObjectChange>,
    /// How far all of it has come.
    pub state: State,
    /// Why it isn't `installed`.
    pub reason: Option<String>,
    /// What single switches are waited for.
    pub reasons: Vec<SwitchReason>,
}

acknowledge!(Applied);

impl Applied {
    /// What a document did whose objects became this; the unchanged ones are
    /// counted and left out.
    pub fn new(set: Option<SetName>, objects: Vec<ObjectChange>) -> Self {
        let count = |change| objects.iter().filter(|object| object.change == change).count() as u64;
        Self {
            set,
            created: count(Change::Created),
            updated: count(Change::Updated),
            deleted: count(Change::Deleted),
            unchanged: count(Change::Unchanged),
            changes: objects.into_iter().filter(|o| o.change != Change::Unchanged).collect(),
            state: State::Installed,
            reason: None,
            reasons: Vec::new(),
        }
    }
}
