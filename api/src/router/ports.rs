//! `/networks/{net}/ports`.

use axum::extract::State;

use super::It;
use super::answer::{Answer, changed, ok, removed};
use super::extract::{OptionalBody, Path, Query};
use crate::error::Problem;
use crate::name::{PortRef, SwitchRef};
use crate::page::Listing;
use crate::query::{ChangeQuery, ListQuery, NoQuery};
use crate::types::{Pending, Port, PortSpec};
use crate::values::NetworkName;

/// The ports of a network, by switch and port.
#[utoipa::path(
    get, path = "/api/v1/networks/{net}/ports", tag = "ports",
    params(("net" = NetworkName, Path, description = "The network's name."), ListQuery),
    responses(
        (status = 200, description = "A page of its ports.", body = Listing<Port>),
        (status = 404, description = "`network-not-found`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_ports(
    State(it): State<It>,
    Path((network,)): Path<(NetworkName,)>,
    Query(query): Query<ListQuery>,
) -> Answer {
    ok(it.plane.ports(network, query.page()).await?)
}

/// One port of a network.
#[utoipa::path(
    get, path = "/api/v1/networks/{net}/ports/{switch}/{port}", tag = "ports",
    params(
        ("net" = NetworkName, Path, description = "The network's name."),
        ("switch" = SwitchRef, Path, description = "The switch."),
        ("port" = PortRef, Path, description = "Its port."),
    ),
    responses(
        (status = 200, description = "The port.", body = Port),
        (status = 404, description = "`network-not-found`, `port-not-attached`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_port(
    State(it): State<It>,
    Path((network, switch, port)): Path<(NetworkName, SwitchRef, PortRef)>,
    Query(_): Query<NoQuery>,
) -> Answer {
    ok(it.plane.port(network, switch, port).await?)
}

/// Attaches a port to a network, or changes what is said of it. What the body
/// leaves out becomes as by default. An unknown switch or port is stored, and
/// attached when it appears.
#[utoipa::path(
    put, path = "/api/v1/networks/{net}/ports/{switch}/{port}", tag = "ports",
    params(
        ("net" = NetworkName, Path, description = "The network's name."),
        ("switch" = SwitchRef, Path, description = "The switch."),
        ("port" = PortRef, Path, description = "Its port."),
        ChangeQuery,
    ),
    request_body(content = Option<PortSpec>, description = "May be left out."),
    responses(
        (status = 201, description = "It is attached.", body = Port),
        (status = 200, description = "It was attached; it is so now.", body = Port),
        (status = 202, description = "It is stored and waits for a switch.", body = Port),
        (status = 404, description = "`network-not-found`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`port-in-use` (`network` names the other), `port-is-trunk`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_port(
    State(it): State<It>,
    Path((network, switch, port)): Path<(NetworkName, SwitchRef, PortRef)>,
    Query(query): Query<ChangeQuery>,
    OptionalBody(spec): OptionalBody<PortSpec>,
) -> Answer {
    spec.check().map_err(|error| Problem::invalid(&error).at(format!("/{}", error.what)))?;
    changed(it.plane.put_port(network, switch, port, spec, query.wait()).await?)
}

/// Detaches a port. After a 204 not one more frame passes.
#[utoipa::path(
    delete, path = "/api/v1/networks/{net}/ports/{switch}/{port}", tag = "ports",
    params(
        ("net" = NetworkName, Path, description = "The network's name."),
        ("switch" = SwitchRef, Path, description = "The switch."),
        ("port" = PortRef, Path, description = "Its port."),
        ChangeQuery,
    ),
    responses(
        (status = 204, description = "It is detached, or wasn't attached."),
        (status = 202, description = "A switch has yet to confirm it.", body = Pending),
    )
)]
pub(super) async fn delete_port(
    State(it): State<It>,
    Path((network, switch, port)): Path<(NetworkName, SwitchRef, PortRef)>,
    Query(query): Query<ChangeQuery>,
) -> Answer {
    removed(it.plane.delete_port(network, switch, port, query.wait()).await?)
}
