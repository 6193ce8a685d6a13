//! One controller of one switch: connect, and connect again.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::WireConfig;
use super::net::{Net, Node};
use super::session::Session;
use crate::switch::Channel;

/// What a connection's task owns.
pub struct Connection {
    /// Where the controller listens.
    pub controller: SocketAddr,
    /// Its number at the switch.
    pub channel: Channel,
    /// The switches.
    pub net: Arc<Net>,
    /// The switch.
    pub node: Arc<Node>,
    /// Times.
    pub config: WireConfig,
    /// Whether to stay away.
    pub away: watch::Receiver<bool>,
}

impl Connection {
    /// Never returns; the task is ended from outside.
    pub async fn run(mut self) {
        let mut backoff = self.config.first_backoff;
        loop {
            if self.away.wait_for(|away| !away).await.is_err() {
                return; // the switch's handle is gone
            }
            let mut away = self.away.clone();
            let up = tokio::select! {
                up = self.session() => up,
                _ = away.wait_for(|away| *away) => true,
            };
            if up {
                backoff = self.config.first_backoff;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                // Coming back from being away is at once.
                _ = away.wait_for(|away| *away) => continue,
            }
            backoff = (backoff * 2).min(self.config.max_backoff);
        }
    }

    /// One session from its start to its end; whether it was up at all.
    async fn session(&self) -> bool {
        let Ok(stream) = TcpStream::connect(self.controller).await else { return false };
        // Small messages must not wait for others (Nagle, RFC 896). Without it all works, only slower.
        let _ = stream.set_nodelay(true);
        let mut session = Session::new(stream, self.config.probe_interval);
        if session.hello().await.is_err() {
            return false;
        }
        let open = Open { node: &self.node, channel: self.channel };
        let letters = self.node.open(self.channel);
        // Why it ended matters to nobody: a switch only tries again.
        let _ = session.serve(&self.net, &self.node, self.channel, letters).await;
        drop(open);
        true
    }
}

/// Closes the channel however the session ends, also when its task is ended.
struct Open<'a> {
    node: &'a Node,
    channel: Channel,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.node.close(self.channel);
    }
}
