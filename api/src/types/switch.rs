//! Switches and their ports.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::name::{Dpid, Name};
use crate::read_only::written;
use crate::types::state::{Ack, Acknowledge, sentence};
use crate::values::{MacAddr, NetworkName, Owner, Pattern, Timestamp};

/// How a switch stands to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// It is connected and managed.
    Connected,
    /// Its session is being set up.
    Connecting,
    /// It was connected once and is not now; it may well forward.
    Away,
    /// It is connected, but lacks what the pipeline needs; `reason` names it.
    Unsupported,
    /// It holds Isolane's flows, and this store knows of none: `adopt` or
    /// `reset` it.
    ForeignState,
}

/// What a switch says of itself (`OFPMP_DESC`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SwitchDescription {
    /// Who made it.
    pub manufacturer: String,
    /// What it runs on.
    pub hardware: String,
    /// What it runs.
    pub software: String,
    /// Its serial number.
    pub serial: String,
}

/// What a port is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortRole {
    /// Nothing yet.
    Free,
    /// It is attached to a network.
    Attached,
    /// It joins this switch to another one.
    Trunk,
    /// It is kept for attachments that don't say which port they want.
    Pool,
    /// It is in no network any more, but its switch has not confirmed that: it
    /// isn't given out.
    Releasing,
    /// It is the switch's own.
    Local,
}

/// A port of a switch as the switch reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SwitchPort {
    /// Its OpenFlow number.
    pub number: u32,
    /// Its name.
    pub name: Name,
    /// Whether frames can pass: enabled, and its link is there.
    pub up: bool,
    /// Its own MAC address, where it has one.
    pub mac: Option<MacAddr>,
    /// What it is used for.
    pub role: PortRole,
    /// Whether the node's side lets it be given out; none for a port that
    /// isn't in the pool.
    pub ready: Option<bool>,
    /// The network that it is attached to.
    pub network: Option<NetworkName>,
    /// Who it is held for.
    pub owner: Option<Owner>,
}

/// A switch that the controller knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Switch {
    /// Its datapath id.
    #[schema(read_only)]
    pub dpid: Dpid,
    /// Its name, if it has one.
    pub name: Option<Name>,
    /// Which ports may be given out.
    pub pool: Pattern,
    /// Which ports may be trunks.
    pub trunks: Pattern,
    /// How it stands to the controller.
    #[schema(read_only)]
    pub connection: Connection,
    /// Whether it has a session now.
    #[schema(read_only)]
    pub connected: bool,
    /// Whether it holds exactly what it should.
    #[schema(read_only)]
    pub in_sync: bool,
    /// Why it is not connected, not in sync or not used; also a conflict of
    /// its name.
    #[schema(read_only)]
    pub reason: Option<String>,
    /// Since when it is in this state.
    #[schema(read_only)]
    pub since: Option<Timestamp>,
    /// Where its session comes from: an IP address and a port.
    #[schema(read_only)]
    pub address: Option<String>,
    /// What it says of itself; none before it was first connected.
    #[schema(read_only)]
    pub description: Option<SwitchDescription>,
    /// Its ports, as it last reported them.
    #[schema(read_only)]
    pub ports: Vec<SwitchPort>,
}

/// The body of a switch's PATCH. What is left out stays; `null` goes back to
/// what is so by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct SwitchPatch {
    /// Its name; `null`: what the switch itself says.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub name: Option<Option<Name>>,
    /// Which ports may be given out; `null`: `vhost*`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Pattern>)]
    pub pool: Option<Option<Pattern>>,
    /// Which ports may be trunks; `null`: `*`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Pattern>)]
    pub trunks: Option<Option<Pattern>>,
}

written!(
    SwitchPatch,
    [
        "dpid",
        "connection",
        "connected",
        "in_sync",
        "reason",
        "since",
        "address",
        "description",
        "ports"
    ]
);

/// Tells `null` from a field that is left out.
fn given<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from).map(Some)
}

impl Acknowledge for Switch {
    fn acknowledge(&mut self, ack: Ack) {
        let Ack::Pending(waiting) = ack else { return };
        self.in_sync = false;
        if self.reason.is_none() {
            self.reason = sentence(&waiting);
        }
    }
}
