//! Backups of all that a controller keeps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::types::state::{State, SwitchReason, acknowledge};
use crate::values::Timestamp;

/// All that a controller keeps. What is in it is the controller's own affair:
/// keep it as it is, and give it back as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Always `isolane-backup`.
    pub format: String,
    /// The version of the records. A controller takes back its own version only.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// The SHA-256 of the records, in hex: a damaged backup is refused.
    pub sha256: String,
    /// Kind, key and value of each record.
    pub records: Vec<(String, String, serde_json::Value)>,
}

/// What giving a backup back did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// How many networks there are now.
    pub networks: u64,
    /// How many ports are in networks now.
    pub ports: u64,
    /// How many links are declared now.
    pub links: u64,
    /// How many records are new or different.
    pub changed: u64,
    /// How many records are gone.
    pub deleted: u64,
    /// How far all of it has come.
    pub state: State,
    /// Why it isn't `installed`.
    pub reason: Option<String>,
    /// What single switches are waited for.
    pub reasons: Vec<SwitchReason>,
}

acknowledge!(Restored);
