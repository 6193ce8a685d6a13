//! What went wrong, as RFC 9457 says it: `application/problem+json`.
//!
//! `type` is stable and ends in one of the names below; `detail` is for people
//! and may change. `field` names what was wrong in the request, and `in` says
//! where that is: `body` (a JSON pointer), `query` or `path` (a parameter).

use std::borrow::Cow;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::invalid::Invalid;
use crate::name::{PortRef, SwitchRef};
use crate::types::PoolCount;
use crate::values::{NetworkName, Owner, Pattern};

/// Media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Every `type` is this and the kind's name; the server explains it there.
pub const TYPE_PREFIX: &str = "/docs/problems/";

macro_rules! kinds {
    ($($variant:ident $name:literal $status:literal $title:literal $help:literal;)*) => {
        /// Which problem it is: the stable end of `type`, the status, and what
        /// to do about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $(#[doc = $title] $variant,)*
            /// A kind that this version doesn't know; from a newer server, or
            /// from something that stands in between.
            Unknown,
        }

        impl ProblemKind {
            /// All kinds that the server answers with.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The end of `type`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Unknown => "unknown" }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* Self::Unknown => 500 }
            }

            /// The kind in one sentence.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                    Self::Unknown => "The request failed",
                }
            }

            /// What to do about it.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* Self::Unknown => "Read the detail." }
            }
        }
    };
}

kinds! {
    InvalidJson "invalid-json" 400 "The body is not JSON"
        "Send well-formed JSON in UTF-8.";
    InvalidValue "invalid-value" 400 "A value is not acceptable"
        "Correct the value that `field` points to; `detail` says what is accepted.";
    MissingField "missing-field" 400 "Something required is missing"
        "Add what `field` points to.";
    UnknownField "unknown-field" 400 "Something unknown was sent"
        "Remove or rename what `field` points to; `detail` lists what is known.";
    BackupDamaged "backup-damaged" 400 "The backup is damaged"
        "Nothing was changed. Give back another one; it must be as it was made.";
    Unauthorized "unauthorized" 401 "A valid token is needed"
        "Send a token of the server's token file: `Authorization: Bearer TOKEN`.";
    NoSuchPath "no-such-path" 404 "There is nothing at this path"
        "See /docs for the paths; a name in a path is percent-encoded, its slashes too.";
    NetworkNotFound "network-not-found" 404 "The network doesn't exist"
        "Create the network first, or correct its name.";
    SwitchNotFound "switch-not-found" 404 "The switch isn't known"
        "See `GET /api/v1/switches` for those that are; it becomes known when it connects.";
    PortNotAttached "port-not-attached" 404 "The port is not in the network"
        "See `GET /api/v1/networks/{net}/ports` for those that are.";
    PortNotFound "port-not-found" 404 "The switch has no such port"
        "See `GET /api/v1/switches/{sw}` for those it has.";
    AttachmentNotFound "attachment-not-found" 404 "The attachment doesn't exist"
        "See `GET /api/v1/attachments` for those that do.";
    ProblemNotFound "problem-not-found" 404 "There is no problem of this name"
        "See /docs for those there are.";
    MethodNotAllowed "method-not-allowed" 405 "The path doesn't take this method"
        "Use one of the methods in `allow`.";
    RequestTimeout "request-timeout" 408 "The body took too long to arrive"
        "Send the whole body without long pauses.";
    NetworkExists "network-exists" 409 "A network of this name is different"
        "PUT the network to change it, or choose another name.";
    NetworkInUse "network-in-use" 409 "The network still has ports"
        "Detach its ports first, or delete it with `?force=true`.";
    PortInUse "port-in-use" 409 "The port is used already"
        "Detach it from the network that `network` names, then try again.";
    PortIsTrunk "port-is-trunk" 409 "The port joins two switches"
        "Choose another port; a trunk carries all networks and can't be in one.";
    OwnerInUse "owner-in-use" 409 "The owner has a port in another network there"
        "Delete that attachment first, or use another owner.";
    PoolExhausted "pool-exhausted" 409 "The switch's pool has no free port"
        "Delete an attachment there, add ports to the pool, or choose another switch.";
    NameInUse "name-in-use" 409 "Another switch has this name"
        "Choose another name, or rename the other switch first.";
    LinkExists "link-exists" 409 "An end of the link is in another link"
        "Delete that link first.";
    BackupVersion "backup-version" 409 "Another version made the backup"
        "Nothing was changed. Give it back to the version that made it, then upgrade that one's data folder.";
    SwitchConnected "switch-connected" 409 "The switch is connected"
        "Disconnect it first; only a switch that is gone for good can be forgotten.";
    SwitchNotForeign "switch-not-foreign" 409 "The switch is not in foreign-state"
        "Nothing needs to be done; adopt and reset are for a switch with another store's flows.";
    BodyTooLarge "body-too-large" 413 "The body is too large"
        "Send less at once; `limit` says how many bytes are accepted.";
    UnsupportedMediaType "unsupported-media-type" 415 "The body is not declared as JSON"
        "Send `Content-Type: application/json`.";
    MisdirectedRequest "misdirected-request" 421 "The server doesn't answer to this host name"
        "Use localhost or an IP address, or give the server a token.";
    TooManyRequests "too-many-requests" 429 "Too many requests at once"
        "Try again after the seconds that `Retry-After` says.";
    Internal "internal" 500 "The server failed"
        "This is a defect: please report it with the server's log.";
    NotImplemented "not-implemented" 501 "This server can't do that yet"
        "Use a version that can.";
    TooManyConnections "too-many-connections" 503 "The server has too many connections"
        "Close some, or try again after the seconds that `Retry-After` says.";
    NotReady "not-ready" 503 "The server is not ready"
        "Try again; `detail` says what it waits for.";
    StoreUnavailable "store-unavailable" 503 "The store takes no changes"
        "Make room, or make the store's folder writable. Reading and forwarding go on.";
    SwitchAway "switch-away" 503 "The switch is not connected"
        "Try again once it is.";
    IdsExhausted "ids-exhausted" 507 "No number is left for another network"
        "Delete networks; a number is free once every switch has confirmed its removal.";
}

impl ProblemKind {
    /// The kind whose name this is.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    kind: ProblemKind,
    status: u16,
    title: Cow<'static, str>,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of this kind; `detail` says what was wrong this time.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            title: Cow::Borrowed(kind.title()),
            detail: detail.into(),
            members: Map::new(),
        }
    }

    /// A value that was refused. Say with [`Self::at`] where it stood.
    pub fn invalid(error: &Invalid) -> Self {
        Self::new(ProblemKind::InvalidValue, error.to_string())
    }

    /// No network has this name.
    pub fn network_not_found(network: &NetworkName) -> Self {
        Self::new(ProblemKind::NetworkNotFound, format!("There is no network {network}."))
            .with("network", network)
    }

    /// A network of this name exists and is different.
    pub fn network_exists(network: &NetworkName) -> Self {
        let detail = format!("Network {network} exists with another specification.");
        Self::new(ProblemKind::NetworkExists, detail).with("network", network)
    }

    /// The network still has this many ports.
    pub fn network_in_use(network: &NetworkName, ports: usize) -> Self {
        let detail = format!("Network {network} still has {ports} port(s).");
        Self::new(ProblemKind::NetworkInUse, detail).with("network", network).with("ports", ports)
    }

    /// No switch is known by this reference.
    pub fn switch_not_found(switch: &SwitchRef) -> Self {
        Self::new(ProblemKind::SwitchNotFound, format!("No switch {switch} is known."))
            .with("switch", switch)
    }

    /// The port is not in the network.
    pub fn port_not_attached(network: &NetworkName, switch: &SwitchRef, port: &PortRef) -> Self {
        let detail = format!("Port {port} of switch {switch} is not in network {network}.");
        Self::new(ProblemKind::PortNotAttached, detail)
            .with("network", network)
            .with("switch", switch)
            .with("port", port)
    }

    /// The switch has no such port.
    pub fn port_not_found(switch: &SwitchRef, port: &PortRef) -> Self {
        let detail = format!("Switch {switch} has no port {port}.");
        Self::new(ProblemKind::PortNotFound, detail).with("switch", switch).with("port", port)
    }

    /// The port is in another network, `network`.
    pub fn port_in_use(switch: &SwitchRef, port: &PortRef, network: &NetworkName) -> Self {
        let detail = format!("Port {port} of switch {switch} is in network {network}.");
        Self::new(ProblemKind::PortInUse, detail)
            .with("network", network)
            .with("switch", switch)
            .with("port", port)
    }

    /// The port joins this switch to another one.
    pub fn port_is_trunk(switch: &SwitchRef, port: &PortRef) -> Self {
        let detail = format!("Port {port} of switch {switch} is a trunk.");
        Self::new(ProblemKind::PortIsTrunk, detail).with("switch", switch).with("port", port)
    }

    /// The owner has a port of this switch in another network, `network`.
    pub fn owner_in_use(owner: &Owner, switch: &SwitchRef, network: &NetworkName) -> Self {
        let detail = format!("{owner} has a port of switch {switch} in network {network}.");
        Self::new(ProblemKind::OwnerInUse, detail)
            .with("owner", owner)
            .with("switch", switch)
            .with("network", network)
    }

    /// The port's name isn't one of the switch's pool, whose pattern is `pool`.
    pub fn port_not_in_pool(switch: &SwitchRef, port: &PortRef, pool: Option<&Pattern>) -> Self {
        let why = pool.map(|pool| format!(", whose ports are {:?}", pool.as_str()));
        let why = why.unwrap_or_default();
        let detail = format!("Port {port} isn't in the pool of switch {switch}{why}.");
        Self::new(ProblemKind::PortNotFound, detail).with("switch", switch).with("port", port)
    }

    /// The switch's pool has nothing to give, for the reasons counted.
    pub fn pool_exhausted(switch: &SwitchRef, count: &PoolCount) -> Self {
        let PoolCount { size, attached, releasing, not_ready, trunks } = *count;
        let detail = if size == 0 {
            format!("Switch {switch} has no port in its pool.")
        } else {
            let reasons = [
                (attached, "attached"),
                (releasing, "still releasing"),
                (not_ready, "not ready"),
                (trunks, "joining switches"),
            ];
            let reasons = reasons.into_iter().filter(|(count, _)| *count > 0);
            let reasons: Vec<_> = reasons.map(|(count, why)| format!("{count} {why}")).collect();
            let reasons = reasons.join(", ");
            format!("Switch {switch} has no free port: of the {size} in its pool, {reasons}.")
        };
        Self::new(ProblemKind::PoolExhausted, detail)
            .with("switch", switch)
            .with("pool_size", size)
            .with("attached", attached)
            .with("releasing", releasing)
            .with("not_ready", not_ready)
    }

    /// A call that the server has no code for yet.
    pub fn not_implemented(call: &str) -> Self {
        Self::new(ProblemKind::NotImplemented, format!("{call} is not implemented yet."))
    }

    /// This problem, found in the body at this JSON pointer.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        self.with("in", "body").with("field", pointer.into())
    }

    /// This problem, found in the path or query parameter of this name.
    #[must_use]
    pub fn parameter(self, place: &'static str, name: &str) -> Self {
        self.with("in", place).with("field", name)
    }

    /// This problem with one member more. The five of RFC 9457 stay as they
    /// are; a value that is no JSON is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if !matches!(name, "type" | "title" | "status" | "detail" | "instance")
            && let Ok(value) = serde_json::to_value(value)
        {
            self.members.insert(name.to_owned(), value);
        }
        self
    }

    /// Which problem it is.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The kind in one sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What was wrong this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// A further member, such as `field` or `network`.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// What in the request was wrong: a JSON pointer, or a parameter's name.
    pub fn field(&self) -> Option<&str> {
        self.member("field")?.as_str()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field().filter(|field| !field.is_empty()) {
            write!(f, "{field}: ")?;
        }
        f.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })
    }
}

impl std::error::Error for Problem {}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4 + self.members.len()))?;
        map.serialize_entry("type", &format_args!("{TYPE_PREFIX}{}", self.kind.name()))?;
        map.serialize_entry("title", &self.title)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("detail", &self.detail)?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// All members are optional (RFC 9457, 3.1).
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            r#type: String,
            title: Option<String>,
            status: Option<u16>,
            #[serde(default)]
            detail: String,
            #[serde(flatten)]
            members: Map<String, Value>,
        }
        let wire = Wire::deserialize(from)?;
        let name = wire.r#type.rsplit('/').next().unwrap_or_default();
        let kind = ProblemKind::of_name(name).unwrap_or(ProblemKind::Unknown);
        Ok(Self {
            kind,
            status: wire.status.unwrap_or(kind.status()),
            title: wire.title.map_or(Cow::Borrowed(kind.title()), Cow::Owned),
            detail: wire.detail,
            members: wire.members,
        })
    }
}

/// The OpenAPI schema of a problem: the members that every one has, and that
/// there may be more.
impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        let text = |description: &str| {
            ObjectBuilder::new().schema_type(Type::String).description(Some(description))
        };
        let types = ProblemKind::ALL.iter().map(|kind| format!("{TYPE_PREFIX}{}", kind.name()));
        let status = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("The HTTP status."))
            .minimum(Some(400))
            .maximum(Some(599));
        ObjectBuilder::new()
            .description(Some(
                "Why a request failed (RFC 9457). Further members depend on `type`, such as \
                 `network`, `switch`, `port`.",
            ))
            .property("type", text("Which problem it is; stable.").enum_values(Some(types)))
            .property("title", text("The kind of problem in one sentence."))
            .property("status", status)
            .property("detail", text("What was wrong this time, and what is accepted."))
            .property(
                "field",
                text("What in the request was wrong: a JSON pointer, or a parameter's name."),
            )
            .property("in", text("Where `field` is.").enum_values(Some(["body", "query", "path"])))
            .required("type")
            .required("title")
            .required("status")
            .required("detail")
            .build()
            .into()
    }
}

impl utoipa::ToSchema for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_comes_back_with_all_its_members() {
        let network = "blue".parse().unwrap();
        let switch = "worker-1".parse().unwrap();
        let sent = Problem::port_in_use(&switch, &PortRef::Number(3), &network).at("/ports/0");
        let json = serde_json::to_value(&sent).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/docs/problems/port-in-use",
                "title": "The port is used already",
                "status": 409,
                "detail": "Port 3 of switch worker-1 is in network blue.",
                "network": "blue",
                "switch": "worker-1",
                "port": "3",
                "in": "body",
                "field": "/ports/0",
            })
        );
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), sent);
        let text = "/ports/0: Port 3 of switch worker-1 is in network blue.";
        assert_eq!(sent.to_string(), text);
    }

    #[test]
    fn a_problem_of_somebody_else_is_understood() {
        let json = serde_json::json!({ "type": "https://proxy.example/quota", "status": 402 });
        let problem: Problem = serde_json::from_value(json).unwrap();
        assert_eq!((problem.kind(), problem.status()), (ProblemKind::Unknown, 402));
        assert_eq!(problem.to_string(), "The request failed");
    }

    #[test]
    fn an_exhausted_pool_says_why() {
        let switch = "worker-1".parse().unwrap();
        let count = PoolCount { size: 10, attached: 7, releasing: 2, not_ready: 1, trunks: 0 };
        let problem = Problem::pool_exhausted(&switch, &count);
        assert_eq!(
            problem.detail(),
            "Switch worker-1 has no free port: of the 10 in its pool, 7 attached, \
             2 still releasing, 1 not ready."
        );
        for (member, want) in [("pool_size", 10), ("attached", 7), ("releasing", 2)] {
            assert_eq!(problem.member(member), Some(&want.into()), "{member}");
        }
        let empty = Problem::pool_exhausted(&switch, &PoolCount::default());
        assert_eq!(empty.detail(), "Switch worker-1 has no port in its pool.");
    }

    #[test]
    fn names_of_kinds_differ_and_are_found() {
        for kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::of_name(kind.name()), Some(*kind));
            assert!((400..600).contains(&kind.status()), "{kind:?}");
        }
    }

    #[test]
    fn the_members_of_the_standard_cannot_be_overwritten() {
        let problem = Problem::new(ProblemKind::Internal, "x").with("status", 200);
        assert_eq!(serde_json::to_value(&problem).unwrap()["status"], 500);
    }
}
