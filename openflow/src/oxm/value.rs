//! What match fields hold.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::id::{MacAddr, PortNo};
use crate::wire::{Failure, Reader, Writer};

/// A value and, where only some of its bits count, a mask with those bits set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Masked<T> {
    /// The value; bits that the mask leaves out must be zero (1.3.5, 7.2.3.5).
    pub value: T,
    /// Which bits of it count; `None` for all.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub mask: Option<T>,
}

impl<T> Masked<T> {
    /// A value of which all bits count.
    pub const fn exact(value: T) -> Self {
        Self { value, mask: None }
    }

    /// A value of which the bits in `mask` count.
    pub const fn in_bits(value: T, mask: T) -> Self {
        Self { value, mask: Some(mask) }
    }
}

/// What a match field can hold.
pub trait FieldValue: Copy + Eq + Ord + std::hash::Hash {
    /// Bytes on the wire.
    const LEN: usize;

    /// The value as a number, its last bit on the wire the lowest.
    fn to_bits(self) -> u128;

    /// The value of a number; bits that don't fit are lost.
    fn from_bits(bits: u128) -> Self;
}

pub(super) fn write<T: FieldValue>(value: T, out: &mut Writer<'_>) {
    let bytes = value.to_bits().to_be_bytes();
    out.bytes(&bytes[16 - T::LEN..]);
}

pub(super) fn read<T: FieldValue>(
    body: &mut Reader<'_>,
    field: &'static str,
) -> Result<T, Failure> {
    let bits = match T::LEN {
        1 => u128::from(body.u8(field)?),
        2 => u128::from(body.u16(field)?),
        4 => u128::from(body.u32(field)?),
        8 => u128::from(body.u64(field)?),
        16 => u128::from_be_bytes(body.array(field)?),
        6 => {
            let [a, b, c, d, e, f] = body.array(field)?;
            u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into()
        }
        length => {
            let mut bits = 0;
            for _ in 0..length {
                bits = bits << 8 | u128::from(body.u8(field)?);
            }
            bits
        }
    };
    Ok(T::from_bits(bits))
}

macro_rules! number_values {
    ($($int:ty),*) => {$(
        impl FieldValue for $int {
            const LEN: usize = size_of::<$int>();

            #[inline]
            fn to_bits(self) -> u128 {
                self.into()
            }

            #[inline]
            fn from_bits(bits: u128) -> Self {
                bits as $int
            }
        }
    )*};
}

number_values!(u8, u16, u32, u64);

impl FieldValue for PortNo {
    const LEN: usize = 4;

    #[inline]
    fn to_bits(self) -> u128 {
        self.0.into()
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        Self(bits as u32)
    }
}

impl FieldValue for MacAddr {
    const LEN: usize = 6;

    #[inline]
    fn to_bits(self) -> u128 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into()
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        let [_, _, a, b, c, d, e, f] = (bits as u64).to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl FieldValue for Ipv4Addr {
    const LEN: usize = 4;

    #[inline]
    fn to_bits(self) -> u128 {
        Ipv4Addr::to_bits(self).into()
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        Ipv4Addr::from_bits(bits as u32)
    }
}

impl FieldValue for Ipv6Addr {
    const LEN: usize = 16;

    #[inline]
    fn to_bits(self) -> u128 {
        Ipv6Addr::to_bits(self)
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        Ipv6Addr::from_bits(bits)
    }
}

/// The VLAN field of a match (1.3.5, 7.2.3.7, `ofp_vlan_id`): "untagged", "tagged", or a VLAN.
///
/// On the wire a VLAN id has bit 12 set; this type doesn't let that be forgotten.
///
/// ```
/// use openflow::VlanVid;
/// assert_eq!(VlanVid::tagged(100).0, 0x1064);
/// assert_eq!(VlanVid::tagged(100).id(), Some(100));
/// assert_eq!(VlanVid::NONE.id(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct VlanVid(pub u16);

impl VlanVid {
    /// No tag.
    pub const NONE: Self = Self(0);
    /// The bit that says "there is a tag"; as value and mask alike it matches any tagged frame.
    pub const PRESENT: Self = Self(0x1000);
    /// All bits of the field, as a mask.
    pub const EXACT: Self = Self(0x1fff);

    /// A tag with this VLAN id, of which the lower 12 bits count.
    #[must_use]
    pub const fn tagged(id: u16) -> Self {
        Self(Self::PRESENT.0 | id & 0x0fff)
    }

    /// The VLAN id, if there is a tag.
    #[must_use]
    pub const fn id(self) -> Option<u16> {
        if self.0 & Self::PRESENT.0 == 0 { None } else { Some(self.0 & 0x0fff) }
    }
}

impl FieldValue for VlanVid {
    const LEN: usize = 2;

    #[inline]
    fn to_bits(self) -> u128 {
        self.0.into()
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        Self(bits as u16)
    }
}

/// The 24-bit service instance of a backbone bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Isid(u32);

impl Isid {
    /// A service instance; `None` from 2^24 on.
    #[must_use]
    pub const fn new(isid: u32) -> Option<Self> {
        if isid < 1 << 24 { Some(Self(isid)) } else { None }
    }

    /// Its number, below 2^24.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl FieldValue for Isid {
    const LEN: usize = 3;

    #[inline]
    fn to_bits(self) -> u128 {
        self.0.into()
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        Self(bits as u32 & 0x00ff_ffff)
    }
}
