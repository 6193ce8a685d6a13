//! Matches: `priority=100,tcp,in_port=1,dl_vlan=100,nw_dst=10.0.0.0/8,tp_dst=80`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{AltHex, Hex};
use crate::flow_match::Match;
use crate::id::{MacAddr, PortNo};
use crate::oxm::{Field, FieldValue, Masked, Oxm, VlanVid};

/// A flow's match with its priority, which isn't printed when it is the default of flow-mods.
pub(crate) struct Prioritised<'a>(pub(crate) u16, pub(crate) &'a Match);

const DEFAULT_PRIORITY: u16 = 0x8000;

impl fmt::Display for Prioritised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(priority, match_) = *self;
        if priority == DEFAULT_PRIORITY {
            return match_.fmt(f);
        }
        let match_ = match_.to_string();
        let comma = if match_.is_empty() { "" } else { "," };
        write!(f, "priority={priority}{comma}{match_}")
    }
}

/// As `ovs-ofctl` prints it; nothing for the match of every frame.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Fields { f, gap: "" };
        let kind = Kind::of(self);
        if let Some(name) = kind.name {
            out.item(format_args!("{name}"))?;
        }
        vlan_after(self, &mut out, &kind)
    }
}

/// What the Ethernet type and the IP protocol say about the rest.
struct Kind {
    name: Option<&'static str>,
    names_proto: bool,
    arp: bool,
}

impl Kind {
    fn of(match_: &Match) -> Self {
        let exact = |content: Masked<u16>| content.mask.is_none().then_some(content.value);
        let ethertype = match_.eth_type_field().and_then(exact);
        let proto =
            match_.ip_proto_field().filter(|proto| proto.mask.is_none()).map(|proto| proto.value);
        let (name, names_proto) = match (ethertype, proto) {
            (Some(0x0800), Some(1)) => (Some("icmp"), true),
            (Some(0x0800), Some(6)) => (Some("tcp"), true),
            (Some(0x0800), Some(17)) => (Some("udp"), true),
            (Some(0x0800), Some(132)) => (Some("sctp"), true),
            (Some(0x0800), _) => (Some("ip"), false),
            (Some(0x86dd), Some(6)) => (Some("tcp6"), true),
            (Some(0x86dd), Some(17)) => (Some("udp6"), true),
            (Some(0x86dd), Some(58)) => (Some("icmp6"), true),
            (Some(0x86dd), Some(132)) => (Some("sctp6"), true),
            (Some(0x86dd), _) => (Some("ipv6"), false),
            (Some(0x0806), _) => (Some("arp"), false),
            (Some(0x8035), _) => (Some("rarp"), false),
            (Some(0x8847), _) => (Some("mpls"), false),
            (Some(0x8848), _) => (Some("mplsm"), false),
            _ => (None, false),
        };
        Self { name, names_proto, arp: matches!(ethertype, Some(0x0806 | 0x8035)) }
    }
}

/// The order in which Open vSwitch prints the fields behind the VLAN's.
const ORDER: [Field; 35] = [
    Field::EthSrc,
    Field::EthDst,
    Field::EthType,
    Field::Ipv4Src,
    Field::Ipv4Dst,
    Field::Ipv6Src,
    Field::Ipv6Dst,
    Field::Ipv6Flabel,
    Field::ArpSpa,
    Field::ArpTpa,
    Field::IpProto,
    Field::ArpOp,
    Field::ArpSha,
    Field::ArpTha,
    Field::IpDscp,
    Field::IpEcn,
    Field::MplsLabel,
    Field::MplsTc,
    Field::MplsBos,
    Field::TcpSrc,
    Field::TcpDst,
    Field::UdpSrc,
    Field::UdpDst,
    Field::SctpSrc,
    Field::SctpDst,
    Field::Icmpv4Type,
    Field::Icmpv4Code,
    Field::Icmpv6Type,
    Field::Icmpv6Code,
    Field::Ipv6NdTarget,
    Field::Ipv6NdSll,
    Field::Ipv6NdTll,
    // Open vSwitch doesn't know these.
    Field::InPhyPort,
    Field::PbbIsid,
    Field::Ipv6Exthdr,
];

fn vlan_after(match_: &Match, out: &mut Fields<'_, '_>, kind: &Kind) -> fmt::Result {
    // A mask without any bit is no condition.
    let condition = |field: &&Oxm| field.to_bits().is_none_or(|bits| bits.mask != Some(0));
    let fields = || match_.fields().iter().filter(condition);
    let with = |wanted| fields().filter(move |field| field.field() == Some(wanted));
    for wanted in [Field::TunnelId, Field::Metadata, Field::InPort] {
        for field in with(wanted) {
            out.item(format_args!("{}={}", match_name(field), Content(field)))?;
        }
    }
    vlan(match_, out)?;
    for wanted in ORDER {
        let named = (wanted == Field::EthType && kind.name.is_some())
            || (wanted == Field::IpProto && kind.names_proto);
        for field in with(wanted).filter(|_| !named) {
            let name =
                if wanted == Field::IpProto && kind.arp { "arp_op" } else { match_name(field) };
            out.item(format_args!("{name}={}", Content(field)))?;
        }
    }
    for field in match_.fields() {
        if let Oxm::Other(raw) = field {
            out.item(format_args!("oxm({:#06x},{})={}", raw.class, raw.field, Hex(&raw.data)))?;
        }
    }
    Ok(())
}

/// `dl_vlan` and `dl_vlan_pcp` where they say all of it, else the bits of the tag.
fn vlan(match_: &Match, out: &mut Fields<'_, '_>) -> fmt::Result {
    let vid = match_.vlan_vid_field().map(|vid| (vid.value, vid.mask.unwrap_or(VlanVid::EXACT)));
    let pcp = match_.vlan_pcp_field().map(|pcp| (pcp.value, pcp.mask.unwrap_or(7)));
    if vid.is_none() && pcp.is_none() {
        return Ok(());
    }
    let (vid, vid_mask) = vid.map_or((0, 0), |(vid, mask)| (vid.0, mask.0));
    // Matching a priority needs a tag to be there.
    let present = if pcp.is_some() { VlanVid::PRESENT.0 } else { 0 };
    let (vid, vid_mask) = (vid | present, vid_mask | present);
    let (pcp, pcp_mask) = pcp.unwrap_or((0, 0));
    let id_mask = vid_mask & 0x0fff;
    let whole = vid & vid_mask & VlanVid::PRESENT.0 != 0
        && matches!(id_mask, 0 | 0x0fff)
        && matches!(pcp_mask, 0 | 7)
        && (id_mask != 0 || pcp_mask != 0);
    if !whole {
        let tag = |vid: u16, pcp: u8| vid & 0x1fff | u16::from(pcp & 7) << 13;
        return out.item(format_args!(
            "vlan_tci={:#06x}/{:#06x}",
            tag(vid, pcp),
            tag(vid_mask, pcp_mask)
        ));
    }
    if id_mask != 0 {
        out.item(format_args!("dl_vlan={}", vid & 0x0fff))?;
    }
    if pcp_mask != 0 {
        out.item(format_args!("dl_vlan_pcp={pcp}"))?;
    }
    Ok(())
}

struct Fields<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    gap: &'static str,
}

impl Fields<'_, '_> {
    fn item(&mut self, item: fmt::Arguments<'_>) -> fmt::Result {
        self.f.write_str(self.gap)?;
        self.gap = ",";
        self.f.write_fmt(item)
    }
}

/// What a match calls the field; set-field has names of its own.
fn match_name(field: &Oxm) -> &'static str {
    match field {
        Oxm::TunnelId(_) => "tun_id",
        Oxm::EthSrc(_) => "dl_src",
        Oxm::EthDst(_) => "dl_dst",
        Oxm::EthType(_) => "dl_type",
        Oxm::IpProto(_) => "nw_proto",
        Oxm::IpDscp(_) => "nw_tos",
        Oxm::IpEcn(_) => "nw_ecn",
        Oxm::Ipv4Src(_) => "nw_src",
        Oxm::Ipv4Dst(_) => "nw_dst",
        Oxm::TcpSrc(_) | Oxm::UdpSrc(_) | Oxm::SctpSrc(_) => "tp_src",
        Oxm::TcpDst(_) | Oxm::UdpDst(_) | Oxm::SctpDst(_) => "tp_dst",
        Oxm::Icmpv4Type(_) | Oxm::Icmpv6Type(_) => "icmp_type",
        Oxm::Icmpv4Code(_) | Oxm::Icmpv6Code(_) => "icmp_code",
        Oxm::Ipv6Flabel(_) => "ipv6_label",
        Oxm::Ipv6NdTarget(_) => "nd_target",
        Oxm::Ipv6NdSll(_) => "nd_sll",
        Oxm::Ipv6NdTll(_) => "nd_tll",
        other => set_name(other),
    }
}

/// What a set-field action calls the field.
pub(super) fn set_name(field: &Oxm) -> &'static str {
    match field {
        Oxm::TunnelId(_) => "tun_id",
        Oxm::IpProto(_) => "nw_proto",
        Oxm::IpEcn(_) => "nw_ecn",
        Oxm::Ipv4Src(_) => "ip_src",
        Oxm::Ipv4Dst(_) => "ip_dst",
        Oxm::Ipv6Flabel(_) => "ipv6_label",
        Oxm::Icmpv4Type(_) => "icmp_type",
        Oxm::Icmpv4Code(_) => "icmp_code",
        Oxm::Ipv6NdTarget(_) => "nd_target",
        Oxm::Ipv6NdSll(_) => "nd_sll",
        Oxm::Ipv6NdTll(_) => "nd_tll",
        other => other.field().and_then(Field::name).unwrap_or("oxm"),
    }
}

/// A field's value, and its mask behind a slash.
pub(super) struct Content<'a>(pub(super) &'a Oxm);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Oxm::InPort(port) | Oxm::InPhyPort(port) => {
                masked(f, *port, |f, port: PortNo| port.fmt(f))
            }
            Oxm::EthDst(mac)
            | Oxm::EthSrc(mac)
            | Oxm::ArpSha(mac)
            | Oxm::ArpTha(mac)
            | Oxm::Ipv6NdSll(mac)
            | Oxm::Ipv6NdTll(mac) => masked(f, *mac, |f, mac: MacAddr| mac.fmt(f)),
            Oxm::Ipv4Src(ip) | Oxm::Ipv4Dst(ip) | Oxm::ArpSpa(ip) | Oxm::ArpTpa(ip) => {
                network(f, *ip, |f, ip: Ipv4Addr| ip.fmt(f))
            }
            Oxm::Ipv6Src(ip) | Oxm::Ipv6Dst(ip) | Oxm::Ipv6NdTarget(ip) => {
                network(f, *ip, |f, ip: Ipv6Addr| ip.fmt(f))
            }
            Oxm::EthType(ethertype) => masked(f, *ethertype, |f, value| write!(f, "{value:#06x}")),
            Oxm::Metadata(value) | Oxm::TunnelId(value) => {
                masked(f, *value, |f, value| AltHex(value).fmt(f))
            }
            Oxm::Ipv6Flabel(Masked { value, mask: None | Some(0xf_ffff) }) => {
                write!(f, "{value:#07x}")
            }
            Oxm::Ipv6Flabel(label) => masked(f, *label, |f, value| write!(f, "{value:#07x}")),
            // The whole byte that the code point is in.
            Oxm::IpDscp(dscp) => {
                masked(f, *dscp, |f, value| write!(f, "{}", u16::from(value) << 2))
            }
            Oxm::Other(raw) => Hex(&raw.data).fmt(f),
            other => match other.to_bits() {
                Some(Masked { value, mask: None }) => write!(f, "{value}"),
                Some(Masked { value, mask: Some(mask) }) => write!(f, "{value:#x}/{mask:#x}"),
                None => Ok(()),
            },
        }
    }
}

fn masked<T: FieldValue>(
    f: &mut fmt::Formatter<'_>,
    content: Masked<T>,
    show: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    show(f, content.value)?;
    let whole = u128::MAX >> (128 - 8 * T::LEN);
    if let Some(mask) = content.mask.filter(|mask| mask.to_bits() != whole) {
        f.write_str("/")?;
        show(f, mask)?;
    }
    Ok(())
}

/// An address, and the length of its prefix where the mask is one.
fn network<T: FieldValue>(
    f: &mut fmt::Formatter<'_>,
    content: Masked<T>,
    show: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    let Some(mask) = content.mask else {
        return show(f, content.value);
    };
    let width = 8 * T::LEN as u32;
    let bits = mask.to_bits() << (128 - width);
    let length = bits.leading_ones().min(width);
    if bits.checked_shl(length).unwrap_or(0) != 0 {
        return masked(f, content, show);
    }
    show(f, content.value)?;
    if length < width { write!(f, "/{length}") } else { Ok(()) }
}
