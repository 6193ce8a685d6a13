//! What happens to a frame (1.3.5, 7.2.5).
//!
//! type u16 | length u16, a multiple of 8 | …

use bytes::Bytes;

use crate::id::{GroupId, NO_BUFFER, PortNo, QueueId};
use crate::oxm::{Oxm, VlanVid};
use crate::wire::{DecodeErrorKind, Failure, Reader, Scope, Writer};

wire_enum! {
    /// What an action does (`ofp_action_type`).
    pub enum ActionType: u16 {
        /// Sends the frame.
        Output = 0 => "output",
        /// Copies the TTL from the second-outermost header to the outermost.
        CopyTtlOut = 11 => "copy_ttl_out",
        /// Copies the TTL from the outermost header to the second-outermost.
        CopyTtlIn = 12 => "copy_ttl_in",
        /// Sets the MPLS TTL.
        SetMplsTtl = 15 => "set_mpls_ttl",
        /// Decrements the MPLS TTL.
        DecMplsTtl = 16 => "dec_mpls_ttl",
        /// Adds a VLAN tag.
        PushVlan = 17 => "push_vlan",
        /// Takes the outermost VLAN tag off.
        PopVlan = 18 => "pop_vlan",
        /// Adds an MPLS header.
        PushMpls = 19 => "push_mpls",
        /// Takes the outermost MPLS header off.
        PopMpls = 20 => "pop_mpls",
        /// Chooses the queue for output.
        SetQueue = 21 => "set_queue",
        /// Goes on in a group.
        Group = 22 => "group",
        /// Sets the IP TTL.
        SetNwTtl = 23 => "set_nw_ttl",
        /// Decrements the IP TTL.
        DecNwTtl = 24 => "dec_nw_ttl",
        /// Sets a field.
        SetField = 25 => "set_field",
        /// Adds a backbone bridge's header.
        PushPbb = 26 => "push_pbb",
        /// Takes a backbone bridge's header off.
        PopPbb = 27 => "pop_pbb",
        /// Whatever an experimenter defined.
        Experimenter = 0xffff => "experimenter",
    }
}

/// One step of what happens to a frame.
///
/// ```
/// use openflow::{Action, PortNo, VlanVid};
/// let tag_and_send =
///     [Action::push_vlan(), Action::set_vlan_vid(VlanVid::tagged(100)), Action::output(2)];
/// let to_controller = Action::controller();
/// assert_eq!(to_controller, Action::Output { port: PortNo::CONTROLLER, max_len: 0xffff });
/// # let _ = tag_and_send;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Action {
    /// Sends the frame out of a port.
    Output {
        /// Where to.
        port: PortNo,
        /// For the controller: bytes of the frame to send, [`NO_BUFFER`] for all. Else ignored.
        max_len: u16,
    },
    /// Copies the TTL from the second-outermost header to the outermost.
    CopyTtlOut,
    /// Copies the TTL from the outermost header to the second-outermost.
    CopyTtlIn,
    /// Sets the MPLS TTL.
    SetMplsTtl(u8),
    /// Decrements the MPLS TTL.
    DecMplsTtl,
    /// Adds a VLAN tag of this ethertype (`0x8100` or `0x88a8`).
    PushVlan(u16),
    /// Takes the outermost VLAN tag off.
    PopVlan,
    /// Adds an MPLS header of this ethertype (`0x8847` or `0x8848`).
    PushMpls(u16),
    /// Takes the outermost MPLS header off; the ethertype of what is below.
    PopMpls(u16),
    /// Chooses the queue for output.
    SetQueue(QueueId),
    /// Goes on in a group.
    Group(GroupId),
    /// Sets the IP TTL.
    SetNwTtl(u8),
    /// Decrements the IP TTL.
    DecNwTtl,
    /// Sets a field; the specification allows no mask here.
    SetField(Oxm),
    /// Adds a backbone bridge's header of this ethertype (`0x88e7`).
    PushPbb(u16),
    /// Takes a backbone bridge's header off.
    PopPbb,
    /// Whatever an experimenter defined.
    Experimenter {
        /// Who the experimenter is.
        experimenter: u32,
        /// All behind the id; its end is padded with zeros to a multiple of 8.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
    /// An action that the specification doesn't name, as it came.
    Other {
        /// The action's type.
        kind: u16,
        /// All behind the length; its end is padded with zeros to 4 more than a multiple of 8.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
}

impl Action {
    /// Sends the frame out of a port; all of it, if that is the controller.
    #[must_use]
    pub fn output(port: impl Into<PortNo>) -> Self {
        Self::Output { port: port.into(), max_len: NO_BUFFER }
    }

    /// Sends the whole frame to the controllers, unbuffered.
    #[must_use]
    pub fn controller() -> Self {
        Self::output(PortNo::CONTROLLER)
    }

    /// Goes on in a group.
    #[must_use]
    pub fn group(group: impl Into<GroupId>) -> Self {
        Self::Group(group.into())
    }

    /// Adds an 802.1Q tag; set its VLAN id next.
    #[must_use]
    pub const fn push_vlan() -> Self {
        Self::PushVlan(0x8100)
    }

    /// Sets the VLAN id of the outermost tag.
    #[must_use]
    pub fn set_vlan_vid(vid: VlanVid) -> Self {
        Self::SetField(Oxm::vlan_vid(vid))
    }

    /// Sets a field, such as `Oxm::eth_dst([2, 0, 0, 0, 0, 1])`.
    #[must_use]
    pub const fn set_field(field: Oxm) -> Self {
        Self::SetField(field)
    }

    /// What this action does.
    #[must_use]
    pub fn action_type(&self) -> ActionType {
        match self {
            Self::Output { .. } => ActionType::Output,
            Self::CopyTtlOut => ActionType::CopyTtlOut,
            Self::CopyTtlIn => ActionType::CopyTtlIn,
            Self::SetMplsTtl(_) => ActionType::SetMplsTtl,
            Self::DecMplsTtl => ActionType::DecMplsTtl,
            Self::PushVlan(_) => ActionType::PushVlan,
            Self::PopVlan => ActionType::PopVlan,
            Self::PushMpls(_) => ActionType::PushMpls,
            Self::PopMpls(_) => ActionType::PopMpls,
            Self::SetQueue(_) => ActionType::SetQueue,
            Self::Group(_) => ActionType::Group,
            Self::SetNwTtl(_) => ActionType::SetNwTtl,
            Self::DecNwTtl => ActionType::DecNwTtl,
            Self::SetField(_) => ActionType::SetField,
            Self::PushPbb(_) => ActionType::PushPbb,
            Self::PopPbb => ActionType::PopPbb,
            Self::Experimenter { .. } => ActionType::Experimenter,
            Self::Other { kind, .. } => ActionType::from(*kind),
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        let kind: u16 = self.action_type().into();
        let start = out.len();
        match self {
            Self::Output { port, max_len } => out.block::<16>(|block| {
                block.u16(kind);
                block.u16(16);
                block.u32(port.0);
                block.u16(*max_len);
                block.pad(6);
            }),
            Self::CopyTtlOut
            | Self::CopyTtlIn
            | Self::DecMplsTtl
            | Self::PopVlan
            | Self::DecNwTtl
            | Self::PopPbb => short(kind, [0; 4], out),
            Self::SetMplsTtl(ttl) | Self::SetNwTtl(ttl) => short(kind, [*ttl, 0, 0, 0], out),
            Self::PushVlan(ethertype)
            | Self::PushMpls(ethertype)
            | Self::PopMpls(ethertype)
            | Self::PushPbb(ethertype) => {
                let [high, low] = ethertype.to_be_bytes();
                short(kind, [high, low, 0, 0], out);
            }
            Self::SetQueue(QueueId(id)) | Self::Group(GroupId(id)) => {
                short(kind, id.to_be_bytes(), out)
            }
            Self::SetField(field) => {
                out.u16(kind);
                out.u16(0);
                field.encode(out);
                out.align(start);
                out.patch_len(start + 2, start);
            }
            Self::Experimenter { experimenter, data } => {
                out.u16(kind);
                out.u16(0);
                out.u32(*experimenter);
                out.bytes(data);
                out.align(start);
                out.patch_len(start + 2, start);
            }
            Self::Other { data, .. } => {
                out.u16(kind);
                out.u16(0);
                out.bytes(data);
                out.align(start);
                out.patch_len(start + 2, start);
            }
        }
    }

    pub(crate) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let (kind, mut body) = list.aligned("action length")?;
        let end = |body: &mut Reader<'_>, pad| {
            body.skip(pad, "action padding")?;
            body.finish("action")
        };
        let action = match ActionType::from(kind) {
            ActionType::Output => {
                let port = PortNo(body.u32("output port")?);
                let max_len = body.u16("output max_len")?;
                end(&mut body, 6)?;
                Self::Output { port, max_len }
            }
            ActionType::CopyTtlOut => end(&mut body, 4).map(|()| Self::CopyTtlOut)?,
            ActionType::CopyTtlIn => end(&mut body, 4).map(|()| Self::CopyTtlIn)?,
            ActionType::DecMplsTtl => end(&mut body, 4).map(|()| Self::DecMplsTtl)?,
            ActionType::PopVlan => end(&mut body, 4).map(|()| Self::PopVlan)?,
            ActionType::DecNwTtl => end(&mut body, 4).map(|()| Self::DecNwTtl)?,
            ActionType::PopPbb => end(&mut body, 4).map(|()| Self::PopPbb)?,
            ActionType::SetMplsTtl => {
                let ttl = body.u8("mpls_ttl")?;
                end(&mut body, 3).map(|()| Self::SetMplsTtl(ttl))?
            }
            ActionType::SetNwTtl => {
                let ttl = body.u8("nw_ttl")?;
                end(&mut body, 3).map(|()| Self::SetNwTtl(ttl))?
            }
            ActionType::PushVlan => Self::PushVlan(Self::ethertype(&mut body)?),
            ActionType::PushMpls => Self::PushMpls(Self::ethertype(&mut body)?),
            ActionType::PopMpls => Self::PopMpls(Self::ethertype(&mut body)?),
            ActionType::PushPbb => Self::PushPbb(Self::ethertype(&mut body)?),
            ActionType::SetQueue => {
                let queue = QueueId(body.u32("queue_id")?);
                end(&mut body, 0).map(|()| Self::SetQueue(queue))?
            }
            ActionType::Group => {
                let group = GroupId(body.u32("group_id")?);
                end(&mut body, 0).map(|()| Self::Group(group))?
            }
            ActionType::SetField => Self::decode_set_field(body.scoped(Scope::SetField))?,
            ActionType::Experimenter => {
                let experimenter = body.u32("action experimenter")?;
                Self::Experimenter { experimenter, data: body.remainder() }
            }
            ActionType::Other(kind) => Self::Other { kind, data: body.remainder() },
        };
        Ok(action)
    }

    fn ethertype(body: &mut Reader<'_>) -> Result<u16, Failure> {
        let ethertype = body.u16("ethertype")?;
        body.skip(2, "action padding")?;
        body.finish("action")?;
        Ok(ethertype)
    }

    fn decode_set_field(mut body: Reader<'_>) -> Result<Self, Failure> {
        let field = Oxm::decode(&mut body)?;
        let extra = body.left();
        if extra >= 8 {
            return Err(body.error("set_field", DecodeErrorKind::Trailing { extra }));
        }
        Ok(Self::SetField(field))
    }

    /// A list that ends where `body` does.
    pub(crate) fn decode_list(body: Reader<'_>) -> Result<Vec<Self>, Failure> {
        body.scoped(Scope::Action).many(Self::decode)
    }

    pub(crate) fn encode_list(list: &[Self], out: &mut Writer<'_>) {
        for action in list {
            action.encode(out);
        }
    }
}

/// An action of 8 bytes.
fn short(kind: u16, content: [u8; 4], out: &mut Writer<'_>) {
    out.block::<8>(|block| {
        block.u16(kind);
        block.u16(8);
        block.bytes(content);
    });
}
