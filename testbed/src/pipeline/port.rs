//! The ports of a switch, their state and counters.

use std::collections::BTreeMap;

use openflow::{MacAddr, Port, PortConfig, PortNo, PortState};

/// What a test says of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Its number.
    pub number: PortNo,
    /// Its name; at most 15 bytes are reported.
    pub name: String,
    /// Whether frames carry a tunnel key there.
    pub tunnel: bool,
}

impl PortSpec {
    /// A port without tunnel keys.
    pub fn new(number: impl Into<PortNo>, name: impl Into<String>) -> Self {
        Self { number: number.into(), name: name.into(), tunnel: false }
    }

    /// A port to a tunnel that carries keys beside frames.
    pub fn tunnel(number: impl Into<PortNo>, name: impl Into<String>) -> Self {
        Self { tunnel: true, ..Self::new(number, name) }
    }
}

impl From<u32> for PortSpec {
    /// Port 7 is `p7`.
    fn from(number: u32) -> Self {
        Self::new(number, format!("p{number}"))
    }
}

/// All ports, by number.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    by_number: BTreeMap<PortNo, PortEntry>,
}

/// One port.
#[derive(Clone, Debug)]
pub struct PortEntry {
    /// As reported.
    pub desc: Port,
    /// Whether frames carry a tunnel key there.
    pub tunnel: bool,
    /// Frames and bytes received.
    pub received: (u64, u64),
    /// Frames and bytes sent.
    pub sent: (u64, u64),
    /// Frames not taken in.
    pub rx_dropped: u64,
    /// When it was added, in nanoseconds since the switch started.
    pub added: u64,
}

impl Ports {
    /// A port as it will be reported, up.
    pub fn entry(dpid: u64, spec: &PortSpec, added: u64) -> PortEntry {
        let [.., a, b] = dpid.to_be_bytes();
        let [.., c, d] = spec.number.0.to_be_bytes();
        let hw_addr = MacAddr([0x0e, 0x0f, a, b, c, d]);
        PortEntry {
            desc: Port::new(spec.number, &spec.name, hw_addr),
            tunnel: spec.tunnel,
            received: (0, 0),
            sent: (0, 0),
            rx_dropped: 0,
            added,
        }
    }

    /// Puts a port in; returns the one it replaced.
    pub fn insert(&mut self, entry: PortEntry) -> Option<PortEntry> {
        self.by_number.insert(entry.desc.port_no, entry)
    }

    /// Takes a port out.
    pub fn remove(&mut self, port: PortNo) -> Option<PortEntry> {
        self.by_number.remove(&port)
    }

    /// One port.
    pub fn get(&self, port: PortNo) -> Option<&PortEntry> {
        self.by_number.get(&port)
    }

    /// One port, to change it.
    pub fn get_mut(&mut self, port: PortNo) -> Option<&mut PortEntry> {
        self.by_number.get_mut(&port)
    }

    /// All ports, by number.
    pub fn iter(&self) -> impl Iterator<Item = &PortEntry> {
        self.by_number.values()
    }

    /// The port of a name.
    pub fn named(&self, name: &str) -> Option<PortNo> {
        self.iter()
            .find(|entry| entry.desc.name.as_bytes() == name.as_bytes())
            .map(|entry| entry.desc.port_no)
    }

    /// Whether the port is there and carries frames.
    pub fn is_up(&self, port: PortNo) -> bool {
        self.get(port).is_some_and(|entry| entry.desc.is_up())
    }

    /// Sets whether there is a link; whether that changed anything.
    pub fn set_link(&mut self, port: PortNo, up: bool) -> bool {
        let Some(entry) = self.by_number.get_mut(&port) else { return false };
        let state = if up { PortState::LIVE } else { PortState::LINK_DOWN };
        std::mem::replace(&mut entry.desc.state, state) != state
    }

    /// A frame of so many bytes arrives: `None` if it isn't taken in, else whether the port is a tunnel.
    pub fn receive(&mut self, port: PortNo, bytes: usize) -> Option<bool> {
        let entry = self.by_number.get_mut(&port)?;
        if !entry.desc.is_up() || entry.desc.config.contains(PortConfig::NO_RECV) {
            entry.rx_dropped += 1;
            return None;
        }
        entry.received.0 += 1;
        entry.received.1 += bytes as u64;
        Some(entry.tunnel)
    }

    /// A frame of so many bytes leaves: `None` if it can't, else whether the port is a tunnel.
    pub fn send(&mut self, port: PortNo, bytes: usize) -> Option<bool> {
        let entry = self.by_number.get_mut(&port)?;
        if !entry.desc.is_up() || entry.desc.config.contains(PortConfig::NO_FWD) {
            return None;
        }
        entry.sent.0 += 1;
        entry.sent.1 += bytes as u64;
        Some(entry.tunnel)
    }
}
