//! From a frame's bytes to its match fields.
//!
//! As in Open vSwitch, one tag is looked into: behind a second one `eth_type` is the second tag's type, and nothing
//! further is known. So what holds for a frame here holds on a real switch.

use etherparse::{EtherType, IpNumber, Ipv6HeaderSlice};

use super::key::Key;
use super::layout as f;

/// `vlan_vid`'s bit for "there is a tag" (1.3.5, 7.2.3.7, `OFPVID_PRESENT`).
pub const VID_PRESENT: u16 = 0x1000;

const ADDRESSES: usize = 12;
/// EtherTypes that are tags: 802.1Q and 802.1ad.
const TAGS: [u16; 2] = [EtherType::VLAN_TAGGED_FRAME.0, EtherType::PROVIDER_BRIDGING.0];
const PBB: u16 = 0x88e7;
const MPLS: [u16; 2] = [0x8847, 0x8848];
/// What Open vSwitch reports for a frame whose type field is an 802.3 length.
const NOT_ETHERNET_II: u16 = 0x05ff;

/// Whether an EtherType is a VLAN tag's.
pub fn is_tag(ethertype: u16) -> bool {
    TAGS.contains(&ethertype)
}

/// Where a frame's headers start, in bytes; 0 for none that is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// ARP, IPv4 or IPv6.
    pub l3: usize,
    /// TCP, UDP or ICMP of a first fragment.
    pub l4: usize,
}

/// Fills in all fields that come from the frame itself; in_port, metadata and tunnel_id are left alone.
pub fn fill(key: &mut Key, bytes: &[u8]) -> Layers {
    let kept = [f::IN_PORT, f::IN_PHY_PORT, f::METADATA, f::TUNNEL_ID].map(|p| (p, key.u64(p)));
    *key = Key::default();
    for (place, value) in kept {
        key.set_u64(place, value);
    }
    let mut layers = Layers::default();
    if bytes.len() < ADDRESSES {
        return layers;
    }
    key.set(f::ETH_DST, &bytes[..6]);
    key.set(f::ETH_SRC, &bytes[6..12]);
    let Some(mut ethertype) = u16_at(bytes, ADDRESSES) else { return layers };
    let mut at = ADDRESSES + 2;
    if is_tag(ethertype)
        && let (Some(tci), Some(inner)) = (u16_at(bytes, at), u16_at(bytes, at + 2))
    {
        key.set_u64(f::VLAN_VID, u64::from(VID_PRESENT | tci & 0xfff));
        key.set_u64(f::VLAN_PCP, u64::from(tci >> 13));
        ethertype = inner;
        at += 4;
    }
    if ethertype < 0x0600 {
        (ethertype, at) = snap(bytes, at);
    }
    key.set_u64(f::ETH_TYPE, u64::from(ethertype));
    let rest = bytes.get(at..).unwrap_or(&[]);
    // Each says where its transport header starts, counted from its own; `None` if it isn't whole.
    let found = match EtherType(ethertype) {
        EtherType::ARP => arp(key, rest),
        EtherType::IPV4 => ipv4(key, rest),
        EtherType::IPV6 => ipv6(key, rest),
        _ => None,
    };
    if let Some(transport) = found {
        layers.l3 = at;
        layers.l4 = if transport == 0 { 0 } else { at + transport };
    }
    match ethertype {
        _ if MPLS.contains(&ethertype) => mpls(key, rest),
        PBB => key.set(f::PBB_ISID, rest.get(1..4).unwrap_or(&[])),
        _ => {}
    }
    layers
}

/// LLC with SNAP carries an EtherType (IEEE 802.2); anything else under 0x600 has none.
fn snap(bytes: &[u8], at: usize) -> (u16, usize) {
    match bytes.get(at..at + 6) {
        Some([0xaa, 0xaa, 3, 0, 0, 0]) => match u16_at(bytes, at + 6) {
            Some(inner) if inner >= 0x0600 => (inner, at + 8),
            _ => (NOT_ETHERNET_II, at),
        },
        _ => (NOT_ETHERNET_II, at),
    }
}

fn arp(key: &mut Key, packet: &[u8]) -> Option<usize> {
    // Ethernet and IPv4 with their sizes, else the rest isn't where it is expected (RFC 826).
    let arp = packet.get(..28).filter(|p| p[..6] == [0, 1, 8, 0, 6, 4])?;
    // Open vSwitch knows opcodes up to 255 only.
    if arp[6] == 0 {
        key.set(f::ARP_OP, &arp[6..8]);
    }
    key.set(f::ARP_SHA, &arp[8..14]);
    key.set(f::ARP_SPA, &arp[14..18]);
    key.set(f::ARP_THA, &arp[18..24]);
    key.set(f::ARP_TPA, &arp[24..28]);
    Some(0)
}

fn ipv4(key: &mut Key, packet: &[u8]) -> Option<usize> {
    let header = packet.get(..20).filter(|h| h[0] >> 4 == 4 && h[0] & 15 >= 5)?;
    let (length, total) = (usize::from(header[0] & 15) * 4, usize::from(u16_of(&header[2..4])));
    if total < length || total > packet.len() {
        return None;
    }
    key.set(f::IPV4_SRC, &header[12..16]);
    key.set(f::IPV4_DST, &header[16..20]);
    key.set_u64(f::IP_DSCP, u64::from(header[1] >> 2));
    key.set_u64(f::IP_ECN, u64::from(header[1] & 3));
    key.set_u64(f::IP_PROTO, u64::from(header[9]));
    // A later fragment has no transport header (RFC 791).
    if u16_of(&header[6..8]) & 0x1fff != 0 {
        return Some(0);
    }
    let whole = transport(key, IpNumber(header[9]), packet.get(length..total)?, IpNumber::ICMP);
    Some(if whole { length } else { 0 })
}

fn ipv6(key: &mut Key, packet: &[u8]) -> Option<usize> {
    let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let end = 40 + usize::from(header.payload_length());
    let mut rest = packet.get(40..end)?;
    key.set(f::IPV6_SRC, &header.source());
    key.set(f::IPV6_DST, &header.destination());
    key.set_u64(f::IPV6_FLABEL, u64::from(header.flow_label().value()));
    key.set_u64(f::IP_DSCP, u64::from(header.traffic_class() >> 2));
    key.set_u64(f::IP_ECN, u64::from(header.traffic_class() & 3));
    let mut next = header.next_header();
    loop {
        let size = match (next, rest) {
            (
                IpNumber::IPV6_HEADER_HOP_BY_HOP
                | IpNumber::IPV6_ROUTE_HEADER
                | IpNumber::IPV6_DESTINATION_OPTIONS,
                [_, units, ..],
            ) => (usize::from(*units) + 1) * 8,
            (IpNumber::AUTHENTICATION_HEADER, [_, units, ..]) => (usize::from(*units) + 2) * 4,
            (IpNumber::IPV6_FRAGMENTATION_HEADER, [_, _, high, low, ..]) => {
                if u16::from_be_bytes([*high, *low]) & 0xfff8 != 0 {
                    key.set_u64(f::IP_PROTO, u64::from(rest[0]));
                    return Some(0); // a later fragment has no transport header
                }
                8
            }
            _ => break,
        };
        next = IpNumber(rest[0]);
        let Some(behind) = rest.get(size..) else { return Some(0) };
        rest = behind;
    }
    key.set_u64(f::IP_PROTO, u64::from(next.0));
    let whole = transport(key, next, rest, IpNumber::IPV6_ICMP);
    Some(if whole { end - rest.len() } else { 0 })
}

/// Whether the transport header is known and whole.
fn transport(key: &mut Key, protocol: IpNumber, payload: &[u8], icmp: IpNumber) -> bool {
    let mut ports = |src, dst, shortest| {
        let whole = payload.len() >= shortest;
        if whole {
            key.set(src, &payload[..2]);
            key.set(dst, &payload[2..4]);
        }
        whole
    };
    match protocol {
        IpNumber::TCP => ports(f::TCP_SRC, f::TCP_DST, 20),
        IpNumber::UDP => ports(f::UDP_SRC, f::UDP_DST, 8),
        IpNumber::SCTP => ports(f::SCTP_SRC, f::SCTP_DST, 12),
        IpNumber::ICMP if icmp == IpNumber::ICMP && payload.len() >= 8 => {
            key.set(f::ICMPV4_TYPE, &payload[..1]);
            key.set(f::ICMPV4_CODE, &payload[1..2]);
            true
        }
        IpNumber::IPV6_ICMP if icmp == IpNumber::IPV6_ICMP && payload.len() >= 4 => {
            key.set(f::ICMPV6_TYPE, &payload[..1]);
            key.set(f::ICMPV6_CODE, &payload[1..2]);
            neighbour_discovery(key, payload);
            true
        }
        _ => false,
    }
}

/// Solicitations and advertisements (RFC 4861, 4.3, 4.4): target, and the address in an option of its kind.
fn neighbour_discovery(key: &mut Key, message: &[u8]) {
    let (place, kind) = match message.first() {
        Some(135) => (f::IPV6_ND_SLL, 1),
        Some(136) => (f::IPV6_ND_TLL, 2),
        _ => return,
    };
    if message[1] != 0 {
        return;
    }
    let Some(target) = message.get(8..24) else { return };
    key.set(f::IPV6_ND_TARGET, target);
    let mut options = &message[24..];
    while let [this, units, ..] = options
        && *units > 0
        && let Some(option) = options.get(..usize::from(*units) * 8)
    {
        if *this == kind && *units == 1 {
            key.set(place, &option[2..8]);
            return;
        }
        options = &options[option.len()..];
    }
}

fn mpls(key: &mut Key, packet: &[u8]) {
    let Some(entry) = packet.get(..4).map(|e| u32::from_be_bytes([e[0], e[1], e[2], e[3]])) else {
        return;
    };
    key.set_u64(f::MPLS_LABEL, u64::from(entry >> 12));
    key.set_u64(f::MPLS_TC, u64::from(entry >> 9 & 7));
    key.set_u64(f::MPLS_BOS, u64::from(entry >> 8 & 1));
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(u16_of)
}

fn u16_of(two: &[u8]) -> u16 {
    u16::from_be_bytes([two[0], two[1]])
}
