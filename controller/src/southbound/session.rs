//! The task of one connection: bytes in and out, and nothing decided.
//!
//! ```text
//! socket ──► framer ──► machine ──► out ──► socket
//! commands, probes ────►   │
//!                          └──► events (awaited), punts (dropped when full)
//! ```
//!
//! While much waits to be written, nothing is read and no command is taken: a
//! peer that doesn't read is not served, and is cut when it goes on like that.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use openflow::{DatapathId, Framer, Message};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::event::{Event, Punt, SessionId};
use super::handle::{Queue, Queued};
use super::limit::LogLimit;
use super::machine::{End, Facts, Input, Machine, Output};
use super::registry::{Claimed, PROBES, Probe};
use super::report::{self, ToSession};
use super::shared::Shared;
use super::stats::{self, HalfOpen, Live};

/// Bytes that may wait for the socket before nothing more is read or taken.
const HIGH_WATER: usize = 64 << 10;
/// Bytes to read at once at first, and while the peer has more to say.
const READ_SMALL: usize = 4 << 10;
const READ_LARGE: usize = 64 << 10;
/// How long a peer may take to read our last words, and what we still read meanwhile.
const FAREWELL: Duration = Duration::from_secs(1);
const LAST_WORDS: usize = 256 << 10;
/// Lines in the log about one peer, a second.
const LINES: u32 = 3;

/// Runs a connection to its end. `permit` is given back once the handshake is done or failed.
pub(super) async fn run<S>(
    stream: S,
    peer: SocketAddr,
    accepted: Instant,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (probes, probed) = mpsc::channel(PROBES);
    let (commands, commanded) = mpsc::unbounded_channel();
    let (close, closing) = mpsc::channel(1);
    let machine = Machine::new(shared.config.clone(), accepted);
    let (reader, writer) = tokio::io::split(stream);
    let wake = machine.deadline();
    let queue = Queue::new(shared.config.out_queue_bytes);
    let session = Session {
        id: SessionId::next(),
        peer,
        dpid: None,
        machine,
        reader,
        writer,
        framer: Framer::new(),
        read_size: READ_SMALL,
        out: BytesMut::new(),
        unflushed: false,
        stuck: None,
        congested: None,
        wake,
        timer: Box::pin(sleep_until(wake.into())),
        claiming: None,
        probes,
        probed,
        waiting: Vec::new(),
        to_core: Some(ToSession { commands, close, queue: queue.clone() }),
        commanded,
        closing,
        queue,
        half_open: Some(HalfOpen::new(permit)),
        live: None,
        lines: LogLimit::new(LINES),
        shared,
    };
    session.run().await;
}

struct Session<S> {
    id: SessionId,
    peer: SocketAddr,
    /// Once it is claimed; released at the end.
    dpid: Option<DatapathId>,
    machine: Machine,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    framer: Framer,
    read_size: usize,
    out: BytesMut,
    unflushed: bool,
    /// Since when `out` holds something of which nothing could be written.
    stuck: Option<Instant>,
    /// Since when so much is in `out` that nothing is read.
    congested: Option<Instant>,
    /// What `timer` is set to: the machine's deadline, or earlier.
    wake: Instant,
    timer: Pin<Box<Sleep>>,
    claiming: Option<oneshot::Receiver<Claimed>>,
    probes: mpsc::Sender<Probe>,
    probed: mpsc::Receiver<Probe>,
    waiting: Vec<Probe>,
    /// For the handle, once there is one.
    to_core: Option<ToSession>,
    commanded: mpsc::UnboundedReceiver<Queued>,
    closing: mpsc::Receiver<String>,
    queue: Arc<Queue>,
    half_open: Option<HalfOpen>,
    live: Option<Live>,
    lines: LogLimit,
    shared: Arc<Shared>,
}

/// What a turn of the loop waited for.
enum Turn {
    Read(std::io::Result<usize>),
    Written(std::io::Result<usize>),
    Flushed(std::io::Result<()>),
    Command(Queued),
    Close(String),
    Probe(Probe),
    Claimed(Claimed),
    Timer,
    Shutdown,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    async fn run(mut self) {
        let end = loop {
            if let Some(end) = self.perform().await {
                break end;
            }
            let turn = self.turn().await;
            self.take(turn).await;
        };
        self.finish(end).await;
    }

    async fn turn(&mut self) -> Turn {
        self.arm();
        let calm = self.out.len() < HIGH_WATER;
        let takes_commands = calm && self.machine.takes_commands();
        let takes_probes = self.waiting.len() < PROBES;
        let Self { reader, writer, framer, out, commanded, closing, probed, timer, shared, .. } =
            self;
        if calm {
            make_room(framer.buffer(), self.read_size);
        }
        let to_write = !out.is_empty() || self.unflushed;
        let written = async {
            if out.is_empty() {
                Turn::Flushed(writer.flush().await)
            } else {
                Turn::Written(writer.write_buf(out).await)
            }
        };
        let claimed = async {
            match self.claiming.as_mut() {
                Some(claiming) => claiming.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.shutdown.cancelled() => Turn::Shutdown,
            turn = written, if to_write => turn,
            read = reader.read_buf(framer.buffer()), if calm => Turn::Read(read),
            Some(queued) = commanded.recv(), if takes_commands => Turn::Command(queued),
            Some(reason) = closing.recv() => Turn::Close(reason),
            Some(probe) = probed.recv(), if takes_probes => Turn::Probe(probe),
            Ok(claimed) = claimed => Turn::Claimed(claimed),
            () = timer => Turn::Timer,
        }
    }

    /// Sets the timer. It may wake too early, for deadlines mostly move on, but never too late.
    fn arm(&mut self) {
        let config = &self.shared.config;
        let congested = self.out.len() >= HIGH_WATER;
        self.congested =
            if congested { self.congested.or_else(|| Some(Instant::now())) } else { None };
        // What the peer says can't count while it isn't read: then only the writing is watched.
        let due = match self.congested {
            Some(since) => since + config.barrier_limit,
            None => self.machine.deadline(),
        };
        let due = self.stuck.map_or(due, |since| due.min(since + config.write_limit));
        if due < self.wake || self.timer.is_elapsed() {
            self.wake = due;
            self.timer.as_mut().reset(due.into());
        }
    }

    async fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Read(read) => self.on_read(read),
            Turn::Written(Ok(0)) => self.machine.close("the switch takes no more bytes".to_owned()),
            Turn::Written(Ok(_)) => {
                self.unflushed = true;
                self.stuck = (!self.out.is_empty()).then(Instant::now);
            }
            Turn::Flushed(Ok(())) => self.unflushed = false,
            Turn::Written(Err(error)) | Turn::Flushed(Err(error)) => {
                self.machine.close(format!("the connection is lost: {error}"));
            }
            Turn::Command(queued) => self.on_commands(queued),
            Turn::Close(reason) => self.machine.close(reason),
            Turn::Probe(probe) => {
                self.waiting.push(probe);
                self.machine.step(Input::Probed, Instant::now());
            }
            Turn::Claimed(claimed) => {
                self.claiming = None;
                if let Claimed::Taken(_) = claimed {
                    self.dpid = None;
                }
                self.machine.step(Input::Claimed(claimed), Instant::now());
            }
            Turn::Timer => self.on_timer().await,
            Turn::Shutdown => self.machine.close("the controller is shutting down".to_owned()),
        }
    }

    fn on_read(&mut self, read: std::io::Result<usize>) {
        match read {
            Ok(0) => {
                let partial = self.framer.pending();
                let reason = match partial {
                    0 => "the switch closed the connection".to_owned(),
                    bytes => {
                        format!("the switch closed the connection, {bytes} bytes into a message")
                    }
                };
                self.machine.close(reason);
            }
            Ok(bytes) => {
                self.read_size = if bytes >= self.read_size { READ_LARGE } else { READ_SMALL };
                self.take_frames();
            }
            Err(error) => self.machine.close(format!("the connection is lost: {error}")),
        }
    }

    fn take_frames(&mut self) {
        let now = Instant::now();
        let mut messages = 0;
        loop {
            match self.framer.next_frame() {
                Ok(Some(raw)) => {
                    messages += 1;
                    let input = match Message::decode(raw.clone()) {
                        Ok(message) => Input::Message(message, raw),
                        Err(error) => Input::Malformed(error, raw),
                    };
                    self.machine.step(input, now);
                }
                Ok(None) => break,
                Err(error) => {
                    stats::malformed(self.machine.datapath_id());
                    self.complain(&error.to_string());
                    self.machine.close(error.to_string());
                    break;
                }
            }
        }
        stats::received(messages);
    }

    /// Takes what is queued, as long as it can be written soon.
    fn on_commands(&mut self, first: Queued) {
        let now = Instant::now();
        let mut next = Some(first);
        while let Some(Queued { command, weight }) = next {
            self.machine.step(Input::Command(command), now);
            self.queue.release(weight);
            let queued = self.machine.queued() * 64;
            let room = self.out.len() + queued < HIGH_WATER && self.machine.takes_commands();
            next = if room { self.commanded.try_recv().ok() } else { None };
        }
    }

    async fn on_timer(&mut self) {
        let Shared { config, .. } = &*self.shared;
        let waiting = self.out.len();
        let limit = config.write_limit;
        if self.stuck.is_some_and(|since| since.elapsed() >= limit) {
            stats::slow_reader(self.machine.datapath_id());
            let reason = format!(
                "the switch reads nothing for {} s: {waiting} bytes wait",
                limit.as_secs_f64()
            );
            return self.machine.close(reason);
        }
        if let Some(since) = self.congested {
            let limit = config.barrier_limit;
            if since.elapsed() >= limit {
                stats::slow_reader(self.machine.datapath_id());
                let reason = format!(
                    "the switch reads too slowly for {} s: {waiting} bytes wait",
                    limit.as_secs_f64()
                );
                self.machine.close(reason);
            }
            return;
        }
        // What came in the meantime counts first: we may have been the slow ones.
        let Self { reader, framer, .. } = self;
        framer.buffer().reserve(READ_SMALL);
        let read = tokio::select! {
            biased;
            read = unconstrained(reader.read_buf(framer.buffer())) => Some(read),
            () = std::future::ready(()) => None,
        };
        if let Some(read) = read {
            return self.on_read(read);
        }
        self.machine.step(Input::Deadline, Instant::now());
    }

    /// Carries out what the machine wants. The end, if that is it.
    async fn perform(&mut self) -> Option<End> {
        let was_empty = self.out.is_empty();
        let mut sent = 0;
        let mut end = None;
        while let Some(output) = self.machine.pop() {
            match output {
                Output::Send(message) => match message.encode_into(&mut self.out) {
                    Ok(()) => sent += 1,
                    Err(error) => {
                        self.machine.step(
                            Input::Unsendable(message.xid, error.to_string()),
                            Instant::now(),
                        );
                    }
                },
                Output::Claim(dpid) => self.claim(dpid),
                Output::Alive => {
                    // Those that gave up meanwhile don't want to know.
                    for probe in self.waiting.drain(..) {
                        let _ = probe.send(());
                    }
                }
                Output::Punt(packet) => self.punt(packet),
                Output::Complain(text) => self.complain(&text),
                Output::Note(text) => {
                    info!(peer = %self.peer, dpid = self.dpid.map(tracing::field::display), "{text}");
                }
                Output::Close(last) => {
                    end = Some(last);
                    break;
                }
                event => {
                    if let Some(event) = self.event(event) {
                        self.report(event).await;
                    }
                }
            }
        }
        stats::sent(sent);
        if was_empty && !self.out.is_empty() {
            self.stuck = Some(Instant::now());
        }
        end
    }

    /// Asks the registry. That may take as long as the other session takes to answer.
    fn claim(&mut self, dpid: DatapathId) {
        self.dpid = Some(dpid);
        let (answer, claiming) = oneshot::channel();
        self.claiming = Some(claiming);
        let (registry, id, probes) = (self.shared.registry.clone(), self.id, self.probes.clone());
        tokio::spawn(async move {
            let claimed = registry.claim(dpid, id, probes).await;
            if let Err(Claimed::Yes) = answer.send(claimed) {
                // The session ended before it had the switch.
                registry.release(dpid, id);
            }
        });
    }

    fn punt(&mut self, packet: openflow::PacketIn) {
        let Some(dpid) = self.dpid else { return };
        if self.shared.events.punts.put(Punt { dpid, session: self.id, packet }) {
            stats::punt_passed();
        } else {
            stats::punt_dropped();
        }
    }

    fn event(&mut self, output: Output) -> Option<Event> {
        let (dpid, session) = (self.dpid?, self.id);
        match output {
            Output::Connected(facts) => self.connected(dpid, *facts),
            output => report::event(dpid, session, output),
        }
    }

    fn connected(&mut self, dpid: DatapathId, facts: Facts) -> Option<Event> {
        let to_core = self.to_core.take()?;
        self.half_open = None;
        self.live = Some(Live::new());
        info!(peer = %self.peer, %dpid, session = %self.id, name = ?facts.desc.dp_desc, "switch connected");
        Some(report::connected(dpid, self.id, self.peer, facts, to_core, Instant::now()))
    }

    /// Waits until the core has room: that slows only this peer.
    async fn report(&mut self, event: Event) {
        let told = self.shared.report(event).await;
        if !told {
            self.machine.close("the controller is shutting down".to_owned());
        }
    }

    fn complain(&mut self, text: &str) {
        if let Some(held_back) = self.lines.pass(Instant::now()) {
            let dpid = self.dpid.map(tracing::field::display);
            warn!(peer = %self.peer, dpid, session = %self.id, held_back, "{text}");
        }
    }

    /// Tells the core, gives the datapath id back, and says goodbye to the peer.
    async fn finish(mut self, end: End) {
        // Nobody can queue anything any more, also not who hears of the end first.
        self.commanded.close();
        let (peer, dpid, session) = (self.peer, self.dpid, self.id);
        let shown = dpid.map(tracing::field::display);
        let event = match (end, dpid) {
            (End::Lost(reason), Some(dpid)) => {
                info!(%peer, %dpid, %session, reason, "switch disconnected");
                Some(Event::Disconnected { dpid, session, reason })
            }
            (End::Refused(..), _) if self.shared.shutdown.is_cancelled() => None,
            (End::Refused(why, reason), _) => {
                let dpid = dpid.or(self.machine.datapath_id());
                stats::refused(why, dpid);
                self.shared.refused(peer, dpid, &reason);
                Some(Event::Refused { dpid, peer, reason })
            }
            (End::Lost(reason), None) => {
                debug!(%peer, dpid = shown, reason, "ended");
                None
            }
        };
        if let Some(event) = event {
            self.report(event).await;
        }
        self.live = None;
        if let Some(dpid) = self.dpid {
            self.shared.registry.release(dpid, session);
        }
        // Those that probed now see that the place is free.
        self.waiting.clear();
        self.probed.close();
        while self.probed.try_recv().is_ok() {}
        let Self { reader, writer, out, .. } = self;
        say_goodbye(reader, writer, out).await;
    }
}

/// Makes room for a read. A buffer that was large for a long answer isn't kept for what comes after it: there may be a
/// thousand of them.
fn make_room(buffer: &mut BytesMut, size: usize) {
    if buffer.is_empty() && size < READ_LARGE && buffer.capacity() >= READ_LARGE / 2 {
        *buffer = BytesMut::with_capacity(size);
    }
    buffer.reserve(size);
}

/// Sends what is left, and closes when the peer has, or its time is up.
async fn say_goodbye<S: AsyncRead + AsyncWrite>(
    mut reader: ReadHalf<S>,
    mut writer: WriteHalf<S>,
    mut out: BytesMut,
) {
    let farewell = async {
        writer.write_all_buf(&mut out).await?;
        writer.shutdown().await?;
        // Closing with something unread would reset the connection, and our last words with it.
        let mut rest = BytesMut::with_capacity(READ_SMALL);
        let mut taken = 0;
        while taken < LAST_WORDS {
            rest.clear();
            match reader.read_buf(&mut rest).await? {
                0 => break,
                bytes => taken += bytes,
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whether the peer heard us doesn't matter: it is closed in any case.
    let _ = timeout(FAREWELL, farewell).await;
}
