//! From what older versions wrote to what this one reads, one version at a
//! time, in one transaction: either all of it is done or nothing.

use redb::{ReadableTable, WriteTransaction};

use super::file::{META, VERSION};
use super::format::SCHEMA;

/// Makes a file of one version one of the next.
pub type Migration = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The first makes version 2 of version 1, and so on.
pub const MIGRATIONS: &[Migration] = &[TO_2, TO_3];

/// Version 2 adds what is known of the world; a file of version 1 has none of it.
const TO_2: Migration = |_| Ok(());

/// Version 3 adds what is remembered of ports for pools.
const TO_3: Migration = |_| Ok(());

const _: () = assert!(1 + MIGRATIONS.len() as u64 == SCHEMA);

/// Why a file can't be brought to this version.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A later version wrote it.
    #[error(
        "it has version {found}, and this program knows versions up to {known}: start the newer program that wrote it, \
         or move the file away and restore a backup that this program made"
    )]
    Newer {
        /// The file's version.
        found: u64,
        /// The last version known here.
        known: u64,
    },
    /// It has no version.
    #[error("it is no store of this program")]
    Foreign,
    /// What the file says when it is read or written.
    #[error(transparent)]
    File(#[from] redb::Error),
}

/// Brings the file to the version that follows the last of `migrations`.
/// Returns the version it had if it was older.
///
/// # Errors
/// [`MigrationError`]; nothing is changed then, if `transaction` isn't committed.
pub fn migrate(
    transaction: &WriteTransaction,
    migrations: &[Migration],
) -> Result<Option<u64>, MigrationError> {
    let known = 1 + migrations.len() as u64;
    let found = {
        let meta = transaction.open_table(META).map_err(redb::Error::from)?;
        let found = meta.get(VERSION).map_err(redb::Error::from)?;
        found.ok_or(MigrationError::Foreign)?.value()
    };
    if found > known {
        return Err(MigrationError::Newer { found, known });
    }
    if found == known {
        return Ok(None);
    }
    if found == 0 {
        return Err(MigrationError::Foreign);
    }
    let done = usize::try_from(found - 1).unwrap_or(usize::MAX);
    for migration in migrations.iter().skip(done) {
        migration(transaction)?;
    }
    let mut meta = transaction.open_table(META).map_err(redb::Error::from)?;
    meta.insert(VERSION, known).map_err(redb::Error::from)?;
    Ok(Some(found))
}
