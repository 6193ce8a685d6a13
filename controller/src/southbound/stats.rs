//! What is counted. Names and labels are listed here, by hand, and nowhere else.

use metrics::{counter, gauge};
use openflow::{DatapathId, ErrorCode};
use tokio::sync::OwnedSemaphorePermit;

/// The switch that a metric names. Peers that haven't said which one they are share a label: there may be any number.
fn named(switch: Option<DatapathId>) -> String {
    switch.map_or_else(|| "unknown".to_owned(), |switch| switch.to_string())
}

/// A connection was accepted.
pub(super) fn accepted() {
    counter!("isolane_openflow_connections_accepted_total").increment(1);
}

/// A connection was closed at once: too many handshakes are under way.
pub(super) fn crowded_out() {
    counter!("isolane_openflow_connections_crowded_out_total").increment(1);
}

/// A handshake under way, counted, and its place among them.
pub(super) struct HalfOpen {
    _permit: OwnedSemaphorePermit,
}

impl HalfOpen {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        gauge!("isolane_openflow_half_open").increment(1.0);
        Self { _permit: permit }
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        gauge!("isolane_openflow_half_open").decrement(1.0);
    }
}

/// A switch with a session, counted.
pub(super) struct Live(());

impl Live {
    pub(super) fn new() -> Self {
        gauge!("isolane_openflow_sessions").increment(1.0);
        Self(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        gauge!("isolane_openflow_sessions").decrement(1.0);
    }
}

/// Why a connection didn't become a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another session is this switch.
    Duplicate,
    /// The switch lacks what is needed.
    Unsupported,
    /// Anything else on the way.
    Handshake,
}

/// A connection didn't become a session.
pub(super) fn refused(why: Refusal, switch: Option<DatapathId>) {
    let why = match why {
        Refusal::Duplicate => "duplicate",
        Refusal::Unsupported => "unsupported",
        Refusal::Handshake => "handshake",
    };
    counter!("isolane_openflow_connections_refused_total", "reason" => why, "switch" => named(switch))
        .increment(1);
}

/// Messages came in.
pub(super) fn received(messages: u64) {
    counter!("isolane_openflow_messages_received_total").increment(messages);
}

/// Messages went out.
pub(super) fn sent(messages: u64) {
    counter!("isolane_openflow_messages_sent_total").increment(messages);
}

/// A message could not be read.
pub(super) fn malformed(switch: Option<DatapathId>) {
    counter!("isolane_openflow_messages_malformed_total", "switch" => named(switch)).increment(1);
}

/// A message that answers nothing, or that a switch doesn't send.
pub(super) fn unexpected(switch: Option<DatapathId>) {
    counter!("isolane_openflow_messages_unexpected_total", "switch" => named(switch)).increment(1);
}

/// A switch reported an error.
pub(super) fn error(code: ErrorCode) {
    let kind = code.type_name().unwrap_or("other");
    counter!("isolane_openflow_errors_received_total", "type" => kind).increment(1);
}

/// A frame for the controller was passed on.
pub(super) fn punt_passed() {
    counter!("isolane_openflow_packet_ins_total", "outcome" => "passed").increment(1);
}

/// A frame for the controller was dropped: one session sends too many.
pub(super) fn punt_limited() {
    counter!("isolane_openflow_packet_ins_total", "outcome" => "limited").increment(1);
}

/// A frame for the controller was dropped: the core has too many waiting.
pub(super) fn punt_dropped() {
    counter!("isolane_openflow_packet_ins_total", "outcome" => "dropped").increment(1);
}

/// A frame for a switch was dropped: too much waits for it.
pub(super) fn packet_out_dropped() {
    counter!("isolane_openflow_packet_outs_dropped_total").increment(1);
}

/// A switch gave no sign of life.
pub(super) fn silent(switch: Option<DatapathId>) {
    counter!("isolane_openflow_sessions_silent_total", "switch" => named(switch)).increment(1);
}

/// A peer didn't take what was written.
pub(super) fn slow_reader(switch: Option<DatapathId>) {
    counter!("isolane_openflow_sessions_slow_reader_total", "switch" => named(switch)).increment(1);
}
