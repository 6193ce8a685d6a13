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

/// A number in hex, as C prints it: zero has no `0x`.
pub(crate) struct AltHex(pub(crate) u64);

impl fmt::Display for AltHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("0") } else { write!(f, "{:#x}", self.0) }
    }
}

/// Bytes that print as lower-case hex, without blanks.
///
/// ```
/// assert_eq!(openflow::Hex(&[4, 0x1e]).to_string(), "041e");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Many at once: one by one, digits are most of what a message's JSON costs.
        let mut text = [0; 128];
        for bytes in self.0.chunks(text.len() / 2) {
            for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 0x0f)];
            }
            f.write_str(str::from_utf8(&text[..2 * bytes.len()]).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}
