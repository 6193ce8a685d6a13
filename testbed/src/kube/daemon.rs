//! A program that runs until it is told to end, or until the story is over.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::wait::{Look, until};

/// For a program to end after SIGTERM.
const LIMIT: Duration = Duration::from_secs(60);

/// One running program. It is killed when this is dropped; the lab's guard kills it when the test itself is killed.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program; its log is appended to `folder/NAME/log`, its process id is in `folder/NAME/pid.pid`.
    ///
    /// # Errors
    /// [`LabError::Io`] when there is no such program.
    pub fn start(mut command: Command, folder: &Path, name: &str) -> Result<Self, LabError> {
        let told = |source| LabError::io(format!("starting {name} ({command:?})"), source);
        let home = folder.join(name);
        fs::create_dir_all(&home).map_err(told)?;
        let log = home.join("log");
        let output = File::options().append(true).create(true).open(&log).map_err(told)?;
        let errors = output.try_clone().map_err(told)?;
        // Settings of whoever runs the test must not change what is tested.
        for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_foreign(variable)) {
            command.env_remove(variable);
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(output).stderr(errors);
        // An interrupt from the terminal goes to the test, which ends its programs itself.
        command.process_group(0);
        let child = command
            .spawn()
            .map_err(|source| LabError::io(format!("starting {name} ({command:?})"), source))?;
        let made = Self { name: name.to_owned(), child, log };
        fs::write(home.join("pid.pid"), made.child.id().to_string())
            .map_err(|source| LabError::io(format!("starting {name}"), source))?;
        Ok(made)
    }

    /// Everything it logged so far, earlier runs of that name in the same folder included.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log, for messages.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be asked.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, LabError> {
        self.child
            .try_wait()
            .map_err(|source| LabError::io(format!("asking for {}", self.name), source))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be waited for.
    pub fn kill(mut self) -> Result<(), LabError> {
        self.end()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't end in time.
    pub fn stop(mut self) -> Result<ExitStatus, LabError> {
        self.signal(Signal::SIGTERM)?;
        until(&format!("{} to end", self.name), LIMIT, || {
            Ok(match self.ended()? {
                Some(status) => Look::Done(status),
                None => Look::NotYet(self.last_words()),
            })
        })
    }

    /// Sends it a signal: SIGSTOP makes it hang, SIGCONT lets it go on.
    ///
    /// # Errors
    /// [`LabError::Io`] when it is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        let pid = i32::try_from(self.child.id())
            .map_err(|_| LabError::Wrong("a process id beyond 2^31".to_owned()))?;
        kill(Pid::from_raw(pid), signal)
            .map_err(|error| LabError::io(format!("signalling {}", self.name), error.into()))
    }

    fn end(&mut self) -> Result<(), LabError> {
        // Fails only for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        self.child
            .wait()
            .map(drop)
            .map_err(|source| LabError::io(format!("ending {}", self.name), source))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Proxies, and settings of our own programs, of Kubernetes' and of etcd's.
fn is_foreign(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy().to_ascii_uppercase();
    name.ends_with("_PROXY")
        || ["ISOLANE_", "KUBE", "ETCD"].iter().any(|prefix| name.starts_with(prefix))
}
