//! Where the hosts of each network are, as learnt from their frames.
//!
//! Pure: time comes in as `now`. A host stays where it is known until its old
//! port can't be its own any more; who claims a MAC whose owner still talks
//! gets nothing but an entry in the list of conflicts.

use std::collections::{BTreeMap, HashMap};
use std::time::{Instant, SystemTime};

use openflow::MacAddr;

use crate::compile::Host;
use crate::model::{NetworkId, Place};

/// The learnt hosts of all networks.
#[derive(Debug, Default)]
pub struct Hosts {
    networks: HashMap<NetworkId, Learnt>,
}

/// One network's.
#[derive(Debug, Default)]
struct Learnt {
    hosts: BTreeMap<MacAddr, Entry>,
    conflicts: BTreeMap<MacAddr, Conflict>,
}

/// A learnt host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it speaks.
    pub place: Place,
    /// Since when it is known there.
    pub since: SystemTime,
}

/// A MAC that a second port claims while its first still talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The port that claims it.
    pub claimant: Place,
    /// When it last did.
    pub at: Instant,
}

/// What a frame from an unknown source amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not a host: a group-bit or zero source.
    NotAHost,
    /// Known there already.
    Known,
    /// New there.
    Learnt,
    /// Known elsewhere, at this place: whether it moved must be found out.
    Claim(Place),
    /// The network knows as many hosts as it may.
    Full,
}

impl Hosts {
    /// A frame came from `mac` at `place`. `limit` bounds the network's learnt hosts.
    pub fn hear(
        &mut self,
        network: NetworkId,
        mac: MacAddr,
        place: Place,
        limit: usize,
        now: SystemTime,
    ) -> Verdict {
        if mac.0 == [0; 6] || mac.0[0] & 1 == 1 {
            return Verdict::NotAHost;
        }
        let learnt = self.networks.entry(network).or_default();
        match learnt.hosts.get(&mac) {
            Some(entry) if entry.place == place => Verdict::Known,
            Some(entry) => Verdict::Claim(entry.place),
            None if learnt.hosts.len() >= limit => Verdict::Full,
            None => {
                learnt.hosts.insert(mac, Entry { place, since: now });
                Verdict::Learnt
            }
        }
    }

    /// The host is at another place now.
    pub fn move_to(&mut self, network: NetworkId, mac: MacAddr, place: Place, now: SystemTime) {
        let learnt = self.networks.entry(network).or_default();
        learnt.conflicts.remove(&mac);
        learnt.hosts.insert(mac, Entry { place, since: now });
    }

    /// The host was heard at a second port while the first still talks.
    /// Returns whether that is news.
    pub fn conflict(
        &mut self,
        network: NetworkId,
        mac: MacAddr,
        claimant: Place,
        at: Instant,
    ) -> bool {
        let learnt = self.networks.entry(network).or_default();
        let old = learnt.conflicts.insert(mac, Conflict { claimant, at });
        old.is_none_or(|old| old.claimant != claimant)
    }

    /// The host fell silent at this place. Returns whether it was known there.
    pub fn age_out(&mut self, network: NetworkId, mac: MacAddr, place: Place) -> bool {
        let Some(learnt) = self.networks.get_mut(&network) else { return false };
        let there = learnt.hosts.get(&mac).is_some_and(|entry| entry.place == place);
        if there {
            learnt.hosts.remove(&mac);
            learnt.conflicts.remove(&mac);
        }
        there
    }

    /// Drops the hosts and conflicts of a network that `stays` doesn't want. Returns whether a host went.
    pub fn retain(&mut self, network: NetworkId, stays: impl Fn(MacAddr, Place) -> bool) -> bool {
        let Some(learnt) = self.networks.get_mut(&network) else { return false };
        let before = learnt.hosts.len();
        learnt.hosts.retain(|mac, entry| stays(*mac, entry.place));
        learnt.conflicts.retain(|mac, conflict| stays(*mac, conflict.claimant));
        learnt.hosts.len() < before
    }

    /// Drops the conflicts that `stays` doesn't want.
    pub fn retain_conflicts(&mut self, stays: impl Fn(&Conflict) -> bool) {
        for learnt in self.networks.values_mut() {
            learnt.conflicts.retain(|_, conflict| stays(conflict));
        }
    }

    /// The network is gone.
    pub fn forget(&mut self, network: NetworkId) {
        self.networks.remove(&network);
    }

    /// The network's learnt hosts.
    pub fn of(&self, network: NetworkId) -> impl Iterator<Item = (MacAddr, Entry)> {
        let hosts = self.networks.get(&network).map(|learnt| learnt.hosts.iter());
        hosts.into_iter().flatten().map(|(mac, entry)| (*mac, *entry))
    }

    /// One learnt host.
    pub fn find(&self, network: NetworkId, mac: MacAddr) -> Option<Entry> {
        self.networks.get(&network)?.hosts.get(&mac).copied()
    }

    /// How many hosts the network has learnt.
    pub fn count(&self, network: NetworkId) -> usize {
        self.networks.get(&network).map_or(0, |learnt| learnt.hosts.len())
    }

    /// MACs that two ports claim.
    pub fn conflicts(&self, network: NetworkId) -> impl Iterator<Item = (MacAddr, Conflict)> {
        let conflicts = self.networks.get(&network).map(|learnt| learnt.conflicts.iter());
        conflicts.into_iter().flatten().map(|(mac, conflict)| (*mac, *conflict))
    }
}

impl From<Entry> for Host {
    fn from(entry: Entry) -> Self {
        Self { place: entry.place, learnt: true }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use openflow::{DatapathId, PortNo};

    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NEXT: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn place(switch: u64) -> Place {
        Place::new(DatapathId(switch), PortNo(1))
    }

    #[test]
    fn a_host_is_learnt_once_up_to_the_limit_and_ages_out() {
        let net = NetworkId::new(1).unwrap();
        let mut hosts = Hosts::default();
        let mut hear = |mac, at| hosts.hear(net, mac, at, 1, SystemTime::UNIX_EPOCH);
        assert_eq!(hear(MacAddr([0; 6]), place(1)), Verdict::NotAHost);
        assert_eq!(hear(MacAddr([1, 0, 0, 0, 0, 1]), place(1)), Verdict::NotAHost);
        assert_eq!(hear(MAC, place(1)), Verdict::Learnt);
        assert_eq!(hear(MAC, place(1)), Verdict::Known);
        assert_eq!(hear(MAC, place(2)), Verdict::Claim(place(1)));
        assert_eq!(hear(NEXT, place(1)), Verdict::Full);
        assert!(!hosts.age_out(net, MAC, place(2)), "another port's flow says nothing");
        assert!(hosts.age_out(net, MAC, place(1)));
        assert_eq!(hosts.count(net), 0);
    }

    #[test]
    fn one_mac_may_live_in_two_networks() {
        let mut hosts = Hosts::default();
        for id in 1..3 {
            let net = NetworkId::new(id).unwrap();
            let at = place(u64::from(id));
            assert_eq!(hosts.hear(net, MAC, at, 9, SystemTime::UNIX_EPOCH), Verdict::Learnt);
        }
        hosts.forget(NetworkId::new(1).unwrap());
        assert_eq!(
            hosts.find(NetworkId::new(2).unwrap(), MAC).map(|entry| entry.place),
            Some(place(2))
        );
    }
}
