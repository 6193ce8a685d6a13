//! Log lines that a hostile peer could cause without end: one a second for
//! each kind and place, and some for each kind and switch, which may invent
//! places.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use openflow::DatapathId;

use crate::model::Place;

const PAUSE: Duration = Duration::from_secs(1);
/// Lines of one kind about one switch in a second.
const OF_SWITCH: u32 = 16;
/// Beyond this many kinds and places everything is quiet until some are old.
const MOST: usize = 4096;

/// Remembers what was said when.
#[derive(Debug, Default)]
pub struct Quiet {
    said: HashMap<(&'static str, Place), Instant>,
    /// How many were said in the second that began then.
    of_switch: HashMap<(&'static str, DatapathId), (Instant, u32)>,
}

impl Quiet {
    /// Whether this may be said now.
    pub fn allows(&mut self, what: (&'static str, Place), now: Instant) -> bool {
        if self.said.len() >= MOST {
            self.said.retain(|_, at| now.duration_since(*at) < PAUSE);
        }
        if self.of_switch.len() >= MOST {
            self.of_switch.retain(|_, (since, _)| now.duration_since(*since) < PAUSE);
        }
        let due = self.said.get(&what).is_none_or(|at| now.duration_since(*at) >= PAUSE);
        let room = self.said.len() < MOST || self.said.contains_key(&what);
        if !(due && room) {
            return false;
        }
        let (since, count) = self.of_switch.entry((what.0, what.1.switch)).or_insert((now, 0));
        if now.duration_since(*since) >= PAUSE {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        let few = *count <= OF_SWITCH;
        if few {
            self.said.insert(what, now);
        }
        few
    }
}

#[cfg(test)]
mod tests {
    use openflow::PortNo;

    use super::*;

    #[test]
    fn a_switch_that_invents_places_says_little_and_silences_nobody() {
        let mut quiet = Quiet::default();
        let now = Instant::now();
        let place = |switch, port| Place::new(DatapathId(switch), PortNo(port));
        let said = (0..10_000).filter(|port| quiet.allows(("port", place(1, *port)), now)).count();
        assert_eq!(said, OF_SWITCH as usize);
        assert!(quiet.allows(("port", place(2, 1)), now));
        assert!(!quiet.allows(("port", place(2, 1)), now));
        assert!(quiet.allows(("port", place(1, 10_001)), now + PAUSE));
    }
}
