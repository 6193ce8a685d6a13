//! Match fields without a name, and the headers that table features list.

use bytes::Bytes;

use crate::wire::{Failure, Reader, Writer};

/// A match field kept as it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OxmRaw {
    /// `0x8000` for the specification's own fields, `0xffff` for an experimenter's.
    pub class: u16,
    /// The field's number in its class, below 128.
    pub field: u8,
    /// Whether the second half of `data` is a mask.
    pub has_mask: bool,
    /// All behind the header, at most 255 bytes; an experimenter's starts with its id.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

impl OxmRaw {
    /// Who defined the field, if an experimenter did.
    #[must_use]
    pub fn experimenter(&self) -> Option<u32> {
        let id = self.data.first_chunk().filter(|_| self.class == OxmId::EXPERIMENTER)?;
        Some(u32::from_be_bytes(*id))
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.class);
        out.u8(self.field << 1 | u8::from(self.has_mask));
        out.field_len(self.data.len());
        out.bytes(&self.data);
    }
}

/// A field's header alone, as table features list them (1.3.5, 7.3.5.5.2).
///
/// class u16 | field 7 bits | hasmask 1 bit | length u8 | experimenter u32, in that class only
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OxmId {
    /// `0x8000` for the specification's own fields, `0xffff` for an experimenter's.
    pub class: u16,
    /// The field's number in its class, below 128.
    pub field: u8,
    /// Whether a mask may be, or is, given.
    pub has_mask: bool,
    /// Bytes of the payload that the field would have.
    pub length: u8,
    /// Who defined the field, if an experimenter did.
    pub experimenter: Option<u32>,
}

impl OxmId {
    /// The class of the fields that the specification names (`OFPXMC_OPENFLOW_BASIC`).
    pub const BASIC: u16 = 0x8000;
    /// The class of experimenters' fields (`OFPXMC_EXPERIMENTER`).
    pub const EXPERIMENTER: u16 = 0xffff;

    /// The header of one of the specification's fields; with `has_mask` its length is doubled.
    #[must_use]
    pub fn basic(field: super::Field, has_mask: bool) -> Self {
        let length = field.width().unwrap_or(0) as u8;
        let length = if has_mask { 2 * length } else { length };
        Self { class: Self::BASIC, field: field.into(), has_mask, length, experimenter: None }
    }

    /// The specification's field that this is the header of.
    #[must_use]
    pub fn named(&self) -> Option<super::Field> {
        match super::Field::from(self.field) {
            super::Field::Other(_) => None,
            field => (self.class == Self::BASIC).then_some(field),
        }
    }

    /// The four bytes before a field; not what an experimenter's adds.
    #[inline]
    pub(super) fn read(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let header = body.u32("oxm header")?;
        Ok(Self {
            class: (header >> 16) as u16,
            field: (header >> 9) as u8 & 0x7f,
            has_mask: header & 0x100 != 0,
            length: header as u8,
            experimenter: None,
        })
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut id = Self::read(body)?;
        if id.class == Self::EXPERIMENTER {
            id.experimenter = Some(body.u32("oxm experimenter")?);
        }
        Ok(id)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.class);
        out.u8(self.field << 1 | u8::from(self.has_mask));
        out.u8(self.length);
        if let Some(experimenter) = self.experimenter {
            out.u32(experimenter);
        }
    }
}

/// `field` is the specification's name, as in a match, or `null`; `number` is the field's in its class.
#[cfg(feature = "serde")]
impl serde::Serialize for OxmId {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut object = out.serialize_struct("OxmId", 6)?;
        object.serialize_field("field", &self.named())?;
        object.serialize_field("class", &self.class)?;
        object.serialize_field("number", &self.field)?;
        object.serialize_field("has_mask", &self.has_mask)?;
        object.serialize_field("length", &self.length)?;
        match &self.experimenter {
            Some(experimenter) => object.serialize_field("experimenter", experimenter)?,
            None => object.skip_field("experimenter")?,
        }
        object.end()
    }
}
