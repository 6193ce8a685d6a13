//! Hosts that attack: what they gain is nothing outside of their own network.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testbed::error::LabError;
use testbed::host::{BROADCAST, Frame, Mac, Tag};
use testbed::ovs::{Lab, Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, SetOnDrop, until};

use super::pulse::pulse;
use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(60);
const LLDP: u16 = 0x88cc;
const ARP: u16 = 0x0806;
/// An address that nobody has.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);
const TIMING: [&str; 4] = ["--lldp-interval", "0.3", "--lldp-limit", "2"];

/// Runs `attack` again and again on a thread of its own while `work` is done.
fn under_attack<T>(
    attack: impl Fn() -> Checked + Send,
    work: impl FnOnce() -> Result<T, LabError>,
) -> Result<T, LabError> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopped = &stop;
        let attacking = scope.spawn(move || -> Checked {
            while !stopped.load(Ordering::SeqCst) {
                attack()?;
            }
            Ok(())
        });
        let stopping = SetOnDrop(&stop);
        let done = work();
        drop(stopping);
        attacking.join().expect("the attacker")?;
        done
    })
}

fn until_switch_says(story: &Story, switch: &str, what: &str) -> Checked {
    until(what, LIMIT, || {
        let said = story.controller.reasons_of_switch(switch)?;
        Ok(if said.contains(what) { Look::Done(()) } else { Look::NotYet(said) })
    })
}

/// The next announcement that a host hears: its port is no network's.
fn announcement(lab: &Lab, host: &str) -> Result<Frame, LabError> {
    let tap = lab.host(host)?.tap();
    while tap.try_receive()?.is_some() {}
    let end = Instant::now() + LIMIT;
    while let Some(frame) = tap.receive(end)? {
        if frame.ethertype() == LLDP {
            return Ok(frame);
        }
    }
    Err(LabError::Wrong(format!("{host} hears no announcement")))
}

/// The links are just those that there are.
fn links_are_right(story: &Story) -> Checked {
    let links = story.controller.links()?;
    let ours = story.lab.links().len();
    assert_eq!(links.len(), ours, "a false link: {links:#?}");
    assert!(links.iter().all(|link| link.up), "{links:#?}");
    Ok(())
}

#[test]
fn announcements_that_are_forged_replayed_or_relayed_make_no_link() -> Checked {
    if !needs_ovs("announcements that are forged, replayed or relayed make no link") {
        return Ok(());
    }
    let story = Story::begin_with(Topology::Ring(3), Trunks::Veth, 3, &TIMING)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = story.red_and_blue()?;
    let tap = |host: &str| lab.host(host).map(|host| host.tap());

    // From a network's port it is a frame like any other: its members hear it, nobody else, and nothing is believed.
    let real = announcement(lab, "s1h3")?;
    let heard = lab.probe("s2h1", &real)?;
    for host in ["s1h1", "s3h1"] {
        assert_eq!(heard.lldp_at(host), 1, "{host} is in red with s2h1");
    }
    for host in ["s1h2", "s2h2", "s3h2"] {
        assert_eq!(heard.lldp_at(host), 0, "{host} is in blue");
    }
    links_are_right(&story)?;

    // Forged: one bit is another.
    for at in [20, 30, real.bytes().len() - 20] {
        let mut bytes = real.bytes().to_vec();
        bytes[at] ^= 1;
        tap("s2h3")?.send(&Frame::from_wire(&bytes))?;
    }
    until_switch_says(&story, "s2", "forged")?;
    links_are_right(&story)?;

    // Relayed to one more port, while fresh: that port hears who doesn't hear it.
    let relay = || -> Checked {
        let frame = announcement(lab, "s1h3")?;
        tap("s2h3")?.send(&frame)
    };
    let end = Instant::now() + LIMIT;
    while !controller.reasons_of_switch("s2")?.contains("a relay") {
        assert!(Instant::now() < end, "{}", controller.reasons_of_switch("s2")?);
        relay()?;
        links_are_right(&story)?;
    }

    // Replayed, when it is old.
    until("a replay to be noticed", LIMIT, || {
        tap("s3h3")?.send(&real)?;
        let said = controller.reasons_of_switch("s3")?;
        Ok(if said.contains("replayed") { Look::Done(()) } else { Look::NotYet(said) })
    })?;
    links_are_right(&story)?;

    // A hub of three ports that nobody uses: each hears two neighbours, and none is a trunk.
    let free = ["s1h3", "s2h3", "s3h3"];
    let end = Instant::now() + LIMIT;
    while !controller.reasons_of_switch("s3")?.contains("several neighbours") {
        assert!(Instant::now() < end, "{}", controller.reasons_of_switch("s3")?);
        links_are_right(&story)?;
        for from in free {
            let frame = announcement(lab, from)?;
            for to in free.iter().filter(|to| **to != from) {
                tap(to)?.send(&frame)?;
            }
        }
    }
    links_are_right(&story)?;

    let (log, metrics) = (controller.log(), controller.metrics()?);
    for what in ["forged announcement", "a replay?", "two neighbours", "a relay"] {
        assert!(log.contains(what), "{what}: {log}");
    }
    for reason in ["forged", "stale", "second_neighbour", "one_way"] {
        let counted = metrics.lines().any(|line| {
            line.starts_with("isolane_lldp_refused_total")
                && line.contains(&format!("reason=\"{reason}\""))
                && line.contains("switch=\"of:")
                && line.contains("port=")
        });
        assert!(counted, "{reason}: {metrics}");
    }
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    story.floods_reach(&blue)
}

/// A port that nobody uses pours out announcements: the switch's own links stay, and everybody talks on.
#[test]
fn a_flood_of_announcements_takes_no_link_down() -> Checked {
    if !needs_ovs("a flood of announcements takes no link down") {
        return Ok(());
    }
    let story = Story::begin_with(Topology::Ring(3), Trunks::Veth, 3, &TIMING)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let red = story.hosts("h1");
    story.found("red", &red)?;
    let frame = announcement(lab, "s1h3")?;
    let mut forged = frame.bytes().to_vec();
    forged[30] ^= 1;
    let (fresh, forged) = (frame, Frame::from_wire(&forged));
    let attacker = lab.host("s1h3")?.tap();
    let attack = || -> Checked {
        for _ in 0..50 {
            attacker.send(&fresh)?;
            attacker.send(&forged)?;
        }
        thread::sleep(Duration::from_millis(5));
        Ok(())
    };
    under_attack(attack, || {
        until_switch_says(&story, "s1", "more than 100 announcements")?;
        // Three times as long as a link may be silent.
        let end = Instant::now() + Duration::from_secs(6);
        while Instant::now() < end {
            links_are_right(&story)?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    })?;
    let log = controller.log();
    assert!(!log.contains("the link is down"), "{log}");
    let lines = log.lines().filter(|line| line.contains("WARN")).count();
    assert!(lines < 60, "{lines} warnings of one flood: {log}");
    assert!(controller.metrics()?.contains("reason=\"flood\""));
    story.floods_reach(&red)
}

/// The source of number `n`, of one host.
fn source(n: u32) -> Mac {
    let [a, b, c, d] = n.to_be_bytes();
    [0x06, 0x66, a, b, c, d]
}

#[test]
fn ten_thousand_sources_bother_nobody_elsewhere() -> Checked {
    if !needs_ovs("ten thousand sources bother nobody elsewhere") {
        return Ok(());
    }
    let story = Story::begin(Topology::Ring(3), Trunks::Veth, 3)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (_, blue) = story.red_and_blue()?;
    let memory = controller.memory()?;
    let attach = |times: usize| -> Result<Vec<Duration>, LabError> {
        let mut took = Vec::new();
        for _ in 0..times {
            story.detach("blue", "s3h2")?;
            let begin = Instant::now();
            story.attach("blue", "s3h2")?;
            took.push(begin.elapsed());
        }
        took.sort();
        Ok(took)
    };
    let calm = attach(20)?;
    let next = std::sync::atomic::AtomicU32::new(0);
    let attacker = lab.host("s1h1")?.tap();
    let attack = || -> Checked {
        for _ in 0..20 {
            let n = next.fetch_add(1, Ordering::SeqCst) % 10_000;
            attacker.send(&Frame::probe(BROADCAST, source(n), u64::from(n)))?;
        }
        thread::sleep(Duration::from_millis(5));
        Ok(())
    };
    let under = under_attack(attack, || {
        let mut took = Vec::new();
        until("ten thousand sources, and the network to be full", LIMIT * 2, || {
            took.extend(attach(5)?);
            let sent = next.load(Ordering::SeqCst);
            let network = controller.rest().get("/api/v1/networks/red")?;
            let full = network.text("/reason").contains("mac-limit");
            Ok(match full && sent >= 10_000 {
                true => Look::Done(()),
                false => Look::NotYet(format!("{sent} sent: {network}")),
            })
        })?;
        took.sort();
        Ok(took)
    })?;
    let tell = |what: &str, took: &[Duration]| {
        let at = |part: usize| took[(took.len() - 1) * part / 100].as_millis();
        println!(
            "MEASURED attach in another network, {what}: median {} ms, 95% {} ms, worst {} ms, of {}",
            at(50),
            at(95),
            at(100),
            took.len()
        );
    };
    tell("calm", &calm);
    tell("a host shows 10,000 sources", &under);
    let grown = controller.memory()?.saturating_sub(memory);
    println!("MEASURED memory after 10,000 sources: {} KiB more", grown >> 10);
    assert!(grown < 100 << 20, "{grown} bytes");

    let learnt = controller.hosts()?.iter().filter(|host| host.network.as_str() == "red").count();
    assert!(learnt <= 1024, "{learnt} hosts are learnt");
    until_switch_says(&story, "s1", "unknown sources")?;
    let (log, metrics) = (controller.log(), controller.metrics()?);
    for what in ["unknown sources a second", "as many MACs as it may"] {
        let said = log.lines().filter(|line| line.contains(what)).count();
        assert!((1..200).contains(&said), "{said} lines of {what:?}");
    }
    for figure in ["isolane_ports_muted_total", "isolane_mac_limit_reached_total"] {
        assert!(metrics.contains(figure), "{figure}: {metrics}");
    }
    story.floods_reach(&blue)?;
    story.unicast_reaches_its_host_only("blue", &blue)
}

/// "I have it", broadcast, in somebody's name (RFC 826).
fn forged_arp(mac: Mac, ip: Ipv4Addr) -> Frame {
    let head = [0, 1, 0x08, 0, 6, 4, 0, 2];
    let body = [&head[..], &mac, &ip.octets(), &BROADCAST, &ip.octets()].concat();
    Frame::new(BROADCAST, mac, ARP, &body)
}

#[test]
fn who_speaks_in_anothers_name_gets_nothing_while_that_one_talks() -> Checked {
    if !needs_ovs("who speaks in another's name gets nothing while that one talks") {
        return Ok(());
    }
    let story = Story::begin(Topology::Ring(3), Trunks::Veth, 3)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = story.red_and_blue()?;
    let victim = lab.host("s2h1")?.mac();
    let attacker = lab.host("s1h1")?.tap();
    let forged = forged_arp(victim, Ipv4Addr::new(10, 0, 0, 2));
    let attack = || -> Checked {
        attacker.send(&forged)?;
        thread::sleep(Duration::from_millis(10));
        Ok(())
    };
    let place_of = |mac: Mac| -> Result<Vec<String>, LabError> {
        let text = mac.map(|byte| format!("{byte:02x}")).join(":");
        let hosts = controller.hosts()?.into_iter();
        let there = hosts.filter(|it| it.mac.to_string() == text && it.network.as_str() == "red");
        Ok(there.map(|it| it.port.to_string()).collect())
    };
    let seen = under_attack(attack, || {
        pulse(lab, &[&red, &blue], |beats| {
            beats.rounds(10)?;
            let begin = Instant::now();
            until("the conflict to be told, and some seconds", LIMIT, || {
                assert_eq!(place_of(victim)?, ["s2h1"], "it isn't moved while it talks");
                let said = controller.rest().get("/api/v1/networks/red")?;
                let told = said.text("/reason").contains("mac-conflict");
                Ok(match told && begin.elapsed() > Duration::from_secs(3) {
                    true => Look::Done(()),
                    false => Look::NotYet(said.to_string()),
                })
            })
        })
    })?;
    // The forged frames themselves are heard in red, and are red's own affair.
    assert!(
        seen.strange.iter().all(|(host, frame)| red.contains(&host.as_str()) && *frame == forged)
    );
    seen.nothing_leaked(None);
    seen.nothing_was_lost(None);
    let mac = victim.map(|byte| format!("{byte:02x}")).join(":");
    let (log, metrics) = (controller.log(), controller.metrics()?);
    let said = log.lines().filter(|line| line.contains("mac-conflict")).count();
    assert!((1..20).contains(&said), "{said} lines: {log}");
    assert!(
        metrics
            .lines()
            .any(|it| it.starts_with("isolane_mac_conflicts_total") && it.contains(&mac)),
        "{metrics}"
    );

    // A host of the other network moves to another port and is silent at its old one: it is followed, while claims
    // of all MACs of the first are looked into.
    let claims: Vec<Frame> = (0..50).map(|n| forged_arp(source(n), OTHER)).collect();
    let owner = lab.host("s3h1")?.tap();
    let attack = || -> Checked {
        for claim in &claims {
            owner.send(claim)?;
            attacker.send(claim)?;
        }
        attacker.send(&forged)?;
        thread::sleep(Duration::from_millis(10));
        Ok(())
    };
    let (old, new) = ("s2h2", "s3h2");
    let mover = lab.host(old)?.mac();
    let stop = AtomicBool::new(false);
    let follow = || {
        thread::scope(|scope| {
            let (stopped, tap) = (&stop, lab.host(new)?.tap());
            let until_followed = SetOnDrop(&stop);
            let begin = Instant::now();
            let talking = scope.spawn(move || -> Checked {
                while !stopped.load(Ordering::SeqCst) {
                    tap.send(&Frame::probe(BROADCAST, mover, 1))?;
                    thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            });
            let text = mover.map(|byte| format!("{byte:02x}")).join(":");
            let followed = until("the move to be followed", LIMIT, || {
                let hosts = controller.hosts()?;
                let there = hosts.iter().any(|it| {
                    it.mac.to_string() == text
                        && it.port.to_string() == new
                        && it.network.as_str() == "blue"
                });
                Ok(if there {
                    Look::Done(begin.elapsed())
                } else {
                    Look::NotYet(format!("{hosts:?}"))
                })
            });
            drop(until_followed);
            talking.join().expect("the mover")?;
            followed
        })
    };
    let took = under_attack(attack, follow)?;
    println!("MEASURED a host that moved is followed after {} ms", took.as_millis());
    // Frames to it go to its new place, and there only.
    until("frames to go to its new place", LIMIT, || {
        let frame = Frame::probe(mover, lab.host("s1h2")?.mac(), lab.next_id());
        Ok(match lab.probe("s1h2", &frame)?.exactly(&frame, &[new]) {
            Ok(()) => Look::Done(()),
            Err(error) => Look::NotYet(error.to_string()),
        })
    })
}

/// Tags of any kind are the tenant's own: they pass within the network, and open nothing.
#[test]
fn tags_open_no_other_network() -> Checked {
    if !needs_ovs("tags open no other network") {
        return Ok(());
    }
    let story = Story::begin(Topology::Line(3), Trunks::Veth, 3)?;
    let lab = &story.lab;
    story.red_and_blue()?;
    let target = lab.host("s3h2")?.mac();
    // Every VLAN that a trunk may carry, to all and to a host of the other network, and behind another tag.
    let each = |from: &str| -> Result<Vec<Frame>, LabError> {
        let mut frames = Vec::new();
        let mac = lab.host(from)?.mac();
        for vlan in (0..64).chain((64..4096).step_by(97)).chain([4094, 4095]) {
            for dst in [BROADCAST, target] {
                let plain = Frame::probe(dst, mac, lab.next_id());
                frames.push(plain.tagged(Tag::dot1q(vlan, 0)));
                frames.push(plain.tagged(Tag::dot1ad(vlan, 7)));
                frames.push(plain.tagged(Tag::dot1q(vlan, 0)).tagged(Tag::dot1q(vlan, 0)));
            }
        }
        Ok(frames)
    };
    let frames = each("s1h1")?;
    let sent: Vec<_> = frames.iter().map(|frame| ("s1h1", frame.clone())).collect();
    let to_red: Vec<_> = frames.into_iter().map(|frame| (frame, vec!["s2h1", "s3h1"])).collect();
    lab.probe_all(&sent)?.exactly_all(&to_red)?;
    // From a port of no network, nowhere.
    let sent: Vec<_> = each("s1h3")?.into_iter().map(|frame| ("s1h3", frame)).collect();
    lab.probe_all(&sent)?.exactly_all(&[])
}
