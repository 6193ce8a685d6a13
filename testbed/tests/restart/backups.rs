//! Backups are made and given back while the controller runs.

use serde_json::{Value, json};
use testbed::controller::Controller;
use testbed::error::LabError;

use super::ring::{Checked, Ring, mac};

fn backup(controller: &Controller) -> Result<Value, LabError> {
    let answer = controller.rest().get("/api/v1/backup")?;
    assert_eq!(answer.status, 200, "{answer}");
    Ok(answer.body)
}

fn names(controller: &Controller) -> Result<Vec<String>, LabError> {
    let answer = controller.rest().get("/api/v1/networks")?;
    let items = answer.body["items"].as_array().unwrap();
    Ok(items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn what_is_given_back_is_there_and_what_was_not_in_it_is_gone() -> Checked {
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let ring = Ring::begin(&controller)?;
    ring.populate(&controller, "red")?;
    let kept = backup(&controller)?;
    let before = ring.changes();

    // Given back at once, it changes nothing.
    let answer = controller.rest().call("POST", "/api/v1/restore", &kept)?;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!((&answer.body["changed"], &answer.body["deleted"]), (&json!(0), &json!(0)));
    assert_eq!(ring.changes(), before);

    controller.create_network("blue")?;
    controller.attach("blue", "s1", "2")?;
    controller.detach("red", "s2", "1")?;
    ring.everybody_hears(1, &[1, 3]);

    // Whatever is wrong with a backup, nothing is changed by it.
    let mut damaged = kept.clone();
    damaged["records"][0][1] = json!("rot");
    let mut newer = kept.clone();
    newer["version"] = json!(kept["version"].as_u64().unwrap() + 1);
    for (wrong, status, kind) in [
        (damaged, 400, "backup-damaged"),
        (newer, 409, "backup-version"),
        (json!({}), 400, "backup-damaged"),
    ] {
        let answer = controller.rest().call("POST", "/api/v1/restore", &wrong)?;
        assert_eq!(answer.status, status, "{answer}");
        assert!(answer.text("/type").ends_with(kind), "{answer}");
    }
    let half = kept.to_string();
    let answer =
        controller.rest().send("POST", "/api/v1/restore", Some(&half[..half.len() / 2]))?;
    assert_eq!((answer.status, answer.text("/title")), (400, "The backup is damaged"), "{answer}");
    assert_eq!(names(&controller)?, ["blue", "red"]);
    ring.everybody_hears(1, &[1, 3]);

    let answer = controller.rest().call("POST", "/api/v1/restore", &kept)?;
    assert_eq!((answer.status, answer.text("/state")), (200, "installed"), "{answer}");
    let is_whole = |controller: &Controller| {
        assert_eq!(names(controller)?, ["red"]);
        (1..=3).for_each(|from| ring.everybody_hears(from, &[1, 2, 3]));
        Checked::Ok(())
    };
    is_whole(&controller)?;
    let controller = controller.kill_and_restart()?;
    controller.wait_for_switches(3)?;
    is_whole(&controller)
}

/// The disk is lost: switches forward on, a new folder gets the backup, and nothing is sent to them.
#[test]
fn a_backup_given_to_an_empty_folder_finds_its_switches_as_they_are() -> Checked {
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let ring = Ring::begin(&controller)?;
    ring.populate(&controller, "red")?;
    let kept = backup(&controller)?;
    let before = ring.changes();
    let folder = controller.data_dir();
    let controller = controller.kill_and_restart_after(|| {
        std::fs::remove_dir_all(&folder).map_err(|source| LabError::io("losing the disk", source))
    })?;
    testbed::wait::until("switches to be left alone", super::ring::LIMIT, || {
        let all = controller.switches()?;
        let alone = all.iter().filter(|it| it.connected && !it.in_sync).count();
        Ok(match alone {
            3 => testbed::wait::Look::Done(()),
            _ => testbed::wait::Look::NotYet(format!("{all:?}")),
        })
    })?;
    let answer = controller.rest().call("POST", "/api/v1/restore", &kept)?;
    assert!([200, 202].contains(&answer.status), "{answer}");
    controller.wait_for_switches(3)?;
    for host in 1..=3 {
        controller.wait_for_host("red", mac(host), "p1")?;
        ring.talks_to_all(host);
    }
    assert_eq!(ring.changes(), before, "they hold what they should");
    Ok(())
}
