//! Test labs.
pub mod error;
pub mod host;
pub mod netns;
pub mod ovs;
pub mod rights;
pub mod wait;
