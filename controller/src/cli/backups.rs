//! `isolane backup`, `isolane restore`

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use api::types::Restored;
use clap::Args;

use super::args::{Connection, Waiting, read};
use super::output::{state, visible};
use super::{CliError, Text};

/// `isolane backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// Where it goes; - is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// `isolane restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `isolane backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn backup(backup: Backup, out: &mut dyn Write) -> Text {
    let bytes = backup.connection.client()?.backup().await?;
    if backup.file == Path::new("-") {
        out.write_all(&bytes)?;
        return Ok(String::new());
    }
    let file = |source| CliError::File { path: backup.file.clone(), source };
    write(&backup.file, &bytes).map_err(file)?;
    Ok(format!("{} bytes in {}\n", bytes.len(), visible(&backup.file.display().to_string())))
}

/// The file is there whole, or as it was before.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

pub(super) async fn restore(restore: Restore) -> Text {
    let bytes = read(&restore.file)?;
    let client = restore.connection.client()?;
    let reply = client.restore(bytes.into(), restore.waiting.wait()).await?;
    restore.connection.output.reply(&reply, table)
}

fn table(restored: &Restored) -> String {
    let Restored { networks, ports, links, changed, deleted, .. } = restored;
    format!(
        "{networks} networks, {ports} ports, {links} declared links; {changed} records changed, {deleted} deleted; {}\n",
        visible(&state(restored.state, restored.reason.as_deref()))
    )
}
