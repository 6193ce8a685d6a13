//! `/attachments`, and asking for one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use utoipa::ToSchema;

use super::It;
use super::answer::{Answer, changed, ok, removed};
use super::extract::{LargeBody, Path, Query, from_json};
use crate::error::{Problem, ProblemKind};
use crate::page::Listing;
use crate::query::{AttachmentsQuery, ChangeQuery, NoQuery};
use crate::types::{Attachment, AttachmentSpec, Changed, Pending};
use crate::values::{AttachmentId, NetworkName};

/// One attachment or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // only for the OpenAPI document: errors of an untagged enum name no field
pub(super) enum AttachmentRequest {
    /// One.
    One(AttachmentSpec),
    /// Several, all or nothing; at most 1,000.
    Several(Vec<AttachmentSpec>),
}

/// What came of it: as many as were asked for, in the same order.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // only for the OpenAPI document
pub(super) enum AttachmentAnswer {
    /// One.
    One(Attachment),
    /// Several.
    Several(Listing<Attachment>),
}

/// The most attachments that one request may ask for.
const MAX: usize = 1_000;

/// Attaches any free port of a switch's pool. The same owner on the same
/// switch gets the same port again.
#[utoipa::path(
    post, path = "/api/v1/networks/{net}/attachments", tag = "attachments",
    params(("net" = NetworkName, Path, description = "The network's name."), ChangeQuery),
    request_body = AttachmentRequest,
    responses(
        (status = 201, description = "At least one is new.", body = AttachmentAnswer),
        (status = 200, description = "The owners had them.", body = AttachmentAnswer),
        (status = 202, description = "At least one waits for a switch.", body = AttachmentAnswer),
        (status = 404, description = "`network-not-found`, `switch-not-found`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`pool-exhausted` (`pool_size`, `attached`, `releasing`, \
            `not_ready` say how many there are), \
            `owner-in-use` (`network` names the other)",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_attachments(
    State(it): State<It>,
    Path((network,)): Path<(NetworkName,)>,
    Query(query): Query<ChangeQuery>,
    LargeBody(body, _room): LargeBody,
) -> Answer {
    let several = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let specs = if several { list(&body)? } else { vec![from_json(&body)?] };
    let mut changes = it.plane.create_attachments(network, specs, query.wait()).await?;
    if !several && changes.len() == 1 {
        return changed(changes.remove(0));
    }
    // 202 if any waits, else 201 if any is new.
    let rank = |status: &u16| [200, 201, 202].iter().position(|known| known == status);
    let (statuses, items): (Vec<u16>, Vec<Attachment>) =
        changes.into_iter().map(Changed::answer).unzip();
    let status = statuses.into_iter().max_by_key(rank).unwrap_or(200);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok((status, Json(Listing::from(items))).into_response())
}

fn list(body: &[u8]) -> Result<Vec<AttachmentSpec>, Problem> {
    let specs: Vec<AttachmentSpec> = from_json(body)?;
    if !(1..=MAX).contains(&specs.len()) {
        let detail = format!("The list has {} entries; 1 to {MAX} are accepted.", specs.len());
        return Err(Problem::new(ProblemKind::InvalidValue, detail).at(""));
    }
    Ok(specs)
}

/// Every port that has an owner, by owner.
#[utoipa::path(
    get, path = "/api/v1/attachments", tag = "attachments", params(AttachmentsQuery),
    responses((status = 200, description = "A page of them.", body = Listing<Attachment>))
)]
pub(super) async fn list_attachments(
    State(it): State<It>,
    Query(query): Query<AttachmentsQuery>,
) -> Answer {
    ok(it.plane.attachments(query.filter(), query.page()).await?)
}

/// One attachment.
#[utoipa::path(
    get, path = "/api/v1/attachments/{id}", tag = "attachments",
    params(("id" = AttachmentId, Path, description = "The attachment's id.")),
    responses(
        (status = 200, description = "The attachment.", body = Attachment),
        (status = 404, description = "`attachment-not-found`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_attachment(
    State(it): State<It>,
    Path((id,)): Path<(AttachmentId,)>,
    Query(_): Query<NoQuery>,
) -> Answer {
    ok(it.plane.attachment(id).await?)
}

/// Detaches the port of an attachment.
#[utoipa::path(
    delete, path = "/api/v1/attachments/{id}", tag = "attachments",
    params(("id" = AttachmentId, Path, description = "The attachment's id."), ChangeQuery),
    responses(
        (status = 204, description = "It is gone, or wasn't there."),
        (status = 202, description = "A switch has yet to confirm it.", body = Pending),
    )
)]
pub(super) async fn delete_attachment(
    State(it): State<It>,
    Path((id,)): Path<(AttachmentId,)>,
    Query(query): Query<ChangeQuery>,
) -> Answer {
    removed(it.plane.delete_attachment(id, query.wait()).await?)
}
