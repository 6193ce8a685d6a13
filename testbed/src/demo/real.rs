//! The demo on real Open vSwitch: machines with the kernel's own stack, in namespaces.

use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::pulse::Pulse;
use super::{Guest, PACE, Pinging, RING, Result, Stage};
use crate::error::LabError;
use crate::host::Machine;
use crate::ovs::{Lab, LabSpec, Topology, Trunks};

/// How long an answer may take, in seconds.
const PATIENCE: u32 = 1;

/// A lab with machines.
pub struct Real {
    lab: Lab,
    guests: Vec<Guest>,
}

impl Real {
    /// Builds the lab; the calling thread is in its namespace from then on.
    pub fn build() -> Result<Self> {
        let spec = LabSpec {
            topology: Topology::Ring(RING),
            trunks: Trunks::Veth,
            hosts: 0,
            machines: 2,
            inactivity_probe: Duration::from_secs(5),
        };
        let lab = spec.build()?;
        let machines = lab.machines().iter().map(|machine| machine.port().to_owned());
        let guests = machines.map(|port| Guest { switch: port[..2].to_owned(), port }).collect();
        Ok(Self { lab, guests })
    }
}

impl Stage for Real {
    fn describe(&self) -> (String, &'static str) {
        let version = self.lab.switches()[0].node().ovs().appctl(["version"]).unwrap_or_default();
        let number = version
            .lines()
            .next()
            .and_then(|line| line.rsplit(' ').next())
            .unwrap_or_default()
            .to_owned();
        (
            format!(
                "real Open vSwitch {number}, three of them, each in a network namespace of its own"
            ),
            "a real one: ARP and ICMP, between network namespaces",
        )
    }

    fn openflow(&self) -> SocketAddr {
        self.lab.controller_addr()
    }

    /// They look for it from the start.
    fn join(&mut self, _: SocketAddr) -> Result<()> {
        Ok(())
    }

    fn guests(&self) -> &[Guest] {
        &self.guests
    }

    /// All hosts at a time, since each that gets no answer waits for it.
    fn pings(&self) -> Result<Vec<Vec<bool>>> {
        let machines = self.lab.machines();
        let row = |from: &Machine| -> Result<Vec<bool>> {
            let ping = |to: &Machine| match from.port() == to.port() {
                true => Ok(false),
                false => from.pings(to.address(), PATIENCE),
            };
            machines.iter().map(ping).collect()
        };
        thread::scope(|scope| {
            let row = &row;
            let running: Vec<_> =
                machines.iter().map(|from| scope.spawn(move || row(from))).collect();
            let died = |_| LabError::Wrong("a thread that pings died".to_owned());
            running.into_iter().map(|thread| thread.join().map_err(died)?).collect()
        })
    }

    fn tables(&self) -> Result<String> {
        self.lab.tables()
    }

    fn keep_pinging(&self, from: usize, to: usize) -> Result<Pinging> {
        let machines = self.lab.machines();
        let told = |source| LabError::io("running ping", source);
        let mut output = tempfile::tempfile().map_err(told)?;
        let mut command = Command::new("ping");
        let pace = PACE.as_secs_f64().to_string();
        command.args(["-n", "-O", "-i", &pace, &machines[to].address().to_string()]);
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(told)?);
        let mut ping = machines[from].namespace().inside(move || command.spawn())?.map_err(told)?;
        Ok(Box::new(move || {
            ping.kill().and_then(|()| ping.wait()).map_err(told)?;
            let mut written = String::new();
            output
                .rewind()
                .and_then(|()| output.read_to_string(&mut written))
                .map_err(|source| LabError::io("reading what ping wrote", source))?;
            Ok(Pulse::of_ping(&written))
        }))
    }

    fn set_link(&self, whole: bool) -> Result<()> {
        if whole { self.lab.mend("s1", "s2") } else { self.lab.cut("s1", "s2") }
    }
}
