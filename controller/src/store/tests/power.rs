//! Power cuts: what wasn't synced may be there, or not, or in part.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;
use crate::store::medium::Bytes;

const SECTOR: usize = 512;

/// A disk with a cache.
#[derive(Debug, Default)]
struct Platter {
    exists: bool,
    durable: Vec<u8>,
    /// What reads see.
    seen: Vec<u8>,
    /// Since the last sync.
    unsynced: Vec<Write>,
    /// Operations until the power goes; from then on all fail.
    left: Option<u64>,
    operations: u64,
}

#[derive(Debug)]
enum Write {
    Length(usize),
    Sector(usize, Vec<u8>),
}

impl Platter {
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.left {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        let mut at = offset;
        while at < offset + data.len() {
            let end = (at / SECTOR + 1) * SECTOR;
            let end = end.min(offset + data.len());
            self.unsynced.push(Write::Sector(at, data[at - offset..end - offset].to_vec()));
            at = end;
        }
        put(&mut self.seen, offset, data);
    }

    /// The power comes back: of what wasn't synced, any part may be there.
    fn restart(&mut self, dice: &mut Dice) {
        let keep = dice.below(3);
        for write in std::mem::take(&mut self.unsynced) {
            let kept = match keep {
                0 => false,
                1 => dice.below(2) == 0,
                _ => dice.below(20) > 0,
            };
            match write {
                _ if !kept => {}
                Write::Length(length) => self.durable.resize(length, 0),
                Write::Sector(at, data) => put(&mut self.durable, at, &data),
            }
        }
        self.seen.clone_from(&self.durable);
        self.left = None;
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    fn with<T>(&self, act: impl FnOnce(&mut Platter) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.with(|platter| Ok(platter.seen.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|platter| {
            let from = platter.seen.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|platter| {
            platter.step()?;
            platter.seen.resize(len as usize, 0);
            platter.unsynced.push(Write::Length(len as usize));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|platter| {
            platter.step()?;
            platter.durable.clone_from(&platter.seen);
            platter.unsynced.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|platter| {
            platter.step()?;
            platter.write(offset as usize, data);
            Ok(())
        })
    }
}

impl Medium for Disk {
    fn name(&self) -> String {
        "the platter".to_owned()
    }

    fn open(&self) -> io::Result<Option<Bytes>> {
        let exists = self.with(|platter| platter.exists);
        Ok(exists.then(|| Bytes(Box::new(self.clone()))))
    }

    fn create(&self, fill: &mut dyn FnMut(Bytes) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.with(|platter| {
            platter.seen.clear();
            platter.unsynced.push(Write::Length(0));
        });
        fill(Bytes(Box::new(self.clone())))?;
        self.sync_data()?;
        self.with(|platter| {
            platter.step()?;
            platter.exists = true;
            Ok(())
        })
    }
}

/// What was acknowledged is there, what was asked for last may be, and nothing else.
#[test]
fn after_a_power_cut_everything_acknowledged_is_there_and_nothing_else() {
    let disk = Disk::default();
    let mut dice = Dice(5);
    let mut want = Held::new();
    let mut acknowledged = None;
    let (mut survived, mut cut_while_opening) = (0, 0);
    for round in 0..1000 {
        // Now and then the power goes while the file is opened and repaired.
        let limit = [5, 30, 60, 200][dice.below(4) as usize];
        let left = dice.below(limit);
        disk.with(|platter| platter.left = Some(left));
        let mut asked = None;
        let opened = StoreFile::open(disk.clone(), acknowledged);
        match opened.and_then(|mut file| file.keep().map(|()| file)) {
            Ok(mut file) => {
                assert_eq!(held(&file), want, "round {round}");
                loop {
                    let changes = changes(&mut dice, 300);
                    match file.write(&changes) {
                        Ok(()) => {
                            apply(&mut want, &changes);
                            acknowledged = Some(file.stored());
                        }
                        Err(_) => {
                            asked = Some(changes);
                            break;
                        }
                    }
                }
            }
            Err(error) => {
                cut_while_opening += 1;
                assert!(
                    format!("{error:#}").contains("the power is gone"),
                    "round {round}: {error:#}"
                );
            }
        }
        disk.with(|platter| platter.restart(&mut dice));
        if !disk.with(|platter| platter.exists) {
            assert_eq!(acknowledged, None);
            continue;
        }
        let mut file = StoreFile::open(disk.clone(), acknowledged)
            .unwrap_or_else(|error| panic!("round {round}, after {left} operations: {error:#}"));
        let found = held(&file);
        if found != want {
            let mut with_last = want.clone();
            apply(&mut with_last, &asked.unwrap_or_default());
            assert_eq!(found, with_last, "round {round}");
            want = with_last;
        }
        file.keep().unwrap();
        acknowledged = Some(file.stored());
        survived += 1;
        // This end isn't one in order either.
        disk.with(|platter| platter.left = Some(0));
        drop(file);
        disk.with(|platter| platter.restart(&mut dice));
    }
    assert!(survived > 900 && cut_while_opening > 20, "{survived} {cut_while_opening}");
    assert!(want.len() > 100, "{}", want.len());
}
