//! Messages that an experimenter defined (1.3.5, 7.5.4).

use bytes::Bytes;

use crate::wire::{Failure, Reader, Writer};

/// Whatever an experimenter defined (`ofp_experimenter_header`).
///
/// experimenter u32 | exp_type u32 | data …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Experimenter {
    /// Who the experimenter is: below 2^24 an IEEE OUI, else given by the ONF.
    pub experimenter: u32,
    /// The experimenter's own type.
    pub exp_type: u32,
    /// All behind.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

impl Experimenter {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.experimenter);
        out.u32(self.exp_type);
        out.bytes(&self.data);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            experimenter: body.u32("experimenter")?,
            exp_type: body.u32("exp_type")?,
            data: body.remainder(),
        })
    }
}
