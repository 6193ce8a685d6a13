//! `/networks`.

use axum::extract::State;

use super::It;
use super::answer::{Answer, changed, ok, removed};
use super::extract::{Json, OptionalBody, Path, Query};
use crate::error::Problem;
use crate::invalid::Invalid;
use crate::page::Listing;
use crate::query::{ChangeQuery, DeleteNetworkQuery, ListQuery, NoQuery};
use crate::types::{Network, NetworkBody, NetworkSpec, Pending};
use crate::values::NetworkName;

/// The networks, by name.
#[utoipa::path(
    get, path = "/api/v1/networks", tag = "networks", params(ListQuery),
    responses((status = 200, description = "A page of the networks.", body = Listing<Network>))
)]
pub(super) async fn list_networks(State(it): State<It>, Query(query): Query<ListQuery>) -> Answer {
    ok(it.plane.networks(query.page()).await?)
}

/// Makes a network.
#[utoipa::path(
    post, path = "/api/v1/networks", tag = "networks", params(ChangeQuery),
    request_body = NetworkSpec,
    responses(
        (status = 201, description = "It is new.", body = Network),
        (status = 200, description = "It was there, just so.", body = Network),
        (status = 202, description = "It is stored and waits for a switch.", body = Network),
        (status = 409, description = "`network-exists`: it is there with another specification.",
            body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "`ids-exhausted`: no number is left for it.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_network(
    State(it): State<It>,
    Query(query): Query<ChangeQuery>,
    Json(spec): Json<NetworkSpec>,
) -> Answer {
    changed(it.plane.create_network(spec, query.wait()).await?)
}

/// One network.
#[utoipa::path(
    get, path = "/api/v1/networks/{net}", tag = "networks",
    params(("net" = NetworkName, Path, description = "The network's name.")),
    responses(
        (status = 200, description = "The network.", body = Network),
        (status = 404, description = "`network-not-found`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_network(
    State(it): State<It>,
    Path((network,)): Path<(NetworkName,)>,
    Query(_): Query<NoQuery>,
) -> Answer {
    ok(it.plane.network(network).await?)
}

/// Makes a network, or changes it to this. What the body leaves out becomes as
/// by default.
#[utoipa::path(
    put, path = "/api/v1/networks/{net}", tag = "networks",
    params(("net" = NetworkName, Path, description = "The network's name."), ChangeQuery),
    request_body(content = Option<NetworkBody>, description = "May be left out."),
    responses(
        (status = 201, description = "It is new.", body = Network),
        (status = 200, description = "It is so now, or was so before.", body = Network),
        (status = 202, description = "It is stored and waits for a switch.", body = Network),
        (status = 507, description = "`ids-exhausted`: no number is left for it.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_network(
    State(it): State<It>,
    Path((network,)): Path<(NetworkName,)>,
    Query(query): Query<ChangeQuery>,
    OptionalBody(body): OptionalBody<NetworkBody>,
) -> Answer {
    if let Some(name) = body.name.as_ref().filter(|name| **name != network) {
        let why = format!("is {name} in the body and {network} in the path; a name can't change");
        return Err(Problem::invalid(&Invalid::new("network name", why)).at("/name"));
    }
    let NetworkBody { kind, mac_limit, labels, .. } = body;
    let spec = NetworkSpec { name: network, kind, mac_limit, labels };
    changed(it.plane.put_network(spec, query.wait()).await?)
}

/// Removes a network.
#[utoipa::path(
    delete, path = "/api/v1/networks/{net}", tag = "networks",
    params(("net" = NetworkName, Path, description = "The network's name."), DeleteNetworkQuery),
    responses(
        (status = 204, description = "It is gone, or wasn't there."),
        (status = 202, description = "A switch has yet to confirm it.", body = Pending),
        (status = 409, description = "`network-in-use`: it still has ports.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_network(
    State(it): State<It>,
    Path((network,)): Path<(NetworkName,)>,
    Query(query): Query<DeleteNetworkQuery>,
) -> Answer {
    removed(it.plane.delete_network(network, query.force.0, query.wait()).await?)
}
