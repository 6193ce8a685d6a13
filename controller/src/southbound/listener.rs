//! Lets connections in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::config::SouthboundConfig;
use super::event::{Event, EventSink};
use super::limit::LogLimit;
use super::session;
use super::shared::Shared;
use super::stats;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;
/// Lines a second in the log about connections that are closed at once.
const LINES: u32 = 1;
/// Open files for a thousand switches and everything else.
const OPEN_FILES: u64 = 16_384;
/// Without a free file descriptor, how long to wait for one.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// Opens the port switches connect to; `backlog` is 4,096 at least.
///
/// Raises the process's bound on open files, as far as it may, so that a
/// thousand switches fit.
///
/// # Errors
/// What the system says, such as that the address is in use.
pub fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    raise_open_files();
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    let backlog = i32::try_from(backlog.max(BACKLOG)).unwrap_or(i32::MAX);
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard);
        if soft >= wanted {
            Ok(soft)
        } else {
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map(|()| wanted)
        }
    });
    match raised {
        Ok(files) if files < OPEN_FILES => {
            info!(files, "at most so many files and connections can be open at once")
        }
        Ok(files) => debug!(files, "open files"),
        Err(error) => warn!(%error, "the bound on open files can't be read or raised"),
    }
}

/// Serves switches until `shutdown` is cancelled and every session has ended.
pub async fn serve(
    listener: TcpListener,
    config: SouthboundConfig,
    events: EventSink,
    shutdown: CancellationToken,
) {
    let tls = config.tls.clone().map(TlsAcceptor::from);
    let half_open = Arc::new(Semaphore::new(config.max_half_open));
    let shared = Arc::new(Shared::new(config, events, shutdown.clone()));
    let sessions = TaskTracker::new();
    let mut lines = LogLimit::new(LINES);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // It stays with the next connection unless files are scarce; then that would spin.
                if let Some(held_back) = lines.pass(Instant::now()) {
                    warn!(%error, held_back, "a connection could not be accepted");
                }
                sleep(OUT_OF_FILES).await;
                continue;
            }
        };
        stats::accepted();
        let Ok(permit) = half_open.clone().try_acquire_owned() else {
            stats::crowded_out();
            if let Some(held_back) = lines.pass(Instant::now()) {
                let limit = shared.config.max_half_open;
                warn!(%peer, limit, held_back, "connection closed: too many handshakes are under way");
            }
            continue;
        };
        prepare(&stream);
        sessions.spawn(connect(stream, peer, tls.clone(), shared.clone(), permit));
    }
    drop(listener);
    sessions.close();
    sessions.wait().await;
}

/// Small messages go out at once, and a peer that vanished is found by the kernel, too.
fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    let set =
        stream.set_nodelay(true).and_then(|()| SockRef::from(stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = set {
        debug!(%error, "socket options");
    }
}

async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
) {
    let accepted = Instant::now();
    let Some(acceptor) = tls else {
        return session::run(stream, peer, accepted, shared, permit).await;
    };
    let secured = tokio::select! {
        () = shared.shutdown.cancelled() => return,
        secured = timeout(shared.config.handshake_limit, acceptor.accept(stream)) => secured,
    };
    let reason = match secured {
        Ok(Ok(stream)) => return session::run(stream, peer, accepted, shared, permit).await,
        Ok(Err(error)) => format!(
            "TLS: {error}; does the switch connect by ssl:, and trust the controller's certificate?"
        ),
        Err(_) => format!(
            "TLS: handshake not done within {} s",
            shared.config.handshake_limit.as_secs_f64()
        ),
    };
    stats::refused(stats::Refusal::Handshake, None);
    shared.refused(peer, None, &reason);
    shared.report(Event::Refused { dpid: None, peer, reason }).await;
}
