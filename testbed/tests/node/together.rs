//! Several nodes say the same to one controller, at the same time.

use serde_json::Value;
use testbed::controller::Controller;
use testbed::kube::Balancer;
use testbed::netns::NetNs;
use testbed::rights::needs_ovs;
use testbed::switch::{Datapath, PortSpec};
use testbed::wait::{Look, until};
use testbed::wire::EmbeddedFabric;

use super::world::{LIMIT, Machine, target};

/// A physical switch beside three nodes, and what is attached to it.
fn document(links: &str, ports: &str) -> String {
    format!(
        "nodes: [{{name: a, address: 10.0.0.1}}, {{name: b, address: 10.0.0.2}}, {{name: c, address: 10.0.0.3}}]
topology: full-mesh
interfaces: 1
tunnel: ovs-vxlan
switches: [{{dpid: 0xaa, name: tor-1, trunks: \"49\"}}]
declared_links: [{links}]
ports: [{ports}]
"
    )
}

/// What is declared, attached and configured, as one text.
fn state(controller: &Controller) -> String {
    let mut links: Vec<String> = controller
        .links()
        .unwrap()
        .iter()
        .filter(|it| it.source == api::types::LinkSource::Declared)
        .map(|it| {
            let mut ends = [it.a.to_string(), it.b.to_string()];
            ends.sort();
            format!("{} {} {}", ends[0], ends[1], it.encap)
        })
        .collect();
    links.sort();
    let all = controller.rest().get("/api/v1/networks/blue/ports").unwrap();
    let name = |it: &Value| format!("{} {}", it["switch"], it["port"]).replace('"', "");
    let mut ports: Vec<String> =
        all.body["items"].as_array().into_iter().flatten().map(name).collect();
    ports.sort();
    format!("{}; {}", links.join(", "), ports.join(", "))
}

#[test]
fn nodes_that_say_the_same_at_the_same_time_agree() {
    if !needs_ovs("nodes that say the same at the same time agree") {
        return;
    }
    // The machines reach the controller over a wire of its own.
    let wire = NetNs::new("wire").unwrap();
    let _entered = wire.enter().unwrap();
    wire.ip("link add name wire type bridge\nlink set wire up\naddr add 10.0.0.100/24 dev wire")
        .unwrap();
    let machines: Vec<Machine> = ["a", "b", "c"].map(Machine::new).into();
    for (index, machine) in (1..).zip(&machines) {
        wire.ip(&format!(
            "link add w{index} type veth peer name eth0 netns {}\nlink set w{index} master wire up",
            machine.namespace.path()
        ))
        .unwrap();
        machine
            .namespace
            .ip(&format!("link set eth0 up\naddr add 10.0.0.{index}/24 dev eth0"))
            .unwrap();
    }
    let controller = Controller::start("10.0.0.100:0".parse().unwrap()).unwrap();
    // The physical switch.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ports = [7, 8, 9, 49, 50].map(|port| PortSpec::new(port, format!("p{port}")));
    let _tor = {
        let _inside = runtime.enter();
        let rack = Datapath::new(0xaa, "rack 1".to_owned(), ports);
        EmbeddedFabric::new().without_capture().add(controller.openflow(), rack)
    };
    let line = Balancer::at([10, 0, 0, 100].into(), vec![controller.rest().address()]).unwrap();
    controller.create_network("blue").unwrap();
    let (openflow, rest) = (target(controller.openflow()), format!("http://{}", line.address()));
    let args = ["--openflow", openflow.as_str(), "--controller", rest.as_str()];

    let first = document(
        "{a: {switch: a, port: eth1}, b: {switch: tor-1, port: 49}}, \
         {a: {switch: tor-1, port: 50}, b: {switch: 0xbb, port: 1}, encap: tun_id}",
        "{network: blue, switch: tor-1, port: 7}, {network: blue, switch: tor-1, port: 8}",
    );
    let tunnels = "a/vxlan1 b/vxlan1 tun_id, a/vxlan2 c/vxlan2 tun_id, b/vxlan3 c/vxlan3 tun_id";
    let mut sides: Vec<_> = machines.iter().map(|it| Some(it.keep(&first, &args))).collect();
    controller.wait_for_switches(4).unwrap();
    let agree = |what: &str, wanted: &str| {
        until(what, LIMIT, || {
            let now = state(&controller);
            let logs = || machines.iter().map(Machine::log).collect::<String>();
            let at_rest = machines.iter().all(|it| says_all_is_told(&it.log()));
            Ok(match now == wanted && at_rest {
                true => Look::Done(()),
                false => Look::NotYet(format!("{now}\n{}", logs())),
            })
        })
        .unwrap();
    };
    agree(
        "all to be said",
        &format!(
            "a/eth1 tor-1/49 vlan, {tunnels}, of:00000000000000bb/1 tor-1/50 tun_id; tor-1 p7, tor-1 p8"
        ),
    );

    // All are told of another document at once; one dies while it says so, and starts again.
    let second = document(
        "{a: {switch: a, port: eth1}, b: {switch: tor-1, port: 49}, encap: tun_id}",
        "{network: blue, switch: tor-1, port: 8}, {network: blue, switch: tor-1, port: 9}",
    );
    for machine in &machines {
        machine.rewrite(&second);
    }
    sides[1].take().unwrap().kill();
    sides[1] = Some(machines[1].keep(&second, &args));
    agree(
        "all to say the other document",
        &format!("a/eth1 tor-1/49 tun_id, {tunnels}; tor-1 p8, tor-1 p9"),
    );

    // One node still has the old document when it starts: it brings back what is in it, until it reads the new one.
    sides[2].take().unwrap().stop();
    sides[2] = Some(machines[2].keep(&first, &args));
    until("the old document to be said again", LIMIT, || {
        let now = state(&controller);
        Ok(match now.contains("tor-1 p7") && now.contains("tor-1/50") {
            true => Look::Done(()),
            false => Look::NotYet(now),
        })
    })
    .unwrap();
    machines[2].rewrite(&second);
    agree(
        "the new document to win",
        &format!("a/eth1 tor-1/49 tun_id, {tunnels}; tor-1 p8, tor-1 p9"),
    );
    drop(sides);
}

/// The last word of a side about the controller is that it knows all.
fn says_all_is_told(log: &str) -> bool {
    let last = |what: &str| log.rfind(what);
    last("the controller knows all") > last("not told:")
        && last("the controller knows all").is_some()
}
