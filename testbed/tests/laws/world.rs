//! Embedded switches in a random topology, and the controller's pure middle
//! over them: compile, diff, plan, and real OpenFlow messages.

use std::collections::{BTreeMap, BTreeSet};

use controller::base;
use controller::compile::{Host, Member, Network, compile_all};
use controller::diff::diff;
use controller::graph::{Graph, Limits};
use controller::lift::{Lifted, lift};
use controller::lower::{Steps, lower};
use controller::model::{Encap, NetworkId, Place, spread};
use controller::plan::{State, plan};
use controller::routes::routes;
use controller::slice::Slice;
use openflow::{
    Body, DatapathId, FlowStatsRequest, MacAddr, MultipartReplyBody, MultipartRequestBody,
};
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use testbed::fabric::Fabric;

use crate::story::{Event, PORTS, Plan};

pub type Failure = TestCaseError;

/// Numbers that are the same in every run of a story.
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// A number below `sides`.
    pub fn throw(&mut self, sides: usize) -> usize {
        self.thrown += 1;
        (spread(self.seed, self.thrown) % sides.max(1) as u64) as usize
    }
}

/// What is wanted and known at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The network that each port is in, by index.
    pub members: BTreeMap<Place, usize>,
    /// Where each network's known hosts are; whether learnt.
    pub hosts: BTreeMap<(usize, MacAddr), (Place, bool)>,
    /// Which links frames can cross.
    pub up: Vec<bool>,
}

impl Wish {
    /// Hosts of ports that left their network are known no more.
    fn forget_strangers(&mut self) {
        let members = &self.members;
        self.hosts.retain(|(net, _), (place, _)| members.get(place) == Some(net));
    }

    pub fn ports_of(&self, net: usize) -> BTreeSet<Place> {
        self.members.iter().filter(|(_, other)| **other == net).map(|(place, _)| *place).collect()
    }
}

#[derive(Debug)]
pub struct World {
    pub plan: Plan,
    pub fabric: Fabric,
    pub wish: Wish,
    pub dice: Dice,
    /// What each switch has confirmed, by network.
    installed: Vec<BTreeMap<DatapathId, Slice>>,
    peers: BTreeMap<Place, Place>,
}

pub fn at(place: Place) -> testbed::fabric::Place {
    (place.switch, place.port).into()
}

impl World {
    pub fn new(plan: &Plan, seed: u64) -> Self {
        let mut fabric = Fabric::seeded(seed | 1);
        for id in plan.ids() {
            fabric.add_switch(id, &format!("s{}", id.0), 1..=PORTS);
        }
        for link in &plan.links {
            let made = match link.encap {
                Encap::Vlan => fabric.link(at(link.a), at(link.b)),
                Encap::TunId => fabric.tunnel(at(link.a), at(link.b)),
            };
            drop(made);
        }
        let ends = plan.links.iter().flat_map(|link| [(link.a, link.b), (link.b, link.a)]);
        let mut world = Self {
            plan: plan.clone(),
            fabric,
            wish: Wish {
                members: BTreeMap::new(),
                hosts: BTreeMap::new(),
                up: vec![true; plan.links.len()],
            },
            dice: Dice::new(seed),
            installed: vec![BTreeMap::new(); plan.networks.len()],
            peers: ends.collect(),
        };
        let own: Vec<_> = base::constant().into_iter().collect();
        let own = base::lower(&own, &[]);
        for id in plan.ids() {
            for message in own.iter().flatten() {
                assert_eq!(
                    world.fabric.request(id, message.clone()),
                    [],
                    "a switch takes its own flows"
                );
            }
        }
        world
    }

    pub fn graph(&self) -> Graph {
        self.plan.graph(&self.wish.up)
    }

    /// Lets something happen. What a frame teaches is in the wish afterwards.
    pub fn happen(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Attach(place, net) => drop(self.wish.members.insert(*place, *net)),
            Event::Detach(who) => {
                if let Some(place) = who.among(&self.wish.members) {
                    self.wish.members.remove(&place);
                }
            }
            // Heard in a settled world: see `speak`.
            Event::Speak(..) => {}
            Event::Declare(who, mac) => {
                let place = who.among(&self.wish.members);
                let net = place.and_then(|place| Some((place, *self.wish.members.get(&place)?)));
                if let Some((place, net)) = net {
                    // One that speaks elsewhere is a conflict, and stays.
                    self.wish.hosts.entry((net, *mac)).or_insert((place, false));
                }
            }
            Event::Forget(net, mac) => {
                if self.wish.hosts.get(&(*net, *mac)).is_some_and(|(_, learnt)| *learnt) {
                    self.wish.hosts.remove(&(*net, *mac));
                }
            }
            Event::Cut(which, silent) => {
                if let Some(link) = self.some_link(which, true) {
                    let end = at(self.plan.links[link].a);
                    if *silent {
                        self.fabric.set_passes(end, false);
                    } else {
                        drop(self.fabric.set_link(end, false));
                    }
                    self.wish.up[link] = false;
                }
            }
            Event::Mend(which) => {
                if let Some(link) = self.some_link(which, false) {
                    let end = at(self.plan.links[link].a);
                    self.fabric.set_passes(end, true);
                    drop(self.fabric.set_link(end, true));
                    self.wish.up[link] = true;
                }
            }
        }
        self.wish.forget_strangers();
        Ok(())
    }

    fn some_link(&self, which: &Index, up: bool) -> Option<usize> {
        let there = self.wish.up.iter().enumerate().filter(|(_, is)| **is == up);
        let there: Vec<_> = there.map(|(link, _)| link).collect();
        (!there.is_empty()).then(|| *which.get(&there))
    }

    /// A network as the controller sees it: ports that another network still
    /// holds aren't its own yet.
    fn network(&self, net: usize) -> Network {
        let mut network = Network {
            id: self.plan.networks[net],
            members: BTreeMap::new(),
            hosts: BTreeMap::new(),
            full: false,
            muted: BTreeSet::new(),
        };
        let held_elsewhere = |place: Place| {
            let others = self.installed.iter().enumerate().filter(|(other, _)| *other != net);
            others
                .filter_map(|(_, slices)| slices.get(&place.switch))
                .any(|slice| slice.edge_ports().contains(&place.port))
        };
        for place in self.wish.ports_of(net).into_iter().filter(|place| !held_elsewhere(*place)) {
            network.members.entry(place.switch).or_default().insert(place.port, Member::default());
        }
        for ((_, mac), (place, learnt)) in self.wish.hosts.iter().filter(|((of, _), _)| *of == net)
        {
            let is_member = network
                .members
                .get(&place.switch)
                .is_some_and(|ports| ports.contains_key(&place.port));
            if is_member {
                network.hosts.insert(*mac, Host { place: *place, learnt: *learnt });
            }
        }
        network
    }

    fn desired(&self, net: usize) -> BTreeMap<DatapathId, Slice> {
        let (network, graph) = (self.network(net), self.graph());
        compile_all(&network, &ways(&network, &graph))
    }

    /// Carries out, message by message, in any order that barriers allow, what
    /// leads to the wish; `look` is called in between. All networks change at once.
    pub fn settle(
        &mut self,
        mut look: impl FnMut(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Ports that change networks need a second turn; more would be a mistake.
        for _ in 0..3 {
            let mut jobs: Vec<_> =
                (0..self.plan.networks.len()).filter_map(|net| self.job(net)).collect();
            if jobs.is_empty() {
                return Ok(());
            }
            while !jobs.is_empty() {
                let chosen = self.dice.throw(jobs.len());
                let done = self.advance(&mut jobs[chosen])?;
                look(self)?;
                if done {
                    jobs.swap_remove(chosen);
                }
            }
        }
        let unfinished: Vec<_> =
            (0..self.plan.networks.len()).filter(|net| self.job(*net).is_some()).collect();
        if unfinished.is_empty() {
            Ok(())
        } else {
            Err(fail(format!("networks {unfinished:?} never settle")))
        }
    }

    fn job(&self, net: usize) -> Option<Job> {
        let mut desired = self.desired(net);
        let installed = &self.installed[net];
        let ids: BTreeSet<_> = desired.keys().chain(installed.keys()).copied().collect();
        let states = ids.into_iter().map(|id| {
            let installed = installed.get(&id).cloned().unwrap_or_default();
            (
                id,
                State {
                    installed,
                    desired: desired.remove(&id).unwrap_or_default(),
                    live: true,
                    assumed: false,
                },
            )
        });
        let phases = plan(&states.collect(), &self.peers);
        let phases: Vec<_> = phases.into_iter().rev().collect();
        (!phases.is_empty()).then_some(Job { net, phases, tasks: Vec::new() })
    }

    /// One message more of a network's change. Returns whether that was the last.
    fn advance(&mut self, job: &mut Job) -> Result<bool, Failure> {
        if job.tasks.is_empty() {
            let Some(phase) = job.phases.pop() else { return Ok(true) };
            for (switch, target) in phase {
                let old = self.installed[job.net].get(&switch).cloned().unwrap_or_default();
                let mut steps = lower(self.plan.networks[job.net], &diff(&old, &target));
                steps.retain(|step| !step.is_empty());
                steps.reverse();
                job.tasks.push(Task { switch, target, steps });
            }
        }
        let chosen = self.dice.throw(job.tasks.len());
        let task = &mut job.tasks[chosen];
        if let Some(step) = task.steps.last_mut() {
            let message = step.swap_remove(self.dice.throw(step.len()));
            if step.is_empty() {
                task.steps.pop();
            }
            let switch = task.switch;
            let answer = self.fabric.request(switch, message.clone());
            if !answer.is_empty() {
                return Err(fail(format!("{switch} answers {answer:?} to {message:?}")));
            }
        }
        if task.steps.is_empty() {
            let task = job.tasks.swap_remove(chosen);
            let installed = &mut self.installed[job.net];
            if task.target.is_empty() {
                installed.remove(&task.switch);
            } else {
                installed.insert(task.switch, task.target);
            }
        }
        Ok(job.tasks.is_empty() && job.phases.is_empty())
    }

    /// Reads every switch and compares it with what should be there.
    pub fn compare_tables(&mut self) -> Result<(), Failure> {
        let mut desired: BTreeMap<(DatapathId, NetworkId), Slice> = BTreeMap::new();
        for net in 0..self.plan.networks.len() {
            let id = self.plan.networks[net];
            desired
                .extend(self.desired(net).into_iter().map(|(switch, slice)| ((switch, id), slice)));
        }
        for switch in self.plan.ids() {
            let lifted = self.read(switch)?;
            if lifted.base != base::constant() {
                return Err(fail(format!("{switch}'s own flows are {:?}", lifted.base)));
            }
            for (id, read) in lifted.networks {
                let want = desired.remove(&(switch, id)).unwrap_or_default();
                if read.damaged || read.slice != want {
                    return Err(fail(format!(
                        "{switch} holds of network {id}:\n{}strays: {:?}\nwanted:\n{want}",
                        read.slice, read.strays
                    )));
                }
            }
        }
        match desired.into_iter().next() {
            None => Ok(()),
            Some(((switch, id), want)) => {
                Err(fail(format!("{switch} holds nothing of network {id}, wanted:\n{want}")))
            }
        }
    }

    /// What a switch says that it holds.
    pub fn read(&mut self, switch: DatapathId) -> Result<Lifted, Failure> {
        read(&mut self.fabric, switch)
    }
}

/// What a switch says that it holds.
pub fn read(fabric: &mut Fabric, switch: DatapathId) -> Result<Lifted, Failure> {
    let (mut flows, mut groups) = (Vec::new(), Vec::new());
    let requests =
        [MultipartRequestBody::Flow(FlowStatsRequest::default()), MultipartRequestBody::GroupDesc];
    for request in requests {
        for answer in fabric.request(switch, request) {
            match answer {
                Body::MultipartReply(reply) => match reply.body {
                    MultipartReplyBody::Flow(more) => flows.extend(more),
                    MultipartReplyBody::GroupDesc(more) => groups.extend(more),
                    other => return Err(fail(format!("{switch} answers {other:?}"))),
                },
                other => return Err(fail(format!("{switch} answers {other:?}"))),
            }
        }
    }
    Ok(lift(&flows, &groups))
}

/// The links that a network uses, as the controller chooses them.
fn ways(network: &Network, graph: &Graph) -> controller::routes::Routes {
    routes(network.id, &network.switches(), graph, &Limits::new())
}

/// A network on its way from one state to another.
struct Job {
    net: usize,
    /// The next one last.
    phases: Vec<controller::plan::Phase>,
    /// What is left of the phase under way.
    tasks: Vec<Task>,
}

/// A switch on its way through a phase.
struct Task {
    switch: DatapathId,
    target: Slice,
    /// The next one last; within one any order is allowed.
    steps: Steps,
}

pub fn fail(reason: String) -> Failure {
    Failure::fail(reason)
}
