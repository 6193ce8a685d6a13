//! What every request leaves behind: one log line, two metrics, and an answer
//! even when a handler panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::error::{Problem, ProblemKind};

pub(super) async fn request(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method(request.method());
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!(method, path, "a request's handler panicked");
        Problem::new(ProblemKind::Internal, "The request's handler failed.").into_response()
    });
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));

    let status = response.status();
    let taken = started.elapsed();
    // A route, never the path itself: anyone can make up paths.
    let route = route.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let labels =
        [("method", method.to_owned()), ("route", route), ("status", status.as_u16().to_string())];
    metrics::counter!("isolane_http_requests_total", &labels).increment(1);
    metrics::histogram!("isolane_http_request_seconds", &labels[..2]).record(taken);
    tracing::debug!(method, path, status = status.as_u16(), ?taken, "request");
    response
}

/// Methods that are labels; anyone can make up others.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
