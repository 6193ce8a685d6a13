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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::tls::ServerTls;
use stall::Stalling;

/// Bounds of the connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most connections at once; others wait to be accepted.
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
            connections: 512,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            head_bytes: 64 << 10,
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(4),
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
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            // The semaphore is never closed, so this can't fail.
            let place = Arc::clone(&places).acquire_owned().await;
            (accept(&listener).await, place)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, place) = next => {
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
