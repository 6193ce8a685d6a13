//! How answers are shown.

use std::fmt::Write;

use api::client::Reply;
use api::page::Listing;
use api::types::{Pending, State, SwitchReason};
use clap::ValueEnum;
use serde::Serialize;

use super::{CliError, Text};

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// As the API sends it
    Json,
    /// The same, as YAML
    Yaml,
}

/// Text that can't steer a terminal: names are any bytes, and not ours.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Rows under a heading, in columns as wide as they need.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).to_vec()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| visible(cell)).collect());
    }

    pub(super) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A value that is shown in a table: `-` where there is none.
pub(super) fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Several values in one cell.
pub(super) fn cells<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(",") }
}

/// A state in a table, with the reason where there is one.
pub(super) fn state(state: State, reason: Option<&str>) -> String {
    let state = match state {
        State::Installed => "installed",
        State::Pending => "pending",
        State::Conflict => "conflict",
        State::Degraded => "degraded",
    };
    reason.map_or_else(|| state.to_owned(), |reason| format!("{state}: {reason}"))
}

impl Output {
    /// Shows a value; `table` makes the text for people.
    pub(super) fn show<T: Serialize>(self, value: &T, table: impl FnOnce(&T) -> String) -> Text {
        let failed = |error: String| CliError::Output(std::io::Error::other(error));
        match self {
            Self::Table => Ok(table(value)),
            Self::Json => {
                let mut text = serde_json::to_string_pretty(value)
                    .map_err(|error| failed(error.to_string()))?;
                text.push('\n');
                Ok(text)
            }
            Self::Yaml => {
                let mut text =
                    serde_saphyr::to_string(value).map_err(|error| failed(error.to_string()))?;
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                Ok(text)
            }
        }
    }

    /// Shows a whole list.
    pub(super) fn list<T: Serialize>(
        self,
        items: Vec<T>,
        table: impl FnOnce(&[T]) -> String,
    ) -> Text {
        self.show(&Listing::from(items), |listing| table(&listing.items))
    }

    /// Shows a changed object.
    pub(super) fn reply<T: Serialize>(
        self,
        reply: &Reply<T>,
        table: impl FnOnce(&T) -> String,
    ) -> Text {
        self.show(&reply.body, table)
    }

    /// Shows what came of a removal.
    pub(super) fn removal(self, what: &str, pending: Option<Pending>) -> Text {
        let removed = pending.unwrap_or(Pending {
            state: State::Installed,
            reason: None,
            reasons: Vec::<SwitchReason>::new(),
        });
        self.show(&removed, |removed| {
            let what = visible(what);
            match removed.state {
                State::Installed => format!("{what}: gone\n"),
                _ => format!(
                    "{what}: gone, but {}\n",
                    visible(&state(removed.state, removed.reason.as_deref()))
                ),
            }
        })
    }
}
