//! Which replica leads: a Lease of the coordination API.
//!
//! A holder that isn't seen to renew for [`DURATION`] by this replica's own
//! clock has lost it; clocks of other machines don't matter.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a lease holds without being renewed.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long a holder may fail to renew before it stops by itself.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often it is tried.
const RETRY: Duration = Duration::from_secs(2);

/// A lease, as one replica sees it.
pub struct Elected {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// What was last seen, and since when.
    seen: Option<(Lease, Instant)>,
}

impl Elected {
    /// Nothing is asked for yet. The identity must be this replica's alone.
    pub fn new(api: Api<Lease>, name: String, identity: String) -> Self {
        Self { api, name, identity, seen: None }
    }

    /// Waits until this replica leads; `false` if `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            match stop.run_until_cancelled(self.try_hold()).await {
                None => return false,
                Some(Ok(true)) => return true,
                Some(Ok(false)) => {}
                Some(Err(error)) => tracing::warn!(%error, "the lease can't be asked for"),
            }
            if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                return false;
            }
        }
    }

    /// Keeps the lease until `stop`, or until it is lost.
    pub async fn keep(&mut self, stop: &CancellationToken) {
        let mut held = Instant::now();
        loop {
            if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                return;
            }
            let left = DEADLINE.saturating_sub(held.elapsed());
            match timeout(left, self.try_hold()).await {
                Ok(Ok(true)) => held = Instant::now(),
                Ok(Ok(false)) => {
                    tracing::warn!("another replica leads now");
                    return;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the lease isn't renewed yet"),
                Err(_) => {
                    tracing::warn!("the lease could not be renewed in time");
                    return;
                }
            }
        }
    }

    /// Gives it back, so that another replica needn't wait for it to end.
    pub async fn release(&mut self) {
        let Some((lease, _)) = self.seen.clone() else { return };
        if holder(&lease) != Some(self.identity.as_str()) {
            return;
        }
        let mut free = lease;
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let how = PostParams::default();
        match timeout(RETRY, self.api.replace(&self.name, &how, &free)).await {
            Ok(Ok(_)) => {}
            _ => tracing::info!("the lease wasn't given back; it ends by itself"),
        }
    }

    /// Whether this replica holds it now, after having tried.
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(None, Timestamp::now())),
            };
            return self.won(self.api.create(&PostParams::default(), &lease).await);
        };
        let now = Instant::now();
        let since = match &self.seen {
            Some((seen, since)) if seen.spec == lease.spec => *since,
            _ => now,
        };
        self.seen = Some((lease.clone(), since));
        let ours = holder(&lease) == Some(self.identity.as_str());
        if !ours && !is_free(&lease, now.duration_since(since)) {
            return Ok(false);
        }
        let spec = Some(self.spec(lease.spec.as_ref().filter(|_| ours), Timestamp::now()));
        let mut next = Lease { spec, ..lease.clone() };
        if !ours && let Some(spec) = &mut next.spec {
            let before = lease.spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
            spec.lease_transitions = Some(before.saturating_add(1));
        }
        // Whoever writes first has it: the resourceVersion is of what was read.
        self.won(self.api.replace(&self.name, &PostParams::default(), &next).await)
    }

    fn won(&mut self, answer: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match answer {
            Ok(lease) => {
                self.seen = Some((lease, Instant::now()));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let acquired = before.and_then(|before| before.acquire_time.clone());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(acquired.unwrap_or(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: before.and_then(|before| before.lease_transitions),
            ..LeaseSpec::default()
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// Whether nobody holds it who was seen to renew it lately.
fn is_free(lease: &Lease, unchanged: Duration) -> bool {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let lasts = seconds.and_then(|s| u64::try_from(s).ok()).map_or(DURATION, Duration::from_secs);
    holder(lease).is_none() || unchanged > lasts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>, seconds: Option<i32>) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                lease_duration_seconds: seconds,
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_is_free_once_it_was_not_renewed_for_its_time() {
        let seconds = Duration::from_secs;
        let cases = [
            (lease(None, Some(15)), seconds(0), true),
            (lease(Some(""), Some(15)), seconds(0), true),
            (lease(Some("other"), Some(15)), seconds(15), false),
            (lease(Some("other"), Some(15)), seconds(16), true),
            (lease(Some("other"), Some(3)), seconds(4), true),
            (lease(Some("other"), None), seconds(14), false),
            (lease(Some("other"), Some(-1)), seconds(14), false),
        ];
        for (lease, unchanged, free) in cases {
            assert_eq!(is_free(&lease, unchanged), free, "{lease:?} {unchanged:?}");
        }
    }
}
