//! From the first byte to a switch that is ready to be programmed.
//!
//! ```text
//! hello ──► features ──► claim the datapath id ──► describe ──► read ──► done
//!                                                  │            └ our flows, all groups
//!                                                  └ config, ports, texts, tables, groups, meters
//! ```
//!
//! What is asked within a stage is asked at once. Port-status, echo and errors may come
//! in between at any time.

use std::collections::BTreeMap;

use openflow::{
    Body, DatapathId, Desc, ErrorMsg, FeaturesReply, FlowRemoved, FlowStatsRequest, GroupFeatures,
    Hello, Message, MultipartReply, MultipartReplyBody, MultipartRequestBody, Port, PortNo,
    PortReason, PortStatus, SwitchConfig, TableFeatures,
};

use super::super::config::SouthboundConfig;
use super::super::event::Tables;
use super::super::stats::Refusal;
use super::gather::{Length, Part, TablesRead, What};
use super::needs;
use super::{Outbox, Output};

/// Removals of flows that may come while the flows are read.
const REMOVALS: usize = 10_000;
/// Tables, ports and the like that a switch may describe.
const DESCRIBED: usize = 100_000;

/// A switch's own account of itself, and what it holds.
#[derive(Debug)]
pub(in crate::southbound) struct Facts {
    pub features: FeaturesReply,
    pub desc: Desc,
    pub ports: Vec<Port>,
    pub meters_supported: bool,
    pub tables: Tables,
    /// Flows that were removed while they were read.
    pub removed: Vec<FlowRemoved>,
}

pub(super) struct Handshake {
    stage: Stage,
    features: FeaturesReply,
    desc: Desc,
    ports: BTreeMap<PortNo, Port>,
    /// The port list began to come: what changes now, changes after it.
    ports_begun: bool,
    changed: Vec<PortStatus>,
    tables: Option<Vec<TableFeatures>>,
    groups: Option<GroupFeatures>,
    meters_supported: bool,
    removed: Vec<FlowRemoved>,
    /// Descriptions that can't be read; more of their parts may come.
    given_up: Vec<u32>,
}

enum Stage {
    Hello,
    Features { xid: u32 },
    Claim,
    Describe { config: u32, open: Vec<Open> },
    Read { config: u32, tables: TablesRead },
    Over,
}

/// A description that isn't there yet.
struct Open {
    xid: u32,
    ask: Ask,
    length: Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Ports,
    Desc,
    Tables,
    Groups,
    Meters,
}

impl Ask {
    const ALL: [Self; 5] = [Self::Ports, Self::Desc, Self::Tables, Self::Groups, Self::Meters];

    fn name(self) -> &'static str {
        match self {
            Self::Ports => "port description",
            Self::Desc => "description",
            Self::Tables => "table features",
            Self::Groups => "group features",
            Self::Meters => "meter features",
        }
    }

    fn request(self) -> MultipartRequestBody {
        match self {
            Self::Ports => MultipartRequestBody::PortDesc,
            Self::Desc => MultipartRequestBody::Desc,
            Self::Tables => MultipartRequestBody::TableFeatures(Vec::new()),
            Self::Groups => MultipartRequestBody::GroupFeatures,
            Self::Meters => MultipartRequestBody::MeterFeatures,
        }
    }
}

/// Where a message has brought the handshake.
pub(super) enum Progress {
    /// It goes on.
    Going,
    /// The message has no place here.
    Stray,
    /// Not a session: why, in kind and in words.
    Refused(Refusal, String),
    /// The switch is ready.
    Done(Box<Facts>),
}

fn refused(why: impl Into<String>) -> Progress {
    Progress::Refused(Refusal::Handshake, why.into())
}

fn unsupported(what: &str) -> Progress {
    Progress::Refused(Refusal::Unsupported, format!("unsupported: {what}"))
}

impl Handshake {
    /// Says hello.
    pub(super) fn begin(out: &mut Outbox) -> Self {
        out.request(Hello::ours());
        Self {
            stage: Stage::Hello,
            features: FeaturesReply::default(),
            desc: Desc::default(),
            ports: BTreeMap::new(),
            ports_begun: false,
            changed: Vec::new(),
            tables: None,
            groups: None,
            meters_supported: false,
            removed: Vec::new(),
            given_up: Vec::new(),
        }
    }

    /// What the switch owes us, for an operator.
    pub(super) fn awaiting(&self) -> &'static str {
        match &self.stage {
            Stage::Hello => "hello",
            Stage::Features { .. } => "features",
            Stage::Claim => "sign of life of the other session with this datapath id",
            Stage::Describe { open, .. } => {
                open.first().map_or("description", |open| open.ask.name())
            }
            Stage::Read { tables, .. } => tables.missing().name(),
            Stage::Over => "nothing",
        }
    }

    /// What the switch called itself.
    pub(super) fn datapath_id(&self) -> Option<DatapathId> {
        (!matches!(self.stage, Stage::Hello | Stage::Features { .. }))
            .then_some(self.features.datapath_id)
    }

    /// Whether the switch has said hello.
    pub(super) fn greeted(&self) -> bool {
        !matches!(self.stage, Stage::Hello)
    }

    /// Whether what is left is reading flows and groups, which may take long.
    pub(super) fn reading(&self) -> bool {
        matches!(self.stage, Stage::Read { .. })
    }

    /// Whether an xid is one whose answer is waited for, and what that is.
    fn waits_for(&self, xid: u32) -> Option<&'static str> {
        match &self.stage {
            Stage::Features { xid: asked } => (*asked == xid).then_some("features"),
            Stage::Describe { open, .. } => {
                open.iter().find(|open| open.xid == xid).map(|open| open.ask.name())
            }
            Stage::Read { tables, .. } => tables.about(xid).map(What::name),
            Stage::Hello | Stage::Claim | Stage::Over => None,
        }
    }

    /// Takes a message; `length` in bytes on the wire.
    pub(super) fn message(
        &mut self,
        message: Message,
        length: usize,
        config: &SouthboundConfig,
        out: &mut Outbox,
    ) -> Progress {
        let Message { xid, body } = message;
        match (&self.stage, body) {
            (Stage::Hello, Body::Hello(hello)) => self.hello(&hello, out),
            (Stage::Hello, Body::Error(error)) => {
                refused(format!("the switch refused: {}", told(&error)))
            }
            (Stage::Hello, body) => {
                let text = format!("expected hello, got {}", body.name());
                let error = ErrorMsg::hello_failed(openflow::VERSION, text.clone());
                out.reply(xid, error);
                refused(text)
            }
            (Stage::Features { xid: asked }, Body::FeaturesReply(features)) if *asked == xid => {
                self.features(features, out)
            }
            (_, Body::PortStatus(status)) => self.port_status(status),
            (_, Body::FlowRemoved(removed)) => self.flow_removed(removed),
            (_, Body::Error(error)) => self.error(xid, &error, config, out),
            (_, Body::MultipartReply(reply)) => self.reply(xid, reply, length, config, out),
            _ => Progress::Stray,
        }
    }

    fn hello(&mut self, hello: &Hello, out: &mut Outbox) -> Progress {
        if hello.negotiate().is_none() {
            let text =
                format!("only OpenFlow 1.3 is spoken here, the switch offers {}", offered(hello));
            out.reply(
                0,
                ErrorMsg::hello_failed(hello.version.clamp(1, openflow::VERSION), text.clone()),
            );
            return refused(text);
        }
        let xid = out.request(Body::FeaturesRequest);
        self.stage = Stage::Features { xid };
        Progress::Going
    }

    fn features(&mut self, features: FeaturesReply, out: &mut Outbox) -> Progress {
        self.features = features;
        if features.auxiliary_id != 0 {
            let aux = features.auxiliary_id;
            return refused(format!("auxiliary connection {aux}: only main connections are used"));
        }
        if features.n_tables < needs::TABLES {
            return unsupported(&format!(
                "{} tables, {} are needed",
                features.n_tables,
                needs::TABLES
            ));
        }
        self.stage = Stage::Claim;
        out.push(Output::Claim(features.datapath_id));
        Progress::Going
    }

    /// The datapath id is ours: asks for everything else.
    pub(super) fn claimed(&mut self, out: &mut Outbox) {
        if !matches!(self.stage, Stage::Claim) {
            return;
        }
        let config = out.request(Body::SetConfig(SwitchConfig::default()));
        let ask =
            |ask: Ask| Open { xid: out.request(ask.request()), ask, length: Length::default() };
        self.stage = Stage::Describe { config, open: Ask::ALL.into_iter().map(ask).collect() };
    }

    fn port_status(&mut self, status: PortStatus) -> Progress {
        // Before its list of ports a switch may tell what that list will say anyway.
        if self.ports_begun {
            if self.changed.len() >= DESCRIBED {
                return refused(format!(
                    "more than {DESCRIBED} changes of ports during the handshake"
                ));
            }
            self.changed.push(status);
        }
        Progress::Going
    }

    fn flow_removed(&mut self, removed: FlowRemoved) -> Progress {
        if matches!(self.stage, Stage::Read { .. }) {
            if self.removed.len() >= REMOVALS {
                return refused(format!(
                    "more than {REMOVALS} flows were removed while they were read"
                ));
            }
            self.removed.push(removed);
        }
        Progress::Going
    }

    fn error(
        &mut self,
        xid: u32,
        error: &ErrorMsg,
        config: &SouthboundConfig,
        out: &mut Outbox,
    ) -> Progress {
        match &mut self.stage {
            Stage::Features { xid: asked } if *asked == xid => {
                refused(format!("the switch refused to tell its features: {}", told(error)))
            }
            Stage::Describe { config: asked, .. } | Stage::Read { config: asked, .. }
                if *asked == xid =>
            {
                out.complain(format!("the switch refused to send whole frames: {}", told(error)));
                Progress::Going
            }
            Stage::Describe { open, .. } => {
                let Some(at) = open.iter().position(|open| open.xid == xid) else {
                    return Progress::Stray;
                };
                let Open { ask, .. } = open.remove(at);
                self.untold(ask, &told(error), config, out)
            }
            Stage::Read { tables, .. } => match tables.about(xid) {
                Some(what) => refused(format!(
                    "the switch refused to tell its {}: {}",
                    what.name(),
                    told(error)
                )),
                None => Progress::Stray,
            },
            _ => Progress::Stray,
        }
    }

    /// A message with this xid can't be read. `None` if nobody waits for it.
    pub(super) fn malformed(
        &mut self,
        xid: u32,
        error: &str,
        config: &SouthboundConfig,
        out: &mut Outbox,
    ) -> Option<Progress> {
        let what = self.waits_for(xid)?;
        match &mut self.stage {
            Stage::Describe { open, .. } => {
                let at = open.iter().position(|open| open.xid == xid)?;
                let Open { ask, .. } = open.remove(at);
                self.given_up.push(xid);
                Some(self.untold(ask, error, config, out))
            }
            _ => Some(refused(format!("the switch's {what} can't be read: {error}"))),
        }
    }

    /// Goes on without a description, unless it is that of the ports.
    fn untold(
        &mut self,
        ask: Ask,
        why: &str,
        config: &SouthboundConfig,
        out: &mut Outbox,
    ) -> Progress {
        match ask {
            Ask::Ports => return unsupported(&format!("{}: {why}", ask.name())),
            // A part of the list must not be taken for all of it.
            Ask::Tables => self.tables = None,
            Ask::Desc | Ask::Groups | Ask::Meters => {}
        }
        // Unknown is not missing: what it can't do it will refuse.
        out.note(format!("the switch doesn't tell its {}: {why}", ask.name()));
        self.described(config, out)
    }

    fn reply(
        &mut self,
        xid: u32,
        reply: MultipartReply,
        length: usize,
        config: &SouthboundConfig,
        out: &mut Outbox,
    ) -> Progress {
        if self.given_up.contains(&xid) {
            return Progress::Going;
        }
        match &mut self.stage {
            Stage::Describe { open, .. } => {
                let Some(at) = open.iter().position(|open| open.xid == xid) else {
                    return Progress::Stray;
                };
                let ask = open[at].ask;
                if open[at].length.add(length, config.multipart_bytes).is_err() {
                    return too_long(ask.name(), config);
                }
                if !reply.more() {
                    open.remove(at);
                }
                if !self.describe(ask, reply.body) {
                    return refused(format!(
                        "the switch answered something else than its {}",
                        ask.name()
                    ));
                }
                self.described(config, out)
            }
            Stage::Read { tables, .. } => {
                let Some(what) = tables.about(xid) else { return Progress::Stray };
                match tables.take(what, reply, length, config.multipart_bytes) {
                    Part::More => Progress::Going,
                    Part::Done(tables) => self.done(tables),
                    Part::TooLong(what) => too_long(what.name(), config),
                    Part::Strange => refused(format!(
                        "the switch answered something else than its {}",
                        what.name()
                    )),
                }
            }
            _ => Progress::Stray,
        }
    }

    /// Whether the answer is about what was asked.
    fn describe(&mut self, ask: Ask, answer: MultipartReplyBody) -> bool {
        match (ask, answer) {
            (Ask::Ports, MultipartReplyBody::PortDesc(ports)) => {
                self.ports_begun = true;
                self.ports.extend(ports.into_iter().map(|port| (port.port_no, port)));
            }
            (Ask::Desc, MultipartReplyBody::Desc(desc)) => self.desc = *desc,
            (Ask::Tables, MultipartReplyBody::TableFeatures(tables)) => {
                // A switch may have hundreds; those that aren't used needn't be kept.
                let used = tables.into_iter().filter(|table| table.table_id.0 < needs::TABLES);
                let known = self.tables.get_or_insert_default();
                known.extend(used);
                known.truncate(usize::from(needs::TABLES));
            }
            (Ask::Groups, MultipartReplyBody::GroupFeatures(groups)) => self.groups = Some(groups),
            (Ask::Meters, MultipartReplyBody::MeterFeatures(meters)) => {
                self.meters_supported = meters.max_meter > 0
            }
            _ => return false,
        }
        true
    }

    /// Goes on to reading, once everything is described and enough.
    fn described(&mut self, config: &SouthboundConfig, out: &mut Outbox) -> Progress {
        let Stage::Describe { config: set_config, open } = &self.stage else {
            return Progress::Going;
        };
        if !open.is_empty() {
            return Progress::Going;
        }
        let tables = self.tables.take();
        let lacking = tables.as_deref().and_then(needs::missing_in_tables);
        let lacking = lacking.or_else(|| self.groups.as_ref().and_then(needs::missing_in_groups));
        if let Some(lacking) = lacking {
            return unsupported(&lacking);
        }
        let set_config = *set_config;
        let tables = read(config.cookie, config.cookie_mask, out);
        self.stage = Stage::Read { config: set_config, tables };
        Progress::Going
    }

    fn done(&mut self, tables: Tables) -> Progress {
        for PortStatus { reason, desc } in std::mem::take(&mut self.changed) {
            match reason {
                PortReason::Delete => {
                    self.ports.remove(&desc.port_no);
                }
                _ => {
                    self.ports.insert(desc.port_no, desc);
                }
            }
        }
        self.stage = Stage::Over;
        Progress::Done(Box::new(Facts {
            features: self.features,
            desc: std::mem::take(&mut self.desc),
            ports: std::mem::take(&mut self.ports).into_values().collect(),
            meters_supported: self.meters_supported,
            tables,
            removed: std::mem::take(&mut self.removed),
        }))
    }
}

/// Asks for flows with a cookie and for all groups.
pub(super) fn read(cookie: u64, mask: u64, out: &mut Outbox) -> TablesRead {
    let flows = out.request(MultipartRequestBody::Flow(FlowStatsRequest::by_cookie(cookie, mask)));
    let groups = out.request(MultipartRequestBody::GroupDesc);
    TablesRead::new(flows, groups, cookie, mask)
}

/// Asks for some flows only.
pub(super) fn find(flows: FlowStatsRequest, out: &mut Outbox) -> TablesRead {
    let (cookie, mask) = (flows.cookie, flows.cookie_mask);
    let xid = out.request(MultipartRequestBody::Flow(flows));
    TablesRead::of_flows(xid, cookie, mask)
}

fn too_long(what: &str, config: &SouthboundConfig) -> Progress {
    refused(format!("the switch's {what} have more than {} bytes", config.multipart_bytes))
}

/// An error by its names, with its text.
pub(super) fn told(error: &ErrorMsg) -> String {
    match error.text() {
        Some(text) if !text.is_empty() => format!("{}: {}", error.code, text.escape_debug()),
        _ => error.code.to_string(),
    }
}

/// The versions that a hello offers, by their common names.
fn offered(hello: &Hello) -> String {
    let names = [(1, "1.0"), (2, "1.1"), (3, "1.2"), (4, "1.3"), (5, "1.4"), (6, "1.5")];
    let offers = |version| match hello.bitmap() {
        Some(_) => hello.speaks(version),
        None => version == hello.version,
    };
    let offered: Vec<_> =
        names.iter().filter(|(version, _)| offers(*version)).map(|(_, name)| *name).collect();
    match (offered.is_empty(), hello.bitmap()) {
        (false, _) => offered.join(", "),
        (true, Some(_)) => "none of the versions 1.0 to 1.5".to_owned(),
        (true, None) => format!("wire version {}", hello.version),
    }
}
