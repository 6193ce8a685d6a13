//! The Kubernetes API as it is on the wire: one call, one answer, whatever it says.

use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::{Client, Config};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

use crate::controller::Answer;
use crate::error::LabError;

/// For an answer: webhooks may take up to 30 s.
const LIMIT: Duration = Duration::from_secs(60);

/// The API as one user. Calls block the thread, so they can't be made from async code: that takes
/// [`client`](Self::client).
#[derive(Clone)]
pub struct Api {
    runtime: Arc<Runtime>,
    client: Client,
    kubeconfig: Value,
}

impl Api {
    /// The API at `url`, whose certificate is of the authority `authority` (PEM), as whoever has the token.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when these make no client.
    pub fn new(
        runtime: &Arc<Runtime>,
        url: &str,
        authority: &str,
        token: &str,
    ) -> Result<Self, LabError> {
        let kubeconfig = kubeconfig(url, authority, token);
        let wrong = |error: &dyn std::fmt::Display| LabError::Wrong(format!("{url}: {error}"));
        let parsed: Kubeconfig =
            serde_json::from_value(kubeconfig.clone()).map_err(|error| wrong(&error))?;
        let made = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(parsed, &options).await?;
            // A story wants the answer that there was.
            config.default_retry = false;
            Ok::<_, Box<dyn std::error::Error>>(Client::try_from(config)?)
        });
        let client = made.map_err(|error| wrong(&error))?;
        Ok(Self { runtime: Arc::clone(runtime), client, kubeconfig })
    }

    /// The same access for async code.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The same access as a kubeconfig.
    pub fn kubeconfig(&self) -> &Value {
        &self.kubeconfig
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn get(&self, path: &str) -> Result<Answer, LabError> {
        self.send("GET", path, "application/json", String::new())
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer, LabError> {
        self.send(method, path, "application/json", body.to_string())
    }

    /// Changes some fields (RFC 7386).
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn merge(&self, path: &str, body: &Value) -> Result<Answer, LabError> {
        self.send("PATCH", path, "application/merge-patch+json", body.to_string())
    }

    /// Applies an object (server-side apply); more of the query is in `path`.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn apply(&self, path: &str, object: &Value) -> Result<Answer, LabError> {
        let more = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{more}fieldManager=story&force=true");
        self.send("PATCH", &path, "application/apply-patch+yaml", object.to_string())
    }

    /// Sends anything.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: String,
    ) -> Result<Answer, LabError> {
        let failed =
            |error: &dyn std::fmt::Display| LabError::Wrong(format!("{method} {path}: {error}"));
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, media_type);
        let request = request.body(body.into_bytes().into()).map_err(|error| failed(&error))?;
        let exchange = async {
            let response = self.client.send(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|error| failed(&error))?.to_bytes();
            let media_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
            Ok(Answer {
                status: head.status.as_u16(),
                media_type: media_type.unwrap_or_default().to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or_else(|_| {
                    Value::String(String::from_utf8_lossy(&bytes).into_owned())
                }),
            })
        };
        let bounded = async { tokio::time::timeout(LIMIT, exchange).await };
        self.runtime
            .block_on(bounded)
            .map_err(|_| LabError::Wrong(format!("{method} {path}: no answer within {LIMIT:?}")))?
    }

    /// Creates or changes an object and returns it as it is now.
    ///
    /// # Errors
    /// [`LabError`] with the answer, unless it is a success.
    pub fn done(&self, answer: Result<Answer, LabError>) -> Result<Value, LabError> {
        let answer = answer?;
        match answer.status {
            200..=299 => Ok(answer.body),
            _ => Err(LabError::Wrong(format!("the API server refused: {answer}"))),
        }
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Api({})", self.kubeconfig["clusters"][0]["cluster"]["server"])
    }
}

/// Whether an answer refuses with this HTTP status and says all of these words.
pub fn is_refused(answer: &Answer, status: u16, words: &[&str]) -> bool {
    answer.status == status && words.iter().all(|word| answer.text("/message").contains(word))
}

fn kubeconfig(url: &str, authority: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": {
            "server": url,
            "certificate-authority-data": base64(authority.as_bytes()),
        }}],
        "users": [{ "name": "user", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "user" } }],
        "current-context": "test",
    })
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..4 {
            let six = (bits >> (18 - 6 * letter) & 63) as usize;
            text.push(if letter <= three.len() { char::from(LETTERS[six]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (text, want) in cases {
            assert_eq!(base64(text.as_bytes()), want, "{text}");
        }
    }
}
