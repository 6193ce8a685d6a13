//! A port of a switch of the fabric.

use std::fmt;

use openflow::{DatapathId, PortNo};

/// A port of a switch. `(1, 7)` is port 7 of switch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The switch.
    pub switch: DatapathId,
    /// Its port.
    pub port: PortNo,
}

impl From<(u64, u32)> for Place {
    fn from((switch, port): (u64, u32)) -> Self {
        Self { switch: DatapathId(switch), port: PortNo(port) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.switch, self.port)
    }
}
