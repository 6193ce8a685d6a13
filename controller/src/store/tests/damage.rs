//! Files whose bytes are not as they were written.

use std::fs;

use super::*;
use crate::store::medium::NAME;

/// Opens a file with these bytes. What was refused must be named with what to
/// do; what was opened must be whole.
fn judge(bytes: &[u8], at_least: Option<u64>, want: &Held, case: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAME), bytes).unwrap();
    let opened = StoreFile::open(Folder::new(folder.path()), at_least);
    let records = opened.and_then(|file| file.records().map(|_| file));
    match records {
        Ok(file) => {
            assert_eq!(held(&file), *want, "{case}: opened, and not as it was");
            false
        }
        Err(error) => {
            let text = format!("{error:#}");
            for must in [NAME, "damaged", "isolane restore"] {
                assert!(text.contains(must), "{case}: {text}");
            }
            let left = fs::read(folder.path().join(NAME)).unwrap();
            assert!(left == bytes, "{case}: the refused file was changed");
            true
        }
    }
}

/// Alters bytes at random places, alone and in whole runs.
fn alter(bytes: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    let mut altered = bytes.to_vec();
    let at = match dice.below(4) {
        // The header, and what follows it.
        0 => dice.below(512),
        1 => dice.below(8192),
        _ => dice.below(bytes.len() as u64),
    } as usize;
    let run = [1, 1, 8, 512, 4096][dice.below(5) as usize].min(bytes.len() - at);
    let how = dice.below(3);
    for byte in &mut altered[at..at + run] {
        *byte = match how {
            0 => *byte ^ (1 << dice.below(8)),
            1 => 0,
            _ => dice.below(256) as u8,
        };
    }
    (altered, format!("{run} bytes at {at}, way {how}"))
}

#[test]
fn a_file_closed_in_order_is_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, want) = filled(folder.path());
    file.close().unwrap();
    let bytes = fs::read(folder.path().join(NAME)).unwrap();
    assert!(!judge(&bytes, None, &want, "untouched"));
    let mut dice = Dice(2);
    let mut refused = 0;
    for round in 0..400 {
        let (altered, case) = alter(&bytes, &mut dice);
        refused += u32::from(judge(&altered, None, &want, &format!("round {round}: {case}")));
    }
    assert!(refused > 50, "only {refused} were refused");
}

#[test]
fn a_file_left_by_kill_9_is_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, want) = filled(folder.path());
    let bytes = fs::read(folder.path().join(NAME)).unwrap();
    let stored = Some(file.stored());
    assert!(!judge(&bytes, stored, &want, "untouched"));
    let mut dice = Dice(3);
    let mut refused = 0;
    for round in 0..400 {
        let (altered, case) = alter(&bytes, &mut dice);
        refused += u32::from(judge(&altered, stored, &want, &format!("round {round}: {case}")));
    }
    assert!(refused > 50, "only {refused} were refused");
}

#[test]
fn a_file_that_was_cut_is_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, want) = filled(folder.path());
    file.close().unwrap();
    let bytes = fs::read(folder.path().join(NAME)).unwrap();
    let mut dice = Dice(4);
    assert!(judge(&[], None, &want, "empty"));
    assert!(judge(&vec![0; bytes.len()], None, &want, "zeros"));
    assert!(judge(b"networks: []\n", None, &want, "something else"));
    for _ in 0..60 {
        let length = dice.below(bytes.len() as u64) as usize;
        judge(&bytes[..length], None, &want, &format!("cut to {length} of {}", bytes.len()));
    }
    let longer = [bytes.as_slice(), &[7; 5000]].concat();
    judge(&longer, None, &want, "longer");
}

/// An older copy put in the place of a file that was not closed in order.
#[test]
fn a_file_that_lost_an_acknowledged_change_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, want) = filled(folder.path());
    let older = fs::read(folder.path().join(NAME)).unwrap();
    let stored = file.stored();
    file.write(&entries([port(1, 1)])).unwrap();
    assert!(!judge(&older, Some(stored), &want, "all that is known"));
    assert!(judge(&older, Some(stored + 1), &want, "one is missing"));
}

/// As the refusal says: the file is moved away, and the next start makes a new one, whatever the last one had.
#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = filled(folder.path());
    let stored = file.stored();
    drop(file);
    fs::remove_file(folder.path().join(NAME)).unwrap();
    let file = StoreFile::open(Folder::new(folder.path()), Some(stored)).unwrap();
    assert!(held(&file).is_empty() && file.stored() == 0);
}

/// A page of the last change is damaged, the file refused, and the page mended: nothing is lost.
#[test]
fn a_refused_file_can_still_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (file, want) = filled(folder.path());
    let stored = Some(file.stored());
    let bytes = fs::read(folder.path().join(NAME)).unwrap();
    let mut refused = 0;
    let mut dice = Dice(4);
    for round in 0..60 {
        let (altered, case) = alter(&bytes, &mut dice);
        let other = tempfile::tempdir().unwrap();
        let path = other.path().join(NAME);
        fs::write(&path, &altered).unwrap();
        let open = || StoreFile::open(Folder::new(other.path()), stored);
        if open().is_ok() {
            continue;
        }
        refused += 1;
        let mut mended = fs::read(&path).unwrap();
        for at in (0..bytes.len()).filter(|at| altered[*at] != bytes[*at]) {
            mended[at] = bytes[at];
        }
        fs::write(&path, mended).unwrap();
        let file = open().unwrap_or_else(|error| panic!("round {round}: {case}: {error:#}"));
        assert_eq!(held(&file), want, "round {round}: {case}");
    }
    assert!(refused > 10, "only {refused} were refused");
}
