//! `/links`.

use axum::extract::State;

use super::It;
use super::answer::{Answer, changed, ok, removed};
use super::extract::{OptionalBody, Path, Query};
use crate::error::Problem;
use crate::invalid::Invalid;
use crate::name::{PortRef, SwitchRef};
use crate::page::Listing;
use crate::query::{ChangeQuery, ListQuery};
use crate::types::{End, Link, LinkBody, Pending};

/// The links, discovered and declared.
#[utoipa::path(
    get, path = "/api/v1/links", tag = "links", params(ListQuery),
    responses((status = 200, description = "A page of the links.", body = Listing<Link>))
)]
pub(super) async fn list_links(State(it): State<It>, Query(query): Query<ListQuery>) -> Answer {
    ok(it.plane.links(query.page()).await?)
}

type Ends = (SwitchRef, PortRef, SwitchRef, PortRef);

fn ends((a_switch, a_port, b_switch, b_port): Ends) -> Result<(End, End), Problem> {
    let a = End { switch: a_switch, port: a_port };
    let b = End { switch: b_switch, port: b_port };
    if a == b {
        let why = format!("has {a} for both its ends; a link joins two ports");
        return Err(Problem::invalid(&Invalid::new("link", why)).parameter("path", "b_port"));
    }
    Ok((a, b))
}

/// Declares a link; its ends in either order are the same link. Unknown
/// switches and ports are stored, and used when they appear.
#[utoipa::path(
    put, path = "/api/v1/links/{a_switch}/{a_port}/{b_switch}/{b_port}", tag = "links",
    params(
        ("a_switch" = SwitchRef, Path, description = "The switch at one end."),
        ("a_port" = PortRef, Path, description = "Its port."),
        ("b_switch" = SwitchRef, Path, description = "The switch at the other end."),
        ("b_port" = PortRef, Path, description = "Its port."),
        ChangeQuery,
    ),
    request_body(content = Option<LinkBody>, description = "May be left out."),
    responses(
        (status = 201, description = "It is declared.", body = Link),
        (status = 200, description = "It was declared; it is so now.", body = Link),
        (status = 202, description = "It is stored and waits for a switch.", body = Link),
        (status = 409, description = "`port-in-use`, `link-exists`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_link(
    State(it): State<It>,
    Path(path): Path<Ends>,
    Query(query): Query<ChangeQuery>,
    OptionalBody(body): OptionalBody<LinkBody>,
) -> Answer {
    let (a, b) = ends(path)?;
    changed(it.plane.put_link(a, b, body, query.wait()).await?)
}

/// Takes back a declaration; its ends in either order are the same link.
#[utoipa::path(
    delete, path = "/api/v1/links/{a_switch}/{a_port}/{b_switch}/{b_port}", tag = "links",
    params(
        ("a_switch" = SwitchRef, Path, description = "The switch at one end."),
        ("a_port" = PortRef, Path, description = "Its port."),
        ("b_switch" = SwitchRef, Path, description = "The switch at the other end."),
        ("b_port" = PortRef, Path, description = "Its port."),
        ChangeQuery,
    ),
    responses(
        (status = 204, description = "It is not declared any more, or wasn't."),
        (status = 202, description = "A switch has yet to confirm it.", body = Pending),
    )
)]
pub(super) async fn delete_link(
    State(it): State<It>,
    Path(path): Path<Ends>,
    Query(query): Query<ChangeQuery>,
) -> Answer {
    let (a, b) = ends(path)?;
    removed(it.plane.delete_link(a, b, query.wait()).await?)
}
