//! Carries plans out on embedded switches, as the controller would.

use std::collections::{BTreeMap, BTreeSet};

use controller::base;
use controller::compile::{Host, Member, Network, compile_all};
use controller::diff::diff;
use controller::graph::Graph;
use controller::lower;
use controller::model::{Encap, NetworkId, Place};
use controller::plan::{Phase, State, plan};
use controller::routes::routes;
use controller::slice::Slice;
use openflow::{Body, DatapathId};
use proptest::prelude::*;
use testbed::fabric::Fabric;

use super::judge;
use super::world::{NETWORKS, PORTS, Topology, World, mac, network_id};

type Slices = BTreeMap<DatapathId, Slice>;

/// Switches, and what their controller believes of them.
pub struct Lab {
    pub topology: Topology,
    pub fabric: Fabric,
    peers: BTreeMap<Place, Place>,
    installed: BTreeMap<NetworkId, Slices>,
    random: u64,
}

impl Lab {
    pub fn new(topology: &Topology, seed: u64) -> Self {
        let mut fabric = Fabric::seeded(seed);
        for switch in 1..=topology.switches {
            fabric.add_switch(switch, &format!("s{switch}"), 1..=PORTS);
        }
        for link in &topology.links {
            let (a, b) = ((link.a.switch, link.a.port), (link.b.switch, link.b.port));
            let _ = match link.encap {
                Encap::Vlan => fabric.link(a, b),
                Encap::TunId => fabric.tunnel(a, b),
            };
        }
        let peers =
            topology.links.iter().flat_map(|link| [(link.a, link.b), (link.b, link.a)]).collect();
        let mut lab = Self {
            topology: topology.clone(),
            fabric,
            peers,
            installed: BTreeMap::new(),
            random: seed | 1,
        };
        let constant: Vec<_> = base::constant().into_iter().collect();
        for switch in 1..=topology.switches {
            lab.send(DatapathId(switch), base::lower(&constant, &[]));
        }
        lab
    }

    pub fn set_links(&mut self, up: &[bool]) {
        for (link, up) in self.topology.links.clone().iter().zip(up) {
            let _ = self.fabric.set_link((link.a.switch, link.a.port), *up);
        }
    }

    /// The links that are up.
    pub fn graph(&self, up: &[bool]) -> Graph {
        let links =
            self.topology.links.iter().zip(up).filter(|(_, up)| **up).map(|(link, _)| *link);
        Graph::new((1..=self.topology.switches).map(DatapathId), links)
    }

    /// From one world to the next: the plans of all networks side by side, phase by phase in any order, judged after
    /// each part of each phase.
    pub fn change(&mut self, old: &World, new: &World) -> Result<(), TestCaseError> {
        let mut plans: Vec<(NetworkId, std::vec::IntoIter<Phase>)> = Vec::new();
        let mut wanted = BTreeMap::new();
        for index in 0..NETWORKS.len() {
            let id = network_id(index);
            let desired = self.desired(index, new);
            let installed = self.installed.entry(id).or_default();
            let switches: BTreeSet<_> = desired.keys().chain(installed.keys()).copied().collect();
            let state = switches.into_iter().map(|switch| {
                let of = |slices: &Slices| slices.get(&switch).cloned().unwrap_or_default();
                (
                    switch,
                    State {
                        installed: of(installed),
                        desired: of(&desired),
                        live: true,
                        assumed: false,
                    },
                )
            });
            plans.push((id, plan(&state.collect(), &self.peers).into_iter()));
            wanted.insert(id, desired);
        }
        while !plans.is_empty() {
            let index = self.below(plans.len() as u64) as usize;
            let (id, phases) = &mut plans[index];
            let id = *id;
            match phases.next() {
                None => drop(plans.remove(index)),
                Some(phase) => self.phase(id, phase, old, new)?,
            }
        }
        for (id, desired) in wanted {
            prop_assert_eq!(
                &self.installed[&id],
                &desired,
                "the plan of network {} leads elsewhere",
                id
            );
        }
        self.compare_reports()
    }

    fn desired(&self, index: usize, world: &World) -> Slices {
        let id = network_id(index);
        let mut network = Network {
            id,
            members: BTreeMap::new(),
            hosts: BTreeMap::new(),
            full: false,
            muted: BTreeSet::new(),
        };
        for (switch, port) in world.members(index) {
            network
                .members
                .entry(DatapathId(switch))
                .or_default()
                .insert(port.into(), Member::default());
        }
        for ((of, number), ((switch, port), known)) in &world.hosts {
            if *of == index && *known {
                let place = Place::new(DatapathId(*switch), (*port).into());
                network.hosts.insert(mac(*number), Host { place, learnt: number % 2 == 0 });
            }
        }
        let graph = self.graph(&world.up);
        compile_all(&network, &routes(id, &network.switches(), &graph, &BTreeMap::new()))
    }

    /// A part of the switches first, then the others.
    fn phase(
        &mut self,
        id: NetworkId,
        phase: Phase,
        old: &World,
        new: &World,
    ) -> Result<(), TestCaseError> {
        let first: BTreeSet<_> = phase.keys().copied().filter(|_| self.below(2) == 0).collect();
        let (early, late): (Phase, Phase) =
            phase.into_iter().partition(|(switch, _)| first.contains(switch));
        for part in [early, late] {
            for (switch, slice) in part {
                let installed = self.installed.entry(id).or_default();
                let before = installed.get(&switch).cloned().unwrap_or_default();
                let steps = lower::lower(id, &diff(&before, &slice));
                match slice.is_empty() {
                    true => drop(installed.remove(&switch)),
                    false => drop(installed.insert(switch, slice)),
                }
                self.send(switch, steps);
            }
            judge::between(self, old, new)?;
        }
        Ok(())
    }

    fn send(&mut self, switch: DatapathId, steps: lower::Steps) {
        for step in steps {
            for body in step {
                let said = format!("{body:?}");
                assert_eq!(self.fabric.request(switch, body), [], "{said}");
            }
            assert_eq!(self.fabric.request(switch, Body::BarrierRequest), [Body::BarrierReply]);
        }
    }

    /// What the switches report, lifted, must be what the controller believes.
    fn compare_reports(&mut self) -> Result<(), TestCaseError> {
        for switch in (1..=self.topology.switches).map(DatapathId) {
            let (flows, groups) = judge::reports(&mut self.fabric, switch);
            let lifted = controller::lift::lift(&flows, &groups);
            for (id, slices) in &self.installed {
                let believed = slices.get(&switch).cloned().unwrap_or_default();
                let read =
                    lifted.networks.get(id).map(|read| read.slice.clone()).unwrap_or_default();
                prop_assert_eq!(read, believed, "network {} on {}", id, switch);
            }
            prop_assert!(
                lifted.networks.values().all(|read| !read.damaged && read.strays.is_empty())
            );
        }
        Ok(())
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % end
    }
}
