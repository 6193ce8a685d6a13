//! Any flow-mod, group-mod and packet-out that can be written in Rust comes back from its bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use openflow::{
    Action, Bucket, BufferId, Field, FlowMod, FlowModCommand, FlowModFlags, GroupId, GroupMod,
    GroupModCommand, GroupType, Instruction, Masked, Match, Message, MeterId, Oxm, OxmRaw,
    PacketOut, PortNo, QueueId, TableId,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn data(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

/// Values and masks of any bits that the field has on the wire, forbidden ones included.
fn oxm() -> impl Strategy<Value = Oxm> {
    let named = (0..Field::NAMED.len(), any::<u128>(), any::<Option<u128>>()).prop_map(
        |(field, value, mask)| Oxm::from_bits(Field::NAMED[field], Masked { value, mask }).unwrap(),
    );
    let raw = (any::<u16>(), 0..128u8, any::<bool>(), data(0..40))
        .prop_filter("a name", |(class, field, ..)| *class != 0x8000 || *field >= 40)
        .prop_map(|(class, field, has_mask, data)| {
            Oxm::Other(OxmRaw { class, field, has_mask, data })
        });
    prop_oneof![9 => named, 1 => raw]
}

fn action() -> impl Strategy<Value = Action> {
    // What is behind the header of an unnamed action ends where a multiple of 8 does.
    let eights = |before: usize| {
        (0..4usize).prop_flat_map(move |count| {
            data(8 * count + (8 - before) % 8..=8 * count + (8 - before) % 8)
        })
    };
    prop_oneof![
        (any::<u32>(), any::<u16>())
            .prop_map(|(port, max_len)| Action::Output { port: PortNo(port), max_len }),
        Just(Action::CopyTtlOut),
        Just(Action::CopyTtlIn),
        any::<u8>().prop_map(Action::SetMplsTtl),
        Just(Action::DecMplsTtl),
        any::<u16>().prop_map(Action::PushVlan),
        Just(Action::PopVlan),
        any::<u16>().prop_map(Action::PushMpls),
        any::<u16>().prop_map(Action::PopMpls),
        any::<u32>().prop_map(|queue| Action::SetQueue(QueueId(queue))),
        any::<u32>().prop_map(|group| Action::Group(GroupId(group))),
        any::<u8>().prop_map(Action::SetNwTtl),
        Just(Action::DecNwTtl),
        oxm().prop_map(Action::SetField),
        any::<u16>().prop_map(Action::PushPbb),
        Just(Action::PopPbb),
        (any::<u32>(), eights(8))
            .prop_map(|(experimenter, data)| Action::Experimenter { experimenter, data }),
        (100..0xfff0u16, eights(4)).prop_map(|(kind, data)| Action::Other { kind, data }),
    ]
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    vec(action(), 0..6)
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        any::<u8>().prop_map(Instruction::goto),
        any::<(u64, u64)>()
            .prop_map(|(metadata, mask)| Instruction::WriteMetadata { metadata, mask }),
        actions().prop_map(Instruction::WriteActions),
        actions().prop_map(Instruction::ApplyActions),
        actions().prop_map(Instruction::ClearActions),
        any::<u32>().prop_map(|meter| Instruction::Meter(MeterId(meter))),
        (any::<u32>(), data(8..=8))
            .prop_map(|(experimenter, data)| Instruction::Experimenter { experimenter, data }),
        (100..0xfff0u16, data(12..=12)).prop_map(|(kind, data)| Instruction::Other { kind, data }),
    ]
}

prop_compose! {
    fn flow_mod()(
        (cookie, cookie_mask, table, command) in any::<(u64, u64, u8, u8)>(),
        (idle_timeout, hard_timeout, priority, flags) in any::<(u16, u16, u16, u16)>(),
        (buffer, port, group) in any::<(u32, u32, u32)>(),
        match_ in vec(oxm(), 0..12),
        instructions in vec(instruction(), 0..5),
    ) -> FlowMod {
        FlowMod {
            cookie,
            cookie_mask,
            table_id: TableId(table),
            command: FlowModCommand::from(command),
            idle_timeout,
            hard_timeout,
            priority,
            buffer_id: BufferId(buffer),
            out_port: PortNo(port),
            out_group: GroupId(group),
            flags: FlowModFlags(flags),
            match_: Match::from(match_),
            instructions,
        }
    }
}

prop_compose! {
    fn group_mod()(
        (command, kind, group_id) in any::<(u16, u8, u32)>(),
        buckets in vec((any::<(u16, u32, u32)>(), actions()), 0..5),
    ) -> GroupMod {
        let bucket = |((weight, port, group), actions)| Bucket {
            weight,
            watch_port: PortNo(port),
            watch_group: GroupId(group),
            actions,
        };
        GroupMod {
            command: GroupModCommand::from(command),
            group_type: GroupType::from(kind),
            group_id: GroupId(group_id),
            buckets: buckets.into_iter().map(bucket).collect(),
        }
    }
}

fn comes_back(message: &Message) -> Result<(), TestCaseError> {
    let bytes = message.encode().unwrap();
    prop_assert_eq!(bytes.len() % 8, 0);
    prop_assert_eq!(&Message::decode(bytes).unwrap(), message);
    Ok(())
}

proptest! {
    #[test]
    fn any_flow_mod_comes_back(xid in any::<u32>(), flow in flow_mod()) {
        comes_back(&Message::new(xid, flow))?;
    }

    #[test]
    fn any_group_mod_comes_back(xid in any::<u32>(), group in group_mod()) {
        comes_back(&Message::new(xid, group))?;
    }

    #[test]
    fn any_packet_out_comes_back(
        (xid, buffer, port) in any::<(u32, u32, u32)>(),
        actions in actions(),
        frame in data(0..200),
    ) {
        let packet = PacketOut { buffer_id: BufferId(buffer), in_port: PortNo(port), actions, data: frame };
        let message = Message::new(xid, packet);
        prop_assert_eq!(Message::decode(message.encode().unwrap()).unwrap(), message);
    }

    /// What a match says of a frame's field doesn't change with its canonical form.
    #[test]
    fn a_canonical_match_says_the_same(fields in vec(oxm(), 0..6), frame in any::<u128>()) {
        let accepts = |oxm: &Oxm| match (oxm.field(), oxm.to_bits()) {
            (Some(field), Some(Masked { value, mask })) => {
                let counting = u128::MAX >> (128 - field.bits().unwrap());
                let mask = mask.unwrap_or(u128::MAX) & counting;
                frame & mask == value & mask
            }
            _ => true,
        };
        let match_ = Match::from(fields);
        let canonical = match_.canonical();
        prop_assert_eq!(canonical.canonical(), canonical.clone());
        prop_assert_eq!(match_.fields().iter().all(accepts), canonical.fields().iter().all(accepts));
        let mut reversed: Vec<Oxm> = match_.fields().to_vec();
        reversed.reverse();
        prop_assert_eq!(Match::from(reversed).canonical(), canonical);
    }
}
