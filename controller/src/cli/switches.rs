//! `isolane switch …`

use std::fmt::Write;

use api::Client;
use api::name::{Name, PortRef, SwitchRef};
use api::types::{
    Connection, FlowChange, FlowTables, FlowView, PoolPort, PoolPortBody, PoolUse, PortRole,
    Switch, SwitchPatch,
};
use api::values::Pattern;
use clap::{ArgAction, Args, Subcommand};

use super::args::{Waiting, port, switch};
use super::output::{Output, Table, cell, visible};
use super::{CliError, Text};

/// A switch.
#[derive(Debug, Args)]
pub struct Which {
    /// The switch: its name, or its datapath id
    #[arg(value_parser = switch())]
    switch: SwitchRef,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show all known switches
    #[command(alias = "ls")]
    List,
    /// Show one switch and its ports
    #[command(alias = "get")]
    Show(Which),
    /// Change what is configured of a switch; what isn't said stays
    #[command(alias = "update")]
    Set {
        #[command(flatten)]
        which: Which,
        /// Its name; empty: what the switch itself says
        #[arg(long)]
        name: Option<String>,
        /// Which ports may be given out, such as vhost*
        #[arg(long, value_name = "PATTERN")]
        pool: Option<Pattern>,
        /// Which ports may be trunks, such as *
        #[arg(long, value_name = "PATTERN")]
        trunks: Option<Pattern>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Show the flows and groups of Isolane's on a switch
    Flows {
        #[command(flatten)]
        which: Which,
        /// What it should hold
        #[arg(long, conflicts_with = "diff")]
        desired: bool,
        /// What it holds; this is the default
        #[arg(long, conflicts_with_all = ["desired", "diff"])]
        installed: bool,
        /// What would be changed
        #[arg(long)]
        diff: bool,
    },
    /// Take over a switch in foreign-state, with its networks
    Adopt {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Take over a switch in foreign-state, its flows of Isolane removed
    Reset {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Say whether a port of a switch's pool may be given out
    Pool {
        #[command(flatten)]
        which: Which,
        /// The port: the name, or the OpenFlow number
        #[arg(value_parser = port())]
        port: PortRef,
        /// Whether it may
        #[arg(long, action = ArgAction::Set, value_name = "BOOL")]
        ready: bool,
    },
    /// Forget a switch that is gone for good
    #[command(aliases = ["rm", "forget"])]
    Delete(Which),
}

pub(super) async fn run(client: &Client, verb: Verb, output: Output) -> Text {
    match verb {
        Verb::List => output.list(client.switches().await?, table),
        Verb::Show(Which { switch }) => output.show(&client.switch(&switch).await?, details),
        Verb::Set { which: Which { switch }, name, pool, trunks, waiting } => {
            let patch = SwitchPatch {
                name: name.map(named).transpose()?,
                pool: pool.map(Some),
                trunks: trunks.map(Some),
            };
            output.reply(&client.patch_switch(&switch, &patch, waiting.wait()).await?, details)
        }
        Verb::Flows { which: Which { switch }, desired, diff, .. } => {
            let view = match (desired, diff) {
                (true, _) => FlowView::Desired,
                (_, true) => FlowView::Diff,
                _ => FlowView::Installed,
            };
            output.show(&client.flows(&switch, view).await?, flows)
        }
        Verb::Adopt { which: Which { switch }, waiting } => {
            output.reply(&client.adopt_switch(&switch, waiting.wait()).await?, details)
        }
        Verb::Reset { which: Which { switch }, waiting } => {
            output.reply(&client.reset_switch(&switch, waiting.wait()).await?, details)
        }
        Verb::Pool { which: Which { switch }, port, ready } => {
            let body = PoolPortBody { ready };
            output.reply(&client.put_pool_port(&switch, &port, body).await?, pool_port)
        }
        Verb::Delete(Which { switch }) => {
            let pending = client.delete_switch(&switch).await?;
            output.removal(&format!("switch {switch}"), pending)
        }
    }
}

/// A name to set, or none to go back to the switch's own.
fn named(text: String) -> Result<Option<Name>, CliError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: api::Invalid| CliError::Usage(error.to_string()))
}

fn connection(switch: &Switch) -> &'static str {
    match switch.connection {
        Connection::Connected => "connected",
        Connection::Connecting => "connecting",
        Connection::Away => "away",
        Connection::Unsupported => "unsupported",
        Connection::ForeignState => "foreign-state",
    }
}

fn table(switches: &[Switch]) -> String {
    let mut table =
        Table::new(["SWITCH", "DPID", "ADDRESS", "PORTS", "CONNECTION", "IN SYNC", "REASON"]);
    for switch in switches {
        table.row([
            cell(switch.name.as_ref()),
            switch.dpid.to_string(),
            cell(switch.address.as_ref()),
            switch.ports.len().to_string(),
            connection(switch).to_owned(),
            if switch.in_sync { "yes" } else { "no" }.to_owned(),
            cell(switch.reason.as_ref()),
        ]);
    }
    table.text()
}

fn details(switch: &Switch) -> String {
    let mut text = table(std::slice::from_ref(switch));
    let _ = writeln!(
        text,
        "\npool {}, trunks {}",
        visible(&format!("{:?}", switch.pool.as_str())),
        visible(&format!("{:?}", switch.trunks.as_str()))
    );
    if let Some(about) = &switch.description {
        let about = [&about.manufacturer, &about.hardware, &about.software, &about.serial];
        let about: Vec<String> =
            about.into_iter().filter(|part| !part.is_empty()).map(|part| visible(part)).collect();
        if !about.is_empty() {
            let _ = writeln!(text, "{}", about.join(", "));
        }
    }
    if switch.ports.is_empty() {
        return text;
    }
    let mut ports = Table::new(["PORT", "NUMBER", "UP", "ROLE", "NETWORK", "OWNER"]);
    for port in &switch.ports {
        let role = match port.role {
            PortRole::Free => "free",
            PortRole::Attached => "attached",
            PortRole::Trunk => "trunk",
            PortRole::Pool if port.ready == Some(false) => "pool, not ready",
            PortRole::Pool => "pool",
            PortRole::Releasing => "releasing",
            PortRole::Local => "local",
        };
        ports.row([
            port.name.to_string(),
            port.number.to_string(),
            if port.up { "yes" } else { "no" }.to_owned(),
            role.to_owned(),
            cell(port.network.as_ref()),
            cell(port.owner.as_ref()),
        ]);
    }
    text.push('\n');
    text.push_str(&ports.text());
    text
}

fn change(change: Option<FlowChange>) -> &'static str {
    match change {
        None => "",
        Some(FlowChange::Add) => "add",
        Some(FlowChange::Modify) => "modify",
        Some(FlowChange::Remove) => "remove",
    }
}

fn flows(tables: &FlowTables) -> String {
    let mut flows =
        Table::new(["TABLE", "PRIORITY", "NETWORK", "MATCH", "INSTRUCTIONS", "COOKIE", ""]);
    for flow in &tables.items {
        flows.row([
            flow.table.to_string(),
            flow.priority.to_string(),
            cell(flow.network.as_ref()),
            flow.r#match.clone(),
            flow.instructions.clone(),
            flow.cookie.clone(),
            change(flow.change).to_owned(),
        ]);
    }
    let mut groups = Table::new(["GROUP", "NETWORK", "BUCKETS", ""]);
    for group in &tables.groups {
        groups.row([
            group.id.to_string(),
            cell(group.network.as_ref()),
            group.buckets.join(" | "),
            change(group.change).to_owned(),
        ]);
    }
    format!("{}\n{}", flows.text(), groups.text())
}

fn pool_port(port: &PoolPort) -> String {
    let mut table = Table::new(["SWITCH", "PORT", "NUMBER", "READY", "USE", "OWNER"]);
    let used = match port.r#use {
        PoolUse::Free => "free",
        PoolUse::Attached => "attached",
        PoolUse::Releasing => "releasing",
    };
    table.row([
        port.switch.to_string(),
        port.port.to_string(),
        cell(port.number),
        if port.ready { "yes" } else { "no" }.to_owned(),
        used.to_owned(),
        cell(port.owner.as_ref()),
    ]);
    table.text()
}
