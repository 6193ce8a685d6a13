//! What one switch must hold so that one network works.
//!
//! Pure: equal inputs give equal slices on every controller instance, so
//! mastership may move without a flow changing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use openflow::{DatapathId, MacAddr, PortNo};

use crate::model::{NetworkId, Place};
use crate::routes::{Routes, SwitchRoutes};
use crate::slice::{Out, Slice, Source};

/// A network as it should be, with its ports found on live switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its number.
    pub id: NetworkId,
    /// Its ports.
    pub members: BTreeMap<DatapathId, BTreeMap<PortNo, Member>>,
    /// Where its hosts are, as far as known.
    pub hosts: BTreeMap<MacAddr, Host>,
    /// Whether it has learnt as many hosts as it may.
    pub full: bool,
    /// Ports from which no copies come for a while.
    pub muted: BTreeSet<Place>,
}

/// What a member port may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Who may speak there; `None` lets anybody.
    pub enforce: Option<Allowed>,
}

/// An enforced port's allow-list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Source MACs.
    pub macs: BTreeSet<MacAddr>,
    /// Addresses for ARP, ND and IP; any, where empty.
    pub ips: BTreeSet<IpAddr>,
}

/// A known host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The port it speaks through.
    pub place: Place,
    /// Learnt from traffic rather than declared.
    pub learnt: bool,
}

impl Network {
    /// The switches that have members.
    pub fn switches(&self) -> BTreeSet<DatapathId> {
        self.members.keys().copied().collect()
    }
}

/// All slices of a network, one for each switch that needs one.
pub fn compile_all(network: &Network, routes: &Routes) -> BTreeMap<DatapathId, Slice> {
    let none = SwitchRoutes::default();
    let switches: BTreeSet<_> = network.members.keys().chain(routes.keys()).copied().collect();
    let slices = switches
        .into_iter()
        .map(|switch| (switch, compile(network, switch, routes.get(&switch).unwrap_or(&none))));
    slices.filter(|(_, slice)| !slice.is_empty()).collect()
}

/// The slice of one network on one switch.
pub fn compile(network: &Network, switch: DatapathId, routes: &SwitchRoutes) -> Slice {
    let nobody = BTreeMap::new();
    let members = network.members.get(&switch).unwrap_or(&nobody);
    let mut slice = Slice {
        edges: members.keys().copied().collect(),
        known_in: routes.known_in.clone(),
        flood_in: routes.tree.clone(),
        flood_out: members.keys().map(|port| Out::Edge(*port)).collect(),
        ..Slice::default()
    };
    slice.flood_out.extend(routes.tree.iter().map(|(port, encap)| Out::Trunk(*port, *encap)));
    for (&mac, host) in &network.hosts {
        if host.place.switch != switch {
            let towards = routes.towards(host.place.switch);
            slice.hosts.extend(towards.map(|(port, encap)| (mac, Out::Trunk(port, encap))));
        } else if let Some(member) = members.get(&host.place.port) {
            slice.hosts.insert(mac, Out::Edge(host.place.port));
            slice.sources.extend(source(host.place.port, mac, host.learnt, member));
        }
    }
    for (&port, member) in members {
        let muted = network.muted.contains(&Place::new(switch, port));
        slice.sources.extend(muted.then_some(Source::Muted(port)));
        slice.sources.extend(member.enforce.iter().flat_map(|allowed| enforced(port, allowed)));
    }
    if network.full && !members.is_empty() {
        slice.sources.insert(Source::Full);
    }
    slice
}

/// What keeps a known host from being learnt again. On an enforced port the
/// allow-list does.
fn source(port: PortNo, mac: MacAddr, learnt: bool, member: &Member) -> Option<Source> {
    match (&member.enforce, learnt) {
        (Some(_), _) => None,
        (None, true) => Some(Source::Learnt(port, mac)),
        (None, false) => Some(Source::Declared(port, mac)),
    }
}

fn enforced(port: PortNo, allowed: &Allowed) -> Vec<Source> {
    let mut sources = vec![Source::Deny(port)];
    for &mac in &allowed.macs {
        if allowed.ips.is_empty() {
            sources.push(Source::Declared(port, mac));
        } else {
            sources.push(Source::Bootstrap(port, mac));
            sources.extend(allowed.ips.iter().map(|ip| Source::Address(port, mac, *ip)));
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Encap;

    const HERE: DatapathId = DatapathId(1);
    const THERE: DatapathId = DatapathId(2);
    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);

    fn blue() -> Network {
        Network {
            id: NetworkId::new(7).unwrap(),
            members: BTreeMap::new(),
            hosts: BTreeMap::new(),
            full: false,
            muted: BTreeSet::new(),
        }
    }

    impl Network {
        fn member(mut self, switch: DatapathId, port: u32, member: Member) -> Self {
            self.members.entry(switch).or_default().insert(PortNo(port), member);
            self
        }

        fn host(mut self, mac: MacAddr, switch: DatapathId, port: u32, learnt: bool) -> Self {
            let place = Place::new(switch, PortNo(port));
            self.hosts.insert(mac, Host { place, learnt });
            self
        }
    }

    fn open() -> Member {
        Member::default()
    }

    fn only(macs: &[MacAddr], ips: &[&str]) -> Member {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Member { enforce: Some(Allowed { macs: macs.iter().copied().collect(), ips }) }
    }

    fn trunk(port: u32) -> SwitchRoutes {
        let port = PortNo(port);
        SwitchRoutes {
            tree: BTreeMap::from([(port, Encap::Vlan)]),
            known_in: BTreeMap::from([(port, Encap::Vlan)]),
            towards: vec![(THERE, (port, Encap::Vlan))],
        }
    }

    #[test]
    fn a_slice_holds_only_what_its_switch_needs() {
        let alone = SwitchRoutes::default();
        let cases = [
            ("nobody here, nothing to pass through", blue(), alone.clone(), ""),
            (
                "a member",
                blue().member(HERE, 1, open()),
                alone.clone(),
                "flood -> 1\nt0 in_port=1 -> edge\n",
            ),
            (
                "member and trunk",
                blue().member(HERE, 1, open()),
                trunk(9),
                "flood -> 1 vlan:9\nt0 in_port=1 -> edge\nt0 vlan in_port=9 -> known\nt0 vlan in_port=9 -> flood\n",
            ),
            (
                "a host here is a source, one elsewhere is not",
                blue().member(HERE, 1, open()).host(A, HERE, 1, true).host(B, THERE, 3, true),
                trunk(9),
                "flood -> 1 vlan:9\nt0 in_port=1 -> edge\nt0 vlan in_port=9 -> known\nt0 vlan in_port=9 -> flood\n\
                 t1 in_port=1 02:00:00:00:00:0a learnt\nt2 02:00:00:00:00:0a -> 1\nt2 02:00:00:00:00:0b -> vlan:9\n",
            ),
            (
                "a host on a port that isn't a member is nowhere",
                blue().member(HERE, 1, open()).host(A, HERE, 2, true),
                alone.clone(),
                "flood -> 1\nt0 in_port=1 -> edge\n",
            ),
            (
                "an enforced port admits its MAC and nothing else",
                blue().member(HERE, 1, only(&[A], &[])).host(A, HERE, 1, false),
                alone.clone(),
                "flood -> 1\nt0 in_port=1 -> edge\nt1 in_port=1 02:00:00:00:00:0a declared\n\
                 t1 in_port=1 else drop\nt2 02:00:00:00:00:0a -> 1\n",
            ),
            (
                "with addresses only those",
                blue().member(HERE, 1, only(&[A], &["192.0.2.1"])),
                alone,
                "flood -> 1\nt0 in_port=1 -> edge\nt1 in_port=1 02:00:00:00:00:0a 192.0.2.1\n\
                 t1 in_port=1 02:00:00:00:00:0a bootstrap\nt1 in_port=1 else drop\n",
            ),
        ];
        for (name, network, routes, want) in cases {
            assert_eq!(compile(&network, HERE, &routes).to_string(), want, "{name}");
        }
    }
}
