//! `isolane link …`

use api::Client;
use api::name::{PortRef, SwitchRef};
use api::types::{Encap, End, Link, LinkBody, LinkSource};
use clap::{Args, Subcommand};

use super::args::{Waiting, port, switch};
use super::output::{Output, Table, state};
use super::{CliError, Text};

/// The two ends of a link, in either order.
#[derive(Debug, Args)]
pub struct Ends {
    /// The switch at one end: its name, or its datapath id
    #[arg(value_parser = switch())]
    switch: SwitchRef,
    /// Its port: the name, or the OpenFlow number
    #[arg(value_parser = port())]
    port: PortRef,
    /// The switch at the other end
    #[arg(value_parser = switch())]
    other_switch: SwitchRef,
    /// Its port
    #[arg(value_parser = port())]
    other_port: PortRef,
}

impl Ends {
    fn ends(self) -> Result<(End, End), CliError> {
        let a = End { switch: self.switch, port: self.port };
        let b = End { switch: self.other_switch, port: self.other_port };
        if a == b {
            return Err(CliError::Usage(format!("{a} is given for both ends of the link")));
        }
        Ok((a, b))
    }
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show all links, discovered and declared
    #[command(alias = "ls")]
    List,
    /// Declare a link between two switches
    #[command(aliases = ["create", "add", "set"])]
    Declare {
        #[command(flatten)]
        ends: Ends,
        /// How it carries a network's tag: vlan, or tun_id for tunnels that
        /// take their key from the flow
        #[arg(long, default_value = "vlan")]
        encap: Encap,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Take back a declaration
    #[command(alias = "rm")]
    Delete {
        #[command(flatten)]
        ends: Ends,
        #[command(flatten)]
        waiting: Waiting,
    },
}

pub(super) async fn run(client: &Client, verb: Verb, output: Output) -> Text {
    match verb {
        Verb::List => output.list(client.links().await?, table),
        Verb::Declare { ends, encap, waiting } => {
            let (a, b) = ends.ends()?;
            let body = LinkBody { encap };
            output.reply(&client.put_link(&a, &b, &body, waiting.wait()).await?, one)
        }
        Verb::Delete { ends, waiting } => {
            let (a, b) = ends.ends()?;
            let pending = client.delete_link(&a, &b, waiting.wait()).await?;
            output.removal(&format!("link {a} to {b}"), pending)
        }
    }
}

fn one(link: &Link) -> String {
    table(std::slice::from_ref(link))
}

fn table(links: &[Link]) -> String {
    let mut table =
        Table::new(["SWITCH", "PORT", "SWITCH", "PORT", "ENCAP", "SOURCE", "UP", "STATE"]);
    for link in links {
        let source = match link.source {
            LinkSource::Discovered => "discovered",
            LinkSource::Declared => "declared",
        };
        table.row([
            link.a.switch.to_string(),
            link.a.port.to_string(),
            link.b.switch.to_string(),
            link.b.port.to_string(),
            link.encap.to_string(),
            source.to_owned(),
            if link.up { "yes" } else { "no" }.to_owned(),
            state(link.state, link.reason.as_deref()),
        ]);
    }
    table.text()
}
