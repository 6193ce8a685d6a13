//! An OpenFlow 1.3 switch without I/O: messages and frames go in, messages and frames come out.
//!
//! Start at [`Datapath::handle`] and [`Datapath::inject`]. Time comes in as the time since the switch started;
//! [`Datapath::advance`] lets it pass. The same switch over TCP is in [`wire`](crate::wire), many of them joined by
//! links in virtual time in [`fabric`](crate::fabric).
//!
//! What it does not do, and says so when asked: buffers, queues, MPLS and PBB actions, TTL copying, DSCP remarking
//! meters, switch-local forwarding (`NORMAL`).

mod channel;
mod dump;
mod expiry;
mod features;
mod flows;
mod groups;
mod meters;
mod ports;
mod stats;

use std::collections::BTreeMap;
use std::time::Duration;

use openflow::{
    BadRequest, Body, Capabilities, DatapathId, ErrorCode, ErrorMsg, FeaturesReply, Hello,
    HelloFailed, Message, PacketOut, PortNo, Role, SwitchConfig, SwitchConfigFailed,
    TableModFailed,
};

use crate::frame::Frame;
use crate::pipeline::check::{self, Context};
pub use crate::pipeline::port::PortSpec;
use crate::pipeline::{Emit, Pipeline, Ports};
use channel::ChannelState;

/// One controller's connection. A switch always has channel 0, which is the one to use where there is one controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u32);

/// What comes out of a switch.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A frame leaves by a port.
    Frame {
        /// The port.
        port: PortNo,
        /// The frame, with its tunnel key where the port is a tunnel.
        frame: Frame,
    },
    /// A message goes to a controller.
    Message(Channel, Message),
}

impl Output {
    /// The message, if it is one.
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Message(_, message) => Some(message),
            Self::Frame { .. } => None,
        }
    }
}

/// What a switch has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flow tables, 1–254.
    pub tables: u8,
    /// Flows in each table.
    pub flows: usize,
    /// Groups.
    pub groups: usize,
    /// Meters, the virtual one not counted.
    pub meters: u32,
    /// Whether it takes the virtual meter `OFPM_CONTROLLER`.
    pub controller_meter: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tables: 16,
            flows: 1_000_000,
            groups: 1_000_000,
            meters: 65_536,
            controller_meter: true,
        }
    }
}

/// The switch.
#[derive(Debug)]
pub struct Datapath {
    dpid: DatapathId,
    name: String,
    limits: Limits,
    config: SwitchConfig,
    pipeline: Pipeline,
    channels: BTreeMap<Channel, ChannelState>,
    /// The last generation id that a master or slave brought.
    generation: Option<u64>,
    now: Duration,
    /// No flow runs out before this.
    expiry_due: Option<u64>,
}

impl Datapath {
    /// A switch with empty tables whose ports are all up. `dp_desc` is the name that it reports.
    pub fn new(
        dpid: impl Into<DatapathId>,
        dp_desc: impl Into<String>,
        ports: impl IntoIterator<Item = impl Into<PortSpec>>,
    ) -> Self {
        let dpid = dpid.into();
        let mut all = Ports::default();
        for spec in ports {
            all.insert(Ports::entry(dpid.0, &spec.into(), 0));
        }
        let limits = Limits::default();
        Self {
            dpid,
            name: dp_desc.into(),
            limits,
            config: SwitchConfig::default(),
            pipeline: Pipeline::new(limits.tables.into(), all),
            channels: BTreeMap::from([(Channel(0), ChannelState::default())]),
            generation: None,
            now: Duration::ZERO,
            expiry_due: None,
        }
    }

    /// The same switch with other limits. Its tables are empty anew.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        let ports = std::mem::take(&mut self.pipeline.ports);
        self.pipeline = Pipeline::new(limits.tables.clamp(1, 254).into(), ports);
        self.limits = limits;
        self
    }

    /// Changes what there is room for; what is there already stays. The number of tables stays too.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = Limits { tables: self.limits.tables, ..limits };
    }

    /// Its id.
    pub fn dpid(&self) -> DatapathId {
        self.dpid
    }

    /// Its name (`dp_desc`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is between its ports.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// How many flows there are in all tables.
    pub fn flow_count(&self) -> usize {
        self.pipeline.tables.iter().map(|table| table.flows.len()).sum()
    }

    /// A message from the controller of channel 0.
    #[must_use]
    pub fn handle(&mut self, now: Duration, message: Message) -> Vec<Output> {
        self.handle_on(Channel(0), now, message)
    }

    /// A message from a controller. What it asks for is done when this returns; a barrier holds trivially.
    #[must_use]
    pub fn handle_on(&mut self, channel: Channel, now: Duration, message: Message) -> Vec<Output> {
        let mut out = self.advance(now);
        let Message { xid, body } = message;
        let quoted = || Message::new(xid, body.clone()).encode().unwrap_or_default();
        match self.request(channel, now, &body, &mut out) {
            Ok(replies) => {
                out.extend(
                    replies
                        .into_iter()
                        .map(|reply| Output::Message(channel, Message::new(xid, reply))),
                );
            }
            Err(code) => {
                let error = Body::Error(ErrorMsg::about(code, &quoted()));
                out.push(Output::Message(channel, Message::new(xid, error)));
            }
        }
        out
    }

    /// A frame arrives at a port.
    #[must_use]
    pub fn inject(
        &mut self,
        now: Duration,
        in_port: impl Into<PortNo>,
        frame: impl Into<Frame>,
    ) -> Vec<Output> {
        let mut out = self.advance(now);
        let emitted = self.pipeline.run(now, in_port.into(), &frame.into());
        self.emit(emitted, &mut out);
        out
    }

    /// Replies to a request; frames and asynchronous messages go to `out`.
    fn request(
        &mut self,
        channel: Channel,
        now: Duration,
        body: &Body,
        out: &mut Vec<Output>,
    ) -> Result<Vec<Body>, ErrorCode> {
        if self.is_slave(channel) && writes(body) {
            return Err(ErrorCode::BadRequest(BadRequest::IsSlave));
        }
        match body {
            Body::Hello(hello) => hello_answer(hello),
            Body::EchoRequest(data) => Ok(vec![Body::EchoReply(data.clone())]),
            Body::FeaturesRequest => Ok(vec![Body::FeaturesReply(self.features())]),
            Body::GetConfigRequest => Ok(vec![Body::GetConfigReply(self.config)]),
            Body::SetConfig(config) => {
                // Fragments are passed as they are; reassembly is optional (1.3.5, 7.3.2).
                if u16::from(config.flags) != 0 {
                    return Err(ErrorCode::SwitchConfigFailed(SwitchConfigFailed::BadFlags));
                }
                self.config = *config;
                Ok(Vec::new())
            }
            Body::FlowMod(change) => self.flow_mod(now, change, out).map(|()| Vec::new()),
            Body::GroupMod(change) => self.group_mod(now, change, out).map(|()| Vec::new()),
            Body::MeterMod(change) => self.meter_mod(now, change, out).map(|()| Vec::new()),
            Body::PortMod(change) => self.port_mod(change, out).map(|()| Vec::new()),
            Body::TableMod(change) => {
                let there = change.table_id.0 == 0xff
                    || usize::from(change.table_id.0) < self.pipeline.tables.len();
                // Its configuration has no bits in 1.3 that do anything (1.3.5, 7.3.3).
                if there {
                    Ok(Vec::new())
                } else {
                    Err(ErrorCode::TableModFailed(TableModFailed::BadTable))
                }
            }
            Body::PacketOut(packet) => self.packet_out(now, packet, out).map(|()| Vec::new()),
            Body::BarrierRequest => Ok(vec![Body::BarrierReply]),
            Body::RoleRequest(request) => {
                self.role(channel, request).map(|reply| vec![Body::RoleReply(reply)])
            }
            Body::GetAsyncRequest => Ok(vec![Body::GetAsyncReply(self.channel(channel).wants)]),
            Body::SetAsync(wants) => {
                self.channel(channel).wants = *wants;
                Ok(Vec::new())
            }
            Body::MultipartRequest(request) => self.multipart(now, request),
            Body::Experimenter(_) => Err(ErrorCode::BadRequest(BadRequest::BadExperimenter)),
            // Answers, which nobody here waits for.
            Body::EchoReply(_) | Body::Error(_) => Ok(Vec::new()),
            _ => Err(ErrorCode::BadRequest(BadRequest::BadType)),
        }
    }

    fn features(&self) -> FeaturesReply {
        FeaturesReply {
            datapath_id: self.dpid,
            n_buffers: 0,
            n_tables: self.pipeline.tables.len() as u8,
            auxiliary_id: 0,
            capabilities: Capabilities::FLOW_STATS
                | Capabilities::TABLE_STATS
                | Capabilities::PORT_STATS
                | Capabilities::GROUP_STATS,
            reserved: 0,
        }
    }

    fn packet_out(
        &mut self,
        now: Duration,
        packet: &PacketOut,
        out: &mut Vec<Output>,
    ) -> Result<(), ErrorCode> {
        if packet.buffer_id.reserved_name().is_none() {
            return Err(ErrorCode::BadRequest(BadRequest::BufferUnknown));
        }
        let from = packet.in_port;
        if !(from.is_physical() || from == PortNo::CONTROLLER || from == PortNo::LOCAL) {
            return Err(ErrorCode::BadRequest(BadRequest::BadPort));
        }
        check::actions(Context::PacketOut, None, &packet.actions)?;
        check::groups_exist(&self.pipeline, &packet.actions)?;
        let frame = Frame::new(packet.data.clone());
        let emitted = self.pipeline.run_actions(now, from, &frame, &packet.actions);
        self.emit(emitted, out);
        Ok(())
    }

    fn emit(&mut self, emitted: Vec<Emit>, out: &mut Vec<Output>) {
        for each in emitted {
            match each {
                Emit::Frame { port, frame } => out.push(Output::Frame { port, frame }),
                Emit::Punt(punt) => self.tell_punt(punt, out),
            }
        }
    }
}

/// What a slave may not ask for (1.3.5, 6.3.4).
fn writes(body: &Body) -> bool {
    matches!(
        body,
        Body::PacketOut(_)
            | Body::FlowMod(_)
            | Body::GroupMod(_)
            | Body::PortMod(_)
            | Body::TableMod(_)
            | Body::MeterMod(_)
            | Body::SetConfig(_)
    )
}

/// A hello needs no answer; the connection's side sends its own first.
fn hello_answer(hello: &Hello) -> Result<Vec<Body>, ErrorCode> {
    match hello.negotiate() {
        Some(_) => Ok(Vec::new()),
        None => Err(ErrorCode::HelloFailed(HelloFailed::Incompatible)),
    }
}

impl Datapath {
    fn is_slave(&self, channel: Channel) -> bool {
        self.channels.get(&channel).is_some_and(|state| state.role == Role::Slave)
    }
}
