//! The embedded switch against Open vSwitch: the same messages and frames to both must have the same effect.
//!
//! Open vSwitch's own dummy devices carry the frames, so neither root nor network devices are needed, and a barrier's
//! reply proves that all frames before it have come out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod errors;
mod frames;
mod oracle;
mod pcap;
mod random;

use oracle::Pair;

/// The number of random histories; more by `ISOLANE_CASES`.
const CASES: u64 = 150;

fn cases() -> u64 {
    std::env::var("ISOLANE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

#[test]
fn random_tables_forward_random_frames_as_open_vswitch_does() {
    let Some(mut pair) = Pair::start("random tables forward random frames as Open vSwitch does")
    else {
        return;
    };
    for seed in 1..=cases() {
        let mut random = random::Random::new(seed);
        pair.reset();
        let mut history = Vec::new();
        for _ in 0..random.below(25) + 5 {
            let body = random.change();
            history.push(body.clone());
            pair.request(&body, &format!("seed {seed}: {history:?}"));
        }
        // A frame that misses in a later table is dropped with its action set (1.3.5, 5.4); Open vSwitch carries the
        // set out. With a table-miss flow in each both agree.
        for table in 1..=3 {
            pair.request(&openflow::FlowMod::add(table).into(), "a table-miss flow");
        }
        pair.compare_tables(&format!("seed {seed}: {history:?}"));
        for number in 0..20 {
            let (port, frame) = (random.port(), random.frame(number));
            pair.compare_frame(port, &frame, &format!("seed {seed}"));
        }
    }
    assert!(pair.frames_out > cases(), "most cases put frames out: {}", pair.frames_out);
}

#[test]
fn bad_requests_get_the_errors_of_open_vswitch() {
    let Some(mut pair) = Pair::start("bad requests get the errors of Open vSwitch") else { return };
    errors::prepare(&mut pair);
    let mut wrong = Vec::new();
    for (name, body) in errors::bad() {
        let (here, there) = pair.ask(&body);
        if here != there {
            wrong.push(format!("{name}: {here:?} here, {there:?} at Open vSwitch"));
        }
        // One that neither refuses proves nothing.
        if here.is_none() {
            wrong.push(format!("{name}: nobody refuses it"));
        }
    }
    for (name, body, here, there) in errors::differing() {
        let answers = pair.ask(&body);
        if answers != (Some(here), there) {
            wrong.push(format!("{name}: now {answers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
