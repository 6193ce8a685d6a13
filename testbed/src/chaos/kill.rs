//! The controller is killed at any moment, while many clients change what it must keep.

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::KillArgs;
use super::clients::{Clients, Habits};
use super::dice::Dice;
use super::wish::{Spot, Wish};
use crate::controller::Controller;
use crate::error::LabError;

/// Networks and ports that clients change. No switch has these ports, so the store is all that answers wait for.
const NETWORKS: usize = 5;
const PORTS: usize = 48;
/// A round's kill comes within so many microseconds.
const MOMENT: usize = 120_000;

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Killed {
    /// How often the controller was killed.
    pub rounds: u32,
    /// Changes that it acknowledged.
    pub acknowledged: u64,
    /// Ports whose last change was under way at a kill.
    pub unanswered: u64,
    took: Duration,
}

impl fmt::Display for Killed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, acknowledged, unanswered, took } = self;
        write!(
            out,
            "killed {rounds} times in {:.0} s: {acknowledged} changes acknowledged, none lost; \
             {unanswered} unanswered ones were made or not, nothing else was",
            took.as_secs_f64()
        )
    }
}

/// Kills it again and again.
///
/// # Errors
/// When something acknowledged is missing, or something is there that nobody asked for: with the round and the seed.
pub fn run(args: KillArgs) -> Result<Killed, LabError> {
    let begin = Instant::now();
    let mut dice = Dice::new(args.seed);
    let mut controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let spots = (0..PORTS)
        .map(|n| Spot { switch: format!("s{}", n % 6), port: format!("p{}", n / 6) })
        .collect();
    let mut wish = Wish::begin(&controller, NETWORKS, spots)?;
    let mut told = Killed::default();
    for round in 1..=args.rounds {
        controller = one(controller, &mut wish, args, &mut dice, &mut told).map_err(|error| {
            LabError::Wrong(format!("round {round} of seed {}: {error}", args.seed))
        })?;
    }
    controller.stop()?;
    told.took = begin.elapsed();
    Ok(told)
}

fn one(
    controller: Controller,
    wish: &mut Wish,
    args: KillArgs,
    dice: &mut Dice,
    told: &mut Killed,
) -> Result<Controller, LabError> {
    let habits = Habits { clients: args.clients, changes: usize::MAX, waiting: 1, mortal: true };
    let ports: Vec<_> = (0..wish.spots.len()).collect();
    let clients = Clients::start(controller.rest().address(), wish, &ports, habits, dice)?;
    // The moment of the kill is what is tried, so it is a time and no condition.
    std::thread::sleep(Duration::from_micros(dice.throw(MOMENT) as u64));
    slay(&controller)?;
    told.acknowledged += clients.join(wish)?;
    told.unanswered += wish.possible.iter().filter(|possible| possible.len() > 1).count() as u64;
    let controller = controller.kill_and_restart()?;
    wish.check(&controller)?;
    told.rounds += 1;
    Ok(controller)
}

/// Ends the controller as `kill -9` does; its clients see it go.
pub(super) fn slay(controller: &Controller) -> Result<(), LabError> {
    let pid = i32::try_from(controller.pid())
        .map_err(|_| LabError::Wrong("a process id beyond 2^31".to_owned()))?;
    kill(Pid::from_raw(pid), Signal::SIGKILL)
        .map_err(|error| LabError::io("killing the controller", error.into()))
}
