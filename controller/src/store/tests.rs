//! The store on media that are damaged, full, or lose power.

mod damage;
mod failures;
mod power;
mod versions;

use std::collections::BTreeMap;
use std::path::Path;

use api::types::{NetworkSpec, PortSpec};

use super::file::StoreFile;
use super::format::{Entry, entry};
use super::medium::{Folder, Medium};
use crate::intents::{NetworkRecord, PortRecord, Record};
use crate::model::{NetworkId, PortAt, PortRef, spread};

/// Repeatable numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = spread(self.0, 1);
        self.0 % limit
    }
}

/// What a store should hold: kind and key to value.
type Held = BTreeMap<(String, String), Vec<u8>>;

fn apply(held: &mut Held, entries: &[Entry]) {
    for Entry { kind, key, value } in entries {
        let key = ((*kind).to_owned(), key.clone());
        match value {
            Some(value) => held.insert(key, value.clone()),
            None => held.remove(&key),
        };
    }
}

fn held<M: Medium>(file: &StoreFile<M>) -> Held {
    let mut held = Held::new();
    let entries = file.records().unwrap().into_iter().map(|record| entry(&record).unwrap());
    apply(&mut held, &entries.collect::<Vec<_>>());
    held
}

fn network(n: u64) -> Record {
    let spec = NetworkSpec::new(format!("net-{n}").parse().unwrap());
    Record::Network(NetworkRecord { id: NetworkId::new(n as u32 + 1).unwrap(), spec, set: None })
}

fn port_at(n: u64) -> PortAt {
    PortAt {
        switch: format!("worker-{}", n / 10).parse().unwrap(),
        port: PortRef::number(n % 10 + 1).unwrap(),
    }
}

fn port(n: u64, age: u64) -> Record {
    let record = PortRecord {
        network: "net-0".parse().unwrap(),
        spec: PortSpec::default(),
        set: None,
        age,
        since: std::time::SystemTime::UNIX_EPOCH,
    };
    Record::Port(port_at(n), record)
}

/// Some attaches and detaches.
fn changes(dice: &mut Dice, ports: u64) -> Vec<Entry> {
    let some = 1 + dice.below(4);
    let records = (0..some).map(|_| match dice.below(3) {
        0 => Record::NoPort(port_at(dice.below(ports))),
        _ => port(dice.below(ports), dice.below(1 << 40)),
    });
    records.map(|record| entry(&record).unwrap()).collect()
}

fn entries(records: impl IntoIterator<Item = Record>) -> Vec<Entry> {
    records.into_iter().map(|record| entry(&record).unwrap()).collect()
}

/// A store in a folder, with some networks and ports, written in several transactions.
fn filled(folder: &Path) -> (StoreFile<Folder>, Held) {
    let mut file = StoreFile::open(Folder::new(folder), None).unwrap();
    let mut want = Held::new();
    let mut dice = Dice(1);
    let first = entries((0..20).map(network).chain((0..150).map(|n| port(n, n))));
    for changes in std::iter::once(first).chain((0..20).map(|_| changes(&mut dice, 200))) {
        file.write(&changes).unwrap();
        apply(&mut want, &changes);
    }
    assert_eq!(held(&file), want);
    (file, want)
}
