//! Lists in pages.
//!
//! A cursor is the key of the last object of a page, so a list that changes
//! between two pages neither repeats nor leaves out an object that stays.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::invalid::{Invalid, quoted, text};

/// Where a page ended: the key of its last object. Opaque to clients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// The longest key, in bytes.
    pub const MAX: usize = 2048;

    /// The cursor behind the object with this key.
    pub fn after(key: impl Into<Vec<u8>>) -> Self {
        Self(key.into())
    }

    /// The key of the object that the page ended with.
    pub fn key(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let key: Option<Vec<u8>> =
            pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        match key {
            Some(key) if rest.is_empty() && (1..=Self::MAX).contains(&key.len()) => Ok(Self(key)),
            _ => {
                let why = format!("{} is not one; send `next` of the page before", quoted(text));
                Err(Invalid::new("cursor", why))
            }
        }
    }
}

text!(Cursor, "a cursor", |schema| schema
    .description(Some("Where the next page starts. Opaque: send it back as it came."))
    .examples(["626c7565"]));

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The most objects it may have: 1 to [`Page::MAX_LIMIT`].
    pub limit: usize,
    /// Where the page before it ended; none for the first one.
    pub after: Option<Cursor>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: Self::DEFAULT_LIMIT, after: None }
    }
}

impl Page {
    /// The most objects that a page may have.
    pub const MAX_LIMIT: usize = 10_000;
    /// The most objects that a page has whose caller says nothing.
    pub const DEFAULT_LIMIT: usize = 1_000;

    /// This page of `all`, which come in the order of their keys' bytes. Only
    /// the objects of the page are made into what `show` returns.
    pub fn cut<T, K, V>(
        &self,
        all: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> K,
        mut show: impl FnMut(T) -> V,
    ) -> Listing<V>
    where
        K: AsRef<[u8]>,
    {
        let mut items = Vec::new();
        let mut last = None;
        for object in all {
            let found = key(&object);
            if self.after.as_ref().is_some_and(|after| found.as_ref() <= after.key()) {
                continue;
            }
            if items.len() == self.limit {
                return Listing { items, next: last.map(|key: Vec<u8>| Cursor(key)) };
            }
            if items.len() + 1 == self.limit {
                last = Some(found.as_ref().to_vec());
            }
            items.push(show(object));
        }
        Listing { items, next: None }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing<T> {
    /// The objects, in the order of their keys.
    pub items: Vec<T>,
    /// The cursor of the next page; none on the last one.
    pub next: Option<Cursor>,
}

impl<T> From<Vec<T>> for Listing<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_the_keys_while_the_list_changes() {
        let mut all = vec!["a", "b", "d", "e"];
        let page = |all: &[&'static str], after| {
            Page { limit: 2, after }.cut(all.to_vec(), |s: &&str| s.as_bytes().to_vec(), |s| s)
        };
        let first = page(&all, None);
        assert_eq!(first.items, ["a", "b"]);
        all.splice(1..2, ["c"]); // b is gone, c is new
        let second = page(&all, first.next);
        assert_eq!(second.items, ["c", "d"]);
        let third = page(&all, second.next);
        assert_eq!((third.items, third.next), (vec!["e"], None));
    }

    #[test]
    fn a_full_last_page_has_no_next() {
        let page = Page { limit: 2, after: None };
        let listing = page.cut(["a", "b"], |s| s.as_bytes().to_vec(), |s| s);
        assert_eq!(listing.next, None);
    }

    #[test]
    fn a_cursor_comes_back() {
        let cursor = Cursor::after(*b"a\x00\xff");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "a", "zz", "61é"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
