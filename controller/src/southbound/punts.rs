//! Frames that switches sent up, on their way to the core: fairly.
//!
//! Each session has a short queue of its own, and the core takes one frame of
//! each in turn. So a switch that floods loses its own frames, and those of
//! another wait for one frame of each that has any, whatever these send. In a
//! session's queue, what tells of links (table 0) and what tells of hosts have
//! a part each, and take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::event::{Punt, SessionId};

/// Frames of one session and one part that may wait.
const EACH: usize = 64;

/// Where sessions put frames. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PuntSender(Arc<Shared>);

/// Where the core takes them.
#[derive(Debug)]
pub struct PuntReceiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
    each: usize,
    room: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    sessions: HashMap<SessionId, Parts>,
    /// Sessions that have frames, each once.
    turns: VecDeque<SessionId>,
    count: usize,
}

#[derive(Debug, Default)]
struct Parts {
    links: VecDeque<Punt>,
    hosts: VecDeque<Punt>,
    links_next: bool,
}

impl Parts {
    fn pop(&mut self) -> Option<Punt> {
        let links = self.links_next;
        self.links_next = !links;
        let (first, second) = if links {
            (&mut self.links, &mut self.hosts)
        } else {
            (&mut self.hosts, &mut self.links)
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.links.is_empty() && self.hosts.is_empty()
    }
}

/// A queue with room for so many frames in all; when it is full, a session
/// that has none in it may still put one.
pub(super) fn queue(room: usize) -> (PuntSender, PuntReceiver) {
    let each = EACH.min((room * 3 / 4).max(1));
    let (waiting, news) = (Mutex::default(), Notify::new());
    let shared = Arc::new(Shared { waiting, news, each, room });
    (PuntSender(Arc::clone(&shared)), PuntReceiver(shared))
}

impl Shared {
    /// A panic elsewhere leaves the queues as good as any.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PuntSender {
    /// Puts a frame, or drops it when its session has too many waiting.
    /// Returns whether it waits now.
    pub(super) fn put(&self, punt: Punt) -> bool {
        let Shared { news, each, room, .. } = &*self.0;
        let mut waiting = self.0.lock();
        let full = waiting.count >= *room;
        let session = punt.session;
        let parts = waiting.sessions.entry(session).or_default();
        let new = parts.is_empty();
        let part = if punt.packet.table_id.0 == 0 { &mut parts.links } else { &mut parts.hosts };
        if part.len() >= *each || (full && !part.is_empty()) {
            return false;
        }
        part.push_back(punt);
        waiting.count += 1;
        if new {
            waiting.turns.push_back(session);
        }
        drop(waiting);
        news.notify_one();
        true
    }
}

impl PuntReceiver {
    /// The next frame, once there is one. Nothing is lost if this is dropped.
    pub async fn recv(&mut self) -> Option<Punt> {
        loop {
            if let Some(punt) = self.take() {
                return Some(punt);
            }
            self.0.news.notified().await;
        }
    }

    fn take(&mut self) -> Option<Punt> {
        let mut waiting = self.0.lock();
        let session = waiting.turns.pop_front()?;
        let parts = waiting.sessions.get_mut(&session)?;
        let punt = parts.pop();
        if parts.is_empty() {
            waiting.sessions.remove(&session);
        } else {
            waiting.turns.push_back(session);
        }
        waiting.count -= usize::from(punt.is_some());
        punt
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openflow::{BufferId, DatapathId, Match, PacketIn, PacketInReason, TableId};

    use super::*;

    fn punt(session: u64, table: u8, n: usize) -> Punt {
        let packet = PacketIn {
            buffer_id: BufferId::NONE,
            total_len: n as u16,
            reason: PacketInReason::Action,
            table_id: TableId(table),
            cookie: 0,
            match_: Match::new(),
            data: Bytes::new(),
        };
        Punt { dpid: DatapathId(session), session: SessionId(session), packet }
    }

    #[test]
    fn a_flood_delays_others_by_a_frame_each_and_costs_only_itself() {
        let (sender, mut receiver) = queue(4096);
        let passed = (0..10_000).filter(|n| sender.put(punt(1, 1, *n))).count();
        assert_eq!(passed, EACH);
        assert!(sender.put(punt(2, 1, 0)) && sender.put(punt(2, 1, 1)));
        assert!(sender.put(punt(1, 0, 7)), "what tells of links has its own part");
        let order: Vec<_> = std::iter::from_fn(|| receiver.take())
            .map(|punt| (punt.session.0, punt.packet.table_id.0))
            .collect();
        assert_eq!(order[..4], [(1, 1), (2, 1), (1, 0), (2, 1)]);
        assert_eq!(order.len(), EACH + 3);
        assert!(receiver.0.lock().sessions.is_empty());
    }

    #[test]
    fn when_all_room_is_taken_a_newcomer_still_gets_a_word_in() {
        let (sender, mut receiver) = queue(100);
        for session in 1..=2 {
            let passed = (0..100).filter(|n| sender.put(punt(session, 1, *n))).count();
            assert!(passed >= 36, "{passed}");
        }
        assert!(sender.put(punt(3, 1, 0)) && !sender.put(punt(3, 1, 1)));
        let third = (0..3).filter_map(|_| receiver.take()).any(|punt| punt.session.0 == 3);
        assert!(third);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let (sender, mut receiver) = queue(16);
        let waiting = tokio::spawn(async move { receiver.recv().await });
        tokio::task::yield_now().await;
        assert!(sender.put(punt(1, 1, 5)));
        assert_eq!(waiting.await.unwrap().unwrap().packet.total_len, 5);
    }
}
