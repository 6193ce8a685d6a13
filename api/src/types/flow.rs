//! What a switch holds, should hold, or would have changed.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::values::NetworkName;

/// Which flows of a switch are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlowView {
    /// What it should hold.
    Desired,
    /// What it holds, as far as is known without asking it again.
    #[default]
    Installed,
    /// What would be changed: added, modified or removed.
    Diff,
}

impl fmt::Display for FlowView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Desired => "desired",
            Self::Installed => "installed",
            Self::Diff => "diff",
        })
    }
}

/// What would become of a flow or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlowChange {
    /// It is missing.
    Add,
    /// It is there with other instructions or buckets; this is what it should
    /// be.
    Modify,
    /// It shouldn't be there.
    Remove,
}

/// A flow of Isolane's on a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowEntry {
    /// The table.
    pub table: u8,
    /// The priority; higher ones win.
    pub priority: u16,
    /// The cookie: `0x` and 16 hexadecimal digits.
    #[schema(pattern = "^0x[0-9a-f]{16}$")]
    pub cookie: String,
    /// Which frames it takes, as `ovs-ofctl` writes it.
    pub r#match: String,
    /// What it does with them, as `ovs-ofctl` writes it.
    pub instructions: String,
    /// Seconds without a frame after which it goes; 0: never.
    #[serde(default)]
    pub idle_timeout: u16,
    /// The network it is for; none for those of discovery and of the pipeline.
    pub network: Option<NetworkName>,
    /// What would become of it; only with `diff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<FlowChange>,
}

/// A group of Isolane's on a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupEntry {
    /// Its id.
    pub id: u32,
    /// Its buckets, as `ovs-ofctl` writes them.
    pub buckets: Vec<String>,
    /// The network it is for.
    pub network: Option<NetworkName>,
    /// What would become of it; only with `diff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<FlowChange>,
}

/// Flows and groups of Isolane's on a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowTables {
    /// Which ones these are.
    pub view: FlowView,
    /// The flows, a page of them.
    pub items: Vec<FlowEntry>,
    /// The groups, all with the first page, none with the others.
    pub groups: Vec<GroupEntry>,
    /// The cursor of the next page of flows; none on the last one.
    pub next: Option<crate::page::Cursor>,
}
