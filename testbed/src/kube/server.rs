//! The two programs of a cluster: how each is started, and when it is ready.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::api::Api;
use super::assets::Assets;
use super::daemon::Daemon;
use super::keys::Keys;
use super::verbs::PAUSE;
use crate::controller::Rest;
use crate::error::LabError;
use crate::wait::{Look, until_every};

/// For a program to become ready: seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(180);
/// A port that was free may be taken before the program listens there.
const TRIES: usize = 5;
/// What programs say, each in its own words, of a port that is taken.
const TAKEN: &str = "address already in use";

/// Starts etcd and waits until it answers; tells where.
///
/// # Errors
/// [`LabError`] when it isn't there, ends, or doesn't answer in time.
pub fn start_etcd(assets: &Assets, folder: &Path) -> Result<(Daemon, Rest), LabError> {
    retried(|address| {
        let url = format!("http://{address}");
        let mut command = Command::new(&assets.etcd);
        command
            .arg("--data-dir")
            .arg(folder.join("etcd").join("data"))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", "http://127.0.0.1:0"])
            // A story's data needs to outlive the API server, not the machine.
            .arg("--unsafe-no-fsync");
        let rest = Rest::new(address)?;
        let daemon = Daemon::start(command, folder, "etcd")?;
        ready(daemon, "etcd to answer", |_| {
            Ok(match rest.get("/health") {
                Ok(answer) if answer.text("/health") == "true" => Look::Done(()),
                other => Look::NotYet(format!("{other:?}")),
            })
        })
        .map(|daemon| (daemon, rest))
    })
}

/// What the API server is started with.
pub struct ServerPlan<'a> {
    pub assets: &'a Assets,
    pub folder: &'a Path,
    pub keys: &'a Keys,
    pub etcd: SocketAddr,
    pub watch_cache: bool,
}

impl ServerPlan<'_> {
    /// Starts the API server on a free port and waits until it is ready.
    ///
    /// # Errors
    /// [`LabError`] when it ends, or isn't ready in time.
    pub fn start(
        &self,
        api: impl Fn(SocketAddr) -> Result<Api, LabError>,
    ) -> Result<(Daemon, Api), LabError> {
        retried(|address| {
            let api = api(address)?;
            self.start_at(address, &api).map(|daemon| (daemon, api))
        })
    }

    /// Starts the API server at an address and waits until it is ready.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_at(&self, address: SocketAddr, api: &Api) -> Result<Daemon, LabError> {
        let daemon = Daemon::start(self.command(address), self.folder, "kube-apiserver")?;
        ready(daemon, "the API server to be ready", |daemon| {
            let paths = ["/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"];
            for path in paths {
                match api.get(path) {
                    Ok(answer) if answer.status == 200 => {}
                    other => {
                        return Ok(Look::NotYet(format!(
                            "{path}: {other:?}\n{}",
                            daemon.last_words()
                        )));
                    }
                }
            }
            Ok(Look::Done(()))
        })
    }

    fn command(&self, address: SocketAddr) -> Command {
        let Keys { certificate, key, signing, checking, tokens, .. } = self.keys;
        let mut command = Command::new(&self.assets.api_server);
        command
            .arg(format!("--etcd-servers=http://{}", self.etcd))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={}", address.port()))
            .arg(format!("--tls-cert-file={}", certificate.display()))
            .arg(format!("--tls-private-key-file={}", key.display()))
            .arg(format!("--cert-dir={}", self.folder.join("kube-apiserver").display()))
            .arg(format!("--token-auth-file={}", tokens.display()))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", checking.display()))
            .arg(format!("--service-account-signing-key-file={}", signing.display()))
            .arg("--authorization-mode=RBAC")
            // Nobody makes the default service accounts here, and pods would wait for them.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--endpoint-reconciler-type=none")
            .arg("--service-cluster-ip-range=10.96.0.0/24")
            .arg("--allow-privileged=true")
            // Compaction happens when a story says so.
            .arg("--etcd-compaction-interval=0")
            .arg(format!("--watch-cache={}", self.watch_cache));
        command
    }
}

/// Tries with one free port after another, as long as ports are taken meanwhile.
fn retried<T>(start: impl Fn(SocketAddr) -> Result<T, LabError>) -> Result<T, LabError> {
    let mut tries = 1;
    loop {
        match start(free_port()?) {
            Err(error) if tries < TRIES && error.to_string().contains(TAKEN) => tries += 1,
            other => return other,
        }
    }
}

/// A port of loopback that nobody listens at right now.
pub fn free_port() -> Result<SocketAddr, LabError> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
    free.map_err(|source| LabError::io("looking for a free port", source))
}

/// Waits until the program is ready; fails at once when it ends.
fn ready(
    mut daemon: Daemon,
    what: &str,
    mut look: impl FnMut(&Daemon) -> Result<Look<()>, LabError>,
) -> Result<Daemon, LabError> {
    until_every(PAUSE, what, LIMIT, || {
        if let Some(status) = daemon.ended()? {
            let reason = format!("{status}\n{}", daemon.last_words());
            return Err(LabError::Command { command: what.to_owned(), reason });
        }
        look(&daemon)
    })?;
    Ok(daemon)
}
