//! What callers ask of the controller, and what they are promised.

use api::types::{Ack, NetworkSpec, PortSpec, State};
use api::values::{HostIp, MacLimit, NetworkName};
use controller::engine::Started;
use tokio::sync::oneshot;

use crate::laws;

use super::{Allowed, Port, Promise, Spoke, Tag, World, host_at};

impl World {
    /// Changes whose end has come: ports that left are in no network any more.
    pub(super) fn collect(&mut self) -> Result<(), String> {
        let mut waiting = Vec::new();
        for mut promise in std::mem::take(&mut self.promises) {
            if let Some(stored) = &mut promise.stored {
                match stored.try_recv() {
                    Ok(Ok(settling)) => {
                        (promise.networks, promise.settling) = settling.into_iter().unzip();
                        promise.stored = None;
                    }
                    Ok(Err(reason)) => return Err(format!("a change wasn't stored: {reason}")),
                    Err(_) => {
                        waiting.push(promise);
                        continue;
                    }
                }
            }
            let over = |settled: &mut oneshot::Receiver<()>| {
                !matches!(settled.try_recv(), Err(oneshot::error::TryRecvError::Empty))
            };
            promise.settling.retain_mut(|settled| !over(settled));
            if !promise.settling.is_empty() {
                waiting.push(promise);
                continue;
            }
            let ack = self.lab.engine().ack(&promise.networks, true);
            if ack == Ack::Installed {
                if let Some((port, allowed)) = promise.bound
                    && self.enforced.get(&port) == Some(&allowed)
                    && self.is_installed(port)
                {
                    self.firm.insert(port, allowed);
                }
                for (port, tag, change) in promise.left {
                    if let Some(tags) = self.owners.get_mut(&port)
                        && tags.get(&tag) == Some(&change)
                    {
                        tags.remove(&tag);
                    }
                }
            }
        }
        self.promises = waiting;
        Ok(())
    }

    /// Whether callers are told that a port is a member of its network: else an answer about it says `pending`.
    pub(super) fn is_installed(&self, port: Port) -> bool {
        let Some(name) = self.ports.get(&port).and_then(|tag| self.name_of(*tag)) else {
            return false;
        };
        let engine = self.lab.engine();
        let found = engine.ports_of(name).find(|(at, _)| **at == host_at(port));
        found.is_some_and(|(at, record)| engine.show_port(at, record).state == State::Installed)
    }

    pub(super) fn promise<T>(&mut self, started: Started<T>, left: Vec<(Port, Tag, u64)>) {
        let stored = Some(started.stored);
        let (settling, networks) = (Vec::new(), Vec::new());
        self.promises.push(Promise { stored, settling, networks, left, bound: None });
    }

    pub(super) fn attach(&mut self, port: Port, n: u32) -> Result<(), String> {
        if self.networks.is_empty() {
            return Ok(());
        }
        let (name, tag) = self.networks[n as usize % self.networks.len()].clone();
        match self.ports.get(&port) {
            Some(old) if *old == tag => return Ok(()),
            Some(_) => self.detach(port),
            None => {}
        }
        let at = host_at(port);
        let started = self
            .lab
            .call(|engine| engine.put_port(&name, at, PortSpec::default()))
            .map_err(|problem| format!("attach of {port:?} to {name}: {problem:?}"))?;
        self.changes += 1;
        self.ports.insert(port, tag);
        self.owners.entry(port).or_default().insert(tag, self.changes);
        self.promise(started, Vec::new());
        Ok(())
    }

    pub(super) fn detach(&mut self, port: Port) {
        let Some(tag) = self.ports.remove(&port) else { return };
        let Some(name) = self.name_of(tag).cloned() else { return };
        let left = self.leaves(port, tag);
        let at = host_at(port);
        let started = self.lab.call(|engine| engine.delete_port(&name, &at));
        self.promise(started, vec![left]);
    }

    pub(super) fn leaves(&mut self, port: Port, tag: Tag) -> (Port, Tag, u64) {
        self.changes += 1;
        self.unbind(port);
        self.owners.entry(port).or_default().insert(tag, self.changes);
        if let Some(steady) = &mut self.steady {
            steady.remove(&port);
        }
        (port, tag, self.changes)
    }

    pub(super) fn create(&mut self) -> Result<(), String> {
        let free = |name: &NetworkName| self.networks.iter().all(|(other, _)| other != name);
        let names = (0..4).filter_map(|n| format!("n{n}").parse().ok());
        let Some(name) = names.into_iter().find(free) else { return Ok(()) };
        let spec = NetworkSpec::new(name.clone());
        let started = self
            .lab
            .call(|engine| engine.put_network(spec, true))
            .map_err(|problem| format!("{name}: {problem:?}"))?;
        self.networks.push((name, self.next_tag));
        self.next_tag += 1;
        self.promise(started, Vec::new());
        Ok(())
    }

    pub(super) fn delete(&mut self, n: u32) -> Result<(), String> {
        if self.networks.is_empty() {
            return Ok(());
        }
        let (name, tag) = self.networks.remove(n as usize % self.networks.len());
        let ports: Vec<_> =
            self.ports.iter().filter(|(_, of)| **of == tag).map(|(port, _)| *port).collect();
        let left: Vec<_> = ports
            .into_iter()
            .map(|port| {
                self.ports.remove(&port);
                self.leaves(port, tag)
            })
            .collect();
        let started = self
            .lab
            .call(|engine| engine.delete_network(&name, true))
            .map_err(|problem| format!("{name}: {problem:?}"))?;
        self.promise(started, left);
        Ok(())
    }

    pub(super) fn declare(&mut self, n: u32, mac: u32) -> Result<(), String> {
        self.homes.retain(|(_, of), _| *of != laws::mac(mac));
        self.respec(n, mac, None)
    }

    pub(super) fn enforce(&mut self, n: u32, mac: u32, address: bool) -> Result<(), String> {
        self.homes.retain(|(_, of), _| *of != laws::mac(mac));
        self.respec(n, mac, Some(Allowed { mac, address }))
    }

    /// The nth port has a MAC from now on, and may be held to it.
    pub(super) fn respec(
        &mut self,
        n: u32,
        mac: u32,
        allowed: Option<Allowed>,
    ) -> Result<(), String> {
        let Some(port) = self.nth_port(n) else { return Ok(()) };
        let Some(name) = self.ports.get(&port).and_then(|tag| self.name_of(*tag)).cloned() else {
            return Ok(());
        };
        let held = api::values::MacAddr::new(laws::mac(mac)).map_err(|error| error.to_string())?;
        let mut spec = PortSpec { mac: vec![held], ..PortSpec::default() };
        if let Some(allowed) = allowed {
            spec.enforce = true;
            if allowed.address {
                let ip =
                    HostIp::new(laws::address(mac).into()).map_err(|error| error.to_string())?;
                spec.ips = vec![ip];
            }
        }
        let at = host_at(port);
        let started = self
            .lab
            .call(|engine| engine.put_port(&name, at, spec))
            .map_err(|problem| format!("{allowed:?} at {port:?}: {problem:?}"))?;
        self.unbind(port);
        if let Some(steady) = &mut self.steady {
            steady.remove(&port);
        }
        self.promise(started, Vec::new());
        if let (Some(allowed), Some(promise)) = (allowed, self.promises.last_mut()) {
            self.enforced.insert(port, allowed);
            promise.bound = Some((port, allowed));
        }
        Ok(())
    }

    /// The port is held to nothing from now on.
    pub(super) fn unbind(&mut self, port: Port) {
        self.enforced.remove(&port);
        self.firm.remove(&port);
        for promise in &mut self.promises {
            promise.bound.take_if(|(of, _)| *of == port);
        }
        // Who spoke may be learnt or not.
        self.spoke.values_mut().for_each(|spoke| *spoke = Spoke::Somewhere);
    }

    pub(super) fn cap(&mut self, n: u32, limit: u32) -> Result<(), String> {
        if self.networks.is_empty() {
            return Ok(());
        }
        let (name, tag) = self.networks[n as usize % self.networks.len()].clone();
        let mut spec = NetworkSpec::new(name.clone());
        spec.mac_limit = MacLimit::new(limit.into()).map_err(|error| error.to_string())?;
        let started = self
            .lab
            .call(|engine| engine.put_network(spec, false))
            .map_err(|problem| format!("{name}: {problem:?}"))?;
        // Until it is stored the old limit holds.
        let most = self.caps.get(&tag).map_or(usize::MAX, |(_, most)| *most);
        self.caps.insert(tag, (limit as usize, most.max(limit as usize)));
        // Who spoke may be learnt or not, and where two spoke, at either.
        let concerned = self.spoke.iter_mut().filter(|((of, _), _)| *of == tag);
        concerned.for_each(|(_, spoke)| *spoke = Spoke::Somewhere);
        self.promise(started, Vec::new());
        Ok(())
    }

    /// No network learns more than it may. Those that it knew when the limit was lowered may stay.
    pub(super) fn check_caps(&mut self) -> Result<(), String> {
        let engine = self.lab.engine();
        for record in engine.all_networks() {
            let name = &record.spec.name;
            let Some((_, tag)) = self.networks.iter().find(|(other, _)| other == name) else {
                continue;
            };
            let Some((limit, most)) = self.caps.get_mut(tag) else { continue };
            let learnt = engine.show_network(record).learnt as usize;
            if learnt > *most {
                return Err(format!("{name} may learn {most} MACs and has learnt {learnt}"));
            }
            *most = learnt.max(*limit);
        }
        Ok(())
    }
}
