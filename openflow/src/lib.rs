#![doc = include_str!("../README.md")]

#[macro_use]
mod macros;

mod action;
mod display;
mod error;
mod flow_match;
mod framer;
mod header;
mod id;
mod instruction;
#[cfg(feature = "serde")]
mod json;
mod message;
mod oxm;
mod port;
mod reassembler;
mod text;
mod validate;
mod wire;

pub use action::*;
pub use display::Hex;
pub use error::*;
pub use flow_match::Match;
pub use framer::{FrameError, Framer};
pub use header::*;
pub use id::*;
pub use instruction::*;
pub use message::*;
pub use oxm::*;
pub use port::*;
pub use reassembler::{Reassembler, ReassemblyError};
pub use text::Text;
pub use validate::Invalid;
pub use wire::{DecodeError, DecodeErrorKind, EncodeError};

#[doc = include_str!("../docs/coverage.md")]
pub mod coverage {}
