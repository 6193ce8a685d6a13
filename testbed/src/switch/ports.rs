//! Ports that come, go and change (1.3.5, 7.3.4.3, 7.4.3).

use openflow::{ErrorCode, PortConfig, PortMod, PortModFailed, PortNo, PortReason};

use super::{Datapath, Output, PortSpec};
use crate::pipeline::Ports;

impl Datapath {
    /// The link of a port comes or goes; a port-status where that is new.
    #[must_use]
    pub fn set_link(&mut self, port: impl Into<PortNo>, up: bool) -> Vec<Output> {
        let port = port.into();
        let mut out = Vec::new();
        if self.pipeline.ports.set_link(port, up)
            && let Some(entry) = self.pipeline.ports.get(port)
        {
            self.tell_port(PortReason::Modify, &entry.desc, &mut out);
        }
        out
    }

    /// A port appears, or takes the place of the one with its number.
    #[must_use]
    pub fn add_port(&mut self, spec: impl Into<PortSpec>) -> Vec<Output> {
        let entry = Ports::entry(self.dpid.0, &spec.into(), self.now.as_nanos() as u64);
        let desc = entry.desc.clone();
        let mut out = Vec::new();
        if let Some(old) = self.pipeline.ports.insert(entry) {
            self.tell_port(PortReason::Delete, &old.desc, &mut out);
        }
        self.tell_port(PortReason::Add, &desc, &mut out);
        out
    }

    /// A port disappears.
    #[must_use]
    pub fn remove_port(&mut self, port: impl Into<PortNo>) -> Vec<Output> {
        let mut out = Vec::new();
        if let Some(old) = self.pipeline.ports.remove(port.into()) {
            self.tell_port(PortReason::Delete, &old.desc, &mut out);
        }
        out
    }

    /// Whether the port is there, its link too, and nobody took it down.
    pub fn is_up(&self, port: impl Into<PortNo>) -> bool {
        self.pipeline.ports.is_up(port.into())
    }

    pub(super) fn port_mod(
        &mut self,
        change: &PortMod,
        out: &mut Vec<Output>,
    ) -> Result<(), ErrorCode> {
        let failed = |code| Err(ErrorCode::PortModFailed(code));
        let known = PortConfig::PORT_DOWN
            | PortConfig::NO_RECV
            | PortConfig::NO_FWD
            | PortConfig::NO_PACKET_IN;
        let Some(entry) = self.pipeline.ports.get_mut(change.port_no) else {
            return failed(PortModFailed::BadPort);
        };
        if entry.desc.hw_addr != change.hw_addr {
            return failed(PortModFailed::BadHwAddr);
        }
        if !known.contains(change.mask) {
            return failed(PortModFailed::BadConfig);
        }
        let config = entry.desc.config.without(change.mask) | (change.config & change.mask);
        if config != entry.desc.config {
            entry.desc.config = config;
            let desc = entry.desc.clone();
            self.tell_port(PortReason::Modify, &desc, out);
        }
        Ok(())
    }
}
