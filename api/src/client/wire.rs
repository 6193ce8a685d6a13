//! One request and its answer.

use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, ClientError, Reply};
use crate::error::Problem;
use crate::page::{Cursor, Listing};
use crate::tls::ClientTls;
use crate::types::{Pending, Wait};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 << 20;

pub(super) type Http = Pool<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections to one server; TLS is set up only where it is used, since
/// loading the system's certificates takes a while.
pub(super) fn http(tls: Option<&ClientTls>) -> Result<Http, ClientError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(10)));
    let config = match tls {
        Some(tls) => tls.config()?,
        None => ClientTls::bare()?,
    };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Pool::builder(TokioExecutor::new())
        // Before the server closes what idles, so that no request meets that.
        .pool_idle_timeout(Duration::from_secs(5))
        .pool_timer(TokioTimer::new())
        .build(connector))
}

/// A call that is being put together.
pub(super) struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: String,
    body: Option<Vec<u8>>,
    wait: Duration,
}

impl Client {
    pub(super) fn call(&self, method: Method, path: String) -> Call<'_> {
        Call { client: self, method, path, query: String::new(), body: None, wait: Duration::ZERO }
    }

    /// One object.
    pub(super) async fn show<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        Ok(self.call(Method::GET, path).json().await?.body)
    }

    /// A whole list, page by page.
    pub(super) async fn all<T, Q>(
        &self,
        path: &str,
        mut query: Q,
        turn: impl Fn(&mut Q, Cursor),
    ) -> Result<Vec<T>, ClientError>
    where
        T: DeserializeOwned,
        Q: Serialize,
    {
        let mut all = Vec::new();
        loop {
            let call = self.call(Method::GET, path.to_owned()).query(&query);
            let page: Listing<T> = call.json().await?.body;
            all.extend(page.items);
            match page.next {
                Some(cursor) => turn(&mut query, cursor),
                None => return Ok(all),
            }
        }
    }
}

impl Call<'_> {
    pub(super) fn query(mut self, query: &impl Serialize) -> Self {
        // Queries are flat structs of texts and numbers: this can't fail.
        self.query = serde_urlencoded::to_string(query).unwrap_or_default();
        self
    }

    pub(super) fn body(mut self, body: &impl Serialize) -> Self {
        // Bodies are structs whose maps have text keys: this can't fail.
        self.body = Some(serde_json::to_vec(body).unwrap_or_default());
        self
    }

    /// A body that is JSON already.
    pub(super) fn json_text(mut self, body: Bytes) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Gives the server this long in addition.
    pub(super) fn waiting(mut self, wait: Wait) -> Self {
        if let Wait::Installed { timeout } = wait {
            self.wait = timeout;
        }
        self
    }

    fn name(&self) -> String {
        format!("{} {}{}", self.method, self.client.base, self.path)
    }

    /// Sends it; a status that is no success is an error.
    async fn send(self) -> Result<(String, u16, Bytes), ClientError> {
        let client = self.client;
        let name = self.name();
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| {
            ClientError::Unreachable { server: client.base.clone(), source }
        };
        let mark = if self.query.is_empty() { "" } else { "?" };
        let uri = format!("{}{}{mark}{}", client.base, self.path, self.query);
        let mut request = Request::builder().method(self.method).uri(uri);
        request = request.header(ACCEPT, "application/json, application/problem+json");
        if let Some(token) = &client.token {
            request = request.header(AUTHORIZATION, token);
        }
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(self.body.unwrap_or_default()));
        let request = request.body(body).map_err(|error| unreachable(error.into()))?;

        let exchange = async {
            let response =
                client.http.request(request).await.map_err(|error| unreachable(error.into()))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok::<_, ClientError>((status, body.map_err(unreachable)?.to_bytes()))
        };
        let after = client.timeout.saturating_add(self.wait);
        let (status, body) = match tokio::time::timeout(after, exchange).await {
            Ok(answer) => answer?,
            Err(_) => return Err(ClientError::TimedOut { server: client.base.clone(), after }),
        };
        if (200..300).contains(&status) {
            return Ok((name, status, body));
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => {
                let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                ClientError::Answer { call: name, status, why: format!("{text:?}") }
            }
        })
    }

    /// Sends it; the answer is JSON.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<Reply<T>, ClientError> {
        let (call, status, body) = self.send().await?;
        match serde_json::from_slice(&body) {
            Ok(body) => Ok(Reply { status, body }),
            Err(error) => Err(ClientError::Answer { call, status, why: error.to_string() }),
        }
    }

    /// Sends it; the answer is taken as it is.
    pub(super) async fn bytes(self) -> Result<Bytes, ClientError> {
        let (_, _, body) = self.send().await?;
        Ok(body)
    }

    /// Sends it; the answer is text.
    pub(super) async fn text(self) -> Result<String, ClientError> {
        let (_, _, body) = self.send().await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a removal: nothing, or what is waited for.
    pub(super) async fn removal(self) -> Result<Option<Pending>, ClientError> {
        let (call, status, body) = self.send().await?;
        if body.is_empty() {
            return Ok(None);
        }
        match serde_json::from_slice(&body) {
            Ok(pending) => Ok(Some(pending)),
            Err(error) => Err(ClientError::Answer { call, status, why: error.to_string() }),
        }
    }
}
