//! Where each match field (1.3.5, 7.2.3.7) stands in a key.

use std::ops::Range;

/// One field's place in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The field's number in the OXM class `OFPXMC_OPENFLOW_BASIC`.
    pub number: u8,
    /// First byte in the key.
    pub at: u8,
    /// Bytes, as on the wire.
    pub size: u8,
    /// Significant bits; the wire's other bits are zero.
    pub bits: u8,
}

impl Place {
    /// The field's bytes in a key.
    pub fn range(self) -> Range<usize> {
        usize::from(self.at)..usize::from(self.at) + usize::from(self.size)
    }

    /// The mask that covers the whole field, as a number.
    pub const fn full_mask(self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }
}

macro_rules! fields {
    ($( $name:ident = $number:literal, $size:literal, $bits:literal; )*) => {
        fields!(@place 0_u8; $( $name = $number, $size, $bits; )*);

        /// All fields, by number.
        pub const ALL: &[Place] = &[$( $name ),*];
    };
    (@place $at:expr; $name:ident = $number:literal, $size:literal, $bits:literal; $($rest:tt)*) => {
        #[doc = concat!("Field ", stringify!($number), ".")]
        pub const $name: Place = Place { number: $number, at: $at, size: $size, bits: $bits };
        fields!(@place $name.at + $name.size; $($rest)*);
    };
    (@place $at:expr;) => {
        /// Bytes of all fields together.
        pub const SIZE: usize = $at as usize;
    };
}

fields! {
    IN_PORT = 0, 4, 32;
    IN_PHY_PORT = 1, 4, 32;
    METADATA = 2, 8, 64;
    ETH_DST = 3, 6, 48;
    ETH_SRC = 4, 6, 48;
    ETH_TYPE = 5, 2, 16;
    VLAN_VID = 6, 2, 13;
    VLAN_PCP = 7, 1, 3;
    IP_DSCP = 8, 1, 6;
    IP_ECN = 9, 1, 2;
    IP_PROTO = 10, 1, 8;
    IPV4_SRC = 11, 4, 32;
    IPV4_DST = 12, 4, 32;
    TCP_SRC = 13, 2, 16;
    TCP_DST = 14, 2, 16;
    UDP_SRC = 15, 2, 16;
    UDP_DST = 16, 2, 16;
    SCTP_SRC = 17, 2, 16;
    SCTP_DST = 18, 2, 16;
    ICMPV4_TYPE = 19, 1, 8;
    ICMPV4_CODE = 20, 1, 8;
    ARP_OP = 21, 2, 16;
    ARP_SPA = 22, 4, 32;
    ARP_TPA = 23, 4, 32;
    ARP_SHA = 24, 6, 48;
    ARP_THA = 25, 6, 48;
    IPV6_SRC = 26, 16, 128;
    IPV6_DST = 27, 16, 128;
    IPV6_FLABEL = 28, 4, 20;
    ICMPV6_TYPE = 29, 1, 8;
    ICMPV6_CODE = 30, 1, 8;
    IPV6_ND_TARGET = 31, 16, 128;
    IPV6_ND_SLL = 32, 6, 48;
    IPV6_ND_TLL = 33, 6, 48;
    MPLS_LABEL = 34, 4, 20;
    MPLS_TC = 35, 1, 3;
    MPLS_BOS = 36, 1, 1;
    PBB_ISID = 37, 3, 24;
    TUNNEL_ID = 38, 8, 64;
    IPV6_EXTHDR = 39, 2, 9;
}

/// The place of a basic field; `None` for numbers that 1.3 doesn't have.
pub fn of(number: u8) -> Option<Place> {
    ALL.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_each_other_and_are_found_by_number() {
        let mut next = 0;
        for (number, place) in ALL.iter().enumerate() {
            assert_eq!(usize::from(place.number), number);
            assert_eq!(of(place.number), Some(*place));
            assert_eq!(place.range().start, next);
            next = place.range().end;
        }
        assert_eq!(next, SIZE);
        assert_eq!(of(40), None);
    }

    #[test]
    fn a_full_mask_covers_exactly_the_significant_bits() {
        assert_eq!(VLAN_VID.full_mask(), 0x1fff);
        assert_eq!(MPLS_BOS.full_mask(), 1);
        assert_eq!(METADATA.full_mask(), u64::MAX.into());
        assert_eq!(IPV6_SRC.full_mask(), u128::MAX);
    }
}
