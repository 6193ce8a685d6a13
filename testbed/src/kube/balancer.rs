//! What is between two programs: one address, each new connection to the next replica that takes it, as a Service
//! does; and a network that breaks, or only stalls, when a story says so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::error::LabError;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are carried.
    Pass,
    /// Those there are break, and new ones are closed at once.
    Cut,
    /// They stay, and carry nothing.
    Stall,
}

/// Passes connections on until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    // Its tasks end with it.
    _runtime: Runtime,
}

impl Balancer {
    /// Listens on loopback for connections to any of these.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't listen.
    pub fn over(replicas: Vec<SocketAddr>) -> Result<Self, LabError> {
        Self::at(Ipv4Addr::LOCALHOST.into(), replicas)
    }

    /// Listens at an address of the calling thread's namespace for connections to any of these.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't listen.
    pub fn at(address: IpAddr, replicas: Vec<SocketAddr>) -> Result<Self, LabError> {
        Self::on((address, 0).into(), replicas)
    }

    /// The same at a port that is chosen.
    ///
    /// # Errors
    /// As there.
    pub fn on(address: SocketAddr, replicas: Vec<SocketAddr>) -> Result<Self, LabError> {
        let told = |source| LabError::io(format!("listening at {address}"), source);
        // Its one thread is in the namespace of the thread that makes it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("balancer")
            .enable_all()
            .build()
            .map_err(told)?;
        let bind = runtime.spawn(TcpListener::bind(address));
        let listener = runtime.block_on(bind).map_err(|error| told(error.into()))?.map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        let mode = watch::Sender::new(Mode::Pass);
        runtime.spawn(accept(listener, replicas.into(), mode.subscribe()));
        Ok(Self { address, mode, _runtime: runtime })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What becomes of connections from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, replicas: Arc<[SocketAddr]>, mode: watch::Receiver<Mode>) {
    let next = Arc::new(AtomicUsize::new(0));
    while let Ok((client, _)) = listener.accept().await {
        let (replicas, next, mode) = (Arc::clone(&replicas), Arc::clone(&next), mode.clone());
        tokio::spawn(async move {
            for _ in 0..replicas.len() {
                let turn = next.fetch_add(1, Ordering::Relaxed) % replicas.len();
                if let Ok(server) = TcpStream::connect(replicas[turn]).await {
                    carry(client, server, mode).await;
                    return;
                }
            }
        });
    }
}

async fn carry(client: TcpStream, server: TcpStream, mode: watch::Receiver<Mode>) {
    // Without, small answers wait for acknowledgements, and a measured latency would be the balancer's.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let mut cut = mode.clone();
    // However it ends, both connections are over, which is what either side is to see.
    tokio::select! {
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
        _ = async {
            tokio::join!(
                one_way(client_reads, server_writes, mode.clone()),
                one_way(server_reads, client_writes, mode),
            )
        } => {}
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let Ok(count) = from.read(&mut bytes).await else { return };
        if mode.wait_for(|mode| *mode == Mode::Pass).await.is_err() {
            return;
        }
        if count == 0 {
            let _ = to.shutdown().await;
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    /// Sends one byte there and tells whether it comes back in time.
    fn echoes(stream: &mut TcpStream, limit: Duration) -> bool {
        stream.set_read_timeout(Some(limit)).unwrap();
        stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
    }

    #[test]
    fn connections_pass_stall_and_break() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in server.incoming().flatten() {
                std::thread::spawn(move || {
                    let (mut reads, mut writes) = (stream.try_clone().unwrap(), stream);
                    let _ = std::io::copy(&mut reads, &mut writes);
                });
            }
        });
        // The first replica isn't there.
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let balancer = Balancer::over(vec![gone, address]).unwrap();
        let long = Duration::from_secs(60);
        let mut stream = TcpStream::connect(balancer.address()).unwrap();
        assert!(echoes(&mut stream, long));
        balancer.set(Mode::Stall);
        assert!(!echoes(&mut stream, Duration::from_millis(200)));
        balancer.set(Mode::Pass);
        assert!(stream.set_read_timeout(Some(long)).is_ok() && stream.read_exact(&mut [0]).is_ok());
        balancer.set(Mode::Cut);
        stream.set_read_timeout(Some(long)).unwrap();
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "it breaks");
        balancer.set(Mode::Pass);
        assert!(echoes(&mut TcpStream::connect(balancer.address()).unwrap(), long));
    }
}
