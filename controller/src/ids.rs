//! Which network ids are free, in use, or not free yet.

use std::collections::BTreeSet;

use crate::model::NetworkId;

/// Hands out the lowest free id, so that VLAN tags, of which there are few,
/// go to as many networks as there are.
#[derive(Debug)]
pub struct Ids {
    /// Freed ids below `next`.
    free: BTreeSet<u32>,
    /// All from here on were never used, but those `ahead`.
    next: u32,
    /// Ids beyond `next` that are in use all the same.
    ahead: BTreeSet<u32>,
    /// Ids of deleted networks that some switch may still hold.
    releasing: BTreeSet<NetworkId>,
}

impl Ids {
    /// With these ids in use.
    pub fn new(used: impl Iterator<Item = NetworkId>) -> Self {
        let mut new = Self {
            free: BTreeSet::new(),
            next: 1,
            ahead: BTreeSet::new(),
            releasing: BTreeSet::new(),
        };
        used.for_each(|id| new.reserve(id));
        new
    }

    /// Marks an id as in use. Costs the same however large it is: switches may
    /// report any.
    pub fn reserve(&mut self, id: NetworkId) {
        self.releasing.remove(&id);
        if id.value() < self.next {
            self.free.remove(&id.value());
            return;
        }
        self.ahead.insert(id.value());
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
    }

    /// Takes this very id, if it is neither another's nor still being released.
    /// `used` says whether a network has it: what only switches report may be
    /// taken over.
    pub fn claim(&mut self, id: NetworkId, used: bool) -> bool {
        let free = !used && !self.is_releasing(id);
        if free {
            self.reserve(id);
        }
        free
    }

    /// The lowest free id; `None` when all 2^23 − 1 are taken.
    pub fn take(&mut self) -> Option<NetworkId> {
        let id = NetworkId::new(self.free.first().copied().unwrap_or(self.next))?;
        self.reserve(id);
        Some(id)
    }

    /// The network is deleted; its id can be used again once no switch holds it.
    pub fn release(&mut self, id: NetworkId) {
        self.releasing.insert(id);
    }

    /// Whether the id belongs to a deleted network.
    pub fn is_releasing(&self, id: NetworkId) -> bool {
        self.releasing.contains(&id)
    }

    /// Ids of deleted networks.
    pub fn releasing(&self) -> impl Iterator<Item = NetworkId> {
        self.releasing.iter().copied()
    }

    /// No switch holds anything of it any more.
    pub fn freed(&mut self, id: NetworkId) {
        if self.releasing.remove(&id) && !self.ahead.remove(&id.value()) {
            self.free.insert(id.value());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_id_waits_until_it_is_freed() {
        let id = |n| NetworkId::new(n).unwrap();
        let mut ids = Ids::new([id(2)].into_iter());
        assert_eq!((ids.take(), ids.take()), (Some(id(1)), Some(id(3))));
        ids.release(id(1));
        assert_eq!(ids.take(), Some(id(4)));
        ids.freed(id(1));
        assert_eq!(ids.take(), Some(id(1)));
        ids.freed(id(2));
        assert_eq!(ids.take(), Some(id(5)), "2 was never released");
        ids.reserve(id(NetworkId::MAX));
        assert_eq!((ids.ahead.len(), ids.free.len()), (1, 0));
        ids.release(id(NetworkId::MAX));
        ids.freed(id(NetworkId::MAX));
        assert_eq!((ids.take(), ids.ahead.len()), (Some(id(6)), 0));
    }
}
