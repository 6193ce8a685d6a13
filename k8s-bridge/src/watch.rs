//! Following objects of the API server: list, watch, resume, and list again
//! where the server has forgotten what we know (410).

use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, utils::Backoff};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// Gives every event to `on` until `stop`. Errors are waited out; the watcher
/// resumes where it was, or starts again with [`Event::Init`].
pub async fn follow<K>(
    api: Api<K>,
    what: &'static str,
    stop: &CancellationToken,
    mut on: impl FnMut(Event<K>),
) where
    K: Resource + ResourceExt + Clone + DeserializeOwned + Debug + Send + 'static,
{
    // Bookmarks, and lists in pages: both are older than any server we meet.
    // Lists that are streamed are not.
    let events = watcher(api, watcher::Config::default()).backoff(Patience::default());
    let mut events = std::pin::pin!(events);
    let mut failing = false;
    while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
        match event {
            Ok(event) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(what, "the watch goes on");
                }
                if matches!(event, Event::Init) {
                    metrics::counter!("isolane_bridge_lists_total", "what" => what).increment(1);
                }
                on(event);
            }
            Err(error) => {
                metrics::counter!("isolane_bridge_watch_errors_total", "what" => what).increment(1);
                // A watch that is resumed or starts again is nothing to worry about.
                if std::mem::replace(&mut failing, true) {
                    tracing::debug!(what, %error, "still no watch");
                } else {
                    tracing::warn!(what, %error, "the watch broke off; it is tried again");
                }
            }
        }
    }
}

/// From a fifth of a second to five: an API server that restarts is found
/// again soon, and one that is away isn't hurried.
#[derive(Default)]
struct Patience(u32);

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(200 << self.0.min(5));
        self.0 = self.0.saturating_add(1);
        Some(wait.min(Duration::from_secs(5)))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.0 = 0;
    }
}
