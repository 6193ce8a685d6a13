//! One Open vSwitch: a database server and a switch daemon with a run folder of their own.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::dump;
use crate::error::LabError;
use crate::netns::{NetNs, run_command};
use crate::wait::{Look, until};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const START_LIMIT: Duration = Duration::from_secs(20);

/// An `ovsdb-server` and an `ovs-vswitchd` in one namespace. Both end when this is dropped.
#[derive(Debug)]
pub struct Ovs {
    folder: PathBuf,
    namespace: Arc<NetNs>,
    server: Child,
    vswitchd: Mutex<Option<Child>>,
}

impl Ovs {
    /// Starts both daemons; their database, sockets, logs and process ids are in `folder`, which is made.
    ///
    /// # Errors
    /// [`LabError`] when Open vSwitch isn't installed or doesn't start.
    pub fn start(folder: &Path, namespace: Arc<NetNs>) -> Result<Self, LabError> {
        fs::create_dir_all(folder)
            .map_err(|source| LabError::io(format!("making {}", folder.display()), source))?;
        let database = folder.join("conf.db");
        // A node that boots again finds its own.
        if !database.exists() {
            let mut create = Command::new("ovsdb-tool");
            create.arg("create").arg(&database).arg(SCHEMA);
            run_command(create, "")?;
        }

        let mut command = daemon("ovsdb-server", folder);
        command.arg(format!("--remote=punix:{}", socket(folder).display())).arg(&database);
        let server = spawn(command, folder, "ovsdb-server", &namespace)?;
        let made =
            Self { folder: folder.to_owned(), namespace, server, vswitchd: Mutex::new(None) };
        until("ovsdb-server's socket", START_LIMIT, || {
            Ok(if socket(folder).exists() {
                Look::Done(())
            } else {
                Look::NotYet(made.log_of("ovsdb-server"))
            })
        })?;
        // One thread each is plenty, and a lab runs many of these.
        made.vsctl([
            "--no-wait",
            "--retry",
            "--",
            "init",
            "--",
            "set",
            "Open_vSwitch",
            ".",
            "other_config:n-handler-threads=1",
            "other_config:n-revalidator-threads=1",
        ])?;
        made.start_vswitchd()?;
        Ok(made)
    }

    /// Its run folder: `OVS_RUNDIR` for tools.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The namespace both daemons run in.
    pub fn namespace(&self) -> &Arc<NetNs> {
        &self.namespace
    }

    /// Runs `ovs-vsctl` on this database; it returns when the switch daemon has carried the change out.
    ///
    /// # Errors
    /// [`LabError::Command`] with what it said.
    pub fn vsctl<A: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, LabError> {
        let database = format!("--db=unix:{}", socket(&self.folder).display());
        let mut command = self.tool("ovs-vsctl");
        command.args([database.as_str(), "--timeout=30"]);
        for arg in args {
            command.arg(arg.as_ref());
        }
        run_command(command, "")
    }

    /// Runs `ovs-ofctl`, speaking OpenFlow 1.3, with `input` on its standard input.
    ///
    /// # Errors
    /// [`LabError::Command`] with what it said.
    pub fn ofctl<A: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<String, LabError> {
        let mut command = self.tool("ovs-ofctl");
        command.args(["-O", "OpenFlow13", "--timeout=30"]);
        for arg in args {
            command.arg(arg.as_ref());
        }
        run_command(command, input)
    }

    /// Runs `ovs-appctl` on the switch daemon.
    ///
    /// # Errors
    /// [`LabError::Command`] with what it said.
    pub fn appctl<A: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, LabError> {
        let mut command = self.tool("ovs-appctl");
        command.arg("-t").arg(control(&self.folder, "ovs-vswitchd")).arg("--timeout=30");
        for arg in args {
            command.arg(arg.as_ref());
        }
        run_command(command, "")
    }

    /// Kills the switch daemon as a crash would. All its flows, groups and devices are gone; the database stays.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be killed.
    pub fn kill(&self) -> Result<(), LabError> {
        let mut running = self.vswitchd.lock().unwrap_or_else(PoisonError::into_inner);
        match running.take() {
            Some(child) => {
                end(child).map_err(|source| LabError::io("killing ovs-vswitchd", source))
            }
            None => Ok(()),
        }
    }

    /// Kills the switch daemon, if it runs, and starts it anew from the database. Port numbers may change.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't start.
    pub fn restart(&self) -> Result<(), LabError> {
        self.kill()?;
        self.start_vswitchd()?;
        // A change makes ovs-vsctl wait until the daemon has carried out the whole database.
        self.vsctl([
            "--",
            "add",
            "Open_vSwitch",
            ".",
            "external_ids",
            &format!("restarted-{}=yes", self.starts()),
        ])
        .map(drop)
    }

    /// How often the switch daemon was started.
    fn starts(&self) -> usize {
        self.log().matches("opened log file").count()
    }

    /// Everything the switch daemon logged so far.
    pub fn log(&self) -> String {
        self.log_of("ovs-vswitchd")
    }

    /// Log lines in which it complains about OpenFlow messages it was sent, or refuses one.
    pub fn openflow_warnings(&self) -> Vec<String> {
        dump::openflow_warnings(&self.log())
    }

    fn start_vswitchd(&self) -> Result<(), LabError> {
        let mut command = daemon("ovs-vswitchd", &self.folder);
        command.arg("--disable-system").arg(format!("unix:{}", socket(&self.folder).display()));
        let child = spawn(command, &self.folder, "ovs-vswitchd", &self.namespace)?;
        *self.vswitchd.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let ready = control(&self.folder, "ovs-vswitchd");
        // It says what it can in the database a moment after its socket is there.
        let able = || self.vsctl(["--no-wait", "get", "Open_vSwitch", ".", "datapath_types"]);
        until("ovs-vswitchd", START_LIMIT, || {
            let done = ready.exists() && able()?.trim() != "[]";
            Ok(if done { Look::Done(()) } else { Look::NotYet(self.log()) })
        })
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("OVS_RUNDIR", &self.folder).env("OVS_LOGDIR", &self.folder);
        command
    }

    fn log_of(&self, program: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{program}.log"))).unwrap_or_default()
    }
}

impl Drop for Ovs {
    fn drop(&mut self) {
        // Both are ours and alive or already waited for; a failure leaves nothing that could be done.
        let _ = self.kill();
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("db.sock")
}

fn control(folder: &Path, program: &str) -> PathBuf {
    folder.join(format!("{program}.ctl"))
}

/// A daemon in the foreground whose run folder is `folder`.
fn daemon(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("OVS_RUNDIR", folder)
        .env("OVS_LOGDIR", folder)
        .env("OVS_DBDIR", folder)
        .arg(format!("--pidfile={}", folder.join(format!("{program}.pid")).display()))
        .arg(format!("--log-file={}", folder.join(format!("{program}.log")).display()))
        .arg(format!("--unixctl={}", control(folder, program).display()))
        .args(["-vconsole:off", "-vsyslog:off"]);
    command
}

fn spawn(
    mut command: Command,
    folder: &Path,
    program: &str,
    namespace: &NetNs,
) -> Result<Child, LabError> {
    let told = |source| LabError::io(format!("starting {program}"), source);
    // What a dead daemon left there would look like the new one's.
    for stale in [control(folder, program), folder.join(format!("{program}.pid"))] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
    }
    let output = File::create(folder.join(format!("{program}.out"))).map_err(told)?;
    let errors = output.try_clone().map_err(told)?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    namespace.inside(move || command.spawn())?.map_err(told)
}

fn end(mut child: Child) -> std::io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}
