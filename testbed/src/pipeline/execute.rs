//! Carries out what flows and groups say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openflow::{
    Action, FlowModFlags, GroupId, Instruction, Match, MeterId, PacketInReason, PortConfig, PortNo,
    TableId,
};

use super::action_set::ActionSet;
use super::layout as f;
use super::pattern::place_of;
use super::tuples::Hit;
use super::{Emit, Packet, Pipeline, Program, Punt};
use crate::frame::Frame;

/// Groups may lead to groups, never in a circle; this bounds how deep they are followed.
const DEPTH: usize = 64;

/// Through the tables from the first one on.
pub fn tables(pipeline: &mut Pipeline, now: Duration, packet: Packet) -> Vec<Emit> {
    let mut run = Run { pipeline, now, emitted: Vec::new(), origin: Origin::PACKET_OUT };
    run.tables(packet);
    run.emitted
}

/// Through a controller's list of actions.
pub fn packet_out(
    pipeline: &mut Pipeline,
    now: Duration,
    mut packet: Packet,
    actions: &[Action],
) -> Vec<Emit> {
    let mut run = Run { pipeline, now, emitted: Vec::new(), origin: Origin::PACKET_OUT };
    run.actions(&mut packet, actions, 0);
    run.emitted
}

struct Run<'a> {
    pipeline: &'a mut Pipeline,
    now: Duration,
    emitted: Vec<Emit>,
    origin: Origin,
}

/// The flow whose actions are being carried out.
#[derive(Clone, Copy)]
struct Origin {
    table: u8,
    cookie: u64,
    /// Priority 0 and every frame: "no flow matched" is the reason of its packet-ins (1.3.5, 5.4).
    miss: bool,
}

impl Origin {
    /// A controller's own list of actions; the cookie as in Open vSwitch.
    const PACKET_OUT: Self = Self { table: 0, cookie: u64::MAX, miss: false };
}

/// Why a frame goes no further.
struct Dropped;

impl Run<'_> {
    fn tables(&mut self, mut packet: Packet) {
        let mut set = ActionSet::default();
        let mut table = Some(0);
        while let Some(number) = table {
            // Without a flow that matches, the frame is dropped, and with it the action set (1.3.5, 5.4).
            let Some(program) = self.look_up(number, &packet) else { return };
            match self.instructions(&mut packet, &mut set, &program) {
                // Goto leads forward only, which was checked when the flow was written.
                Ok(next) => table = next.map(|id| id.0),
                Err(Dropped) => return,
            }
        }
        self.origin.miss = false; // which is about the miss flow's own list of actions (1.3.5, 5.4)
        let actions: Vec<_> = set.in_order().cloned().collect();
        self.actions(&mut packet, &actions, 0);
    }

    fn look_up(&mut self, number: u8, packet: &Packet) -> Option<Program> {
        let table = self.pipeline.tables.get_mut(usize::from(number))?;
        table.lookups += 1;
        let Hit { is_miss, flow } = table.flows.lookup(packet.key())?;
        table.matched += 1;
        flow.used = self.now.as_nanos() as u64;
        let flags = FlowModFlags(flow.flags);
        flow.packets += u64::from(!flags.contains(FlowModFlags::NO_PKT_COUNTS));
        flow.bytes += if flags.contains(FlowModFlags::NO_BYT_COUNTS) {
            0
        } else {
            packet.bytes().len() as u64
        };
        self.origin = Origin { table: number, cookie: flow.cookie, miss: is_miss };
        Some(Arc::clone(&flow.program))
    }

    /// In the order of the specification, whatever order they came in (1.3.5, 5.9).
    fn instructions(
        &mut self,
        packet: &mut Packet,
        set: &mut ActionSet,
        program: &[Instruction],
    ) -> Result<Option<TableId>, Dropped> {
        for instruction in program {
            if let Instruction::Meter(meter) = instruction
                && !self.pipeline.meters.pass(self.now, *meter, packet.bytes().len())
            {
                return Err(Dropped);
            }
        }
        for instruction in program {
            if let Instruction::ApplyActions(actions) = instruction {
                self.actions(packet, actions, 0);
            }
        }
        if program.iter().any(|i| matches!(i, Instruction::ClearActions(_))) {
            set.clear();
        }
        let mut next = None;
        for instruction in program {
            match instruction {
                Instruction::WriteActions(actions) => set.write(actions),
                Instruction::WriteMetadata { metadata, mask } => {
                    packet.write_metadata(*metadata, *mask)
                }
                Instruction::GotoTable(table) => next = Some(*table),
                _ => {}
            }
        }
        Ok(next)
    }

    fn actions(&mut self, packet: &mut Packet, actions: &[Action], depth: usize) {
        for action in actions {
            match action {
                Action::Output { port, max_len: _ } => self.output(packet, *port),
                Action::Group(group) => self.group(packet, *group, depth),
                Action::PushVlan(tpid) => packet.push_vlan(*tpid),
                Action::PopVlan => packet.pop_vlan(),
                Action::SetField(oxm) => {
                    if let (Some(place), Some(content)) =
                        (oxm.field().and_then(place_of), oxm.to_bits())
                    {
                        let size = usize::from(place.size);
                        packet.set_field(place, &content.value.to_be_bytes()[16 - size..]);
                    }
                }
                Action::SetNwTtl(ttl) => packet.set_ttl(*ttl),
                Action::DecNwTtl if !packet.decrement_ttl() => {
                    self.punt(packet, PacketInReason::InvalidTtl);
                    return;
                }
                // Refused when the flow was written.
                _ => {}
            }
        }
    }

    fn group(&mut self, packet: &Packet, id: GroupId, depth: usize) {
        let pipeline = &mut *self.pipeline;
        let Some(group) = pipeline.groups.get(&id).filter(|_| depth < DEPTH) else { return };
        let chosen = group.choose(packet.key(), &pipeline.groups, &pipeline.ports);
        let buckets = Arc::clone(&group.buckets);
        let bytes = packet.bytes().len() as u64;
        if let Some(group) = pipeline.groups.get_mut(&id) {
            group.packets += 1;
            group.bytes += bytes;
            for &index in &chosen {
                if let Some((packets, sum)) = group.bucket_counters.get_mut(index) {
                    *packets += 1;
                    *sum += bytes;
                }
            }
        }
        for bucket in chosen.into_iter().filter_map(|index| buckets.get(index)) {
            // Each bucket works on a copy, and its actions are an action set (1.3.5, 5.6.1).
            let mut set = ActionSet::default();
            set.write(&bucket.actions);
            let actions: Vec<_> = set.in_order().cloned().collect();
            self.actions(&mut packet.clone(), &actions, depth + 1);
        }
    }

    fn output(&mut self, packet: &Packet, port: PortNo) {
        let in_port = PortNo(packet.in_port());
        match port {
            PortNo::IN_PORT => self.send(packet, in_port),
            PortNo::ALL | PortNo::FLOOD => {
                let ports: Vec<_> =
                    self.pipeline.ports.iter().map(|entry| entry.desc.port_no).collect();
                ports
                    .into_iter()
                    .filter(|port| *port != in_port)
                    .for_each(|port| self.send(packet, port));
            }
            PortNo::CONTROLLER => {
                let reason =
                    if self.origin.miss { PacketInReason::NoMatch } else { PacketInReason::Action };
                self.punt(packet, reason);
            }
            PortNo::TABLE => {
                let mut again = packet.clone();
                again.write_metadata(0, u64::MAX);
                self.tables(again);
            }
            // Never back where it came from, unless that is asked for by name (1.3.5, 7.2.5).
            port if port == in_port => {}
            port => self.send(packet, port),
        }
    }

    fn send(&mut self, packet: &Packet, port: PortNo) {
        if let Some(tunnel) = self.pipeline.ports.send(port, packet.bytes().len()) {
            let frame = packet.frame();
            let frame = if tunnel { frame } else { frame.with_tunnel_id(0) };
            self.emitted.push(Emit::Frame { port, frame });
        }
    }

    fn punt(&mut self, packet: &Packet, reason: PacketInReason) {
        let in_port = PortNo(packet.in_port());
        let quiet = |config: PortConfig| config.contains(PortConfig::NO_PACKET_IN);
        if self.pipeline.ports.get(in_port).is_some_and(|entry| quiet(entry.desc.config))
            || !self.pipeline.meters.pass(self.now, MeterId::CONTROLLER, packet.bytes().len())
        {
            return;
        }
        let mut context = Match::new().in_port(in_port);
        match packet.key().u64(f::METADATA) {
            0 => {}
            metadata => context = context.metadata(metadata),
        }
        match packet.key().u64(f::TUNNEL_ID) {
            0 => {}
            tunnel_id => context = context.tunnel_id(tunnel_id),
        }
        let Frame { bytes, .. } = packet.frame();
        let data: Bytes = bytes;
        let Origin { table, cookie, .. } = self.origin;
        self.emitted.push(Emit::Punt(Punt {
            reason,
            table: TableId(table),
            cookie,
            context,
            data,
        }));
    }
}
