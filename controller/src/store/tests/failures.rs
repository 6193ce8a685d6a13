//! Disks that fail, for a while.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;
use crate::store::medium::Bytes;
use crate::store::{Disk, Outcome, Store};

/// A disk in memory.
#[derive(Clone, Debug)]
struct Failing {
    bytes: Arc<InMemoryBackend>,
    exists: Arc<Mutex<bool>>,
    /// Writes and syncs until one fails, and from then on all; u64::MAX: none does.
    left: Arc<AtomicU64>,
    /// A sync that fails has done its work all the same.
    late: bool,
}

impl Failing {
    fn new(late: bool) -> Self {
        Self {
            bytes: Arc::new(InMemoryBackend::new()),
            exists: Arc::default(),
            left: Arc::new(AtomicU64::new(u64::MAX)),
            late,
        }
    }

    fn fail_after(&self, operations: u64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    fn step(&self) -> io::Result<()> {
        let step = |left: u64| match left {
            u64::MAX => Some(u64::MAX),
            left => left.checked_sub(1),
        };
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step()?;
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Nothing is ever lost here: what was written before is there.
        self.step()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.step() {
            Ok(()) => self.bytes.write(offset, data),
            Err(error) => {
                if self.late {
                    self.bytes.write(offset, data)?;
                }
                Err(error)
            }
        }
    }
}

impl Medium for Failing {
    fn name(&self) -> String {
        "the failing disk".to_owned()
    }

    fn open(&self) -> io::Result<Option<Bytes>> {
        Ok(self.exists.lock().unwrap().then(|| Bytes(Box::new(self.clone()))))
    }

    fn create(&self, fill: &mut dyn FnMut(Bytes) -> anyhow::Result<()>) -> anyhow::Result<()> {
        fill(Bytes(Box::new(self.clone())))?;
        *self.exists.lock().unwrap() = true;
        Ok(())
    }
}

/// Whatever a transaction was doing when the disk failed: it never happened,
/// also if its bytes arrived, and the next one is taken once the disk works.
#[test]
fn a_change_that_failed_never_happened() {
    for late in [false, true] {
        let disk = Failing::new(late);
        let mut dice = Dice(6);
        let mut file = StoreFile::open(disk.clone(), None).unwrap();
        let mut want = Held::new();
        let mut failures = 0;
        for round in 0..300 {
            disk.fail_after(dice.below(14));
            for _ in 0..1 + dice.below(3) {
                let changes = changes(&mut dice, 100);
                match file.write(&changes) {
                    Ok(()) => apply(&mut want, &changes),
                    Err(error) => {
                        failures += 1;
                        let text = format!("{error:#}");
                        assert!(!text.contains("damaged"), "round {round}: {text}");
                    }
                }
            }
            disk.fail_after(u64::MAX);
            let changes = changes(&mut dice, 100);
            file.write(&changes).unwrap_or_else(|error| panic!("round {round}: {error:#}"));
            apply(&mut want, &changes);
            assert_eq!(held(&file), want, "round {round}, late {late}");
        }
        assert!(failures > 200, "{failures}");
    }
}

#[test]
fn outcomes_come_in_order_and_what_follows_a_failure_fails_with_it() {
    let medium = Failing::new(false);
    let mut disk = Disk::on(medium.clone()).unwrap();
    assert_eq!(disk.load().unwrap(), []);
    let mut outcomes = disk.outcomes();
    let batch = |n: u64| -> Arc<[Record]> { vec![network(n)].into() };
    let stored = |outcome| match outcome {
        Some(Outcome::Stored(last)) => last,
        other => panic!("{other:?}"),
    };
    for n in 1..=50 {
        disk.commit(n, batch(n));
    }
    let mut last = 0;
    while last < 50 {
        let next = stored(outcomes.blocking_recv());
        assert!(next > last);
        last = next;
    }

    medium.fail_after(0);
    disk.commit(51, batch(51));
    match outcomes.blocking_recv() {
        Some(Outcome::Failed(reason)) => assert!(reason.contains("no storage space"), "{reason}"),
        other => panic!("{other:?}"),
    }
    medium.fail_after(u64::MAX);
    // The engine doesn't know yet: this one may build on the last.
    disk.commit(52, batch(52));
    disk.resume();
    disk.commit(53, batch(53));
    assert_eq!(stored(outcomes.blocking_recv()), 53);
    drop(disk);
    let want: Vec<_> = (1..=50).chain([53]).map(network).collect();
    let mut found = Disk::on(medium).unwrap().load().unwrap();
    found.sort_by_key(|record| match record {
        Record::Network(network) => network.id,
        other => panic!("{other:?}"),
    });
    assert_eq!(found, want);
}
