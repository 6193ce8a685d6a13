//! `testbed bench`: how long the real controller takes, and where.
//!
//! The controller is the real `isolane serve`, the switches are embedded ones (or only their OpenFlow side), and
//! calls are real HTTP over kept connections. All of them share one machine.

mod attach;
mod fleet;
mod http;
mod numbers;
mod pool;
mod restart;
mod shape;
mod store;

use clap::Subcommand;

/// What is measured.
#[derive(Subcommand)]
pub enum BenchArgs {
    /// Attaches of ports, acknowledged as installed
    Attach(attach::AttachArgs),
    /// Attaches through a pool against those of a named port
    Pool(pool::PoolArgs),
    /// A controller that is killed and started again under many switches
    Restart(restart::RestartArgs),
    /// Attaches that are acknowledged as stored, against the disk's own pace
    Store(store::StoreArgs),
}

/// Measures and prints.
///
/// # Errors
/// When the controller isn't built or doesn't start, or when a call isn't answered as it should be; the text says which.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    match args {
        BenchArgs::Attach(args) => attach::run(&args),
        BenchArgs::Pool(args) => pool::run(&args),
        BenchArgs::Restart(args) => restart::run(&args),
        BenchArgs::Store(args) => store::run(&args),
    }
}
