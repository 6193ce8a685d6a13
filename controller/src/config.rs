//! What `isolane serve` runs with: flag, else variable, else file, else default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::router::{Access, Tokens};
use serde::Deserialize;

/// Arguments of `isolane serve`. Each is also an `ISOLANE_*` variable and a
/// line of `isolane.toml`, in this order of precedence.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServeArgs {
    /// Where switches connect [default: 127.0.0.1:6653]
    #[arg(long, env = "ISOLANE_OPENFLOW", value_name = "ADDRESS:PORT")]
    pub openflow: Option<SocketAddr>,
    /// Where the REST API listens [default: 127.0.0.1:8080]
    #[arg(long, env = "ISOLANE_HTTP", value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Where state is kept [default: isolane in the user's state folder]
    #[arg(long, env = "ISOLANE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Settings in TOML [default: isolane.toml here, then /etc/isolane/isolane.toml, if there]
    #[arg(long, env = "ISOLANE_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Tokens that callers of the REST API may present, one a line
    #[arg(long, env = "ISOLANE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificate chain of the REST API, in PEM
    #[arg(long, env = "ISOLANE_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate, in PEM
    #[arg(long, env = "ISOLANE_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities whose client certificates the REST API asks for and accepts, in PEM
    #[arg(long, env = "ISOLANE_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// Let anybody who reaches the REST API use it, also beyond loopback
    #[arg(long, env = "ISOLANE_INSECURE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub insecure: Option<bool>,
    /// Seconds between two announcements (LLDP) of a port [default: 1]
    #[arg(long, env = "ISOLANE_LLDP_INTERVAL", value_name = "SECONDS")]
    pub lldp_interval: Option<f64>,
    /// Seconds of silence after which a discovered link is down [default: 4]
    #[arg(long, env = "ISOLANE_LLDP_LIMIT", value_name = "SECONDS")]
    pub lldp_limit: Option<f64>,
    /// Seconds a switch may be away before traffic with another way is led around it [default: 30]
    #[arg(long, env = "ISOLANE_SWITCH_AWAY", value_name = "SECONDS")]
    pub switch_away: Option<f64>,
    /// Seconds that switches known before the start may take to come back
    /// before traffic is led around them [default: 30]
    #[arg(long, env = "ISOLANE_RESTART_HOLD", value_name = "SECONDS")]
    pub restart_hold: Option<f64>,
    /// Seconds between two looks at whether a switch still holds what it should [default: 60]
    #[arg(long, env = "ISOLANE_AUDIT_INTERVAL", value_name = "SECONDS")]
    pub audit_interval: Option<f64>,
    /// Seconds of silence after which a switch is asked for an echo [default: 2]
    #[arg(long, env = "ISOLANE_ECHO_INTERVAL", value_name = "SECONDS")]
    pub echo_interval: Option<f64>,
    /// Seconds without an answer after which its connection is closed [default: 3]
    #[arg(long, env = "ISOLANE_ECHO_LIMIT", value_name = "SECONDS")]
    pub echo_limit: Option<f64>,
    /// How log lines are written to standard error [default: text]
    #[arg(long, env = "ISOLANE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people; with colours on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings with everything filled in and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where switches connect.
    pub openflow: SocketAddr,
    /// Where the REST API listens.
    pub http: SocketAddr,
    /// Where state is kept.
    pub data_dir: PathBuf,
    /// Who may use the REST API.
    pub access: Access,
    /// Certificate, key and client authorities of the REST API.
    pub tls: Option<TlsFiles>,
    /// Announcements and their limit.
    pub lldp: crate::discovery::Timing,
    /// How long a switch may be away before traffic is led around it.
    pub switch_away: Duration,
    /// The same after a start, for switches that were known before.
    pub restart_hold: Duration,
    /// How often each switch is read and compared.
    pub audit_interval: Duration,
    /// Silence before an echo request.
    pub echo_interval: Duration,
    /// Silence after it before the connection is closed.
    pub echo_limit: Duration,
    /// How log lines are written.
    pub log_format: LogFormat,
}

/// The files that TLS needs.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM.
    pub client_ca: Option<PathBuf>,
}

impl Config {
    /// Merges arguments, variables and file, and refuses what isn't safe or
    /// doesn't make sense.
    ///
    /// # Errors
    /// Each says which setting is wrong and what would be right.
    pub fn load(args: ServeArgs) -> Result<Self> {
        let file = match &args.config {
            Some(path) => read_file(path)?,
            None => {
                let usual = ["isolane.toml", "/etc/isolane/isolane.toml"].map(PathBuf::from);
                usual
                    .iter()
                    .find(|path| path.exists())
                    .map(|path| read_file(path))
                    .transpose()?
                    .unwrap_or_default()
            }
        };
        Self::merge(args, file)
    }

    fn merge(args: ServeArgs, file: ServeArgs) -> Result<Self> {
        let client_ca = args.client_ca.or(file.client_ca);
        let tls = match (args.tls_cert.or(file.tls_cert), args.tls_key.or(file.tls_key)) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key, client_ca }),
            (None, None) if client_ca.is_some() => {
                bail!(
                    "--client-ca needs --tls-cert and --tls-key: client certificates are part of TLS"
                )
            }
            (None, None) => None,
            (Some(_), None) => bail!("--tls-cert needs --tls-key beside it"),
            (None, Some(_)) => bail!("--tls-key needs --tls-cert beside it"),
        };
        let tokens =
            args.token_file.or(file.token_file).map(|path| read_tokens(&path)).transpose()?;
        let http = args.http.or(file.http).unwrap_or_else(|| ([127, 0, 0, 1], 8080).into());
        let insecure = args.insecure.or(file.insecure).unwrap_or(false);
        let proven = tokens.is_some() || tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !http.ip().is_loopback() && !proven && !insecure {
            bail!(
                "--http {http} is reachable from other machines and nobody would have to prove who they are: \
                 give --token-file, or --client-ca with TLS, or say --insecure if that is what you want"
            );
        }
        let lldp = crate::discovery::Timing {
            interval: seconds("--lldp-interval", args.lldp_interval.or(file.lldp_interval), 1.0)?,
            limit: seconds("--lldp-limit", args.lldp_limit.or(file.lldp_limit), 4.0)?,
        };
        if lldp.limit < lldp.interval * 2 {
            bail!(
                "--lldp-limit must be at least twice --lldp-interval, else one lost frame takes a link down"
            );
        }
        Ok(Self {
            openflow: args
                .openflow
                .or(file.openflow)
                .unwrap_or_else(|| ([127, 0, 0, 1], 6653).into()),
            http,
            data_dir: args.data_dir.or(file.data_dir).unwrap_or_else(state_folder),
            access: match tokens {
                Some(tokens) => Access::Tokens(tokens),
                // A page in somebody's browser must not reach a local API by a name of its own.
                None if http.ip().is_loopback() => Access::Loopback,
                None => Access::Open,
            },
            tls,
            lldp,
            switch_away: seconds("--switch-away", args.switch_away.or(file.switch_away), 30.0)?,
            restart_hold: seconds("--restart-hold", args.restart_hold.or(file.restart_hold), 30.0)?,
            audit_interval: seconds(
                "--audit-interval",
                args.audit_interval.or(file.audit_interval),
                60.0,
            )?,
            echo_interval: seconds(
                "--echo-interval",
                args.echo_interval.or(file.echo_interval),
                2.0,
            )?,
            echo_limit: seconds("--echo-limit", args.echo_limit.or(file.echo_limit), 3.0)?,
            log_format: args.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

fn read_file(path: &Path) -> Result<ServeArgs> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the settings in {}", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("the settings in {} aren't right", path.display()))
}

fn read_tokens(path: &Path) -> Result<Tokens> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the tokens in {}", path.display()))?;
    Tokens::parse(&text).with_context(|| format!("the tokens in {} aren't right", path.display()))
}

fn seconds(name: &str, value: Option<f64>, default: f64) -> Result<Duration> {
    let value = value.unwrap_or(default);
    if !(0.05..=3600.0).contains(&value) {
        bail!("{name} {value} isn't between 0.05 and 3600 seconds");
    }
    Ok(Duration::from_secs_f64(value))
}

fn state_folder() -> PathBuf {
    let from =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        from("XDG_STATE_HOME").or_else(|| from("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(|| PathBuf::from("/var/lib")).join("isolane")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(args: ServeArgs, file: &str) -> Result<Config> {
        Config::merge(args, toml::from_str(file)?)
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let args = ServeArgs { http: Some(([127, 0, 0, 1], 1).into()), ..ServeArgs::default() };
        let config =
            merge(args, "http = '127.0.0.1:2'\nopenflow = '127.0.0.1:3'\nlldp-limit = 6.0")
                .unwrap();
        assert_eq!((config.http.port(), config.openflow.port()), (1, 3));
        assert_eq!(config.lldp.limit, Duration::from_secs(6));
        assert_eq!(config.echo_limit, Duration::from_secs(3));
    }

    #[test]
    fn what_is_unsafe_or_senseless_is_refused_by_name() {
        let cases = [
            ("http = '0.0.0.0:8080'", "--insecure"),
            ("tls-cert = 'a.pem'", "--tls-key"),
            ("client-ca = 'a.pem'", "--tls-cert"),
            ("lldp-limit = 1.5", "--lldp-limit"),
            ("echo-limit = 0.0", "--echo-limit"),
            ("htpp = '127.0.0.1:1'", "htpp"),
        ];
        for (file, want) in cases {
            let error = format!("{:#}", merge(ServeArgs::default(), file).unwrap_err());
            assert!(error.contains(want), "{file}: {error}");
        }
        assert!(merge(ServeArgs::default(), "http = '0.0.0.0:8080'\ninsecure = true").is_ok());
    }
}
