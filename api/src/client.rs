//! The same calls, typed, for programs.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use api::client::Client;
//! use api::types::{PortSpec, Wait};
//!
//! let client = Client::builder("http://127.0.0.1:8080").build()?;
//! let blue = "blue".parse()?;
//! let (switch, port) = ("worker-1".parse()?, "eth0".parse()?);
//! client.put_network(&api::types::NetworkSpec::new(blue), Wait::default()).await?;
//! let blue = "blue".parse()?;
//! let port = client.put_port(&blue, &switch, &port, &PortSpec::default(), Wait::default()).await?;
//! println!("{:?}", port.body.state);
//! # Ok(()) }
//! ```

mod calls;
mod wire;

use std::fmt;
use std::time::Duration;

use axum::http::Uri;
use axum::http::header::HeaderValue;

use crate::error::Problem;
use crate::tls::{ClientTls, TlsError};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's URL is not one.
    #[error("server {url:?}: {why}")]
    Server {
        /// What was given.
        url: String,
        /// What was wrong with it.
        why: &'static str,
    },
    /// The token can't be sent.
    #[error("token: has a character that can't be sent in a header")]
    Token,
    /// A certificate or key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server can't be reached, or the connection broke off.
    #[error("{server}: {}", chain(.source.as_ref()))]
    Unreachable {
        /// The server.
        server: String,
        /// What was wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer came in time. A change may have been made.
    #[error("{server}: no answer within {after:?}; a change may have been made all the same")]
    TimedOut {
        /// The server.
        server: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The server refused, and says why.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// What answered is not an Isolane controller, or one of another version.
    #[error("{call}: status {status}, and the answer is not understood: {why}")]
    Answer {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// What was wrong with it.
        why: String,
    },
}

impl ClientError {
    /// The problem, if the server refused.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

/// An error with what caused it, in one line: hyper's own texts say little
/// without their sources.
fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<T> {
    /// The HTTP status: 201 what is new, 200 what was there, 202 what waits
    /// for a switch.
    pub status: u16,
    /// The object as it is now.
    pub body: T,
}

impl<T> Reply<T> {
    /// Whether it waits for a switch.
    pub fn is_pending(&self) -> bool {
        self.status == 202
    }
}

/// What a [`Client`] is made from.
#[derive(Clone)]
pub struct Builder {
    url: String,
    token: Option<String>,
    tls: ClientTls,
    timeout: Duration,
}

impl Builder {
    /// Sends this token with every call.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts the CAs in this PEM besides the system's.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca = Some(pem.into());
        self
    }

    /// Shows this certificate to a server that asks for one; both are PEM.
    #[must_use]
    pub fn identity_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// How long an answer may take, besides the time that a change waits for
    /// its switches; 30 s if nothing is said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The client. Nothing is connected before the first call.
    pub fn build(self) -> Result<Client, ClientError> {
        let server = |why| ClientError::Server { url: self.url.clone(), why };
        let uri: Uri = self.url.parse().map_err(|_| server("not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(server("must start with http:// or https://"));
        }
        if uri.query().is_some() {
            return Err(server("must not have a query"));
        }
        let authority = uri.authority().ok_or_else(|| server("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(server("must not have a user name; use a token"));
        }
        let secure = uri.scheme_str() == Some("https");
        let token = match &self.token {
            None => None,
            Some(token) => {
                let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| ClientError::Token)?;
                header.set_sensitive(true);
                Some(header)
            }
        };
        Ok(Client {
            http: wire::http(secure.then_some(&self.tls))?,
            base: self.url.trim_end_matches('/').to_owned(),
            token,
            timeout: self.timeout,
        })
    }
}

/// A client of one server. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    http: wire::Http,
    base: String,
    token: Option<HeaderValue>,
    timeout: Duration,
}

impl Client {
    /// A client of the server at this URL, such as `https://127.0.0.1:8080`;
    /// a path in it goes before the calls' own.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder {
            url: url.into(),
            token: None,
            tls: ClientTls::default(),
            timeout: Duration::from_secs(30),
        }
    }

    /// The server's URL.
    pub fn server(&self) -> &str {
        &self.base
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.base).finish_non_exhaustive()
    }
}
