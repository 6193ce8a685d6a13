//! One message of each kind, in which every field has another value, so that a field in the
//! wrong place shows; and one for each match field, action, instruction, band and property.
//!
//! Their bytes, made elsewhere, are in `vectors/golden.hex` and `vectors/os_ken.hex`.
#![allow(dead_code)] // each test uses its part

mod multipart;

use bytes::Bytes;
use openflow::*;

pub use multipart::{replies, requests};

pub const MAC: MacAddr = MacAddr([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
pub const ETHERTYPE_IP: u16 = 0x0800;

/// What Open vSwitch 3.1 doesn't read, and why.
pub const UNKNOWN_TO_OVS: [(&str, &str); 16] = [
    ("error.experimenter", "***decode error"),
    ("experimenter", "OFPBRC_BAD_VENDOR"),
    ("multipart_request.experimenter", "OFPBRC_BAD_VENDOR"),
    ("multipart_reply.experimenter", "OFPBRC_BAD_VENDOR"),
    ("field.in_phy_port", "OFPBMC_BAD_FIELD"),
    ("field.pbb_isid", "OFPBMC_BAD_FIELD"),
    ("field.pbb_isid.masked", "OFPBMC_BAD_FIELD"),
    ("field.ipv6_exthdr", "OFPBMC_BAD_FIELD"),
    ("field.ipv6_exthdr.masked", "OFPBMC_BAD_FIELD"),
    ("action.copy_ttl_out", "OFPBAC_BAD_TYPE"),
    ("action.copy_ttl_in", "OFPBAC_BAD_TYPE"),
    ("action.push_pbb", "OFPBAC_BAD_TYPE"),
    ("action.pop_pbb", "OFPBAC_BAD_TYPE"),
    ("action.experimenter", "OFPBAC_BAD_VENDOR"),
    ("instruction.experimenter", "OFPBIC_BAD_EXPERIMENTER"),
    ("band.experimenter", "OFPMMFC_BAD_BAND"),
];

/// The xid of all samples.
pub const XID: u32 = 0x1122_3344;

/// All of them, by name; a message's own name, or `kind.name` for a part of one.
pub fn all() -> Vec<(String, Message)> {
    let mut all: Vec<(String, Message)> = Vec::new();
    for (name, body) in messages().into_iter().chain(requests()).chain(replies()) {
        all.push((name.to_owned(), Message::new(XID, body)));
    }
    for error in ErrorCode::named() {
        let error = ErrorMsg::new(error, Bytes::from_static(b"what was wrong"));
        all.push((format!("error.{}", error.code), Message::new(XID, error)));
    }
    for (name, match_) in fields() {
        let flow = FlowMod::add(1).matching(match_);
        all.push((format!("field.{name}"), Message::new(XID, flow)));
    }
    for (name, match_, action) in actions() {
        let flow = FlowMod::add(1).matching(match_).instruction(Instruction::apply([action]));
        all.push((format!("action.{name}"), Message::new(XID, flow)));
    }
    for (name, instruction) in instructions() {
        let flow = FlowMod::add(1).instruction(instruction);
        all.push((format!("instruction.{name}"), Message::new(XID, flow)));
    }
    for (name, group) in groups() {
        all.push((format!("group.{name}"), Message::new(XID, group)));
    }
    for (name, band) in bands() {
        let meter = MeterMod {
            command: MeterModCommand::Add,
            flags: MeterFlags::PKTPS | MeterFlags::BURST,
            meter_id: MeterId(9),
            bands: vec![band],
        };
        all.push((format!("band.{name}"), Message::new(XID, meter)));
    }
    all
}

pub fn port() -> Port {
    Port {
        port_no: PortNo(0x0304),
        hw_addr: MAC,
        name: "vhost12".into(),
        config: PortConfig::PORT_DOWN | PortConfig::NO_FWD,
        state: PortState::BLOCKED | PortState::LIVE,
        curr: PortFeatures::FD_10GB | PortFeatures::COPPER,
        advertised: PortFeatures::FD_1GB | PortFeatures::AUTONEG,
        supported: PortFeatures::FD_100MB | PortFeatures::FIBER,
        peer: PortFeatures::HD_10MB | PortFeatures::PAUSE,
        curr_speed: 10_000_000,
        max_speed: 40_000_000,
    }
}

pub fn match_() -> Match {
    Match::new()
        .in_port(0x0305)
        .metadata_masked(0x1122_0000_0000_0000, 0xffff_0000_0000_0000)
        .eth_dst(MAC)
        .vlan_vid(VlanVid::tagged(100))
}

/// The instructions of a flow that does a bit of everything.
pub fn work() -> Vec<Instruction> {
    vec![
        Instruction::Meter(MeterId(0x0a0b)),
        Instruction::apply([
            Action::push_vlan(),
            Action::set_vlan_vid(VlanVid::tagged(200)),
            Action::Output { port: PortNo(0x0506), max_len: 0x0708 },
        ]),
        Instruction::WriteMetadata { metadata: 0x0102_0304_0506_0708, mask: 0x0fff_ffff_ffff_ffff },
        Instruction::goto(7),
    ]
}

fn messages() -> Vec<(&'static str, Body)> {
    let config = SwitchConfig { flags: ConfigFlags::FragReasm, miss_send_len: 0x1234 };
    let role = RoleRequest { role: Role::Master, generation_id: 0x0102_0304_0506_0708 };
    let async_config = AsyncConfig {
        packet_in: [0x01, 0x02],
        port_status: [0x03, 0x04],
        flow_removed: [0x05, 0x06],
    };
    vec![
        ("hello", Hello::ours().into()),
        (
            "error.experimenter",
            ErrorMsg::new(
                ErrorCode::Experimenter { exp_type: 0x0102, experimenter: 0x0304_0506 },
                Bytes::from_static(b"what was wrong"),
            )
            .into(),
        ),
        ("echo_request", Body::EchoRequest(Bytes::from_static(b"are you there"))),
        ("echo_reply", Body::EchoReply(Bytes::from_static(b"are you there"))),
        (
            "experimenter",
            Experimenter {
                experimenter: 0x0102_0304,
                exp_type: 0x0506_0708,
                data: Bytes::from_static(b"something else"),
            }
            .into(),
        ),
        ("features_request", Body::FeaturesRequest),
        (
            "features_reply",
            FeaturesReply {
                datapath_id: DatapathId(0x0102_0304_0506_0708),
                n_buffers: 0x1112_1314,
                n_tables: 0xfe,
                auxiliary_id: 5,
                capabilities: Capabilities::FLOW_STATS | Capabilities::GROUP_STATS,
                reserved: 0,
            }
            .into(),
        ),
        ("get_config_request", Body::GetConfigRequest),
        ("get_config_reply", Body::GetConfigReply(config)),
        ("set_config", Body::SetConfig(config)),
        (
            "packet_in",
            PacketIn {
                buffer_id: BufferId(0x0102_0304),
                total_len: 0x0607,
                reason: PacketInReason::Action,
                table_id: TableId(8),
                cookie: 0x1112_1314_1516_1718,
                match_: Match::new().in_port(0x0305).tunnel_id(0x2122_2324_2526_2728),
                data: Bytes::from_static(
                    b"\x01\x80\xc2\x00\x00\x0e\x02\x11\x22\x33\x44\x55\x88\xccdata",
                ),
            }
            .into(),
        ),
        (
            "flow_removed",
            FlowRemoved {
                cookie: 0x0102_0304_0506_0708,
                priority: 0x090a,
                reason: FlowRemovedReason::GroupDelete,
                table_id: TableId(0x0b),
                duration_sec: 0x0c0d_0e0f,
                duration_nsec: 0x1011_1213,
                idle_timeout: 0x1415,
                hard_timeout: 0x1617,
                packet_count: 0x1819_1a1b_1c1d_1e1f,
                byte_count: 0x2021_2223_2425_2627,
                match_: match_(),
            }
            .into(),
        ),
        ("port_status", PortStatus { reason: PortReason::Modify, desc: port() }.into()),
        (
            "packet_out",
            PacketOut {
                buffer_id: BufferId::NONE,
                in_port: PortNo::CONTROLLER,
                actions: vec![
                    Action::push_vlan(),
                    Action::Output { port: PortNo(0x0506), max_len: 0x0708 },
                ],
                data: Bytes::from_static(
                    b"\x01\x80\xc2\x00\x00\x0e\x02\x11\x22\x33\x44\x55\x88\xccdata",
                ),
            }
            .into(),
        ),
        (
            "flow_mod",
            FlowMod {
                cookie: 0x0102_0304_0506_0708,
                cookie_mask: 0x1112_1314_1516_1718,
                table_id: TableId(3),
                command: FlowModCommand::DeleteStrict,
                idle_timeout: 0x2122,
                hard_timeout: 0x2324,
                priority: 0x2526,
                buffer_id: BufferId(0x2728_292a),
                out_port: PortNo(0x2d2e),
                out_group: GroupId(0x3132_3334),
                flags: FlowModFlags::SEND_FLOW_REM | FlowModFlags::NO_BYT_COUNTS,
                match_: match_(),
                instructions: work(),
            }
            .into(),
        ),
        (
            "group_mod",
            GroupMod::modify(GroupType::Select, 0x0102_0304)
                .bucket(Bucket {
                    weight: 0x0506,
                    watch_port: PortNo(0x090a),
                    watch_group: GroupId(0x0b0c_0d0e),
                    actions: vec![Action::output(0x1112), Action::PopVlan],
                })
                .bucket(Bucket::new([]).weight(0x0f10))
                .into(),
        ),
        (
            "port_mod",
            PortMod {
                port_no: PortNo(0x0304),
                hw_addr: MAC,
                config: PortConfig::NO_RECV,
                mask: PortConfig::NO_RECV | PortConfig::NO_PACKET_IN,
                advertise: PortFeatures::FD_40GB | PortFeatures::AUTONEG,
            }
            .into(),
        ),
        ("table_mod", TableMod { table_id: TableId(9), config: 3 }.into()),
        ("barrier_request", Body::BarrierRequest),
        ("barrier_reply", Body::BarrierReply),
        ("queue_get_config_request", QueueGetConfigRequest { port: PortNo(0x0304) }.into()),
        (
            "queue_get_config_reply",
            QueueGetConfigReply {
                port: PortNo(0x0304),
                queues: vec![
                    PacketQueue {
                        queue_id: QueueId(0x0506_0708),
                        port: PortNo(0x0304),
                        properties: vec![QueueProperty::MinRate(100), QueueProperty::MaxRate(900)],
                    },
                    PacketQueue {
                        queue_id: QueueId(0x090a_0b0c),
                        port: PortNo(0x0304),
                        properties: vec![QueueProperty::Experimenter {
                            experimenter: 0x0d0e_0f10,
                            data: Bytes::from_static(b"whatever"),
                        }],
                    },
                ],
            }
            .into(),
        ),
        ("role_request", role.into()),
        ("role_reply", Body::RoleReply(role)),
        ("get_async_request", Body::GetAsyncRequest),
        ("get_async_reply", Body::GetAsyncReply(async_config)),
        ("set_async", Body::SetAsync(async_config)),
        (
            "meter_mod",
            MeterMod {
                command: MeterModCommand::Modify,
                flags: MeterFlags::KBPS | MeterFlags::BURST | MeterFlags::STATS,
                meter_id: MeterId(0x0102),
                bands: vec![
                    MeterBand::drop(0x0304, 0x0506),
                    MeterBand {
                        rate: 0x0708,
                        burst_size: 0x090a,
                        kind: MeterBandKind::DscpRemark { prec_level: 1 },
                    },
                ],
            }
            .into(),
        ),
    ]
}

fn eth(ethertype: u16) -> Match {
    Match::new().eth_type(ethertype)
}

fn ip(proto: u8) -> Match {
    eth(ETHERTYPE_IP).ip_proto(proto)
}

fn ipv6(proto: u8) -> Match {
    eth(0x86dd).ip_proto(proto)
}

fn isid(isid: u32) -> Isid {
    Isid::new(isid).unwrap()
}

/// Each of the 40 match fields, and each with a mask that may have one, behind its prerequisites.
pub fn fields() -> Vec<(&'static str, Match)> {
    let v6 = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 2, 3, 4, 5);
    let net6 = std::net::Ipv6Addr::new(0xffff, 0xffff, 0, 0, 0, 0, 0, 0);
    let arp = || eth(0x0806);
    vec![
        ("in_port", Match::new().in_port(0x0304)),
        ("in_phy_port", Match::new().in_port(0x0304).in_phy_port(0x0708)),
        ("metadata", Match::new().metadata(0x0102_0304_0506_0708)),
        (
            "metadata.masked",
            Match::new().metadata_masked(0x0102_0000_0000_0008, 0xffff_0000_0000_000f),
        ),
        ("eth_dst", Match::new().eth_dst(MAC)),
        ("eth_dst.masked", Match::new().eth_dst_masked(MacAddr::GROUP_BIT, MacAddr::GROUP_BIT)),
        ("eth_src", Match::new().eth_src(MAC)),
        ("eth_src.masked", Match::new().eth_src_masked(MAC, [0xff, 0xff, 0xff, 0, 0, 0])),
        ("eth_type", eth(0x88cc)),
        ("vlan_vid", Match::new().vlan_vid(VlanVid::tagged(0x0a64))),
        ("vlan_vid.none", Match::new().vlan_vid(VlanVid::NONE)),
        ("vlan_vid.masked", Match::new().vlan_vid_masked(VlanVid::PRESENT, VlanVid::PRESENT)),
        ("vlan_pcp", Match::new().vlan_vid(VlanVid::tagged(100)).vlan_pcp(5)),
        ("ip_dscp", eth(ETHERTYPE_IP).ip_dscp(46)),
        ("ip_ecn", eth(ETHERTYPE_IP).ip_ecn(2)),
        ("ip_proto", ip(47)),
        ("ipv4_src", eth(ETHERTYPE_IP).ipv4_src([10, 1, 2, 3])),
        ("ipv4_src.masked", eth(ETHERTYPE_IP).ipv4_src_masked([10, 1, 0, 0], [255, 255, 0, 0])),
        ("ipv4_dst", eth(ETHERTYPE_IP).ipv4_dst([10, 1, 2, 4])),
        ("ipv4_dst.masked", eth(ETHERTYPE_IP).ipv4_dst_masked([10, 0, 0, 0], [255, 0, 0, 0])),
        ("tcp_src", ip(6).tcp_src(0x0102)),
        ("tcp_dst", ip(6).tcp_dst(0x0103)),
        ("udp_src", ip(17).udp_src(0x0104)),
        ("udp_dst", ip(17).udp_dst(0x0105)),
        ("sctp_src", ip(132).sctp_src(0x0106)),
        ("sctp_dst", ip(132).sctp_dst(0x0107)),
        ("icmpv4_type", ip(1).icmpv4_type(8)),
        ("icmpv4_code", ip(1).icmpv4_code(3)),
        ("arp_op", arp().arp_op(2)),
        ("arp_spa", arp().arp_spa([10, 1, 2, 5])),
        ("arp_spa.masked", arp().arp_spa_masked([10, 1, 2, 0], [255, 255, 255, 0])),
        ("arp_tpa", arp().arp_tpa([10, 1, 2, 6])),
        ("arp_tpa.masked", arp().arp_tpa_masked([10, 1, 0, 0], [255, 255, 0, 0])),
        ("arp_sha", arp().arp_sha(MAC)),
        ("arp_sha.masked", arp().arp_sha_masked(MAC, [0xff, 0xff, 0, 0, 0, 0])),
        ("arp_tha", arp().arp_tha([2, 0, 0, 0, 0, 1])),
        ("arp_tha.masked", arp().arp_tha_masked(MAC, [0xff, 0, 0, 0, 0, 0])),
        ("ipv6_src", eth(0x86dd).ipv6_src(v6)),
        ("ipv6_src.masked", eth(0x86dd).ipv6_src_masked(v6, net6)),
        ("ipv6_dst", eth(0x86dd).ipv6_dst(v6)),
        ("ipv6_dst.masked", eth(0x86dd).ipv6_dst_masked(v6, net6)),
        ("ipv6_flabel", eth(0x86dd).ipv6_flabel(0x0001_2345)),
        ("ipv6_flabel.masked", eth(0x86dd).ipv6_flabel_masked(0x0001_2300, 0x000f_ff00)),
        ("icmpv6_type", ipv6(58).icmpv6_type(128)),
        ("icmpv6_code", ipv6(58).icmpv6_code(4)),
        ("ipv6_nd_target", ipv6(58).icmpv6_type(135).ipv6_nd_target(v6)),
        ("ipv6_nd_sll", ipv6(58).icmpv6_type(135).ipv6_nd_sll(MAC)),
        ("ipv6_nd_tll", ipv6(58).icmpv6_type(136).ipv6_nd_tll(MAC)),
        ("mpls_label", eth(0x8847).mpls_label(0x0001_2345)),
        ("mpls_tc", eth(0x8847).mpls_tc(6)),
        ("mpls_bos", eth(0x8847).mpls_bos(1)),
        ("pbb_isid", eth(0x88e7).pbb_isid(isid(0x0001_0203))),
        ("pbb_isid.masked", eth(0x88e7).pbb_isid_masked(isid(0x0001_0200), isid(0x00ff_ff00))),
        ("tunnel_id", Match::new().tunnel_id(0x0102_0304_0506_0708)),
        ("tunnel_id.masked", Match::new().tunnel_id_masked(0x0200, 0xff00)),
        ("ipv6_exthdr", eth(0x86dd).ipv6_exthdr(0x0181)),
        ("ipv6_exthdr.masked", eth(0x86dd).ipv6_exthdr_masked(0x0040, 0x00c0)),
    ]
}

/// Each action, with a match that allows it.
pub fn actions() -> Vec<(&'static str, Match, Action)> {
    vec![
        ("output", Match::new(), Action::Output { port: PortNo(0x0304), max_len: 0x0506 }),
        (
            "output.controller",
            Match::new(),
            Action::Output { port: PortNo::CONTROLLER, max_len: 128 },
        ),
        ("copy_ttl_out", eth(0x8847), Action::CopyTtlOut),
        ("copy_ttl_in", eth(0x8847), Action::CopyTtlIn),
        ("set_mpls_ttl", eth(0x8847), Action::SetMplsTtl(61)),
        ("dec_mpls_ttl", eth(0x8847), Action::DecMplsTtl),
        ("push_vlan", Match::new(), Action::PushVlan(0x88a8)),
        (
            "pop_vlan",
            Match::new().vlan_vid_masked(VlanVid::PRESENT, VlanVid::PRESENT),
            Action::PopVlan,
        ),
        ("push_mpls", eth(0x0800), Action::PushMpls(0x8848)),
        ("pop_mpls", eth(0x8847), Action::PopMpls(0x0800)),
        ("set_queue", Match::new(), Action::SetQueue(QueueId(0x0102_0304))),
        ("group", Match::new(), Action::group(0x0102_0304)),
        ("set_nw_ttl", eth(0x0800), Action::SetNwTtl(62)),
        ("dec_nw_ttl", eth(0x0800), Action::DecNwTtl),
        ("set_field", Match::new(), Action::SetField(Oxm::eth_src(MAC))),
        ("push_pbb", Match::new(), Action::PushPbb(0x88e7)),
        ("pop_pbb", eth(0x88e7), Action::PopPbb),
        (
            "experimenter",
            Match::new(),
            Action::Experimenter {
                experimenter: 0x0102_0304,
                data: Bytes::from_static(b"whatever"),
            },
        ),
    ]
}

/// Each instruction.
pub fn instructions() -> Vec<(&'static str, Instruction)> {
    let actions = || [Action::push_vlan(), Action::output(0x0506)];
    vec![
        ("goto_table", Instruction::goto(9)),
        (
            "write_metadata",
            Instruction::WriteMetadata {
                metadata: 0x0102_0304_0506_0708,
                mask: 0x0fff_ffff_ffff_ffff,
            },
        ),
        ("write_actions", Instruction::write(actions())),
        ("apply_actions", Instruction::apply(actions())),
        ("clear_actions", Instruction::ClearActions(vec![])),
        ("meter", Instruction::Meter(MeterId(0x0102_0304))),
        (
            "experimenter",
            Instruction::Experimenter {
                experimenter: 0x0102_0304,
                data: Bytes::from_static(b"whatever"),
            },
        ),
    ]
}

/// Each group type and command.
pub fn groups() -> Vec<(&'static str, GroupMod)> {
    let bucket = || Bucket::new([Action::output(3)]);
    vec![
        (
            "all",
            GroupMod::add(GroupType::All, 7)
                .bucket(bucket())
                .bucket(Bucket::new([Action::output(4)])),
        ),
        ("select", GroupMod::add(GroupType::Select, 8).bucket(bucket().weight(10))),
        ("indirect", GroupMod::add(GroupType::Indirect, 9).bucket(bucket())),
        (
            "fast_failover",
            GroupMod::add(GroupType::FastFailover, 10).bucket(bucket().watch_port(3)),
        ),
        ("modify", GroupMod::modify(GroupType::All, 7).bucket(bucket())),
        ("delete", GroupMod::delete(GroupId::ALL)),
    ]
}

/// Each meter band.
pub fn bands() -> Vec<(&'static str, MeterBand)> {
    vec![
        ("drop", MeterBand::drop(1000, 100)),
        (
            "dscp_remark",
            MeterBand {
                rate: 2000,
                burst_size: 200,
                kind: MeterBandKind::DscpRemark { prec_level: 2 },
            },
        ),
        (
            "experimenter",
            MeterBand {
                rate: 3000,
                burst_size: 300,
                kind: MeterBandKind::Experimenter { experimenter: 0x0102_0304, data: Bytes::new() },
            },
        ),
    ]
}
