//! What is outside `/api/v1`: health, metrics, documentation; and what is not
//! there at all.

use axum::extract::{MatchedPath, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{Method, Uri};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::It;
use super::answer::{Answer, ok};
use super::extract::{Path, Query};
use super::html;
use crate::error::{Problem, ProblemKind};
use crate::query::NoQuery;

/// A word on how the server is.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` or `ready`.
    status: &'static str,
}

/// Whether the server lives. No token is needed.
#[utoipa::path(
    get, path = "/healthz", tag = "system", security(()),
    responses((status = 200, description = "It does.", body = Health))
)]
pub(super) async fn healthz() -> Answer {
    ok(Health { status: "ok" })
}

/// Whether the server can serve now. No token is needed.
#[utoipa::path(
    get, path = "/readyz", tag = "system", security(()),
    responses(
        (status = 200, description = "It can.", body = Health),
        (status = 503, description = "`not-ready`: it can't; `detail` says why.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(it): State<It>) -> Answer {
    it.plane.ready().await?;
    ok(Health { status: "ready" })
}

/// The metrics, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "system",
    responses((status = 200, description = "Prometheus' text format.", body = String,
        content_type = "text/plain; version=0.0.4"))
)]
pub(super) async fn metrics(State(it): State<It>) -> Response {
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, media_type)], it.plane.metrics().await).into_response()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value))
)]
pub(super) async fn openapi_document(State(it): State<It>, Query(_): Query<NoQuery>) -> Response {
    ([(CONTENT_TYPE, "application/json")], it.openapi.clone()).into_response()
}

/// Nothing but the page's own style is loaded or run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

fn page(html: String) -> Response {
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// This document, for people.
#[utoipa::path(
    get, path = "/docs", tag = "system",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html"))
)]
pub(super) async fn docs(State(it): State<It>) -> Response {
    page(it.page.clone())
}

/// What a problem's `type` means, and what to do about it.
#[utoipa::path(
    get, path = "/docs/problems/{problem}", tag = "system",
    params(("problem" = String, Path, description = "The end of a problem's `type`.")),
    responses(
        (status = 200, description = "A page.", body = String, content_type = "text/html"),
        (status = 404, description = "`problem-not-found`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn docs_of_problem(Path((name,)): Path<(String,)>) -> Answer {
    match ProblemKind::of_name(&name) {
        Some(kind) => Ok(page(html::problem(kind))),
        None => Err(Problem::new(ProblemKind::ProblemNotFound, "No problem has this name.")),
    }
}

/// The answer where no route is.
pub(super) async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("There is nothing at {}.", crate::invalid::quoted(uri.path()));
    Problem::new(ProblemKind::NoSuchPath, detail)
}

/// The answer where a route doesn't take the method; axum adds `Allow`.
pub(super) async fn method_not_allowed(method: Method, path: MatchedPath) -> Problem {
    let detail = format!("{method} is not possible on {}.", path.as_str());
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}
