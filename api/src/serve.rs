//! Serving the router on a listener, bounded in every direction.
//!
//! No client can hold more than one of a bounded number of connections, and
//! none of these for longer than its bounds: for the TLS handshake, for the
//! head of a request (which is also how long a connection may idle), for its
//! body (see [`Limits`](crate::router::Limits)), and for taking no more of the
//! answer.

mod stall;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::error::{PROBLEM_JSON, Problem, ProblemKind};
use crate::tls::ServerTls;
use stall::Stalling;

/// Bounds of the connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most connections at once; others are told so (503) and closed.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take, from the connection's start
    /// or from the answer before it.
    pub head: Duration,
    /// The largest head of a request, in bytes.
    pub head_bytes: usize,
    /// How long a client may take nothing while there is something to send.
    pub stall: Duration,
    /// How long requests may go on after the shutdown began.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            head_bytes: 64 << 10,
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(3),
        }
    }
}

/// Serves until `shutdown` is done. Then nothing more is accepted, idle
/// connections are closed, and what was asked is answered within
/// [`Bounds::drain`]; what is left is cut off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<ServerTls>,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.0));
    let places = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            Some(_) = refusals.join_next() => {}
            stream = accept(&listener) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    if acceptor.is_none() && refusals.len() < REFUSALS {
                        refusals.spawn(refuse(stream));
                    }
                    continue;
                };
                let served = connection(
                    stream,
                    router.clone(),
                    acceptor.clone(),
                    bounds,
                    graceful.watcher(),
                );
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    if timeout(bounds.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(left = connections.len(), "requests were cut off by the shutdown");
    }
    connections.shutdown().await;
}

/// Connections that are being refused, at most; beyond, they are just closed.
const REFUSALS: usize = 256;

/// Says that there are too many connections, to whatever was asked.
async fn refuse(mut stream: TcpStream) {
    let problem = Problem::new(
        ProblemKind::TooManyConnections,
        "As many connections are open as the server takes.",
    );
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\nretry-after: 1\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with something unread would reset the connection, and the answer with it.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the peer heard it doesn't matter.
    let _ = timeout(Duration::from_secs(1), said).await;
}

/// The next connection. Errors are passing ones (a peer that is gone already,
/// or no file descriptors left), so they are waited out.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted now");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(
    stream: TcpStream,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    bounds: Bounds,
    watcher: Watcher,
) {
    // Answers are small and waited for. Without it they are only slower.
    let _ = stream.set_nodelay(true);
    let stream = Stalling::new(stream, bounds.stall);
    let Some(acceptor) = acceptor else {
        return http(stream, router, bounds, watcher).await;
    };
    match timeout(bounds.handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, router, bounds, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn http<S>(stream: S, router: Router, bounds: Bounds, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended");
    }
}
