//! Changes to groups (1.3.5, 7.3.4.2).

use crate::action::Action;
use crate::id::{GroupId, PortNo};
use crate::wire::{Failure, Reader, Scope, Writer};

/// Adds, changes or deletes groups (`ofp_group_mod`).
///
/// command u16 | type u8 | pad 1 | group_id u32 | buckets …
///
/// ```
/// use openflow::{Action, Bucket, GroupId, GroupMod, GroupType};
/// let flood = GroupMod::add(GroupType::All, 7)
///     .bucket(Bucket::new([Action::output(1)]))
///     .bucket(Bucket::new([Action::output(2)]));
/// let gone = GroupMod::delete(GroupId::ALL);
/// # let _ = (flood, gone);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GroupMod {
    /// What to do.
    pub command: GroupModCommand,
    /// How the group chooses among its buckets.
    pub group_type: GroupType,
    /// The group; `ALL` in deletions for every one.
    pub group_id: GroupId,
    /// Where frames may go.
    pub buckets: Vec<Bucket>,
}

wire_enum! {
    /// What to do with a group (`ofp_group_mod_command`).
    pub enum GroupModCommand: u16 {
        /// Adds a group that is not there.
        Add = 0 => "add",
        /// Changes a group that is there.
        Modify = 1 => "modify",
        /// Deletes a group, if it is there, and the flows that go to it.
        Delete = 2 => "delete",
    }
}

wire_enum! {
    /// How a group chooses among its buckets (`ofp_group_type`).
    pub enum GroupType: u8 {
        /// Every bucket gets a copy.
        All = 0 => "all",
        /// One bucket, by weight.
        Select = 1 => "select",
        /// The only bucket.
        Indirect = 2 => "indirect",
        /// The first bucket that is alive.
        FastFailover = 3 => "fast_failover",
    }
}

impl GroupMod {
    /// Adds a group without buckets.
    #[must_use]
    pub fn add(group_type: GroupType, group_id: impl Into<GroupId>) -> Self {
        Self {
            command: GroupModCommand::Add,
            group_type,
            group_id: group_id.into(),
            buckets: Vec::new(),
        }
    }

    /// Replaces a group's type and buckets, by none so far.
    #[must_use]
    pub fn modify(group_type: GroupType, group_id: impl Into<GroupId>) -> Self {
        Self { command: GroupModCommand::Modify, ..Self::add(group_type, group_id) }
    }

    /// Deletes a group, or with `GroupId::ALL` every one.
    #[must_use]
    pub fn delete(group_id: impl Into<GroupId>) -> Self {
        Self { command: GroupModCommand::Delete, ..Self::add(GroupType::All, group_id) }
    }

    /// Adds a bucket.
    #[must_use]
    pub fn bucket(mut self, bucket: Bucket) -> Self {
        self.buckets.push(bucket);
        self
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.command.into());
        out.u8(self.group_type.into());
        out.pad(1);
        out.u32(self.group_id.0);
        Bucket::encode_list(&self.buckets, out);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let command = body.u16("command")?.into();
        let group_type = body.u8("group type")?.into();
        body.skip(1, "group_mod pad")?;
        let group_id = GroupId(body.u32("group_id")?);
        let buckets = body.many(Bucket::decode)?;
        Ok(Self { command, group_type, group_id, buckets })
    }
}

/// One way a frame may go in a group (`ofp_bucket`).
///
/// length u16 | weight u16 | watch_port u32 | watch_group u32 | pad 4 | actions …
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Bucket {
    /// Share of the frames, in select groups; else 0.
    pub weight: u16,
    /// In fast-failover groups, the port that must be alive; else `ANY`.
    pub watch_port: PortNo,
    /// In fast-failover groups, the group that must be alive; else `ANY`.
    pub watch_group: GroupId,
    /// What happens to the frame, as an action set.
    pub actions: Vec<Action>,
}

impl Bucket {
    /// A bucket that watches nothing and has no weight.
    #[must_use]
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            weight: 0,
            watch_port: PortNo::ANY,
            watch_group: GroupId::ANY,
            actions: actions.into_iter().collect(),
        }
    }

    /// Sets the share of frames.
    #[must_use]
    pub fn weight(mut self, weight: u16) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the port that must be alive.
    #[must_use]
    pub fn watch_port(mut self, port: impl Into<PortNo>) -> Self {
        self.watch_port = port.into();
        self
    }

    /// Sets the group that must be alive.
    #[must_use]
    pub fn watch_group(mut self, group: impl Into<GroupId>) -> Self {
        self.watch_group = group.into();
        self
    }

    pub(crate) fn encode_list(list: &[Self], out: &mut Writer<'_>) {
        for bucket in list {
            let start = out.len();
            out.u16(0);
            out.u16(bucket.weight);
            out.u32(bucket.watch_port.0);
            out.u32(bucket.watch_group.0);
            out.pad(4);
            Action::encode_list(&bucket.actions, out);
            out.patch_len(start, start);
        }
    }

    pub(crate) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let outer = list.scope();
        list.set_scope(Scope::Bucket);
        let mut body = list.sized(0, 16, "bucket length")?;
        list.set_scope(outer);
        body.skip(2, "bucket length")?;
        let weight = body.u16("weight")?;
        let watch_port = PortNo(body.u32("watch_port")?);
        let watch_group = GroupId(body.u32("watch_group")?);
        body.skip(4, "bucket pad")?;
        let actions = Action::decode_list(body)?;
        Ok(Self { weight, watch_port, watch_group, actions })
    }
}
