//! A switch's own flows, and the announcements that leave its ports.

use std::time::Instant;

use openflow::{Action, BufferId, DatapathId, MacAddr, PacketOut, PortNo};
use tracing::warn;

use super::{Engine, Pending};
use crate::base::{self, BaseRule};
use crate::lldp::{self, Announcement};
use crate::model::{Encap, Place};

impl Engine {
    /// Brings the flows that every switch has, whatever its networks.
    pub(super) fn settle_base(&mut self, switch: DatapathId) {
        if self.foreign.contains(&switch) {
            return;
        }
        let Some(live) = self.sessions.get(&switch) else { return };
        let mut wanted = base::constant();
        wanted.extend(
            live.base.iter().filter(|rule| matches!(rule, BaseRule::Announcements(..))).copied(),
        );
        // Announcement flows of ports that aren't there any more go now.
        let ports = self.topology.switch(switch).map(|switch| &switch.ports);
        wanted.retain(|rule| match rule {
            BaseRule::Announcements(port, _) => ports.is_some_and(|ports| ports.contains_key(port)),
            _ => true,
        });
        self.change_base(switch, wanted);
    }

    /// Announcements that arrive at a port come to the controller, or not.
    pub(super) fn announce_on(&mut self, place: Place, wanted: bool) {
        let tunnel = self.topology.link_at(place).is_some_and(|link| link.encap == Encap::TunId);
        if self.foreign.contains(&place.switch) {
            return;
        }
        let Some(live) = self.sessions.get(&place.switch) else { return };
        let mut rules = live.base.clone();
        rules.retain(
            |rule| !matches!(rule, BaseRule::Announcements(port, _) if *port == place.port),
        );
        if wanted {
            rules.insert(BaseRule::Announcements(place.port, tunnel));
        }
        self.change_base(place.switch, rules);
    }

    fn change_base(&mut self, switch: DatapathId, wanted: std::collections::BTreeSet<BaseRule>) {
        let Some(live) = self.sessions.get(&switch) else { return };
        if live.base == wanted {
            return;
        }
        let steps = base::lower(&live.base, &wanted);
        let token = self.token(switch, Pending::Base);
        let Some(live) = self.sessions.get_mut(&switch) else { return };
        if let Err(error) = live.handle.apply(token, steps) {
            self.pending.remove(&token);
            live.handle.close(&format!("its own flows could not be queued: {error}"));
            return;
        }
        live.in_flight += 1;
        live.base = wanted;
    }

    pub(super) fn base_refused(&mut self, switch: DatapathId, reason: &str) {
        warn!(switch = %switch, %reason, "the switch refused its own flows");
        if let Some(live) = self.sessions.get_mut(&switch) {
            live.trouble = Some(reason.to_owned());
        }
    }

    /// Sends the announcements that are due.
    pub(super) fn announce(&mut self, now: Instant) {
        let ttl = self.timing.limit.as_secs().clamp(1, u64::from(u16::MAX)) as u16;
        for from in self.discovery.due(now) {
            let Some(live) = self.sessions.get(&from.switch) else { continue };
            let switch = self.topology.switch(from.switch);
            let mac = switch.and_then(|switch| switch.ports.get(&from.port)).map(|port| port.mac);
            let announcement = Announcement { from, nonce: rand::random() };
            let frame = lldp::encode(
                &announcement,
                mac.unwrap_or(MacAddr([0x02, 0, 0, 0, 0, 1])),
                ttl,
                &self.lldp_key,
            );
            let out = PacketOut {
                buffer_id: BufferId::NONE,
                in_port: PortNo::CONTROLLER,
                actions: vec![Action::output(from.port)],
                data: frame,
            };
            if live.handle.packet_out(out).is_ok() {
                self.discovery.sent(announcement, now);
            }
        }
    }
}
