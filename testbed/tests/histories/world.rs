//! A lab, what callers have done to it, and what happened to it.

mod calls;
mod faults;
mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::values::NetworkName;
use controller::cookie::Cookie;
use controller::engine::Stored;
use controller::model::{Encap, Name, NetworkId, PortAt, PortRef, by_id};
use openflow::{
    BadRequest, Body, DatapathId, ErrorCode, FlowModFailed, FlowStats, FlowStatsRequest, GroupDesc,
    GroupModFailed, MultipartReplyBody, MultipartRequestBody,
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
    /// Networks that were full and may still be for their switches, though hosts fell silent.
    crowded: BTreeSet<Tag>,
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
            crowded: BTreeSet::new(),
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
        self.crowded.clear();
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
