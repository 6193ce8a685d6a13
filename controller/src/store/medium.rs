//! Where the store's bytes are: a file in the data folder; in tests also what
//! loses power or has no room.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// The store's file in the data folder.
pub const NAME: &str = "isolane.redb";
/// Its name until it holds a whole, empty store.
const UNFINISHED: &str = "isolane.redb.new";

/// Something that holds a store's bytes.
pub trait Medium: Send + 'static {
    /// What it is called in errors.
    fn name(&self) -> String;

    /// The bytes of the store that is there; `None` if there is none.
    ///
    /// # Errors
    /// When it can't be opened for reading and writing.
    fn open(&self) -> io::Result<Option<Bytes>>;

    /// Makes room for a new store and calls `fill` with it. Unless that
    /// returns well and the bytes are durable, there is still none.
    ///
    /// # Errors
    /// When there can't be one.
    fn create(&self, fill: &mut dyn FnMut(Bytes) -> anyhow::Result<()>) -> anyhow::Result<()>;
}

/// A medium's bytes, of whatever kind it is. They can't be locked, and needn't:
/// nobody else opens them, as the data folder has a lock of its own, which is
/// held also while the file is closed and opened again.
#[derive(Debug)]
pub struct Bytes(pub Box<dyn StorageBackend>);

impl StorageBackend for Bytes {
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
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// The file in a data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    unfinished: PathBuf,
    folder: PathBuf,
}

impl Folder {
    /// The store in this folder, which must exist.
    pub fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(NAME),
            unfinished: folder.join(UNFINISHED),
            folder: folder.to_owned(),
        }
    }
}

impl Medium for Folder {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&self) -> io::Result<Option<Bytes>> {
        match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(file) => bytes(file).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, fill: &mut dyn FnMut(Bytes) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut options = OpenOptions::new();
        // It holds the key that announcements are signed with.
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&self.unfinished)?;
        fill(bytes(file.try_clone()?)?)?;
        file.sync_all()?;
        std::fs::rename(&self.unfinished, &self.path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}

fn bytes(file: File) -> io::Result<Bytes> {
    Ok(Bytes(Box::new(FileBackend::new(file).map_err(io::Error::other)?)))
}
