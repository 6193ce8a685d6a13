//! What the specification forbids beyond what bytes can show: values and masks of match fields,
//! prerequisites (1.3.5, 7.2.3.6 to 7.2.3.8), set-field's limits, the order of tables.
//!
//! Decoding doesn't ask for any of this, for a message must be understood before it can be
//! refused; whoever builds messages, or is a switch, calls `validate`.

use crate::action::{Action, ActionType};
use crate::error::{BadAction, BadInstruction, BadMatch, ErrorCode, GroupModFailed};
use crate::flow_match::Match;
use crate::id::{GroupId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::message::{Bucket, FlowMod, FlowModCommand, GroupMod, GroupModCommand, GroupType};
use crate::oxm::{Field, Masked, Oxm, OxmId, VlanVid};

/// What the specification forbids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A match has two conditions on a field.
    #[error("{field} is given twice")]
    Duplicate {
        /// The field.
        field: Field,
    },
    /// A value is too large for its field, or not one of those it may have.
    #[error("{field}={value:#x}, expected {expected}")]
    Value {
        /// The field.
        field: Field,
        /// Its value.
        value: u128,
        /// What it may be.
        expected: &'static str,
    },
    /// The field can't be masked.
    #[error("{field} can't have a mask")]
    Mask {
        /// The field.
        field: Field,
    },
    /// A value has bits that its mask leaves out.
    #[error("{field} has bits outside of its mask: {outside:#x}")]
    OutsideMask {
        /// The field.
        field: Field,
        /// Those bits.
        outside: u128,
    },
    /// A field means something only behind another one with a certain value.
    #[error("{field} needs {needs} before it")]
    Prerequisite {
        /// The field.
        field: Field,
        /// What must come before it.
        needs: &'static str,
    },
    /// A field that a frame's header doesn't have can't be set.
    #[error("{field} can't be set")]
    NotSettable {
        /// The field.
        field: Field,
    },
    /// A field is set that the frames this flow matches don't have.
    #[error("{field} is set where frames may not have it: match {needs}")]
    Inconsistent {
        /// The field.
        field: Field,
        /// What the match must say.
        needs: &'static str,
    },
    /// An action needs a header that the frames this flow matches may not have.
    #[error("{action} where frames may not have what it needs: match {needs}")]
    Inapplicable {
        /// The action.
        action: ActionType,
        /// What the match must say.
        needs: &'static str,
    },
    /// A set-field has a mask, or a value that its field can't have.
    #[error("set_field of {field}: {problem}")]
    SetField {
        /// The field.
        field: Field,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A frame can't be sent there.
    #[error("output to port {port}")]
    OutPort {
        /// Where to.
        port: PortNo,
    },
    /// A frame can't go on there.
    #[error("group {group} is no single group")]
    OutGroup {
        /// The group.
        group: GroupId,
    },
    /// A group has what groups of its type can't have.
    #[error("a group of type {group_type} with {problem}")]
    Group {
        /// The group's type.
        group_type: GroupType,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A header is pushed that there is not.
    #[error("{action} of ethertype {ethertype:#06x}, expected {expected}")]
    Ethertype {
        /// What is pushed.
        action: &'static str,
        /// Its ethertype.
        ethertype: u16,
        /// What it may be.
        expected: &'static str,
    },
    /// A flow goes back, or stays where it is.
    #[error("goto_table:{to} in table {from}, expected a later table")]
    Backwards {
        /// The flow's table.
        from: TableId,
        /// Where it goes.
        to: TableId,
    },
}

impl Invalid {
    /// The OpenFlow error that the specification has for this.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate { .. } => ErrorCode::BadMatch(BadMatch::DupField),
            Self::Value { .. } => ErrorCode::BadMatch(BadMatch::BadValue),
            Self::Mask { .. } => ErrorCode::BadMatch(BadMatch::BadMask),
            Self::OutsideMask { .. } => ErrorCode::BadMatch(BadMatch::BadWildcards),
            Self::Prerequisite { .. } => ErrorCode::BadMatch(BadMatch::BadPrereq),
            Self::NotSettable { .. } => ErrorCode::BadAction(BadAction::BadSetType),
            Self::Inconsistent { .. } | Self::Inapplicable { .. } => {
                ErrorCode::BadAction(BadAction::MatchInconsistent)
            }
            Self::SetField { .. } => ErrorCode::BadAction(BadAction::BadSetArgument),
            Self::OutPort { .. } => ErrorCode::BadAction(BadAction::BadOutPort),
            Self::OutGroup { .. } => ErrorCode::BadAction(BadAction::BadOutGroup),
            Self::Group { .. } => ErrorCode::GroupModFailed(GroupModFailed::InvalidGroup),
            Self::Ethertype { .. } => ErrorCode::BadAction(BadAction::BadArgument),
            Self::Backwards { .. } => ErrorCode::BadInstruction(BadInstruction::BadTableId),
        }
    }
}

/// What is known of the frames: what a match says, and what actions changed.
#[derive(Clone, Copy, Default)]
struct Frames {
    in_port: bool,
    /// VLAN tags that are there for sure.
    tags: usize,
    ethertype: Option<u64>,
    proto: Option<u64>,
    icmpv6: Option<u64>,
}

impl Frames {
    fn learn(&mut self, field: Field, content: Masked<u128>) {
        let exact = content.mask.is_none().then_some(content.value as u64);
        match field {
            Field::InPort => self.in_port = true,
            Field::VlanVid => {
                // Present must be among the bits that count, and set.
                let mask = content.mask.unwrap_or(u128::MAX);
                let tagged = content.value & mask & u128::from(VlanVid::PRESENT.0) != 0;
                self.tags = if tagged { self.tags.max(1) } else { 0 };
            }
            Field::EthType => self.ethertype = exact,
            Field::IpProto => self.proto = exact,
            Field::Icmpv6Type => self.icmpv6 = exact,
            _ => {}
        }
    }

    /// What must be known before `field` means something, if it isn't.
    fn missing(&self, field: Field) -> Option<&'static str> {
        let ethertype =
            |any: &[u64]| self.ethertype.is_some_and(|ethertype| any.contains(&ethertype));
        let ip = |proto| ethertype(&[0x0800, 0x86dd]) && self.proto == Some(proto);
        let nd = |kind: &[u64]| {
            ethertype(&[0x86dd])
                && self.proto == Some(58)
                && self.icmpv6.is_some_and(|icmp| kind.contains(&icmp))
        };
        let (known, needs) = match field {
            Field::InPhyPort => (self.in_port, "in_port"),
            Field::VlanPcp => (self.tags > 0, "vlan_vid with a tag"),
            Field::IpDscp | Field::IpEcn | Field::IpProto => {
                (ethertype(&[0x0800, 0x86dd]), "eth_type=0x0800 or 0x86dd")
            }
            Field::Ipv4Src | Field::Ipv4Dst => (ethertype(&[0x0800]), "eth_type=0x0800"),
            Field::TcpSrc | Field::TcpDst => (ip(6), "ip_proto=6"),
            Field::UdpSrc | Field::UdpDst => (ip(17), "ip_proto=17"),
            Field::SctpSrc | Field::SctpDst => (ip(132), "ip_proto=132"),
            Field::Icmpv4Type | Field::Icmpv4Code => {
                (ethertype(&[0x0800]) && self.proto == Some(1), "eth_type=0x0800 and ip_proto=1")
            }
            Field::ArpOp | Field::ArpSpa | Field::ArpTpa | Field::ArpSha | Field::ArpTha => {
                (ethertype(&[0x0806]), "eth_type=0x0806")
            }
            Field::Ipv6Src | Field::Ipv6Dst | Field::Ipv6Flabel | Field::Ipv6Exthdr => {
                (ethertype(&[0x86dd]), "eth_type=0x86dd")
            }
            Field::Icmpv6Type | Field::Icmpv6Code => {
                (ethertype(&[0x86dd]) && self.proto == Some(58), "eth_type=0x86dd and ip_proto=58")
            }
            Field::Ipv6NdTarget => (nd(&[135, 136]), "icmpv6_type=135 or 136"),
            Field::Ipv6NdSll => (nd(&[135]), "icmpv6_type=135"),
            Field::Ipv6NdTll => (nd(&[136]), "icmpv6_type=136"),
            Field::MplsLabel | Field::MplsTc | Field::MplsBos => {
                (ethertype(&[0x8847, 0x8848]), "eth_type=0x8847 or 0x8848")
            }
            Field::PbbIsid => (ethertype(&[0x88e7]), "eth_type=0x88e7"),
            _ => return None,
        };
        (!known).then_some(needs)
    }
}

/// The bits of a field that count.
fn counting(field: Field) -> u128 {
    u128::MAX >> (128 - field.bits().unwrap_or(128))
}

impl Match {
    /// Whether a switch that follows the specification can take this match: no field twice,
    /// masks only where they are allowed, no bits outside of them, values that fit, and the
    /// prerequisites of each field before it. Experimenters' and unknown fields pass.
    ///
    /// ```
    /// use openflow::Match;
    /// assert!(Match::new().eth_type(0x0800).ip_proto(6).tcp_dst(80).validate().is_ok());
    /// let error = Match::new().tcp_dst(80).validate().unwrap_err();
    /// assert_eq!(error.to_string(), "tcp_dst needs ip_proto=6 before it");
    /// assert_eq!(error.code().name(), Some("OFPBMC_BAD_PREREQ"));
    /// ```
    ///
    /// # Errors
    /// The first thing that is forbidden.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.frames().map(|_| ())
    }

    fn frames(&self) -> Result<Frames, Invalid> {
        let mut frames = Frames::default();
        let mut seen = 0u64;
        for oxm in self.fields() {
            let (Some(field), Some(content)) = (oxm.field(), oxm.to_bits()) else { continue };
            let bit = 1u64 << u8::from(field);
            if seen & bit != 0 {
                return Err(Invalid::Duplicate { field });
            }
            seen |= bit;
            check_condition(field, content)?;
            if let Some(needs) = frames.missing(field) {
                return Err(Invalid::Prerequisite { field, needs });
            }
            frames.learn(field, content);
        }
        Ok(frames)
    }
}

fn check_condition(field: Field, Masked { value, mask }: Masked<u128>) -> Result<(), Invalid> {
    if value & !counting(field) != 0 {
        return Err(Invalid::Value { field, value, expected: "no more bits than the field has" });
    }
    if let Some(mask) = mask {
        if !field.maskable() {
            return Err(Invalid::Mask { field });
        }
        let outside = value & !mask;
        if outside != 0 {
            return Err(Invalid::OutsideMask { field, outside });
        }
        if mask & !counting(field) != 0 {
            return Err(Invalid::Value {
                field,
                value: mask,
                expected: "a mask of no more bits than the field has",
            });
        }
    } else if field == Field::VlanVid && value != 0 && value & u128::from(VlanVid::PRESENT.0) == 0 {
        return Err(Invalid::Value {
            field,
            value,
            expected: "0 for no tag, or 0x1000 added to the VLAN id",
        });
    }
    Ok(())
}

impl FlowMod {
    /// Whether a switch that follows the specification can take this flow: its match, its
    /// actions on what it matches, and that it goes to a later table.
    ///
    /// ```
    /// use openflow::{Action, FlowMod, Instruction, Match, Oxm};
    /// let set = Instruction::apply([Action::SetField(Oxm::tcp_dst(8080)), Action::output(1)]);
    /// let tcp = Match::new().eth_type(0x0800).ip_proto(6);
    /// assert!(FlowMod::add(0).matching(tcp).instruction(set.clone()).validate().is_ok());
    /// let error = FlowMod::add(0).instruction(set).validate().unwrap_err();
    /// assert_eq!(error.code().name(), Some("OFPBAC_MATCH_INCONSISTENT"));
    /// ```
    ///
    /// # Errors
    /// The first thing that is forbidden.
    pub fn validate(&self) -> Result<(), Invalid> {
        let frames = self.match_.frames()?;
        let deletes = matches!(self.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        if deletes {
            return Ok(()); // instructions don't count (1.3.5, 6.4)
        }
        for instruction in &self.instructions {
            match instruction {
                Instruction::GotoTable(to) if *to <= self.table_id || *to > TableId::MAX => {
                    return Err(Invalid::Backwards { from: self.table_id, to: *to });
                }
                Instruction::ApplyActions(actions) => {
                    let mut frames = frames;
                    actions.iter().try_for_each(|action| check_action(action, &mut frames))?;
                }
                // A set is carried out in an order of its own, on frames that later tables may change.
                Instruction::WriteActions(actions) => check_set(actions)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl GroupMod {
    /// Whether a switch that follows the specification can take this group: weights in select
    /// groups alone, one bucket in indirect ones, and actions that can be.
    ///
    /// ```
    /// use openflow::{Action, Bucket, GroupMod, GroupType};
    /// let shares = |kind| GroupMod::add(kind, 1).bucket(Bucket::new([Action::output(1)]).weight(2));
    /// assert!(shares(GroupType::Select).validate().is_ok());
    /// let error = shares(GroupType::All).validate().unwrap_err();
    /// assert_eq!(error.to_string(), "a group of type all with a weight");
    /// assert_eq!(error.code().name(), Some("OFPGMFC_INVALID_GROUP"));
    /// ```
    ///
    /// # Errors
    /// The first thing that is forbidden.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.command == GroupModCommand::Delete {
            return Ok(()); // buckets don't count (1.3.5, 6.5)
        }
        let group_type = self.group_type;
        let weighs = self.buckets.iter().any(|bucket| bucket.weight != 0);
        let problem = match group_type {
            GroupType::All | GroupType::Indirect | GroupType::FastFailover if weighs => "a weight",
            GroupType::Indirect if self.buckets.len() != 1 => "other than one bucket",
            _ => "",
        };
        if !problem.is_empty() {
            return Err(Invalid::Group { group_type, problem });
        }
        self.buckets.iter().try_for_each(Bucket::validate)
    }
}

impl Bucket {
    /// Whether a switch that follows the specification can take these actions.
    ///
    /// # Errors
    /// The first thing that is forbidden.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_set(&self.actions)
    }
}

/// Actions on frames of which nothing is known.
fn check_set(actions: &[Action]) -> Result<(), Invalid> {
    actions.iter().try_for_each(|action| match check_action(action, &mut Frames::default()) {
        Err(Invalid::Inconsistent { .. } | Invalid::Inapplicable { .. }) => Ok(()),
        other => other,
    })
}

fn check_action(action: &Action, frames: &mut Frames) -> Result<(), Invalid> {
    match action {
        Action::Output { port, .. } => {
            let nowhere = *port == PortNo::ANY
                || port.0 == 0
                || *port > PortNo::MAX && *port < PortNo::IN_PORT;
            if nowhere { Err(Invalid::OutPort { port: *port }) } else { Ok(()) }
        }
        Action::Group(group) if *group > GroupId::MAX => Err(Invalid::OutGroup { group: *group }),
        Action::PushVlan(ethertype) => {
            frames.tags += 1;
            pushed("push_vlan", *ethertype, &[0x8100, 0x88a8], "0x8100 or 0x88a8")
        }
        Action::PopVlan => {
            needs(action, frames.tags > 0, "vlan_vid with a tag")?;
            frames.tags -= 1;
            Ok(())
        }
        Action::PushMpls(ethertype) => {
            frames.ethertype = Some((*ethertype).into());
            frames.proto = None;
            pushed("push_mpls", *ethertype, &[0x8847, 0x8848], "0x8847 or 0x8848")
        }
        Action::SetMplsTtl(_) | Action::DecMplsTtl => needs_ethertype(action, frames, MPLS),
        Action::SetNwTtl(_) | Action::DecNwTtl => needs_ethertype(action, frames, IP),
        Action::PopPbb => needs_ethertype(action, frames, PBB),
        Action::PopMpls(ethertype) => {
            needs_ethertype(action, frames, MPLS)?;
            frames.ethertype = Some((*ethertype).into());
            Ok(())
        }
        Action::PushPbb(ethertype) => {
            frames.ethertype = Some((*ethertype).into());
            pushed("push_pbb", *ethertype, &[0x88e7], "0x88e7")
        }
        Action::SetField(oxm) => check_set_field(oxm, frames),
        _ => Ok(()),
    }
}

/// Ethertypes, any of which will do, and how a match says so.
type Ethertypes = (&'static [u64], &'static str);
const IP: Ethertypes = (&[0x0800, 0x86dd], "eth_type=0x0800 or 0x86dd");
const MPLS: Ethertypes = (&[0x8847, 0x8848], "eth_type=0x8847 or 0x8848");
const PBB: Ethertypes = (&[0x88e7], "eth_type=0x88e7");

fn needs_ethertype(
    action: &Action,
    frames: &Frames,
    (any, text): Ethertypes,
) -> Result<(), Invalid> {
    needs(action, frames.ethertype.is_some_and(|ethertype| any.contains(&ethertype)), text)
}

fn needs(action: &Action, known: bool, needs: &'static str) -> Result<(), Invalid> {
    if known { Ok(()) } else { Err(Invalid::Inapplicable { action: action.action_type(), needs }) }
}

fn pushed(
    action: &'static str,
    ethertype: u16,
    any: &[u16],
    expected: &'static str,
) -> Result<(), Invalid> {
    if any.contains(&ethertype) {
        Ok(())
    } else {
        Err(Invalid::Ethertype { action, ethertype, expected })
    }
}

fn check_set_field(oxm: &Oxm, frames: &mut Frames) -> Result<(), Invalid> {
    let (Some(field), Some(content)) = (oxm.field(), oxm.to_bits()) else { return Ok(()) };
    if matches!(field, Field::InPort | Field::InPhyPort | Field::Metadata) {
        return Err(Invalid::NotSettable { field });
    }
    if content.mask.is_some() {
        return Err(Invalid::SetField { field, problem: "a mask isn't allowed" });
    }
    if content.value & !counting(field) != 0 {
        return Err(Invalid::SetField { field, problem: "more bits than the field has" });
    }
    // Only a tag that is there has an id.
    let untagged = field == Field::VlanVid && frames.tags == 0;
    let needs = if untagged { Some("vlan_vid with a tag") } else { frames.missing(field) };
    if let Some(needs) = needs {
        return Err(Invalid::Inconsistent { field, needs });
    }
    if field == Field::VlanVid && content.value & u128::from(VlanVid::PRESENT.0) == 0 {
        return Err(Invalid::SetField {
            field,
            problem: "bit 12, which says that there is a tag, isn't set",
        });
    }
    frames.learn(field, content);
    Ok(())
}

impl OxmId {
    /// Whether the specification allows a mask on this field; unknown fields may have one.
    #[must_use]
    pub fn maskable(&self) -> bool {
        self.named().is_none_or(Field::maskable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MacAddr;

    fn code(result: Result<(), Invalid>) -> Option<&'static str> {
        result.err().and_then(|error| error.code().name())
    }

    #[test]
    fn matches_are_refused_for_what_the_specification_forbids() {
        let ip = || Match::new().eth_type(0x0800);
        let twice = Match::from(vec![Oxm::in_port(1), Oxm::in_port(2)]);
        let masked = |field, value, mask| {
            Match::from(vec![Oxm::from_bits(field, Masked::in_bits(value, mask)).unwrap()])
        };
        let cases = [
            ("nothing", Match::new(), None),
            ("a TCP port", ip().ip_proto(6).tcp_dst(80), None),
            ("a field that came from elsewhere", Match::from(vec![Oxm::Other(raw())]), None),
            (
                "any tag",
                Match::new().vlan_vid_masked(VlanVid::PRESENT, VlanVid::PRESENT).vlan_pcp(3),
                None,
            ),
            (
                "a priority without a tag",
                Match::new().vlan_vid(VlanVid::NONE).vlan_pcp(3),
                Some("OFPBMC_BAD_PREREQ"),
            ),
            ("a TCP port without TCP", ip().tcp_dst(80), Some("OFPBMC_BAD_PREREQ")),
            ("a TCP port in UDP", ip().ip_proto(17).tcp_dst(80), Some("OFPBMC_BAD_PREREQ")),
            (
                "prerequisites behind",
                Match::new().ipv4_src([1, 2, 3, 4]).eth_type(0x0800),
                Some("OFPBMC_BAD_PREREQ"),
            ),
            ("a field twice", twice, Some("OFPBMC_DUP_FIELD")),
            (
                "a VLAN without its bit",
                Match::new().vlan_vid(VlanVid(100)),
                Some("OFPBMC_BAD_VALUE"),
            ),
            ("a code point too large", ip().ip_dscp(64), Some("OFPBMC_BAD_VALUE")),
            (
                "a mask where none may be",
                masked(Field::EthType, 0x0800, 0xff00),
                Some("OFPBMC_BAD_MASK"),
            ),
            ("bits outside a mask", masked(Field::Metadata, 3, 2), Some("OFPBMC_BAD_WILDCARDS")),
        ];
        for (name, match_, want) in cases {
            assert_eq!(code(match_.validate()), want, "{name}");
        }
    }

    fn raw() -> crate::oxm::OxmRaw {
        crate::oxm::OxmRaw {
            class: 1,
            field: 2,
            has_mask: false,
            data: bytes::Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn actions_are_refused_for_what_the_specification_forbids() {
        let vid = || Action::set_vlan_vid(VlanVid::tagged(5));
        let cases = [
            ("a new tag's id", vec![Action::push_vlan(), vid(), Action::output(1)], None),
            ("the id of no tag", vec![vid()], Some("OFPBAC_MATCH_INCONSISTENT")),
            (
                "the id of a tag that went",
                vec![Action::push_vlan(), Action::PopVlan, vid()],
                Some("OFPBAC_MATCH_INCONSISTENT"),
            ),
            (
                "a tag that may not be there",
                vec![Action::PopVlan],
                Some("OFPBAC_MATCH_INCONSISTENT"),
            ),
            (
                "a TTL that may not be there",
                vec![Action::DecNwTtl],
                Some("OFPBAC_MATCH_INCONSISTENT"),
            ),
            (
                "a new label's TTL",
                vec![
                    Action::PushMpls(0x8847),
                    Action::SetMplsTtl(9),
                    Action::PopMpls(0x0800),
                    Action::DecNwTtl,
                ],
                None,
            ),
            ("a MAC", vec![Action::SetField(Oxm::eth_src(MacAddr::ZERO))], None),
            ("metadata", vec![Action::SetField(Oxm::metadata(1))], Some("OFPBAC_BAD_SET_TYPE")),
            (
                "with a mask",
                vec![Action::SetField(Oxm::tunnel_id_masked(1, 1))],
                Some("OFPBAC_BAD_SET_ARGUMENT"),
            ),
            ("to nowhere", vec![Action::output(PortNo::ANY)], Some("OFPBAC_BAD_OUT_PORT")),
            ("back", vec![Action::output(PortNo::IN_PORT)], None),
            ("all groups", vec![Action::group(GroupId::ALL)], Some("OFPBAC_BAD_OUT_GROUP")),
            ("a strange tag", vec![Action::PushVlan(0x0800)], Some("OFPBAC_BAD_ARGUMENT")),
        ];
        for (name, actions, want) in cases {
            let flow = FlowMod::add(0).instruction(Instruction::ApplyActions(actions));
            assert_eq!(code(flow.validate()), want, "{name}");
        }
    }

    #[test]
    fn flows_go_forward() {
        for (to, want) in [
            (2, None),
            (1, Some("OFPBIC_BAD_TABLE_ID")),
            (0, Some("OFPBIC_BAD_TABLE_ID")),
            (255, Some("OFPBIC_BAD_TABLE_ID")),
        ] {
            assert_eq!(
                code(FlowMod::add(1).instruction(Instruction::goto(to)).validate()),
                want,
                "{to}"
            );
        }
    }
}
