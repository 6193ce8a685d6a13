//! How our flows are known: by a cookie that nobody else would choose.
//!
//! ```text
//! 63        40 39   32 31          0
//! | "ISL"     | kind  | network id  |     network 0: the switch's own flows
//! ```

use crate::model::NetworkId;

/// What a flow is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The switch's own: announcements and learning, for all networks.
    Base = 0,
    /// Table 0: an edge port.
    Edge = 1,
    /// Table 0: a tag on a trunk.
    Trunk = 2,
    /// Table 1: a learnt host. Its removal tells that the host fell silent.
    Learnt = 3,
    /// Table 1: everything that was declared.
    Source = 4,
    /// Table 2: a known host.
    Host = 5,
    /// Table 2: everything else.
    Flood = 6,
}

/// A flow's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie;

impl Cookie {
    const MARK: u64 = 0x0049_534c << 40;
    /// Selects all flows of ours: `cookie & MASK == MARK`.
    pub const MASK: u64 = 0x00ff_ffff << 40;

    /// The mark that all our cookies carry.
    pub const fn mark() -> u64 {
        Self::MARK
    }

    /// The cookie of a network's flow.
    pub const fn of(network: NetworkId, kind: Kind) -> u64 {
        Self::MARK | (kind as u64) << 32 | network.value() as u64
    }

    /// The cookie of a switch's own flows.
    pub const fn base() -> u64 {
        Self::MARK
    }

    /// Cookie and mask that select all flows of one network.
    pub const fn of_network(network: NetworkId) -> (u64, u64) {
        (Self::MARK | network.value() as u64, Self::MASK | 0xffff_ffff)
    }

    /// The network number in a cookie of ours; 0 for the switch's own flows.
    pub const fn network(cookie: u64) -> Option<u32> {
        if cookie & Self::MASK == Self::MARK { Some(cookie as u32) } else { None }
    }

    /// Whether a cookie of ours says that its flow stands for a learnt host.
    pub const fn is_learnt(cookie: u64) -> bool {
        (cookie >> 32) & 0xff == Kind::Learnt as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_tells_its_network_and_nobody_elses() {
        let id = NetworkId::new(4711).unwrap();
        let cookie = Cookie::of(id, Kind::Learnt);
        assert_eq!(cookie, 0x4953_4c03_0000_1267);
        assert_eq!(Cookie::network(cookie), Some(4711));
        assert!(Cookie::is_learnt(cookie) && !Cookie::is_learnt(Cookie::of(id, Kind::Host)));
        assert_eq!(Cookie::network(Cookie::base()), Some(0));
        assert_eq!(Cookie::network(0x1267), None);
        let (value, mask) = Cookie::of_network(id);
        assert_eq!(cookie & mask, value);
    }
}
