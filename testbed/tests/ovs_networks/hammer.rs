//! Hosts that send without pause while something changes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use testbed::error::LabError;
use testbed::host::{BROADCAST, Frame, Mac};
use testbed::ovs::{Heard, Host, Lab};
use testbed::wait::{Look, SetOnDrop, until};

/// Between two frames of a sender: so few wait in a switch's queue that none is lost there.
const PACE: Duration = Duration::from_millis(2);
/// Frames that each sender has sent before the change, and sends after it.
const BEFORE: u64 = 5;
const AFTER: u64 = 20;
/// For so many frames; only a machine that stands still takes longer.
const LIMIT: Duration = Duration::from_secs(30);
/// EtherType "local experimental 1" (IEEE 802).
const PROBE: u16 = 0x88b5;
const MAGIC: &[u8] = b"isolane";

/// What was sent and heard around a change.
pub struct Hammered {
    /// Frames from this number on were sent after the change was acknowledged.
    pub boundary: u64,
    pub sent: Vec<Shot>,
    pub heard: Heard,
}

/// A frame that was sent.
#[derive(Clone, Debug)]
pub struct Shot {
    pub from: String,
    pub id: u64,
    /// Whom it was for; everybody, if `None`.
    pub to: Option<String>,
    pub frame: Frame,
}

impl Hammered {
    /// How often a host heard a frame.
    pub fn count(&self, host: &str, shot: &Shot) -> usize {
        self.heard.at(host).iter().filter(|frame| **frame == shot.frame).count()
    }

    /// Frames sent after the change was acknowledged.
    pub fn late(&self) -> impl Iterator<Item = &Shot> {
        self.sent.iter().filter(|shot| shot.id >= self.boundary)
    }
}

/// Lets `senders` send to everybody and to each of `targets` while `change` is made; returns once all is heard.
///
/// Numbers count from `first` on, so that frames of other times are told apart.
pub fn hammer(
    lab: &Lab,
    senders: &[&str],
    targets: &[&str],
    change: impl FnOnce() -> Result<(), LabError>,
) -> Result<Hammered, LabError> {
    lab.collect()?; // what was heard before doesn't count
    let next = AtomicU64::new(lab.next_id() << 32);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let hosts: Vec<&Host> = senders.iter().map(|name| lab.host(name)).collect::<Result<_, _>>()?;
    let to: Vec<(&str, Mac)> = targets
        .iter()
        .map(|name| lab.host(name).map(|host| (*name, host.mac())))
        .collect::<Result<_, _>>()?;
    let (boundary, shots) = thread::scope(|scope| {
        let running: Vec<_> = hosts
            .iter()
            .map(|host| {
                let (next, stop, sent, to) = (&next, &stop, &sent, &to);
                scope.spawn(move || shoot(host, to, next, stop, sent))
            })
            .collect();
        let rounds = |count: u64| {
            let goal = sent.load(Ordering::SeqCst) + count * senders.len() as u64;
            until("senders to send", LIMIT, || {
                let now = sent.load(Ordering::SeqCst);
                Ok(if now >= goal {
                    Look::Done(())
                } else {
                    Look::NotYet(format!("{now} of {goal}"))
                })
            })
        };
        let work = || {
            rounds(BEFORE)?;
            change()?;
            let boundary = next.fetch_add(1, Ordering::SeqCst);
            rounds(AFTER)?;
            Ok(boundary)
        };
        let stopping = SetOnDrop(&stop);
        let result: Result<u64, LabError> = work();
        drop(stopping);
        let shots: Result<Vec<Vec<Shot>>, LabError> =
            running.into_iter().map(|thread| thread.join().expect("a sender")).collect();
        Ok::<_, LabError>((result?, shots?.concat()))
    })?;
    Ok(Hammered { boundary, sent: shots, heard: lab.collect()? })
}

fn shoot(
    host: &Host,
    to: &[(&str, Mac)],
    next: &AtomicU64,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> Result<Vec<Shot>, LabError> {
    let mut shots = Vec::new();
    let others: Vec<_> = to.iter().filter(|(name, _)| *name != host.name()).collect();
    let mut turns = std::iter::once(None).chain(others.iter().copied().map(Some)).cycle();
    while !stop.load(Ordering::SeqCst) {
        let target = turns.next().flatten();
        let id = next.fetch_add(1, Ordering::SeqCst);
        let dst = target.map_or(BROADCAST, |(_, mac)| *mac);
        let frame = Frame::new(dst, host.mac(), PROBE, &[MAGIC, &id.to_be_bytes()].concat());
        host.tap().send(&frame)?;
        sent.fetch_add(1, Ordering::SeqCst);
        shots.push(Shot {
            from: host.name().to_owned(),
            id,
            to: target.map(|(name, _)| (*name).to_owned()),
            frame,
        });
        thread::sleep(PACE);
    }
    Ok(shots)
}
