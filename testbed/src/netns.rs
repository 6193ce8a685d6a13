//! Network namespaces of a lab: anonymous, so that nothing can be left over.
//!
//! A namespace here has no name under `/run/netns`. It lives as long as an open file refers to it or a
//! process runs in it, so the kernel removes it, and every device in it, when the test process ends, however
//! it ends. Nothing outside of what a lab made is ever touched, and labs of several processes can't collide.
//!
//! A thread may step into a namespace for a moment ([`NetNs::inside`]) or until a guard is dropped
//! ([`NetNs::enter`]); what it opens and starts there stays there.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::process::{Command, Output, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

use crate::error::LabError;

/// The namespace of the calling thread, as the kernel shows it.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// One network namespace with its loopback up and IPv6 off.
///
/// IPv6 is off because the kernel's own multicast would end up in captures.
#[derive(Debug)]
pub struct NetNs {
    name: String,
    file: File,
}

impl NetNs {
    /// Makes a namespace; `name` only appears in messages.
    ///
    /// # Errors
    /// [`LabError::Io`] without the right to make namespaces (CAP_SYS_ADMIN).
    pub fn new(name: &str) -> Result<Self, LabError> {
        let file = on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            disable_ipv6()?;
            File::open(OWN_NAMESPACE)
        })
        .map_err(|source| LabError::io(format!("making network namespace {name}"), source))?;
        let made = Self { name: name.to_owned(), file };
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// The name given at [`new`](Self::new).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path for `ip link set DEV netns PATH` and for `nsenter --net=PATH`, as long as this value lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs `work` on a thread in this namespace and returns what it returns.
    ///
    /// Sockets, devices and processes that `work` makes belong to this namespace for good.
    ///
    /// # Errors
    /// [`LabError::Io`] when the namespace can't be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        on_own_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })
        .map_err(|source| LabError::io(format!("entering network namespace {}", self.name), source))
    }

    /// Moves the calling thread into this namespace until the guard is dropped.
    ///
    /// Threads and processes started meanwhile (an async runtime made here, a controller) are in it as well.
    ///
    /// # Errors
    /// [`LabError::Io`] when the namespace can't be entered.
    pub fn enter(&self) -> Result<Entered, LabError> {
        let enter = || -> io::Result<File> {
            let before = File::open(OWN_NAMESPACE)?;
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(before)
        };
        let before = enter().map_err(|source| {
            LabError::io(format!("entering network namespace {}", self.name), source)
        })?;
        Ok(Entered { before, not_send: PhantomData })
    }

    /// Runs `ip -batch` here; `commands` are lines without the leading `ip`.
    ///
    /// # Errors
    /// [`LabError::Command`] with what `ip` said about the first line that failed.
    pub fn ip(&self, commands: &str) -> Result<(), LabError> {
        self.run_with_input("ip", ["-batch", "-"], commands).map(drop)
    }

    /// Runs a program here to its end and returns what it wrote to standard output.
    ///
    /// # Errors
    /// [`LabError::Command`] when it fails.
    pub fn run<A: AsRef<OsStr> + Send>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, LabError> {
        self.run_with_input(program, args, "")
    }

    /// As [`run`](Self::run), with something on standard input.
    ///
    /// # Errors
    /// [`LabError::Command`] when it fails.
    pub fn run_with_input<A: AsRef<OsStr> + Send>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<String, LabError> {
        let mut command = Command::new(program);
        command.args(args);
        self.inside(move || run_command(command, input))?
    }
}

/// The calling thread is in a namespace until this is dropped; it can't leave the thread.
#[derive(Debug)]
pub struct Entered {
    before: File,
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and none is known: the file is a namespace we came from.
        if let Err(error) = setns(&self.before, CloneFlags::CLONE_NEWNET) {
            eprintln!("testbed: can't go back to the namespace this thread came from: {error}");
        }
    }
}

/// Runs a command to its end in the namespace of the calling thread.
///
/// # Errors
/// [`LabError::Command`] when it can't be started or fails, with its standard error.
pub fn run_command(mut command: Command, input: &str) -> Result<String, LabError> {
    let failed = |reason: String, command: &Command| LabError::Command {
        command: format!("{command:?}"),
        reason,
    };
    let mut run = || -> io::Result<Output> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that fails early doesn't read all; its own message is the better one.
            stdin.write_all(input.as_bytes()).or_else(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err(error),
            })?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error| failed(error.to_string(), &command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim()), &command));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn disable_ipv6() -> io::Result<()> {
    for which in ["all", "default"] {
        // `/proc/sys/net` shows the namespace of the thread that opens it.
        match fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // a kernel without IPv6
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::needs_rights;

    #[test]
    fn a_namespace_sees_only_its_own_devices_and_the_thread_comes_back() {
        if !needs_rights("a namespace sees only its own devices") {
            return;
        }
        let before = fs::read_link(OWN_NAMESPACE).unwrap();
        let (a, b) = (NetNs::new("a").unwrap(), NetNs::new("b").unwrap());
        a.ip(&format!("link add left type veth peer name right netns {}", b.path())).unwrap();
        assert!(a.run("ip", ["-o", "link"]).unwrap().contains("left@"));
        {
            let _entered = b.enter().unwrap();
            let here = run_command(
                {
                    let mut c = Command::new("ip");
                    c.args(["-o", "link"]);
                    c
                },
                "",
            )
            .unwrap();
            assert!(here.contains("right@") && !here.contains("left"), "{here}");
        }
        assert_eq!(fs::read_link(OWN_NAMESPACE).unwrap(), before);
    }

    #[test]
    fn a_command_that_fails_says_which_and_why() {
        if !needs_rights("a command that fails says which and why") {
            return;
        }
        let error = NetNs::new("a").unwrap().ip("link set nothere up").unwrap_err().to_string();
        assert!(error.contains("\"ip\"") && error.contains("nothere"), "{error}");
    }
}
