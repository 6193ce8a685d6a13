//! What is known of the world and worth keeping beyond the process: with it a
//! restarted controller knows names, ports and links before any switch is back.
//!
//! Plain data. A [`Fact`] is one change of it, which the store keeps beside the
//! changes of desired state. Facts are noted a moment after they became true;
//! one that is lost costs time, never correctness, except for those that go
//! with a change of desired state in one batch ([`Fact::Releasing`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use openflow::{DatapathId, MacAddr, PortNo};

use crate::model::{Name, NetworkId, Place};
use crate::slice::Slice;
use crate::topology::Description;

/// A switch that was here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The name it claimed.
    pub claims: Option<Name>,
    /// What it said of itself.
    pub description: Description,
    /// Its ports as they were last.
    pub ports: Vec<KnownPort>,
    /// It carries networks that nobody here knows, and is left alone.
    pub foreign: bool,
    /// Its session was gone, and [`Fact::Holds`] says what it held.
    pub away: bool,
    /// It was away for so long that traffic was led around it.
    pub avoided: bool,
}

/// A port of a known switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPort {
    /// Its number.
    pub number: PortNo,
    /// Its name.
    pub name: Option<Name>,
    /// Its own MAC.
    pub mac: MacAddr,
    /// Whether frames could pass.
    pub up: bool,
}

/// A link that announcements told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLink {
    /// It is declared as well: from then on its silence counts.
    pub declared: bool,
    /// Nothing was heard on it any more.
    pub silent: bool,
}

/// What a switch that is away held for one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// What it had confirmed.
    pub slice: Slice,
    /// What it was sent and hadn't confirmed.
    pub sent: Option<Slice>,
}

/// The key that announcements are signed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The ends of a link, the lesser first.
pub type Ends = (Place, Place);

/// One change of what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A switch is or was here.
    Switch(DatapathId, Known),
    /// A switch is forgotten.
    NoSwitch(DatapathId),
    /// A link is known.
    Link(Ends, KnownLink),
    /// A link is no more.
    NoLink(Ends),
    /// A switch that is away holds this of a network.
    Holds(DatapathId, NetworkId, Holding),
    /// It doesn't, or isn't away: ask the switch itself.
    HoldsNot(DatapathId, NetworkId),
    /// A deleted network's id, and the switches that may still hold something
    /// of it: until then it can't be another's.
    Releasing(NetworkId, BTreeSet<DatapathId>),
    /// Nobody holds anything of it any more.
    Freed(NetworkId),
    /// What announcements are signed with: a restart must not make what is
    /// under way look forged.
    Key(Secret),
    /// There was a network once: from then on what switches hold and nobody
    /// wants is removed.
    EverHeld,
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Switches.
    pub switches: BTreeMap<DatapathId, Known>,
    /// Links.
    pub links: BTreeMap<Ends, KnownLink>,
    /// What switches that are away hold.
    pub holdings: BTreeMap<(DatapathId, NetworkId), Holding>,
    /// Ids that aren't free yet.
    pub releasing: BTreeMap<NetworkId, BTreeSet<DatapathId>>,
    /// What announcements are signed with.
    pub key: Option<Secret>,
    /// Whether there ever was a network.
    pub ever_held: bool,
}

impl World {
    /// Makes a change.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Switch(id, known) => {
                self.switches.insert(id, known);
            }
            Fact::NoSwitch(id) => {
                self.switches.remove(&id);
            }
            Fact::Link(ends, link) => {
                self.links.insert(ends, link);
            }
            Fact::NoLink(ends) => {
                self.links.remove(&ends);
            }
            Fact::Holds(switch, network, holding) => {
                self.holdings.insert((switch, network), holding);
            }
            Fact::HoldsNot(switch, network) => {
                self.holdings.remove(&(switch, network));
            }
            Fact::Releasing(id, holders) => {
                self.releasing.insert(id, holders);
            }
            Fact::Freed(id) => {
                self.releasing.remove(&id);
            }
            Fact::Key(secret) => self.key = Some(secret),
            Fact::EverHeld => self.ever_held = true,
        }
    }

    /// The networks of which a switch that is away holds something.
    pub fn held_on(&self, switch: DatapathId) -> impl Iterator<Item = (NetworkId, &Holding)> {
        let from = NetworkId::FIRST;
        let of_it = self.holdings.range((switch, from)..);
        of_it.take_while(move |((at, _), _)| *at == switch).map(|((_, id), held)| (*id, held))
    }

    /// All of it, as changes of nothing.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        facts.extend(self.switches.iter().map(|(id, known)| Fact::Switch(*id, known.clone())));
        facts.extend(self.links.iter().map(|(ends, link)| Fact::Link(*ends, *link)));
        facts.extend(
            self.holdings
                .iter()
                .map(|((switch, id), holding)| Fact::Holds(*switch, *id, holding.clone())),
        );
        facts.extend(self.releasing.iter().map(|(id, on)| Fact::Releasing(*id, on.clone())));
        facts.extend(self.key.map(Fact::Key));
        facts.extend(self.ever_held.then_some(Fact::EverHeld));
        facts
    }
}
