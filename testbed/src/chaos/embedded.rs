//! Embedded switches in a ring with a chord.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::dice::Dice;
use super::ground::Ground;
use super::wish::Spot;
use crate::controller::Controller;
use crate::error::LabError;
use crate::fabric::{Deliveries, Place};
use crate::host::{BROADCAST, Frame, Mac, host_mac};
use crate::switch::{Datapath, PortSpec};
use crate::wire::{EmbeddedFabric, EmbeddedSwitch, WireConfig};

const SWITCHES: u64 = 5;
const HOSTS: u32 = 4;
const LINKS: [(u64, u64); 6] = [(1, 2), (2, 3), (3, 4), (4, 5), (5, 1), (2, 5)];

/// The switches, and their runtime.
pub struct Embedded {
    fabric: EmbeddedFabric,
    switches: Vec<EmbeddedSwitch>,
    runtime: Runtime,
}

impl Embedded {
    pub fn new() -> Result<Self, LabError> {
        let runtime = Runtime::new().map_err(|error| LabError::io("starting a runtime", error))?;
        let config = WireConfig {
            max_backoff: Duration::from_millis(200),
            probe_interval: Duration::from_secs(1),
            ..WireConfig::default()
        };
        let fabric = EmbeddedFabric::with_config(config).without_capture();
        Ok(Self { fabric, switches: Vec::new(), runtime })
    }

    fn send(&self, from: usize, dst: Mac) -> Deliveries {
        let frame = Frame::probe(dst, mac(from), 1);
        self.fabric.send(place(from), frame.bytes().to_vec())
    }
}

fn place(port: usize) -> Place {
    (port as u64 % SWITCHES + 1, (port as u64 / SWITCHES) as u32 + 1).into()
}

fn mac(port: usize) -> Mac {
    host_mac(port as u16, 1)
}

impl Ground for Embedded {
    fn controller(&self) -> Result<Controller, LabError> {
        let settings = ["--echo-interval", "0.3", "--echo-limit", "0.7", "--audit-interval", "2"];
        Controller::start_with(([127, 0, 0, 1], 0).into(), &settings)
    }

    fn listen(&self) -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    fn connect(&mut self, proxy: SocketAddr) -> Result<(), LabError> {
        let _entered = self.runtime.enter();
        for id in 1..=SWITCHES {
            let hosts = (1..=HOSTS).map(|port| PortSpec::new(port, format!("h{port}")));
            let trunks =
                (0..LINKS.len() as u32).map(|nth| PortSpec::new(100 + nth, format!("t{nth}")));
            let joins = |nth: usize| LINKS[nth].0 == id || LINKS[nth].1 == id;
            let trunks = trunks.enumerate().filter(|(nth, _)| joins(*nth)).map(|(_, port)| port);
            let datapath = Datapath::new(id, format!("s{id}"), hosts.chain(trunks));
            self.switches.push(self.fabric.add(proxy, datapath));
        }
        for (nth, (a, b)) in (100..).zip(LINKS) {
            self.fabric.link((a, nth), (b, nth));
        }
        Ok(())
    }

    fn switches(&self) -> usize {
        SWITCHES as usize
    }

    fn links(&self) -> usize {
        LINKS.len()
    }

    fn spots(&self) -> Vec<Spot> {
        let spot =
            |at: Place| Spot { switch: format!("s{}", at.switch.0), port: format!("h{}", at.port) };
        (0..(SWITCHES as usize * HOSTS as usize)).map(|port| spot(place(port))).collect()
    }

    fn judge(&self, members: &[Vec<usize>]) -> Result<(), LabError> {
        for network in members {
            for &from in network {
                let mut others: Vec<_> = network
                    .iter()
                    .filter(|other| **other != from)
                    .map(|other| place(*other))
                    .collect();
                others.sort_unstable();
                let sent = self.send(from, BROADCAST);
                if sent.looped || sent.places() != others {
                    return Err(wrong("a broadcast", from, &sent, &others));
                }
                for &to in network.iter().filter(|to| **to != from) {
                    let sent = self.send(from, mac(to));
                    // It is flooded until the destination is learnt.
                    if sent.looped || (sent.places() != [place(to)] && sent.places() != others) {
                        return Err(wrong("a unicast", from, &sent, &[place(to)]));
                    }
                }
            }
        }
        let alone =
            (0..self.spots().len()).filter(|port| !members.iter().any(|of| of.contains(port)));
        for from in alone {
            let sent = self.send(from, BROADCAST);
            if !sent.frames.is_empty() {
                return Err(wrong("a broadcast from no network", from, &sent, &[]));
            }
        }
        Ok(())
    }

    fn glance(&self, members: &[Vec<usize>], dice: &mut Dice) -> Result<(), LabError> {
        let Some(network) = dice.pick(members) else { return Ok(()) };
        let Some(&from) = dice.pick(network) else { return Ok(()) };
        let dst = match dice.pick(network) {
            Some(&to) if to != from && dice.throw(2) == 0 => mac(to),
            _ => BROADCAST,
        };
        let sent = self.send(from, dst);
        let own: Vec<_> = network.iter().map(|port| place(*port)).collect();
        let steady: Vec<_> = members.iter().flatten().map(|port| place(*port)).collect();
        let heard = sent.places();
        let twice = heard.windows(2).any(|pair| pair[0] == pair[1]);
        let astray = heard.iter().any(|at| steady.contains(at) && !own.contains(at));
        if sent.looped || twice || astray {
            return Err(wrong("a frame in flux", from, &sent, &own));
        }
        Ok(())
    }
}

fn wrong(what: &str, from: usize, sent: &Deliveries, want: &[Place]) -> LabError {
    let text =
        |places: &[Place]| places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    LabError::Wrong(format!(
        "{what} from {}: it came to [{}], and should to [{}]{}",
        place(from),
        text(&sent.places()),
        text(want),
        if sent.looped { "; it loops" } else { "" }
    ))
}
