//! Which port is given out.

use serde_json::json;

use crate::lab::Lab;

#[test]
fn ports_are_given_in_natural_order_then_the_one_that_is_free_for_longest() {
    let ports: &[(u32, &str)] =
        &[(1, "eth0"), (7, "vhost10"), (5, "vhost1"), (9, "vhost2"), (3, "vm1")];
    let lab = Lab::new(&[("worker-1", ports)]);
    // A free pool port is down: that doesn't matter.
    lab.switch("worker-1").set_port_down(5);
    lab.network("blue");
    lab.network("red");
    let answer = lab.ask("blue", "worker-1", "a");
    assert_eq!((answer.status, answer.text("/port")), (201, "vhost1"), "{answer}");
    assert_eq!(answer.body["number"], 5);
    assert_eq!(answer.text("/state"), "installed");
    assert_eq!((answer.text("/owner"), answer.text("/network")), ("a", "blue"));
    assert_eq!(lab.attach("red", "worker-1", "b"), "vhost2");
    lab.detach("b");
    lab.detach("a");
    // One that was never used goes first.
    assert_eq!(lab.attach("blue", "worker-1", "c"), "vhost10");
    assert_eq!(lab.attach("blue", "worker-1", "d"), "vhost2");
    assert_eq!(lab.attach("red", "1", "e"), "vhost1");
    let full = lab.ask("blue", "0x1", "f");
    assert_eq!((full.status, full.text("/type")), (409, "/docs/problems/pool-exhausted"), "{full}");
    assert_eq!((&full.body["pool_size"], &full.body["attached"]), (&json!(3), &json!(3)));
    assert!(full.text("/detail").contains("3 attached"), "{full}");
}

#[test]
fn a_port_that_is_attached_by_any_reference_is_not_given_out() {
    let lab = Lab::worker(6);
    lab.network("blue");
    for reference in ["of:0000000000000001/vhost1", "0x1/vhost2", "of:0000000000000001/3", "1/4"] {
        let put = lab.call("PUT", &format!("/networks/blue/ports/{reference}"), &json!({}));
        assert_eq!(put.status, 201, "{put}");
    }
    // A switch that nobody knows may turn out to be this one.
    let strange = lab.call("PUT", "/networks/blue/ports/rack-7/vhost5", &json!({}));
    assert_eq!(strange.status, 202, "{strange}");
    let renamed = lab.call("PATCH", "/switches/worker-1", &json!({ "name": "rack-7" }));
    assert_eq!(renamed.status, 200, "{renamed}");
    assert_eq!(lab.attach("blue", "rack-7", "a"), "vhost6");
    assert_eq!(lab.ask("blue", "rack-7", "b").status, 409);
    // Under its old name again, two of the references mean nothing.
    let renamed = lab.call("PATCH", "/switches/rack-7", &json!({ "name": null }));
    assert_eq!(renamed.status, 200, "{renamed}");
    assert_eq!(lab.attach("blue", "worker-1", "b"), "vhost5");
}

#[test]
fn ports_that_are_not_ready_are_not_given_out() {
    let lab = Lab::worker(3);
    lab.network("blue");
    let said = lab.ready("worker-1", "vhost1", false);
    assert_eq!(said.status, 201, "{said}");
    assert_eq!(
        said.body,
        json!({ "switch": "worker-1", "port": "vhost1", "number": 1, "ready": false,
                "use": "free", "owner": null })
    );
    assert_eq!(lab.ready("worker-1", "2", false).text("/port"), "vhost2");
    assert_eq!(lab.ready("worker-1", "vhost2", false).status, 200);
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost3");
    let full = lab.ask("blue", "worker-1", "b");
    assert_eq!(full.body["not_ready"], 2, "{full}");
    // Whoever has a port keeps it, ready or not.
    let said = lab.ready("worker-1", "vhost3", false);
    assert_eq!((said.text("/use"), said.text("/owner")), ("attached", "a"), "{said}");
    assert_eq!(lab.ask("blue", "worker-1", "a").status, 200);
    assert_eq!(lab.ready("1", "vhost2", true).status, 200);
    assert_eq!(lab.attach("blue", "worker-1", "b"), "vhost2");

    // A port may be spoken of before it appears, if the pool will have it.
    assert_eq!(lab.ready("worker-1", "vhost9", false).body["number"], json!(null));
    lab.detach("a");
    lab.switch("worker-1")
        .with(|datapath| ((), datapath.add_port(testbed::switch::PortSpec::new(44, "vhost9"))));
    lab.until("vhost9", |lab| match lab.ready("worker-1", "vhost9", false).body {
        port if port["number"] == 44 => Ok(()),
        port => Err(port),
    });
    assert_eq!(lab.ask("blue", "worker-1", "c").body["not_ready"], 3);
    for (switch, port, problem) in [
        ("worker-1", "eth0", "port-not-found"),
        ("worker-1", "nowhere", "port-not-found"),
        ("worker-1", "77", "port-not-found"),
        ("worker-7", "vhost1", "switch-not-found"),
    ] {
        let refused = lab.ready(switch, port, true);
        assert_eq!(refused.status, 404, "{refused}");
        assert_eq!(refused.text("/type"), format!("/docs/problems/{problem}"), "{refused}");
    }
}

#[test]
fn the_pattern_says_which_ports_are_given_out() {
    let ports: &[(u32, &str)] = &[(1, "vhost1"), (2, "tap1"), (3, "tap2")];
    let lab = Lab::new(&[("worker-1", ports)]);
    lab.network("blue");
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost1");
    let patched = lab.call("PATCH", "/switches/worker-1", &json!({ "pool": "tap*" }));
    assert_eq!(patched.status, 200, "{patched}");
    assert_eq!(lab.attach("blue", "worker-1", "b"), "tap1");
    // It was attached when the pattern was another, and is still.
    assert_eq!(lab.ask("blue", "worker-1", "a").text("/port"), "vhost1");
    lab.detach("a");
    assert_eq!(lab.attach("blue", "worker-1", "c"), "tap2");
    let full = lab.ask("blue", "worker-1", "d");
    assert_eq!(full.body["pool_size"], 2, "{full}");
    lab.call("PATCH", "/switches/worker-1", &json!({ "pool": "" }));
    let full = lab.ask("blue", "worker-1", "d");
    assert_eq!((full.status, &full.body["pool_size"]), (409, &json!(0)), "{full}");
    lab.call("PATCH", "/switches/worker-1", &json!({ "pool": null }));
    assert_eq!(lab.attach("blue", "worker-1", "d"), "vhost1");
}

#[test]
fn a_port_is_not_given_out_before_its_switch_has_confirmed_that_it_is_free() {
    let lab = Lab::worker(2);
    lab.network("blue");
    lab.network("red");
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost1");
    let id = lab.attachments("owner=a")[0]["id"].as_str().unwrap().to_owned();
    lab.set_away("worker-1", true);
    for _ in 0..2 {
        let gone = lab.delete(&format!("/attachments/{id}"));
        assert_eq!(gone.status, 202, "it may well still forward: {gone}");
    }
    assert_eq!(lab.role("worker-1", "vhost1"), "releasing");
    let next = lab.ask("red", "worker-1", "b");
    assert_eq!((next.status, next.text("/port")), (202, "vhost2"), "{next}");
    assert_eq!(next.text("/state"), "pending");
    let full = lab.ask("red", "worker-1", "c");
    assert_eq!((full.status, &full.body["releasing"]), (409, &json!(1)), "{full}");
    assert!(full.text("/detail").contains("1 still releasing"), "{full}");
    let said = lab.ready("worker-1", "vhost1", true);
    assert_eq!(said.text("/use"), "releasing", "{said}");
    // Never installed, so free at once.
    lab.delete(&format!("/attachments/{}", lab.attachments("owner=b")[0]["id"].as_str().unwrap()));
    assert_eq!(lab.ask("red", "worker-1", "d").text("/port"), "vhost2");

    lab.set_away("worker-1", false);
    lab.until("vhost1 to be free", |lab| match lab.role("worker-1", "vhost1").as_str() {
        "pool" => Ok(()),
        role => Err(role.into()),
    });
    assert_eq!(lab.attach("red", "worker-1", "c"), "vhost1");
    assert_eq!(lab.delete(&format!("/attachments/{id}")).status, 204);
}
