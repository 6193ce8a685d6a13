//! The kernel's devices, by rtnetlink: what there is, changes, and news of changes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::DefaultNla;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, InfoVxlan,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMetric};
use rtnetlink::{
    Error, Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, LinkVxlan, MulticastGroup,
    RouteMessageBuilder, new_connection, new_multicast_connection,
};
use tokio::sync::mpsc;

use super::facts::{Kind, Link};
use super::names::GROUP;
use super::plan::{Change, LinkStep};

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection with the kernel.
    #[error("rtnetlink: {0}")]
    Connect(#[source] std::io::Error),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

impl From<Error> for LinkError {
    fn from(error: Error) -> Self {
        Self::Refused(match error {
            Error::NetlinkError(message) => message.to_io().to_string(),
            other => other.to_string(),
        })
    }
}

/// The devices of the namespace that this process runs in.
#[derive(Clone, Debug)]
pub struct Links {
    handle: Handle,
}

impl Links {
    /// Connects with the kernel; the connection runs as a task of its own.
    ///
    /// # Errors
    /// [`LinkError::Connect`] when there is no netlink.
    pub fn connect() -> Result<Self, LinkError> {
        let (connection, handle, _) = new_connection().map_err(LinkError::Connect)?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// All devices.
    ///
    /// # Errors
    /// [`LinkError::Refused`] when they can't be listed.
    pub async fn read(&self) -> Result<Vec<Link>, LinkError> {
        let messages: Vec<LinkMessage> = self.handle.link().get().execute().try_collect().await?;
        Ok(messages.iter().map(link).collect())
    }

    /// The MTU of what carries tunnels: of the device with the node's own address, and of those that lead to other
    /// nodes, the smallest. None if there is neither.
    ///
    /// # Errors
    /// [`LinkError::Refused`] when addresses can't be listed.
    pub async fn underlay_mtu(
        &self,
        links: &[Link],
        own: IpAddr,
        peers: &[IpAddr],
    ) -> Result<Option<u32>, LinkError> {
        let mtu = |index: u32| links.iter().find(|it| it.index == index).map(|it| it.mtu);
        let mut found = BTreeSet::new();
        let mut addresses = self.handle.address().get().execute();
        while let Some(address) = addresses.try_next().await? {
            let is_own = address.attributes.iter().any(|it| match it {
                AddressAttribute::Address(ip) | AddressAttribute::Local(ip) => *ip == own,
                _ => false,
            });
            if is_own {
                found.extend(mtu(address.header.index));
            }
        }
        // All nodes of a large mesh are behind few routes, and usually one.
        for peer in peers.iter().take(PEERS_LOOKED_AT) {
            found.extend(self.route_mtu(*peer, &mtu).await);
        }
        // Loopback's MTU says nothing: a node's own address may well be there.
        Ok(found.into_iter().find(|mtu| *mtu < 65_536))
    }

    /// The MTU on the way to an address; none if there is no way now.
    async fn route_mtu(&self, to: IpAddr, mtu: &impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let message = match to {
            IpAddr::V4(ip) => {
                RouteMessageBuilder::<std::net::Ipv4Addr>::new().destination_prefix(ip, 32).build()
            }
            IpAddr::V6(ip) => {
                RouteMessageBuilder::<std::net::Ipv6Addr>::new().destination_prefix(ip, 128).build()
            }
        };
        let mut routes = Box::pin(self.handle.route().get(message).execute());
        let route = routes.try_next().await.ok().flatten()?;
        let said = route.attributes.iter().find_map(|it| match it {
            RouteAttribute::Metrics(metrics) => metrics.iter().find_map(|metric| match metric {
                RouteMetric::Mtu(mtu) => Some(*mtu),
                _ => None,
            }),
            _ => None,
        });
        said.or_else(|| {
            route.attributes.iter().find_map(|it| match it {
                RouteAttribute::Oif(index) => mtu(*index),
                _ => None,
            })
        })
    }

    /// Carries one step out.
    ///
    /// # Errors
    /// [`LinkError::Refused`] with the kernel's reason.
    pub async fn apply(&self, step: &LinkStep) -> Result<(), LinkError> {
        let links = self.handle.link();
        match step {
            LinkStep::AddPair { host, pod, mac, mtu } => {
                let end = LinkMessageBuilder::<LinkUnspec>::new()
                    .name(pod.clone())
                    .address(mac.to_vec())
                    .mtu(*mtu)
                    .link_group(GROUP)
                    .build();
                let pair = LinkMessageBuilder::<LinkVeth>::new(host, pod)
                    .set_info_data(InfoData::Veth(InfoVeth::Peer(end)))
                    .mtu(*mtu)
                    .link_group(GROUP)
                    .build();
                links.add(pair).execute().await?;
                self.mute(host).await?;
                self.up(host).await
            }
            LinkStep::AddVxlan { name, vni, udp_port, remote, mtu } => {
                let device = to(LinkVxlan::new(name, *vni), *remote).port(*udp_port);
                links.add(device.mtu(*mtu).link_group(GROUP).build()).execute().await?;
                self.mute(name).await?;
                self.up(name).await
            }
            LinkStep::Change { index, name, change: Change::Remote(remote) } => {
                let device = to(LinkMessageBuilder::<LinkVxlan>::new(name), *remote).index(*index);
                Ok(links.change(device.build()).execute().await?)
            }
            LinkStep::Change { index, change: Change::Deaf, .. } => {
                let message = LinkUnspec::new_with_index(*index)
                    .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![deaf()]))
                    .build();
                Ok(links.set(message).execute().await?)
            }
            LinkStep::Change { index, change, .. } => {
                Ok(links.change(changed(*index, change).build()).execute().await?)
            }
            LinkStep::Delete { index, .. } => Ok(links.del(*index).execute().await?),
        }
    }

    async fn up(&self, name: &str) -> Result<(), LinkError> {
        let message = LinkUnspec::new_with_name(name).up().build();
        Ok(self.handle.link().change(message).execute().await?)
    }

    /// Keeps the kernel's own stack from a device that only the bridge should use: IPv4 from listening, IPv6 from
    /// speaking.
    async fn mute(&self, name: &str) -> Result<(), LinkError> {
        let spec = |spec| {
            LinkUnspec::new_with_name(name)
                .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![spec]))
                .build()
        };
        self.handle.link().set(spec(deaf())).execute().await?;
        let quiet = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        // A kernel without IPv6 has nothing to keep quiet, and refuses.
        if let Err(error) = self.handle.link().set(spec(quiet)).execute().await {
            tracing::debug!(device = name, %error, "IPv6 stays as it is on this device");
        }
        Ok(())
    }
}

/// Settings of a device's IPv4 (`IPV4_DEVCONF_…`): the strict reverse path filter, which on a device without routes lets
/// nothing in, and no answer to ARP for any address.
const RP_FILTER: (u16, u32) = (8, 1);
const ARP_IGNORE: (u16, u32) = (19, 8);
/// `IFLA_INET_CONF`, nested.
const INET_CONF: u16 = 1 | 0x8000;

/// Those settings, and no others: the kernel takes a list of what changes.
fn deaf() -> AfSpecUnspec {
    let mut list = Vec::new();
    for (setting, value) in [RP_FILTER, ARP_IGNORE] {
        list.extend(8u16.to_ne_bytes());
        list.extend(setting.to_ne_bytes());
        list.extend(value.to_ne_bytes());
    }
    AfSpecUnspec::Inet(vec![AfSpecInet::Other(DefaultNla::new(INET_CONF, list))])
}

/// To this many other nodes the way's MTU is looked at.
const PEERS_LOOKED_AT: usize = 64;

/// News of devices that come, go or change, one word for any number of changes. The kernel's own queue may run over
/// and lose some: whoever listens also looks from time to time.
///
/// # Errors
/// [`LinkError::Connect`] when there is no netlink.
pub fn news() -> Result<mpsc::Receiver<()>, LinkError> {
    let (connection, _, mut messages) =
        new_multicast_connection(&[MulticastGroup::Link]).map_err(LinkError::Connect)?;
    tokio::spawn(connection);
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(async move {
        while messages.next().await.is_some() {
            // Full: a word is waiting already, and will be taken for this change too.
            if let Err(mpsc::error::TrySendError::Closed(())) = tell.try_send(()) {
                return;
            }
        }
    });
    Ok(told)
}

fn to(device: LinkMessageBuilder<LinkVxlan>, remote: IpAddr) -> LinkMessageBuilder<LinkVxlan> {
    match remote {
        IpAddr::V4(ip) => device.remote(ip),
        IpAddr::V6(ip) => device.remote6(ip),
    }
}

fn changed(index: u32, change: &Change) -> LinkMessageBuilder<LinkUnspec> {
    let message = LinkUnspec::new_with_index(index);
    match change {
        Change::Up(true) => message.up(),
        Change::Up(false) => message.down(),
        Change::Mtu(mtu) => message.mtu(*mtu),
        Change::Mac(mac) => message.address(mac.to_vec()),
        Change::PlainFlags => {
            message.promiscuous(false).allmulticast(false).arp(true).multicast(true)
        }
        Change::Alias(alias) => message.alias(alias.clone()),
        Change::Remote(_) | Change::Deaf => message, // have messages of their own
    }
}

/// A device as the kernel describes it.
fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let odd = LinkFlags::Promisc | LinkFlags::Allmulti | LinkFlags::Noarp;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        kind: Kind::Other,
        up: flags.contains(LinkFlags::Up),
        odd_flags: flags.intersects(odd) || !flags.contains(LinkFlags::Multicast),
        host_hears: false,
        mtu: 0,
        mac: Vec::new(),
        alias: String::new(),
        group: 0,
        master: None,
    };
    let (mut peer, mut elsewhere) = (0, false);
    let mut infos: &[LinkInfo] = &[];
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::IfAlias(alias) => link.alias.clone_from(alias),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Group(group) => link.group = *group,
            LinkAttribute::Address(mac) => link.mac.clone_from(mac),
            LinkAttribute::Controller(master) => link.master = Some(*master),
            LinkAttribute::Link(index) => peer = *index,
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(all) => infos = all,
            LinkAttribute::AfSpecUnspec(specs) => link.host_hears = specs.iter().any(hears),
            _ => {}
        }
    }
    for info in infos {
        match info {
            LinkInfo::Kind(InfoKind::Veth) => link.kind = Kind::Veth { peer, elsewhere },
            LinkInfo::Data(InfoData::Vxlan(data)) => link.kind = vxlan(data),
            _ => {}
        }
    }
    link
}

fn hears(spec: &AfSpecUnspec) -> bool {
    let AfSpecUnspec::Inet(settings) = spec else { return false };
    settings.iter().any(|it| match it {
        AfSpecInet::DevConf(it) => {
            i64::from(it.rp_filter) != i64::from(RP_FILTER.1)
                || i64::from(it.arp_ignore) != i64::from(ARP_IGNORE.1)
        }
        _ => false,
    })
}

fn vxlan(data: &[InfoVxlan]) -> Kind {
    let (mut vni, mut udp_port, mut remote) = (0, 0, None);
    for info in data {
        match info {
            InfoVxlan::Id(id) => vni = *id,
            InfoVxlan::Port(port) => udp_port = *port,
            InfoVxlan::Group(ip) if !ip.is_unspecified() => remote = Some(IpAddr::V4(*ip)),
            InfoVxlan::Group6(ip) if !ip.is_unspecified() => remote = Some(IpAddr::V6(*ip)),
            _ => {}
        }
    }
    Kind::Vxlan { vni, udp_port, remote }
}
