//! What a controller may have, as far as its answers say.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::Controller;
use crate::error::LabError;

/// A port by the names of its switch and its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The switch.
    pub switch: String,
    /// The port.
    pub port: String,
}

/// The network that a port is in, by index; all it may be, while an answer is missing.
pub type Possible = BTreeSet<Option<usize>>;

/// The ports of a run, and where each may be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The networks' names.
    pub networks: Vec<String>,
    /// The ports.
    pub spots: Vec<Spot>,
    /// Where each port may be.
    pub possible: Vec<Possible>,
}

impl Wish {
    /// All networks are made; no port is in any.
    pub fn begin(
        controller: &Controller,
        networks: usize,
        spots: Vec<Spot>,
    ) -> Result<Self, LabError> {
        let networks: Vec<_> = (1..=networks).map(|n| format!("net{n}")).collect();
        networks.iter().try_for_each(|name| controller.create_network(name))?;
        let possible = vec![Possible::from([None]); spots.len()];
        Ok(Self { networks, spots, possible })
    }

    /// Where each port is, as the controller says, which must be where it may be.
    pub fn check(&mut self, controller: &Controller) -> Result<(), LabError> {
        let mut found = BTreeMap::new();
        for (network, name) in self.networks.iter().enumerate() {
            for port in controller.ports(name)? {
                let spot = Spot { switch: port.switch.to_string(), port: port.port.to_string() };
                if let Some(other) = found.insert(spot.clone(), network) {
                    let other = &self.networks[other];
                    return Err(wrong(&spot, &format!("is in {other} and in {name}")));
                }
            }
        }
        for (spot, possible) in self.spots.iter().zip(&mut self.possible) {
            let now = found.remove(spot);
            if !possible.contains(&now) {
                let may = format!("is in {now:?}, but by the answers only in {possible:?}");
                return Err(wrong(spot, &may));
            }
            *possible = Possible::from([now]);
        }
        match found.into_iter().next() {
            None => Ok(()),
            Some((spot, _)) => Err(wrong(&spot, "was never asked for")),
        }
    }

    /// The ports of each network; those that may be elsewhere count nowhere.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let of = |network| {
            let only = Possible::from([Some(network)]);
            (0..self.spots.len()).filter(|at| self.possible[*at] == only).collect()
        };
        (0..self.networks.len()).map(of).collect()
    }
}

fn wrong(spot: &Spot, what: &str) -> LabError {
    LabError::Wrong(format!("port {} of {} {what}", spot.port, spot.switch))
}
