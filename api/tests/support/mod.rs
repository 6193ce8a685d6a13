//! A controller without switches, for tests of what HTTP makes of its results.
//!
//! Switch `s1` is known and connected, `away` is known and not connected, and
//! no other one is known. Port 9 of `s1` is a trunk.

#![allow(dead_code)] // each test binary uses its part

use std::collections::BTreeMap;
use std::sync::Mutex;

use api::control_plane::ControlPlane;
use api::error::{Problem, ProblemKind};
use api::name::{Dpid, Name, PortRef, SwitchRef};
use api::page::{Listing, Page};
use api::types::*;
use api::values::*;
use async_trait::async_trait;

#[derive(Default)]
pub struct Memory {
    state: Mutex<State_>,
}

#[derive(Default)]
struct State_ {
    networks: BTreeMap<NetworkName, NetworkSpec>,
    ports: BTreeMap<(SwitchRef, PortRef), (NetworkName, PortSpec)>,
    links: BTreeMap<(End, End), LinkBody>,
    attachments: BTreeMap<AttachmentId, Attachment>,
    /// What each change was asked to wait for.
    waits: Vec<Wait>,
    switch: SwitchPatch,
}

pub fn switch(text: &str) -> SwitchRef {
    text.parse().unwrap()
}

fn ack(switch: &SwitchRef) -> Ack {
    let reason = match switch.to_string().as_str() {
        "s1" => return Ack::Installed,
        "away" => "away since 12:00",
        _ => "not known",
    };
    Ack::Pending(vec![SwitchReason { switch: switch.clone(), reason: reason.to_owned() }])
}

fn changed<T: PartialEq, V>(before: Option<T>, after: &T, ack: Ack, now: V) -> Changed<V> {
    let change = match before {
        None => Change::Created,
        Some(before) if before == *after => Change::Unchanged,
        Some(_) => Change::Updated,
    };
    Changed { change, ack, now }
}

impl State_ {
    fn network(&self, spec: &NetworkSpec) -> Network {
        let NetworkSpec { name, kind, mac_limit, labels } = spec.clone();
        let ports = self.ports.values().filter(|(network, _)| *network == name).count() as u64;
        Network {
            name,
            id: 7,
            kind,
            mac_limit,
            labels,
            set: None,
            state: State::Installed,
            reason: None,
            reasons: Vec::new(),
            ports,
            learnt: 0,
            mac_limit_reached: false,
        }
    }

    fn port(&self, switch: &SwitchRef, port: &PortRef) -> Option<Port> {
        let (network, spec) = self.ports.get(&(switch.clone(), port.clone()))?.clone();
        Some(Port {
            network,
            switch: switch.clone(),
            port: port.clone(),
            number: match port {
                PortRef::Number(number) => Some(*number),
                PortRef::Name(_) => None,
            },
            mac: spec.mac,
            ips: spec.ips,
            enforce: spec.enforce,
            owner: spec.owner,
            labels: spec.labels,
            set: None,
            state: State::Installed,
            reason: None,
            reasons: Vec::new(),
        })
    }

    fn known(&self, network: &NetworkName) -> Result<&NetworkSpec, Problem> {
        self.networks.get(network).ok_or_else(|| Problem::network_not_found(network))
    }
}

fn known(switch: &SwitchRef) -> Result<(), Problem> {
    match switch.to_string().as_str() {
        "s1" | "away" | "of:0000000000000001" => Ok(()),
        _ => Err(Problem::switch_not_found(switch)),
    }
}

impl Memory {
    pub fn waits(&self) -> Vec<Wait> {
        self.state.lock().unwrap().waits.clone()
    }

    fn link(a: End, b: End, body: LinkBody) -> Link {
        Link {
            a,
            b,
            source: LinkSource::Declared,
            encap: body.encap,
            up: true,
            state: State::Installed,
            reason: None,
            reasons: Vec::new(),
        }
    }

    fn s1(&self) -> Switch {
        let patch = self.state.lock().unwrap().switch.clone();
        Switch {
            dpid: Dpid(1),
            name: patch.name.flatten().or(Some(Name::new("s1").unwrap())),
            pool: patch.pool.flatten().unwrap_or(Pattern::default_pool()),
            trunks: patch.trunks.flatten().unwrap_or(Pattern::default_trunks()),
            connection: Connection::Connected,
            connected: true,
            in_sync: true,
            reason: None,
            since: Some(Timestamp::from_millis(0)),
            address: Some("127.0.0.1:40000".to_owned()),
            description: Some(SwitchDescription::default()),
            ports: vec![SwitchPort {
                number: 1,
                name: Name::new(*b"eth\xff").unwrap(),
                up: true,
                mac: None,
                role: PortRole::Free,
                ready: None,
                network: None,
                owner: None,
            }],
        }
    }
}

#[async_trait]
impl ControlPlane for Memory {
    async fn networks(&self, page: Page) -> Result<Listing<Network>, Problem> {
        let state = self.state.lock().unwrap();
        let all = state.networks.values();
        Ok(page.cut(all, |n| n.name.as_str().as_bytes().to_vec(), |n| state.network(n)))
    }

    async fn network(&self, network: NetworkName) -> Result<Network, Problem> {
        let state = self.state.lock().unwrap();
        state.known(&network).map(|spec| state.network(spec))
    }

    async fn create_network(
        &self,
        spec: NetworkSpec,
        wait: Wait,
    ) -> Result<Changed<Network>, Problem> {
        let differs = {
            let state = self.state.lock().unwrap();
            state.networks.get(&spec.name).is_some_and(|there| *there != spec)
        };
        if differs {
            return Err(Problem::network_exists(&spec.name));
        }
        self.put_network(spec, wait).await
    }

    async fn put_network(
        &self,
        spec: NetworkSpec,
        wait: Wait,
    ) -> Result<Changed<Network>, Problem> {
        let mut state = self.state.lock().unwrap();
        state.waits.push(wait);
        let before = state.networks.insert(spec.name.clone(), spec.clone());
        Ok(changed(before, &spec, Ack::Installed, state.network(&spec)))
    }

    async fn delete_network(
        &self,
        network: NetworkName,
        force: bool,
        wait: Wait,
    ) -> Result<Ack, Problem> {
        let mut state = self.state.lock().unwrap();
        state.waits.push(wait);
        let ports = state.ports.values().filter(|(there, _)| *there == network).count();
        if ports > 0 && !force {
            return Err(Problem::network_in_use(&network, ports));
        }
        state.ports.retain(|_, (there, _)| *there != network);
        state.networks.remove(&network);
        Ok(Ack::Installed)
    }

    async fn ports(&self, network: NetworkName, page: Page) -> Result<Listing<Port>, Problem> {
        let state = self.state.lock().unwrap();
        state.known(&network)?;
        let all = state.ports.iter().filter(|(_, (there, _))| *there == network);
        Ok(page.cut(
            all,
            |((switch, port), _)| format!("{switch}\0{port}"),
            |((switch, port), _)| state.port(switch, port).unwrap(),
        ))
    }

    async fn port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
    ) -> Result<Port, Problem> {
        let state = self.state.lock().unwrap();
        state.known(&network)?;
        let found = state.port(&switch, &port).filter(|port| port.network == network);
        found.ok_or_else(|| Problem::port_not_attached(&network, &switch, &port))
    }

    async fn put_port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
        spec: PortSpec,
        wait: Wait,
    ) -> Result<Changed<Port>, Problem> {
        let mut state = self.state.lock().unwrap();
        state.known(&network)?;
        let place = (switch.clone(), port.clone());
        if port == PortRef::Number(9) {
            return Err(Problem::port_is_trunk(&switch, &port));
        }
        if let Some((other, _)) = state.ports.get(&place).filter(|(there, _)| *there != network) {
            return Err(Problem::port_in_use(&switch, &port, other));
        }
        state.waits.push(wait);
        let before = state.ports.insert(place, (network.clone(), spec.clone()));
        let now = state.port(&switch, &port).unwrap();
        Ok(changed(before, &(network, spec), ack(&switch), now))
    }

    async fn delete_port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
        wait: Wait,
    ) -> Result<Ack, Problem> {
        let mut state = self.state.lock().unwrap();
        state.waits.push(wait);
        let place = (switch.clone(), port);
        match state.ports.get(&place) {
            Some((there, _)) if *there == network => {
                state.ports.remove(&place);
                Ok(ack(&switch))
            }
            _ => Ok(Ack::Installed),
        }
    }

    async fn apply(
        &self,
        document: Document,
        prune: bool,
        wait: Wait,
    ) -> Result<(Applied, Ack), Problem> {
        let mut state = self.state.lock().unwrap();
        for (at, port) in document.ports.iter().enumerate() {
            let named = document.networks.iter().any(|network| network.name == port.network);
            if !named && !state.networks.contains_key(&port.network) {
                let problem = Problem::network_not_found(&port.network);
                return Err(problem.at(format!("/ports/{at}/network")));
            }
        }
        state.waits.push(wait);
        let mut objects = Vec::new();
        let mut note = |kind, network: &NetworkName, port: Option<(SwitchRef, PortRef)>, change| {
            let (switch, port) = port.unzip();
            objects.push(ObjectChange {
                kind,
                network: network.clone(),
                switch,
                port,
                change,
                state: State::Installed,
                reason: None,
            });
        };
        let named: Vec<_> = document.networks.iter().map(|network| network.name.clone()).collect();
        let mut waiting = Vec::new();
        for spec in document.networks {
            let before = state.networks.insert(spec.name.clone(), spec.clone());
            let change = changed(before, &spec, Ack::Installed, ()).change;
            note(ObjectKind::Network, &spec.name, None, change);
        }
        for port in document.ports {
            let place = (port.switch.clone(), port.port.clone());
            let after = (port.network.clone(), port.spec());
            let before = state.ports.insert(place.clone(), after.clone());
            if let Ack::Pending(reasons) = ack(&port.switch) {
                waiting.extend(reasons);
            }
            let change = changed(before, &after, Ack::Installed, ()).change;
            note(ObjectKind::Port, &port.network, Some(place), change);
        }
        if prune {
            let gone: Vec<_> =
                state.networks.keys().filter(|name| !named.contains(name)).cloned().collect();
            for name in gone {
                state.networks.remove(&name);
                note(ObjectKind::Network, &name, None, Change::Deleted);
            }
        }
        let ack = if waiting.is_empty() { Ack::Installed } else { Ack::Pending(waiting) };
        Ok((Applied::new(document.set, objects), ack))
    }

    async fn switches(&self, _: Page) -> Result<Listing<Switch>, Problem> {
        Ok(vec![self.s1()].into())
    }

    async fn switch(&self, switch: SwitchRef) -> Result<Switch, Problem> {
        known(&switch).map(|()| self.s1())
    }

    async fn patch_switch(
        &self,
        switch: SwitchRef,
        patch: SwitchPatch,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        known(&switch)?;
        let mut state = self.state.lock().unwrap();
        state.waits.push(wait);
        let before = state.switch.clone();
        let SwitchPatch { name, pool, trunks } = patch;
        let now = &mut state.switch;
        now.name = name.or(now.name.take());
        now.pool = pool.or(now.pool.take());
        now.trunks = trunks.or(now.trunks.take());
        let after = state.switch.clone();
        drop(state);
        Ok(changed(Some(before), &after, ack(&switch), self.s1()))
    }

    async fn delete_switch(&self, switch: SwitchRef) -> Result<Ack, Problem> {
        if switch.to_string() == "s1" {
            let detail = "Switch s1 is connected.";
            return Err(Problem::new(ProblemKind::SwitchConnected, detail));
        }
        Ok(Ack::Installed)
    }

    async fn flows(
        &self,
        switch: SwitchRef,
        view: FlowView,
        page: Page,
    ) -> Result<FlowTables, Problem> {
        known(&switch)?;
        let flow = |priority: u16| FlowEntry {
            table: 0,
            priority,
            cookie: "0x4900000000000701".to_owned(),
            r#match: "in_port=1".to_owned(),
            instructions: "write_metadata:0x7,goto_table:1".to_owned(),
            idle_timeout: 0,
            network: Some("blue".parse().unwrap()),
            change: (view == FlowView::Diff).then_some(FlowChange::Add),
        };
        let first = page.after.is_none();
        let listing = page.cut([3u16, 2, 1], |p| (!p).to_be_bytes(), flow);
        let group = GroupEntry {
            id: 0x4900_0007,
            buckets: vec!["output:1".to_owned()],
            network: Some("blue".parse().unwrap()),
            change: None,
        };
        let groups = if first { vec![group] } else { Vec::new() };
        Ok(FlowTables { view, items: listing.items, groups, next: listing.next })
    }

    async fn links(&self, page: Page) -> Result<Listing<Link>, Problem> {
        let state = self.state.lock().unwrap();
        Ok(page.cut(
            state.links.iter(),
            |((a, b), _)| format!("{a}\0{b}"),
            |((a, b), body)| Self::link(a.clone(), b.clone(), *body),
        ))
    }

    async fn put_link(
        &self,
        a: End,
        b: End,
        body: LinkBody,
        wait: Wait,
    ) -> Result<Changed<Link>, Problem> {
        let mut state = self.state.lock().unwrap();
        let place = (a.clone(), PortRef::clone(&a.port));
        if let Some((network, _)) = state.ports.get(&(place.0.switch, place.1)) {
            return Err(Problem::port_in_use(&a.switch, &a.port, network));
        }
        state.waits.push(wait);
        let key = if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        let before = state.links.insert(key, body);
        let ack = match (ack(&a.switch), ack(&b.switch)) {
            (Ack::Installed, other) | (other, Ack::Installed) => other,
            (Ack::Pending(mut all), Ack::Pending(more)) => {
                all.extend(more);
                Ack::Pending(all)
            }
        };
        Ok(changed(before, &body, ack, Self::link(a, b, body)))
    }

    async fn delete_link(&self, a: End, b: End, wait: Wait) -> Result<Ack, Problem> {
        let mut state = self.state.lock().unwrap();
        state.waits.push(wait);
        let key = if a < b { (a, b) } else { (b, a) };
        state.links.remove(&key);
        Ok(Ack::Installed)
    }

    async fn hosts(&self, filter: HostFilter, page: Page) -> Result<Listing<Host>, Problem> {
        let host = |last: u8, network: &str| Host {
            mac: MacAddr::new([2, 0, 0, 0, 0, last]).unwrap(),
            ips: vec!["10.0.0.1".parse().unwrap()],
            network: network.parse().unwrap(),
            switch: switch("s1"),
            port: PortRef::Number(1),
            source: HostSource::Learnt,
            since: Timestamp::from_millis(1_000),
        };
        let all = [host(1, "blue"), host(2, "blue"), host(1, "red")];
        let asked = all.into_iter().filter(|host| {
            filter.network.as_ref().is_none_or(|network| *network == host.network)
                && filter.switch.as_ref().is_none_or(|switch| *switch == host.switch)
        });
        Ok(page.cut(asked, |host| format!("{}\0{}", host.network, host.mac), |host| host))
    }

    async fn attachments(
        &self,
        filter: AttachmentFilter,
        page: Page,
    ) -> Result<Listing<Attachment>, Problem> {
        let state = self.state.lock().unwrap();
        let asked = state.attachments.values().filter(|it| {
            filter.owner.as_ref().is_none_or(|owner| *owner == it.owner)
                && filter
                    .owner_prefix
                    .as_ref()
                    .is_none_or(|prefix| it.owner.as_str().starts_with(prefix))
        });
        Ok(page.cut(asked, |it| it.id.as_str().to_owned(), Attachment::clone))
    }

    async fn attachment(&self, id: AttachmentId) -> Result<Attachment, Problem> {
        let state = self.state.lock().unwrap();
        state.attachments.get(&id).cloned().ok_or_else(|| {
            Problem::new(ProblemKind::AttachmentNotFound, format!("There is no attachment {id}."))
        })
    }

    async fn create_attachments(
        &self,
        network: NetworkName,
        specs: Vec<AttachmentSpec>,
        wait: Wait,
    ) -> Result<Vec<Changed<Attachment>>, Problem> {
        let mut state = self.state.lock().unwrap();
        state.known(&network)?;
        for (at, spec) in specs.iter().enumerate() {
            known(&spec.switch).map_err(|problem| problem.at(format!("/{at}/switch")))?;
        }
        state.waits.push(wait);
        let mut done = Vec::new();
        for spec in specs {
            let there = state.attachments.values().find(|it| it.owner == spec.owner).cloned();
            let next = state.attachments.len() + 1;
            let now = there.clone().unwrap_or_else(|| Attachment {
                id: format!("a-{next}").parse().unwrap(),
                network: network.clone(),
                switch: spec.switch.clone(),
                port: format!("vhost{next}").parse().unwrap(),
                number: Some(next as u32),
                owner: spec.owner.clone(),
                since: Timestamp::from_millis(0),
                state: State::Installed,
                reason: None,
                reasons: Vec::new(),
            });
            state.attachments.insert(now.id.clone(), now.clone());
            done.push(changed(there, &now.clone(), ack(&spec.switch), now));
        }
        Ok(done)
    }

    async fn delete_attachment(&self, id: AttachmentId, wait: Wait) -> Result<Ack, Problem> {
        let mut state = self.state.lock().unwrap();
        state.waits.push(wait);
        state.attachments.remove(&id);
        Ok(Ack::Installed)
    }

    async fn put_pool_port(
        &self,
        switch: SwitchRef,
        port: PortRef,
        body: PoolPortBody,
    ) -> Result<Changed<PoolPort>, Problem> {
        known(&switch)?;
        let now = PoolPort {
            switch,
            port,
            number: None,
            ready: body.ready,
            r#use: PoolUse::Free,
            owner: None,
        };
        Ok(Changed { change: Change::Updated, ack: Ack::Installed, now })
    }

    async fn ready(&self) -> Result<(), Problem> {
        Ok(())
    }

    async fn metrics(&self) -> String {
        "isolane_up 1\n".to_owned()
    }
}
