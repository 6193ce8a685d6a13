//! Errors that one side reports to the other (1.3.5, 7.4.4).

mod codes;

use std::fmt;

use bytes::Bytes;

pub use codes::*;

use crate::header::VERSION;
use crate::wire::{Failure, Reader, Writer};

/// What the peer did not like (1.3.5, 7.4.4, `ofp_error_msg`).
///
/// type u16 | code u16 | data …
///
/// An experimenter's error has `exp_type` u16 | experimenter u32 in place of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ErrorMsg {
    /// The version in the message's header. A peer that doesn't speak 1.3 says so in its own version.
    pub version: u8,
    /// What was wrong.
    pub code: ErrorCode,
    /// For most errors at least the first 64 bytes of the message that was wrong; for `HelloFailed` a text.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

impl ErrorMsg {
    /// Bytes of the offending message that `about` sends back. The specification asks for 64 or more.
    pub const QUOTE: usize = 64;

    /// An error with any data.
    #[must_use]
    pub fn new(code: ErrorCode, data: Bytes) -> Self {
        Self { version: VERSION, code, data }
    }

    /// An error about a message, quoting its first 64 bytes.
    #[must_use]
    pub fn about(code: ErrorCode, offending: &Bytes) -> Self {
        Self::new(code, offending.slice(..offending.len().min(Self::QUOTE)))
    }

    /// "We have no version in common", in the peer's version, with a text for its operator.
    #[must_use]
    pub fn hello_failed(version: u8, text: impl Into<String>) -> Self {
        let code = ErrorCode::HelloFailed(HelloFailed::Incompatible);
        Self { version, code, data: Bytes::from(text.into()) }
    }

    /// The data as text, where it is one: `HelloFailed` carries ASCII.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.code {
            ErrorCode::HelloFailed(_) => std::str::from_utf8(&self.data).ok(),
            _ => None,
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        let (kind, code) = self.code.to_wire();
        out.u16(kind);
        out.u16(code);
        if let ErrorCode::Experimenter { experimenter, .. } = self.code {
            out.u32(experimenter);
        }
        out.bytes(&self.data);
    }

    pub(crate) fn decode(version: u8, body: &mut Reader<'_>) -> Result<Self, Failure> {
        let kind = body.u16("type")?;
        let code = body.u16("code")?;
        let code = match kind {
            // 1.1 put new types between those of 1.0, 1.2 added the experimenters'.
            3.. if version == 1 => ErrorCode::Other { kind, code },
            ErrorCode::EXPERIMENTER if version == 2 => ErrorCode::Other { kind, code },
            ErrorCode::EXPERIMENTER => {
                ErrorCode::Experimenter { exp_type: code, experimenter: body.u32("experimenter")? }
            }
            _ => ErrorCode::from_wire(kind, code),
        };
        Ok(Self { version, code, data: body.remainder() })
    }
}

/// An error's type and code.
///
/// ```
/// use openflow::{ErrorCode, FlowModFailed};
/// let full = ErrorCode::FlowModFailed(FlowModFailed::TableFull);
/// assert_eq!(full.type_name(), Some("OFPET_FLOW_MOD_FAILED"));
/// assert_eq!(full.to_string(), "OFPFMFC_TABLE_FULL");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// No version in common, or not allowed to talk.
    HelloFailed(HelloFailed),
    /// The request was not understood.
    BadRequest(BadRequest),
    /// An action is wrong.
    BadAction(BadAction),
    /// An instruction is wrong.
    BadInstruction(BadInstruction),
    /// A match is wrong.
    BadMatch(BadMatch),
    /// A flow could not be changed.
    FlowModFailed(FlowModFailed),
    /// A group could not be changed.
    GroupModFailed(GroupModFailed),
    /// A port could not be changed.
    PortModFailed(PortModFailed),
    /// A table could not be changed.
    TableModFailed(TableModFailed),
    /// A queue operation failed.
    QueueOpFailed(QueueOpFailed),
    /// The switch's configuration could not be changed.
    SwitchConfigFailed(SwitchConfigFailed),
    /// The role could not be changed.
    RoleRequestFailed(RoleRequestFailed),
    /// A meter could not be changed.
    MeterModFailed(MeterModFailed),
    /// A table's features could not be set.
    TableFeaturesFailed(TableFeaturesFailed),
    /// An error that an experimenter defined.
    Experimenter {
        /// The experimenter's own type.
        exp_type: u16,
        /// Who the experimenter is.
        experimenter: u32,
    },
    /// A type that the specification doesn't name.
    Other {
        /// The error's type.
        kind: u16,
        /// The error's code.
        code: u16,
    },
}

impl ErrorCode {
    const EXPERIMENTER: u16 = 0xffff;

    /// The code that these two numbers mean in 1.3; not for an experimenter's.
    #[must_use]
    pub fn from_wire(kind: u16, code: u16) -> Self {
        match kind {
            0 => Self::HelloFailed(code.into()),
            1 => Self::BadRequest(code.into()),
            2 => Self::BadAction(code.into()),
            3 => Self::BadInstruction(code.into()),
            4 => Self::BadMatch(code.into()),
            5 => Self::FlowModFailed(code.into()),
            6 => Self::GroupModFailed(code.into()),
            7 => Self::PortModFailed(code.into()),
            8 => Self::TableModFailed(code.into()),
            9 => Self::QueueOpFailed(code.into()),
            10 => Self::SwitchConfigFailed(code.into()),
            11 => Self::RoleRequestFailed(code.into()),
            12 => Self::MeterModFailed(code.into()),
            13 => Self::TableFeaturesFailed(code.into()),
            kind => Self::Other { kind, code },
        }
    }

    /// The numbers of type and code.
    #[must_use]
    pub fn to_wire(self) -> (u16, u16) {
        match self {
            Self::HelloFailed(code) => (0, code.into()),
            Self::BadRequest(code) => (1, code.into()),
            Self::BadAction(code) => (2, code.into()),
            Self::BadInstruction(code) => (3, code.into()),
            Self::BadMatch(code) => (4, code.into()),
            Self::FlowModFailed(code) => (5, code.into()),
            Self::GroupModFailed(code) => (6, code.into()),
            Self::PortModFailed(code) => (7, code.into()),
            Self::TableModFailed(code) => (8, code.into()),
            Self::QueueOpFailed(code) => (9, code.into()),
            Self::SwitchConfigFailed(code) => (10, code.into()),
            Self::RoleRequestFailed(code) => (11, code.into()),
            Self::MeterModFailed(code) => (12, code.into()),
            Self::TableFeaturesFailed(code) => (13, code.into()),
            Self::Experimenter { exp_type, .. } => (Self::EXPERIMENTER, exp_type),
            Self::Other { kind, code } => (kind, code),
        }
    }

    /// The type's name in the specification, such as `OFPET_BAD_REQUEST`.
    #[must_use]
    pub fn type_name(self) -> Option<&'static str> {
        match self {
            Self::HelloFailed(_) => Some("OFPET_HELLO_FAILED"),
            Self::BadRequest(_) => Some("OFPET_BAD_REQUEST"),
            Self::BadAction(_) => Some("OFPET_BAD_ACTION"),
            Self::BadInstruction(_) => Some("OFPET_BAD_INSTRUCTION"),
            Self::BadMatch(_) => Some("OFPET_BAD_MATCH"),
            Self::FlowModFailed(_) => Some("OFPET_FLOW_MOD_FAILED"),
            Self::GroupModFailed(_) => Some("OFPET_GROUP_MOD_FAILED"),
            Self::PortModFailed(_) => Some("OFPET_PORT_MOD_FAILED"),
            Self::TableModFailed(_) => Some("OFPET_TABLE_MOD_FAILED"),
            Self::QueueOpFailed(_) => Some("OFPET_QUEUE_OP_FAILED"),
            Self::SwitchConfigFailed(_) => Some("OFPET_SWITCH_CONFIG_FAILED"),
            Self::RoleRequestFailed(_) => Some("OFPET_ROLE_REQUEST_FAILED"),
            Self::MeterModFailed(_) => Some("OFPET_METER_MOD_FAILED"),
            Self::TableFeaturesFailed(_) => Some("OFPET_TABLE_FEATURES_FAILED"),
            Self::Experimenter { .. } => Some("OFPET_EXPERIMENTER"),
            Self::Other { .. } => None,
        }
    }

    /// The code's name in the specification, such as `OFPBRC_BAD_LEN`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::HelloFailed(code) => code.name(),
            Self::BadRequest(code) => code.name(),
            Self::BadAction(code) => code.name(),
            Self::BadInstruction(code) => code.name(),
            Self::BadMatch(code) => code.name(),
            Self::FlowModFailed(code) => code.name(),
            Self::GroupModFailed(code) => code.name(),
            Self::PortModFailed(code) => code.name(),
            Self::TableModFailed(code) => code.name(),
            Self::QueueOpFailed(code) => code.name(),
            Self::SwitchConfigFailed(code) => code.name(),
            Self::RoleRequestFailed(code) => code.name(),
            Self::MeterModFailed(code) => code.name(),
            Self::TableFeaturesFailed(code) => code.name(),
            Self::Experimenter { .. } | Self::Other { .. } => None,
        }
    }

    /// Every type and code that the specification names.
    pub fn named() -> impl Iterator<Item = Self> {
        HelloFailed::NAMED
            .iter()
            .map(|code| Self::HelloFailed(*code))
            .chain(BadRequest::NAMED.iter().map(|code| Self::BadRequest(*code)))
            .chain(BadAction::NAMED.iter().map(|code| Self::BadAction(*code)))
            .chain(BadInstruction::NAMED.iter().map(|code| Self::BadInstruction(*code)))
            .chain(BadMatch::NAMED.iter().map(|code| Self::BadMatch(*code)))
            .chain(FlowModFailed::NAMED.iter().map(|code| Self::FlowModFailed(*code)))
            .chain(GroupModFailed::NAMED.iter().map(|code| Self::GroupModFailed(*code)))
            .chain(PortModFailed::NAMED.iter().map(|code| Self::PortModFailed(*code)))
            .chain(TableModFailed::NAMED.iter().map(|code| Self::TableModFailed(*code)))
            .chain(QueueOpFailed::NAMED.iter().map(|code| Self::QueueOpFailed(*code)))
            .chain(SwitchConfigFailed::NAMED.iter().map(|code| Self::SwitchConfigFailed(*code)))
            .chain(RoleRequestFailed::NAMED.iter().map(|code| Self::RoleRequestFailed(*code)))
            .chain(MeterModFailed::NAMED.iter().map(|code| Self::MeterModFailed(*code)))
            .chain(TableFeaturesFailed::NAMED.iter().map(|code| Self::TableFeaturesFailed(*code)))
    }
}

/// The code's name, else the type's name and the number, else both numbers.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        match self {
            Self::Experimenter { exp_type, experimenter } => {
                write!(f, "experimenter {experimenter:#010x} error type {exp_type}")
            }
            _ => match (self.type_name(), self.to_wire()) {
                (Some(name), (_, code)) => write!(f, "{name} code {code}"),
                (None, (kind, code)) => write!(f, "error type {kind} code {code}"),
            },
        }
    }
}

/// Numbers, and names where there are some.
#[cfg(feature = "serde")]
impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let (kind, code) = self.to_wire();
        let mut fields = out.serialize_struct("ErrorCode", 5)?;
        fields.serialize_field("type", &kind)?;
        fields.serialize_field("type_name", &self.type_name())?;
        fields.serialize_field("code", &code)?;
        fields.serialize_field("code_name", &self.name())?;
        if let Self::Experimenter { experimenter, .. } = self {
            fields.serialize_field("experimenter", experimenter)?;
        }
        fields.end()
    }
}
