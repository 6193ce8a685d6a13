//! The webhook: reviews of the API server, answered.
//!
//! A review has two seconds in all. Whatever goes wrong here, other pods are
//! never held up: the API server goes on without us (`failurePolicy: Ignore`),
//! and the watch repairs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use serde_json::Value;
use tokio::time::timeout;

use crate::annotation::Annotation;
use crate::controller::AttachError;
use crate::facts::Facts;
use crate::names::NETWORKS;
use crate::networks::Want;
use crate::plan::{Message, warn};
use crate::status::Health;
use crate::sync::{Bridge, joined};
use crate::verdict::{Binding, Denial, OnBinding, OnPod, on_binding, on_pod};

/// How long reading the pod may take, and by when a review is answered: in
/// time for the API server's two seconds.
const READ: Duration = Duration::from_millis(600);
const ANSWER: Duration = Duration::from_millis(1_500);
/// The largest review, in bytes: an object, and the one before it.
const LARGEST: usize = 8 << 20;

/// The webhook's paths, and those of its health.
pub fn router(bridge: Bridge, health: Health) -> Router {
    Router::new()
        .route("/bindings", post(bindings))
        .route("/pods", post(pods))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Arc::new(bridge))
        .merge(health_router(health))
}

/// `/healthz` and `/readyz`.
pub fn health_router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .with_state(health)
}

async fn readyz(State(health): State<Health>) -> Response {
    match health.waits_for() {
        None => "ok".into_response(),
        Some(what) => (StatusCode::SERVICE_UNAVAILABLE, what).into_response(),
    }
}

async fn bindings(State(bridge): State<Arc<Bridge>>, body: Bytes) -> Response {
    let start = Instant::now();
    let request = match read(&body) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    let answer = AdmissionResponse::from(&request);
    let (answer, outcome) = match Binding::read(&request) {
        None => (answer, "other"),
        Some(binding) => bridge.review_binding(&binding, answer, start).await,
    };
    reply(answer, "bindings", outcome, start)
}

async fn pods(State(bridge): State<Arc<Bridge>>, body: Bytes) -> Response {
    let start = Instant::now();
    let request = match read(&body) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    let answer = AdmissionResponse::from(&request);
    let namespace = request.namespace.clone().unwrap_or_default();
    let pod = request.object.and_then(|object| object.try_parse::<Pod>().ok());
    let (answer, outcome) = match pod {
        // What isn't a pod is none of ours.
        None => (answer, "other"),
        Some(pod) => bridge.review_pod(&pod, &namespace, answer).await,
    };
    reply(answer, "pods", outcome, start)
}

fn read(body: &[u8]) -> Result<AdmissionRequest<DynamicObject>, Box<Response>> {
    let refuse = |why: String| {
        tracing::warn!(why, "a review can't be read");
        let review = AdmissionResponse::invalid(why).into_review();
        Box::new((StatusCode::BAD_REQUEST, Json(review)).into_response())
    };
    let review: AdmissionReview<DynamicObject> =
        serde_json::from_slice(body).map_err(|error| refuse(error.to_string()))?;
    review.try_into().map_err(|_| refuse("a review without a request".to_owned()))
}

fn reply(
    answer: AdmissionResponse,
    kind: &'static str,
    outcome: &'static str,
    start: Instant,
) -> Response {
    let labels = [("kind", kind), ("outcome", outcome)];
    metrics::counter!("isolane_bridge_reviews_total", &labels).increment(1);
    metrics::histogram!("isolane_bridge_review_seconds", "kind" => kind).record(start.elapsed());
    Json(answer.into_review()).into_response()
}

/// How long a part of a review took: reading the pod at the API server, or
/// getting its ports from the controller.
fn took(part: &'static str, begin: Instant) {
    metrics::histogram!("isolane_bridge_review_part_seconds", "part" => part)
        .record(begin.elapsed());
}

fn denied(mut answer: AdmissionResponse, code: u16, message: &str) -> AdmissionResponse {
    answer.result.code = code;
    answer.deny(message)
}

fn patched(
    answer: AdmissionResponse,
    patch: Value,
) -> Result<AdmissionResponse, serde_json::Error> {
    let patch = serde_json::from_value(patch)?;
    answer.with_patch(patch).map_err(|error| serde::de::Error::custom(error.to_string()))
}

/// The answer that changes the object. A patch that can't be made is a defect
/// of ours, and no reason to hold anybody up.
fn change(answer: AdmissionResponse, patch: Value) -> (AdmissionResponse, &'static str) {
    match patched(answer.clone(), patch) {
        Ok(answer) => (answer, "patched"),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            (answer, "error")
        }
    }
}

impl Bridge {
    async fn review_binding(
        &self,
        binding: &Binding,
        answer: AdmissionResponse,
        start: Instant,
    ) -> (AdmissionResponse, &'static str) {
        let (namespace, pod) = (binding.namespace.as_str(), binding.name.as_str());
        let api: Api<Pod> = Api::namespaced(self.kube.clone(), namespace);
        let read = timeout(READ, api.get_opt(pod)).await;
        took("pod", start);
        let facts = match read {
            Ok(Ok(Some(found))) => Facts::of(&found),
            // The API server says so itself.
            Ok(Ok(None)) => return (answer, "no-pod"),
            Ok(Err(error)) => {
                tracing::warn!(namespace, pod, %error, "a pod can't be read; its binding passes");
                return (answer, "unread");
            }
            Err(_) => {
                tracing::warn!(namespace, pod, "a pod isn't read in time; its binding passes");
                return (answer, "unread");
            }
        };
        let Some(facts) = facts else { return (answer, "no-pod") };
        let annotation = binding.asks(&facts).and_then(|text| Annotation::parse(&text).ok());
        if annotation.is_none() && binding.asks(&facts).is_none() {
            return (answer, "passed");
        }
        let definitions = self.catalog.for_annotation(annotation.as_ref(), namespace).await;
        match on_binding(binding, &facts, &definitions) {
            OnBinding::Pass => (answer, "passed"),
            OnBinding::PassWarning(why) => {
                if !binding.dry_run {
                    self.events.pod(&facts, warn("NetworksIgnored", why));
                }
                (answer, "ignored")
            }
            OnBinding::Deny(Denial { code, reason, message }) => {
                if !binding.dry_run {
                    self.events.pod(&facts, warn(reason, message.clone()));
                }
                (denied(answer, code, &message), "denied")
            }
            OnBinding::Attach { .. } if binding.dry_run => (answer, "dry-run"),
            OnBinding::Attach { original, annotation, wants } => {
                let joining = self.join_now(&facts, &binding.node, &original, &annotation, &wants);
                let (begin, left) = (Instant::now(), ANSWER.saturating_sub(start.elapsed()));
                let joined_now = match timeout(left, joining).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err((503, self.late())),
                };
                took("ports", begin);
                match joined_now {
                    Ok(record) => {
                        self.events.pod(&facts, joined(&binding.node, &record));
                        change(answer, binding.patch(&record))
                    }
                    Err((code, message)) => {
                        let text = message.note.clone();
                        self.events.pod(&facts, message);
                        (denied(answer, code, &text), "denied")
                    }
                }
            }
        }
    }

    async fn join_now(
        &self,
        facts: &Facts,
        node: &str,
        original: &str,
        annotation: &Annotation,
        wants: &[Want],
    ) -> Result<crate::record::Record, (u16, Message)> {
        let attached = self.controller.attach(&self.cluster, &facts.key, node, wants).await;
        let error = match attached {
            Ok(ports) => {
                let record =
                    self.record(&facts.key, node, original, annotation, wants, &ports).await;
                match record {
                    Ok(record) => return Ok(record),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let code = match &error {
            AttachError::Full { .. } => 409,
            AttachError::Call(call) => call.problem().map_or(503, |it| it.status().max(403)),
            _ => 403,
        };
        Err((code, warn(error.reason(), error.to_string())))
    }

    fn late(&self) -> Message {
        let note = format!(
            "Isolane's controller at {} gave no ports in time; the pod is tried again",
            self.controller.client().server()
        );
        warn("ControllerAway", note)
    }

    async fn review_pod(
        &self,
        pod: &Pod,
        namespace: &str,
        mut answer: AdmissionResponse,
    ) -> (AdmissionResponse, &'static str) {
        let text = pod.metadata.annotations.as_ref().and_then(|all| all.get(NETWORKS));
        let annotation = text.and_then(|text| Annotation::parse(text).ok());
        let known = self.catalog.for_annotation(annotation.as_ref(), namespace);
        // Without the definitions in time the pod is as it came: its Binding is
        // looked at all the same.
        let Ok(definitions) = timeout(ANSWER, known).await else { return (answer, "unread") };
        match on_pod(pod, namespace, &definitions) {
            OnPod::Pass(warnings) => {
                if !warnings.is_empty() {
                    answer.warnings = Some(warnings);
                    return (answer, "ignored");
                }
                (answer, "passed")
            }
            OnPod::Deny(Denial { code, message, .. }) => (denied(answer, code, &message), "denied"),
            OnPod::Patch(patch) => change(answer, patch),
        }
    }
}
