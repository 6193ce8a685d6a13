//! Files of other versions.

use redb::{Database, ReadableDatabase, ReadableTable};

use super::*;
use crate::store::file::{META, RECORDS};
use crate::store::format::SCHEMA;
use crate::store::medium::NAME;
use crate::store::migrations::{MIGRATIONS, Migration};

/// What the next version might do: it keeps ports of one switch no more.
const NEXT: Migration = |transaction| {
    let mut records = transaction.open_table(RECORDS)?;
    records.retain(|(kind, key), _| kind != "port" || !key.contains("worker-3"))?;
    Ok(())
};

#[test]
fn an_older_file_is_migrated_once_and_a_newer_one_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let (file, mut want) = filled(folder.path());
    file.close().unwrap();

    let next: &'static [Migration] = [MIGRATIONS, &[NEXT]].concat().leak();
    for _ in 0..2 {
        let file = StoreFile::open_with(Folder::new(folder.path()), None, next).unwrap();
        want.retain(|(kind, key), _| kind != "port" || !key.contains("worker-3"));
        assert_eq!(held(&file), want);
        file.close().unwrap();
    }

    let path = folder.path().join(NAME);
    let before = std::fs::read(&path).unwrap();
    let error = StoreFile::open(Folder::new(folder.path()), None).err().unwrap().to_string();
    assert!(error.contains(NAME), "{error}");
    assert!(error.contains(&format!("version {}", SCHEMA + 1)), "{error}");
    assert!(error.contains(&format!("up to {SCHEMA}")) && error.contains("restore"), "{error}");
    let file = StoreFile::open_with(Folder::new(folder.path()), None, next).unwrap();
    assert_eq!(held(&file), want, "it was {} bytes", before.len());
}

#[test]
fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (file, want) = filled(folder.path());
    file.close().unwrap();
    const FAILS: Migration = |transaction| {
        NEXT(transaction)?;
        Err(redb::Error::Corrupted("on purpose".to_owned()))
    };
    let fails: &'static [Migration] = [MIGRATIONS, &[FAILS]].concat().leak();
    let error = StoreFile::open_with(Folder::new(folder.path()), None, fails).err().unwrap();
    assert!(error.to_string().contains("on purpose"), "{error}");
    let file = StoreFile::open(Folder::new(folder.path()), None).unwrap();
    assert_eq!(held(&file), want);
}

#[test]
fn somebody_elses_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let other: redb::TableDefinition<&str, &str> = redb::TableDefinition::new("other");
    transaction.open_table(other).unwrap().insert("a", "b").unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = StoreFile::open(Folder::new(folder.path()), None).err().unwrap().to_string();
    assert!(error.contains("no store of this program"), "{error}");

    let database = Database::create(&path).unwrap();
    let transaction = database.begin_read().unwrap();
    let table = transaction.open_table(other).unwrap();
    assert_eq!(table.iter().unwrap().count(), 1);
    assert!(transaction.open_table(META).is_err(), "nothing was written");
}
