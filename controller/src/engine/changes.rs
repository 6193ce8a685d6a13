//! What callers may change, checked against what is there and what is being
//! stored. Each change is a list of records, all or nothing; it takes effect
//! once they are stored (see `storing`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use api::types::{
    Change, Document, DocumentPort, NetworkSpec, ObjectChange, ObjectKind, PortSpec, State,
    SwitchPatch,
};
use api::values::{NetworkName, SetName};
use api::{Problem, ProblemKind};
use openflow::DatapathId;
use tracing::info;

use super::Engine;
use super::storing::{Parts, Started};
use crate::intents::{Intents, LinkEnds, NetworkRecord, PortRecord, Record, SwitchSpec};
use crate::model::{Dpid, Encap, NetworkId, Place, PortAt, SwitchRef};
use crate::routes::routes;
use crate::world::{Fact, Known};

/// What an `apply` changes, worked out before anything is changed.
#[derive(Default)]
struct Draft {
    records: Vec<Record>,
    objects: Vec<ObjectChange>,
    networks: BTreeMap<NetworkName, NetworkId>,
    touched: BTreeSet<NetworkId>,
    taken: Vec<NetworkId>,
    places: BTreeSet<Place>,
    /// Ports that leave a network, and which.
    leaving: Vec<(NetworkId, Place)>,
}

impl Engine {
    /// Makes a network, or changes it. With `only_new` a different one of the
    /// same name is a problem.
    ///
    /// # Errors
    /// `network-exists`, `ids-exhausted`.
    pub fn put_network(
        &mut self,
        spec: NetworkSpec,
        only_new: bool,
    ) -> Result<Started<Change>, Problem> {
        let existing = self.accepted.network(&spec.name).cloned();
        let mut taken = Vec::new();
        let (change, record) = match existing {
            Some(record) if record.spec == spec => {
                return Ok(self.start_on(Change::Unchanged, Vec::new(), [record.id]));
            }
            Some(_) if only_new => return Err(Problem::network_exists(&spec.name)),
            Some(record) => (Change::Updated, NetworkRecord { spec, ..record }),
            None => {
                let id = self.take_id()?;
                taken.push(id);
                (Change::Created, NetworkRecord { id, spec, set: None })
            }
        };
        let (id, name) = (record.id, record.spec.name.clone());
        let parts = Parts { records: vec![Record::Network(record)], taken };
        Ok(self.start(change, parts, move |_| {
            info!(network = %name, %id, ?change, "network");
            vec![id]
        }))
    }

    pub(super) fn take_id(&mut self) -> Result<NetworkId, Problem> {
        self.ids.take().ok_or_else(|| {
            let detail =
                format!("All {} network ids are in use or not yet released.", NetworkId::MAX);
            Problem::new(ProblemKind::IdsExhausted, detail)
        })
    }

    /// Removes a network; with `force` its ports leave it first.
    ///
    /// # Errors
    /// `network-in-use`.
    pub fn delete_network(
        &mut self,
        name: &NetworkName,
        force: bool,
    ) -> Result<Started<()>, Problem> {
        let Some(record) = self.accepted.network(name) else {
            return Ok(self.start_on((), Vec::new(), []));
        };
        let id = record.id;
        let ports: Vec<_> = self.accepted.ports_of(name).map(|(at, _)| at.clone()).collect();
        if !ports.is_empty() && !force {
            return Err(Problem::network_in_use(name, ports.len()));
        }
        let mut records: Vec<_> = ports.iter().cloned().map(Record::NoPort).collect();
        records.push(Record::NoNetwork(name.clone()));
        records.push(self.releasing(id));
        let name = name.clone();
        Ok(self.start((), records, move |engine| {
            info!(network = %name, %id, "network deleted");
            engine.release(id);
            engine.ask_again(id);
            let places = ports.iter().filter_map(|at| engine.topology.resolve(at));
            engine.left(&places.collect::<Vec<_>>());
            vec![id]
        }))
    }

    pub(super) fn release(&mut self, id: NetworkId) {
        self.ids.release(id);
        self.noting.id(id, self.now);
        self.hosts.forget(id);
    }

    /// The id can't be another network's before all that hold something of it
    /// now, or will until it is stored, have let go: also after a restart.
    pub(super) fn releasing(&self, id: NetworkId) -> Record {
        let mut on: BTreeSet<_> = self.installed.holders(id).into_iter().collect();
        if let Some(network) = self.accepted_sources().network(id) {
            let ways = routes(id, &network.switches(), &self.graph, &self.limits(id));
            on.extend(network.switches().into_iter().chain(ways.into_keys()));
        }
        Record::World(Fact::Releasing(id, on))
    }

    /// The network of this name.
    ///
    /// # Errors
    /// `network-not-found`.
    pub fn network(&self, name: &NetworkName) -> Result<&NetworkRecord, Problem> {
        self.intents.network(name).ok_or_else(|| Problem::network_not_found(name))
    }

    /// The reference under which a port is attached, if it is, by whatever
    /// reference the caller gave.
    pub fn attached(&self, at: &PortAt) -> Option<(PortAt, &PortRecord)> {
        if let Some(port) = self.intents.port(at) {
            return Some((at.clone(), port));
        }
        let (at, port) = self.sources().occupant(self.topology.resolve(at)?)?;
        Some((at.clone(), port))
    }

    /// The same for changes: also what isn't stored yet counts.
    pub(super) fn accepted_at(&self, at: &PortAt) -> Option<(PortAt, &PortRecord)> {
        if let Some(port) = self.accepted.port(at) {
            return Some((at.clone(), port));
        }
        let (at, port) = self.accepted_sources().occupant(self.topology.resolve(at)?)?;
        Some((at.clone(), port))
    }

    /// The id of the network with this name, for changes.
    pub(super) fn accepted_id(&self, name: &NetworkName) -> Option<NetworkId> {
        self.accepted.network(name).map(|network| network.id)
    }

    /// Puts a port into a network.
    ///
    /// # Errors
    /// `network-not-found`, `port-in-use`, `port-is-trunk`.
    pub fn put_port(
        &mut self,
        name: &NetworkName,
        at: PortAt,
        spec: PortSpec,
    ) -> Result<Started<Change>, Problem> {
        let id = self.accepted_id(name).ok_or_else(|| Problem::network_not_found(name))?;
        let existing = self.accepted_at(&at).map(|(at, port)| (at, port.clone()));
        let (change, record) = match existing {
            Some((_, port)) if port.network != *name => {
                return Err(Problem::port_in_use(&at.switch, &at.port, &port.network));
            }
            Some((_, port)) if port.spec == spec => {
                return Ok(self.start_on(Change::Unchanged, Vec::new(), [id]));
            }
            Some((known, port)) => {
                (Change::Updated, Record::Port(known, PortRecord { spec, ..port }))
            }
            None => {
                self.refuse_trunk(&at)?;
                (
                    Change::Created,
                    Record::Port(at.clone(), self.new_port(name.clone(), spec, None, 0)),
                )
            }
        };
        Ok(self.start(change, vec![record], move |engine| {
            engine.joined(&at);
            vec![id]
        }))
    }

    pub(super) fn new_port(
        &self,
        network: NetworkName,
        spec: PortSpec,
        set: Option<SetName>,
        later: u64,
    ) -> PortRecord {
        PortRecord {
            network,
            spec,
            set,
            age: self.accepted.next_age() + later,
            since: SystemTime::now(),
        }
    }

    pub(super) fn refuse_trunk(&self, at: &PortAt) -> Result<(), Problem> {
        let place = self.topology.resolve(at);
        let link = place.and_then(|place| self.topology.link_at(place));
        let trunk = link.is_some_and(|link| link.up || link.declared);
        if trunk || self.declared_at(at).is_some() {
            Err(Problem::port_is_trunk(&at.switch, &at.port))
        } else {
            Ok(())
        }
    }

    /// A port isn't announced any more before a network has it.
    pub(super) fn joined(&mut self, at: &PortAt) {
        if let Some(place) = self.topology.resolve(at) {
            self.refresh_port(place);
        }
    }

    /// Ports that are in no network now: their hosts are forgotten, and who
    /// waits for them is told.
    fn left(&mut self, places: &[Place]) {
        for &place in places {
            if let Some((_, port)) = self.sources().occupant(place) {
                let wanting = self.intents.network(&port.network).map(|network| network.id);
                wanting.into_iter().for_each(|id| self.mark(id));
            }
            self.refresh_port(place);
        }
    }

    /// Takes a port out of a network. Not being there is no problem.
    pub fn delete_port(&mut self, name: &NetworkName, at: &PortAt) -> Started<bool> {
        let id = self.accepted_id(name);
        let known =
            self.accepted_at(at).filter(|(_, port)| port.network == *name).map(|(known, _)| known);
        let (Some(id), Some(known)) = (id, known) else {
            // A detach that is repeated waits for the first one.
            return self.start_on(false, Vec::new(), id);
        };
        self.start(true, vec![Record::NoPort(known.clone())], move |engine| {
            engine.ask_again(id);
            if let Some(place) = engine.topology.resolve(&known) {
                engine.hosts.retain(id, |_, other| other != place);
                engine.left(&[place]);
            }
            vec![id]
        })
    }

    /// Makes a whole document true, all or nothing. With `prune`, objects of
    /// the same set that it doesn't name go.
    ///
    /// # Errors
    /// The problems of its parts; `field` says which part.
    pub fn apply(
        &mut self,
        document: &Document,
        prune: bool,
    ) -> Result<Started<Vec<ObjectChange>>, Problem> {
        let mut draft = Draft::default();
        match self.draft(document, prune, &mut draft) {
            Ok(()) => {}
            Err(problem) => {
                for id in draft.taken {
                    self.ids.release(id);
                    self.ids.freed(id);
                }
                return Err(problem);
            }
        }
        let Draft { mut records, objects, touched, taken, places, leaving, .. } = draft;
        let gone = records.iter().filter_map(|record| match record {
            Record::NoNetwork(name) => self.accepted_id(name),
            _ => None,
        });
        let gone: Vec<_> = gone.collect();
        records.extend(gone.iter().map(|id| self.releasing(*id)));
        Ok(self.start(objects, Parts { records, taken }, move |engine| {
            gone.into_iter().for_each(|id| engine.release(id));
            for (id, place) in leaving {
                engine.ask_again(id);
                engine.hosts.retain(id, |_, other| other != place);
            }
            engine.left(&places.into_iter().collect::<Vec<_>>());
            touched.into_iter().collect()
        }))
    }

    fn draft(
        &mut self,
        document: &Document,
        prune: bool,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        for spec in &document.networks {
            self.draft_network(spec, document.set.as_ref(), draft)?;
        }
        let mut claimed = BTreeSet::new();
        for (n, port) in document.ports.iter().enumerate() {
            let field = format!("/ports/{n}");
            self.draft_port(port, document.set.as_ref(), n as u64, &mut claimed, draft).map_err(
                |problem| {
                    if problem.field().is_some() { problem } else { problem.at(field) }
                },
            )?;
        }
        if prune && let Some(set) = &document.set {
            self.draft_prune(document, set, &claimed, draft)?;
        }
        Ok(())
    }

    fn draft_network(
        &mut self,
        spec: &NetworkSpec,
        set: Option<&SetName>,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let existing = self.accepted.network(&spec.name).cloned();
        let (change, record) = match existing {
            Some(record)
                if record.spec == *spec && (set.is_none() || record.set.as_ref() == set) =>
            {
                (Change::Unchanged, record)
            }
            Some(record) => {
                let set = set.cloned().or(record.set);
                (Change::Updated, NetworkRecord { spec: spec.clone(), set, ..record })
            }
            None => {
                let id = self.take_id()?;
                draft.taken.push(id);
                (Change::Created, NetworkRecord { id, spec: spec.clone(), set: set.cloned() })
            }
        };
        draft.networks.insert(spec.name.clone(), record.id);
        draft.touched.insert(record.id);
        draft.objects.push(object(ObjectKind::Network, &spec.name, None, change));
        if change != Change::Unchanged {
            draft.records.push(Record::Network(record));
        }
        Ok(())
    }

    fn draft_port(
        &self,
        port: &DocumentPort,
        set: Option<&SetName>,
        later: u64,
        claimed: &mut BTreeSet<PortAt>,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let known = self.accepted_id(&port.network);
        let id = draft.networks.get(&port.network).copied().or(known);
        let Some(id) = id else { return Err(Problem::network_not_found(&port.network)) };
        let at = PortAt { switch: port.switch.clone(), port: port.port.clone() };
        let existing = self.accepted_at(&at);
        let key = existing.as_ref().map_or(&at, |(known, _)| known).clone();
        let place = self.topology.resolve(&key);
        let twice = place.is_some_and(|place| !draft.places.insert(place));
        if !claimed.insert(key.clone()) || twice {
            return Err(Problem::port_in_use(&at.switch, &at.port, &port.network));
        }
        let spec = port.spec();
        let (change, record) = match existing {
            Some((_, old))
                if old.network != port.network && (set.is_none() || old.set.as_ref() != set) =>
            {
                return Err(Problem::port_in_use(&at.switch, &at.port, &old.network));
            }
            Some((_, old)) => {
                let same_set = set.is_none() || old.set.as_ref() == set;
                if old.network == port.network && old.spec == spec && same_set {
                    (Change::Unchanged, old.clone())
                } else {
                    // A port of the same set moves to where the document has it now.
                    let from = self.accepted_id(&old.network);
                    draft.touched.extend(from);
                    let moves = from.filter(|from| *from != id).zip(place);
                    draft.leaving.extend(moves);
                    let set = set.cloned().or_else(|| old.set.clone());
                    (
                        Change::Updated,
                        PortRecord { network: port.network.clone(), spec, set, ..old.clone() },
                    )
                }
            }
            None => {
                self.refuse_trunk(&at)?;
                (Change::Created, self.new_port(port.network.clone(), spec, set.cloned(), later))
            }
        };
        draft.touched.insert(id);
        draft.objects.push(object(ObjectKind::Port, &port.network, Some(&key), change));
        if change != Change::Unchanged {
            draft.records.push(Record::Port(key, record));
        }
        Ok(())
    }

    fn draft_prune(
        &self,
        document: &Document,
        set: &SetName,
        claimed: &BTreeSet<PortAt>,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let mut gone = BTreeSet::new();
        for (at, port) in self.accepted.ports() {
            if port.set.as_ref() == Some(set) && !claimed.contains(at) {
                gone.insert(at);
                let from = self.accepted_id(&port.network);
                let place = self.topology.resolve(at);
                draft.touched.extend(from);
                draft.places.extend(place);
                draft.leaving.extend(from.zip(place));
                draft.objects.push(object(
                    ObjectKind::Port,
                    &port.network,
                    Some(at),
                    Change::Deleted,
                ));
                draft.records.push(Record::NoPort(at.clone()));
            }
        }
        for record in self.accepted.networks() {
            let name = &record.spec.name;
            let named = document.networks.iter().any(|network| network.name == *name);
            if record.set.as_ref() != Some(set) || named {
                continue;
            }
            let stays =
                |(at, _): &(&PortAt, &PortRecord)| !gone.contains(at) && !claimed.contains(*at);
            let left = self.accepted.ports_of(name).filter(stays).count();
            let joins = document.ports.iter().any(|port| port.network == *name);
            if left > 0 || joins {
                return Err(Problem::network_in_use(name, left.max(1)));
            }
            draft.touched.insert(record.id);
            draft.objects.push(object(ObjectKind::Network, name, None, Change::Deleted));
            draft.records.push(Record::NoNetwork(name.clone()));
        }
        Ok(())
    }

    /// Declares a link.
    ///
    /// # Errors
    /// `link-exists`, `port-in-use`, and `invalid-value` for a link from a
    /// switch to itself.
    pub fn put_link(
        &mut self,
        a: PortAt,
        b: PortAt,
        encap: Encap,
    ) -> Result<Started<Change>, Problem> {
        let same_switch = match (self.topology.find(&a.switch), self.topology.find(&b.switch)) {
            (Some(a), Some(b)) => a == b,
            _ => a.switch == b.switch,
        };
        if same_switch {
            let why = "A link joins two switches; both ends given are on one.";
            return Err(Problem::new(ProblemKind::InvalidValue, why).parameter("path", "switch"));
        }
        for end in [&a, &b] {
            if let Some((_, port)) = self.accepted_at(end) {
                return Err(Problem::port_in_use(&end.switch, &end.port, &port.network));
            }
        }
        let existing = self.declared_link(&self.accepted, &a, &b);
        let ends = existing.clone().unwrap_or_else(|| LinkEnds::new(a.clone(), b.clone()));
        if existing.is_none() {
            for end in [&a, &b] {
                if let Some(other) = self.declared_at(end) {
                    let (one, other) = other.ends();
                    let detail =
                        format!("{end} is already an end of the declared link {one} – {other}.");
                    return Err(Problem::new(ProblemKind::LinkExists, detail));
                }
            }
        }
        let change = match self.accepted.link(&ends) {
            Some(old) if old == encap => Change::Unchanged,
            Some(_) => Change::Updated,
            None => Change::Created,
        };
        let records =
            if change == Change::Unchanged { Vec::new() } else { vec![Record::Link(ends, encap)] };
        Ok(self.start_link(change, records, [a, b]))
    }

    /// Takes a declaration back. Returns whether there was one.
    pub fn delete_link(&mut self, a: &PortAt, b: &PortAt) -> Started<bool> {
        let Some(ends) = self.declared_link(&self.accepted, a, b) else {
            return self.start_on(false, Vec::new(), []);
        };
        self.start_link(true, vec![Record::NoLink(ends)], [a.clone(), b.clone()])
    }

    fn start_link<T>(&mut self, done: T, records: Vec<Record>, ends: [PortAt; 2]) -> Started<T> {
        self.start(done, records, move |engine| {
            ends.iter().for_each(|end| engine.joined(end));
            engine.settle_topology(engine.now);
            ends.iter().for_each(|end| engine.joined(end));
            // Those that cross links at all may change their ways.
            let networks = engine.intents.networks().map(|network| network.id);
            let crossing = networks.filter(|id| {
                engine.dirty.members.contains(id) && engine.intents_span_switches(*id)
            });
            crossing.collect()
        })
    }

    fn intents_span_switches(&self, id: NetworkId) -> bool {
        let Some(record) = self.intents.by_id(id) else { return false };
        let switches = self.intents.ports_of(&record.spec.name).map(|(at, _)| &at.switch);
        switches.collect::<BTreeSet<&SwitchRef>>().len() > 1
    }

    /// The declared link between two ports, whatever references it was declared by.
    pub(super) fn declared_link(
        &self,
        intents: &Intents,
        a: &PortAt,
        b: &PortAt,
    ) -> Option<LinkEnds> {
        let direct = LinkEnds::new(a.clone(), b.clone());
        if intents.link(&direct).is_some() {
            return Some(direct);
        }
        let (a, b) = (self.topology.resolve(a)?, self.topology.resolve(b)?);
        let joins = |ends: &&LinkEnds| {
            let (one, other) = ends.ends();
            [one, other].into_iter().any(|end| self.topology.resolve(end) == Some(b))
        };
        let references = self.topology.references(a);
        references.iter().flat_map(|at| intents.links_at(at)).find(joins).cloned()
    }

    /// The declared link that ends at a port, whatever reference it was declared by.
    fn declared_at(&self, at: &PortAt) -> Option<&LinkEnds> {
        let place = self.topology.resolve(at);
        let others = place.map(|place| self.topology.references(place)).unwrap_or_default();
        std::iter::once(at).chain(&others).find_map(|at| self.accepted.links_at(at).next())
    }

    /// The switch a caller means.
    ///
    /// # Errors
    /// `switch-not-found`.
    pub fn find_switch(&self, switch: &SwitchRef) -> Result<DatapathId, Problem> {
        let refused = || match switch {
            SwitchRef::Dpid(Dpid(id)) => {
                Some(DatapathId(*id)).filter(|id| self.refusals.contains_key(id))
            }
            SwitchRef::Name(_) => None,
        };
        self.topology.find(switch).or_else(refused).ok_or_else(|| Problem::switch_not_found(switch))
    }

    /// Takes a switch out of foreign-state. With `adopt` the networks it
    /// carries become this controller's, else they go.
    ///
    /// # Errors
    /// `switch-not-found`, `switch-not-foreign`.
    pub fn take_over(
        &mut self,
        switch: &SwitchRef,
        adopt: bool,
    ) -> Result<Started<DatapathId>, Problem> {
        let id = self.find_switch(switch)?;
        if !self.foreign.contains(&id) {
            let detail = format!("Switch {switch} is not in foreign-state.");
            return Err(Problem::new(ProblemKind::SwitchNotForeign, detail).with("switch", switch));
        }
        if !self.sessions.contains_key(&id) {
            let detail = format!("Switch {switch} is away, so what it carries can't be read.");
            return Err(Problem::new(ProblemKind::SwitchAway, detail).with("switch", switch));
        }
        let networks = if adopt { self.adopted(id) } else { Vec::new() };
        let mut records = Vec::new();
        let ids: Vec<_> = networks.iter().map(|(network, _)| *network).collect();
        let mut ages = 0;
        for (network, places) in networks {
            let known = self.accepted.name_of(network).cloned();
            let Some(name) = known.clone().or_else(|| format!("adopted-{network}").parse().ok())
            else {
                continue;
            };
            if known.is_none() {
                let spec = NetworkSpec::new(name.clone());
                records.push(Record::Network(NetworkRecord { id: network, spec, set: None }));
            }
            for place in places {
                let at = self.topology.describe(place);
                if self.accepted_at(&at).is_none() {
                    records.push(Record::Port(
                        at,
                        self.new_port(name.clone(), PortSpec::default(), None, ages),
                    ));
                    ages += 1;
                }
            }
        }
        if let Some(switch) = self.topology.switch(id) {
            let known = Known { foreign: false, ..self.known(id, switch) };
            records.push(Record::World(Fact::Switch(id, known)));
        }
        if !adopt {
            let unknown = self.installed.networks_on(id).into_iter();
            let unknown = unknown.filter(|network| !self.has_id(*network));
            let on = BTreeSet::from([id]);
            records
                .extend(unknown.map(|network| Record::World(Fact::Releasing(network, on.clone()))));
        }
        let count = records.len();
        Ok(self.start(id, records, move |engine| {
            info!(switch = %id, adopt, records = count, "foreign-state ends");
            engine.learn_from_all(&ids);
            engine.end_foreign_state(id);
            engine.installed.networks_on(id)
        }))
    }

    /// Changes what is said of a switch.
    ///
    /// # Errors
    /// `switch-not-found`, `name-in-use`.
    pub fn patch_switch(
        &mut self,
        switch: &SwitchRef,
        patch: SwitchPatch,
    ) -> Result<Started<(Change, DatapathId)>, Problem> {
        let id = self.find_switch(switch)?;
        let old = self.accepted.switch(id).cloned().unwrap_or_default();
        let new = SwitchSpec {
            name: patch.name.unwrap_or_else(|| old.name.clone()),
            pool: patch.pool.unwrap_or_else(|| old.pool.clone()),
            trunks: patch.trunks.unwrap_or_else(|| old.trunks.clone()),
        };
        if let Some(name) = new.name.as_ref().filter(|name| old.name.as_ref() != Some(*name)) {
            let holder =
                self.topology.find(&SwitchRef::Name(name.clone())).filter(|holder| *holder != id);
            let wanting = || {
                let mut all = self.accepted.switches().filter(|(other, _)| *other != id);
                all.find(|(_, spec)| spec.name.as_ref() == Some(name)).map(|(other, _)| other)
            };
            if let Some(holder) = holder.or_else(wanting) {
                let detail = format!("Switch {holder} has the name {name}.");
                return Err(Problem::new(ProblemKind::NameInUse, detail));
            }
        }
        if new == old {
            return Ok(self.start_on((Change::Unchanged, id), Vec::new(), []));
        }
        let record = Record::Switch(id, new.clone());
        Ok(self.start((Change::Updated, id), vec![record], move |engine| {
            // Those that lose ports by it, and those that gain some.
            let mut touched = engine.mark_networks_on(id);
            engine.topology.specify(id, new);
            touched.extend(engine.mark_networks_on(id));
            engine.refresh_ports(id);
            engine.settle_topology(engine.now);
            touched.into_iter().collect()
        }))
    }

    /// Forgets a switch that is gone for good: what it held is free.
    ///
    /// # Errors
    /// `switch-connected`. Not being known is no problem.
    pub fn delete_switch(&mut self, switch: &SwitchRef) -> Result<Started<()>, Problem> {
        let Ok(id) = self.find_switch(switch) else {
            return Ok(self.start_on((), Vec::new(), []));
        };
        if self.sessions.contains_key(&id) {
            let detail =
                format!("Switch {switch} is connected; only one that is gone can be forgotten.");
            return Err(Problem::new(ProblemKind::SwitchConnected, detail).with("switch", switch));
        }
        let mut records = vec![Record::NoSwitch(id), Record::World(Fact::NoSwitch(id))];
        let held = self.world.held_on(id);
        records.extend(held.map(|(network, _)| Record::World(Fact::HoldsNot(id, network))));
        let remembered = self.accepted.pools().of(id).map(|(port, _)| port.clone());
        records.extend(remembered.map(|port| Record::NoPoolPort(id, port)));
        Ok(self.start((), records, move |engine| {
            // It may have come back just now: then it is as any that connects.
            if engine.sessions.contains_key(&id) {
                engine.topology.specify(id, SwitchSpec::default());
            } else {
                engine.forget_switch(id);
            }
            Vec::new()
        }))
    }

    fn forget_switch(&mut self, id: DatapathId) {
        info!(switch = %id, "forgotten");
        self.mark_networks_on(id);
        let ports: Vec<_> = self
            .topology
            .switch(id)
            .into_iter()
            .flat_map(|switch| switch.ports.iter().map(|(number, _)| number))
            .collect();
        for port in ports {
            self.discovery.remove(Place::new(id, port));
        }
        self.topology.forget(id);
        self.unseen.remove(id);
        self.noting.switch(id, self.now);
        self.refusals.remove(&id);
        self.ended.remove(&id);
        self.foreign.remove(&id);
        self.free_ports.remove(&id);
        self.clear_refusals(id);
        for network in self.installed.drop_switch(id) {
            self.free_id(network);
            self.mark(network);
        }
        self.switches_changed = true;
        self.topology_changed(self.now);
    }
}

fn object(
    kind: ObjectKind,
    network: &NetworkName,
    at: Option<&PortAt>,
    change: Change,
) -> ObjectChange {
    ObjectChange {
        kind,
        network: network.clone(),
        switch: at.map(|at| at.switch.clone()),
        port: at.map(|at| at.port.clone()),
        change,
        state: State::Installed,
        reason: None,
    }
}
