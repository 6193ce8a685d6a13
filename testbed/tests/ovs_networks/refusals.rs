//! What callers get who ask for what isn't there, or isn't right.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::controller::{Answer, Controller};
use testbed::error::LabError;
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(60);

fn wait_for_installed(controller: &Controller, path: &str) -> Checked {
    until("the port to be installed", LIMIT, || {
        let answer = controller.rest().get(path)?;
        let done = answer.text("/state") == "installed";
        Ok(if done { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })
}

fn is_pending(answer: &Answer, for_what: &str) {
    assert_eq!((answer.status, answer.text("/state")), (202, "pending"), "{answer}");
    assert!(answer.text("/reason").contains(for_what), "no word of {for_what}: {answer}");
}

#[test]
fn an_attach_waits_for_its_switch_and_its_port() -> Checked {
    if !needs_ovs("an attach waits for its switch and its port") {
        return Ok(());
    }
    let mut story = Story::begin(Topology::Line(3), Trunks::Veth, 1)?;
    let controller = &story.controller;
    controller.create_network("red")?;
    story.attach("red", "s1h1")?;

    is_pending(&controller.try_attach("red", "s9", "s9h1")?, "s9");
    is_pending(&controller.try_attach("red", "s3", "later")?, "later");
    // What waits doesn't hold up the rest.
    story.attach("red", "s2h1")?;
    story.floods_reach(&["s1h1", "s2h1"])?;
    story.lab.add_host("s3", "later")?;
    wait_for_installed(&story.controller, "/api/v1/networks/red/ports/s3/later")?;
    story.floods_reach(&["s1h1", "s2h1", "later"])?;

    // A name for the switch that nobody had: the attach that waited for it holds.
    story.controller.detach("red", "s3", "later")?;
    story.is_mute("later")?;
    is_pending(&story.controller.try_attach("red", "worker", "later")?, "worker");
    let patched =
        story.controller.rest().call("PATCH", "/api/v1/switches/s3", &json!({"name": "worker"}))?;
    assert!([200, 202].contains(&patched.status), "{patched}");
    wait_for_installed(&story.controller, "/api/v1/networks/red/ports/worker/later")?;
    story.floods_reach(&["s1h1", "s2h1", "later"])
}

/// A request, what it is refused with, and what the answer points at.
struct Refusal {
    call: (&'static str, String),
    body: Value,
    status: u16,
    kind: &'static str,
    at: (&'static str, &'static str),
}

fn refusal(
    (method, path): (&'static str, &str),
    body: Value,
    (status, kind): (u16, &'static str),
    at: (&'static str, &'static str),
) -> Refusal {
    Refusal { call: (method, path.to_owned()), body, status, kind, at }
}

#[test]
fn what_is_wrong_is_refused_and_named() -> Checked {
    if !needs_ovs("what is wrong is refused and named") {
        return Ok(());
    }
    let story = Story::begin(Topology::Line(2), Trunks::Veth, 2)?;
    let controller = &story.controller;
    controller.create_network("red")?;
    controller.create_network("blue")?;
    story.attach("red", "s1h1")?;
    let before = story.lab.tables()?;
    let (post, put) = ("POST", "PUT");
    let (networks, port) = ("/api/v1/networks", "/api/v1/networks/red/ports/s2/s2h1");
    let (invalid, missing, unknown) =
        ((400, "invalid-value"), (400, "missing-field"), (400, "unknown-field"));
    let field = |pointer| ("/field", pointer);
    let long = format!("/api/v1/networks/red/ports/{}/s2h1", "s".repeat(256));
    let cases = [
        refusal((post, networks), json!({"name": "No Good"}), invalid, field("/name")),
        refusal((post, networks), json!({"name": "-x"}), invalid, field("/name")),
        refusal((post, networks), json!({"name": ""}), invalid, field("/name")),
        refusal((post, networks), json!({"name": "a".repeat(318)}), invalid, field("/name")),
        refusal((post, networks), json!({"name": 7}), invalid, field("/name")),
        refusal((post, networks), json!({}), missing, field("/name")),
        refusal((post, networks), json!({"name": "x", "kind": "wan"}), invalid, field("/kind")),
        refusal((post, networks), json!({"name": "x", "colour": 1}), unknown, field("/colour")),
        refusal(
            (post, networks),
            json!({"name": "x", "mac_limit": 1_000_001}),
            invalid,
            field("/mac_limit"),
        ),
        refusal(
            (post, networks),
            json!({"name": "x", "mac_limit": -1}),
            invalid,
            field("/mac_limit"),
        ),
        refusal(
            (post, networks),
            json!({"name": "red", "mac_limit": 5}),
            (409, "network-exists"),
            ("/network", "red"),
        ),
        refusal((put, port), json!({"mac": ["02:00:00:00:00"]}), invalid, field("/mac/0")),
        refusal(
            (put, port),
            json!({"mac": ["02:00:00:00:00:01", "hello"]}),
            invalid,
            field("/mac/1"),
        ),
        refusal((put, port), json!({"mac": ["01:00:00:00:00:01"]}), invalid, field("/mac/0")),
        refusal((put, port), json!({"ips": ["10.0.0.300"]}), invalid, field("/ips/0")),
        refusal((put, port), json!({"enforce": true}), invalid, field("/mac")),
        refusal((put, port), json!({"enforce": "yes"}), invalid, field("/enforce")),
        refusal((put, "/api/v1/networks/NO/ports/s2/s2h1"), json!({}), invalid, field("net")),
        refusal((put, &long), json!({}), invalid, field("switch")),
        refusal(
            (put, "/api/v1/networks/red/ports/s2/99999999999"),
            json!({}),
            invalid,
            field("port"),
        ),
        refusal(
            (put, "/api/v1/networks/red/ports/s2/s2h1?wait=now"),
            json!({}),
            invalid,
            field("wait"),
        ),
        refusal(
            (put, "/api/v1/networks/red/ports/s2/s2h1?timeout=never"),
            json!({}),
            invalid,
            field("timeout"),
        ),
        refusal(
            (put, "/api/v1/networks/none/ports/s2/s2h1"),
            json!({}),
            (404, "network-not-found"),
            ("/network", "none"),
        ),
        refusal(
            (put, "/api/v1/networks/blue/ports/s1/s1h1"),
            json!({}),
            (409, "port-in-use"),
            ("/network", "red"),
        ),
        refusal(
            (put, "/api/v1/networks/red/ports/s1/s1-s2"),
            json!({}),
            (409, "port-is-trunk"),
            ("/port", "s1-s2"),
        ),
        refusal(
            ("DELETE", "/api/v1/networks/red"),
            Value::Null,
            (409, "network-in-use"),
            ("/network", "red"),
        ),
        refusal(
            ("GET", "/api/v1/switches/s9"),
            Value::Null,
            (404, "switch-not-found"),
            ("/switch", "s9"),
        ),
        refusal(
            ("GET", "/api/v1/nothing"),
            Value::Null,
            (404, "no-such-path"),
            ("/type", "/docs/problems/no-such-path"),
        ),
        refusal(
            ("PATCH", networks),
            json!({}),
            (405, "method-not-allowed"),
            ("/type", "/docs/problems/method-not-allowed"),
        ),
    ];
    for Refusal { call: (method, path), body, status, kind, at: (pointer, value) } in cases {
        let text = (!body.is_null()).then(|| body.to_string());
        let answer = controller.rest().send(method, &path, text.as_deref())?;
        let row = format!("{method} {path} {body}: {answer}");
        assert_eq!(answer.status, status, "{row}");
        assert_eq!(answer.media_type, "application/problem+json", "{row}");
        assert_eq!(answer.text("/type"), format!("/docs/problems/{kind}"), "{row}");
        assert_eq!(answer.text(pointer), value, "{row}");
        assert!(!answer.text("/detail").is_empty() && !answer.text("/title").is_empty(), "{row}");
    }
    for body in ["", "{", "{\"name\":", "\u{0}", "{\"name\":\"x\"} more"] {
        let answer = controller.rest().send(post, networks, Some(body))?;
        assert_eq!(
            (answer.status, answer.text("/type")),
            (400, "/docs/problems/invalid-json"),
            "{body:?}: {answer}"
        );
    }
    assert_eq!(story.lab.tables()?, before, "what is refused changes nothing");
    story.floods_reach(&["s1h1"])
}

/// What a document says, as ports of a network.
fn ports(network: &str, hosts: &[&str]) -> Vec<Value> {
    let port = |host: &&str| json!({"network": network, "switch": &host[..2], "port": host});
    hosts.iter().map(port).collect()
}

#[test]
fn a_document_is_applied_whole_or_not_at_all() -> Checked {
    if !needs_ovs("a document is applied whole or not at all") {
        return Ok(());
    }
    let story = Story::begin(Topology::Line(3), Trunks::Veth, 3)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let empty = lab.tables()?;
    let (red, blue) = (["s1h1", "s2h1", "s3h1"], ["s1h2", "s2h2", "s3h2"]);
    let apply = |document: &Value, prune: bool| -> Result<Answer, LabError> {
        controller.rest().call("POST", &format!("/api/v1/apply?prune={prune}"), document)
    };
    let everything = [ports("red", &red), ports("blue", &blue)].concat();
    let both = json!({
        "set": "shop",
        "networks": [{"name": "red"}, {"name": "blue"}],
        "ports": &everything,
    });
    let answer = apply(&both, false)?;
    assert_eq!((answer.status, &answer.body["created"]), (200, &json!(8)), "{answer}");
    // Once all hosts are known, nothing but a change of the document changes the tables.
    for (network, members) in [("red", &red), ("blue", &blue)] {
        story.floods_reach(members)?;
        story.unicast_reaches_its_host_only(network, members)?;
    }
    let installed = lab.tables()?;
    let answer = apply(&both, true)?;
    assert_eq!((answer.status, &answer.body["unchanged"]), (200, &json!(8)), "{answer}");

    // One thing is wrong: nothing at all is done.
    let mut wrong = both.clone();
    wrong["networks"] = json!([{"name": "red"}, {"name": "blue"}, {"name": "green"}]);
    let cases = [
        (ports("green", &["s1h3", "s1-s2"]), 409, "port-is-trunk"),
        (ports("green", &["s1h3", "s1h2"]), 400, "invalid-value"),
        (ports("nowhere", &["s1h3"]), 404, "network-not-found"),
    ];
    for (more, status, kind) in cases {
        let mut document = wrong.clone();
        document["ports"] = Value::from([everything.clone(), more].concat());
        let answer = apply(&document, true)?;
        let want = format!("/docs/problems/{kind}");
        assert_eq!((answer.status, answer.text("/type")), (status, want.as_str()), "{answer}");
        assert_eq!(controller.rest().get("/api/v1/networks/green")?.status, 404);
        assert_eq!(lab.tables()?, installed, "{kind}: nothing is done");
    }

    // Pruned is what the set no longer names; what isn't of the set stays.
    controller.create_network("own")?;
    story.attach("own", "s1h3")?;
    story.attach("own", "s3h3")?;
    let less =
        json!({"set": "shop", "networks": [{"name": "red"}], "ports": ports("red", &red[..2])});
    let answer = apply(&less, true)?;
    assert_eq!((answer.status, &answer.body["deleted"]), (200, &json!(5)), "{answer}");
    story.floods_reach(&red[..2])?;
    story.is_mute("s3h1")?;
    story.is_mute("s1h2")?;
    story.floods_reach(&["s1h3", "s3h3"])?;
    controller.delete_network("red", true)?;
    controller.delete_network("own", true)?;
    assert_eq!(lab.tables()?, empty);
    Ok(())
}
