//! Three embedded switches in a ring, under the real controller.

use std::collections::BTreeSet;
use std::time::Duration;

use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::host::{Frame, Mac};
use testbed::switch::Datapath;
use testbed::wait::{Look, until};
use testbed::wire::{EmbeddedFabric, EmbeddedSwitch, WireConfig};
use tokio::runtime::Runtime;

pub type Checked = Result<(), LabError>;

pub const LIMIT: Duration = Duration::from_secs(60);
/// Ports 1 and 2 of each switch are for hosts; these two are trunks.
const TRUNKS: [u32; 2] = [8, 9];
const NOBODY: Mac = [0x02, 0xff, 0, 0, 0, 0x99];
const EVERYBODY: Mac = [0xff; 6];

/// The switches, and their runtime.
pub struct Ring {
    pub switches: Vec<EmbeddedSwitch>,
    pub fabric: EmbeddedFabric,
    _runtime: Runtime,
}

/// The host at port 1 of a switch.
pub fn mac(switch: usize) -> Mac {
    testbed::host::host_mac(switch as u16, 1)
}

impl Ring {
    /// Three switches that connect to this controller.
    pub fn begin(controller: &Controller) -> Result<Self, LabError> {
        let runtime =
            Runtime::new().map_err(|source| LabError::io("starting a runtime", source))?;
        let entered = runtime.enter();
        let config =
            WireConfig { max_backoff: Duration::from_millis(100), ..WireConfig::default() };
        let fabric = EmbeddedFabric::with_config(config);
        let switches = (1..=3_u64).map(|id| {
            fabric.add(controller.openflow(), Datapath::new(id, format!("s{id}"), [1, 2, 8, 9]))
        });
        let switches: Vec<_> = switches.collect();
        for (from, to) in [(1, 2), (2, 3), (3, 1)] {
            fabric.link((from, TRUNKS[1]), (to, TRUNKS[0]));
        }
        drop(entered);
        controller.wait_for_switches(3)?;
        controller.wait_for_links(3)?;
        controller.wait_for_switches(3)?;
        Ok(Self { switches, fabric, _runtime: runtime })
    }

    /// The network with a host at each switch, all of which are learnt.
    pub fn populate(&self, controller: &Controller, network: &str) -> Checked {
        controller.create_network(network)?;
        for switch in 1..=3 {
            controller.attach(network, &format!("s{switch}"), "1")?;
        }
        for from in 1..=3 {
            self.everybody_hears(from, &[1, 2, 3]);
        }
        for host in 1..=3 {
            controller.wait_for_host(network, mac(host), "p1")?;
        }
        for from in 1..=3 {
            self.talks_to_all(from);
        }
        Ok(())
    }

    /// Each of these hosts hears a broadcast once, and so do nobody else.
    pub fn everybody_hears(&self, from: usize, members: &[usize]) {
        for dst in [EVERYBODY, NOBODY] {
            let frame = Frame::probe(dst, mac(from), 1);
            let sent = self.fabric.send((from as u64, 1), frame.bytes().to_vec());
            let want = members.iter().filter(|at| **at != from).map(|at| (*at as u64, 1).into());
            let want: BTreeSet<_> = want.collect();
            let heard = sent.places();
            assert!(!sent.looped);
            assert_eq!(heard.iter().copied().collect::<BTreeSet<_>>(), want, "from s{from}");
            assert_eq!(heard.len(), want.len(), "each once");
        }
    }

    /// Frames to each other host reach that host only.
    pub fn talks_to_all(&self, from: usize) {
        for to in (1..=3).filter(|to| *to != from) {
            let frame = Frame::probe(mac(to), mac(from), 2);
            let sent = self.fabric.send((from as u64, 1), frame.bytes().to_vec());
            assert_eq!(sent.places(), [(to as u64, 1).into()], "from s{from} to s{to}");
        }
    }

    /// Flow-mods and group-mods of all switches so far.
    pub fn changes(&self) -> u64 {
        self.switches.iter().map(EmbeddedSwitch::changes_handled).sum()
    }

    pub fn set_away(&self, away: bool) {
        self.switches.iter().for_each(|switch| switch.set_away(away));
    }
}

/// Waits until a switch is connected and in sync, or isn't connected.
pub fn wait_for(controller: &Controller, switch: u64, connected: bool) -> Checked {
    until("the switch's session", LIMIT, || {
        let all = controller.switches()?;
        let seen = all.iter().find(|it| it.dpid.0 == switch);
        let holds = seen.is_some_and(|it| it.connected == connected && it.in_sync == connected);
        Ok(if holds { Look::Done(()) } else { Look::NotYet(format!("{seen:?}")) })
    })
}
