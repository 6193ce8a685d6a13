//! Hosts of a lab on real devices.
//!
//! [`Tap`] is for proofs: the test itself holds the host's end, so it sends any frame and sees every frame that
//! the switch put out at that port, tags included, in order. (A packet socket would hand frames over without
//! their VLAN tag; a TAP device keeps it in the frame.)
//!
//! [`Machine`] is for shows: a namespace with the kernel's own stack, which answers ARP and ping.

mod frame;
mod machine;
mod tap;

pub use frame::{BROADCAST, Frame, Mac, Tag, host_mac};
pub use machine::Machine;
pub use tap::Tap;

/// MTU of a switch's port to a host: a full-size frame of 1,500 bytes with two tags of the tenant's own fits.
pub const EDGE_MTU: u32 = 1508;
