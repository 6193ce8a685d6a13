//! `/backup` and `/restore`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::It;
use super::answer::Answer;
use super::extract::{BackupBody, Query};
use crate::error::Problem;
use crate::query::{ChangeQuery, NoQuery};
use crate::types::{Ack, Acknowledge, Backup, Restored};

/// All that the controller keeps, as of one moment. It goes on meanwhile.
#[utoipa::path(
    get, path = "/api/v1/backup", tag = "backup",
    responses((status = 200, description = "The backup.", body = Backup))
)]
pub(super) async fn backup(State(it): State<It>, Query(_): Query<NoQuery>) -> Answer {
    let backup = it.plane.backup().await?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"isolane-backup.json\""),
    ];
    Ok((headers, backup).into_response())
}

/// Makes everything as a backup says, all or nothing: what is wanted and isn't
/// in it goes. Switches are sent what differs.
#[utoipa::path(
    post, path = "/api/v1/restore", tag = "backup", params(ChangeQuery),
    request_body = Backup,
    responses(
        (status = 200, description = "Everything is as it was.", body = Restored),
        (status = 202, description = "The same; some of it waits for a switch.", body = Restored),
        (status = 400, description = "`backup-damaged`: nothing was changed.",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`backup-version`: another version made it; nothing was changed.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn restore(
    State(it): State<It>,
    Query(query): Query<ChangeQuery>,
    BackupBody(body, _room): BackupBody,
) -> Answer {
    let (mut restored, ack) = it.plane.restore(body, query.wait()).await?;
    let status = match ack {
        Ack::Installed => StatusCode::OK,
        Ack::Pending(_) => StatusCode::ACCEPTED,
    };
    restored.acknowledge(ack);
    Ok((status, Json(restored)).into_response())
}
