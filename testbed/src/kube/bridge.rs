//! The real bridge, `isolane-k8s-bridge run`, as a process: one replica.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::cluster::Cluster;
use super::daemon::Daemon;
use super::server::free_port;
use super::verbs::PAUSE;
use crate::controller::Rest;
use crate::error::LabError;
use crate::programs::program;
use crate::wait::{Look, until_every};

/// Names the program to run instead of the one that was built beside this one.
pub const BRIDGE_BIN: &str = "ISOLANE_K8S_BRIDGE_BIN";
/// For a replica to serve its webhook, and for the API server to use it.
const LIMIT: Duration = Duration::from_secs(60);

/// How a replica is started.
#[derive(Clone, Debug)]
pub struct BridgePlan {
    /// Its name among the replicas: that of its folder and log.
    pub name: String,
    /// The controller's REST API.
    pub controller: SocketAddr,
    /// Whose rights it has: a kubeconfig.
    pub kubeconfig: PathBuf,
    /// Where it serves the webhook, and is registered.
    pub webhook: SocketAddr,
    /// Registered by its Service instead, and not by this address.
    pub by_service: bool,
    /// More arguments.
    pub arguments: Vec<String>,
}

impl BridgePlan {
    /// A replica by itself with the administrator's rights.
    ///
    /// # Errors
    /// [`LabError`] when there is no free port, or the kubeconfig can't be written.
    pub fn alone(cluster: &Cluster, controller: SocketAddr) -> Result<Self, LabError> {
        let webhook = free_port()?;
        Ok(Self {
            name: "bridge".to_owned(),
            controller,
            kubeconfig: cluster.admin_kubeconfig()?,
            webhook,
            by_service: false,
            arguments: Vec::new(),
        })
    }

    /// Another replica of the same.
    ///
    /// # Errors
    /// [`LabError`] when there is no free port.
    pub fn replica(&self, name: &str) -> Result<Self, LabError> {
        Ok(Self { name: name.to_owned(), webhook: free_port()?, ..self.clone() })
    }

    /// Starts the replica and waits until it serves the webhook.
    ///
    /// # Errors
    /// [`LabError`] when the program isn't built, ends, or doesn't serve in time: its log is in the error.
    pub fn start(&self, folder: &Path) -> Result<Bridge, LabError> {
        let mut command = Command::new(program(BRIDGE_BIN, "isolane-k8s-bridge", "k8s-bridge")?);
        command
            .arg("run")
            .arg(format!("--controller=http://{}", self.controller))
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .arg(format!("--webhook={}", self.webhook))
            .arg("--status=127.0.0.1:0")
            .args(&self.arguments);
        if !self.by_service {
            command.arg(format!("--webhook-url=https://{}", self.webhook));
        }
        let mut daemon = Daemon::start(command, folder, &self.name)?;
        until_every(PAUSE, "the bridge to serve its webhook", LIMIT, || {
            if let Some(status) = daemon.ended()? {
                let reason = format!("{status}\n{}", daemon.last_words());
                return Err(LabError::Command { command: self.name.clone(), reason });
            }
            Ok(match std::net::TcpStream::connect(self.webhook) {
                Ok(_) => Look::Done(()),
                Err(error) => Look::NotYet(format!("{error}\n{}", daemon.last_words())),
            })
        })?;
        Ok(Bridge { daemon })
    }
}

/// A running replica; killed when dropped.
#[derive(Debug)]
pub struct Bridge {
    daemon: Daemon,
}

impl Bridge {
    /// What it logged so far, earlier runs of its name included.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// All its figures, as Prometheus reads them.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't say where they are, or doesn't answer.
    pub fn metrics(&self) -> Result<String, LabError> {
        let log = self.log();
        let line = log.lines().rev().find(|line| line.contains("metrics are served"));
        let mut words = line.unwrap_or_default().split_whitespace();
        let address = words.find_map(|word| word.strip_prefix("address=")?.parse().ok());
        let address = address.ok_or_else(|| LabError::Wrong(format!("no address in {log}")))?;
        let answer = Rest::new(address)?.get("/metrics")?;
        Ok(answer.body.as_str().unwrap_or_default().to_owned())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be waited for.
    pub fn kill(self) -> Result<(), LabError> {
        self.daemon.kill()
    }

    /// Ends it as a kubelet does (SIGTERM) and waits until it has ended, with status 0.
    ///
    /// # Errors
    /// [`LabError`] when it ends otherwise or not in time.
    pub fn stop(self) -> Result<(), LabError> {
        let status = self.daemon.stop()?;
        if status.success() {
            return Ok(());
        }
        Err(LabError::Wrong(format!("the bridge ended with {status}")))
    }

    /// Lets it hang, as a machine without memory does, or go on.
    ///
    /// # Errors
    /// [`LabError::Io`] when it is gone.
    pub fn hang(&self, hang: bool) -> Result<(), LabError> {
        self.daemon.signal(if hang { Signal::SIGSTOP } else { Signal::SIGCONT })
    }
}
