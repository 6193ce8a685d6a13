//! The cluster's definitions, as every replica keeps them, with a live read
//! for what it hasn't heard of.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use api::values::NetworkName;
use kube::Client;
use kube::api::{Api, ApiResource, GroupVersionKind};
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::annotation::Annotation;
use crate::networks::{Definition, Definitions, Key};
use crate::watch::follow;

/// The kind of network attachment definitions.
pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition");
    ApiResource::from_gvk_with_plural(&kind, "network-attachment-definitions")
}

/// A handle; clones share what is known.
#[derive(Clone)]
pub struct Catalog {
    client: Client,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    known: RwLock<Arc<Definitions>>,
    listed: AtomicBool,
    changed: Notify,
    /// Networks that were given the label to enforce addresses, or lost it.
    relabelled: Mutex<BTreeSet<NetworkName>>,
}

impl Catalog {
    /// An empty one.
    pub fn new(client: Client) -> Self {
        Self { client, shared: Arc::default() }
    }

    /// All definitions that are known now.
    pub fn known(&self) -> Arc<Definitions> {
        Arc::clone(&self.shared.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether all of them have been listed once.
    pub fn is_listed(&self) -> bool {
        self.shared.listed.load(Ordering::Acquire)
    }

    /// The networks that were given the label to enforce addresses, or lost it,
    /// since this was last asked.
    pub fn take_relabelled(&self) -> BTreeSet<NetworkName> {
        let mut all = self.shared.relabelled.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }

    /// Waits for the next change.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Follows the cluster's definitions until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let api = Api::all_with(self.client.clone(), &resource());
        let mut listing = Definitions::default();
        follow(api, "network attachment definitions", &stop, |event| {
            match event {
                Event::Init => listing = Definitions::default(),
                Event::InitApply(object) => {
                    if let Some(definition) = Definition::of(&object) {
                        listing.put(definition);
                    }
                    return;
                }
                Event::InitDone => {
                    let all = std::mem::take(&mut listing);
                    self.change(|known| *known = all);
                    self.shared.listed.store(true, Ordering::Release);
                }
                Event::Apply(object) => {
                    let Some(definition) = Definition::of(&object) else { return };
                    self.change(|known| known.put(definition));
                }
                Event::Delete(object) => {
                    let Some(definition) = Definition::of(&object) else { return };
                    self.change(|known| drop(known.remove(&definition.key())));
                }
            }
            self.shared.changed.notify_one();
        })
        .await;
    }

    fn change(&self, change: impl FnOnce(&mut Definitions)) {
        let (before, now) = {
            let mut known = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
            let before = enforced(&known);
            change(Arc::make_mut(&mut known));
            (before, enforced(&known))
        };
        let mut relabelled = self.shared.relabelled.lock().unwrap_or_else(PoisonError::into_inner);
        relabelled.extend(before.symmetric_difference(&now).cloned());
    }

    /// The definitions that matter to an annotation of a pod in `namespace`:
    /// what is known, and what a live read finds of those that are not.
    pub async fn for_annotation(
        &self,
        annotation: Option<&Annotation>,
        namespace: &str,
    ) -> Arc<Definitions> {
        let mut known = self.known();
        let entries = annotation.map(Annotation::entries).unwrap_or_default();
        let mut missing: Vec<Key> = entries.iter().map(|entry| entry.key(namespace)).collect();
        missing.retain(|(namespace, name)| known.find(namespace, name).is_none());
        missing.sort();
        missing.dedup();
        for key in missing.into_iter().take(16) {
            match self.read(&key).await {
                Ok(Some(definition)) => Arc::make_mut(&mut known).put(definition),
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    namespace = key.0, definition = key.1, %error,
                    "a network attachment definition can't be read"
                ),
            }
        }
        known
    }

    /// One definition, from the API server.
    pub async fn read(&self, (namespace, name): &Key) -> Result<Option<Definition>, kube::Error> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource());
        Ok(api.get_opt(name).await?.as_ref().and_then(Definition::of))
    }
}

/// The networks whose pods are held to their addresses.
fn enforced(definitions: &Definitions) -> BTreeSet<NetworkName> {
    let labelled = definitions.iter().filter(|definition| definition.enforce);
    labelled.filter_map(|definition| definition.network()).collect()
}
