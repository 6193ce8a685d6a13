//! `isolane network …`

use api::Client;
use api::types::{Network, NetworkSpec};
use api::values::{Labels, MacLimit, NetworkName};
use clap::Subcommand;

use super::args::{Waiting, label, labels};
use super::output::{Output, Table, cells, state};
use super::{CliError, Text};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show all networks
    #[command(alias = "ls")]
    List,
    /// Show one network
    #[command(alias = "get")]
    Show {
        /// Its name
        network: NetworkName,
    },
    /// Make a network
    #[command(alias = "add")]
    Create {
        /// Its name: 1 to 317 of a-z, 0-9, dot and hyphen
        network: NetworkName,
        /// How many MAC addresses it may learn: 0 to 1000000
        #[arg(long, value_name = "N", default_value = "1024")]
        mac_limit: MacLimit,
        /// A note of yours on it; may be given several times
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Change a network; what isn't said stays
    #[command(alias = "update")]
    Set {
        /// Its name
        network: NetworkName,
        /// How many MAC addresses it may learn: 0 to 1000000
        #[arg(long, value_name = "N")]
        mac_limit: Option<MacLimit>,
        /// A note to add or change; may be given several times
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// A note to remove; may be given several times
        #[arg(long = "unlabel", value_name = "KEY")]
        unlabels: Vec<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Remove a network
    #[command(alias = "rm")]
    Delete {
        /// Its name
        network: NetworkName,
        /// Detach its ports too
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
}

pub(super) async fn run(client: &Client, verb: Verb, output: Output) -> Text {
    match verb {
        Verb::List => output.list(client.networks().await?, table),
        Verb::Show { network } => output.show(&client.network(&network).await?, one),
        Verb::Create { network, mac_limit, labels: pairs, waiting } => {
            let labels = labels(pairs)?;
            let spec = NetworkSpec { mac_limit, labels, ..NetworkSpec::new(network) };
            output.reply(&client.create_network(&spec, waiting.wait()).await?, one)
        }
        Verb::Set { network, mac_limit, labels: pairs, unlabels, waiting } => {
            let mut spec = client.network(&network).await?.spec();
            spec.mac_limit = mac_limit.unwrap_or(spec.mac_limit);
            spec.labels = relabel(&spec.labels, pairs, &unlabels)?;
            output.reply(&client.put_network(&spec, waiting.wait()).await?, one)
        }
        Verb::Delete { network, force, waiting } => {
            let pending = client.delete_network(&network, force, waiting.wait()).await?;
            output.removal(&format!("network {network}"), pending)
        }
    }
}

fn relabel(old: &Labels, new: Vec<(String, String)>, gone: &[String]) -> Result<Labels, CliError> {
    let kept = old.iter().filter(|(key, _)| !gone.iter().any(|gone| gone == key));
    let kept = kept.map(|(key, value)| (key.to_owned(), value.to_owned()));
    labels(kept.chain(new).collect())
}

fn one(network: &Network) -> String {
    table(std::slice::from_ref(network))
}

fn table(networks: &[Network]) -> String {
    let mut table = Table::new(["NETWORK", "ID", "PORTS", "LEARNT", "LABELS", "STATE"]);
    for network in networks {
        let full = if network.mac_limit_reached { " (full)" } else { "" };
        table.row([
            network.name.to_string(),
            network.id.to_string(),
            network.ports.to_string(),
            format!("{}/{}{full}", network.learnt, network.mac_limit.value()),
            cells(network.labels.iter().map(|(key, value)| format!("{key}={value}"))),
            state(network.state, network.reason.as_deref()),
        ]);
    }
    table.text()
}
