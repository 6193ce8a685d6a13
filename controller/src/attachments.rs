//! Ports that have an owner, found by their owner and by their id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use api::values::{AttachmentId, Owner};

use crate::intents::PortRecord;
use crate::model::{Dpid, PortAt, PortRef, SwitchRef, spread};

/// Finds ports that have an owner.
#[derive(Clone, Debug, Default)]
pub struct Attachments {
    all: BTreeSet<(u64, Arc<PortAt>)>,
    owners: BTreeMap<Owner, BTreeSet<(u64, Arc<PortAt>)>>,
}

impl Attachments {
    /// Takes a port in, if it has an owner.
    pub fn insert(&mut self, at: &Arc<PortAt>, port: &PortRecord) {
        let Some(owner) = &port.spec.owner else { return };
        let key = (port.age, Arc::clone(at));
        self.all.insert(key.clone());
        match self.owners.get_mut(owner) {
            Some(ports) => drop(ports.insert(key)),
            None => drop(self.owners.insert(owner.clone(), BTreeSet::from([key]))),
        }
    }

    /// Takes a port out.
    pub fn remove(&mut self, at: &Arc<PortAt>, port: &PortRecord) {
        let Some(owner) = &port.spec.owner else { return };
        let key = (port.age, Arc::clone(at));
        self.all.remove(&key);
        if let Some(ports) = self.owners.get_mut(owner) {
            ports.remove(&key);
            if ports.is_empty() {
                self.owners.remove(owner);
            }
        }
    }

    /// Those of one owner, in the order in which they were attached.
    pub fn of(&self, owner: &Owner) -> impl Iterator<Item = &PortAt> {
        self.owners.get(owner).into_iter().flatten().map(|(_, at)| &**at)
    }

    /// Those of all owners that start with `prefix`, by owner, from one of
    /// them on.
    pub fn starting<'a>(
        &'a self,
        prefix: &'a str,
        from: Option<Owner>,
    ) -> impl Iterator<Item = &'a PortAt> {
        let first = from.filter(|from| from.as_str() > prefix).or_else(|| prefix.parse().ok());
        let owners = match first {
            Some(first) => self.owners.range(first..),
            // The empty prefix is no owner, and is that of all.
            None => self.owners.range::<Owner, _>(..),
        };
        let owners = owners.take_while(move |(owner, _)| owner.as_str().starts_with(prefix));
        owners.flat_map(|(_, ports)| ports).map(|(_, at)| &**at)
    }

    /// Those that may have this id: whoever asks compares the whole.
    pub fn with_age(&self, id: &AttachmentId) -> impl Iterator<Item = &PortAt> {
        let from = |age| {
            let least = PortAt { switch: SwitchRef::Dpid(Dpid(0)), port: PortRef::Number(0) };
            let all = self.all.range((age, Arc::new(least))..);
            all.take_while(move |(other, _)| *other == age)
        };
        age_in(id).into_iter().flat_map(from).map(|(_, at)| &**at)
    }
}

/// What names a port as its owner's. It stays the same for as long as the port
/// is attached for that owner, and no other attachment ever has it, before or
/// after: whoever deletes it twice doesn't harm the next.
pub fn id_of(port: &PortRecord) -> Option<AttachmentId> {
    let owner = port.spec.owner.as_ref()?;
    let since = port.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut hash = spread(since.as_secs(), u64::from(since.subsec_nanos()));
    for byte in owner.as_str().bytes() {
        hash = spread(hash, u64::from(byte));
    }
    format!("a-{}-{hash:016x}", port.age).parse().ok()
}

fn age_in(id: &AttachmentId) -> Option<u64> {
    id.as_str().strip_prefix("a-")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::types::PortSpec;

    use super::*;

    fn port(owner: Option<&str>, age: u64) -> PortRecord {
        PortRecord {
            network: "blue".parse().unwrap(),
            spec: PortSpec { owner: owner.map(|it| it.parse().unwrap()), ..PortSpec::default() },
            set: None,
            age,
            since: SystemTime::UNIX_EPOCH + Duration::new(7, 9),
        }
    }

    fn at(port: &str) -> Arc<PortAt> {
        Arc::new(PortAt { switch: "s1".parse().unwrap(), port: port.parse().unwrap() })
    }

    #[test]
    fn ports_are_found_by_owner_by_the_start_of_it_and_by_id() {
        let ports = [
            (at("p1"), port(Some("k8s/a/1"), 4)),
            (at("p2"), port(Some("k8s/a/2"), 1)),
            (at("p3"), port(Some("k8s/b"), 3)),
            (at("p4"), port(Some("k8s/a/1"), 2)),
            (at("p5"), port(None, 9)),
        ];
        let mut all = Attachments::default();
        ports.iter().for_each(|(at, port)| all.insert(at, port));
        let names = |found: Vec<&PortAt>| -> Vec<String> {
            found.into_iter().map(|at| at.port.to_string()).collect()
        };
        assert_eq!(names(all.of(&"k8s/a/1".parse().unwrap()).collect()), ["p4", "p1"]);
        for (prefix, from, want) in [
            ("", "", &["p4", "p1", "p2", "p3"][..]),
            ("k8s/a", "", &["p4", "p1", "p2"]),
            ("k8s/a", "k8s/a/1", &["p4", "p1", "p2"]),
            ("k8s/a", "k8s/a/11", &["p2"]),
            ("k8s/a", "k8s/b", &[]),
            ("k8s/a", "k7", &["p4", "p1", "p2"]),
            ("k8s/a/1", "", &["p4", "p1"]),
            ("k8s/a/11", "", &[]),
            ("", "k8s/b", &["p3"]),
            ("z", "", &[]),
            ("\n", "", &[]),
        ] {
            let found = all.starting(prefix, from.parse().ok());
            assert_eq!(names(found.collect()), want, "{prefix:?} {from}");
        }
        let id = id_of(&ports[0].1).unwrap();
        assert_eq!(names(all.with_age(&id).collect()), ["p1"]);
        assert_eq!(all.with_age(&"a-99-0".parse().unwrap()).count(), 0);
        assert_eq!(all.with_age(&"b".parse().unwrap()).count(), 0);
        ports.iter().for_each(|(at, port)| all.remove(at, port));
        assert!(all.all.is_empty() && all.owners.is_empty());
    }

    /// Callers keep ids: a later version must give the same.
    #[test]
    fn an_id_names_one_attachment_for_ever() {
        let id = |owner, age| id_of(&port(owner, age)).unwrap().to_string();
        assert_eq!(id(Some("k8s/a/1"), 4), "a-4-097b2ab7b5ed0054");
        let others = [id(Some("k8s/a/2"), 4), id(Some("k8s/a/1"), 5)];
        assert!(others.iter().all(|other| *other != id(Some("k8s/a/1"), 4)), "{others:?}");
        let mut later = port(Some("k8s/a/1"), 4);
        later.since += Duration::from_nanos(1);
        assert_ne!(id_of(&later), id_of(&port(Some("k8s/a/1"), 4)));
        assert_eq!(id_of(&port(None, 4)), None);
        let longest = PortRecord { age: u64::MAX, ..port(Some("x"), 0) };
        assert!(id_of(&longest).is_some());
    }
}
