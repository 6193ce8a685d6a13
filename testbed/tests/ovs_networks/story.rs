//! A lab with its controller, and what is true of every virtual network.

use std::net::Ipv4Addr;
use std::time::Duration;

use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::host::{Frame, Mac, Tag};
use testbed::ovs::{Lab, Topology, Trunks};
use testbed::wait::{Look, until};

/// Frames and who sends them.
type Sent<'a> = Vec<(&'a str, Frame)>;
/// Frames and who should hear them.
type Expected<'a> = Vec<(Frame, Vec<&'a str>)>;
/// For switches to hold what the controller has learnt. It takes milliseconds; a loaded machine takes longer.
pub const LEARNT: Duration = Duration::from_secs(20);

pub type Checked = Result<(), LabError>;

/// A destination that nobody has.
pub const NOBODY: Mac = [0x02, 0xff, 0, 0, 0, 0x99];
/// "All hosts" (RFC 1112, 6.4), as a multicast destination.
pub const MULTICAST: Mac = [0x01, 0x00, 0x5e, 0, 0, 1];

/// Switches of a lab under a controller, nothing attached yet.
pub struct Story {
    pub controller: Controller,
    pub lab: Lab,
}

impl Story {
    /// Builds the lab, starts the controller in it, and waits until it knows all switches and links.
    pub fn begin(topology: Topology, trunks: Trunks, hosts: usize) -> Result<Self, LabError> {
        Self::begin_with(topology, trunks, hosts, &[])
    }

    /// The same with more arguments for the controller.
    pub fn begin_with(
        topology: Topology,
        trunks: Trunks,
        hosts: usize,
        arguments: &[&str],
    ) -> Result<Self, LabError> {
        let lab = Lab::build(topology, trunks, hosts)?;
        let controller = Controller::start_with(lab.controller_addr(), arguments)?;
        let story = Self { controller, lab };
        story.wait_for_fabric()?;
        Ok(story)
    }

    /// Waits until all switches and links are known; links that carry `tun_id` are declared.
    pub fn wait_for_fabric(&self) -> Checked {
        let Self { controller, lab } = self;
        controller.wait_for_switches(lab.switches().len())?;
        if lab.spec().trunks.carry_tun_id() {
            for link in lab.links() {
                let [a, b] = link.switches.map(|at| lab.switches()[at].name());
                let [at_a, at_b] = &link.ports;
                controller.declare((a, at_a), (b, at_b), "tun_id")?;
            }
        }
        controller.wait_for_links(lab.links().len())?;
        controller.wait_for_switches(lab.switches().len())
    }

    /// The hosts whose names end like this, one at each switch that has hosts.
    pub fn hosts(&self, suffix: &str) -> Vec<&str> {
        self.lab
            .hosts()
            .iter()
            .map(|host| host.name())
            .filter(|name| name.ends_with(suffix))
            .collect()
    }

    /// The switch that a host is at.
    pub fn switch_of(&self, host: &str) -> Result<&str, LabError> {
        Ok(self.lab.switches()[self.lab.host(host)?.switch()].name())
    }

    /// Attaches a host's port; returns once that is acknowledged.
    pub fn attach(&self, network: &str, host: &str) -> Checked {
        self.controller.attach(network, self.switch_of(host)?, host).map(drop)
    }

    /// Detaches a host's port; returns once that is acknowledged.
    pub fn detach(&self, network: &str, host: &str) -> Checked {
        self.controller.detach(network, self.switch_of(host)?, host)
    }

    /// Every kind of frame that goes to all members, from each member: each other one hears it once, nobody else.
    pub fn floods_reach(&self, members: &[&str]) -> Checked {
        let mut sent = Vec::new();
        let mut expected = Vec::new();
        for from in members {
            let others: Vec<&str> = members.iter().copied().filter(|it| it != from).collect();
            for frame in self.flooded_frames(from)? {
                sent.push((*from, frame.clone()));
                expected.push((frame, others.clone()));
            }
        }
        self.lab.probe_all(&sent)?.exactly_all(&expected)
    }

    /// Broadcast, ARP, multicast and unknown unicast from a host.
    fn flooded_frames(&self, from: &str) -> Result<Vec<Frame>, LabError> {
        let mac = self.lab.host(from)?.mac();
        let address = |number: u64| Ipv4Addr::from(0x0a00_0000 + (number as u32 & 0x00ff_ffff));
        let broadcast = self.lab.broadcast(from)?;
        Ok(vec![
            broadcast.tagged(Tag::dot1q(4103, 5)),
            broadcast.tagged(Tag::dot1q(1, 0)).tagged(Tag::dot1q(4095, 6)),
            broadcast.tagged(Tag::dot1q(7, 0)).tagged(Tag::dot1ad(2049, 1)),
            broadcast,
            Frame::arp_request(mac, address(self.lab.next_id()), address(self.lab.next_id())),
            self.lab.frame_to(from, MULTICAST)?,
            self.lab.frame_to(from, NOBODY)?,
        ])
    }

    /// Every member becomes known at its port: from each to each other, frames reach that one only.
    ///
    /// Until the switches have learnt, other members may hear them too, but each frame arrives once all the time.
    pub fn unicast_reaches_its_host_only(&self, network: &str, members: &[&str]) -> Checked {
        for host in members {
            self.controller.wait_for_host(network, self.lab.host(host)?.mac(), host)?;
        }
        until("frames to reach their host only", LEARNT, || {
            let (sent, expected) = self.unicasts(members)?;
            let heard = self.lab.probe_all(&sent)?;
            for (frame, to) in &expected {
                let count = |host: &&str| heard.at(host).iter().filter(|it| *it == frame).count();
                assert_eq!(count(&to[0]), 1, "{frame:?} at {}", to[0]);
                assert!(members.iter().all(|host| count(host) <= 1), "{frame:?} twice: {heard}");
            }
            assert!(
                heard.hosts().all(|host| members.contains(&host)),
                "beyond {members:?}: {heard}"
            );
            Ok(match heard.exactly_all(&expected) {
                Ok(()) => Look::Done(()),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
    }

    /// From each to each other, plain, tagged and doubly tagged: what to send, and who should hear it.
    fn unicasts<'a>(&self, members: &[&'a str]) -> Result<(Sent<'a>, Expected<'a>), LabError> {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        let tagged = |frame: &Frame| frame.tagged(Tag::dot1q(5, 3));
        let double = |frame: &Frame| frame.tagged(Tag::dot1q(4094, 0)).tagged(Tag::dot1ad(9, 7));
        for from in members {
            for to in members.iter().filter(|to| *to != from) {
                let plain = self.lab.unicast(from, to)?;
                for frame in [tagged(&plain), double(&plain), plain] {
                    sent.push((*from, frame.clone()));
                    expected.push((frame, vec![*to]));
                }
            }
        }
        Ok((sent, expected))
    }

    /// A host's frames of any kind are heard by nobody.
    pub fn is_mute(&self, host: &str) -> Checked {
        let frames: Vec<_> =
            self.flooded_frames(host)?.into_iter().map(|frame| (host, frame)).collect();
        self.lab.probe_all(&frames)?.exactly_all(&[])
    }
}
