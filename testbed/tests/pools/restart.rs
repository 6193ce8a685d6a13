//! What a restart leaves as it was.

use serde_json::{Value, json};
use testbed::faults::{Chances, Faults};

use crate::lab::Lab;

fn port_of(lab: &Lab, port: &str) -> Value {
    let switch = lab.get("/switches/worker-1");
    let ports = switch["ports"].as_array().unwrap();
    ports.iter().find(|it| it["name"] == port).unwrap().clone()
}

#[test]
fn owners_ids_the_order_and_what_is_not_free_outlast_a_restart() {
    let mut lab = Lab::worker(5);
    lab.network("blue");
    lab.network("red");
    for (owner, port) in [("a", "vhost1"), ("b", "vhost2"), ("c", "vhost3"), ("d", "vhost4")] {
        assert_eq!(lab.attach("blue", "worker-1", owner), port);
    }
    lab.detach("b");
    lab.detach("a");
    assert_eq!(lab.ready("worker-1", "vhost5", false).status, 201);
    let before = lab.attachments("");
    assert_eq!(before.len(), 2);

    lab.restart();
    lab.controller().wait_for_switches(1).unwrap();
    assert_eq!(lab.attachments(""), before);
    let id = before[0]["id"].as_str().unwrap();
    assert_eq!(lab.get(&format!("/attachments/{id}")), before[0]);

    lab.set_away("worker-1", true);
    let gone = lab.delete(&format!("/attachments/{id}"));
    assert_eq!(gone.status, 202, "{gone}");
    lab.kill_and_restart(|_| {});
    let known = lab.get("/switches/worker-1");
    assert_eq!(
        (&known["connected"], &known["dpid"]),
        (&json!(false), &json!("of:0000000000000001"))
    );
    let owners: Vec<_> = lab.attachments("").iter().map(|it| it["owner"].clone()).collect();
    assert_eq!(owners, ["d"]);
    assert_eq!(lab.role("worker-1", "vhost3"), "releasing");
    assert_eq!(port_of(&lab, "vhost5")["ready"], false);
    assert_eq!(port_of(&lab, "vhost4")["owner"], "d");
    let again = lab.delete(&format!("/attachments/{id}"));
    assert_eq!(again.status, 202, "its switch may still act for it: {again}");

    // From the ports that are known, the one that is free for longest.
    for (owner, port) in [("e", "vhost2"), ("f", "vhost1")] {
        let given = lab.ask("red", "worker-1", owner);
        assert_eq!((given.status, given.text("/port")), (202, port), "{given}");
    }
    let full = lab.ask("red", "worker-1", "g");
    let counted =
        ["pool_size", "attached", "releasing", "not_ready"].map(|it| full.body[it].clone());
    assert_eq!((full.status, counted), (409, [5, 3, 1, 1].map(Value::from)), "{full}");

    lab.set_away("worker-1", false);
    lab.until("vhost3 to be free", |lab| match lab.role("worker-1", "vhost3").as_str() {
        "pool" => Ok(()),
        role => Err(role.into()),
    });
    assert_eq!(lab.attach("red", "worker-1", "g"), "vhost3");
    let states: Vec<_> = lab.attachments("").iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["installed"; 4]);
}

/// The switch is connected when the detach is stored, but never hears of it
/// from this process: nothing but what was stored with the detach can tell.
#[test]
fn a_detach_that_no_switch_heard_of_is_not_forgotten_by_kill_9() {
    let mut lab = Lab::worker(1);
    // In order, so that the switch is known to the next.
    lab.restart();
    lab.controller().wait_for_switches(1).unwrap();
    lab.network("blue");
    lab.network("red");
    assert_eq!(lab.attach("blue", "worker-1", "a"), "vhost1");
    let id = lab.attachments("")[0]["id"].as_str().unwrap().to_owned();
    let deaf = Chances { drop: 1000, ..Chances::default() };
    lab.switch("worker-1").set_faults(Faults::random(1, deaf));
    let gone = lab.delete(&format!("/attachments/{id}?wait=stored"));
    assert_eq!(gone.status, 202, "{gone}");
    lab.kill_and_restart(|lab| lab.switch("worker-1").set_away(true));

    assert_eq!(lab.role("worker-1", "vhost1"), "releasing");
    let full = lab.ask("red", "worker-1", "b");
    assert_eq!((full.status, &full.body["releasing"]), (409, &json!(1)), "{full}");
    lab.switch("worker-1").set_faults(Faults::new());
    lab.set_away("worker-1", false);
    lab.until("vhost1 to be free", |lab| match lab.ask("red", "worker-1", "b") {
        given if given.status == 201 => Ok(()),
        refused => Err(refused.body),
    });
}

#[test]
fn a_switch_that_is_forgotten_leaves_nothing_behind() {
    let lab = Lab::worker(2);
    lab.network("blue");
    lab.network("red");
    lab.attach("blue", "worker-1", "a");
    lab.attach("blue", "worker-1", "b");
    lab.ready("worker-1", "vhost2", false);
    lab.set_away("worker-1", true);
    lab.delete("/networks/blue?force=true");
    assert_eq!(lab.ask("red", "worker-1", "c").status, 409);
    let gone = lab.delete("/switches/worker-1");
    assert_eq!(gone.status, 204, "{gone}");
    let unknown = lab.ask("red", "worker-1", "c");
    assert_eq!((unknown.status, unknown.text("/type")), (404, "/docs/problems/switch-not-found"));
    // It comes back with what it holds, which is removed first.
    lab.switch("worker-1").set_away(false);
    lab.until("a free port", |lab| match lab.ask("red", "worker-1", "c") {
        given if given.status == 201 => Ok(()),
        refused => Err(refused.body),
    });
    assert_eq!(port_of(&lab, "vhost2")["ready"], true);
}
