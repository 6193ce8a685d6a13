//! What the tables can do (1.3.5, 7.3.5.5).

use openflow::{
    ActionType, Field, InstructionType, OxmId, TableFeatures, TableId, TableProperty, Text,
};

use super::Datapath;
use crate::pipeline::check::is_settable;
use crate::pipeline::pattern::{is_supported, place_of};

/// The instructions that flows can have.
const INSTRUCTIONS: [InstructionType; 6] = [
    InstructionType::GotoTable,
    InstructionType::WriteMetadata,
    InstructionType::WriteActions,
    InstructionType::ApplyActions,
    InstructionType::ClearActions,
    InstructionType::Meter,
];

/// The actions that flows and buckets can have.
pub fn actions() -> impl Iterator<Item = ActionType> {
    [
        ActionType::Output,
        ActionType::PushVlan,
        ActionType::PopVlan,
        ActionType::Group,
        ActionType::SetNwTtl,
        ActionType::DecNwTtl,
        ActionType::SetField,
    ]
    .into_iter()
}

impl Datapath {
    pub(super) fn table_features(&self) -> Vec<TableFeatures> {
        (0..self.pipeline.tables.len()).map(|number| self.features_of(number as u8)).collect()
    }

    fn features_of(&self, number: u8) -> TableFeatures {
        let last = self.pipeline.tables.len() as u8;
        let next: Vec<_> = (number + 1..last).map(TableId).collect();
        let leads_on =
            |kind: &InstructionType| !(next.is_empty() && *kind == InstructionType::GotoTable);
        let instructions: Vec<_> =
            INSTRUCTIONS.into_iter().filter(leads_on).map(Into::into).collect();
        let actions: Vec<_> = actions().map(Into::into).collect();
        let matched = Field::NAMED.iter().copied().filter(|field| is_supported(*field));
        let fields: Vec<_> = matched.map(|field| OxmId::basic(field, field.maskable())).collect();
        let wildcards: Vec<_> = fields
            .iter()
            .filter_map(OxmId::named)
            .map(|field| OxmId::basic(field, false))
            .collect();
        let settable = |field: &&Field| place_of(**field).is_some_and(is_settable);
        let set: Vec<_> =
            Field::NAMED.iter().filter(settable).map(|field| OxmId::basic(*field, false)).collect();
        TableFeatures {
            table_id: TableId(number),
            name: Text::truncated(format!("table{number}")),
            metadata_match: u64::MAX,
            metadata_write: u64::MAX,
            config: 0,
            max_entries: u32::try_from(self.limits.flows).unwrap_or(u32::MAX),
            properties: vec![
                TableProperty::Instructions(instructions),
                TableProperty::NextTables(next),
                TableProperty::WriteActions(actions.clone()),
                TableProperty::ApplyActions(actions),
                TableProperty::Match(fields),
                TableProperty::Wildcards(wildcards),
                TableProperty::WriteSetField(set.clone()),
                TableProperty::ApplySetField(set),
            ],
        }
    }
}
