//! `isolane attachment …`

use api::Client;
use api::name::SwitchRef;
use api::types::{Attachment, AttachmentFilter, AttachmentSpec};
use api::values::{AttachmentId, NetworkName, Owner};
use clap::Subcommand;

use super::Text;
use super::args::{Waiting, switch};
use super::output::{Output, Table, cell, state};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the ports that have an owner
    #[command(alias = "ls")]
    List {
        /// Only those of this owner
        #[arg(long)]
        owner: Option<Owner>,
        /// Only those whose owner starts with this
        #[arg(long, value_name = "TEXT")]
        owner_prefix: Option<String>,
    },
    /// Show one attachment
    #[command(alias = "get")]
    Show {
        /// Its id
        id: AttachmentId,
    },
    /// Attach any free port of a switch's pool
    #[command(alias = "add")]
    Create {
        /// The network
        network: NetworkName,
        /// The switch: its name, or its datapath id
        #[arg(value_parser = switch())]
        switch: SwitchRef,
        /// Who it is for; the same owner gets the same port again
        #[arg(long)]
        owner: Owner,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Detach the port of an attachment
    #[command(alias = "rm")]
    Delete {
        /// Its id
        id: AttachmentId,
        #[command(flatten)]
        waiting: Waiting,
    },
}

pub(super) async fn run(client: &Client, verb: Verb, output: Output) -> Text {
    match verb {
        Verb::List { owner, owner_prefix } => {
            let filter = AttachmentFilter { owner, owner_prefix };
            output.list(client.attachments(&filter).await?, table)
        }
        Verb::Show { id } => output.show(&client.attachment(&id).await?, one),
        Verb::Create { network, switch, owner, waiting } => {
            let spec = AttachmentSpec { switch, owner };
            output.reply(&client.create_attachment(&network, &spec, waiting.wait()).await?, one)
        }
        Verb::Delete { id, waiting } => {
            let pending = client.delete_attachment(&id, waiting.wait()).await?;
            output.removal(&format!("attachment {id}"), pending)
        }
    }
}

fn one(attachment: &Attachment) -> String {
    table(std::slice::from_ref(attachment))
}

fn table(attachments: &[Attachment]) -> String {
    let mut table =
        Table::new(["ID", "NETWORK", "SWITCH", "PORT", "NUMBER", "OWNER", "SINCE", "STATE"]);
    for it in attachments {
        table.row([
            it.id.to_string(),
            it.network.to_string(),
            it.switch.to_string(),
            it.port.to_string(),
            cell(it.number),
            it.owner.to_string(),
            it.since.to_string(),
            state(it.state, it.reason.as_deref()),
        ]);
    }
    table.text()
}
