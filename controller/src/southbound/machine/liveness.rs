//! Whether the other side is still there.

use std::time::{Duration, Instant};

/// Asks after a silence, and gives up when nothing comes in answer.
///
/// The limit runs from the question, not from the last word: a controller that
/// was itself held up must not take that for the switch's silence.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Duration,
    limit: Duration,
    heard: Instant,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    xid: u32,
    at: Instant,
    /// Only the answer counts, for others want to know whether this is alive now.
    probe: bool,
}

/// What to do at a deadline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ask,
    GiveUp,
}

impl Liveness {
    pub(super) fn new(interval: Duration, limit: Duration, now: Instant) -> Self {
        Self { interval, limit, heard: now, asked: None }
    }

    /// A whole message came, other than the answer to a question.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked.take_if(|asked| !asked.probe);
    }

    /// An echo reply came. Whether it ends a probe.
    pub(super) fn answered(&mut self, xid: u32) -> bool {
        self.asked.take_if(|asked| asked.xid == xid).is_some_and(|asked| asked.probe)
    }

    /// A question with this xid was sent.
    pub(super) fn asked(&mut self, xid: u32, probe: bool, now: Instant) {
        self.asked = Some(Asked { xid, at: now, probe });
    }

    /// Whether a probe is under way.
    pub(super) fn probing(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.probe)
    }

    /// When something may be due.
    pub(super) fn deadline(&self) -> Instant {
        match &self.asked {
            Some(asked) => asked.at + self.limit,
            None => self.heard + self.interval,
        }
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        match &self.asked {
            _ if now < self.deadline() => Due::Nothing,
            Some(_) => Due::GiveUp,
            None => Due::Ask,
        }
    }
}
