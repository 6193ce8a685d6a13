//! Isolane's REST contract, without any of the controller's code: the bodies,
//! the problems, the trait that a controller implements, the router over it,
//! and a client for the same calls.
//!
//! Start at [`control_plane`]. [`types`] are the bodies, [`error`] is what can
//! go wrong, [`mod@router`] makes both into HTTP.

pub mod client;
pub mod control_plane;
pub mod error;
mod invalid;
pub mod name;
pub mod page;
pub mod percent;
pub mod query;
mod read_only;
pub mod router;
pub mod serve;
pub mod tls;
pub mod types;
pub mod values;

pub use client::{Client, ClientError};
pub use control_plane::ControlPlane;
pub use error::{Problem, ProblemKind};
pub use invalid::Invalid;
pub use router::{Access, Options, Tokens, openapi_json, router};
pub use serve::serve;
pub use tls::ServerTls;
