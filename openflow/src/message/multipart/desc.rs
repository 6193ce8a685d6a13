//! Texts about the switch (1.3.5, 7.3.5.1).

use crate::text::Text;
use crate::wire::{Failure, Reader, Writer};

/// Texts about the switch (`ofp_desc`).
///
/// mfr_desc 256 | hw_desc 256 | sw_desc 256 | serial_num 32 | dp_desc 256
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Desc {
    /// Who made it.
    pub mfr_desc: Text<256>,
    /// The hardware.
    pub hw_desc: Text<256>,
    /// The software.
    pub sw_desc: Text<256>,
    /// The serial number.
    pub serial_num: Text<32>,
    /// What its operator calls it.
    pub dp_desc: Text<256>,
}

impl Desc {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        self.mfr_desc.encode(out);
        self.hw_desc.encode(out);
        self.sw_desc.encode(out);
        self.serial_num.encode(out);
        self.dp_desc.encode(out);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            mfr_desc: Text::decode(body, "mfr_desc")?,
            hw_desc: Text::decode(body, "hw_desc")?,
            sw_desc: Text::decode(body, "sw_desc")?,
            serial_num: Text::decode(body, "serial_num")?,
            dp_desc: Text::decode(body, "dp_desc")?,
        })
    }
}
