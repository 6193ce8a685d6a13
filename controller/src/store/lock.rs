//! One process at a time, and what the last one knew.
//!
//! `isolane.lock` is locked (flock) while a process has the data folder, and
//! says which. Beside that it holds the number of the last transaction that
//! was stored, written after it and without a sync of its own: after `kill -9`
//! it shows whether the store's file still ends where it did, which the file
//! alone can't (a last transaction whose bytes are damaged looks like one that
//! was never finished). It goes when the store is closed in order.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

/// The file's name in the data folder.
pub const NAME: &str = "isolane.lock";

/// The data folder is ours while this lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// The folder is locked too, where that can be: its lock stays when
    /// somebody removes the file.
    _folder: Option<File>,
}

impl Lock {
    /// Takes a data folder, which must exist.
    ///
    /// # Errors
    /// When another process has it, which is named, or the file can't be made.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).with_context(|| format!("can't open {}", path.display()))?;
        let in_use = || {
            let holder = Said::read(&file).ok().and_then(|said| said.pid);
            let holder = holder.map_or("another process".to_owned(), |pid| {
                format!("process {pid}, which serves from it")
            });
            anyhow!(
                "the data folder {} is in use by {holder}: end that one, or give this one another --data-dir",
                folder.display()
            )
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock {}", path.display()));
            }
        }
        // Some file systems don't lock folders.
        let whole = File::open(folder).ok();
        let locked = whole.as_ref().map(File::try_lock);
        if matches!(locked, Some(Err(TryLockError::WouldBlock))) {
            return Err(in_use());
        }
        Ok(Self { file, path, _folder: whole })
    }

    /// Where the lock is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last transaction that the process before this one stored, if it
    /// didn't close the store in order.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn stored(&self) -> io::Result<Option<u64>> {
        Ok(Said::read(&self.file)?.stored)
    }

    /// Says who has the folder, and which transaction was stored last.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn say(&self, stored: Option<u64>) -> io::Result<()> {
        Said { pid: Some(std::process::id()), stored }.write(&self.file)
    }
}

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    pid: Option<u32>,
    stored: Option<u64>,
}

/// Bytes of the file: always the same, so that it is written in place.
const LENGTH: usize = 64;

impl Said {
    fn text(&self) -> String {
        let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        let said = format!(
            "pid {:<10}\nstored {:<20}\n",
            number(self.pid.map(u64::from)),
            number(self.stored)
        );
        let sum: String =
            Sha256::digest(&said).iter().take(6).map(|b| format!("{b:02x}")).collect();
        format!("{said}sum {sum}\n")
    }

    fn write(&self, file: &File) -> io::Result<()> {
        let text = format!("{:<LENGTH$}", self.text());
        file.write_all_at(text.as_bytes(), 0)
    }

    /// What isn't as this program writes it (a power cut may leave zeros) says nothing.
    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; LENGTH];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Self::default()),
            Err(error) => return Err(error),
        }
        let text = String::from_utf8_lossy(&bytes);
        let field = |line: &str, name| Some(line.strip_prefix(name)?.trim().to_owned());
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| field(line, "pid ")).and_then(|n| n.parse().ok());
        let stored =
            lines.next().and_then(|line| field(line, "stored ")).and_then(|n| n.parse().ok());
        let said = Self { pid, stored };
        Ok(if text.trim_end() == said.text().trim_end() { said } else { Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_process_at_a_time_which_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(lock.stored().unwrap(), None);
        lock.say(Some(7)).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(lock.stored().unwrap(), Some(7));
        lock.say(None).unwrap();
        assert_eq!(lock.stored().unwrap(), None);
    }

    #[test]
    fn a_folder_is_ours_even_if_somebody_removes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        std::fs::remove_file(lock.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn what_is_damaged_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        lock.say(Some(u64::MAX)).unwrap();
        let whole = std::fs::read(lock.path()).unwrap();
        assert_eq!(whole.len(), LENGTH);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(lock.path(), damaged).unwrap();
            assert!(matches!(lock.stored().unwrap(), None | Some(u64::MAX)), "byte {at}");
        }
        std::fs::write(lock.path(), [0; LENGTH]).unwrap();
        assert_eq!(lock.stored().unwrap(), None);
    }
}
