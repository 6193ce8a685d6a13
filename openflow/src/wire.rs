//! Bytes to values and back: `Reader`, `Writer` and their errors.
//!
//! A `Reader` covers a part of one message and never sees beyond it: every
//! length field makes a smaller `Reader`. Its steps are nom's parsers; it adds
//! the offset in the message and the field's name to their errors.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use nom::{IResult, Parser};

use crate::error::{
    BadAction, BadInstruction, BadMatch, BadRequest, ErrorCode, ErrorMsg, GroupModFailed,
    TableFeaturesFailed,
};

/// Why bytes are not a message. Decoding never panics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {field} at byte {offset}: {kind}")]
pub struct DecodeError {
    /// The message's type, as the specification names it, in lower case; that of a multipart behind a dot.
    pub message: &'static str,
    /// The field, or the structure, that is wrong.
    pub field: &'static str,
    /// Where it starts, in bytes from the start of the message.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
    /// The part of the message it is in, which decides the OpenFlow error.
    pub(crate) scope: Scope,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The message, or the structure around the field, ends too early.
    #[error("{need} bytes needed, {left} left")]
    Short {
        /// Bytes the field takes.
        need: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes are left where nothing may follow.
    #[error("{extra} bytes too many")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// The header's length isn't the number of bytes there are.
    #[error("{length}, but there are {there} bytes")]
    Whole {
        /// What the header says.
        length: usize,
        /// How many bytes there are.
        there: usize,
    },
    /// A length field holds a value that its structure can't have.
    #[error("length {length}, expected {expected}")]
    Length {
        /// What the length field says.
        length: usize,
        /// What it may be.
        expected: &'static str,
    },
    /// A value that can't be carried on, for nothing after it can be understood.
    #[error("value {value}, expected {expected}")]
    Value {
        /// The value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
}

/// Which part of a message is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Version,
    Type,
    Request,
    Match,
    MatchType,
    Instruction,
    Action,
    SetField,
    Bucket,
    TableFeatures,
}

impl DecodeError {
    /// The OpenFlow error that the specification has for this mistake.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.scope {
            Scope::Version => ErrorCode::BadRequest(BadRequest::BadVersion),
            Scope::Type => ErrorCode::BadRequest(BadRequest::BadType),
            Scope::Request => ErrorCode::BadRequest(BadRequest::BadLen),
            Scope::Match => ErrorCode::BadMatch(BadMatch::BadLen),
            Scope::MatchType => ErrorCode::BadMatch(BadMatch::BadType),
            Scope::Instruction => ErrorCode::BadInstruction(BadInstruction::BadLen),
            Scope::Action => ErrorCode::BadAction(BadAction::BadLen),
            Scope::SetField => ErrorCode::BadAction(BadAction::BadSetLen),
            Scope::Bucket => ErrorCode::GroupModFailed(GroupModFailed::BadBucket),
            Scope::TableFeatures => ErrorCode::TableFeaturesFailed(TableFeaturesFailed::BadLen),
        }
    }

    /// The error message to answer `offending` with: the mistake's type and code
    /// and the first bytes of `offending` itself, with its xid.
    ///
    /// `None` where no answer may be given: to an error, to a reply or an
    /// asynchronous message (nobody asked for those to be judged), and to
    /// less than a header.
    #[must_use]
    pub fn answer(&self, offending: &Bytes) -> Option<crate::Message> {
        let header = crate::Header::decode(offending).ok()?;
        let answerable = match crate::MessageType::from(header.message_type) {
            crate::MessageType::Other(_) => true,
            known => known.is_request(),
        };
        answerable.then(|| {
            let error = ErrorMsg::about(self.code(), offending);
            crate::Message::new(header.xid, crate::Body::Error(error))
        })
    }
}

/// Why a message can't be put on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// OpenFlow's length field has 16 bits. Send less at once: fewer buckets or
    /// actions; a multipart reply can be cut with `MultipartReply::split`.
    #[error("{message}: {length} bytes, a message holds at most 65535")]
    TooLong {
        /// The message's type.
        message: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A raw match field that its 8-bit length can't describe.
    #[error("{message}: a raw match field of {length} bytes, at most 255 fit")]
    FieldTooLong {
        /// The message's type.
        message: &'static str,
        /// The field's length in bytes.
        length: usize,
    },
}

/// A decode error on its way out. Boxed, so that results without one are small.
pub(crate) type Failure = Box<DecodeError>;

/// A cursor over a part of one message.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    source: &'a Source<'a>,
    scope: Scope,
}

/// The message that is being read.
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a Bytes,
    /// Its type, for errors.
    pub(crate) message: &'static str,
}

type Step<'a, T> = IResult<&'a [u8], T, ()>;

/// The next `N` bytes. As nom's `take`, which the compiler doesn't inline from another crate.
#[inline(always)]
fn chunk<const N: usize>(input: &[u8]) -> Step<'_, [u8; N]> {
    match input.split_first_chunk() {
        Some((chunk, rest)) => Ok((rest, *chunk)),
        None => Err(nom::Err::Error(())),
    }
}

/// The next `count` bytes.
#[inline(always)]
fn span<'a>(count: usize) -> impl Fn(&'a [u8]) -> Step<'a, &'a [u8]> {
    move |input| match input.split_at_checked(count) {
        Some((span, rest)) => Ok((rest, span)),
        None => Err(nom::Err::Error(())),
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source<'a>) -> Self {
        Self { rest: source.bytes, source, scope: Scope::Request }
    }

    /// Bytes not yet read.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where the cursor is, from the start of the message.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.rest.as_ptr().addr() - self.source.bytes.as_ptr().addr()
    }

    /// The same reader, its errors blamed on `scope`.
    #[inline]
    pub(crate) fn scoped(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(crate) fn set_scope(&mut self, scope: Scope) {
        self.scope = scope;
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn error(&self, field: &'static str, kind: DecodeErrorKind) -> Failure {
        self.error_at(self.offset(), field, kind)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn error_at(
        &self,
        offset: usize,
        field: &'static str,
        kind: DecodeErrorKind,
    ) -> Failure {
        let message = self.source.message;
        Box::new(DecodeError { message, field, offset, kind, scope: self.scope })
    }

    #[inline(always)]
    fn step<T>(
        &mut self,
        field: &'static str,
        need: usize,
        mut parser: impl Parser<&'a [u8], Output = T, Error = ()>,
    ) -> Result<T, Failure> {
        let parsed: Step<'a, T> = parser.parse(self.rest);
        match parsed {
            Ok((rest, value)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(_) => Err(self.error(field, DecodeErrorKind::Short { need, left: self.left() })),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Failure> {
        self.array(field).map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Failure> {
        self.array(field).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Failure> {
        self.array(field).map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, Failure> {
        self.array(field).map(u64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], Failure> {
        self.step(field, N, chunk)
    }

    /// Passes over `count` bytes, whatever they hold.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize, field: &'static str) -> Result<(), Failure> {
        self.step(field, count, span(count)).map(|_| ())
    }

    /// Passes over `count` zeros; where they aren't there, over nothing, and says so.
    pub(crate) fn skip_zeros(&mut self, count: usize) -> bool {
        let zeros = self.rest.get(..count).is_some_and(|next| next.iter().all(|byte| *byte == 0));
        if zeros {
            self.rest.advance(count);
        }
        zeros
    }

    /// The next `count` bytes, shared with the message, not copied.
    pub(crate) fn bytes(&mut self, count: usize, field: &'static str) -> Result<Bytes, Failure> {
        let from = self.offset();
        self.skip(count, field)?;
        Ok(self.source.bytes.slice(from..from + count))
    }

    /// All that is left, shared with the message, not copied.
    pub(crate) fn remainder(&mut self) -> Bytes {
        let (from, count) = (self.offset(), self.left());
        self.rest.advance(count);
        self.source.bytes.slice(from..from + count)
    }

    /// A reader of the next `count` bytes alone.
    #[inline]
    pub(crate) fn part(&mut self, count: usize, field: &'static str) -> Result<Self, Failure> {
        let rest = self.step(field, count, span(count))?;
        Ok(Self { rest, source: self.source, scope: self.scope })
    }

    /// The 16-bit value `at` bytes ahead, left unread.
    #[inline]
    pub(crate) fn peek_u16(&self, at: usize, field: &'static str) -> Result<u16, Failure> {
        match self.rest.get(at..at + 2) {
            Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
            _ => Err(self.error(field, DecodeErrorKind::Short { need: at + 2, left: self.left() })),
        }
    }

    /// The next 32 bits, left unread.
    #[inline]
    pub(crate) fn peek_u32(&self, field: &'static str) -> Result<u32, Failure> {
        match self.rest.first_chunk() {
            Some(bytes) => Ok(u32::from_be_bytes(*bytes)),
            None => Err(self.error(field, DecodeErrorKind::Short { need: 4, left: self.left() })),
        }
    }

    /// A reader of the structure that starts here, whose length, header included,
    /// is the 16-bit value `at` bytes in, and is at least `min`.
    #[inline]
    pub(crate) fn sized(
        &mut self,
        at: usize,
        min: usize,
        field: &'static str,
    ) -> Result<Self, Failure> {
        let length = usize::from(self.peek_u16(at, field)?);
        if length < min {
            let expected = "at least the structure's header";
            let kind = DecodeErrorKind::Length { length, expected };
            return Err(self.error_at(self.offset() + at, field, kind));
        }
        self.part(length, field)
    }

    /// As `sized`, for structures of type u16 | length u16 whose length is a multiple of 8;
    /// the type, and a reader of what follows the length.
    #[inline]
    pub(crate) fn aligned(&mut self, field: &'static str) -> Result<(u16, Self), Failure> {
        let Some(&[kind_high, kind_low, high, low]) = self.rest.first_chunk() else {
            return Err(self.error(field, DecodeErrorKind::Short { need: 4, left: self.left() }));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 8 || length % 8 != 0 {
            let kind = DecodeErrorKind::Length { length, expected: "a multiple of 8, and not 0" };
            return Err(self.error_at(self.offset() + 2, field, kind));
        }
        let mut part = self.part(length, field)?;
        part.rest.advance(4);
        Ok((u16::from_be_bytes([kind_high, kind_low]), part))
    }

    /// Reads elements until nothing is left. Each must take at least one byte.
    ///
    /// Makes room for as many as there are if all are as long as the first.
    #[inline]
    pub(crate) fn many<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.left();
        let first = element(self)?;
        let left = self.left();
        let mut list = Vec::with_capacity(1 + left.div_ceil((before - left).max(1)));
        list.push(first);
        while !self.is_empty() {
            list.push(element(self)?);
        }
        Ok(list)
    }

    /// Says that nothing may follow.
    #[inline]
    pub(crate) fn finish(&self, field: &'static str) -> Result<(), Failure> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.error(field, DecodeErrorKind::Trailing { extra: self.left() }))
        }
    }
}

/// Appends one message to a buffer; remembers the first thing that didn't fit.
pub(crate) struct Writer<'a> {
    out: &'a mut BytesMut,
    /// Where the message starts in `out`.
    start: usize,
    field_too_long: Option<usize>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut BytesMut) -> Self {
        let start = out.len();
        Self { out, start, field_too_long: None }
    }

    /// Bytes of this message so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len() - self.start
    }

    #[inline]
    pub(crate) fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) {
        self.out.put_u16(value);
    }

    #[inline]
    pub(crate) fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    #[inline]
    pub(crate) fn u64(&mut self, value: u64) {
        self.out.put_u64(value);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    #[inline]
    pub(crate) fn pad(&mut self, count: usize) {
        self.out.put_bytes(0, count);
    }

    /// Writes a structure of fixed size at once, which is faster than field by field.
    #[inline]
    pub(crate) fn block<const N: usize>(&mut self, fill: impl FnOnce(&mut Block<N>)) {
        let mut block = Block { bytes: [0; N], at: 0 };
        fill(&mut block);
        debug_assert_eq!(block.at, N, "a block of {N} bytes filled up to {}", block.at);
        self.out.put_slice(&block.bytes);
    }

    /// Pads so that what was written since `from` is a multiple of 8 long.
    #[inline]
    pub(crate) fn align(&mut self, from: usize) {
        let odd = (self.len() - from) % 8;
        if odd != 0 {
            self.pad(8 - odd);
        }
    }

    /// Writes the length of all since `from` into the 16 bits at `at`. A length that
    /// doesn't fit makes the whole message too long, which `finish` reports.
    #[inline]
    pub(crate) fn patch_len(&mut self, at: usize, from: usize) {
        let length = self.len() - from;
        let bytes = (length as u16).to_be_bytes();
        let at = self.start + at;
        self.out[at..at + 2].copy_from_slice(&bytes);
    }

    /// The 8-bit length of a match field.
    pub(crate) fn field_len(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(length) => self.u8(length),
            Err(_) => {
                self.field_too_long.get_or_insert(length);
                self.u8(0);
            }
        }
    }

    /// Closes the message. On an error, `out` is as it was before it.
    pub(crate) fn finish(self, message: &'static str) -> Result<(), EncodeError> {
        let length = self.len();
        let error = if let Some(length) = self.field_too_long {
            EncodeError::FieldTooLong { message, length }
        } else if length > usize::from(u16::MAX) {
            EncodeError::TooLong { message, length }
        } else {
            return Ok(());
        };
        self.out.truncate(self.start);
        Err(error)
    }
}

/// A structure of fixed size, being filled.
pub(crate) struct Block<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Block<N> {
    #[inline(always)]
    pub(crate) fn bytes<const M: usize>(&mut self, bytes: [u8; M]) {
        self.bytes[self.at..self.at + M].copy_from_slice(&bytes);
        self.at += M;
    }

    #[inline(always)]
    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes([value]);
    }

    #[inline(always)]
    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(value.to_be_bytes());
    }

    #[inline(always)]
    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(value.to_be_bytes());
    }

    #[inline(always)]
    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(value.to_be_bytes());
    }

    #[inline(always)]
    pub(crate) fn pad(&mut self, count: usize) {
        self.at += count;
    }
}
