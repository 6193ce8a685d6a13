//! Stands between switches and their controller, and lets connections fail.
//!
//! ```text
//! switch ──► pump to the controller ──► controller
//!        ◄── pump to the switch     ◄──
//! ```
//!
//! Each connection has one [`Fault`] at a time, which both pumps look at whenever bytes pass.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::dice::Dice;
use crate::error::LabError;

/// Bytes of a switch's first words that a twin repeats.
const OPENING: usize = 4 << 10;
/// How long a twin stays.
const TWIN: Duration = Duration::from_secs(2);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToController,
    ToSwitch,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Each piece is late by so much.
    Delay(Duration),
    /// After so many bytes, in either direction, it is closed.
    Cut(usize),
    /// After so many bytes that way no more pass, and the end sees a close; the other way goes on.
    HalfClose(Way, usize),
    /// After so many bytes that way, so many are lost.
    Swallow(Way, usize, usize),
    /// A second connection says what the switch said first.
    Twin,
}

impl Fault {
    fn draw(dice: &mut Dice) -> Self {
        let way = [Way::ToController, Way::ToSwitch][dice.throw(2)];
        let after = [0, dice.throw(300), dice.throw(5000)][dice.throw(3)];
        match dice.throw(20) {
            0..=3 => Self::None,
            4..=6 => Self::Delay(Duration::from_millis(1 + dice.throw(40) as u64)),
            7..=10 => Self::Cut(after),
            11..=12 => Self::HalfClose(way, after),
            13..=16 => Self::Swallow(way, after, 1 + dice.throw(200)),
            _ => Self::Twin,
        }
    }

    /// Whether a connection that had it is as good as new once it is gone.
    fn leaves_no_trace(self) -> bool {
        matches!(self, Self::None | Self::Delay(_))
    }
}

/// A proxy; gone when dropped, with all connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    /// Whether new connections fail too.
    wild: bool,
    live: HashMap<u64, watch::Sender<Fault>>,
    next: u64,
    faults: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn draw(&mut self) -> Fault {
        let fault = Fault::draw(&mut self.dice);
        self.faults += u64::from(fault != Fault::None);
        fault
    }
}

impl Proxy {
    /// Listens, and passes everything on to `target` until told otherwise.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't listen there.
    pub fn start(listen: SocketAddr, target: SocketAddr, seed: u64) -> Result<Self, LabError> {
        let told = |source| LabError::io(format!("listening on {listen}"), source);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(told)?;
        let listener = runtime.block_on(TcpListener::bind(listen)).map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        let state = State {
            dice: Dice::new(seed).fork(1),
            wild: false,
            live: HashMap::new(),
            next: 0,
            faults: 0,
        };
        let shared = Arc::new(Shared { target, state: Mutex::new(state) });
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((switch, _)) = listener.accept().await {
                tokio::spawn(connection(switch, Arc::clone(&accepting)));
            }
        });
        Ok(Self { address, shared, _runtime: runtime })
    }

    /// Where switches are to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many faults there were.
    pub fn faults(&self) -> u64 {
        self.shared.state().faults
    }

    /// From now on connections fail, those that are there and those that come.
    pub fn strike(&self) {
        let mut state = self.shared.state();
        state.wild = true;
        // In the order in which they came: a hash map has another in each run.
        let mut live: Vec<_> = state.live.keys().copied().collect();
        live.sort_unstable();
        for id in live {
            let fault = state.draw();
            if let Some(connection) = state.live.get(&id) {
                connection.send_replace(fault);
            }
        }
    }

    /// From now on all passes; connections that lost anything are closed.
    pub fn calm(&self) {
        let mut state = self.shared.state();
        state.wild = false;
        for connection in state.live.values() {
            connection.send_modify(|fault| {
                *fault = if fault.leaves_no_trace() { Fault::None } else { Fault::Cut(0) };
            });
        }
    }
}

async fn connection(switch: TcpStream, shared: Arc<Shared>) {
    let Ok(controller) = TcpStream::connect(shared.target).await else { return };
    // Without delay what one side writes at once may come in pieces, as in any network.
    let _ = (switch.set_nodelay(true), controller.set_nodelay(true));
    let (id, fault) = {
        let mut state = shared.state();
        let id = state.next;
        state.next += 1;
        let first = if state.wild { state.draw() } else { Fault::None };
        let (sender, fault) = watch::channel(first);
        state.live.insert(id, sender);
        (id, fault)
    };
    let (from_switch, to_switch) = switch.into_split();
    let (from_controller, to_controller) = controller.into_split();
    let up = Pump::new(Way::ToController, fault.clone(), shared.target);
    let down = Pump::new(Way::ToSwitch, fault, shared.target);
    let (up, down) = (up.run(from_switch, to_controller), down.run(from_controller, to_switch));
    tokio::pin!(up, down);
    tokio::select! {
        end = &mut up => if end == End::Closed { down.await; },
        end = &mut down => if end == End::Closed { up.await; },
    }
    shared.state().live.remove(&id);
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// One side closed it, and the other was told.
    Closed,
    /// The whole connection ends.
    Cut,
}

struct Pump {
    way: Way,
    fault: watch::Receiver<Fault>,
    target: SocketAddr,
    /// Bytes since the fault came.
    passed: usize,
    opening: Vec<u8>,
    muted: bool,
}

impl Pump {
    fn new(way: Way, fault: watch::Receiver<Fault>, target: SocketAddr) -> Self {
        Self { way, fault, target, passed: 0, opening: Vec::new(), muted: false }
    }

    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> End {
        let mut buffer = vec![0; 16 << 10];
        self.begin();
        loop {
            if *self.fault.borrow() == Fault::Cut(0) {
                return End::Cut;
            }
            let read = tokio::select! {
                changed = self.fault.changed() => {
                    if changed.is_err() {
                        return End::Cut;
                    }
                    self.begin();
                    continue;
                }
                read = from.read(&mut buffer) => read,
            };
            let bytes = match read {
                Ok(0) => {
                    let _ = to.shutdown().await;
                    return End::Closed;
                }
                Ok(count) => &buffer[..count],
                Err(_) => return End::Cut,
            };
            if self.way == Way::ToController && self.opening.len() < OPENING {
                self.opening.extend_from_slice(bytes);
            }
            if self.pass(bytes, &mut to).await.is_err() {
                return End::Cut;
            }
        }
    }

    /// A fault comes.
    fn begin(&mut self) {
        self.passed = 0;
        let fault = *self.fault.borrow_and_update();
        if fault == Fault::Twin && self.way == Way::ToController {
            tokio::spawn(twin(self.target, self.opening.clone()));
        }
    }

    async fn pass(&mut self, bytes: &[u8], to: &mut OwnedWriteHalf) -> std::io::Result<()> {
        let fault = *self.fault.borrow();
        let before = self.passed;
        self.passed += bytes.len();
        // How many of these are before the nth byte.
        let until = |nth: usize| nth.saturating_sub(before).min(bytes.len());
        match fault {
            _ if self.muted => Ok(()),
            Fault::Delay(by) => {
                sleep(by).await;
                to.write_all(bytes).await
            }
            Fault::Cut(after) if self.passed > after => {
                to.write_all(&bytes[..until(after)]).await?;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
            Fault::HalfClose(way, after) if way == self.way && self.passed > after => {
                to.write_all(&bytes[..until(after)]).await?;
                self.muted = true;
                to.shutdown().await
            }
            Fault::Swallow(way, after, lost) if way == self.way => {
                to.write_all(&bytes[..until(after)]).await?;
                to.write_all(&bytes[until(after + lost)..]).await
            }
            _ => to.write_all(bytes).await,
        }
    }
}

/// Somebody else says what a switch said.
async fn twin(target: SocketAddr, opening: Vec<u8>) {
    let stay = async {
        let mut stream = TcpStream::connect(target).await?;
        stream.write_all(&opening).await?;
        let mut ignored = vec![0; 4 << 10];
        while stream.read(&mut ignored).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    // However it ends, it has done what it is for.
    let _ = timeout(TWIN, stay).await;
}
