//! `/switches`.

use axum::extract::State;

use super::It;
use super::answer::{Answer, changed, ok, removed};
use super::extract::{Json, Path, Query};
use crate::error::Problem;
use crate::name::{PortRef, SwitchRef};
use crate::page::Listing;
use crate::query::{ChangeQuery, FlowsQuery, ListQuery, NoQuery};
use crate::types::{FlowTables, Pending, PoolPort, PoolPortBody, Switch, SwitchPatch};

/// The known switches, by datapath id.
#[utoipa::path(
    get, path = "/api/v1/switches", tag = "switches", params(ListQuery),
    responses((status = 200, description = "A page of the switches.", body = Listing<Switch>))
)]
pub(super) async fn list_switches(State(it): State<It>, Query(query): Query<ListQuery>) -> Answer {
    ok(it.plane.switches(query.page()).await?)
}

/// One switch.
#[utoipa::path(
    get, path = "/api/v1/switches/{switch}", tag = "switches",
    params(("switch" = SwitchRef, Path, description = "The switch.")),
    responses(
        (status = 200, description = "The switch.", body = Switch),
        (status = 404, description = "`switch-not-found`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_switch(
    State(it): State<It>,
    Path((switch,)): Path<(SwitchRef,)>,
    Query(_): Query<NoQuery>,
) -> Answer {
    ok(it.plane.switch(switch).await?)
}

/// Changes a switch's name, or which of its ports are its pool or may be
/// trunks. What is left out stays.
#[utoipa::path(
    patch, path = "/api/v1/switches/{switch}", tag = "switches",
    params(("switch" = SwitchRef, Path, description = "The switch."), ChangeQuery),
    request_body = SwitchPatch,
    responses(
        (status = 200, description = "The switch as it is now.", body = Switch),
        (status = 202, description = "It is stored; a switch has yet to confirm.", body = Switch),
        (status = 404, description = "`switch-not-found`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name-in-use`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn patch_switch(
    State(it): State<It>,
    Path((switch,)): Path<(SwitchRef,)>,
    Query(query): Query<ChangeQuery>,
    Json(patch): Json<SwitchPatch>,
) -> Answer {
    changed(it.plane.patch_switch(switch, patch, query.wait()).await?)
}

/// Forgets a switch that is gone for good: what it held is free again.
#[utoipa::path(
    delete, path = "/api/v1/switches/{switch}", tag = "switches",
    params(("switch" = SwitchRef, Path, description = "The switch.")),
    responses(
        (status = 204, description = "It is forgotten, or wasn't known."),
        (status = 202, description = "Another switch has yet to confirm it.", body = Pending),
        (status = 409, description = "`switch-connected`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_switch(
    State(it): State<It>,
    Path((switch,)): Path<(SwitchRef,)>,
    Query(_): Query<NoQuery>,
) -> Answer {
    removed(it.plane.delete_switch(switch).await?)
}

/// Takes over a switch in foreign state, its networks read back from its
/// flows where that is possible.
#[utoipa::path(
    post, path = "/api/v1/switches/{switch}/adopt", tag = "switches",
    params(("switch" = SwitchRef, Path, description = "The switch."), ChangeQuery),
    responses(
        (status = 200, description = "The switch as it is now.", body = Switch),
        (status = 202, description = "It has yet to confirm.", body = Switch),
        (status = 404, description = "`switch-not-found`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`switch-not-foreign`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn adopt_switch(
    State(it): State<It>,
    Path((switch,)): Path<(SwitchRef,)>,
    Query(query): Query<ChangeQuery>,
) -> Answer {
    changed(it.plane.adopt_switch(switch, query.wait()).await?)
}

/// Takes over a switch in foreign state, its flows of Isolane removed.
#[utoipa::path(
    post, path = "/api/v1/switches/{switch}/reset", tag = "switches",
    params(("switch" = SwitchRef, Path, description = "The switch."), ChangeQuery),
    responses(
        (status = 200, description = "The switch as it is now.", body = Switch),
        (status = 202, description = "It has yet to confirm.", body = Switch),
        (status = 404, description = "`switch-not-found`",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`switch-not-foreign`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reset_switch(
    State(it): State<It>,
    Path((switch,)): Path<(SwitchRef,)>,
    Query(query): Query<ChangeQuery>,
) -> Answer {
    changed(it.plane.reset_switch(switch, query.wait()).await?)
}

/// The node's side says whether a port of a switch's pool may be given out.
#[utoipa::path(
    put, path = "/api/v1/switches/{switch}/pool/{port}", tag = "attachments",
    params(
        ("switch" = SwitchRef, Path, description = "The switch."),
        ("port" = PortRef, Path, description = "Its port."),
    ),
    request_body = PoolPortBody,
    responses(
        (status = 200, description = "The port as it is now.", body = PoolPort),
        (status = 201, description = "The port as it is now; nothing was said of it before.",
            body = PoolPort),
        (status = 404, description = "`switch-not-found`, `port-not-found`",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_pool_port(
    State(it): State<It>,
    Path((switch, port)): Path<(SwitchRef, PortRef)>,
    Query(_): Query<NoQuery>,
    Json(body): Json<PoolPortBody>,
) -> Answer {
    changed(it.plane.put_pool_port(switch, port, body).await?)
}

/// The flows and groups of Isolane's on a switch: what it holds, should hold,
/// or would have changed.
#[utoipa::path(
    get, path = "/api/v1/switches/{switch}/flows", tag = "switches",
    params(("switch" = SwitchRef, Path, description = "The switch."), FlowsQuery),
    responses(
        (status = 200, description = "A page of the flows; the groups are on the first one.",
            body = FlowTables),
        (status = 404, description = "`switch-not-found`",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`switch-away`: it was never read",
            body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_flows(
    State(it): State<It>,
    Path((switch,)): Path<(SwitchRef,)>,
    Query(query): Query<FlowsQuery>,
) -> Answer {
    let view = query.view().map_err(|error| {
        let field = if query.diff.0 { "diff" } else { "desired" };
        Problem::invalid(&error).parameter("query", field)
    })?;
    ok(it.plane.flows(switch, view, query.page()).await?)
}
