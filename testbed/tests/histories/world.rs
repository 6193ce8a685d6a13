//! A lab, what callers have done to it, and what happened to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::types::{Ack, NetworkSpec, PortSpec, State};
use api::values::{HostIp, MacLimit, NetworkName};
use controller::cookie::Cookie;
use controller::engine::{Started, Stored};
use controller::model::{Encap, Name, NetworkId, PortAt, PortRef, by_id};
use openflow::{
    Action, BadRequest, Body, DatapathId, ErrorCode, FlowMod, FlowModCommand, FlowModFailed,
    FlowStats, FlowStatsRequest, GroupDesc, GroupId, GroupMod, GroupModCommand, GroupModFailed,
    GroupType, Instruction, MultipartReplyBody, MultipartRequestBody, PortNo,
};
use testbed::fabric::{Deliveries, Place};
use testbed::lab::{Dice, Lab, Losses, Refusals, Stall, Step, named, port_named};
use testbed::switch::{Datapath, Limits};
use tokio::sync::oneshot;

use crate::laws;
use crate::plan::{Event, PORTS, Plan};

/// A host port, whatever its number is.
pub type Port = (u64, u32);
/// A network: never another one's, though names and ids are.
pub type Tag = u32;

pub struct World {
    pub lab: Lab,
    pub plan: Plan,
    pub dice: Dice,
    pub cables: Vec<Cut>,
    pub networks: Vec<(NetworkName, Tag)>,
    /// The network that each port should be in.
    pub ports: BTreeMap<Port, Tag>,
    /// The networks that each port may still be in, and since which change.
    pub owners: BTreeMap<Port, BTreeMap<Tag, u64>>,
    pub dead: BTreeSet<u64>,
    /// Flows may send anything anywhere: somebody altered one.
    pub altered: bool,
    /// Ports that were in their networks when all was well, and have stayed since; while nothing fails.
    pub steady: Option<BTreeMap<Port, Tag>>,
    /// Where hosts were when all was well, and have not spoken elsewhere since.
    pub homes: BTreeMap<(Tag, [u8; 6]), Port>,
    /// What ports that should be enforced let out.
    pub enforced: BTreeMap<Port, Allowed>,
    /// The same, once it is confirmed.
    pub firm: BTreeMap<Port, Allowed>,
    /// How many MACs each network may learn, and at most has learnt.
    caps: BTreeMap<Tag, (usize, usize)>,
    spoke: BTreeMap<(Tag, [u8; 6]), Spoke>,
    /// Learnt hosts of which their switch has told that they are silent.
    silent: BTreeSet<(Tag, [u8; 6])>,
    /// Switches whose flows somebody altered, or that confirm what they don't hold.
    strange: BTreeSet<u64>,
    /// What the last settled world holds, before anything was done.
    pub fresh: String,
    renumbered: bool,
    next_tag: Tag,
    changes: u64,
    promises: Vec<Promise>,
}

/// What an enforced port lets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub mac: u32,
    /// Only ARP and IP, with this MAC's own address.
    pub address: bool,
}

/// Where a MAC spoke since all was well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoke {
    /// At this port alone.
    At(Port),
    /// Nobody can say whose it is now.
    Somewhere,
}

/// How a cable is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Whole,
    Both,
    Nowhere,
    First,
}

/// A change whose end is awaited.
struct Promise {
    stored: Option<Stored>,
    settling: Vec<oneshot::Receiver<()>>,
    networks: Vec<NetworkId>,
    /// Ports that leave a network by it.
    left: Vec<(Port, Tag, u64)>,
    /// A port that lets out only this from then on.
    bound: Option<(Port, Allowed)>,
}

impl World {
    pub fn new(plan: &Plan, seed: u64) -> Result<Self, String> {
        let mut lab = Lab::new(seed).map_err(|error| error.to_string())?;
        lab.loud = std::env::var_os("HISTORY_LOUD").is_some();
        for switch in 1..=plan.switches {
            lab.add(datapath(switch, 0));
        }
        let mut world = Self {
            lab,
            plan: plan.clone(),
            dice: Dice::new(seed ^ 0x15),
            cables: vec![Cut::Whole; plan.cables.len()],
            networks: Vec::new(),
            ports: BTreeMap::new(),
            owners: BTreeMap::new(),
            dead: BTreeSet::new(),
            altered: false,
            steady: None,
            homes: BTreeMap::new(),
            enforced: BTreeMap::new(),
            firm: BTreeMap::new(),
            caps: BTreeMap::new(),
            spoke: BTreeMap::new(),
            silent: BTreeSet::new(),
            strange: BTreeSet::new(),
            fresh: String::new(),
            renumbered: false,
            next_tag: 1,
            changes: 0,
            promises: Vec::new(),
        };
        for cable in 0..plan.cables.len() {
            world.plug(cable, 0, 0);
            if plan.cables[cable].tunnel {
                let [a, b] = [0, 1].map(|side| world.end_at(cable, side));
                let started = world.lab.call(|engine| engine.put_link(a, b, Encap::TunId));
                started.map_err(|problem| format!("{problem:?}"))?;
            }
        }
        world.settle()?;
        world.fresh = world.lab.fabric.tables();
        Ok(world)
    }

    /// Joins the ends of a cable; ports are numbered from these on.
    fn plug(&mut self, cable: usize, a_base: u32, b_base: u32) {
        let (a, b) = (self.plan.cables[cable].a, self.plan.cables[cable].b);
        let number = |base: u32| base + 10 + cable as u32;
        for (switch, base) in [(a, a_base), (b, b_base)] {
            let name = format!("t{cable}");
            let there = port_named(&self.lab.fabric, DatapathId(switch), &name);
            if there.is_none() {
                let mut spec = named(number(base), &name);
                spec.tunnel = self.plan.cables[cable].tunnel;
                if let Some(datapath) = self.lab.fabric.switch_mut(switch) {
                    let _ = datapath.add_port(spec);
                }
            }
        }
        let (Some(a), Some(b)) = (self.end(cable, 0), self.end(cable, 1)) else { return };
        if self.plan.cables[cable].tunnel {
            self.lab.disturb(|fabric| fabric.tunnel(a, b));
        } else {
            self.lab.disturb(|fabric| fabric.link(a, b));
        }
    }

    fn end(&self, cable: usize, side: usize) -> Option<Place> {
        let switch = [self.plan.cables[cable].a, self.plan.cables[cable].b][side];
        let port = port_named(&self.lab.fabric, DatapathId(switch), &format!("t{cable}"))?;
        Some(Place { switch: DatapathId(switch), port })
    }

    fn end_at(&self, cable: usize, side: usize) -> PortAt {
        let switch = [self.plan.cables[cable].a, self.plan.cables[cable].b][side];
        at(switch, &format!("t{cable}"))
    }

    /// Where a host port is now.
    pub fn place(&self, (switch, slot): Port) -> Option<Place> {
        let port = port_named(&self.lab.fabric, DatapathId(switch), &format!("h{slot}"))?;
        Some(Place { switch: DatapathId(switch), port })
    }

    /// Which host port this is.
    pub fn port_at(&self, place: Place) -> Option<Port> {
        let switch = place.switch.0;
        (1..=PORTS).map(|slot| (switch, slot)).find(|port| self.place(*port) == Some(place))
    }

    /// Whether frames cross a cable.
    pub fn crosses(&self, cable: usize) -> bool {
        let ends = [self.plan.cables[cable].a, self.plan.cables[cable].b];
        self.cables[cable] == Cut::Whole && ends.iter().all(|switch| !self.dead.contains(switch))
    }

    pub fn is_connected(&self, switch: u64) -> bool {
        self.lab.is_connected(switch)
    }

    pub fn all_connected(&self) -> bool {
        (1..=self.plan.switches).all(|switch| self.is_connected(switch))
    }

    fn nth_port(&self, n: u32) -> Option<Port> {
        let all: Vec<_> = self.ports.keys().copied().collect();
        (!all.is_empty()).then(|| all[n as usize % all.len()])
    }

    pub fn name_of(&self, tag: Tag) -> Option<&NetworkName> {
        self.networks.iter().find(|(_, other)| *other == tag).map(|(name, _)| name)
    }

    /// Lets something happen.
    pub fn happen(&mut self, event: Event) -> Result<(), String> {
        if self.lab.loud {
            println!("{:?} {event:?}", self.lab.fabric.now());
        }
        match event {
            Event::Attach(switch, slot, n) => self.attach((switch, slot), n)?,
            Event::Detach(n) => {
                if let Some(port) = self.nth_port(n) {
                    self.detach(port);
                }
            }
            Event::Create => self.create()?,
            Event::Delete(n) => self.delete(n)?,
            Event::Speak(n, mac) => self.speak(n, mac)?,
            Event::Declare(n, mac) => self.declare(n, mac)?,
            Event::Hop(n) => self.hop(n)?,
            Event::Forge(n, m) => self.forge(n, m)?,
            Event::Enforce(n, mac, address) => self.enforce(n, mac, address)?,
            Event::Cap(n, limit) => self.cap(n, limit)?,
            Event::Silence(switch) => self.fall_silent(switch),
            Event::Cut(n, how) => {
                if let Some(cable) = self.nth_cable(n, true) {
                    self.cables[cable] = [Cut::Both, Cut::Nowhere, Cut::First][how as usize % 3];
                    self.fails();
                    self.set_cable(cable);
                }
            }
            Event::Mend(n) => {
                if let Some(cable) = self.nth_cable(n, false) {
                    self.cables[cable] = Cut::Whole;
                    self.fails();
                    self.set_cable(cable);
                }
            }
            Event::HangUp(switch) => {
                if self.is_connected(switch) {
                    self.fails();
                    self.lab.hang_up(switch, false);
                }
            }
            Event::Away(switch, silent) => {
                if self.is_connected(switch) {
                    self.fails();
                    if silent {
                        self.lab.cut_off(switch);
                    } else {
                        self.lab.hang_up(switch, true);
                    }
                }
            }
            Event::Back(switch) => {
                if !self.dead.contains(&switch) && self.lab.is_away(switch) {
                    self.lab.call_back(switch);
                }
            }
            Event::Die(switch, shows) => self.die(switch, shows),
            Event::Revive(switch, renumber) => self.revive(switch, renumber),
            Event::Forget(switch) => {
                if self.dead.contains(&switch) {
                    let forgotten =
                        self.lab.call(|engine| engine.delete_switch(&by_id(DatapathId(switch))));
                    // Refused while the controller hasn't noticed that it is gone.
                    drop(forgotten);
                }
            }
            Event::RemoveFlow(switch, n) => self.remove_flow(switch, n),
            Event::AlterFlow(switch, n) => self.alter_flow(switch, n),
            Event::RemoveGroup(switch, n) => self.remove_group(switch, n),
            Event::Limit(switch, n) => {
                self.fails();
                let mut limits = Limits { flows: 3 + n as usize, ..Limits::default() };
                if n % 3 == 0 {
                    limits = Limits { groups: n as usize / 3, ..Limits::default() };
                }
                if let Some(datapath) = self.lab.fabric.switch_mut(switch) {
                    datapath.set_limits(limits);
                }
            }
            Event::Refuse(switch, n) => {
                self.fails();
                let codes = [
                    ErrorCode::FlowModFailed(FlowModFailed::TableFull),
                    ErrorCode::FlowModFailed(FlowModFailed::Unknown),
                    ErrorCode::GroupModFailed(GroupModFailed::OutOfGroups),
                    ErrorCode::BadRequest(BadRequest::Eperm),
                ];
                let code = codes[n as usize % codes.len()];
                let refusals = Refusals { chance: 50 + (n % 700) as u16, code };
                self.lab.refuse(switch, Some(refusals));
            }
            Event::Idle(switch) => {
                self.fails();
                self.lab.stall(switch, Stall::Idle);
            }
            Event::Unconfirming(switch) => {
                self.fails();
                self.lab.stall(switch, Stall::Unconfirming);
            }
            Event::Mumble(switch, told) => {
                self.fails();
                self.lab.lose(switch, Losses { told: told as u16, ..Losses::default() });
            }
            Event::Mishear(switch, changes) => {
                self.fails();
                // It may forward anything from here on: what it holds isn't what it says.
                self.altered = true;
                self.strange.insert(switch);
                self.lab.lose(switch, Losses { changes: changes as u16, ..Losses::default() });
            }
            Event::Mended(switch) => {
                self.lab.stall(switch, Stall::None);
                self.lab.lose(switch, Losses::default());
            }
            Event::Restart => {
                // What works goes on working, but for what was just heard.
                self.spoke.clear();
                self.silent.clear();
                self.promises.clear();
                self.lab.restart_controller().map_err(|error| error.to_string())?;
            }
            Event::Steps(n) => {
                for _ in 0..n {
                    let step = self.lab.step();
                    self.look(step)?;
                }
            }
            Event::Wait(millis) => {
                let until = self.lab.now() + Duration::from_millis(millis.into());
                while self.lab.now() < until {
                    let step = self.lab.step();
                    self.look(step)?;
                }
            }
            Event::Settle => self.settle()?,
        }
        self.look(Step::Changed)
    }

    /// Something fails: not all that worked need go on working.
    fn fails(&mut self) {
        self.steady = None;
        self.spoke.clear();
        self.silent.clear();
    }

    /// What must be true after every step.
    fn look(&mut self, step: Step) -> Result<(), String> {
        self.collect()?;
        if self.steady.is_some() && !self.lab.refused.is_empty() {
            return Err("a switch refuses a change while nothing fails".to_owned());
        }
        if step == Step::Changed && !self.altered { laws::always(self) } else { Ok(()) }
    }

    /// Changes whose end has come: ports that left are in no network any more.
    fn collect(&mut self) -> Result<(), String> {
        let mut waiting = Vec::new();
        for mut promise in std::mem::take(&mut self.promises) {
            if let Some(stored) = &mut promise.stored {
                match stored.try_recv() {
                    Ok(Ok(settling)) => {
                        (promise.networks, promise.settling) = settling.into_iter().unzip();
                        promise.stored = None;
                    }
                    Ok(Err(reason)) => return Err(format!("a change wasn't stored: {reason}")),
                    Err(_) => {
                        waiting.push(promise);
                        continue;
                    }
                }
            }
            let over = |settled: &mut oneshot::Receiver<()>| {
                !matches!(settled.try_recv(), Err(oneshot::error::TryRecvError::Empty))
            };
            promise.settling.retain_mut(|settled| !over(settled));
            if !promise.settling.is_empty() {
                waiting.push(promise);
                continue;
            }
            let ack = self.lab.engine().ack(&promise.networks, true);
            if ack == Ack::Installed {
                if let Some((port, allowed)) = promise.bound
                    && self.enforced.get(&port) == Some(&allowed)
                    && self.is_installed(port)
                {
                    self.firm.insert(port, allowed);
                }
                for (port, tag, change) in promise.left {
                    if let Some(tags) = self.owners.get_mut(&port)
                        && tags.get(&tag) == Some(&change)
                    {
                        tags.remove(&tag);
                    }
                }
            }
        }
        self.promises = waiting;
        Ok(())
    }

    /// Whether callers are told that a port is a member of its network: else an answer about it says `pending`.
    fn is_installed(&self, port: Port) -> bool {
        let Some(name) = self.ports.get(&port).and_then(|tag| self.name_of(*tag)) else {
            return false;
        };
        let engine = self.lab.engine();
        let found = engine.ports_of(name).find(|(at, _)| **at == host_at(port));
        found.is_some_and(|(at, record)| engine.show_port(at, record).state == State::Installed)
    }

    fn promise<T>(&mut self, started: Started<T>, left: Vec<(Port, Tag, u64)>) {
        let stored = Some(started.stored);
        let (settling, networks) = (Vec::new(), Vec::new());
        self.promises.push(Promise { stored, settling, networks, left, bound: None });
    }

    fn attach(&mut self, port: Port, n: u32) -> Result<(), String> {
        if self.networks.is_empty() {
            return Ok(());
        }
        let (name, tag) = self.networks[n as usize % self.networks.len()].clone();
        match self.ports.get(&port) {
            Some(old) if *old == tag => return Ok(()),
            Some(_) => self.detach(port),
            None => {}
        }
        let at = host_at(port);
        let started = self
            .lab
            .call(|engine| engine.put_port(&name, at, PortSpec::default()))
            .map_err(|problem| format!("attach of {port:?} to {name}: {problem:?}"))?;
        self.changes += 1;
        self.ports.insert(port, tag);
        self.owners.entry(port).or_default().insert(tag, self.changes);
        self.promise(started, Vec::new());
        Ok(())
    }

    fn detach(&mut self, port: Port) {
        let Some(tag) = self.ports.remove(&port) else { return };
        let Some(name) = self.name_of(tag).cloned() else { return };
        let left = self.leaves(port, tag);
        let at = host_at(port);
        let started = self.lab.call(|engine| engine.delete_port(&name, &at));
        self.promise(started, vec![left]);
    }

    fn leaves(&mut self, port: Port, tag: Tag) -> (Port, Tag, u64) {
        self.changes += 1;
        self.unbind(port);
        self.owners.entry(port).or_default().insert(tag, self.changes);
        if let Some(steady) = &mut self.steady {
            steady.remove(&port);
        }
        (port, tag, self.changes)
    }

    fn create(&mut self) -> Result<(), String> {
        let free = |name: &NetworkName| self.networks.iter().all(|(other, _)| other != name);
        let names = (0..4).filter_map(|n| format!("n{n}").parse().ok());
        let Some(name) = names.into_iter().find(free) else { return Ok(()) };
        let spec = NetworkSpec::new(name.clone());
        let started = self
            .lab
            .call(|engine| engine.put_network(spec, true))
            .map_err(|problem| format!("{name}: {problem:?}"))?;
        self.networks.push((name, self.next_tag));
        self.next_tag += 1;
        self.promise(started, Vec::new());
        Ok(())
    }

    fn delete(&mut self, n: u32) -> Result<(), String> {
        if self.networks.is_empty() {
            return Ok(());
        }
        let (name, tag) = self.networks.remove(n as usize % self.networks.len());
        let ports: Vec<_> =
            self.ports.iter().filter(|(_, of)| **of == tag).map(|(port, _)| *port).collect();
        let left: Vec<_> = ports
            .into_iter()
            .map(|port| {
                self.ports.remove(&port);
                self.leaves(port, tag)
            })
            .collect();
        let started = self
            .lab
            .call(|engine| engine.delete_network(&name, true))
            .map_err(|problem| format!("{name}: {problem:?}"))?;
        self.promise(started, left);
        Ok(())
    }

    fn speak(&mut self, n: u32, mac: u32) -> Result<(), String> {
        match self.nth_port(n) {
            Some(port) => self.speak_at(
                port,
                laws::mac(mac),
                &laws::frame(laws::EVERYBODY, laws::mac(mac), None),
            ),
            None => Ok(()),
        }
    }

    fn speak_at(&mut self, port: Port, mac: [u8; 6], frame: &[u8]) -> Result<(), String> {
        let Some(tag) = self.ports.get(&port).copied() else { return Ok(()) };
        let Some(place) = self.place(port).filter(|_| !self.dead.contains(&port.0)) else {
            return Ok(());
        };
        self.homes.retain(|(_, of), at| *of != mac || *at == port);
        self.silent.remove(&(tag, mac));
        let steady = self.steady.as_ref().is_some_and(|steady| steady.get(&port) == Some(&tag));
        // Of a MAC that is declared, or about to be, nothing is learnt.
        let declared = laws::known_hosts(self).contains_key(&(tag, mac))
            && !laws::learnt_hosts(self).contains_key(&(tag, mac));
        // After a restart of the controller nobody hears at first.
        let heard = self.is_connected(port.0) && self.promises.is_empty();
        // Nor does a network learn that is full, or may be by the time that this is heard.
        let of = |(other, _): &&(Tag, [u8; 6])| *other == tag;
        let known = laws::learnt_hosts(self).keys().filter(of).count();
        let about = known + self.spoke.keys().filter(of).count();
        let room = self.caps.get(&tag).is_none_or(|(limit, most)| about < *limit.min(most));
        if !room {
            // Who of those that spoke is heard first takes the last place.
            self.spoke.iter_mut().filter(|((of, _), _)| *of == tag).for_each(|(_, spoke)| {
                *spoke = Spoke::Somewhere;
            });
        }
        let here = steady && !declared && heard && room;
        let now = match self.spoke.get(&(tag, mac)) {
            None if here && !self.enforced.contains_key(&port) => Spoke::At(port),
            Some(Spoke::At(at)) if *at == port => Spoke::At(port),
            _ => Spoke::Somewhere,
        };
        self.spoke.insert((tag, mac), now);
        let result = self.lab.send(place, frame.to_vec());
        if !self.altered {
            laws::heard(self, port, frame, &result)?;
        }
        Ok(())
    }

    /// The nth host that is known, and where.
    fn nth_host(&self, n: u32) -> Option<(Tag, [u8; 6], Port)> {
        let all: Vec<_> = laws::known_hosts(self).into_iter().collect();
        let ((tag, mac), port) = *all.get(n as usize % all.len().max(1))?;
        Some((tag, mac, port))
    }

    fn hop(&mut self, n: u32) -> Result<(), String> {
        let Some((tag, mac, home)) = self.nth_host(n) else { return Ok(()) };
        let beside = |(port, of): &(&Port, &Tag)| **of == tag && port.0 == home.0 && **port != home;
        let Some(port) = self.ports.iter().find(beside).map(|(port, _)| *port) else {
            return Ok(());
        };
        self.speak_at(port, mac, &laws::frame(laws::EVERYBODY, mac, None))
    }

    /// The owner of a MAC talks on while another port claims it: it stays where it is.
    fn forge(&mut self, n: u32, m: u32) -> Result<(), String> {
        let Some((tag, mac, home)) = self.nth_host(n) else { return Ok(()) };
        let others: Vec<_> = self
            .ports
            .iter()
            .filter(|(port, of)| **of == tag && **port != home)
            .map(|(port, _)| *port)
            .collect();
        let Some(claimant) = others.get(m as usize % others.len().max(1)).copied() else {
            return Ok(());
        };
        let untouched = !self.spoke.contains_key(&(tag, mac)) && !self.silent.contains(&(tag, mac));
        let own = laws::own_frame(self, home, laws::EVERYBODY, mac);
        let claim = laws::frame(laws::EVERYBODY, mac, None);
        for _ in 0..16 {
            self.speak_at(home, mac, &own)?;
            self.speak_at(claimant, mac, &claim)?;
            let until = self.lab.now() + Duration::from_millis(100);
            while self.lab.now() < until {
                let step = self.lab.step();
                self.look(step)?;
            }
            let stays = |port: &Port| {
                self.steady.as_ref().is_some_and(|steady| steady.get(port) == Some(&tag))
            };
            if untouched && stays(&home) && stays(&claimant) {
                let now = laws::known_hosts(self).get(&(tag, mac)).copied();
                if now != Some(home) {
                    return Err(format!(
                        "{mac:02x?} talks at {home:?} all the time, {claimant:?} claims it, and it is at {now:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn declare(&mut self, n: u32, mac: u32) -> Result<(), String> {
        self.homes.retain(|(_, of), _| *of != laws::mac(mac));
        self.respec(n, mac, None)
    }

    fn enforce(&mut self, n: u32, mac: u32, address: bool) -> Result<(), String> {
        self.homes.retain(|(_, of), _| *of != laws::mac(mac));
        self.respec(n, mac, Some(Allowed { mac, address }))
    }

    /// The nth port has a MAC from now on, and may be held to it.
    fn respec(&mut self, n: u32, mac: u32, allowed: Option<Allowed>) -> Result<(), String> {
        let Some(port) = self.nth_port(n) else { return Ok(()) };
        let Some(name) = self.ports.get(&port).and_then(|tag| self.name_of(*tag)).cloned() else {
            return Ok(());
        };
        let held = api::values::MacAddr::new(laws::mac(mac)).map_err(|error| error.to_string())?;
        let mut spec = PortSpec { mac: vec![held], ..PortSpec::default() };
        if let Some(allowed) = allowed {
            spec.enforce = true;
            if allowed.address {
                let ip =
                    HostIp::new(laws::address(mac).into()).map_err(|error| error.to_string())?;
                spec.ips = vec![ip];
            }
        }
        let at = host_at(port);
        let started = self
            .lab
            .call(|engine| engine.put_port(&name, at, spec))
            .map_err(|problem| format!("{allowed:?} at {port:?}: {problem:?}"))?;
        self.unbind(port);
        if let Some(steady) = &mut self.steady {
            steady.remove(&port);
        }
        self.promise(started, Vec::new());
        if let (Some(allowed), Some(promise)) = (allowed, self.promises.last_mut()) {
            self.enforced.insert(port, allowed);
            promise.bound = Some((port, allowed));
        }
        Ok(())
    }

    /// The port is held to nothing from now on.
    fn unbind(&mut self, port: Port) {
        self.enforced.remove(&port);
        self.firm.remove(&port);
        for promise in &mut self.promises {
            promise.bound.take_if(|(of, _)| *of == port);
        }
        // Who spoke may be learnt or not.
        self.spoke.values_mut().for_each(|spoke| *spoke = Spoke::Somewhere);
    }

    fn cap(&mut self, n: u32, limit: u32) -> Result<(), String> {
        if self.networks.is_empty() {
            return Ok(());
        }
        let (name, tag) = self.networks[n as usize % self.networks.len()].clone();
        let mut spec = NetworkSpec::new(name.clone());
        spec.mac_limit = MacLimit::new(limit.into()).map_err(|error| error.to_string())?;
        let started = self
            .lab
            .call(|engine| engine.put_network(spec, false))
            .map_err(|problem| format!("{name}: {problem:?}"))?;
        // Until it is stored the old limit holds.
        let most = self.caps.get(&tag).map_or(usize::MAX, |(_, most)| *most);
        self.caps.insert(tag, (limit as usize, most.max(limit as usize)));
        self.spoke.retain(|(of, _), _| *of != tag);
        self.promise(started, Vec::new());
        Ok(())
    }

    /// No network learns more than it may. Those that it knew when the limit was lowered may stay.
    fn check_caps(&mut self) -> Result<(), String> {
        let engine = self.lab.engine();
        for record in engine.all_networks() {
            let name = &record.spec.name;
            let Some((_, tag)) = self.networks.iter().find(|(other, _)| other == name) else {
                continue;
            };
            let Some((limit, most)) = self.caps.get_mut(tag) else { continue };
            let learnt = engine.show_network(record).learnt as usize;
            if learnt > *most {
                return Err(format!("{name} may learn {most} MACs and has learnt {learnt}"));
            }
            *most = learnt.max(*limit);
        }
        Ok(())
    }

    fn fall_silent(&mut self, switch: u64) {
        let quiet = self.steady.is_some() && self.lab.engine().is_quiet();
        if quiet && self.is_connected(switch) {
            let known = laws::learnt_hosts(self);
            let flows = self.flows(switch);
            let told = flows.iter().filter(|flow| flow.idle_timeout != 0).filter_map(|flow| {
                let mac = flow.match_.eth_src_field()?.value.0;
                let place =
                    Place { switch: DatapathId(switch), port: flow.match_.in_port_field()?.value };
                let port = self.port_at(place)?;
                let of =
                    |((_, other), at): &(&(Tag, [u8; 6]), &Port)| *other == mac && **at == port;
                known.iter().find(of).map(|(host, _)| *host)
            });
            let told: Vec<_> = told.collect();
            // Who is just being heard may be learnt again.
            self.silent.extend(told.into_iter().filter(|host| !self.spoke.contains_key(host)));
        }
        for spoke in self.spoke.values_mut() {
            if matches!(spoke, Spoke::At((at, _)) if *at == switch) {
                *spoke = Spoke::Somewhere;
            }
        }
        self.lab.disturb(|fabric| fabric.fall_silent(switch));
    }

    /// Who spoke is known where it did, and who fell silent isn't any more.
    fn check_hosts(&self) -> Result<(), String> {
        let Some(steady) = &self.steady else { return Ok(()) };
        let known = laws::known_hosts(self);
        let learnt = laws::learnt_hosts(self);
        for (host @ (tag, mac), spoke) in &self.spoke {
            let Spoke::At(port) = *spoke else { continue };
            let full = self.caps.get(tag).is_some_and(|(limit, most)| {
                learnt.keys().filter(|(of, _)| of == tag).count() >= (*limit).min(*most)
            });
            let declared = known.contains_key(host) && !learnt.contains_key(host);
            let teaches = steady.get(&port) == Some(tag) && !declared && !full;
            if teaches && known.get(host) != Some(&port) {
                return Err(format!(
                    "{mac:02x?} spoke at {port:?} alone, and is known at {:?}",
                    known.get(host)
                ));
            }
        }
        match self.silent.iter().find(|host| learnt.contains_key(host)) {
            Some(host) => Err(format!("{host:02x?} fell silent, and is still known")),
            None => Ok(()),
        }
    }

    fn nth_cable(&self, n: u32, whole: bool) -> Option<usize> {
        let fits = |cable: &usize| (self.cables[*cable] == Cut::Whole) == whole;
        let all: Vec<_> = (0..self.cables.len()).filter(fits).collect();
        (!all.is_empty()).then(|| all[n as usize % all.len()])
    }

    /// Makes ports and links what the cable's state says.
    fn set_cable(&mut self, cable: usize) {
        let cut = self.cables[cable];
        let crosses = self.crosses(cable);
        let (Some(a), Some(b)) = (self.end(cable, 0), self.end(cable, 1)) else { return };
        self.lab.fabric.set_passes(a, crosses);
        self.lab.disturb(|fabric| {
            let mut told = fabric.set_port(a, !matches!(cut, Cut::Both | Cut::First));
            told.merge(fabric.set_port(b, cut != Cut::Both));
            told
        });
    }

    fn cables_at(&self, switch: u64) -> Vec<usize> {
        let at = |cable: &usize| {
            let cable = self.plan.cables[*cable];
            cable.a == switch || cable.b == switch
        };
        (0..self.cables.len()).filter(at).collect()
    }

    fn die(&mut self, switch: u64, shows: bool) {
        if !self.dead.insert(switch) {
            return;
        }
        self.fails();
        self.lab.stall(switch, Stall::None);
        if shows {
            self.lab.hang_up(switch, true);
        } else {
            self.lab.cut_off(switch);
        }
        for cable in self.cables_at(switch) {
            self.set_cable(cable);
            let side = usize::from(self.plan.cables[cable].a == switch);
            if shows && let Some(there) = self.end(cable, side) {
                self.lab.disturb(|fabric| fabric.set_port(there, false));
            }
        }
        // It forwards nothing: nothing is left of it.
        self.owners.retain(|(of, _), _| *of != switch);
    }

    fn revive(&mut self, switch: u64, renumber: bool) {
        if !self.dead.remove(&switch) {
            return;
        }
        self.fails();
        self.renumbered |= renumber;
        let base = if renumber { 40 * (1 + self.dice.throw(5) as u32) } else { 0 };
        for cable in self.cables_at(switch) {
            if let Some(end) = self.end(cable, usize::from(self.plan.cables[cable].a != switch)) {
                self.lab.fabric.unlink(end);
            }
        }
        // The controller may not have noticed yet that it died.
        self.lab.hang_up(switch, true);
        self.lab.add(datapath(switch, base));
        for cable in self.cables_at(switch) {
            self.plug(cable, base, base);
            self.set_cable(cable);
        }
        let here = self.ports.iter().filter(|((of, _), _)| *of == switch);
        for (port, tag) in here {
            self.changes += 1;
            self.owners.insert(*port, BTreeMap::from([(*tag, self.changes)]));
        }
    }

    /// Isolane's flows on a switch.
    pub fn flows(&mut self, switch: u64) -> Vec<FlowStats> {
        let asked = FlowStatsRequest {
            cookie: Cookie::mark(),
            cookie_mask: Cookie::MASK,
            ..FlowStatsRequest::default()
        };
        let answers = self.lab.fabric.request(switch, MultipartRequestBody::Flow(asked));
        let flows = answers.into_iter().filter_map(|answer| match answer {
            Body::MultipartReply(reply) => match reply.body {
                MultipartReplyBody::Flow(flows) => Some(flows),
                _ => None,
            },
            _ => None,
        });
        flows.flatten().collect()
    }

    /// All groups on a switch.
    pub fn groups(&mut self, switch: u64) -> Vec<GroupDesc> {
        let answers = self.lab.fabric.request(switch, MultipartRequestBody::GroupDesc);
        let groups = answers.into_iter().filter_map(|answer| match answer {
            Body::MultipartReply(reply) => match reply.body {
                MultipartReplyBody::GroupDesc(groups) => Some(groups),
                _ => None,
            },
            _ => None,
        });
        groups.flatten().collect()
    }

    fn nth_flow(&mut self, switch: u64, n: u32) -> Option<FlowStats> {
        if self.dead.contains(&switch) {
            return None;
        }
        let mut all = self.flows(switch);
        (!all.is_empty()).then(|| all.swap_remove(n as usize % all.len()))
    }

    /// Somebody changed what a switch holds: what its ports let out is nobody's promise until it is put right.
    fn tampered(&mut self, switch: u64) {
        self.fails();
        self.firm.retain(|port, _| port.0 != switch);
    }

    fn remove_flow(&mut self, switch: u64, n: u32) {
        if let Some(flow) = self.nth_flow(switch, n) {
            self.tampered(switch);
            self.lab.tamper(switch, about(&flow, FlowModCommand::DeleteStrict, Vec::new()));
        }
    }

    fn alter_flow(&mut self, switch: u64, n: u32) {
        if let Some(flow) = self.nth_flow(switch, n) {
            self.tampered(switch);
            self.altered = true;
            self.strange.insert(switch);
            let port = 1 + n / 7 % PORTS;
            let instructions = match n % 3 {
                0 => Vec::new(),
                _ => vec![Instruction::apply([Action::output(port)])],
            };
            self.lab.tamper(switch, about(&flow, FlowModCommand::ModifyStrict, instructions));
        }
    }

    fn remove_group(&mut self, switch: u64, n: u32) {
        if self.dead.contains(&switch) {
            return;
        }
        let all = self.groups(switch);
        if !all.is_empty() {
            self.fails();
            let group_id = all[n as usize % all.len()].group_id;
            let gone = GroupMod {
                command: GroupModCommand::Delete,
                group_type: GroupType::All,
                group_id,
                buckets: Vec::new(),
            };
            self.lab.tamper(switch, gone);
        }
    }

    /// Ends what would never end by itself, lets all that is under way come to its end, and checks the laws of a
    /// settled world.
    pub fn settle(&mut self) -> Result<(), String> {
        for switch in 1..=self.plan.switches {
            self.lab.stall(switch, Stall::None);
            self.lab.refuse(switch, None);
            self.lab.lose(switch, Losses::default());
            if self.strange.contains(&switch)
                && !self.dead.contains(&switch)
                && self.lab.is_away(switch)
            {
                self.lab.call_back(switch);
            }
            if let Some(datapath) = self.lab.fabric.switch_mut(switch) {
                datapath.set_limits(Limits::default());
            }
        }
        let begun = self.lab.now();
        while !self.lab.is_settled_since(begun) {
            let step = self.lab.step();
            self.look(step)?;
            self.lab.in_time(begun)?;
        }
        self.altered = false;
        self.strange.clear();
        self.check_caps()?;
        self.check_hosts()?;
        self.spoke.clear();
        self.silent.clear();
        self.firm = self
            .enforced
            .iter()
            .filter(|(port, _)| self.is_connected(port.0))
            .map(|(port, allowed)| (*port, *allowed))
            .collect();
        let here: Vec<_> = self.owners.keys().copied().collect();
        for port in here {
            if self.is_connected(port.0) {
                let tag = self.ports.get(&port).map(|tag| (*tag, self.changes));
                self.owners.insert(port, tag.into_iter().collect());
            }
        }
        laws::settled(self)?;
        self.steady = self.all_connected().then(|| self.ports.clone());
        self.homes = laws::known_hosts(self);
        self.lab.refused.clear();
        Ok(())
    }

    /// Undoes all that was done.
    pub fn undo(&mut self) -> Result<(), String> {
        for switch in 1..=self.plan.switches {
            self.revive(switch, false);
            self.lab.call_back(switch);
        }
        for cable in 0..self.cables.len() {
            self.cables[cable] = Cut::Whole;
            self.set_cable(cable);
        }
        self.fails();
        while !self.networks.is_empty() {
            self.delete(0)?;
        }
        self.settle()?;
        laws::undone(self)
    }

    pub const fn was_renumbered(&self) -> bool {
        self.renumbered
    }

    /// The ids of all networks.
    pub fn ids(&self) -> Vec<u32> {
        self.lab.engine().all_networks().map(|network| network.id.value()).collect()
    }

    /// The id of a network that is made now.
    pub fn next_id(&mut self) -> Result<u32, String> {
        self.create()?;
        let name = self.networks.last().map(|(name, _)| name.clone()).ok_or("no network")?;
        self.settle()?;
        let network = self.lab.engine().network(&name).map_err(|problem| format!("{problem:?}"))?;
        Ok(network.id.value())
    }

    pub fn probe(&mut self, from: Place, frame: Vec<u8>) -> Deliveries {
        self.lab.probe(from, frame)
    }
}

fn about(flow: &FlowStats, command: FlowModCommand, instructions: Vec<Instruction>) -> FlowMod {
    FlowMod {
        command,
        table_id: flow.table_id,
        priority: flow.priority,
        match_: flow.match_.clone(),
        cookie: flow.cookie,
        instructions,
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        ..FlowMod::add(flow.table_id.0)
    }
}

fn datapath(switch: u64, base: u32) -> Datapath {
    let ports = (1..=PORTS).map(|slot| named(base + slot, &format!("h{slot}")));
    Datapath::new(switch, format!("s{switch}"), ports)
}

fn at(switch: u64, port: &str) -> PortAt {
    let port = Name::new(port.as_bytes()).map(PortRef::Name);
    PortAt { switch: by_id(DatapathId(switch)), port: port.expect("a port's name") }
}

pub fn host_at((switch, slot): Port) -> PortAt {
    at(switch, &format!("h{slot}"))
}
