//! The controller is killed and started again while hosts talk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use testbed::error::LabError;
use testbed::host::Frame;
use testbed::ovs::{Host, Lab, Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::SetOnDrop;

use super::reconnect::{ages, nothing_was_sent_again};
use super::story::{Checked, Story};

/// Between two frames of a host.
const PACE: Duration = Duration::from_millis(5);
/// For the last frames to arrive.
const GRACE: Duration = Duration::from_secs(2);
/// EtherType "local experimental 1" (IEEE 802).
const PROBE: u16 = 0x88b5;

/// Two hosts send to each other without pause while something happens. Returns what came of that, and for each frame
/// how often it arrived.
fn talking<T>(
    lab: &Lab,
    pair: [&str; 2],
    during: impl FnOnce() -> Result<T, LabError>,
) -> Result<(T, BTreeMap<Vec<u8>, usize>), LabError> {
    lab.collect()?; // what was heard before doesn't count
    let [a, b] = [lab.host(pair[0])?, lab.host(pair[1])?];
    let (stop, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let next = AtomicU64::new(lab.next_id() << 32);
    let talk = |from: &Host, to: &Host| -> Result<Vec<Vec<u8>>, LabError> {
        let mut sent = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let id = next.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            let frame = Frame::new(to.mac(), from.mac(), PROBE, &id);
            from.tap().send(&frame)?;
            sent.push(frame.bytes().to_vec());
            thread::sleep(PACE);
        }
        Ok(sent)
    };
    let listen = |at: &Host| -> Result<Vec<Vec<u8>>, LabError> {
        let mut heard = Vec::new();
        loop {
            // Asked first: what arrived before the end is still read.
            let last = done.load(Ordering::SeqCst);
            while let Some(frame) = at.tap().try_receive()? {
                if frame.ethertype() == PROBE && frame.dst() == at.mac() {
                    heard.push(frame.bytes().to_vec());
                }
            }
            if last {
                return Ok(heard);
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        let talkers = [scope.spawn(|| talk(a, b)), scope.spawn(|| talk(b, a))];
        let listeners = [scope.spawn(|| listen(a)), scope.spawn(|| listen(b))];
        let (stopping, ending) = (SetOnDrop(&stop), SetOnDrop(&done));
        let result = during();
        drop(stopping);
        let mut counts = BTreeMap::new();
        for talker in talkers {
            counts.extend(talker.join().expect("a talker")?.into_iter().map(|frame| (frame, 0)));
        }
        // Frames are in the switch for less than a millisecond; a loaded machine gets more.
        thread::sleep(GRACE);
        drop(ending);
        for listener in listeners {
            for frame in listener.join().expect("a listener")? {
                *counts.entry(frame).or_default() += 1;
            }
        }
        Ok((result?, counts))
    })
}

fn each_arrived_once(counts: &BTreeMap<Vec<u8>, usize>, what: &str) {
    let lost = counts.values().filter(|count| **count == 0).count();
    let doubled = counts.values().filter(|count| **count > 1).count();
    assert!(counts.len() > 20, "{what}: only {} frames were sent", counts.len());
    assert_eq!((lost, doubled), (0, 0), "{what}: lost and doubled, of {}", counts.len());
}

#[test]
fn hosts_that_talk_notice_nothing_when_the_controller_is_killed_and_restarted() -> Checked {
    if !needs_ovs("hosts that talk notice nothing when the controller is killed and restarted") {
        return Ok(());
    }
    let story = Story::begin(Topology::Ring(3), Trunks::Veth, 1)?;
    let red: Vec<String> = story.hosts("h1").into_iter().map(str::to_owned).collect();
    let red: Vec<&str> = red.iter().map(String::as_str).collect();
    story.controller.create_network("red")?;
    red.iter().try_for_each(|host| story.attach("red", host))?;
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    let (before, tables) = (ages(&story.lab)?, story.lab.tables()?);
    let Story { mut controller, lab } = story;
    for killed in [true, false, true] {
        let what = if killed { "kill -9" } else { "SIGTERM" };
        let (next, counts) = talking(&lab, [red[0], red[1]], || {
            let next =
                if killed { controller.kill_and_restart()? } else { controller.restart()? };
            next.wait_for_switches(3)?;
            next.wait_for_links(3)?;
            Ok(next)
        })?;
        controller = next;
        each_arrived_once(&counts, what);
        nothing_was_sent_again(&before, &ages(&lab)?);
        assert_eq!(lab.tables()?, tables, "{what}");
    }
    let story = Story { controller, lab };
    story.floods_reach(&story.hosts("h1"))?;
    story.unicast_reaches_its_host_only("red", &story.hosts("h1"))?;
    assert_eq!(story.lab.openflow_warnings(), [""; 0]);
    Ok(())
}
