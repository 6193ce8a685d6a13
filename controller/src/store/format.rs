//! How records are written in the store's file, and read by later versions.
//!
//! A record is an entry: its kind, a key among those of its kind, and a value
//! in JSON. To add a kind: a variant of [`Record`], an arm in [`entry`], and
//! a line in `KINDS` (those of the world are in `store::facts`). A version that doesn't know a kind or a field refuses
//! the file, so raise [`SCHEMA`] with each that is added, with a migration
//! (one that does nothing will do) in `store::migrations`.

use openflow::DatapathId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::facts;
use crate::intents::{LinkEnds, Record};
use crate::model::{Dpid, PortAt, PortRef, SwitchRef};

/// The version of what this program writes.
pub const SCHEMA: u64 = 3;

/// One record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which kind of record.
    pub kind: &'static str,
    /// Its own among those of its kind.
    pub key: String,
    /// JSON; `None` takes the entry away.
    pub value: Option<Vec<u8>>,
}

/// How entries of one kind are read.
pub struct Kind {
    /// The kind's name in the file.
    pub name: &'static str,
    pub(super) read: fn(&str, &[u8]) -> Result<Record, serde_json::Error>,
}

/// Kinds of desired state, in the order in which their records can be applied.
const KINDS: &[Kind] = &[
    Kind { name: "network", read: |_, value| Ok(Record::Network(json(value)?)) },
    Kind {
        name: "port",
        read: |key, value| {
            let (switch, port) = json(key.as_bytes())?;
            Ok(Record::Port(PortAt { switch, port }, json(value)?))
        },
    },
    Kind {
        name: "link",
        read: |key, value| {
            let [a, b]: [(SwitchRef, PortRef); 2] = json(key.as_bytes())?;
            let end = |(switch, port)| PortAt { switch, port };
            Ok(Record::Link(LinkEnds::new(end(a), end(b)), json(value)?))
        },
    },
    Kind { name: "switch", read: |key, value| Ok(Record::Switch(switch_id(key)?, json(value)?)) },
    Kind {
        name: "pool",
        read: |key, value| {
            let (Dpid(id), port) = json(key.as_bytes())?;
            Ok(Record::PoolPort(DatapathId(id), port, json(value)?))
        },
    },
];

/// All kinds, those of the world last.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().chain(&facts::KINDS)
}

/// Why an entry is no record.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// This version knows no such kind.
    #[error("an entry of unknown kind {0:?}")]
    Kind(String),
    /// Not what this version writes.
    #[error("the entry {kind} {key}: {source}")]
    Value {
        /// The entry's kind.
        kind: &'static str,
        /// The entry's key.
        key: String,
        /// What is wrong with its value, or its key.
        source: serde_json::Error,
    },
}

/// The record as it is kept.
///
/// # Errors
/// None is known: every value of a record has a text.
pub fn entry(record: &Record) -> Result<Entry, serde_json::Error> {
    let entry = |kind, key, value| Entry { kind, key, value };
    Ok(match record {
        Record::Network(network) => entry("network", network.spec.name.to_string(), some(network)?),
        Record::NoNetwork(name) => entry("network", name.to_string(), None),
        Record::Port(at, port) => entry("port", port_key(at)?, some(port)?),
        Record::NoPort(at) => entry("port", port_key(at)?, None),
        Record::Link(ends, encap) => entry("link", link_key(ends)?, some(encap)?),
        Record::NoLink(ends) => entry("link", link_key(ends)?, None),
        Record::Switch(id, spec) => entry("switch", switch_key(*id), some(spec)?),
        Record::NoSwitch(id) => entry("switch", switch_key(*id), None),
        Record::World(fact) => facts::entry(fact)?,
        Record::PoolPort(id, port, known) => entry("pool", pool_key(*id, port)?, some(known)?),
        Record::NoPoolPort(id, port) => entry("pool", pool_key(*id, port)?, None),
    })
}

/// Reads an entry back.
///
/// # Errors
/// [`EntryError`] for what this version doesn't write.
pub fn record(name: &str, key: &str, value: &[u8]) -> Result<Record, EntryError> {
    let kind = kinds().find(|kind| kind.name == name);
    let kind = kind.ok_or_else(|| EntryError::Kind(name.to_owned()))?;
    let read = (kind.read)(key, value);
    read.map_err(|source| EntryError::Value { kind: kind.name, key: key.to_owned(), source })
}

fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text)
}

fn some<T: Serialize>(value: &T) -> Result<Option<Vec<u8>>, serde_json::Error> {
    serde_json::to_vec(value).map(Some)
}

fn port_key(at: &PortAt) -> Result<String, serde_json::Error> {
    serde_json::to_string(&(&at.switch, &at.port))
}

fn link_key(ends: &LinkEnds) -> Result<String, serde_json::Error> {
    let (a, b) = ends.ends();
    serde_json::to_string(&[(&a.switch, &a.port), (&b.switch, &b.port)])
}

fn switch_key(id: DatapathId) -> String {
    Dpid(id.0).to_string()
}

fn pool_key(id: DatapathId, port: &PortRef) -> Result<String, serde_json::Error> {
    serde_json::to_string(&(Dpid(id.0), port))
}

fn switch_id(key: &str) -> Result<DatapathId, serde_json::Error> {
    key.parse().map(|Dpid(id)| DatapathId(id)).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use api::types::{NetworkSpec, PortSpec};

    use super::*;
    use crate::intents::{NetworkRecord, PortRecord, SwitchSpec};
    use crate::model::{Encap, Name, NetworkId, by_id};
    use crate::pools::{PoolRecord, Releasing};

    fn port(switch: SwitchRef, port: PortRef) -> PortAt {
        PortAt { switch, port }
    }

    fn name(bytes: &[u8]) -> Name {
        Name::new(bytes).unwrap()
    }

    /// One of each kind, with names that could be taken for something else.
    fn all() -> Vec<Record> {
        let odd = port(name(b"of:1").into(), name(b"a/b\xff\"").into());
        let plain = port(by_id(DatapathId(7)), PortRef::Number(3));
        let network = NetworkRecord {
            id: NetworkId::new(4711).unwrap(),
            spec: NetworkSpec::new("team.blue".parse().unwrap()),
            set: Some("k8s".parse().unwrap()),
        };
        let spec: PortSpec = serde_json::from_str(
            r#"{"mac":["02:00:00:00:00:01"],"ips":["10.0.0.1"],"enforce":true,"owner":"k8s/a","labels":{"a":"b"}}"#,
        )
        .unwrap();
        let record = PortRecord {
            network: network.spec.name.clone(),
            spec,
            set: None,
            age: 9,
            since: SystemTime::UNIX_EPOCH + Duration::new(5, 7),
        };
        let switch = SwitchSpec {
            name: Some(name(b"1")),
            pool: Some("vhost*".parse().unwrap()),
            trunks: None,
        };
        let ends = LinkEnds::new(odd.clone(), plain.clone());
        let releasing = Releasing {
            network: NetworkId::new(4711).unwrap(),
            attachment: Some("a-7-c0ffee".parse().unwrap()),
        };
        let leaving = PoolRecord { ready: Some(false), used: 17, releasing: Some(releasing) };
        vec![
            Record::Network(network),
            Record::Port(odd, record.clone()),
            Record::Port(plain, record),
            Record::Link(ends, Encap::TunId),
            Record::Switch(DatapathId(u64::MAX), switch),
            Record::PoolPort(DatapathId(3), name(b"vhost\xff").into(), leaving),
            Record::PoolPort(DatapathId(3), PortRef::Number(9), PoolRecord::default()),
        ]
        .into_iter()
        .chain(facts::samples().into_iter().map(Record::World))
        .collect()
    }

    #[test]
    fn every_record_is_read_back() {
        for wanted in all() {
            let entry = entry(&wanted).unwrap();
            let read = record(entry.kind, &entry.key, &entry.value.unwrap()).unwrap();
            assert_eq!(read, wanted);
        }
    }

    /// Files of this schema are out there: what is written today must be what
    /// later versions of this program read.
    #[test]
    fn what_is_written_stays_as_it_is() {
        let written: Vec<_> = all().iter().map(|record| entry(record).unwrap()).collect();
        let text = |entry: &Entry| {
            let value = String::from_utf8(entry.value.clone().unwrap()).unwrap();
            format!("{} {} {value}", entry.kind, entry.key)
        };
        let lines: Vec<_> = written.iter().map(text).collect();
        assert_eq!(lines.join("\n"), include_str!("format_v3.txt").trim_end());
    }

    #[test]
    fn what_this_version_does_not_write_is_refused_by_name() {
        let cases = [
            ("wormhole", "x", "{}", "unknown kind \"wormhole\""),
            ("network", "x", "{\"id\":0}", "0 is no network id"),
            ("network", "x", "{\"id\":1,\"colour\":3}", "colour"),
            ("port", "x", "{}", "the entry port x"),
            ("switch", "seven", "{}", "the entry switch seven"),
            ("link", "[[\"a\",1],[\"b\",0]]", "\"vlan\"", "the entry link"),
            ("known", "of:0000000000000001", "{}", "the entry known"),
            ("releasing", "0", "[]", "0 is no network id"),
            ("secret", "other", "[]", "no such secret"),
            ("pool", "[\"of:1\",\"p\"]", "{\"used\":1,\"colour\":3}", "colour"),
        ];
        for (kind, key, value, want) in cases {
            let error = record(kind, key, value.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
