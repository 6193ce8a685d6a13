//! `isolane port …`

use api::Client;
use api::name::{PortRef, SwitchRef};
use api::types::{Port, PortSpec};
use api::values::{HostIp, MacAddr, NetworkName, Owner};
use clap::{Args, Subcommand};

use super::args::{Waiting, label, labels, port, switch};
use super::output::{Output, Table, cell, cells, state};
use super::{CliError, Text};

/// A port in a network.
#[derive(Debug, Args)]
pub struct Place {
    /// The network
    network: NetworkName,
    /// The switch: its name, or its datapath id
    #[arg(value_parser = switch())]
    switch: SwitchRef,
    /// Its port: the name, or the OpenFlow number
    #[arg(value_parser = port())]
    port: PortRef,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the ports of a network
    #[command(alias = "ls")]
    List {
        /// The network
        network: NetworkName,
    },
    /// Show one port of a network
    #[command(alias = "get")]
    Show(Place),
    /// Attach a port to a network, or change what is said of it
    #[command(aliases = ["add", "set"])]
    Attach {
        #[command(flatten)]
        place: Place,
        /// A MAC address of its host; may be given several times
        #[arg(long, value_name = "MAC")]
        mac: Vec<MacAddr>,
        /// An IP address of its host; may be given several times
        #[arg(long = "ip", value_name = "IP")]
        ips: Vec<HostIp>,
        /// Let only these addresses send
        #[arg(long, requires = "mac")]
        enforce: bool,
        /// Who the port is held for
        #[arg(long)]
        owner: Option<Owner>,
        /// A note of yours on it; may be given several times
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Detach a port from a network
    #[command(aliases = ["delete", "rm"])]
    Detach {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        waiting: Waiting,
    },
}

pub(super) async fn run(client: &Client, verb: Verb, output: Output) -> Text {
    match verb {
        Verb::List { network } => output.list(client.ports(&network).await?, table),
        Verb::Show(Place { network, switch, port }) => {
            output.show(&client.port(&network, &switch, &port).await?, one)
        }
        Verb::Attach { place, mac, ips, enforce, owner, labels: pairs, waiting } => {
            let Place { network, switch, port } = place;
            let spec = PortSpec { mac, ips, enforce, owner, labels: labels(pairs)? };
            spec.check().map_err(|error| CliError::Usage(error.to_string()))?;
            let reply = client.put_port(&network, &switch, &port, &spec, waiting.wait()).await?;
            output.reply(&reply, one)
        }
        Verb::Detach { place: Place { network, switch, port }, waiting } => {
            let pending = client.delete_port(&network, &switch, &port, waiting.wait()).await?;
            output.removal(&format!("port {switch} {port} in network {network}"), pending)
        }
    }
}

fn one(port: &Port) -> String {
    table(std::slice::from_ref(port))
}

fn table(ports: &[Port]) -> String {
    let mut table = Table::new([
        "NETWORK", "SWITCH", "PORT", "NUMBER", "MAC", "IPS", "ENFORCED", "OWNER", "STATE",
    ]);
    for port in ports {
        table.row([
            port.network.to_string(),
            port.switch.to_string(),
            port.port.to_string(),
            cell(port.number),
            cells(&port.mac),
            cells(&port.ips),
            if port.enforce { "yes" } else { "no" }.to_owned(),
            cell(port.owner.as_ref()),
            state(port.state, port.reason.as_deref()),
        ]);
    }
    table.text()
}
