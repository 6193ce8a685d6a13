//! Networks that work, before something fails and after.

use std::collections::BTreeSet;

use testbed::error::LabError;
use testbed::wait::{Look, until};

use super::story::{Checked, LEARNT, Story};

impl Story {
    /// Makes a network of these hosts, and waits until each knows each.
    pub fn found(&self, network: &str, hosts: &[&str]) -> Checked {
        self.controller.create_network(network)?;
        hosts.iter().try_for_each(|host| self.attach(network, host))?;
        self.floods_reach(hosts)?;
        self.unicast_reaches_its_host_only(network, hosts)
    }

    /// Two networks that work, each with a host at every switch that has hosts.
    pub fn red_and_blue(&self) -> Result<(Vec<&str>, Vec<&str>), LabError> {
        let (red, blue) = (self.hosts("h1"), self.hosts("h2"));
        self.found("red", &red)?;
        self.found("blue", &blue)?;
        Ok((red, blue))
    }

    /// Waits until all switches hold exactly this.
    pub fn wait_for_tables(&self, want: &str) -> Checked {
        until("the tables to be as they were", LEARNT, || {
            let now = self.lab.tables()?;
            let only = |one: &str, other: &str| -> Vec<_> {
                let there: BTreeSet<&str> = other.lines().collect();
                one.lines().filter(|line| !there.contains(line)).map(str::to_owned).collect()
            };
            let seen = format!("missing {:#?}, strange {:#?}", only(want, &now), only(&now, want));
            Ok(if now == want { Look::Done(()) } else { Look::NotYet(seen) })
        })
    }
}
