//! Log lines and names in metrics that a hostile peer could cause without end.
//! Of lines there is one a second for each kind and place, and there are some
//! for each kind and switch, which may invent places.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
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

/// What metrics name, of what a hostile peer could invent without end: the
/// first so many. The rest are counted together.
#[derive(Debug)]
pub struct Named<T> {
    most: usize,
    named: HashSet<T>,
}

impl<T: Eq + Hash> Named<T> {
    /// At most so many are named.
    pub fn new(most: usize) -> Self {
        Self { most, named: HashSet::new() }
    }

    /// What one is called in metrics: its text, or `others`.
    pub fn label(&mut self, one: T, text: impl ToString) -> String {
        let has_name =
            self.named.contains(&one) || (self.named.len() < self.most && self.named.insert(one));
        if has_name { text.to_string() } else { "others".to_owned() }
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

    #[test]
    fn the_first_keep_their_names_and_the_rest_have_one_together() {
        let mut named = Named::new(2);
        let labels = [1, 2, 3, 1, 4, 2].map(|n| named.label(n, n));
        assert_eq!(labels, ["1", "2", "others", "1", "others", "2"]);
    }
}
