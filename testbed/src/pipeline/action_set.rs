//! The action set that a frame collects (1.3.5, 5.10).

use std::collections::BTreeMap;

use openflow::{Action, ActionType, Field};

/// At most one action of a kind, carried out in the specification's order whatever order they came in.
#[derive(Clone, Debug, Default)]
pub struct ActionSet {
    actions: BTreeMap<Slot, Action>,
}

/// What an action replaces, ordered by when it is carried out (1.3.5, 5.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    CopyTtlIn,
    Pop,
    PushMpls,
    PushPbb,
    PushVlan,
    CopyTtlOut,
    DecTtl,
    Set(Option<Field>),
    SetTtl,
    Queue,
    Group,
    Output,
    Other,
}

impl ActionSet {
    /// Adds actions; each replaces an earlier one of its kind (set-field: of its field).
    pub fn write(&mut self, actions: &[Action]) {
        for action in actions {
            self.actions.insert(slot(action), action.clone());
        }
    }

    /// Empties the set.
    pub fn clear(&mut self) {
        self.actions.clear();
    }

    /// What is carried out, in order: with a group, no output.
    pub fn in_order(&self) -> impl Iterator<Item = &Action> {
        let grouped = self.actions.contains_key(&Slot::Group);
        self.actions
            .iter()
            .filter(move |(slot, _)| !(grouped && **slot == Slot::Output))
            .map(|(_, action)| action)
    }
}

fn slot(action: &Action) -> Slot {
    match action.action_type() {
        ActionType::CopyTtlIn => Slot::CopyTtlIn,
        ActionType::PopVlan | ActionType::PopMpls | ActionType::PopPbb => Slot::Pop,
        ActionType::PushMpls => Slot::PushMpls,
        ActionType::PushPbb => Slot::PushPbb,
        ActionType::PushVlan => Slot::PushVlan,
        ActionType::CopyTtlOut => Slot::CopyTtlOut,
        ActionType::DecNwTtl | ActionType::DecMplsTtl => Slot::DecTtl,
        ActionType::SetNwTtl | ActionType::SetMplsTtl => Slot::SetTtl,
        ActionType::SetQueue => Slot::Queue,
        ActionType::Group => Slot::Group,
        ActionType::Output => Slot::Output,
        ActionType::SetField => Slot::Set(match action {
            Action::SetField(oxm) => oxm.field(),
            _ => None,
        }),
        ActionType::Experimenter | ActionType::Other(_) => Slot::Other,
    }
}
