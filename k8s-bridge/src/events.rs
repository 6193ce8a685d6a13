//! Events: what people see with `kubectl describe`.
//!
//! An event's name is made from what it says, so that the same one from two
//! replicas, or before and after a restart, is one event with a count. They
//! are sent from a queue, so that nobody waits for them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::facts::Facts;
use crate::networks::Definition;
use crate::plan::Message;

/// The same event isn't sent again within this time.
const QUIET: Duration = Duration::from_secs(300);
/// The longest note that the API server takes, in bytes.
const NOTE: usize = 1024;

/// Who says it.
pub const REPORTER: &str = "isolane.io/k8s-bridge";

/// A handle; clones send to one queue.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(ObjectReference, Message)>,
}

impl Events {
    /// The queue, and the task that sends what is in it until `stop`, and then
    /// what is left.
    pub fn new(
        client: Client,
        instance: String,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()>) {
        let (queue, messages) = mpsc::channel(4096);
        (Self { queue }, send(client, instance, messages, stop))
    }

    /// Says something about a pod.
    pub fn pod(&self, pod: &Facts, message: Message) {
        self.about(
            ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                namespace: Some(pod.key.namespace.clone()),
                name: Some(pod.name.clone()),
                uid: Some(pod.key.uid.clone()),
                ..ObjectReference::default()
            },
            message,
        );
    }

    /// Says something about a definition.
    pub fn definition(&self, definition: &Definition, message: Message) {
        self.about(
            ObjectReference {
                api_version: Some("k8s.cni.cncf.io/v1".to_owned()),
                kind: Some("NetworkAttachmentDefinition".to_owned()),
                namespace: Some(definition.namespace.clone()),
                name: Some(definition.name.clone()),
                uid: Some(definition.uid.clone()),
                ..ObjectReference::default()
            },
            message,
        );
    }

    fn about(&self, object: ObjectReference, message: Message) {
        let Message { warning, reason, note } = &message;
        let (namespace, name) = (object.namespace.as_deref(), object.name.as_deref());
        let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
        if *warning {
            tracing::warn!(namespace, name, reason, "{note}");
        } else {
            tracing::info!(namespace, name, reason, "{note}");
        }
        if self.queue.try_send((object, message)).is_err() {
            metrics::counter!("isolane_bridge_events_dropped_total").increment(1);
        }
    }
}

async fn send(
    client: Client,
    instance: String,
    mut messages: mpsc::Receiver<(ObjectReference, Message)>,
    stop: CancellationToken,
) {
    let mut sent: HashMap<String, Instant> = HashMap::new();
    let mut ending = false;
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled(), if !ending => {
                messages.close();
                ending = true;
                continue;
            }
            next = messages.recv() => next,
        };
        let Some((object, message)) = next else { return };
        let name = name_of(&object, &message);
        sent.retain(|_, at| at.elapsed() < QUIET);
        if sent.contains_key(&name) {
            continue;
        }
        let namespace = object.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        match publish(&api, &name, object, &message, &instance).await {
            Ok(()) => {
                sent.insert(name, Instant::now());
            }
            Err(error) => {
                // A namespace that is being deleted takes none, for one.
                metrics::counter!("isolane_bridge_events_dropped_total").increment(1);
                tracing::debug!(%error, reason = message.reason, "an event wasn't taken");
            }
        }
    }
}

async fn publish(
    api: &Api<Event>,
    name: &str,
    object: ObjectReference,
    message: &Message,
    instance: &str,
) -> Result<(), kube::Error> {
    let event = event(name, object, message, instance, Timestamp::now());
    match api.create(&PostParams::default(), &event).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let old = api.get(name).await?;
            let count = old.series.map_or(1, |series| series.count).saturating_add(1);
            let series = EventSeries { count, last_observed_time: MicroTime(Timestamp::now()) };
            let patch = Patch::Merge(json!({"series": series}));
            api.patch(name, &PatchParams::default(), &patch).await.map(drop)
        }
        other => other.map(drop),
    }
}

fn event(
    name: &str,
    object: ObjectReference,
    message: &Message,
    instance: &str,
    now: Timestamp,
) -> Event {
    let mut note = message.note.clone();
    if note.len() > NOTE {
        let end = (0..=NOTE - 3).rev().find(|end| note.is_char_boundary(*end)).unwrap_or_default();
        note.truncate(end);
        note.push_str("...");
    }
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: object.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some(message.reason.to_owned()),
        reason: Some(message.reason.to_owned()),
        note: Some(note),
        type_: Some(if message.warning { "Warning" } else { "Normal" }.to_owned()),
        event_time: Some(MicroTime(now)),
        regarding: Some(object),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some(instance.chars().take(128).collect()),
        ..Event::default()
    }
}

/// The object's name and a mark of what is said about it.
fn name_of(object: &ObjectReference, message: &Message) -> String {
    let name = object.name.as_deref().unwrap_or_default();
    let uid = object.uid.as_deref().unwrap_or_default();
    let mark = fnv(&[uid, message.reason, &message.note]);
    let room: String = name.chars().take(253 - 17).collect();
    format!("{}.{mark:016x}", room.trim_end_matches(['.', '-']))
}

/// FNV-1a, 64 bits: the same on every replica and in every version.
pub(crate) fn fnv(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> ObjectReference {
        ObjectReference {
            name: Some(name.to_owned()),
            namespace: Some("shop".to_owned()),
            uid: Some("u1".to_owned()),
            ..ObjectReference::default()
        }
    }

    fn message(note: &str) -> Message {
        Message { warning: true, reason: "PoolExhausted", note: note.to_owned() }
    }

    #[test]
    fn the_same_words_make_the_same_event() {
        let name = name_of(&pod("p1"), &message("full"));
        assert_eq!(name, name_of(&pod("p1"), &message("full")));
        assert_ne!(name, name_of(&pod("p1"), &message("fuller")));
        assert!(name.starts_with("p1."), "{name}");
        let long = name_of(&pod(&format!("{}-{}", "a".repeat(235), "b".repeat(10))), &message("x"));
        assert!(long.len() <= 253 && !long.contains("-."), "{long}");
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = "é".repeat(2000);
        let event = event("n", pod("p1"), &message(&note), "me", Timestamp::now());
        let note = event.note.unwrap();
        assert!(note.len() <= NOTE && note.ends_with("é..."));
        assert_eq!(event.type_.as_deref(), Some("Warning"));
    }
}
