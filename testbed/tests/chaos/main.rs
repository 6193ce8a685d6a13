//! A bounded part of `testbed chaos`: every run of the tests breaks something. `ISOLANE_CHAOS_ROUNDS` and
//! `ISOLANE_CHAOS_SEED` make it more, or other.

// All of this is test code.
#![allow(clippy::unwrap_used)]

use testbed::chaos::{FaultsArgs, KillArgs, Switches, faults, kill};
use testbed::error::LabError;
use testbed::rights::needs_ovs;

fn rounds(default: u32) -> u32 {
    number("ISOLANE_CHAOS_ROUNDS").unwrap_or(default)
}

fn seed() -> u64 {
    number("ISOLANE_CHAOS_SEED").unwrap_or(1)
}

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} {text} is no number")))
}

#[test]
fn a_killed_controller_has_all_it_acknowledged_and_nothing_else() -> Result<(), LabError> {
    let told = kill::run(KillArgs { rounds: rounds(40), seed: seed(), clients: 8 })?;
    println!("{told}");
    assert!(told.acknowledged > 0, "clients got something done: {told}");
    Ok(())
}

#[test]
fn embedded_switches_are_in_sync_again_after_any_faults() -> Result<(), LabError> {
    faults_on(Switches::Embedded, rounds(12))
}

#[test]
fn open_vswitch_is_in_sync_again_after_any_faults() -> Result<(), LabError> {
    if !needs_ovs("open_vswitch_is_in_sync_again_after_any_faults") {
        return Ok(());
    }
    faults_on(Switches::Ovs, rounds(4))
}

fn faults_on(switches: Switches, rounds: u32) -> Result<(), LabError> {
    let told = faults::run(FaultsArgs { rounds, seed: seed(), clients: 3, switches })?;
    println!("{told}");
    assert!(told.acknowledged > 0 && told.faults > 0, "something was tried: {told}");
    Ok(())
}
