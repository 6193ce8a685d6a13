//! `isolane host …`

use api::Client;
use api::name::SwitchRef;
use api::types::{Host, HostFilter, HostSource};
use api::values::NetworkName;
use clap::Subcommand;

use super::Text;
use super::args::switch;
use super::output::{Output, Table, cells};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the known hosts
    #[command(alias = "ls")]
    List {
        /// Only those of this network
        #[arg(long)]
        network: Option<NetworkName>,
        /// Only those behind this switch: its name, or its datapath id
        #[arg(long, value_parser = switch())]
        switch: Option<SwitchRef>,
    },
}

pub(super) async fn run(client: &Client, verb: Verb, output: Output) -> Text {
    let Verb::List { network, switch } = verb;
    output.list(client.hosts(&HostFilter { network, switch }).await?, table)
}

fn table(hosts: &[Host]) -> String {
    let mut table = Table::new(["MAC", "IPS", "NETWORK", "SWITCH", "PORT", "SOURCE", "SINCE"]);
    for host in hosts {
        let source = match host.source {
            HostSource::Learnt => "learnt",
            HostSource::Declared => "declared",
        };
        table.row([
            host.mac.to_string(),
            cells(&host.ips),
            host.network.to_string(),
            host.switch.to_string(),
            host.port.to_string(),
            source.to_owned(),
            host.since.to_string(),
        ]);
    }
    table.text()
}
