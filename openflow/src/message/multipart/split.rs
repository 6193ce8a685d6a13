//! Replies that are too long for one message, cut into parts.

use std::cell::RefCell;

use bytes::BytesMut;

use super::{MultipartFlags, MultipartReply, MultipartReplyBody};
use crate::wire::{EncodeError, Writer};

/// Bytes that a message has before a multipart's body.
const BEFORE_BODY: usize = 16;

impl MultipartReply {
    /// This reply in parts of at most `limit` bytes as whole messages (65,535 at most), all but the
    /// last with `MORE`. A reply that fits comes back alone.
    ///
    /// ```
    /// use openflow::{Message, MultipartReply, MultipartReplyBody, TableStats};
    /// let tables = MultipartReplyBody::Table(vec![TableStats::default(); 100]);
    /// let parts = MultipartReply::from(tables).split(1000)?;
    /// assert_eq!(parts.len(), 3); // 41 tables fit into 1,000 bytes
    /// assert!(parts[0].more() && parts[1].more() && !parts[2].more());
    /// # Ok::<(), openflow::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// If one element alone is longer than `limit`, or what isn't a list is.
    pub fn split(self, limit: usize) -> Result<Vec<Self>, EncodeError> {
        use MultipartReplyBody as Answer;
        let limit = limit.min(usize::from(u16::MAX));
        let last = self.flags;
        macro_rules! cut {
            ($list:expr, $variant:ident) => {{
                let parts = cut($list, limit, |element, out| element.encode(out))?;
                parts.into_iter().map(Answer::$variant).collect()
            }};
        }
        let bodies: Vec<Answer> = match self.body {
            Answer::Flow(list) => cut!(list, Flow),
            Answer::Table(list) => cut!(list, Table),
            Answer::PortStats(list) => cut!(list, PortStats),
            Answer::Queue(list) => cut!(list, Queue),
            Answer::Group(list) => cut!(list, Group),
            Answer::GroupDesc(list) => cut!(list, GroupDesc),
            Answer::Meter(list) => cut!(list, Meter),
            Answer::MeterConfig(list) => cut!(list, MeterConfig),
            Answer::TableFeatures(list) => cut!(list, TableFeatures),
            Answer::PortDesc(list) => cut!(list, PortDesc),
            single => {
                let whole = Self { flags: last, body: single };
                fits(&whole, limit, |reply, out| reply.encode(out), BEFORE_BODY - 8)?;
                return Ok(vec![whole]);
            }
        };
        let count = bodies.len();
        let part = |(n, body)| {
            let flags = if n + 1 < count { last | MultipartFlags::MORE } else { last };
            Self { flags, body }
        };
        Ok(bodies.into_iter().enumerate().map(part).collect())
    }
}

/// Lists whose elements fill no more than `limit` bytes with what comes before them; at least one.
fn cut<T>(
    list: Vec<T>,
    limit: usize,
    encode: impl Fn(&T, &mut Writer<'_>) + Copy,
) -> Result<Vec<Vec<T>>, EncodeError> {
    let mut parts = vec![Vec::new()];
    let mut filled = BEFORE_BODY;
    for element in list {
        let length = fits(&element, limit, encode, BEFORE_BODY)?;
        if filled + length > limit {
            parts.push(Vec::new());
            filled = BEFORE_BODY;
        }
        filled += length;
        if let Some(part) = parts.last_mut() {
            part.push(element);
        }
    }
    Ok(parts)
}

/// The bytes that a thing takes, if they are no more than `limit` with the `before` bytes before it.
fn fits<T>(
    thing: &T,
    limit: usize,
    encode: impl Fn(&T, &mut Writer<'_>),
    before: usize,
) -> Result<usize, EncodeError> {
    thread_local!(static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::new()));
    let length = SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let mut out = Writer::new(scratch);
        encode(thing, &mut out);
        out.len()
    });
    if before + length > limit {
        return Err(EncodeError::TooLong { message: "multipart_reply", length: before + length });
    }
    Ok(length)
}
