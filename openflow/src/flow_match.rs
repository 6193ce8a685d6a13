//! Which frames a flow is about (1.3.5, 7.2.3, `ofp_match`).

use crate::oxm::Oxm;
use crate::wire::{DecodeErrorKind, Failure, Reader, Scope, Writer};

/// Conditions that a frame must all meet; none at all matches every frame.
///
/// type u16 = 1 | length u16, without the padding | fields … | pad to 8
///
/// The fields keep their order; prerequisites come before what needs them.
///
/// ```
/// use openflow::{MacAddr, Match, VlanVid};
/// let tagged = Match::new().in_port(3).vlan_vid(VlanVid::tagged(100));
/// assert_eq!(tagged.vlan_vid_field().and_then(|vid| vid.value.id()), Some(100));
///
/// // A switch may report the same match in another order, or with a mask of all ones.
/// let reported = Match::new().vlan_vid_masked(VlanVid::tagged(100), VlanVid::EXACT).in_port(3);
/// assert_ne!(reported, tagged);
/// assert_eq!(reported.canonical(), tagged.canonical());
///
/// // Protocols bring their prerequisites with them, as in ovs-ofctl.
/// let web = Match::new().tcp().ipv4_dst([10, 0, 0, 1]).tcp_dst(80);
/// assert_eq!(web.to_string(), "tcp,nw_dst=10.0.0.1,tp_dst=80");
/// assert!(web.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Match {
    fields: Vec<Oxm>,
}

impl Match {
    const OXM: u16 = 1;

    /// The match of every frame.
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// The conditions, in their order.
    #[must_use]
    pub fn fields(&self) -> &[Oxm] {
        &self.fields
    }

    /// Whether every frame matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Adds a condition; an earlier one on the same field is replaced where it stands.
    #[must_use]
    pub fn with(mut self, field: Oxm) -> Self {
        match self.fields.iter_mut().find(|old| old.key() == field.key()) {
            Some(old) => *old = field,
            None => self.fields.push(field),
        }
        self
    }

    /// Appends a condition, even if there is one on this field.
    pub fn push(&mut self, field: Oxm) {
        self.fields.push(field);
    }

    /// The same match in its only canonical form: sorted by class and field, masks of all ones
    /// and conditions without any bit left out, bits outside of masks cleared. Two matches that
    /// have the same canonical form match the same frames.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let mut fields: Vec<_> = self.fields.iter().cloned().filter_map(Oxm::canonical).collect();
        fields.sort_unstable_by(|a, b| a.key().cmp(&b.key()).then_with(|| a.cmp(b)));
        fields.dedup();
        Self { fields }
    }

    /// ARP frames: `arp` in `ovs-ofctl`.
    #[must_use]
    pub fn arp(self) -> Self {
        self.eth_type(0x0806)
    }

    /// LLDP frames.
    #[must_use]
    pub fn lldp(self) -> Self {
        self.eth_type(0x88cc)
    }

    /// IPv4: `ip` in `ovs-ofctl`.
    #[must_use]
    pub fn ip(self) -> Self {
        self.eth_type(0x0800)
    }

    /// ICMP over IPv4.
    #[must_use]
    pub fn icmp(self) -> Self {
        self.ip().ip_proto(1)
    }

    /// TCP over IPv4.
    #[must_use]
    pub fn tcp(self) -> Self {
        self.ip().ip_proto(6)
    }

    /// UDP over IPv4.
    #[must_use]
    pub fn udp(self) -> Self {
        self.ip().ip_proto(17)
    }

    /// SCTP over IPv4.
    #[must_use]
    pub fn sctp(self) -> Self {
        self.ip().ip_proto(132)
    }

    /// IPv6.
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.eth_type(0x86dd)
    }

    /// ICMPv6 over IPv6.
    #[must_use]
    pub fn icmp6(self) -> Self {
        self.ipv6().ip_proto(58)
    }

    /// TCP over IPv6.
    #[must_use]
    pub fn tcp6(self) -> Self {
        self.ipv6().ip_proto(6)
    }

    /// UDP over IPv6.
    #[must_use]
    pub fn udp6(self) -> Self {
        self.ipv6().ip_proto(17)
    }

    /// SCTP over IPv6.
    #[must_use]
    pub fn sctp6(self) -> Self {
        self.ipv6().ip_proto(132)
    }

    /// MPLS unicast.
    #[must_use]
    pub fn mpls(self) -> Self {
        self.eth_type(0x8847)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u32(u32::from(Self::OXM) << 16);
        for field in &self.fields {
            field.encode(out);
        }
        out.patch_len(start + 2, start);
        out.align(start);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let header = body.peek_u32("match header")?;
        let (kind, length) = ((header >> 16) as u16, (header & 0xffff) as usize);
        if kind != Self::OXM {
            let kind = DecodeErrorKind::Value { value: kind.into(), expected: "1, OXM" };
            return Err(body.clone().scoped(Scope::MatchType).error("match type", kind));
        }
        let outer = body.scope();
        body.set_scope(Scope::Match);
        if length < 4 {
            let kind = DecodeErrorKind::Length { length, expected: "4 or more" };
            return Err(body.error("match length", kind));
        }
        let mut fields = body.part(length, "match length")?;
        body.skip(length.next_multiple_of(8) - length, "match padding")?;
        body.set_scope(outer);
        fields.skip(4, "match header")?;
        Ok(Self { fields: fields.many(Oxm::decode)? })
    }
}

impl FromIterator<Oxm> for Match {
    fn from_iter<I: IntoIterator<Item = Oxm>>(fields: I) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

impl From<Vec<Oxm>> for Match {
    fn from(fields: Vec<Oxm>) -> Self {
        Self { fields }
    }
}
