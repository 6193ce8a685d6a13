//! The demo on embedded switches: they connect over TCP and forward frames as any switch does, without any rights.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use openflow::{DatapathId, PortNo};

use super::pulse::Pulse;
use super::{Guest, PACE, Pinging, RING, Result, Stage};
use crate::error::LabError;
use crate::fabric::Place;
use crate::host::{self, Mac, host_mac};
use crate::switch::{Datapath, PortSpec};
use crate::wait::{Look, until};
use crate::wire::{EmbeddedFabric, EmbeddedSwitch};

/// Ports of each switch: to the next and the one before in the ring, then its hosts.
const NEXT: u32 = 1;
const BEFORE: u32 = 2;
const FIRST_HOST: u32 = 11;
const HOSTS: u32 = 2;
/// EtherType of ARP.
const ARP: u16 = 0x0806;
/// For switches to connect. It takes milliseconds; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// Switches inside of this process.
pub struct Embedded {
    // Switches are dropped before the runtime that they run on.
    switches: Vec<EmbeddedSwitch>,
    fabric: EmbeddedFabric,
    runtime: tokio::runtime::Runtime,
    guests: Vec<Guest>,
    wires: Vec<Wire>,
}

/// A host's end of its port.
#[derive(Clone)]
struct Wire {
    place: Place,
    mac: Mac,
    ip: Ipv4Addr,
}

impl Embedded {
    /// Nothing is built before the controller is known.
    pub fn build() -> Result<Self> {
        let runtime = tokio::runtime::Runtime::new();
        let runtime = runtime.map_err(|source| LabError::io("starting a runtime", source))?;
        let (mut guests, mut wires) = (Vec::new(), Vec::new());
        for switch in 1..=RING as u32 {
            for host in 1..=HOSTS {
                let place = Place {
                    switch: DatapathId(switch.into()),
                    port: PortNo(FIRST_HOST + host - 1),
                };
                let ip = Ipv4Addr::from(0x0a4d_0000 + (switch - 1) * HOSTS + host);
                wires.push(Wire { place, mac: host_mac(switch as u16, host as u16), ip });
                guests.push(Guest {
                    switch: format!("s{switch}"),
                    port: format!("s{switch}m{host}"),
                });
            }
        }
        Ok(Self { switches: Vec::new(), fabric: EmbeddedFabric::new(), runtime, guests, wires })
    }
}

/// How often `to` hears a frame that `from` sends. One that loops is heard more than once in any case.
fn arrives(fabric: &EmbeddedFabric, from: &Wire, to: &Wire, frame: &host::Frame) -> usize {
    let came = fabric.send(from.place, frame.bytes());
    came.at(to.place).len() + 2 * usize::from(came.looped)
}

/// How often an answer comes to a question.
fn ping(fabric: &EmbeddedFabric, from: &Wire, to: &Wire) -> usize {
    let question = host::Frame::arp_request(from.mac, from.ip, to.ip);
    let answer = arp_reply(to, from);
    match arrives(fabric, from, to, &question) {
        0 => 0,
        times => times * arrives(fabric, to, from, &answer),
    }
}

impl Stage for Embedded {
    fn describe(&self) -> (String, &'static str) {
        (
            "embedded OpenFlow 1.3 switches, three of them, connected over TCP".to_owned(),
            "ARP: a broadcast question, and its answer to the one who asked",
        )
    }

    fn openflow(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    fn join(&mut self, controller: SocketAddr) -> Result<()> {
        let _inside = self.runtime.enter();
        for switch in 1..=RING as u32 {
            let (next, before) =
                (switch % RING as u32 + 1, (switch + RING as u32 - 2) % RING as u32 + 1);
            let trunks = [
                PortSpec::new(NEXT, format!("s{switch}-s{next}")),
                PortSpec::new(BEFORE, format!("s{switch}-s{before}")),
            ];
            let hosts = (1..=HOSTS)
                .map(|host| PortSpec::new(FIRST_HOST + host - 1, format!("s{switch}m{host}")));
            let datapath = Datapath::new(
                u64::from(switch),
                format!("s{switch}"),
                trunks.into_iter().chain(hosts),
            );
            self.switches.push(self.fabric.add(controller, datapath));
        }
        for switch in 1..=RING as u64 {
            self.fabric.link((switch, NEXT), (switch % RING as u64 + 1, BEFORE));
        }
        until("the switches to connect", LIMIT, || {
            let connected = self.switches.iter().filter(|switch| switch.is_connected()).count();
            Ok(if connected == RING {
                Look::Done(())
            } else {
                Look::NotYet(format!("{connected} are"))
            })
        })
    }

    fn guests(&self) -> &[Guest] {
        &self.guests
    }

    fn pings(&self) -> Result<Vec<Vec<bool>>> {
        let ping =
            |from: &Wire, to: &Wire| from.place != to.place && ping(&self.fabric, from, to) == 1;
        Ok(self
            .wires
            .iter()
            .map(|from| self.wires.iter().map(|to| ping(from, to)).collect())
            .collect())
    }

    fn tables(&self) -> Result<String> {
        Ok(self.switches.iter().map(|switch| switch.tables() + &switch.groups()).collect())
    }

    fn keep_pinging(&self, from: usize, to: usize) -> Result<Pinging> {
        let (fabric, from, to) =
            (self.fabric.clone(), self.wires[from].clone(), self.wires[to].clone());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pinging = thread::spawn(move || {
            let mut pulse = Pulse::default();
            while !stopped.load(Ordering::SeqCst) {
                let answers = ping(&fabric, &from, &to);
                pulse.answered.push(answers > 0);
                pulse.twice += answers.saturating_sub(1);
                thread::sleep(PACE);
            }
            pulse
        });
        Ok(Box::new(move || {
            stop.store(true, Ordering::SeqCst);
            pinging.join().map_err(|_| LabError::Wrong("a thread that pings died".to_owned()))
        }))
    }

    fn set_link(&self, whole: bool) -> Result<()> {
        self.fabric.set_link((1, NEXT), whole);
        Ok(())
    }
}

/// "I have it", to the one who asked (RFC 826).
fn arp_reply(me: &Wire, asker: &Wire) -> host::Frame {
    let head = [0, 1, 0x08, 0, 6, 4, 0, 2]; // Ethernet, IPv4, lengths of both, reply
    let body = [&head[..], &me.mac, &me.ip.octets(), &asker.mac, &asker.ip.octets()].concat();
    host::Frame::new(asker.mac, me.mac, ARP, &body)
}
