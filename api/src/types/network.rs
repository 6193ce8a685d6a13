//! Virtual networks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::read_only::written;
use crate::types::state::{State, SwitchReason, acknowledge};
use crate::values::{Labels, MacLimit, NetworkName, SetName};

/// What a virtual network is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// One layer-2 broadcast domain, as if its ports were on one switch.
    #[default]
    Lan,
}

/// A virtual network as a caller wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct NetworkSpec {
    /// Its name, and its place under `/networks`.
    pub name: NetworkName,
    /// What it is like.
    #[serde(default)]
    pub kind: NetworkKind,
    /// How many MAC addresses it may learn; over it, frames are flooded.
    #[serde(default)]
    pub mac_limit: MacLimit,
    /// The caller's own notes.
    #[serde(default)]
    pub labels: Labels,
}

written!(
    NetworkSpec,
    ["id", "set", "state", "reason", "reasons", "ports", "learnt", "mac_limit_reached"]
);

impl NetworkSpec {
    /// A network of this name, all else as by default.
    pub fn new(name: NetworkName) -> Self {
        Self {
            name,
            kind: NetworkKind::default(),
            mac_limit: MacLimit::default(),
            labels: Labels::default(),
        }
    }
}

/// The body of a network's PUT: its whole specification. What is left out
/// becomes as by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct NetworkBody {
    /// Its name; if it is given, it must be the one in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NetworkName>,
    /// What it is like.
    #[serde(default)]
    pub kind: NetworkKind,
    /// How many MAC addresses it may learn; over it, frames are flooded.
    #[serde(default)]
    pub mac_limit: MacLimit,
    /// The caller's own notes.
    #[serde(default)]
    pub labels: Labels,
}

written!(
    NetworkBody,
    ["id", "set", "state", "reason", "reasons", "ports", "learnt", "mac_limit_reached"]
);

/// A virtual network and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// Its number on the switches: its tags and its groups follow from it.
    #[schema(read_only)]
    pub id: u32,
    /// What it is like.
    pub kind: NetworkKind,
    /// How many MAC addresses it may learn.
    pub mac_limit: MacLimit,
    /// The caller's own notes.
    pub labels: Labels,
    /// The set of the document that applied it.
    #[schema(read_only)]
    pub set: Option<SetName>,
    /// How far it has come.
    #[schema(read_only)]
    pub state: State,
    /// Why it isn't `installed`.
    #[schema(read_only)]
    pub reason: Option<String>,
    /// What single switches are waited for.
    #[schema(read_only)]
    pub reasons: Vec<SwitchReason>,
    /// How many ports are attached.
    #[schema(read_only)]
    pub ports: u64,
    /// How many MAC addresses are learnt now, those declared not counted.
    #[schema(read_only)]
    pub learnt: u64,
    /// Whether it has stopped learning because of `mac_limit`.
    #[schema(read_only)]
    pub mac_limit_reached: bool,
}

acknowledge!(Network);

impl Network {
    /// What a caller would write to get this network.
    pub fn spec(&self) -> NetworkSpec {
        NetworkSpec {
            name: self.name.clone(),
            kind: self.kind,
            mac_limit: self.mac_limit,
            labels: self.labels.clone(),
        }
    }
}
