//! Keeps the store's knowledge of the world up to date.
//!
//! What changes is gathered for a moment, compared with what the store knows,
//! and noted: one note at a time, of bounded size, so that switches and ports
//! that come and go cost a few writes a second whatever their number. A change
//! that a caller waits for is never part of a note, nor fails with one; but it
//! takes along what isn't noted yet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use openflow::DatapathId;

use super::Engine;
use crate::intents::Record;
use crate::model::NetworkId;
use crate::topology::Switch;
use crate::world::{Fact, Holding, Known, KnownLink, KnownPort};

/// What changes is gathered for so long.
const GATHER: Duration = Duration::from_millis(20);
/// From one note to the next, at least.
const PAUSE: Duration = Duration::from_millis(200);
/// The same after one that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Facts of one note, about: who waits for a change waits for it, too.
const MOST: usize = 2048;

/// Switches that a change takes along.
const FEW: usize = 64;

/// What the store doesn't know yet.
#[derive(Debug)]
pub(super) struct Noting {
    switches: BTreeSet<DatapathId>,
    ids: BTreeSet<NetworkId>,
    links: bool,
    /// What every store has, until this one has it.
    first: Vec<Fact>,
    /// When the next note may go.
    due: Option<Instant>,
    not_before: Option<Instant>,
    /// What is on its way.
    sent: Option<Vec<Fact>>,
    /// The end of the process: what goes now says nothing about the world.
    closed: bool,
}

impl Noting {
    pub(super) const fn new(first: Vec<Fact>) -> Self {
        Self {
            switches: BTreeSet::new(),
            ids: BTreeSet::new(),
            links: true,
            first,
            due: None,
            not_before: None,
            sent: None,
            closed: false,
        }
    }

    /// Something about a switch changed: itself, its ports, what it holds
    /// while it is away.
    pub(super) fn switch(&mut self, id: DatapathId, now: Instant) {
        self.switches.insert(id);
        self.wake(now);
    }

    /// Links changed.
    pub(super) fn links(&mut self, now: Instant) {
        self.links = true;
        self.wake(now);
    }

    /// A deleted network's id is held elsewhere than before, or free.
    pub(super) fn id(&mut self, id: NetworkId, now: Instant) {
        self.ids.insert(id);
        self.wake(now);
    }

    fn wake(&mut self, now: Instant) {
        if self.due.is_none() && !self.closed {
            let soon = now + GATHER;
            self.due = Some(self.not_before.map_or(soon, |at| at.max(soon)));
        }
    }

    /// When there is something to note, if so.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.sent.is_none())
    }
}

impl Engine {
    /// Notes what changed, if it is time.
    pub(super) fn note_world(&mut self, now: Instant) {
        if self.noting.due().is_some_and(|due| due <= now) {
            self.note_now(now);
        }
    }

    fn note_now(&mut self, now: Instant) {
        self.noting.due = None;
        self.noting.not_before = Some(now + PAUSE);
        let mut facts = self.noting.first.clone();
        // Of those that are being forgotten it is said once that is settled: the store would take what is said now as
        // later than that.
        let changed = std::mem::take(&mut self.noting.switches).into_iter();
        let (later, changed): (BTreeSet<_>, _) =
            changed.partition(|id| self.is_being_forgotten(*id));
        self.noting.switches = changed;
        while facts.len() < MOST
            && let Some(id) = self.noting.switches.pop_first()
        {
            self.facts_of_switch(id, &mut facts);
        }
        for id in std::mem::take(&mut self.noting.ids) {
            let known = self.world.releasing.get(&id);
            if self.ids.is_releasing(id) {
                let holders = self.installed.holders(id).into_iter().collect();
                if known != Some(&holders) {
                    facts.push(Fact::Releasing(id, holders));
                }
            } else if known.is_some() {
                facts.push(Fact::Freed(id));
            }
        }
        if std::mem::take(&mut self.noting.links) {
            self.facts_of_links(&mut facts);
        }
        self.noting.switches.extend(later);
        if !self.noting.switches.is_empty() {
            self.noting.wake(now);
        }
        if facts.is_empty() {
            return;
        }
        let records: Vec<_> = facts.iter().cloned().map(Record::World).collect();
        self.noting.sent = Some(facts);
        self.store.note(records.into());
    }

    /// What a change takes along of what isn't noted yet: the world that it was
    /// answered in is then known after a restart. Of many at once only the
    /// switches that hold an id which the change sets free: unknown ones would
    /// not keep it from being given out. They are compared again when the next
    /// note goes, whatever became of the change.
    pub(super) fn untold(&self, change: &[Record]) -> Vec<Record> {
        let holders = change.iter().filter_map(|record| match record {
            Record::World(Fact::Releasing(_, holders)) => Some(holders),
            _ => None,
        });
        let unknown = |id: &&DatapathId| !self.world.switches.contains_key(*id);
        let mut switches: BTreeSet<_> = holders.flatten().filter(unknown).copied().collect();
        let few = self.noting.switches.len() <= FEW;
        if few && !self.noting.closed {
            switches.extend(&self.noting.switches);
        }
        switches.retain(|id| !self.is_being_forgotten(*id));
        let mut facts = Vec::new();
        for id in switches {
            self.facts_of_switch(id, &mut facts);
        }
        if few && self.noting.links && !self.noting.closed {
            self.facts_of_links(&mut facts);
        }
        facts.into_iter().map(Record::World).collect()
    }

    fn is_being_forgotten(&self, id: DatapathId) -> bool {
        self.storing.iter().any(|storing| storing.forgets(id))
    }

    fn facts_of_switch(&self, id: DatapathId, facts: &mut Vec<Fact>) {
        let known = self.topology.switch(id).map(|switch| self.known(id, switch));
        let away = known.as_ref().is_some_and(|known| known.away);
        match (known, self.world.switches.get(&id)) {
            (Some(now), Some(before)) if now == *before => {}
            (Some(now), _) => facts.push(Fact::Switch(id, now)),
            (None, Some(_)) => facts.push(Fact::NoSwitch(id)),
            (None, None) => {}
        }
        let held = if away { self.installed.networks_on(id) } else { Vec::new() };
        for (network, _) in self.world.held_on(id) {
            if !held.contains(&network) {
                facts.push(Fact::HoldsNot(id, network));
            }
        }
        for network in held {
            let Some(held) = self.installed.get(network, id) else { continue };
            let holding = Holding { slice: held.slice.clone(), sent: held.sent.clone() };
            if self.world.holdings.get(&(id, network)) != Some(&holding) {
                facts.push(Fact::Holds(id, network, holding));
            }
        }
    }

    pub(super) fn known(&self, id: DatapathId, switch: &Switch) -> Known {
        let avoided = !switch.connected && self.graph.avoided().contains(&id);
        let ports = switch.ports.iter().map(|(number, port)| KnownPort {
            number,
            name: port.name.clone(),
            mac: port.mac,
            up: port.up,
        });
        Known {
            claims: switch.claims.clone(),
            description: switch.description.clone(),
            ports: ports.collect(),
            foreign: self.foreign.contains(&id),
            away: !switch.connected && (avoided || !self.unseen.is_assumed(id)),
            avoided,
        }
    }

    fn facts_of_links(&self, facts: &mut Vec<Fact>) {
        let heard = self.heard_links();
        let links = self.topology.links().filter_map(|link| {
            let ends = (link.a, link.b);
            let worth = !link.declared || self.topology.is_proven(ends);
            let known = KnownLink { declared: link.declared, silent: !heard.contains(&ends) };
            worth.then_some((ends, known))
        });
        let links: std::collections::BTreeMap<_, _> = links.collect();
        let news = links.iter().filter(|(ends, link)| self.world.links.get(ends) != Some(link));
        facts.extend(news.map(|(ends, link)| Fact::Link(*ends, *link)));
        let gone = self.world.links.keys().filter(|ends| !links.contains_key(ends));
        facts.extend(gone.map(|ends| Fact::NoLink(*ends)));
    }

    /// What was noted is stored, or isn't: then all is compared anew, later.
    pub(super) fn on_noted(&mut self, stored: bool) {
        let Some(facts) = self.noting.sent.take() else { return };
        if stored {
            self.noting.first.clear();
            facts.into_iter().for_each(|fact| self.world.apply(fact));
            return;
        }
        let now = self.now;
        self.noting.not_before = Some(now + PAUSE_AFTER_FAILURE);
        self.noting.switches.extend(self.topology.switches().map(|(id, _)| id));
        self.noting.switches.extend(self.world.switches.keys());
        self.noting.ids.extend(self.ids.releasing());
        self.noting.ids.extend(self.world.releasing.keys());
        self.noting.links = true;
        self.noting.due = None;
        self.noting.wake(now);
    }

    /// The end: what isn't noted yet is, and nothing that follows, for that
    /// sessions end now says nothing about switches.
    pub fn close_notes(&mut self) {
        self.sweep_releases();
        let now = self.now;
        if self.noting.sent.is_none() && self.noting.due.is_some() && !self.noting.closed {
            self.note_now(now);
        }
        self.noting.closed = true;
        self.noting.due = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;

    use super::*;
    use crate::discovery::Timing;
    use crate::engine::EngineConfig;
    use crate::lldp;
    use crate::model::by_id;
    use crate::store::{Outcome, Store};
    use crate::world::World;

    /// Takes everything, and says nothing of it by itself.
    #[derive(Clone, Default)]
    struct Silent(Arc<Mutex<Vec<Record>>>);

    impl Silent {
        /// What is known after a start with what was taken.
        fn world(&self) -> World {
            let mut world = World::default();
            for record in &*self.0.lock().unwrap() {
                if let Record::World(fact) = record {
                    world.apply(fact.clone());
                }
            }
            world
        }
    }

    impl Store for Silent {
        fn load(&mut self) -> anyhow::Result<Vec<Record>> {
            Ok(self.0.lock().unwrap().clone())
        }

        fn commit(&mut self, _: u64, records: Arc<[Record]>) {
            self.0.lock().unwrap().extend(records.iter().cloned());
        }

        fn note(&mut self, records: Arc<[Record]>) {
            self.0.lock().unwrap().extend(records.iter().cloned());
        }

        fn resume(&mut self) {}

        fn outcomes(&mut self) -> mpsc::UnboundedReceiver<Outcome> {
            mpsc::unbounded_channel().1
        }
    }

    fn engine(store: &Silent, now: Instant) -> Engine {
        let second = Duration::from_secs(1);
        let config = EngineConfig {
            timing: Timing { interval: second, limit: 4 * second },
            store: Box::new(store.clone()),
            lldp_key: lldp::Key::new([7; 32]),
            switch_away: second,
            restart_hold: second,
            audit_interval: second,
        };
        Engine::new(config, now).unwrap()
    }

    /// What is noted while a switch is being forgotten, by itself or along with another change, doesn't bring it back.
    #[test]
    fn a_switch_that_is_being_forgotten_is_not_noted_any_more() {
        let (now, id) = (Instant::now(), DatapathId(7));
        let store = Silent::default();
        store.0.lock().unwrap().push(Record::World(Fact::Switch(id, Known::default())));
        let second = Duration::from_secs(1);
        let mut engine = engine(&store, now);
        // Something about it is different from what the store knows.
        engine.unseen.remove(id);
        engine.noting.switch(id, now);
        let forgotten = engine.delete_switch(&by_id(id)).unwrap();
        engine.note_world(now + second);
        let spec = serde_json::from_str(r#"{"name": "red"}"#).unwrap();
        let other = engine.put_network(spec, true).unwrap();
        assert_eq!(store.world().switches, World::default().switches);

        // It can't be forgotten after all: then it is noted as it is.
        engine.on_outcome(Some(Outcome::Noted(Ok(()))));
        engine.on_outcome(Some(Outcome::Failed("full".to_owned())));
        drop((forgotten, other));
        engine.note_world(now + 2 * second);
        assert!(store.world().switches[&id].away);
    }

    /// Its links may be in the store a moment longer than the switch.
    #[test]
    fn links_of_a_switch_that_was_forgotten_last_are_not_recalled() {
        let store = Silent::default();
        let end = |switch| crate::model::Place::new(DatapathId(switch), openflow::PortNo(1));
        let link = KnownLink { declared: false, silent: false };
        let facts =
            [Fact::Switch(DatapathId(1), Known::default()), Fact::Link((end(1), end(2)), link)];
        store.0.lock().unwrap().extend(facts.map(Record::World));
        let now = Instant::now();
        let mut engine = engine(&store, now);
        assert_eq!(engine.show_links(), []);
        engine.note_world(now + Duration::from_secs(1));
        assert!(store.world().links.is_empty());
    }
}
