//! The main job, shown: three switches in a ring, two networks, and who can ping whom.
//!
//! Start at [`run`]. What is shown is checked as well: the demo fails when somebody hears whom they shouldn't.

mod embedded;
mod paint;
mod pulse;
mod real;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::controller::Controller;
use crate::error::LabError;
use crate::rights::missing_ovs;
use embedded::Embedded;
use paint::Paint;
use pulse::Pulse;
use real::Real;

type Result<T> = std::result::Result<T, LabError>;

/// Arguments of `testbed demo`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// Use embedded switches even where Open vSwitch and the rights for it are there
    #[arg(long)]
    pub embedded: bool,
}

/// A host of the demo.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Its switch: `s1`, `s2` or `s3`.
    pub switch: String,
    /// Its port, which it is called after.
    pub port: String,
}

/// Three switches in a ring with two hosts each.
pub(crate) trait Stage {
    /// What the switches are, and what a ping is there.
    fn describe(&self) -> (String, &'static str);
    /// Where the switches look for their controller; port 0: wherever it says it is.
    fn openflow(&self) -> SocketAddr;
    /// Points the switches at their controller.
    fn join(&mut self, controller: SocketAddr) -> Result<()>;
    /// All hosts, by switch.
    fn guests(&self) -> &[Guest];
    /// Whether each host gets an answer from each other one: `[from][to]`.
    fn pings(&self) -> Result<Vec<Vec<bool>>>;
    /// All that the switches hold.
    fn tables(&self) -> Result<String>;
    /// One host pings another every [`PACE`] from now on, until the result is called for what came of it.
    fn keep_pinging(&self, from: usize, to: usize) -> Result<Pinging>;
    /// Cuts or mends the link between `s1` and `s2`.
    fn set_link(&self, whole: bool) -> Result<()>;
}

/// Ends the pings, and tells what came of them.
pub(crate) type Pinging = Box<dyn FnOnce() -> Result<Pulse>>;

/// The ring has as many switches, and as many links.
const RING: usize = 3;
/// Between two pings while a link is cut.
const PACE: Duration = Duration::from_millis(20);
/// Pings go on for so long after a change.
const AFTERMATH: Duration = Duration::from_secs(2);
const RED: &str = "red";
const BLUE: &str = "blue";

/// Shows it on standard output.
///
/// # Errors
/// [`LabError`] when a part can't be started, or somebody hears whom they shouldn't.
pub fn run(args: DemoArgs) -> Result<()> {
    let paint = Paint::for_stdout();
    let missing = missing_ovs();
    let (mut stage, why): (Box<dyn Stage>, Option<&str>) = match missing {
        None if !args.embedded => (Box::new(Real::build()?), None),
        None => (Box::new(Embedded::build()?), Some("as asked")),
        Some(missing) => (Box::new(Embedded::build()?), Some(missing)),
    };
    let (switches, ping) = stage.describe();
    say("")?;
    say(&paint.bold("Isolane: isolated virtual networks over OpenFlow 1.3"))?;
    say("")?;
    say(&format!("  Switches   {switches}"))?;
    if let Some(why) = why {
        say(&paint.dim(&format!("             not Open vSwitch: {why}")))?;
    }
    say(&format!("  A ping is  {ping}"))?;
    say(&paint.ring())?;
    let controller = Controller::start(stage.openflow())?;
    stage.join(controller.openflow())?;
    let shown = Show { paint, controller, stage: &*stage, now: Vec::new() };
    shown.play()
}

/// The demo while it runs.
struct Show<'a> {
    paint: Paint,
    controller: Controller,
    stage: &'a dyn Stage,
    /// Which network each host is in, in order of the hosts.
    now: Vec<Option<&'static str>>,
}

impl Show<'_> {
    fn play(mut self) -> Result<()> {
        let guests = self.stage.guests();
        self.now = vec![None; guests.len()];
        let (openflow, rest) = (self.controller.openflow(), self.controller.rest().address());
        self.step(
            "The controller starts",
            &format!("isolane serve --openflow {openflow} --http {rest}"),
        )?;
        self.timed("three switches connect", |it| it.controller.wait_for_switches(RING))?;
        self.timed("three links are found by LLDP", |it| it.controller.wait_for_links(RING))?;
        self.controller.wait_for_switches(RING)?;
        let empty = self.stage.tables()?;

        self.step("Nothing is attached yet: nobody hears anybody", "")?;
        self.matrix()?;

        self.step(
            "Two networks over all three switches",
            "POST /api/v1/networks, PUT …/networks/red/ports/s1/s1m1, …",
        )?;
        for network in [RED, BLUE] {
            self.timed(&format!("network {}", self.paint.network(network)), |it| {
                it.controller.create_network(network)
            })?;
        }
        for at in 0..guests.len() {
            self.attach(if at % 2 == 0 { RED } else { BLUE }, at)?;
        }
        self.matrix()?;

        let moving = 2;
        self.step(
            &format!("{} leaves red: not one more frame", guests[moving].port),
            "DELETE …/networks/red/ports/s2/s2m1",
        )?;
        self.detach(moving)?;
        self.matrix()?;

        self.step("… and joins blue: it hears blue only", "PUT …/networks/blue/ports/s2/s2m1")?;
        self.attach(BLUE, moving)?;
        self.matrix()?;

        self.step("The link s1–s2 is cut: everybody goes the long way round", "")?;
        self.pinged_while("is cut", false)?;
        self.matrix()?;

        self.step("… and mended", "")?;
        self.pinged_while("is mended", true)?;
        self.matrix()?;

        self.step("Everything is deleted", "DELETE /api/v1/networks/red?force=true, …")?;
        for network in [RED, BLUE] {
            self.timed(&format!("network {} is gone", self.paint.network(network)), |it| {
                it.controller.delete_network(network, true)
            })?;
        }
        let left = self.stage.tables()?;
        if left != empty {
            return Err(LabError::Wrong(format!(
                "the switches held\n{empty}\nbefore and hold\n{left}\nnow"
            )));
        }
        self.done("the switches hold exactly the flows and groups they held before", None)?;
        self.controller.stop()?;
        say("")?;
        say(&self.paint.bold("All of it was as it should be."))?;
        say("Your own switches: README.md, \"The first network\".")?;
        say("")
    }

    fn attach(&mut self, network: &'static str, at: usize) -> Result<()> {
        let guest = &self.stage.guests()[at];
        let what = format!("{} joins {}", guest.port, self.paint.network(network));
        self.timed(&what, |it| {
            it.controller.attach(network, &guest.switch, &guest.port).map(drop)
        })?;
        self.now[at] = Some(network);
        Ok(())
    }

    fn detach(&mut self, at: usize) -> Result<()> {
        let guest = &self.stage.guests()[at];
        let Some(network) = self.now[at].take() else { return Ok(()) };
        let what = format!("{} leaves {}", guest.port, self.paint.network(network));
        self.timed(&what, |it| it.controller.detach(network, &guest.switch, &guest.port))
    }

    /// Pings all from all, shows it, and checks that it is so exactly within networks.
    fn matrix(&self) -> Result<()> {
        let answers = self.stage.pings()?;
        say("")?;
        let names: Vec<&str> =
            self.stage.guests().iter().map(|guest| guest.port.as_str()).collect();
        say(&self.paint.matrix(&names, &self.now, &answers))?;
        for (from, row) in answers.iter().enumerate() {
            for (to, heard) in row.iter().enumerate().filter(|(to, _)| *to != from) {
                let want = self.now[from].is_some() && self.now[from] == self.now[to];
                if *heard != want {
                    let not = if want { "no answer" } else { "an answer" };
                    return Err(LabError::Wrong(format!(
                        "{} pings {} and gets {not}\n{}",
                        names[from],
                        names[to],
                        self.controller.log()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Cuts or mends the link while one host pings another across it, and says what was lost.
    fn pinged_while(&self, what: &str, whole: bool) -> Result<()> {
        let guests = self.stage.guests();
        let is_blue = |at: &usize| self.now[*at] == Some(BLUE);
        let at = |switch: &str| {
            (0..guests.len()).filter(is_blue).find(|at| guests[*at].switch == switch)
        };
        let (Some(from), Some(to)) = (at("s1"), at("s2")) else { return Ok(()) };
        let pinging = self.stage.keep_pinging(from, to)?;
        thread::sleep(PACE * 10);
        self.stage.set_link(whole)?;
        self.timed(&format!("the link {what}, the controller knows"), |it| {
            it.controller.wait_for_links(if whole { RING } else { RING - 1 })
        })?;
        thread::sleep(AFTERMATH);
        let pulse = pinging()?;
        let (from, to) = (&guests[from].port, &guests[to].port);
        if pulse.twice > 0 {
            return Err(LabError::Wrong(format!(
                "{from} pings {to} while the link {what}: {pulse}\n{}",
                self.controller.log()
            )));
        }
        self.done(&format!("{from} pings {to} every {} ms: {pulse}", PACE.as_millis()), None)
    }

    fn step(&self, title: &str, call: &str) -> Result<()> {
        say("")?;
        let call =
            if call.is_empty() { String::new() } else { self.paint.dim(&format!("   {call}")) };
        say(&format!("{}{call}", self.paint.bold(title)))
    }

    /// Does something and says how long that took.
    fn timed(&self, what: &str, work: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let begin = Instant::now();
        work(self)?;
        self.done(what, Some(begin.elapsed().as_secs_f64() * 1000.0))
    }

    fn done(&self, what: &str, milliseconds: Option<f64>) -> Result<()> {
        let time =
            milliseconds.map(|it| self.paint.dim(&format!("  {it:.0} ms"))).unwrap_or_default();
        say(&format!("  {} {what}{time}", self.paint.tick()))
    }
}

/// A line on standard output, at once. A reader that left early is an error like any other.
fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|source| LabError::io("writing to standard output", source))
}
