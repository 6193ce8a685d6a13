//! Isolane's controller, as the bridge calls it.
//!
//! Thin: each call once, with the few answers that are no failure put right (a
//! network that isn't there yet, an owner that moved).

use std::path::PathBuf;
use std::time::Duration;

use api::client::{Client, ClientError, Reply};
use api::error::ProblemKind;
use api::name::{PortRef, SwitchRef};
use api::types::{
    Attachment, AttachmentFilter, AttachmentSpec, NetworkSpec, PoolPortBody, PortSpec, Wait,
};
use api::values::NetworkName;
use futures_util::future::join_all;

use crate::access::Access;
use crate::networks::Want;
use crate::owners::{Cluster, PodKey};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A handle; clones share their connections.
#[derive(Clone)]
pub struct Controller(Access);

/// Why a pod can't have its ports.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The pool is empty.
    #[error("node {node} has no free interface (pool {pool} of its switch): {detail}")]
    Full {
        /// The node.
        node: String,
        /// The pattern of its switch's pool.
        pool: String,
        /// What the controller says.
        detail: String,
    },
    /// The node has no switch.
    #[error(
        "node {0} has no switch that Isolane's controller knows; choose another node, or let its \
         switch connect"
    )]
    NoSwitch(String),
    /// The node's name can't be a switch's.
    #[error("{0:?} can't be a switch's name")]
    Node(String),
    /// The pool gave a port that is no `vhostN`.
    #[error(
        "the pool of node {node} gave port {port}, which has no interface for pods; make its \
         pattern vhost*"
    )]
    NotAPair {
        /// The node.
        node: String,
        /// The port.
        port: String,
    },
    /// The definition of a network can't be made one.
    #[error("network {0} can't be made from its definition")]
    Definition(NetworkName),
    /// The controller failed.
    #[error("Isolane's controller: {0}")]
    Call(#[from] ClientError),
}

impl AttachError {
    /// One word for events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Full { .. } => "PoolExhausted",
            Self::NoSwitch(_) | Self::Node(_) => "NodeWithoutSwitch",
            Self::NotAPair { .. } => "PoolUnusable",
            Self::Definition(_) => "NetworkUnusable",
            Self::Call(error) if error.problem().is_some() => "AttachFailed",
            Self::Call(_) => "ControllerAway",
        }
    }

    /// Whether it comes by itself that a later try works: no fault of ours.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Definition(_) | Self::Node(_))
    }
}

impl Controller {
    /// The controller at this URL.
    pub fn new(
        url: &str,
        token_file: Option<PathBuf>,
        ca: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        Access::new(url, token_file, ca, PATIENCE).map(Self)
    }

    /// The client as it is now.
    pub fn client(&self) -> Client {
        self.0.client()
    }

    /// How it is reached.
    pub fn access(&self) -> &Access {
        &self.0
    }

    /// All attachments of this cluster's pods.
    pub async fn attachments(&self, cluster: &Cluster) -> Result<Vec<Attachment>, ClientError> {
        self.under(cluster.prefix()).await
    }

    /// The attachments of a pod.
    pub async fn attachments_of(
        &self,
        cluster: &Cluster,
        pod: &PodKey,
    ) -> Result<Vec<Attachment>, ClientError> {
        self.under(cluster.pod_prefix(pod)).await
    }

    async fn under(&self, prefix: String) -> Result<Vec<Attachment>, ClientError> {
        let filter = AttachmentFilter { owner: None, owner_prefix: Some(prefix) };
        self.client().attachments(&filter).await
    }

    /// Ports for all that a pod wants on a node, in the order of `wants`: all
    /// of them, or none that it didn't have before.
    pub async fn attach(
        &self,
        cluster: &Cluster,
        pod: &PodKey,
        node: &str,
        wants: &[Want],
    ) -> Result<Vec<Attachment>, AttachError> {
        let switch: SwitchRef = node.parse().map_err(|_| AttachError::Node(node.to_owned()))?;
        let mut groups: Vec<(&Want, Vec<(usize, AttachmentSpec)>)> = Vec::new();
        for (place, want) in wants.iter().enumerate() {
            let Some(owner) = cluster.owner(pod, &want.interface) else {
                return Err(AttachError::Definition(want.network.clone()));
            };
            let spec = (place, AttachmentSpec { switch: switch.clone(), owner });
            match groups.iter_mut().find(|(first, _)| first.network == want.network) {
                Some((_, specs)) => specs.push(spec),
                None => groups.push((want, vec![spec])),
            }
        }
        let calls = groups.iter().map(|(want, specs)| async move {
            let specs: Vec<_> = specs.iter().map(|(_, spec)| spec.clone()).collect();
            self.attach_to(cluster, want, &specs).await
        });
        let answers = join_all(calls).await;
        let mut ports: Vec<Option<Attachment>> = vec![None; wants.len()];
        let mut fresh = Vec::new();
        let mut failed = None;
        for (answer, (_, specs)) in answers.into_iter().zip(&groups) {
            match answer {
                Ok(reply) => {
                    if reply.status != 200 {
                        fresh.extend(reply.body.iter().cloned());
                    }
                    for ((place, _), port) in specs.iter().zip(reply.body) {
                        if let Some(at) = ports.get_mut(*place) {
                            *at = Some(port);
                        }
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        match (failed, ports.into_iter().collect::<Option<Vec<_>>>()) {
            (None, Some(ports)) => Ok(ports),
            (failed, _) => {
                for port in fresh {
                    // What stays is released once the pod has been without a
                    // node for some time (--unbound).
                    let _ = self.client().delete_attachment(&port.id, Wait::Stored).await;
                }
                Err(self.explain(node, &switch, failed).await)
            }
        }
    }

    async fn attach_to(
        &self,
        cluster: &Cluster,
        want: &Want,
        specs: &[AttachmentSpec],
    ) -> Result<Reply<Vec<Attachment>>, AttachError> {
        let client = self.client();
        let error = match client.create_attachments(&want.network, specs, Wait::Stored).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        match error.problem().map(api::Problem::kind) {
            Some(ProblemKind::NetworkNotFound) => self.make(cluster, want).await?,
            Some(ProblemKind::OwnerInUse) => self.give_up(specs, &want.network).await?,
            _ => return Err(error.into()),
        }
        Ok(client.create_attachments(&want.network, specs, Wait::Stored).await?)
    }

    /// Networks are made when they are first needed, or before by the replica
    /// that leads.
    async fn make(&self, cluster: &Cluster, want: &Want) -> Result<(), AttachError> {
        let spec = want.definition.spec(cluster);
        let spec = spec.ok_or_else(|| AttachError::Definition(want.network.clone()))?;
        Ok(self.make_network(&spec).await?)
    }

    /// Makes a network. One that is there already is left as it is.
    pub async fn make_network(&self, spec: &NetworkSpec) -> Result<(), ClientError> {
        match self.client().create_network(spec, Wait::Stored).await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, ProblemKind::NetworkExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Releases what the owners have in other networks on that switch: the
    /// pod's annotation was another one when it was last tried there.
    async fn give_up(
        &self,
        specs: &[AttachmentSpec],
        network: &NetworkName,
    ) -> Result<(), ClientError> {
        let client = self.client();
        for spec in specs {
            let filter = AttachmentFilter { owner: Some(spec.owner.clone()), owner_prefix: None };
            for old in client.attachments(&filter).await? {
                if old.switch == spec.switch && old.network != *network {
                    client.delete_attachment(&old.id, Wait::Stored).await?;
                }
            }
        }
        Ok(())
    }

    /// Attaches a port, or changes what is declared of it.
    pub async fn put_port(
        &self,
        network: &NetworkName,
        switch: &SwitchRef,
        port: &PortRef,
        spec: &PortSpec,
    ) -> Result<(), ClientError> {
        self.client().put_port(network, switch, port, spec, Wait::Stored).await.map(drop)
    }

    /// Says whether a port of a pool may be given out. A port or switch that
    /// isn't known can't be, so that is no failure.
    pub async fn mark(
        &self,
        switch: &SwitchRef,
        port: &PortRef,
        ready: bool,
    ) -> Result<(), ClientError> {
        match self.client().put_pool_port(switch, port, PoolPortBody { ready }).await {
            Ok(_) => Ok(()),
            Err(error)
                if is(&error, ProblemKind::SwitchNotFound)
                    || is(&error, ProblemKind::PortNotFound) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What the controller's refusal means for the node.
    async fn explain(
        &self,
        node: &str,
        switch: &SwitchRef,
        error: Option<AttachError>,
    ) -> AttachError {
        let Some(AttachError::Call(error)) = error else {
            // Fewer ports than were asked for, without a word.
            return error.unwrap_or_else(|| AttachError::NoSwitch(node.to_owned()));
        };
        match error.problem().map(|problem| (problem.kind(), problem.detail())) {
            Some((ProblemKind::SwitchNotFound, _)) => AttachError::NoSwitch(node.to_owned()),
            Some((ProblemKind::PoolExhausted, detail)) => {
                let known = self.client().switch(switch).await;
                let pool = known.map_or_else(|_| "?".to_owned(), |it| it.pool.to_string());
                AttachError::Full { node: node.to_owned(), pool, detail: detail.to_owned() }
            }
            _ => AttachError::Call(error),
        }
    }
}

/// Whether the controller refused for this reason.
pub fn is(error: &ClientError, kind: ProblemKind) -> bool {
    error.problem().is_some_and(|problem| problem.kind() == kind)
}
