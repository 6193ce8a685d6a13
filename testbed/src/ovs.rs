//! Labs on real Open vSwitch, in network namespaces.
//!
//! Start at [`Lab::build`]: a [`Topology`], how its switches are joined ([`Trunks`]) and hosts at each. The
//! datapath is Open vSwitch's userspace one, so no kernel module is needed; root is.
//!
//! ```text
//!   lab namespace (the test's thread and the controller live here)
//!   ├─ bridge mgmt    10.200.0.1 ── one veth to each node: OpenFlow
//!   ├─ bridge under              ── one veth to each node: what VXLAN runs over
//!   └─ node namespaces, each with ovsdb-server, ovs-vswitchd and bridge sN
//!        ports: trunks (s1-s2 or vxlan1), hosts (s1h1), machines (s1m1), the eye (s1eye)
//! ```
//!
//! With patch trunks there is one Open vSwitch with a bridge for each switch, in the lab's namespace itself.
//!
//! How a test can know that a frame did *not* arrive is explained at the fence ([`Lab::probe`]).

mod build;
mod capture;
mod dump;
mod fence;
pub mod guard;
mod heard;
mod instance;
mod lab;
mod node;
mod switch;
mod topology;
mod wiring;

pub use build::LabSpec;
pub use capture::Capture;
pub use heard::Heard;
pub use instance::Ovs;
pub use lab::Lab;
pub use node::{NodeSpec, OvsNode, Port};
pub use switch::{Host, Switch};
pub use topology::{Link, Topology, Trunks};
