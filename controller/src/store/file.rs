//! The store's file: redb, with what it leaves to others.
//!
//! redb checks every page when the file is opened and repairs what an unclean
//! end left unfinished. Here is what it doesn't know: that a transaction which
//! was acknowledged must still be there; that one whose failure was reported
//! must not be; and that whatever it panics about is only a damaged file.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use tracing::{error, info, warn};

use super::format::{self, Entry, SCHEMA};
use super::held::{Held, Hold};
use super::medium::{Bytes, Medium};
use super::migrations::{MIGRATIONS, Migration, migrate};
use crate::intents::Record;

/// Numbers about the file itself.
pub const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// In [`META`]: the version of all that is in [`RECORDS`].
pub const VERSION: &str = "version";
/// In [`META`]: the number of the last transaction.
const STORED: &str = "stored";
/// Kind and key to value.
pub const RECORDS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("records");

/// redb keeps pages in memory; the state itself is the engine's.
const CACHE: usize = 32 << 20;

/// What to do about a file that isn't as it was written.
const RESTORE: &str = "Nothing was changed. Move it away, start again, and give back the last backup \
    (isolane restore FILE); switches go on forwarding meanwhile.";

/// An open store.
pub struct StoreFile<M> {
    medium: M,
    migrations: &'static [Migration],
    database: Option<Database>,
    /// While the file is as it was found, whatever its repair takes.
    hold: Option<Hold>,
    /// The last transaction that is durable.
    stored: u64,
    /// A transaction of which it isn't known whether it became durable: what
    /// takes it back if it did.
    doubt: Option<(u64, Before)>,
}

/// What entries were before a transaction.
type Before = BTreeMap<(String, String), Option<Vec<u8>>>;

impl<M: Medium> StoreFile<M> {
    /// Opens the store, or makes one where there is none. `at_least` is the
    /// last transaction that is known to have been stored in one that is there.
    /// A file that is there isn't changed before [`Self::keep`].
    ///
    /// # Errors
    /// When it can't be read and written, is damaged, is of a newer version,
    /// or ends before `at_least`; the text says what to do.
    pub fn open(medium: M, at_least: Option<u64>) -> Result<Self> {
        Self::open_with(medium, at_least, MIGRATIONS)
    }

    pub(super) fn open_with(
        medium: M,
        at_least: Option<u64>,
        migrations: &'static [Migration],
    ) -> Result<Self> {
        let mut new =
            Self { medium, migrations, database: None, hold: None, stored: 0, doubt: None };
        let (bytes, at_least) = match new.bytes()? {
            Some(bytes) => (bytes, at_least),
            None => {
                if at_least.is_some() {
                    warn!(file = new.medium.name(), "the store is gone; a new one is made");
                }
                new.create()?;
                (new.bytes()?.context("the store that was just made is gone")?, None)
            }
        };
        let (database, stored, hold) = new.opened(bytes)?;
        if let Some(known) = at_least.filter(|known| stored < *known) {
            bail!(
                "the store {} is damaged: it ends with change {stored}, but change {known} was acknowledged. {RESTORE} \
                 If this file was put here on purpose, remove the file {} beside it.",
                new.medium.name(),
                super::lock::NAME
            );
        }
        new.stored = stored;
        new.database = Some(database);
        new.hold = Some(hold);
        Ok(new)
    }

    /// What was found is well: its repair is written, and from now on what is
    /// stored.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&mut self) -> Result<()> {
        let Some(hold) = self.hold.take() else { return Ok(()) };
        let released = hold.release();
        if released.is_err() {
            self.let_go();
        }
        released.with_context(|| format!("can't write the store {}", self.medium.name()))
    }

    fn bytes(&self) -> Result<Option<Bytes>> {
        self.medium.open().with_context(|| format!("can't open the store {}", self.medium.name()))
    }

    fn create(&self) -> Result<()> {
        let mut fill = |bytes: Bytes| {
            guarded(|| {
                let database = builder().create_with_backend(bytes)?;
                let transaction = database.begin_write()?;
                {
                    let mut meta = transaction.open_table(META)?;
                    meta.insert(VERSION, SCHEMA)?;
                    meta.insert(STORED, 0)?;
                    transaction.open_table(RECORDS)?;
                }
                transaction.commit()?;
                database.close()?;
                Ok(())
            })
        };
        self.medium
            .create(&mut fill)
            .with_context(|| format!("can't make the store {}", self.medium.name()))?;
        info!(file = self.medium.name(), "a new store");
        Ok(())
    }

    /// The database in these bytes, checked and of this version, and the last
    /// transaction in it; the bytes are as they were until they are let go.
    fn opened(&self, bytes: Bytes) -> Result<(Database, u64, Hold)> {
        let name = self.medium.name();
        let length = redb::StorageBackend::len(&bytes)
            .with_context(|| format!("can't read the store {name}"))?;
        if length == 0 {
            // redb would make a new one of it.
            bail!("the store {name} is damaged: it is empty. {RESTORE}");
        }
        let (held, hold) = Held::new(bytes);
        let open = || {
            let database = builder().set_check_integrity_on_open(true).create_with_backend(held)?;
            Ok(database)
        };
        let database = guarded(open).map_err(|error| broken(&name, error))?;
        let migrated = guarded(|| {
            let transaction = database.begin_write()?;
            let older = migrate(&transaction, self.migrations)?;
            let stored = transaction.open_table(META)?.get(STORED)?.map(|stored| stored.value());
            if older.is_some() {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok((older, stored.context("its number of transactions is missing")?))
        });
        let (older, stored) = migrated.map_err(|error| {
            let newer = error.downcast_ref().is_some_and(|error| {
                matches!(error, super::migrations::MigrationError::Newer { .. })
            });
            let said = anyhow!("the store {name} can't be used: {error:#}");
            if newer { said } else { broken(&name, error) }
        })?;
        if let Some(older) = older {
            info!(
                file = name,
                from = older,
                to = 1 + self.migrations.len(),
                "the store was migrated"
            );
        }
        Ok((database, stored, hold))
    }

    /// All records, in an order in which they can be applied.
    ///
    /// # Errors
    /// When an entry isn't one that this version writes, or can't be read.
    pub fn records(&self) -> Result<Vec<Record>> {
        let name = self.medium.name();
        let database = self.database.as_ref().context("the store is closed")?;
        let read = || {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let mut by_kind: Vec<Vec<Record>> = format::kinds().map(|_| Vec::new()).collect();
            for entry in table.iter()? {
                let (key, value) = entry?;
                let (kind, key) = key.value();
                let record = format::record(kind, key, value.value())?;
                let place = format::kinds().position(|known| known.name == kind);
                if let Some(records) = place.and_then(|place| by_kind.get_mut(place)) {
                    records.push(record);
                }
            }
            Ok(by_kind.into_iter().flatten().collect())
        };
        guarded(read).map_err(|error| broken(&name, error))
    }

    /// The number of the last transaction that is durable.
    pub const fn stored(&self) -> u64 {
        self.stored
    }

    /// Makes changes durable, all or none of them.
    ///
    /// # Errors
    /// When they aren't; the store is then as if they had never been given.
    pub fn write(&mut self, entries: &[Entry]) -> Result<()> {
        self.recover()?;
        self.keep()?;
        let Some(database) = self.database.as_ref() else { bail!("the store is closed") };
        let number = self.stored + 1;
        let mut before = Before::new();
        let entries =
            entries.iter().map(|entry| (entry.kind, entry.key.as_str(), entry.value.as_deref()));
        let written = guarded(|| transact(database, number, entries, &mut before));
        match written {
            Ok(()) => {
                self.stored = number;
                Ok(())
            }
            Err(error) => {
                self.doubt = Some((number, before));
                // redb wants to be opened anew after a failure.
                self.let_go();
                if let Err(again) = self.recover() {
                    error!(error = %format!("{again:#}"), "the store stays closed until the next change");
                }
                Err(error)
            }
        }
    }

    /// Opens the store again after a failure. A transaction that was reported
    /// as failed, and is there all the same, is taken back first.
    fn recover(&mut self) -> Result<()> {
        if self.database.is_some() && self.doubt.is_none() {
            return Ok(());
        }
        self.let_go();
        let bytes = self.bytes()?;
        let bytes = bytes.with_context(|| format!("the store {} is gone", self.medium.name()))?;
        let (database, found, hold) = self.opened(bytes)?;
        if found < self.stored {
            bail!(
                "the store {} ends with change {found}, but change {} was acknowledged",
                self.medium.name(),
                self.stored
            );
        }
        self.hold = Some(hold);
        self.keep()?;
        if let Some((number, before)) = &self.doubt
            && found == *number
        {
            warn!(
                change = found,
                "a change that failed became durable after all: it is taken back"
            );
            let entries = before
                .iter()
                .map(|((kind, key), old)| (kind.as_str(), key.as_str(), old.as_deref()));
            // As a transaction of its own, with a number of its own.
            guarded(|| transact(&database, number + 1, entries, &mut Before::new()))?;
            self.stored = number + 1;
        }
        self.doubt = None;
        self.database = Some(database);
        Ok(())
    }

    fn let_go(&mut self) {
        if let Some(database) = self.database.take() {
            // Its errors were reported already; a panic is another one.
            let _ = guarded(|| {
                drop(database);
                Ok(())
            });
        }
    }

    /// Closes the file. It then needs no repair when it is opened.
    ///
    /// # Errors
    /// When it can't be; nothing stored is lost.
    pub fn close(mut self) -> Result<()> {
        self.keep()?;
        match self.database.take() {
            Some(database) => guarded(|| Ok(database.close()?)),
            None => bail!("the store was closed by a failure"),
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Makes changes in one transaction, and notes what was there before.
fn transact<'a>(
    database: &Database,
    number: u64,
    entries: impl Iterator<Item = (&'a str, &'a str, Option<&'a [u8]>)>,
    before: &mut Before,
) -> Result<()> {
    let transaction = database.begin_write()?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        for (kind, key, value) in entries {
            let old = match value {
                Some(value) => records.insert((kind, key), value)?,
                None => records.remove((kind, key))?,
            };
            let old = old.map(|old| old.value().to_vec());
            before.entry((kind.to_owned(), key.to_owned())).or_insert(old);
        }
        transaction.open_table(META)?.insert(STORED, number)?;
    }
    Ok(transaction.commit()?)
}

/// Runs what calls redb. A panic there is an error like any other.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text =
            text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(anyhow!("its pages contradict each other ({text})"))
    })
}

/// Says what is wrong with a file, and what to do.
fn broken(name: &str, error: anyhow::Error) -> anyhow::Error {
    match cause(&error) {
        Some(io)
            if io.kind() != std::io::ErrorKind::InvalidData
                && io.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            error.context(format!("can't open the store {name}"))
        }
        _ => anyhow!("the store {name} is damaged: {error:#}. {RESTORE}"),
    }
}

/// The failure of the disk behind an error, if it is one.
fn cause(error: &anyhow::Error) -> Option<&std::io::Error> {
    error.chain().find_map(|cause| {
        if let Some(redb::DatabaseError::Storage(redb::StorageError::Io(io))) = cause.downcast_ref()
        {
            return Some(io);
        }
        match cause.downcast_ref() {
            Some(redb::StorageError::Io(io)) => Some(io),
            _ => match cause.downcast_ref() {
                Some(redb::Error::Io(io)) => Some(io),
                _ => cause.downcast_ref::<std::io::Error>(),
            },
        }
    })
}
