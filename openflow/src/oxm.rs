//! Match fields, "OpenFlow extensible match" (1.3.5, 7.2.3).
//!
//! class u16 | field 7 bits | hasmask 1 bit | length u8 | value | mask, if hasmask

mod fields;
mod raw;
mod value;

pub use fields::{Field, Oxm};
pub use raw::{OxmId, OxmRaw};
pub use value::{FieldValue, Isid, Masked, VlanVid};

impl Oxm {
    /// Class and number: the order of fields in a canonical match.
    #[must_use]
    pub fn key(&self) -> (u16, u8) {
        match self {
            Self::Other(raw) => (raw.class, raw.field),
            named => (OxmId::BASIC, named.field().map_or(0, u8::from)),
        }
    }

    /// Whether only some of the value's bits count.
    #[must_use]
    pub fn has_mask(&self) -> bool {
        match self {
            Self::Other(raw) => raw.has_mask,
            named => named.to_bits().is_some_and(|content| content.mask.is_some()),
        }
    }

    /// The same condition in its only canonical form: bits outside the mask cleared, a mask of
    /// all the field's bits left out. `None` if no bit counts, for then there is no condition.
    ///
    /// Raw fields stay as they are.
    #[must_use]
    pub fn canonical(self) -> Option<Self> {
        let (Some(field), Some(Masked { value, mask: Some(mask) })) =
            (self.field(), self.to_bits())
        else {
            return Some(self);
        };
        let counting = u128::MAX >> (128 - field.bits().unwrap_or(128));
        let mask = mask & counting;
        if mask == 0 {
            return None;
        }
        let mask = (mask != counting).then_some(mask);
        let value = value & mask.unwrap_or(counting);
        Self::from_bits(field, Masked { value, mask })
    }
}

/// `{"field": name, "value": …, "mask": …}`, or `{"field": null, "raw": …}`.
#[cfg(feature = "serde")]
impl serde::Serialize for Oxm {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut object = out.serialize_struct("Oxm", 3)?;
        object.serialize_field("field", &self.field())?;
        self.serialize_content(&mut object)?;
        object.end()
    }
}
