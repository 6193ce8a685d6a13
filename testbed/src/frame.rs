//! A frame between switches: its bytes and, on tunnels, the key beside them.

use std::fmt;

use bytes::Bytes;

/// An Ethernet frame without its checksum, and the tunnel key it is carried with.
///
/// OpenFlow's `tunnel_id` is no part of the frame. A tunnel carries it beside the frame; a plain link loses it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// All bytes, from the destination address on.
    pub bytes: Bytes,
    /// The tunnel key; 0 where there is no tunnel.
    pub tunnel_id: u64,
}

impl Frame {
    /// A frame outside of any tunnel.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), tunnel_id: 0 }
    }

    /// The same frame with another tunnel key.
    #[must_use]
    pub fn with_tunnel_id(mut self, tunnel_id: u64) -> Self {
        self.tunnel_id = tunnel_id;
        self
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        Self::new(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Frame {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes)
    }
}

/// Hex, with the tunnel key in front where there is one.
impl fmt::Debug for Frame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tunnel_id != 0 {
            write!(out, "tun {:#x} ", self.tunnel_id)?;
        }
        self.bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}
