//! A host with the kernel's own stack.

use std::net::Ipv4Addr;

use super::EDGE_MTU;
use crate::error::LabError;
use crate::netns::NetNs;

/// The device inside of the machine's namespace.
const DEVICE: &str = "eth0";

/// A namespace joined to a switch's namespace by a veth pair; it answers ARP and ping.
#[derive(Debug)]
pub struct Machine {
    namespace: NetNs,
    port: String,
    address: Ipv4Addr,
}

impl Machine {
    /// Makes the machine with an address in a /24; `port` is the name of the pair's other end, in the switch's
    /// namespace.
    ///
    /// # Errors
    /// [`LabError`] without the right to, or when the port's name is taken or longer than 15 bytes.
    pub fn create(port: &str, switch: &NetNs, address: Ipv4Addr) -> Result<Self, LabError> {
        let namespace = NetNs::new(port)?;
        namespace.ip(&format!(
            "link add {DEVICE} type veth peer name {port} mtu {EDGE_MTU} netns {}\nlink set {DEVICE} up\naddr add {address}/24 dev {DEVICE}",
            switch.path()
        ))?;
        switch.ip(&format!("link set {port} up"))?;
        // A userspace switch doesn't fill in checksums that the kernel leaves to the device.
        namespace.run("ethtool", ["-K", DEVICE, "tx", "off"])?;
        Ok(Self { namespace, port: port.to_owned(), address })
    }

    /// The switch's port this machine is at.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// The machine's namespace, to run anything in it.
    pub fn namespace(&self) -> &NetNs {
        &self.namespace
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Pings once, waiting `seconds` for the answer; forgets the neighbour first, so that ARP is part of it.
    ///
    /// # Errors
    /// [`LabError::Command`] when it can't be tried. No answer is `Ok(false)`.
    pub fn pings(&self, target: Ipv4Addr, seconds: u32) -> Result<bool, LabError> {
        self.namespace.ip(&format!("neigh flush dev {DEVICE}"))?;
        let (target, seconds) = (target.to_string(), seconds.to_string());
        let heard = self.namespace.run("ping", ["-q", "-n", "-c", "1", "-W", &seconds, &target]);
        match heard {
            Ok(_) => Ok(true),
            // ping's status 1 is "no answer"; 2 is any other trouble.
            Err(LabError::Command { reason, .. }) if reason.starts_with("exit status: 1") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
