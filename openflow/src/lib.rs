//! OpenFlow 1.3.5: messages to bytes and back.
//!
//! No I/O, no clock, no runtime: [`Framer`] cuts a stream of bytes into messages,
//! [`Message::decode`] reads one, [`Message::encode`] writes one, and [`Reassembler`] joins
//! multipart replies. What the specification doesn't name is carried as it came, so that
//! decoding and encoding again gives back the same bytes (padding becomes zero).

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
