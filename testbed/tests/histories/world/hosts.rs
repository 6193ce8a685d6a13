//! Hosts that speak, move, forge and fall silent.

use std::time::Duration;

use openflow::DatapathId;
use testbed::fabric::Place;

use crate::laws;

use super::{Port, Spoke, Tag, World};

impl World {
    pub(super) fn speak(&mut self, n: u32, mac: u32) -> Result<(), String> {
        match self.nth_port(n) {
            Some(port) => self.speak_at(
                port,
                laws::mac(mac),
                &laws::frame(laws::EVERYBODY, laws::mac(mac), None),
            ),
            None => Ok(()),
        }
    }

    pub(super) fn speak_at(
        &mut self,
        port: Port,
        mac: [u8; 6],
        frame: &[u8],
    ) -> Result<(), String> {
        let Some(tag) = self.ports.get(&port).copied() else { return Ok(()) };
        let Some(place) = self.place(port).filter(|_| !self.dead.contains(&port.0)) else {
            return Ok(());
        };
        self.homes.retain(|(_, of), at| *of != mac || *at == port);
        self.silent.remove(&(tag, mac));
        let steady = self.steady.as_ref().is_some_and(|steady| steady.get(&port) == Some(&tag));
        // Of a MAC that is declared, or about to be, nothing is learnt.
        let declared = laws::known_hosts(self).contains_key(&(tag, mac))
            && !laws::learnt_hosts(self).contains_key(&(tag, mac));
        // After a restart of the controller nobody hears at first.
        let heard = self.is_connected(port.0) && self.promises.is_empty();
        // Nor does a network learn that is full, or may be by the time that this is heard.
        let of = |(other, _): &&(Tag, [u8; 6])| *other == tag;
        let known = laws::learnt_hosts(self).keys().filter(of).count();
        let about = known + self.spoke.keys().filter(of).count();
        let room = self.caps.get(&tag).is_none_or(|(limit, most)| about < *limit.min(most))
            && !self.crowded.contains(&tag);
        if !room {
            // Who of those that spoke is heard first takes the last place.
            self.spoke.iter_mut().filter(|((of, _), _)| *of == tag).for_each(|(_, spoke)| {
                *spoke = Spoke::Somewhere;
            });
        }
        let here = steady && !declared && heard && room;
        let now = match self.spoke.get(&(tag, mac)) {
            None if here && !self.enforced.contains_key(&port) => Spoke::At(port),
            Some(Spoke::At(at)) if *at == port => Spoke::At(port),
            _ => Spoke::Somewhere,
        };
        self.spoke.insert((tag, mac), now);
        let result = self.lab.send(place, frame.to_vec());
        if !self.altered {
            laws::heard(self, port, frame, &result)?;
        }
        Ok(())
    }

    /// The nth host that is known, and where.
    pub(super) fn nth_host(&self, n: u32) -> Option<(Tag, [u8; 6], Port)> {
        let all: Vec<_> = laws::known_hosts(self).into_iter().collect();
        let ((tag, mac), port) = *all.get(n as usize % all.len().max(1))?;
        Some((tag, mac, port))
    }

    pub(super) fn hop(&mut self, n: u32) -> Result<(), String> {
        let Some((tag, mac, home)) = self.nth_host(n) else { return Ok(()) };
        let beside = |(port, of): &(&Port, &Tag)| **of == tag && port.0 == home.0 && **port != home;
        let Some(port) = self.ports.iter().find(beside).map(|(port, _)| *port) else {
            return Ok(());
        };
        self.speak_at(port, mac, &laws::frame(laws::EVERYBODY, mac, None))
    }

    /// The owner of a MAC talks on while another port claims it: it stays where it is.
    pub(super) fn forge(&mut self, n: u32, m: u32) -> Result<(), String> {
        let Some((tag, mac, home)) = self.nth_host(n) else { return Ok(()) };
        let others: Vec<_> = self
            .ports
            .iter()
            .filter(|(port, of)| **of == tag && **port != home)
            .map(|(port, _)| *port)
            .collect();
        let Some(claimant) = others.get(m as usize % others.len().max(1)).copied() else {
            return Ok(());
        };
        let untouched = !self.spoke.contains_key(&(tag, mac)) && !self.silent.contains(&(tag, mac));
        let own = laws::own_frame(self, home, laws::EVERYBODY, mac);
        let claim = laws::frame(laws::EVERYBODY, mac, None);
        for _ in 0..16 {
            self.speak_at(home, mac, &own)?;
            self.speak_at(claimant, mac, &claim)?;
            let until = self.lab.now() + Duration::from_millis(100);
            while self.lab.now() < until {
                let step = self.lab.step();
                self.look(step)?;
            }
            let stays = |port: &Port| {
                self.steady.as_ref().is_some_and(|steady| steady.get(port) == Some(&tag))
            };
            if untouched && stays(&home) && stays(&claimant) {
                let now = laws::known_hosts(self).get(&(tag, mac)).copied();
                if now != Some(home) {
                    return Err(format!(
                        "{mac:02x?} talks at {home:?} all the time, {claimant:?} claims it, and it is at {now:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn fall_silent(&mut self, switch: u64) {
        let quiet = self.steady.is_some() && self.lab.engine().is_quiet();
        if quiet && self.is_connected(switch) {
            let known = laws::learnt_hosts(self);
            let flows = self.flows(switch);
            let told = flows.iter().filter(|flow| flow.idle_timeout != 0).filter_map(|flow| {
                let mac = flow.match_.eth_src_field()?.value.0;
                let place =
                    Place { switch: DatapathId(switch), port: flow.match_.in_port_field()?.value };
                let port = self.port_at(place)?;
                let of =
                    |((_, other), at): &(&(Tag, [u8; 6]), &Port)| *other == mac && **at == port;
                known.iter().find(of).map(|(host, _)| *host)
            });
            let told: Vec<_> = told.collect();
            // Who is just being heard may be learnt again.
            self.silent.extend(told.into_iter().filter(|host| !self.spoke.contains_key(host)));
        }
        for spoke in self.spoke.values_mut() {
            if matches!(spoke, Spoke::At((at, _)) if *at == switch) {
                *spoke = Spoke::Somewhere;
            }
        }
        self.crowded.extend(self.caps.keys());
        self.lab.disturb(|fabric| fabric.fall_silent(switch));
    }

    /// Who spoke is known where it did, and who fell silent isn't any more.
    pub(super) fn check_hosts(&self) -> Result<(), String> {
        let Some(steady) = &self.steady else { return Ok(()) };
        let known = laws::known_hosts(self);
        let learnt = laws::learnt_hosts(self);
        for (host @ (tag, mac), spoke) in &self.spoke {
            let Spoke::At(port) = *spoke else { continue };
            let full = self.caps.get(tag).is_some_and(|(limit, most)| {
                learnt.keys().filter(|(of, _)| of == tag).count() >= (*limit).min(*most)
            });
            let declared = known.contains_key(host) && !learnt.contains_key(host);
            let teaches = steady.get(&port) == Some(tag) && !declared && !full;
            if teaches && known.get(host) != Some(&port) {
                return Err(format!(
                    "{mac:02x?} spoke at {port:?} alone, and is known at {:?}",
                    known.get(host)
                ));
            }
        }
        match self.silent.iter().find(|host| learnt.contains_key(host)) {
            Some(host) => Err(format!("{host:02x?} fell silent, and is still known")),
            None => Ok(()),
        }
    }
}
