//! Bytes that stay as they are until all is known to be well with them.
//!
//! Opening a store repairs what an unclean end left unfinished, and brings it
//! to this version. Of a file that is then refused nothing must have changed:
//! whoever mends it, or has another program for it, needs it as it was.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::medium::Bytes;

/// What is written to it is kept in memory until it is released; from then on
/// it goes straight on.
#[derive(Debug)]
pub struct Held(Arc<Inner>);

/// Lets go of what is [`Held`].
#[derive(Debug)]
pub struct Hold(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    beneath: Bytes,
    /// What is kept, in its order; `None` once it is released.
    kept: Mutex<Option<Vec<Step>>>,
}

#[derive(Debug)]
enum Step {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

impl Held {
    /// Keeps back what will be written to these bytes.
    pub fn new(beneath: Bytes) -> (Self, Hold) {
        let inner = Arc::new(Inner { beneath, kept: Mutex::new(Some(Vec::new())) });
        (Self(Arc::clone(&inner)), Hold(inner))
    }

    /// Keeps the step, or says that it isn't to be kept.
    fn keep(&self, step: impl FnOnce() -> Step) -> bool {
        let mut kept = self.0.kept();
        kept.as_mut().map(|kept| kept.push(step())).is_some()
    }
}

impl Hold {
    /// Writes what was kept, in its order and with its syncs, so that a power
    /// cut in the middle of it is one as any other.
    ///
    /// # Errors
    /// When it can't be written. Then what follows is kept for good: closing
    /// the database must not say that all is in order.
    pub fn release(self) -> io::Result<()> {
        let mut kept = self.0.kept();
        for step in kept.iter().flatten() {
            match step {
                Step::Write(offset, data) => self.0.beneath.write(*offset, data)?,
                Step::Length(length) => self.0.beneath.set_len(*length)?,
                Step::Sync => self.0.beneath.sync_data()?,
            }
        }
        *kept = None;
        Ok(())
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Option<Vec<Step>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn length(&self, kept: &[Step]) -> io::Result<u64> {
        let last = kept.iter().rev().find_map(|step| match step {
            Step::Length(length) => Some(*length),
            _ => None,
        });
        last.map_or_else(|| self.beneath.len(), Ok)
    }

    /// What would be there if all that is kept were written.
    fn read(&self, kept: &[Step], offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.length(kept)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let there = self.beneath.len()?.clamp(offset, end) - offset;
        let (old, new) = out.split_at_mut(there as usize);
        if !old.is_empty() {
            self.beneath.read(offset, old)?;
        }
        new.fill(0);
        for step in kept {
            match step {
                Step::Write(at, data) => {
                    let (from, to) = (offset.max(*at), end.min(at + data.len() as u64));
                    if from < to {
                        out[(from - offset) as usize..(to - offset) as usize]
                            .copy_from_slice(&data[(from - at) as usize..(to - at) as usize]);
                    }
                }
                // What is beyond it is gone, and zeros if it comes back.
                Step::Length(length) => {
                    out[((*length).clamp(offset, end) - offset) as usize..].fill(0);
                }
                Step::Sync => {}
            }
        }
        Ok(())
    }
}

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        match &*self.0.kept() {
            Some(kept) => self.0.length(kept),
            None => self.0.beneath.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.0.kept() {
            Some(kept) => self.0.read(kept, offset, out),
            None => self.0.beneath.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.keep(|| Step::Length(len)) { Ok(()) } else { self.0.beneath.set_len(len) }
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.keep(|| Step::Sync) { Ok(()) } else { self.0.beneath.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.keep(|| Step::Write(offset, data.to_vec())) {
            Ok(())
        } else {
            self.0.beneath.write(offset, data)
        }
    }

    fn close(&self) -> io::Result<()> {
        self.0.beneath.close()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    #[derive(Clone, Debug)]
    enum Act {
        Write(u64, Vec<u8>),
        Length(u64),
        Read(u64, usize),
        Release,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0u64..64, prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(at, data)| Act::Write(at, data)),
            2 => (0u64..96).prop_map(Act::Length),
            4 => (0u64..64, 1usize..48).prop_map(|(at, len)| Act::Read(at, len)),
            1 => Just(Act::Release),
        ]
    }

    /// Bytes that take so many writes and no more.
    #[derive(Debug)]
    struct Failing(InMemoryBackend, Mutex<usize>);

    impl StorageBackend for Failing {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let mut left = self.1.lock().unwrap();
            *left = left.checked_sub(1).ok_or(ErrorKind::StorageFull)?;
            self.0.write(offset, data)
        }
    }

    /// The rest of it is never written: not either when the database is closed, which says that all is in order.
    #[test]
    fn what_can_not_be_released_is_kept() {
        let beneath = InMemoryBackend::new();
        beneath.set_len(4).unwrap();
        let (held, hold) = Held::new(Bytes(Box::new(Failing(beneath, Mutex::new(1)))));
        held.write(0, &[1]).unwrap();
        held.write(1, &[2]).unwrap();
        hold.release().unwrap_err();
        held.write(2, &[3]).unwrap();
        let (mut seen, mut there) = ([0; 4], [0; 4]);
        held.read(0, &mut seen).unwrap();
        held.0.beneath.read(0, &mut there).unwrap();
        assert_eq!((seen, there), ([1, 2, 3, 0], [1, 0, 0, 0]));
    }

    proptest! {
        /// Whoever reads sees no difference, and beneath there is none until the release.
        #[test]
        fn it_reads_as_if_all_were_written(acts in prop::collection::vec(act(), 1..40)) {
            let plain = InMemoryBackend::new();
            let beneath = InMemoryBackend::new();
            for bytes in [&plain, &beneath] {
                bytes.set_len(80).unwrap();
                bytes.write(0, &[7; 80]).unwrap();
            }
            let (held, hold) = Held::new(Bytes(Box::new(beneath)));
            let mut hold = Some(hold);
            let whole = |bytes: &dyn StorageBackend| {
                let mut all = vec![0; bytes.len().unwrap() as usize];
                bytes.read(0, &mut all).unwrap();
                all
            };
            for act in acts {
                match act {
                    Act::Write(at, data) if at + data.len() as u64 <= plain.len().unwrap() => {
                        plain.write(at, &data).unwrap();
                        held.write(at, &data).unwrap();
                    }
                    Act::Write(..) => {}
                    Act::Length(len) => {
                        plain.set_len(len).unwrap();
                        held.set_len(len).unwrap();
                    }
                    Act::Read(at, len) if at + len as u64 <= plain.len().unwrap() => {
                        let (mut one, mut other) = (vec![0; len], vec![1; len]);
                        plain.read(at, &mut one).unwrap();
                        held.read(at, &mut other).unwrap();
                        prop_assert_eq!(one, other);
                    }
                    Act::Read(at, len) => prop_assert!(held.read(at, &mut vec![0; len]).is_err()),
                    Act::Release => {
                        if let Some(hold) = hold.take() {
                            prop_assert_eq!(whole(&held.0.beneath), vec![7; 80]);
                            hold.release().unwrap();
                        }
                    }
                }
                prop_assert_eq!(whole(&held), whole(&plain));
            }
            if hold.is_none() {
                prop_assert_eq!(whole(&held.0.beneath), whole(&plain));
            }
        }
    }
}
