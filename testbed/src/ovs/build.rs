//! Builds a lab.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::guard::Guard;
use super::instance::Ovs;
use super::lab::Lab;
use super::node::{NodeSpec, OvsNode, Port};
use super::switch::{Host, Switch};
use super::topology::{Topology, Trunks};
use super::wiring;
use crate::error::LabError;
use crate::host::{Machine, Tap, host_mac};
use crate::netns::NetNs;

/// What a lab is built from.
#[derive(Clone, Copy, Debug)]
pub struct LabSpec {
    /// Switches and links.
    pub topology: Topology,
    /// What links are.
    pub trunks: Trunks,
    /// Hosts at each switch that has hosts: `s1h1`, `s1h2`, …
    pub hosts: usize,
    /// Machines at each switch that has hosts: `s1m1`, … with addresses 10.77.0.1, .2, … in order.
    pub machines: usize,
    /// After this much silence a switch probes its controller.
    pub inactivity_probe: Duration,
}

/// 10.77.0.1.
const FIRST_MACHINE: u32 = 0x0a4d_0001;

impl LabSpec {
    /// Builds the lab and waits until every trunk passes frames.
    ///
    /// # Errors
    /// [`LabError`] without rights or Open vSwitch, or when a device can't be made.
    pub fn build(self) -> Result<Lab, LabError> {
        let Self { topology, trunks, .. } = self;
        let folder = tempfile::Builder::new().prefix("isolane-lab-").tempdir();
        let folder =
            folder.map_err(|source| LabError::io("making the lab's folder", source))?.keep();
        let guard = Guard::over(&folder)?;
        let namespace = Arc::new(NetNs::new("lab")?);
        let entered = namespace.enter()?;

        let names = topology.switches();
        let links = topology.links(trunks);
        let namespaces = wiring::namespaces(&namespace, &names, trunks)?;
        let mut sites: Vec<Site> = names.into_iter().zip(namespaces).map(Site::new).collect();
        for link in &links {
            let [a, b] = link.switches;
            let [at_a, at_b] =
                wiring::trunk(link, trunks, [&sites[a].namespace, &sites[b].namespace])?;
            sites[a].ports.push(at_a);
            sites[b].ports.push(at_b);
        }
        let mut hosts = Vec::new();
        let mut machines = Vec::new();
        for (index, site) in sites.iter_mut().enumerate().take(topology.edges()) {
            for host in 1..=self.hosts {
                let tap = Tap::create(&format!("{}h{host}", site.name), &site.namespace)?;
                site.ports.push(Port::Device(tap.name().to_owned()));
                hosts.push(Host {
                    switch: index,
                    mac: host_mac(counted(index + 1), counted(host)),
                    tap,
                });
            }
            for machine in 1..=self.machines {
                let address = Ipv4Addr::from(FIRST_MACHINE + machines.len() as u32);
                let made =
                    Machine::create(&format!("{}m{machine}", site.name), &site.namespace, address)?;
                site.ports.push(Port::Device(made.port().to_owned()));
                machines.push(made);
            }
        }
        let lab = Lab {
            spec: self,
            switches: self.switches(sites, &folder)?,
            hosts,
            machines,
            links,
            cut: Mutex::new(BTreeSet::new()),
            dead: Mutex::new(BTreeSet::new()),
            ids: AtomicU64::new(1),
            _entered: entered,
            namespace,
            folder,
            _guard: guard,
        };
        lab.warm_up()?;
        Ok(lab)
    }

    /// Starts Open vSwitch as often as needed, at the same time, and makes the bridges.
    fn switches(&self, sites: Vec<Site>, folder: &Path) -> Result<Vec<Switch>, LabError> {
        let start = |site: &Site| {
            Ovs::start(&folder.join(&site.name), Arc::clone(&site.namespace)).map(Arc::new)
        };
        let shared = match sites.first() {
            Some(first) if self.trunks.share_one_ovs() => Some(start(first)?),
            _ => None,
        };
        let make = |index: usize, site: Site| match &shared {
            Some(ovs) => self.switch(index, site, ovs),
            None => self.switch(index, site.clone(), &start(&site)?),
        };
        thread::scope(|scope| {
            let make = &make;
            let started: Vec<_> = sites
                .into_iter()
                .enumerate()
                .map(|(index, site)| scope.spawn(move || make(index, site)))
                .collect();
            let joined = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            started.into_iter().map(joined).collect()
        })
    }

    fn switch(&self, index: usize, mut site: Site, ovs: &Arc<Ovs>) -> Result<Switch, LabError> {
        if self.trunks == Trunks::OvsVxlan {
            wiring::underlay_bridge(ovs, index)?;
        }
        let eye = Tap::create(&format!("{}eye", site.name), &site.namespace)?;
        let marked = site.ports.iter().map(|port| port.name().to_owned()).collect();
        site.ports.push(Port::Device(eye.name().to_owned()));
        let spec = NodeSpec {
            name: site.name,
            dpid: index as u64 + 1,
            controller: wiring::controller(self.trunks),
            inactivity_probe: self.inactivity_probe,
        };
        let node = OvsNode::start(ovs, &spec, &site.ports)?;
        let made = Switch { node, namespace: site.namespace, eye, ports: marked };
        made.install_marker_flows()?;
        Ok(made)
    }
}

/// Where a switch will be, and the ports it will have.
#[derive(Clone)]
struct Site {
    name: String,
    namespace: Arc<NetNs>,
    ports: Vec<Port>,
}

impl Site {
    fn new((name, namespace): (String, Arc<NetNs>)) -> Self {
        Self { name, namespace, ports: Vec::new() }
    }
}

fn counted(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
