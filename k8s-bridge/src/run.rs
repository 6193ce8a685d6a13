//! `isolane-k8s-bridge run`: the cluster's side.
//!
//! ```text
//! API server ── reviews ──► webhook (admission.rs) ──► controller's REST
//!     │                         ▲ definitions (catalog.rs)      ▲
//!     └─ watches ─► the replica that leads (lead.rs) ───────────┘
//! ```
//!
//! Every replica serves the webhook and keeps its registration and certificate
//! right; the one that holds the Lease leads. What the service account needs:
//!
//! | resource | verbs |
//! |---|---|
//! | pods | get, list, watch, patch |
//! | nodes; nodes/status | get, list, watch; patch |
//! | network-attachment-definitions | get, list, watch |
//! | namespaces `kube-system` | get |
//! | events.k8s.io events | get, create, patch |
//! | mutatingwebhookconfigurations | get, create, update |
//! | in its own namespace: leases, secrets | get, create, update |

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission;
use crate::catalog::Catalog;
use crate::certs::{Served, Source};
use crate::controller::Controller;
use crate::events::Events;
use crate::lead::lead;
use crate::lease::Elected;
use crate::owners::Cluster;
use crate::registration::{Place, Registration, host_and_port};
use crate::status::{self, Health};
use crate::sync::Bridge;

/// Where metrics are served unless told otherwise.
const STATUS: &str = "127.0.0.1:9444";
/// How often certificate and registration are looked at.
const KEEP: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(2);
/// How long the last events may take.
const TELL: Duration = Duration::from_secs(2);

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    /// Isolane's controller, such as https://isolane:8080
    #[arg(long, env = "ISOLANE_CONTROLLER", value_name = "URL")]
    controller: String,
    /// A file with the token for the controller; it is read again when it changes
    #[arg(long, env = "ISOLANE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the CA of the controller's certificate (PEM)
    #[arg(long, env = "ISOLANE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How to reach the cluster from outside; without it, from inside
    #[arg(long, env = "ISOLANE_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where the webhook listens
    #[arg(long, env = "ISOLANE_WEBHOOK", default_value = "127.0.0.1:9443", value_name = "ADDRESS")]
    webhook: SocketAddr,
    /// Where the API server finds the webhook; without it, by its Service
    #[arg(long, env = "ISOLANE_WEBHOOK_URL", value_name = "URL")]
    webhook_url: Option<String>,
    /// The webhook's Service, in the bridge's namespace
    #[arg(
        long,
        env = "ISOLANE_WEBHOOK_SERVICE",
        default_value = "isolane-k8s-bridge",
        value_name = "NAME"
    )]
    webhook_service: String,
    /// The port of the webhook's Service
    #[arg(long, env = "ISOLANE_WEBHOOK_SERVICE_PORT", default_value = "443", value_name = "PORT")]
    webhook_service_port: u16,
    /// The webhook's certificate with its chain (PEM); without it, one is made
    #[arg(long, env = "ISOLANE_WEBHOOK_CERT", requires = "webhook_key", value_name = "FILE")]
    webhook_cert: Option<PathBuf>,
    /// The key of --webhook-cert (PEM)
    #[arg(long, env = "ISOLANE_WEBHOOK_KEY", requires = "webhook_cert", value_name = "FILE")]
    webhook_key: Option<PathBuf>,
    /// The CA of --webhook-cert (PEM); without it, somebody else keeps caBundle
    #[arg(long, env = "ISOLANE_WEBHOOK_CA", requires = "webhook_cert", value_name = "FILE")]
    webhook_ca: Option<PathBuf>,
    /// The name of the webhook's configuration, of its Secret and of the Lease
    #[arg(long, env = "ISOLANE_NAME", default_value = "isolane-k8s-bridge", value_name = "NAME")]
    name: String,
    /// The bridge's namespace; without it, as the cluster's configuration says
    #[arg(long, env = "ISOLANE_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Where /metrics, /healthz and /readyz are served [default: 127.0.0.1:9444 if it is free]
    #[arg(long, env = "ISOLANE_STATUS", value_name = "ADDRESS")]
    status: Option<SocketAddr>,
    /// How often everything is compared, in seconds
    #[arg(
        long,
        env = "ISOLANE_COMPARE",
        default_value = "30",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    compare: u64,
    /// How long a pod may hold ports without getting a node, in seconds
    #[arg(
        long,
        env = "ISOLANE_UNBOUND",
        default_value = "120",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    unbound: u64,
    /// Leave it to the nodes' side to say which pool ports are ready
    #[arg(long, env = "ISOLANE_NODE_SIDE")]
    node_side: bool,
}

/// Runs until `stop`.
pub async fn run(args: RunArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let metrics = status::recorder()?;
    let config = config(&args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let kube = kube::Client::try_from(config).context("the cluster's configuration")?;
    let place = place(&args, &namespace)?;
    let source = source(&args, &kube, &namespace, &place);
    let controller = Controller::new(&args.controller, args.token_file.clone(), args.ca.clone())?;

    // Both addresses are taken before anything is waited for, so that a wrong
    // one is an error at once.
    let webhook = TcpListener::bind(args.webhook)
        .await
        .with_context(|| format!("can't listen on --webhook {}", args.webhook))?;
    let usual = STATUS.parse().context("the usual address")?;
    let status = status::listener(args.status, usual).await?;

    let catalog = Catalog::new(kube.clone());
    let health = Health::new(catalog.clone());
    let identity = identity(args.webhook);
    let mut tasks = JoinSet::new();
    if let Some(listener) = status {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "metrics are served");
        }
        tasks.spawn(status::serve(listener, metrics, health.clone(), stop.clone()));
    }
    let Some(cluster) = patiently(&stop, "the cluster", || which(&kube)).await else {
        return finish(tasks).await;
    };
    tracing::info!(cluster = cluster.uid(), namespace, "the bridge runs");
    let Some(material) = patiently(&stop, "the webhook's certificate", || source.load()).await
    else {
        return finish(tasks).await;
    };
    let served = Arc::new(Served::new(&material)?);
    // Events outlive `stop`: what was decided last is told too.
    let last = CancellationToken::new();
    let (events, telling) = Events::new(kube.clone(), identity.clone(), last.clone());
    let telling = tokio::spawn(telling);
    let bridge = Bridge {
        kube: kube.clone(),
        cluster: Arc::new(cluster),
        controller: controller.clone(),
        catalog: catalog.clone(),
        events,
        marks: !args.node_side,
        unbound: args.unbound * 1_000,
    };
    tasks.spawn(controller.access().clone().follow(stop.clone()));
    tasks.spawn(catalog.follow(stop.clone()));
    tasks.spawn(serve(webhook, bridge.clone(), health.clone(), Arc::clone(&served), stop.clone()));
    let registration = Registration::new(Api::all(kube.clone()), args.name.clone(), place);
    let leases = Api::namespaced(kube, &namespace);
    let elected = Elected::new(leases, args.name.clone(), identity);
    let (leading, leads) = watch::channel(false);
    tasks.spawn(keep(source, served, registration, health, leads, stop.clone()));
    tasks.spawn(take_turns(elected, bridge, Duration::from_secs(args.compare), leading, stop));
    let ended = finish(tasks).await;
    last.cancel();
    let _ = timeout(TELL, telling).await;
    ended
}

async fn finish(mut tasks: JoinSet<()>) -> anyhow::Result<()> {
    let mut defect = Ok(());
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            defect = Err(error).context("a task failed");
            tasks.abort_all();
        }
    }
    defect
}

async fn config(args: &RunArgs) -> anyhow::Result<kube::Config> {
    let Some(file) = &args.kubeconfig else {
        return kube::Config::incluster()
            .context("this is no pod of a cluster; give --kubeconfig to run outside of one");
    };
    let context = || format!("--kubeconfig {}", file.display());
    let kubeconfig = Kubeconfig::read_from(file).with_context(context)?;
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.with_context(context)
}

fn place(args: &RunArgs, namespace: &str) -> anyhow::Result<Place> {
    Ok(match &args.webhook_url {
        Some(url) => {
            host_and_port(url).with_context(|| {
                format!("--webhook-url {url} is no https:// URL, and the API server takes no other")
            })?;
            Place::Url(url.trim_end_matches('/').to_owned())
        }
        None => Place::Service {
            namespace: namespace.to_owned(),
            name: args.webhook_service.clone(),
            port: args.webhook_service_port,
        },
    })
}

fn source(args: &RunArgs, kube: &kube::Client, namespace: &str, place: &Place) -> Source {
    if let (Some(certificate), Some(key)) = (&args.webhook_cert, &args.webhook_key) {
        return Source::Files {
            certificate: certificate.clone(),
            key: key.clone(),
            ca: args.webhook_ca.clone(),
        };
    }
    let names: BTreeSet<String> = match place {
        Place::Url(url) => host_and_port(url).into_iter().map(|(host, _)| host).collect(),
        Place::Service { namespace, name, .. } => {
            BTreeSet::from([format!("{name}.{namespace}.svc"), format!("{name}.{namespace}")])
        }
    };
    Source::Secret {
        api: Box::new(Api::namespaced(kube.clone(), namespace)),
        name: format!("{}-webhook", args.name),
        names,
    }
}

/// A name that no other replica has: of its pod or machine, its process and
/// its address.
fn identity(webhook: SocketAddr) -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    format!("{}_{}_{}", host.unwrap_or_default(), std::process::id(), webhook.port())
}

async fn which(kube: &kube::Client) -> anyhow::Result<Cluster> {
    let api: Api<Namespace> = Api::all(kube.clone());
    let namespace = api.get("kube-system").await?;
    namespace.metadata.uid.map(Cluster::new).context("namespace kube-system has no uid")
}

/// The result of what is tried again until it works; `None` if `stop` came
/// first.
async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(
    stop: &CancellationToken,
    what: &str,
    mut work: impl FnMut() -> F,
) -> Option<T> {
    loop {
        match stop.run_until_cancelled(work()).await? {
            Ok(done) => return Some(done),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "{what} isn't there yet");
            }
        }
        stop.run_until_cancelled(sleep(RETRY)).await?;
    }
}

async fn serve(
    listener: TcpListener,
    bridge: Bridge,
    health: Health,
    served: Arc<Served>,
    stop: CancellationToken,
) {
    let bounds = api::serve::Bounds {
        // Longer than the API server keeps an idle connection: it must be the
        // one that closes, or a review is lost now and then.
        head: Duration::from_secs(180),
        ..api::serve::Bounds::default()
    };
    let tls = match api::ServerTls::from_resolver(served) {
        Ok(tls) => tls,
        Err(error) => {
            tracing::error!(%error, "the webhook can't serve");
            stop.cancel();
            return;
        }
    };
    let router = admission::router(bridge, health);
    api::serve(listener, router, Some(tls), bounds, stop.cancelled_owned()).await;
}

/// Keeps certificate and registration as they should be.
async fn keep(
    source: Source,
    served: Arc<Served>,
    mut registration: Registration,
    health: Health,
    leads: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let mut material = None;
    loop {
        let work = async {
            let now = source.load().await?;
            if material.as_ref() != Some(&now) {
                served.replace(&now)?;
                material = Some(now.clone());
            }
            let anew = registration.keep(now.ca.as_deref()).await?;
            health.registered(anew);
            if *leads.borrow() {
                registration.prune().await?;
            }
            anyhow::Ok(())
        };
        let Some(outcome) = stop.run_until_cancelled(work).await else { return };
        let wait = match outcome {
            Ok(()) => KEEP,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the webhook isn't kept right yet");
                RETRY
            }
        };
        if stop.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Leads whenever it is this replica's turn.
async fn take_turns(
    mut elected: Elected,
    bridge: Bridge,
    compare: Duration,
    leading: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let tell = |leads: bool| {
        metrics::gauge!("isolane_bridge_leads").set(f64::from(u8::from(leads)));
        leading.send_replace(leads);
    };
    tell(false);
    while elected.acquire(&stop).await {
        tracing::info!("this replica leads");
        tell(true);
        let turn = stop.child_token();
        let work = tokio::spawn(lead(bridge.clone(), compare, turn.clone()));
        elected.keep(&turn).await;
        turn.cancel();
        if work.await.is_err() {
            tracing::error!("leading failed");
        }
        tell(false);
        elected.release().await;
    }
    elected.release().await;
}
