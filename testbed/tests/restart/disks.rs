//! Disks that take nothing more: full ones, and such as turn read-only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::rights::needs_rights;

use super::ring::{Checked, Ring};

/// A small file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self, LabError> {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-osize=8m", "tmpfs"]).arg(at).output();
        done("mount", mount)?;
        Ok(Self(at.to_owned()))
    }

    /// Of ext4 in a file, on a loop device.
    fn of_file(image: &Path, at: &Path) -> Result<Self, LabError> {
        if !image.exists() {
            let file = std::fs::File::create(image).and_then(|file| file.set_len(16 << 20));
            file.map_err(|source| LabError::io("making a disk", source))?;
            done("mkfs.ext4", Command::new("mkfs.ext4").arg("-q").arg(image).output())?;
        }
        let options = "loop,errors=remount-ro";
        done("mount", Command::new("mount").args(["-o", options]).args([image, at]).output())?;
        Ok(Self(at.to_owned()))
    }

    /// What the kernel makes of a broken disk: nothing can be written to it any more. Only ext4 can be asked for it.
    fn turn_read_only(&self) -> Result<(), LabError> {
        let mut find = Command::new("findmnt");
        find.args(["-n", "-o", "SOURCE", "--mountpoint"]).arg(&self.0);
        let device = done("findmnt", find.output())?;
        let device = device.trim().trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1")
            .map_err(|source| LabError::io("breaking a disk", source))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all room there is.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

/// What a program printed, if it ended well.
fn done(what: &str, output: std::io::Result<std::process::Output>) -> Result<String, LabError> {
    let output = output.map_err(|source| LabError::io(what, source))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(LabError::Wrong(format!("{what}: {}", text(&output.stderr)))),
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for the controller may still have it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Changes are refused with 503, what is there is told and forwarded, and all is well once there is room.
#[test]
fn a_full_disk_refuses_changes_and_nothing_else() -> Checked {
    if !needs_rights("a full disk refuses changes and nothing else") {
        return Ok(());
    }
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let folder = controller.data_dir();
    let mut disk = None;
    let controller = controller.kill_and_restart_after(|| {
        disk = Some(SmallDisk::mount(&folder)?);
        Ok(())
    })?;
    let disk = disk.unwrap();
    let ring = Ring::begin(&controller)?;
    ring.populate(&controller, "red")?;
    disk.fill();
    let mut made = Vec::new();
    let refused = loop {
        assert!(made.len() < 20_000, "the disk never fills up");
        let name = format!("net-{}", made.len());
        let spec = json!({ "name": name, "labels": { "filler": "x".repeat(200) } });
        let answer = controller.rest().call("POST", "/api/v1/networks", &spec)?;
        match answer.status {
            201 => made.push(name),
            _ => break answer,
        }
    };
    assert_eq!(refused.status, 503, "{refused}");
    assert!(refused.text("/type").ends_with("store-unavailable"), "{refused}");
    assert!(refused.text("/detail").contains("No space left"), "{refused}");
    let refused = controller.try_attach("red", "s1", "2")?;
    assert_eq!(refused.status, 503, "{refused}");
    let network = controller.rest().get("/api/v1/networks/red")?;
    assert_eq!((network.status, &network.body["ports"]), (200, &json!(3)), "{network}");
    for from in 1..=3 {
        ring.everybody_hears(from, &[1, 2, 3]);
        ring.talks_to_all(from);
    }
    std::fs::remove_file(disk.filler()).unwrap();
    controller.attach("red", "s1", "2")?;
    let controller = controller.kill_and_restart()?;
    for name in made.iter().chain([&"red".to_owned()]) {
        let answer = controller.rest().get(&format!("/api/v1/networks/{name}"))?;
        assert_eq!(answer.status, 200, "{answer}");
    }
    let refused = controller.rest().get(&format!("/api/v1/networks/net-{}", made.len()))?;
    assert_eq!(refused.status, 404, "what was refused never happened");
    controller.stop()?;
    Ok(())
}

/// Whether a disk can be broken here; loudly if not: loop devices are not everywhere, containers have none.
fn can_break_disks(test: &str) -> bool {
    let folder = std::env::temp_dir().join(format!("isolane-disk-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let tried = SmallDisk::of_file(&folder.with_extension("img"), &folder)
        .and_then(|disk| disk.turn_read_only());
    let _ = std::fs::remove_dir(&folder);
    let _ = std::fs::remove_file(folder.with_extension("img"));
    if let Err(error) = &tried {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: no disk can be broken here: {error}");
    }
    tried.is_ok()
}

/// The kernel finds the disk broken. Changes are refused, the rest goes on; mended, all that was acknowledged is there.
#[test]
fn a_disk_that_turns_read_only_refuses_changes_and_nothing_else() -> Checked {
    let name = "a disk that turns read-only refuses changes and nothing else";
    if !needs_rights(name) || !can_break_disks(name) {
        return Ok(());
    }
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let folder = controller.data_dir();
    let image = folder.with_extension("img");
    let mut disk = None;
    let controller = controller.kill_and_restart_after(|| {
        disk = Some(SmallDisk::of_file(&image, &folder)?);
        Ok(())
    })?;
    let ring = Ring::begin(&controller)?;
    ring.populate(&controller, "red")?;
    disk.as_ref().unwrap().turn_read_only()?;
    for _ in 0..3 {
        let refused = controller.rest().call("POST", "/api/v1/networks", &json!({"name": "no"}))?;
        assert_eq!(refused.status, 503, "{refused}");
        assert!(refused.text("/type").ends_with("store-unavailable"), "{refused}");
        assert!(refused.text("/detail").contains("Read-only file system"), "{refused}");
    }
    let log = controller.log();
    assert!(log.contains("network=red") && log.contains("Read-only file system"), "{log}");
    assert!(!log.contains("network=no"), "what was refused is told as done: {log}");
    let network = controller.rest().get("/api/v1/networks/red")?;
    assert_eq!((network.status, &network.body["ports"]), (200, &json!(3)), "{network}");
    for from in 1..=3 {
        ring.everybody_hears(from, &[1, 2, 3]);
        ring.talks_to_all(from);
    }
    let controller = controller.kill_and_restart_after(|| {
        drop(disk.take());
        // 1: it mended something.
        let check = Command::new("fsck.ext4").arg("-p").arg(&image).output();
        let check = check.map_err(|source| LabError::io("fsck.ext4", source))?;
        assert!(matches!(check.status.code(), Some(0 | 1)), "{check:?}");
        disk = Some(SmallDisk::of_file(&image, &folder)?);
        Ok(())
    })?;
    let refused = controller.rest().get("/api/v1/networks/no")?;
    assert_eq!(refused.status, 404, "what was refused never happened");
    let network = controller.rest().get("/api/v1/networks/red")?;
    assert_eq!((network.status, &network.body["ports"]), (200, &json!(3)), "{network}");
    controller.create_network("again")?;
    controller.stop()?;
    Ok(())
}
