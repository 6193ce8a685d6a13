//! What moves the engine: its task in the controller, or whoever simulates one.
//!
//! The engine looks at no clock. A turn is one input and then [`Engine::work`],
//! both with the time; [`Engine::deadline`] says when the next turn is due if
//! nothing happens before.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{BATCH, Engine, Pending};
use crate::southbound::{Event, Punt, PuntReceiver};
use crate::store::Outcome;

/// Inputs, more or less, that are taken before dirty networks are looked at again.
const INPUTS: usize = 64;

/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(25);

/// What a caller may do to the engine, run inside its task.
type Call = Box<dyn FnOnce(&mut Engine) + Send>;

/// A way to the engine, cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    calls: mpsc::Sender<Call>,
}

/// The engine has ended, or has more to do than it can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It is shutting down.
    #[error("the controller is shutting down")]
    Closed,
    /// Its queue is full; try again.
    #[error("the controller has more to do than it can take right now")]
    Busy,
}

impl EngineHandle {
    /// Runs `call` inside the engine's task and returns what it returns.
    ///
    /// # Errors
    /// [`CallError::Busy`] when the queue stays full for a second;
    /// [`CallError::Closed`] once the engine ended.
    pub async fn run<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Result<R, CallError> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |engine| {
            // A caller that went away doesn't want to know.
            let _ = answer.send(call(engine));
        });
        match self.calls.send_timeout(call, Duration::from_secs(1)).await {
            Ok(()) => answered.await.map_err(|_| CallError::Closed),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(CallError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(CallError::Closed),
        }
    }
}

/// Where sessions report.
pub struct Inputs {
    /// Everything that must not be lost.
    pub events: mpsc::Receiver<Event>,
    /// Frames that switches sent up.
    pub punts: PuntReceiver,
}

impl Engine {
    /// Starts the task. It ends when `stop` is cancelled.
    pub fn spawn(
        self,
        inputs: Inputs,
        stop: CancellationToken,
    ) -> (EngineHandle, tokio::task::JoinHandle<()>) {
        let (calls, calling) = mpsc::channel(1024);
        let task = tokio::spawn(self.run(inputs, calling, stop));
        (EngineHandle { calls }, task)
    }

    async fn run(
        mut self,
        mut inputs: Inputs,
        mut calls: mpsc::Receiver<Call>,
        stop: CancellationToken,
    ) {
        let mut outcomes = self.outcomes();
        loop {
            let wake = tokio::time::sleep_until(self.deadline().into());
            let busy = self.is_busy();
            let mut next = tokio::select! {
                () = stop.cancelled() => return,
                input = inputs.next(&mut calls, &mut outcomes, self.store_ended) => Some(input),
                () = wake => None,
                () = std::future::ready(()), if busy => None,
            };
            let now = Instant::now();
            // What has happened already is looked at first: a network that much of it is about is then worked off once.
            for _ in 0..INPUTS {
                let Some(input) = next else { break };
                self.take(input, now);
                next = tokio::select! {
                    biased;
                    input = inputs.next(&mut calls, &mut outcomes, self.store_ended) => Some(input),
                    () = std::future::ready(()) => None,
                };
            }
            // The last that came when no more were to be taken.
            if let Some(input) = next {
                self.take(input, now);
            }
            self.work(now);
        }
    }

    fn take(&mut self, input: Input, now: Instant) {
        match input {
            Input::Outcome(outcome) => self.take_outcome(outcome, now),
            Input::Event(event) => self.take_event(event, now),
            Input::Call(call) => self.call(now, call),
            Input::Punt(punt) => self.take_punt(&punt, now),
        }
    }

    /// Where the store tells what became of changes, for [`Self::take_outcome`];
    /// the first time this is called.
    pub fn outcomes(&mut self) -> mpsc::UnboundedReceiver<Outcome> {
        self.store.outcomes()
    }

    /// The store said something; `None` when it has ended.
    pub fn take_outcome(&mut self, outcome: Option<Outcome>, now: Instant) {
        self.now = now;
        self.on_outcome(outcome);
    }

    /// A caller does something.
    pub fn call<R>(&mut self, now: Instant, call: impl FnOnce(&mut Self) -> R) -> R {
        self.now = now;
        call(self)
    }

    /// A frame came up from a switch.
    pub fn take_punt(&mut self, punt: &Punt, now: Instant) {
        self.now = now;
        self.on_punt(punt);
    }

    /// A session tells something.
    pub fn take_event(&mut self, event: Event, now: Instant) {
        self.now = now;
        match event {
            Event::Connected(connected) => self.on_connected(*connected, now),
            Event::Disconnected { dpid, session, reason } => {
                self.on_disconnected(dpid, session, &reason, now)
            }
            Event::Refused { dpid, peer, reason } => self.on_refused(dpid, peer, &reason),
            Event::PortStatus { dpid, session, reason, port } => {
                self.on_port_status(dpid, session, reason, &port, now);
            }
            Event::FlowRemoved { dpid, session, removed } => {
                self.on_flow_removed(dpid, session, &removed, now);
            }
            Event::Applied { dpid, session, token, result } => {
                self.on_applied(dpid, session, token, result, now)
            }
            Event::Read { dpid, session, token, result } => {
                self.on_read(dpid, session, token, result, now)
            }
        }
    }

    /// Does what is due: timers, the topology, dirty networks.
    pub fn work(&mut self, now: Instant) {
        self.now = now;
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        self.go_on(now);
        if self.topology_due.is_some_and(|due| now >= due) {
            self.topology_due = None;
            self.settle_topology(now);
        }
        self.note_world(now);
        let mut left = BATCH;
        while left > 0
            && let Some(network) = self.dirty.pop()
        {
            left = left.saturating_sub(self.reconcile(network, now));
        }
    }

    /// Whether there is work left that waits for nothing.
    pub fn is_busy(&self) -> bool {
        !self.dirty.order.is_empty()
    }

    /// Whether nothing is under way but what never ends: announcements and
    /// comparisons of what switches hold.
    pub fn is_quiet(&self) -> bool {
        let answers = self.pending.values().all(|(_, pending)| matches!(pending, Pending::Audit));
        answers
            && self.storing.is_empty()
            && self.dirty.order.is_empty()
            && self.jobs.is_empty()
            && self.retries.is_empty()
            && self.topology_due.is_none()
            && self.probes.is_empty()
            && self.muted.is_empty()
            && self.sessions.values().all(|live| live.trouble.is_none())
    }

    /// Whether anything but time is waited for.
    pub fn is_working(&self) -> bool {
        !self.storing.is_empty() || !self.dirty.order.is_empty() || !self.jobs.is_empty()
    }

    /// What is under way, in short, for whoever waits in vain for its end.
    pub fn unrest(&self) -> String {
        format!(
            "{} changes to store, {} networks to work off, {} plans, {} answers, {} retries, {} probes, {} muted ports",
            self.storing.len(),
            self.dirty.order.len(),
            self.jobs.len(),
            self.pending.len(),
            self.retries.len(),
            self.probes.len(),
            self.muted.len()
        )
    }

    /// When to call [`Self::work`] if nothing happens before.
    pub fn deadline(&self) -> Instant {
        let lingering = self.lingering.first().map(|(until, _)| *until);
        [lingering, self.topology_due, self.noting.due()]
            .into_iter()
            .flatten()
            .fold(self.next_tick, Instant::min)
    }

    fn tick(&mut self, now: Instant) {
        self.announce(now);
        let Self { discovery, sessions, .. } = self;
        if discovery.expire(now, |switch| sessions.contains_key(&switch)) {
            self.topology_changed(now);
        }
        self.retry(now);
        self.lose_patience(now);
        self.take_later(now);
        self.pursue_probes(now);
        self.unmute(now);
        self.lead_around(now);
        self.audit(now);
        self.sweep_in_time(now);
    }
}

/// Something that happened.
enum Input {
    Outcome(Option<Outcome>),
    Event(Event),
    Call(Call),
    Punt(Punt),
}

impl Inputs {
    /// The next of all inputs, in no order of theirs. Nothing is lost when this is dropped.
    async fn next(
        &mut self,
        calls: &mut mpsc::Receiver<Call>,
        outcomes: &mut mpsc::UnboundedReceiver<Outcome>,
        store_ended: bool,
    ) -> Input {
        tokio::select! {
            outcome = outcomes.recv(), if !store_ended => Input::Outcome(outcome),
            Some(event) = self.events.recv() => Input::Event(event),
            Some(call) = calls.recv() => Input::Call(call),
            Some(punt) = self.punts.recv() => Input::Punt(punt),
            else => std::future::pending().await,
        }
    }
}
