//! What a switch must be able to do, and whether it says it can.
//!
//! These are the fields, instructions and actions of the three tables and the
//! flood groups (`flow.rs`). A switch that doesn't tell is given the benefit of the
//! doubt: it will refuse what it can't do. A switch that tells and lacks
//! something would forward wrongly in part, so it is not used at all.

use openflow::{
    ActionType, Field, GroupFeatures, GroupType, InstructionType, TableFeatures, TableId,
    TableProperty,
};

/// Tables the pipeline has.
pub(super) const TABLES: u8 = 3;

struct Table {
    number: u8,
    /// And whether a mask is needed.
    matches: &'static [(Field, bool)],
    instructions: &'static [InstructionType],
    actions: &'static [ActionType],
    sets: &'static [Field],
    next: &'static [u8],
}

const NEEDS: [Table; TABLES as usize] = [
    Table {
        number: 0,
        matches: &[(Field::InPort, false), (Field::EthType, false), (Field::VlanVid, false)],
        instructions: &[
            InstructionType::GotoTable,
            InstructionType::WriteMetadata,
            InstructionType::ApplyActions,
        ],
        actions: &[ActionType::Output, ActionType::PopVlan],
        sets: &[],
        next: &[1, 2],
    },
    Table {
        number: 1,
        matches: &[(Field::InPort, false), (Field::Metadata, true), (Field::EthSrc, true)],
        instructions: &[InstructionType::GotoTable, InstructionType::ApplyActions],
        actions: &[ActionType::Output],
        sets: &[],
        next: &[2],
    },
    Table {
        number: 2,
        matches: &[(Field::Metadata, true), (Field::EthDst, false)],
        instructions: &[InstructionType::ApplyActions],
        actions: &[
            ActionType::Output,
            ActionType::Group,
            ActionType::PushVlan,
            ActionType::SetField,
        ],
        sets: &[Field::VlanVid],
        next: &[],
    },
];

/// The name of the first thing that the tables lack.
pub(super) fn missing_in_tables(tables: &[TableFeatures]) -> Option<String> {
    NEEDS.iter().find_map(|need| {
        match tables.iter().find(|table| table.table_id == TableId(need.number)) {
            Some(table) => missing_in_table(need, table)
                .map(|what| format!("table {} lacks {what}", need.number)),
            None => Some(format!("there is no table {}", need.number)),
        }
    })
}

fn missing_in_table(need: &Table, has: &TableFeatures) -> Option<String> {
    let tells = |is: fn(&TableProperty) -> bool| has.properties.iter().any(is);
    if tells(|property| matches!(property, TableProperty::Match(_))) {
        for (field, masked) in need.matches {
            match (has.match_fields().find(|(known, _)| known == field), *masked) {
                (None, _) => return Some(format!("match {field}")),
                (Some((_, false)), true) => return Some(format!("match {field} with a mask")),
                _ => {}
            }
        }
    }
    if tells(|property| matches!(property, TableProperty::Instructions(_))) {
        let lacking =
            need.instructions.iter().find(|kind| has.instructions().all(|known| known != **kind));
        if let Some(kind) = lacking {
            return Some(format!("instruction {kind}"));
        }
    }
    if tells(|property| matches!(property, TableProperty::ApplyActions(_))) {
        let lacking =
            need.actions.iter().find(|kind| has.apply_actions().all(|known| known != **kind));
        if let Some(kind) = lacking {
            return Some(format!("action {kind}"));
        }
    }
    if tells(|property| matches!(property, TableProperty::ApplySetField(_))) {
        let lacking =
            need.sets.iter().find(|field| has.apply_set_fields().all(|known| known != **field));
        if let Some(field) = lacking {
            return Some(format!("action set_field {field}"));
        }
    }
    let next = has.properties.iter().find_map(|property| match property {
        TableProperty::NextTables(next) => Some(next),
        _ => None,
    })?;
    let lacking = need.next.iter().find(|table| !next.contains(&TableId(**table)))?;
    Some(format!("going on to table {lacking}"))
}

/// The name of the first thing that groups lack.
pub(super) fn missing_in_groups(groups: &GroupFeatures) -> Option<String> {
    if !groups.supports(GroupType::All) {
        return Some("groups of type all".to_owned());
    }
    let actions = groups.actions.first().copied().unwrap_or_default();
    // Some switches leave the bits out altogether.
    if actions == 0 {
        return None;
    }
    [ActionType::Output, ActionType::PushVlan, ActionType::SetField]
        .into_iter()
        .find(|kind| actions.checked_shr(u16::from(*kind).into()).is_none_or(|bits| bits & 1 == 0))
        .map(|kind| format!("action {kind} in groups of type all"))
}

/// Tables and groups that can all the pipeline needs and nothing else, for tests.
#[cfg(test)]
pub(super) fn sufficient() -> (Vec<TableFeatures>, GroupFeatures) {
    use openflow::OxmId;
    let tables = NEEDS.iter().map(|need| TableFeatures {
        table_id: TableId(need.number),
        properties: vec![
            TableProperty::Match(
                need.matches.iter().map(|(field, mask)| OxmId::basic(*field, *mask)).collect(),
            ),
            TableProperty::Instructions(
                need.instructions.iter().map(|kind| (*kind).into()).collect(),
            ),
            TableProperty::ApplyActions(need.actions.iter().map(|kind| (*kind).into()).collect()),
            TableProperty::ApplySetField(
                need.sets.iter().map(|field| OxmId::basic(*field, false)).collect(),
            ),
            TableProperty::NextTables(need.next.iter().map(|table| TableId(*table)).collect()),
        ],
        ..TableFeatures::default()
    });
    let actions = 1 << 0 | 1 << 17 | 1 << 25;
    let groups = GroupFeatures {
        types: 1,
        max_groups: [10, 0, 0, 0],
        actions: [actions, 0, 0, 0],
        ..Default::default()
    };
    (tables.collect(), groups)
}

#[cfg(test)]
mod tests {
    use openflow::OxmId;

    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        type Change = fn(&mut Vec<TableFeatures>);
        let cases: [(&str, Change, Option<&str>); 9] = [
            ("nothing", |_| {}, None),
            ("a table", |tables| tables.truncate(2), Some("there is no table 2")),
            (
                "a field",
                |tables| {
                    if let TableProperty::Match(fields) = &mut tables[0].properties[0] {
                        fields.retain(|id| id.named() != Some(Field::VlanVid));
                    }
                },
                Some("table 0 lacks match vlan_vid"),
            ),
            (
                "a mask",
                |tables| {
                    if let TableProperty::Match(fields) = &mut tables[1].properties[0] {
                        fields.iter_mut().for_each(|id| id.has_mask = false);
                    }
                },
                Some("table 1 lacks match metadata with a mask"),
            ),
            (
                "an instruction",
                |tables| tables[0].properties[1] = TableProperty::Instructions(Vec::new()),
                Some("table 0 lacks instruction goto_table"),
            ),
            (
                "an action",
                |tables| {
                    tables[2].properties[2] =
                        TableProperty::ApplyActions(vec![ActionType::Output.into()])
                },
                Some("table 2 lacks action group"),
            ),
            (
                "a field to set",
                |tables| tables[2].properties[3] = TableProperty::ApplySetField(Vec::new()),
                Some("table 2 lacks action set_field vlan_vid"),
            ),
            (
                "a way on",
                |tables| tables[0].properties[4] = TableProperty::NextTables(vec![TableId(1)]),
                Some("table 0 lacks going on to table 2"),
            ),
            (
                "properties it doesn't tell",
                |tables| tables.iter_mut().for_each(|table| table.properties.clear()),
                None,
            ),
        ];
        for (name, change, want) in cases {
            let (mut tables, _) = sufficient();
            change(&mut tables);
            assert_eq!(missing_in_tables(&tables).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn fields_beyond_the_specification_and_needless_masks_do_no_harm() {
        let (mut tables, _) = sufficient();
        for table in &mut tables {
            if let TableProperty::Match(fields) = &mut table.properties[0] {
                fields.iter_mut().for_each(|id| id.has_mask = true);
                fields.push(OxmId {
                    class: OxmId::BASIC,
                    field: 44,
                    has_mask: true,
                    length: 4,
                    experimenter: None,
                });
                fields.push(OxmId {
                    class: 1,
                    field: 44,
                    has_mask: true,
                    length: 4,
                    experimenter: None,
                });
            }
        }
        assert_eq!(missing_in_tables(&tables), None);
    }

    #[test]
    fn groups_must_be_able_to_flood() {
        let (_, enough) = sufficient();
        let cases = [
            ("enough", enough, None),
            ("no bits told", GroupFeatures { actions: [0; 4], ..enough }, None),
            ("no all", GroupFeatures { types: 0b1110, ..enough }, Some("groups of type all")),
            (
                "no tags",
                GroupFeatures { actions: [1, 0, 0, 0], ..enough },
                Some("action push_vlan in groups of type all"),
            ),
        ];
        for (name, groups, want) in cases {
            assert_eq!(missing_in_groups(&groups).as_deref(), want, "{name}");
        }
    }
}
