//! The REST contract, carried out by the engine.

mod attachments;

use std::time::{Duration, SystemTime};

use api::control_plane::ControlPlane;
use api::page::{Listing, Page};
use api::types::{
    Ack, Applied, Attachment, AttachmentFilter, AttachmentSpec, Change, Changed, Document, End,
    FlowTables, FlowView, Host, HostFilter, Link, LinkBody, Network, NetworkSpec, PoolPort,
    PoolPortBody, Port, PortSpec, Restored, State, Switch, SwitchPatch, SwitchReason, Wait,
};
use api::values::{AttachmentId, NetworkName};
use api::{Problem, ProblemKind};
use async_trait::async_trait;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::engine::{CallError, Engine, EngineHandle, Started};
use crate::model::{Encap, NetworkId, PortAt, PortRef, SwitchRef};

/// Within this time a change is stored, or it is said that nobody knows.
const STORED_WITHIN: Duration = Duration::from_secs(15);
/// How long after the end began changes still wait for their switches.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The controller as its callers see it.
pub struct Rest {
    engine: EngineHandle,
    metrics: PrometheusHandle,
    /// The end has begun: nobody is waited for any more.
    stopping: CancellationToken,
    /// One backup is made or given back at a time: each takes memory.
    backups: Semaphore,
}

impl Rest {
    /// Calls this engine.
    pub fn new(engine: EngineHandle, metrics: PrometheusHandle) -> Self {
        let (stopping, backups) = (CancellationToken::new(), Semaphore::new(1));
        Self { engine, metrics, stopping, backups }
    }

    /// Once this is cancelled, changes that are durable are answered soon,
    /// whatever their switches do.
    #[must_use]
    pub fn until(mut self, stopping: CancellationToken) -> Self {
        self.stopping = stopping;
        self
    }

    /// Resolves when the end has begun and switches had their time.
    async fn patience_ends(&self) {
        self.stopping.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    }

    fn one_backup(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.backups.try_acquire().map_err(|_| {
            let detail = "A backup is being made or given back right now.";
            Problem::new(ProblemKind::TooManyRequests, detail)
        })
    }

    async fn run<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Result<R, Problem> {
        self.engine.run(call).await.map_err(|error| {
            let kind = match error {
                CallError::Busy => ProblemKind::TooManyRequests,
                CallError::Closed => ProblemKind::NotReady,
            };
            Problem::new(kind, format!("{error}."))
        })
    }

    /// Waits until a change is durable and, if asked to, installed.
    async fn finish<T>(&self, started: Started<T>, wait: Wait) -> Result<(T, Ack), Problem> {
        let Started { done, stored } = started;
        let Ok(stored) = tokio::time::timeout(STORED_WITHIN, stored).await else {
            let detail = format!(
                "The disk has not answered for {} s: whether the change is made isn't known yet. Look before you ask again.",
                STORED_WITHIN.as_secs()
            );
            return Err(Problem::new(ProblemKind::StoreUnavailable, detail));
        };
        let settled = match stored {
            Ok(Ok(settled)) => settled,
            Ok(Err(reason)) => {
                let detail =
                    format!("The change was not made, because it can't be stored: {reason}.");
                return Err(Problem::new(ProblemKind::StoreUnavailable, detail));
            }
            Err(_) => {
                return Err(Problem::new(
                    ProblemKind::NotReady,
                    "The controller is shutting down.",
                ));
            }
        };
        let (networks, waits): (Vec<NetworkId>, Vec<_>) = settled.into_iter().unzip();
        let late = match wait {
            Wait::Stored => false,
            Wait::Installed { timeout } => {
                let all = async {
                    for settled in waits {
                        // The engine's end shows in the next call.
                        let _ = settled.await;
                    }
                };
                tokio::select! {
                    all = tokio::time::timeout(timeout, all) => all.is_err(),
                    () = self.patience_ends() => true,
                }
            }
        };
        let waited = wait != Wait::Stored && !late;
        let ack = self.run(move |engine| engine.ack(&networks, waited)).await?;
        Ok((done, ack))
    }
}

fn port_at(switch: SwitchRef, port: PortRef) -> PortAt {
    PortAt { switch, port }
}

fn place(end: End) -> PortAt {
    PortAt { switch: end.switch, port: end.port }
}

/// A port that waits for itself to appear is pending, whatever the network is.
fn with_port(ack: Ack, port: &Port) -> Ack {
    match (ack, &port.reason) {
        (Ack::Installed, Some(reason)) if port.state != State::Installed => {
            Ack::Pending(vec![SwitchReason { switch: port.switch.clone(), reason: reason.clone() }])
        }
        (ack, _) => ack,
    }
}

#[async_trait]
impl ControlPlane for Rest {
    async fn networks(&self, page: Page) -> Result<Listing<Network>, Problem> {
        self.run(move |engine| {
            let key =
                |record: &&crate::intents::NetworkRecord| record.spec.name.as_str().to_owned();
            page.cut(engine.all_networks(), key, |record| engine.show_network(record))
        })
        .await
    }

    async fn network(&self, network: NetworkName) -> Result<Network, Problem> {
        self.run(move |engine| engine.network(&network).map(|record| engine.show_network(record)))
            .await?
    }

    async fn create_network(
        &self,
        spec: NetworkSpec,
        wait: Wait,
    ) -> Result<Changed<Network>, Problem> {
        self.store_network(spec, true, wait).await
    }

    async fn put_network(
        &self,
        spec: NetworkSpec,
        wait: Wait,
    ) -> Result<Changed<Network>, Problem> {
        self.store_network(spec, false, wait).await
    }

    async fn delete_network(
        &self,
        network: NetworkName,
        force: bool,
        wait: Wait,
    ) -> Result<Ack, Problem> {
        let started = self.run(move |engine| engine.delete_network(&network, force)).await??;
        self.finish(started, wait).await.map(|((), ack)| ack)
    }

    async fn ports(&self, network: NetworkName, page: Page) -> Result<Listing<Port>, Problem> {
        self.run(move |engine| {
            engine.network(&network)?;
            let mut ports: Vec<_> =
                engine.ports_of(&network).map(|(at, port)| engine.show_port(at, port)).collect();
            ports.sort_by_key(port_key);
            Ok(page.cut(ports, port_key, |port| port))
        })
        .await?
    }

    async fn port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
    ) -> Result<Port, Problem> {
        self.run(move |engine| show_port(engine, &network, &port_at(switch, port))).await?
    }

    async fn put_port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
        spec: PortSpec,
        wait: Wait,
    ) -> Result<Changed<Port>, Problem> {
        let at = port_at(switch, port);
        let (name, to) = (network.clone(), at.clone());
        let started = self.run(move |engine| engine.put_port(&name, to, spec)).await??;
        let (change, ack) = self.finish(started, wait).await?;
        let now = self.run(move |engine| show_port(engine, &network, &at)).await??;
        let ack = with_port(ack, &now);
        Ok(Changed { change, ack, now })
    }

    async fn delete_port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
        wait: Wait,
    ) -> Result<Ack, Problem> {
        let at = port_at(switch, port);
        let started = self.run(move |engine| engine.delete_port(&network, &at)).await?;
        self.finish(started, wait).await.map(|(_, ack)| ack)
    }

    async fn apply(
        &self,
        document: Document,
        prune: bool,
        wait: Wait,
    ) -> Result<(Applied, Ack), Problem> {
        let set = document.set.clone();
        let started = self.run(move |engine| engine.apply(&document, prune)).await??;
        let (mut objects, ack) = self.finish(started, wait).await?;
        let (objects, waiting) = self
            .run(move |engine| {
                let mut waiting = Vec::new();
                for object in &mut objects {
                    let (Some(switch), Some(port)) = (&object.switch, &object.port) else {
                        continue;
                    };
                    if object.change == Change::Deleted {
                        continue;
                    }
                    let at = port_at(switch.clone(), port.clone());
                    if let Ok(port) = show_port(engine, &object.network, &at) {
                        object.state = port.state;
                        object.reason.clone_from(&port.reason);
                        if let Some(reason) = port.reason.filter(|_| port.state != State::Installed)
                        {
                            waiting.push(SwitchReason { switch: port.switch, reason });
                        }
                    }
                }
                (objects, waiting)
            })
            .await?;
        let ack = match ack {
            Ack::Installed if !waiting.is_empty() => Ack::Pending(waiting),
            ack => ack,
        };
        Ok((Applied::new(set, objects), ack))
    }

    async fn switches(&self, page: Page) -> Result<Listing<Switch>, Problem> {
        self.run(move |engine| {
            let all = engine.switch_ids().into_iter().filter_map(|id| engine.show_switch(id));
            page.cut(all, |switch| switch.dpid.0.to_be_bytes(), |switch| switch)
        })
        .await
    }

    async fn switch(&self, switch: SwitchRef) -> Result<Switch, Problem> {
        self.run(move |engine| show_switch(engine, &switch)).await?
    }

    async fn patch_switch(
        &self,
        switch: SwitchRef,
        patch: SwitchPatch,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        let started = self.run(move |engine| engine.patch_switch(&switch, patch)).await??;
        let ((change, id), ack) = self.finish(started, wait).await?;
        let now = self.run(move |engine| show_switch(engine, &crate::model::by_id(id))).await??;
        Ok(Changed { change, ack, now })
    }

    async fn delete_switch(&self, switch: SwitchRef) -> Result<Ack, Problem> {
        let started = self.run(move |engine| engine.delete_switch(&switch)).await??;
        self.finish(started, Wait::Stored).await.map(|((), ack)| ack)
    }

    async fn adopt_switch(
        &self,
        switch: SwitchRef,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        self.take_over(switch, true, wait).await
    }

    async fn reset_switch(
        &self,
        switch: SwitchRef,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        self.take_over(switch, false, wait).await
    }

    async fn flows(
        &self,
        switch: SwitchRef,
        view: FlowView,
        page: Page,
    ) -> Result<FlowTables, Problem> {
        self.run(move |engine| {
            let id = engine.find_switch(&switch)?;
            let mut tables = engine.show_flows(id, view);
            let key = |flow: &api::types::FlowEntry| {
                format!(
                    "{:03}{:05}{}{}",
                    flow.table,
                    u16::MAX - flow.priority,
                    flow.r#match,
                    flow.cookie
                )
            };
            tables.items.sort_by_key(key);
            let first = page.after.is_none();
            let Listing { items, next } = page.cut(tables.items, key, |flow| flow);
            let groups = if first { tables.groups } else { Vec::new() };
            Ok(FlowTables { view, items, groups, next })
        })
        .await?
    }

    async fn links(&self, page: Page) -> Result<Listing<Link>, Problem> {
        self.run(move |engine| {
            let key = |link: &Link| format!("{}\0{}", link.a, link.b);
            let mut links = engine.show_links();
            links.sort_by_key(key);
            page.cut(links, key, |link| link)
        })
        .await
    }

    async fn put_link(
        &self,
        a: End,
        b: End,
        body: LinkBody,
        wait: Wait,
    ) -> Result<Changed<Link>, Problem> {
        let (a, b) = (place(a), place(b));
        let encap = match body.encap {
            api::types::Encap::Vlan => Encap::Vlan,
            api::types::Encap::TunId => Encap::TunId,
        };
        let (one, other) = (a.clone(), b.clone());
        let started = self.run(move |engine| engine.put_link(one, other, encap)).await??;
        let (change, ack) = self.finish(started, wait).await?;
        let now = self.run(move |engine| engine.link_between(&a, &b)).await?;
        let Some(now) = now else {
            return Err(Problem::new(
                ProblemKind::Internal,
                "The link that was just declared is not there.",
            ));
        };
        let ack = match (ack, now.reasons.is_empty()) {
            (Ack::Installed, false) => Ack::Pending(now.reasons.clone()),
            (ack, _) => ack,
        };
        Ok(Changed { change, ack, now })
    }

    async fn delete_link(&self, a: End, b: End, wait: Wait) -> Result<Ack, Problem> {
        let (a, b) = (place(a), place(b));
        let started = self.run(move |engine| engine.delete_link(&a, &b)).await?;
        self.finish(started, wait).await.map(|(_, ack)| ack)
    }

    async fn hosts(&self, filter: HostFilter, page: Page) -> Result<Listing<Host>, Problem> {
        self.run(move |engine| {
            let switch = filter.switch.as_ref().map(|switch| engine.find_switch(switch).ok());
            let fits = |host: &Host| {
                filter.network.as_ref().is_none_or(|network| *network == host.network)
                    && switch.is_none_or(|wanted| {
                        wanted.is_some() && engine.find_switch(&host.switch).ok() == wanted
                    })
            };
            let key = |host: &Host| format!("{}\0{}", host.network, host.mac);
            let mut hosts: Vec<_> = engine.show_hosts().into_iter().filter(fits).collect();
            hosts.sort_by_key(key);
            page.cut(hosts, key, |host| host)
        })
        .await
    }

    async fn attachments(
        &self,
        filter: AttachmentFilter,
        page: Page,
    ) -> Result<Listing<Attachment>, Problem> {
        self.list_attachments(filter, page).await
    }

    async fn attachment(&self, attachment: AttachmentId) -> Result<Attachment, Problem> {
        self.show_attachment(attachment).await
    }

    async fn create_attachments(
        &self,
        network: NetworkName,
        specs: Vec<AttachmentSpec>,
        wait: Wait,
    ) -> Result<Vec<Changed<Attachment>>, Problem> {
        self.attach(network, specs, wait).await
    }

    async fn delete_attachment(
        &self,
        attachment: AttachmentId,
        wait: Wait,
    ) -> Result<Ack, Problem> {
        let started = self.run(move |engine| engine.delete_attachment(&attachment)).await?;
        self.finish(started, wait).await.map(|(_, ack)| ack)
    }

    async fn put_pool_port(
        &self,
        switch: SwitchRef,
        port: PortRef,
        body: PoolPortBody,
    ) -> Result<Changed<PoolPort>, Problem> {
        self.mark_pool_port(switch, port, body).await
    }

    async fn backup(&self) -> Result<Bytes, Problem> {
        let _one = self.one_backup()?;
        let (intents, world) = self.run(|engine| engine.snapshot()).await?;
        let made = tokio::task::spawn_blocking(move || {
            crate::backup::make(&intents, &world, SystemTime::now())
        });
        match made.await {
            Ok(Ok(json)) => Ok(json.into()),
            Ok(Err(error)) => Err(Problem::new(ProblemKind::Internal, error.to_string())),
            Err(error) => Err(Problem::new(ProblemKind::Internal, error.to_string())),
        }
    }

    async fn restore(&self, backup: Bytes, wait: Wait) -> Result<(Restored, Ack), Problem> {
        let _one = self.one_backup()?;
        let read = tokio::task::spawn_blocking(move || crate::backup::read(&backup)).await;
        let contents = match read {
            Ok(contents) => contents?,
            Err(error) => return Err(Problem::new(ProblemKind::Internal, error.to_string())),
        };
        let started = self.run(move |engine| engine.restore(contents)).await??;
        self.finish(started, wait).await
    }

    async fn ready(&self) -> Result<(), Problem> {
        match tokio::time::timeout(Duration::from_secs(2), self.run(|_| ())).await {
            Ok(answered) => answered,
            Err(_) => Err(Problem::new(
                ProblemKind::NotReady,
                "The controller doesn't answer within 2 s.",
            )),
        }
    }

    async fn metrics(&self) -> String {
        let counts = self.run(|engine| {
            metrics::gauge!("isolane_switches_connected").set(engine.connected() as f64);
            metrics::gauge!("isolane_switches_in_sync").set(engine.in_sync() as f64);
            metrics::gauge!("isolane_networks").set(engine.all_networks().count() as f64);
        });
        // Without the engine the other figures are worth the more.
        let _ = counts.await;
        self.metrics.render()
    }
}

impl Rest {
    async fn take_over(
        &self,
        switch: SwitchRef,
        adopt: bool,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        let started = self.run(move |engine| engine.take_over(&switch, adopt)).await??;
        let (id, ack) = self.finish(started, wait).await?;
        let now = self.run(move |engine| show_switch(engine, &crate::model::by_id(id))).await??;
        Ok(Changed { change: Change::Updated, ack, now })
    }

    async fn store_network(
        &self,
        spec: NetworkSpec,
        only_new: bool,
        wait: Wait,
    ) -> Result<Changed<Network>, Problem> {
        let name = spec.name.clone();
        let started = self.run(move |engine| engine.put_network(spec, only_new)).await??;
        let (change, ack) = self.finish(started, wait).await?;
        let now = self
            .run(move |engine| engine.network(&name).map(|record| engine.show_network(record)))
            .await??;
        Ok(Changed { change, ack, now })
    }
}

fn port_key(port: &Port) -> String {
    format!("{}\0{}", port.switch, port.port)
}

fn show_port(engine: &Engine, network: &NetworkName, at: &PortAt) -> Result<Port, Problem> {
    engine.network(network)?;
    match engine.attached(at).filter(|(_, port)| port.network == *network) {
        Some((known, port)) => Ok(engine.show_port(&known, port)),
        None => Err(Problem::port_not_attached(network, &at.switch, &at.port)),
    }
}

fn show_switch(engine: &Engine, switch: &SwitchRef) -> Result<Switch, Problem> {
    let id = engine.find_switch(switch)?;
    engine.show_switch(id).ok_or_else(|| Problem::switch_not_found(switch))
}
