//! Backups: all records of the store as one JSON document, with a digest.
//!
//! Pure. What a backup holds are the records that the store's file holds, in
//! the same texts, but no secret. It is taken back whole or not at all: one
//! that is damaged, or that another version made, is refused before anything
//! is changed.

use std::collections::BTreeSet;
use std::time::SystemTime;

use api::types::Backup;
use api::values::Timestamp;
use api::{Problem, ProblemKind};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::intents::{Intents, Record};
use crate::store::format::{self, SCHEMA};
use crate::world::{Fact, World};

/// What `format` says in a backup.
const FORMAT: &str = "isolane-backup";

type Records = Vec<(String, String, Value)>;

/// A backup of this state, as JSON.
///
/// # Errors
/// None is known: every record has a text.
pub fn make(
    intents: &Intents,
    world: &World,
    created: SystemTime,
) -> Result<Vec<u8>, serde_json::Error> {
    let facts = world.facts().into_iter().filter(|fact| !matches!(fact, Fact::Key(_)));
    let mut records = Records::new();
    for record in intents.records().into_iter().chain(facts.map(Record::World)) {
        let entry = format::entry(&record)?;
        let Some(value) = entry.value else { continue };
        records.push((entry.kind.to_owned(), entry.key, serde_json::from_slice(&value)?));
    }
    let backup = Backup {
        format: FORMAT.to_owned(),
        version: SCHEMA,
        created: Timestamp::from(created),
        sha256: digest(&records)?,
        records,
    };
    serde_json::to_vec(&backup)
}

/// What a backup holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// What was desired.
    pub intents: Intents,
    /// What was known.
    pub world: World,
}

/// Reads a backup.
///
/// # Errors
/// `backup-damaged` and `backup-version`, with what is wrong.
pub fn read(json: &[u8]) -> Result<Contents, Problem> {
    /// What a backup of any version has.
    #[derive(Deserialize)]
    struct Head {
        format: Option<String>,
        version: Option<u64>,
    }
    let damaged = |why: String| Problem::new(ProblemKind::BackupDamaged, why);
    let head: Head = serde_json::from_slice(json)
        .map_err(|error| damaged(format!("The backup is cut off or is no backup: {error}.")))?;
    if head.format.as_deref() != Some(FORMAT) {
        return Err(damaged(format!("This is no backup: its format isn't {FORMAT:?}.")));
    }
    match head.version {
        Some(SCHEMA) => {}
        Some(other) => {
            let detail = format!(
                "The backup has version {other}, and this program takes back version {SCHEMA}."
            );
            return Err(Problem::new(ProblemKind::BackupVersion, detail).with("version", other));
        }
        None => return Err(damaged("The backup doesn't say its version.".to_owned())),
    }
    let backup: Backup = serde_json::from_slice(json)
        .map_err(|error| damaged(format!("The backup is not as it was made: {error}.")))?;
    let found = digest(&backup.records).map_err(|error| damaged(error.to_string()))?;
    if found != backup.sha256 {
        let detail = format!(
            "The backup is not as it was made: the SHA-256 of its records is {found}, not {}.",
            backup.sha256
        );
        return Err(damaged(detail));
    }
    let mut contents = Contents::default();
    for (kind, key, value) in backup.records {
        let record = format::record(&kind, &key, value.to_string().as_bytes());
        match record.map_err(|error| damaged(format!("The backup holds {error}.")))? {
            Record::World(fact) => contents.world.apply(fact),
            record => contents.intents.apply(record),
        }
    }
    check(&contents.intents).map_err(damaged)?;
    Ok(contents)
}

/// Records fit together in every store; here somebody may have made them up.
fn check(intents: &Intents) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    for network in intents.networks() {
        if !ids.insert(network.id) {
            return Err(format!("Two networks of the backup have the id {}.", network.id));
        }
    }
    match intents.ports().find(|(_, port)| intents.network(&port.network).is_none()) {
        Some((at, port)) => Err(format!(
            "Port {at} of the backup is in network {}, which isn't in it.",
            port.network
        )),
        None => Ok(()),
    }
}

fn digest(records: &Records) -> Result<String, serde_json::Error> {
    let text = serde_json::to_vec(records)?;
    Ok(Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use api::types::{NetworkSpec, PortSpec};

    use super::*;
    use crate::intents::{NetworkRecord, PortRecord};
    use crate::model::{NetworkId, PortAt, PortRef};
    use crate::world::Secret;

    fn some() -> (Intents, World) {
        let mut intents = Intents::default();
        let spec = NetworkSpec::new("blue".parse().unwrap());
        intents.apply(Record::Network(NetworkRecord { id: NetworkId::FIRST, spec, set: None }));
        for number in 1..=3 {
            let at = PortAt { switch: "s1".parse().unwrap(), port: PortRef::Number(number) };
            let record = PortRecord {
                network: "blue".parse().unwrap(),
                spec: PortSpec::default(),
                set: None,
                age: u64::from(number),
                since: SystemTime::UNIX_EPOCH,
            };
            intents.apply(Record::Port(at, record));
        }
        let mut world = World::default();
        world.apply(Fact::EverHeld);
        world.apply(Fact::Key(Secret([0xa7; 32])));
        (intents, world)
    }

    #[test]
    fn a_backup_is_read_back_and_has_no_secret() {
        let (intents, world) = some();
        let json = make(&intents, &world, SystemTime::UNIX_EPOCH).unwrap();
        let contents = read(&json).unwrap();
        assert_eq!(contents.intents.records(), intents.records());
        assert_eq!(contents.world, World { key: None, ..world });
        assert!(!String::from_utf8(json).unwrap().contains("167"));
    }

    #[test]
    fn whatever_byte_is_lost_or_changed_is_noticed() {
        let (intents, world) = some();
        let json = make(&intents, &world, SystemTime::UNIX_EPOCH).unwrap();
        for at in 0..json.len() {
            assert!(read(&json[..at]).is_err(), "cut at {at}");
            let mut changed = json.clone();
            changed[at] ^= 1;
            // When it was made doesn't matter to what is in it.
            let same = |contents: &Contents| contents.intents.records() == intents.records();
            assert!(read(&changed).is_err() || read(&changed).is_ok_and(|it| same(&it)), "{at}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = String::from_utf8(make(&some().0, &some().1, SystemTime::UNIX_EPOCH).unwrap());
        let good = good.unwrap();
        let version = format!("\"version\":{SCHEMA}");
        let other = good.replacen(&version, "\"version\":99,\"new\":1", 1);
        let cases = [
            ("", "backup-damaged", "cut off"),
            ("{}", "backup-damaged", "no backup"),
            (&good.replacen("blue", "blau", 1), "backup-damaged", "SHA-256"),
            (&good.replacen(&version, "\"x\":1", 1), "backup-damaged", "its version"),
            (&other, "backup-version", "version 99"),
        ];
        for (json, kind, want) in cases {
            let problem = read(json.as_bytes()).unwrap_err();
            assert_eq!(problem.kind().name(), kind, "{problem}");
            assert!(problem.detail().contains(want), "{problem}");
        }
    }

    #[test]
    fn records_that_do_not_fit_together_are_refused() {
        let (mut intents, world) = some();
        intents.apply(Record::NoNetwork("blue".parse().unwrap()));
        let json = make(&intents, &world, SystemTime::UNIX_EPOCH).unwrap();
        assert!(read(&json).unwrap_err().detail().contains("which isn't in it"));
    }
}
