//! The eight bytes before every message (1.3.5, 7.1.1).

use crate::wire::{DecodeError, Failure, Reader, Source};

/// The version this crate speaks: OpenFlow 1.3.
pub const VERSION: u8 = 4;

/// Bytes of a header, and of the smallest message.
pub const HEADER_LEN: usize = 8;

/// version u8 | type u8 | length u16 | xid u32
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The protocol's version: 1 for 1.0, 4 for 1.3, 6 for 1.5.
    pub version: u8,
    /// The type's number; `MessageType::from` names it, if the version is 4.
    pub message_type: u8,
    /// Bytes of the whole message, this header included: 8 to 65535.
    pub length: u16,
    /// Pairs a reply with its request.
    pub xid: u32,
}

impl Header {
    /// Reads the header of a message, which may go on behind it.
    ///
    /// # Errors
    /// If there are fewer than eight bytes. The values are not judged.
    pub fn decode(message: &bytes::Bytes) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(&Source { bytes: message, message: "header" }))
            .map_err(|failure| *failure)
    }

    pub(crate) fn read(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            version: body.u8("version")?,
            message_type: body.u8("type")?,
            length: body.u16("length")?,
            xid: body.u32("xid")?,
        })
    }
}

wire_enum! {
    /// What a message is (1.3.5, 7.1.1, `ofp_type`).
    pub enum MessageType: u8 {
        /// Says which versions the sender speaks.
        Hello = 0 => "hello",
        /// Says what was wrong.
        Error = 1 => "error",
        /// Asks for a sign of life.
        EchoRequest = 2 => "echo_request",
        /// A sign of life.
        EchoReply = 3 => "echo_reply",
        /// Whatever an experimenter defined.
        Experimenter = 4 => "experimenter",
        /// Asks a switch who it is.
        FeaturesRequest = 5 => "features_request",
        /// Who the switch is.
        FeaturesReply = 6 => "features_reply",
        /// Asks for the switch's configuration.
        GetConfigRequest = 7 => "get_config_request",
        /// The switch's configuration.
        GetConfigReply = 8 => "get_config_reply",
        /// Sets the switch's configuration.
        SetConfig = 9 => "set_config",
        /// A frame for the controller.
        PacketIn = 10 => "packet_in",
        /// A flow is gone.
        FlowRemoved = 11 => "flow_removed",
        /// A port changed.
        PortStatus = 12 => "port_status",
        /// A frame from the controller.
        PacketOut = 13 => "packet_out",
        /// Changes flows.
        FlowMod = 14 => "flow_mod",
        /// Changes a group.
        GroupMod = 15 => "group_mod",
        /// Changes a port.
        PortMod = 16 => "port_mod",
        /// Changes a table.
        TableMod = 17 => "table_mod",
        /// Asks for statistics or descriptions.
        MultipartRequest = 18 => "multipart_request",
        /// Statistics or descriptions.
        MultipartReply = 19 => "multipart_reply",
        /// Asks to finish what came before.
        BarrierRequest = 20 => "barrier_request",
        /// What came before is finished.
        BarrierReply = 21 => "barrier_reply",
        /// Asks for the queues of a port.
        QueueGetConfigRequest = 22 => "queue_get_config_request",
        /// The queues of a port.
        QueueGetConfigReply = 23 => "queue_get_config_reply",
        /// Asks for a role.
        RoleRequest = 24 => "role_request",
        /// The controller's role.
        RoleReply = 25 => "role_reply",
        /// Asks which asynchronous messages are sent.
        GetAsyncRequest = 26 => "get_async_request",
        /// Which asynchronous messages are sent.
        GetAsyncReply = 27 => "get_async_reply",
        /// Says which asynchronous messages to send.
        SetAsync = 28 => "set_async",
        /// Changes a meter.
        MeterMod = 29 => "meter_mod",
    }
}

impl MessageType {
    /// Whether this asks something of its receiver, who may refuse it with an error.
    #[must_use]
    pub fn is_request(self) -> bool {
        matches!(
            self,
            Self::EchoRequest
                | Self::Experimenter
                | Self::FeaturesRequest
                | Self::GetConfigRequest
                | Self::SetConfig
                | Self::PacketOut
                | Self::FlowMod
                | Self::GroupMod
                | Self::PortMod
                | Self::TableMod
                | Self::MultipartRequest
                | Self::BarrierRequest
                | Self::QueueGetConfigRequest
                | Self::RoleRequest
                | Self::GetAsyncRequest
                | Self::SetAsync
                | Self::MeterMod
        )
    }
}
