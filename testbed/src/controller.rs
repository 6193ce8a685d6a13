//! The real controller: `isolane serve`, as a process, and its REST API in words that stories use.
//!
//! Start at [`Controller::start`]. The process inherits the namespace of the calling thread, so in a lab the
//! switches reach it. It ends when the value is dropped, also when the test's own process is killed.

mod calls;
mod rest;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::ovs::guard::Guard;
use crate::programs::program;
use crate::wait::{Look, until};
pub use rest::{Answer, Rest};

/// Names the program to run instead of the one that was built beside this one.
pub const ISOLANE_BIN: &str = "ISOLANE_BIN";
/// For the process to start, or to end after SIGTERM. It takes milliseconds; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(20);
/// What the log says before the address where switches connect, and before that of the REST API.
const SAYS_OPENFLOW: &str = "waiting for switches";
const SAYS_REST: &str = "REST API";

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    // Fields are dropped in order: the guard with the folder last.
    process: Process,
    rest: Rest,
    openflow: SocketAddr,
    home: PathBuf,
    /// How often it was started.
    starts: u32,
    arguments: Vec<String>,
    guard: Guard,
}

/// A process that is ready.
struct Ready {
    process: Process,
    rest: Rest,
    openflow: SocketAddr,
}

impl Controller {
    /// Starts the controller for switches that connect to `openflow`, and waits until it is ready.
    ///
    /// With port 0 a free one is chosen: see [`openflow`](Self::openflow). The REST API is on loopback.
    ///
    /// # Errors
    /// [`LabError`] when the program isn't built, or doesn't become ready: its log is in the error.
    pub fn start(openflow: SocketAddr) -> Result<Self, LabError> {
        Self::start_with(openflow, &[])
    }

    /// The same with more arguments of `isolane serve`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(openflow: SocketAddr, arguments: &[&str]) -> Result<Self, LabError> {
        let folder = tempfile::Builder::new().prefix("isolane-controller-").tempdir();
        let folder =
            folder.map_err(|source| LabError::io("making the controller's folder", source))?.keep();
        let guard = Guard::over(&folder)?;
        let home = folder.join("isolane");
        fs::create_dir(&home)
            .map_err(|source| LabError::io(format!("making {}", home.display()), source))?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self::launch(home, 1, openflow, arguments, guard)
    }

    fn launch(
        home: PathBuf,
        starts: u32,
        openflow: SocketAddr,
        arguments: Vec<String>,
        guard: Guard,
    ) -> Result<Self, LabError> {
        let Ready { process, rest, openflow } = spawn(&home, starts, openflow, &arguments)?;
        Ok(Self { process, rest, openflow, home, starts, arguments, guard })
    }

    /// Ends it as `kill -9` does, and starts it again on its data and its address.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn kill_and_restart(self) -> Result<Self, LabError> {
        self.kill_and_restart_after(|| Ok(()))
    }

    /// The same with something done in between.
    ///
    /// # Errors
    /// As [`start`](Self::start), and those of `between`.
    pub fn kill_and_restart_after(
        self,
        between: impl FnOnce() -> Result<(), LabError>,
    ) -> Result<Self, LabError> {
        let Self { mut process, openflow, home, starts, arguments, guard, .. } = self;
        process.end()?;
        between()?;
        Self::launch(home, starts + 1, openflow, arguments, guard)
    }

    /// Asks it to end (SIGTERM), and starts it again on its data and its address.
    ///
    /// # Errors
    /// As [`stop`](Self::stop) and [`start`](Self::start).
    pub fn restart(mut self) -> Result<Self, LabError> {
        self.end_in_order()?;
        let Self { openflow, home, starts, arguments, guard, .. } = self;
        Self::launch(home, starts + 1, openflow, arguments, guard)
    }

    /// Where it keeps its state.
    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Where switches connect.
    pub fn openflow(&self) -> SocketAddr {
        self.openflow
    }

    /// Its REST API.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Sends this token with every call of [`rest`](Self::rest), until it is started again.
    pub fn present(&mut self, token: &str) {
        self.rest.present(token);
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        said(&log_of(&self.home, self.starts))
    }

    /// Bytes of memory that it has now (its resident set).
    ///
    /// # Errors
    /// [`LabError`] when the system doesn't say.
    pub fn memory(&self) -> Result<u64, LabError> {
        let path = format!("/proc/{}/status", self.process.0.id());
        let status = fs::read_to_string(&path).map_err(|source| LabError::io(&path, source))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.map(|it| it << 10).ok_or_else(|| LabError::Wrong(format!("{path}: no VmRSS")))
    }

    /// Ends it as `kill -9` does; the switches' flows stay.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be waited for.
    pub fn kill(mut self) -> Result<(), LabError> {
        self.process.end()
    }

    /// Asks it to end (SIGTERM) and waits until it has, with status 0; the switches' flows stay.
    ///
    /// # Errors
    /// [`LabError`] when it ends otherwise or not in time.
    pub fn stop(mut self) -> Result<(), LabError> {
        self.end_in_order()
    }

    fn end_in_order(&mut self) -> Result<(), LabError> {
        let told = |source| LabError::io("ending the controller", source);
        let pid = i32::try_from(self.process.0.id())
            .map_err(|_| LabError::Wrong("a process id beyond 2^31".to_owned()))?;
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| told(error.into()))?;
        let status = until("the controller to end", LIMIT, || {
            Ok(match self.process.0.try_wait().map_err(told)? {
                Some(status) => Look::Done(status),
                None => Look::NotYet(self.log()),
            })
        })?;
        if status.success() {
            return Ok(());
        }
        Err(LabError::Wrong(format!("the controller ended with {status}:\n{}", self.log())))
    }
}

/// Ends with its value.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn end(&mut self) -> Result<(), LabError> {
        // Fails only for a process that has ended, which is what is wanted.
        let _ = self.0.kill();
        self.0.wait().map(drop).map_err(|source| LabError::io("ending the controller", source))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn spawn(
    home: &Path,
    starts: u32,
    openflow: SocketAddr,
    arguments: &[String],
) -> Result<Ready, LabError> {
    let program = program(ISOLANE_BIN, "isolane", "controller")?;
    let log = log_of(home, starts);
    let started = |source| LabError::io(format!("starting {}", program.display()), source);
    let output = File::create(&log).map_err(started)?;
    let mut command = Command::new(&program);
    // Variables of whoever runs the test must not change what is tested.
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ISOLANE_"))
    {
        command.env_remove(name);
    }
    command
        .args(["serve", "--http", "127.0.0.1:0", "--openflow", &openflow.to_string()])
        .arg("--data-dir")
        .arg(home.join("data"))
        .args(arguments)
        .current_dir(home)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(started)?)
        .stderr(output);
    let mut process = Process(command.spawn().map_err(started)?);
    // The guard ends whom it finds in such files.
    fs::write(home.join("isolane.pid"), process.0.id().to_string()).map_err(started)?;
    let (openflow, http) = until("the controller to listen", LIMIT, || {
        let said = said(&log);
        if let Some(status) = process.0.try_wait().map_err(started)? {
            return Err(LabError::Command {
                command: program.display().to_string(),
                reason: format!("{status}\n{said}"),
            });
        }
        Ok(match (address(&said, SAYS_OPENFLOW), address(&said, SAYS_REST)) {
            (Some(openflow), Some(http)) => Look::Done((openflow, http)),
            _ => Look::NotYet(said),
        })
    })?;
    let rest = Rest::new(http)?;
    until("/readyz", LIMIT, || {
        Ok(match rest.get("/readyz") {
            Ok(answer) if answer.status == 200 => Look::Done(()),
            other => Look::NotYet(format!("{other:?}\n{}", said(&log))),
        })
    })?;
    Ok(Ready { process, rest, openflow })
}

fn log_of(home: &Path, starts: u32) -> PathBuf {
    home.join(format!("log-{starts}"))
}

fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// The address in the first line that says `what`, in text or in JSON.
fn address(log: &str, what: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(what))?;
    let after = |mark| line.split_once(mark).map(|(_, rest)| rest);
    let text = after("address=").or_else(|| after("\"address\":\""))?;
    text.split([' ', '"']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_where_it_listens() {
        let log = "t INFO controller::run: waiting for switches (OpenFlow 1.3) address=127.0.0.1:6653\n\
            t INFO controller::run: REST API address=127.0.0.1:4711 tls=false\n";
        assert_eq!(address(log, SAYS_OPENFLOW), Some(([127, 0, 0, 1], 6653).into()));
        assert_eq!(address(log, SAYS_REST), Some(([127, 0, 0, 1], 4711).into()));
        assert_eq!(address("t INFO REST API address=", SAYS_REST), None);
        let json = r#"{"fields":{"message":"REST API","address":"127.0.0.1:4711","tls":false}}"#;
        assert_eq!(address(json, SAYS_REST), Some(([127, 0, 0, 1], 4711).into()));
    }
}
