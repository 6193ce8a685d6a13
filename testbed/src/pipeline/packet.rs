//! A frame on its way through the tables, and what actions do to its bytes.

use super::key::Key;
use super::layout::{self as f, Place};
use super::parse::{self, Layers};
use crate::frame::Frame;

const ADDRESSES: usize = 12;
const TAG: usize = 4;

/// A frame in the pipeline: its bytes, and all that flows can match on.
#[derive(Clone)]
pub struct Packet {
    bytes: Vec<u8>,
    key: Key,
    layers: Layers,
}

impl Packet {
    /// A frame that came in by a port.
    pub fn new(frame: &Frame, in_port: u32) -> Self {
        let mut key = Key::default();
        key.set_u64(f::IN_PORT, u64::from(in_port));
        key.set_u64(f::IN_PHY_PORT, u64::from(in_port));
        key.set_u64(f::TUNNEL_ID, frame.tunnel_id);
        let mut packet = Self { bytes: frame.bytes.to_vec(), key, layers: Layers::default() };
        packet.parse();
        packet
    }

    /// What flows match on.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its bytes now.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The frame as it would leave now by a tunnel.
    pub fn frame(&self) -> Frame {
        Frame::from(&self.bytes[..]).with_tunnel_id(self.key.u64(f::TUNNEL_ID))
    }

    /// The port it came in by.
    pub fn in_port(&self) -> u32 {
        self.key.u64(f::IN_PORT) as u32
    }

    /// Writes the bits of `mask` in the metadata.
    pub fn write_metadata(&mut self, metadata: u64, mask: u64) {
        let old = self.key.u64(f::METADATA);
        self.key.set_u64(f::METADATA, old & !mask | metadata & mask);
    }

    /// A new outermost tag; VLAN id and priority as those of the tag that was outermost, else 0 (1.3.5, 5.12.1).
    pub fn push_vlan(&mut self, tpid: u16) {
        if self.bytes.len() < ADDRESSES + 2 {
            return;
        }
        let (vid, pcp) =
            (self.key.u64(f::VLAN_VID) as u16 & 0xfff, self.key.u64(f::VLAN_PCP) as u16);
        let [a, b] = tpid.to_be_bytes();
        let [c, d] = (pcp << 13 | vid).to_be_bytes();
        self.bytes.splice(ADDRESSES..ADDRESSES, [a, b, c, d]);
        self.parse();
    }

    /// Without its outermost tag, if it has one.
    pub fn pop_vlan(&mut self) {
        if self.is_tagged() {
            self.bytes.drain(ADDRESSES..ADDRESSES + TAG);
            self.parse();
        }
    }

    /// Whether the outermost type is a tag's.
    pub fn is_tagged(&self) -> bool {
        self.key.u64(f::VLAN_VID) != 0
    }

    /// Sets a field that the frame has; where it hasn't, nothing happens.
    pub fn set_field(&mut self, place: Place, value: &[u8]) {
        let (l3, l4) = (self.layers.l3, self.layers.l4);
        let number = value.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        match place {
            f::METADATA | f::TUNNEL_ID => self.key.set(place, value),
            f::ETH_DST => self.write(0, value, &[]),
            f::ETH_SRC => self.write(6, value, &[]),
            f::VLAN_VID if self.is_tagged() => self.set_tci(0x0fff, number as u16),
            f::VLAN_PCP if self.is_tagged() => self.set_tci(0xe000, (number as u16) << 13),
            f::IP_DSCP => self.set_traffic_class(0xfc, (number as u8) << 2),
            f::IP_ECN => self.set_traffic_class(0x03, number as u8),
            f::IPV4_SRC if self.has_ipv4() => self.set_address(l3 + 12, value),
            f::IPV4_DST if self.has_ipv4() => self.set_address(l3 + 16, value),
            f::IPV6_SRC if self.has_ipv6() => self.set_address(l3 + 8, value),
            f::IPV6_DST if self.has_ipv6() => self.set_address(l3 + 24, value),
            f::TCP_SRC | f::UDP_SRC if self.has_port(place) => self.set_transport(l4, value),
            f::TCP_DST | f::UDP_DST if self.has_port(place) => self.set_transport(l4 + 2, value),
            f::ARP_OP if self.has_arp() => self.write(l3 + 6, value, &[]),
            f::ARP_SHA if self.has_arp() => self.write(l3 + 8, value, &[]),
            f::ARP_SPA if self.has_arp() => self.write(l3 + 14, value, &[]),
            f::ARP_THA if self.has_arp() => self.write(l3 + 18, value, &[]),
            f::ARP_TPA if self.has_arp() => self.write(l3 + 24, value, &[]),
            _ => return,
        }
        if !matches!(place, f::METADATA | f::TUNNEL_ID) {
            self.parse();
        }
    }

    /// Time to live less one; `false` where that would leave nothing, or where there is none (1.3.5, 5.12).
    pub fn decrement_ttl(&mut self) -> bool {
        let Some(at) = self.ttl_at() else { return true };
        let ttl = self.bytes[at];
        if ttl <= 1 {
            return false;
        }
        self.set_ttl(ttl - 1);
        true
    }

    /// Sets the time to live, where there is one.
    pub fn set_ttl(&mut self, ttl: u8) {
        if let Some(at) = self.ttl_at() {
            self.write(at, &[ttl], &self.ipv4_checksum());
        }
    }

    fn ttl_at(&self) -> Option<usize> {
        match (self.has_ipv4(), self.has_ipv6()) {
            (true, _) => Some(self.layers.l3 + 8),
            (_, true) => Some(self.layers.l3 + 7),
            _ => None,
        }
    }

    fn parse(&mut self) {
        self.layers = parse::fill(&mut self.key, &self.bytes);
    }

    fn has_ipv4(&self) -> bool {
        self.layers.l3 != 0 && self.key.u64(f::ETH_TYPE) == 0x0800
    }

    fn has_ipv6(&self) -> bool {
        self.layers.l3 != 0 && self.key.u64(f::ETH_TYPE) == 0x86dd
    }

    fn has_arp(&self) -> bool {
        self.layers.l3 != 0 && self.key.u64(f::ETH_TYPE) == 0x0806
    }

    fn has_port(&self, place: Place) -> bool {
        let protocol = if matches!(place, f::TCP_SRC | f::TCP_DST) { 6 } else { 17 };
        self.layers.l4 != 0 && self.key.u64(f::IP_PROTO) == protocol
    }

    fn set_tci(&mut self, mask: u16, value: u16) {
        let at = ADDRESSES + 2;
        let old = u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        self.write(at, &(old & !mask | value & mask).to_be_bytes(), &[]);
    }

    fn set_traffic_class(&mut self, mask: u8, value: u8) {
        let l3 = self.layers.l3;
        if self.has_ipv4() {
            let class = self.bytes[l3 + 1] & !mask | value & mask;
            self.write(l3 + 1, &[class], &self.ipv4_checksum());
        } else if self.has_ipv6() {
            // Four bits of the version, eight of the class, four of the flow label (RFC 8200, 3).
            let (mask, value) = (u16::from(mask) << 4, u16::from(value) << 4);
            let old = u16::from_be_bytes([self.bytes[l3], self.bytes[l3 + 1]]);
            self.write(l3, &(old & !mask | value & mask).to_be_bytes(), &[]);
        }
    }

    fn set_address(&mut self, at: usize, value: &[u8]) {
        let mut sums = self.ipv4_checksum();
        sums.extend(self.transport_checksum(true));
        self.write(at, value, &sums);
    }

    fn set_transport(&mut self, at: usize, value: &[u8]) {
        let sums: Vec<_> = self.transport_checksum(false).into_iter().collect();
        self.write(at, value, &sums);
    }

    fn ipv4_checksum(&self) -> Vec<usize> {
        if self.has_ipv4() { vec![self.layers.l3 + 10] } else { Vec::new() }
    }

    /// Where the transport's checksum is, if it covers addresses (`pseudo`) or ports at all.
    fn transport_checksum(&self, pseudo: bool) -> Option<usize> {
        let l4 = self.layers.l4;
        let at = match (l4, self.key.u64(f::IP_PROTO)) {
            (0, _) => return None,
            (_, 6) => l4 + 16,
            (_, 17) => l4 + 6,
            (_, 58) if pseudo && self.has_ipv6() => l4 + 2,
            _ => return None,
        };
        // UDP without a checksum stays without one (RFC 768).
        let unused = self.key.u64(f::IP_PROTO) == 17 && self.bytes.get(at..at + 2) == Some(&[0, 0]);
        (!unused && at + 2 <= self.bytes.len()).then_some(at)
    }

    /// Writes bytes and brings the checksums that cover them up to date (RFC 1624).
    fn write(&mut self, at: usize, value: &[u8], checksums: &[usize]) {
        if at + value.len() > self.bytes.len() {
            return;
        }
        // Checksums add up 16-bit words, counted from the network header on.
        let start = at - at.saturating_sub(self.layers.l3) % 2;
        let end = (at + value.len() + (at + value.len() - start) % 2).min(self.bytes.len());
        let before = sum(&self.bytes[start..end]);
        self.bytes[at..at + value.len()].copy_from_slice(value);
        let after = sum(&self.bytes[start..end]);
        for &sum_at in checksums {
            let old = u16::from_be_bytes([self.bytes[sum_at], self.bytes[sum_at + 1]]);
            let new = !fold(u64::from(!old) + u64::from(!before) + u64::from(after));
            let udp = self.key.u64(f::IP_PROTO) == 17 && sum_at == self.layers.l4 + 6;
            let new = if udp && new == 0 { 0xffff } else { new };
            self.bytes[sum_at..sum_at + 2].copy_from_slice(&new.to_be_bytes());
        }
    }
}

fn sum(bytes: &[u8]) -> u16 {
    let word = |two: &[u8]| u64::from(two[0]) << 8 | two.get(1).map_or(0, |b| u64::from(*b));
    fold(bytes.chunks(2).map(word).sum())
}

/// One's complement addition: carries come in again at the bottom (RFC 1071).
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
