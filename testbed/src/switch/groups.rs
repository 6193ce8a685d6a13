//! Changes to groups (1.3.5, 6.5, 7.3.4.2).

use std::collections::BTreeSet;
use std::time::Duration;

use openflow::{
    BadAction, Bucket, ErrorCode, FlowRemovedReason, GroupId, GroupMod, GroupModCommand,
    GroupModFailed, GroupType, PortNo,
};

use super::{Datapath, Output};
use crate::pipeline::Group;
use crate::pipeline::check::{self, Context};

impl Datapath {
    pub(super) fn group_mod(
        &mut self,
        now: Duration,
        change: &GroupMod,
        out: &mut Vec<Output>,
    ) -> Result<(), ErrorCode> {
        let failed = |code| Err(ErrorCode::GroupModFailed(code));
        let id = change.group_id;
        match change.command {
            GroupModCommand::Add => {
                self.check_group(change)?;
                if self.pipeline.groups.contains_key(&id) {
                    return failed(GroupModFailed::GroupExists);
                }
                if self.pipeline.groups.len() >= self.limits.groups {
                    return failed(GroupModFailed::OutOfGroups);
                }
                self.pipeline.groups.insert(id, made(now, change));
                Ok(())
            }
            GroupModCommand::Modify => {
                self.check_group(change)?;
                match self.pipeline.groups.get_mut(&id) {
                    None => failed(GroupModFailed::UnknownGroup),
                    // Its counters stay, those of buckets begin anew (1.3.5, 6.5).
                    Some(group) => {
                        let new = made(now, change);
                        group.kind = new.kind;
                        group.buckets = new.buckets;
                        group.bucket_counters = new.bucket_counters;
                        Ok(())
                    }
                }
            }
            GroupModCommand::Delete if id == GroupId::ALL => {
                let all: Vec<_> = self.pipeline.groups.keys().copied().collect();
                all.into_iter().for_each(|id| self.delete_group(now, id, out));
                Ok(())
            }
            GroupModCommand::Delete if id > GroupId::MAX => failed(GroupModFailed::InvalidGroup),
            GroupModCommand::Delete => {
                let chained = |group: &Group| Group::leads_to(&group.buckets).contains(&id);
                if self.pipeline.groups.contains_key(&id)
                    && self.pipeline.groups.values().any(chained)
                {
                    return failed(GroupModFailed::ChainedGroup);
                }
                self.delete_group(now, id, out);
                Ok(())
            }
            GroupModCommand::Other(_) => failed(GroupModFailed::BadCommand),
        }
    }

    /// The flows that lead to a group go with it (1.3.5, 6.5).
    fn delete_group(&mut self, now: Duration, id: GroupId, out: &mut Vec<Output>) {
        let Some(group) = self.pipeline.groups.remove(&id) else { return };
        if group.flows > 0 {
            let gone = self.extract_group(id);
            self.tell_gone(now, FlowRemovedReason::GroupDelete, gone, out);
        }
    }

    fn check_group(&self, change: &GroupMod) -> Result<(), ErrorCode> {
        let failed = |code| Err(ErrorCode::GroupModFailed(code));
        if change.group_id > GroupId::MAX {
            return failed(GroupModFailed::InvalidGroup);
        }
        match change.group_type {
            GroupType::Other(_) => return failed(GroupModFailed::BadType),
            GroupType::Indirect if change.buckets.len() != 1 => {
                return failed(GroupModFailed::InvalidGroup);
            }
            _ => {}
        }
        for bucket in &change.buckets {
            check_bucket(change.group_type, bucket)?;
            check::actions(Context::Bucket, None, &bucket.actions)?;
        }
        for next in Group::leads_to(&change.buckets) {
            if next != change.group_id && !self.pipeline.groups.contains_key(&next) {
                return Err(ErrorCode::BadAction(BadAction::BadOutGroup));
            }
        }
        if self.reaches(&change.buckets, change.group_id) {
            return failed(GroupModFailed::Loop);
        }
        Ok(())
    }

    /// Whether frames that enter these buckets could come to a group.
    fn reaches(&self, buckets: &[Bucket], wanted: GroupId) -> bool {
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<_> = Group::leads_to(buckets).into_iter().collect();
        while let Some(id) = ahead.pop() {
            if id == wanted {
                return true;
            }
            if let Some(group) = self.pipeline.groups.get(&id).filter(|_| seen.insert(id)) {
                ahead.extend(Group::leads_to(&group.buckets));
            }
        }
        false
    }
}

fn check_bucket(kind: GroupType, bucket: &Bucket) -> Result<(), ErrorCode> {
    let failed = |code| Err(ErrorCode::GroupModFailed(code));
    let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
    match kind {
        GroupType::FastFailover if !watches => failed(GroupModFailed::InvalidGroup),
        GroupType::All | GroupType::Indirect if watches => failed(GroupModFailed::WatchUnsupported),
        GroupType::All | GroupType::Indirect | GroupType::FastFailover if bucket.weight != 0 => {
            failed(GroupModFailed::InvalidGroup)
        }
        _ => Ok(()),
    }
}

fn made(now: Duration, change: &GroupMod) -> Group {
    Group {
        kind: change.group_type,
        buckets: change.buckets.clone().into(),
        bucket_counters: vec![(0, 0); change.buckets.len()],
        packets: 0,
        bytes: 0,
        added: now.as_nanos() as u64,
        flows: 0,
    }
}
