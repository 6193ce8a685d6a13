//! Actions and instructions: `meter:3,push_vlan:0x8100,output:2,goto_table:4`.

use std::fmt;

use super::flow_match::{Content, set_name};
use super::{AltHex, Hex, Joined};
use crate::action::Action;
use crate::id::PortNo;
use crate::instruction::{Instruction, InstructionType};
use crate::oxm::{Masked, Oxm};

/// As `ovs-ofctl` prints it; what it doesn't know has the specification's name.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { port: PortNo::CONTROLLER, max_len } => write!(f, "CONTROLLER:{max_len}"),
            Self::Output { port: PortNo::ANY, .. } => f.write_str("output:ANY"),
            Self::Output { port, .. } if port.reserved_name().is_some() => write!(f, "{port}"),
            Self::Output { port, .. } => write!(f, "output:{port}"),
            Self::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
            Self::PushVlan(ethertype) => write!(f, "push_vlan:{ethertype:#06x}"),
            Self::PushMpls(ethertype) => write!(f, "push_mpls:{ethertype:#06x}"),
            Self::PopMpls(ethertype) => write!(f, "pop_mpls:{ethertype:#06x}"),
            Self::PushPbb(ethertype) => write!(f, "push_pbb:{ethertype:#06x}"),
            Self::SetQueue(queue) => write!(f, "set_queue:{}", queue.0),
            Self::Group(group) => write!(f, "group:{}", group.0),
            Self::SetNwTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
            Self::DecNwTtl => f.write_str("dec_ttl"),
            Self::SetField(Oxm::IpDscp(dscp)) => write!(f, "set_field:{}->ip_dscp", dscp.value),
            // A match has its five digits.
            Self::SetField(Oxm::Ipv6Flabel(Masked { value, mask: None })) => {
                write!(f, "set_field:{}->ipv6_label", AltHex((*value).into()))
            }
            Self::SetField(field) => write!(f, "set_field:{}->{}", Content(field), set_name(field)),
            Self::Experimenter { experimenter, data } => {
                write!(f, "experimenter({experimenter:#010x},{})", Hex(data))
            }
            Self::Other { kind, data } => write!(f, "action({kind},{})", Hex(data)),
            plain => write!(f, "{}", plain.action_type()),
        }
    }
}

/// A list of actions, as `ovs-ofctl` prints it: `drop` if there are none.
pub(crate) struct Actions<'a>(pub(crate) &'a [Action]);

impl fmt::Display for Actions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("drop") } else { Joined(self.0, ",").fmt(f) }
    }
}

/// As `ovs-ofctl` prints it: actions to apply stand alone.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GotoTable(table) => write!(f, "goto_table:{}", table.0),
            Self::WriteMetadata { metadata, mask: u64::MAX } => {
                write!(f, "write_metadata:{}", AltHex(*metadata))
            }
            Self::WriteMetadata { metadata, mask } => {
                write!(f, "write_metadata:{}/{}", AltHex(*metadata), AltHex(*mask))
            }
            Self::WriteActions(actions) => write!(f, "write_actions({})", Actions(actions)),
            Self::ApplyActions(actions) => Joined(actions, ",").fmt(f),
            Self::ClearActions(_) => f.write_str("clear_actions"),
            Self::Meter(meter) => write!(f, "meter:{}", meter.0),
            Self::Experimenter { experimenter, data } => {
                write!(f, "experimenter_instruction({experimenter:#010x},{})", Hex(data))
            }
            Self::Other { kind, data } => write!(f, "instruction({kind},{})", Hex(data)),
        }
    }
}

/// A flow's instructions in the order in which they are carried out (1.3.5, 5.9).
pub(crate) struct Instructions<'a>(pub(crate) &'a [Instruction]);

impl fmt::Display for Instructions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = |instruction: &&Instruction| match instruction.instruction_type() {
            InstructionType::Meter => 0,
            InstructionType::ApplyActions => 1,
            InstructionType::ClearActions => 2,
            InstructionType::WriteActions => 3,
            InstructionType::WriteMetadata => 4,
            InstructionType::Experimenter | InstructionType::Other(_) => 5,
            InstructionType::GotoTable => 6,
        };
        let empty = |instruction: &&Instruction| match instruction {
            Instruction::ApplyActions(actions) => !actions.is_empty(),
            _ => true,
        };
        let mut sorted: Vec<&Instruction> = self.0.iter().filter(empty).collect();
        sorted.sort_by_key(order);
        if sorted.is_empty() { f.write_str("drop") } else { Joined(&sorted, ",").fmt(f) }
    }
}
