//! What to do when something happens on a connection to a switch. No I/O and
//! no clock: the session feeds inputs, with the time, and carries out outputs.

mod gather;
mod handshake;
mod liveness;
mod needs;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use openflow::{
    BadRequest, Body, DatapathId, DecodeError, ErrorCode, ErrorMsg, FlowRemoved, Header, Message,
    MessageType, MultipartReply, PacketIn, PortStatus,
};

use super::config::SouthboundConfig;
use super::event::{ApplyFailure, ReadFailure, SessionId, Tables};
use super::handle::Command;
use super::limit::Bucket;
use super::registry::Claimed;
use super::stats::{self, Refusal};
use gather::{Part, TablesRead, What};
use handshake::{Handshake, Progress, told};
use liveness::{Due, Liveness};
use requests::Requests;

pub(super) use handshake::Facts;

/// Requests that wait for their barrier; beyond, no more commands are taken.
const IN_FLIGHT: usize = 20_000;
/// Reads that wait for their replies; beyond, no more commands are taken.
const READS: usize = 64;
/// Flow tables whose packet-ins are limited apart; later ones share the last limit.
const PUNT_TABLES: usize = 3;

/// Something happened.
pub(super) enum Input {
    /// A message came; with its bytes on the wire.
    Message(Message, Bytes),
    /// Bytes came that are a message's length, but not a message.
    Malformed(DecodeError, Bytes),
    /// The core wants something; only once the handshake is done.
    Command(Command),
    /// What became of the claim to the datapath id.
    Claimed(Claimed),
    /// Another connection claims the same datapath id.
    Probed,
    /// A message could not be put on the wire.
    Unsendable(u32, String),
    /// The time that `deadline` gave has come, and nothing else waits to be read.
    Deadline,
}

/// Something is to be done.
#[derive(Debug)]
pub(super) enum Output {
    Send(Message),
    /// Ask the registry for this datapath id.
    Claim(DatapathId),
    /// The switch answers: tell those that probed.
    Alive,
    /// The handshake is done.
    Connected(Box<Facts>),
    PortStatus(PortStatus),
    FlowRemoved(FlowRemoved),
    Punt(PacketIn),
    Applied(u64, Result<(), ApplyFailure>),
    Read(u64, Result<Tables, ReadFailure>),
    /// A line in the log: the peer does something wrong.
    Complain(String),
    /// A line in the log that is nobody's fault.
    Note(String),
    /// Send what is queued, then close. Nothing follows.
    Close(End),
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It never became a session.
    Refused(Refusal, String),
    /// The session ends.
    Lost(String),
}

/// Outputs, and xids for those that are messages.
pub(super) struct Outbox {
    next_xid: u32,
    queue: VecDeque<Output>,
}

impl Outbox {
    fn xid(&mut self) -> u32 {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.wrapping_add(1);
        xid
    }

    fn request(&mut self, body: impl Into<Body>) -> u32 {
        let xid = self.xid();
        self.push(Output::Send(Message::new(xid, body)));
        xid
    }

    fn reply(&mut self, xid: u32, body: impl Into<Body>) {
        self.push(Output::Send(Message::new(xid, body)));
    }

    fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    fn complain(&mut self, text: String) {
        self.push(Output::Complain(text));
    }

    fn note(&mut self, text: String) {
        self.push(Output::Note(text));
    }
}

/// One connection.
pub(super) struct Machine {
    config: Arc<SouthboundConfig>,
    out: Outbox,
    /// `None` once it is done.
    handshake: Option<Box<Handshake>>,
    /// The switch, once it is.
    switch: Option<DatapathId>,
    /// By when the handshake must be done, or what is read of it.
    handshake_due: Instant,
    reading: bool,
    liveness: Liveness,
    requests: Requests,
    reads: VecDeque<Reading>,
    mischief: Bucket,
    punts: [Bucket; PUNT_TABLES],
    closed: bool,
}

struct Reading {
    token: u64,
    tables: TablesRead,
    due: Instant,
}

impl Machine {
    /// A connection that was just accepted.
    pub(super) fn new(config: Arc<SouthboundConfig>, now: Instant) -> Self {
        let mut out = Outbox { next_xid: 1, queue: VecDeque::new() };
        let handshake = Handshake::begin(&mut out);
        let punts = Bucket::new(config.punts_per_second, config.punts_per_second.saturating_mul(2));
        Self {
            out,
            handshake: Some(Box::new(handshake)),
            switch: None,
            handshake_due: now + config.handshake_limit,
            reading: false,
            liveness: Liveness::new(config.echo_interval, config.echo_limit, now),
            requests: Requests::default(),
            reads: VecDeque::new(),
            mischief: Bucket::new(config.malformed_per_second, config.malformed_per_second),
            punts: [punts.clone(), punts.clone(), punts],
            closed: false,
            config,
        }
    }

    /// What is to be done next.
    pub(super) fn pop(&mut self) -> Option<Output> {
        self.out.queue.pop_front()
    }

    /// How many outputs wait to be popped.
    pub(super) fn queued(&self) -> usize {
        self.out.queue.len()
    }

    /// What the switch called itself, if it got as far, and whether or not it was believed.
    pub(super) fn datapath_id(&self) -> Option<DatapathId> {
        match &self.handshake {
            Some(handshake) => handshake.datapath_id(),
            None => self.switch,
        }
    }

    /// Whether commands may come: there is a session, and room for what it owes.
    pub(super) fn takes_commands(&self) -> bool {
        self.handshake.is_none() && self.requests.messages() < IN_FLIGHT && self.reads.len() < READS
    }

    /// When to call with `Input::Deadline`, unless something else comes first.
    pub(super) fn deadline(&self) -> Instant {
        let mut due = earlier(
            self.handshake.is_some().then_some(self.handshake_due),
            self.liveness_deadline(),
        );
        due = earlier(
            due,
            self.requests.waiting_since().map(|since| since + self.config.barrier_limit),
        );
        due = earlier(due, self.reads.front().map(|read| read.due));
        due.unwrap_or(self.handshake_due)
    }

    fn liveness_deadline(&self) -> Option<Instant> {
        // Before the tables are read the handshake's limit is enough, unless somebody probes.
        let watched = self.handshake.is_none() || self.reading || self.liveness.probing();
        watched.then(|| self.liveness.deadline())
    }

    /// Takes what happened; the outputs are then there to `pop`.
    pub(super) fn step(&mut self, input: Input, now: Instant) {
        if self.closed {
            return;
        }
        match input {
            Input::Message(message, raw) => self.on_message(message, &raw, now),
            Input::Malformed(error, raw) => self.on_malformed(&error, &raw, now),
            Input::Command(command) => self.on_command(command, now),
            Input::Claimed(claimed) => self.on_claimed(claimed, now),
            Input::Probed => self.on_probed(now),
            Input::Unsendable(xid, error) => self.on_unsendable(xid, error),
            Input::Deadline => self.on_deadline(now),
        }
    }

    /// Ends the connection; a reason for its refusal, if it never became a session, too.
    pub(super) fn close(&mut self, reason: String) {
        self.end(Refusal::Handshake, reason);
    }

    fn end(&mut self, refusal: Refusal, reason: String) {
        if self.closed {
            return;
        }
        self.closed = true;
        let end = match &self.handshake {
            Some(_) => End::Refused(refusal, reason),
            None => End::Lost(reason),
        };
        self.out.push(Output::Close(end));
    }

    fn on_message(&mut self, message: Message, raw: &Bytes, now: Instant) {
        let greeted = self.handshake.as_ref().is_none_or(|handshake| handshake.greeted());
        match message.body {
            Body::EchoReply(_) if greeted => {
                if self.liveness.answered(message.xid) {
                    self.out.push(Output::Alive);
                }
                self.liveness.heard(now);
                return;
            }
            Body::EchoRequest(data) if greeted => {
                self.liveness.heard(now);
                self.out.reply(message.xid, Body::EchoReply(data));
                return;
            }
            _ => self.liveness.heard(now),
        }
        if let Body::Error(error) = &message.body {
            stats::error(error.code);
        }
        match &mut self.handshake {
            Some(_) if greeted && !is_from_switch(&message.body) => {
                self.refuse_request(&message, raw, now)
            }
            Some(_) if matches!(message.body, Body::PacketIn(_)) && greeted => {} // nobody to hear it yet
            Some(handshake) => {
                let (xid, name) = (message.xid, message.body.message_type());
                let progress = handshake.message(message, raw.len(), &self.config, &mut self.out);
                self.progress(progress, xid, name, now);
            }
            None => self.on_session_message(message, raw, now),
        }
    }

    fn progress(&mut self, progress: Progress, xid: u32, name: MessageType, now: Instant) {
        match progress {
            Progress::Going => {}
            Progress::Stray => {
                self.unexpected(format!("{name} with xid {xid}, which nobody waits for"), now)
            }
            Progress::Refused(refusal, reason) => self.end(refusal, reason),
            Progress::Done(facts) => self.connected(facts),
        }
        let reading = self.handshake.as_ref().is_some_and(|handshake| handshake.reading());
        if reading && !self.reading {
            self.reading = true;
            self.handshake_due = now + self.config.read_limit;
        }
    }

    fn connected(&mut self, mut facts: Box<Facts>) {
        self.switch = self.datapath_id();
        self.handshake = None;
        let removed = std::mem::take(&mut facts.removed);
        self.out.push(Output::Connected(facts));
        removed.into_iter().for_each(|removed| self.out.push(Output::FlowRemoved(removed)));
    }

    fn on_session_message(&mut self, message: Message, raw: &Bytes, now: Instant) {
        let Message { xid, body } = message;
        match body {
            Body::BarrierReply => match self.requests.barrier(xid, now) {
                Ok(Some(applied)) => self.out.push(Output::Applied(applied.token, applied.result)),
                Ok(None) => {}
                Err(()) => self.unexpected(
                    format!("barrier_reply with xid {xid}, which nobody waits for"),
                    now,
                ),
            },
            Body::Error(error) => self.on_error(xid, &error, now),
            Body::MultipartReply(reply) => self.on_reply(xid, reply, raw.len(), now),
            Body::PacketIn(packet) => self.on_packet_in(packet, now),
            Body::PortStatus(status) => self.out.push(Output::PortStatus(status)),
            Body::FlowRemoved(removed) => self.out.push(Output::FlowRemoved(removed)),
            body if is_from_switch(&body) => {
                self.unexpected(
                    format!("{} with xid {xid}, which nobody waits for", body.message_type()),
                    now,
                );
            }
            body => self.refuse_request(&Message { xid, body }, raw, now),
        }
    }

    fn on_packet_in(&mut self, packet: PacketIn, now: Instant) {
        let table = usize::from(packet.table_id.0).min(PUNT_TABLES - 1);
        if self.punts[table].take(now) {
            self.out.push(Output::Punt(packet));
        } else {
            stats::punt_limited();
        }
    }

    fn on_error(&mut self, xid: u32, error: &ErrorMsg, now: Instant) {
        let text = error.text().map(|text| text.escape_debug().to_string());
        match self.requests.refused(xid, error.code, text) {
            Ok(Some(applied)) => {
                return self.out.push(Output::Applied(applied.token, applied.result));
            }
            Ok(None) => return,
            Err(()) => {}
        }
        match self.read_of(xid) {
            Some((at, what)) => {
                self.end_read(
                    at,
                    Err(ReadFailure::Refused { what: what.name(), code: error.code }),
                );
            }
            // Nobody keeps the xids of packet-outs. That one is refused is no
            // mischief: a port may just have gone, or never send.
            None if is_about_packet_out(error) || self.mischief.take(now) => {
                self.out.complain(format!("the switch reports {} about xid {xid}", told(error)));
            }
            None => self.too_much_mischief(),
        }
    }

    fn read_of(&self, xid: u32) -> Option<(usize, What)> {
        self.reads
            .iter()
            .enumerate()
            .find_map(|(at, read)| read.tables.about(xid).map(|what| (at, what)))
    }

    fn end_read(&mut self, at: usize, result: Result<Tables, ReadFailure>) {
        if let Some(read) = self.reads.remove(at) {
            self.out.push(Output::Read(read.token, result));
        }
    }

    fn on_reply(&mut self, xid: u32, reply: MultipartReply, length: usize, now: Instant) {
        let Some((at, what)) = self.read_of(xid) else {
            let name = reply.multipart_type();
            return self.unexpected(
                format!("multipart_reply.{name} with xid {xid}, which nobody waits for"),
                now,
            );
        };
        let limit = self.config.multipart_bytes;
        let got = reply.multipart_type();
        let Some(read) = self.reads.get_mut(at) else { return };
        match read.tables.take(what, reply, length, limit) {
            Part::More => {}
            Part::Done(tables) => self.end_read(at, Ok(tables)),
            Part::TooLong(what) => {
                self.end_read(at, Err(ReadFailure::TooLong { what: what.name(), limit }))
            }
            Part::Strange => {
                let error = format!("it is a multipart_reply.{got}");
                self.end_read(at, Err(ReadFailure::Malformed { what: what.name(), error }));
            }
        }
    }

    /// A message that only controllers send.
    fn refuse_request(&mut self, message: &Message, raw: &Bytes, now: Instant) {
        let code = match message.body {
            Body::Hello(_) => return self.unexpected("a second hello".to_owned(), now),
            Body::Experimenter(_) => BadRequest::BadExperimenter,
            _ => BadRequest::BadType,
        };
        self.out.reply(message.xid, ErrorMsg::about(ErrorCode::BadRequest(code), raw));
        self.unexpected(format!("{}, which a switch doesn't send", message.body.name()), now);
    }

    fn unexpected(&mut self, what: String, now: Instant) {
        stats::unexpected(self.datapath_id());
        self.out.complain(what);
        if !self.mischief.take(now) {
            self.too_much_mischief();
        }
    }

    fn too_much_mischief(&mut self) {
        let limit = self.config.malformed_per_second;
        self.end(
            Refusal::Handshake,
            format!("more than {limit} malformed or unexpected messages a second"),
        );
    }

    fn on_malformed(&mut self, error: &DecodeError, raw: &Bytes, now: Instant) {
        stats::malformed(self.datapath_id());
        let header = Header::decode(raw).ok();
        let kind = header.map(|header| MessageType::from(header.message_type));
        self.out.complain(format!("malformed message: {error}"));
        let xid = header.map_or(0, |header| header.xid);
        if let Some(handshake) = &mut self.handshake {
            if !handshake.greeted() {
                let text = format!("expected hello, got {error}");
                self.out.reply(xid, ErrorMsg::hello_failed(openflow::VERSION, text.clone()));
                return self.end(Refusal::Handshake, text);
            }
            let reply =
                matches!(kind, Some(MessageType::FeaturesReply | MessageType::MultipartReply));
            let progress = reply
                .then(|| handshake.malformed(xid, &error.to_string(), &self.config, &mut self.out));
            if let (Some(Some(progress)), Some(kind)) = (progress, kind) {
                self.out.reply(xid, ErrorMsg::about(error.code(), raw));
                return self.progress(progress, xid, kind, now);
            }
        } else if let Some((at, what)) =
            self.read_of(xid).filter(|_| kind == Some(MessageType::MultipartReply))
        {
            self.end_read(
                at,
                Err(ReadFailure::Malformed { what: what.name(), error: error.to_string() }),
            );
        }
        if kind == Some(MessageType::Error) {
            // It may be about a change that would then count as done; and errors must not answer errors.
            return self.end(Refusal::Handshake, format!("malformed message: {error}"));
        }
        // The specification has no error for replies and the like, but it forbids none,
        // and the switch's operator may learn from it.
        self.out.reply(xid, ErrorMsg::about(error.code(), raw));
        if !self.mischief.take(now) {
            self.too_much_mischief();
        }
    }

    fn on_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Apply { token, steps } => {
                let Outbox { next_xid, queue } = &mut self.out;
                let xid = || {
                    let xid = *next_xid;
                    *next_xid = next_xid.wrapping_add(1);
                    xid
                };
                self.requests.apply(token, steps, xid, now, |message| {
                    queue.push_back(Output::Send(message))
                });
            }
            Command::Read { token, cookie, mask } => {
                let tables = handshake::read(cookie, mask, &mut self.out);
                self.reads.push_back(Reading { token, tables, due: now + self.config.read_limit });
            }
            Command::Find { token, flows } => {
                let tables = handshake::find(*flows, &mut self.out);
                self.reads.push_back(Reading { token, tables, due: now + self.config.read_limit });
            }
            Command::PacketOut(out) => {
                self.out.request(out);
            }
        }
    }

    fn on_claimed(&mut self, claimed: Claimed, now: Instant) {
        match (claimed, &mut self.handshake) {
            (Claimed::Yes, Some(handshake)) => {
                handshake.claimed(&mut self.out);
                // The other session may have taken its time to answer or end.
                self.handshake_due = now + self.config.handshake_limit;
            }
            (Claimed::Taken(other), _) => self.end(Refusal::Duplicate, duplicate(other)),
            (Claimed::Yes, None) => {}
        }
    }

    fn on_probed(&mut self, now: Instant) {
        if !self.liveness.probing() {
            let xid = self.out.request(Body::EchoRequest(Bytes::new()));
            self.liveness.asked(xid, true, now);
        }
    }

    fn on_unsendable(&mut self, xid: u32, error: String) {
        let code = ErrorCode::BadRequest(BadRequest::BadLen);
        if let Ok(Some(applied)) = self.requests.refused(xid, code, Some(error.clone())) {
            self.out.push(Output::Applied(applied.token, applied.result));
        }
        self.out.note(format!("a message was not sent: {error}"));
    }

    fn on_deadline(&mut self, now: Instant) {
        if let Some(handshake) = &self.handshake
            && now >= self.handshake_due
        {
            let limit =
                if self.reading { self.config.read_limit } else { self.config.handshake_limit };
            let reason =
                format!("handshake: no {} within {} s", handshake.awaiting(), limit.as_secs_f64());
            return self.end(Refusal::Handshake, reason);
        }
        if self.liveness_deadline().is_some() {
            match self.liveness.due(now) {
                Due::Nothing => {}
                Due::Ask => {
                    let xid = self.out.request(Body::EchoRequest(Bytes::new()));
                    self.liveness.asked(xid, false, now);
                }
                Due::GiveUp => {
                    stats::silent(self.datapath_id());
                    let limit = self.config.echo_limit.as_secs_f64();
                    return self.end(
                        Refusal::Handshake,
                        format!("the switch gave no sign of life for {limit} s"),
                    );
                }
            }
        }
        let limit = self.config.barrier_limit;
        if self.requests.waiting_since().is_some_and(|since| now >= since + limit) {
            let reason =
                format!("the switch did not answer a barrier within {} s", limit.as_secs_f64());
            return self.end(Refusal::Handshake, reason);
        }
        while let Some(read) = self.reads.front().filter(|read| now >= read.due) {
            let what = read.tables.missing().name();
            let seconds = self.config.read_limit.as_secs();
            self.end_read(0, Err(ReadFailure::TimedOut { what, seconds }));
        }
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn duplicate(other: SessionId) -> String {
    format!(
        "duplicate datapath id: the switch of session {other} has the same one and is alive; \
         give each switch its own"
    )
}

/// Whether a switch may send this: answers and what it sends on its own.
fn is_from_switch(body: &Body) -> bool {
    match body {
        Body::Hello(_) => false,
        body => !body.message_type().is_request(),
    }
}

/// Whether the request that an error shows the beginning of is a packet-out.
fn is_about_packet_out(error: &ErrorMsg) -> bool {
    error.data.get(1) == Some(&(u8::from(MessageType::PacketOut)))
}
