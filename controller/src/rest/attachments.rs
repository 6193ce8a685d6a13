//! Attachments and pools.

use api::Problem;
use api::ProblemKind;
use api::page::{Listing, Page};
use api::types::{
    Ack, Attachment, AttachmentFilter, AttachmentSpec, Changed, PoolPort, PoolPortBody, Wait,
};
use api::values::{AttachmentId, NetworkName};

use super::{Rest, with_port};
use crate::engine::Engine;
use crate::model::{PortAt, PortRef, SwitchRef};

impl Rest {
    pub(super) async fn list_attachments(
        &self,
        filter: AttachmentFilter,
        page: Page,
    ) -> Result<Listing<Attachment>, Problem> {
        self.run(move |engine| {
            let found = engine.find_attachments(&filter);
            page.cut(
                found,
                |(_, port)| port.age.to_be_bytes(),
                |(at, port)| engine.show_attachment(at, port),
            )
        })
        .await
        .map(|Listing { items, next }| Listing {
            items: items.into_iter().flatten().collect(),
            next,
        })
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
        let name = network.clone();
        let started = self.run(move |engine| engine.attach(&name, &specs)).await??;
        let (attached, ack) = self.finish(started, wait).await?;
        self.run(move |engine| {
            let shown = attached.into_iter().map(|(change, at)| {
                let (port, now) = show(engine, &network, &at)?;
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

/// An attachment that was just made. Somebody may have removed it again.
fn show(
    engine: &Engine,
    network: &NetworkName,
    at: &PortAt,
) -> Result<(api::types::Port, Attachment), Problem> {
    let found = engine.attached(at).filter(|(_, port)| port.network == *network);
    let shown = found.and_then(|(at, port)| {
        Some((engine.show_port(&at, port), engine.show_attachment(&at, port)?))
    });
    shown.ok_or_else(|| {
        let detail = format!("Port {at} was attached, but somebody has detached it since.");
        Problem::new(ProblemKind::AttachmentNotFound, detail)
    })
}
