//! Hosts that send at a steady pace while something fails, and what came of each frame.
//!
//! Each host of a group sends to everybody and to each other host of its group, every [`PACE`]. All hosts of the
//! lab listen, those of no group too. Frames are numbered, so that each that is heard is known: who sent it, when.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use testbed::error::LabError;
use testbed::host::{BROADCAST, Frame, Mac};
use testbed::ovs::{Host, Lab};
use testbed::wait::{Look, SetOnDrop, until};

use super::story::Checked;

/// Between two rounds of a host.
pub const PACE: Duration = Duration::from_millis(20);
/// Rounds that must have come through for the hosts to be in touch again.
const ROUNDS: usize = 25;
/// Frames younger than this may still be under way.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// For hosts to be in touch again. It takes seconds at most; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// EtherType "local experimental 1" (IEEE 802).
const PROBE: u16 = 0x88b5;
const MAGIC: &[u8] = b"pulse:";

/// A frame that was sent.
#[derive(Clone, Debug)]
pub struct Shot {
    pub id: u64,
    pub from: String,
    /// Whom it was for; everybody of the group, if `None`.
    pub to: Option<String>,
    pub at: Instant,
}

/// What was sent and heard so far, while hosts go on.
#[derive(Default)]
pub struct Beats {
    shots: Mutex<Vec<Shot>>,
    /// How often each host heard each frame.
    heard: Mutex<HashMap<(u64, String), u32>>,
    /// Frames of others that somebody heard.
    strange: Mutex<Vec<(String, Frame)>>,
    groups: Vec<Vec<String>>,
}

/// All of it, at the end.
pub struct Pulsed {
    pub shots: Vec<Shot>,
    heard: HashMap<(u64, String), u32>,
    pub strange: Vec<(String, Frame)>,
    groups: Vec<Vec<String>>,
}

/// What one host missed of what another sent to it, or to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    pub sent: usize,
    pub lost: usize,
    /// From the first frame of the longest run that was lost to the next that wasn't.
    pub longest: Duration,
}

/// Lets all hosts of `groups` send while `work` is done; returns once all that is under way is heard.
pub fn pulse(
    lab: &Lab,
    groups: &[&[&str]],
    work: impl FnOnce(&Beats) -> Checked,
) -> Result<Pulsed, LabError> {
    lab.collect()?; // what was heard before doesn't count
    let owned = groups.iter().map(|group| group.iter().map(|host| (*host).to_owned()).collect());
    let beats = Beats { groups: owned.collect(), ..Beats::default() };
    let (stop, next) = (AtomicBool::new(false), AtomicU64::new(lab.next_id() << 32));
    let mut senders = Vec::new();
    for group in groups {
        for host in *group {
            let others = group.iter().filter(|other| *other != host);
            let others: Vec<(&str, Mac)> = others
                .map(|other| lab.host(other).map(|it| (*other, it.mac())))
                .collect::<Result<_, _>>()?;
            senders.push((lab.host(host)?, others));
        }
    }
    let hosts: Vec<&Host> = lab.hosts().iter().collect();
    thread::scope(|scope| {
        let (stop, next, beats) = (&stop, &next, &beats);
        let sending: Vec<_> = senders
            .iter()
            .map(|(host, others)| scope.spawn(move || beats.send(host, others, next, stop)))
            .collect();
        let listening: Vec<_> =
            hosts.iter().map(|host| scope.spawn(move || beats.listen(host, stop))).collect();
        let stopping = SetOnDrop(stop);
        let done = work(beats);
        drop(stopping);
        let ended = sending.into_iter().chain(listening).map(|it| it.join().expect("a thread"));
        ended.collect::<Checked>().and(done)
    })?;
    let rest = lab.collect()?;
    for host in rest.hosts() {
        rest.at(host).iter().for_each(|frame| beats.hear(host, frame));
    }
    let inner = |mutex| Mutex::into_inner(mutex).unwrap_or_else(PoisonError::into_inner);
    Ok(Pulsed {
        shots: beats.shots.into_inner().unwrap_or_else(PoisonError::into_inner),
        heard: inner(beats.heard),
        strange: beats.strange.into_inner().unwrap_or_else(PoisonError::into_inner),
        groups: beats.groups,
    })
}

impl Beats {
    fn send(
        &self,
        host: &Host,
        others: &[(&str, Mac)],
        next: &AtomicU64,
        stop: &AtomicBool,
    ) -> Checked {
        let targets = || std::iter::once(None).chain(others.iter().map(Some));
        let mut due = Instant::now();
        while !stop.load(Ordering::SeqCst) {
            for target in targets() {
                let id = next.fetch_add(1, Ordering::SeqCst);
                let dst = target.map_or(BROADCAST, |(_, mac)| *mac);
                let frame =
                    Frame::new(dst, host.mac(), PROBE, &[MAGIC, &id.to_be_bytes()].concat());
                let to = target.map(|(name, _)| (*name).to_owned());
                let shot = Shot { id, from: host.name().to_owned(), to, at: Instant::now() };
                lock(&self.shots).push(shot);
                host.tap().send(&frame)?;
            }
            due = (due + PACE).max(Instant::now() - PACE);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    fn listen(&self, host: &Host, stop: &AtomicBool) -> Checked {
        while !stop.load(Ordering::SeqCst) {
            if let Some(frame) = host.tap().receive(Instant::now() + PACE)? {
                self.hear(host.name(), &frame);
            }
        }
        Ok(())
    }

    fn hear(&self, host: &str, frame: &Frame) {
        const MARKERS_AND_LLDP: [u16; 2] = [0x88b6, 0x88cc];
        let id = frame.payload().strip_prefix(MAGIC).and_then(<[u8]>::first_chunk);
        match id {
            Some(id) => {
                let key = (u64::from_be_bytes(*id), host.to_owned());
                *lock(&self.heard).entry(key).or_default() += 1;
            }
            None if MARKERS_AND_LLDP.contains(&frame.ethertype()) => {}
            None => lock(&self.strange).push((host.to_owned(), frame.clone())),
        }
    }

    /// Waits until everything that was sent for a while, by hosts of the groups with these numbers, has come to
    /// whom it was for. Returns when the first of these frames was sent.
    pub fn wait_for_touch(&self, groups: &[usize]) -> Result<Instant, LabError> {
        let members: Vec<_> = groups.iter().flat_map(|at| &self.groups[*at]).collect();
        let begin = Instant::now();
        until("hosts to be in touch again", LIMIT, || {
            let shots: Vec<Shot> = {
                let now = Instant::now();
                let old = |shot: &&Shot| now.duration_since(shot.at) > UNDER_WAY;
                let of = |shot: &&Shot| members.contains(&&shot.from);
                lock(&self.shots).iter().filter(old).filter(of).cloned().collect()
            };
            let heard = lock(&self.heard);
            let came = |shot: &Shot| {
                receivers(&self.groups, shot)
                    .iter()
                    .all(|host| heard.contains_key(&(shot.id, (*host).clone())))
            };
            let each = members.iter().map(|host| {
                let of_host = shots.iter().rev().filter(|shot| shot.from == **host);
                let per_round = receivers_of(&self.groups, host).len() + 1;
                let wanted = ROUNDS * per_round;
                let run: Vec<_> = of_host.take_while(|shot| came(shot)).collect();
                let first = run.last().map(|shot| shot.at);
                (first.filter(|_| run.len() >= wanted && run[wanted - 1].at >= begin), run.len())
            });
            let each: Vec<_> = each.collect();
            let firsts: Option<Vec<Instant>> = each.iter().map(|(first, _)| *first).collect();
            Ok(match firsts.and_then(|firsts| firsts.into_iter().max()) {
                Some(first) => Look::Done(first),
                None => {
                    let lost: Vec<_> =
                        shots.iter().rev().filter(|shot| !came(shot)).take(5).collect();
                    let sent = shots.len();
                    Look::NotYet(format!(
                        "frames in a row that arrived: {each:?}, of {sent}; the last ones lost: {lost:#?}"
                    ))
                }
            })
        })
    }

    /// Waits until each host has sent so many rounds from now on.
    pub fn rounds(&self, count: usize) -> Checked {
        let begin = Instant::now();
        until("hosts to send", LIMIT, || {
            let shots = lock(&self.shots);
            let mut sent = BTreeMap::new();
            for shot in shots.iter().rev().take_while(|shot| shot.at >= begin) {
                *sent.entry(&shot.from).or_insert(0) += usize::from(shot.to.is_none());
            }
            let all = self.groups.iter().flatten().all(|host| sent.get(host) >= Some(&count));
            Ok(if all { Look::Done(()) } else { Look::NotYet(format!("{sent:?}")) })
        })
    }
}

impl Pulsed {
    /// How often a host heard a frame.
    pub fn count(&self, host: &str, shot: &Shot) -> u32 {
        self.heard.get(&(shot.id, host.to_owned())).copied().unwrap_or(0)
    }

    /// No host heard any frame twice, and nothing that none of the senders sent.
    pub fn nothing_came_twice(&self) {
        let twice: Vec<_> = self.heard.iter().filter(|(_, count)| **count > 1).collect();
        let shown: Vec<_> = twice
            .iter()
            .take(5)
            .map(|((id, host), count)| {
                let shot = self.shots.iter().find(|shot| shot.id == *id);
                format!("{host} heard {shot:?} {count} times")
            })
            .collect();
        assert!(twice.is_empty(), "{} frames came twice: {shown:#?}", twice.len());
        assert!(self.strange.is_empty(), "frames of nobody: {:?}", self.strange.first());
    }

    /// Frames sent from `since` on are heard within the sender's group only.
    pub fn nothing_leaked(&self, since: Option<Instant>) {
        let leaks = self.leaks(since);
        assert!(leaks.is_empty(), "{} frames leaked: {:#?}", leaks.len(), leaks.first());
    }

    /// The same of all frames, but that some who don't send are, for a while, in the network of those who do.
    pub fn nothing_leaked_but(&self, listeners: &[(&str, &[&str])]) {
        let mut leaks = self.leaks(None);
        leaks.retain(|(host, shot)| {
            let may = |(name, those): &(&str, &[&str])| {
                host == name && those.contains(&shot.from.as_str())
            };
            !listeners.iter().any(may)
        });
        assert!(leaks.is_empty(), "{} frames leaked: {:#?}", leaks.len(), leaks.first());
    }

    /// Frames sent from `since` on that somebody of another group, or of none, heard.
    pub fn leaks(&self, since: Option<Instant>) -> Vec<(String, Shot)> {
        let shots: HashMap<u64, &Shot> = self.shots.iter().map(|shot| (shot.id, shot)).collect();
        let all = self.heard.keys().filter_map(|(id, host)| {
            let shot = shots.get(id)?;
            let late = since.is_none_or(|since| shot.at >= since);
            let inside = receivers_of(&self.groups, &shot.from).contains(&host);
            (late && !inside).then(|| (host.clone(), (*shot).clone()))
        });
        let mut leaks: Vec<_> = all.collect();
        leaks.sort_by_key(|(_, shot)| shot.at);
        leaks
    }

    /// What one host missed of what another sent it from `since` on: of frames to it, or of those to all.
    pub fn outage(&self, from: &str, to: &str, flooded: bool, since: Option<Instant>) -> Outage {
        let mut outage = Outage::default();
        let mut silent = None;
        for shot in self.shots.iter().filter(|shot| shot.from == from) {
            let wanted = if flooded { shot.to.is_none() } else { shot.to.as_deref() == Some(to) };
            if !wanted || since.is_some_and(|since| shot.at < since) {
                continue;
            }
            outage.sent += 1;
            if self.count(to, shot) == 0 {
                outage.lost += 1;
                silent.get_or_insert(shot.at);
                outage.longest = outage.longest.max(PACE);
            } else if let Some(since) = silent.take() {
                outage.longest = outage.longest.max(shot.at - since);
            }
        }
        outage
    }

    /// The worst of all pairs within groups.
    pub fn worst(&self, flooded: bool, since: Option<Instant>) -> Outage {
        let pairs = self.groups.iter().flat_map(|group| {
            group.iter().flat_map(move |from| group.iter().map(move |to| (from, to)))
        });
        let outages = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| self.outage(from, to, flooded, since));
        outages.max_by_key(|outage| (outage.longest, outage.lost)).unwrap_or_default()
    }

    /// Everything sent from `since` on came to whom it was for.
    pub fn nothing_was_lost(&self, since: Option<Instant>) {
        for flooded in [false, true] {
            let worst = self.worst(flooded, since);
            assert_eq!(worst.lost, 0, "flooded: {flooded}: {worst:?}");
        }
    }

    /// Says what was lost, for people.
    pub fn tell(&self, what: &str) {
        for (kind, flooded) in [("to one", false), ("to all", true)] {
            let Outage { sent, lost, longest } = self.worst(flooded, None);
            println!(
                "MEASURED {what}: frames {kind}, worst pair: {lost} of {sent} lost, {} ms",
                longest.as_millis()
            );
        }
    }
}

/// The others of a host's group.
fn receivers_of<'a>(groups: &'a [Vec<String>], host: &str) -> Vec<&'a String> {
    let group = groups.iter().find(|group| group.iter().any(|it| it == host));
    group.into_iter().flatten().filter(|it| *it != host).collect()
}

/// Whom a frame is for.
fn receivers<'a>(groups: &'a [Vec<String>], shot: &Shot) -> Vec<&'a String> {
    let others = receivers_of(groups, &shot.from);
    others.into_iter().filter(|it| shot.to.as_ref().is_none_or(|to| to == *it)).collect()
}

/// A thread that panicked fails the test anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
