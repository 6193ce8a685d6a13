//! Changes to flows (1.3.5, 6.4, 7.3.4.1).

use std::ops::RangeInclusive;
use std::time::Duration;

use openflow::{
    Action, BadRequest, ErrorCode, FlowMod, FlowModCommand, FlowModFailed, FlowModFlags,
    FlowRemoved, FlowRemovedReason, GroupId, Instruction, MeterId, PortNo, TableId,
};

use super::{Datapath, Output};
use crate::pipeline::check;
use crate::pipeline::pattern::{self, to_match};
use crate::pipeline::tuples::Pattern;
use crate::pipeline::{Flow, group};

const KNOWN_FLAGS: u16 = 0x1f;

/// Which flows a request is about.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// In which table; `ALL` for any.
    pub table: TableId,
    /// Flows whose match is at least as narrow.
    pub pattern: Pattern,
    /// Exactly this pattern and priority.
    pub strict: Option<u16>,
    /// Bits of the cookie, and which of them count.
    pub cookie: (u64, u64),
    /// That put out by this port; `ANY` for no matter.
    pub out_port: PortNo,
    /// That lead to this group; `ANY` for no matter.
    pub out_group: GroupId,
}

impl Filter {
    /// Whether a flow that the pattern covers is meant.
    pub fn wants(&self, priority: u16, flow: &Flow) -> bool {
        let (cookie, mask) = self.cookie;
        self.strict.is_none_or(|wanted| wanted == priority)
            && flow.cookie & mask == cookie & mask
            && (self.out_port == PortNo::ANY || leads_to_port(&flow.program, self.out_port))
            && (self.out_group == GroupId::ANY
                || groups_of(&flow.program).any(|group| group == self.out_group))
    }

    /// The tables it is about.
    ///
    /// # Errors
    /// `BAD_TABLE_ID` for a table that isn't there.
    pub fn tables(&self, count: usize) -> Option<RangeInclusive<usize>> {
        match self.table {
            TableId::ALL => Some(0..=count.saturating_sub(1)),
            TableId(one) if usize::from(one) < count => Some(one.into()..=one.into()),
            _ => None,
        }
    }
}

impl Datapath {
    pub(super) fn flow_mod(
        &mut self,
        now: Duration,
        change: &FlowMod,
        out: &mut Vec<Output>,
    ) -> Result<(), ErrorCode> {
        let failed = |code| Err(ErrorCode::FlowModFailed(code));
        let pattern = pattern::of_match(&change.match_)?;
        let deletes =
            matches!(change.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        if matches!(change.command, FlowModCommand::Other(_)) {
            return failed(FlowModFailed::BadCommand);
        }
        if change.flags.0 & !KNOWN_FLAGS != 0 {
            return failed(FlowModFailed::BadFlags);
        }
        if usize::from(change.table_id.0) >= self.pipeline.tables.len()
            && !(deletes && change.table_id == TableId::ALL)
        {
            return failed(FlowModFailed::BadTableId);
        }
        if deletes {
            let gone = self.extract(&filter(change, pattern));
            self.tell_gone(now, FlowRemovedReason::Delete, gone, out);
            return Ok(());
        }
        if change.buffer_id.reserved_name().is_none() {
            return Err(ErrorCode::BadRequest(BadRequest::BufferUnknown));
        }
        check::instructions(&self.pipeline, change.table_id.0, &pattern, &change.instructions)?;
        match change.command {
            FlowModCommand::Add => self.add_flow(now, change, &pattern),
            _ => {
                self.modify_flows(change, pattern);
                Ok(())
            }
        }
    }

    fn add_flow(
        &mut self,
        now: Duration,
        change: &FlowMod,
        pattern: &Pattern,
    ) -> Result<(), ErrorCode> {
        let capacity = self.limits.flows;
        let Some(table) = self.pipeline.tables.get_mut(usize::from(change.table_id.0)) else {
            return Err(ErrorCode::FlowModFailed(FlowModFailed::BadTableId));
        };
        if change.flags.contains(FlowModFlags::CHECK_OVERLAP)
            && table.flows.has_overlap(change.priority, pattern)
        {
            return Err(ErrorCode::FlowModFailed(FlowModFailed::Overlap));
        }
        let old = table.flows.get_mut(change.priority, pattern);
        // Counters live on in a flow that replaces an equal one, its age does not (1.3.5, 6.4).
        let counted = match &old {
            Some(old) if !change.flags.contains(FlowModFlags::RESET_COUNTS) => {
                (old.packets, old.bytes)
            }
            _ => (0, 0),
        };
        if old.is_none() && table.flows.len() >= capacity {
            return Err(ErrorCode::FlowModFailed(FlowModFailed::TableFull));
        }
        let nanos = now.as_nanos() as u64;
        let flow = Flow {
            cookie: change.cookie,
            idle_timeout: change.idle_timeout,
            hard_timeout: change.hard_timeout,
            flags: change.flags.0,
            added: nanos,
            used: nanos,
            packets: counted.0,
            bytes: counted.1,
            program: self.pipeline.programs.intern(change.instructions.clone()),
        };
        self.expect_expiry(&flow);
        self.count_groups(&flow, 1);
        let replaced = self
            .pipeline
            .tables
            .get_mut(usize::from(change.table_id.0))
            .and_then(|table| table.flows.insert(change.priority, pattern, flow));
        if let Some(old) = replaced {
            self.count_groups(&old, -1);
        }
        Ok(())
    }

    /// Changes what flows do; without such a flow nothing happens (1.3.5, 6.4).
    fn modify_flows(&mut self, change: &FlowMod, pattern: Pattern) {
        // Out port and group only restrict deletions.
        let any = FlowMod { out_port: PortNo::ANY, out_group: GroupId::ANY, ..change.clone() };
        let filter = filter(&any, pattern);
        let program = self.pipeline.programs.intern(change.instructions.clone());
        let Some(table) = self.pipeline.tables.get_mut(usize::from(change.table_id.0)) else {
            return;
        };
        let mut changed = Vec::new();
        let mut modify = |flow: &mut Flow| {
            if change.flags.contains(FlowModFlags::RESET_COUNTS) {
                (flow.packets, flow.bytes) = (0, 0);
            }
            let new = Flow { program: program.clone(), ..flow.clone() };
            changed.push((std::mem::replace(flow, new.clone()), new));
        };
        match filter.strict {
            Some(priority) => {
                let found = table.flows.get_mut(priority, &filter.pattern);
                found.into_iter().filter(|flow| filter.wants(priority, flow)).for_each(&mut modify);
            }
            None => table.flows.for_each_mut(&filter.pattern, |priority, flow| {
                if filter.wants(priority, flow) {
                    modify(flow);
                }
            }),
        }
        for (old, new) in changed {
            self.count_groups(&new, 1);
            self.count_groups(&old, -1);
        }
    }

    /// Takes out flows, table by table.
    pub(super) fn extract(&mut self, filter: &Filter) -> Vec<(TableId, u16, Pattern, Flow)> {
        let Some(tables) = filter.tables(self.pipeline.tables.len()) else { return Vec::new() };
        let mut gone = Vec::new();
        for number in tables {
            let Some(table) = self.pipeline.tables.get_mut(number) else { continue };
            let taken = match filter.strict {
                Some(priority) => {
                    let there = table.flows.get_mut(priority, &filter.pattern);
                    let wanted = there.is_some_and(|flow| filter.wants(priority, flow));
                    let flow =
                        if wanted { table.flows.remove(priority, &filter.pattern) } else { None };
                    flow.into_iter().map(|flow| (priority, filter.pattern, flow)).collect()
                }
                None => table
                    .flows
                    .extract(&filter.pattern, |priority, flow| filter.wants(priority, flow)),
            };
            gone.extend(
                taken.into_iter().map(|(priority, pattern, flow)| {
                    (TableId(number as u8), priority, pattern, flow)
                }),
            );
        }
        for (_, _, _, flow) in &gone {
            self.count_groups(flow, -1);
        }
        gone
    }

    /// Takes out the flows that lead to a group that goes.
    pub(super) fn extract_group(&mut self, group: GroupId) -> Vec<(TableId, u16, Pattern, Flow)> {
        self.extract(&Filter { out_group: group, ..Filter::everything() })
    }

    /// Takes out the flows that use a meter that goes.
    pub(super) fn extract_meter(&mut self, meter: MeterId) -> Vec<(TableId, u16, Pattern, Flow)> {
        let mut gone = Vec::new();
        for (number, table) in
            self.pipeline.tables.iter_mut().enumerate().filter(|(_, table)| !table.flows.is_empty())
        {
            let uses = |_, flow: &Flow| flow.program.contains(&Instruction::Meter(meter));
            let taken = table.flows.extract(&Pattern::default(), uses);
            gone.extend(
                taken.into_iter().map(|(priority, pattern, flow)| {
                    (TableId(number as u8), priority, pattern, flow)
                }),
            );
        }
        for (_, _, _, flow) in &gone {
            self.count_groups(flow, -1);
        }
        gone
    }

    pub(super) fn tell_gone(
        &self,
        now: Duration,
        reason: FlowRemovedReason,
        gone: Vec<(TableId, u16, Pattern, Flow)>,
        out: &mut Vec<Output>,
    ) {
        for (table_id, priority, pattern, flow) in gone {
            if !FlowModFlags(flow.flags).contains(FlowModFlags::SEND_FLOW_REM) {
                continue;
            }
            let age = now.saturating_sub(Duration::from_nanos(flow.added));
            let removed = FlowRemoved {
                cookie: flow.cookie,
                priority,
                reason,
                table_id,
                duration_sec: age.as_secs() as u32,
                duration_nsec: age.subsec_nanos(),
                idle_timeout: flow.idle_timeout,
                hard_timeout: flow.hard_timeout,
                packet_count: flow.packets,
                byte_count: flow.bytes,
                match_: to_match(&pattern),
            };
            self.tell_removed(removed, out);
        }
    }

    pub(super) fn count_groups(&mut self, flow: &Flow, by: isize) {
        for id in groups_of(&flow.program) {
            if let Some(group) = self.pipeline.groups.get_mut(&id) {
                group.flows = group.flows.saturating_add_signed(by);
            }
        }
    }
}

impl Filter {
    /// Every flow of every table.
    pub fn everything() -> Self {
        Self {
            table: TableId::ALL,
            pattern: Pattern::default(),
            strict: None,
            cookie: (0, 0),
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
        }
    }
}

fn filter(change: &FlowMod, pattern: Pattern) -> Filter {
    let strict =
        matches!(change.command, FlowModCommand::DeleteStrict | FlowModCommand::ModifyStrict);
    Filter {
        table: change.table_id,
        pattern,
        strict: strict.then_some(change.priority),
        cookie: (change.cookie, change.cookie_mask),
        out_port: change.out_port,
        out_group: change.out_group,
    }
}

fn actions_of(program: &[Instruction]) -> impl Iterator<Item = &Action> {
    program.iter().flat_map(|instruction| match instruction {
        Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
            actions.as_slice()
        }
        _ => &[],
    })
}

fn leads_to_port(program: &[Instruction], wanted: PortNo) -> bool {
    actions_of(program)
        .any(|action| matches!(action, Action::Output { port, .. } if *port == wanted))
}

/// The groups that a flow's actions lead to, each once for each action.
fn groups_of(program: &[Instruction]) -> impl Iterator<Item = GroupId> {
    actions_of(program).flat_map(|action| group::groups_in(std::slice::from_ref(action)))
}
