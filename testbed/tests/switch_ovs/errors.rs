//! Requests that a switch must refuse.

use openflow::{
    Action, BadAction, Body, Bucket, BufferId, ErrorCode, FlowMod, FlowModCommand, FlowModFlags,
    GroupId, GroupMod, GroupModCommand, GroupType, Instruction, Masked, Match, MeterBand,
    MeterFlags, MeterId, MeterMod, MeterModCommand, Oxm, OxmRaw, PacketOut, PortNo, TableId,
    VlanVid,
};

use super::oracle::Pair;

/// What some of them need to be there.
pub fn prepare(pair: &mut Pair) {
    let group = GroupMod::add(GroupType::All, 1).bucket(Bucket::new([Action::output(1)]));
    let flow = FlowMod::add(0).priority(5).matching(Match::new().in_port(1));
    let meter = meter(MeterModCommand::Add, 1, MeterFlags::PKTPS, vec![MeterBand::drop(10, 0)]);
    for body in [group.into(), flow.into(), meter] {
        pair.request(&body, "what bad requests refer to");
    }
}

fn meter(command: MeterModCommand, id: u32, flags: MeterFlags, bands: Vec<MeterBand>) -> Body {
    MeterMod { command, flags, meter_id: MeterId(id), bands }.into()
}

fn applying(action: Action) -> Body {
    FlowMod::add(0).instruction(Instruction::apply([action])).into()
}

fn matching(fields: impl IntoIterator<Item = Oxm>) -> Body {
    FlowMod::add(0).matching(fields.into_iter().collect()).into()
}

fn raw(class: u16, field: u8, has_mask: bool, data: &'static [u8]) -> Oxm {
    Oxm::Other(OxmRaw { class, field, has_mask, data: data.into() })
}

/// Names and requests.
pub fn bad() -> Vec<(&'static str, Body)> {
    let bucket = |port: u32| Bucket::new([Action::output(port)]);
    let group =
        |kind, buckets: Vec<Bucket>| Body::from(GroupMod { buckets, ..GroupMod::add(kind, 9) });
    vec![
        ("goto the same table", FlowMod::add(3).instruction(Instruction::goto(3)).into()),
        ("goto an earlier table", FlowMod::add(3).instruction(Instruction::goto(2)).into()),
        ("add to all tables", FlowMod::add(0xff).into()),
        (
            "an unknown command",
            FlowMod { command: FlowModCommand::Other(9), ..FlowMod::add(0) }.into(),
        ),
        ("a buffer that isn't there", FlowMod { buffer_id: BufferId(7), ..FlowMod::add(0) }.into()),
        (
            "an overlap",
            FlowMod::add(0)
                .priority(5)
                .matching(Match::new().eth_dst([2, 0, 0, 0, 0, 1]))
                .flags(FlowModFlags::CHECK_OVERLAP)
                .into(),
        ),
        (
            "an unknown instruction",
            FlowMod::add(0)
                .instruction(Instruction::Other { kind: 77, data: vec![0; 4].into() })
                .into(),
        ),
        ("an unknown meter", FlowMod::add(0).instruction(Instruction::Meter(MeterId(77))).into()),
        ("an unknown action", applying(Action::Other { kind: 77, data: vec![0; 4].into() })),
        ("an unknown group", applying(Action::group(77))),
        ("out of any port", applying(Action::output(PortNo::ANY))),
        ("push an IPv4 tag", applying(Action::PushVlan(0x0800))),
        ("pop without a tag", applying(Action::PopVlan)),
        ("set the id of no tag", applying(Action::set_vlan_vid(VlanVid::tagged(5)))),
        ("set the address of no IPv4", applying(Action::SetField(Oxm::ipv4_src([1, 2, 3, 4])))),
        ("set an id that is too large", applying(Action::SetField(Oxm::ip_dscp(64)))),
        ("decrement the TTL of no IP", applying(Action::DecNwTtl)),
        ("IPv4 without its type", matching([Oxm::ipv4_src([1, 2, 3, 4])])),
        ("its type behind IPv4", matching([Oxm::ipv4_src([1, 2, 3, 4]), Oxm::eth_type(0x0800)])),
        ("a priority of no tag", matching([Oxm::vlan_pcp(3)])),
        ("TCP over ARP", matching([Oxm::eth_type(0x0806), Oxm::ip_proto(6)])),
        ("a field twice", matching([Oxm::in_port(1), Oxm::in_port(1)])),
        ("bits outside of the mask", matching([Oxm::Metadata(Masked::in_bits(0xff, 0x0f))])),
        ("a DSCP that is too large", matching([Oxm::eth_type(0x0800), Oxm::ip_dscp(64)])),
        ("an unknown field", matching([raw(0x8000, 100, false, &[1])])),
        ("an unknown class", matching([raw(0x1234, 1, false, &[1])])),
        ("a group that is there", GroupMod::add(GroupType::All, 1).into()),
        ("modify a group that isn't", GroupMod::modify(GroupType::All, 77).into()),
        ("a group of a reserved number", GroupMod::add(GroupType::All, GroupId::ALL).into()),
        ("a group of an unknown type", group(GroupType::Other(9), vec![bucket(1)])),
        (
            "an unknown group command",
            GroupMod { command: GroupModCommand::Other(9), ..GroupMod::add(GroupType::All, 9) }
                .into(),
        ),
        ("indirect with two buckets", group(GroupType::Indirect, vec![bucket(1), bucket(2)])),
        ("indirect without buckets", group(GroupType::Indirect, vec![])),
        ("fast failover that watches nothing", group(GroupType::FastFailover, vec![bucket(1)])),
        ("all that watches", group(GroupType::All, vec![bucket(1).watch_port(1)])),
        ("all with weights", group(GroupType::All, vec![bucket(1).weight(3)])),
        (
            "a meter that is there",
            meter(MeterModCommand::Add, 1, MeterFlags::PKTPS, vec![MeterBand::drop(10, 0)]),
        ),
        (
            "modify a meter that isn't",
            meter(MeterModCommand::Modify, 77, MeterFlags::PKTPS, vec![MeterBand::drop(10, 0)]),
        ),
        (
            "meter 0",
            meter(MeterModCommand::Add, 0, MeterFlags::PKTPS, vec![MeterBand::drop(10, 0)]),
        ),
        (
            "a meter of two units",
            meter(
                MeterModCommand::Add,
                9,
                MeterFlags::PKTPS | MeterFlags::KBPS,
                vec![MeterBand::drop(10, 0)],
            ),
        ),
        (
            "a packet-out of a buffer",
            PacketOut {
                buffer_id: BufferId(9),
                in_port: PortNo::CONTROLLER,
                actions: vec![],
                data: vec![].into(),
            }
            .into(),
        ),
        (
            "a packet-out from a reserved port",
            PacketOut {
                buffer_id: BufferId::NONE,
                in_port: PortNo::ALL,
                actions: vec![],
                data: vec![0; 64].into(),
            }
            .into(),
        ),
        (
            "flows of a table that isn't there",
            FlowMod { table_id: TableId(0xff), ..FlowMod::new(FlowModCommand::Add, 0xff) }.into(),
        ),
    ]
}

/// Where both differ on purpose: a request, the answer here, as the specification has it, and Open vSwitch's.
pub fn differing() -> Vec<(&'static str, Body, ErrorCode, Option<ErrorCode>)> {
    let bad = ErrorCode::BadAction;
    let bucket = Bucket::new([Action::group(77)]);
    vec![
        ("out of port 0", applying(Action::output(0)), bad(BadAction::BadOutPort), None),
        (
            "to the tables, in a flow",
            applying(Action::output(PortNo::TABLE)),
            bad(BadAction::BadOutPort),
            None,
        ),
        (
            "set the type",
            applying(Action::SetField(Oxm::eth_type(0x0800))),
            bad(BadAction::BadSetType),
            Some(bad(BadAction::BadSetArgument)),
        ),
        (
            "a bucket to an unknown group",
            GroupMod::add(GroupType::All, 9).bucket(bucket).into(),
            bad(BadAction::BadOutGroup),
            None,
        ),
    ]
}
