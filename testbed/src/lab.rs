//! The whole controller on a fabric of embedded switches, in virtual time.
//!
//! ```text
//! callers ──► Engine ⇄ DrySession ⇄ to_switch, to_core ⇄ Datapath ─┐
//!                 ⇄ DrySession ⇄ to_switch, to_core ⇄ Datapath ─┼─ Fabric
//! ```
//!
//! No task, no socket, no clock: [`Lab::step`] carries one message of one switch on, chosen by the seed; where nothing
//! is under way, time jumps to the next deadline. What was sent before a barrier is carried out in any order, what
//! comes after it is not. Connections are lost with part of what was on its way, switches stop answering, refuse, die
//! and come back, and the controller is started anew from what it stored.

mod kept;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::cookie::Cookie;
use controller::discovery::Timing;
use controller::engine::{Engine, EngineConfig};
use controller::lldp;
use controller::model::spread;
use controller::southbound::{DrySession, SouthboundConfig, Told};
use controller::store::Outcome;
use openflow::{Body, DatapathId, Message, PortNo};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::fabric::{Deliveries, Fabric, Place};
use crate::frame::Frame;
use crate::pipeline::port::PortSpec;
use crate::switch::{Channel, Datapath};
pub use kept::Kept;
use wire::Wire;
pub use wire::{Losses, Refusals, Stall};

/// Announcements of trunks, quicker than by default: settling must outlast their limit.
pub const TIMING: Timing =
    Timing { interval: Duration::from_millis(200), limit: Duration::from_millis(800) };
/// How long a switch may be away before traffic is led around it.
pub const SWITCH_AWAY: Duration = Duration::from_secs(5);
/// How often each switch is read and compared.
pub const AUDIT: Duration = Duration::from_secs(4);
/// Announcements of a port that hears nobody are as rare as this.
const SELDOM: Duration = Duration::from_secs(3);
/// Nothing takes longer: the longest pause before a switch is asked again for what it refused is 32 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// The channel on which somebody else changes flows.
const STRANGER: Channel = Channel(9);

/// Numbers that are the same in every run with the same seed.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    /// A sequence of numbers.
    pub const fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// A number below `sides`.
    pub const fn throw(&mut self, sides: usize) -> usize {
        self.thrown += 1;
        let sides = if sides == 0 { 1 } else { sides as u64 };
        (spread(self.seed, self.thrown) % sides) as usize
    }

    /// One of so many times.
    pub const fn once_in(&mut self, times: usize) -> bool {
        self.throw(times) == 0
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A switch was told to forward otherwise.
    Changed,
    /// Something else.
    Done,
}

/// A controller, its switches, and what is between them.
pub struct Lab {
    /// The switches.
    pub fabric: Fabric,
    engine: Engine,
    outcomes: UnboundedReceiver<Outcome>,
    kept: Kept,
    wires: BTreeMap<DatapathId, Wire>,
    southbound: Arc<SouthboundConfig>,
    epoch: Instant,
    dice: Dice,
    /// Since when nothing was seen to be under way.
    quiet_since: Option<Instant>,
    /// When switches refused something.
    pub refused: Vec<Duration>,
    /// Messages are printed as they are carried on.
    pub loud: bool,
}

impl Lab {
    /// A controller that has never seen a network, and no switches yet.
    ///
    /// # Errors
    /// When the controller doesn't start.
    pub fn new(seed: u64) -> anyhow::Result<Self> {
        let epoch = Instant::now();
        let kept = Kept::default();
        let (engine, outcomes) = start(&kept, epoch)?;
        let southbound = SouthboundConfig {
            cookie: Cookie::mark(),
            cookie_mask: Cookie::MASK,
            barrier_limit: Duration::from_secs(5),
            read_limit: Duration::from_secs(5),
            ..SouthboundConfig::default()
        };
        Ok(Self {
            fabric: Fabric::seeded(seed | 1),
            engine,
            outcomes,
            kept,
            wires: BTreeMap::new(),
            southbound: Arc::new(southbound),
            epoch,
            dice: Dice::new(seed),
            quiet_since: None,
            refused: Vec::new(),
            loud: false,
        })
    }

    /// The time, as the controller is told.
    pub fn now(&self) -> Instant {
        self.epoch + self.fabric.now()
    }

    /// Puts in a switch, in place of the one with its id. It connects soon.
    pub fn add(&mut self, datapath: Datapath) {
        let dpid = datapath.dpid();
        self.fabric.add(datapath);
        let redial = self.now() + Duration::from_millis(self.dice.throw(200) as u64);
        self.wires.insert(dpid, Wire::new(redial));
    }

    /// A caller does something.
    pub fn call<R>(&mut self, call: impl FnOnce(&mut Engine) -> R) -> R {
        let now = self.now();
        let result = self.engine.call(now, call);
        self.engine.work(now);
        self.pump();
        result
    }

    /// The controller, to ask it.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether the controller has a session with a switch, and the switch one with it.
    pub fn is_connected(&self, dpid: impl Into<DatapathId>) -> bool {
        self.wires.get(&dpid.into()).is_some_and(Wire::is_connected)
    }

    /// Whether a switch is kept from connecting.
    pub fn is_away(&self, dpid: impl Into<DatapathId>) -> bool {
        self.wires.get(&dpid.into()).is_some_and(|wire| wire.away)
    }

    /// A host sends a frame. What the switches tell of it is on its way.
    pub fn send(&mut self, from: impl Into<Place>, frame: impl Into<Frame>) -> Deliveries {
        let result = self.fabric.send(from, frame);
        self.post(&result, |_| true);
        result
    }

    /// A frame that only looks: the controller doesn't hear of it.
    pub fn probe(&mut self, from: impl Into<Place>, frame: impl Into<Frame>) -> Deliveries {
        let result = self.fabric.send(from, frame);
        self.post(&result, |body| !matches!(body, Body::PacketIn(_)));
        result
    }

    /// Something is done to the fabric; what its switches tell of it is on its way.
    pub fn disturb(&mut self, what: impl FnOnce(&mut Fabric) -> Deliveries) {
        let result = what(&mut self.fabric);
        self.post(&result, |_| true);
    }

    /// Somebody else tells a switch something.
    pub fn tamper(&mut self, dpid: impl Into<DatapathId>, body: impl Into<Body>) {
        let dpid = dpid.into();
        let result = self.fabric.handle_on(dpid, STRANGER, Message::new(0, body));
        self.post(&result, |_| true);
    }

    fn post(&mut self, result: &Deliveries, wanted: impl Fn(&Body) -> bool) {
        for (dpid, channel, message) in &result.messages {
            if *channel == Channel(0)
                && wanted(&message.body)
                && let Some(wire) = self.wires.get_mut(dpid)
            {
                wire.tell_core(message.clone());
            }
        }
    }

    /// A switch stops answering, or goes on.
    pub fn stall(&mut self, dpid: impl Into<DatapathId>, stall: Stall) {
        if let Some(wire) = self.wires.get_mut(&dpid.into()) {
            wire.stall(stall);
        }
    }

    /// A switch refuses some of what it is told, at random.
    pub fn refuse(&mut self, dpid: impl Into<DatapathId>, refusals: Option<Refusals>) {
        if let Some(wire) = self.wires.get_mut(&dpid.into()) {
            wire.refusals = refusals;
        }
    }

    /// Some messages between a switch and the controller get lost from now on, at random; the connection stays.
    pub fn lose(&mut self, dpid: impl Into<DatapathId>, losses: Losses) {
        if let Some(wire) = self.wires.get_mut(&dpid.into()) {
            wire.losses = losses;
        }
    }

    /// A switch's connection is lost with part of what was on its way. With `away` it doesn't come back by itself.
    pub fn hang_up(&mut self, dpid: impl Into<DatapathId>, away: bool) {
        let dpid = dpid.into();
        self.lose_some(dpid);
        if let Some(wire) = self.wires.get_mut(&dpid) {
            wire.away = away;
            wire.lose();
        }
        self.pump();
    }

    /// Nothing gets through between a switch and the controller any more, and neither notices at once. The switch
    /// doesn't come back by itself.
    pub fn cut_off(&mut self, dpid: impl Into<DatapathId>) {
        if let Some(wire) = self.wires.get_mut(&dpid.into()) {
            wire.away = true;
            wire.cut_off();
        }
    }

    /// A switch that is away may connect again.
    pub fn call_back(&mut self, dpid: impl Into<DatapathId>) {
        let now = self.now();
        if let Some(wire) = self.wires.get_mut(&dpid.into()) {
            wire.away = false;
            wire.redial = now;
        }
    }

    /// The controller stops and is started anew with what it stored; switches connect again one by one.
    ///
    /// # Errors
    /// When the controller doesn't start.
    pub fn restart_controller(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        let all: Vec<_> = self.wires.keys().copied().collect();
        for dpid in all {
            self.lose_some(dpid);
            if let Some(wire) = self.wires.get_mut(&dpid) {
                wire.forget_session(now);
                wire.redial = now + Duration::from_millis(self.dice.throw(1500) as u64);
            }
            self.leave(dpid);
        }
        (self.engine, self.outcomes) = start(&self.kept, now)?;
        self.engine.work(now);
        Ok(())
    }

    /// Carries some of what is on the way of a connection on, in both directions; the rest is lost with it.
    fn lose_some(&mut self, dpid: DatapathId) {
        for _ in 0..self.dice.throw(8) {
            if self.dice.once_in(2) {
                self.carry_to_switch(dpid);
            } else {
                self.carry_to_core(dpid);
            }
        }
    }

    /// Carries on one message, or lets time pass.
    pub fn step(&mut self) -> Step {
        self.pump();
        let moving: Vec<_> =
            self.wires.iter().filter(|(_, wire)| wire.has_mail()).map(|(dpid, _)| *dpid).collect();
        if moving.is_empty() {
            self.jump(SELDOM);
            return Step::Done;
        }
        let dpid = moving[self.dice.throw(moving.len())];
        let pause = Duration::from_micros(self.dice.throw(400) as u64);
        self.pass(pause);
        let wire = self.wires.get(&dpid);
        let (down, up) = wire.map_or((false, false), |wire| (wire.has_requests(), wire.has_told()));
        if down && (!up || self.dice.once_in(2)) {
            self.carry_to_switch(dpid)
        } else {
            self.carry_to_core(dpid);
            Step::Done
        }
    }

    /// Whether nothing is under way any more, and nothing will be of itself, after what happened before `begun`.
    pub fn is_settled_since(&mut self, begun: Instant) -> bool {
        let now = self.now();
        if !self.engine.is_quiet() || !self.wires.values().all(Wire::is_at_rest) {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        now - since >= SELDOM + TIMING.limit
            && now - begun >= AUDIT * 2
            && self.nobody_soon_led_around()
    }

    /// Whether it isn't too late for what began then to be settled.
    ///
    /// # Errors
    /// When it is; with what is still under way.
    pub fn in_time(&self, begun: Instant) -> Result<(), String> {
        if self.now() - begun <= SETTLED_WITHIN {
            return Ok(());
        }
        Err(format!("nothing settles within {SETTLED_WITHIN:?}: {}", self.engine.unrest()))
    }

    fn nobody_soon_led_around(&self) -> bool {
        let now = self.now();
        self.wires.values().all(|wire| {
            wire.gone_since().is_none_or(|since| now - since > SWITCH_AWAY + TIMING.limit)
        })
    }

    /// Everything that waits for nothing.
    fn pump(&mut self) {
        let now = self.now();
        loop {
            let mut moved = false;
            while let Ok(outcome) = self.outcomes.try_recv() {
                self.engine.take_outcome(Some(outcome), now);
                moved = true;
            }
            let all: Vec<_> = self.wires.keys().copied().collect();
            for dpid in all {
                moved |= self.turn(dpid, now);
            }
            if moved || self.engine.is_busy() || self.engine.deadline() <= now {
                self.engine.work(now);
            } else {
                return;
            }
        }
    }

    fn turn(&mut self, dpid: DatapathId, now: Instant) -> bool {
        let Some(wire) = self.wires.get_mut(&dpid) else { return false };
        if wire.dials(now) {
            wire.session = Some(DrySession::new(self.southbound.clone(), PEER, now));
            wire.tell_core(Message::new(0, openflow::Hello::ours()));
            if let Some(datapath) = self.fabric.switch_mut(dpid) {
                datapath.connect(Channel(0));
            }
        }
        let told = wire.session.as_mut().map(|session| session.turn(now)).unwrap_or_default();
        let moved = !told.is_empty();
        for told in told {
            match told {
                Told::Send(message) => wire.tell_switch(message),
                Told::Event(event) => {
                    wire.notice(&event);
                    if self.loud {
                        println!(
                            "{:?} {dpid} event {}",
                            self.fabric.now(),
                            brief(&format!("{event:?}"))
                        );
                    }
                    self.engine.take_event(event, now);
                }
                Told::Punt(punt) => self.engine.take_punt(&punt, now),
                Told::Closed => {
                    wire.forget_session(now);
                    wire.redial = now + Duration::from_millis(50 + self.dice.throw(1000) as u64);
                    if let Some(datapath) = self.fabric.switch_mut(dpid) {
                        datapath.disconnect(Channel(0));
                    }
                }
            }
        }
        moved
    }

    /// The switch's side of a connection is gone.
    fn leave(&mut self, dpid: DatapathId) {
        if let Some(datapath) = self.fabric.switch_mut(dpid) {
            datapath.disconnect(Channel(0));
        }
    }

    fn carry_to_switch(&mut self, dpid: DatapathId) -> Step {
        let Some(wire) = self.wires.get_mut(&dpid) else { return Step::Done };
        let Some(message) = wire.next_request(&mut self.dice) else { return Step::Done };
        if self.loud && !matches!(message.body, Body::PacketOut(_) | Body::EchoRequest(_)) {
            println!("{:?} {dpid} <- {}", self.fabric.now(), brief(&format!("{message:?}")));
        }
        let changes = matches!(message.body, Body::FlowMod(_) | Body::GroupMod(_));
        if changes && let Some(answer) = wire.refuses(&message, &mut self.dice) {
            wire.tell_core(answer);
            return Step::Done;
        }
        if changes && wire.loses_change(&mut self.dice) {
            return Step::Done;
        }
        let result = self.fabric.handle(dpid, message);
        if self.loud {
            for (from, _, message) in &result.messages {
                if !matches!(message.body, Body::PacketIn(_) | Body::EchoReply(_)) {
                    println!(
                        "{:?} {from} -> {}",
                        self.fabric.now(),
                        brief(&format!("{message:?}"))
                    );
                }
            }
        }
        let errors =
            result.messages.iter().filter(|(.., told)| matches!(told.body, Body::Error(_)));
        self.refused.extend(errors.map(|_| self.fabric.now()));
        self.post(&result, |_| true);
        if changes { Step::Changed } else { Step::Done }
    }

    fn carry_to_core(&mut self, dpid: DatapathId) {
        let now = self.now();
        let Some(wire) = self.wires.get_mut(&dpid) else { return };
        if let Some(message) = wire.next_told()
            && !wire.loses_told(&message, &mut self.dice)
            && let Some(session) = wire.session.as_mut()
        {
            session.hear(message, now);
        }
        self.turn(dpid, now);
        self.engine.work(now);
    }

    /// Lets time pass to the next deadline, but not more than `most`.
    fn jump(&mut self, most: Duration) {
        let now = self.now();
        let sessions = self.wires.values().filter_map(Wire::deadline);
        let flows = self.fabric.next_deadline().map(|due| self.epoch + due);
        let next = sessions.chain(flows).fold(self.engine.deadline(), Instant::min);
        let pause = next.saturating_duration_since(now).min(most);
        self.pass(pause.max(Duration::from_micros(1)));
    }

    fn pass(&mut self, time: Duration) {
        let result = self.fabric.advance(time);
        self.post(&result, |_| true);
        self.pump();
    }
}

const PEER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);

fn start(kept: &Kept, now: Instant) -> anyhow::Result<(Engine, UnboundedReceiver<Outcome>)> {
    let config = EngineConfig {
        timing: TIMING,
        store: Box::new(kept.open()),
        lldp_key: lldp::Key::new([7; 32]),
        switch_away: SWITCH_AWAY,
        restart_hold: SWITCH_AWAY,
        audit_interval: AUDIT,
    };
    let mut engine = Engine::new(config, now)?;
    let outcomes = engine.outcomes();
    Ok((engine, outcomes))
}

fn brief(text: &str) -> String {
    text.chars().take(400).collect()
}

/// The port of a switch that has this name.
pub fn port_named(fabric: &Fabric, dpid: DatapathId, name: &str) -> Option<PortNo> {
    fabric.switch(dpid)?.pipeline().ports.named(name)
}

/// A port with a name.
pub fn named(number: u32, name: &str) -> PortSpec {
    PortSpec::new(number, name)
}
