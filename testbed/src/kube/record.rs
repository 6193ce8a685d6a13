//! What anybody who watches pods is told, write by write.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::Request;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::api::Api;
use super::cluster::Cluster;
use crate::error::LabError;

/// All writes to pods since it was started, in order.
#[derive(Debug)]
pub struct Record {
    seen: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<Result<(), LabError>>,
}

impl Cluster {
    /// Starts to take down each write to a pod, of all namespaces.
    ///
    /// # Errors
    /// [`LabError`] when pods can't be listed.
    pub fn record_pods(&self) -> Result<Record, LabError> {
        let path = "/api/v1/pods";
        let now = self.api().done(self.api().get(&format!("{path}?limit=1")))?;
        let from = now["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        Ok(Record::start(self.runtime(), self.api().clone(), path.to_owned(), from))
    }
}

impl Record {
    fn start(runtime: &Runtime, api: Api, path: String, from: String) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = runtime.spawn(watch(api, path, from, Arc::clone(&seen)));
        Self { seen, task }
    }

    /// The objects as each write left them; the last of a deleted one is as it was then.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when the watch has ended, so that there may be more.
    pub fn writes(&self) -> Result<Vec<Value>, LabError> {
        if self.task.is_finished() {
            return Err(LabError::Wrong("the watch for the record has ended".to_owned()));
        }
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Resumes where it was when the server ends the watch, which it does now and then.
async fn watch(
    api: Api,
    path: String,
    mut from: String,
    seen: Arc<Mutex<Vec<Value>>>,
) -> Result<(), LabError> {
    let failed = |error: &dyn std::fmt::Display| LabError::Wrong(format!("watching: {error}"));
    loop {
        let path = format!("{path}?watch=true&resourceVersion={from}&timeoutSeconds=600");
        let request =
            Request::get(&path).body(Vec::new().into()).map_err(|error| failed(&error))?;
        let mut body = match api.client().send(request).await {
            Ok(answer) if answer.status() == 200 => answer.into_body(),
            Ok(answer) => return Err(failed(&answer.status())),
            Err(_) => {
                // The API server is being restarted.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let mut rest = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).map_err(|error| failed(&error))?;
                let object = &event["object"];
                if event["type"] == "ERROR" {
                    return Err(failed(object));
                }
                if let Some(version) = object["metadata"]["resourceVersion"].as_str() {
                    version.clone_into(&mut from);
                }
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(object.clone());
            }
        }
    }
}
