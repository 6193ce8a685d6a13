//! A switch's own flows, and the announcements that leave its ports.

use std::time::{Duration, Instant};

use openflow::{Action, BufferId, DatapathId, MacAddr, PacketOut, PortNo};
use tracing::warn;

use super::reconcile::{FIRST_RETRY, LONGEST_RETRY};
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
        let set = base::constant().difference(&live.base).copied().collect();
        // Announcement flows of ports that aren't there any more go now.
        let ports = self.topology.switch(switch).map(|switch| &switch.ports);
        let gone = |rule: &&BaseRule| match rule {
            BaseRule::Announcements(port, _) => !ports.is_some_and(|ports| ports.contains(*port)),
            _ => false,
        };
        let remove = live.base.iter().filter(gone).copied().collect();
        self.change_base(switch, set, remove);
    }

    /// What must change so that announcements which arrive at a port come to
    /// the controller, or don't.
    pub(super) fn announcements(
        &self,
        place: Place,
        wanted: bool,
    ) -> (Vec<BaseRule>, Vec<BaseRule>) {
        let tunnel = self.topology.link_at(place).is_some_and(|link| link.encap == Encap::TunId);
        let live =
            self.sessions.get(&place.switch).filter(|_| !self.foreign.contains(&place.switch));
        let Some(live) = live else { return (Vec::new(), Vec::new()) };
        let [with, without] =
            [tunnel, !tunnel].map(|tunnel| BaseRule::Announcements(place.port, tunnel));
        let set = (wanted && !live.base.contains(&with)).then_some(with);
        let old = if wanted { vec![without] } else { vec![with, without] };
        let remove = old.into_iter().filter(|rule| live.base.contains(rule)).collect();
        (set.into_iter().collect(), remove)
    }

    pub(super) fn change_base(
        &mut self,
        switch: DatapathId,
        set: Vec<BaseRule>,
        remove: Vec<BaseRule>,
    ) {
        let steps = base::lower(&set, &remove);
        if steps.is_empty() {
            return;
        }
        let token = self.token(switch, Pending::Base);
        let Some(live) = self.sessions.get_mut(&switch) else { return };
        if let Err(error) = live.handle.apply(token, steps) {
            self.pending.remove(&token);
            live.handle.close(&format!("its own flows could not be queued: {error}"));
            return;
        }
        live.in_flight += 1;
        live.audit.touch_base();
        live.base.retain(|rule| !remove.contains(rule));
        live.base.extend(set);
    }

    /// The switch has no room for its own flows, or doesn't want them. It is
    /// read, and asked again for what it lacks, once a while has passed.
    pub(super) fn base_refused(&mut self, switch: DatapathId, reason: &str, now: Instant) {
        metrics::counter!("isolane_base_refused_total", "switch" => switch.to_string())
            .increment(1);
        let backoff = self.sessions.get(&switch).map_or(Duration::ZERO, |live| live.base_backoff);
        if backoff.is_zero() || self.quiet.allows(("base", Place::new(switch, PortNo::ANY)), now) {
            warn!(switch = %switch, %reason, "the switch refused its own flows");
        }
        let next = self.next_retry.get(&switch).copied().unwrap_or(now);
        if let Some(live) = self.sessions.get_mut(&switch) {
            live.trouble = Some(reason.to_owned());
            live.base_backoff = (backoff * 2).clamp(FIRST_RETRY, LONGEST_RETRY);
            live.audit.expect(next.max(now + live.base_backoff));
        }
    }

    /// The switch took some of its own flows: perhaps all that it lacked.
    pub(super) fn base_taken(&mut self, switch: DatapathId, now: Instant) {
        if self.sessions.get(&switch).is_some_and(|live| live.trouble.is_some()) {
            self.suspect(switch, now);
        }
    }

    /// Sends the announcements that are due.
    pub(super) fn announce(&mut self, now: Instant) {
        let ttl = self.timing.limit.as_secs().clamp(1, u64::from(u16::MAX)) as u16;
        let Self { discovery, topology, .. } = self;
        for from in discovery.due(now, |place| topology.link_at(place).is_some()) {
            let Some(live) = self.sessions.get(&from.switch) else { continue };
            let switch = self.topology.switch(from.switch);
            let mac = switch.and_then(|switch| switch.ports.get(from.port)).map(|port| port.mac);
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
