//! The parts of multipart replies to whole ones (1.3.5, 7.3.5).

use std::collections::HashMap;

use crate::message::{
    Body, Message, MultipartFlags, MultipartReply, MultipartReplyBody, MultipartType,
};

/// Joins the parts of multipart replies, several requests' at once.
///
/// It holds at most `limit` bytes of messages, as they were on the wire, over all
/// unfinished replies; what is decoded from them takes up to ten times that.
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
    reply: MultipartReply,
    held: usize,
}

/// Why parts don't make a reply. The reply they belong to is given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReassemblyError {
    /// The limit is reached; ask for less at once.
    #[error("unfinished multipart replies of more than {limit} bytes, the last of xid {xid}")]
    TooLong {
        /// The reply that went over.
        xid: u32,
        /// The limit in bytes.
        limit: usize,
    },
    /// A part is about something else than the parts before it.
    #[error("a part of type {got} in the {wanted} reply of xid {xid}")]
    Mixed {
        /// The reply.
        xid: u32,
        /// What the parts before are about.
        wanted: MultipartType,
        /// What this one is about.
        got: MultipartType,
    },
    /// A second part of what has but one.
    #[error("a second part in the {wanted} reply of xid {xid}, which can have but one")]
    Single {
        /// The reply.
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

    /// Takes a message of `length` bytes on the wire. A whole multipart reply, or any other
    /// message, comes back at once; a part is kept until the last one of its xid, which
    /// brings the whole reply back, without `MORE`.
    ///
    /// # Errors
    /// If the limit is reached or the parts don't belong together. What was held for
    /// this xid is given up; other replies go on.
    pub fn push(
        &mut self,
        message: Message,
        length: usize,
    ) -> Result<Option<Message>, ReassemblyError> {
        let Message { xid, body } = message;
        let Body::MultipartReply(part) = body else {
            return Ok(Some(Message { xid, body }));
        };
        let more = part.more();
        if !more && !self.open.contains_key(&xid) {
            return Ok(Some(Message { xid, body: Body::MultipartReply(part) }));
        }
        let mut whole = match self.take(xid) {
            Some(mut begun) => {
                join(xid, &mut begun.reply, part)?;
                begun
            }
            None => Unfinished { reply: part, held: 0 },
        };
        whole.held += length;
        if !more {
            whole.reply.flags = whole.reply.flags.without(MultipartFlags::MORE);
            return Ok(Some(Message { xid, body: Body::MultipartReply(whole.reply) }));
        }
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

fn join(xid: u32, whole: &mut MultipartReply, part: MultipartReply) -> Result<(), ReassemblyError> {
    use MultipartReplyBody as Answer;
    let (wanted, got) = (whole.multipart_type(), part.multipart_type());
    match (&mut whole.body, part.body) {
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
        _ if wanted == got => return Err(ReassemblyError::Single { xid, wanted }),
        _ => return Err(ReassemblyError::Mixed { xid, wanted, got }),
    }
    Ok(())
}
