//! Attachments and pools.

use api::page::{Listing, Page};
use api::types::{
    Ack, Attachment, AttachmentFilter, AttachmentSpec, Changed, PoolPort, PoolPortBody, Port, Wait,
};
use api::values::{AttachmentId, NetworkName, Owner};
use api::{Problem, ProblemKind};

use super::{Rest, with_port};
use crate::engine::Engine;
use crate::intents::PortRecord;
use crate::model::{PortAt, PortRef, SwitchRef};

impl Rest {
    pub(super) async fn list_attachments(
        &self,
        filter: AttachmentFilter,
        page: Page,
    ) -> Result<Listing<Attachment>, Problem> {
        self.run(move |engine| {
            let from = page.after.as_ref().and_then(|after| owner_in(after.key()));
            let found = engine.find_attachments(&filter, from);
            let Listing { items, next } = page.cut(
                found,
                |(_, port)| key(port),
                |(at, port)| engine.show_attachment(at, port),
            );
            Listing { items: items.into_iter().flatten().collect(), next }
        })
        .await
    }

    pub(super) async fn show_attachment(&self, id: AttachmentId) -> Result<Attachment, Problem> {
        self.run(move |engine| {
            engine.attachment(&id).ok_or_else(|| {
                let detail = format!("There is no attachment {id}.");
                Problem::new(ProblemKind::AttachmentNotFound, detail)
            })
        })
        .await?
    }

    pub(super) async fn attach(
        &self,
        network: NetworkName,
        specs: Vec<AttachmentSpec>,
        wait: Wait,
    ) -> Result<Vec<Changed<Attachment>>, Problem> {
        let (name, owners) = (network.clone(), specs.iter().map(|it| it.owner.clone()));
        let owners: Vec<_> = owners.collect();
        let started = self.run(move |engine| engine.attach(&name, &specs)).await??;
        let (attached, ack) = self.finish(started, wait).await?;
        self.run(move |engine| {
            let shown = attached.into_iter().zip(owners).map(|((change, at), owner)| {
                let (port, now) = show(engine, &network, &at, &owner)?;
                Ok(Changed { change, ack: with_port(ack.clone(), &port), now })
            });
            shown.collect()
        })
        .await?
    }

    pub(super) async fn mark_pool_port(
        &self,
        switch: SwitchRef,
        port: PortRef,
        body: PoolPortBody,
    ) -> Result<Changed<PoolPort>, Problem> {
        let started =
            self.run(move |engine| engine.mark_pool_port(&switch, &port, body.ready)).await??;
        let ((change, id, port), _) = self.finish(started, Wait::Stored).await?;
        let now = self.run(move |engine| engine.show_pool_port(id, &port)).await?;
        Ok(Changed { change, ack: Ack::Installed, now })
    }
}

/// Where an attachment stands in the list of all: at its owner, then by age.
fn key(port: &PortRecord) -> Vec<u8> {
    let owner = port.spec.owner.as_ref().map(Owner::as_str).unwrap_or_default();
    // No owner has a zero, so one that begins like another comes later.
    [owner.as_bytes(), &[0], &port.age.to_be_bytes()].concat()
}

fn owner_in(key: &[u8]) -> Option<Owner> {
    let end = key.len().checked_sub(1 + size_of::<u64>())?;
    std::str::from_utf8(key.get(..end)?).ok()?.parse().ok()
}

/// An attachment that was just made. Somebody may have removed it again, and
/// the port may even be another's by now.
fn show(
    engine: &Engine,
    network: &NetworkName,
    at: &PortAt,
    owner: &Owner,
) -> Result<(Port, Attachment), Problem> {
    let found = engine
        .attached(at)
        .filter(|(_, port)| port.network == *network && port.spec.owner.as_ref() == Some(owner));
    let shown = found.and_then(|(at, port)| {
        Some((engine.show_port(&at, port), engine.show_attachment(&at, port)?))
    });
    shown.ok_or_else(|| {
        let detail = format!("Port {at} was attached, but somebody has detached it since.");
        Problem::new(ProblemKind::AttachmentNotFound, detail)
    })
}
