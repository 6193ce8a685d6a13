//! The calls, as the router has them.

use axum::body::Bytes;
use axum::http::Method;

use super::{Client, ClientError, Reply};
use crate::name::{PortRef, SwitchRef};
use crate::percent;
use crate::query::{
    ApplyQuery, AttachmentsQuery, ChangeQuery, DeleteNetworkQuery, Flag, FlowsQuery, HostsQuery,
    ListQuery,
};
use crate::types::{
    Applied, Attachment, AttachmentFilter, AttachmentSpec, Document, End, FlowTables, FlowView,
    Host, HostFilter, Link, LinkBody, Network, NetworkBody, NetworkSpec, Pending, PoolPort,
    PoolPortBody, Port, PortSpec, Restored, Switch, SwitchPatch, Wait,
};
use crate::values::{AttachmentId, NetworkName};

type Result<T> = std::result::Result<T, ClientError>;

const NETWORKS: &str = "/api/v1/networks";
const SWITCHES: &str = "/api/v1/switches";
const ATTACHMENTS: &str = "/api/v1/attachments";

/// A value as a path segment.
fn seg(value: &impl ToString) -> String {
    percent::encode(value.to_string().as_bytes())
}

fn network_path(network: &NetworkName) -> String {
    format!("{NETWORKS}/{}", seg(network))
}

fn port_path(network: &NetworkName, switch: &SwitchRef, port: &PortRef) -> String {
    format!("{}/ports/{}/{}", network_path(network), seg(switch), seg(port))
}

fn switch_path(switch: &SwitchRef) -> String {
    format!("{SWITCHES}/{}", seg(switch))
}

fn link_path(a: &End, b: &End) -> String {
    let ends = [seg(&a.switch), seg(&a.port), seg(&b.switch), seg(&b.port)];
    format!("/api/v1/links/{}", ends.join("/"))
}

fn waiting(wait: Wait) -> ChangeQuery {
    ChangeQuery::default().waiting(wait)
}

impl Client {
    /// All networks, by name.
    pub async fn networks(&self) -> Result<Vec<Network>> {
        self.all(NETWORKS, ListQuery::default(), |q, next| q.cursor = Some(next)).await
    }

    /// All that the controller keeps, to be given back as it is.
    pub async fn backup(&self) -> Result<Bytes> {
        self.call(Method::GET, "/api/v1/backup".to_owned()).bytes().await
    }

    /// Makes everything as a backup says, all or nothing.
    pub async fn restore(&self, backup: Bytes, wait: Wait) -> Result<Reply<Restored>> {
        let call = self.call(Method::POST, "/api/v1/restore".to_owned());
        call.query(&waiting(wait)).waiting(wait).json_text(backup).json().await
    }

    /// One network.
    pub async fn network(&self, network: &NetworkName) -> Result<Network> {
        self.show(network_path(network)).await
    }

    /// Makes a network that isn't there yet.
    pub async fn create_network(&self, spec: &NetworkSpec, wait: Wait) -> Result<Reply<Network>> {
        let call = self.call(Method::POST, NETWORKS.to_owned());
        call.query(&waiting(wait)).waiting(wait).body(spec).json().await
    }

    /// Makes a network, or changes it to this.
    pub async fn put_network(&self, spec: &NetworkSpec, wait: Wait) -> Result<Reply<Network>> {
        let NetworkSpec { name, kind, mac_limit, labels } = spec.clone();
        let call = self.call(Method::PUT, network_path(&name));
        let body = NetworkBody { name: Some(name), kind, mac_limit, labels };
        call.query(&waiting(wait)).waiting(wait).body(&body).json().await
    }

    /// Removes a network; with `force` also its ports.
    pub async fn delete_network(
        &self,
        network: &NetworkName,
        force: bool,
        wait: Wait,
    ) -> Result<Option<Pending>> {
        let query = DeleteNetworkQuery { force: Flag(force), ..Default::default() };
        let call = self.call(Method::DELETE, network_path(network));
        call.query(&query.waiting(wait)).waiting(wait).removal().await
    }

    /// All ports of a network, by switch and port.
    pub async fn ports(&self, network: &NetworkName) -> Result<Vec<Port>> {
        let path = format!("{}/ports", network_path(network));
        self.all(&path, ListQuery::default(), |q, next| q.cursor = Some(next)).await
    }

    /// One port of a network.
    pub async fn port(
        &self,
        network: &NetworkName,
        switch: &SwitchRef,
        port: &PortRef,
    ) -> Result<Port> {
        self.show(port_path(network, switch, port)).await
    }

    /// Attaches a port, or changes what is said of it.
    pub async fn put_port(
        &self,
        network: &NetworkName,
        switch: &SwitchRef,
        port: &PortRef,
        spec: &PortSpec,
        wait: Wait,
    ) -> Result<Reply<Port>> {
        let call = self.call(Method::PUT, port_path(network, switch, port));
        call.query(&waiting(wait)).waiting(wait).body(spec).json().await
    }

    /// Detaches a port.
    pub async fn delete_port(
        &self,
        network: &NetworkName,
        switch: &SwitchRef,
        port: &PortRef,
        wait: Wait,
    ) -> Result<Option<Pending>> {
        let call = self.call(Method::DELETE, port_path(network, switch, port));
        call.query(&waiting(wait)).waiting(wait).removal().await
    }

    /// Makes everything as a document says, all or nothing.
    pub async fn apply(
        &self,
        document: &Document,
        prune: bool,
        wait: Wait,
    ) -> Result<Reply<Applied>> {
        let query = ApplyQuery { prune: Flag(prune), ..Default::default() };
        let call = self.call(Method::POST, "/api/v1/apply".to_owned());
        call.query(&query.waiting(wait)).waiting(wait).body(document).json().await
    }

    /// All known switches, by datapath id.
    pub async fn switches(&self) -> Result<Vec<Switch>> {
        self.all(SWITCHES, ListQuery::default(), |q, next| q.cursor = Some(next)).await
    }

    /// One switch.
    pub async fn switch(&self, switch: &SwitchRef) -> Result<Switch> {
        self.show(switch_path(switch)).await
    }

    /// Changes what is configured of a switch.
    pub async fn patch_switch(
        &self,
        switch: &SwitchRef,
        patch: &SwitchPatch,
        wait: Wait,
    ) -> Result<Reply<Switch>> {
        let call = self.call(Method::PATCH, switch_path(switch));
        call.query(&waiting(wait)).waiting(wait).body(patch).json().await
    }

    /// Forgets a switch that is gone for good.
    pub async fn delete_switch(&self, switch: &SwitchRef) -> Result<Option<Pending>> {
        self.call(Method::DELETE, switch_path(switch)).removal().await
    }

    /// Takes over a switch in foreign state, with its networks.
    pub async fn adopt_switch(&self, switch: &SwitchRef, wait: Wait) -> Result<Reply<Switch>> {
        let call = self.call(Method::POST, format!("{}/adopt", switch_path(switch)));
        call.query(&waiting(wait)).waiting(wait).json().await
    }

    /// Takes over a switch in foreign state, its flows removed.
    pub async fn reset_switch(&self, switch: &SwitchRef, wait: Wait) -> Result<Reply<Switch>> {
        let call = self.call(Method::POST, format!("{}/reset", switch_path(switch)));
        call.query(&waiting(wait)).waiting(wait).json().await
    }

    /// All flows and groups of Isolane's on a switch.
    pub async fn flows(&self, switch: &SwitchRef, view: FlowView) -> Result<FlowTables> {
        let path = format!("{}/flows", switch_path(switch));
        let mut query = FlowsQuery::from(view);
        let mut all = FlowTables { view, ..Default::default() };
        loop {
            let call = self.call(Method::GET, path.clone()).query(&query);
            let page: FlowTables = call.json().await?.body;
            all.items.extend(page.items);
            all.groups.extend(page.groups);
            match page.next {
                Some(cursor) => query.cursor = Some(cursor),
                None => return Ok(all),
            }
        }
    }

    /// All links, discovered and declared.
    pub async fn links(&self) -> Result<Vec<Link>> {
        self.all("/api/v1/links", ListQuery::default(), |q, next| q.cursor = Some(next)).await
    }

    /// Declares a link.
    pub async fn put_link(
        &self,
        a: &End,
        b: &End,
        body: &LinkBody,
        wait: Wait,
    ) -> Result<Reply<Link>> {
        let call = self.call(Method::PUT, link_path(a, b));
        call.query(&waiting(wait)).waiting(wait).body(body).json().await
    }

    /// Takes back a declaration.
    pub async fn delete_link(&self, a: &End, b: &End, wait: Wait) -> Result<Option<Pending>> {
        let call = self.call(Method::DELETE, link_path(a, b));
        call.query(&waiting(wait)).waiting(wait).removal().await
    }

    /// All hosts that are asked for, by network and MAC address.
    pub async fn hosts(&self, filter: &HostFilter) -> Result<Vec<Host>> {
        let HostFilter { network, switch } = filter.clone();
        let query = HostsQuery { network, switch, ..Default::default() };
        self.all("/api/v1/hosts", query, |q, next| q.cursor = Some(next)).await
    }

    /// All attachments that are asked for, by id.
    pub async fn attachments(&self, filter: &AttachmentFilter) -> Result<Vec<Attachment>> {
        let AttachmentFilter { owner, owner_prefix } = filter.clone();
        let query = AttachmentsQuery { owner, owner_prefix, ..Default::default() };
        self.all(ATTACHMENTS, query, |q, next| q.cursor = Some(next)).await
    }

    /// One attachment.
    pub async fn attachment(&self, attachment: &AttachmentId) -> Result<Attachment> {
        self.show(format!("{ATTACHMENTS}/{}", seg(attachment))).await
    }

    /// Attaches a free port of a switch's pool.
    pub async fn create_attachment(
        &self,
        network: &NetworkName,
        spec: &AttachmentSpec,
        wait: Wait,
    ) -> Result<Reply<Attachment>> {
        let call = self.call(Method::POST, format!("{}/attachments", network_path(network)));
        call.query(&waiting(wait)).waiting(wait).body(spec).json().await
    }

    /// Attaches several free ports, all or nothing; the answer is in the same
    /// order.
    pub async fn create_attachments(
        &self,
        network: &NetworkName,
        specs: &[AttachmentSpec],
        wait: Wait,
    ) -> Result<Reply<Vec<Attachment>>> {
        let call = self.call(Method::POST, format!("{}/attachments", network_path(network)));
        let reply: Reply<crate::page::Listing<Attachment>> =
            call.query(&waiting(wait)).waiting(wait).body(&specs).json().await?;
        Ok(Reply { status: reply.status, body: reply.body.items })
    }

    /// Detaches the port of an attachment.
    pub async fn delete_attachment(
        &self,
        attachment: &AttachmentId,
        wait: Wait,
    ) -> Result<Option<Pending>> {
        let call = self.call(Method::DELETE, format!("{ATTACHMENTS}/{}", seg(attachment)));
        call.query(&waiting(wait)).waiting(wait).removal().await
    }

    /// Says whether a port of a pool may be given out.
    pub async fn put_pool_port(
        &self,
        switch: &SwitchRef,
        port: &PortRef,
        body: PoolPortBody,
    ) -> Result<Reply<PoolPort>> {
        let path = format!("{}/pool/{}", switch_path(switch), seg(port));
        self.call(Method::PUT, path).body(&body).json().await
    }

    /// Whether the server can serve now; else the problem says why not.
    pub async fn ready(&self) -> Result<()> {
        self.call(Method::GET, "/readyz".to_owned()).text().await.map(drop)
    }

    /// The metrics, in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String> {
        self.call(Method::GET, "/metrics".to_owned()).text().await
    }
}
