//! Groups (1.3.5, 5.6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openflow::{Action, Bucket, GroupId, GroupType, PortNo};

use super::key::Key;
use super::layout as f;
use super::port::Ports;

/// One group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Which of its buckets are carried out.
    pub kind: GroupType,
    /// Its buckets.
    pub buckets: Arc<[Bucket]>,
    /// Frames and bytes of each bucket.
    pub bucket_counters: Vec<(u64, u64)>,
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was added, in nanoseconds since the switch started.
    pub added: u64,
    /// How many flows have an action that leads here.
    pub flows: usize,
}

impl Group {
    /// The groups that its buckets lead to.
    pub fn leads_to(buckets: &[Bucket]) -> BTreeSet<GroupId> {
        buckets.iter().flat_map(|bucket| groups_in(&bucket.actions)).collect()
    }

    /// Places of the buckets that a frame goes through.
    pub fn choose(
        &self,
        key: &Key,
        groups: &BTreeMap<GroupId, Group>,
        ports: &Ports,
    ) -> Vec<usize> {
        match self.kind {
            GroupType::All => (0..self.buckets.len()).collect(),
            GroupType::Indirect => (0..self.buckets.len().min(1)).collect(),
            GroupType::FastFailover => {
                let live = |bucket: &Bucket| is_live(bucket, groups, ports, groups.len());
                self.buckets.iter().position(live).into_iter().collect()
            }
            GroupType::Select | GroupType::Other(_) => self.select(key).into_iter().collect(),
        }
    }

    /// One bucket by weight, always the same for frames between the same two stations.
    fn select(&self, key: &Key) -> Option<usize> {
        let total: u64 = self.buckets.iter().map(|bucket| u64::from(bucket.weight)).sum();
        let stations = key.u64(f::ETH_SRC) ^ key.u64(f::ETH_DST).rotate_left(24);
        // Fibonacci hashing: neighbouring addresses end far apart.
        let hash = stations.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut left = hash.checked_rem(total)?;
        self.buckets.iter().position(|bucket| {
            let weight = u64::from(bucket.weight);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        })
    }
}

/// The groups that actions lead to.
pub fn groups_in(actions: &[Action]) -> impl Iterator<Item = GroupId> {
    actions.iter().filter_map(|action| match action {
        Action::Group(group) => Some(*group),
        _ => None,
    })
}

/// A bucket is live if what it watches is: a port that carries frames, a group with a live bucket (1.3.5, 6.5).
/// `depth` bounds chains.
fn is_live(
    bucket: &Bucket,
    groups: &BTreeMap<GroupId, Group>,
    ports: &Ports,
    depth: usize,
) -> bool {
    let port_live = bucket.watch_port != PortNo::ANY && ports.is_up(bucket.watch_port);
    let group_live = || {
        bucket.watch_group != GroupId::ANY
            && depth > 0
            && groups.get(&bucket.watch_group).is_some_and(|group| {
                group.buckets.iter().any(|b| is_live(b, groups, ports, depth - 1))
            })
    };
    port_live || group_live()
}
