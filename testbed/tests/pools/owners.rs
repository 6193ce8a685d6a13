//! Who has which port.

use serde_json::json;

use crate::lab::Lab;

#[test]
fn an_owner_keeps_its_port() {
    let lab = Lab::worker(4);
    lab.network("blue");
    lab.network("red");
    let first = lab.ask("blue", "worker-1", "a");
    let again = lab.ask("blue", "1", "a");
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.body, again.body);
    let elsewhere = lab.ask("red", "worker-1", "a");
    assert_eq!((elsewhere.status, elsewhere.text("/type")), (409, "/docs/problems/owner-in-use"));
    assert_eq!(elsewhere.text("/network"), "blue");
    assert_eq!(lab.attachments("").len(), 1);

    // A port that was PUT for an owner is as good as one of the pool.
    let put = lab.call("PUT", "/networks/red/ports/1/eth0", &json!({ "owner": "b" }));
    assert_eq!(put.status, 201, "{put}");
    assert_eq!(lab.ask("red", "worker-1", "b").text("/port"), "eth0");
    let shown = lab.attachments("owner=b");
    assert_eq!((&shown[0]["network"], &shown[0]["port"]), (&json!("red"), &json!("eth0")));
    assert_eq!(lab.ask("blue", "worker-1", "b").text("/network"), "red");

    // Somebody deletes an attachment, and it comes back on the same port.
    let id = first.text("/id");
    assert_eq!(lab.delete(&format!("/attachments/{id}")).status, 204);
    let put = lab.call("PUT", "/networks/blue/ports/worker-1/vhost1", &json!({ "owner": "a" }));
    assert_eq!(put.status, 201, "{put}");
    let back = lab.ask("blue", "worker-1", "a");
    assert_eq!((back.status, back.text("/port")), (200, "vhost1"), "{back}");
    // It is another attachment: whoever deletes the first once more does no harm.
    assert_ne!(back.text("/id"), id);
    assert_eq!(lab.delete(&format!("/attachments/{id}")).status, 204);
    assert_eq!(lab.attachments("owner=a").len(), 1);
}

#[test]
fn a_list_is_attached_as_a_whole_or_not_at_all() {
    let mut lab = Lab::worker(4);
    lab.add(2, "worker-2", &[(1, "vhost1"), (2, "vhost2")]);
    lab.controller().wait_for_switches(2).unwrap();
    lab.network("blue");
    lab.network("red");
    let spec = |switch: &str, owner: &str| json!({ "switch": switch, "owner": owner });
    let post = |specs| lab.call("POST", "/networks/blue/attachments", &specs);

    let several = json!([
        spec("worker-1", "a"),
        spec("worker-1", "b"),
        spec("worker-2", "a"),
        spec("0x1", "a")
    ]);
    let made = post(several.clone());
    assert_eq!(made.status, 201, "{made}");
    let ports: Vec<_> = made.body["items"].as_array().unwrap().iter().collect();
    let at = |n: usize| (ports[n]["switch"].as_str().unwrap(), ports[n]["port"].as_str().unwrap());
    assert_eq!(
        (at(0), at(1), at(2)),
        (("worker-1", "vhost1"), ("worker-1", "vhost2"), ("worker-2", "vhost1"))
    );
    assert_eq!(ports[3], ports[0], "the same owner on the same switch has one port");
    let again = post(several);
    assert_eq!((again.status, &again.body), (200, &made.body));

    // Only one of two is left on worker-2, so nothing is attached on worker-1 either.
    let refused =
        post(json!([spec("worker-1", "c"), spec("worker-2", "c"), spec("worker-2", "d")]));
    assert_eq!((refused.status, refused.text("/field")), (409, "/2/switch"), "{refused}");
    assert!(refused.text("/detail").ends_with("of the 2 in its pool, 2 attached."), "{refused}");
    assert_eq!(lab.attachments("").len(), 3);
    let refused = post(json!([spec("worker-1", "c"), spec("worker-9", "c")]));
    assert_eq!((refused.status, refused.text("/field")), (404, "/1/switch"), "{refused}");
    let refused = lab.call(
        "POST",
        "/networks/red/attachments",
        &json!([spec("worker-1", "c"), spec("worker-1", "a")]),
    );
    assert_eq!((refused.status, refused.text("/field")), (409, "/1/owner"), "{refused}");
    assert_eq!(lab.attachments("").len(), 3);
    // What was picked and given back is next, in the old order.
    let made = post(json!([spec("worker-1", "c"), spec("worker-1", "d")]));
    assert_eq!(made.text("/items/0/port"), "vhost3", "{made}");
    assert_eq!(made.text("/items/1/port"), "vhost4", "{made}");
}

#[test]
fn attachments_are_found_by_owner_page_by_page() {
    let lab = Lab::worker(5);
    lab.network("blue");
    for owner in ["k8s/x/2", "k8s/x/1", "k8s/y/1"] {
        lab.attach("blue", "worker-1", owner);
    }
    lab.call("PUT", "/networks/blue/ports/worker-1/eth0", &json!({ "owner": "k8s/x/3" }));
    lab.call("PUT", "/networks/blue/ports/worker-1/vhost5", &json!({}));
    let owners = |query: &str| -> Vec<String> {
        let all = lab.attachments(query).into_iter();
        all.map(|it| it["owner"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(owners(""), ["k8s/x/1", "k8s/x/2", "k8s/x/3", "k8s/y/1"]);
    assert_eq!(owners("owner_prefix=k8s/x/"), ["k8s/x/1", "k8s/x/2", "k8s/x/3"]);
    assert_eq!(owners("owner=k8s%2Fx%2F1"), ["k8s/x/1"]);
    assert_eq!(owners("owner=k8s/x"), [""; 0]);
    assert_eq!(owners("owner=k8s/x/1&owner_prefix=k8s/y"), [""; 0]);
    for query in ["", "owner_prefix=k8s/x/&", "owner=k8s/x/2&"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = lab.get(&format!("/attachments?{query}limit=1{cursor}"));
            found.extend(page["items"].as_array().unwrap().iter().map(|it| it["owner"].clone()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, owners(query), "{query}");
    }

    // Another owner of the same port is another attachment.
    let id = lab.attachments("owner=k8s/x/3")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(lab.get(&format!("/attachments/{id}"))["port"], "eth0");
    lab.call("PUT", "/networks/blue/ports/worker-1/eth0", &json!({ "owner": "k8s/z" }));
    let gone = lab.controller().rest().get(&format!("/api/v1/attachments/{id}")).unwrap();
    assert_eq!((gone.status, gone.text("/type")), (404, "/docs/problems/attachment-not-found"));
    assert_eq!(owners("owner_prefix=k8s/z"), ["k8s/z"]);

    let gone = lab.delete("/networks/blue?force=true");
    assert_eq!(gone.status, 204, "{gone}");
    assert_eq!(owners(""), [""; 0]);
    lab.network("red");
    // All were used once, the one that was never attached first.
    assert_eq!(lab.attach("red", "worker-1", "k8s/x/2"), "vhost4");
}
