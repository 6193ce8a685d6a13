//! A session without a socket, a task or a clock, for simulations of whole
//! fabrics in virtual time.
//!
//! It has the same machine as a real one: the handshake, xids, barriers,
//! errors and limits are as in reality. Messages go in and out as values;
//! between them and the switch a simulation may delay, reorder and lose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use openflow::{DatapathId, Message};
use tokio::sync::mpsc;

use super::config::SouthboundConfig;
use super::event::{Event, Punt, SessionId};
use super::handle::{Queue, Queued};
use super::machine::{End, Input, Machine, Output};
use super::registry::Claimed;
use super::report::{self, ToSession};

/// One connection of one switch.
pub struct DrySession {
    id: SessionId,
    peer: SocketAddr,
    dpid: Option<DatapathId>,
    machine: Machine,
    to_core: Option<ToSession>,
    commanded: mpsc::UnboundedReceiver<Queued>,
    closing: mpsc::Receiver<String>,
    queue: Arc<Queue>,
    ended: bool,
}

/// What comes of a turn.
#[derive(Debug)]
pub enum Told {
    /// A message to the switch.
    Send(Message),
    /// Something for the core, never to be dropped.
    Event(Event),
    /// A frame for the core.
    Punt(Punt),
    /// The connection is closed: nothing more comes.
    Closed,
}

impl DrySession {
    /// A connection that was just accepted. No other one with the switch's
    /// datapath id may be there.
    pub fn new(config: Arc<SouthboundConfig>, peer: SocketAddr, now: Instant) -> Self {
        let (commands, commanded) = mpsc::unbounded_channel();
        let (close, closing) = mpsc::channel(1);
        let queue = Queue::new(config.out_queue_bytes);
        let to_core = ToSession { commands, close, queue: queue.clone() };
        Self {
            id: SessionId::next(),
            peer,
            dpid: None,
            machine: Machine::new(config, now),
            to_core: Some(to_core),
            commanded,
            closing,
            queue,
            ended: false,
        }
    }

    /// A message came from the switch.
    pub fn hear(&mut self, message: Message, now: Instant) {
        self.machine.step(Input::Message(message, Bytes::new()), now);
    }

    /// The connection is lost.
    pub fn lose(&mut self, reason: &str) {
        self.machine.close(format!("the connection is lost: {reason}"));
    }

    /// When a turn is due, if nothing happens before.
    pub fn deadline(&self) -> Instant {
        self.machine.deadline()
    }

    /// Takes what the core asks, does what is due, and returns what comes of
    /// it all, in order.
    pub fn turn(&mut self, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        if self.ended {
            return told;
        }
        while let Ok(reason) = self.closing.try_recv() {
            self.machine.close(reason);
        }
        if now >= self.machine.deadline() {
            self.machine.step(Input::Deadline, now);
        }
        loop {
            while let Some(output) = self.machine.pop() {
                self.perform(output, now, &mut told);
            }
            if self.ended || !self.machine.takes_commands() {
                return told;
            }
            let Ok(Queued { command, weight }) = self.commanded.try_recv() else { return told };
            self.machine.step(Input::Command(command), now);
            self.queue.release(weight);
        }
    }

    fn perform(&mut self, output: Output, now: Instant, told: &mut Vec<Told>) {
        let session = self.id;
        match (output, self.dpid) {
            (Output::Send(message), _) => told.push(Told::Send(message)),
            (Output::Claim(dpid), _) => {
                self.dpid = Some(dpid);
                self.machine.step(Input::Claimed(Claimed::Yes), now);
            }
            (Output::Connected(facts), Some(dpid)) => {
                let to_core = self.to_core.take();
                told.extend(to_core.map(|to| {
                    Told::Event(report::connected(dpid, session, self.peer, *facts, to, now))
                }));
            }
            (Output::Punt(packet), Some(dpid)) => {
                told.push(Told::Punt(Punt { dpid, session, packet }));
            }
            (Output::Close(end), dpid) => {
                self.ended = true;
                self.commanded.close();
                let event = match (end, dpid) {
                    (End::Lost(reason), Some(dpid)) => {
                        Some(Event::Disconnected { dpid, session, reason })
                    }
                    (End::Lost(_), None) => None,
                    (End::Refused(_, reason), _) => {
                        let dpid = self.machine.datapath_id();
                        Some(Event::Refused { dpid, peer: self.peer, reason })
                    }
                };
                told.extend(event.map(Told::Event));
                told.push(Told::Closed);
            }
            (output, Some(dpid)) => {
                told.extend(report::event(dpid, session, output).map(Told::Event));
            }
            (_, None) => {}
        }
    }
}
