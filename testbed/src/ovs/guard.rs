//! Cleans up after a test process that was killed.
//!
//! A lab ends its daemons and removes its folder when it is dropped. A process that is killed drops nothing, so a
//! small shell waits for the end of a pipe that only this process holds, and then does both. Namespaces and
//! devices need no such care: the kernel removes them with their last user.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::LabError;

/// `$1` is the lab's folder; daemons left their process ids in `*/*.pid`.
const SCRIPT: &str = r#"cat >/dev/null
for file in "$1"/*/*.pid; do
    [ -f "$file" ] && kill -9 "$(cat "$file")" 2>/dev/null
done
rm -rf -- "$1"
"#;

/// Watches over one lab's folder.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// Starts to watch. Drop it last: it also removes the folder.
    ///
    /// # Errors
    /// [`LabError::Io`] when there is no shell.
    pub fn over(folder: &Path) -> Result<Self, LabError> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "isolane-lab-guard"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // an interrupt from the terminal must not end it before its work is done
            .spawn()
            .map_err(|source| LabError::io("starting the lab's guard", source))?;
        Ok(Self { shell })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // A failure here leaves a folder of logs in the temporary directory, which is no reason to panic.
        let _ = self.shell.wait();
    }
}
