//! The LLDP frames by which trunks are discovered.
//!
//! IEEE 802.1AB TLVs, so that any analyser reads them, and one
//! organisationally specific TLV that carries what we trust: the sender's
//! datapath id and port, a nonce, and an HMAC over all of these.
//!
//! ```text
//! 01:80:c2:00:00:0e | source MAC | 88cc
//! chassis id: "of:…" (local)   port id: number (local)   TTL: seconds
//! 127: 02:49:53 | subtype 1 | dpid u64 | port u32 | nonce 16 | HMAC-SHA-256 32
//! end
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use openflow::{DatapathId, MacAddr, PortNo};
use sha2::Sha256;

use crate::model::Place;

/// The Ethernet type of LLDP.
pub const ETHERTYPE: u16 = 0x88cc;

const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
const ORGANISATION: [u8; 4] = [0x02, 0x49, 0x53, 1];
const SIGNED: usize = 8 + 4 + 16;
const BODY: usize = ORGANISATION.len() + SIGNED + 32;

/// What makes one announcement differ from every other.
pub type Nonce = [u8; 16];

/// The secret that announcements are signed with.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A key from 32 secret bytes.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The secret bytes, to be kept.
    pub const fn secret(&self) -> [u8; 32] {
        self.0
    }

    fn mac(&self, signed: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(signed);
        Some(mac)
    }
}

/// Says that a frame left a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The port it left.
    pub from: Place,
    /// Never used twice.
    pub nonce: Nonce,
}

/// Why a frame is no announcement of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LldpError {
    /// Somebody else's LLDP, or no LLDP at all: of no interest.
    #[error("not an announcement of this controller")]
    Foreign,
    /// It looks like ours and isn't signed with our key.
    #[error("announcement of {0} with a wrong signature")]
    Forged(Place),
}

/// The frame that announces a port.
pub fn encode(announcement: &Announcement, source: MacAddr, ttl_seconds: u16, key: &Key) -> Bytes {
    let Place { switch, port } = announcement.from;
    let chassis = switch.to_string();
    let number = port.0.to_string();
    let mut frame = BytesMut::with_capacity(160);
    frame.put_slice(&NEAREST_BRIDGE);
    frame.put_slice(&source.0);
    frame.put_u16(ETHERTYPE);
    const LOCALLY_ASSIGNED: u8 = 7;
    tlv(&mut frame, 1, &[&[LOCALLY_ASSIGNED], chassis.as_bytes()].concat());
    tlv(&mut frame, 2, &[&[LOCALLY_ASSIGNED], number.as_bytes()].concat());
    tlv(&mut frame, 3, &ttl_seconds.to_be_bytes());
    let mut body = BytesMut::with_capacity(BODY);
    body.put_slice(&ORGANISATION);
    body.put_u64(switch.0);
    body.put_u32(port.0);
    body.put_slice(&announcement.nonce);
    let signature = key.mac(&body[ORGANISATION.len()..]);
    body.put_slice(&signature.map(|mac| mac.finalize().into_bytes()).unwrap_or_default());
    tlv(&mut frame, 127, &body);
    tlv(&mut frame, 0, &[]);
    frame.freeze()
}

fn tlv(out: &mut BytesMut, kind: u16, value: &[u8]) {
    out.put_u16(kind << 9 | value.len() as u16);
    out.put_slice(value);
}

/// Reads a frame that a switch punted.
///
/// # Errors
/// [`LldpError::Foreign`] for anything without our TLV, whatever its shape;
/// [`LldpError::Forged`] for one whose signature is wrong.
pub fn decode(frame: &[u8], key: &Key) -> Result<Announcement, LldpError> {
    let mut rest = frame.get(14..).unwrap_or_default();
    if frame.get(12..14) != Some(&ETHERTYPE.to_be_bytes()[..]) {
        return Err(LldpError::Foreign);
    }
    while let [a, b, tail @ ..] = rest {
        let head = u16::from_be_bytes([*a, *b]);
        let (kind, len) = (head >> 9, usize::from(head & 0x1ff));
        let Some((value, after)) = tail.split_at_checked(len) else { break };
        if kind == 0 {
            break;
        }
        if kind == 127 && value.len() == BODY && value.starts_with(&ORGANISATION) {
            return verify(&value[ORGANISATION.len()..], key);
        }
        rest = after;
    }
    Err(LldpError::Foreign)
}

fn verify(body: &[u8], key: &Key) -> Result<Announcement, LldpError> {
    let (signed, signature) = body.split_at(SIGNED);
    let parts = (signed[..8].try_into(), signed[8..12].try_into(), signed[12..].try_into());
    let (Ok(switch), Ok(port), Ok(nonce)) = parts else { return Err(LldpError::Foreign) };
    let switch = DatapathId(u64::from_be_bytes(switch));
    let from = Place::new(switch, PortNo(u32::from_be_bytes(port)));
    match key.mac(signed).map(|mac| mac.verify_slice(signature)) {
        Some(Ok(())) => Ok(Announcement { from, nonce }),
        _ => Err(LldpError::Forged(from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Place = Place::new(DatapathId(0x2a), PortNo(7));
    const SOURCE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn announcement() -> Announcement {
        Announcement { from: FROM, nonce: [9; 16] }
    }

    #[test]
    fn an_announcement_is_read_back() {
        let key = Key::new([1; 32]);
        let frame = encode(&announcement(), SOURCE, 4, &key);
        assert_eq!(decode(&frame, &key), Ok(announcement()));
        assert_eq!(decode(&frame, &Key::new([2; 32])), Err(LldpError::Forged(FROM)));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let key = Key::new([1; 32]);
        let frame = encode(&announcement(), SOURCE, 4, &key);
        let body = frame.len() - 2 - (BODY - ORGANISATION.len());
        for at in 0..frame.len() {
            let mut changed = frame.to_vec();
            changed[at] ^= 0x10;
            let signed = (body..frame.len() - 2).contains(&at);
            assert!(decode(&changed, &key).is_err() || !signed, "byte {at}");
            if at < frame.len() - 2 {
                assert_eq!(decode(&frame[..at], &key), Err(LldpError::Foreign), "cut at {at}");
            }
        }
    }
}
