//! `testbed`: the main job shown, and measured.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Isolane shown, on switches of its own.
#[derive(Parser)]
#[command(name = "testbed", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Three switches in a ring, two networks, and who can ping whom
    Demo(testbed::demo::DemoArgs),
    /// How long the controller takes, and where
    #[command(subcommand)]
    Bench(testbed::bench::BenchArgs),
    /// Everything around the controller fails, and it is held to what it acknowledged
    #[command(subcommand)]
    Chaos(testbed::chaos::ChaosArgs),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(args) => testbed::demo::run(args).map_err(anyhow::Error::from),
        Command::Bench(args) => testbed::bench::run(args),
        Command::Chaos(args) => testbed::chaos::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
