//! Groups, what they counted, what a switch can do with them (1.3.5, 7.3.5.9 to 7.3.5.11).

use crate::id::GroupId;
use crate::message::{Bucket, GroupType};
use crate::wire::{Failure, Reader, Writer};

/// What one group counted (`ofp_group_stats`).
///
/// length u16 | pad 2 | group_id u32 | ref_count u32 | pad 4 | packet_count u64 | byte_count u64 |
/// duration_sec u32 | duration_nsec u32 | buckets: packet_count u64 | byte_count u64 …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GroupStats {
    /// The group.
    pub group_id: GroupId,
    /// Flows and groups that go to it.
    pub ref_count: u32,
    /// Frames that it treated.
    pub packet_count: u64,
    /// Bytes of those frames.
    pub byte_count: u64,
    /// Whole seconds that it has lived.
    pub duration_sec: u32,
    /// Nanoseconds beyond those.
    pub duration_nsec: u32,
    /// What each bucket counted.
    pub bucket_stats: Vec<BucketCounter>,
}

/// What one bucket counted (`ofp_bucket_counter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BucketCounter {
    /// Frames that it treated.
    pub packet_count: u64,
    /// Bytes of those frames.
    pub byte_count: u64,
}

impl GroupStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u16(0);
        out.pad(2);
        out.u32(self.group_id.0);
        out.u32(self.ref_count);
        out.pad(4);
        out.u64(self.packet_count);
        out.u64(self.byte_count);
        out.u32(self.duration_sec);
        out.u32(self.duration_nsec);
        for bucket in &self.bucket_stats {
            out.u64(bucket.packet_count);
            out.u64(bucket.byte_count);
        }
        out.patch_len(start, start);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(0, 40, "group stats length")?;
        body.skip(4, "group stats length")?;
        let group_id = GroupId(body.u32("group_id")?);
        let ref_count = body.u32("ref_count")?;
        body.skip(4, "group stats pad")?;
        Ok(Self {
            group_id,
            ref_count,
            packet_count: body.u64("packet_count")?,
            byte_count: body.u64("byte_count")?,
            duration_sec: body.u32("duration_sec")?,
            duration_nsec: body.u32("duration_nsec")?,
            bucket_stats: body.many(|bucket| {
                Ok(BucketCounter {
                    packet_count: bucket.u64("bucket packet_count")?,
                    byte_count: bucket.u64("bucket byte_count")?,
                })
            })?,
        })
    }
}

/// One group (`ofp_group_desc`).
///
/// length u16 | type u8 | pad 1 | group_id u32 | buckets …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GroupDesc {
    /// How it chooses among its buckets.
    pub group_type: GroupType,
    /// The group.
    pub group_id: GroupId,
    /// Where frames may go.
    pub buckets: Vec<Bucket>,
}

impl GroupDesc {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u16(0);
        out.u8(self.group_type.into());
        out.pad(1);
        out.u32(self.group_id.0);
        Bucket::encode_list(&self.buckets, out);
        out.patch_len(start, start);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(0, 8, "group desc length")?;
        body.skip(2, "group desc length")?;
        let group_type = body.u8("group type")?.into();
        body.skip(1, "group desc pad")?;
        let group_id = GroupId(body.u32("group_id")?);
        Ok(Self { group_type, group_id, buckets: body.many(Bucket::decode)? })
    }
}

/// What groups a switch can do (`ofp_group_features`).
///
/// types u32 | capabilities u32 | max_groups u32 × 4 | actions u32 × 4
///
/// The arrays go by group type: all, select, indirect, fast failover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GroupFeatures {
    /// Bit `t` for group type `t`.
    pub types: u32,
    /// What groups can do.
    pub capabilities: GroupCapabilities,
    /// How many groups of each type there can be.
    pub max_groups: [u32; 4],
    /// Bit `a` for action type `a`, for each group type.
    pub actions: [u32; 4],
}

wire_flags! {
    /// What groups can do (`ofp_group_capabilities`).
    pub struct GroupCapabilities(u32) {
        /// Weights of select groups.
        SELECT_WEIGHT = 1 << 0 => "select_weight",
        /// Liveness of select groups.
        SELECT_LIVENESS = 1 << 1 => "select_liveness",
        /// Groups that go to groups.
        CHAINING = 1 << 2 => "chaining",
        /// Chains are checked for loops.
        CHAINING_CHECKS = 1 << 3 => "chaining_checks",
    }
}

impl GroupFeatures {
    /// Whether the switch has groups of this type.
    #[must_use]
    pub fn supports(&self, group_type: GroupType) -> bool {
        self.types.checked_shr(u8::from(group_type).into()).is_some_and(|bits| bits & 1 == 1)
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.types);
        out.u32(self.capabilities.0);
        for word in [self.max_groups, self.actions].as_flattened() {
            out.u32(*word);
        }
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let types = body.u32("types")?;
        let capabilities = GroupCapabilities(body.u32("capabilities")?);
        let mut four = |field| -> Result<_, Failure> {
            Ok([body.u32(field)?, body.u32(field)?, body.u32(field)?, body.u32(field)?])
        };
        Ok(Self { types, capabilities, max_groups: four("max_groups")?, actions: four("actions")? })
    }
}
