//! `isolane apply`

use std::io::Read;
use std::path::{Path, PathBuf};

use api::types::{Applied, Change, ObjectChange, ObjectKind};
use clap::Args;

use super::args::{Connection, Waiting, read};
use super::output::{Table, cell, state, visible};
use super::{CliError, Text, document};

/// `isolane apply`
#[derive(Debug, Args)]
pub struct Apply {
    /// The document, in YAML or JSON; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Remove what the document's set no longer names
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(apply: Apply) -> Text {
    let path = if apply.file == Path::new("-") {
        PathBuf::from("standard input")
    } else {
        apply.file.clone()
    };
    let bytes = if apply.file == Path::new("-") {
        let mut bytes = Vec::new();
        let all = std::io::stdin().lock().read_to_end(&mut bytes);
        all.map_err(|source| CliError::File { path: path.clone(), source })?;
        bytes
    } else {
        read(&apply.file)?
    };
    let content = |why: String| CliError::Content { path: path.clone(), why };
    let document = document::parse(&bytes).map_err(content)?;
    document.check(apply.prune).map_err(|problem| content(problem.to_string()))?;
    let client = apply.connection.client()?;
    let reply = client.apply(&document, apply.prune, apply.waiting.wait()).await?;
    apply.connection.output.reply(&reply, table)
}

fn table(applied: &Applied) -> String {
    let mut text = String::new();
    if !applied.changes.is_empty() {
        let mut table = Table::new(["OBJECT", "NETWORK", "SWITCH", "PORT", "CHANGE", "STATE"]);
        for object in &applied.changes {
            table.row(row(object));
        }
        text.push_str(&table.text());
        text.push('\n');
    }
    let Applied { created, updated, deleted, unchanged, .. } = applied;
    text.push_str(&format!(
        "{created} created, {updated} updated, {deleted} deleted, {unchanged} unchanged; {}\n",
        visible(&state(applied.state, applied.reason.as_deref()))
    ));
    text
}

fn row(object: &ObjectChange) -> [String; 6] {
    let kind = match object.kind {
        ObjectKind::Network => "network",
        ObjectKind::Port => "port",
    };
    let change = match object.change {
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
        Change::Deleted => "deleted",
    };
    [
        kind.to_owned(),
        object.network.to_string(),
        cell(object.switch.as_ref()),
        cell(object.port.as_ref()),
        change.to_owned(),
        state(object.state, object.reason.as_deref()),
    ]
}
