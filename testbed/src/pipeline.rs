//! A frame through tables, groups and meters (1.3.5, 5).
//!
//! Start at [`Pipeline::run`]. Sans-IO: what happens is returned, time comes in as the time since the switch
//! started. Messages that change tables are the switch's business ([`switch`](crate::switch)).

mod action_set;
pub mod check;
mod execute;
pub mod group;
pub mod key;
pub mod layout;
pub mod meter;
mod packet;
pub mod parse;
pub mod pattern;
pub mod port;
mod program;
pub mod tuples;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use openflow::{Action, GroupId, Instruction, Match, PacketInReason, PortNo, TableId};

pub use group::Group;
pub use meter::Meters;
pub use packet::Packet;
pub use port::Ports;
pub use program::Programs;
use tuples::Tuples;

use crate::frame::Frame;

/// All that decides where a frame goes.
#[derive(Debug)]
pub struct Pipeline {
    /// The flow tables, by number.
    pub tables: Vec<Table>,
    /// The groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// The meters.
    pub meters: Meters,
    /// The ports.
    pub ports: Ports,
    /// What flows do, each distinct list once.
    pub programs: Programs,
}

/// One flow table.
#[derive(Debug, Default)]
pub struct Table {
    /// Its flows.
    pub flows: Tuples<Flow>,
    /// Frames looked up.
    pub lookups: u64,
    /// Frames that a flow matched.
    pub matched: u64,
}

/// A flow without its table, priority and match, which lead to it.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The controller's mark.
    pub cookie: u64,
    /// Seconds without a frame after which it goes; 0 for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; 0 for never.
    pub hard_timeout: u16,
    /// As in the flow-mod that added it.
    pub flags: u16,
    /// When it was added, in nanoseconds since the switch started.
    pub added: u64,
    /// When it last matched, likewise; at first when it was added.
    pub used: u64,
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What it does.
    pub program: Program,
}

/// What a flow does; flows that do the same share it.
pub type Program = std::sync::Arc<[Instruction]>;

/// What comes out of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Emit {
    /// A frame leaves by a port that carries frames.
    Frame {
        /// The port.
        port: PortNo,
        /// The frame; its tunnel key is 0 at ports that are no tunnels.
        frame: Frame,
    },
    /// A frame goes to the controllers.
    Punt(Punt),
}

/// A frame for the controllers, before it is known which of them want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Punt {
    /// Why.
    pub reason: PacketInReason,
    /// By the flow of which table.
    pub table: TableId,
    /// Of which cookie.
    pub cookie: u64,
    /// in_port, and metadata and tunnel_id where they aren't 0.
    pub context: Match,
    /// The whole frame.
    pub data: Bytes,
}

impl Pipeline {
    /// Empty tables, and these ports.
    pub fn new(tables: usize, ports: Ports) -> Self {
        Self {
            tables: (0..tables).map(|_| Table::default()).collect(),
            groups: BTreeMap::new(),
            meters: Meters::default(),
            ports,
            programs: Programs::default(),
        }
    }

    /// A frame that comes in by a port, through the tables.
    ///
    /// A port that is down, or isn't there, takes nothing in.
    pub fn run(&mut self, now: Duration, in_port: PortNo, frame: &Frame) -> Vec<Emit> {
        match self.ports.receive(in_port, frame.bytes.len()) {
            None => Vec::new(),
            Some(tunnel) => {
                let tunnel_id = if tunnel { frame.tunnel_id } else { 0 };
                let packet = Packet::new(&frame.clone().with_tunnel_id(tunnel_id), in_port.0);
                execute::tables(self, now, packet)
            }
        }
    }

    /// A frame from a controller, through a list of actions (1.3.5, 7.3.7).
    pub fn run_actions(
        &mut self,
        now: Duration,
        in_port: PortNo,
        frame: &Frame,
        actions: &[Action],
    ) -> Vec<Emit> {
        execute::packet_out(self, now, Packet::new(frame, in_port.0), actions)
    }
}
