//! Controllers of a switch: their roles, and who hears what (1.3.5, 6.3.4, 6.3.5).

use openflow::{
    AsyncConfig, Body, BufferId, ErrorCode, FlowRemoved, Message, PacketIn, PortReason, PortStatus,
    Role, RoleReply, RoleRequest, RoleRequestFailed,
};

use super::{Channel, Datapath, Output};
use crate::pipeline::Punt;

/// One controller.
#[derive(Clone, Debug)]
pub struct ChannelState {
    /// What it may do.
    pub role: Role,
    /// What it hears.
    pub wants: AsyncConfig,
}

impl Default for ChannelState {
    fn default() -> Self {
        Self { role: Role::Equal, wants: AsyncConfig::SPEC }
    }
}

impl Datapath {
    /// A controller connects, or again: it is equal to others and hears what the specification says.
    pub fn connect(&mut self, channel: Channel) {
        self.channels.insert(channel, ChannelState::default());
    }

    /// A controller is gone. Flows stay (1.3.5, 6.3.2, fail secure mode).
    pub fn disconnect(&mut self, channel: Channel) {
        self.channels.remove(&channel);
    }

    /// The role of a controller, if it is connected.
    pub fn role_of(&self, channel: Channel) -> Option<Role> {
        self.channels.get(&channel).map(|state| state.role)
    }

    pub(super) fn channel(&mut self, channel: Channel) -> &mut ChannelState {
        self.channels.entry(channel).or_default()
    }

    pub(super) fn role(
        &mut self,
        channel: Channel,
        request: &RoleRequest,
    ) -> Result<RoleReply, ErrorCode> {
        let failed = |code| Err(ErrorCode::RoleRequestFailed(code));
        if matches!(request.role, Role::Master | Role::Slave) {
            // Generations wrap around: newer is what is less than half of all numbers ahead (1.3.5, 6.3.4).
            let stale = |last: u64| (request.generation_id.wrapping_sub(last) as i64) < 0;
            if self.generation.is_some_and(stale) {
                return failed(RoleRequestFailed::Stale);
            }
            self.generation = Some(request.generation_id);
        }
        match request.role {
            Role::NoChange => {}
            Role::Master => {
                for state in self.channels.values_mut().filter(|state| state.role == Role::Master) {
                    state.role = Role::Slave;
                }
                self.channel(channel).role = Role::Master;
            }
            Role::Equal | Role::Slave => self.channel(channel).role = request.role,
            Role::Other(_) => return failed(RoleRequestFailed::BadRole),
        }
        Ok(RoleReply {
            role: self.channel(channel).role,
            generation_id: self.generation.unwrap_or(u64::MAX),
        })
    }

    pub(super) fn tell_punt(&self, punt: Punt, out: &mut Vec<Output>) {
        let reason = punt.reason;
        let body = PacketIn {
            buffer_id: BufferId::NONE,
            total_len: punt.data.len().try_into().unwrap_or(u16::MAX),
            reason,
            table_id: punt.table,
            cookie: punt.cookie,
            match_: punt.context,
            data: punt.data,
        };
        self.tell(&Body::PacketIn(body), AsyncConfig::bit(reason), |wants| wants.packet_in, out);
    }

    pub(super) fn tell_port(
        &self,
        reason: PortReason,
        desc: &openflow::Port,
        out: &mut Vec<Output>,
    ) {
        let body = Body::PortStatus(PortStatus { reason, desc: desc.clone() });
        self.tell(&body, AsyncConfig::bit(reason), |wants| wants.port_status, out);
    }

    pub(super) fn tell_removed(&self, removed: FlowRemoved, out: &mut Vec<Output>) {
        let bit = AsyncConfig::bit(removed.reason);
        self.tell(&Body::FlowRemoved(removed), bit, |wants| wants.flow_removed, out);
    }

    fn tell(
        &self,
        body: &Body,
        bit: u32,
        masks: impl Fn(&AsyncConfig) -> [u32; 2],
        out: &mut Vec<Output>,
    ) {
        for (channel, state) in &self.channels {
            let [master, slave] = masks(&state.wants);
            let mask = if state.role == Role::Slave { slave } else { master };
            if mask & bit != 0 {
                out.push(Output::Message(*channel, Message::new(0, body.clone())));
            }
        }
    }
}
