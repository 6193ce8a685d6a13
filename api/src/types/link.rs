//! Links between switches, discovered and declared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::invalid::{Invalid, quoted};
use crate::name::{PortRef, SwitchRef};
use crate::read_only::written;
use crate::types::state::{State, SwitchReason, acknowledge};

/// How a link carries a network's tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encap {
    /// As an 802.1Q tag around what the hosts sent: 2,047 networks.
    #[default]
    Vlan,
    /// As the tunnel's key: 2^23 − 1 networks. Both ends are tunnel ports that
    /// take their key from the flow.
    TunId,
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vlan => "vlan",
            Self::TunId => "tun_id",
        })
    }
}

impl FromStr for Encap {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "vlan" => Ok(Self::Vlan),
            "tun_id" => Ok(Self::TunId),
            _ => {
                let why = format!("{} is not one; vlan and tun_id are", quoted(text));
                Err(Invalid::new("encapsulation", why))
            }
        }
    }
}

/// Where a link is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkSource {
    /// LLDP was heard on it.
    Discovered,
    /// Somebody declared it.
    Declared,
}

/// One end of a link: a port of a switch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The switch.
    pub switch: SwitchRef,
    /// Its port.
    pub port: PortRef,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.switch, self.port)
    }
}

/// The body of a declared link's PUT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct LinkBody {
    /// How it carries a network's tag.
    #[serde(default)]
    pub encap: Encap,
}

written!(LinkBody, ["a", "b", "source", "up", "state", "reason", "reasons"]);

/// A link between two switches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// One end.
    #[schema(read_only)]
    pub a: End,
    /// The other end.
    #[schema(read_only)]
    pub b: End,
    /// Where it is known from.
    #[schema(read_only)]
    pub source: LinkSource,
    /// How it carries a network's tag.
    pub encap: Encap,
    /// Whether frames can pass.
    #[schema(read_only)]
    pub up: bool,
    /// How far a declaration has come; a discovered link is `installed`.
    #[schema(read_only)]
    pub state: State,
    /// Why it isn't `installed`, or not up.
    #[schema(read_only)]
    pub reason: Option<String>,
    /// What single switches are waited for.
    #[schema(read_only)]
    pub reasons: Vec<SwitchReason>,
}

acknowledge!(Link);
