//! What goes wrong in a lab on real devices.

use std::io;
use std::time::Duration;

/// Why a lab can't be built or used.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("{command}: {reason}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// Its exit status and standard error.
        reason: String,
    },
    /// A condition didn't come true in time.
    #[error("waited {limit:?} for {what}; last seen: {last}")]
    Timeout {
        /// The condition.
        what: String,
        /// How long was waited.
        limit: Duration,
        /// What was there instead.
        last: String,
    },
    /// The lab has nothing of this name, or can't be built as asked.
    #[error("{0}")]
    Wrong(String),
}

impl LabError {
    /// Says what was being done when the system refused it.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
