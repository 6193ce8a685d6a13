//! A lab: switches, trunks, hosts, and verbs to use and break them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::build::LabSpec;
use super::capture::Capture;
use super::guard::Guard;
use super::instance::Ovs;
use super::node::Port;
use super::switch::{Host, Switch};
use super::topology::{Link, Topology, Trunks};
use super::wiring;
use crate::error::LabError;
use crate::host::{BROADCAST, Frame, Mac, Machine, Tap, host_mac};
use crate::netns::{Entered, NetNs};
use crate::wait::{Look, until};

/// For ports to be given other numbers. It takes milliseconds; a loaded machine takes longer.
const NUMBERS: Duration = Duration::from_secs(20);

/// Real Open vSwitch nodes in namespaces. All of it goes when this is dropped.
///
/// The thread that builds a lab is in the lab's namespace until then: what it starts there (the controller, an
/// async runtime) can listen at [`controller_addr`](Self::controller_addr) and on loopback.
#[derive(Debug)]
pub struct Lab {
    pub(super) spec: LabSpec,
    // Fields are dropped in order: daemons first, the guard with the folder last.
    pub(super) switches: Vec<Switch>,
    pub(super) hosts: Vec<Host>,
    pub(super) machines: Vec<Machine>,
    pub(super) links: Vec<Link>,
    /// Numbers of links that are cut.
    pub(super) cut: Mutex<BTreeSet<usize>>,
    /// Switches whose daemon is dead.
    pub(super) dead: Mutex<BTreeSet<usize>>,
    pub(super) ids: AtomicU64,
    pub(super) _entered: Entered,
    pub(super) namespace: Arc<NetNs>,
    pub(super) folder: PathBuf,
    pub(super) _guard: Guard,
}

impl Lab {
    /// Builds a lab with `hosts` hosts at each switch that has hosts, and waits until every trunk passes frames.
    ///
    /// # Errors
    /// [`LabError`] without rights or Open vSwitch, or when a device can't be made.
    pub fn build(topology: Topology, trunks: Trunks, hosts: usize) -> Result<Self, LabError> {
        LabSpec { topology, trunks, hosts, machines: 0, inactivity_probe: Duration::from_secs(5) }
            .build()
    }

    /// Where switches look for their controller: it should listen here.
    pub fn controller_addr(&self) -> SocketAddr {
        wiring::controller(self.spec.trunks)
    }

    /// What this lab was built from.
    pub fn spec(&self) -> &LabSpec {
        &self.spec
    }

    /// The namespace of the test and the controller.
    pub fn namespace(&self) -> &Arc<NetNs> {
        &self.namespace
    }

    /// All switches, in order of their datapath ids, which count from 1.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// All machines.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// All links.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The switch of that name.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is none.
    pub fn switch(&self, name: &str) -> Result<&Switch, LabError> {
        found(self.switches.iter().find(|it| it.name() == name), "switch", name)
    }

    /// The host of that name, such as `s1h1`.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is none.
    pub fn host(&self, name: &str) -> Result<&Host, LabError> {
        found(self.hosts.iter().find(|it| it.name() == name), "host", name)
    }

    /// The machine of that name, such as `s1m1`.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is none.
    pub fn machine(&self, name: &str) -> Result<&Machine, LabError> {
        found(self.machines.iter().find(|it| it.port() == name), "machine", name)
    }

    /// The link between two switches, in either order.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when they aren't joined.
    pub fn link(&self, a: &str, b: &str) -> Result<&Link, LabError> {
        let (a_at, b_at) = (self.index(a)?, self.index(b)?);
        let joins = |link: &&Link| link.switches == [a_at, b_at] || link.switches == [b_at, a_at];
        found(self.links.iter().find(joins), "link", &format!("{a}-{b}"))
    }

    /// A number that this lab gives out once.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A frame like no other from one host's address to another's.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is no such host.
    pub fn unicast(&self, from: &str, to: &str) -> Result<Frame, LabError> {
        Ok(Frame::probe(self.host(to)?.mac, self.host(from)?.mac, self.next_id()))
    }

    /// A frame like no other from a host's address to everybody.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is no such host.
    pub fn broadcast(&self, from: &str) -> Result<Frame, LabError> {
        self.frame_to(from, BROADCAST)
    }

    /// A frame like no other from a host's address to any other.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is no such host.
    pub fn frame_to(&self, from: &str, dst: Mac) -> Result<Frame, LabError> {
        Ok(Frame::probe(dst, self.host(from)?.mac, self.next_id()))
    }

    /// Cuts a link. Veth ports go down at both ends; all others stay up and pass nothing.
    ///
    /// # Errors
    /// [`LabError`] when there is no such link or the system refuses.
    pub fn cut(&self, a: &str, b: &str) -> Result<(), LabError> {
        self.set_link(a, b, false)
    }

    /// Cuts one direction of a link that isn't of veth: what `from` sends to `to` is lost, and no port shows it.
    ///
    /// # Errors
    /// [`LabError`] when there is no such link or the system refuses.
    pub fn cut_one_way(&self, from: &str, to: &str) -> Result<(), LabError> {
        let link = self.link(from, to)?.clone();
        let here = usize::from(self.switches[link.switches[0]].name() != from);
        let (sender, receiver) = (&self.switches[link.switches[here]], link.switches[1 - here]);
        let other = (receiver, link.ports[1 - here].as_str());
        lock(&self.cut).insert(link.number);
        sender.set_trunk(&link.ports[here], other, self.spec.trunks, false)
    }

    /// Undoes [`cut`](Self::cut), and [`cut_one_way`](Self::cut_one_way); returns once the link passes frames, as devices
    /// tell their state asynchronously.
    ///
    /// # Errors
    /// [`LabError`] when there is no such link, the system refuses, or nothing passes.
    pub fn mend(&self, a: &str, b: &str) -> Result<(), LabError> {
        self.set_link(a, b, true)?;
        self.warm_up_link(self.link(a, b)?.number)
    }

    /// Kills a switch's daemon as a crash would; with patch trunks that is all switches.
    ///
    /// # Errors
    /// [`LabError`] when there is no such switch.
    pub fn kill(&self, switch: &str) -> Result<(), LabError> {
        let ovs = Arc::clone(self.switch(switch)?.node.ovs());
        ovs.kill()?;
        lock(&self.dead).extend(self.sharing(&ovs));
        Ok(())
    }

    /// Starts a switch's daemon anew, killing it first if it runs: no flows, and maybe other port numbers.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't start.
    pub fn restart(&self, switch: &str) -> Result<(), LabError> {
        let ovs = Arc::clone(self.switch(switch)?.node.ovs());
        ovs.restart()?;
        for index in self.sharing(&ovs) {
            lock(&self.dead).remove(&index);
            self.switches[index].install_marker_flows()?;
        }
        Ok(())
    }

    /// Gives ports other OpenFlow numbers while they are in use, all at once; two may swap theirs.
    ///
    /// # Errors
    /// [`LabError`] when there is no such port, or Open vSwitch gives other numbers than asked.
    pub fn renumber(&self, switch: &str, ports: &[(&str, u32)]) -> Result<(), LabError> {
        let switch = self.switch(switch)?;
        switch.node.request_numbers(ports, true)?;
        let names: Vec<&str> = ports.iter().map(|(name, _)| *name).collect();
        let wanted: Vec<u32> = ports.iter().map(|(_, number)| *number).collect();
        until("ports to have their new numbers", NUMBERS, || {
            Ok(match switch.node.port_numbers(&names) {
                Ok(now) if now == wanted => Look::Done(()),
                other => Look::NotYet(format!("{other:?}")),
            })
        })?;
        switch.install_marker_flows()
    }

    /// Kills a switch's daemon and starts it anew with these numbers for ports: no flows.
    ///
    /// # Errors
    /// [`LabError`] when it doesn't start.
    pub fn restart_renumbered(&self, switch: &str, ports: &[(&str, u32)]) -> Result<(), LabError> {
        self.kill(switch)?;
        self.switch(switch)?.node.request_numbers(ports, false)?;
        self.restart(switch)
    }

    /// Adds a host at a switch; `name`, at most 15 bytes, is its port's too.
    ///
    /// # Errors
    /// [`LabError`] when there is no such switch or the name is taken.
    pub fn add_host(&mut self, switch: &str, name: &str) -> Result<&Host, LabError> {
        let index = self.index(switch)?;
        let place = u16::try_from(self.hosts.len()).unwrap_or(u16::MAX);
        let at = &mut self.switches[index];
        let host = Host {
            switch: index,
            mac: host_mac(0xffff, place),
            tap: Tap::create(name, &at.namespace)?,
        };
        at.node.add_port(&Port::Device(name.to_owned()))?;
        at.ports.push(name.to_owned());
        at.install_marker_flows()?;
        self.hosts.push(host);
        self.host(name)
    }

    /// Makes all switches forget cached decisions, so that what is installed now acts from the next frame on.
    ///
    /// See [`OvsNode::forget_decisions`](super::OvsNode::forget_decisions): without it, a story also measures how fast
    /// Open vSwitch looks through its cache.
    ///
    /// # Errors
    /// [`LabError::Command`] when a switch's daemon is dead.
    pub fn forget_decisions(&self) -> Result<(), LabError> {
        self.all_ovs().into_iter().try_for_each(|ovs| ovs.appctl(["revalidator/purge"]).map(drop))
    }

    /// Log lines in which any switch complains about OpenFlow messages.
    pub fn openflow_warnings(&self) -> Vec<String> {
        self.all_ovs().into_iter().flat_map(Ovs::openflow_warnings).collect()
    }

    /// Takes down what switches and their controller say from now on, for tshark to judge.
    ///
    /// # Errors
    /// [`LabError`] when tcpdump isn't installed.
    pub fn capture_control(&self) -> Result<Capture, LabError> {
        let wire = wiring::control_wire(self.spec.trunks);
        Capture::start(&self.namespace, wire, self.controller_addr().port(), &self.folder)
    }

    /// All flows and groups of all switches, as text that two points in time can be compared by.
    ///
    /// # Errors
    /// [`LabError`] when a switch's daemon is dead.
    pub fn tables(&self) -> Result<String, LabError> {
        let mut all = String::new();
        for Switch { node, .. } in &self.switches {
            all += &format!("{}\n{}{}", node.name(), node.dump_flows()?, node.dump_groups()?);
        }
        Ok(all)
    }

    /// Whether a switch's daemon runs.
    pub(super) fn lives(&self, switch: usize) -> bool {
        !lock(&self.dead).contains(&switch)
    }

    /// Links that aren't cut, between switches that live.
    pub(super) fn whole_links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| {
            !lock(&self.cut).contains(&link.number)
                && link.switches.iter().all(|it| self.lives(*it))
        })
    }

    fn index(&self, switch: &str) -> Result<usize, LabError> {
        found(self.switches.iter().position(|it| it.name() == switch), "switch", switch)
    }

    /// Each Open vSwitch once.
    fn all_ovs(&self) -> Vec<&Ovs> {
        let all = self.switches.iter().map(|switch| &**switch.node.ovs());
        if self.spec.trunks.share_one_ovs() { all.take(1).collect() } else { all.collect() }
    }

    fn sharing(&self, ovs: &Arc<Ovs>) -> Vec<usize> {
        (0..self.switches.len())
            .filter(|index| Arc::ptr_eq(self.switches[*index].node.ovs(), ovs))
            .collect()
    }

    fn set_link(&self, a: &str, b: &str, whole: bool) -> Result<(), LabError> {
        let link = self.link(a, b)?.clone();
        for (here, there) in [(0, 1), (1, 0)] {
            let switch = &self.switches[link.switches[here]];
            let other = (link.switches[there], link.ports[there].as_str());
            switch.set_trunk(&link.ports[here], other, self.spec.trunks, whole)?;
        }
        if whole {
            lock(&self.cut).remove(&link.number);
        } else {
            lock(&self.cut).insert(link.number);
        }
        Ok(())
    }
}

/// A test that panicked elsewhere left nothing half-done here.
fn lock(set: &Mutex<BTreeSet<usize>>) -> MutexGuard<'_, BTreeSet<usize>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

fn found<T>(thing: Option<T>, kind: &str, name: &str) -> Result<T, LabError> {
    thing.ok_or_else(|| LabError::Wrong(format!("the lab has no {kind} {name}")))
}
