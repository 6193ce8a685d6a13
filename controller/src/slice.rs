//! Everything one virtual network needs on one switch.
//!
//! A slice is a value: what `compile` wants, what `lift` read back from a
//! switch, and what `diff` compares are all this type. It speaks of ports,
//! trunks and hosts; `lower` says which flows and buckets that means.
//!
//! It prints as sorted text, like a flow dump.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use openflow::{MacAddr, PortNo};

use crate::model::Encap;

/// What a switch holds for one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Table 0: ports whose untagged or tenant-tagged frames are this network's.
    pub edges: BTreeSet<PortNo>,
    /// Table 0: trunks on which the *known* tag is accepted.
    pub known_in: BTreeMap<PortNo, Encap>,
    /// Table 0: trunks on which the *flood* tag is accepted.
    pub flood_in: BTreeMap<PortNo, Encap>,
    /// Table 1: who may speak without being learnt, and who may not speak.
    pub sources: BTreeSet<Source>,
    /// Table 2: where a known host is.
    pub hosts: BTreeMap<MacAddr, Out>,
    /// The flood group's buckets; the group and the flow to it exist exactly
    /// while this isn't empty, or edges or flood_in aren't.
    pub flood_out: BTreeSet<Out>,
}

/// Where a frame leaves the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Out {
    /// A port of the network itself; the frame leaves as the tenant sent it.
    Edge(PortNo),
    /// A trunk; the frame carries a tag. In `hosts` the *known* tag, in
    /// `flood_out` the *flood* tag.
    Trunk(PortNo, Encap),
}

impl Out {
    /// The port either way.
    pub const fn port(self) -> PortNo {
        match self {
            Self::Edge(port) | Self::Trunk(port, _) => port,
        }
    }
}

/// One statement of table 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Learnt from traffic; ages out when silent.
    Learnt(PortNo, MacAddr),
    /// Declared by the caller; stays.
    Declared(PortNo, MacAddr),
    /// On an enforced port: this MAC may use this address (ARP, ND, IP).
    Address(PortNo, MacAddr, IpAddr),
    /// On an enforced port with addresses: what every host needs before or
    /// beside its own address: ARP probes, DHCP (IPv4), duplicate address
    /// detection and link-local (IPv6).
    Bootstrap(PortNo, MacAddr),
    /// On an enforced port: whatever nothing else admits is dropped.
    Deny(PortNo),
    /// Too many unknown sources speak here: for a while they pass without a
    /// copy to the controller.
    Muted(PortNo),
    /// The network has learnt as many MACs as it may: unknown sources pass
    /// without a copy to the controller.
    Full,
}

impl Source {
    /// The edge port concerned, if one is.
    pub const fn port(self) -> Option<PortNo> {
        match self {
            Self::Learnt(port, _)
            | Self::Declared(port, _)
            | Self::Address(port, _, _)
            | Self::Bootstrap(port, _)
            | Self::Deny(port)
            | Self::Muted(port) => Some(port),
            Self::Full => None,
        }
    }
}

impl Slice {
    /// Whether the switch holds nothing for the network.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a flood group, and the flow that leads to it, belong to this slice.
    pub fn floods(&self) -> bool {
        !(self.edges.is_empty() && self.flood_in.is_empty() && self.flood_out.is_empty())
    }

    /// Ports through which a host of the network could hear or speak.
    pub fn edge_ports(&self) -> BTreeSet<PortNo> {
        let outs = self.hosts.values().chain(&self.flood_out);
        let heard = outs.filter_map(|out| match out {
            Out::Edge(port) => Some(*port),
            Out::Trunk(..) => None,
        });
        self.edges.iter().copied().chain(heard).collect()
    }

    /// Ports that the slice uses as trunks.
    pub fn trunk_ports(&self) -> BTreeSet<PortNo> {
        let outs = self.hosts.values().chain(&self.flood_out);
        let sent = outs.filter_map(|out| match out {
            Out::Trunk(port, _) => Some(*port),
            Out::Edge(_) => None,
        });
        self.known_in.keys().chain(self.flood_in.keys()).copied().chain(sent).collect()
    }
}

impl fmt::Display for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge(port) => write!(f, "{port}"),
            Self::Trunk(port, encap) => write!(f, "{encap}:{port}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learnt(port, mac) => write!(f, "in_port={port} {mac} learnt"),
            Self::Declared(port, mac) => write!(f, "in_port={port} {mac} declared"),
            Self::Address(port, mac, ip) => write!(f, "in_port={port} {mac} {ip}"),
            Self::Bootstrap(port, mac) => write!(f, "in_port={port} {mac} bootstrap"),
            Self::Deny(port) => write!(f, "in_port={port} else drop"),
            Self::Muted(port) => write!(f, "in_port={port} muted"),
            Self::Full => f.write_str("no more learning"),
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.floods() {
            let outs: Vec<_> = self.flood_out.iter().map(ToString::to_string).collect();
            writeln!(f, "flood -> {}", outs.join(" "))?;
        }
        for port in &self.edges {
            writeln!(f, "t0 in_port={port} -> edge")?;
        }
        for (port, encap) in &self.known_in {
            writeln!(f, "t0 {encap} in_port={port} -> known")?;
        }
        for (port, encap) in &self.flood_in {
            writeln!(f, "t0 {encap} in_port={port} -> flood")?;
        }
        for source in &self.sources {
            writeln!(f, "t1 {source}")?;
        }
        for (mac, out) in &self.hosts {
            writeln!(f, "t2 {mac} -> {out}")?;
        }
        Ok(())
    }
}
