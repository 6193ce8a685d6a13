//! Frames between switches: links, tunnels, loops.

use std::time::Duration;

use openflow::{
    Action, Body, FlowMod, FlowModFlags, Instruction, Match, Oxm, PacketOut, PortReason, VlanVid,
};
use testbed::fabric::{Fabric, Place};
use testbed::frame::Frame;

const FRAME: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5hello";

fn flow(
    fabric: &mut Fabric,
    switch: u64,
    matching: Match,
    actions: impl IntoIterator<Item = Action>,
) {
    let flow = FlowMod::add(0).matching(matching).instruction(Instruction::apply(actions));
    assert_eq!(fabric.request(switch, flow), [], "no error");
}

/// Switches 1 to `count` in a ring, each with host port 1; port 8 leads on, port 9 back.
fn ring(count: u64, seed: u64) -> Fabric {
    let mut fabric = Fabric::seeded(seed);
    for switch in 1..=count {
        fabric.add_switch(switch, &format!("s{switch}"), [1]);
    }
    for switch in 1..=count {
        let next = switch % count + 1;
        assert_eq!(
            fabric.link((switch, 8), (next, 9)).messages.len(),
            2,
            "a port-status for each end"
        );
    }
    fabric
}

fn places(list: &[(u64, u32)]) -> Vec<Place> {
    list.iter().map(|place| (*place).into()).collect()
}

#[test]
fn a_frame_that_goes_round_for_ever_is_found_whatever_the_order() {
    for seed in 0..5 {
        let mut fabric = ring(3, seed);
        for switch in 1..=3 {
            flow(&mut fabric, switch, Match::new(), [Action::output(openflow::PortNo::FLOOD)]);
        }
        let result = fabric.send((1, 1), FRAME);
        assert!(result.looped, "seed {seed}");
        assert!(result.places().len() > 2, "copies came back round");
        fabric.set_passes((3, 8), false);
        let result = fabric.send((1, 1), FRAME);
        assert!(!result.looped);
        assert_eq!(result.places(), places(&[(2, 1), (3, 1)]), "seed {seed}");
    }
}

#[test]
fn a_frame_that_changes_on_its_way_round_is_no_loop() {
    let mut fabric = ring(3, 0);
    for (switch, vid) in [(1, 1), (2, 2), (3, 3)] {
        flow(
            &mut fabric,
            switch,
            Match::new(),
            [Action::push_vlan(), Action::set_vlan_vid(VlanVid::tagged(vid)), Action::output(8)],
        );
    }
    let leave =
        FlowMod::add(0).priority(9).matching(Match::new().in_port(9).vlan_vid(VlanVid::tagged(3)));
    assert_eq!(fabric.request(1, leave.instruction(Instruction::apply([Action::output(1)]))), []);
    let result = fabric.send((1, 1), FRAME);
    assert!(!result.looped);
    assert_eq!(result.places(), places(&[(1, 1)]));
    assert_eq!(result.at((1, 1))[0].bytes.len(), FRAME.len() + 12, "three tags");
}

#[test]
fn tunnels_carry_keys_and_plain_links_do_not() {
    let mut fabric = Fabric::new();
    for switch in 1..=2 {
        fabric.add_switch(switch, "", [1]);
    }
    let _ = fabric.tunnel((1, 7), (2, 7));
    let _ = fabric.link((1, 8), (2, 8));
    let keyed = |port: u32| [Action::SetField(Oxm::tunnel_id(0x55u64)), Action::output(port)];
    flow(&mut fabric, 1, Match::new().in_port(1), [keyed(7), keyed(8)].concat());
    flow(&mut fabric, 2, Match::new().tunnel_id(0x55), [Action::output(1)]);
    let result = fabric.send((1, 1), FRAME);
    assert_eq!(result.frames, [((2, 1).into(), Frame::from(FRAME))], "once, by the tunnel");
}

#[test]
fn a_cut_link_shows_at_both_ends_and_carries_nothing() {
    let mut fabric = ring(3, 0);
    flow(&mut fabric, 1, Match::new(), [Action::output(8)]);
    flow(&mut fabric, 2, Match::new(), [Action::output(1)]);
    assert_eq!(fabric.send((1, 1), FRAME).places(), places(&[(2, 1)]));
    let cut = fabric.set_link((1, 8), false);
    let told: Vec<_> = cut
        .messages
        .iter()
        .filter_map(|(switch, _, message)| match &message.body {
            Body::PortStatus(status) => {
                Some((switch.0, status.desc.port_no.0, status.reason, status.desc.is_up()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, 8, PortReason::Modify, false), (2, 9, PortReason::Modify, false)]);
    assert_eq!(fabric.send((1, 1), FRAME).places(), []);
    assert_eq!(fabric.set_link((1, 8), true).messages.len(), 2);
    assert_eq!(fabric.send((1, 1), FRAME).places(), places(&[(2, 1)]));
}

#[test]
fn a_packet_out_ends_as_the_neighbours_packet_in() {
    let mut fabric = ring(3, 0);
    flow(&mut fabric, 2, Match::new().eth_type(0x88b5), [Action::controller()]);
    let result = fabric.handle(1, openflow::Message::new(5, PacketOut::frame(8, FRAME)));
    let heard: Vec<_> = result
        .packet_ins()
        .map(|(switch, packet)| (switch.0, packet.in_port().map(|p| p.0)))
        .collect();
    assert_eq!(heard, [(2, Some(9))]);
    assert_eq!(result.frames, []);
}

#[test]
fn time_passes_on_all_switches() {
    let mut fabric = ring(3, 0);
    for switch in 1..=3 {
        let flow = FlowMod::add(0).idle_timeout(switch as u16).flags(FlowModFlags::SEND_FLOW_REM);
        assert_eq!(fabric.request(switch, flow), []);
    }
    assert_eq!(fabric.next_deadline(), Some(Duration::from_secs(1)));
    let gone = fabric.advance(Duration::from_secs(2));
    assert_eq!(gone.messages.iter().map(|(switch, _, _)| switch.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(fabric.tables().matches("table=0").count(), 1);
}
