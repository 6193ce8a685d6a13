use super::*;
use crate::node::desired::{Surroundings, desired};
use crate::node::facts::{Bridge, Kind, Link, Ovs, Port};
use crate::node::names::{self, GROUP};
use crate::node::overlay::Overlay;
use crate::node::plan::{Change, OvsStep, Readiness};

const TWO: &str = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]\nlinks: [[a, b]]\ninterfaces: 1\n";

fn want(text: &str) -> Desired {
    let overlay = Overlay::parse(text.as_bytes()).unwrap();
    let around =
        Surroundings { underlay_mtu: Some(1500), controllers: vec!["tcp:10.0.0.9:6653".into()] };
    desired(&overlay, "a", &around).unwrap()
}

fn link(index: u32, name: &str, kind: Kind) -> Link {
    Link {
        index,
        name: name.into(),
        kind,
        up: false,
        odd_flags: false,
        host_hears: false,
        mtu: 1446,
        mac: vec![2, 0, 0, 0, 0, 1],
        alias: String::new(),
        group: 0,
        master: None,
    }
}

fn veth(peer: u32, elsewhere: bool) -> Kind {
    Kind::Veth { peer, elsewhere }
}

/// What a perfect kernel and Open vSwitch make of a plan.
fn carry_out(facts: &mut Facts, plan: &Plan) {
    let mut next = 1 + facts.links.iter().map(|it| it.index).max().unwrap_or(0);
    for step in plan.links.iter().chain(&plan.unlinks) {
        match step {
            LinkStep::AddPair { host, pod, mac, mtu } => {
                let mut host = link(next, host, veth(next + 1, false));
                (host.group, host.mtu, host.up) = (GROUP, *mtu, true);
                let mut pod = link(next + 1, pod, veth(next, false));
                (pod.group, pod.mtu, pod.mac) = (GROUP, *mtu, mac.to_vec());
                facts.links.extend([host, pod]);
                next += 2;
            }
            LinkStep::AddVxlan { name, vni, udp_port, remote, mtu } => {
                let (vni, udp_port, remote) = (*vni, *udp_port, Some(*remote));
                let mut it = link(next, name, Kind::Vxlan { vni, udp_port, remote });
                (it.group, it.mtu, it.up) = (GROUP, *mtu, true);
                facts.links.push(it);
                next += 1;
            }
            LinkStep::Change { index, change, .. } => {
                let it = facts.links.iter_mut().find(|it| it.index == *index).unwrap();
                match change {
                    Change::Up(up) => it.up = *up,
                    Change::Mtu(mtu) => it.mtu = *mtu,
                    Change::Mac(mac) => it.mac = mac.to_vec(),
                    Change::PlainFlags => it.odd_flags = false,
                    Change::Deaf => it.host_hears = false,
                    Change::Alias(alias) => it.alias.clone_from(alias),
                    Change::Remote(to) => {
                        let Kind::Vxlan { remote, .. } = &mut it.kind else { panic!("{it:?}") };
                        *remote = Some(*to);
                    }
                }
            }
            LinkStep::Delete { index, .. } => {
                facts.links.retain(|it| {
                    it.index != *index
                        && !matches!(it.kind, Kind::Veth { peer, .. } if peer == *index)
                });
            }
        }
    }
    let Some(ovs) = &mut facts.ovs else { return };
    for step in &plan.ovs {
        match step {
            OvsStep::AddBridge(name) => {
                let mut bridge = Bridge::default();
                bridge.external_ids.insert("isolane".into(), "made".into());
                ovs.bridges.insert(name.clone(), bridge);
            }
            OvsStep::DeleteBridge(name) => drop(ovs.bridges.remove(name)),
            OvsStep::SetBridge { bridge, column, value } => {
                let bridge = ovs.bridges.get_mut(bridge).unwrap();
                match column.as_str() {
                    "datapath_type" => bridge.datapath_type.clone_from(value),
                    "protocols" => bridge.protocols = [value.clone()].into(),
                    "fail_mode" => bridge.fail_mode.clone_from(value),
                    column => {
                        let key = column.strip_prefix("other_config:").unwrap();
                        bridge.other_config.insert(key.into(), value.clone());
                    }
                }
            }
            OvsStep::SetControllers { bridge, targets } => {
                let record = |(at, target): (usize, &String)| crate::node::facts::Controller {
                    uuid: format!("c{at}"),
                    target: target.clone(),
                    connection_mode: "out-of-band".into(),
                    max_backoff: Some(MAX_BACKOFF),
                    external_ids: [("isolane".into(), "made".into())].into(),
                };
                ovs.bridges.get_mut(bridge).unwrap().controllers =
                    targets.iter().enumerate().map(record).collect();
            }
            OvsStep::Retarget { uuid, target } => {
                let all = ovs.bridges.values_mut().flat_map(|it| &mut it.controllers);
                all.filter(|it| it.uuid == *uuid).for_each(|it| it.target.clone_from(target));
            }
            OvsStep::TuneController { uuid } => {
                let all = ovs.bridges.values_mut().flat_map(|it| &mut it.controllers);
                all.filter(|it| it.uuid == *uuid).for_each(|it| {
                    it.connection_mode = "out-of-band".into();
                    it.max_backoff = Some(MAX_BACKOFF);
                });
            }
            OvsStep::DropNote(bridge) => {
                ovs.bridges.get_mut(bridge).unwrap().external_ids.remove("isolane-links").unwrap();
            }
            OvsStep::DeleteControllers(bridge) => {
                ovs.bridges.get_mut(bridge).unwrap().controllers.clear();
            }
            OvsStep::AddPort { bridge, port, tunnel } => {
                let made = Port {
                    kind: if tunnel.is_some() { "vxlan".into() } else { String::new() },
                    options: tunnel.clone().unwrap_or_default(),
                    external_ids: [("isolane".into(), "made".into())].into(),
                    number: Some(1),
                    error: String::new(),
                };
                let before = ovs.bridges.get_mut(bridge).unwrap().ports.insert(port.clone(), made);
                assert_eq!(before, None, "{port} was there already");
            }
            OvsStep::SetOptions { port, options } => {
                let mut ports = ovs.bridges.values_mut().filter_map(|it| it.ports.get_mut(port));
                ports.next().unwrap().options.clone_from(options);
            }
            OvsStep::DeletePort { bridge, port } => {
                ovs.bridges.get_mut(bridge).unwrap().ports.remove(port).unwrap();
            }
        }
    }
}

fn fresh() -> Facts {
    let datapath_types = ["netdev".to_owned(), "system".to_owned()].into();
    Facts { ovs: Some(Ovs { datapath_types, ..Ovs::default() }), ..Facts::default() }
}

/// Carries plans out until nothing is left to do; all steps, one a line.
fn settle(facts: &mut Facts, want: &Desired) -> String {
    let mut steps = String::new();
    for _ in 0..5 {
        let plan = diff(facts, want);
        if plan.is_empty() {
            assert_eq!(plan.problems, Vec::<String>::new());
            return steps;
        }
        let said = plan.to_string();
        steps.extend(said.lines().filter(|it| !it.starts_with('!')).map(|it| format!("{it}\n")));
        carry_out(facts, &plan);
    }
    panic!("no end: {steps}");
}

#[test]
fn an_empty_node_gets_everything_once() {
    let mut facts = fresh();
    let want = want(TWO);
    let steps = settle(&mut facts, &want);
    let dpid = format!("{:016x}", names::dpid("a").0);
    assert_eq!(
        steps,
        format!(
            "make vhost1 and vpod1, MTU 1446
make vxlan1 to 10.0.0.2, VNI 1961, UDP port 4789, MTU 1446
make bridge brtun
brtun: protocols=OpenFlow13
brtun: fail_mode=secure
brtun: other_config:datapath-id={dpid}
brtun: other_config:dp-desc=a
brtun: controller tcp:10.0.0.9:6653
brtun: add vhost1
brtun: add vxlan1
"
        )
    );
    let plan = diff(&facts, &want);
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(plan.pool["vhost1"], Readiness::Ready);
}

#[test]
fn removal_takes_all_that_was_made_and_nothing_else() {
    let mut facts = fresh();
    facts.links.push(link(1, "eth0", Kind::Other));
    facts.links.push(link(2, "vxlan7", Kind::Vxlan { vni: 7, udp_port: 1, remote: None }));
    let other = Bridge { ports: [("eth5".into(), Port::default())].into(), ..Bridge::default() };
    facts.ovs.as_mut().unwrap().bridges.insert("br-ex".into(), other);
    let before = facts.clone();
    settle(&mut facts, &want(TWO));
    let plan = removal(&facts);
    carry_out(&mut facts, &plan);
    assert_eq!(facts, before);
    assert!(removal(&facts).is_empty());
}

#[test]
fn an_interface_inside_a_pod_is_not_made_anew_and_not_given_out() {
    let mut facts = fresh();
    let want = want(TWO);
    settle(&mut facts, &want);
    facts.links.retain(|it| it.name != "vpod1");
    let host = facts.links.iter_mut().find(|it| it.name == "vhost1").unwrap();
    host.kind = veth(7, true);
    let plan = diff(&facts, &want);
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(plan.pool["vhost1"], Readiness::Not("is inside a pod".into()));
}

#[test]
fn a_returned_interface_is_reset_before_it_is_given_out() {
    let mut facts = fresh();
    let want = want(TWO);
    settle(&mut facts, &want);
    let home = facts.clone();
    let pod = facts.links.iter_mut().find(|it| it.name == "vpod1").unwrap();
    (pod.up, pod.odd_flags, pod.mtu, pod.mac) = (true, true, 9000, vec![2; 6]);
    let plan = diff(&facts, &want);
    assert_eq!(plan.pool["vhost1"], Readiness::Not("is being reset".into()));
    let mac = crate::node::plan::mac_text(&names::pod_mac("a", 1));
    let steps =
        format!("vpod1: down\nvpod1: flags as they were\nvpod1: MTU 1446\nvpod1: MAC {mac}\n");
    assert_eq!(plan.to_string(), steps);
    carry_out(&mut facts, &plan);
    assert_eq!(facts, home);
    assert_eq!(diff(&facts, &want).pool["vhost1"], Readiness::Ready);
}

/// As L2S-M's script leaves a node: nothing of ours on anything, MTU 1450, tunnels of 1500.
fn l2sm() -> Facts {
    let mut facts = fresh();
    for (at, name, kind, mtu) in [
        (1, "vhost1", veth(2, false), 1450),
        (2, "vpod1", veth(1, false), 1450),
        (
            3,
            "vxlan1",
            Kind::Vxlan { vni: 1961, udp_port: 4789, remote: Some([10, 0, 0, 2].into()) },
            1500,
        ),
        (4, "vxlan2", Kind::Vxlan { vni: 1962, udp_port: 4789, remote: None }, 1500),
    ] {
        let mut it = link(at, name, kind);
        (it.mtu, it.up) = (mtu, true);
        facts.links.push(it);
    }
    facts
}

#[test]
fn the_host_listens_at_no_port_of_the_bridge() {
    let mut facts = l2sm();
    facts.links.iter_mut().for_each(|it| it.host_hears = true);
    let steps = settle(&mut facts, &want(TWO));
    assert!(steps.contains("vhost1: the host doesn't listen\n"), "{steps}");
    assert!(steps.contains("vxlan1: the host doesn't listen\n"), "{steps}");
    assert!(!steps.contains("vxlan2: "), "{steps}");
}

#[test]
fn devices_of_l2sm_are_taken_over_as_they_are_and_given_back() {
    let mut facts = l2sm();
    let want = want(TWO);
    let before = facts.clone();
    let steps = settle(&mut facts, &want);
    let on_devices: Vec<&str> =
        steps.lines().filter(|it| !it.starts_with("brtun") && !it.contains("bridge")).collect();
    assert_eq!(
        on_devices,
        ["vpod1: down", "vhost1: alias \"isolane: taken over; vpod1 had 02:00:00:00:00:01\""]
    );
    // A pod comes and goes, and leaves its MAC address.
    facts.links[1].mac = vec![2, 9, 9, 9, 9, 9];
    settle(&mut facts, &want);
    assert_eq!(facts.links[1].mac, before.links[1].mac);
    let plan = removal(&facts);
    carry_out(&mut facts, &plan);
    facts.links[1].up = true;
    assert_eq!(facts, before);
}

#[test]
fn a_tunnel_of_l2sm_without_a_peer_gets_the_documents() {
    let mut facts = l2sm();
    let text = TWO.replace("10.0.0.2", "10.0.0.3");
    let plan = diff(&facts, &want(&text));
    assert!(plan.to_string().contains("vxlan1: to 10.0.0.3\n"), "{plan}");
    carry_out(&mut facts, &plan);
    assert_eq!(facts.link("vxlan1").unwrap().index, 3);
}

#[test]
fn what_stays_in_the_document_is_not_touched_by_what_changes() {
    let text = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}, {name: c, address: 10.0.0.3}]
links: [[a, b], [a, c]]
interfaces: 2
";
    let mut facts = fresh();
    settle(&mut facts, &want(text));
    let fewer = want(&text.replace(", [a, c]", "").replace("interfaces: 2", "interfaces: 1"));
    assert_eq!(
        settle(&mut facts, &fewer),
        "brtun: remove vhost2\nbrtun: remove vxlan2\nremove vhost2\nremove vxlan2\n"
    );
    let steps = settle(&mut facts, &want(text));
    assert_eq!(
        steps,
        "make vhost2 and vpod2, MTU 1446\nmake vxlan2 to 10.0.0.3, VNI 1962, UDP port 4789, MTU 1446\n\
         brtun: add vhost2\nbrtun: add vxlan2\n"
    );
    let steps = settle(&mut facts, &want(&text.replace("10.0.0.3", "10.0.0.4")));
    assert_eq!(steps, "vxlan2: to 10.0.0.4\n");
    let steps = settle(&mut facts, &want(&format!("{text}udp_port: 4790\n")));
    assert!(steps.starts_with("remove vxlan1\nmake vxlan1"), "{steps}");
    let steps = settle(&mut facts, &want(&format!("{text}bridge: br-isolane\n")));
    assert!(steps.contains("remove bridge brtun\nmake bridge br-isolane"), "{steps}");
}

#[test]
fn an_interface_beyond_the_number_stays_until_its_pod_has_ended() {
    let text = TWO.replace("interfaces: 1", "interfaces: 2");
    let mut facts = fresh();
    settle(&mut facts, &want(&text));
    let home = facts.clone();
    facts.links.retain(|it| it.name != "vpod2");
    facts.links.iter_mut().find(|it| it.name == "vhost2").unwrap().kind = veth(7, true);
    let plan = diff(&facts, &want(TWO));
    assert!(plan.is_empty() && plan.problems[0].contains("vpod2"), "{plan}");
    assert!(matches!(plan.pool["vhost2"], Readiness::Not(_)));
    facts = home;
    assert_eq!(settle(&mut facts, &want(TWO)), "brtun: remove vhost2\nremove vhost2\n");
}

#[test]
fn tunnels_change_their_kind() {
    let mut facts = fresh();
    settle(&mut facts, &want(TWO));
    let ovs = want(&format!("{TWO}tunnel: ovs-vxlan\n"));
    assert_eq!(
        settle(&mut facts, &ovs),
        "brtun: remove vxlan1\nbrtun: add tunnel vxlan1 key=flow local_ip=10.0.0.1 remote_ip=10.0.0.2\nremove vxlan1\n"
    );
    let moved = want(&format!("{}tunnel: ovs-vxlan\n", TWO.replace("10.0.0.2", "10.0.0.3")));
    assert_eq!(
        settle(&mut facts, &moved),
        "vxlan1: key=flow local_ip=10.0.0.1 remote_ip=10.0.0.3\n"
    );
    let steps = settle(&mut facts, &want(TWO));
    assert!(steps.contains("brtun: remove vxlan1\nbrtun: add vxlan1\n"), "{steps}");
}

#[test]
fn a_new_bridge_has_the_datapath_that_open_vswitch_has() {
    let mut facts = fresh();
    facts.ovs.as_mut().unwrap().datapath_types = ["netdev".to_owned()].into();
    assert!(settle(&mut facts, &want(TWO)).contains("brtun: datapath_type=netdev\n"));
}

#[test]
fn a_moved_controller_keeps_the_record_and_so_the_flows() {
    let mut facts = fresh();
    settle(&mut facts, &want(TWO));
    let mut other = want(TWO);
    other.bridge.controllers = vec!["tcp:10.0.0.8:6653".into()];
    assert_eq!(settle(&mut facts, &other), "controller tcp:10.0.0.8:6653\n");
    other.bridge.controllers.clear();
    assert_eq!(settle(&mut facts, &other), "");
}

#[test]
fn what_is_in_the_way_is_named_and_left_alone() {
    let vxlan = |vni| Kind::Vxlan { vni, udp_port: 4789, remote: None };
    let cases = [
        (vec![link(1, "vhost1", Kind::Other)], "vpod1: there is a device vhost1 of another kind"),
        (vec![link(1, "vpod1", Kind::Other)], "vpod1: there is a device vpod1 of another kind"),
        (vec![link(1, "vpod1", veth(9, true))], "vpod1: vhost1 is in another network namespace"),
        (
            vec![link(1, "vpod1", veth(2, false)), link(2, "x", veth(1, false))],
            "vpod1: its other end is not vhost1 but x",
        ),
        (
            vec![link(1, "vhost1", veth(2, false)), link(2, "net1", veth(1, false))],
            "vpod1: is called net1 here",
        ),
        (
            vec![
                link(1, "vhost1", veth(2, true)),
                link(2, "vpod1", veth(3, false)),
                link(3, "x", veth(2, false)),
            ],
            "vpod1: is not the other end of vhost1",
        ),
        (
            vec![link(1, "vxlan1", vxlan(7))],
            "vxlan1: there is a device of this name that is not VXLAN with VNI 1961",
        ),
        (
            vec![link(1, "flannel", vxlan(1961))],
            "vxlan1: VNI 1961 on UDP port 4789 is in use by flannel",
        ),
    ];
    for (links, problem) in cases {
        let mut facts = Facts { links: links.clone(), ..fresh() };
        for _ in 0..3 {
            let plan = diff(&facts, &want(TWO));
            carry_out(&mut facts, &plan);
        }
        let plan = diff(&facts, &want(TWO));
        assert!(plan.problems.iter().any(|it| it.starts_with(problem)), "{problem}: {plan}");
        let blamed = plan.problems[0].split(':').next().unwrap().replace("vpod", "vhost");
        let ports = &facts.ovs.as_ref().unwrap().bridges["brtun"].ports;
        if blamed == "vxlan1" {
            assert!(!ports.contains_key("vxlan1"), "{problem}");
        } else {
            assert!(matches!(plan.pool["vhost1"], Readiness::Not(_)), "{problem}");
        }
        for link in &links {
            assert_eq!(facts.at(link.index).map(|it| &it.name), Some(&link.name), "{problem}");
        }
    }
}

#[test]
fn ports_in_other_bridges_and_ports_that_fail_are_named() {
    let mut facts = fresh();
    settle(&mut facts, &want(TWO));
    let ovs = facts.ovs.as_mut().unwrap();
    let port = ovs.bridges.get_mut("brtun").unwrap().ports.get_mut("vhost1").unwrap();
    (port.number, port.error) = (Some(-1), "could not open network device vhost1".into());
    let plan = diff(&facts, &want(TWO));
    assert!(plan.is_empty() && plan.problems[0].contains("could not open"), "{plan}");
    assert!(matches!(plan.pool["vhost1"], Readiness::Not(_)));
    let ovs = facts.ovs.as_mut().unwrap();
    let mut port = ovs.bridges.get_mut("brtun").unwrap().ports.remove("vhost1").unwrap();
    port.external_ids.clear();
    let other = Bridge { ports: [("vhost1".into(), port)].into(), ..Bridge::default() };
    ovs.bridges.insert("br-ex".into(), other);
    let plan = diff(&facts, &want(TWO));
    assert!(plan.is_empty() && plan.problems[0].contains("is a port of bridge br-ex"), "{plan}");
}

#[test]
fn without_open_vswitch_devices_are_made_and_nothing_is_given_out() {
    let mut facts = Facts { ovs_trouble: "no socket".into(), ..Facts::default() };
    let want = want(TWO);
    let plan = diff(&facts, &want);
    carry_out(&mut facts, &plan);
    let plan = diff(&facts, &want);
    assert!(
        plan.is_empty() && plan.problems[0].starts_with("Open vSwitch doesn't answer: no socket"),
        "{plan}"
    );
    assert!(matches!(plan.pool["vhost1"], Readiness::Not(_)));
}
