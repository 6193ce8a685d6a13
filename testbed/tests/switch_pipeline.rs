//! What the embedded switch does with frames: matches, instructions, actions, groups.

use std::time::Duration;

use openflow::{
    Action, Body, Bucket, FlowMod, GroupId, GroupMod, GroupType, Instruction, MacAddr, Match,
    Message, Oxm, PacketInReason, PortNo, TableId, VlanVid,
};
use testbed::frame::Frame;
use testbed::switch::{Datapath, Output, PortSpec};

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
const NOW: Duration = Duration::from_secs(1);

/// Ports 1 to 4, and 5 and 6 to tunnels.
fn switch() -> Datapath {
    let plain = (1..=4).map(PortSpec::from);
    Datapath::new(1, "s1", plain.chain((5..=6).map(|n| PortSpec::tunnel(n, format!("t{n}")))))
}

fn with(flows: impl IntoIterator<Item = FlowMod>) -> Datapath {
    let mut switch = switch();
    flows.into_iter().for_each(|flow| ok(&mut switch, flow));
    switch
}

fn ok(switch: &mut Datapath, body: impl Into<Body>) {
    let outputs = switch.handle(NOW, Message::new(7, body));
    assert_eq!(outputs, [], "no error");
}

fn flow(matching: Match, actions: impl IntoIterator<Item = Action>) -> FlowMod {
    FlowMod::add(0).priority(10).matching(matching).instruction(Instruction::apply(actions))
}

fn frame(tags: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = [B.0, A.0].concat();
    for (tpid, tci) in tags {
        bytes.extend(tpid.to_be_bytes());
        bytes.extend(tci.to_be_bytes());
    }
    bytes.extend([0x88, 0xb5, 1, 2, 3, 4]);
    bytes
}

/// `port: frame`, and `punt` for packet-ins, in order.
fn sent(outputs: &[Output]) -> Vec<(u32, Vec<u8>)> {
    outputs
        .iter()
        .map(|output| match output {
            Output::Frame { port, frame } => (port.0, frame.bytes.to_vec()),
            Output::Message(_, Message { body: Body::PacketIn(packet), .. }) => {
                (PortNo::CONTROLLER.0, packet.data.to_vec())
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn ports(outputs: &[Output]) -> Vec<u32> {
    sent(outputs).into_iter().map(|(port, _)| port).collect()
}

#[test]
fn vlan_matches_tell_untagged_tagged_and_ids_apart() {
    let none = VlanVid::NONE;
    let any = Match::new().vlan_vid_masked(VlanVid::PRESENT, VlanVid::PRESENT);
    let untagged = frame(&[]);
    let seven = frame(&[(0x8100, 7)]);
    let ad_seven = frame(&[(0x88a8, 0xe007)]);
    let cases: [(&str, Match, &[u8], bool); 9] = [
        ("none, untagged", Match::new().vlan_vid(none), &untagged, true),
        ("none, tagged", Match::new().vlan_vid(none), &seven, false),
        ("any, untagged", any.clone(), &untagged, false),
        ("any, tagged", any.clone(), &seven, true),
        ("any, 802.1ad", any, &ad_seven, true),
        ("seven", Match::new().vlan_vid(VlanVid::tagged(7)), &seven, true),
        ("eight", Match::new().vlan_vid(VlanVid::tagged(8)), &seven, false),
        ("priority", Match::new().vlan_vid(VlanVid::tagged(7)).vlan_pcp(7), &ad_seven, true),
        ("other priority", Match::new().vlan_vid(VlanVid::tagged(7)).vlan_pcp(0), &ad_seven, false),
    ];
    for (name, matching, bytes, want) in cases {
        let mut switch = with([flow(matching, [Action::output(2)])]);
        assert_eq!(!switch.inject(NOW, 1, bytes).is_empty(), want, "{name}");
    }
}

#[test]
fn tags_are_pushed_and_popped_over_what_the_tenant_sent() {
    let tag =
        |vid| [Action::push_vlan(), Action::set_vlan_vid(VlanVid::tagged(vid)), Action::output(2)];
    let tenant = [(0x88a8, 0xe064), (0x8100, 0x2005)];
    let mut push = with([flow(Match::new(), tag(100))]);
    // The new tag takes over the priority of the one below (1.3.5, 5.12.1).
    let pushed = frame(&[(0x8100, 0xe064), tenant[0], tenant[1]]);
    assert_eq!(sent(&push.inject(NOW, 1, &frame(&tenant)[..])), [(2, pushed.clone())]);
    let mut pop = with([flow(
        Match::new().vlan_vid(VlanVid::tagged(100)),
        [Action::PopVlan, Action::output(2)],
    )]);
    assert_eq!(sent(&pop.inject(NOW, 1, &pushed[..])), [(2, frame(&tenant))]);
}

#[test]
fn a_port_never_sends_back_what_it_received_unless_told_so_by_name() {
    let cases = [
        ("its number", PortNo(1), vec![]),
        ("by name", PortNo::IN_PORT, vec![1]),
        ("all", PortNo::ALL, vec![2, 3, 4, 5, 6]),
        ("flood", PortNo::FLOOD, vec![2, 3, 4, 5, 6]),
        ("a port that isn't there", PortNo(77), vec![]),
        ("controller", PortNo::CONTROLLER, vec![PortNo::CONTROLLER.0]),
    ];
    for (name, port, want) in cases {
        let mut switch = with([flow(Match::new(), [Action::output(port)])]);
        assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), want, "{name}");
    }
}

#[test]
fn tables_pass_metadata_on_and_the_action_set_waits_for_the_last() {
    let first = FlowMod::add(0)
        .instruction(Instruction::write([Action::output(3)]))
        .instruction(Instruction::WriteMetadata { metadata: 0x1234, mask: 0xff00 });
    let first = first.instruction(Instruction::goto(2));
    let hit = FlowMod::add(2)
        .priority(5)
        .matching(Match::new().metadata_masked(0x1200, 0xff00))
        .instruction(Instruction::apply([Action::output(2)]));
    let mut switch = with([first, hit.clone()]);
    assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), [2, 3]);
    // A frame that no flow of the second table matches is dropped with its set.
    ok(&mut switch, FlowMod { command: openflow::FlowModCommand::Delete, ..hit.clone() });
    assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), [] as [u32; 0]);
    ok(&mut switch, hit.instruction(Instruction::ClearActions(Vec::new())));
    assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), [2], "the set was emptied");
}

#[test]
fn the_highest_priority_wins_across_shapes() {
    let mut switch = with([
        FlowMod::add(0).priority(1).instruction(Instruction::apply([Action::output(2)])),
        flow(Match::new().eth_dst(B), [Action::output(3)]),
        FlowMod { priority: 20, ..flow(Match::new().in_port(1).eth_src(A), [Action::output(4)]) },
    ]);
    assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), [4]);
    assert_eq!(ports(&switch.inject(NOW, 4, &frame(&[])[..])), [3]);
    let elsewhere = [[9; 6], [8; 6]].concat();
    assert_eq!(ports(&switch.inject(NOW, 4, &elsewhere[..])), [2]);
}

#[test]
fn a_group_copies_the_frame_for_each_bucket_and_leaves_the_original_alone() {
    let mut switch = switch();
    let tagged = |vid, port| {
        Bucket::new([
            Action::push_vlan(),
            Action::set_vlan_vid(VlanVid::tagged(vid)),
            Action::output(port),
        ])
    };
    let group = GroupMod::add(GroupType::All, 7)
        .bucket(Bucket::new([Action::output(1)]))
        .bucket(tagged(5, 2))
        .bucket(Bucket::new([Action::output(3)]));
    ok(&mut switch, group);
    ok(&mut switch, flow(Match::new(), [Action::group(7), Action::output(4)]));
    let plain = frame(&[]);
    let want = [(2, frame(&[(0x8100, 5)])), (3, plain.clone()), (4, plain.clone())];
    assert_eq!(sent(&switch.inject(NOW, 1, &plain[..])), want);
}

#[test]
fn groups_choose_their_buckets() {
    let buckets =
        |kind, list: Vec<Bucket>| list.into_iter().fold(GroupMod::add(kind, 1), GroupMod::bucket);
    let to = |port: u32| Bucket::new([Action::output(port)]);
    let cases = [
        ("indirect", buckets(GroupType::Indirect, vec![to(3)]), vec![3]),
        (
            "first live",
            buckets(GroupType::FastFailover, vec![to(2).watch_port(2), to(3).watch_port(3)]),
            vec![3],
        ),
        ("none live", buckets(GroupType::FastFailover, vec![to(4).watch_port(2)]), vec![]),
        ("by weight", buckets(GroupType::Select, vec![to(2).weight(0), to(4).weight(9)]), vec![4]),
    ];
    for (name, group, want) in cases {
        let mut switch = switch();
        assert_eq!(switch.set_link(2, false).len(), 1, "one port-status");
        ok(&mut switch, group);
        ok(&mut switch, flow(Match::new(), [Action::Group(GroupId(1))]));
        assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), want, "{name}");
    }
}

#[test]
fn a_tunnel_carries_its_key_and_other_ports_lose_it() {
    let set = Action::SetField(Oxm::tunnel_id(0x1234u64));
    let mut switch = with([
        flow(Match::new().in_port(1), [set, Action::output(5), Action::output(2)]),
        flow(Match::new().in_port(5).tunnel_id(0x42), [Action::output(6), Action::output(3)]),
        flow(Match::new().in_port(3).tunnel_id(0x42), [Action::output(4)]),
    ]);
    let keys = |outputs: &[Output]| -> Vec<(u32, u64)> {
        let key = |output: &Output| match output {
            Output::Frame { port, frame } => (port.0, frame.tunnel_id),
            other => panic!("{other:?}"),
        };
        outputs.iter().map(key).collect()
    };
    let bytes = frame(&[]);
    assert_eq!(keys(&switch.inject(NOW, 1, &bytes[..])), [(5, 0x1234), (2, 0)]);
    let keyed = Frame::from(&bytes[..]).with_tunnel_id(0x42);
    assert_eq!(keys(&switch.inject(NOW, 5, keyed.clone())), [(6, 0x42), (3, 0)]);
    assert_eq!(keys(&switch.inject(NOW, 5, &bytes[..])), [], "another key");
    assert_eq!(keys(&switch.inject(NOW, 3, keyed)), [], "port 3 is no tunnel");
}

#[test]
fn a_packet_in_says_where_and_why() {
    let miss = FlowMod::add(1).cookie(0xc0).instruction(Instruction::apply([Action::controller()]));
    let mut switch = with([
        FlowMod::add(0)
            .instruction(Instruction::write_metadata(0x99))
            .instruction(Instruction::goto(1)),
        miss,
        FlowMod::add(1)
            .priority(1)
            .matching(Match::new().eth_dst(A))
            .instruction(Instruction::apply([Action::controller()])),
    ]);
    let punted = |switch: &mut Datapath, bytes: &[u8]| match switch.inject(NOW, 3, bytes).pop() {
        Some(Output::Message(_, Message { xid: 0, body: Body::PacketIn(packet) })) => packet,
        other => panic!("{other:?}"),
    };
    let packet = punted(&mut switch, &frame(&[]));
    assert_eq!(
        (packet.reason, packet.table_id, packet.cookie),
        (PacketInReason::NoMatch, TableId(1), 0xc0)
    );
    assert_eq!(packet.match_, Match::new().in_port(3).metadata(0x99));
    assert_eq!((&packet.data[..], packet.total_len), (&frame(&[])[..], 18));
    let towards_a = [&A.0[..], &B.0, &[0x88, 0xb5]].concat();
    assert_eq!(punted(&mut switch, &towards_a).reason, PacketInReason::Action);
}

#[test]
fn a_port_that_is_down_neither_takes_in_nor_sends() {
    let mut switch = with([flow(Match::new(), [Action::output(2), Action::output(3)])]);
    assert_eq!(switch.set_link(2, false).len(), 1);
    assert!(switch.set_link(2, false).is_empty(), "nothing new");
    assert_eq!(ports(&switch.inject(NOW, 1, &frame(&[])[..])), [3]);
    assert_eq!(ports(&switch.inject(NOW, 2, &frame(&[])[..])), [] as [u32; 0]);
    assert_eq!(ports(&switch.inject(NOW, 99, &frame(&[])[..])), [] as [u32; 0], "no such port");
}

#[test]
fn frames_cut_short_anywhere_do_no_harm() {
    let all = [
        Action::push_vlan(),
        Action::PopVlan,
        Action::SetField(Oxm::eth_dst(A)),
        Action::output(2),
    ];
    let mut switch = with([
        flow(Match::new(), all),
        FlowMod {
            priority: 20,
            ..flow(
                Match::new().eth_type(0x0800).ipv4_src([10, 0, 0, 1]),
                [Action::DecNwTtl, Action::output(3)],
            )
        },
    ]);
    let mut whole = frame(&[(0x8100, 1), (0x8100, 2)]);
    whole.extend([0; 40]);
    for length in 0..whole.len() {
        assert_eq!(ports(&switch.inject(NOW, 1, &whole[..length])), [2], "{length}");
    }
}
