//! Messages as text, the way `ovs-ofctl` prints them: flows, groups and ports read as an
//! operator of Open vSwitch is used to. What Open vSwitch doesn't know has names of the
//! specification in the same style.
//!
//! `tests/oracle_ovs.rs` compares this with `ovs-ofctl ofp-print`.

mod actions;
mod flow_match;
mod message;
mod multipart;
mod table_features;

use std::fmt;

/// Seconds with as many decimals as there are: none, three, or up to nine.
pub(crate) struct Duration(pub(crate) u32, pub(crate) u32);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds, nanos) = *self;
        match nanos {
            0 => write!(f, "{seconds}s"),
            _ if nanos % 1_000_000 == 0 => write!(f, "{seconds}.{:03}s", nanos / 1_000_000),
            _ => {
                let decimals = format!("{nanos:09}");
                write!(f, "{seconds}.{}s", decimals.trim_end_matches('0'))
            }
        }
    }
}

/// Items with something between them.
pub(crate) struct Joined<'a, T>(pub(crate) &'a [T], pub(crate) &'static str);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for item in self.0 {
            write!(f, "{gap}{item}")?;
            gap = self.1;
        }
        Ok(())
    }
}

/// Lower-case hex, without blanks.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
