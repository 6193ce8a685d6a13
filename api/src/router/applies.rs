//! `/apply`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::It;
use super::answer::Answer;
use super::extract::{LargeBody, Query, from_json};
use crate::error::Problem;
use crate::query::ApplyQuery;
use crate::types::{Ack, Acknowledge, Applied, Document};

/// Makes everything as a document says, all or nothing.
#[utoipa::path(
    post, path = "/api/v1/apply", tag = "apply", params(ApplyQuery),
    request_body = Document,
    responses(
        (status = 200, description = "What changed.", body = Applied),
        (status = 202, description = "What changed; some of it waits for a switch.", body = Applied),
        (status = 404, description = "`network-not-found`: a port's network is neither in the \
            document nor there",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`port-in-use`, `port-is-trunk`, `network-in-use`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn apply(
    State(it): State<It>,
    Query(query): Query<ApplyQuery>,
    LargeBody(body, _room): LargeBody,
) -> Answer {
    let document: Document = from_json(&body)?;
    drop(body);
    document.check(query.prune.0)?;
    let (mut applied, ack) = it.plane.apply(document, query.prune.0, query.wait()).await?;
    let status = match ack {
        Ack::Installed => StatusCode::OK,
        Ack::Pending(_) => StatusCode::ACCEPTED,
    };
    applied.acknowledge(ack);
    Ok((status, Json(applied)).into_response())
}
