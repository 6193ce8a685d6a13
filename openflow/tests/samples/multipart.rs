//! One of each multipart request and reply.

use bytes::Bytes;
use openflow::*;

use super::{MAC, match_, port, work};

fn experimenter() -> ExperimenterMultipart {
    ExperimenterMultipart {
        experimenter: 0x0102_0304,
        exp_type: 0x0506_0708,
        data: Bytes::from_static(b"whatever"),
    }
}

fn flows() -> FlowStatsRequest {
    FlowStatsRequest {
        table_id: TableId(0x0b),
        out_port: PortNo(0x0304),
        out_group: GroupId(0x0506_0708),
        cookie: 0x1112_1314_1516_1718,
        cookie_mask: 0x2122_2324_2526_2728,
        match_: match_(),
    }
}

/// One of each request.
pub fn requests() -> Vec<(&'static str, Body)> {
    use MultipartRequestBody as Ask;
    let queue = QueueStatsRequest { port_no: PortNo(0x0304), queue_id: QueueId(0x0506_0708) };
    vec![
        ("multipart_request.desc", Ask::Desc.into()),
        ("multipart_request.flow", Ask::Flow(flows()).into()),
        ("multipart_request.aggregate", Ask::Aggregate(flows()).into()),
        ("multipart_request.table", Ask::Table.into()),
        ("multipart_request.port_stats", Ask::PortStats(PortNo(0x0304)).into()),
        ("multipart_request.queue", Ask::Queue(queue).into()),
        ("multipart_request.group", Ask::Group(GroupId(0x0102_0304)).into()),
        ("multipart_request.group_desc", Ask::GroupDesc.into()),
        ("multipart_request.group_features", Ask::GroupFeatures.into()),
        ("multipart_request.meter", Ask::Meter(MeterId(0x0102_0304)).into()),
        ("multipart_request.meter_config", Ask::MeterConfig(MeterId(0x0102_0304)).into()),
        ("multipart_request.meter_features", Ask::MeterFeatures.into()),
        ("multipart_request.table_features", Ask::TableFeatures(vec![table()]).into()),
        ("multipart_request.port_desc", Ask::PortDesc.into()),
        ("multipart_request.experimenter", Ask::Experimenter(experimenter()).into()),
    ]
}

/// A table with every property.
pub fn table() -> TableFeatures {
    use TableProperty as Property;
    let instructions = |list: &[InstructionType]| list.iter().map(|kind| (*kind).into()).collect();
    let actions = |list: &[ActionType]| list.iter().map(|kind| (*kind).into()).collect();
    let fields = |list: &[(Field, bool)]| {
        list.iter().map(|(field, masked)| OxmId::basic(*field, *masked)).collect()
    };
    TableFeatures {
        table_id: TableId(3),
        name: "classify".into(),
        metadata_match: 0x0102_0304_0506_0708,
        metadata_write: 0x1112_1314_1516_1718,
        config: 3,
        max_entries: 0x2122_2324,
        properties: vec![
            Property::Instructions(instructions(&[
                InstructionType::GotoTable,
                InstructionType::WriteMetadata,
                InstructionType::ApplyActions,
            ])),
            Property::InstructionsMiss(instructions(&[InstructionType::WriteActions])),
            Property::NextTables(vec![TableId(4), TableId(5), TableId(6)]),
            Property::NextTablesMiss(vec![TableId(7)]),
            Property::WriteActions(actions(&[ActionType::Output, ActionType::Group])),
            Property::WriteActionsMiss(actions(&[ActionType::Output])),
            Property::ApplyActions(actions(&[
                ActionType::PushVlan,
                ActionType::PopVlan,
                ActionType::SetField,
            ])),
            Property::ApplyActionsMiss(actions(&[ActionType::DecNwTtl])),
            Property::Match(fields(&[
                (Field::InPort, false),
                (Field::EthDst, true),
                (Field::Metadata, true),
            ])),
            Property::Wildcards(fields(&[(Field::EthSrc, false)])),
            Property::WriteSetField(fields(&[(Field::VlanVid, false)])),
            Property::WriteSetFieldMiss(fields(&[(Field::VlanPcp, false)])),
            Property::ApplySetField(fields(&[(Field::TunnelId, false), (Field::IpDscp, false)])),
            Property::ApplySetFieldMiss(fields(&[(Field::Ipv4Src, false)])),
            Property::Experimenter(Experimenter {
                experimenter: 0x0102_0304,
                exp_type: 0x0506_0708,
                data: Bytes::from_static(b"any"),
            }),
            Property::ExperimenterMiss(Experimenter {
                experimenter: 0x0102_0305,
                exp_type: 0x090a_0b0c,
                data: Bytes::new(),
            }),
        ],
    }
}

/// One of each reply.
pub fn replies() -> Vec<(&'static str, Body)> {
    use MultipartReplyBody as Answer;
    let flow = FlowStats {
        table_id: TableId(0x0b),
        duration_sec: 0x0102_0304,
        duration_nsec: 0x0506_0708,
        priority: 0x090a,
        idle_timeout: 0x0c0d,
        hard_timeout: 0x0e0f,
        flags: FlowModFlags::SEND_FLOW_REM | FlowModFlags::RESET_COUNTS,
        cookie: 0x1112_1314_1516_1718,
        packet_count: 0x2122_2324_2526_2728,
        byte_count: 0x3132_3334_3536_3738,
        match_: match_(),
        instructions: work(),
    };
    let port_stats = PortStats {
        port_no: PortNo(0x0304),
        rx_packets: 0x11,
        tx_packets: 0x12,
        rx_bytes: 0x13,
        tx_bytes: 0x14,
        rx_dropped: 0x15,
        tx_dropped: 0x16,
        rx_errors: 0x17,
        tx_errors: 0x18,
        rx_frame_err: 0x19,
        rx_over_err: 0x1a,
        rx_crc_err: 0x1b,
        collisions: 0x1c,
        duration_sec: 0x1d,
        duration_nsec: 0x1e,
    };
    let queue = QueueStats {
        port_no: PortNo(0x0304),
        queue_id: QueueId(0x0506_0708),
        tx_bytes: 0x11,
        tx_packets: 0x12,
        tx_errors: 0x13,
        duration_sec: 0x14,
        duration_nsec: 0x15,
    };
    let group = GroupStats {
        group_id: GroupId(0x0102_0304),
        ref_count: 0x05,
        packet_count: 0x06,
        byte_count: 0x07,
        duration_sec: 0x08,
        duration_nsec: 0x09,
        bucket_stats: vec![
            BucketCounter { packet_count: 0x0a, byte_count: 0x0b },
            BucketCounter { packet_count: 0x0c, byte_count: 0x0d },
        ],
    };
    let group_desc = GroupDesc {
        group_type: GroupType::FastFailover,
        group_id: GroupId(0x0102_0304),
        buckets: vec![Bucket {
            weight: 0,
            watch_port: PortNo(0x0708),
            watch_group: GroupId(0x0b0c),
            actions: vec![Action::output(0x1112)],
        }],
    };
    let meter = MeterStats {
        meter_id: MeterId(0x0102_0304),
        flow_count: 0x05,
        packet_in_count: 0x06,
        byte_in_count: 0x07,
        duration_sec: 0x08,
        duration_nsec: 0x09,
        band_stats: vec![MeterBandStats { packet_band_count: 0x0a, byte_band_count: 0x0b }],
    };
    let meter_config = MeterConfig {
        flags: MeterFlags::PKTPS | MeterFlags::STATS,
        meter_id: MeterId(0x0102_0304),
        bands: vec![MeterBand::drop(0x0506, 0x0708)],
    };
    vec![
        (
            "multipart_reply.desc",
            Answer::Desc(Box::new(Desc {
                mfr_desc: "Isolane".into(),
                hw_desc: "none".into(),
                sw_desc: "0.1".into(),
                serial_num: "s-1".into(),
                dp_desc: "worker-1".into(),
            }))
            .into(),
        ),
        ("multipart_reply.flow", Answer::Flow(vec![flow]).into()),
        (
            "multipart_reply.aggregate",
            Answer::Aggregate(AggregateStats {
                packet_count: 0x0102_0304_0506_0708,
                byte_count: 0x1112_1314_1516_1718,
                flow_count: 0x2122_2324,
            })
            .into(),
        ),
        (
            "multipart_reply.table",
            Answer::Table(vec![TableStats {
                table_id: TableId(4),
                active_count: 0x0102_0304,
                lookup_count: 0x1112_1314_1516_1718,
                matched_count: 0x2122_2324_2526_2728,
            }])
            .into(),
        ),
        ("multipart_reply.port_stats", Answer::PortStats(vec![port_stats]).into()),
        ("multipart_reply.queue", Answer::Queue(vec![queue]).into()),
        ("multipart_reply.group", Answer::Group(vec![group]).into()),
        ("multipart_reply.group_desc", Answer::GroupDesc(vec![group_desc]).into()),
        (
            "multipart_reply.group_features",
            Answer::GroupFeatures(GroupFeatures {
                types: 0b1011,
                capabilities: GroupCapabilities::SELECT_WEIGHT | GroupCapabilities::CHAINING_CHECKS,
                max_groups: [1, 2, 3, 4],
                actions: [1 << 0, 1 << 22, 1 << 17, 1 << 25],
            })
            .into(),
        ),
        ("multipart_reply.meter", Answer::Meter(vec![meter]).into()),
        ("multipart_reply.meter_config", Answer::MeterConfig(vec![meter_config]).into()),
        (
            "multipart_reply.meter_features",
            Answer::MeterFeatures(MeterFeatures {
                max_meter: 0x0102_0304,
                band_types: 1 << 1 | 1 << 2,
                capabilities: 0b1011,
                max_bands: 5,
                max_color: 6,
            })
            .into(),
        ),
        ("multipart_reply.table_features", Answer::TableFeatures(vec![table()]).into()),
        (
            "multipart_reply.port_desc",
            Answer::PortDesc(vec![
                port(),
                Port {
                    port_no: PortNo::LOCAL,
                    hw_addr: MAC,
                    name: "br0".into(),
                    ..Port::default()
                },
            ])
            .into(),
        ),
        ("multipart_reply.experimenter", Answer::Experimenter(experimenter()).into()),
    ]
}
