//! The parts of multiparts to whole ones (1.3.5, 7.3.5).

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::message::{
    Body, ExperimenterMultipart, Message, MultipartFlags, MultipartReply, MultipartReplyBody,
    MultipartRequest, MultipartRequestBody, MultipartType,
};

/// Joins the parts of multipart replies, and of requests, several at once.
///
/// It holds at most `limit` bytes of messages, as they were on the wire, over all
/// that is unfinished; what is decoded from them takes up to ten times that.
///
/// ```
/// use openflow::{Message, MultipartFlags, MultipartReply, MultipartReplyBody, Reassembler};
/// let mut whole = Reassembler::new(1 << 20);
/// let part = MultipartReply { flags: MultipartFlags::MORE, body: MultipartReplyBody::Flow(vec![]) };
/// assert_eq!(whole.push(Message::new(1, part), 16)?, None);
/// let last = Message::new(1, MultipartReplyBody::Flow(vec![]));
/// assert_eq!(whole.push(last.clone(), 16)?, Some(last));
/// # Ok::<(), openflow::ReassemblyError>(())
/// ```
#[derive(Debug)]
pub struct Reassembler {
    limit: usize,
    held: usize,
    open: HashMap<u32, Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    multipart: Multipart,
    held: usize,
}

#[derive(Debug)]
enum Multipart {
    Request(MultipartRequest),
    Reply(MultipartReply),
}

/// Why parts don't make a whole. What they belong to is given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReassemblyError {
    /// The limit is reached; ask for less at once.
    #[error("unfinished multiparts of more than {limit} bytes, the last of xid {xid}")]
    TooLong {
        /// The one that went over.
        xid: u32,
        /// The limit in bytes.
        limit: usize,
    },
    /// A part is about something else than the parts before it.
    #[error("a part of type {got} in the {wanted} multipart of xid {xid}")]
    Mixed {
        /// Which one.
        xid: u32,
        /// What the parts before are about.
        wanted: MultipartType,
        /// What this one is about.
        got: MultipartType,
    },
    /// A second part of what has but one.
    #[error("a second part in the {wanted} multipart of xid {xid}, which can have but one")]
    Single {
        /// Which one.
        xid: u32,
        /// What it is about.
        wanted: MultipartType,
    },
}

impl Reassembler {
    /// Holds at most `limit` bytes of messages.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, held: 0, open: HashMap::new() }
    }

    /// Takes a message of `length` bytes on the wire. A whole multipart, or any other
    /// message, comes back at once; a part is kept until the last one of its xid, which
    /// brings the whole back, without `MORE`.
    ///
    /// # Errors
    /// If the limit is reached or the parts don't belong together. What was held for
    /// this xid is given up; others go on.
    pub fn push(
        &mut self,
        message: Message,
        length: usize,
    ) -> Result<Option<Message>, ReassemblyError> {
        let Message { xid, body } = message;
        let part = match body {
            Body::MultipartReply(reply) => Multipart::Reply(reply),
            Body::MultipartRequest(request) => Multipart::Request(request),
            body => return Ok(Some(Message { xid, body })),
        };
        let more = part.flags().contains(MultipartFlags::MORE);
        let mut whole = match self.take(xid) {
            Some(mut begun) => {
                begun.multipart = begun.multipart.join(xid, part)?;
                begun
            }
            None => Unfinished { multipart: part, held: 0 },
        };
        if !more {
            return Ok(Some(Message { xid, body: whole.multipart.finish() }));
        }
        whole.held += length;
        if self.held + whole.held > self.limit {
            return Err(ReassemblyError::TooLong { xid, limit: self.limit });
        }
        self.held += whole.held;
        self.open.insert(xid, whole);
        Ok(None)
    }

    /// Gives up what is held for a request that failed or isn't waited for any more.
    pub fn forget(&mut self, xid: u32) {
        self.take(xid);
    }

    /// Bytes of messages held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    fn take(&mut self, xid: u32) -> Option<Unfinished> {
        let unfinished = self.open.remove(&xid)?;
        self.held -= unfinished.held;
        Some(unfinished)
    }
}

impl Multipart {
    fn flags(&self) -> MultipartFlags {
        match self {
            Self::Request(request) => request.flags,
            Self::Reply(reply) => reply.flags,
        }
    }

    fn kind(&self) -> MultipartType {
        match self {
            Self::Request(request) => request.multipart_type(),
            Self::Reply(reply) => reply.multipart_type(),
        }
    }

    fn finish(self) -> Body {
        match self {
            Self::Request(mut request) => {
                request.flags = request.flags.without(MultipartFlags::MORE);
                Body::MultipartRequest(request)
            }
            Self::Reply(mut reply) => {
                reply.flags = reply.flags.without(MultipartFlags::MORE);
                Body::MultipartReply(reply)
            }
        }
    }

    fn join(mut self, xid: u32, part: Self) -> Result<Self, ReassemblyError> {
        let (wanted, got) = (self.kind(), part.kind());
        let joined = match (&mut self, part) {
            (Self::Request(whole), Self::Request(part)) => {
                join_requests(&mut whole.body, part.body)
            }
            (Self::Reply(whole), Self::Reply(part)) => join_replies(&mut whole.body, part.body),
            _ => false,
        };
        match joined {
            true => Ok(self),
            false if wanted == got => Err(ReassemblyError::Single { xid, wanted }),
            false => Err(ReassemblyError::Mixed { xid, wanted, got }),
        }
    }
}

/// Whether the part belongs to the whole and can follow it.
fn join_requests(whole: &mut MultipartRequestBody, part: MultipartRequestBody) -> bool {
    use MultipartRequestBody as Ask;
    match (whole, part) {
        (Ask::TableFeatures(all), Ask::TableFeatures(more)) => all.extend(more),
        (Ask::Experimenter(all), Ask::Experimenter(more)) => return join_experimenters(all, &more),
        (Ask::Other { kind, data }, Ask::Other { kind: same, data: more }) if *kind == same => {
            append(data, &more)
        }
        _ => return false,
    }
    true
}

/// Whether the part belongs to the whole and can follow it.
fn join_replies(whole: &mut MultipartReplyBody, part: MultipartReplyBody) -> bool {
    use MultipartReplyBody as Answer;
    match (whole, part) {
        (Answer::Flow(all), Answer::Flow(more)) => all.extend(more),
        (Answer::Table(all), Answer::Table(more)) => all.extend(more),
        (Answer::PortStats(all), Answer::PortStats(more)) => all.extend(more),
        (Answer::Queue(all), Answer::Queue(more)) => all.extend(more),
        (Answer::Group(all), Answer::Group(more)) => all.extend(more),
        (Answer::GroupDesc(all), Answer::GroupDesc(more)) => all.extend(more),
        (Answer::Meter(all), Answer::Meter(more)) => all.extend(more),
        (Answer::MeterConfig(all), Answer::MeterConfig(more)) => all.extend(more),
        (Answer::TableFeatures(all), Answer::TableFeatures(more)) => all.extend(more),
        (Answer::PortDesc(all), Answer::PortDesc(more)) => all.extend(more),
        (Answer::Experimenter(all), Answer::Experimenter(more)) => {
            return join_experimenters(all, &more);
        }
        (Answer::Other { kind, data }, Answer::Other { kind: same, data: more })
            if *kind == same =>
        {
            append(data, &more);
        }
        _ => return false,
    }
    true
}

fn join_experimenters(whole: &mut ExperimenterMultipart, part: &ExperimenterMultipart) -> bool {
    let same = whole.experimenter == part.experimenter && whole.exp_type == part.exp_type;
    if same {
        append(&mut whole.data, &part.data);
    }
    same
}

/// Data whose structure isn't known can only be put behind what there is. Grows in place, so that
/// many small parts aren't copied over and over.
fn append(whole: &mut Bytes, part: &Bytes) {
    let mut grown =
        std::mem::take(whole).try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    grown.extend_from_slice(part);
    *whole = grown.freeze();
}
