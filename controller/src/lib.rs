//! The Isolane controller.
