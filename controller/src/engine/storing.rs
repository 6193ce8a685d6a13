//! Changes on their way to the store.
//!
//! A change is checked against what was accepted before it, and is stored.
//! Only then it takes effect: in what callers see, in what switches are told,
//! and in its answer. So a change that can't be stored has done nothing, and
//! all that were accepted after it, and may build on it, fail with it.

use std::sync::Arc;

use openflow::DatapathId;
use tokio::sync::oneshot;

use super::Engine;
use crate::intents::Record;
use crate::model::NetworkId;
use crate::store::Outcome;
use crate::world::Fact;

/// Why nothing can be stored when the store's own task is gone.
const ENDED: &str = "the store failed and takes no changes until this program is started anew";

/// A change that was accepted and is on its way.
pub struct Started<T> {
    /// What is done by it.
    pub done: T,
    /// Resolves once it is durable, to the networks that now change; or to
    /// why it never happened.
    pub stored: Stored,
}

/// What follows from a change that is stored.
pub type Stored = oneshot::Receiver<Result<Vec<Settling>, String>>;

/// A network that changes, and what resolves once it is as it should be, as
/// far as its switches can be reached.
pub type Settling = (NetworkId, oneshot::Receiver<()>);

/// What a change does once it is stored; returns the networks that change.
type Then = Box<dyn FnOnce(&mut Engine) -> Vec<NetworkId> + Send>;

/// A change that isn't durable yet.
pub(super) struct Storing {
    batch: u64,
    records: Arc<[Record]>,
    /// Ids that were taken for it.
    taken: Vec<NetworkId>,
    then: Then,
    told: oneshot::Sender<Result<Vec<Settling>, String>>,
}

impl Storing {
    /// Whether a switch is forgotten by it.
    pub(super) fn forgets(&self, id: DatapathId) -> bool {
        self.records.iter().any(|it| matches!(it, Record::World(Fact::NoSwitch(of)) if *of == id))
    }
}

/// What a change consists of.
#[derive(Default)]
pub(super) struct Parts {
    pub records: Vec<Record>,
    /// Ids that were taken for it.
    pub taken: Vec<NetworkId>,
}

impl From<Vec<Record>> for Parts {
    fn from(records: Vec<Record>) -> Self {
        Self { records, taken: Vec::new() }
    }
}

impl Engine {
    /// Accepts a change. Nothing happens before it is stored but that other
    /// changes are checked against it; then `then` does the rest.
    pub(super) fn start<T>(
        &mut self,
        done: T,
        parts: impl Into<Parts>,
        then: impl FnOnce(&mut Self) -> Vec<NetworkId> + Send + 'static,
    ) -> Started<T> {
        let Parts { mut records, taken } = parts.into();
        if !self.world.ever_held && records.iter().any(|it| matches!(it, Record::Network(_))) {
            records.push(Record::World(Fact::EverHeld));
            // From then on only this says which switches are left alone.
            for id in &self.foreign {
                let switch = self.topology.switch(*id);
                records.extend(
                    switch.map(|switch| Record::World(Fact::Switch(*id, self.known(*id, switch)))),
                );
            }
        }
        if !records.is_empty() {
            // Before the change itself, which may be that a switch is forgotten.
            let untold = self.untold(&records);
            records.splice(0..0, untold);
        }
        let records: Arc<[Record]> = self.with_releases(records).into();
        for record in &*records {
            self.accepted.apply(record.clone());
            self.refile(record);
        }
        let (told, stored) = oneshot::channel();
        let then = Box::new(then);
        let mut storing = Storing { batch: 0, records, taken, then, told };
        if !storing.records.is_empty() {
            storing.batch = self.next_batch;
            self.next_batch += 1;
            self.store.commit(storing.batch, Arc::clone(&storing.records));
            self.storing.push_back(storing);
            if self.store_ended {
                self.take_back(ENDED);
            }
        } else if let Some(last) = self.storing.back() {
            // Nothing is left to do because of what isn't stored yet.
            storing.batch = last.batch;
            self.storing.push_back(storing);
        } else {
            self.take_effect(storing);
        }
        Started { done, stored }
    }

    /// The same for a change that touches these networks and no more.
    pub(super) fn start_on<T>(
        &mut self,
        done: T,
        parts: impl Into<Parts>,
        touched: impl IntoIterator<Item = NetworkId>,
    ) -> Started<T> {
        let touched: Vec<_> = touched.into_iter().collect();
        self.start(done, parts, |_| touched)
    }

    /// The store has something to say; `None` when it has ended.
    pub(super) fn on_outcome(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Stored(last)) => {
                while self.storing.front().is_some_and(|first| first.batch <= last) {
                    let Some(storing) = self.storing.pop_front() else { break };
                    self.take_effect(storing);
                }
            }
            Some(Outcome::Failed(reason)) => self.take_back(&reason),
            Some(Outcome::Noted(result)) => self.on_noted(result.is_ok()),
            None => {
                self.store_ended = true;
                self.take_back(ENDED);
            }
        }
    }

    fn take_effect(&mut self, storing: Storing) {
        for record in &*storing.records {
            match record {
                Record::World(fact) => self.world.apply(fact.clone()),
                record => self.intents.follow(record, &self.accepted),
            }
            if let Record::PoolPort(switch, ..) = record {
                self.sweep_due.insert(*switch);
            }
        }
        let touched = (storing.then)(self);
        let settling = touched.into_iter().map(|id| (id, self.settled(id))).collect();
        // Who doesn't wait any more doesn't want to know.
        let _ = storing.told.send(Ok(settling));
    }

    /// None of what is on its way will be stored: it was never accepted.
    fn take_back(&mut self, reason: &str) {
        self.free_ports.clear();
        for storing in std::mem::take(&mut self.storing) {
            for record in &*storing.records {
                self.accepted.revert(record, &self.intents);
            }
            for id in storing.taken {
                self.ids.release(id);
                // A switch may have come that holds something in its name.
                self.mark(id);
                self.free_id(id);
            }
            let _ = storing.told.send(Err(reason.to_owned()));
        }
        self.store.resume();
    }
}
