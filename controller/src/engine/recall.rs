//! The start: what the store knows becomes the last known state of the world.
//!
//! Every known switch is away at first, with its ports, and its links are as
//! they were: so nothing changes for who comes back and holds what it should.

use std::time::{Instant, SystemTime};

use openflow::DatapathId;
use tracing::info;

use super::Engine;
use crate::compile::compile_all;
use crate::installed::Held;
use crate::model::{NetworkId, PortAt, by_id};
use crate::routes::routes;
use crate::topology::{Port, Switch};
use crate::world::{Holding, Known};

impl Engine {
    /// Takes over what the store knows.
    pub(super) fn recall(&mut self, now: Instant) {
        let known: Vec<_> = self.world.switches.iter().map(|(id, it)| (*id, it.clone())).collect();
        let links = self.world.links.iter().map(|(ends, link)| (*ends, link.declared));
        let links: Vec<_> = links.collect();
        let switches = known.iter().map(|(id, known)| (*id, self.recalled(*id, known, now)));
        let switches: Vec<_> = switches.collect();
        self.topology.recall(switches, links);
        for (&(a, b), link) in &self.world.links {
            if !link.silent {
                self.discovery.recall(a, b, now);
            }
        }
        for (id, known) in &known {
            if known.foreign {
                self.foreign.insert(*id);
            }
            self.unseen.add(*id, known);
        }
        self.recall_holdings();
        self.recall_releasing();
        self.switches_changed = true;
        self.settle_topology(now);
        self.assume_slices();
        self.recall_leaving();
        if !known.is_empty() {
            let links = self.topology.links().filter(|link| link.up).count();
            let networks = self.intents.networks().count();
            info!(
                networks,
                switches = known.len(),
                links,
                "the last known state holds until switches are back"
            );
        }
    }

    pub(super) fn recalled(&self, id: DatapathId, known: &Known, now: Instant) -> Switch {
        let ports = known.ports.iter().map(|port| {
            (port.number, Port { name: port.name.clone(), mac: port.mac, up: port.up })
        });
        Switch {
            name: None,
            claims: known.claims.clone(),
            description: known.description.clone(),
            address: None,
            ports: ports.collect(),
            spec: self.intents.switch(id).cloned().unwrap_or_default(),
            connected: false,
            since: SystemTime::now(),
            away_since: Some(now),
        }
    }

    /// What switches that were away already held then, they hold now.
    fn recall_holdings(&mut self) {
        let holdings = self.world.holdings.iter();
        let holdings: Vec<_> = holdings.map(|(at, holding)| (*at, holding.clone())).collect();
        for ((switch, id), Holding { slice, sent }) in holdings {
            if self.topology.switch(switch).is_none() {
                continue;
            }
            if !self.has_id(id) {
                self.ids.reserve(id);
                if !self.foreign.contains(&switch) {
                    self.ids.release(id);
                }
            }
            self.learn_from(switch, id, &slice);
            self.installed.set(id, switch, Held { slice, sent, ..Held::default() });
        }
    }

    /// An id isn't free before each switch that may hold something of it was
    /// read, or forgotten.
    pub(super) fn recall_releasing(&mut self) {
        let releasing = self.world.releasing.iter().map(|(id, on)| (*id, on.clone()));
        for (id, on) in releasing.collect::<Vec<_>>() {
            if self.has_id(id) {
                continue;
            }
            self.ids.reserve(id);
            self.ids.release(id);
            for switch in on {
                let away =
                    !self.sessions.contains_key(&switch) && self.topology.switch(switch).is_some();
                if away && self.installed.get(id, switch).is_none() {
                    let something = Held { damaged: true, ..Held::default() };
                    self.installed.set(id, switch, something);
                }
            }
            self.free_id(id);
        }
    }

    /// Switches that were here to the end are taken to hold what they should,
    /// until they are read.
    fn assume_slices(&mut self) {
        let networks: Vec<NetworkId> = self.intents.networks().map(|network| network.id).collect();
        let mut assumed = Vec::new();
        for id in networks {
            let Some(network) = self.sources().network(id) else { continue };
            let ways = routes(id, &network.switches(), &self.graph, &self.limits(id));
            let slices = compile_all(&network, &ways).into_iter();
            let of_unseen = slices.filter(|(switch, _)| self.unseen.is_assumed(*switch));
            assumed.extend(of_unseen.map(|(switch, slice)| (id, switch, slice)));
        }
        for (id, switch, slice) in assumed {
            self.installed.set(id, switch, Held { slice, ..Held::default() });
        }
    }

    /// A detach that was stored, and not seen to be confirmed: the port's
    /// switch may still act for the network that it left.
    fn recall_leaving(&mut self) {
        let leaving = self.intents.pools().all_releasing().map(|(id, port, releasing)| {
            (PortAt { switch: by_id(id), port: port.clone() }, releasing.network)
        });
        for (at, id) in leaving.collect::<Vec<_>>() {
            let Some(place) = self.topology.resolve(&at) else { continue };
            let freed = !self.has_id(id) && !self.ids.is_releasing(id);
            if freed || self.sources().occupant(place).is_some() {
                continue;
            }
            let mut held = self.installed.get(id, place.switch).cloned().unwrap_or_default();
            held.slice.edges.insert(place.port);
            self.installed.set(id, place.switch, held);
        }
    }
}
