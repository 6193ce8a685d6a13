//! What a Service does for the replicas behind it: one address, each new connection to the next one that takes it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::error::LabError;

/// Passes connections on until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    // Its tasks end with it.
    _runtime: Runtime,
}

impl Balancer {
    /// Listens on loopback of the thread's namespace for connections to any of these.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't listen.
    pub fn over(replicas: Vec<SocketAddr>) -> Result<Self, LabError> {
        let told = |source| LabError::io("starting a balancer", source);
        // Its one thread is in the namespace of the thread that makes it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("balancer")
            .enable_all()
            .build()
            .map_err(told)?;
        let bind = runtime.spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = runtime.block_on(bind).map_err(|error| told(error.into()))?.map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        runtime.spawn(accept(listener, replicas.into()));
        Ok(Self { address, _runtime: runtime })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, replicas: Arc<[SocketAddr]>) {
    let next = Arc::new(AtomicUsize::new(0));
    while let Ok((client, _)) = listener.accept().await {
        let (replicas, next) = (Arc::clone(&replicas), Arc::clone(&next));
        tokio::spawn(async move {
            for _ in 0..replicas.len() {
                let turn = next.fetch_add(1, Ordering::Relaxed) % replicas.len();
                if let Ok(server) = TcpStream::connect(replicas[turn]).await {
                    carry(client, server).await;
                    return;
                }
            }
        });
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream) {
    // Without, small answers wait for acknowledgements, and a measured latency would be the balancer's.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // However it ends, both connections are over, which is what either side is to see.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
