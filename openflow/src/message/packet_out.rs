//! A frame from the controller (1.3.5, 7.3.7).

use bytes::Bytes;

use crate::action::Action;
use crate::id::{BufferId, PortNo};
use crate::wire::{Failure, Reader, Writer};

/// A frame from the controller (`ofp_packet_out`).
///
/// buffer_id u32 | in_port u32 | actions_len u16 | pad 6 | actions … | frame …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PacketOut {
    /// The frame that the switch kept, or `NONE` if it is in `data`.
    pub buffer_id: BufferId,
    /// The port it counts as having come in by; `CONTROLLER` if none.
    pub in_port: PortNo,
    /// What to do with it.
    pub actions: Vec<Action>,
    /// The frame.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

impl PacketOut {
    /// A frame of the controller's own, out of one port.
    #[must_use]
    pub fn frame(port: impl Into<PortNo>, data: impl Into<Bytes>) -> Self {
        Self {
            buffer_id: BufferId::NONE,
            in_port: PortNo::CONTROLLER,
            actions: vec![Action::output(port)],
            data: data.into(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.buffer_id.0);
        out.u32(self.in_port.0);
        let length_at = out.len();
        out.u16(0);
        out.pad(6);
        let start = out.len();
        Action::encode_list(&self.actions, out);
        out.patch_len(length_at, start);
        out.bytes(&self.data);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let buffer_id = BufferId(body.u32("buffer_id")?);
        let in_port = PortNo(body.u32("in_port")?);
        let length = body.u16("actions_len")?;
        body.skip(6, "packet_out pad")?;
        let actions = Action::decode_list(body.part(length.into(), "actions")?)?;
        Ok(Self { buffer_id, in_port, actions, data: body.remainder() })
    }
}
