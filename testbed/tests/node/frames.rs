//! Frames pass between nodes, under the real controller.

use testbed::controller::Controller;
use testbed::rights::needs_ovs;

use super::world::{Machine, TWO, address, pings, pod, target, wait_for_ping};

#[test]
fn pods_on_two_nodes_reach_each_other_and_a_killed_side_changes_nothing() {
    if !needs_ovs("pods on two nodes reach each other") {
        return;
    }
    let (a, b) = Machine::two(1500);
    let _entered = a.namespace.enter().unwrap();
    let controller = Controller::start("10.0.0.1:0".parse().unwrap()).unwrap();
    let openflow = target(controller.openflow());
    let sides = [&a, &b].map(|it| it.keep(TWO, &["--openflow", &openflow]));
    controller.wait_for_switches(2).unwrap();
    controller.wait_for_links(1).unwrap();
    let names: Vec<String> = controller
        .switches()
        .unwrap()
        .iter()
        .filter_map(|it| Some(it.name.as_ref()?.to_string()))
        .collect();
    assert!(names.contains(&"a".to_owned()) && names.contains(&"b".to_owned()), "{names:?}");

    controller.create_network("blue").unwrap();
    controller.create_network("red").unwrap();
    let (ping, pong, other) = (pod("ping"), pod("pong"), pod("other"));
    for (machine, n, pod, network) in
        [(&a, 1, &ping, "blue"), (&b, 1, &pong, "blue"), (&b, 2, &other, "red")]
    {
        controller.attach(network, &machine.name, &format!("vhost{n}")).ok();
        machine.give(n, pod);
    }
    let ip = |last| [192, 168, 12, last].into();
    address(&ping, ip(1));
    address(&pong, ip(2));
    address(&other, ip(3));
    wait_for_ping(&ping, ip(2));
    assert!(!pings(&ping, ip(3)), "another network answers");

    // A full-size packet passes too: what VXLAN and the trunk's tag add fits into the underlay.
    let full = [
        "-q",
        "-n",
        "-M",
        "do",
        "-s",
        &(1446 - 28).to_string(),
        "-c",
        "3",
        "-W",
        "2",
        "192.168.12.2",
    ]
    .map(str::to_owned);
    ping.run("ping", full).unwrap();

    // A pod that gives itself an address of the nodes' network finds no node: the kernel gets a copy of each frame from
    // the userspace datapath, and must not answer.
    ping.ip("addr add 10.0.0.77/24 dev net1").unwrap();
    assert!(!pings(&ping, [10, 0, 0, 1].into()));
    let neighbours = ping.run("ip", ["neigh"]).unwrap();
    let found = neighbours.lines().any(|it| it.starts_with("10.0.0.") && it.contains("lladdr"));
    assert!(!found, "a node answers a pod: {neighbours}");

    let before = (a.state(), b.state());
    sides.into_iter().for_each(super::world::Running::kill);
    assert!(pings(&pong, ip(1)));
    for machine in [&a, &b] {
        machine.once(TWO, &["--openflow", &openflow]);
    }
    assert_eq!((a.state(), b.state()), before);
    assert!(pings(&pong, ip(1)));
}

/// The same over tunnels of Open vSwitch, which carry networks as keys. In userspace they need the underlay's address on a
/// bridge, and its own device in that.
#[test]
fn pods_reach_each_other_over_tunnels_of_open_vswitch() {
    if !needs_ovs("pods reach each other over tunnels of Open vSwitch") {
        return;
    }
    let (a, b) = Machine::two(1700);
    for (machine, address) in [(&a, "10.0.0.1"), (&b, "10.0.0.2")] {
        machine.namespace.ip("addr flush dev eth0").unwrap();
        let bridge =
            ["--", "add-br", "underlay", "--", "set", "bridge", "underlay", "datapath_type=netdev"];
        machine.ovs.vsctl(bridge).unwrap();
        machine.ovs.vsctl(["--", "add-port", "underlay", "eth0"]).unwrap();
        machine
            .namespace
            .ip(&format!("link set underlay up mtu 1700\naddr add {address}/24 dev underlay"))
            .unwrap();
    }
    let _entered = a.namespace.enter().unwrap();
    let controller = Controller::start("10.0.0.1:0".parse().unwrap()).unwrap();
    let openflow = target(controller.openflow());
    let rest = format!("http://{}", controller.rest().address());
    let ovs = format!("{TWO}tunnel: ovs-vxlan\n");
    let _sides = [
        a.keep(&ovs, &["--openflow", &openflow, "--controller", &rest]),
        b.keep(&ovs, &["--openflow", &openflow]),
    ];
    controller.wait_for_switches(2).unwrap();
    controller.wait_for_links(1).unwrap();
    controller.create_network("blue").unwrap();
    let (ping, pong) = (pod("ping"), pod("pong"));
    for (machine, pod, last) in [(&a, &ping, 1), (&b, &pong, 2)] {
        controller.attach("blue", &machine.name, "vhost1").ok();
        machine.give(1, pod);
        address(pod, [192, 168, 12, last].into());
    }
    wait_for_ping(&ping, [192, 168, 12, 2].into());
    assert!(!controller.links().unwrap().is_empty());
}

#[test]
fn tunnels_of_open_vswitch_are_declared_with_their_kind_and_taken_back() {
    if !needs_ovs("tunnels of Open vSwitch are declared") {
        return;
    }
    let a = Machine::alone("a", "10.0.0.1", 1500);
    let _entered = a.namespace.enter().unwrap();
    let controller = Controller::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let (openflow, rest) =
        (target(controller.openflow()), format!("http://{}", controller.rest().address()));
    let args = ["--openflow", openflow.as_str(), "--controller", rest.as_str()];
    let ovs = format!(
        "{TWO}tunnel: ovs-vxlan
switches: [{{dpid: 0xaa, name: tor-1}}]
declared_links: [{{a: {{switch: b, port: eth1}}, b: {{switch: 0xaa, port: 49}}}}]
"
    );
    let links = || {
        let all = controller.links().unwrap();
        let mut all: Vec<String> =
            all.iter().map(|it| format!("{} {} {}", it.a, it.b, it.encap)).collect();
        all.sort();
        all
    };
    let side = a.keep(&ovs, &args);
    controller.wait_for_switches(1).unwrap();
    a.wait("links to be declared", |_| links().len() == 2);
    assert!(links().contains(&"a/vxlan1 b/vxlan1 tun_id".to_owned()), "{:?}", links());
    assert_eq!(a.get("Interface", "vxlan1", "type"), "vxlan");
    assert_eq!(
        a.get("Interface", "vxlan1", "options"),
        "{key=flow, local_ip=\"10.0.0.1\", remote_ip=\"10.0.0.2\"}"
    );
    assert_eq!(a.get("Interface", "vxlan1", "error"), "[]");
    // A declaration that somebody took back by hand comes again with the next document; one that leaves the
    // document goes.
    let fewer =
        ovs.lines().filter(|it| !it.starts_with("declared_links")).collect::<Vec<_>>().join("\n");
    a.rewrite(&fewer);
    a.wait("the other link to go", |_| links().len() == 1);
    assert_eq!(links(), ["a/vxlan1 b/vxlan1 tun_id"]);
    a.rewrite(TWO);
    a.wait("the tunnel's link to go", |_| links().is_empty());
    // Ports of networks, in the same document; what was attached otherwise stays.
    controller.create_network("blue").unwrap();
    controller.attach("blue", "a", "vhost2").ok();
    let ports = || {
        let all = controller.rest().get("/api/v1/networks/blue/ports").unwrap();
        let name =
            |it: &serde_json::Value| format!("{} {}", it["switch"], it["port"]).replace('"', "");
        all.body["items"].as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    a.rewrite(&format!("{TWO}ports: [{{network: blue, switch: 0xaa, port: 7}}]\n"));
    a.wait("the port to be attached", |_| ports().len() == 2);
    a.rewrite(&format!("{TWO}ports: []\n"));
    a.wait("the port to be detached", |_| ports().len() == 1);
    assert_eq!(ports(), ["a vhost2"]);
    a.rewrite(&ovs);
    a.wait("links to be declared again", |_| links().len() == 2);
    side.stop();
    a.try_node(&["--remove", "--controller", &rest]);
    assert_eq!(links().len(), 1, "only what ends at this node goes with it: {:?}", links());
    assert_eq!(a.ovs.vsctl(["list-br"]).unwrap(), "");
}
