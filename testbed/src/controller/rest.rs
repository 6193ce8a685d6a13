//! Calls of the REST API as they are on the wire, wrong ones included.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::error::LabError;

/// For an answer; a change that waits for switches takes 5 s at most.
const LIMIT: Duration = Duration::from_secs(30);

/// The REST API of one controller. Calls block the thread.
#[derive(Debug)]
pub struct Rest {
    address: SocketAddr,
    token: Option<String>,
    // Runs on the calling thread, and so in its namespace.
    runtime: tokio::runtime::Runtime,
}

/// An answer, whatever it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body's media type; empty if it has none.
    pub media_type: String,
    /// The body; `null` if it has none, a string if it isn't JSON.
    pub body: Value,
}

impl Rest {
    /// Talks to the controller at this address.
    pub(crate) fn new(address: SocketAddr) -> Result<Self, LabError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| LabError::io("starting a runtime", source))?;
        Ok(Self { address, token: None, runtime })
    }

    /// The API's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends this token with every call from now on.
    pub(crate) fn present(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn get(&self, path: &str) -> Result<Answer, LabError> {
        self.send("GET", path, None)
    }

    /// Sends a request with a JSON body.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer, LabError> {
        self.send(method, path, Some(&body.to_string()))
    }

    /// Sends any request; a body is declared as JSON, whatever it is.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer, LabError> {
        let exchange = exchange(self.address, self.token.as_deref(), method, path, body);
        let exchange = async { tokio::time::timeout(LIMIT, exchange).await };
        match self.runtime.block_on(exchange) {
            Ok(answer) => {
                answer.map_err(|reason| LabError::Wrong(format!("{method} {path}: {reason}")))
            }
            Err(_) => Err(LabError::Wrong(format!("{method} {path}: no answer within {LIMIT:?}"))),
        }
    }
}

/// One request on a connection of its own.
async fn exchange(
    address: SocketAddr,
    token: Option<&str>,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its failure shows in the answer too.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(HOST, address.to_string());
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = Full::new(Bytes::from(body.unwrap_or_default().to_owned()));
    let response = sender.send_request(request.body(body)?).await?;
    let status = response.status().as_u16();
    let media_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = response.into_body().collect().await?.to_bytes();
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
    };
    Ok(Answer { status, media_type, body })
}

impl Answer {
    /// The body as a type of the contract.
    ///
    /// # Errors
    /// [`LabError::Wrong`] with the answer when its status isn't one of `statuses`, or its body is something else.
    pub fn typed<T: DeserializeOwned>(self, statuses: &[u16]) -> Result<T, LabError> {
        let text = self.to_string();
        if !statuses.contains(&self.status) {
            return Err(LabError::Wrong(format!(
                "expected status {statuses:?}, but the answer was {text}"
            )));
        }
        serde_json::from_value(self.body)
            .map_err(|error| LabError::Wrong(format!("{error}, in the answer {text}")))
    }

    /// A string of the body, by its JSON pointer; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.status, self.media_type, self.body)
    }
}
