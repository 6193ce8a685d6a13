//! What sessions tell the core.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use openflow::{
    DatapathId, Desc, ErrorCode, FeaturesReply, FlowRemoved, FlowStats, GroupDesc, PacketIn, Port,
    PortReason,
};
use tokio::sync::mpsc;

use super::handle::SwitchHandle;
use super::punts::{PuntReceiver, PuntSender};
use crate::lift::Lifted;

/// One connection of one switch; never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl SessionId {
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something the core must know. The events of one session come in order:
/// `Connected`, any others, `Disconnected`; and those of two sessions of one
/// switch never mix.
#[derive(Debug)]
pub enum Event {
    /// The handshake is done, the tables are read.
    Connected(Box<Connected>),
    /// The session ended; whatever was asked of it and not answered will not be.
    Disconnected {
        /// The switch.
        dpid: DatapathId,
        /// Its session that ended.
        session: SessionId,
        /// Why, for an operator.
        reason: String,
    },
    /// A connection did not become a session: a duplicate, unsupported, or not 1.3.
    Refused {
        /// The switch, if it got as far as saying.
        dpid: Option<DatapathId>,
        /// Where it connected from.
        peer: SocketAddr,
        /// Why, for an operator; `unsupported: NAME` when the switch lacks a feature.
        reason: String,
    },
    /// A port came, went or changed.
    PortStatus {
        /// The switch.
        dpid: DatapathId,
        /// Its session.
        session: SessionId,
        /// Which of these.
        reason: PortReason,
        /// The port as it is now, or was last.
        port: Port,
    },
    /// A flow is gone.
    FlowRemoved {
        /// The switch.
        dpid: DatapathId,
        /// Its session.
        session: SessionId,
        /// Which, and why.
        removed: FlowRemoved,
    },
    /// All steps of an `apply` are done: its last barrier was answered.
    Applied {
        /// The switch.
        dpid: DatapathId,
        /// Its session.
        session: SessionId,
        /// What the caller gave.
        token: u64,
        /// Every error the switch reported.
        result: Result<(), ApplyFailure>,
    },
    /// A `read` is done.
    Read {
        /// The switch.
        dpid: DatapathId,
        /// Its session.
        session: SessionId,
        /// What the caller gave.
        token: u64,
        /// What the switch holds.
        result: Result<Tables, ReadFailure>,
    },
}

/// A switch that is ready to be programmed.
#[derive(Debug)]
pub struct Connected {
    /// The switch.
    pub dpid: DatapathId,
    /// Its session.
    pub session: SessionId,
    /// Where it connected from.
    pub peer: SocketAddr,
    /// What it said of itself.
    pub features: FeaturesReply,
    /// Its maker's and its operator's texts.
    pub desc: Desc,
    /// Its ports, in the order of their numbers, the reserved LOCAL included.
    pub ports: Vec<Port>,
    /// How many flows with the configured cookie it told of.
    pub flows: usize,
    /// How many groups, anybody's.
    pub groups: usize,
    /// What these mean. The tables themselves are many times as large, and a thousand switches may come at once.
    pub lifted: Lifted,
    /// Whether it has meters, the virtual meter for the controller's frames among them.
    pub meters_supported: bool,
    /// The way to it.
    pub handle: SwitchHandle,
    /// When the handshake was done.
    pub connected_at: Instant,
}

/// A frame that a switch sent up.
#[derive(Debug)]
pub struct Punt {
    /// The switch.
    pub dpid: DatapathId,
    /// Its session.
    pub session: SessionId,
    /// The frame, and where it was.
    pub packet: PacketIn,
}

/// What a switch holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Flows with the cookie that was asked for.
    pub flows: Vec<FlowStats>,
    /// All groups.
    pub groups: Vec<GroupDesc>,
}

/// One request of an `apply` that the switch refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// Which step the request was in, from 0.
    pub step: usize,
    /// Which request of that step, from 0; the number of requests for the barrier behind them.
    pub index: usize,
    /// What was wrong.
    pub code: ErrorCode,
    /// The specification's name for the error's type.
    pub type_name: &'static str,
    /// The error's text, if it has one.
    pub text: Option<String>,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.type_name)?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// Why an `apply` did not work out; what else it asked for was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} refused: {}", count(.total), listed(.errors))]
pub struct ApplyFailure {
    /// The first errors, in the order they came; at most 64.
    pub errors: Vec<RequestError>,
    /// How many there were.
    pub total: usize,
}

impl ApplyFailure {
    /// Errors of which each is told; the others are counted.
    pub const TOLD: usize = 64;
}

fn count(total: &usize) -> String {
    if *total == 1 { "1 request".to_owned() } else { format!("{total} requests") }
}

/// Equal errors once: a full table refuses hundreds of flows for one reason.
fn listed(errors: &[RequestError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join("; ")
}

/// Why tables could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailure {
    /// The switch answered with an error.
    #[error("the switch refused to tell its {what}: {code}")]
    Refused {
        /// Flows or groups.
        what: &'static str,
        /// The error.
        code: ErrorCode,
    },
    /// The reply is longer than a reply may be.
    #[error("the switch's list of {what} has more than {limit} bytes")]
    TooLong {
        /// Flows or groups.
        what: &'static str,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The reply isn't what OpenFlow says.
    #[error("the switch's list of {what} can't be read: {error}")]
    Malformed {
        /// Flows or groups.
        what: &'static str,
        /// Which byte of it is wrong.
        error: String,
    },
    /// The reply didn't come.
    #[error("the switch did not tell its {what} within {seconds} s")]
    TimedOut {
        /// Flows or groups.
        what: &'static str,
        /// The bound.
        seconds: u64,
    },
}

/// Where sessions report.
#[derive(Clone)]
pub struct EventSink {
    /// Never dropped: a session waits until there is room.
    pub control: mpsc::Sender<Event>,
    /// Dropped and counted when there is no room; each switch has its share.
    pub punts: PuntSender,
}

impl EventSink {
    /// A sink and its other end, with room for so many events and punts.
    #[must_use]
    pub fn channel(events: usize, punts: usize) -> (Self, mpsc::Receiver<Event>, PuntReceiver) {
        let (control, control_rx) = mpsc::channel(events);
        let (punts, punts_rx) = super::punts::queue(punts);
        (Self { control, punts }, control_rx, punts_rx)
    }
}

#[cfg(test)]
mod tests {
    use openflow::FlowModFailed;

    use super::*;

    #[test]
    fn a_full_table_is_named_once() {
        let code = ErrorCode::FlowModFailed(FlowModFailed::TableFull);
        let error = |index| RequestError {
            step: 0,
            index,
            code,
            type_name: "OFPET_FLOW_MOD_FAILED",
            text: None,
        };
        let failure = ApplyFailure { errors: vec![error(0), error(1)], total: 900 };
        assert_eq!(
            failure.to_string(),
            "900 requests refused: OFPFMFC_TABLE_FULL (OFPET_FLOW_MOD_FAILED)"
        );
    }
}
