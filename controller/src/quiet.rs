//! Log lines that a hostile peer could cause without end: one a second for
//! each kind and place.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::Place;

const PAUSE: Duration = Duration::from_secs(1);
/// Beyond this many kinds and places everything is quiet until some are old.
const MOST: usize = 4096;

/// Remembers what was said when.
#[derive(Debug, Default)]
pub struct Quiet {
    said: HashMap<(&'static str, Place), Instant>,
}

impl Quiet {
    /// Whether this may be said now.
    pub fn allows(&mut self, what: (&'static str, Place), now: Instant) -> bool {
        if self.said.len() >= MOST {
            self.said.retain(|_, at| now.duration_since(*at) < PAUSE);
        }
        let due = self.said.get(&what).is_none_or(|at| now.duration_since(*at) >= PAUSE);
        let room = self.said.len() < MOST || self.said.contains_key(&what);
        if due && room {
            self.said.insert(what, now);
        }
        due && room
    }
}
