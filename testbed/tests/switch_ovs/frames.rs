//! Frames of all kinds, of a few stations and addresses, so that flows often match.

use super::random::Random;

pub const MACS: [[u8; 6]; 4] =
    [[2, 0, 0, 0, 0, 0xa], [2, 0, 0, 0, 0, 0xb], [0xff; 6], [1, 0, 0x5e, 0, 0, 5]];
pub const IPV4: [[u8; 4]; 3] = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 1, 1]];
pub const IPV6: [[u8; 16]; 2] = [
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
];
pub const PORTS: [u16; 3] = [80, 81, 1024];
pub const VIDS: [u16; 3] = [5, 6, 4095];

impl Random {
    /// A whole frame; `number` makes it differ from all others.
    pub fn frame(&mut self, number: u16) -> Vec<u8> {
        let mut frame = [self.pick(&MACS), self.pick(&MACS)].concat();
        for _ in 0..self.pick(&[0, 0, 1, 1, 2]) {
            frame.extend(self.pick(&[0x8100_u16, 0x8100, 0x88a8]).to_be_bytes());
            let tci = self.pick(&VIDS) | self.pick(&[0_u16, 0x2000, 0xe000]);
            frame.extend(tci.to_be_bytes());
        }
        match self.below(5) {
            0 => {
                frame.extend([0x08, 0x06]);
                frame.extend(self.arp());
            }
            1 | 2 => {
                frame.extend([0x08, 0x00]);
                frame.extend(self.ipv4(number));
            }
            3 => {
                frame.extend([0x86, 0xdd]);
                frame.extend(self.ipv6(number));
            }
            _ => {
                frame.extend([0x88, 0xb5]);
                frame.extend(number.to_be_bytes());
                frame.extend([0; 48]);
            }
        }
        frame
    }

    fn arp(&mut self) -> Vec<u8> {
        let operation = self.pick(&[1_u8, 2]);
        [
            &[0, 1, 8, 0, 6, 4, 0, operation][..],
            &self.pick(&MACS),
            &self.pick(&IPV4),
            &self.pick(&MACS),
            &self.pick(&IPV4),
            &[0; 18],
        ]
        .concat()
    }

    fn ipv4(&mut self, number: u16) -> Vec<u8> {
        let (protocol, payload) = self.datagram(false);
        let class = self.pick(&[0_u8, 0x28, 0x2b]);
        let length = (20 + payload.len()) as u16;
        let mut header = [
            &[0x45, class][..],
            &length.to_be_bytes(),
            &number.to_be_bytes(),
            &[0, 0, 64, protocol, 0, 0],
        ]
        .concat();
        let (source, destination) = (self.pick(&IPV4), self.pick(&IPV4));
        header.extend(source);
        header.extend(destination);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        let pseudo =
            [&source[..], &destination, &[0, protocol], &(payload.len() as u16).to_be_bytes()]
                .concat();
        [header, with_checksum(protocol, &pseudo, payload)].concat()
    }

    fn ipv6(&mut self, number: u16) -> Vec<u8> {
        let (protocol, payload) = self.datagram(true);
        let class = self.pick(&[0_u32, 0x28, 0x2b]);
        let first = 6 << 28 | class << 20 | u32::from(number);
        let length = (payload.len() as u16).to_be_bytes();
        let (source, destination) = (self.pick(&IPV6), self.pick(&IPV6));
        let pseudo = [&source[..], &destination, &[0, 0], &length, &[0, 0, 0, protocol]].concat();
        let payload = with_checksum(protocol, &pseudo, payload);
        [&first.to_be_bytes()[..], &length, &[protocol, 64], &source, &destination, &payload]
            .concat()
    }

    fn datagram(&mut self, v6: bool) -> (u8, Vec<u8>) {
        let ports = [self.pick(&PORTS).to_be_bytes(), self.pick(&PORTS).to_be_bytes()].concat();
        match self.below(4) {
            0 => (
                6,
                [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, 2, 1, 0, 0, 0, 0, 0], b"tcp"].concat(),
            ),
            1 => (17, [&ports[..], &[0, 11, 0, 0], b"udp"].concat()),
            2 if v6 => {
                let kind = self.pick(&[135_u8, 136]);
                let option = [&[kind - 134, 1][..], &self.pick(&MACS)].concat();
                (58, [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &self.pick(&IPV6), &option].concat())
            }
            2 => (1, vec![self.pick(&[8_u8, 0]), 0, 0, 0, 0, 1, 0, 1, b'i']),
            _ => (self.pick(&[2_u8, 89]), b"other".to_vec()),
        }
    }
}

/// With the checksum of TCP, UDP and ICMP filled in.
fn with_checksum(protocol: u8, pseudo: &[u8], mut payload: Vec<u8>) -> Vec<u8> {
    let (at, pseudo) = match protocol {
        6 => (16, pseudo),
        17 => (6, pseudo),
        58 => (2, pseudo),
        1 => (2, &[][..]),
        _ => return payload,
    };
    let sum = checksum(&[pseudo, &payload]);
    payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    payload
}

/// The Internet checksum (RFC 1071) of parts of which all but the last have even sizes.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |b| u32::from(*b)))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}
