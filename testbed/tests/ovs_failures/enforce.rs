//! A port with an allow-list: only its MACs and addresses get out of it, however they are dressed up.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use etherparse::PacketBuilder;
use serde_json::json;
use testbed::host::{BROADCAST, Frame, Mac, Tag};
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::story::{Checked, Story};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const OWN6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const OTHER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const STRANGER: Mac = [0x02, 0x99, 0, 0, 0, 1];

fn padded(mut bytes: Vec<u8>) -> Frame {
    bytes.resize(bytes.len().max(60), 0);
    Frame::from_wire(&bytes)
}

fn arp(eth: Mac, sender: Mac, ip: Ipv4Addr) -> Frame {
    let head = [0, 1, 0x08, 0, 6, 4, 0, 1];
    let body = [&head[..], &sender, &ip.octets(), &[0; 6], &OTHER.octets()].concat();
    Frame::new(BROADCAST, eth, 0x0806, &body)
}

fn udp(eth: Mac, from: Ipv4Addr, ports: (u16, u16)) -> Frame {
    let packet = PacketBuilder::ethernet2(eth, BROADCAST)
        .ipv4(from.octets(), [255; 4], 64)
        .udp(ports.0, ports.1);
    let mut bytes = Vec::new();
    packet.write(&mut bytes, b"hello").expect("a packet");
    padded(bytes)
}

fn udp6(eth: Mac, from: Ipv6Addr) -> Frame {
    let packet = PacketBuilder::ethernet2(eth, BROADCAST)
        .ipv6(from.octets(), ALL_NODES.octets(), 64)
        .udp(1000, 2000);
    let mut bytes = Vec::new();
    packet.write(&mut bytes, b"hello").expect("a packet");
    padded(bytes)
}

/// Neighbour solicitation or advertisement (RFC 4861) about `target`.
fn neighbour(eth: Mac, from: Ipv6Addr, kind: u8, target: Ipv6Addr) -> Frame {
    let packet = PacketBuilder::ethernet2(eth, BROADCAST)
        .ipv6(from.octets(), ALL_NODES.octets(), 255)
        .icmpv6_raw(kind, 0, [0x20, 0, 0, 0]);
    let mut bytes = Vec::new();
    packet.write(&mut bytes, &target.octets()).expect("a packet");
    padded(bytes)
}

fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
}

#[test]
fn an_enforced_port_lets_only_its_own_addresses_out() -> Checked {
    if !needs_ovs("an enforced port lets only its own addresses out") {
        return Ok(());
    }
    let audit = ["--audit-interval", "1"];
    let story = Story::begin_with(Topology::Line(2), Trunks::Veth, 2, &audit)?;
    let (lab, controller) = (&story.lab, &story.controller);
    controller.create_network("red")?;
    let mac = lab.host("s1h1")?.mac();
    let text = mac.map(|byte| format!("{byte:02x}")).join(":");
    let allow = |port: &str, body: &serde_json::Value| -> Checked {
        let path = format!("/api/v1/networks/red/ports/s1/{port}");
        let answer = controller.rest().call("PUT", &path, body)?;
        assert!([200, 201].contains(&answer.status), "{answer}");
        Ok(())
    };
    allow("s1h1", &json!({"mac": [&text], "ips": [OWN, OWN6], "enforce": true}))?;
    story.attach("red", "s2h1")?;

    let local = link_local(mac);
    let probe = |eth| Frame::probe(BROADCAST, eth, 7);
    let q = |frame: Frame| frame.tagged(Tag::dot1q(5, 0));
    let ad = |frame: Frame| frame.tagged(Tag::dot1ad(5, 0));
    let any = Ipv6Addr::UNSPECIFIED;
    let cases = [
        ("ARP of its own", arp(mac, mac, OWN), true),
        ("an ARP probe", arp(mac, mac, NONE), true),
        ("ARP of another's address", arp(mac, mac, OTHER), false),
        ("ARP of another's MAC", arp(mac, STRANGER, OWN), false),
        ("ARP by another MAC", arp(STRANGER, STRANGER, OWN), false),
        ("IPv4 of its own", udp(mac, OWN, (1, 2)), true),
        ("DHCP", udp(mac, NONE, (68, 67)), true),
        ("IPv4 of another", udp(mac, OTHER, (1, 2)), false),
        ("IPv4 of nobody", udp(mac, NONE, (1, 2)), false),
        ("a DHCP answer", udp(mac, OTHER, (67, 68)), false),
        ("IPv4 of its own by another MAC", udp(STRANGER, OWN, (1, 2)), false),
        ("IPv6 of its own", udp6(mac, OWN6), true),
        ("IPv6 link-local", udp6(mac, local), true),
        ("IPv6 of another", udp6(mac, OTHER6), false),
        ("IPv6 of nobody", udp6(mac, any), false),
        ("duplicate address detection", neighbour(mac, any, SOLICITATION, OWN6), true),
        ("a solicitation", neighbour(mac, local, SOLICITATION, OTHER6), true),
        ("its own advertisement", neighbour(mac, OWN6, ADVERTISEMENT, OWN6), true),
        ("its link-local advertisement", neighbour(mac, local, ADVERTISEMENT, local), true),
        ("another's advertisement", neighbour(mac, OWN6, ADVERTISEMENT, OTHER6), false),
        ("another's, from link-local", neighbour(mac, local, ADVERTISEMENT, OTHER6), false),
        ("another's, from nobody", neighbour(mac, any, ADVERTISEMENT, OTHER6), false),
        ("any other ethertype", probe(mac), false),
        ("a group's source", probe([0x03, 0, 0, 0, 0, 1]), false),
        ("no source", probe([0; 6]), false),
        ("its own IPv4, tagged", q(udp(mac, OWN, (1, 2))), false),
        ("another's ARP, tagged", q(arp(mac, mac, OTHER)), false),
        ("another's ARP, with an 802.1ad tag", ad(arp(mac, mac, OTHER)), false),
        ("another's ARP, tagged twice", ad(q(arp(mac, mac, OTHER))), false),
        ("with a tag of priority only", arp(mac, mac, OTHER).tagged(Tag::dot1q(0, 7)), false),
    ];
    for (name, frame, passes) in &cases {
        let to: &[&str] = if *passes { &["s2h1"] } else { &[] };
        let heard = lab.expect("s1h1", frame, to);
        assert!(heard.is_ok(), "{name}: {heard:?}");
    }

    // With MACs only, these may say anything.
    let second = lab.host("s1h2")?.mac();
    let text = second.map(|byte| format!("{byte:02x}")).join(":");
    allow("s1h2", &json!({"mac": [&text], "enforce": true}))?;
    let cases = [
        ("any ethertype", probe(second), true),
        ("any address", arp(second, STRANGER, OTHER), true),
        ("tagged", q(probe(second)), true),
        ("another MAC", probe(STRANGER), false),
        ("another MAC, tagged", ad(q(probe(STRANGER))), false),
        ("a group's source", probe([0x03, 0, 0, 0, 0, 1]), false),
        ("no source", probe([0; 6]), false),
    ];
    for (name, frame, passes) in &cases {
        let to: &[&str] = if *passes { &["s1h1", "s2h1"] } else { &[] };
        let heard = lab.expect("s1h2", frame, to);
        assert!(heard.is_ok(), "{name}: {heard:?}");
    }
    // Nobody else is learnt there, and nobody is moved by what was dropped.
    let hosts = controller.hosts()?;
    assert!(hosts.iter().all(|host| !host.mac.to_string().starts_with("02:99")), "{hosts:?}");
    // What it tried is noticed, once its switch is looked at.
    until("the operator to be told", Duration::from_secs(60), || {
        let said = controller.reasons_of_switch("s1")?;
        let metrics = controller.metrics()?;
        let both = said.contains("doesn't allow")
            && metrics.contains("isolane_frames_denied_total{switch=\"of:");
        Ok(if both { Look::Done(()) } else { Look::NotYet(format!("{said}\n{metrics}")) })
    })?;
    assert!(controller.log().contains("doesn't allow"), "{}", controller.log());
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}
