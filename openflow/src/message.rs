//! Messages (1.3.5, 7.1): one file each below, laid out like the specification's structures.

mod experimenter;
mod flow_mod;
mod flow_removed;
mod group_mod;
mod hello;
mod meter_mod;
mod multipart;
mod packet_in;
mod packet_out;
mod port;
mod queue;
mod role;
mod switch;
mod table_mod;

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

pub use experimenter::Experimenter;
pub use flow_mod::{FlowMod, FlowModCommand, FlowModFlags};
pub use flow_removed::{FlowRemoved, FlowRemovedReason};
pub use group_mod::{Bucket, GroupMod, GroupModCommand, GroupType};
pub use hello::{Hello, HelloElement};
pub use meter_mod::{MeterBand, MeterBandKind, MeterFlags, MeterMod, MeterModCommand};
pub use multipart::*;
pub use packet_in::{PacketIn, PacketInReason};
pub use packet_out::PacketOut;
pub use port::{PortMod, PortReason, PortStatus};
pub use queue::{PacketQueue, QueueGetConfigReply, QueueGetConfigRequest, QueueProperty};
pub use role::{AsyncConfig, Role, RoleReply, RoleRequest};
pub use switch::{Capabilities, ConfigFlags, FeaturesReply, SwitchConfig};
pub use table_mod::TableMod;

use crate::error::ErrorMsg;
use crate::header::{HEADER_LEN, Header, MessageType, VERSION};
use crate::wire::{
    DecodeError, DecodeErrorKind, EncodeError, Failure, Reader, Scope, Source, Writer,
};

/// One OpenFlow message.
///
/// ```
/// use openflow::{Body, FlowMod, Message};
/// let message = Message::new(7, FlowMod::add(0).priority(1));
/// let bytes = message.encode()?;
/// assert_eq!(Message::decode(bytes)?, message);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Message {
    /// Pairs a reply with its request; an error has the xid of the message it is about.
    pub xid: u32,
    /// What it says.
    pub body: Body,
}

macro_rules! bodies {
    ($(
        $(#[$doc:meta])*
        $variant:ident $( ($type:ty) )? ;
    )*) => {
        /// What a message says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Body {
            $( $(#[$doc])* $variant $( ($type) )?, )*
        }

        impl Body {
            /// What kind of message this is.
            #[must_use]
            pub fn message_type(&self) -> MessageType {
                match self {
                    $( bodies!(@pattern $variant $( $type )?) => MessageType::$variant, )*
                }
            }
        }
    };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident $type:ty) => { Self::$variant(_) };
}

bodies! {
    /// Says which versions the sender speaks.
    Hello(Hello);
    /// Says what was wrong.
    Error(ErrorMsg);
    /// Asks for a sign of life, with any data.
    EchoRequest(Bytes);
    /// A sign of life, with the request's data.
    EchoReply(Bytes);
    /// Whatever an experimenter defined.
    Experimenter(Experimenter);
    /// Asks a switch who it is.
    FeaturesRequest;
    /// Who the switch is.
    FeaturesReply(FeaturesReply);
    /// Asks for the switch's configuration.
    GetConfigRequest;
    /// The switch's configuration.
    GetConfigReply(SwitchConfig);
    /// Sets the switch's configuration.
    SetConfig(SwitchConfig);
    /// A frame for the controller.
    PacketIn(PacketIn);
    /// A flow is gone.
    FlowRemoved(FlowRemoved);
    /// A port changed.
    PortStatus(PortStatus);
    /// A frame from the controller.
    PacketOut(PacketOut);
    /// Changes flows.
    FlowMod(FlowMod);
    /// Changes groups.
    GroupMod(GroupMod);
    /// Changes a port.
    PortMod(PortMod);
    /// Changes a table.
    TableMod(TableMod);
    /// Asks for statistics or descriptions.
    MultipartRequest(MultipartRequest);
    /// Statistics or descriptions.
    MultipartReply(MultipartReply);
    /// Asks to finish what came before.
    BarrierRequest;
    /// What came before is finished.
    BarrierReply;
    /// Asks for the queues of a port.
    QueueGetConfigRequest(QueueGetConfigRequest);
    /// The queues of a port.
    QueueGetConfigReply(QueueGetConfigReply);
    /// Asks for a role.
    RoleRequest(RoleRequest);
    /// The controller's role.
    RoleReply(RoleReply);
    /// Asks which asynchronous messages are sent.
    GetAsyncRequest;
    /// Which asynchronous messages are sent.
    GetAsyncReply(AsyncConfig);
    /// Says which asynchronous messages to send.
    SetAsync(AsyncConfig);
    /// Changes a meter.
    MeterMod(MeterMod);
}

impl Body {
    /// The message's name in the specification, in lower case and without prefix, with the
    /// multipart's behind a dot: `flow_mod`, `multipart_reply.port_desc`.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.message_type().to_string();
        match self {
            Self::MultipartRequest(request) => format!("{name}.{}", request.multipart_type()),
            Self::MultipartReply(reply) => format!("{name}.{}", reply.multipart_type()),
            _ => name,
        }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Hello(body) => body.encode(out),
            Self::Error(body) => body.encode(out),
            Self::EchoRequest(data) | Self::EchoReply(data) => out.bytes(data),
            Self::Experimenter(body) => body.encode(out),
            Self::FeaturesReply(body) => body.encode(out),
            Self::GetConfigReply(body) | Self::SetConfig(body) => body.encode(out),
            Self::PacketIn(body) => body.encode(out),
            Self::FlowRemoved(body) => body.encode(out),
            Self::PortStatus(body) => body.encode(out),
            Self::PacketOut(body) => body.encode(out),
            Self::FlowMod(body) => body.encode(out),
            Self::GroupMod(body) => body.encode(out),
            Self::PortMod(body) => body.encode(out),
            Self::TableMod(body) => body.encode(out),
            Self::MultipartRequest(body) => body.encode(out),
            Self::MultipartReply(body) => body.encode(out),
            Self::QueueGetConfigRequest(body) => body.encode(out),
            Self::QueueGetConfigReply(body) => body.encode(out),
            Self::RoleRequest(body) | Self::RoleReply(body) => body.encode(out),
            Self::GetAsyncReply(body) | Self::SetAsync(body) => body.encode(out),
            Self::MeterMod(body) => body.encode(out),
            Self::FeaturesRequest
            | Self::GetConfigRequest
            | Self::BarrierRequest
            | Self::BarrierReply
            | Self::GetAsyncRequest => {}
        }
    }

    fn decode(kind: MessageType, version: u8, body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(match kind {
            MessageType::Hello => Self::Hello(Hello::decode(version, body)),
            MessageType::Error => Self::Error(ErrorMsg::decode(version, body)?),
            MessageType::EchoRequest => Self::EchoRequest(body.remainder()),
            MessageType::EchoReply => Self::EchoReply(body.remainder()),
            MessageType::Experimenter => Self::Experimenter(Experimenter::decode(body)?),
            MessageType::FeaturesRequest => Self::FeaturesRequest,
            MessageType::FeaturesReply => Self::FeaturesReply(FeaturesReply::decode(body)?),
            MessageType::GetConfigRequest => Self::GetConfigRequest,
            MessageType::GetConfigReply => Self::GetConfigReply(SwitchConfig::decode(body)?),
            MessageType::SetConfig => Self::SetConfig(SwitchConfig::decode(body)?),
            MessageType::PacketIn => Self::PacketIn(PacketIn::decode(body)?),
            MessageType::FlowRemoved => Self::FlowRemoved(FlowRemoved::decode(body)?),
            MessageType::PortStatus => Self::PortStatus(PortStatus::decode(body)?),
            MessageType::PacketOut => Self::PacketOut(PacketOut::decode(body)?),
            MessageType::FlowMod => Self::FlowMod(FlowMod::decode(body)?),
            MessageType::GroupMod => Self::GroupMod(GroupMod::decode(body)?),
            MessageType::PortMod => Self::PortMod(PortMod::decode(body)?),
            MessageType::TableMod => Self::TableMod(TableMod::decode(body)?),
            MessageType::MultipartRequest => {
                Self::MultipartRequest(MultipartRequest::decode(body)?)
            }
            MessageType::MultipartReply => Self::MultipartReply(MultipartReply::decode(body)?),
            MessageType::BarrierRequest => Self::BarrierRequest,
            MessageType::BarrierReply => Self::BarrierReply,
            MessageType::QueueGetConfigRequest => {
                Self::QueueGetConfigRequest(QueueGetConfigRequest::decode(body)?)
            }
            MessageType::QueueGetConfigReply => {
                Self::QueueGetConfigReply(QueueGetConfigReply::decode(body)?)
            }
            MessageType::RoleRequest => Self::RoleRequest(RoleRequest::decode(body)?),
            MessageType::RoleReply => Self::RoleReply(RoleReply::decode(body)?),
            MessageType::GetAsyncRequest => Self::GetAsyncRequest,
            MessageType::GetAsyncReply => Self::GetAsyncReply(AsyncConfig::decode(body)?),
            MessageType::SetAsync => Self::SetAsync(AsyncConfig::decode(body)?),
            MessageType::MeterMod => Self::MeterMod(MeterMod::decode(body)?),
            MessageType::Other(value) => {
                let kind = DecodeErrorKind::Value {
                    value: value.into(),
                    expected: "a message type, 0 to 29",
                };
                return Err(body.clone().scoped(Scope::Type).error_at(1, "type", kind));
            }
        })
    }
}

macro_rules! body_from {
    ($($type:ident)*) => {$(
        impl From<$type> for Body {
            fn from(body: $type) -> Self {
                Self::$type(body)
            }
        }
    )*};
}

body_from! {
    Hello Experimenter FeaturesReply PacketIn FlowRemoved PortStatus PacketOut FlowMod GroupMod PortMod
    TableMod MultipartRequest MultipartReply QueueGetConfigRequest QueueGetConfigReply RoleRequest MeterMod
}

impl From<ErrorMsg> for Body {
    fn from(error: ErrorMsg) -> Self {
        Self::Error(error)
    }
}

impl From<MultipartRequestBody> for Body {
    fn from(body: MultipartRequestBody) -> Self {
        Self::MultipartRequest(body.into())
    }
}

impl From<MultipartReplyBody> for Body {
    fn from(body: MultipartReplyBody) -> Self {
        Self::MultipartReply(body.into())
    }
}

impl Message {
    /// A message that says `body`.
    #[must_use]
    pub fn new(xid: u32, body: impl Into<Body>) -> Self {
        Self { xid, body: body.into() }
    }

    /// The version in the header: that of a hello or an error, else 4.
    #[must_use]
    pub fn version(&self) -> u8 {
        match &self.body {
            Body::Hello(hello) => hello.version,
            Body::Error(error) => error.version,
            _ => VERSION,
        }
    }

    /// The message in bytes, in a buffer of its own.
    ///
    /// # Errors
    /// If it doesn't fit into 65,535 bytes.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        // Written where there is room, then copied: one allocation, of just the right size.
        thread_local!(static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::new()));
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            self.encode_into(scratch)?;
            Ok(Bytes::copy_from_slice(scratch))
        })
    }

    /// Appends the message's bytes to a buffer, for several messages in one write.
    ///
    /// # Errors
    /// If it doesn't fit into 65,535 bytes; `out` is then as it was.
    pub fn encode_into(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let kind = self.body.message_type();
        let mut writer = Writer::new(out);
        writer.block::<{ HEADER_LEN }>(|block| {
            block.u8(self.version());
            block.u8(kind.into());
            block.u16(0);
            block.u32(self.xid);
        });
        self.body.encode(&mut writer);
        writer.patch_len(2, 0);
        writer.finish(kind.name().unwrap_or("message"))
    }

    /// Reads one message, no more and no less than `bytes`.
    ///
    /// Data in it, such as a packet-in's frame, is shared with `bytes`, not copied.
    ///
    /// # Errors
    /// Says which field of which message is wrong, where, and what it should have been;
    /// [`DecodeError::answer`] makes the OpenFlow error to answer with.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        Self::read(&bytes).map_err(|mut failure| {
            if let [VERSION, kind, _, _, _, _, _, _, high, low, ..] = bytes[..] {
                let multipart = u16::from_be_bytes([high, low]).into();
                if let Some(name) = multipart::full_name(kind.into(), multipart) {
                    failure.message = name;
                }
            }
            *failure
        })
    }

    fn read(bytes: &Bytes) -> Result<Self, Failure> {
        let header = Header::decode(bytes)?;
        let kind = MessageType::from(header.message_type);
        let source = Source { bytes, message: kind.name().unwrap_or("message") };
        let mut body = Reader::new(&source);
        let any_version = matches!(kind, MessageType::Hello | MessageType::Error);
        if header.version != VERSION && !any_version {
            let kind = DecodeErrorKind::Value {
                value: header.version.into(),
                expected: "4, OpenFlow 1.3",
            };
            return Err(body.scoped(Scope::Version).error("version", kind));
        }
        let length = usize::from(header.length);
        if length != bytes.len() {
            let kind = DecodeErrorKind::Whole { length, there: bytes.len() };
            return Err(body.error_at(2, "length", kind));
        }
        body.skip(HEADER_LEN, "header")?;
        let message =
            Self { xid: header.xid, body: Body::decode(kind, header.version, &mut body)? };
        body.finish("end of message")?;
        Ok(message)
    }
}
