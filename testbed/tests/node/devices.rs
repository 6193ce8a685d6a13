//! Devices, bridge and ports: made once, kept, changed, taken over, taken away.

use testbed::rights::needs_ovs;

use super::world::{Machine, TWO, pod};

#[test]
fn a_node_gets_what_the_document_says_and_a_second_time_nothing_changes() {
    if !needs_ovs("a node gets what the document says") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    a.once(TWO, &["--openflow", "tcp:127.0.0.1:1"]);
    for name in ["vpod1", "vhost1", "vpod2", "vhost2", "vxlan1"] {
        assert_eq!(a.link(name)["mtu"], 1446, "{name}: {}", a.state());
    }
    let vxlan = &a.link("vxlan1")["linkinfo"]["info_data"];
    assert_eq!(
        (&vxlan["id"], &vxlan["port"], &vxlan["remote"]),
        (&1961.into(), &4789.into(), &"10.0.0.2".into())
    );
    assert_eq!(a.ports(), ["vhost1", "vhost2", "vxlan1"]);
    // printf %s a | sha256sum
    assert_eq!(a.get("Bridge", "brtun", "other_config:datapath-id"), "ca978112ca1bbdca");
    assert_eq!(a.get("Bridge", "brtun", "datapath_id"), "ca978112ca1bbdca");
    assert_eq!(a.get("Bridge", "brtun", "other_config:dp-desc"), "a");
    assert_eq!(a.get("Bridge", "brtun", "fail_mode"), "secure");
    assert_eq!(a.get("Bridge", "brtun", "protocols"), "[OpenFlow13]");
    assert_eq!(a.get("Controller", "brtun", "target"), "tcp:127.0.0.1:1");
    let before = a.state();
    let said = a.once(TWO, &["--openflow", "tcp:127.0.0.1:1"]);
    assert_eq!(a.state(), before);
    assert!(!said.contains("make") && !said.contains("brtun:"), "{said}");
    // Without --openflow, whatever is set stays.
    a.once(TWO, &[]);
    assert_eq!(a.state(), before);
}

#[test]
fn the_underlays_mtu_decides_and_is_followed() {
    if !needs_ovs("the underlay's MTU decides") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 9000);
    a.once(TWO, &[]);
    assert_eq!((&a.link("vxlan1")["mtu"], &a.link("vpod2")["mtu"]), (&8946.into(), &8946.into()));
    a.namespace.ip("link set eth0 mtu 1600").unwrap();
    a.once(TWO, &[]);
    assert_eq!((&a.link("vxlan1")["mtu"], &a.link("vhost2")["mtu"]), (&1546.into(), &1546.into()));
    a.once(&format!("{TWO}mtu: 1400\n"), &[]);
    assert_eq!((&a.link("vxlan1")["mtu"], &a.link("vpod1")["mtu"]), (&1400.into(), &1400.into()));
}

#[test]
fn over_ipv6_there_is_less_room() {
    if !needs_ovs("over IPv6 there is less room") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let enable = || {
        ["all", "default", "eth0"].iter().try_for_each(|it| {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{it}/disable_ipv6"), "0")
        })
    };
    if a.namespace.inside(enable).unwrap().is_err() {
        eprintln!("SKIPPED: over IPv6 there is less room: this kernel has no IPv6");
        return;
    }
    a.namespace.ip("addr add fd00::1/64 dev eth0 nodad").unwrap();
    a.once(&TWO.replace("10.0.0.1", "'fd00::1'").replace("10.0.0.2", "'fd00::2'"), &[]);
    assert_eq!((&a.link("vxlan1")["mtu"], &a.link("vpod1")["mtu"]), (&1426.into(), &1426.into()));
    assert_eq!(a.link("vxlan1")["linkinfo"]["info_data"]["remote6"], "fd00::2");
    let before = a.state();
    a.once(&TWO.replace("10.0.0.1", "'fd00::1'").replace("10.0.0.2", "'fd00::2'"), &[]);
    assert_eq!(a.state(), before);
    // The kernel itself doesn't speak on devices of the bridge.
    let addresses = a.namespace.run("ip", ["-6", "-o", "addr"]).unwrap();
    assert!(!addresses.contains("vhost") && !addresses.contains("vxlan"), "{addresses}");
}

#[test]
fn a_change_touches_only_what_changes() {
    if !needs_ovs("a change touches only what changes") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let three = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}, {name: c, address: 10.0.0.3}]
topology: full-mesh
interfaces: 3
";
    a.once(three, &[]);
    let index = |name: &str| a.index(name);
    let (pod1, host1, vxlan1, vxlan2) =
        (index("vpod1"), index("vhost1"), index("vxlan1"), index("vxlan2"));
    assert_eq!(a.ports(), ["vhost1", "vhost2", "vhost3", "vxlan1", "vxlan2"]);
    let number = a.get("Interface", "vhost1", "ofport");

    a.once(TWO, &[]);
    assert_eq!(a.ports(), ["vhost1", "vhost2", "vxlan1"]);
    assert_eq!((index("vpod3"), index("vxlan2")), (None, None));
    // Another peer: the device stays.
    a.once(&TWO.replace("10.0.0.2", "10.0.0.9"), &[]);
    assert_eq!(a.link("vxlan1")["linkinfo"]["info_data"]["remote"], "10.0.0.9");
    a.once(three, &[]);
    assert_ne!(index("vxlan2"), vxlan2);
    assert_eq!((index("vpod1"), index("vhost1"), index("vxlan1")), (pod1, host1, vxlan1));
    assert_eq!(a.get("Interface", "vhost1", "ofport"), number);
}

#[test]
fn remove_takes_away_what_was_made_and_nothing_else() {
    if !needs_ovs("remove takes away what was made") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    a.namespace
        .ip("link add vxlan9 type vxlan id 9 dstport 4789\nlink add veth1 type veth peer name vhostess")
        .unwrap();
    a.ovs
        .vsctl(["--", "add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev"])
        .unwrap();
    let before = a.state();
    a.once(TWO, &["--openflow", "tcp:127.0.0.1:1"]);
    assert_ne!(a.state(), before);
    a.node(&["--remove"]);
    assert_eq!(a.state(), before);
    a.node(&["--remove"]);
    assert_eq!(a.state(), before);
}

#[test]
fn devices_of_l2sm_are_taken_over_even_while_pods_use_them() {
    if !needs_ovs("devices of L2S-M are taken over") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    a.namespace
        .ip("link add vpod1 mtu 1450 type veth peer name vhost1 mtu 1450\n\
             link add vpod2 mtu 1450 type veth peer name vhost2 mtu 1450\n\
             link add vxlan1 type vxlan id 1961 dstport 4789 remote 10.0.0.2\n\
             link add vxlan2 type vxlan id 1962 dstport 4789\n\
             link set vhost1 up\nlink set vhost2 up\nlink set vxlan1 up")
        .unwrap();
    let pod = pod("pod");
    a.give(2, &pod);
    let before = a.links();
    a.once(TWO, &[]);
    assert_eq!(a.ports(), ["vhost1", "vhost2", "vxlan1"]);
    let kept =
        |it: &serde_json::Value| (it["ifindex"].clone(), it["ifname"].clone(), it["mtu"].clone());
    let now: Vec<_> = a.links();
    for link in &before {
        assert!(now.iter().any(|it| kept(it) == kept(link)), "{link} is not as it was: {now:?}");
    }
    assert!(a.link("vpod2").is_null(), "made anew");
    // The pod gives it back, with its own MAC address and MTU; the other's MAC address is known.
    let own = a.link("vpod1")["address"].clone();
    a.namespace.ip("link set vpod1 address 02:00:00:00:00:99").unwrap();
    a.take_back(2, &pod);
    a.once(TWO, &[]);
    assert_eq!(a.link("vpod1")["address"], own);
    assert_eq!(a.link("vpod2")["mtu"], 1450);
    a.node(&["--remove"]);
    for link in &before {
        assert!(a.links().iter().any(|it| kept(it) == kept(link)), "{link} is gone");
    }
    assert!(a.links().iter().all(|it| it["ifalias"].is_null()), "{:?}", a.links());
}

#[test]
fn a_running_side_puts_right_what_others_change() {
    if !needs_ovs("a running side puts right what others change") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let side = a.keep(TWO, &["--openflow", "tcp:127.0.0.1:1"]);
    a.wait("all to be made", |a| a.log().contains("all is as the document says"));
    // The namespace of a pod that dies takes its pair along.
    let gone = pod("gone");
    a.give(1, &gone);
    drop(gone);
    let remade = |a: &Machine| {
        let index = |it: &str| a.get("Interface", it, "ifindex");
        a.ports() == ["vhost1", "vhost2", "vxlan1"]
            && a.index("vpod1").is_some()
            && a.index("vhost1").map(|it| it.to_string()) == Some(index("vhost1"))
    };
    a.wait("the pair to be made anew", remade);
    a.ovs
        .vsctl(["--", "del-port", "vhost2", "--", "set", "bridge", "brtun", "fail_mode=standalone"])
        .unwrap();
    a.namespace.ip("link del vxlan1\nlink set vhost2 down").unwrap();
    a.wait("everything to be put right", |a| {
        remade(a)
            && a.get("Bridge", "brtun", "fail_mode") == "secure"
            && !a.link("vxlan1").is_null()
            && a.link("vhost2")["flags"].to_string().contains("\"UP\"")
    });
    a.rewrite(&TWO.replace("interfaces: 2", "interfaces: 3"));
    a.wait("the new document to be in force", |a| a.ports().contains(&"vhost3".to_owned()));
    // A document that is wrong changes nothing, and says so.
    a.rewrite("nodes: 7\n");
    a.wait("the error to be said", |a| {
        a.log().contains("the document as it was before stays in force")
    });
    assert_eq!(a.ports(), ["vhost1", "vhost2", "vhost3", "vxlan1"]);
    let before = a.state();
    side.stop();
    assert_eq!(a.state(), before);
}

#[test]
fn open_vswitch_that_comes_late_gets_its_bridge() {
    if !needs_ovs("Open vSwitch that comes late") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    a.ovs.kill().unwrap();
    let _side = a.keep(TWO, &[]);
    a.wait("devices to be made", |a| !a.link("vxlan1").is_null());
    a.ovs.restart().unwrap();
    a.wait("ports to work", |a| {
        a.get("Interface", "vhost1", "ofport").parse::<u32>().is_ok() && a.ports().len() == 3
    });
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_nothing_is_touched() {
    if !needs_ovs("what is wrong is said") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let before = a.state();
    let cases = [
        (TWO.replace("10.0.0.2", "10.0.0"), "overlay.yaml: nodes[1].address"),
        (TWO.replace("[[a, b]]", "[[a, z]]"), "overlay.yaml: links[0][1]: z is not in nodes"),
        (
            TWO.replace("name: a", "name: x").replace("[[a, b]]", "[]"),
            "overlay.yaml: nodes: there is no a among x, b",
        ),
        (String::new(), "overlay.yaml: is empty"),
    ];
    for (text, want) in cases {
        let said = a.fails(&text, &[]);
        assert!(said.contains(want), "{text}: {said}");
    }
    assert_eq!(a.state(), before);
    let usage = a.try_node(&["--once"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    let usage = a.try_node(&["--once", "--overlay", "x", "--openflow", "10.0.0.1"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}

#[test]
fn a_port_towards_a_physical_switch_is_put_in_and_taken_out() {
    if !needs_ovs("a port towards a physical switch") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let text = TWO.replace("10.0.0.1}", "10.0.0.1, ports: [tor0]}");
    let said = a.fails(&text, &[]);
    assert!(said.contains("port tor0: there is no such device"), "{said}");
    a.namespace.ip("link add tor0 type veth peer name tor1").unwrap();
    a.once(&text, &[]);
    assert_eq!(a.ports(), ["tor0", "vhost1", "vhost2", "vxlan1"]);
    a.once(TWO, &[]);
    assert_eq!(a.ports(), ["vhost1", "vhost2", "vxlan1"]);
    assert!(!a.link("tor0").is_null());
}
