//! Answers to multipart requests (1.3.5, 7.3.5).

use std::time::Duration;

use openflow::{
    AggregateStats, BadRequest, Body, BucketCounter, Desc, ErrorCode, FlowModFlags, FlowStats,
    FlowStatsRequest, GroupCapabilities, GroupDesc, GroupFeatures, GroupId, GroupModFailed,
    GroupStats, Instruction, Message, MeterBandStats, MeterConfig, MeterFeatures, MeterId,
    MeterModFailed, MeterStats, MultipartFlags, MultipartReply, MultipartReplyBody as Answer,
    MultipartRequest, MultipartRequestBody as Ask, PortNo, PortStats, TableFeaturesFailed, TableId,
    TableStats, Text,
};

use super::Datapath;
use super::flows::Filter;
use super::meters::MAX_BANDS;
use crate::pipeline::pattern::{self, to_match};
use crate::pipeline::tuples::Pattern;
use crate::pipeline::{Flow, Group};

/// Entries of one reply at most, so that making it is bounded; replies that are still too long are halved.
const AT_ONCE: usize = 256;
/// All four kinds of group.
const GROUP_KINDS: u32 = 0b1111;
/// The only kind of meter band, `OFPMBT_DROP`.
const DROP_BANDS: u32 = 1 << 1;
/// Rates in kbit/s or frames/s, bursts and counters.
const METER_CAPABILITIES: u32 = 0b1111;

impl Datapath {
    /// The replies to a request. Where there are several, all but the last say that more follow.
    pub(super) fn multipart(
        &self,
        now: Duration,
        request: &MultipartRequest,
    ) -> Result<Vec<Body>, ErrorCode> {
        let bad = |code| Err(ErrorCode::BadRequest(code));
        match &request.body {
            Ask::Desc => Ok(one(Answer::Desc(Box::new(self.desc())))),
            Ask::Flow(wanted) => Ok(many(Answer::Flow, self.flow_stats(now, wanted)?)),
            Ask::Aggregate(wanted) => Ok(one(Answer::Aggregate(self.aggregate(wanted)?))),
            Ask::Table => Ok(many(Answer::Table, self.table_stats())),
            Ask::PortStats(port) => Ok(many(Answer::PortStats, self.port_stats(now, *port)?)),
            Ask::Group(group) => Ok(many(Answer::Group, self.group_stats(now, *group)?)),
            Ask::GroupDesc => Ok(many(Answer::GroupDesc, self.group_desc())),
            Ask::GroupFeatures => Ok(one(Answer::GroupFeatures(self.group_features()))),
            Ask::Meter(meter) => Ok(many(Answer::Meter, self.meter_stats(now, *meter)?)),
            Ask::MeterConfig(meter) => Ok(many(Answer::MeterConfig, self.meter_config(*meter)?)),
            Ask::MeterFeatures => Ok(one(Answer::MeterFeatures(self.meter_features()))),
            Ask::TableFeatures(wanted) if !wanted.is_empty() => {
                Err(ErrorCode::TableFeaturesFailed(TableFeaturesFailed::Eperm))
            }
            Ask::TableFeatures(_) => Ok(many(Answer::TableFeatures, self.table_features())),
            Ask::PortDesc => Ok(many(
                Answer::PortDesc,
                self.pipeline.ports.iter().map(|entry| entry.desc.clone()).collect(),
            )),
            // There are no queues.
            Ask::Queue(_) => Ok(one(Answer::Queue(Vec::new()))),
            Ask::Experimenter(_) => bad(BadRequest::BadExperimenter),
            Ask::Other { .. } => bad(BadRequest::BadMultipart),
        }
    }

    fn desc(&self) -> Desc {
        Desc {
            mfr_desc: Text::truncated("Isolane"),
            hw_desc: Text::truncated("Embedded switch"),
            sw_desc: Text::truncated(env!("CARGO_PKG_VERSION")),
            serial_num: Text::truncated(format!("{:016x}", self.dpid.0)),
            dp_desc: Text::truncated(&self.name),
        }
    }

    /// Flows of a request, sorted by table, falling priority, and match.
    pub(super) fn select(&self, filter: &Filter) -> Vec<(TableId, u16, Pattern, &Flow)> {
        let mut found = Vec::new();
        for number in filter.tables(self.pipeline.tables.len()).into_iter().flatten() {
            let Some(table) = self.pipeline.tables.get(number) else { continue };
            table.flows.for_each(&filter.pattern, |priority, pattern, flow| {
                if filter.wants(priority, flow) {
                    found.push((TableId(number as u8), priority, pattern(), flow));
                }
            });
        }
        found.sort_by(|(t, p, a, _), (u, q, b, _)| {
            (t, q).cmp(&(u, p)).then_with(|| (a.mask.0, a.value.0).cmp(&(b.mask.0, b.value.0)))
        });
        found
    }

    fn flow_stats(
        &self,
        now: Duration,
        wanted: &FlowStatsRequest,
    ) -> Result<Vec<FlowStats>, ErrorCode> {
        let stats = |(table_id, priority, pattern, flow): (TableId, u16, Pattern, &Flow)| {
            let (duration_sec, duration_nsec) = age(now, flow.added);
            FlowStats {
                table_id,
                duration_sec,
                duration_nsec,
                priority,
                idle_timeout: flow.idle_timeout,
                hard_timeout: flow.hard_timeout,
                flags: FlowModFlags(flow.flags),
                cookie: flow.cookie,
                packet_count: flow.packets,
                byte_count: flow.bytes,
                match_: to_match(&pattern),
                instructions: flow.program.to_vec(),
            }
        };
        Ok(self.select(&self.filter(wanted)?).into_iter().map(stats).collect())
    }

    fn aggregate(&self, wanted: &FlowStatsRequest) -> Result<AggregateStats, ErrorCode> {
        let mut sum = AggregateStats::default();
        let filter = self.filter(wanted)?;
        for number in filter.tables(self.pipeline.tables.len()).into_iter().flatten() {
            let Some(table) = self.pipeline.tables.get(number) else { continue };
            table.flows.for_each(&filter.pattern, |priority, _, flow| {
                if filter.wants(priority, flow) {
                    sum.flow_count += 1;
                    sum.packet_count += flow.packets;
                    sum.byte_count += flow.bytes;
                }
            });
        }
        Ok(sum)
    }

    fn filter(&self, wanted: &FlowStatsRequest) -> Result<Filter, ErrorCode> {
        let filter = Filter {
            table: wanted.table_id,
            pattern: pattern::of_match(&wanted.match_)?,
            strict: None,
            cookie: (wanted.cookie, wanted.cookie_mask),
            out_port: wanted.out_port,
            out_group: wanted.out_group,
        };
        match filter.tables(self.pipeline.tables.len()) {
            Some(_) => Ok(filter),
            None => Err(ErrorCode::BadRequest(BadRequest::BadTableId)),
        }
    }

    fn table_stats(&self) -> Vec<TableStats> {
        let stats = |(number, table): (usize, &crate::pipeline::Table)| TableStats {
            table_id: TableId(number as u8),
            active_count: table.flows.len() as u32,
            lookup_count: table.lookups,
            matched_count: table.matched,
        };
        self.pipeline.tables.iter().enumerate().map(stats).collect()
    }

    fn port_stats(&self, now: Duration, wanted: PortNo) -> Result<Vec<PortStats>, ErrorCode> {
        if wanted != PortNo::ANY && self.pipeline.ports.get(wanted).is_none() {
            return Err(ErrorCode::BadRequest(BadRequest::BadPort));
        }
        let entries = self
            .pipeline
            .ports
            .iter()
            .filter(|entry| wanted == PortNo::ANY || entry.desc.port_no == wanted);
        let stats = entries.map(|entry| {
            let (duration_sec, duration_nsec) = age(now, entry.added);
            PortStats {
                port_no: entry.desc.port_no,
                rx_packets: entry.received.0,
                rx_bytes: entry.received.1,
                tx_packets: entry.sent.0,
                tx_bytes: entry.sent.1,
                rx_dropped: entry.rx_dropped,
                duration_sec,
                duration_nsec,
                ..PortStats::default()
            }
        });
        Ok(stats.collect())
    }

    fn group_stats(&self, now: Duration, wanted: GroupId) -> Result<Vec<GroupStats>, ErrorCode> {
        // An unknown group isn't an error: Open vSwitch answers with nothing, and so does this.
        if wanted > GroupId::MAX && wanted != GroupId::ALL {
            return Err(ErrorCode::GroupModFailed(GroupModFailed::UnknownGroup));
        }
        let groups =
            self.pipeline.groups.iter().filter(|(id, _)| wanted == GroupId::ALL || **id == wanted);
        let stats = groups.map(|(id, group)| {
            let (duration_sec, duration_nsec) = age(now, group.added);
            let counter = |(packet_count, byte_count): &(u64, u64)| BucketCounter {
                packet_count: *packet_count,
                byte_count: *byte_count,
            };
            GroupStats {
                group_id: *id,
                ref_count: (group.flows + self.groups_leading_to(*id)) as u32,
                packet_count: group.packets,
                byte_count: group.bytes,
                duration_sec,
                duration_nsec,
                bucket_stats: group.bucket_counters.iter().map(counter).collect(),
            }
        });
        Ok(stats.collect())
    }

    fn groups_leading_to(&self, id: GroupId) -> usize {
        self.pipeline
            .groups
            .values()
            .filter(|group| Group::leads_to(&group.buckets).contains(&id))
            .count()
    }

    pub(super) fn group_desc(&self) -> Vec<GroupDesc> {
        let desc = |(id, group): (&GroupId, &Group)| GroupDesc {
            group_type: group.kind,
            group_id: *id,
            buckets: group.buckets.to_vec(),
        };
        self.pipeline.groups.iter().map(desc).collect()
    }

    fn group_features(&self) -> GroupFeatures {
        let most = u32::try_from(self.limits.groups).unwrap_or(GroupId::MAX.0).min(GroupId::MAX.0);
        let actions = super::features::actions().fold(0, |bits, kind| bits | 1 << u16::from(kind));
        GroupFeatures {
            types: GROUP_KINDS,
            capabilities: GroupCapabilities::SELECT_WEIGHT
                | GroupCapabilities::CHAINING
                | GroupCapabilities::CHAINING_CHECKS,
            max_groups: [most; 4],
            actions: [actions; 4],
        }
    }

    fn meters(
        &self,
        wanted: MeterId,
    ) -> Result<impl Iterator<Item = (&MeterId, &crate::pipeline::meter::Meter)>, ErrorCode> {
        if wanted != MeterId::ALL && !self.pipeline.meters.by_id.contains_key(&wanted) {
            return Err(ErrorCode::MeterModFailed(MeterModFailed::UnknownMeter));
        }
        Ok(self
            .pipeline
            .meters
            .by_id
            .iter()
            .filter(move |(id, _)| wanted == MeterId::ALL || **id == wanted))
    }

    fn meter_stats(&self, now: Duration, wanted: MeterId) -> Result<Vec<MeterStats>, ErrorCode> {
        let stats = |(id, meter): (&MeterId, &crate::pipeline::meter::Meter)| {
            let (duration_sec, duration_nsec) = age(now, meter.added);
            let band = |(packet_band_count, byte_band_count)| MeterBandStats {
                packet_band_count,
                byte_band_count,
            };
            MeterStats {
                meter_id: *id,
                flow_count: self.flows_through(*id),
                packet_in_count: meter.packets,
                byte_in_count: meter.bytes,
                duration_sec,
                duration_nsec,
                band_stats: meter.dropped().map(band).collect(),
            }
        };
        Ok(self.meters(wanted)?.map(stats).collect())
    }

    fn flows_through(&self, meter: MeterId) -> u32 {
        let mut count = 0;
        for table in &self.pipeline.tables {
            table.flows.for_each(&Pattern::default(), |_, _, flow| {
                count += u32::from(flow.program.contains(&Instruction::Meter(meter)));
            });
        }
        count
    }

    fn meter_config(&self, wanted: MeterId) -> Result<Vec<MeterConfig>, ErrorCode> {
        let config = |(id, meter): (&MeterId, &crate::pipeline::meter::Meter)| MeterConfig {
            flags: meter.flags,
            meter_id: *id,
            bands: meter.bands.clone(),
        };
        Ok(self.meters(wanted)?.map(config).collect())
    }

    fn meter_features(&self) -> MeterFeatures {
        MeterFeatures {
            max_meter: self.limits.meters,
            band_types: DROP_BANDS,
            capabilities: METER_CAPABILITIES,
            max_bands: MAX_BANDS,
            max_color: 0,
        }
    }
}

fn age(now: Duration, since: u64) -> (u32, u32) {
    let age = now.saturating_sub(Duration::from_nanos(since));
    (age.as_secs() as u32, age.subsec_nanos())
}

fn one(answer: Answer) -> Vec<Body> {
    vec![Body::MultipartReply(answer.into())]
}

/// A list as one or more replies, at least one.
fn many<T: Clone>(answer: impl Fn(Vec<T>) -> Answer, list: Vec<T>) -> Vec<Body> {
    let mut replies: Vec<MultipartReply> = Vec::new();
    if list.is_empty() {
        return one(answer(list));
    }
    for chunk in list.chunks(AT_ONCE) {
        let mut waiting = vec![chunk];
        while let Some(part) = waiting.pop() {
            let reply = MultipartReply::from(answer(part.to_vec()));
            let fits = part.len() == 1 || Message::new(0, reply.clone()).encode().is_ok();
            if fits {
                replies.push(reply);
            } else {
                let (left, right) = part.split_at(part.len() / 2);
                waiting.extend([right, left]);
            }
        }
    }
    if let Some((_, all_but_last)) = replies.split_last_mut() {
        all_but_last.iter_mut().for_each(|reply| reply.flags |= MultipartFlags::MORE);
    }
    replies.into_iter().map(Body::MultipartReply).collect()
}
