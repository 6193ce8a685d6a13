//! The webhook's registration: a MutatingWebhookConfiguration that is kept as
//! it should be.
//!
//! Through a Service all replicas are one webhook. By URL each replica is one
//! of its own; asking two of them about one Binding gives one answer, since
//! the same owner gets the same port.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::events::fnv;

/// Where the API server finds this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this URL.
    Url(String),
    /// Behind this Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
}

/// How often a URL may be out of reach before its webhook is taken away.
const MISSES: u32 = 4;
const REACH: Duration = Duration::from_secs(1);

/// The registration, as one replica sees it.
pub struct Registration {
    api: Api<MutatingWebhookConfiguration>,
    name: String,
    place: Place,
    misses: HashMap<String, u32>,
}

impl Registration {
    /// Nothing is asked for yet.
    pub fn new(api: Api<MutatingWebhookConfiguration>, name: String, place: Place) -> Self {
        Self { api, name, place, misses: HashMap::new() }
    }

    /// Makes it as it should be; says whether anything had to change. Without
    /// `ca` somebody else keeps the `caBundle`.
    pub async fn keep(&mut self, ca: Option<&[u8]>) -> anyhow::Result<bool> {
        let old = self.api.get_opt(&self.name).await.context("the webhook's configuration")?;
        let Some(new) = merged(old.as_ref(), &self.name, &self.place, ca) else {
            return Ok(false);
        };
        self.write(old.is_some(), &new).await
    }

    async fn write(
        &self,
        is_there: bool,
        new: &MutatingWebhookConfiguration,
    ) -> anyhow::Result<bool> {
        let written = if is_there {
            self.api.replace(&self.name, &PostParams::default(), new).await
        } else {
            self.api.create(&PostParams::default(), new).await
        };
        match written {
            Ok(_) => {
                tracing::info!(name = self.name, "the webhook is registered");
                Ok(true)
            }
            // Another replica was faster: looked at again next time.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
            Err(error) => Err(error).context("the webhook can't be registered"),
        }
    }

    /// Takes away replicas that were registered by URL and can't be reached
    /// any more: the API server would try them with every pod.
    pub async fn prune(&mut self) -> anyhow::Result<()> {
        let Some(old) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let urls: Vec<(String, String)> = others(&old, &self.place);
        self.misses.retain(|name, _| urls.iter().any(|(other, _)| other == name));
        let mut lost = Vec::new();
        for (name, url) in urls {
            if reaches(&url).await {
                self.misses.remove(&name);
                continue;
            }
            let misses = self.misses.entry(name.clone()).or_default();
            *misses += 1;
            if *misses >= MISSES {
                tracing::warn!(url, "a replica's webhook can't be reached, and is taken away");
                lost.push(name);
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let mut new = old;
        let webhooks = new.webhooks.get_or_insert_default();
        webhooks.retain(|webhook| !lost.contains(&webhook.name));
        self.write(true, &new).await.map(drop)
    }
}

/// Webhooks of ours at other URLs.
fn others(config: &MutatingWebhookConfiguration, place: &Place) -> Vec<(String, String)> {
    let webhooks = config.webhooks.iter().flatten();
    let url = |webhook: &MutatingWebhook| {
        let url = webhook.client_config.url.clone()?;
        let mine = matches!(place, Place::Url(mine) if url.starts_with(mine.trim_end_matches('/')));
        (!mine).then(|| (webhook.name.clone(), url))
    };
    webhooks.filter_map(url).collect()
}

async fn reaches(url: &str) -> bool {
    let Some((host, port)) = host_and_port(url) else { return false };
    matches!(timeout(REACH, TcpStream::connect((host.as_str(), port))).await, Ok(Ok(_)))
}

/// The host and port of an `https` URL.
pub fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: axum::http::Uri = url.parse().ok()?;
    if uri.scheme_str() != Some("https") {
        return None;
    }
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

/// The configuration with this replica's webhooks in it; `None` if it is right.
fn merged(
    old: Option<&MutatingWebhookConfiguration>,
    name: &str,
    place: &Place,
    ca: Option<&[u8]>,
) -> Option<MutatingWebhookConfiguration> {
    let mut new = old.cloned().unwrap_or_else(|| MutatingWebhookConfiguration {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        webhooks: None,
    });
    let webhooks = new.webhooks.get_or_insert_default();
    for mut mine in ours(place, ca) {
        match webhooks.iter_mut().find(|webhook| webhook.name == mine.name) {
            Some(there) => {
                if ca.is_none() {
                    mine.client_config.ca_bundle = there.client_config.ca_bundle.clone();
                }
                *there = mine;
            }
            None => webhooks.push(mine),
        }
    }
    (old != Some(&new)).then_some(new)
}

/// This replica's webhooks. Every field that the API server would fill in is
/// given, so that what comes back is equal.
fn ours(place: &Place, ca: Option<&[u8]>) -> [MutatingWebhook; 2] {
    let mark = match place {
        Place::Url(url) => format!("-{:08x}", fnv(&[url]) as u32),
        Place::Service { .. } => String::new(),
    };
    let client_config = |path: &str| {
        let mut config = WebhookClientConfig {
            ca_bundle: ca.map(|ca| ByteString(ca.to_vec())),
            ..WebhookClientConfig::default()
        };
        match place {
            Place::Url(url) => config.url = Some(format!("{}{path}", url.trim_end_matches('/'))),
            Place::Service { namespace, name, port } => {
                config.service = Some(ServiceReference {
                    name: name.clone(),
                    namespace: namespace.clone(),
                    path: Some(path.to_owned()),
                    port: Some((*port).into()),
                });
            }
        }
        config
    };
    let webhook = |kind: &str, path: &str, resources: &[&str], reinvoke: &str| MutatingWebhook {
        name: format!("{kind}{mark}.isolane.io"),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(path),
        failure_policy: Some("Ignore".to_owned()),
        match_conditions: None,
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(Default::default()),
        object_selector: Some(Default::default()),
        reinvocation_policy: Some(reinvoke.to_owned()),
        rules: Some(vec![RuleWithOperations {
            api_groups: Some(vec![String::new()]),
            api_versions: Some(vec!["v1".to_owned()]),
            operations: Some(vec!["CREATE".to_owned()]),
            resources: Some(resources.iter().map(|&resource| resource.to_owned()).collect()),
            scope: Some("*".to_owned()),
        }]),
        side_effects: "NoneOnDryRun".to_owned(),
        timeout_seconds: Some(2),
    };
    [
        webhook("bindings", "/bindings", &["pods/binding", "bindings"], "Never"),
        // Another webhook may add the annotation after us.
        webhook("pods", "/pods", &["pods"], "IfNeeded"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Place {
        Place::Url(url.to_owned())
    }

    #[test]
    fn replicas_by_url_stand_side_by_side_and_by_service_are_one() {
        let one = merged(None, "n", &url("https://127.0.0.1:1"), Some(b"ca")).unwrap();
        let two = merged(Some(&one), "n", &url("https://127.0.0.1:2/"), Some(b"ca")).unwrap();
        assert_eq!(two.webhooks.as_ref().unwrap().len(), 4);
        assert_eq!(merged(Some(&two), "n", &url("https://127.0.0.1:1"), Some(b"ca")), None);
        let found = others(&two, &url("https://127.0.0.1:1"));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(_, url)| url.starts_with("https://127.0.0.1:2/")));

        let service =
            || Place::Service { namespace: "ns".to_owned(), name: "svc".to_owned(), port: 443 };
        let one = merged(None, "n", &service(), Some(b"ca")).unwrap();
        assert_eq!(merged(Some(&one), "n", &service(), Some(b"ca")), None);
        let names: Vec<_> =
            one.webhooks.as_ref().unwrap().iter().map(|webhook| webhook.name.as_str()).collect();
        assert_eq!(names, ["bindings.isolane.io", "pods.isolane.io"]);
    }

    #[test]
    fn what_somebody_changed_is_put_right() {
        let place = url("https://127.0.0.1:1");
        let right = merged(None, "n", &place, Some(b"ca")).unwrap();
        let mut wrong = right.clone();
        wrong.webhooks.as_mut().unwrap()[0].failure_policy = Some("Fail".to_owned());
        wrong.webhooks.as_mut().unwrap()[1].client_config.ca_bundle = None;
        assert_eq!(merged(Some(&wrong), "n", &place, Some(b"ca")), Some(right.clone()));
        wrong.webhooks.as_mut().unwrap().clear();
        assert_eq!(merged(Some(&wrong), "n", &place, Some(b"ca")), Some(right));
    }

    #[test]
    fn another_ca_replaces_the_bundle_and_none_leaves_it() {
        let place = url("https://127.0.0.1:1");
        let old = merged(None, "n", &place, Some(b"ca")).unwrap();
        let new = merged(Some(&old), "n", &place, Some(b"new")).unwrap();
        let bundle = |config: &MutatingWebhookConfiguration| {
            config.webhooks.as_ref().unwrap()[0].client_config.ca_bundle.clone().unwrap().0
        };
        assert_eq!(bundle(&new), b"new");
        assert_eq!(merged(Some(&new), "n", &place, None), None);
    }

    #[test]
    fn a_url_gives_host_and_port() {
        assert_eq!(host_and_port("https://127.0.0.1:9443/x"), Some(("127.0.0.1".to_owned(), 9443)));
        assert_eq!(host_and_port("https://[::1]:1"), Some(("::1".to_owned(), 1)));
        assert_eq!(host_and_port("https://bridge"), Some(("bridge".to_owned(), 443)));
        assert_eq!(host_and_port("http://bridge"), None);
    }
}
