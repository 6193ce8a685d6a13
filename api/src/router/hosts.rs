//! `/hosts`.

use axum::extract::State;

use super::It;
use super::answer::{Answer, ok};
use super::extract::Query;
use crate::page::Listing;
use crate::query::HostsQuery;
use crate::types::Host;

/// The hosts: which MAC address is where, by network and MAC address.
#[utoipa::path(
    get, path = "/api/v1/hosts", tag = "hosts", params(HostsQuery),
    responses((status = 200, description = "A page of the hosts.", body = Listing<Host>))
)]
pub(super) async fn list_hosts(State(it): State<It>, Query(query): Query<HostsQuery>) -> Answer {
    ok(it.plane.hosts(query.filter(), query.page()).await?)
}
