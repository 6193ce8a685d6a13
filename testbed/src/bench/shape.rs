//! Which switches of a fleet are joined, and by which ports.

use clap::ValueEnum;

/// The first port number of trunks; ports of hosts are below.
pub const TRUNKS: u32 = 1_000_000;

/// How the switches are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// One after the other
    Line,
    /// The same, closed
    Ring,
    /// Each with each
    FullMesh,
    /// Up to four in the middle, each joined to all others
    LeafSpine,
}

/// A link: two switches, counted from 1, and their ports.
pub type Link = [(u64, u32); 2];

impl Shape {
    /// The links between so many switches.
    pub fn links(self, switches: u64) -> Vec<Link> {
        let pairs: Vec<(u64, u64)> = match self {
            Self::Line => (1..switches).map(|n| (n, n + 1)).collect(),
            Self::Ring if switches < 3 => return Self::Line.links(switches),
            Self::Ring => (1..=switches).map(|n| (n, n % switches + 1)).collect(),
            Self::FullMesh => {
                (1..=switches).flat_map(|a| (a + 1..=switches).map(move |b| (a, b))).collect()
            }
            Self::LeafSpine => {
                let spines = self.first_leaf(switches) - 1;
                (1..=spines).flat_map(|a| (spines + 1..=switches).map(move |b| (a, b))).collect()
            }
        };
        let mut used = vec![TRUNKS; switches as usize + 1];
        let mut end = |switch: u64| {
            let port = &mut used[switch as usize];
            *port += 1;
            (switch, *port)
        };
        pairs.into_iter().map(|(a, b)| [end(a), end(b)]).collect()
    }

    /// The first switch that has ports of hosts; those before only carry.
    pub fn first_leaf(self, switches: u64) -> u64 {
        match self {
            Self::LeafSpine => 1 + (switches / 5).clamp(1, 4).min(switches.saturating_sub(1)),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_one_link() {
        for (shape, count) in
            [(Shape::Line, 9), (Shape::Ring, 10), (Shape::FullMesh, 45), (Shape::LeafSpine, 16)]
        {
            let links = shape.links(10);
            let mut ends = links.concat();
            ends.sort_unstable();
            ends.dedup();
            assert_eq!((links.len(), ends.len()), (count, 2 * count), "{shape:?}");
        }
        assert_eq!(Shape::LeafSpine.first_leaf(10), 3);
        assert_eq!(Shape::Ring.links(2).len(), 1);
        assert!(Shape::LeafSpine.links(1).is_empty());
    }
}
