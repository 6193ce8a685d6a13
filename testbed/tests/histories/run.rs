//! Runs histories, and makes those that fail short.

use std::time::{Duration, Instant};

use crate::plan::{Event, History, Plan};
use crate::world::World;

/// How long is spent on making a failing history shorter.
const SHORTEN: Duration = Duration::from_secs(60);

fn run(history: &History) -> Result<(), String> {
    let mut world = World::new(&history.plan, history.seed)?;
    for (n, event) in history.events.iter().enumerate() {
        world.happen(*event).map_err(|error| {
            format!("{error}\nin event {n}, {event:?}, at {:?}", world.lab.fabric.now())
        })?;
    }
    world.undo().map_err(|error| format!("{error}\nwhen all is undone"))
}

fn attempt(history: &History) -> Result<(), String> {
    let run = std::panic::AssertUnwindSafe(|| run(history));
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Tries a history. What went wrong, if anything did.
pub fn attempt_short(history: History) -> Option<String> {
    let seed = history.seed;
    let mut error = attempt(&history).err()?;
    let mut short = history;
    if std::env::var_os("HISTORY_LOUD").is_none() {
        shorten(&mut short, &mut error);
    }
    let History { plan, events, .. } = &short;
    Some(format!("HISTORY_SEED={seed} HISTORIES=1 fails: {error}\n{plan:?}\n&{events:?}\n"))
}

/// Leaves out what the failure doesn't need, as long as some failure remains.
fn shorten(history: &mut History, error: &mut String) {
    let begun = Instant::now();
    let mut chunk = history.events.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        while at < history.events.len() && begun.elapsed() < SHORTEN {
            let mut less = history.clone();
            less.events.drain(at..(at + chunk).min(history.events.len()));
            match attempt(&less) {
                Err(shorter) => (*history, *error) = (less, shorter),
                Ok(()) => at += chunk,
            }
        }
        chunk /= 2;
    }
}

/// A history that must not fail.
#[track_caller]
pub fn tell(seed: u64, plan: Plan, events: &[Event]) {
    let history = History { seed, plan, events: events.to_vec() };
    if let Err(error) = attempt(&history) {
        panic!("{error}");
    }
}
