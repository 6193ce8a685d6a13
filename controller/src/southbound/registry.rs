//! Which session is which switch: one a datapath id, and the living one stays.
//!
//! A second session with an id that is taken asks the first for a sign of
//! life. If that comes, the second is refused: two switches have one id, and
//! the one that works is not disturbed. If it doesn't, the first session ends
//! itself, and the second goes on.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use openflow::DatapathId;
use tokio::sync::{mpsc, oneshot};

use super::event::SessionId;

/// The answer to a probe: sent when the switch gave a sign of life, dropped
/// when the session ended, in either case after its place here is free.
pub(super) type Probe = oneshot::Sender<()>;

/// Probes that may wait for one answer; more count as answered.
pub(super) const PROBES: usize = 16;

/// All sessions that said which switch they are.
#[derive(Default)]
pub(super) struct Registry {
    sessions: DashMap<DatapathId, Claim>,
}

struct Claim {
    session: SessionId,
    probes: mpsc::Sender<Probe>,
}

/// What became of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It is this session's until it is released.
    Yes,
    /// The other session is alive.
    Taken(SessionId),
}

impl Registry {
    /// Takes `dpid` for `session`, after probing whoever has it. Ends within the
    /// bound in which sessions answer probes or end.
    pub(super) async fn claim(
        &self,
        dpid: DatapathId,
        session: SessionId,
        probes: mpsc::Sender<Probe>,
    ) -> Claimed {
        loop {
            let (other, channel) = match self.sessions.entry(dpid) {
                Entry::Vacant(place) => {
                    place.insert(Claim { session, probes });
                    return Claimed::Yes;
                }
                Entry::Occupied(place) => (place.get().session, place.get().probes.clone()),
            };
            let (probe, answer) = oneshot::channel();
            match channel.try_send(probe) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => return Claimed::Taken(other),
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    // It ended, and this was seen before its claim was gone.
                    self.release(dpid, other);
                    continue;
                }
            }
            drop(channel);
            if answer.await.is_ok() {
                return Claimed::Taken(other);
            }
        }
    }

    /// Gives `dpid` back, if it is still this session's.
    pub(super) fn release(&self, dpid: DatapathId, session: SessionId) {
        self.sessions.remove_if(&dpid, |_, claim| claim.session == session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DPID: DatapathId = DatapathId(7);

    #[tokio::test]
    async fn a_living_session_keeps_its_switch_and_a_dead_one_does_not() {
        let registry = Registry::default();
        let (probes, mut old) = mpsc::channel(PROBES);
        assert_eq!(registry.claim(DPID, SessionId(1), probes).await, Claimed::Yes);

        let (probes, _new) = mpsc::channel(PROBES);
        let alive = async { old.recv().await.unwrap().send(()).unwrap() };
        let (claimed, ()) = tokio::join!(registry.claim(DPID, SessionId(2), probes.clone()), alive);
        assert_eq!(claimed, Claimed::Taken(SessionId(1)));

        let dies = async {
            let probe = old.recv().await.unwrap();
            registry.release(DPID, SessionId(1));
            drop(probe);
        };
        let (claimed, ()) = tokio::join!(registry.claim(DPID, SessionId(3), probes), dies);
        assert_eq!(claimed, Claimed::Yes);

        // A late farewell of the old one doesn't free what isn't its any more.
        registry.release(DPID, SessionId(1));
        assert_eq!(registry.sessions.get(&DPID).map(|claim| claim.session), Some(SessionId(3)));
    }

    #[tokio::test]
    async fn a_crowd_of_duplicates_is_refused_without_more_probes() {
        let registry = Registry::default();
        let (probes, mut old) = mpsc::channel(1);
        assert_eq!(registry.claim(DPID, SessionId(1), probes).await, Claimed::Yes);
        let (probes, _new) = mpsc::channel(1);
        let crowd = async {
            let first = registry.claim(DPID, SessionId(2), probes.clone());
            let second = registry.claim(DPID, SessionId(3), probes.clone());
            tokio::pin!(first);
            // The first one's probe waits; nobody looked at it yet.
            assert!(futures_pending(&mut first).await);
            assert_eq!(second.await, Claimed::Taken(SessionId(1)));
            old.recv().await.unwrap().send(()).unwrap();
            first.await
        };
        assert_eq!(crowd.await, Claimed::Taken(SessionId(1)));
    }

    async fn futures_pending(future: &mut (impl Future<Output = Claimed> + Unpin)) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
