//! Hosts: which MAC address is where.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::{PortRef, SwitchRef};
use crate::values::{HostIp, MacAddr, NetworkName, Timestamp};

/// How a host is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HostSource {
    /// It sent a frame.
    Learnt,
    /// Its port says so.
    Declared,
}

/// A host: a MAC address in a network, behind a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its IP addresses, where they are declared.
    pub ips: Vec<HostIp>,
    /// The network it is in; the same MAC may be in several.
    pub network: NetworkName,
    /// The switch it is behind, by name where it has one.
    pub switch: SwitchRef,
    /// The port it is behind, by name where it has one.
    pub port: PortRef,
    /// How it is known.
    pub source: HostSource,
    /// Since when it is known at this port.
    pub since: Timestamp,
}

/// Which hosts are asked for; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFilter {
    /// Only those of this network; one that doesn't exist has none.
    pub network: Option<NetworkName>,
    /// Only those behind this switch; one that isn't known has none.
    pub switch: Option<SwitchRef>,
}
