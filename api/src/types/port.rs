//! Ports in virtual networks.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::invalid::Invalid;
use crate::name::{PortRef, SwitchRef};
use crate::read_only::written;
use crate::types::state::{State, SwitchReason, acknowledge};
use crate::values::{HostIp, Labels, MacAddr, NetworkName, Owner, SetName};

/// What is said of a port's host. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PortSpec {
    /// MAC addresses of its host, at most 64: hints that save learning, or
    /// with `enforce` the only ones that may send.
    #[serde(default, deserialize_with = "few")]
    #[schema(max_items = 64)]
    pub mac: Vec<MacAddr>,
    /// IP addresses of its host, at most 64: hints, or with `enforce` the only
    /// ones that may send.
    #[serde(default, deserialize_with = "few")]
    #[schema(max_items = 64)]
    pub ips: Vec<HostIp>,
    /// Whether `mac` and `ips` are an allow-list; `mac` can't be empty then.
    #[serde(default)]
    pub enforce: bool,
    /// Who the port is held for.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// The caller's own notes.
    #[serde(default)]
    pub labels: Labels,
}

written!(PortSpec, ["network", "switch", "port", "number", "set", "state", "reason", "reasons"]);

impl PortSpec {
    /// Refuses what each field allows but all together don't.
    ///
    /// An allow-list without a MAC address would silence the port, which
    /// nobody means.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.enforce && self.mac.is_empty() {
            let why = "is empty, and with enforce no frame could pass; name the MAC addresses \
                       that may send, or leave enforce out";
            return Err(Invalid::new("mac", why));
        }
        Ok(())
    }
}

/// A list without repetitions, of at most 64 values.
pub(crate) fn few<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialEq,
{
    const MAX: usize = 64;
    let mut few = Vec::new();
    let all = Vec::<T>::deserialize(from)?;
    if all.len() > MAX {
        let why = format_args!("{} entries are too many; up to {MAX}", all.len());
        return Err(serde::de::Error::custom(why));
    }
    for value in all {
        if !few.contains(&value) {
            few.push(value);
        }
    }
    Ok(few)
}

/// A port in a virtual network, and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Port {
    /// The network that the port is in.
    #[schema(read_only)]
    pub network: NetworkName,
    /// The switch, by name where it has one.
    #[schema(read_only)]
    pub switch: SwitchRef,
    /// The port, by name where it has one.
    #[schema(read_only)]
    pub port: PortRef,
    /// The port's OpenFlow number now; none while it isn't there.
    #[schema(read_only)]
    pub number: Option<u32>,
    /// MAC addresses that were declared.
    pub mac: Vec<MacAddr>,
    /// IP addresses that were declared.
    pub ips: Vec<HostIp>,
    /// Whether `mac` and `ips` are an allow-list.
    pub enforce: bool,
    /// Who the port is held for.
    pub owner: Option<Owner>,
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
}

acknowledge!(Port);

impl Port {
    /// What a caller would write to get this port.
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
