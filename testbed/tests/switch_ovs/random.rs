//! Random changes of flows and groups.

use openflow::{
    Action, Body, Bucket, Field, FlowMod, FlowModCommand, FlowModFlags, GroupId, GroupMod,
    GroupModCommand, GroupType, Instruction, Masked, Match, Oxm, PortNo, TableId, VlanVid,
};

use super::frames::{IPV4, IPV6, MACS, PORTS, VIDS};
use super::oracle;

/// Open vSwitch keeps two tags in mind: of two pushes over a tag the frame's own is lost. So at most one is on any way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Push {
    Allowed,
    Never,
}

/// Numbers that depend on nothing but the seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn port(&mut self) -> u32 {
        self.below(oracle::PORTS.into()) as u32 + 1
    }

    /// A change of a group or, mostly, a flow.
    pub fn change(&mut self) -> Body {
        if self.chance(25) { self.group_mod().into() } else { self.flow_mod().into() }
    }

    fn group_mod(&mut self) -> GroupMod {
        let command = self.pick(&[
            GroupModCommand::Add,
            GroupModCommand::Add,
            GroupModCommand::Modify,
            GroupModCommand::Delete,
        ]);
        let group_type = self.pick(&[
            GroupType::All,
            GroupType::All,
            GroupType::Indirect,
            GroupType::FastFailover,
        ]);
        let group_id = GroupId(self.below(3) as u32 + 1);
        let most = if group_type == GroupType::Indirect { 1 } else { self.below(4) };
        let mut buckets = Vec::new();
        if command != GroupModCommand::Delete {
            for _ in 0..most {
                // Groups that lead to groups have tests of their own: both sides bound them differently.
                let mut actions = self.rewrites(Push::Allowed);
                actions.push(Action::output(self.port()));
                let bucket = Bucket::new(actions);
                let watched = if group_type == GroupType::FastFailover {
                    PortNo(self.port())
                } else {
                    PortNo::ANY
                };
                buckets.push(bucket.watch_port(watched));
            }
        }
        GroupMod { command, group_type, group_id, buckets }
    }

    fn flow_mod(&mut self) -> FlowMod {
        let command = match self.below(10) {
            0 => FlowModCommand::Modify,
            1 => FlowModCommand::ModifyStrict,
            2 => FlowModCommand::Delete,
            3 => FlowModCommand::DeleteStrict,
            _ => FlowModCommand::Add,
        };
        let deletes = matches!(command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        let table = if deletes && self.chance(30) { 0xff } else { self.below(4) as u8 };
        let mut matching = self.matching(table);
        if command != FlowModCommand::Add && self.chance(50) {
            // Wide enough to cover some flows.
            matching = Match::new().in_port(self.port());
        }
        let cookie = self.below(4);
        let cookie_mask = if command != FlowModCommand::Add && self.chance(40) { 1 } else { 0 };
        let mut change = FlowMod {
            // Ties leave the choice open; unequal priorities don't.
            priority: self.below(4) as u16 * 1000
                + if command == FlowModCommand::Add { self.below(900) as u16 } else { 0 },
            table_id: TableId(table),
            cookie,
            cookie_mask,
            match_: matching,
            ..FlowMod::new(command, table)
        };
        if deletes {
            if self.chance(30) {
                change.out_port = PortNo(self.port());
            }
            if self.chance(10) {
                change.out_group = GroupId(self.below(3) as u32 + 1);
            }
        } else {
            change.instructions = self.instructions(table, &change.match_);
            if self.chance(10) {
                change.flags |= FlowModFlags::CHECK_OVERLAP;
            }
            if self.chance(10) {
                change.flags |= FlowModFlags::SEND_FLOW_REM;
            }
        }
        change
    }

    fn matching(&mut self, table: u8) -> Match {
        let mut fields = Match::new();
        if self.chance(40) {
            fields = fields.in_port(self.port());
        }
        if table > 0 && self.chance(50) {
            let mask = self.pick(&[0xff_u64, 0xf0, u64::MAX]);
            fields = fields.metadata_masked((self.below(3) * 0x11) & mask, mask);
        }
        if self.chance(30) {
            fields = fields.eth_dst(self.pick(&MACS));
        }
        if self.chance(15) {
            fields = fields.eth_src_masked([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]);
        }
        // Behind a pop, Open vSwitch doesn't look at the frame anew: see the head of `parse.rs`.
        if table > 0 {
            return fields;
        }
        if self.chance(50) {
            fields = self.network(fields);
        }
        if self.chance(40) {
            fields = match self.below(3) {
                0 => fields.vlan_vid(VlanVid::NONE),
                1 => fields.vlan_vid_masked(VlanVid::PRESENT, VlanVid::PRESENT),
                _ => fields.vlan_vid(VlanVid::tagged(self.pick(&VIDS))),
            };
            let tagged = fields.vlan_vid_field().is_some_and(|vid| vid.value != VlanVid::NONE);
            if tagged && self.chance(30) {
                fields = fields.vlan_pcp(self.pick(&[0_u8, 1, 7]));
            }
        }
        fields
    }

    fn network(&mut self, mut fields: Match) -> Match {
        match self.below(4) {
            0 => {
                fields = fields.eth_type(0x0806);
                if self.chance(50) {
                    fields = fields.arp_op(self.pick(&[1_u16, 2]));
                }
                if self.chance(50) {
                    fields = fields.arp_spa(self.pick(&IPV4)).arp_tha(self.pick(&MACS));
                }
            }
            1 | 2 => {
                fields = fields.eth_type(0x0800);
                if self.chance(40) {
                    fields = fields.ip_dscp(self.pick(&[0_u8, 10]));
                }
                if self.chance(60) {
                    fields = self.transport(fields, 1);
                }
                if self.chance(40) {
                    fields = fields.ipv4_src_masked([10, 0, 0, 0], [255, 255, 255, 0]);
                }
                if self.chance(30) {
                    fields = fields.ipv4_dst(self.pick(&IPV4));
                }
            }
            _ => {
                fields = fields.eth_type(0x86dd);
                if self.chance(60) {
                    fields = self.transport(fields, 58);
                }
                if self.chance(40) {
                    fields = fields.ipv6_src(self.pick(&IPV6));
                }
            }
        }
        fields
    }

    fn transport(&mut self, fields: Match, icmp: u8) -> Match {
        let fields = fields.ip_proto(self.pick(&[6, 17, icmp]));
        let port = self.pick(&PORTS);
        match fields.ip_proto_field().map(|protocol| protocol.value) {
            Some(6) => fields.tcp_dst(port),
            Some(17) => fields.udp_src(port),
            Some(1) => fields.icmpv4_type(self.pick(&[8, 0])),
            Some(58) => {
                let kind = self.pick(&[135, 136]);
                let fields = fields.icmpv6_type(kind).icmpv6_code(0);
                match kind {
                    135 => fields.ipv6_nd_target(self.pick(&IPV6)).ipv6_nd_sll(self.pick(&MACS)),
                    _ => fields.ipv6_nd_tll(self.pick(&MACS)),
                }
            }
            _ => fields,
        }
    }

    fn instructions(&mut self, table: u8, matching: &Match) -> Vec<Instruction> {
        let mut list = Vec::new();
        if self.chance(60) {
            list.push(Instruction::ApplyActions(self.actions(table, matching)));
        }
        if self.chance(10) {
            list.push(Instruction::ClearActions(Vec::new()));
        }
        if self.chance(25) {
            let mut actions = self.rewrites(Push::Never);
            // Not to the controller: Open vSwitch then reports the cookie of no flow or of another one.
            let port = self.out_port();
            actions.push(Action::output(if port == PortNo::CONTROLLER {
                PortNo::ALL
            } else {
                port
            }));
            list.push(Instruction::WriteActions(actions));
        }
        if table < 3 && self.chance(60) {
            let mask = self.pick(&[u64::MAX, 0xff, 0xf0]);
            list.push(Instruction::WriteMetadata { metadata: (self.below(3) * 0x11) & mask, mask });
            // Also back, which both must refuse.
            list.push(Instruction::goto(self.pick(&[table + 1, 3, 3, table])));
        }
        list
    }

    fn actions(&mut self, table: u8, matching: &Match) -> Vec<Action> {
        let tagged = matching.vlan_vid_field().is_some_and(|vid| vid.value != VlanVid::NONE);
        let mut actions = Vec::new();
        if tagged && self.chance(40) {
            actions.push(Action::PopVlan);
        } else if tagged && self.chance(30) {
            actions.push(Action::set_vlan_vid(VlanVid::tagged(self.pick(&VIDS))));
        }
        if self.chance(30) {
            actions.extend(self.network_rewrites(matching));
        }
        let push = if table == 3 { Push::Allowed } else { Push::Never };
        actions.extend(self.rewrites(push));
        if self.chance(10) {
            actions.push(Action::output(self.out_port()));
            actions.push(Action::SetField(Oxm::eth_src(self.pick(&MACS))));
        }
        let pushed = actions.iter().any(|action| matches!(action, Action::PushVlan(_)));
        // Each group at most once: Open vSwitch 3.1 aborts when a group goes that one flow leads to twice.
        let mut groups = vec![1, 2, 3];
        for _ in 0..self.below(3) {
            actions.push(if !pushed && self.chance(25) {
                Action::group(groups.remove(self.below(groups.len() as u64) as usize) as u32)
            } else {
                Action::output(self.out_port())
            });
        }
        actions
    }

    /// What doesn't depend on the frame's type.
    fn rewrites(&mut self, push: Push) -> Vec<Action> {
        let mut actions = Vec::new();
        if push == Push::Allowed && self.chance(30) {
            // Open vSwitch starts a new tag at priority 0, the specification at the old one: so it is always set.
            actions.push(Action::PushVlan(self.pick(&[0x8100, 0x8100, 0x88a8])));
            actions.push(Action::set_vlan_vid(VlanVid::tagged(self.pick(&VIDS))));
            actions.push(Action::SetField(Oxm::vlan_pcp(self.pick(&[0_u8, 3]))));
        }
        if self.chance(20) {
            actions.push(Action::SetField(Oxm::eth_dst(self.pick(&MACS))));
        }
        actions
    }

    fn network_rewrites(&mut self, matching: &Match) -> Vec<Action> {
        let ip = |fields: &Match| fields.eth_type_field().map(|kind| kind.value);
        let mut actions = Vec::new();
        match ip(matching) {
            Some(0x0800) => {
                actions.push(Action::SetField(Oxm::ipv4_dst(self.pick(&IPV4))));
                actions.push(Action::SetField(Oxm::ip_dscp(self.pick(&[10_u8, 63]))));
                actions.push(Action::DecNwTtl);
            }
            Some(0x86dd) => {
                actions.push(Action::SetField(Oxm::ipv6_src(self.pick(&IPV6))));
                actions.push(Action::SetField(Oxm::ip_dscp(self.pick(&[10_u8, 63]))));
                actions.push(Action::SetNwTtl(7));
            }
            Some(0x0806) => {
                actions.push(Action::SetField(Oxm::arp_spa(self.pick(&IPV4))));
                actions.push(Action::SetField(Oxm::arp_op(2)));
            }
            // Without the match both must refuse it.
            _ if self.chance(10) => actions.push(Action::SetField(Oxm::ipv4_dst(self.pick(&IPV4)))),
            _ => {}
        }
        if matching.tcp_dst_field().is_some() {
            let port = self.pick(&PORTS);
            let written = Oxm::from_bits(Field::TcpSrc, Masked::exact(port.into()));
            actions.extend(written.map(Action::SetField));
        }
        if matching.udp_src_field().is_some() {
            actions.push(Action::SetField(Oxm::udp_dst(self.pick(&PORTS))));
        }
        actions
    }

    fn out_port(&mut self) -> PortNo {
        let number = PortNo(self.port());
        self.pick(&[
            number,
            number,
            number,
            number,
            PortNo::IN_PORT,
            PortNo::ALL,
            PortNo::FLOOD,
            PortNo::CONTROLLER,
        ])
    }
}
