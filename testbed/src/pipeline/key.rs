//! What flows match on: all fields of a frame side by side in one array.
//!
//! A field that a frame doesn't have is zero. That needs no "absent" mark: a match on such a field must also match
//! on what makes it exist (1.3.5, 7.2.3.6), and `vlan_vid` has its own bit for "there is a tag".

use super::layout::{self, Place};

/// Bytes of a key.
pub const SIZE: usize = layout::SIZE;

/// The fields of one frame, or the mask over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u8; SIZE]);

impl Default for Key {
    fn default() -> Self {
        Self([0; SIZE])
    }
}

impl Key {
    /// The bytes of a field.
    pub fn field(&self, place: Place) -> &[u8] {
        &self.0[place.range()]
    }

    /// Writes a field whose value has its exact size; anything else is cut or zero-filled on the left.
    pub fn set(&mut self, place: Place, value: &[u8]) {
        let field = &mut self.0[place.range()];
        let used = value.len().min(field.len());
        let pad = field.len() - used;
        field[..pad].fill(0);
        field[pad..].copy_from_slice(&value[value.len() - used..]);
    }

    /// Writes a field as a number.
    pub fn set_u64(&mut self, place: Place, value: u64) {
        self.set(place, &value.to_be_bytes());
    }

    /// A field as a number; fields over 8 bytes give their last 8.
    pub fn u64(&self, place: Place) -> u64 {
        self.field(place).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}
