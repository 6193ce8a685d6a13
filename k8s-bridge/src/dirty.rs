//! What needs work: each thing once, by one worker at a time, and again later
//! when it failed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// A handle; clones are of one queue.
pub struct Dirty<K>(Arc<Shared<K>>);

impl<K> Clone for Dirty<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<K> {
    state: Mutex<State<K>>,
    more: Notify,
}

struct State<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    running: HashSet<K>,
    /// Marked again while it ran.
    again: HashSet<K>,
    failures: HashMap<K, u32>,
}

impl<K: Clone + Eq + Hash + Send + 'static> Dirty<K> {
    /// An empty one.
    pub fn new() -> Self {
        let state = State {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            running: HashSet::new(),
            again: HashSet::new(),
            failures: HashMap::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), more: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This needs work.
    pub fn mark(&self, key: K) {
        let mut state = self.state();
        if state.running.contains(&key) {
            state.again.insert(key);
        } else if state.queued.insert(key.clone()) {
            state.ready.push_back(key);
            self.0.more.notify_one();
        }
    }

    /// This may need work: no hurry if it has just failed, and comes back
    /// anyway.
    pub fn suggest(&self, key: K) {
        if !self.state().failures.contains_key(&key) {
            self.mark(key);
        }
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    /// Whether nothing waits or is being worked on.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.ready.is_empty() && state.running.is_empty()
    }

    /// The next thing, which is this caller's until [`Self::done`].
    pub async fn next(&self) -> K {
        loop {
            {
                let mut state = self.state();
                if let Some(key) = state.ready.pop_front() {
                    state.queued.remove(&key);
                    state.running.insert(key.clone());
                    if !state.ready.is_empty() {
                        self.0.more.notify_one();
                    }
                    return key;
                }
            }
            self.0.more.notified().await;
        }
    }

    /// It was worked on. A failure brings it back, later each time.
    pub fn done(&self, key: K, well: bool) {
        let mut state = self.state();
        state.running.remove(&key);
        let again = state.again.remove(&key);
        if well {
            state.failures.remove(&key);
            drop(state);
            if again {
                self.mark(key);
            }
            return;
        }
        let failures = state.failures.entry(key.clone()).or_insert(0);
        let wait = Duration::from_millis(500 << (*failures).min(6));
        *failures = failures.saturating_add(1);
        drop(state);
        let later = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            later.mark(key);
        });
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for Dirty<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thing_runs_once_at_a_time_and_again_if_it_was_marked_meanwhile() {
        let dirty = Dirty::new();
        dirty.mark("a");
        dirty.mark("a");
        dirty.mark("b");
        assert_eq!(dirty.next().await, "a");
        dirty.mark("a");
        assert_eq!(dirty.next().await, "b");
        assert_eq!(dirty.len(), 0);
        dirty.done("a", true);
        assert_eq!(dirty.next().await, "a");
        dirty.done("a", true);
        dirty.done("b", true);
        assert!(dirty.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_comes_back_later_each_time() {
        let dirty = Dirty::new();
        let start = tokio::time::Instant::now();
        dirty.mark("a");
        for _ in 0..3 {
            let key = dirty.next().await;
            dirty.done(key, false);
            dirty.suggest("a");
            assert!(dirty.is_empty());
        }
        dirty.next().await;
        assert_eq!(start.elapsed().as_millis() / 100, 5 + 10 + 20);
    }
}
