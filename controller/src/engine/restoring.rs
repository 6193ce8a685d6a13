//! All that is kept, out to a backup and in from one.

use std::collections::{BTreeMap, BTreeSet};

use api::{Problem, types::Restored, types::State};
use openflow::DatapathId;
use tracing::info;

use super::Engine;
use super::storing::{Parts, Started};
use crate::backup::Contents;
use crate::intents::{Intents, NetworkRecord, Record};
use crate::model::{NetworkId, Place};
use crate::pools::PoolRecord;
use crate::topology::Switch;
use crate::world::{Ends, Fact, Known, KnownLink, World};

impl Engine {
    /// What is stored now.
    pub fn snapshot(&self) -> (Intents, World) {
        (self.intents.clone(), self.world.clone())
    }

    /// Makes everything as a backup says. What is known of the world stays as
    /// it is: only switches that nobody here knows are taken over. Networks of
    /// today's names keep their ids, for switches carry them.
    ///
    /// # Errors
    /// `ids-exhausted`.
    pub fn restore(&mut self, contents: Contents) -> Result<Started<Restored>, Problem> {
        let Contents { intents, world } = contents;
        let mut taken = Vec::new();
        let networks = self.restored_networks(&intents, &mut taken)?;
        let mut records = Vec::new();
        let gone = self.gone_networks(&intents);
        let (mut deleted, mut ended) = (0, BTreeSet::new());
        for (at, _) in self.accepted.ports() {
            if intents.port(at).is_none() {
                records.push(Record::NoPort(at.clone()));
            }
        }
        for (name, _) in &gone {
            records.push(Record::NoNetwork(name.clone()));
        }
        let links = self.accepted.links().filter(|(ends, _)| intents.link(ends).is_none());
        records.extend(links.map(|(ends, _)| Record::NoLink(ends.clone())));
        let specs = self.accepted.switches().filter(|(id, _)| intents.switch(*id).is_none());
        records.extend(specs.map(|(id, _)| Record::NoSwitch(id)));
        deleted += records.len() as u64;
        for record in intents.records() {
            let (same, record) = match record {
                Record::Network(NetworkRecord { spec, set, .. }) => {
                    let Some(id) = networks.get(&spec.name).copied() else { continue };
                    let record = NetworkRecord { id, spec, set };
                    let now = self.accepted.network(&record.spec.name);
                    (now == Some(&record), Record::Network(record))
                }
                Record::Port(at, port) => {
                    (self.accepted.port(&at) == Some(&port), Record::Port(at, port))
                }
                Record::Link(ends, encap) => {
                    (self.accepted.link(&ends) == Some(encap), Record::Link(ends, encap))
                }
                Record::Switch(id, spec) => {
                    (self.accepted.switch(id) == Some(&spec), Record::Switch(id, spec))
                }
                Record::PoolPort(id, port, record) => {
                    // What the node's side said last goes before what it said then.
                    let known = self.accepted.pools().get(id, &port).is_some();
                    (known, Record::PoolPort(id, port, PoolRecord { releasing: None, ..record }))
                }
                other => (false, other),
            };
            if !same {
                records.push(record);
            }
        }
        let changed = records.len() as u64 - deleted;
        for (_, id) in gone {
            records.push(self.releasing(id));
            ended.insert(id);
        }
        let strangers = self.strangers(&world);
        let learnt = strangers.iter().map(|(id, known)| Fact::Switch(*id, known.clone()));
        records.extend(learnt.map(Record::World));
        let links: Vec<_> = world.links.iter().map(|(ends, link)| (*ends, *link)).collect();
        let used: BTreeSet<_> = networks.values().copied().collect();
        for (id, on) in world.releasing {
            let on: BTreeSet<_> =
                on.into_iter().filter(|id| strangers.iter().any(|(it, _)| it == id)).collect();
            let free = !used.contains(&id) && !self.has_id(id) && !self.ids.is_releasing(id);
            if !on.is_empty() && free {
                records.push(Record::World(Fact::Releasing(id, on)));
            }
        }
        let restored = Restored {
            networks: intents.networks().count() as u64,
            ports: intents.ports().count() as u64,
            links: intents.links().count() as u64,
            changed,
            deleted,
            state: State::Installed,
            reason: None,
            reasons: Vec::new(),
        };
        info!(
            records = records.len(),
            networks = restored.networks,
            ports = restored.ports,
            "a backup is given back"
        );
        Ok(self.start(restored, Parts { records, taken }, move |engine| {
            engine.on_restored(&ended, &strangers, &links)
        }))
    }

    /// The id of each network of a backup; those that are new are in `taken`.
    fn restored_networks(
        &mut self,
        intents: &Intents,
        taken: &mut Vec<NetworkId>,
    ) -> Result<BTreeMap<api::values::NetworkName, NetworkId>, Problem> {
        let mut networks = BTreeMap::new();
        let mut others = Vec::new();
        for network in intents.networks() {
            let name = &network.spec.name;
            let id = match self.accepted.network(name) {
                Some(now) => Some(now.id),
                None => {
                    // What a switch in foreign-state carries is no news to the ids.
                    let carried = self.installed.holds(network.id);
                    let used = self.has_id(network.id);
                    let claimed = self.ids.claim(network.id, used);
                    if claimed && !carried {
                        taken.push(network.id);
                    }
                    claimed.then_some(network.id)
                }
            };
            match id {
                Some(id) => {
                    networks.insert(name.clone(), id);
                }
                None => others.push(name.clone()),
            }
        }
        for name in others {
            match self.take_id() {
                Ok(id) => {
                    taken.push(id);
                    networks.insert(name, id);
                }
                Err(problem) => {
                    for id in taken.drain(..) {
                        self.ids.release(id);
                        self.ids.freed(id);
                    }
                    return Err(problem);
                }
            }
        }
        Ok(networks)
    }

    fn gone_networks(&self, intents: &Intents) -> Vec<(api::values::NetworkName, NetworkId)> {
        let gone = self.accepted.networks().filter(|it| intents.network(&it.spec.name).is_none());
        gone.map(|it| (it.spec.name.clone(), it.id)).collect()
    }

    /// Switches of a backup that nobody here knows.
    fn strangers(&self, world: &World) -> Vec<(DatapathId, Known)> {
        let strangers =
            world.switches.iter().filter(|(id, _)| self.topology.switch(**id).is_none());
        // What they held then is long untrue.
        let known = |known: &Known| Known { away: false, avoided: false, ..known.clone() };
        strangers.map(|(id, it)| (*id, known(it))).collect()
    }

    /// Links of a backup between ports of which nothing else is known, or not
    /// yet: paths over them stay until it is clear that they are gone.
    fn links_of_old(
        &self,
        links: &[(Ends, KnownLink)],
        strangers: &[(DatapathId, Switch)],
    ) -> Vec<(Ends, KnownLink)> {
        let is_there = |place: Place| {
            let stranger = strangers.iter().find(|(id, _)| *id == place.switch);
            let switch = stranger.map(|(_, it)| it).or_else(|| self.topology.switch(place.switch));
            switch.is_some_and(|switch| switch.ports.contains(place.port))
                && self.topology.link_at(place).is_none()
        };
        links.iter().filter(|((a, b), _)| is_there(*a) && is_there(*b)).copied().collect()
    }

    fn on_restored(
        &mut self,
        ended: &BTreeSet<NetworkId>,
        strangers: &[(DatapathId, Known)],
        links: &[(Ends, KnownLink)],
    ) -> Vec<NetworkId> {
        let now = self.now;
        for id in ended {
            self.release(*id);
            self.ask_again(*id);
        }
        let strangers: Vec<_> =
            strangers.iter().filter(|(id, _)| self.topology.switch(*id).is_none()).collect();
        let switches: Vec<_> =
            strangers.iter().map(|(id, known)| (*id, self.recalled(*id, known, now))).collect();
        let links = self.links_of_old(links, &switches);
        self.topology.recall(switches, links.iter().map(|(ends, it)| (*ends, it.declared)));
        for ((a, b), link) in links {
            if !link.silent {
                self.discovery.recall(a, b, now);
            }
        }
        for (id, known) in strangers {
            if known.foreign {
                self.foreign.insert(*id);
            }
            self.unseen.add(*id, known);
        }
        self.recall_releasing();
        let all: Vec<_> = self.topology.switches().map(|(id, _)| id).collect();
        for id in &all {
            let spec = self.intents.switch(*id).cloned().unwrap_or_default();
            self.topology.specify(*id, spec);
        }
        let networks: Vec<NetworkId> = self.intents.networks().map(|network| network.id).collect();
        self.learn_from_all(&networks);
        // Those that carry nothing unknown any more are ours.
        let foreign: Vec<_> = self.foreign.iter().copied().collect();
        for id in foreign {
            let known = |network: &NetworkId| self.has_id(*network);
            let carries = self.installed.networks_on(id);
            if self.sessions.contains_key(&id) && carries.iter().all(known) {
                self.end_foreign_state(id);
            }
        }
        for id in all {
            self.refresh_ports(id);
        }
        self.switches_changed = true;
        self.settle_topology(now);
        networks
    }
}
