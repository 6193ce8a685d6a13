//! Whether instructions and actions can be carried out here; the errors are the specification's.

use std::collections::BTreeSet;

use openflow::{
    Action, BadAction, BadInstruction, ErrorCode, Instruction, MeterId, MeterModFailed, Oxm, PortNo,
};

use super::layout::{self as f, Place};
use super::parse::{VID_PRESENT, is_tag};
use super::pattern::{place_of, prerequisites_hold};
use super::tuples::Pattern;
use super::{Pipeline, group};

/// Fields that set-field may write.
const SETTABLE: [Place; 19] = [
    f::ETH_DST,
    f::ETH_SRC,
    f::VLAN_VID,
    f::VLAN_PCP,
    f::IP_DSCP,
    f::IP_ECN,
    f::IPV4_SRC,
    f::IPV4_DST,
    f::IPV6_SRC,
    f::IPV6_DST,
    f::TCP_SRC,
    f::TCP_DST,
    f::UDP_SRC,
    f::UDP_DST,
    f::ARP_OP,
    f::ARP_SPA,
    f::ARP_TPA,
    f::ARP_SHA,
    f::ARP_THA,
];

/// Whether set-field may write a field.
pub fn is_settable(place: Place) -> bool {
    SETTABLE.contains(&place) || matches!(place, f::TUNNEL_ID | f::METADATA)
}

/// Where a list of actions stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// In a flow of a table.
    Flow,
    /// In a bucket: no match goes before it.
    Bucket,
    /// In a packet-out, which may go to the tables.
    PacketOut,
}

/// Checks a flow's instructions behind its match: first what is wrong in itself, then what refers to nothing.
///
/// # Errors
/// The specification's code for the first thing that is wrong.
pub fn instructions(
    pipeline: &Pipeline,
    table: u8,
    pattern: &Pattern,
    list: &[Instruction],
) -> Result<(), ErrorCode> {
    let mut kinds = BTreeSet::new();
    for instruction in list {
        let bad = |code| Err(ErrorCode::BadInstruction(code));
        match instruction {
            Instruction::GotoTable(next)
                if next.0 <= table || usize::from(next.0) >= pipeline.tables.len() =>
            {
                return bad(BadInstruction::BadTableId);
            }
            Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
                self::actions(Context::Flow, Some(pattern), actions)?;
            }
            Instruction::Experimenter { .. } => return bad(BadInstruction::BadExperimenter),
            Instruction::Other { .. } => return bad(BadInstruction::UnknownInst),
            _ => {}
        }
        if !kinds.insert(instruction.instruction_type()) {
            return bad(BadInstruction::UnsupInst);
        }
    }
    for instruction in list {
        match instruction {
            Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
                groups_exist(pipeline, actions)?;
            }
            Instruction::Meter(meter)
                if !pipeline.meters.by_id.contains_key(meter) || *meter > MeterId::MAX =>
            {
                return Err(ErrorCode::MeterModFailed(MeterModFailed::InvalidMeter));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks a list of actions but for the groups it refers to; `pattern` is what is known of the frames, if anything is.
///
/// # Errors
/// The specification's code for the first action that is wrong.
pub fn actions(
    context: Context,
    pattern: Option<&Pattern>,
    list: &[Action],
) -> Result<(), ErrorCode> {
    let mut known = pattern.copied();
    for action in list {
        one(context, known.as_mut(), action).map_err(ErrorCode::BadAction)?;
    }
    Ok(())
}

/// Checks that the groups that actions lead to are there.
///
/// # Errors
/// `BAD_OUT_GROUP`.
pub fn groups_exist(pipeline: &Pipeline, list: &[Action]) -> Result<(), ErrorCode> {
    match group::groups_in(list).all(|id| pipeline.groups.contains_key(&id)) {
        true => Ok(()),
        false => Err(ErrorCode::BadAction(BadAction::BadOutGroup)),
    }
}

fn one(
    context: Context,
    mut known: Option<&mut Pattern>,
    action: &Action,
) -> Result<(), BadAction> {
    match action {
        Action::Output { port, .. } => output(context, *port),
        Action::Group(_) => Ok(()),
        Action::PushVlan(tpid) if !is_tag(*tpid) => Err(BadAction::BadArgument),
        Action::PushVlan(_) => {
            set_tagged(known, true);
            Ok(())
        }
        Action::PopVlan if known.as_deref().is_some_and(|pattern| !is_tagged(pattern)) => {
            Err(BadAction::MatchInconsistent)
        }
        Action::PopVlan => {
            set_tagged(known, false);
            Ok(())
        }
        Action::SetField(oxm) => set_field(known.as_deref_mut(), oxm),
        Action::SetNwTtl(_) | Action::DecNwTtl => match known {
            Some(pattern) if !prerequisites_hold(pattern, f::IP_PROTO) => {
                Err(BadAction::MatchInconsistent)
            }
            _ => Ok(()),
        },
        Action::Experimenter { .. } => Err(BadAction::BadExperimenter),
        Action::SetQueue(_)
        | Action::CopyTtlOut
        | Action::CopyTtlIn
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl
        | Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::PushPbb(_)
        | Action::PopPbb
        | Action::Other { .. } => Err(BadAction::BadType),
    }
}

/// A port that isn't there yet is fine, as in Open vSwitch: flows may come before ports.
fn output(context: Context, port: PortNo) -> Result<(), BadAction> {
    match port {
        PortNo::IN_PORT | PortNo::ALL | PortNo::FLOOD | PortNo::CONTROLLER | PortNo::LOCAL => {
            Ok(())
        }
        PortNo::TABLE if context == Context::PacketOut => Ok(()),
        port if port.is_physical() => Ok(()),
        _ => Err(BadAction::BadOutPort),
    }
}

fn set_field(known: Option<&mut Pattern>, oxm: &Oxm) -> Result<(), BadAction> {
    let (Some(field), Some(content)) = (oxm.field(), oxm.to_bits()) else {
        return Err(BadAction::BadSetType);
    };
    let place = place_of(field).filter(|place| is_settable(*place)).ok_or(BadAction::BadSetType)?;
    if content.mask.is_some()
        || content.value.checked_shr(place.bits.into()).is_some_and(|high| high != 0)
    {
        return Err(BadAction::BadSetArgument);
    }
    // A tag's id is written with the "there is a tag" bit (1.3.5, 7.2.5).
    if place == f::VLAN_VID && content.value & u128::from(VID_PRESENT) == 0 {
        return Err(BadAction::BadSetArgument);
    }
    let needs_tag = matches!(place, f::VLAN_VID | f::VLAN_PCP);
    match known {
        Some(pattern) if needs_tag && !is_tagged(pattern) => Err(BadAction::MatchInconsistent),
        Some(pattern) if !needs_tag && !prerequisites_hold(pattern, place) => {
            Err(BadAction::MatchInconsistent)
        }
        _ => Ok(()),
    }
}

fn is_tagged(pattern: &Pattern) -> bool {
    prerequisites_hold(pattern, f::VLAN_PCP)
}

/// What is known of the outermost tag after a push or pop: that there is one, or nothing.
fn set_tagged(known: Option<&mut Pattern>, tagged: bool) {
    if let Some(pattern) = known {
        let bits = if tagged { u64::from(VID_PRESENT) } else { 0 };
        pattern.mask.set_u64(f::VLAN_VID, bits);
        pattern.value.set_u64(f::VLAN_VID, bits);
    }
}
