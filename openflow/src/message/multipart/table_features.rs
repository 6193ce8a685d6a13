//! What each table can do (1.3.5, 7.3.5.5).

use bytes::Bytes;

use crate::action::ActionType;
use crate::id::TableId;
use crate::instruction::InstructionType;
use crate::message::Experimenter;
use crate::oxm::{Field, OxmId};
use crate::text::Text;
use crate::wire::{Failure, Reader, Scope, Writer};

/// What one table can do (`ofp_table_features`).
///
/// length u16 | table_id u8 | pad 5 | name 32 | metadata_match u64 | metadata_write u64 |
/// config u32 | max_entries u32 | properties …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TableFeatures {
    /// The table.
    pub table_id: TableId,
    /// Its name.
    pub name: Text<32>,
    /// Bits of the metadata it can match.
    pub metadata_match: u64,
    /// Bits of the metadata it can write.
    pub metadata_write: u64,
    /// Bits that 1.3 keeps for earlier versions.
    pub config: u32,
    /// How many flows it can hold.
    pub max_entries: u32,
    /// What its flows can do, in lists.
    pub properties: Vec<TableProperty>,
}

impl TableFeatures {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u16(0);
        out.u8(self.table_id.0);
        out.pad(5);
        self.name.encode(out);
        out.u64(self.metadata_match);
        out.u64(self.metadata_write);
        out.u32(self.config);
        out.u32(self.max_entries);
        for property in &self.properties {
            property.encode(out);
        }
        out.patch_len(start, start);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(0, 64, "table features length")?.scoped(Scope::TableFeatures);
        body.skip(2, "table features length")?;
        let table_id = TableId(body.u8("table_id")?);
        body.skip(5, "table features pad")?;
        Ok(Self {
            table_id,
            name: Text::decode(&mut body, "name")?,
            metadata_match: body.u64("metadata_match")?,
            metadata_write: body.u64("metadata_write")?,
            config: body.u32("config")?,
            max_entries: body.u32("max_entries")?,
            properties: body.many(TableProperty::decode)?,
        })
    }

    /// The instructions that the table's flows can have, the table-miss flow apart.
    pub fn instructions(&self) -> impl Iterator<Item = InstructionType> {
        self.properties
            .iter()
            .filter_map(|property| match property {
                TableProperty::Instructions(list) => Some(list),
                _ => None,
            })
            .flatten()
            .map(|id| id.kind)
    }

    /// The actions that the table's flows can apply, the table-miss flow apart.
    pub fn apply_actions(&self) -> impl Iterator<Item = ActionType> {
        self.properties
            .iter()
            .filter_map(|property| match property {
                TableProperty::ApplyActions(list) => Some(list),
                _ => None,
            })
            .flatten()
            .map(|id| id.kind)
    }

    /// The specification's fields that the table's flows can set by apply-actions.
    pub fn apply_set_fields(&self) -> impl Iterator<Item = Field> {
        self.properties
            .iter()
            .filter_map(|property| match property {
                TableProperty::ApplySetField(list) => Some(list),
                _ => None,
            })
            .flatten()
            .filter_map(OxmId::named)
    }

    /// The specification's fields that the table can match, and whether with any mask.
    pub fn match_fields(&self) -> impl Iterator<Item = (Field, bool)> {
        self.properties
            .iter()
            .filter_map(|property| match property {
                TableProperty::Match(list) => Some(list),
                _ => None,
            })
            .flatten()
            .filter_map(|id| id.named().map(|field| (field, id.has_mask)))
    }
}

/// An instruction's type, in a list of what a table can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct InstructionId {
    /// The instruction's type.
    pub kind: InstructionType,
    /// All behind the length; for an experimenter's, its id first. Else nothing.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

/// An action's type, in a list of what a table can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ActionId {
    /// The action's type.
    pub kind: ActionType,
    /// All behind the length; for an experimenter's, its id first. Else nothing.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

impl From<InstructionType> for InstructionId {
    fn from(kind: InstructionType) -> Self {
        Self { kind, data: Bytes::new() }
    }
}

impl From<ActionType> for ActionId {
    fn from(kind: ActionType) -> Self {
        Self { kind, data: Bytes::new() }
    }
}

/// type u16 | length u16 | data, for actions and instructions alike
fn id(list: &mut Reader<'_>) -> Result<(u16, Bytes), Failure> {
    let mut body = list.sized(2, 4, "feature length")?;
    let kind = body.u16("feature type")?;
    body.skip(2, "feature length")?;
    Ok((kind, body.remainder()))
}

fn encode_id(kind: u16, data: &Bytes, out: &mut Writer<'_>) {
    let start = out.len();
    out.u16(kind);
    out.u16(0);
    out.bytes(data);
    out.patch_len(start + 2, start);
}

macro_rules! table_properties {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $number:literal, $kind:ident($list:ty), $name:literal;
    )*) => {
        /// One list of what a table's flows can do (`ofp_table_feature_prop_type`).
        ///
        /// type u16 | length u16, without the padding | list … | pad to 8
        ///
        /// Those with `Miss` are about the table-miss flow; where one is not given, the
        /// one without it counts for that flow too.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
        pub enum TableProperty {
            $( $(#[$doc])* $variant($list), )*
            /// A property that the specification doesn't name, as it came.
            Other {
                /// The property's type.
                kind: u16,
                /// All behind the length, without padding.
                #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
                data: Bytes,
            },
        }

        impl TableProperty {
            /// Every property that the specification names: its number and name.
            pub const NAMED: &'static [(u16, &'static str)] = &[ $( ($number, $name), )* ];

            /// The property's number.
            #[must_use]
            pub fn kind(&self) -> u16 {
                match self {
                    $( Self::$variant(_) => $number, )*
                    Self::Other { kind, .. } => *kind,
                }
            }

            fn encode(&self, out: &mut Writer<'_>) {
                let start = out.len();
                out.u16(self.kind());
                out.u16(0);
                match self {
                    $( Self::$variant(list) => table_properties!(@encode $kind list out), )*
                    Self::Other { data, .. } => out.bytes(data),
                }
                out.patch_len(start + 2, start);
                out.align(start);
            }

            fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
                let before = list.left();
                let mut body = list.sized(2, 4, "table property length")?;
                let length = before - list.left();
                list.skip(length.next_multiple_of(8) - length, "table property padding")?;
                let kind = body.u16("table property")?;
                body.skip(2, "table property length")?;
                Ok(match kind {
                    $( $number => Self::$variant(table_properties!(@decode $kind body)), )*
                    kind => Self::Other { kind, data: body.remainder() },
                })
            }
        }
    };
    (@encode instructions $list:ident $out:ident) => {
        $list.iter().for_each(|id| encode_id(id.kind.into(), &id.data, $out))
    };
    (@encode actions $list:ident $out:ident) => {
        $list.iter().for_each(|id| encode_id(id.kind.into(), &id.data, $out))
    };
    (@encode fields $list:ident $out:ident) => { $list.iter().for_each(|id| id.encode($out)) };
    (@encode tables $list:ident $out:ident) => { $list.iter().for_each(|table| $out.u8(table.0)) };
    (@encode experimenter $body:ident $out:ident) => { $body.encode($out) };
    (@decode instructions $body:ident) => {
        $body.many(|list| id(list).map(|(kind, data)| InstructionId { kind: kind.into(), data }))?
    };
    (@decode actions $body:ident) => {
        $body.many(|list| id(list).map(|(kind, data)| ActionId { kind: kind.into(), data }))?
    };
    (@decode fields $body:ident) => { $body.many(OxmId::decode)? };
    (@decode tables $body:ident) => { $body.many(|list| list.u8("next table").map(TableId))? };
    (@decode experimenter $body:ident) => {
        Experimenter::decode(&mut $body)?
    };
}

table_properties! {
    /// Instructions.
    Instructions = 0, instructions(Vec<InstructionId>), "instructions";
    /// Instructions of the table-miss flow.
    InstructionsMiss = 1, instructions(Vec<InstructionId>), "instructions_miss";
    /// Tables to go to.
    NextTables = 2, tables(Vec<TableId>), "next_tables";
    /// Tables to go to from the table-miss flow.
    NextTablesMiss = 3, tables(Vec<TableId>), "next_tables_miss";
    /// Actions to write.
    WriteActions = 4, actions(Vec<ActionId>), "write_actions";
    /// Actions to write by the table-miss flow.
    WriteActionsMiss = 5, actions(Vec<ActionId>), "write_actions_miss";
    /// Actions to apply.
    ApplyActions = 6, actions(Vec<ActionId>), "apply_actions";
    /// Actions to apply by the table-miss flow.
    ApplyActionsMiss = 7, actions(Vec<ActionId>), "apply_actions_miss";
    /// Fields to match.
    Match = 8, fields(Vec<OxmId>), "match";
    /// Fields that needn't be given.
    Wildcards = 10, fields(Vec<OxmId>), "wildcards";
    /// Fields to set by write-actions.
    WriteSetField = 12, fields(Vec<OxmId>), "write_setfield";
    /// Fields to set by write-actions of the table-miss flow.
    WriteSetFieldMiss = 13, fields(Vec<OxmId>), "write_setfield_miss";
    /// Fields to set by apply-actions.
    ApplySetField = 14, fields(Vec<OxmId>), "apply_setfield";
    /// Fields to set by apply-actions of the table-miss flow.
    ApplySetFieldMiss = 15, fields(Vec<OxmId>), "apply_setfield_miss";
    /// Whatever an experimenter defined.
    Experimenter = 0xfffe, experimenter(Experimenter), "experimenter";
    /// Whatever an experimenter defined for the table-miss flow.
    ExperimenterMiss = 0xffff, experimenter(Experimenter), "experimenter_miss";
}
