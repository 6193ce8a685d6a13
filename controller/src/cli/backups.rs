//! `isolane backup`, `isolane restore`

use std::fs::{File, OpenOptions};
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

/// The file is there whole, or as it was before; links lead to it. What is
/// there and isn't a file (a pipe, a device) takes the bytes as they are.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let whole = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)
    };
    whole().inspect_err(|_| {
        // What is wrong is told; a rest of it may not have been made at all.
        let _ = std::fs::remove_file(&unfinished);
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_backup_goes_where_links_lead_and_leaves_no_rest() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("real"), "old").unwrap();
        symlink("real", at("link")).unwrap();
        write(&at("link"), b"new").unwrap();
        assert_eq!(std::fs::read(at("real")).unwrap(), b"new");
        assert!(at("link").is_symlink());
        symlink("/dev/null", at("null")).unwrap();
        write(&at("null"), b"new").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        std::fs::create_dir(at("folder")).unwrap();
        write(&at("folder"), b"new").unwrap_err();
        write(&at("none").join("file"), b"new").unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
