//! One client of the REST API, on one connection that is kept while the server keeps it.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::numbers::Times;

/// A client.
pub struct Client {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { address, sender: sender(address).await? })
    }

    /// A call, and what it answers: status and body.
    pub async fn call(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Bytes)> {
        if self.sender.ready().await.is_err() {
            // The server closes what was idle for long.
            self.sender = sender(self.address).await?;
        }
        let host = self.address.to_string();
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.to_owned()));
        let response = self.sender.send_request(request.body(body)?).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// A call that must be answered with one of these statuses.
    pub async fn expect(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
        statuses: &[u16],
    ) -> Result<Bytes> {
        let (status, answer) = self.call(method, path, body).await?;
        if !statuses.contains(&status) {
            let answer: String = String::from_utf8_lossy(&answer).chars().take(500).collect();
            bail!("{method} {path} was answered {status}, not {statuses:?}: {answer}");
        }
        Ok(answer)
    }

    /// The same; how long it took is added to `times`.
    pub async fn timed(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
        statuses: &[u16],
        times: &mut Times,
    ) -> Result<()> {
        let begin = Instant::now();
        self.expect(method, path, body, statuses).await?;
        times.add(begin.elapsed());
        Ok(())
    }
}

async fn sender(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream =
        TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its failure shows in the next call.
    tokio::spawn(connection);
    Ok(sender)
}
