//! The first message on a connection, from both sides (1.3.5, 6.3.1, 7.5.1).

use bytes::Bytes;

use crate::header::VERSION;
use crate::wire::{Failure, Reader, Writer};

/// Says which versions the sender speaks (`ofp_hello`).
///
/// elements: type u16 | length u16, without the padding | … | pad to 8
///
/// The highest version is in the header. A hello of any version can be read, and what
/// follows the header never makes it wrong: it comes back as it was, with its padding or without.
///
/// ```
/// use openflow::Hello;
/// assert_eq!(Hello::ours().negotiate(), Some(4));
/// // A 1.5 switch that also speaks 1.3 says so in its bitmap.
/// assert_eq!(Hello::of_versions([4, 6]).negotiate(), Some(4));
/// // Without a bitmap, the lower of both highest versions counts.
/// assert_eq!(Hello { version: 6, elements: vec![] }.negotiate(), Some(4));
/// assert_eq!(Hello { version: 1, elements: vec![] }.negotiate(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Hello {
    /// The version in the header: the highest that the sender speaks.
    pub version: u8,
    /// What else it says.
    pub elements: Vec<HelloElement>,
}

/// One element of a hello (`ofp_hello_elem_header`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum HelloElement {
    /// All versions the sender speaks: bit `v % 32` of word `v / 32` for version `v`.
    VersionBitmap(Vec<u32>),
    /// An element that the specification doesn't name, to be ignored.
    Other {
        /// The element's type.
        kind: u16,
        /// All behind the length, without padding.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
    /// An element without the zeros that fill it up to a multiple of 8 bytes; some peers
    /// leave them out at the end of the hello, some between elements.
    Unpadded(Box<HelloElement>),
    /// The rest of a hello that isn't made of elements; 1.0 allows anything there.
    Unstructured(#[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))] Bytes),
}

impl Hello {
    /// The hello of a peer that speaks 1.3 alone.
    #[must_use]
    pub fn ours() -> Self {
        Self::of_versions([VERSION])
    }

    /// The hello of a peer that speaks these versions.
    #[must_use]
    pub fn of_versions(versions: impl IntoIterator<Item = u8>) -> Self {
        let mut bitmap = vec![0];
        let mut highest = 0;
        for version in versions {
            let word = usize::from(version / 32);
            if bitmap.len() <= word {
                bitmap.resize(word + 1, 0);
            }
            bitmap[word] |= 1 << (version % 32);
            highest = highest.max(version);
        }
        Self { version: highest, elements: vec![HelloElement::VersionBitmap(bitmap)] }
    }

    /// The version to speak with a peer that sent this: 4, or none in common (1.3.5, 6.3.1).
    #[must_use]
    pub fn negotiate(&self) -> Option<u8> {
        let common = match self.bitmap() {
            Some(_) => self.speaks(VERSION),
            None => self.version >= VERSION,
        };
        common.then_some(VERSION)
    }

    /// The words of the version bitmap, if there is one.
    #[must_use]
    pub fn bitmap(&self) -> Option<&[u32]> {
        self.elements.iter().find_map(HelloElement::bitmap)
    }

    /// Whether the sender says that it speaks a version; without a bitmap, all up to the header's.
    #[must_use]
    pub fn speaks(&self, version: u8) -> bool {
        match self.bitmap() {
            Some(words) => {
                let word = words.get(usize::from(version / 32)).copied().unwrap_or(0);
                word >> (version % 32) & 1 == 1
            }
            None => version <= self.version,
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        self.elements.iter().for_each(|element| element.encode(out));
    }

    pub(crate) fn decode(version: u8, body: &mut Reader<'_>) -> Self {
        let mut elements = Vec::new();
        while !body.is_empty() {
            let mut ahead = body.clone();
            match HelloElement::decode(&mut ahead) {
                Ok(element) => {
                    elements.push(element);
                    *body = ahead;
                }
                Err(_) => elements.push(HelloElement::Unstructured(body.remainder())),
            }
        }
        Self { version, elements }
    }
}

impl HelloElement {
    const BITMAP: u16 = 1;

    fn bitmap(&self) -> Option<&[u32]> {
        match self {
            Self::VersionBitmap(words) => Some(words),
            Self::Unpadded(element) => element.bitmap(),
            Self::Other { .. } | Self::Unstructured(_) => None,
        }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        self.encode_unpadded(out);
        if !matches!(self, Self::Unpadded(_) | Self::Unstructured(_)) {
            out.align(start);
        }
    }

    fn encode_unpadded(&self, out: &mut Writer<'_>) {
        let start = out.len();
        match self {
            Self::VersionBitmap(words) => {
                out.u16(Self::BITMAP);
                out.u16(0);
                words.iter().for_each(|word| out.u32(*word));
            }
            Self::Other { kind, data } => {
                out.u16(*kind);
                out.u16(0);
                out.bytes(data);
            }
            Self::Unpadded(element) => return element.encode_unpadded(out),
            Self::Unstructured(data) => return out.bytes(data),
        }
        out.patch_len(start + 2, start);
    }

    fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let before = list.left();
        let mut body = list.sized(2, 4, "hello element")?;
        let length = before - list.left();
        let padded = list.skip_zeros(length.next_multiple_of(8) - length);
        let kind = body.u16("hello element type")?;
        body.skip(2, "hello element length")?;
        let element = if kind == Self::BITMAP && body.left() % 4 == 0 {
            Self::VersionBitmap(body.many(|words| words.u32("hello bitmap"))?)
        } else {
            Self::Other { kind, data: body.remainder() }
        };
        Ok(if padded { element } else { Self::Unpadded(Box::new(element)) })
    }
}
