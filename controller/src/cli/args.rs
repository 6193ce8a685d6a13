//! Arguments that several verbs share.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::Client;
use api::name::{PortRef, SwitchRef};
use api::query::Timeout;
use api::types::Wait;
use api::values::Labels;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use super::{CliError, Output};

/// A noun's verb, and the server it is for.
#[derive(Debug, Args)]
pub struct Noun<V: Subcommand> {
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(subcommand)]
    pub(super) verb: V,
}

/// The server, and how its answer is shown.
#[derive(Debug, Args)]
pub struct Connection {
    /// URL of the controller
    #[arg(
        long,
        global = true,
        env = "ISOLANE_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
    /// File whose first token is sent
    #[arg(long, global = true, env = "ISOLANE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authorities to trust besides the system's, in PEM
    #[arg(long, global = true, env = "ISOLANE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate to show to the controller, in PEM
    #[arg(long, global = true, env = "ISOLANE_CLIENT_CERT", value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// Key of that certificate, in PEM
    #[arg(long, global = true, env = "ISOLANE_CLIENT_KEY", value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// How the answer is shown
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Output,
}

impl Connection {
    /// A client of the server.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        let mut builder = Client::builder(&self.server);
        if let Some(path) = &self.token_file {
            builder = builder.token(token(path)?);
        }
        if let Some(path) = &self.ca {
            builder = builder.ca_pem(read(path)?);
        }
        match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => {
                builder = builder.identity_pem(read(certificate)?, read(key)?);
            }
            (None, None) => {}
            _ => {
                let why = "--client-cert and --client-key go together";
                return Err(CliError::Usage(why.to_owned()));
            }
        }
        Ok(builder.build()?)
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|source| CliError::File { path: path.to_owned(), source })
}

/// The first token of a token file, as the server reads it.
fn token(path: &Path) -> Result<String, CliError> {
    let file = fs::read_to_string(path);
    let text = file.map_err(|source| CliError::File { path: path.to_owned(), source })?;
    let mut lines = text.lines().map(str::trim);
    let token = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let none = std::io::Error::new(ErrorKind::InvalidData, "has no token; write one a line");
    token.map(str::to_owned).ok_or_else(|| CliError::File { path: path.to_owned(), source: none })
}

/// What a change waits for.
#[derive(Clone, Copy, Debug, Args)]
pub struct Waiting {
    /// What to wait for
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    wait: For,
    /// How long to wait for the switches, such as 5s, 500ms or 1m
    #[arg(long, default_value = "5s", value_name = "TIME")]
    timeout: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum For {
    /// Until the connected switches have confirmed it
    #[default]
    Installed,
    /// Until it is stored
    Stored,
}

#[derive(Clone, Copy, Debug)]
struct Time(Duration);

impl std::str::FromStr for Time {
    type Err = api::Invalid;

    fn from_str(text: &str) -> Result<Self, api::Invalid> {
        text.parse::<Timeout>().map(|timeout| Self(timeout.0))
    }
}

impl Waiting {
    pub(super) fn wait(self) -> Wait {
        match self.wait {
            For::Stored => Wait::Stored,
            For::Installed => Wait::Installed { timeout: self.timeout.0 },
        }
    }
}

/// A switch on the command line: its name may be any bytes.
pub(super) fn switch() -> impl TypedValueParser<Value = SwitchRef> {
    OsStringValueParser::new().try_map(|text: OsString| SwitchRef::from_bytes(text.into_vec()))
}

/// A port on the command line: its name may be any bytes.
pub(super) fn port() -> impl TypedValueParser<Value = PortRef> {
    OsStringValueParser::new().try_map(|text: OsString| PortRef::from_bytes(text.into_vec()))
}

/// `KEY=VALUE`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let pair = (key.to_owned(), value.to_owned());
    Labels::new([pair.clone()].into()).map_err(|error| error.to_string())?;
    Ok(pair)
}

/// Labels, from pairs of the command line.
pub(super) fn labels(pairs: Vec<(String, String)>) -> Result<Labels, CliError> {
    Labels::new(pairs.into_iter().collect()).map_err(|error| CliError::Usage(error.to_string()))
}
