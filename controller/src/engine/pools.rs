//! Ports of pools: picking one that is free, and knowing when one is free
//! again.
//!
//! A port is free when nobody is attached to it by any reference, no switch
//! acts for a network that it was in, and the node's side doesn't say that it
//! isn't ready. What was detached is stored with the detach itself until its
//! switch has confirmed, so that all of this outlasts a restart (see `recall`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::Problem;
use api::types::{
    Attachment, AttachmentFilter, AttachmentSpec, Change, PoolCount, PoolPort, PoolUse, PortSpec,
};
use api::values::{AttachmentId, NetworkName, Owner, Timestamp};
use openflow::{DatapathId, PortNo};
use tracing::info;

use super::Engine;
use super::storing::Started;
use crate::attachments::id_of;
use crate::free_ports::FreePorts;
use crate::intents::{PortRecord, Record};
use crate::model::{Name, Place, PortAt, PortRef, SwitchRef, by_id};
use crate::pools::{PoolRecord, Releasing};

/// From one sweep to the next, at least.
const SWEEP: Duration = Duration::from_millis(200);

impl Engine {
    /// Attaches a free port of a switch's pool for each of `specs`, all or
    /// nothing. Who has one there keeps it.
    ///
    /// # Errors
    /// `network-not-found`, `switch-not-found`, `owner-in-use`,
    /// `pool-exhausted`; where there are several, `field` says which.
    pub fn attach(
        &mut self,
        name: &NetworkName,
        specs: &[AttachmentSpec],
    ) -> Result<Started<Vec<(Change, PortAt)>>, Problem> {
        let id = self.accepted_id(name).ok_or_else(|| Problem::network_not_found(name))?;
        let mut given = BTreeMap::new();
        let mut attached = Vec::new();
        for (n, spec) in specs.iter().enumerate() {
            match self.attach_one(name, spec, &mut given) {
                Ok(done) => attached.push(done),
                Err((problem, field)) => {
                    // What was picked for the others is as free as before.
                    for (place, _) in given.values() {
                        self.refile_place(*place);
                    }
                    let one_of_several = specs.len() > 1;
                    return Err(if one_of_several {
                        problem.at(format!("/{n}/{field}"))
                    } else {
                        problem
                    });
                }
            }
        }
        let mut records = Vec::new();
        let pairs = specs.iter().zip(&attached);
        let new = pairs.filter(|(_, (change, _))| *change == Change::Created);
        let new: Vec<_> = new.map(|(spec, (_, at))| (spec.owner.clone(), at.clone())).collect();
        for (later, (owner, at)) in (0..).zip(&new) {
            let owner = Some(owner.clone());
            let port = PortSpec { owner, ..PortSpec::default() };
            records.push(Record::Port(at.clone(), self.new_port(name.clone(), port, None, later)));
        }
        let name = name.clone();
        Ok(self.start(attached, records, move |engine| {
            for (owner, at) in new {
                info!(network = %name, port = %at, %owner, "attached from the pool");
            }
            for (_, at) in given.into_values() {
                engine.joined(&at);
            }
            vec![id]
        }))
    }

    fn attach_one(
        &mut self,
        network: &NetworkName,
        spec: &AttachmentSpec,
        given: &mut BTreeMap<(DatapathId, Owner), (Place, PortAt)>,
    ) -> Result<(Change, PortAt), (Problem, &'static str)> {
        let AttachmentSpec { switch, owner } = spec;
        let id = self.find_switch(switch).map_err(|problem| (problem, "switch"))?;
        if let Some((at, port)) = self.held_by(id, switch, owner, network) {
            return if port.network == *network {
                Ok((Change::Unchanged, at.clone()))
            } else {
                Err((Problem::owner_in_use(owner, switch, &port.network), "owner"))
            };
        }
        let key = (id, owner.clone());
        if let Some((_, at)) = given.get(&key) {
            return Ok((Change::Unchanged, at.clone()));
        }
        let taken = given.iter().filter(|((other, _), _)| *other == id);
        let taken: Vec<_> = taken.map(|(_, (place, _))| place.port).collect();
        let Some(place) = self.pick(id, switch, &taken) else {
            let count = self.count_pool(id, taken.len());
            return Err((Problem::pool_exhausted(switch, &count), "switch"));
        };
        if let Some(free) = self.free_ports.get_mut(&id) {
            free.remove(place.port);
        }
        let at = PortAt { switch: switch.clone(), port: self.topology.lasting(place) };
        given.insert(key, (place, at.clone()));
        Ok((Change::Created, at))
    }

    /// A port of the switch that an owner has, one of this network first.
    fn held_by(
        &self,
        id: DatapathId,
        switch: &SwitchRef,
        owner: &Owner,
        network: &NetworkName,
    ) -> Option<(&PortAt, &PortRecord)> {
        let ports = self.accepted.attachments().of(owner);
        let here =
            |at: &&PortAt| at.switch == *switch || self.topology.find(&at.switch) == Some(id);
        let ports = ports.filter(here).filter_map(|at| Some((at, self.accepted.port(at)?)));
        ports.min_by_key(|(_, port)| (port.network != *network, port.age))
    }

    /// The free port of a switch's pool that is next, but those that are taken
    /// for others. Only a pool that seems to have none is looked at as a whole.
    fn pick(&mut self, id: DatapathId, switch: &SwitchRef, taken: &[PortNo]) -> Option<Place> {
        let version = self.topology.version(id);
        let known = self.free_ports.get(&id).is_some_and(|free| free.version == version);
        if known && let Some(place) = self.first_free(id, switch) {
            return Some(place);
        }
        self.file_pool(id);
        if let Some(free) = self.free_ports.get_mut(&id) {
            taken.iter().for_each(|port| free.remove(*port));
        }
        self.first_free(id, switch)
    }

    fn first_free(&self, id: DatapathId, switch: &SwitchRef) -> Option<Place> {
        let mut ports = self.free_ports.get(&id)?.iter().map(|port| Place::new(id, port));
        ports.find(|place| {
            let at = || PortAt { switch: switch.clone(), port: self.topology.lasting(*place) };
            self.is_vacant(*place) && self.refuse_trunk(&at()).is_ok()
        })
    }

    /// Works out which ports of a pool are free, but for those that are still
    /// leaving a network: they will soon be.
    fn file_pool(&mut self, id: DatapathId) {
        let Some(switch) = self.topology.switch(id) else {
            self.free_ports.remove(&id);
            return;
        };
        let pool: Vec<_> = switch
            .pool_ports()
            .map(|(number, port)| {
                (port.name.as_ref().map(Name::as_bytes).unwrap_or_default(), number)
            })
            .collect();
        let numbers: Vec<_> = pool.iter().map(|(_, number)| *number).collect();
        self.free_ports.insert(id, FreePorts::new(self.topology.version(id), pool));
        for number in numbers {
            self.refile_place(Place::new(id, number));
        }
    }

    /// Whether a port is at nobody's and may be given out.
    fn is_vacant(&self, place: Place) -> bool {
        self.use_of(place) == PoolUse::Free
            && self.remembered(place).is_none_or(PoolRecord::is_ready)
            && self.topology.link_at(place).is_none()
    }

    /// What a port is doing, with what isn't stored yet: a port that is given
    /// out by a change under way isn't free, nor one that is being taken away.
    fn use_of(&self, place: Place) -> PoolUse {
        if self.accepted_sources().occupant(place).is_some() {
            PoolUse::Attached
        } else if self.sources().occupant(place).is_some() || self.is_releasing(place) {
            PoolUse::Releasing
        } else {
            PoolUse::Free
        }
    }

    /// Whether a switch may still act for a network that a port isn't in.
    pub(super) fn is_releasing(&self, place: Place) -> bool {
        let occupant = self.accepted_sources().occupant(place);
        let wanted = occupant.and_then(|(_, port)| self.accepted_id(&port.network));
        let mut holding = self.installed.holding(place);
        holding.any(|id| Some(*id) != wanted)
            || self.installed.is_trunk(place)
            || self.lingering_ports.contains_key(&place)
    }

    /// What is remembered of a port.
    fn remembered(&self, place: Place) -> Option<&PoolRecord> {
        self.accepted.pools().get(place.switch, &self.topology.lasting(place))
    }

    /// Who a reference means, as far as pools are concerned.
    fn pool_key(&self, at: &PortAt) -> Option<(DatapathId, PortRef)> {
        let id = self.topology.find(&at.switch)?;
        let place = self.topology.resolve(at);
        Some((id, place.map_or_else(|| at.port.clone(), |place| self.topology.lasting(place))))
    }

    /// A change with what is to be remembered of the ports that it detaches:
    /// that they were used just now, and may be leaving for a while.
    pub(super) fn with_releases(&self, records: Vec<Record>) -> Vec<Record> {
        let mut used = self.accepted.pools().next_use();
        let mut all = Vec::with_capacity(records.len());
        for record in records {
            let left = match &record {
                Record::NoPort(at) => self.accepted.port(at).and_then(|port| {
                    let releasing = Releasing {
                        network: self.accepted_id(&port.network)?,
                        attachment: id_of(port),
                    };
                    Some((self.pool_key(at)?, releasing))
                }),
                _ => None,
            };
            all.push(record);
            if let Some(((id, port), releasing)) = left {
                let ready = self.accepted.pools().get(id, &port).and_then(|known| known.ready);
                let record = PoolRecord { ready, used, releasing: Some(releasing) };
                all.push(Record::PoolPort(id, port, record));
                used += 1;
            }
        }
        all
    }

    /// A change was accepted: whether a port of a pool is free may follow.
    pub(super) fn refile(&mut self, record: &Record) {
        let place = match record {
            Record::Port(at, _) | Record::NoPort(at) => self.topology.resolve(at),
            Record::PoolPort(id, port, _) | Record::NoPoolPort(id, port) => {
                self.topology.resolve(&PortAt { switch: by_id(*id), port: port.clone() })
            }
            _ => None,
        };
        if let Some(place) = place {
            self.refile_place(place);
        }
    }

    fn refile_place(&mut self, place: Place) {
        if !self.free_ports.contains_key(&place.switch) {
            return;
        }
        let taken = self.accepted_sources().occupant(place).is_some();
        let remembered = self.remembered(place);
        let ready = remembered.is_none_or(PoolRecord::is_ready);
        let used = remembered.map(|record| record.used).unwrap_or_default();
        if let Some(free) = self.free_ports.get_mut(&place.switch) {
            if taken || !ready {
                free.remove(place.port);
            } else {
                free.insert(place.port, used);
            }
        }
    }

    /// Remembers no longer that ports are leaving once they have left. That is
    /// only of use after a restart, so it isn't hurried.
    pub(super) fn sweep_in_time(&mut self, now: Instant) {
        if now >= self.next_sweep && !self.sweep_due.is_empty() {
            self.next_sweep = now + SWEEP;
            self.sweep_releases();
        }
    }

    /// The same at once.
    pub(super) fn sweep_releases(&mut self) {
        let mut records = Vec::new();
        for id in std::mem::take(&mut self.sweep_due) {
            if self.topology.switch(id).is_none() {
                continue;
            }
            for (port, record) in self.accepted.pools().releasing(id) {
                let at = PortAt { switch: by_id(id), port: port.clone() };
                let place = self.topology.resolve(&at);
                let stored = self.intents.pools().get(id, port) == Some(record);
                if stored && !place.is_some_and(|place| self.is_releasing(place)) {
                    let record = PoolRecord { releasing: None, ..record.clone() };
                    records.push(Record::PoolPort(id, port.clone(), record));
                }
            }
        }
        if !records.is_empty() {
            // If it can't be stored, the next sweep tries again.
            drop(self.start((), records, |_| Vec::new()));
        }
    }

    /// What the ports of a pool are doing, `given` of them free but given to
    /// others by the same request.
    fn count_pool(&self, id: DatapathId, given: usize) -> PoolCount {
        let mut count = PoolCount { attached: given, ..PoolCount::default() };
        let Some(switch) = self.topology.switch(id) else { return count };
        for (number, _) in switch.pool_ports() {
            let place = Place::new(id, number);
            let ready = self.remembered(place).is_none_or(PoolRecord::is_ready);
            count.size += 1;
            match self.use_of(place) {
                PoolUse::Attached => count.attached += 1,
                PoolUse::Releasing if self.topology.link_at(place).is_none() => {
                    count.releasing += 1;
                }
                PoolUse::Free if !ready => count.not_ready += 1,
                // Nothing else is left: it joins two switches, or was given.
                PoolUse::Free | PoolUse::Releasing => count.trunks += 1,
            }
        }
        count.trunks = count.trunks.saturating_sub(given);
        count
    }

    /// Takes the port of an attachment out of its network. Not being there is
    /// no problem; who asks again waits for the same.
    pub fn delete_attachment(&mut self, id: &AttachmentId) -> Started<bool> {
        let held = self.accepted.attachment(id);
        match held.map(|(at, port)| (at.clone(), port.network.clone())) {
            Some((at, network)) => self.delete_port(&network, &at),
            None => {
                let leaves = self.accepted.pools().leaves(id);
                self.start_on(false, Vec::new(), leaves)
            }
        }
    }

    /// The node's side says whether a port may be given out. It may say so of
    /// a port that is to come, if only its name is one of the pool's.
    ///
    /// # Errors
    /// `switch-not-found`, `port-not-found`.
    pub fn mark_pool_port(
        &mut self,
        switch: &SwitchRef,
        port: &PortRef,
        ready: bool,
    ) -> Result<Started<(Change, DatapathId, PortRef)>, Problem> {
        let id = self.find_switch(switch)?;
        let known = self.topology.switch(id);
        let pool = known.map(|known| known.pool());
        let place = self.topology.resolve(&PortAt { switch: by_id(id), port: port.clone() });
        let belongs = match (place, port) {
            (Some(place), _) => known.is_some_and(|known| known.has_in_pool(place.port)),
            (None, PortRef::Name(name)) => {
                pool.as_ref().is_some_and(|pool| pool.matches(name.as_bytes()))
            }
            (None, PortRef::Number(_)) => return Err(Problem::port_not_found(switch, port)),
        };
        if !belongs {
            return Err(Problem::port_not_in_pool(switch, port, pool.as_ref()));
        }
        let port = place.map_or_else(|| port.clone(), |place| self.topology.lasting(place));
        let old = self.accepted.pools().get(id, &port).cloned().unwrap_or_default();
        let change = match old.ready {
            None => Change::Created,
            Some(old) if old == ready => Change::Unchanged,
            Some(_) => Change::Updated,
        };
        if change == Change::Unchanged {
            return Ok(self.start_on((change, id, port), Vec::new(), []));
        }
        let record = PoolRecord { ready: Some(ready), ..old };
        let records = vec![Record::PoolPort(id, port.clone(), record)];
        let told = port.clone();
        Ok(self.start((change, id, port), records, move |_| {
            info!(switch = %id, port = %told, ready, "port of the pool");
            Vec::new()
        }))
    }

    /// A port of a pool for callers.
    pub fn show_pool_port(&self, id: DatapathId, port: &PortRef) -> PoolPort {
        let at = PortAt { switch: by_id(id), port: port.clone() };
        let place = self.topology.resolve(&at);
        let occupant = place.and_then(|place| self.sources().occupant(place));
        let remembered = self.intents.pools().get(id, port);
        let r#use = match (&occupant, place) {
            (Some(_), _) => PoolUse::Attached,
            (None, Some(place)) if self.is_releasing(place) => PoolUse::Releasing,
            (None, _) => PoolUse::Free,
        };
        PoolPort {
            switch: self.topology.name_of(id),
            port: port.clone(),
            number: place.map(|place| place.port.0),
            ready: remembered.is_none_or(PoolRecord::is_ready),
            r#use,
            owner: occupant.and_then(|(_, port)| port.spec.owner.clone()),
        }
    }

    /// The attachments that pass a filter, by owner and age, from one owner on.
    pub fn find_attachments<'a>(
        &'a self,
        filter: &'a AttachmentFilter,
        from: Option<Owner>,
    ) -> impl Iterator<Item = (&'a PortAt, &'a PortRecord)> {
        let AttachmentFilter { owner, owner_prefix } = filter;
        let prefix = owner_prefix.as_deref().unwrap_or_default();
        let all = self.intents.attachments();
        let one = owner.iter().filter(move |owner| owner.as_str().starts_with(prefix));
        let one = one.flat_map(|owner| all.of(owner));
        let many = owner.is_none().then(|| all.starting(prefix, from)).into_iter().flatten();
        one.chain(many).filter_map(|at| Some((at, self.intents.port(at)?)))
    }

    /// An attachment by its id.
    pub fn attachment(&self, id: &AttachmentId) -> Option<Attachment> {
        let (at, port) = self.intents.attachment(id)?;
        self.show_attachment(at, port)
    }

    /// A port for callers, as its owner's. `None` if it has no owner.
    pub fn show_attachment(&self, at: &PortAt, record: &PortRecord) -> Option<Attachment> {
        let id = id_of(record)?;
        let port = self.show_port(at, record);
        Some(Attachment {
            id,
            network: port.network,
            switch: port.switch,
            port: port.port,
            number: port.number,
            owner: port.owner?,
            since: Timestamp::from(record.since),
            state: port.state,
            reason: port.reason,
            reasons: port.reasons,
        })
    }

    /// Whether a port may be given out as far as the node's side is concerned.
    pub(super) fn is_ready(&self, place: Place) -> bool {
        let remembered = self.intents.pools().get(place.switch, &self.topology.lasting(place));
        remembered.is_none_or(PoolRecord::is_ready)
    }
}
