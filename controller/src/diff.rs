//! What must change on a switch to turn one slice into another.
//!
//! Pure. A flow whose match stays and whose meaning changes is replaced in
//! place, never removed first.

use std::collections::BTreeSet;
use std::fmt;

use openflow::{MacAddr, PortNo};

use crate::model::Encap;
use crate::slice::{Out, Slice, Source};

/// One flow of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Table 0: frames of an edge port belong to the network.
    Edge(PortNo),
    /// Table 0: the *known* tag is accepted on a trunk.
    KnownIn(PortNo, Encap),
    /// Table 0: the *flood* tag is accepted on a trunk.
    FloodIn(PortNo, Encap),
    /// Table 1.
    Source(Source),
    /// Table 2: a known host.
    Host(MacAddr, Out),
    /// Table 2: everything else goes to the flood group.
    Flood,
}

impl Rule {
    /// The flow table it is in.
    pub const fn table(self) -> u8 {
        match self {
            Self::Edge(_) | Self::KnownIn(..) | Self::FloodIn(..) => 0,
            Self::Source(_) => 1,
            Self::Host(..) | Self::Flood => 2,
        }
    }

    /// Stands for the flow's match: rules that are equal here replace each other.
    const fn matches(self) -> Self {
        match self {
            Self::Host(mac, _) => Self::Host(mac, Out::Edge(PortNo(0))),
            Self::Source(Source::Learnt(port, mac)) => Self::Source(Source::Declared(port, mac)),
            same => same,
        }
    }
}

/// What happens to the flood group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GroupChange {
    /// Nothing.
    #[default]
    Keep,
    /// It is made, with these buckets.
    Add(BTreeSet<Out>),
    /// It gets these buckets: those it has, and more.
    Extend(BTreeSet<Out>),
    /// It gets these buckets, and loses some that it has.
    Replace(BTreeSet<Out>),
    /// It goes, after the flow that led to it.
    Delete,
}

/// What must be done to one slice on one switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The flood group.
    pub group: GroupChange,
    /// Flows to write, new or in place of others.
    pub set: BTreeSet<Rule>,
    /// Flows to remove.
    pub remove: BTreeSet<Rule>,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything that frames meet now goes or becomes different.
    pub fn disturbs(&self) -> bool {
        let replaced = self.set.iter().any(|rule| matches!(rule, Rule::Host(..)));
        !self.remove.is_empty()
            || replaced
            || matches!(self.group, GroupChange::Replace(_) | GroupChange::Delete)
    }
}

/// All flows of a slice.
pub fn rules(slice: &Slice) -> BTreeSet<Rule> {
    let mut rules = BTreeSet::new();
    rules.extend(slice.edges.iter().map(|port| Rule::Edge(*port)));
    rules.extend(slice.known_in.iter().map(|(port, encap)| Rule::KnownIn(*port, *encap)));
    rules.extend(slice.flood_in.iter().map(|(port, encap)| Rule::FloodIn(*port, *encap)));
    rules.extend(slice.sources.iter().map(|source| Rule::Source(*source)));
    rules.extend(slice.hosts.iter().map(|(mac, out)| Rule::Host(*mac, *out)));
    rules.extend(slice.floods().then_some(Rule::Flood));
    rules
}

/// What turns `installed` into `desired`.
pub fn diff(installed: &Slice, desired: &Slice) -> Changes {
    let group = match (installed.floods(), desired.floods()) {
        (false, false) => GroupChange::Keep,
        (false, true) => GroupChange::Add(desired.flood_out.clone()),
        (true, false) => GroupChange::Delete,
        (true, true) if installed.flood_out == desired.flood_out => GroupChange::Keep,
        (true, true) if installed.flood_out.is_subset(&desired.flood_out) => {
            GroupChange::Extend(desired.flood_out.clone())
        }
        (true, true) => GroupChange::Replace(desired.flood_out.clone()),
    };
    let (old, new) = (rules(installed), rules(desired));
    let kept: BTreeSet<_> = new.iter().map(|rule| rule.matches()).collect();
    let gone = old.difference(&new).filter(|rule| !kept.contains(&rule.matches()));
    Changes { group, remove: gone.copied().collect(), set: new.difference(&old).copied().collect() }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge(port) => write!(f, "t0 in_port={port} -> edge"),
            Self::KnownIn(port, encap) => write!(f, "t0 {encap} in_port={port} -> known"),
            Self::FloodIn(port, encap) => write!(f, "t0 {encap} in_port={port} -> flood"),
            Self::Source(source) => write!(f, "t1 {source}"),
            Self::Host(mac, out) => write!(f, "t2 {mac} -> {out}"),
            Self::Flood => f.write_str("t2 else -> group"),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outs = |outs: &BTreeSet<Out>| {
            let outs: Vec<_> = outs.iter().map(ToString::to_string).collect();
            outs.join(" ")
        };
        match &self.group {
            GroupChange::Keep => {}
            GroupChange::Add(to) => writeln!(f, "+ group {}", outs(to))?,
            GroupChange::Extend(to) => writeln!(f, "~ group + {}", outs(to))?,
            GroupChange::Replace(to) => writeln!(f, "~ group {}", outs(to))?,
            GroupChange::Delete => writeln!(f, "- group")?,
        }
        for rule in &self.set {
            writeln!(f, "+ {rule}")?;
        }
        for rule in &self.remove {
            writeln!(f, "- {rule}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn slice(edges: &[u32], hosts: &[(MacAddr, Out)], sources: &[Source]) -> Slice {
        Slice {
            edges: edges.iter().copied().map(PortNo).collect(),
            flood_out: edges.iter().map(|port| Out::Edge(PortNo(*port))).collect(),
            hosts: hosts.iter().copied().collect(),
            sources: sources.iter().copied().collect(),
            ..Slice::default()
        }
    }

    #[test]
    fn only_what_differs_changes() {
        let at = |port| Out::Edge(PortNo(port));
        let cases = [
            ("nothing", slice(&[1], &[], &[]), slice(&[1], &[], &[]), ""),
            (
                "the first port makes the group",
                slice(&[], &[], &[]),
                slice(&[1], &[], &[]),
                "+ group 1\n+ t0 in_port=1 -> edge\n+ t2 else -> group\n",
            ),
            (
                "another port extends it",
                slice(&[1], &[], &[]),
                slice(&[1, 2], &[], &[]),
                "~ group + 1 2\n+ t0 in_port=2 -> edge\n",
            ),
            (
                "the last port takes all",
                slice(&[1], &[], &[]),
                slice(&[], &[], &[]),
                "- group\n- t0 in_port=1 -> edge\n- t2 else -> group\n",
            ),
            (
                "a host that moves is replaced in place",
                slice(&[1, 2], &[(MAC, at(1))], &[]),
                slice(&[1, 2], &[(MAC, at(2))], &[]),
                "+ t2 02:00:00:00:00:01 -> 2\n",
            ),
            (
                "a learnt host that is declared is replaced in place",
                slice(&[1], &[], &[Source::Learnt(PortNo(1), MAC)]),
                slice(&[1], &[], &[Source::Declared(PortNo(1), MAC)]),
                "+ t1 in_port=1 02:00:00:00:00:01 declared\n",
            ),
        ];
        for (name, installed, desired, want) in cases {
            assert_eq!(diff(&installed, &desired).to_string(), want, "{name}");
        }
    }
}
