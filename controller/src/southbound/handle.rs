//! The way to one switch.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openflow::{Action, Body, DatapathId, FlowMod, FlowStatsRequest, Instruction, PacketOut};
use tokio::sync::mpsc;

use super::event::SessionId;
use super::stats;

/// Why something was not even queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// As much waits for the switch already as may; try again when an answer came.
    #[error("too much waits for the switch already")]
    Full,
    /// The session ended, or is about to.
    #[error("the switch's session has ended")]
    Closed,
}

/// What the core asks of a session.
#[derive(Debug)]
pub(super) enum Command {
    Apply { token: u64, steps: Vec<Vec<Body>> },
    Read { token: u64, cookie: u64, mask: u64 },
    Find { token: u64, flows: Box<FlowStatsRequest> },
    PacketOut(PacketOut),
}

/// A command and the bytes it was booked for.
#[derive(Debug)]
pub(super) struct Queued {
    pub command: Command,
    pub weight: usize,
}

/// The way to one session of one switch, cheap to clone. Nothing here waits.
#[derive(Clone)]
pub struct SwitchHandle {
    shared: Arc<Shared>,
}

struct Shared {
    dpid: DatapathId,
    session: SessionId,
    commands: mpsc::UnboundedSender<Queued>,
    close: mpsc::Sender<String>,
    queue: Arc<Queue>,
}

/// How many bytes wait for a switch, roughly: in the channel and for the socket.
/// It bounds the channel, which has no bound of its own.
pub(super) struct Queue {
    limit: usize,
    waiting: AtomicUsize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, waiting: AtomicUsize::new(0) })
    }

    fn book(&self, weight: usize) -> Result<(), SendError> {
        let room = |waiting: usize| (waiting < self.limit).then(|| waiting.saturating_add(weight));
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) {
            Ok(_) => Ok(()),
            Err(_) => Err(SendError::Full),
        }
    }

    pub(super) fn release(&self, weight: usize) {
        self.waiting.fetch_sub(weight, Ordering::Relaxed);
    }
}

impl SwitchHandle {
    pub(super) fn new(
        dpid: DatapathId,
        session: SessionId,
        queue: Arc<Queue>,
        commands: mpsc::UnboundedSender<Queued>,
        close: mpsc::Sender<String>,
    ) -> Self {
        Self { shared: Arc::new(Shared { dpid, session, commands, close, queue }) }
    }

    /// The switch.
    #[must_use]
    pub fn dpid(&self) -> DatapathId {
        self.shared.dpid
    }

    /// Its session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.shared.session
    }

    /// Queues `steps`: each one's requests, then a barrier, then the next. One
    /// `Event::Applied` with `token` follows the last barrier's reply, unless the
    /// session ends before. No step waits for the one before it, so an error
    /// in one doesn't stop those behind it.
    ///
    /// # Errors
    /// Nothing was queued: see [`SendError`].
    pub fn apply(&self, token: u64, steps: Vec<Vec<Body>>) -> Result<(), SendError> {
        let weight =
            steps.iter().map(|step| BARRIER + step.iter().map(weight).sum::<usize>()).sum();
        self.send(Command::Apply { token, steps }, weight)
    }

    /// Queues a request for all flows with this cookie, in the bits of `mask`, and all
    /// groups. One `Event::Read` with `token` follows, unless the session ends before.
    ///
    /// # Errors
    /// Nothing was queued: see [`SendError`].
    pub fn read(&self, token: u64, cookie: u64, mask: u64) -> Result<(), SendError> {
        self.send(Command::Read { token, cookie, mask }, READ)
    }

    /// Queues a request for the flows that `flows` covers, and no groups: as little as is asked
    /// for. One `Event::Read` with `token` follows, unless the session ends before.
    ///
    /// # Errors
    /// Nothing was queued: see [`SendError`].
    pub fn find(&self, token: u64, flows: FlowStatsRequest) -> Result<(), SendError> {
        self.send(Command::Find { token, flows: Box::new(flows) }, READ)
    }

    /// Queues a frame for the switch to send out. Whether it did is not reported.
    ///
    /// # Errors
    /// The frame is dropped, and counted: see [`SendError`].
    pub fn packet_out(&self, out: PacketOut) -> Result<(), SendError> {
        let weight = 64 + out.data.len();
        self.send(Command::PacketOut(out), weight).inspect_err(|_| stats::packet_out_dropped())
    }

    /// Ends the session at once; what is queued may not reach the switch any more.
    /// `Event::Disconnected` with `reason` follows.
    pub fn close(&self, reason: &str) {
        // If it is gone or closing already, that is what was wanted.
        let _ = self.shared.close.try_send(reason.to_owned());
    }

    fn send(&self, command: Command, weight: usize) -> Result<(), SendError> {
        // A session that ended releases nothing any more: its queue may stay full.
        if self.shared.commands.is_closed() {
            return Err(SendError::Closed);
        }
        self.shared.queue.book(weight)?;
        self.shared.commands.send(Queued { command, weight }).map_err(|_| SendError::Closed)
    }
}

impl fmt::Debug for SwitchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SwitchHandle({} session {})", self.dpid(), self.session())
    }
}

const BARRIER: usize = 48;
const READ: usize = 160;

/// Roughly the bytes that a request takes while it waits; never far below its wire length.
fn weight(body: &Body) -> usize {
    match body {
        Body::FlowMod(flow) => flow_weight(flow),
        Body::GroupMod(group) => {
            let buckets = group.buckets.iter().map(|bucket| 64 + actions_weight(&bucket.actions));
            96 + buckets.sum::<usize>()
        }
        Body::PacketOut(out) => 64 + out.data.len(),
        _ => 256,
    }
}

fn flow_weight(flow: &FlowMod) -> usize {
    let instructions = flow.instructions.iter().map(|instruction| match instruction {
        Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
            16 + actions_weight(actions)
        }
        _ => 24,
    });
    128 + 24 * flow.match_.fields().len() + instructions.sum::<usize>()
}

fn actions_weight(actions: &[Action]) -> usize {
    24 * actions.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_until_bytes_have_left() {
        let (commands, mut waiting) = mpsc::unbounded_channel();
        let queue = Queue::new(300);
        let handle = SwitchHandle::new(
            DatapathId(1),
            SessionId(1),
            queue.clone(),
            commands,
            mpsc::channel(1).0,
        );
        assert_eq!(handle.read(1, 0, 0), Ok(()));
        assert_eq!(handle.read(2, 0, 0), Ok(()));
        assert_eq!(handle.read(3, 0, 0), Err(SendError::Full));
        let first = waiting.try_recv().unwrap();
        queue.release(first.weight);
        assert_eq!(handle.read(4, 0, 0), Ok(()));
        assert_eq!(handle.read(5, 0, 0), Err(SendError::Full));
        drop(waiting);
        assert_eq!(handle.read(6, 0, 0), Err(SendError::Closed), "though its queue stays full");
    }

    #[test]
    fn one_request_larger_than_the_queue_passes_when_nothing_waits() {
        let (commands, _waiting) = mpsc::unbounded_channel();
        let handle = SwitchHandle::new(
            DatapathId(1),
            SessionId(1),
            Queue::new(100),
            commands,
            mpsc::channel(1).0,
        );
        assert_eq!(handle.apply(1, vec![Vec::new(); 100]), Ok(()));
        assert_eq!(handle.apply(2, vec![Vec::new()]), Err(SendError::Full));
    }
}
