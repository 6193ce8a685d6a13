//! `testbed chaos`: the real controller while everything around it fails, held to what it acknowledged.
//!
//! - [`kill`]: many clients attach and detach, the controller is killed at any moment and started anew. What was
//!   acknowledged is there, and nothing that was never asked for.
//! - [`faults`]: the same with switches behind a proxy that delays, cuts, half-closes, doubles and loses what passes.
//!   Once that ends, all is in sync again, and each frame reaches exactly whom it is for.
//!
//! What happens is drawn from a seed. Threads and processes still run as the system lets them, so the same seed makes
//! the same faults, not always at the same moment.

mod clients;
mod dice;
mod embedded;
pub mod faults;
mod ground;
pub mod kill;
mod proxy;
mod real;
mod wish;

use clap::{Args, Subcommand, ValueEnum};

pub use proxy::Proxy;

/// What fails.
#[derive(Subcommand)]
pub enum ChaosArgs {
    /// The controller's process, while clients change what it must keep
    Kill(KillArgs),
    /// Connections with switches, and at times the controller's process
    Faults(FaultsArgs),
}

/// How long, and what is drawn.
#[derive(Args, Clone, Copy, Debug)]
pub struct KillArgs {
    /// How often the controller is killed
    #[arg(long, default_value_t = 100)]
    pub rounds: u32,
    /// What all that is random is drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Clients at a time
    #[arg(long, default_value_t = 8)]
    pub clients: usize,
}

/// How long, where, and what is drawn.
#[derive(Args, Clone, Copy, Debug)]
pub struct FaultsArgs {
    /// How often all is broken and has to heal
    #[arg(long, default_value_t = 20)]
    pub rounds: u32,
    /// What all that is random is drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Clients at a time
    #[arg(long, default_value_t = 3)]
    pub clients: usize,
    /// On which switches
    #[arg(long, value_enum, default_value_t = Switches::Embedded)]
    pub switches: Switches,
}

/// What forwards the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switches {
    /// Embedded switches over TCP
    Embedded,
    /// Real Open vSwitch in network namespaces; as root
    Ovs,
}

/// Breaks things and judges what became of them.
///
/// # Errors
/// The first thing that isn't as it must be, with the round and the seed.
pub fn run(args: ChaosArgs) -> anyhow::Result<()> {
    let told = match args {
        ChaosArgs::Kill(args) => kill::run(args)?.to_string(),
        ChaosArgs::Faults(args) => faults::run(args)?.to_string(),
    };
    println!("{told}");
    Ok(())
}
