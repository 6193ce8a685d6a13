//! The 40 match fields of the specification (1.3.5, 7.2.3.7, table 12), one row each:
//! number, type, how many bits count, and the names of what is made of it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::raw::{OxmId, OxmRaw};
use super::value::{FieldValue, Isid, Masked, VlanVid, read, write};
use crate::flow_match::Match;
use crate::id::{MacAddr, PortNo};
use crate::wire::{DecodeErrorKind, Failure, Reader, Writer};

macro_rules! oxm_fields {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $number:literal: $type:ty[$bits:literal],
        exact $exact:ident($($arg:tt)*) $(, masked $masked:ident($($part:tt)*))?, read $read:ident;
    )*) => {
        /// A match field: one condition of a match, or what a set-field action writes.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Oxm {
            $( $(#[$doc])* $variant(Masked<$type>), )*
            /// A field that the specification doesn't name, or an experimenter's, as it came.
            Other(OxmRaw),
        }

        wire_enum! {
            /// The name of a match field (`oxm_ofb_match_fields`).
            pub enum Field: u8 {
                $( $(#[$doc])* $variant = $number => stringify!($exact), )*
            }
        }

        impl Field {
            /// Bytes of the field's value; `None` for fields that the specification doesn't name.
            #[must_use]
            pub fn width(self) -> Option<usize> {
                match self {
                    $( Self::$variant => Some(<$type>::LEN), )*
                    Self::Other(_) => None,
                }
            }

            /// Lower bits of the value that count.
            #[must_use]
            pub fn bits(self) -> Option<u32> {
                match self {
                    $( Self::$variant => Some($bits), )*
                    Self::Other(_) => None,
                }
            }

            /// Whether the specification allows a mask.
            #[must_use]
            pub fn maskable(self) -> bool {
                match self {
                    $( Self::$variant => oxm_fields!(@maskable $($masked)?), )*
                    Self::Other(_) => false,
                }
            }
        }

        #[allow(clippy::useless_conversion)]
        impl Oxm {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $exact(value: $($arg)*) -> Self {
                    Self::$variant(Masked::exact(value.into()))
                }

                $(
                    #[doc = concat!("`", stringify!($exact), "` in the bits of `mask` alone; other bits of `value` are cleared.")]
                    #[must_use]
                    pub fn $masked(value: $($part)*, mask: $($part)*) -> Self {
                        Self::$variant(clear(value.into(), mask.into()))
                    }
                )?
            )*

            /// Which field this is.
            #[must_use]
            pub fn field(&self) -> Option<Field> {
                match self {
                    $( Self::$variant(_) => Some(Field::$variant), )*
                    Self::Other(_) => None,
                }
            }

            #[cfg(feature = "serde")]
            pub(super) fn serialize_content<S: serde::ser::SerializeStruct>(
                &self,
                out: &mut S,
            ) -> Result<(), S::Error> {
                match self {
                    $( Self::$variant(content) => {
                        out.serialize_field("value", &content.value)?;
                        match &content.mask {
                            Some(mask) => out.serialize_field("mask", mask),
                            None => out.skip_field("mask"),
                        }
                    } )*
                    Self::Other(raw) => out.serialize_field("raw", raw),
                }
            }

            /// Value and mask as numbers; `None` for raw fields.
            #[must_use]
            pub fn to_bits(&self) -> Option<Masked<u128>> {
                match self {
                    $( Self::$variant(content) => Some(Masked {
                        value: FieldValue::to_bits(content.value),
                        mask: content.mask.map(FieldValue::to_bits),
                    }), )*
                    Self::Other(_) => None,
                }
            }

            /// The named field of these numbers; `None` for a field without a name.
            #[must_use]
            pub fn from_bits(field: Field, content: Masked<u128>) -> Option<Self> {
                match field {
                    $( Field::$variant => Some(Self::$variant(Masked {
                        value: <$type as FieldValue>::from_bits(content.value),
                        mask: content.mask.map(<$type as FieldValue>::from_bits),
                    })), )*
                    Field::Other(_) => None,
                }
            }

            pub(crate) fn encode(&self, out: &mut Writer<'_>) {
                match self {
                    $( Self::$variant(content) => encode(out, $number, content), )*
                    Self::Other(raw) => raw.encode(out),
                }
            }

            pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
                let at = body.offset();
                let id = OxmId::read(body)?;
                let length = usize::from(id.length);
                if id.class == OxmId::BASIC {
                    match id.field {
                        $( $number => return decode::<$type>(body, at, &id, stringify!($exact)).map(Self::$variant), )*
                        _ => {}
                    }
                }
                let data = body.bytes(length, "oxm payload")?;
                Ok(Self::Other(OxmRaw { class: id.class, field: id.field, has_mask: id.has_mask, data }))
            }
        }

        /// A builder for each field, `field` for "is" and, where the specification allows a
        /// mask, `field_masked` for "is, in these bits"; and `field_field` to read it.
        #[allow(clippy::useless_conversion)]
        impl Match {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $exact(self, value: $($arg)*) -> Self {
                    self.with(Oxm::$exact(value))
                }

                $(
                    #[doc = concat!("`", stringify!($exact), "` in the bits of `mask` alone; other bits of `value` are cleared.")]
                    #[must_use]
                    pub fn $masked(self, value: $($part)*, mask: $($part)*) -> Self {
                        self.with(Oxm::$masked(value, mask))
                    }
                )?

                #[doc = concat!("What this match says about `", stringify!($exact), "`, if anything.")]
                #[must_use]
                pub fn $read(&self) -> Option<Masked<$type>> {
                    self.fields().iter().find_map(|field| match field {
                        Oxm::$variant(content) => Some(*content),
                        _ => None,
                    })
                }
            )*
        }
    };
    (@maskable) => { false };
    (@maskable $masked:ident) => { true };
}

fn clear<T: FieldValue>(value: T, mask: T) -> Masked<T> {
    Masked::in_bits(T::from_bits(value.to_bits() & mask.to_bits()), mask)
}

#[inline]
fn encode<T: FieldValue>(out: &mut Writer<'_>, number: u8, content: &Masked<T>) {
    let (has_mask, length) = if content.mask.is_some() { (1, 2 * T::LEN) } else { (0, T::LEN) };
    out.u32(u32::from(OxmId::BASIC) << 16 | u32::from(number << 1 | has_mask) << 8 | length as u32);
    write(content.value, out);
    if let Some(mask) = content.mask {
        write(mask, out);
    }
}

#[inline]
fn decode<T: FieldValue>(
    body: &mut Reader<'_>,
    at: usize,
    id: &OxmId,
    name: &'static str,
) -> Result<Masked<T>, Failure> {
    let length = usize::from(id.length);
    let wanted = if id.has_mask { 2 * T::LEN } else { T::LEN };
    if length != wanted {
        let expected = if id.has_mask { "the field's size, twice" } else { "the field's size" };
        return Err(body.error_at(at + 3, name, DecodeErrorKind::Length { length, expected }));
    }
    let value = read(body, name)?;
    let mask = if id.has_mask { Some(read(body, name)?) } else { None };
    Ok(Masked { value, mask })
}

oxm_fields! {
    /// The port a frame came in by.
    InPort = 0: PortNo[32], exact in_port(impl Into<PortNo>), read in_port_field;
    /// The physical port under a logical one.
    InPhyPort = 1: PortNo[32], exact in_phy_port(impl Into<PortNo>), read in_phy_port_field;
    /// What earlier tables wrote.
    Metadata = 2: u64[64], exact metadata(u64), masked metadata_masked(u64), read metadata_field;
    /// Ethernet destination.
    EthDst = 3: MacAddr[48], exact eth_dst(impl Into<MacAddr>), masked eth_dst_masked(impl Into<MacAddr>), read eth_dst_field;
    /// Ethernet source.
    EthSrc = 4: MacAddr[48], exact eth_src(impl Into<MacAddr>), masked eth_src_masked(impl Into<MacAddr>), read eth_src_field;
    /// Ethernet type, after VLAN tags.
    EthType = 5: u16[16], exact eth_type(u16), read eth_type_field;
    /// VLAN id, or that there is a tag or none.
    VlanVid = 6: VlanVid[13], exact vlan_vid(VlanVid), masked vlan_vid_masked(VlanVid), read vlan_vid_field;
    /// VLAN priority, 0 to 7.
    VlanPcp = 7: u8[3], exact vlan_pcp(u8), read vlan_pcp_field;
    /// Differentiated services code point, 0 to 63.
    IpDscp = 8: u8[6], exact ip_dscp(u8), read ip_dscp_field;
    /// Explicit congestion notification, 0 to 3.
    IpEcn = 9: u8[2], exact ip_ecn(u8), read ip_ecn_field;
    /// Protocol over IP.
    IpProto = 10: u8[8], exact ip_proto(u8), read ip_proto_field;
    /// IPv4 source.
    Ipv4Src = 11: Ipv4Addr[32], exact ipv4_src(impl Into<Ipv4Addr>), masked ipv4_src_masked(impl Into<Ipv4Addr>), read ipv4_src_field;
    /// IPv4 destination.
    Ipv4Dst = 12: Ipv4Addr[32], exact ipv4_dst(impl Into<Ipv4Addr>), masked ipv4_dst_masked(impl Into<Ipv4Addr>), read ipv4_dst_field;
    /// TCP source port.
    TcpSrc = 13: u16[16], exact tcp_src(u16), read tcp_src_field;
    /// TCP destination port.
    TcpDst = 14: u16[16], exact tcp_dst(u16), read tcp_dst_field;
    /// UDP source port.
    UdpSrc = 15: u16[16], exact udp_src(u16), read udp_src_field;
    /// UDP destination port.
    UdpDst = 16: u16[16], exact udp_dst(u16), read udp_dst_field;
    /// SCTP source port.
    SctpSrc = 17: u16[16], exact sctp_src(u16), read sctp_src_field;
    /// SCTP destination port.
    SctpDst = 18: u16[16], exact sctp_dst(u16), read sctp_dst_field;
    /// ICMP type.
    Icmpv4Type = 19: u8[8], exact icmpv4_type(u8), read icmpv4_type_field;
    /// ICMP code.
    Icmpv4Code = 20: u8[8], exact icmpv4_code(u8), read icmpv4_code_field;
    /// ARP operation: 1 request, 2 reply.
    ArpOp = 21: u16[16], exact arp_op(u16), read arp_op_field;
    /// ARP sender's IPv4 address.
    ArpSpa = 22: Ipv4Addr[32], exact arp_spa(impl Into<Ipv4Addr>), masked arp_spa_masked(impl Into<Ipv4Addr>), read arp_spa_field;
    /// ARP target's IPv4 address.
    ArpTpa = 23: Ipv4Addr[32], exact arp_tpa(impl Into<Ipv4Addr>), masked arp_tpa_masked(impl Into<Ipv4Addr>), read arp_tpa_field;
    /// ARP sender's Ethernet address.
    ArpSha = 24: MacAddr[48], exact arp_sha(impl Into<MacAddr>), masked arp_sha_masked(impl Into<MacAddr>), read arp_sha_field;
    /// ARP target's Ethernet address.
    ArpTha = 25: MacAddr[48], exact arp_tha(impl Into<MacAddr>), masked arp_tha_masked(impl Into<MacAddr>), read arp_tha_field;
    /// IPv6 source.
    Ipv6Src = 26: Ipv6Addr[128], exact ipv6_src(impl Into<Ipv6Addr>), masked ipv6_src_masked(impl Into<Ipv6Addr>), read ipv6_src_field;
    /// IPv6 destination.
    Ipv6Dst = 27: Ipv6Addr[128], exact ipv6_dst(impl Into<Ipv6Addr>), masked ipv6_dst_masked(impl Into<Ipv6Addr>), read ipv6_dst_field;
    /// IPv6 flow label, below 2^20.
    Ipv6Flabel = 28: u32[20], exact ipv6_flabel(u32), masked ipv6_flabel_masked(u32), read ipv6_flabel_field;
    /// ICMPv6 type.
    Icmpv6Type = 29: u8[8], exact icmpv6_type(u8), read icmpv6_type_field;
    /// ICMPv6 code.
    Icmpv6Code = 30: u8[8], exact icmpv6_code(u8), read icmpv6_code_field;
    /// Neighbour discovery's target.
    Ipv6NdTarget = 31: Ipv6Addr[128], exact ipv6_nd_target(impl Into<Ipv6Addr>), read ipv6_nd_target_field;
    /// Neighbour discovery's source link-layer address.
    Ipv6NdSll = 32: MacAddr[48], exact ipv6_nd_sll(impl Into<MacAddr>), read ipv6_nd_sll_field;
    /// Neighbour discovery's target link-layer address.
    Ipv6NdTll = 33: MacAddr[48], exact ipv6_nd_tll(impl Into<MacAddr>), read ipv6_nd_tll_field;
    /// MPLS label, below 2^20.
    MplsLabel = 34: u32[20], exact mpls_label(u32), read mpls_label_field;
    /// MPLS traffic class, 0 to 7.
    MplsTc = 35: u8[3], exact mpls_tc(u8), read mpls_tc_field;
    /// MPLS bottom of stack, 0 or 1.
    MplsBos = 36: u8[1], exact mpls_bos(u8), read mpls_bos_field;
    /// Backbone bridge's service instance.
    PbbIsid = 37: Isid[24], exact pbb_isid(Isid), masked pbb_isid_masked(Isid), read pbb_isid_field;
    /// What the tunnel's port adds, such as a VNI.
    TunnelId = 38: u64[64], exact tunnel_id(u64), masked tunnel_id_masked(u64), read tunnel_id_field;
    /// Which IPv6 extension headers there are (`ofp_ipv6exthdr_flags`).
    Ipv6Exthdr = 39: u16[9], exact ipv6_exthdr(u16), masked ipv6_exthdr_masked(u16), read ipv6_exthdr_field;
}
