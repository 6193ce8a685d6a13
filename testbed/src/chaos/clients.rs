//! Clients that attach and detach all at once, each its own ports, and remember what they were told.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use serde_json::json;

use super::dice::Dice;
use super::wish::{Possible, Spot, Wish};
use crate::controller::{Answer, Rest};
use crate::error::LabError;

/// How the clients of one round behave.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many at a time.
    pub clients: usize,
    /// Changes that each makes at the most.
    pub changes: usize,
    /// Of 4 changes, how many wait for switches; the others for the store only.
    pub waiting: usize,
    /// Whether a controller may go away; then no answer ends a client.
    pub mortal: bool,
}

/// Clients at work.
pub struct Clients {
    threads: Vec<JoinHandle<Result<Client, LabError>>>,
}

struct Client {
    rest: Rest,
    networks: Vec<String>,
    /// Its own ports.
    ports: Vec<(usize, Spot, Possible)>,
    habits: Habits,
    dice: Dice,
    acknowledged: u64,
}

/// What became of a change.
enum Fate {
    Acknowledged,
    /// It did nothing.
    Refused,
    /// The port is in another network.
    Elsewhere,
    Unknown,
}

impl Clients {
    /// Starts them on these ports.
    pub fn start(
        rest: SocketAddr,
        wish: &Wish,
        ports: &[usize],
        habits: Habits,
        dice: &mut Dice,
    ) -> Result<Self, LabError> {
        let mut threads = Vec::new();
        for nth in 0..habits.clients {
            let own = ports.iter().skip(nth).step_by(habits.clients);
            let own = own.map(|at| (*at, wish.spots[*at].clone(), wish.possible[*at].clone()));
            let client = Client {
                rest: Rest::new(rest)?,
                networks: wish.networks.clone(),
                ports: own.collect(),
                habits,
                dice: dice.fork(dice.clone().throw(usize::MAX) as u64 ^ nth as u64),
                acknowledged: 0,
            };
            threads.push(std::thread::spawn(move || client.work()));
        }
        dice.throw(2);
        Ok(Self { threads })
    }

    /// Waits for all; what they know is in the wish then. Returns how many changes were acknowledged.
    pub fn join(self, wish: &mut Wish) -> Result<u64, LabError> {
        let mut acknowledged = 0;
        for thread in self.threads {
            let ended = thread.join();
            let client = ended.map_err(|_| LabError::Wrong("a client panicked".to_owned()))??;
            acknowledged += client.acknowledged;
            for (at, _, possible) in client.ports {
                wish.possible[at] = possible;
            }
        }
        Ok(acknowledged)
    }
}

impl Client {
    fn work(mut self) -> Result<Self, LabError> {
        for _ in 0..self.habits.changes {
            if self.ports.is_empty() || !self.change()? {
                break;
            }
        }
        Ok(self)
    }

    /// Makes a change. Returns whether the controller is there.
    fn change(&mut self) -> Result<bool, LabError> {
        let port = self.dice.throw(self.ports.len());
        let network = self.dice.throw(self.networks.len());
        let wait = if self.dice.throw(4) < self.habits.waiting {
            "wait=installed&timeout=300ms"
        } else {
            "wait=stored"
        };
        let attach = self.dice.throw(3) > 0;
        let (_, Spot { switch, port: name }, possible) = &mut self.ports[port];
        // Mostly from where it is: else nearly no detach would do anything.
        let network = match possible.iter().next() {
            Some(Some(at)) if !attach && self.dice.throw(4) > 0 => *at,
            _ => network,
        };
        let path =
            format!("/api/v1/networks/{}/ports/{switch}/{name}?{wait}", self.networks[network]);
        let answer = if attach {
            self.rest.call("PUT", &path, &json!({}))
        } else {
            self.rest.send("DELETE", &path, None)
        };
        let fate = fate(answer, self.habits.mortal)?;
        let unknown = matches!(fate, Fate::Unknown);
        match (fate, attach) {
            (Fate::Acknowledged, true) => *possible = Possible::from([Some(network)]),
            (Fate::Acknowledged, false) => {
                if possible.remove(&Some(network)) {
                    possible.insert(None);
                }
            }
            (Fate::Elsewhere, _) => {
                possible.retain(|at| at.is_some_and(|at| at != network));
                if possible.is_empty() {
                    let all = format!("port {name} of {switch} is said to be in another network");
                    return Err(LabError::Wrong(all));
                }
            }
            (Fate::Unknown, true) => drop(possible.insert(Some(network))),
            (Fate::Unknown, false) => {
                if possible.contains(&Some(network)) {
                    possible.insert(None);
                }
            }
            (Fate::Refused, _) => {}
        }
        self.acknowledged += u64::from(!unknown);
        Ok(!unknown)
    }
}

fn fate(answer: Result<Answer, LabError>, mortal: bool) -> Result<Fate, LabError> {
    match answer {
        Ok(answer) => match answer.status {
            200 | 201 | 202 | 204 => Ok(Fate::Acknowledged),
            409 if answer.text("/type").ends_with("/port-in-use") => Ok(Fate::Elsewhere),
            // Busy, or about to end.
            429 | 503 => Ok(Fate::Refused),
            _ => Err(LabError::Wrong(format!("a change was answered with {answer}"))),
        },
        Err(_) if mortal => Ok(Fate::Unknown),
        Err(error) => Err(error),
    }
}
