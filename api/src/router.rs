//! The REST interface: [`ControlPlane`] as an axum router.
//!
//! One file below for each kind of object. `extract` reads requests, `answer`
//! writes answers, `access` says who may ask, `document` is the OpenAPI
//! document, which is made from the same definitions as the routes.

mod access;
mod answer;
mod applies;
mod attachments;
mod backups;
mod document;
mod extract;
mod hosts;
mod html;
mod links;
mod networks;
mod ports;
mod switches;
mod system;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control_plane::ControlPlane;
pub use access::{Access, Tokens};

/// How the router serves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who may ask.
    pub access: Access,
    /// How much and how long a request may be.
    pub limits: Limits,
}

impl Options {
    /// For these callers, with the limits that are so by default.
    pub fn new(access: Access) -> Self {
        Self { access, limits: Limits::default() }
    }
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The largest document for `apply`, and the largest list of attachments,
    /// in bytes.
    pub document: usize,
    /// The largest backup to give back, in bytes. All bodies that are larger
    /// than `body` have no more than this together, at a time.
    pub backup: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            document: 32 << 20,
            backup: 256 << 20,
            body_timeout: Duration::from_secs(30),
        }
    }
}

/// What every handler has.
struct Shared {
    plane: Arc<dyn ControlPlane>,
    limits: Limits,
    /// Room for large bodies, in KiB.
    room: Arc<Semaphore>,
    /// The OpenAPI document, and the page made from it.
    openapi: String,
    page: String,
}

type It = Arc<Shared>;

/// The router over `plane`.
pub fn router(plane: Arc<dyn ControlPlane>, options: Options) -> Router {
    let (routes, openapi) = documented();
    let shared = Arc::new(Shared {
        plane,
        room: Arc::new(Semaphore::new(options.limits.backup.div_ceil(1024))),
        limits: options.limits,
        page: html::page(&openapi),
        openapi: document::json(&openapi),
    });
    routes
        .fallback(system::no_such_path)
        .method_not_allowed_fallback(system::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::new(options.access), access::check))
        .layer(middleware::from_fn(watch::request))
        // Ours is `Limits`, with problems for answers.
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

/// The OpenAPI document of everything that [`router`] serves.
pub fn openapi() -> OpenApi {
    documented().1
}

/// The OpenAPI document as it stands in the repository's `openapi.json`.
pub fn openapi_json() -> String {
    document::json(&openapi())
}

fn documented() -> (Router<It>, OpenApi) {
    let (routes, mut openapi) = OpenApiRouter::with_openapi(document::head())
        .routes(routes!(networks::list_networks, networks::create_network))
        .routes(routes!(networks::show_network, networks::put_network, networks::delete_network))
        .routes(routes!(ports::list_ports))
        .routes(routes!(ports::show_port, ports::put_port, ports::delete_port))
        .routes(routes!(attachments::create_attachments))
        .routes(routes!(attachments::list_attachments))
        .routes(routes!(attachments::show_attachment, attachments::delete_attachment))
        .routes(routes!(applies::apply))
        .routes(routes!(switches::list_switches))
        .routes(routes!(switches::show_switch, switches::patch_switch, switches::delete_switch))
        .routes(routes!(switches::adopt_switch))
        .routes(routes!(switches::reset_switch))
        .routes(routes!(switches::put_pool_port))
        .routes(routes!(switches::show_flows))
        .routes(routes!(links::list_links))
        .routes(routes!(links::put_link, links::delete_link))
        .routes(routes!(hosts::list_hosts))
        .routes(routes!(backups::backup))
        .routes(routes!(backups::restore))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
        .routes(routes!(system::openapi_document))
        .routes(routes!(system::docs))
        .routes(routes!(system::docs_of_problem))
        .split_for_parts();
    document::finish(&mut openapi);
    (routes, openapi)
}
