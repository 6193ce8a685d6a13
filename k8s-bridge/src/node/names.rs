//! Names and numbers that follow from others: devices, VNIs, datapath ids, MAC addresses.
//!
//! Pure, and the same on every version: a node that is set up again must get the same datapath id, or its switch
//! would be another one.

use api::name::Dpid;
use sha2::{Digest, Sha256};

/// The bridge's name if the document says none, as in L2S-M.
pub const BRIDGE: &str = "brtun";
/// VXLAN's UDP port (RFC 7348, 5).
pub const VXLAN_PORT: u16 = 4789;
/// The device group of every link that was made here; `ip link show group 6653` lists them.
///
/// The kernel takes it in the same message that makes the device, so no device of ours is ever without.
pub const GROUP: u32 = 6653;

/// A device whose name says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// `vpodN`: the end that is given to a pod.
    Pod(u32),
    /// `vhostN`: the other end, in the bridge.
    Host(u32),
    /// `vxlanK`: a tunnel.
    Vxlan(u32),
}

impl Device {
    /// The device of this name, if it is one; numbers count from 1, without leading zeros.
    pub fn of(name: &str) -> Option<Self> {
        let at = name.find(|c: char| c.is_ascii_digit())?;
        let (kind, digits) = name.split_at(at);
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| plain)?;
        match kind {
            "vpod" => Some(Self::Pod(number)),
            "vhost" => Some(Self::Host(number)),
            "vxlan" => Some(Self::Vxlan(number)),
            _ => None,
        }
    }
}

/// `vpodN`.
pub fn pod(n: u32) -> String {
    format!("vpod{n}")
}

/// `vhostN`.
pub fn host(n: u32) -> String {
    format!("vhost{n}")
}

/// `vxlanK`.
pub fn vxlan(k: u32) -> String {
    format!("vxlan{k}")
}

/// The VNI of link `k` of the document: 1961 for the first, as in L2S-M.
pub fn vni(k: u32) -> u32 {
    1960 + k
}

/// The datapath id of a node's switch: the first 64 bits of the SHA-256 of its name, 1 should they all be zero.
///
/// `printf %s worker-1 | sha256sum | cut -c 1-16` prints it.
pub fn dpid(node: &str) -> Dpid {
    let [a, b, c, d, e, f, g, h] = first(node.as_bytes());
    Dpid(u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1))
}

/// The MAC address of a node's `vpodN`: a local one (IEEE 802, 8.4) from the SHA-256 of `NODE/vpodN`.
pub fn pod_mac(node: &str, n: u32) -> [u8; 6] {
    let [a, b, c, d, e, f] = first(format!("{node}/{}", pod(n)).as_bytes());
    [(a & 0xfc) | 0x02, b, c, d, e, f]
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let digest = Sha256::digest(bytes);
    let mut taken = [0; N];
    taken.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datapath_id_is_what_sha256sum_says() {
        // printf %s worker-1 | sha256sum
        assert_eq!(dpid("worker-1").to_string(), "of:13029f9e83d15b3d");
        assert_ne!(dpid("worker-1"), dpid("worker-2"));
    }

    #[test]
    fn mac_addresses_are_local_and_a_stations_own() {
        for n in 1..100 {
            let mac = pod_mac("worker-1", n);
            assert_eq!(mac[0] & 3, 2, "{mac:x?}");
            assert_ne!(mac, pod_mac("worker-2", n));
        }
    }

    #[test]
    fn names_say_what_a_device_is() {
        let cases = [
            ("vpod1", Some(Device::Pod(1))),
            ("vhost10", Some(Device::Host(10))),
            ("vxlan3", Some(Device::Vxlan(3))),
            ("vxlan", None),
            ("vxlan03", None),
            ("vxlan0", None),
            ("vxlan.calico", None),
            ("vhost+1", None),
            ("vpod99999999999", None),
            ("eth0", None),
        ];
        for (name, want) in cases {
            assert_eq!(Device::of(name), want, "{name}");
        }
    }
}
