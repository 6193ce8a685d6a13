//! One port, however it is called.

use serde_json::json;
use testbed::switch::PortSpec;

use crate::lab::Lab;

/// Gives a port another number.
fn renumber(lab: &Lab, name: &str, from: u32, to: u32) {
    let switch = lab.switch("worker-1");
    switch.with(|datapath| ((), datapath.remove_port(from)));
    switch.with(|datapath| ((), datapath.add_port(PortSpec::new(to, name))));
    lab.until(&format!("{name} at {to}"), |lab| {
        let known = lab.get("/switches/worker-1");
        let ports = known["ports"].as_array().unwrap();
        let there = ports.iter().any(|it| it["name"] == name && it["number"] == to);
        there.then_some(()).ok_or(known)
    });
}

#[test]
fn a_port_that_is_renumbered_is_the_same() {
    let lab = Lab::worker(3);
    lab.network("blue");
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost1");
    let before = lab.attachments("")[0].clone();
    assert_eq!(lab.attach("blue", "worker-1", "b"), "vhost2");
    lab.detach("b");
    assert_eq!(lab.ready("worker-1", "3", false).text("/port"), "vhost3");
    renumber(&lab, "vhost1", 1, 71);
    renumber(&lab, "vhost2", 2, 72);
    renumber(&lab, "vhost3", 3, 73);
    lab.until("the attachment to follow", |lab| {
        let now = lab.attachments("")[0].clone();
        let followed = now["number"] == 71 && now["state"] == "installed";
        (followed && now["id"] == before["id"]).then_some(()).ok_or(now)
    });
    let again = lab.ask("blue", "worker-1", "a");
    assert_eq!((again.status, &again.body["number"]), (200, &json!(71)), "{again}");
    // Another port has the old number: it is as new.
    lab.switch("worker-1").with(|datapath| ((), datapath.add_port(PortSpec::new(3, "vhost4"))));
    lab.until("vhost4", |lab| match lab.ask("blue", "worker-1", "c") {
        given if given.text("/port") == "vhost4" => Ok(()),
        given if given.text("/port") == "vhost2" => {
            // It wasn't there yet.
            lab.detach("c");
            Err(given.body)
        }
        other => panic!("{other}"),
    });
    assert_eq!(lab.attach("blue", "worker-1", "d"), "vhost2");
    assert_eq!(lab.ask("blue", "worker-1", "e").body["not_ready"], 1);
}

#[test]
fn a_port_with_two_references_is_free_when_both_are_gone() {
    let lab = Lab::worker(1);
    lab.network("blue");
    lab.network("red");
    // Nobody knows yet that these will be one port.
    for (network, port) in [("blue", "9"), ("red", "vhost9")] {
        let path = format!("/networks/{network}/ports/worker-1/{port}");
        assert_eq!(lab.call("PUT", &path, &json!({ "owner": network })).status, 202);
    }
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost1");
    lab.switch("worker-1").with(|datapath| ((), datapath.add_port(PortSpec::new(9, "vhost9"))));
    lab.until("the conflict", |lab| {
        let newer = lab.attachments("owner=red")[0].clone();
        (newer["state"] == "conflict").then_some(()).ok_or(newer)
    });
    lab.until("the older one to hold", |lab| {
        let older = lab.attachments("owner=blue")[0].clone();
        (older["state"] == "installed").then_some(()).ok_or(older)
    });
    assert_eq!(lab.ask("blue", "worker-1", "b").body["attached"], 2);
    lab.detach("blue");
    lab.until("the newer one to hold", |lab| {
        let newer = lab.attachments("owner=red")[0].clone();
        (newer["state"] == "installed").then_some(()).ok_or(newer)
    });
    assert_eq!(lab.ask("blue", "worker-1", "b").status, 409);
    lab.detach("red");
    assert_eq!(lab.attach("blue", "worker-1", "b"), "vhost9");
}

#[test]
fn documents_take_ports_and_give_them_back() {
    let lab = Lab::worker(3);
    let apply = |ports: serde_json::Value| {
        let document = json!({ "set": "s", "networks": [{ "name": "blue" }, { "name": "red" }], "ports": ports });
        let applied = lab.call("POST", "/apply?prune=true", &document);
        assert_eq!(applied.status, 200, "{applied}");
    };
    let port = |network: &str, port: &str| json!({ "network": network, "switch": "worker-1", "port": port, "owner": port });
    apply(json!([port("blue", "vhost1"), port("blue", "2")]));
    let owners: Vec<_> = lab.attachments("").iter().map(|it| it["port"].clone()).collect();
    assert_eq!(owners, ["vhost2", "vhost1"], "by owner");
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost3");
    // One goes, one moves to another network.
    apply(json!([port("red", "vhost1")]));
    assert_eq!(lab.attachments("owner=vhost1")[0]["network"], "red");
    assert_eq!(lab.attach("red", "worker-1", "b"), "vhost2");
    lab.detach("a");
    apply(json!([]));
    assert_eq!(lab.attach("red", "worker-1", "c"), "vhost3");
    assert_eq!(lab.attach("red", "worker-1", "d"), "vhost1");
}
