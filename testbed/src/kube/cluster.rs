//! One cluster: its programs, who may do what, and how it breaks.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::api::Api;
use super::assets::{Assets, all_assets};
use super::daemon::Daemon;
use super::keys::{ADMIN_TOKEN, Keys, SCHEDULER_TOKEN};
use super::objects;
use super::server::{ServerPlan, start_etcd};
use super::verbs::{LIMIT, PAUSE};
use crate::controller::Rest;
use crate::error::LabError;
use crate::ovs::guard::Guard;
use crate::wait::{Look, until_every};

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Its programs.
    pub assets: Assets,
    /// Whether the API server answers watches from its memory. Without, a compacted revision makes a real 410.
    pub watch_cache: bool,
}

/// A running API server with its etcd, where NetworkAttachmentDefinitions are known. All of it goes when this is
/// dropped, or when the test is killed.
///
/// Both programs are in the network namespace of the thread that starts them.
#[derive(Debug)]
pub struct Cluster {
    // Fields are dropped in order: the API server before its etcd, the guard with the folder last.
    api_server: Option<Daemon>,
    _etcd_process: Daemon,
    etcd: Rest,
    api: Api,
    scheduler: Api,
    runtime: Arc<Runtime>,
    address: SocketAddr,
    keys: Keys,
    spec: ClusterSpec,
    folder: PathBuf,
    _guard: Guard,
}

impl Cluster {
    /// Starts one with the newest API server there is.
    ///
    /// # Errors
    /// [`LabError`] when there is none (see [`needs_kube`](super::needs_kube)), or it isn't ready in time.
    pub fn start() -> Result<Self, LabError> {
        let all = all_assets().map_err(|reason| LabError::Wrong(reason.to_owned()))?;
        let newest = all.last().ok_or_else(|| LabError::Wrong("no API server".to_owned()))?;
        Self::start_with(ClusterSpec { assets: newest.clone(), watch_cache: true })
    }

    /// Starts one as said.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(spec: ClusterSpec) -> Result<Self, LabError> {
        let told = |source| LabError::io("starting a cluster", source);
        let folder = tempfile::Builder::new().prefix("isolane-cluster-").tempdir();
        let folder = folder.map_err(told)?.keep();
        let guard = Guard::over(&folder)?;
        // Its one thread is in the same namespace as the thread that makes it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kube-client")
            .enable_all()
            .build();
        let runtime = Arc::new(runtime.map_err(told)?);
        let keys = Keys::make(&folder.join("keys"))?;
        let (etcd_process, etcd) = start_etcd(&spec.assets, &folder)?;
        let plan = ServerPlan {
            assets: &spec.assets,
            folder: &folder,
            keys: &keys,
            etcd: etcd.address(),
            watch_cache: spec.watch_cache,
        };
        let at = |address: SocketAddr| format!("https://{address}");
        let (api_server, api, address) = {
            let address = std::cell::Cell::new(None);
            let (daemon, api) = plan.start(|chosen| {
                address.set(Some(chosen));
                Api::new(&runtime, &at(chosen), &keys.authority, ADMIN_TOKEN)
            })?;
            let address = address.get().ok_or_else(|| LabError::Wrong("no address".to_owned()))?;
            (daemon, api, address)
        };
        let scheduler = Api::new(&runtime, &at(address), &keys.authority, SCHEDULER_TOKEN)?;
        let made = Self {
            api_server: Some(api_server),
            _etcd_process: etcd_process,
            etcd,
            api,
            scheduler,
            runtime,
            address,
            keys,
            spec,
            folder,
            _guard: guard,
        };
        made.define_networks()?;
        Ok(made)
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Where the API server is.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The API as the administrator, who may do anything.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The API as the scheduler, with exactly the rights it has in any cluster.
    pub fn scheduler(&self) -> &Api {
        &self.scheduler
    }

    /// The administrator's access for async code.
    pub fn client(&self) -> ::kube::Client {
        self.api.client()
    }

    /// The API's version, such as `v1.20.2`.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't say.
    pub fn version(&self) -> Result<String, LabError> {
        Ok(self.api.get("/version")?.text("/gitVersion").to_owned())
    }

    /// A kubeconfig of the administrator.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be written.
    pub fn admin_kubeconfig(&self) -> Result<PathBuf, LabError> {
        self.write_kubeconfig("admin", &self.api)
    }

    /// The API as a service account, which is made if it isn't there. It has the rights that bindings of roles give
    /// it, and no others.
    ///
    /// # Errors
    /// [`LabError`] when the API server makes no token.
    pub fn account(&self, namespace: &str, name: &str) -> Result<Api, LabError> {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let account = json!({ "metadata": { "name": name } });
        let made = self.api.call("POST", &accounts, &account)?;
        if made.status != 409 {
            self.api.done(Ok(made))?;
        }
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": 86_400 },
        });
        let made = self.api.call("POST", &format!("{accounts}/{name}/token"), &request);
        let made = self.api.done(made)?;
        let token = made.pointer("/status/token").and_then(Value::as_str);
        let token = token.ok_or_else(|| LabError::Wrong(format!("no token in {made}")))?;
        Api::new(&self.runtime, &self.url(), &self.keys.authority, token)
    }

    /// A kubeconfig of a service account, with its namespace as the default one: see [`account`](Self::account).
    ///
    /// # Errors
    /// As there.
    pub fn account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf, LabError> {
        let api = self.account(namespace, name)?;
        self.write_kubeconfig(&format!("{namespace}-{name}"), &api)
    }

    /// A folder for a story's own files, gone with the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the API server logged so far.
    pub fn log(&self) -> String {
        self.api_server.as_ref().map(Daemon::log).unwrap_or_default()
    }

    /// Ends the API server as a crash would: connections break, watches end, nobody answers. Its data stays.
    ///
    /// # Errors
    /// [`LabError::Io`] when it can't be ended.
    pub fn stop_api_server(&mut self) -> Result<(), LabError> {
        self.api_server.take().map_or(Ok(()), Daemon::kill)
    }

    /// Starts the API server again, at the same address, and waits until it is ready.
    ///
    /// # Errors
    /// [`LabError`] when it isn't ready in time.
    pub fn start_api_server(&mut self) -> Result<(), LabError> {
        let plan = ServerPlan {
            assets: &self.spec.assets,
            folder: &self.folder,
            keys: &self.keys,
            etcd: self.etcd.address(),
            watch_cache: self.spec.watch_cache,
        };
        self.api_server = Some(plan.start_at(self.address, &self.api)?);
        Ok(())
    }

    /// Both, one after the other.
    ///
    /// # Errors
    /// As there.
    pub fn restart_api_server(&mut self) -> Result<(), LabError> {
        self.stop_api_server()?;
        self.start_api_server()
    }

    /// Forgets all history up to now: whoever resumes a watch from an earlier revision is told 410 (without a watch
    /// cache, or after the API server's restart).
    ///
    /// # Errors
    /// [`LabError`] when etcd refuses.
    pub fn compact(&self) -> Result<(), LabError> {
        // Two writes of nobody's: a watch that has seen everything resumes before the second.
        let nobodys = json!({ "key": "aXNvbGFuZQ==", "value": "" });
        self.etcd.call("POST", "/v3/kv/put", &nobodys)?;
        let now = self.etcd.call("POST", "/v3/kv/put", &nobodys)?;
        let revision = now.text("/header/revision").to_owned();
        let body = json!({ "revision": revision, "physical": true });
        let done = self.etcd.call("POST", "/v3/kv/compaction", &body)?;
        match done.status {
            200 => Ok(()),
            _ => Err(LabError::Wrong(format!("compacting {revision} of {now}: {done}"))),
        }
    }

    /// Makes the resource that networks are, and waits until it is served.
    fn define_networks(&self) -> Result<(), LabError> {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.api.done(self.api.call("POST", path, &objects::definition_of_networks()))?;
        until_every(PAUSE, "NetworkAttachmentDefinitions to be served", LIMIT, || {
            let answer = self.api.get("/apis/k8s.cni.cncf.io/v1/network-attachment-definitions")?;
            Ok(match answer.status {
                200 => Look::Done(()),
                _ => Look::NotYet(answer.to_string()),
            })
        })
    }

    fn write_kubeconfig(&self, name: &str, api: &Api) -> Result<PathBuf, LabError> {
        let path = self.folder.join("keys").join(format!("{name}.kubeconfig"));
        fs::write(&path, api.kubeconfig().to_string())
            .map_err(|source| LabError::io(format!("writing {}", path.display()), source))?;
        Ok(path)
    }
}
