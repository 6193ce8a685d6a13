//! What the southbound server may be told; the defaults suit a thousand switches.

use std::sync::Arc;
use std::time::Duration;

/// Limits and times of all sessions.
#[derive(Clone)]
pub struct SouthboundConfig {
    /// Silence after which a switch is asked for a sign of life.
    pub echo_interval: Duration,
    /// How long the switch may take for that sign before it counts as gone.
    pub echo_limit: Duration,
    /// From accepting a connection until the switch has said who it is and what it can.
    pub handshake_limit: Duration,
    /// From there until its flows and groups are read; also one later read.
    pub read_limit: Duration,
    /// How long a switch that answers echoes may leave a barrier unanswered before the session is given up.
    pub barrier_limit: Duration,
    /// How long a peer may leave our bytes unread before it is cut.
    pub write_limit: Duration,
    /// Connections whose handshake isn't done; more are closed at once.
    pub max_half_open: usize,
    /// Bytes that may wait for one switch; beyond them `SwitchHandle` answers `Full`.
    pub out_queue_bytes: usize,
    /// Bytes on the wire that the parts of one multipart reply may have together.
    pub multipart_bytes: usize,
    /// Malformed or unexpected messages a second after which a session is closed.
    pub malformed_per_second: u32,
    /// Packet-ins a second that one session may pass on from one flow table; twice as many at once.
    pub punts_per_second: u32,
    /// Only flows with this cookie, in the bits of `cookie_mask`, are read at connect.
    pub cookie: u64,
    /// Bits of `cookie` that count; zero reads every flow.
    pub cookie_mask: u64,
    /// Encrypts and authenticates sessions; without it they are plain TCP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for SouthboundConfig {
    fn default() -> Self {
        Self {
            echo_interval: Duration::from_secs(1),
            echo_limit: Duration::from_secs(3),
            handshake_limit: Duration::from_secs(10),
            read_limit: Duration::from_secs(60),
            barrier_limit: Duration::from_secs(20),
            write_limit: Duration::from_secs(5),
            max_half_open: 2048,
            out_queue_bytes: 4 << 20,
            multipart_bytes: 32 << 20,
            malformed_per_second: 20,
            punts_per_second: 1000,
            cookie: 0,
            cookie_mask: 0,
            tls: None,
        }
    }
}
