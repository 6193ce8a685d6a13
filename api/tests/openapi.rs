//! The OpenAPI document says all that the router does, and nothing else.

// All of this file is test code, its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::error::ProblemKind;
use api::{Access, Options, router};
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use support::Memory;
use tower::ServiceExt;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(&api::openapi_json()).unwrap()
}

/// Every `$ref` in the document.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn each_path_takes_exactly_the_documented_methods() {
    let router = router(Arc::new(Memory::default()), Options::new(Access::Open));
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 25);
    for (path, item) in paths {
        let mut uri = path.clone();
        while let (Some(start), Some(end)) = (uri.find('{'), uri.find('}')) {
            uri.replace_range(start..=end, "1");
        }
        for method in METHODS {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(&uri)
                .body(Body::empty());
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            let documented = item.get(method).is_some();
            assert_eq!(response.status() != 405, documented, "{method} {path}");
            if !documented {
                let allowed = response.headers()["allow"].to_str().unwrap().to_lowercase();
                let known = METHODS.iter().filter(|method| item.get(**method).is_some());
                for method in known {
                    assert!(allowed.split(',').any(|it| it == *method), "{method} {path}");
                }
            }
        }
    }
}

#[test]
fn each_operation_is_described_whole() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let row = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{row}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{row}");
            let none = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&none);
            let in_path: Vec<_> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let wanted: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
            assert_eq!(in_path, wanted, "{row}");
            for parameter in parameters {
                assert!(parameter["description"].is_string(), "{row} {}", parameter["name"]);
                assert!(parameter["schema"].is_object(), "{row} {}", parameter["name"]);
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let content = &response["content"];
                let wants_problem = status == "default" || status.starts_with(['4', '5']);
                let problem = &content["application/problem+json"]["schema"]["$ref"];
                assert_eq!(
                    problem == "#/components/schemas/Problem",
                    wants_problem,
                    "{row} {status}"
                );
                assert_eq!(content.is_null(), status == "204", "{row} {status}");
            }
            assert!(operation["responses"]["default"].is_object(), "{row}");
            if matches!(method.as_str(), "put" | "patch") || path.ends_with("apply") {
                let body = &operation["requestBody"]["content"]["application/json"];
                assert!(body["schema"].is_object(), "{row}");
            }
        }
    }
}

#[test]
fn all_that_is_referred_to_is_there() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// Whoever checks a body against its schema may still send an answer back.
#[test]
fn what_is_answered_fits_what_is_accepted() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let pairs = [
        ("NetworkSpec", "Network"),
        ("NetworkBody", "Network"),
        ("PortSpec", "Port"),
        ("DocumentPort", "Port"),
        ("SwitchPatch", "Switch"),
        ("LinkBody", "Link"),
        ("AttachmentSpec", "Attachment"),
        ("PoolPortBody", "PoolPort"),
    ];
    for (accepted, answered) in pairs {
        assert_eq!(schemas[accepted]["additionalProperties"], false, "{accepted}");
        for (field, schema) in schemas[answered]["properties"].as_object().unwrap() {
            let there = &schemas[accepted]["properties"][field];
            assert!(there.is_object(), "{accepted}: {field}");
            // A document says in a port what its path says elsewhere.
            let place = matches!(field.as_str(), "network" | "switch" | "port");
            let written = there["readOnly"] != true && !(place && accepted == "DocumentPort");
            assert!(!(written && schema["readOnly"] == true), "{accepted}: {field}");
        }
    }
}

#[test]
fn each_kind_of_problem_is_in_the_document() {
    let document = document();
    let kinds = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].clone();
    assert_eq!(kinds.as_array().unwrap().len(), ProblemKind::ALL.len());
}

/// The repository's copy is what this version serves. To renew it:
/// `cargo run -p api --example openapi > openapi.json`.
#[test]
fn the_repositorys_copy_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");
    let copy = std::fs::read_to_string(path).unwrap();
    assert!(
        copy == api::openapi_json(),
        "renew it: cargo run -p api --example openapi > openapi.json"
    );
}
