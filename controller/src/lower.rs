//! Changes of a slice as OpenFlow messages, in the order that a switch must
//! keep (design §5, *Order*).
//!
//! Each step is a list of messages with a barrier behind it: within a step a
//! switch may reorder as it likes.

use openflow::{
    Body, BufferId, FlowMod, FlowModCommand, FlowModFlags, GroupId, GroupMod, GroupModCommand,
    GroupType, PortNo, TableId,
};

use crate::diff::{Changes, GroupChange, Rule, rules};
use crate::flow::{self, Flow};
use crate::lift::Stray;
use crate::model::NetworkId;
use crate::slice::Slice;

/// Messages between two barriers.
pub type Steps = Vec<Vec<Body>>;

/// What carries changes out: groups; flows of tables 2, 1, 0; removals from
/// tables 0, 1, 2; groups that go.
pub fn lower(network: NetworkId, changes: &Changes) -> Steps {
    let group = match &changes.group {
        GroupChange::Add(outs) => vec![group_mod(network, GroupModCommand::Add, outs.iter())],
        GroupChange::Extend(outs) | GroupChange::Replace(outs) => {
            vec![group_mod(network, GroupModCommand::Modify, outs.iter())]
        }
        GroupChange::Keep | GroupChange::Delete => Vec::new(),
    };
    let late = match changes.group {
        GroupChange::Delete => delete_group(network),
        _ => Vec::new(),
    };
    let set = flows_of(network, changes.set.iter().copied());
    let set = set.iter().rev().map(add).collect();
    let remove = flows_of(network, changes.remove.iter().copied());
    let remove = remove.iter().map(delete).collect();
    let steps = [group, set, remove, late];
    steps.into_iter().filter(|step: &Vec<Body>| !step.is_empty()).collect()
}

/// What writes a slice anew on a switch where something is not as it should
/// be, and removes what doesn't belong.
pub fn rewrite(network: NetworkId, held: &Slice, target: &Slice, strays: &[Stray]) -> Steps {
    let wanted = flows_of(network, rules(target).into_iter());
    let ours = flows_of(network, rules(held).into_iter());
    let kept = |flow: &Flow| wanted.iter().any(|other| other.overwrites(flow));
    let there = ours.iter().chain(strays.iter().map(|stray| &stray.flow));
    let remove = there.filter(|flow| !kept(flow)).map(delete).collect();
    // A group that was read stays while its buckets change, and so floods go on. Of any other it isn't known what it
    // is: deleting it takes the flow to it along; deleting none is no error.
    let read = !held.flood_out.is_empty();
    let group = |command| vec![group_mod(network, command, target.flood_out.iter())];
    let (gone, group) = match (read, target.floods()) {
        (true, true) => (Vec::new(), group(GroupModCommand::Modify)),
        (false, true) => (delete_group(network), group(GroupModCommand::Add)),
        (_, false) => (delete_group(network), Vec::new()),
    };
    let set = wanted.iter().rev().map(add).collect();
    let steps = [gone, group, set, remove];
    steps.into_iter().filter(|step: &Vec<Body>| !step.is_empty()).collect()
}

/// Flows sorted by table: 0, 1, 2.
fn flows_of(network: NetworkId, rules: impl Iterator<Item = Rule>) -> Vec<Flow> {
    let mut flows: Vec<_> = rules.flat_map(|rule| flow::flows(network, rule)).collect();
    flows.sort_by_key(|flow| flow.table);
    flows
}

/// Writes a flow, in place of one with the same match.
pub fn add(flow: &Flow) -> Body {
    Body::FlowMod(FlowMod {
        instructions: flow.instructions.clone(),
        // So that a removal behind our back is noticed at once.
        flags: FlowModFlags::SEND_FLOW_REM,
        ..strict(flow, FlowModCommand::Add)
    })
}

/// Removes a flow, if it is still ours.
pub fn delete(flow: &Flow) -> Body {
    Body::FlowMod(FlowMod { cookie_mask: u64::MAX, ..strict(flow, FlowModCommand::DeleteStrict) })
}

fn strict(flow: &Flow, command: FlowModCommand) -> FlowMod {
    FlowMod {
        cookie: flow.cookie,
        cookie_mask: 0,
        table_id: TableId(flow.table),
        command,
        idle_timeout: flow.idle_timeout,
        hard_timeout: 0,
        priority: flow.priority,
        buffer_id: BufferId::NONE,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        flags: FlowModFlags::default(),
        match_: flow.match_.clone(),
        instructions: Vec::new(),
    }
}

fn delete_group(network: NetworkId) -> Vec<Body> {
    vec![group_mod(network, GroupModCommand::Delete, std::iter::empty())]
}

fn group_mod<'a>(
    network: NetworkId,
    command: GroupModCommand,
    outs: impl Iterator<Item = &'a crate::slice::Out>,
) -> Body {
    Body::GroupMod(GroupMod {
        command,
        group_type: GroupType::All,
        group_id: network.group(),
        buckets: flow::buckets(network, outs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::flows;

    /// A switch that was away while a port was detached, and on which somebody
    /// altered a flow: the port's own flow goes as well.
    #[test]
    fn writing_anew_removes_what_is_not_wanted_any_more() {
        let id = NetworkId::new(7).unwrap();
        let held = Slice { edges: [PortNo(3)].into(), ..Slice::default() };
        let altered = Flow { priority: 7, ..flows(id, Rule::Edge(PortNo(4))).remove(0) };
        let steps = rewrite(id, &held, &Slice::default(), &[Stray { flow: altered.clone() }]);
        let removed: Vec<_> = steps.into_iter().flatten().collect();
        for flow in flows(id, Rule::Edge(PortNo(3))).iter().chain([&altered]) {
            assert!(removed.contains(&delete(flow)), "{flow:?} stays");
        }
    }

    /// Floods go on while a flow beside the group is put right; a group of which nothing is known is made anew.
    #[test]
    fn a_group_that_was_read_is_never_deleted_while_it_is_needed() {
        let id = NetworkId::new(7).unwrap();
        let floods = |ports: &[u32]| Slice {
            edges: ports.iter().copied().map(PortNo).collect(),
            flood_out: ports.iter().map(|port| crate::slice::Out::Edge(PortNo(*port))).collect(),
            ..Slice::default()
        };
        let commands = |held: &Slice, target: &Slice| -> Vec<GroupModCommand> {
            let sent = rewrite(id, held, target, &[]).into_iter().flatten();
            let command = |body| match body {
                Body::GroupMod(group) => Some(group.command),
                _ => None,
            };
            sent.filter_map(command).collect()
        };
        use GroupModCommand::{Add, Delete, Modify};
        assert_eq!(commands(&floods(&[3]), &floods(&[3, 4])), [Modify]);
        assert_eq!(commands(&Slice::default(), &floods(&[3])), [Delete, Add]);
        assert_eq!(commands(&floods(&[3]), &Slice::default()), [Delete]);
    }
}
