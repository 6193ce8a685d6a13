//! The words everything else is written in: networks, tags, places.
//!
//! Plain values without behaviour of their own beyond arithmetic on ids.

use std::fmt;

pub use api::name::{Dpid, Name, PortRef, SwitchRef};
use openflow::{DatapathId, GroupId, PortNo};
use serde::{Deserialize, Serialize};

/// One virtual network's number. Its tags, group, cookie and metadata follow
/// from it by arithmetic, so that no two places can disagree about them.
///
/// Range 1 to 2^23 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct NetworkId(u32);

impl TryFrom<u32> for NetworkId {
    type Error = String;

    fn try_from(id: u32) -> Result<Self, String> {
        Self::new(id).ok_or_else(|| format!("{id} is no network id; 1 to {} are", Self::MAX))
    }
}

impl NetworkId {
    /// The least id.
    pub const FIRST: Self = Self(1);
    /// The largest id: its flood tag is the largest 24-bit tunnel id.
    pub const MAX: u32 = (1 << 23) - 1;
    /// The largest id that has VLAN tags: its flood tag is VLAN 4094.
    pub const MAX_VLAN: u32 = 2047;

    /// `None` outside 1 to [`Self::MAX`].
    pub const fn new(id: u32) -> Option<Self> {
        if id == 0 || id > Self::MAX { None } else { Some(Self(id)) }
    }

    /// The number itself.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The tag that frames of this network carry on a trunk of this kind.
    /// `None` where the encapsulation has no tag left for this id.
    pub const fn tag(self, encap: Encap, kind: Kind) -> Option<u64> {
        let id = self.0 as u64;
        match (encap, kind) {
            (Encap::Vlan, _) if self.0 > Self::MAX_VLAN => None,
            (Encap::Vlan, Kind::Known) => Some(2 * id - 1),
            (Encap::Vlan, Kind::Flood) => Some(2 * id),
            (Encap::TunId, Kind::Known) => Some(2 * id),
            (Encap::TunId, Kind::Flood) => Some(2 * id + 1),
        }
    }

    /// Whether frames of this network can cross trunks of this kind at all.
    pub const fn has_tags(self, encap: Encap) -> bool {
        self.tag(encap, Kind::Flood).is_some()
    }

    /// The id of the network's flood group on every switch. Groups have no
    /// cookie: the first byte marks ours.
    pub const fn group(self) -> GroupId {
        GroupId(GROUP_MARK | self.0)
    }

    /// The network a group belongs to, if it is one of ours.
    pub const fn of_group(group: GroupId) -> Option<Self> {
        if group.0 & GROUP_MARK_MASK == GROUP_MARK {
            Self::new(group.0 & !GROUP_MARK_MASK)
        } else {
            None
        }
    }
}

/// `I` in the first byte of a group id; 24 bits are left for the network.
const GROUP_MARK: u32 = 0x4900_0000;
const GROUP_MARK_MASK: u32 = 0xff00_0000;

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a trunk carries a network's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encap {
    /// An 802.1Q tag around whatever the tenant sent: 2,047 networks.
    Vlan,
    /// The tunnel's key: 2^23 − 1 networks.
    TunId,
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vlan => "vlan",
            Self::TunId => "tun_id",
        })
    }
}

/// What the tag on a trunk says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sent towards a known host, on shortest paths; never flooded again.
    Known,
    /// Flooded, along the network's tree; never forwarded as known again.
    Flood,
}

/// A port of a switch, anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The switch.
    pub switch: DatapathId,
    /// Its port.
    pub port: PortNo,
}

impl Place {
    /// A place.
    pub const fn new(switch: DatapathId, port: PortNo) -> Self {
        Self { switch, port }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.switch, self.port)
    }
}

/// A port, as a caller wrote it. What was written is what is stored; it is
/// resolved on the live switches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortAt {
    /// Its switch.
    pub switch: SwitchRef,
    /// The port there.
    pub port: PortRef,
}

/// The reference to a switch by its datapath id.
pub const fn by_id(id: DatapathId) -> SwitchRef {
    SwitchRef::Dpid(Dpid(id.0))
}

/// The reference to a port by its number.
pub const fn by_number(port: PortNo) -> PortRef {
    PortRef::Number(port.0)
}

impl fmt::Display for PortAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.switch, self.port)
    }
}

/// A well-spread number from two, equal on every instance and in every
/// version: paths and trees are chosen by it, so it must never change.
/// (The finaliser of SplitMix64, applied to each.)
pub const fn spread(a: u64, b: u64) -> u64 {
    const fn mix(mut z: u64) -> u64 {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    mix(mix(a) ^ b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_all_networks_differ_and_fit() {
        let last = NetworkId::new(NetworkId::MAX_VLAN).unwrap();
        assert_eq!(NetworkId::new(1).unwrap().tag(Encap::Vlan, Kind::Known), Some(1));
        assert_eq!(last.tag(Encap::Vlan, Kind::Flood), Some(4094));
        let over = NetworkId::new(NetworkId::MAX_VLAN + 1).unwrap();
        assert!(!over.has_tags(Encap::Vlan) && over.has_tags(Encap::TunId));
        let max = NetworkId::new(NetworkId::MAX).unwrap();
        assert_eq!(max.tag(Encap::TunId, Kind::Flood), Some((1 << 24) - 1));
        assert_eq!(NetworkId::new(0), None);
        assert_eq!(NetworkId::new(NetworkId::MAX + 1), None);
    }

    #[test]
    fn a_group_tells_its_network() {
        let id = NetworkId::new(4711).unwrap();
        assert_eq!(NetworkId::of_group(id.group()), Some(id));
        assert_eq!(NetworkId::of_group(GroupId(4711)), None);
    }
}
