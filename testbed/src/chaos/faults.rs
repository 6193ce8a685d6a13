//! Connections between switches and controller fail in every way while clients change networks.

use std::fmt;
use std::time::{Duration, Instant};

use super::clients::{Clients, Habits};
use super::dice::Dice;
use super::embedded::Embedded;
use super::ground::Ground;
use super::kill::slay;
use super::proxy::Proxy;
use super::real::Real;
use super::wish::Wish;
use super::{FaultsArgs, Switches};
use crate::controller::Controller;
use crate::error::LabError;
use crate::wait::{Look, until};

const NETWORKS: usize = 3;
/// Changes of each client in a round.
const CHANGES: usize = 12;
/// Looks at frames while all is in flux.
const GLANCES: usize = 30;
/// For everything to be as it should once faults have ended. Seconds; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Survived {
    /// How often all was broken and healed.
    pub rounds: u32,
    /// How often the controller was killed in between.
    pub kills: u32,
    /// Changes that were acknowledged.
    pub acknowledged: u64,
    /// Faults of connections.
    pub faults: u64,
    took: Duration,
    /// The longest time from the end of faults to all in sync.
    healed: Duration,
}

impl fmt::Display for Survived {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, kills, acknowledged, faults, took, healed } = self;
        write!(
            out,
            "{rounds} rounds in {:.0} s: {faults} faults of connections, {kills} kills, {acknowledged} changes \
             acknowledged, none lost; each frame came to whom it was for; in sync again within {:.1} s",
            took.as_secs_f64(),
            healed.as_secs_f64()
        )
    }
}

/// Breaks and heals again and again.
///
/// # Errors
/// What isn't as it must be, with the round and the seed.
pub fn run(args: FaultsArgs) -> Result<Survived, LabError> {
    match args.switches {
        Switches::Embedded => on(Embedded::new()?, args),
        Switches::Ovs => on(Real::new()?, args),
    }
}

fn on(mut ground: impl Ground, args: FaultsArgs) -> Result<Survived, LabError> {
    let begin = Instant::now();
    let mut dice = Dice::new(args.seed);
    let controller = ground.controller()?;
    let proxy = Proxy::start(ground.listen(), controller.openflow(), args.seed)?;
    ground.connect(proxy.address())?;
    let wish = Wish::begin(&controller, NETWORKS, ground.spots())?;
    let mut run = Run { ground, proxy, wish, told: Survived::default() };
    run.heal(&controller)?;
    let mut controller = controller;
    for round in 1..=args.rounds {
        controller = run.one(controller, args.clients, &mut dice).map_err(|error| {
            LabError::Wrong(format!("round {round} of seed {}: {error}", args.seed))
        })?;
    }
    controller.stop()?;
    run.told.faults = run.proxy.faults();
    run.told.took = begin.elapsed();
    Ok(run.told)
}

struct Run<G> {
    ground: G,
    proxy: Proxy,
    wish: Wish,
    told: Survived,
}

impl<G: Ground> Run<G> {
    fn one(
        &mut self,
        controller: Controller,
        clients: usize,
        dice: &mut Dice,
    ) -> Result<Controller, LabError> {
        let kills = dice.throw(3) == 0;
        // A third of the ports stays as it is, for frames to be watched meanwhile.
        let third = dice.throw(3);
        let (steady, moving): (Vec<_>, Vec<_>) =
            (0..self.wish.spots.len()).partition(|port| port % 3 == third);
        let mut members = self.wish.members();
        members.iter_mut().for_each(|network| network.retain(|port| steady.contains(port)));

        self.proxy.strike();
        let habits = Habits { clients, changes: CHANGES, waiting: 2, mortal: kills };
        let rest = controller.rest().address();
        let clients = Clients::start(rest, &self.wish, &moving, habits, dice)?;
        let kill_at = dice.throw(GLANCES);
        for nth in 0..GLANCES {
            self.ground.glance(&members, dice)?;
            if kills && nth == kill_at {
                slay(&controller)?;
            }
            // Faults need time to act; what is waited for is nothing in particular.
            std::thread::sleep(Duration::from_millis(dice.throw(12) as u64));
        }
        self.told.acknowledged += clients.join(&mut self.wish)?;
        let controller = if kills {
            self.told.kills += 1;
            controller.kill_and_restart()?
        } else {
            controller
        };
        self.proxy.calm();
        self.heal(&controller)?;
        self.told.rounds += 1;
        Ok(controller)
    }

    /// Waits until all is in sync, and judges it: anew if links or sessions were lost meanwhile, which happens by itself
    /// on a machine that lets somebody wait for seconds.
    fn heal(&mut self, controller: &Controller) -> Result<(), LabError> {
        let begin = Instant::now();
        let mut before = self.wait_for_sync(controller)?;
        self.told.healed = self.told.healed.max(begin.elapsed());
        self.wish.check(controller)?;
        loop {
            let Err(judged) = self.ground.judge(&self.wish.members()) else { return Ok(()) };
            let now = self.wait_for_sync(controller)?;
            if now == before || begin.elapsed() > LIMIT {
                return Err(judged);
            }
            before = now;
        }
    }

    /// Waits until all is in sync. Returns how much was lost until then.
    fn wait_for_sync(&self, controller: &Controller) -> Result<u64, LabError> {
        let mut lost = 0;
        let (switches, links) = (self.ground.switches(), self.ground.links());
        until("everything to be in sync", LIMIT, || {
            lost = losses(controller)?;
            let all = controller.switches()?;
            let in_sync = all.iter().filter(|it| it.connected && it.in_sync).count();
            let up = controller.links()?.iter().filter(|link| link.up).count();
            let networks = controller.networks()?;
            let waiting: Vec<_> = networks
                .iter()
                .filter(|network| network.state != api::types::State::Installed)
                .map(|network| (&network.name, network.state, &network.reason))
                .collect();
            if (in_sync, up) == (switches, links) && waiting.is_empty() {
                return Ok(Look::Done(()));
            }
            let reasons: Vec<_> =
                all.iter().map(|it| (it.dpid, it.connected, it.in_sync, &it.reason)).collect();
            Ok(Look::NotYet(format!("{up} links up; {reasons:?}; {waiting:?}")))
        })?;
        Ok(lost)
    }
}

/// How often links went silent and sessions were lost, as the metrics say.
fn losses(controller: &Controller) -> Result<u64, LabError> {
    let metrics = controller.metrics()?;
    let lost = ["isolane_links_lost_total", "isolane_switches_lost_total"];
    let lines = metrics.lines().filter(|line| lost.iter().any(|name| line.starts_with(name)));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}
