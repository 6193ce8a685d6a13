//! Isolane's REST contract, without any of the controller's code: the bodies,
//! the problems, and the trait that a controller implements.
//!
//! Start at [`control_plane`]. [`types`] are the bodies, [`error`] is what can
//! go wrong.

pub mod control_plane;
pub mod error;
mod invalid;
pub mod name;
pub mod page;
pub mod percent;
mod read_only;
pub mod types;
pub mod values;

pub use control_plane::ControlPlane;
pub use error::{Problem, ProblemKind};
pub use invalid::Invalid;
