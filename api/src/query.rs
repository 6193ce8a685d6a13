//! The query parameters of all calls.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::IntoParams;

use crate::invalid::{Invalid, quoted, text};
use crate::name::SwitchRef;
use crate::page::{Cursor, Page};
use crate::types::{AttachmentFilter, FlowView, HostFilter, Wait};
use crate::values::{NetworkName, Owner};

/// What a change's answer waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// Until every connected switch that it touched has confirmed it.
    #[default]
    Installed,
    /// Until it is durable.
    Stored,
}

/// A duration with its unit: `5s`, `500ms`, `1m`; at most five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Duration);

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

impl FromStr for Timeout {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= Wait::MAX_TIMEOUT => Ok(Self(duration)),
            Ok(_) => {
                Err(Invalid::new("timeout", format!("{} is too long; up to 5m", quoted(text))))
            }
            Err(_) => {
                let why = format!("{} is not one; write 5s, 500ms or 1m", quoted(text));
                Err(Invalid::new("timeout", why))
            }
        }
    }
}

text!(Timeout, "a duration with its unit", |schema| schema
    .description(Some("A duration with its unit, at most five minutes."))
    .examples(["5s", "500ms", "1m"]));

/// A parameter that is on when it is there: `?force` and `?force=true` are the
/// same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "" | "true" | "1" => Ok(Self(true)),
            "false" | "0" => Ok(Self(false)),
            _ => {
                let why = format_args!("{} is neither true nor false", quoted(&text));
                Err(serde::de::Error::custom(why))
            }
        }
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.0)
    }
}

impl Flag {
    fn is_off(&self) -> bool {
        !self.0
    }
}

/// A struct of query parameters, with those of a list or of a change behind
/// its own. (serde can't flatten and refuse what is unknown at once.)
macro_rules! query {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* } page) => {
        query! { $(#[$meta])* $name {
            $($own)*
            /// The most objects that the page may have: 1 to 10,000.
            #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
            #[param(minimum = 1, maximum = 10_000, default = 1_000)]
            pub limit: Option<usize>,
            /// `next` of the page before.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub cursor: Option<Cursor>,
        } }

        impl $name {
            /// The page that is asked for.
            pub fn page(&self) -> Page {
                let limit = self.limit.unwrap_or(Page::DEFAULT_LIMIT);
                Page { limit, after: self.cursor.clone() }
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $($own:tt)* } wait) => {
        query! { $(#[$meta])* $name {
            $($own)*
            /// What the answer waits for.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[param(inline)]
            pub wait: Option<WaitFor>,
            /// How long it waits at most: `500ms`, `5s`, `1m`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[param(inline)]
            pub timeout: Option<Timeout>,
        } }

        impl $name {
            /// How long the caller waits.
            pub fn wait(&self) -> Wait {
                match self.wait.unwrap_or_default() {
                    WaitFor::Stored => Wait::Stored,
                    WaitFor::Installed => Wait::Installed {
                        timeout: self.timeout.map_or(Wait::DEFAULT_TIMEOUT, |timeout| timeout.0),
                    },
                }
            }

            /// This query with these parameters for `wait`.
            #[must_use]
            pub fn waiting(mut self, wait: Wait) -> Self {
                (self.wait, self.timeout) = match wait {
                    Wait::Stored => (Some(WaitFor::Stored), None),
                    Wait::Installed { timeout } => {
                        (Some(WaitFor::Installed), Some(Timeout(timeout)))
                    }
                };
                self
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct $name { $($fields)* }
    };
}

fn limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let text = String::deserialize(from)?;
    match text.parse() {
        Ok(limit @ 1..=Page::MAX_LIMIT) => Ok(Some(limit)),
        _ => {
            let (text, most) = (quoted(&text), Page::MAX_LIMIT);
            let why = format_args!("{text} is no limit; 1 to {most} are accepted");
            Err(serde::de::Error::custom(why))
        }
    }
}

query! {
    /// Parameters of a list.
    ListQuery {} page
}

query! {
    /// Parameters of a change.
    ChangeQuery {} wait
}

query! {
    /// Parameters of a call that has none: any is refused.
    NoQuery {}
}

query! {
    /// Parameters of removing a network.
    DeleteNetworkQuery {
        /// Whether its ports are detached too.
        #[serde(default, skip_serializing_if = "Flag::is_off")]
        #[param(value_type = Option<bool>)]
        pub force: Flag,
    } wait
}

query! {
    /// Parameters of applying a document.
    ApplyQuery {
        /// Whether what the document's set no longer names is removed.
        #[serde(default, skip_serializing_if = "Flag::is_off")]
        #[param(value_type = Option<bool>)]
        pub prune: Flag,
    } wait
}

query! {
    /// Parameters of the hosts.
    HostsQuery {
        /// Only those of this network; one that doesn't exist has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[param(value_type = Option<String>)]
        pub network: Option<NetworkName>,
        /// Only those behind this switch; one that isn't known has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[param(value_type = Option<String>)]
        pub switch: Option<SwitchRef>,
    } page
}

impl HostsQuery {
    /// Which hosts are asked for.
    pub fn filter(&self) -> HostFilter {
        HostFilter { network: self.network.clone(), switch: self.switch.clone() }
    }
}

query! {
    /// Parameters of the attachments.
    AttachmentsQuery {
        /// Only those of exactly this owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[param(value_type = Option<String>)]
        pub owner: Option<Owner>,
        /// Only those whose owner starts with this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub owner_prefix: Option<String>,
    } page
}

impl AttachmentsQuery {
    /// Which attachments are asked for.
    pub fn filter(&self) -> AttachmentFilter {
        AttachmentFilter { owner: self.owner.clone(), owner_prefix: self.owner_prefix.clone() }
    }
}

query! {
    /// Parameters of a switch's flows: one of the first three, or none for
    /// what is installed.
    FlowsQuery {
        /// What the switch should hold.
        #[serde(default, skip_serializing_if = "Flag::is_off")]
        #[param(value_type = Option<bool>)]
        pub desired: Flag,
        /// What it holds.
        #[serde(default, skip_serializing_if = "Flag::is_off")]
        #[param(value_type = Option<bool>)]
        pub installed: Flag,
        /// What would be changed.
        #[serde(default, skip_serializing_if = "Flag::is_off")]
        #[param(value_type = Option<bool>)]
        pub diff: Flag,
    } page
}

impl FlowsQuery {
    /// Which flows are asked for; refused if it is more than one kind.
    pub fn view(&self) -> Result<FlowView, Invalid> {
        match (self.desired.0, self.installed.0, self.diff.0) {
            (true, false, false) => Ok(FlowView::Desired),
            (false, _, false) => Ok(FlowView::Installed),
            (false, false, true) => Ok(FlowView::Diff),
            _ => Err(Invalid::new("view", "ask for one of desired, installed and diff")),
        }
    }
}

impl From<FlowView> for FlowsQuery {
    fn from(view: FlowView) -> Self {
        Self {
            desired: Flag(view == FlowView::Desired),
            installed: Flag(view == FlowView::Installed),
            diff: Flag(view == FlowView::Diff),
            ..Self::default()
        }
    }
}
