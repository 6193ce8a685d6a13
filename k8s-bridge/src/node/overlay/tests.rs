use super::*;

const THREE: &str = "\
nodes:
  - {name: a, address: 10.0.0.1}
  - {name: b, address: 10.0.0.2}
  - {name: c, address: 10.0.0.3}
";

fn error(text: &str) -> String {
    Overlay::parse(text.as_bytes()).unwrap_err().to_string()
}

fn ends(overlay: &Overlay, node: &str) -> Vec<(u32, String)> {
    let at = overlay.node(node).unwrap();
    overlay.tunnels_of(at).map(|(k, peer)| (k, peer.name.clone())).collect()
}

#[test]
fn links_count_from_one_in_the_documents_order() {
    let mesh = Overlay::parse(format!("{THREE}topology: full-mesh\n").as_bytes()).unwrap();
    assert_eq!(ends(&mesh, "a"), [(1, "b".into()), (2, "c".into())]);
    assert_eq!(ends(&mesh, "b"), [(1, "a".into()), (3, "c".into())]);
    assert_eq!(ends(&mesh, "c"), [(2, "a".into()), (3, "b".into())]);
    let chosen = Overlay::parse(format!("{THREE}links: [[c, b], [a, c]]\n").as_bytes()).unwrap();
    assert_eq!(ends(&chosen, "c"), [(1, "b".into()), (2, "a".into())]);
    assert_eq!(ends(&chosen, "a"), [(2, "c".into())]);
}

#[test]
fn what_is_not_said_is_as_in_l2sm() {
    let text = r#"{"nodes": [{"name": "a", "address": "10.0.0.1"}]}"#;
    let overlay = Overlay::parse(text.as_bytes()).unwrap();
    assert_eq!((overlay.interfaces, overlay.bridge.as_str()), (10, "brtun"));
    assert_eq!((overlay.tunnel, overlay.udp_port), (Tunnel::KernelVxlan, 4789));
    assert_eq!((overlay.links.len(), overlay.ports), (0, None));
}

#[test]
fn physical_switches_come_in_the_same_document() {
    let text = format!(
        "{THREE}links: []
switches: [{{dpid: 0xaa, name: tor-1, trunks: \"49\"}}]
declared_links:
  - {{a: {{switch: tor-1, port: 49}}, b: {{switch: b, port: eth1}}}}
  - {{a: {{switch: tor-1, port: 50}}, b: {{switch: 0xbb, port: 1}}, encap: tun_id}}
ports: [{{network: shop.blue, switch: tor-1, port: 7}}]
"
    );
    let overlay = Overlay::parse(text.as_bytes()).unwrap();
    assert_eq!(overlay.switches[0].dpid, Dpid(0xaa));
    assert_eq!(overlay.declared_links[0].a.to_string(), "tor-1/49");
    assert_eq!(overlay.declared_links[1].encap, Encap::TunId);
    assert_eq!(overlay.ports.unwrap().len(), 1);
}

#[test]
fn the_document_of_the_manifests_is_one() {
    let overlay = Overlay::parse(include_bytes!("../../../../deploy/overlay.yaml")).unwrap();
    assert_eq!((overlay.links.len(), overlay.interfaces), (1, 10));
}

#[test]
fn what_is_wrong_is_said_with_its_path() {
    let cases = [
        ("", "is empty"),
        ("nodes: []\n", "nodes: is empty"),
        ("links: []\n", "nodes"),
        ("nodes: [{name: a, address: 10.0.0}]\n", "nodes[0].address: "),
        ("nodes: [{name: a}]\n", "nodes[0]"),
        (
            "nodes: [{name: a, address: 0.0.0.0}]\n",
            "nodes[0].address: no tunnel can end at 0.0.0.0",
        ),
        ("nodes: [{name: '', address: 10.0.0.1}]\n", "nodes[0].name: is empty"),
        ("nodes: [{name: a, address: 10.0.0.1, colour: x}]\n", "colour"),
        (
            "nodes: [{name: a, address: 10.0.0.1}, {name: a, address: 10.0.0.2}]\nlinks: []\n",
            "nodes[1].name: a is nodes[0] already",
        ),
        (
            "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.1}]\nlinks: []\n",
            "nodes[1].address: 10.0.0.1 is the address of nodes[0]",
        ),
        ("nodes: [{name: a, address: 10.0.0.1, ports: [vhost1]}]\n", "nodes[0].ports[0]: vhost1"),
        (
            "nodes: [{name: a, address: 10.0.0.1}]\ninterfaces: 1001\n",
            "interfaces: 1001 are too many",
        ),
        ("nodes: [{name: a, address: 10.0.0.1}]\ninterfaces: -1\n", "interfaces: "),
        ("nodes: [{name: a, address: 10.0.0.1}]\nbridge: a/b\n", "bridge: \"a/b\""),
        ("nodes: [{name: a, address: 10.0.0.1}]\ntunnel: gre\n", "tunnel: "),
        ("nodes: [{name: a, address: 10.0.0.1}]\nmtu: 20\n", "mtu: 20"),
    ];
    for (text, want) in cases {
        assert!(error(text).contains(want), "{text:?}: {}", error(text));
    }
    let of_three = [
        ("", "says nothing of how nodes are joined"),
        ("links: [[a, b]]\ntopology: full-mesh\n", "topology: is said besides links"),
        ("topology: ring\n", "topology: "),
        ("links: [[a, b], [a, d]]\n", "links[1][1]: d is not in nodes"),
        ("links: [[a]]\n", "links[0]: has 1 names"),
        ("links: [[a, a]]\n", "links[0]: joins a node with itself"),
        ("links: [[a, b], [b, a]]\n", "links[1]: joins what links[0] joins already"),
        ("links: []\nswitches: [{dpid: 1}, {dpid: 1}]\n", "switches[1].dpid: "),
        ("links: []\nswitches: [{dpid: 1, name: b}]\n", "switches[0].name: b is a node"),
        ("links: []\nports: [{network: X, switch: s, port: 1}]\n", "ports[0].network: "),
        (
            "links: []\nports: [{network: x, switch: s, port: 1}, {network: y, switch: s, port: 1}]\n",
            "ports[1]: 1 of s is in ports[0] already",
        ),
        (
            "links: []\ndeclared_links: [{a: {switch: s, port: 1}, b: {switch: s, port: 1}}]\n",
            "declared_links[0]: both ends",
        ),
    ];
    for (rest, want) in of_three {
        let said = error(&format!("{THREE}{rest}"));
        assert!(said.contains(want), "{rest:?}: {said}");
    }
    let mixed =
        "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 'fd00::1'}]\nlinks: [[a, b]]\n";
    assert!(
        error(mixed).contains("links[0]: a is at 10.0.0.1 and b at fd00::1"),
        "{}",
        error(mixed)
    );
    let line = error("nodes:\n  - name: a\n    address: nowhere\n");
    assert!(line.contains("nodes[0].address") && line.contains("line 3"), "{line}");
}
