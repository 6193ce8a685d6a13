//! What the embedded switch answers, and when it speaks unasked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use openflow::{
    Action, AsyncConfig, Body, Bucket, ErrorCode, FlowMod, FlowModCommand, FlowModFailed,
    FlowModFlags, FlowRemovedReason, FlowStats, FlowStatsRequest, GroupId, GroupMod,
    GroupModFailed, GroupType, Hello, HelloFailed, Instruction, Match, Message, MeterBand,
    MeterFlags, MeterId, MeterMod, MeterModCommand, MeterModFailed, MultipartReplyBody,
    MultipartRequestBody, PacketOut, PortConfig, PortFeatures, PortMod, PortNo, Role, RoleReply,
    RoleRequest, RoleRequestFailed, TableId,
};
use testbed::switch::{Channel, Datapath, Limits, Output};

const FRAME: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5hello";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn switch() -> Datapath {
    Datapath::new(1, "s1", 1..=4_u32)
}

/// Answers and asynchronous messages on channel 0, at time 0.
fn ask(switch: &mut Datapath, body: impl Into<Body>) -> Vec<Body> {
    bodies(switch.handle(Duration::ZERO, Message::new(7, body)))
}

fn bodies(outputs: Vec<Output>) -> Vec<Body> {
    outputs.into_iter().filter_map(Output::into_message).map(|message| message.body).collect()
}

fn error(switch: &mut Datapath, body: impl Into<Body>) -> Option<ErrorCode> {
    match &ask(switch, body)[..] {
        [] => None,
        [Body::Error(error)] => Some(error.code),
        other => panic!("{other:?}"),
    }
}

fn flow(port: u32) -> FlowMod {
    let actions = Instruction::apply([Action::output(1)]);
    FlowMod::add(0).matching(Match::new().in_port(port)).instruction(actions)
}

fn flows(switch: &mut Datapath, at: Duration, wanted: FlowStatsRequest) -> Vec<FlowStats> {
    let message = Message::new(7, MultipartRequestBody::Flow(wanted));
    let mut all = Vec::new();
    for body in bodies(switch.handle(at, message)) {
        match body {
            Body::MultipartReply(reply) => match reply.body {
                MultipartReplyBody::Flow(list) => all.extend(list),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn timeouts_remove_flows_and_say_why() {
    let cases = [
        ("idle", 10, 0, None, 10, FlowRemovedReason::IdleTimeout),
        ("idle, used meanwhile", 10, 0, Some(4), 14, FlowRemovedReason::IdleTimeout),
        ("hard", 0, 10, None, 10, FlowRemovedReason::HardTimeout),
        ("hard, used meanwhile", 0, 10, Some(9), 10, FlowRemovedReason::HardTimeout),
        ("idle first", 5, 10, None, 5, FlowRemovedReason::IdleTimeout),
        ("hard first", 8, 10, Some(4), 10, FlowRemovedReason::HardTimeout),
    ];
    for (name, idle, hard, used, gone, reason) in cases {
        let mut switch = switch();
        let flow = flow(2)
            .cookie(9)
            .idle_timeout(idle)
            .hard_timeout(hard)
            .flags(FlowModFlags::SEND_FLOW_REM);
        assert_eq!(ask(&mut switch, flow), [], "{name}");
        if let Some(at) = used {
            assert_eq!(switch.inject(seconds(at), 2, FRAME).len(), 1, "{name}");
        }
        assert_eq!(switch.advance(seconds(gone) - Duration::from_nanos(1)), [], "{name}");
        assert!(switch.next_deadline().unwrap() <= seconds(gone), "{name}");
        let told = bodies(switch.advance(seconds(gone)));
        let [Body::FlowRemoved(removed)] = &told[..] else { panic!("{name}: {told:?}") };
        assert_eq!(
            (removed.reason, removed.cookie, removed.duration_sec),
            (reason, 9, gone as u32),
            "{name}"
        );
        assert_eq!(removed.packet_count, u64::from(used.is_some()), "{name}");
        assert_eq!((switch.flow_count(), switch.next_deadline()), (0, None), "{name}");
    }
}

#[test]
fn an_equal_flow_replaces_the_old_one_and_its_age_but_not_its_counters() {
    let mut switch = switch();
    let stats =
        |switch: &mut Datapath, at| flows(switch, at, FlowStatsRequest::default()).pop().unwrap();
    assert_eq!(ask(&mut switch, flow(2)), []);
    assert_eq!(switch.inject(seconds(5), 2, FRAME).len(), 1);
    let counted = stats(&mut switch, seconds(6));
    assert_eq!(
        (counted.packet_count, counted.byte_count, counted.duration_sec),
        (1, FRAME.len() as u64, 6)
    );
    assert_eq!(switch.handle(seconds(10), Message::new(1, flow(2).cookie(1))), []);
    let replaced = stats(&mut switch, seconds(11));
    assert_eq!((replaced.packet_count, replaced.duration_sec, replaced.cookie), (1, 1, 1));
    let reset = flow(2).flags(FlowModFlags::RESET_COUNTS);
    assert_eq!(switch.handle(seconds(12), Message::new(1, reset)), []);
    assert_eq!(stats(&mut switch, seconds(12)).packet_count, 0);
    assert_eq!(switch.flow_count(), 1);
}

#[test]
fn deletions_and_statistics_choose_flows_alike() {
    let to = |port: u32, table, cookie, out| {
        let actions = Instruction::apply([Action::output(out)]);
        FlowMod::add(table)
            .priority(5)
            .cookie(cookie)
            .matching(Match::new().in_port(port).eth_type(0x0800))
            .instruction(actions)
    };
    let all = [to(1, 0, 0x10, 2u32), to(2, 0, 0x11, 3), to(3, 1, 0x20, 2), to(4, 1, 0x21, 3)];
    let any = FlowStatsRequest::default();
    let cases = [
        ("everything", any.clone(), 4),
        ("one table", FlowStatsRequest { table_id: TableId(1), ..any.clone() }, 2),
        ("by cookie", FlowStatsRequest::by_cookie(0x10, 0xf0), 2),
        ("by one bit of the cookie", FlowStatsRequest::by_cookie(1, 1), 2),
        ("by port out", FlowStatsRequest { out_port: PortNo(3), ..any.clone() }, 2),
        ("by group out", FlowStatsRequest { out_group: GroupId(1), ..any.clone() }, 0),
        (
            "by a wider match",
            FlowStatsRequest { match_: Match::new().in_port(3), ..any.clone() },
            1,
        ),
        (
            "by the same match",
            FlowStatsRequest { match_: Match::new().eth_type(0x0800).in_port(3), ..any.clone() },
            1,
        ),
        (
            "by a narrower match",
            FlowStatsRequest { match_: Match::new().eth_type(0x0800).ip_proto(6), ..any.clone() },
            0,
        ),
    ];
    for (name, wanted, count) in cases {
        let mut switch = switch();
        all.iter().for_each(|flow| assert_eq!(ask(&mut switch, flow.clone()), []));
        assert_eq!(flows(&mut switch, Duration::ZERO, wanted.clone()).len(), count, "{name}");
        let sum = ask(&mut switch, MultipartRequestBody::Aggregate(wanted.clone()));
        assert!(
            matches!(&sum[..], [Body::MultipartReply(r)] if matches!(&r.body, MultipartReplyBody::Aggregate(a) if a.flow_count as usize == count)),
            "{name}: {sum:?}"
        );
        let delete = FlowMod {
            cookie: wanted.cookie,
            cookie_mask: wanted.cookie_mask,
            out_port: wanted.out_port,
            out_group: wanted.out_group,
            match_: wanted.match_,
            ..FlowMod::new(FlowModCommand::Delete, wanted.table_id)
        };
        assert_eq!(ask(&mut switch, delete), [], "{name}");
        assert_eq!(switch.flow_count(), all.len() - count, "{name}");
    }
}

#[test]
fn what_is_full_says_so_and_takes_more_after_room_is_made() {
    let limits = Limits { flows: 2, groups: 1, meters: 1, ..Limits::default() };
    let mut switch = switch().with_limits(limits);
    let full = Some(ErrorCode::FlowModFailed(FlowModFailed::TableFull));
    assert_eq!([1, 2, 3].map(|port| error(&mut switch, flow(port))), [None, None, full]);
    assert_eq!(error(&mut switch, flow(2)), None, "it replaces one");
    assert_eq!(
        error(&mut switch, FlowMod { table_id: TableId(1), ..flow(3) }),
        None,
        "another table"
    );
    assert_eq!(error(&mut switch, FlowMod::delete(0).matching(Match::new().in_port(1))), None);
    assert_eq!(error(&mut switch, flow(3)), None);
    let group = |id| GroupMod::add(GroupType::All, id);
    assert_eq!(error(&mut switch, group(1)), None);
    assert_eq!(
        error(&mut switch, group(2)),
        Some(ErrorCode::GroupModFailed(GroupModFailed::OutOfGroups))
    );
    assert_eq!(error(&mut switch, meter(1)), None);
    assert_eq!(
        error(&mut switch, meter(2)),
        Some(ErrorCode::MeterModFailed(MeterModFailed::OutOfMeters))
    );
    switch.set_limits(Limits::default());
    assert_eq!(error(&mut switch, flow(4)), None);
}

fn meter(id: u32) -> MeterMod {
    let flags = MeterFlags::PKTPS | MeterFlags::BURST;
    MeterMod {
        command: MeterModCommand::Add,
        flags,
        meter_id: MeterId(id),
        bands: vec![MeterBand::drop(1, 2)],
    }
}

#[test]
fn a_group_takes_its_flows_along_and_groups_never_lead_in_circles() {
    let mut switch = switch();
    let chain = |id, next: u32| {
        GroupMod::add(GroupType::All, id).bucket(Bucket::new([Action::group(next)]))
    };
    assert_eq!(error(&mut switch, GroupMod::add(GroupType::All, 1)), None);
    assert_eq!(error(&mut switch, chain(2, 1)), None);
    let round = GroupMod { command: openflow::GroupModCommand::Modify, ..chain(1, 2) };
    assert_eq!(error(&mut switch, round), Some(ErrorCode::GroupModFailed(GroupModFailed::Loop)));
    assert_eq!(
        error(&mut switch, chain(3, 3)),
        Some(ErrorCode::GroupModFailed(GroupModFailed::Loop)),
        "itself"
    );
    assert_eq!(
        error(&mut switch, GroupMod::delete(1)),
        Some(ErrorCode::GroupModFailed(GroupModFailed::ChainedGroup))
    );
    let flow = FlowMod::add(0)
        .instruction(Instruction::apply([Action::group(2)]))
        .flags(FlowModFlags::SEND_FLOW_REM);
    assert_eq!(error(&mut switch, flow), None);
    let told = ask(&mut switch, GroupMod::delete(2));
    assert!(
        matches!(&told[..], [Body::FlowRemoved(r)] if r.reason == FlowRemovedReason::GroupDelete),
        "{told:?}"
    );
    assert_eq!(switch.flow_count(), 0);
    assert_eq!(error(&mut switch, GroupMod::delete(2)), None, "gone already");
    assert_eq!(error(&mut switch, GroupMod::delete(1)), None);
    assert_eq!(switch.groups(), "");
}

#[test]
fn the_controllers_meter_limits_packet_ins_and_nothing_else() {
    let mut switch = switch();
    let both = Instruction::apply([Action::controller(), Action::output(2)]);
    assert_eq!(error(&mut switch, FlowMod::add(0).instruction(both)), None);
    let frames = |switch: &mut Datapath, at| {
        let outputs: Vec<_> = (0..5).flat_map(|_| switch.inject(seconds(at), 1, FRAME)).collect();
        let punts = outputs.iter().filter(|output| matches!(output, Output::Message(..))).count();
        (punts, outputs.len() - punts)
    };
    assert_eq!(frames(&mut switch, 1), (5, 5));
    assert_eq!(error(&mut switch, meter(MeterId::CONTROLLER.0)), None);
    assert_eq!(frames(&mut switch, 1), (2, 5), "a burst of two");
    assert_eq!(frames(&mut switch, 2), (1, 5), "one a second");
    let limits = Limits { controller_meter: false, ..Limits::default() };
    let refused = error(
        &mut Datapath::new(1, "s1", [1u32]).with_limits(limits),
        meter(MeterId::CONTROLLER.0),
    );
    assert_eq!(refused, Some(ErrorCode::MeterModFailed(MeterModFailed::InvalidMeter)));
}

#[test]
fn a_meter_that_goes_takes_its_flows_along() {
    let mut switch = switch();
    assert_eq!(error(&mut switch, meter(3)), None);
    let metered = FlowMod::add(0)
        .instruction(Instruction::Meter(MeterId(3)))
        .instruction(Instruction::apply([Action::output(2)]));
    assert_eq!(error(&mut switch, metered), None);
    let passed: Vec<_> = (0..5).flat_map(|_| switch.inject(seconds(1), 1, FRAME)).collect();
    assert_eq!(passed.len(), 2, "the meter drops the rest");
    assert_eq!(error(&mut switch, MeterMod { command: MeterModCommand::Delete, ..meter(3) }), None);
    assert_eq!(switch.flow_count(), 0);
}

#[test]
fn a_slave_reads_but_does_not_write_and_a_new_master_makes_the_old_one_slave() {
    let mut switch = switch();
    let (old, new) = (Channel(1), Channel(2));
    switch.connect(old);
    switch.connect(new);
    let ask = |switch: &mut Datapath, channel, body: Body| {
        bodies(switch.handle_on(channel, Duration::ZERO, Message::new(7, body)))
    };
    let role = |role, generation_id| Body::RoleRequest(RoleRequest { role, generation_id });
    let is = |role, generation_id| [Body::RoleReply(RoleReply { role, generation_id })];
    let is_slave = |bodies: Vec<Body>| matches!(&bodies[..], [Body::Error(e)] if e.code == ErrorCode::BadRequest(openflow::BadRequest::IsSlave));
    assert_eq!(ask(&mut switch, old, role(Role::NoChange, 0)), is(Role::Equal, u64::MAX));
    assert_eq!(ask(&mut switch, old, role(Role::Master, 5)), is(Role::Master, 5));
    assert_eq!(ask(&mut switch, new, role(Role::Master, 6)), is(Role::Master, 6));
    assert_eq!(ask(&mut switch, old, role(Role::NoChange, 0)), is(Role::Slave, 6));
    let writes: [Body; 5] = [
        flow(1).into(),
        GroupMod::add(GroupType::All, 1).into(),
        meter(1).into(),
        PacketOut::frame(1, FRAME).into(),
        PortMod {
            port_no: PortNo(1),
            hw_addr: [0; 6].into(),
            config: PortConfig::EMPTY,
            mask: PortConfig::EMPTY,
            advertise: PortFeatures::EMPTY,
        }
        .into(),
    ];
    for body in writes {
        let name = body.name();
        assert!(is_slave(ask(&mut switch, old, body.clone())), "{name}");
        assert!(!is_slave(ask(&mut switch, new, body)), "{name}");
    }
    assert_eq!(
        ask(&mut switch, old, MultipartRequestBody::PortDesc.into()).len(),
        1,
        "a slave may read"
    );
    for stale in [role(Role::Master, 5), role(Role::Slave, 5)] {
        let answer = ask(&mut switch, old, stale);
        assert!(
            matches!(&answer[..], [Body::Error(e)] if e.code == ErrorCode::RoleRequestFailed(RoleRequestFailed::Stale))
        );
    }
    // Generations wrap around.
    assert_eq!(
        ask(&mut switch, old, role(Role::Master, 6 + (1 << 62))),
        is(Role::Master, 6 + (1 << 62))
    );
}

#[test]
fn each_controller_hears_what_its_role_and_its_wishes_say() {
    let mut switch = switch();
    switch.disconnect(Channel(0));
    let (equal, slave, quiet) = (Channel(1), Channel(2), Channel(3));
    for channel in [equal, slave, quiet] {
        switch.connect(channel);
    }
    let send = |switch: &mut Datapath, channel, body: Body| {
        assert!(switch.handle_on(channel, Duration::ZERO, Message::new(7, body)).len() < 2);
    };
    send(&mut switch, slave, RoleRequest { role: Role::Slave, generation_id: 1 }.into());
    send(
        &mut switch,
        quiet,
        Body::SetAsync(AsyncConfig {
            packet_in: [0; 2],
            port_status: [0; 2],
            flow_removed: [0; 2],
        }),
    );
    send(
        &mut switch,
        equal,
        FlowMod::add(0).instruction(Instruction::apply([Action::controller()])).into(),
    );
    let heard = |outputs: Vec<Output>| -> Vec<Channel> {
        outputs
            .into_iter()
            .map(|output| match output {
                Output::Message(channel, _) => channel,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(heard(switch.inject(seconds(1), 1, FRAME)), [equal]);
    assert_eq!(heard(switch.set_link(1, false)), [equal, slave]);
}

#[test]
fn a_long_list_comes_in_several_replies() {
    let mut switch = switch();
    for port in 1..=1000 {
        assert_eq!(ask(&mut switch, flow(port).cookie(port.into())), []);
    }
    let replies = ask(&mut switch, MultipartRequestBody::Flow(FlowStatsRequest::default()));
    let more: Vec<_> = replies
        .iter()
        .map(|body| match body {
            Body::MultipartReply(reply) => reply.more(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(more, [true, true, true, false]);
    let ports: Vec<_> = flows(&mut switch, Duration::ZERO, FlowStatsRequest::default())
        .iter()
        .map(|flow| flow.match_.in_port_field().unwrap().value.0)
        .collect();
    assert_eq!(ports, (1..=1000).collect::<Vec<_>>());
    for body in replies {
        let bytes = Message::new(1, body.clone()).encode().unwrap();
        assert_eq!(Message::decode(bytes).unwrap().body, body);
    }
}

#[test]
fn every_multipart_is_answered_and_survives_the_wire() {
    use MultipartRequestBody as Ask;
    let mut switch = switch();
    assert_eq!(
        ask(&mut switch, GroupMod::add(GroupType::All, 1).bucket(Bucket::new([Action::output(1)]))),
        []
    );
    assert_eq!(ask(&mut switch, meter(1)), []);
    let requests = [
        Ask::Desc,
        Ask::Flow(FlowStatsRequest::default()),
        Ask::Aggregate(FlowStatsRequest::default()),
        Ask::Table,
        Ask::PortStats(PortNo::ANY),
        Ask::Group(GroupId::ALL),
        Ask::GroupDesc,
        Ask::GroupFeatures,
        Ask::Meter(MeterId::ALL),
        Ask::MeterConfig(MeterId::ALL),
        Ask::MeterFeatures,
        Ask::TableFeatures(Vec::new()),
        Ask::PortDesc,
    ];
    for request in requests {
        let name = format!("{request:?}");
        let replies = ask(&mut switch, request);
        assert!(!replies.is_empty(), "{name}");
        for body in replies {
            assert!(matches!(body, Body::MultipartReply(_)), "{name}: {body:?}");
            let message = Message::new(9, body);
            assert_eq!(Message::decode(message.encode().unwrap()).unwrap(), message, "{name}");
        }
    }
}

#[test]
fn port_mod_stops_and_starts_a_port() {
    let mut switch = switch();
    let hw_addr = switch.pipeline().ports.get(PortNo(2)).unwrap().desc.hw_addr;
    let down = |config| PortMod {
        port_no: PortNo(2),
        hw_addr,
        config,
        mask: PortConfig::PORT_DOWN,
        advertise: PortFeatures::EMPTY,
    };
    assert_eq!(ask(&mut switch, PacketOut::frame(2, FRAME)).len(), 0);
    let told = ask(&mut switch, down(PortConfig::PORT_DOWN));
    assert!(matches!(&told[..], [Body::PortStatus(status)] if !status.desc.is_up()), "{told:?}");
    let out = |switch: &mut Datapath| {
        switch.handle(Duration::ZERO, Message::new(1, PacketOut::frame(2, FRAME)))
    };
    assert_eq!(out(&mut switch), []);
    assert_eq!(ask(&mut switch, down(PortConfig::EMPTY)).len(), 1);
    assert_eq!(out(&mut switch), [Output::Frame { port: PortNo(2), frame: FRAME.to_vec().into() }]);
}

#[test]
fn a_peer_without_a_common_version_is_told_so() {
    let mut switch = switch();
    assert_eq!(error(&mut switch, Hello::ours()), None);
    let failed = error(&mut switch, Hello::of_versions([1]));
    assert_eq!(failed, Some(ErrorCode::HelloFailed(HelloFailed::Incompatible)));
}
