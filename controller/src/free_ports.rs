//! The free ports of a switch's pool, in the order in which they are given out.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use openflow::PortNo;

/// Free ports: those that were never used first, in the natural order of their
/// names, then the one that is free for longest.
#[derive(Debug)]
pub struct FreePorts {
    /// The version of the topology that this was made from.
    pub version: u64,
    /// All ports of the pool: their place in the natural order, and when each
    /// was used last if it is free.
    ports: HashMap<PortNo, (u32, Option<u64>)>,
    order: BTreeSet<(u64, u32, PortNo)>,
}

impl FreePorts {
    /// Of a pool that consists of these ports, none of which is free so far.
    pub fn new(version: u64, mut pool: Vec<(&[u8], PortNo)>) -> Self {
        pool.sort_by(|a, b| natural(a.0, b.0).then(a.1.cmp(&b.1)));
        let ranks = (0..).zip(pool).map(|(rank, (_, port))| (port, (rank, None)));
        Self { version, ports: ranks.collect(), order: BTreeSet::new() }
    }

    /// A port is free, and was used last at that time. One that isn't in the
    /// pool never is.
    pub fn insert(&mut self, port: PortNo, used: u64) {
        self.remove(port);
        if let Some((rank, free)) = self.ports.get_mut(&port) {
            *free = Some(used);
            self.order.insert((used, *rank, port));
        }
    }

    /// A port isn't free.
    pub fn remove(&mut self, port: PortNo) {
        if let Some((rank, free)) = self.ports.get_mut(&port)
            && let Some(used) = free.take()
        {
            self.order.remove(&(used, *rank, port));
        }
    }

    /// The free ports, the next one first.
    pub fn iter(&self) -> impl Iterator<Item = PortNo> {
        self.order.iter().map(|(_, _, port)| *port)
    }
}

/// Compares names as people do: digits by the number that they are.
pub fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut left), number(&mut right));
            m.len().cmp(&n.len()).then(m.cmp(n))
        } else {
            let order = x.cmp(y);
            (left, right) = (left.get(1..).unwrap_or_default(), right.get(1..).unwrap_or_default());
            order
        };
        if order.is_ne() {
            return order;
        }
    }
    // Names that are equal but for leading zeros differ all the same.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the start, and returns them without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_people_do() {
        let want: [&[u8]; 12] = [
            b"",
            b"a",
            b"vhost",
            b"vhost1",
            b"vhost01",
            b"vhost2",
            b"vhost2a",
            b"vhost2b",
            b"vhost10",
            b"vhost18446744073709551616",
            b"vhosta",
            b"\xff",
        ];
        let mut names = want;
        names.reverse();
        names.sort_by(|a, b| natural(a, b));
        // Equal numbers: the bytes decide.
        let mut expected = want;
        expected.swap(3, 4);
        assert_eq!(names, expected);
        for a in want {
            for b in want {
                assert_eq!(natural(a, b), natural(b, a).reverse(), "{a:?} {b:?}");
                assert_eq!(natural(a, b).is_eq(), a == b, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn never_used_ports_go_first_then_the_one_that_is_free_for_longest() {
        let port = PortNo;
        let pool: Vec<(&[u8], PortNo)> =
            vec![(b"v10", port(1)), (b"v2", port(2)), (b"v1", port(3)), (b"v3", port(4))];
        let mut free = FreePorts::new(1, pool);
        assert_eq!(free.iter().count(), 0);
        for (number, used) in [(1, 0), (2, 9), (3, 0), (4, 5), (77, 0)] {
            free.insert(port(number), used);
        }
        assert_eq!(free.iter().collect::<Vec<_>>(), [3, 1, 4, 2].map(PortNo));
        free.remove(port(3));
        free.insert(port(4), 12);
        assert_eq!(free.iter().collect::<Vec<_>>(), [1, 2, 4].map(PortNo));
    }
}
