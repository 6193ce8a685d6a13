//! Attachments: ports that are held for somebody, and the pools they come from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::{PortRef, SwitchRef};
use crate::read_only::written;
use crate::types::state::{Ack, Acknowledge, State, SwitchReason, acknowledge};
use crate::values::{AttachmentId, NetworkName, Owner, Timestamp};

/// A port that is asked for: any free one of this switch's pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct AttachmentSpec {
    /// The switch.
    pub switch: SwitchRef,
    /// Who it is for. The same owner gets the same port again.
    pub owner: Owner,
}

written!(
    AttachmentSpec,
    ["id", "network", "port", "number", "since", "state", "reason", "reasons"]
);

/// A port that has an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// What names it.
    #[schema(read_only)]
    pub id: AttachmentId,
    /// The network that the port is in.
    #[schema(read_only)]
    pub network: NetworkName,
    /// The switch, by name where it has one.
    pub switch: SwitchRef,
    /// The port, by name where it has one.
    #[schema(read_only)]
    pub port: PortRef,
    /// The port's OpenFlow number now; none while it isn't there.
    #[schema(read_only)]
    pub number: Option<u32>,
    /// Who it is for.
    pub owner: Owner,
    /// Since when.
    #[schema(read_only)]
    pub since: Timestamp,
    /// How far it has come.
    #[schema(read_only)]
    pub state: State,
    /// Why it isn't `installed`.
    #[schema(read_only)]
    pub reason: Option<String>,
    /// What single switches are waited for.
    #[schema(read_only)]
    pub reasons: Vec<SwitchReason>,
}

acknowledge!(Attachment);

/// Which attachments are asked for; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachmentFilter {
    /// Only those of exactly this owner.
    pub owner: Option<Owner>,
    /// Only those whose owner starts with this.
    pub owner_prefix: Option<String>,
}

/// The body of a pool port's PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PoolPortBody {
    /// Whether the port may be given out.
    pub ready: bool,
}

written!(PoolPortBody, ["switch", "port", "number", "use", "owner"]);

/// What a pool's port is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolUse {
    /// Nothing: it can be given out once it is ready.
    Free,
    /// It is attached to a network.
    Attached,
    /// It was detached, and a switch has not confirmed that yet.
    Releasing,
}

/// A port of a switch's pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolPort {
    /// The switch, by name where it has one.
    #[schema(read_only)]
    pub switch: SwitchRef,
    /// The port, by name where it has one.
    #[schema(read_only)]
    pub port: PortRef,
    /// The port's OpenFlow number now; none while it isn't there.
    #[schema(read_only)]
    pub number: Option<u32>,
    /// Whether the node's side lets it be given out.
    pub ready: bool,
    /// What it is doing.
    #[schema(read_only)]
    pub r#use: PoolUse,
    /// Who it is held for.
    #[schema(read_only)]
    pub owner: Option<Owner>,
}

/// How many ports a pool has, and why none of them is given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCount {
    /// All of them.
    pub size: usize,
    /// Those that are attached to a network.
    pub attached: usize,
    /// Those that were detached, which a switch has not confirmed yet.
    pub releasing: usize,
    /// Those that the node's side has marked as not ready.
    pub not_ready: usize,
    /// Those that join two switches.
    pub trunks: usize,
}

/// Readiness is the controller's own knowledge: no switch is waited for.
impl Acknowledge for PoolPort {
    fn acknowledge(&mut self, _: Ack) {}
}
