//! The command line's verbs: the REST API for people.
//!
//! One file below for each noun. Each verb is one or two calls of the client,
//! and one table, JSON or YAML document on standard output. What went wrong,
//! and what to do about it, goes to standard error.
//!
//! Exit codes: 0 done, 1 the request failed, 2 wrong usage.

mod applying;
mod args;
mod attachments;
mod backups;
mod document;
mod hosts;
mod links;
mod networks;
mod output;
mod ports;
mod switches;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use api::{ClientError, ProblemKind};
use clap::Subcommand;

use args::Noun;
use output::{Output, visible};

/// The verbs that talk to a running controller.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Virtual networks
    #[command(visible_alias = "networks", alias = "net")]
    Network(Noun<networks::Verb>),
    /// Ports in virtual networks
    #[command(visible_alias = "ports")]
    Port(Noun<ports::Verb>),
    /// Ports that are held for an owner
    #[command(visible_alias = "attachments")]
    Attachment(Noun<attachments::Verb>),
    /// Switches, and what they hold
    #[command(visible_alias = "switches")]
    Switch(Noun<switches::Verb>),
    /// Links between switches
    #[command(visible_alias = "links")]
    Link(Noun<links::Verb>),
    /// Which MAC address is where
    #[command(visible_alias = "hosts")]
    Host(Noun<hosts::Verb>),
    /// Make networks and ports as a document says, all or nothing
    Apply(applying::Apply),
    /// Write all that the controller keeps to a file
    Backup(backups::Backup),
    /// Make everything as a backup says, all or nothing
    Restore(backups::Restore),
}

/// Why a verb has no result.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file can't be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
    /// A file can be read, and makes no sense.
    #[error("{}: {why}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        why: String,
    },
    /// What is asked for doesn't go together.
    #[error("{0}")]
    Usage(String),
    /// The result can't be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// What to do about it, where that can be said.
    fn help(&self) -> Option<String> {
        match self {
            Self::Client(ClientError::Problem(problem)) => {
                // What the API says in terms of HTTP is said in ours.
                let help = match problem.kind() {
                    ProblemKind::Unknown => return None,
                    ProblemKind::Unauthorized => {
                        "Name a file with a token of the server's: --token-file FILE."
                    }
                    ProblemKind::NetworkNotFound => {
                        "`isolane network list` shows those there are, `network create` makes one."
                    }
                    ProblemKind::NetworkExists => "`isolane network set` changes it.",
                    ProblemKind::NetworkInUse => "Detach its ports first, or say --force.",
                    ProblemKind::PortNotAttached => "`isolane port list` shows those that are.",
                    ProblemKind::SwitchNotFound => {
                        "`isolane switch list` shows those that are; it is known once it connects."
                    }
                    ProblemKind::PortNotFound => "`isolane switch show` shows those it has.",
                    ProblemKind::AttachmentNotFound => {
                        "`isolane attachment list` shows those that do."
                    }
                    kind => kind.help(),
                };
                Some(help.to_owned())
            }
            Self::Client(ClientError::Unreachable { .. }) => Some(
                "Is `isolane serve` running there? --server URL or ISOLANE_SERVER says where."
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// Runs a verb to its end, on a runtime of its own: 0 done, 1 it failed, 2
/// wrong usage. The result is on standard output, an error on standard error.
pub fn run(command: Command) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(execute(command, &mut io::stdout().lock())),
        Err(error) => Err(CliError::Output(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as with `| head`.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("isolane: {}", visible(&error.to_string()));
            if let Some(help) = error.help() {
                eprintln!("  {help}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a verb; the result goes to `out`.
pub async fn execute(command: Command, out: &mut dyn Write) -> Result<(), CliError> {
    let text = match command {
        Command::Network(noun) => {
            networks::run(&noun.connection.client()?, noun.verb, noun.connection.output).await?
        }
        Command::Port(noun) => {
            ports::run(&noun.connection.client()?, noun.verb, noun.connection.output).await?
        }
        Command::Attachment(noun) => {
            attachments::run(&noun.connection.client()?, noun.verb, noun.connection.output).await?
        }
        Command::Switch(noun) => {
            switches::run(&noun.connection.client()?, noun.verb, noun.connection.output).await?
        }
        Command::Link(noun) => {
            links::run(&noun.connection.client()?, noun.verb, noun.connection.output).await?
        }
        Command::Host(noun) => {
            hosts::run(&noun.connection.client()?, noun.verb, noun.connection.output).await?
        }
        Command::Apply(apply) => applying::run(apply).await?,
        Command::Backup(backup) => backups::backup(backup, out).await?,
        Command::Restore(restore) => backups::restore(restore).await?,
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// What a verb writes.
type Text = Result<String, CliError>;
