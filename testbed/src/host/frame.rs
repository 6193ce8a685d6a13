//! Ethernet frames as a test writes and compares them: exact bytes, with tags in place.

use std::fmt;
use std::net::Ipv4Addr;

/// A MAC address as it is on the wire.
pub type Mac = [u8; 6];

/// The address of everybody.
pub const BROADCAST: Mac = [0xff; 6];

/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType "local experimental 1" (IEEE 802): what a probe carries.
pub const PROBE: u16 = 0x88b5;

const HEADER: usize = 14;
const TAG: usize = 4;
/// EtherTypes that are tags: 802.1Q and 802.1ad.
const TAGS: [u16; 2] = [0x8100, 0x88a8];
/// Without its checksum, the shortest frame that no device pads (IEEE 802.3, 4A.4.2).
const SHORTEST: usize = 60;

/// One VLAN tag of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// 0x8100 (802.1Q) or 0x88a8 (802.1ad).
    pub tpid: u16,
    /// Priority (3 bits), drop eligible (1 bit), VLAN id (12 bits).
    pub tci: u16,
}

impl Tag {
    /// An 802.1Q tag: VLAN 0–4095, priority 0–7.
    pub const fn dot1q(vlan: u16, priority: u16) -> Self {
        Self { tpid: TAGS[0], tci: (priority & 7) << 13 | vlan & 0xfff }
    }

    /// An 802.1ad tag: VLAN 0–4095, priority 0–7.
    pub const fn dot1ad(vlan: u16, priority: u16) -> Self {
        Self { tpid: TAGS[1], tci: (priority & 7) << 13 | vlan & 0xfff }
    }

    /// The VLAN id, 0–4095.
    pub const fn vlan(self) -> u16 {
        self.tci & 0xfff
    }
}

/// The MAC address of host `host` of switch `switch`, both counted from 1: locally administered, unicast.
pub fn host_mac(switch: u16, host: u16) -> Mac {
    let ([a, b], [c, d]) = (switch.to_be_bytes(), host.to_be_bytes());
    [0x02, 0x1a, a, b, c, d]
}

/// An Ethernet frame without its checksum.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// A frame of the bytes given, padded to the shortest that no device on the way pads.
    pub fn new(dst: Mac, src: Mac, ethertype: u16, payload: &[u8]) -> Self {
        let mut bytes = [&dst[..], &src, &ethertype.to_be_bytes(), payload].concat();
        bytes.resize(bytes.len().max(SHORTEST), 0);
        Self(bytes)
    }

    /// A frame exactly as received.
    pub fn from_wire(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// A frame of `PROBE` type that differs from every other `id`'s.
    pub fn probe(dst: Mac, src: Mac, id: u64) -> Self {
        Self::new(dst, src, PROBE, &[b"isolane", &id.to_be_bytes()[..]].concat())
    }

    /// A probe of `size` bytes of payload, 15–9,000.
    pub fn probe_of_size(dst: Mac, src: Mac, id: u64, size: usize) -> Self {
        let mut payload = [b"isolane", &id.to_be_bytes()[..]].concat();
        payload.resize(size, 0x5a);
        Self::new(dst, src, PROBE, &payload)
    }

    /// "Who has `target`? Tell `src_ip`", broadcast (RFC 826).
    pub fn arp_request(src: Mac, src_ip: Ipv4Addr, target: Ipv4Addr) -> Self {
        let head = [0, 1, 0x08, 0, 6, 4, 0, 1]; // Ethernet, IPv4, lengths of both, request
        let body = [&head[..], &src, &src_ip.octets(), &[0; 6], &target.octets()].concat();
        Self::new(BROADCAST, src, ARP, &body)
    }

    /// This frame with one more tag, outermost.
    #[must_use]
    pub fn tagged(&self, tag: Tag) -> Self {
        let (addresses, rest) = self.0.split_at(HEADER - 2);
        Self([addresses, &tag.tpid.to_be_bytes(), &tag.tci.to_be_bytes(), rest].concat())
    }

    /// All bytes, from the destination on.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Where it goes; zero if the frame is cut short.
    pub fn dst(&self) -> Mac {
        self.mac_at(0)
    }

    /// Where it says it comes from; zero if the frame is cut short.
    pub fn src(&self) -> Mac {
        self.mac_at(6)
    }

    /// Its tags, outermost first.
    pub fn tags(&self) -> Vec<Tag> {
        let mut tags = Vec::new();
        while let Some(tpid) = self.u16_at(HEADER - 2 + tags.len() * TAG)
            && TAGS.contains(&tpid)
            && let Some(tci) = self.u16_at(HEADER + tags.len() * TAG)
        {
            tags.push(Tag { tpid, tci });
        }
        tags
    }

    /// The EtherType behind all tags; zero if the frame is cut short.
    pub fn ethertype(&self) -> u16 {
        self.u16_at(HEADER - 2 + self.tags().len() * TAG).unwrap_or(0)
    }

    /// What follows the EtherType, padding included.
    pub fn payload(&self) -> &[u8] {
        self.0.get(HEADER + self.tags().len() * TAG..).unwrap_or(&[])
    }

    fn mac_at(&self, at: usize) -> Mac {
        self.0.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map(|two| u16::from_be_bytes(*two))
    }
}

/// `02:1a:… -> ff:ff:… tags 0x8100/0x6064 type 0x88b5 66 bytes 69736f…`
impl fmt::Debug for Frame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} -> {}", Hex(&self.src(), ":"), Hex(&self.dst(), ":"))?;
        for tag in self.tags() {
            write!(out, " tag {:#06x}/{:#06x}", tag.tpid, tag.tci)?;
        }
        let shown = self.payload().get(..24).unwrap_or(self.payload());
        write!(out, " type {:#06x} {} bytes {}", self.ethertype(), self.0.len(), Hex(shown, ""))
    }
}

struct Hex<'a>(&'a [u8], &'static str);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { self.1 };
            write!(out, "{between}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 0xa];
    const B: Mac = [2, 0, 0, 0, 0, 0xb];

    #[test]
    fn tags_stand_outermost_first_and_leave_the_rest_as_it_was() {
        let plain = Frame::probe(B, A, 7);
        let double = plain.tagged(Tag::dot1q(100, 3)).tagged(Tag::dot1ad(4094, 7));
        assert_eq!(
            &double.bytes()[12..22],
            [0x88, 0xa8, 0xef, 0xfe, 0x81, 0, 0x60, 0x64, 0x88, 0xb5]
        );
        assert_eq!(double.tags(), [Tag::dot1ad(4094, 7), Tag::dot1q(100, 3)]);
        assert_eq!((double.dst(), double.src(), double.ethertype()), (B, A, PROBE));
        assert_eq!(double.payload(), plain.payload());
    }

    #[test]
    fn an_arp_request_has_the_fields_of_rfc_826() {
        let frame = Frame::arp_request(A, Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let want = [
            0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xa, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
        ];
        assert_eq!(&frame.payload()[..28], want);
        assert_eq!((frame.dst(), frame.bytes().len()), (BROADCAST, SHORTEST));
    }

    #[test]
    fn a_frame_that_is_cut_short_has_no_fields_and_does_not_panic() {
        let whole = Frame::probe(B, A, 7).tagged(Tag::dot1q(1, 0));
        for length in 0..18 {
            let cut = Frame::from_wire(&whole.bytes()[..length]);
            assert_eq!(
                cut.ethertype(),
                if (14..16).contains(&length) { 0x8100 } else { 0 },
                "{length}"
            );
            assert_eq!(cut.tags().len(), usize::from(length >= 16), "{length}");
        }
    }
}
