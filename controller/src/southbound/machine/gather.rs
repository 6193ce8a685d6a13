//! Parts of a multipart reply, put together within a bound.
//!
//! Unlike `openflow::Reassembler` this looks at each part as it comes and keeps
//! only what is wanted: of a switch with many foreign flows, ours.

use openflow::{FlowStats, GroupDesc, MultipartReply, MultipartReplyBody};

use super::super::event::Tables;

/// What a reply may be, or why it can't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Bytes of one reply's parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Length(usize);

impl Length {
    /// Adds a part's length on the wire.
    pub(super) fn add(&mut self, part: usize, limit: usize) -> Result<(), TooLong> {
        self.0 = self.0.saturating_add(part);
        if self.0 > limit { Err(TooLong) } else { Ok(()) }
    }
}

/// A switch's flows and groups, as far as they came.
#[derive(Debug)]
pub(super) struct TablesRead {
    pub(super) flows_xid: u32,
    pub(super) groups_xid: u32,
    cookie: u64,
    mask: u64,
    flows: Option<Length>,
    groups: Option<Length>,
    tables: Tables,
}

/// Which of the two an xid or a reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Flows,
    Groups,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::Groups => "groups",
        }
    }
}

/// How a part was taken.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// More must come.
    More,
    /// Flows and groups are all there.
    Done(Tables),
    /// The reply is longer than it may be.
    TooLong(What),
    /// It is about something else.
    Strange,
}

impl TablesRead {
    /// Waits for two replies: flows with `cookie` in the bits of `mask`, and all groups.
    pub(super) fn new(flows_xid: u32, groups_xid: u32, cookie: u64, mask: u64) -> Self {
        let (flows, groups) = (Some(Length::default()), Some(Length::default()));
        Self { flows_xid, groups_xid, cookie, mask, flows, groups, tables: Tables::default() }
    }

    /// Waits for one reply: flows with `cookie` in the bits of `mask`.
    pub(super) fn of_flows(xid: u32, cookie: u64, mask: u64) -> Self {
        Self { groups: None, ..Self::new(xid, xid, cookie, mask) }
    }

    /// What an xid is about, if its reply isn't there yet.
    pub(super) fn about(&self, xid: u32) -> Option<What> {
        match xid {
            xid if xid == self.flows_xid && self.flows.is_some() => Some(What::Flows),
            xid if xid == self.groups_xid && self.groups.is_some() => Some(What::Groups),
            _ => None,
        }
    }

    /// What is missing still.
    pub(super) fn missing(&self) -> What {
        if self.flows.is_some() { What::Flows } else { What::Groups }
    }

    /// Takes a reply of `length` bytes on the wire.
    pub(super) fn take(
        &mut self,
        what: What,
        reply: MultipartReply,
        length: usize,
        limit: usize,
    ) -> Part {
        let more = reply.more();
        let size = match what {
            What::Flows => &mut self.flows,
            What::Groups => &mut self.groups,
        };
        if size.as_mut().is_none_or(|size| size.add(length, limit).is_err()) {
            return Part::TooLong(what);
        }
        if !more {
            *size = None;
        }
        match (what, reply.body) {
            (What::Flows, MultipartReplyBody::Flow(flows)) => self.keep_flows(flows),
            (What::Groups, MultipartReplyBody::GroupDesc(groups)) => self.keep_groups(groups),
            _ => return Part::Strange,
        }
        if self.flows.is_none() && self.groups.is_none() {
            Part::Done(std::mem::take(&mut self.tables))
        } else {
            Part::More
        }
    }

    /// Not every switch heeds the request's cookie.
    fn keep_flows(&mut self, flows: Vec<FlowStats>) {
        let (cookie, mask) = (self.cookie, self.mask);
        self.tables
            .flows
            .extend(flows.into_iter().filter(|flow| (flow.cookie ^ cookie) & mask == 0));
    }

    fn keep_groups(&mut self, groups: Vec<GroupDesc>) {
        self.tables.groups.extend(groups);
    }
}
