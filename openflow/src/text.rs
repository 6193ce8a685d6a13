//! Texts of a fixed size.

use std::fmt;

use crate::wire::{Failure, Reader, Writer};

/// A text in a field of `N` bytes, filled up with zeros.
///
/// All bytes are kept, whatever they are; the text proper ends before the first zero.
///
/// ```
/// use openflow::Text;
/// let name = Text::<16>::truncated("eth0");
/// assert_eq!(name.to_string(), "eth0");
/// assert_eq!(name.as_bytes(), b"eth0");
/// assert_eq!(name.0.len(), 16);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// The text, or as much of it as fits with one zero behind it.
    #[must_use]
    pub fn truncated(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        let length = text.len().min(N.saturating_sub(1));
        let mut field = [0; N];
        field[..length].copy_from_slice(&text[..length]);
        Self(field)
    }

    /// The bytes before the first zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(N);
        &self.0[..end]
    }

    /// The bytes before the first zero, if they are UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// Whether there is nothing before the first zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    pub(crate) fn decode(body: &mut Reader<'_>, field: &'static str) -> Result<Self, Failure> {
        body.array(field).map(Self)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(&self.0);
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        Self::truncated(text)
    }
}

/// What isn't UTF-8 shows as U+FFFD.
impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(feature = "serde")]
impl<const N: usize> serde::Serialize for Text<N> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}
