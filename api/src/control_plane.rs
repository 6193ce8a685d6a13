//! What a controller does for its callers.
//!
//! The router turns requests into these calls and their results into answers;
//! it knows nothing of switches, and the controller nothing of HTTP.

use async_trait::async_trait;
use axum::body::Bytes;

use crate::error::Problem;
use crate::name::{PortRef, SwitchRef};
use crate::page::{Listing, Page};
use crate::types::{
    Ack, Applied, Attachment, AttachmentFilter, AttachmentSpec, Changed, Document, End, FlowTables,
    FlowView, Host, HostFilter, Link, LinkBody, Network, NetworkSpec, PoolPort, PoolPortBody, Port,
    PortSpec, Restored, Switch, SwitchPatch, Wait,
};
use crate::values::{AttachmentId, NetworkName};

/// A controller, as its callers see it.
///
/// What is passed in is valid as far as it can be said without knowing the
/// controller's state. A call that changes something returns once that is
/// durable, and then waits as `wait` says; see [`Ack`]. Dropping the future
/// (the caller went away) must not undo or half-do a change.
///
/// Removals of what isn't there succeed with [`Ack::Installed`].
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// The networks, by name.
    async fn networks(&self, page: Page) -> Result<Listing<Network>, Problem>;

    /// One network, or `network-not-found`.
    async fn network(&self, network: NetworkName) -> Result<Network, Problem>;

    /// Makes a network; unchanged if it exists just so, `network-exists` if it
    /// exists otherwise.
    async fn create_network(
        &self,
        spec: NetworkSpec,
        wait: Wait,
    ) -> Result<Changed<Network>, Problem>;

    /// Makes a network, or changes it to this.
    async fn put_network(&self, spec: NetworkSpec, wait: Wait)
    -> Result<Changed<Network>, Problem>;

    /// Removes a network; with `force` also its ports, else `network-in-use`
    /// if it has any.
    async fn delete_network(
        &self,
        network: NetworkName,
        force: bool,
        wait: Wait,
    ) -> Result<Ack, Problem>;

    /// The ports of a network, by switch and port, or `network-not-found`.
    async fn ports(&self, network: NetworkName, page: Page) -> Result<Listing<Port>, Problem>;

    /// One port of a network, or `network-not-found` or `port-not-attached`.
    async fn port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
    ) -> Result<Port, Problem>;

    /// Attaches a port, or changes what is said of it. An unknown switch or
    /// port is stored and pending; `network-not-found`, `port-in-use`,
    /// `port-is-trunk`.
    async fn put_port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
        spec: PortSpec,
        wait: Wait,
    ) -> Result<Changed<Port>, Problem>;

    /// Detaches a port. After [`Ack::Installed`] not one more frame passes.
    async fn delete_port(
        &self,
        network: NetworkName,
        switch: SwitchRef,
        port: PortRef,
        wait: Wait,
    ) -> Result<Ack, Problem>;

    /// Makes everything as a document says, all or nothing. With `prune`, what
    /// its set no longer names is removed. `document` has passed
    /// [`Document::check`]. A problem with one object says with
    /// [`Problem::at`] which one.
    async fn apply(
        &self,
        document: Document,
        prune: bool,
        wait: Wait,
    ) -> Result<(Applied, Ack), Problem>;

    /// The known switches, by datapath id.
    async fn switches(&self, page: Page) -> Result<Listing<Switch>, Problem>;

    /// One switch, or `switch-not-found`.
    async fn switch(&self, switch: SwitchRef) -> Result<Switch, Problem>;

    /// Changes what is configured of a switch. `switch-not-found`,
    /// `name-in-use`.
    async fn patch_switch(
        &self,
        switch: SwitchRef,
        patch: SwitchPatch,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem>;

    /// Forgets a switch that is gone for good; `switch-connected` if it isn't.
    async fn delete_switch(&self, switch: SwitchRef) -> Result<Ack, Problem>;

    /// Takes over a switch in foreign state: networks are read back from its
    /// flows where that is possible. `switch-not-found`, `switch-not-foreign`.
    async fn adopt_switch(
        &self,
        switch: SwitchRef,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        let _ = (switch, wait);
        Err(Problem::not_implemented("Adopting a switch"))
    }

    /// Takes over a switch in foreign state: Isolane's flows on it are removed
    /// first. `switch-not-found`, `switch-not-foreign`.
    async fn reset_switch(
        &self,
        switch: SwitchRef,
        wait: Wait,
    ) -> Result<Changed<Switch>, Problem> {
        let _ = (switch, wait);
        Err(Problem::not_implemented("Resetting a switch"))
    }

    /// The flows and groups of a switch, the flows by table, priority (highest
    /// first) and match, or `switch-not-found`, or `switch-away` where it was
    /// never read.
    async fn flows(
        &self,
        switch: SwitchRef,
        view: FlowView,
        page: Page,
    ) -> Result<FlowTables, Problem>;

    /// The links, discovered and declared, by their ends.
    async fn links(&self, page: Page) -> Result<Listing<Link>, Problem>;

    /// Declares a link, its ends in either order. Unknown switches and ports
    /// are stored and pending. `port-in-use` if an end is in a network,
    /// `link-exists` if it is in another link.
    async fn put_link(
        &self,
        a: End,
        b: End,
        body: LinkBody,
        wait: Wait,
    ) -> Result<Changed<Link>, Problem>;

    /// Takes back a declaration, its ends in either order.
    async fn delete_link(&self, a: End, b: End, wait: Wait) -> Result<Ack, Problem>;

    /// The hosts, by network and MAC address.
    async fn hosts(&self, filter: HostFilter, page: Page) -> Result<Listing<Host>, Problem>;

    /// Every port that has an owner, by owner.
    async fn attachments(
        &self,
        filter: AttachmentFilter,
        page: Page,
    ) -> Result<Listing<Attachment>, Problem> {
        let _ = (filter, page);
        Err(Problem::not_implemented("Listing attachments"))
    }

    /// One attachment, or `attachment-not-found`.
    async fn attachment(&self, attachment: AttachmentId) -> Result<Attachment, Problem> {
        let _ = attachment;
        Err(Problem::not_implemented("Showing an attachment"))
    }

    /// Attaches free ports of the switches' pools, all or nothing; the answer
    /// is in the order of `specs`. The same owner on the same switch gets the
    /// same port again. `network-not-found`, `switch-not-found`,
    /// `owner-in-use`, `pool-exhausted`; a problem with one of several says
    /// with [`Problem::at`] which one.
    async fn create_attachments(
        &self,
        network: NetworkName,
        specs: Vec<AttachmentSpec>,
        wait: Wait,
    ) -> Result<Vec<Changed<Attachment>>, Problem> {
        let _ = (network, specs, wait);
        Err(Problem::not_implemented("Attaching a port of a pool"))
    }

    /// Detaches the port of an attachment.
    async fn delete_attachment(
        &self,
        attachment: AttachmentId,
        wait: Wait,
    ) -> Result<Ack, Problem> {
        let _ = (attachment, wait);
        Err(Problem::not_implemented("Deleting an attachment"))
    }

    /// Says whether a port of a pool may be given out. `switch-not-found`,
    /// `port-not-found`.
    async fn put_pool_port(
        &self,
        switch: SwitchRef,
        port: PortRef,
        body: PoolPortBody,
    ) -> Result<Changed<PoolPort>, Problem> {
        let _ = (switch, port, body);
        Err(Problem::not_implemented("Marking a port of a pool"))
    }

    /// All that is kept, as of one moment: a [`Backup`](crate::types::Backup)
    /// as JSON. `too-many-requests` while another is being made.
    async fn backup(&self) -> Result<Bytes, Problem> {
        Err(Problem::not_implemented("Making a backup"))
    }

    /// Makes everything as a backup says, all or nothing. `backup-damaged`,
    /// `backup-version`.
    async fn restore(&self, backup: Bytes, wait: Wait) -> Result<(Restored, Ack), Problem> {
        let _ = (backup, wait);
        Err(Problem::not_implemented("Giving a backup back"))
    }

    /// Whether requests can be served now; else `not-ready`, and why.
    async fn ready(&self) -> Result<(), Problem>;

    /// The metrics, in Prometheus' text format (version 0.0.4).
    async fn metrics(&self) -> String;
}
