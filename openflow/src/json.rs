//! How bytes look in JSON and other formats that people read.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::display::Hex;
use crate::message::Body;

pub(crate) fn hex<S: Serializer>(bytes: &Bytes, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&Hex(bytes))
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(serialize_with = "hex")]
    data: &'a Bytes,
}

#[derive(Serialize)]
struct Nothing {}

/// What the body holds, without the name of the message: `{}` where it holds nothing.
impl Serialize for Body {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hello(body) => body.serialize(out),
            Self::Error(body) => body.serialize(out),
            Self::EchoRequest(data) | Self::EchoReply(data) => Data { data }.serialize(out),
            Self::Experimenter(body) => body.serialize(out),
            Self::FeaturesReply(body) => body.serialize(out),
            Self::GetConfigReply(body) | Self::SetConfig(body) => body.serialize(out),
            Self::PacketIn(body) => body.serialize(out),
            Self::FlowRemoved(body) => body.serialize(out),
            Self::PortStatus(body) => body.serialize(out),
            Self::PacketOut(body) => body.serialize(out),
            Self::FlowMod(body) => body.serialize(out),
            Self::GroupMod(body) => body.serialize(out),
            Self::PortMod(body) => body.serialize(out),
            Self::TableMod(body) => body.serialize(out),
            Self::MultipartRequest(body) => body.serialize(out),
            Self::MultipartReply(body) => body.serialize(out),
            Self::QueueGetConfigRequest(body) => body.serialize(out),
            Self::QueueGetConfigReply(body) => body.serialize(out),
            Self::RoleRequest(body) | Self::RoleReply(body) => body.serialize(out),
            Self::GetAsyncReply(body) | Self::SetAsync(body) => body.serialize(out),
            Self::MeterMod(body) => body.serialize(out),
            Self::FeaturesRequest
            | Self::GetConfigRequest
            | Self::BarrierRequest
            | Self::BarrierReply
            | Self::GetAsyncRequest => Nothing {}.serialize(out),
        }
    }
}
