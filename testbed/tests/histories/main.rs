//! The laws of virtual networks under failures: the whole controller, from its callers to the bytes of its messages,
//! on embedded switches in virtual time, and random histories of all that can go wrong.
//!
//! - At every moment, whatever fails: no frame loops, arrives twice or changed, or reaches another network; and a port
//!   whose detach was acknowledged hears nothing more. While nothing fails nothing is lost.
//! - Once all has settled: every frame reaches exactly whom it is for, wherever there is a way; connected switches hold
//!   exactly what is desired.
//! - When all is undone, tables are as they were at first, and every id is free.
//!
//! `HISTORIES` says how many are tried, `HISTORY_SEED` from which seed on (with `HISTORIES=1` just that one);
//! `HISTORY_LOUD` prints every message. A history that fails is made as short as may be and printed, with its seed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on should stop")]

mod found;
mod full;
mod laws;
mod plan;
mod reuse;
mod run;
mod world;

use plan::History;
use run::{attempt_short, tell};

#[test]
fn random_histories() {
    try_all(32, History::random);
}

#[test]
fn random_moves() {
    try_all(16, History::of_moves);
}

#[test]
fn random_trees() {
    try_all(16, History::of_trees);
}

#[test]
fn random_hosts() {
    try_all(24, History::of_hosts);
}

fn try_all(by_default: u64, history: fn(u64) -> History) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = number("HISTORIES").unwrap_or(by_default);
    let first = number("HISTORY_SEED").unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4) as u64;
    let failures: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    (first..first + count).filter(|seed| seed % threads == thread).find_map(
                        |seed| attempt_short(history(seed)).inspect(|told| eprintln!("{told}")),
                    )
                })
            })
            .collect();
        parts.into_iter().filter_map(|part| part.join().expect("a thread")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_quiet_history() {
    use plan::Event::*;
    tell(
        3,
        plan::Plan::of(3, &[(1, 2), (2, 3), (3, 1)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(2, 1, 0),
            Attach(3, 1, 0),
            Settle,
            Speak(0, 1),
            Settle,
            Cut(0, 0),
            Settle,
            Mend(0),
            Settle,
        ],
    );
}
