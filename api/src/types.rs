//! The bodies of requests and answers, one file for each kind of object.
//!
//! What a caller writes (`…Spec`, `…Body`, `…Patch`) refuses unknown fields;
//! what the controller answers is read leniently, so that an older client
//! understands a newer server.

mod apply;
mod attachment;
mod backup;
mod flow;
mod host;
mod link;
mod network;
mod port;
mod state;
mod switch;

pub use apply::{Applied, Document, DocumentPort, ObjectChange, ObjectKind};
pub use attachment::{
    Attachment, AttachmentFilter, AttachmentSpec, PoolCount, PoolPort, PoolPortBody, PoolUse,
};
pub use backup::{Backup, Restored};
pub use flow::{FlowChange, FlowEntry, FlowTables, FlowView, GroupEntry};
pub use host::{Host, HostFilter, HostSource};
pub use link::{Encap, End, Link, LinkBody, LinkSource};
pub use network::{Network, NetworkBody, NetworkKind, NetworkSpec};
pub use port::{Port, PortSpec};
pub use state::{Ack, Acknowledge, Change, Changed, Pending, State, SwitchReason, Wait};
pub use switch::{Connection, PortRole, Switch, SwitchDescription, SwitchPatch, SwitchPort};
