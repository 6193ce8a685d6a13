//! Which ports are joined by links, found by announcements that leave one
//! port and are heard at another.
//!
//! Pure: time comes in as `now`, nonces come in as values. A link counts once
//! it is heard both ways. A port that hears two neighbours isn't used: either something shared is between (a hub, a relay), or somebody
//! plays. What is heard must be signed, and fresh: its nonce left that very port
//! within `limit`. While a switch of a link isn't connected, silence says nothing.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use openflow::DatapathId;

use crate::lldp::{Announcement, Nonce};
use crate::model::{Place, spread};

/// How often ports announce themselves, and how long silence is borne.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two announcements of a port.
    pub interval: Duration,
    /// From the last announcement heard until the link is down.
    pub limit: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), limit: Duration::from_secs(4) }
    }
}

/// Announcements into silence after which a port speaks seldom.
const PATIENCE: u32 = 10;
/// How many intervals are between two of its announcements then.
const SELDOM: u32 = 15;
/// Announcements a second, over all ports without a link, that are worth it;
/// where there are more ports each speaks less often.
const PACE: u32 = 2000;
/// Announcements at a time, so that other work isn't held up.
const AT_ONCE: usize = 1000;

/// What an announcement told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing new.
    Known,
    /// A neighbour not heard on this port before; links may have changed.
    New,
    /// Signed, but not fresh: its nonce is unknown or too old. A replay.
    Stale,
    /// A second neighbour on one port.
    SecondNeighbour(Place),
    /// A neighbour that is heard at this port too.
    SecondListener(Place),
}

/// Discovery of links.
#[derive(Debug, Default)]
pub struct Discovery {
    timing: Timing,
    sent: HashMap<Place, Sent>,
    /// When each port speaks next.
    queue: BTreeSet<(Instant, Place)>,
    heard: BTreeMap<Place, BTreeMap<Place, Times>>,
    /// Where each port was heard: `heard`, the other way round.
    heard_at: HashMap<Place, BTreeSet<Place>>,
}

/// When a neighbour was heard on a port.
#[derive(Clone, Copy, Debug)]
struct Times {
    first: Instant,
    last: Instant,
}

#[derive(Debug)]
struct Sent {
    due: Instant,
    /// Announcements since anything was heard here.
    alone: u32,
    recent: VecDeque<(Nonce, Instant)>,
}

impl Discovery {
    /// With nothing known.
    pub fn new(timing: Timing) -> Self {
        Self { timing, ..Self::default() }
    }

    /// Announces a port from now on; its first announcement is due at once.
    pub fn add(&mut self, place: Place, now: Instant) {
        if let Entry::Vacant(new) = self.sent.entry(place) {
            new.insert(Sent { due: now, alone: 0, recent: VecDeque::new() });
            self.queue.insert((now, place));
        }
    }

    /// The port is no candidate any more, or is down: nothing that was heard
    /// there or from there counts. Returns whether a link may have gone.
    pub fn remove(&mut self, place: Place) -> bool {
        if let Some(sent) = self.sent.remove(&place) {
            self.queue.remove(&(sent.due, place));
        }
        let here = self.heard.get(&place).into_iter().flatten().map(|(from, _)| (place, *from));
        let there = self.heard_at.get(&place).into_iter().flatten().map(|at| (*at, place));
        let gone: Vec<_> = here.chain(there).collect();
        for &(at, from) in &gone {
            self.unhear(at, from);
        }
        !gone.is_empty()
    }

    fn unhear(&mut self, at: Place, from: Place) {
        if let Some(neighbours) = self.heard.get_mut(&at) {
            neighbours.remove(&from);
            if neighbours.is_empty() {
                self.heard.remove(&at);
            }
        }
        if let Some(places) = self.heard_at.get_mut(&from) {
            places.remove(&at);
            if places.is_empty() {
                self.heard_at.remove(&from);
            }
        }
    }

    /// The ports whose announcement is due. Later ones are spread over the
    /// interval, so that a thousand switches don't speak in one breath. A port
    /// where nothing was ever heard, and that `linked` knows no link of, soon
    /// speaks less often: if somebody appears there, who is new speaks first.
    pub fn due(&mut self, now: Instant, linked: impl Fn(Place) -> bool) -> Vec<Place> {
        let interval = self.timing.interval;
        let crowd = Duration::from_secs(self.sent.len() as u64) / PACE;
        let mut due = Vec::new();
        while due.len() < AT_ONCE
            && let Some((at, place)) = self.queue.first().copied().filter(|(at, _)| *at <= now)
        {
            self.queue.remove(&(at, place));
            let Some(sent) = self.sent.get_mut(&place) else { continue };
            let alone = !self.heard.contains_key(&place) && !linked(place);
            sent.alone = if alone { sent.alone.saturating_add(1) } else { 0 };
            let share = spread(place.switch.0, u64::from(place.port.0)) % 1000;
            let pause = match sent.alone {
                0 => interval,
                1..=PATIENCE => interval.max(crowd),
                _ => (interval * SELDOM).max(crowd * 4),
            };
            let first = sent.recent.is_empty();
            // The first pause is cut short, by another share for each.
            sent.due = now + if first { pause * share as u32 / 1000 } else { pause };
            self.queue.insert((sent.due, place));
            due.push(place);
        }
        due
    }

    /// Makes a port's announcement due now.
    pub fn hasten(&mut self, place: Place, now: Instant) {
        if let Some(sent) = self.sent.get_mut(&place) {
            self.queue.remove(&(sent.due, place));
            sent.due = now;
            self.queue.insert((now, place));
        }
    }

    /// An announcement leaves its port.
    pub fn sent(&mut self, announcement: Announcement, now: Instant) {
        let limit = self.timing.limit;
        if let Some(sent) = self.sent.get_mut(&announcement.from) {
            sent.recent.push_back((announcement.nonce, now));
            while sent.recent.front().is_some_and(|(_, at)| now.duration_since(*at) > limit) {
                sent.recent.pop_front();
            }
        }
    }

    /// An announcement with a good signature arrived at a port.
    pub fn hear(&mut self, at: Place, announcement: &Announcement, now: Instant) -> Heard {
        let from = announcement.from;
        let fresh = self.sent.get(&from).is_some_and(|sent| {
            let mut recent = sent.recent.iter();
            recent.any(|(nonce, left)| {
                *nonce == announcement.nonce && now.duration_since(*left) <= self.timing.limit
            })
        });
        if !fresh || from == at || !self.sent.contains_key(&at) {
            return Heard::Stale;
        }
        let neighbours = self.heard.entry(at).or_default();
        let new = !neighbours.contains_key(&from);
        neighbours.entry(from).or_insert(Times { first: now, last: now }).last = now;
        let other = neighbours.keys().find(|other| **other != from).copied();
        let listeners = self.heard_at.entry(from).or_default();
        listeners.insert(at);
        let listener = listeners.iter().find(|other| **other != at).copied();
        match (other, listener) {
            _ if !new => Heard::Known,
            (Some(other), _) => Heard::SecondNeighbour(other),
            (None, Some(listener)) => Heard::SecondListener(listener),
            (None, None) => Heard::New,
        }
    }

    /// A link was heard both ways before this process began: it counts until
    /// it is silent for too long with both its switches connected.
    pub fn recall(&mut self, a: Place, b: Place, now: Instant) {
        for (at, from) in [(a, b), (b, a)] {
            self.heard.entry(at).or_default().insert(from, Times { first: now, last: now });
            self.heard_at.entry(from).or_default().insert(at);
        }
    }

    /// Forgets what is silent for too long. Returns whether anything went.
    pub fn expire(&mut self, now: Instant, connected: impl Fn(DatapathId) -> bool) -> bool {
        let limit = self.timing.limit;
        let mut silent = Vec::new();
        for (at, neighbours) in &mut self.heard {
            for (from, heard) in neighbours {
                if !connected(at.switch) || !connected(from.switch) {
                    heard.last = now;
                }
                if now.duration_since(heard.last) > limit {
                    silent.push((*at, *from));
                }
            }
        }
        for &(at, from) in &silent {
            self.unhear(at, from);
        }
        !silent.is_empty()
    }

    /// The links that were heard both ways, and whose ends hear nobody else. One
    /// that isn't `known` yet must not be heard anywhere else either: a hub is no
    /// link, not even until its third port speaks. A link that is known stays,
    /// whoever listens in and passes on what crosses it.
    pub fn links(&self, known: impl Fn(Place, Place) -> bool) -> BTreeSet<(Place, Place)> {
        let alone = |at: Place| self.heard_at.get(&at).is_some_and(|places| places.len() == 1);
        let pairs = self.heard.keys().filter_map(|&at| {
            let from = self.only_neighbour(at)?;
            let mutual = self.only_neighbour(from) == Some(at);
            let pair = (at.min(from), at.max(from));
            (mutual && ((alone(at) && alone(from)) || known(pair.0, pair.1))).then_some(pair)
        });
        pairs.collect()
    }

    /// Ports that hear more than one neighbour.
    pub fn ambiguous(&self) -> impl Iterator<Item = (Place, Vec<Place>)> {
        let several = self.heard.iter().filter(|(_, from)| from.len() > 1);
        several.map(|(at, from)| (*at, from.keys().copied().collect()))
    }

    /// Ports that are heard at more than one.
    pub fn overheard(&self) -> impl Iterator<Item = (Place, Vec<Place>)> {
        let several = self.heard_at.iter().filter(|(_, at)| at.len() > 1);
        several.map(|(from, at)| (*from, at.iter().copied().collect()))
    }

    /// Ports that hear a neighbour which doesn't hear them, for half the time
    /// that a link may be silent: somebody relays, or the link works one way only.
    pub fn one_sided(&self, now: Instant) -> impl Iterator<Item = (Place, Place)> {
        let each = self.heard.iter().flat_map(|(at, from)| from.iter().map(move |it| (*at, it)));
        let back = |at: Place, from: Place| {
            self.heard.get(&from).is_some_and(|neighbours| neighbours.contains_key(&at))
        };
        let old = move |times: &Times| now.duration_since(times.first) > self.timing.limit / 2;
        each.filter(move |(at, (from, times))| old(times) && !back(*at, **from))
            .map(|(at, (from, _))| (at, *from))
    }

    /// The neighbour last heard on a port, if there is just one.
    pub fn only_neighbour(&self, at: Place) -> Option<Place> {
        let neighbours = self.heard.get(&at)?;
        (neighbours.len() == 1).then(|| neighbours.keys().next().copied())?
    }
}

#[cfg(test)]
mod tests {
    use openflow::PortNo;

    use super::*;

    fn place(switch: u64, port: u32) -> Place {
        Place::new(DatapathId(switch), PortNo(port))
    }

    struct Bench {
        discovery: Discovery,
        now: Instant,
        nonce: u8,
    }

    impl Bench {
        fn new(places: &[Place]) -> Self {
            let now = Instant::now();
            let mut discovery = Discovery::new(Timing::default());
            places.iter().for_each(|place| discovery.add(*place, now));
            Self { discovery, now, nonce: 0 }
        }

        fn announce(&mut self, from: Place) -> Announcement {
            self.nonce += 1;
            let announcement = Announcement { from, nonce: [self.nonce; 16] };
            self.discovery.sent(announcement, self.now);
            announcement
        }

        fn cross(&mut self, from: Place, at: Place) -> Heard {
            let announcement = self.announce(from);
            self.discovery.hear(at, &announcement, self.now)
        }

        fn links(&self) -> BTreeSet<(Place, Place)> {
            self.discovery.links(|_, _| false)
        }

        fn pass(&mut self, seconds: u64) -> bool {
            self.now += Duration::from_secs(seconds);
            self.discovery.expire(self.now, |_| true)
        }
    }

    #[test]
    fn a_link_counts_when_heard_both_ways_and_until_it_is_silent() {
        let (a, b) = (place(1, 1), place(2, 1));
        let mut bench = Bench::new(&[a, b]);
        assert_eq!(bench.cross(a, b), Heard::New);
        assert!(bench.links().is_empty(), "one way only");
        assert_eq!(bench.discovery.one_sided(bench.now).count(), 0, "the other way may come yet");
        bench.pass(3);
        bench.cross(a, b);
        bench.pass(2);
        let one_sided: Vec<_> = bench.discovery.one_sided(bench.now).collect();
        assert_eq!(one_sided, [(b, a)]);
        assert_eq!(bench.cross(b, a), Heard::New);
        assert_eq!(bench.links(), BTreeSet::from([(a, b)]));
        assert_eq!(bench.discovery.one_sided(bench.now).count(), 0);
        bench.cross(a, b);
        assert!(!bench.pass(4));
        assert_eq!(bench.cross(a, b), Heard::Known);
        assert!(bench.pass(1), "b is silent for more than the limit");
        assert!(bench.links().is_empty());
    }

    #[test]
    fn silence_of_a_switch_that_is_away_says_nothing() {
        let (a, b) = (place(1, 1), place(2, 1));
        let mut bench = Bench::new(&[a, b]);
        bench.cross(a, b);
        bench.cross(b, a);
        bench.now += Duration::from_secs(60);
        assert!(!bench.discovery.expire(bench.now, |switch| switch != DatapathId(2)));
        assert!(!bench.pass(3));
        assert_eq!(bench.links().len(), 1, "it gets a whole limit to be heard again");
    }

    #[test]
    fn a_port_with_nobody_there_speaks_seldom_until_somebody_is() {
        let (a, b) = (place(1, 1), place(2, 1));
        let mut bench = Bench::new(&[a]);
        let count = |bench: &mut Bench, linked: bool| {
            let mut sent = 0;
            for _ in 0..60 {
                bench.now += Duration::from_secs(1);
                for place in bench.discovery.due(bench.now, |_| linked) {
                    bench.announce(place);
                    sent += 1;
                }
            }
            sent
        };
        count(&mut bench, false);
        assert_eq!(count(&mut bench, false), 4);
        count(&mut bench, true);
        assert_eq!(count(&mut bench, true), 60, "a link that is silent is looked for");
        count(&mut bench, false);
        bench.discovery.add(b, bench.now);
        bench.cross(b, a);
        bench.discovery.hasten(a, bench.now);
        assert_eq!(bench.discovery.due(bench.now, |_| false).len(), 2);
    }

    /// Before a hub's third port speaks, the first two look like a link: but both hear the same.
    #[test]
    fn a_port_that_is_heard_at_two_places_is_no_end_of_a_link() {
        let (a, b, c) = (place(1, 1), place(2, 1), place(3, 1));
        let mut bench = Bench::new(&[a, b, c]);
        let from_a = bench.announce(a);
        assert_eq!(bench.discovery.hear(b, &from_a, bench.now), Heard::New);
        assert_eq!(bench.discovery.hear(c, &from_a, bench.now), Heard::SecondListener(b));
        bench.cross(b, a);
        assert!(bench.links().is_empty());
        assert!(bench.discovery.overheard().any(|(at, _)| at == a));
        let known = bench.discovery.links(|one, other| (one, other) == (a, b));
        assert_eq!(known.len(), 1, "who listens in can't take a known link down");
    }

    #[test]
    fn a_replay_and_a_relay_make_no_link() {
        let (a, b, c) = (place(1, 1), place(2, 1), place(3, 1));
        let mut bench = Bench::new(&[a, b, c]);
        let old = bench.announce(a);
        bench.pass(5);
        assert_eq!(bench.discovery.hear(b, &old, bench.now), Heard::Stale);
        assert_eq!(bench.discovery.hear(a, &old, bench.now), Heard::Stale);

        bench.cross(a, b);
        bench.cross(b, a);
        let relayed = bench.announce(c);
        assert_eq!(bench.discovery.hear(b, &relayed, bench.now), Heard::SecondNeighbour(a));
        assert!(bench.links().is_empty(), "a port with two neighbours isn't used");
        assert_eq!(bench.discovery.ambiguous().count(), 1);
    }
}
