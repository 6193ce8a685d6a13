//! What is remembered of ports for the sake of pools: whether the node's side
//! lets them be given out, when they were used last, and whether a switch may
//! still act for the network they were in.
//!
//! Ports are known here by their switch's datapath id and their name (their
//! number where they have none), so that a port that is renumbered is the same.

use std::collections::{BTreeMap, BTreeSet};

use api::values::AttachmentId;
use openflow::DatapathId;
use serde::{Deserialize, Serialize};

use crate::model::{NetworkId, PortRef};

/// What is remembered of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRecord {
    /// Whether it may be given out; `None`: nobody said, so it may.
    pub ready: Option<bool>,
    /// Grows with each detach of any port; 0 for one that never was attached.
    pub used: u64,
    /// What it leaves, until its switch has confirmed that.
    pub releasing: Option<Releasing>,
}

impl PoolRecord {
    /// Whether it may be given out as far as the node's side is concerned.
    pub fn is_ready(&self) -> bool {
        self.ready.unwrap_or(true)
    }
}

/// What a port leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releasing {
    /// The network.
    pub network: NetworkId,
    /// The attachment it was, if it had an owner.
    pub attachment: Option<AttachmentId>,
}

/// All that is remembered.
#[derive(Clone, Debug, Default)]
pub struct Pools {
    ports: BTreeMap<(DatapathId, PortRef), PoolRecord>,
    releasing: BTreeSet<(DatapathId, PortRef)>,
    detached: BTreeMap<AttachmentId, NetworkId>,
    next_use: u64,
}

impl Pools {
    /// What is remembered of a port, if anything is.
    pub fn get(&self, switch: DatapathId, port: &PortRef) -> Option<&PoolRecord> {
        self.ports.get(&(switch, port.clone()))
    }

    /// All ports of which something is remembered.
    pub fn all(&self) -> impl Iterator<Item = (DatapathId, &PortRef, &PoolRecord)> {
        self.ports.iter().map(|((switch, port), record)| (*switch, port, record))
    }

    /// Remembers this of a port.
    pub fn put(&mut self, switch: DatapathId, port: PortRef, record: PoolRecord) {
        self.remove(switch, &port);
        self.next_use = self.next_use.max(record.used.saturating_add(1));
        if let Some(releasing) = &record.releasing {
            self.releasing.insert((switch, port.clone()));
            if let Some(id) = &releasing.attachment {
                self.detached.insert(id.clone(), releasing.network);
            }
        }
        self.ports.insert((switch, port), record);
    }

    /// Forgets a port.
    pub fn remove(&mut self, switch: DatapathId, port: &PortRef) {
        let key = (switch, port.clone());
        let old = self.ports.remove(&key);
        if let Some(releasing) = old.and_then(|old| old.releasing) {
            self.releasing.remove(&key);
            if let Some(id) = releasing.attachment {
                self.detached.remove(&id);
            }
        }
    }

    /// Ports of a switch that may still act for what they left.
    pub fn releasing(&self, switch: DatapathId) -> impl Iterator<Item = (&PortRef, &PoolRecord)> {
        let from = (switch, PortRef::Number(0));
        let keys = self.releasing.range(from..).take_while(move |(id, _)| *id == switch);
        keys.filter_map(|key| Some((&key.1, self.ports.get(key)?)))
    }

    /// All ports that may still act for what they left.
    pub fn all_releasing(&self) -> impl Iterator<Item = (DatapathId, &PortRef, &Releasing)> {
        self.releasing.iter().filter_map(|key| {
            let releasing = self.ports.get(key)?.releasing.as_ref()?;
            Some((key.0, &key.1, releasing))
        })
    }

    /// Ports of a switch of which anything is remembered.
    pub fn of(&self, switch: DatapathId) -> impl Iterator<Item = (&PortRef, &PoolRecord)> {
        let from = (switch, PortRef::Number(0));
        let ports = self.ports.range(from..).take_while(move |((id, _), _)| *id == switch);
        ports.map(|((_, port), record)| (port, record))
    }

    /// The network that a detached attachment was in, while its port leaves it.
    pub fn leaves(&self, attachment: &AttachmentId) -> Option<NetworkId> {
        self.detached.get(attachment).copied()
    }

    /// The use of the next port that is detached; at least 1.
    pub fn next_use(&self) -> u64 {
        self.next_use.max(1)
    }
}

#[cfg(test)]
impl Pools {
    /// All of it but the count of uses, which only grows.
    pub fn without_next_use(&self) -> String {
        let Self { ports, releasing, detached, next_use: _ } = self;
        format!("{ports:?} {releasing:?} {detached:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_is_found_by_its_switch_and_its_attachment_until_it_has_left() {
        let port = |name: &str| -> PortRef { name.parse().unwrap() };
        let (one, two) = (DatapathId(1), DatapathId(2));
        let id: AttachmentId = "a-1".parse().unwrap();
        let network = NetworkId::new(7).unwrap();
        let releasing = Some(Releasing { network, attachment: Some(id.clone()) });
        let leaving = PoolRecord { ready: None, used: 4, releasing };
        let mut pools = Pools::default();
        assert_eq!(pools.next_use(), 1);
        pools.put(one, port("vhost1"), leaving.clone());
        pools.put(two, port("3"), PoolRecord { ready: Some(false), ..PoolRecord::default() });
        assert_eq!((pools.next_use(), pools.leaves(&id)), (5, Some(network)));
        assert_eq!(pools.releasing(one).collect::<Vec<_>>(), [(&port("vhost1"), &leaving)]);
        assert_eq!((pools.releasing(two).count(), pools.of(two).count()), (0, 1));
        assert_eq!(pools.all_releasing().map(|(id, ..)| id).collect::<Vec<_>>(), [one]);
        assert!(!pools.get(two, &port("3")).unwrap().is_ready());

        pools.put(one, port("vhost1"), PoolRecord { releasing: None, ..leaving });
        assert_eq!((pools.releasing(one).count(), pools.leaves(&id)), (0, None));
        assert_eq!(pools.next_use(), 5);
    }
}
