//! Real Open vSwitch in a ring.

use std::net::SocketAddr;

use super::dice::Dice;
use super::ground::Ground;
use super::wish::Spot;
use crate::controller::Controller;
use crate::error::LabError;
use crate::ovs::{Lab, Topology, Trunks};

/// A lab; the thread is in its namespace.
pub struct Real {
    lab: Lab,
}

impl Real {
    pub fn new() -> Result<Self, LabError> {
        Ok(Self { lab: Lab::build(Topology::Ring(3), Trunks::Veth, 4)? })
    }

    fn name(&self, port: usize) -> &str {
        self.lab.hosts()[port].name()
    }
}

impl Ground for Real {
    fn controller(&self) -> Result<Controller, LabError> {
        let settings = ["--echo-interval", "0.5", "--echo-limit", "1", "--audit-interval", "2"];
        Controller::start_with(([127, 0, 0, 1], 0).into(), &settings)
    }

    fn listen(&self) -> SocketAddr {
        self.lab.controller_addr()
    }

    fn connect(&mut self, _: SocketAddr) -> Result<(), LabError> {
        Ok(())
    }

    fn switches(&self) -> usize {
        self.lab.switches().len()
    }

    fn links(&self) -> usize {
        self.lab.links().len()
    }

    fn spots(&self) -> Vec<Spot> {
        let all = self.lab.hosts().iter().map(|host| Spot {
            switch: self.lab.switches()[host.switch()].name().to_owned(),
            port: host.name().to_owned(),
        });
        all.collect()
    }

    fn judge(&self, members: &[Vec<usize>]) -> Result<(), LabError> {
        // What the daemons cached of the time before isn't what is tried here.
        self.lab.forget_decisions()?;
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        let mut unicasts = Vec::new();
        for network in members {
            for &from in network {
                let others: Vec<_> =
                    network.iter().filter(|to| **to != from).map(|to| self.name(*to)).collect();
                let flood = self.lab.broadcast(self.name(from))?;
                sent.push((self.name(from), flood.clone()));
                for to in &others {
                    unicasts.push((
                        self.name(from),
                        self.lab.unicast(self.name(from), to)?,
                        *to,
                        others.clone(),
                    ));
                }
                expected.push((flood, others));
            }
        }
        self.lab.probe_all(&sent)?.exactly_all(&expected)?;
        let frames: Vec<_> =
            unicasts.iter().map(|(from, frame, ..)| (*from, frame.clone())).collect();
        let heard = self.lab.probe_all(&frames)?;
        for (from, frame, to, others) in unicasts {
            for host in self.lab.hosts() {
                let times = heard.at(host.name()).iter().filter(|it| **it == frame).count();
                // It is flooded until the destination is learnt.
                let right = match host.name() {
                    name if name == to => times == 1,
                    name if others.contains(&name) => times <= 1,
                    _ => times == 0,
                };
                if !right {
                    return Err(LabError::Wrong(format!(
                        "a unicast from {from} to {to} came {times} times to {}",
                        host.name()
                    )));
                }
            }
        }
        Ok(())
    }

    fn glance(&self, _: &[Vec<usize>], _: &mut Dice) -> Result<(), LabError> {
        // Markers of a probe cross all trunks in turn: too slow to look in between.
        Ok(())
    }
}
