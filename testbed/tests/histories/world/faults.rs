//! Cables and switches that fail, and flows that are changed behind the controller's back.

use std::collections::BTreeMap;

use openflow::{
    Action, FlowMod, FlowModCommand, FlowStats, GroupId, GroupMod, GroupModCommand, GroupType,
    Instruction, PortNo,
};
use testbed::lab::Stall;

use crate::plan::PORTS;

use super::{Cut, World, datapath};

impl World {
    pub(super) fn nth_cable(&self, n: u32, whole: bool) -> Option<usize> {
        let fits = |cable: &usize| (self.cables[*cable] == Cut::Whole) == whole;
        let all: Vec<_> = (0..self.cables.len()).filter(fits).collect();
        (!all.is_empty()).then(|| all[n as usize % all.len()])
    }

    /// Makes ports and links what the cable's state says.
    pub(super) fn set_cable(&mut self, cable: usize) {
        let cut = self.cables[cable];
        let crosses = self.crosses(cable);
        let (Some(a), Some(b)) = (self.end(cable, 0), self.end(cable, 1)) else { return };
        self.lab.fabric.set_passes(a, crosses);
        self.lab.disturb(|fabric| {
            let mut told = fabric.set_port(a, !matches!(cut, Cut::Both | Cut::First));
            told.merge(fabric.set_port(b, cut != Cut::Both));
            told
        });
    }

    pub(super) fn cables_at(&self, switch: u64) -> Vec<usize> {
        let at = |cable: &usize| {
            let cable = self.plan.cables[*cable];
            cable.a == switch || cable.b == switch
        };
        (0..self.cables.len()).filter(at).collect()
    }

    pub(super) fn die(&mut self, switch: u64, shows: bool) {
        if !self.dead.insert(switch) {
            return;
        }
        self.fails();
        self.lab.stall(switch, Stall::None);
        if shows {
            self.lab.hang_up(switch, true);
        } else {
            self.lab.cut_off(switch);
        }
        for cable in self.cables_at(switch) {
            self.set_cable(cable);
            let side = usize::from(self.plan.cables[cable].a == switch);
            if shows && let Some(there) = self.end(cable, side) {
                self.lab.disturb(|fabric| fabric.set_port(there, false));
            }
        }
        // It forwards nothing: nothing is left of it.
        self.owners.retain(|(of, _), _| *of != switch);
    }

    pub(super) fn revive(&mut self, switch: u64, renumber: bool) {
        if !self.dead.remove(&switch) {
            return;
        }
        self.fails();
        self.renumbered |= renumber;
        let base = if renumber { 40 * (1 + self.dice.throw(5) as u32) } else { 0 };
        for cable in self.cables_at(switch) {
            if let Some(end) = self.end(cable, usize::from(self.plan.cables[cable].a != switch)) {
                self.lab.fabric.unlink(end);
            }
        }
        // The controller may not have noticed yet that it died.
        self.lab.hang_up(switch, true);
        self.lab.add(datapath(switch, base));
        for cable in self.cables_at(switch) {
            self.plug(cable, base, base);
            self.set_cable(cable);
        }
        let here = self.ports.iter().filter(|((of, _), _)| *of == switch);
        for (port, tag) in here {
            self.changes += 1;
            self.owners.insert(*port, BTreeMap::from([(*tag, self.changes)]));
        }
    }

    pub(super) fn nth_flow(&mut self, switch: u64, n: u32) -> Option<FlowStats> {
        if self.dead.contains(&switch) {
            return None;
        }
        let mut all = self.flows(switch);
        (!all.is_empty()).then(|| all.swap_remove(n as usize % all.len()))
    }

    /// Somebody changed what a switch holds: what its ports let out is nobody's promise until it is put right.
    pub(super) fn tampered(&mut self, switch: u64) {
        self.fails();
        self.firm.retain(|port, _| port.0 != switch);
        for promise in &mut self.promises {
            promise.bound.take_if(|(port, _)| port.0 == switch);
        }
    }

    pub(super) fn remove_flow(&mut self, switch: u64, n: u32) {
        if let Some(flow) = self.nth_flow(switch, n) {
            self.tampered(switch);
            self.lab.tamper(switch, about(&flow, FlowModCommand::DeleteStrict, Vec::new()));
        }
    }

    pub(super) fn alter_flow(&mut self, switch: u64, n: u32) {
        if let Some(flow) = self.nth_flow(switch, n) {
            self.tampered(switch);
            self.altered = true;
            self.strange.insert(switch);
            let port = 1 + n / 7 % PORTS;
            let instructions = match n % 3 {
                0 => Vec::new(),
                _ => vec![Instruction::apply([Action::output(port)])],
            };
            self.lab.tamper(switch, about(&flow, FlowModCommand::ModifyStrict, instructions));
        }
    }

    pub(super) fn remove_group(&mut self, switch: u64, n: u32) {
        if self.dead.contains(&switch) {
            return;
        }
        let all = self.groups(switch);
        if !all.is_empty() {
            self.fails();
            let group_id = all[n as usize % all.len()].group_id;
            let gone = GroupMod {
                command: GroupModCommand::Delete,
                group_type: GroupType::All,
                group_id,
                buckets: Vec::new(),
            };
            self.lab.tamper(switch, gone);
        }
    }
}

fn about(flow: &FlowStats, command: FlowModCommand, instructions: Vec<Instruction>) -> FlowMod {
    FlowMod {
        command,
        table_id: flow.table_id,
        priority: flow.priority,
        match_: flow.match_.clone(),
        cookie: flow.cookie,
        instructions,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        ..FlowMod::add(flow.table_id.0)
    }
}
