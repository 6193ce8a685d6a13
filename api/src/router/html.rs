//! The documentation as pages that load nothing and run nothing.

use std::fmt::Write;

use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::document;
use crate::error::{ProblemKind, TYPE_PREFIX};

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1b1f24;background:#fff}\
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6;border-radius:3px;padding:0 .2em}\
details{border:1px solid #d0d7de;border-radius:6px;margin:.5rem 0;padding:.5rem 1rem}\
summary{cursor:pointer}summary b{display:inline-block;min-width:4.5em}\
table{border-collapse:collapse;margin:.5rem 0}\
td,th{border-top:1px solid #d0d7de;padding:.25rem .75rem .25rem 0;text-align:left;\
vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}code,pre{background:#21262d}\
a{color:#79b8ff}details,td,th{border-color:#30363d}}";

/// `text` with what HTML takes for markup escaped.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A description: its paragraphs, and `code` as code.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for paragraph in escape(text).split("\n\n") {
        html.push_str("<p>");
        for (at, part) in paragraph.split('`').enumerate() {
            html.push_str(match at {
                0 => "",
                odd if odd % 2 == 1 => "<code>",
                _ => "</code>",
            });
            html.push_str(part);
        }
        html.push_str("</p>");
    }
    html
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style>{body}</html>\n"
    )
}

/// A schema in a few words: its type, or a link to its description.
fn kind(schema: &Value) -> String {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    if let Some(name) = text("$ref").and_then(|target| target.rsplit('/').next()) {
        return format!("<a href=\"#{0}\">{0}</a>", escape(name));
    }
    for any in ["oneOf", "anyOf", "allOf"] {
        if let Some(Value::Array(parts)) = schema.get(any) {
            return parts.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(items));
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        let values: Vec<_> = values
            .iter()
            .map(|value| format!("<code>{}</code>", escape(value.as_str().unwrap_or_default())))
            .collect();
        return values.join(" ");
    }
    match schema.get("type") {
        Some(Value::String(name)) => escape(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn row(html: &mut String, name: &str, about: &str, what: &str) {
    let _ = write!(html, "<tr><td><code>{}</code><td>{about}<td>{what}", escape(name));
}

/// The page of the whole document.
pub(super) fn page(openapi: &OpenApi) -> String {
    let json = serde_json::to_value(openapi).unwrap_or_default();
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let none = Vec::new();
    let mut html = String::from("<h1>Isolane's REST interface</h1>");
    html.push_str(&prose(openapi.info.description.as_deref().unwrap_or_default()));
    html.push_str("<p>As a document for programs: <a href=\"/openapi.json\">/openapi.json</a>");
    for tag in openapi.tags.iter().flatten() {
        let _ = write!(html, "<h2>{}</h2>", escape(&tag.name));
        html.push_str(&prose(tag.description.as_deref().unwrap_or_default()));
        for (path, item) in &openapi.paths.paths {
            for (method, operation) in document::operations(item) {
                if !operation.tags.iter().flatten().any(|name| *name == tag.name) {
                    continue;
                }
                let operation = &json["paths"][path][method.to_lowercase()];
                let _ = write!(
                    html,
                    "<details><summary><b>{method}</b> <code>{}</code></summary>",
                    escape(path)
                );
                html.push_str(&prose(&text(operation, "summary")));
                html.push_str(&prose(&text(operation, "description")));
                html.push_str("<table>");
                for parameter in operation["parameters"].as_array().unwrap_or(&none) {
                    let place =
                        format!("{}: {}", text(parameter, "in"), kind(&parameter["schema"]));
                    row(
                        &mut html,
                        &text(parameter, "name"),
                        &place,
                        &prose(&text(parameter, "description")),
                    );
                }
                if let Some(body) = operation["requestBody"]["content"].as_object() {
                    for (media_type, content) in body {
                        row(&mut html, "body", &kind(&content["schema"]), &escape(media_type));
                    }
                }
                for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                    let schema =
                        response["content"].as_object().and_then(|all| all.values().next());
                    let body = schema.map_or(String::new(), |content| kind(&content["schema"]));
                    row(&mut html, status, &body, &prose(&text(response, "description")));
                }
                html.push_str("</table></details>");
            }
        }
    }
    html.push_str("<h2>Bodies and values</h2>");
    for (name, schema) in json["components"]["schemas"].as_object().into_iter().flatten() {
        let name = escape(name);
        let _ = write!(html, "<details id=\"{name}\"><summary><code>{name}</code></summary>");
        html.push_str(&prose(&text(schema, "description")));
        let required = schema["required"].as_array().unwrap_or(&none);
        html.push_str("<table>");
        match schema["properties"].as_object() {
            Some(properties) => {
                for (field, schema) in properties {
                    let mut about = kind(schema);
                    if required.iter().any(|name| name == field) {
                        about.push_str(", always there");
                    }
                    if schema["readOnly"] == true {
                        about.push_str(", read-only");
                    }
                    row(&mut html, field, &about, &prose(&text(schema, "description")));
                }
            }
            None => row(&mut html, "value", &kind(schema), &escape(&text(schema, "pattern"))),
        }
        html.push_str("</table></details>");
    }
    html.push_str("<h2>Problems</h2><table>");
    for kind in ProblemKind::ALL {
        let _ = write!(
            html,
            "<tr><td>{status}<td><a href=\"{TYPE_PREFIX}{name}\">{name}</a><td>{title}",
            status = kind.status(),
            name = kind.name(),
            title = escape(kind.title()),
        );
    }
    html.push_str("</table>");
    frame("Isolane", &html)
}

/// The page of one kind of problem.
pub(super) fn problem(kind: ProblemKind) -> String {
    let body = format!(
        "<h1>{}</h1><p><code>{}</code>, status {}</p>{}<p><a href=\"/docs\">All problems</a>",
        escape(kind.title()),
        kind.name(),
        kind.status(),
        prose(kind.help()),
    );
    frame(kind.title(), &body)
}
