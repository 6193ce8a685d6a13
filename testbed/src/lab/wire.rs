//! What is on its way between a switch and the controller.

use std::collections::VecDeque;
use std::time::Instant;

use controller::southbound::{DrySession, Event};
use openflow::{Body, ErrorCode, ErrorMsg, Message};

use super::Dice;

/// How a switch fails to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stall {
    /// It doesn't.
    #[default]
    None,
    /// It answers echoes and does nothing else.
    Idle,
    /// It does what it is told and confirms nothing.
    Unconfirming,
}

/// Changes that are refused at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Of 1,000 changes.
    pub chance: u16,
    /// With this error.
    pub code: ErrorCode,
}

/// Messages that are lost at random while the connection stays. Of 1,000 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Changes, which the switch nevertheless confirms.
    pub changes: u16,
    /// What the switch tells, but refusals and changes of ports.
    pub told: u16,
}

/// One switch's connection, both ends and what is between.
pub(super) struct Wire {
    pub session: Option<DrySession>,
    /// The handshake is done.
    connected: bool,
    to_switch: VecDeque<Message>,
    to_core: VecDeque<Message>,
    /// Replies that are held back.
    held: Vec<Message>,
    stall: Stall,
    pub refusals: Option<Refusals>,
    pub losses: Losses,
    /// It doesn't connect by itself.
    pub away: bool,
    /// Nothing gets through, and nobody knows.
    cut_off: bool,
    pub redial: Instant,
    /// Since when the controller has no session.
    gone_since: Option<Instant>,
}

impl Wire {
    pub(super) fn new(redial: Instant) -> Self {
        Self {
            session: None,
            connected: false,
            to_switch: VecDeque::new(),
            to_core: VecDeque::new(),
            held: Vec::new(),
            stall: Stall::None,
            refusals: None,
            losses: Losses::default(),
            away: false,
            cut_off: false,
            redial,
            gone_since: Some(redial),
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connected && !self.cut_off
    }

    pub(super) fn dials(&self, now: Instant) -> bool {
        self.session.is_none() && !self.away && now >= self.redial
    }

    /// When something is due here.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.session {
            Some(session) => Some(session.deadline()),
            None => (!self.away).then_some(self.redial),
        }
    }

    /// Since when the controller has no session, if it had one and hasn't.
    pub(super) const fn gone_since(&self) -> Option<Instant> {
        self.gone_since
    }

    pub(super) fn notice(&mut self, event: &Event) {
        if let Event::Connected(_) = event {
            self.connected = true;
            self.gone_since = None;
        }
    }

    pub(super) fn lose(&mut self) {
        if let Some(session) = &mut self.session {
            session.lose("for a test");
        }
    }

    pub(super) fn cut_off(&mut self) {
        self.cut_off = self.session.is_some();
        self.to_switch.clear();
        self.to_core.clear();
        self.held.clear();
    }

    /// There is no session any more, nor anything that belongs to it.
    pub(super) fn forget_session(&mut self, now: Instant) {
        self.session = None;
        self.connected = false;
        self.cut_off = false;
        self.to_switch.clear();
        self.to_core.clear();
        self.held.clear();
        self.gone_since.get_or_insert(now);
    }

    pub(super) fn stall(&mut self, stall: Stall) {
        self.stall = stall;
        if stall != Stall::Unconfirming {
            self.to_core.extend(self.held.drain(..));
        }
    }

    pub(super) fn tell_switch(&mut self, message: Message) {
        if !self.cut_off {
            self.to_switch.push_back(message);
        }
    }

    pub(super) fn tell_core(&mut self, message: Message) {
        if self.cut_off || self.session.is_none() {
            return;
        }
        if self.stall == Stall::Unconfirming && matches!(message.body, Body::BarrierReply) {
            self.held.push(message);
        } else {
            self.to_core.push_back(message);
        }
    }

    pub(super) fn has_requests(&self) -> bool {
        match self.stall {
            Stall::Idle => self.to_switch.iter().any(is_echo),
            Stall::None | Stall::Unconfirming => !self.to_switch.is_empty(),
        }
    }

    pub(super) fn has_told(&self) -> bool {
        !self.to_core.is_empty()
    }

    pub(super) fn has_mail(&self) -> bool {
        self.has_requests() || self.has_told()
    }

    /// Whether nothing is under way that could change anything.
    pub(super) fn is_at_rest(&self) -> bool {
        (self.connected || self.away)
            && !self.cut_off
            && self.to_switch.iter().all(is_idle_talk)
            && self.to_core.iter().all(is_idle_talk)
    }

    /// The next message that the switch acts upon: any that no barrier is before.
    pub(super) fn next_request(&mut self, dice: &mut Dice) -> Option<Message> {
        if self.stall == Stall::Idle {
            let at = self.to_switch.iter().position(is_echo)?;
            return self.to_switch.remove(at);
        }
        let barrier = |message: &Message| matches!(message.body, Body::BarrierRequest);
        let before = self.to_switch.iter().position(barrier).unwrap_or(self.to_switch.len());
        // Who has not said hello yet says it first.
        let free = if self.connected { before.max(1) } else { 1 };
        let at = if dice.once_in(2) { 0 } else { dice.throw(free) };
        self.to_switch.remove(at)
    }

    pub(super) fn next_told(&mut self) -> Option<Message> {
        self.to_core.pop_front()
    }

    /// Whether a change gets lost on its way.
    pub(super) fn loses_change(&self, dice: &mut Dice) -> bool {
        self.losses.changes > 0 && dice.throw(1000) < usize::from(self.losses.changes)
    }

    /// Whether what the switch tells gets lost on its way.
    pub(super) fn loses_told(&self, message: &Message, dice: &mut Dice) -> bool {
        self.losses.told > 0
            && !matches!(message.body, Body::Error(_) | Body::PortStatus(_))
            && dice.throw(1000) < usize::from(self.losses.told)
    }

    /// The switch's answer to a change that it refuses.
    pub(super) fn refuses(&self, message: &Message, dice: &mut Dice) -> Option<Message> {
        let Refusals { chance, code } = self.refusals?;
        if dice.throw(1000) >= usize::from(chance) {
            return None;
        }
        let error = ErrorMsg::about(code, &message.encode().ok()?);
        Some(Message::new(message.xid, error))
    }
}

const fn is_echo(message: &Message) -> bool {
    matches!(message.body, Body::EchoRequest(_))
}

/// Announcements, echoes and comparisons never end.
const fn is_idle_talk(message: &Message) -> bool {
    matches!(
        message.body,
        Body::EchoRequest(_)
            | Body::EchoReply(_)
            | Body::PacketOut(_)
            | Body::PacketIn(_)
            | Body::MultipartRequest(_)
            | Body::MultipartReply(_)
    )
}
