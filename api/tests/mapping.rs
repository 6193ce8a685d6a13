//! Requests and what HTTP makes of them: status, problem, field.

// All of this file is test code, its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use api::types::Wait;
use api::{Access, Options, Tokens, router};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::Memory;
use tower::ServiceExt;

fn open() -> Router {
    router(Arc::new(Memory::default()), Options::new(Access::Open))
}

/// The answer to one request; an empty `body` is sent without a media type.
async fn send(router: &Router, call: &str, body: &str) -> Response<Body> {
    let (method, path) = call.split_once(' ').expect("METHOD PATH");
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn json_of(response: Response<Body>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() }
}

/// One request: the call, its body, the status, and members of the answer.
type Step<'a> = (&'a str, &'a str, u16, Value);

/// Sends the requests one after the other to one router.
async fn story(steps: &[Step<'_>]) {
    let router = open();
    for (call, body, status, want) in steps {
        let response = send(&router, call, body).await;
        let got = response.status().as_u16();
        let media_type = response.headers().get("content-type").cloned();
        let answer = json_of(response).await;
        assert_eq!(got, *status, "{call} {body}: {answer}");
        if got >= 400 {
            assert_eq!(media_type.unwrap(), "application/problem+json", "{call}");
            assert_eq!(answer["status"], got, "{call}");
        }
        for (pointer, value) in want.as_object().into_iter().flatten() {
            let found = answer.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(found, value, "{call} {body}: {pointer} of {answer}");
        }
    }
}

fn problem(name: &str, place: &str, field: &str) -> Value {
    json!({ "/type": format!("/docs/problems/{name}"), "/in": place, "/field": field })
}

fn kind(name: &str) -> Value {
    json!({ "/type": format!("/docs/problems/{name}") })
}

#[tokio::test]
async fn a_network_lives_and_dies() {
    let nets = "/api/v1/networks";
    let blue = r#"{"name":"blue","mac_limit":5}"#;
    story(&[
        (&format!("GET {nets}"), "", 200, json!({ "/items": [], "/next": null })),
        (&format!("POST {nets}"), blue, 201, json!({ "/name": "blue", "/state": "installed" })),
        (&format!("POST {nets}"), blue, 200, json!({ "/mac_limit": 5, "/kind": "lan" })),
        (
            &format!("POST {nets}"),
            r#"{"name":"blue"}"#,
            409,
            json!({ "/type": "/docs/problems/network-exists", "/network": "blue" }),
        ),
        (&format!("PUT {nets}/blue"), "", 200, json!({ "/mac_limit": 1024 })),
        (&format!("PUT {nets}/red"), r#"{"name":"red","labels":{"a":"b"}}"#, 201, json!({})),
        (&format!("GET {nets}/red"), "", 200, json!({ "/labels": { "a": "b" } })),
        (
            &format!("GET {nets}?limit=1"),
            "",
            200,
            json!({ "/items/0/name": "blue", "/next": "626c7565" }),
        ),
        (
            &format!("GET {nets}?limit=1&cursor=626c7565"),
            "",
            200,
            json!({ "/items/0/name": "red", "/next": null }),
        ),
        (&format!("PUT {nets}/blue/ports/s1/1"), "", 201, json!({})),
        (
            &format!("DELETE {nets}/blue"),
            "",
            409,
            json!({ "/type": "/docs/problems/network-in-use", "/ports": 1 }),
        ),
        (&format!("DELETE {nets}/blue?force=false"), "", 409, json!({})),
        (&format!("DELETE {nets}/blue?force=true"), "", 204, json!({})),
        (&format!("DELETE {nets}/blue"), "", 204, json!({})),
        (&format!("GET {nets}/blue"), "", 404, kind("network-not-found")),
    ])
    .await;
}

#[tokio::test]
async fn a_port_is_attached_and_detached() {
    let port = "/api/v1/networks/blue/ports/s1/1";
    let away = "/api/v1/networks/blue/ports/away/eth0";
    story(&[
        (&format!("PUT {port}"), "", 404, json!({ "/network": "blue" })),
        ("PUT /api/v1/networks/blue", "", 201, json!({})),
        ("PUT /api/v1/networks/red", "", 201, json!({})),
        (&format!("PUT {port}"), "", 201, json!({ "/state": "installed", "/switch": "s1", "/port": "1", "/number": 1 })),
        (&format!("PUT {port}"), "{}", 200, json!({})),
        (
            &format!("PUT {port}"),
            r#"{"mac":["02:00:00:00:00:0A","02-00-00-00-00-0a"],"ips":["10.0.0.1"],"enforce":true}"#,
            200,
            json!({ "/mac": ["02:00:00:00:00:0a"], "/enforce": true }),
        ),
        (
            "PUT /api/v1/networks/red/ports/s1/1",
            "",
            409,
            json!({ "/type": "/docs/problems/port-in-use", "/network": "blue", "/switch": "s1" }),
        ),
        ("PUT /api/v1/networks/red/ports/s1/9", "", 409, kind("port-is-trunk")),
        (
            &format!("PUT {away}"),
            "",
            202,
            json!({
                "/state": "pending",
                "/reason": "away: away since 12:00",
                "/reasons": [{ "switch": "away", "reason": "away since 12:00" }],
            }),
        ),
        ("PUT /api/v1/networks/blue/ports/nowhere/eth0", "", 202, json!({ "/reason": "nowhere: not known" })),
        ("GET /api/v1/networks/blue/ports", "", 200, json!({ "/items/2/switch": "s1", "/items/0/port": "eth0" })),
        ("GET /api/v1/networks/red/ports/s1/1", "", 404, kind("port-not-attached")),
        (&format!("DELETE {away}"), "", 202, json!({ "/state": "pending", "/reasons/0/switch": "away" })),
        (&format!("DELETE {away}"), "", 204, json!({})),
        ("DELETE /api/v1/networks/red/ports/s1/1", "", 204, json!({})),
        (&format!("GET {port}"), "", 200, json!({})),
        (&format!("DELETE {port}"), "", 204, json!({})),
        ("DELETE /api/v1/networks/none/ports/s1/1", "", 204, json!({})),
    ])
    .await;
}

#[tokio::test]
async fn names_are_any_bytes() {
    let put = |path: &str| format!("PUT /api/v1/networks/blue/ports/{path}");
    story(&[
        ("PUT /api/v1/networks/blue", "", 201, json!({})),
        (&put("s1/a%2Fb%20%25%00"), "", 201, json!({ "/port": "a/b %\u{0}" })),
        (&put("s1/%ff%FE"), "", 201, json!({ "/port": "pct:%FF%FE" })),
        (&put("s1/pct%3A%25FF%25FE"), "", 200, json!({ "/port": "pct:%FF%FE" })),
        (&put("s1/pct:7"), "", 201, json!({ "/port": "pct:7", "/number": null })),
        (&put("s1/7"), "", 201, json!({ "/port": "7", "/number": 7 })),
        (&put("0x1/1"), "", 202, json!({ "/switch": "of:0000000000000001" })),
        (
            &put("of:0000000000000001/1"),
            "",
            202,
            json!({ "/reasons/0/switch": "of:0000000000000001" }),
        ),
        (&put(&format!("s1/{}", "%C3%A4".repeat(127))), "", 201, json!({})),
        (
            &put(&format!("s1/{}", "%C3%A4".repeat(128))),
            "",
            400,
            problem("invalid-value", "path", "port"),
        ),
        (&put("s1/%"), "", 400, problem("invalid-value", "path", "port")),
        (&put("s1/0"), "", 400, problem("invalid-value", "path", "port")),
        (&put("s1/4294967295"), "", 400, problem("invalid-value", "path", "port")),
        (&put("99999999999999999999/1"), "", 400, problem("invalid-value", "path", "switch")),
        ("GET /api/v1/networks/BLUE", "", 400, problem("invalid-value", "path", "net")),
        ("GET /api/v1/networks/%FF", "", 400, problem("invalid-value", "path", "net")),
    ])
    .await;
}

#[tokio::test]
async fn bad_bodies_are_told_where() {
    let nets = "POST /api/v1/networks";
    let port = "PUT /api/v1/networks/blue/ports/s1/1";
    let apply = "POST /api/v1/apply";
    let many = format!(r#"{{"mac":[{}]}}"#, vec![r#""02:00:00:00:00:01""#; 65].join(","));
    story(&[
        ("PUT /api/v1/networks/blue", "", 201, json!({})),
        (nets, "{", 400, json!({ "/type": "/docs/problems/invalid-json", "/line": 1 })),
        (nets, "{\"name\":\"a\"} x", 400, kind("invalid-json")),
        (nets, "\u{feff}{}", 400, kind("invalid-json")),
        (nets, "[]", 400, problem("invalid-value", "body", "")),
        (nets, "{}", 400, problem("missing-field", "body", "/name")),
        (nets, r#"{"name":"A"}"#, 400, problem("invalid-value", "body", "/name")),
        (nets, r#"{"name":5}"#, 400, problem("invalid-value", "body", "/name")),
        (nets, r#"{"name":"a","name":"b"}"#, 400, problem("invalid-value", "body", "/name")),
        (nets, r#"{"name":"a","mac_limit":1000001}"#, 400, problem("invalid-value", "body", "/mac_limit")),
        (nets, r#"{"name":"a","mac_limit":-1}"#, 400, problem("invalid-value", "body", "/mac_limit")),
        (nets, r#"{"name":"a","kind":"wan"}"#, 400, problem("invalid-value", "body", "/kind")),
        (nets, r#"{"name":"a","colour":"b"}"#, 400, problem("unknown-field", "body", "/colour")),
        (nets, r#"{"name":"a","a/b~c":1}"#, 400, problem("unknown-field", "body", "/a~1b~0c")),
        (nets, r#"{"name":"a","labels":{"k":"a\nb"}}"#, 400, problem("invalid-value", "body", "/labels")),
        ("PUT /api/v1/networks/blue", r#"{"name":"red"}"#, 400, problem("invalid-value", "body", "/name")),
        (port, r#"{"mac":["02:00:00:00:00:01","x"]}"#, 400, problem("invalid-value", "body", "/mac/1")),
        (port, r#"{"mac":["ff:ff:ff:ff:ff:ff"]}"#, 400, problem("invalid-value", "body", "/mac/0")),
        (port, r#"{"ips":["10.0.0.1/24"]}"#, 400, problem("invalid-value", "body", "/ips/0")),
        (port, r#"{"ips":"10.0.0.1"}"#, 400, problem("invalid-value", "body", "/ips")),
        (port, r#"{"owner":""}"#, 400, problem("invalid-value", "body", "/owner")),
        (port, r#"{"enforce":true}"#, 400, problem("invalid-value", "body", "/mac")),
        (port, &many, 400, problem("invalid-value", "body", "/mac")),
        ("PUT /api/v1/links/s1/1/s2/1", r#"{"encap":"gre"}"#, 400, problem("invalid-value", "body", "/encap")),
        ("PUT /api/v1/links/s1/1/s1/1", "", 400, problem("invalid-value", "path", "b_port")),
        ("PATCH /api/v1/switches/s1", r#"{"pool":5}"#, 400, problem("invalid-value", "body", "/pool")),
        ("PATCH /api/v1/switches/s1", r#"{"colour":5}"#, 400, problem("unknown-field", "body", "/colour")),
        (apply, r#"{"networks":[{"name":"a"},{"name":"a"}]}"#, 400, problem("invalid-value", "body", "/networks/1/name")),
        (apply, r#"{"networks":[{"name":"a","x":1}]}"#, 400, problem("unknown-field", "body", "/networks/0/x")),
        (apply, r#"{"ports":[{"network":"a","switch":"s1"}]}"#, 400, problem("missing-field", "body", "/ports/0/port")),
        (apply, r#"{"ports":[{"network":"gone","switch":"s1","port":1}]}"#, 404, problem("network-not-found", "body", "/ports/0/network")),
        (
            apply,
            r#"{"ports":[{"network":"blue","switch":"s1","port":1},{"network":"blue","switch":"s1","port":"1"}]}"#,
            400,
            problem("invalid-value", "body", "/ports/1/port"),
        ),
        (
            apply,
            r#"{"ports":[{"network":"blue","switch":"s1","port":1,"enforce":true}]}"#,
            400,
            problem("invalid-value", "body", "/ports/0/mac"),
        ),
        ("POST /api/v1/apply?prune=true", "{}", 400, problem("invalid-value", "body", "/set")),
        ("POST /api/v1/networks/blue/attachments", r#"[{"switch":"s1","owner":"a"},{"switch":"s1"}]"#, 400, problem("missing-field", "body", "/1/owner")),
        ("POST /api/v1/networks/blue/attachments", "[]", 400, problem("invalid-value", "body", "")),
        ("PUT /api/v1/switches/s1/pool/1", "{}", 400, problem("missing-field", "body", "/ready")),
    ])
    .await;
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let case = |query: &str| format!("GET /api/v1/networks?{query}");
    story(&[
        (&case("limit=0"), "", 400, problem("invalid-value", "query", "limit")),
        (&case("limit=10001"), "", 400, problem("invalid-value", "query", "limit")),
        (&case("limit=x"), "", 400, problem("invalid-value", "query", "limit")),
        (&case("cursor=x"), "", 400, problem("invalid-value", "query", "cursor")),
        (&case("colour=x"), "", 400, problem("unknown-field", "query", "colour")),
        (&case("limit=1&limit=2"), "", 400, problem("invalid-value", "query", "limit")),
        ("GET /api/v1/networks/blue?x=1", "", 400, problem("unknown-field", "query", "x")),
        (
            "DELETE /api/v1/networks/blue?force=maybe",
            "",
            400,
            problem("invalid-value", "query", "force"),
        ),
        (
            "DELETE /api/v1/networks/blue?wait=never",
            "",
            400,
            problem("invalid-value", "query", "wait"),
        ),
        (
            "DELETE /api/v1/networks/blue?timeout=5",
            "",
            400,
            problem("invalid-value", "query", "timeout"),
        ),
        (
            "DELETE /api/v1/networks/blue?timeout=6m",
            "",
            400,
            problem("invalid-value", "query", "timeout"),
        ),
        (
            "GET /api/v1/switches/s1/flows?diff&desired",
            "",
            400,
            problem("invalid-value", "query", "diff"),
        ),
        ("GET /api/v1/hosts?network=BAD", "", 400, problem("invalid-value", "query", "network")),
        ("GET /api/v1/attachments?owner=", "", 400, problem("invalid-value", "query", "owner")),
    ])
    .await;
}

#[tokio::test]
async fn a_document_is_applied() {
    let all = r#"{"set":"shop","networks":[{"name":"a"},{"name":"b"}],"ports":[{"network":"a","switch":"s1","port":1,"mac":["02:00:00:00:00:01"]}]}"#;
    let less = r#"{"set":"shop","networks":[{"name":"a","mac_limit":9}],"ports":[{"network":"a","switch":"away","port":"x"}]}"#;
    story(&[
        ("POST /api/v1/apply", all, 200, json!({ "/created": 3, "/state": "installed", "/changes/2/port": "1" })),
        ("POST /api/v1/apply", all, 200, json!({ "/created": 0, "/unchanged": 3, "/changes": [] })),
        (
            "POST /api/v1/apply?prune",
            less,
            202,
            json!({ "/created": 1, "/updated": 1, "/deleted": 1, "/state": "pending", "/reasons/0/switch": "away" }),
        ),
    ])
    .await;
}

#[tokio::test]
async fn switches_links_hosts_and_attachments_answer() {
    let link = "/api/v1/links/s1/2/away/2";
    let one = r#"{"switch":"s1","owner":"pod/1"}"#;
    let two = r#"[{"switch":"s1","owner":"pod/1"},{"switch":"away","owner":"pod/2"}]"#;
    let bad = r#"[{"switch":"s1","owner":"x"},{"switch":"nowhere","owner":"y"}]"#;
    let ask = "POST /api/v1/networks/blue/attachments";
    story(&[
        ("PUT /api/v1/networks/blue", "", 201, json!({})),
        (
            "GET /api/v1/switches",
            "",
            200,
            json!({ "/items/0/dpid": "of:0000000000000001", "/items/0/pool": "vhost*" }),
        ),
        (
            "GET /api/v1/switches/1",
            "",
            200,
            json!({ "/name": "s1", "/ports/0/name": "pct:eth%FF" }),
        ),
        ("GET /api/v1/switches/nowhere", "", 404, json!({ "/switch": "nowhere" })),
        (
            "PATCH /api/v1/switches/s1",
            r#"{"pool":"p*","name":"x"}"#,
            200,
            json!({ "/pool": "p*", "/name": "x" }),
        ),
        (
            "PATCH /api/v1/switches/s1",
            r#"{"pool":null}"#,
            200,
            json!({ "/pool": "vhost*", "/name": "x" }),
        ),
        (
            "PATCH /api/v1/switches/away",
            "{}",
            202,
            json!({ "/in_sync": false, "/reason": "away: away since 12:00" }),
        ),
        ("PATCH /api/v1/switches/nowhere", "{}", 404, json!({})),
        ("POST /api/v1/switches/s1/adopt", "", 501, kind("not-implemented")),
        ("POST /api/v1/switches/s1/reset", "", 501, kind("not-implemented")),
        ("DELETE /api/v1/switches/s1", "", 409, kind("switch-connected")),
        ("DELETE /api/v1/switches/nowhere", "", 204, json!({})),
        (
            "GET /api/v1/switches/s1/flows",
            "",
            200,
            json!({ "/view": "installed", "/items/0/priority": 3, "/groups/0/id": 0x4900_0007 }),
        ),
        (
            "GET /api/v1/switches/s1/flows?diff&limit=2",
            "",
            200,
            json!({ "/items/0/change": "add", "/items/0/match": "in_port=1" }),
        ),
        ("GET /api/v1/switches/s1/flows?desired=true", "", 200, json!({ "/view": "desired" })),
        (
            &format!("PUT {link}"),
            "",
            202,
            json!({ "/a": { "switch": "s1", "port": "2" }, "/encap": "vlan", "/state": "pending" }),
        ),
        (&format!("PUT {link}"), r#"{"encap":"tun_id"}"#, 202, json!({ "/encap": "tun_id" })),
        ("PUT /api/v1/links/s1/3/s1/4", "", 201, json!({ "/source": "declared" })),
        ("PUT /api/v1/links/s1/4/s1/3", "", 200, json!({})),
        ("GET /api/v1/links", "", 200, json!({ "/items/1/b/switch": "s1", "/next": null })),
        ("DELETE /api/v1/links/s1/4/s1/3", "", 204, json!({})),
        (
            "GET /api/v1/hosts?network=blue",
            "",
            200,
            json!({ "/items/1/mac": "02:00:00:00:00:02", "/items/2": null }),
        ),
        ("GET /api/v1/hosts?switch=s2", "", 200, json!({ "/items": [] })),
        (
            ask,
            one,
            201,
            json!({ "/id": "a-1", "/port": "vhost1", "/since": "1970-01-01T00:00:00.000Z" }),
        ),
        (ask, one, 200, json!({ "/id": "a-1" })),
        (ask, two, 202, json!({ "/items/0/id": "a-1", "/items/1/state": "pending" })),
        (ask, bad, 404, problem("switch-not-found", "body", "/1/switch")),
        (
            "GET /api/v1/attachments?owner_prefix=pod/",
            "",
            200,
            json!({ "/items/1/owner": "pod/2" }),
        ),
        (
            "GET /api/v1/attachments?owner=pod/2",
            "",
            200,
            json!({ "/items/0/id": "a-2", "/items/1": null }),
        ),
        ("GET /api/v1/attachments/a-1", "", 200, json!({ "/network": "blue" })),
        ("DELETE /api/v1/attachments/a-1", "", 204, json!({})),
        ("DELETE /api/v1/attachments/a-1", "", 204, json!({})),
        ("GET /api/v1/attachments/a-1", "", 404, kind("attachment-not-found")),
        (
            "PUT /api/v1/switches/s1/pool/vhost1",
            r#"{"ready":true}"#,
            200,
            json!({ "/ready": true, "/use": "free" }),
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_can_be_sent_back() {
    let router = open();
    let cases = [
        ("PUT", "/api/v1/networks/blue", r#"{"mac_limit":7,"labels":{"a":"b"}}"#),
        (
            "PUT",
            "/api/v1/networks/blue/ports/s1/1",
            r#"{"mac":["02:00:00:00:00:01"],"owner":"me"}"#,
        ),
        ("PATCH", "/api/v1/switches/s1", r#"{"trunks":"t*"}"#),
    ];
    for (method, path, body) in cases {
        send(&router, &format!("{method} {path}"), body).await;
        let got = json_of(send(&router, &format!("GET {path}"), "").await).await;
        let back = send(&router, &format!("{method} {path}"), &got.to_string()).await;
        assert_eq!(back.status(), StatusCode::OK, "{path}");
        assert_eq!(json_of(back).await, got, "{path}");
    }
    let networks = json_of(send(&router, "GET /api/v1/networks", "").await).await;
    let ports = json_of(send(&router, "GET /api/v1/networks/blue/ports", "").await).await;
    let document = json!({ "networks": networks["items"], "ports": ports["items"] }).to_string();
    let applied = json_of(send(&router, "POST /api/v1/apply", &document).await).await;
    assert_eq!((&applied["unchanged"], &applied["changes"]), (&json!(2), &json!([])), "{applied}");

    let link = json_of(send(&router, "PUT /api/v1/links/s1/5/s1/6", "").await).await;
    let back = send(&router, "PUT /api/v1/links/s1/5/s1/6", &link.to_string()).await;
    assert_eq!(back.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_caller_says_how_long_to_wait() {
    let memory = Arc::new(Memory::default());
    let router = router(memory.clone(), Options::new(Access::Open));
    let installed = |millis| Wait::Installed { timeout: std::time::Duration::from_millis(millis) };
    let cases = [
        ("", installed(5_000)),
        ("?wait=installed", installed(5_000)),
        ("?timeout=500ms", installed(500)),
        ("?wait=installed&timeout=5m", installed(300_000)),
        ("?timeout=0s", installed(0)),
        ("?wait=stored", Wait::Stored),
        ("?wait=stored&timeout=1s", Wait::Stored),
    ];
    for (query, _) in cases {
        let call = format!("PUT /api/v1/networks/blue{query}");
        assert!(send(&router, &call, "").await.status().is_success(), "{query}");
    }
    assert_eq!(memory.waits(), cases.map(|(_, wait)| wait));
}

#[tokio::test]
async fn what_axum_refuses_is_a_problem_too() {
    story(&[
        ("GET /", "", 404, kind("no-such-path")),
        ("GET /api/v1/networks/", "", 404, kind("no-such-path")),
        ("GET /api/v1/networks//ports", "", 400, problem("invalid-value", "path", "net")),
        ("GET /api/v1/networks/a/b", "", 404, kind("no-such-path")),
        ("DELETE /api/v1/networks", "", 405, kind("method-not-allowed")),
        ("BREW /healthz", "", 405, kind("method-not-allowed")),
        ("GET /docs/problems/none", "", 404, kind("problem-not-found")),
    ])
    .await;
    let allow = send(&open(), "PATCH /api/v1/networks", "").await.headers()["allow"].clone();
    assert_eq!(allow, "GET,HEAD,POST");

    let text = Request::post("/api/v1/networks").header("content-type", "text/plain");
    let bare = Request::post("/api/v1/networks");
    for request in [text, bare] {
        let request = request.body(Body::from(r#"{"name":"a"}"#)).unwrap();
        let response = open().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 415);
        assert_eq!(json_of(response).await["type"], "/docs/problems/unsupported-media-type");
    }
    let with_parameters = Request::post("/api/v1/networks")
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(Body::from(r#"{"name":"a"}"#))
        .unwrap();
    assert_eq!(open().oneshot(with_parameters).await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_body_is_bounded_whether_its_length_is_said_or_not() {
    let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(1 << 20));
    let said = Request::post("/api/v1/networks")
        .header("content-type", "application/json")
        .header("content-length", large.len())
        .body(Body::from(large.clone()))
        .unwrap();
    let chunks =
        large.into_bytes().chunks(1 << 16).map(|c| Ok::<_, String>(c.to_vec())).collect::<Vec<_>>();
    let unsaid = Request::post("/api/v1/networks")
        .header("content-type", "application/json")
        .body(Body::from_stream(futures_util::stream::iter(chunks)))
        .unwrap();
    for request in [said, unsaid] {
        let answer = json_of(open().oneshot(request).await.unwrap()).await;
        assert_eq!(answer["type"], "/docs/problems/body-too-large");
        assert_eq!(answer["limit"], 1 << 20);
    }
}

/// Large bodies have a bound together too: who comes while there is no room is told to come again.
#[tokio::test]
async fn large_bodies_share_their_room() {
    let router = open();
    let restore = |length: usize, body: Body| {
        Request::post("/api/v1/restore")
            .header("content-type", "application/json")
            .header("content-length", length)
            .body(body)
            .unwrap()
    };
    // It is announced, and holds its room while it is waited for.
    let (never, told) = silent_body();
    let slow = tokio::spawn(router.clone().oneshot(restore(250 << 20, never)));
    told.await.unwrap();
    let other = || restore(20 << 20, Body::empty());
    let response = router.clone().oneshot(other()).await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(json_of(response).await["type"], "/docs/problems/too-many-requests");
    // What is too large isn't better later.
    let response = router.clone().oneshot(restore(300 << 20, Body::empty())).await.unwrap();
    assert_eq!(response.status(), 413);
    // Small ones need none.
    let small = router.clone().oneshot(restore(2, Body::from("{}"))).await.unwrap();
    assert_ne!(small.status(), 429);
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    assert_ne!(router.oneshot(other()).await.unwrap().status(), 429);
}

/// A body that never comes, and what resolves once it is asked for.
fn silent_body() -> (Body, tokio::sync::oneshot::Receiver<()>) {
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    let stream = futures_util::stream::poll_fn(move |_| {
        tell.take().map(|tell| tell.send(()));
        std::task::Poll::<Option<Result<Vec<u8>, String>>>::Pending
    });
    (Body::from_stream(stream), told)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_given_up() {
    let request = Request::post("/api/v1/networks")
        .header("content-type", "application/json")
        .body(Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, String>>()))
        .unwrap();
    let response = open().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
}

#[tokio::test]
async fn a_token_is_needed_but_for_health() {
    let tokens = Tokens::parse("0123456789abcdef\n").unwrap();
    let router = router(Arc::new(Memory::default()), Options::new(Access::Tokens(tokens)));
    let get = |path: &str, header: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let cases = [
        ("/healthz", None, 200),
        ("/readyz", None, 200),
        ("/metrics", None, 401),
        ("/docs", None, 401),
        ("/openapi.json", None, 401),
        ("/nothing", None, 401),
        ("/api/v1/networks", None, 401),
        ("/api/v1/networks", Some("Bearer 0123456789abcdee"), 401),
        ("/api/v1/networks", Some("Bearer "), 401),
        ("/api/v1/networks", Some("Basic 0123456789abcdef"), 401),
        ("/api/v1/networks", Some("0123456789abcdef"), 401),
        ("/api/v1/networks", Some("Bearer 0123456789abcdef"), 200),
        ("/api/v1/networks", Some("bearer 0123456789abcdef"), 200),
        ("/metrics", Some("Bearer 0123456789abcdef"), 200),
    ];
    for (path, header, status) in cases {
        let response = get(path, header).await.unwrap();
        assert_eq!(response.status(), status, "{path} {header:?}");
        if status == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"isolane\"");
            assert_eq!(json_of(response).await["type"], "/docs/problems/unauthorized");
        }
    }
}

#[tokio::test]
async fn a_web_page_cannot_reach_loopback_by_its_own_name() {
    let router = router(Arc::new(Memory::default()), Options::new(Access::Loopback));
    for (host, status) in [("127.0.0.1:8080", 200), ("localhost", 200), ("evil.example", 421)] {
        let request =
            Request::get("/api/v1/networks").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{host}");
    }
}

#[tokio::test]
async fn metrics_and_documentation_are_served() {
    let router = open();
    for (path, media_type) in [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/problems/port-in-use", "text/html; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ] {
        let response = send(&router, &format!("GET {path}"), "").await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], media_type, "{path}");
        assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty(), "{path}");
    }
}
