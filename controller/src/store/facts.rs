//! How facts of the world are written in the store's file: their texts, so
//! that the types they are made from may change without the file changing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use openflow::{DatapathId, MacAddr, PortNo};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::format::{Entry, Kind};
use crate::intents::Record;
use crate::model::{Dpid, Encap, Name, NetworkId, Place};
use crate::slice::{Out, Slice, Source};
use crate::topology::Description;
use crate::world::{Ends, Fact, Holding, Known, KnownLink, KnownPort, Secret};

type Result<T> = std::result::Result<T, serde_json::Error>;

/// Facts in the order in which they can be applied.
pub const KINDS: [Kind; 6] = [
    Kind {
        name: "known",
        read: |key, value| {
            let known: KnownText = serde_json::from_slice(value)?;
            fact(Fact::Switch(dpid(key)?, known.into()))
        },
    },
    Kind {
        name: "heard",
        read: |key, value| {
            let [a, b]: [PlaceText; 2] = serde_json::from_str(key)?;
            let link: LinkText = serde_json::from_slice(value)?;
            let link = KnownLink { declared: link.declared, silent: link.silent };
            fact(Fact::Link((place(a), place(b)), link))
        },
    },
    Kind {
        name: "held",
        read: |key, value| {
            let (Dpid(switch), id): (Dpid, NetworkId) = serde_json::from_str(key)?;
            let HoldingText { slice, sent } = serde_json::from_slice(value)?;
            let holding = Holding { slice: slice.into(), sent: sent.map(Slice::from) };
            fact(Fact::Holds(DatapathId(switch), id, holding))
        },
    },
    Kind {
        name: "releasing",
        read: |key, value| {
            let on: Vec<Dpid> = serde_json::from_slice(value)?;
            let on = on.into_iter().map(|Dpid(id)| DatapathId(id)).collect();
            fact(Fact::Releasing(serde_json::from_str(key)?, on))
        },
    },
    Kind {
        name: "secret",
        read: |key, value| match key {
            "lldp" => fact(Fact::Key(Secret(serde_json::from_slice(value)?))),
            _ => Err(serde_json::Error::custom("no such secret")),
        },
    },
    Kind {
        name: "ever",
        read: |key, _| match key {
            "held-a-network" => fact(Fact::EverHeld),
            _ => Err(serde_json::Error::custom("no such mark")),
        },
    },
];

fn fact(fact: Fact) -> Result<Record> {
    Ok(Record::World(fact))
}

/// A fact as it is kept.
pub fn entry(fact: &Fact) -> Result<Entry> {
    let entry = |kind, key, value| Entry { kind, key, value };
    let held_key = |switch: &DatapathId, id: &NetworkId| json(&(Dpid(switch.0), id));
    let link_key = |(a, b): &Ends| json(&[place_text(*a), place_text(*b)]);
    Ok(match fact {
        Fact::Switch(id, known) => {
            entry("known", id.to_string(), some(&KnownText::from(known.clone()))?)
        }
        Fact::NoSwitch(id) => entry("known", id.to_string(), None),
        Fact::Link(ends, link) => {
            let text = LinkText { declared: link.declared, silent: link.silent };
            entry("heard", link_key(ends)?, some(&text)?)
        }
        Fact::NoLink(ends) => entry("heard", link_key(ends)?, None),
        Fact::Holds(switch, id, Holding { slice, sent }) => {
            let text = HoldingText { slice: slice.into(), sent: sent.as_ref().map(Into::into) };
            entry("held", held_key(switch, id)?, some(&text)?)
        }
        Fact::HoldsNot(switch, id) => entry("held", held_key(switch, id)?, None),
        Fact::Releasing(id, on) => {
            let on: Vec<_> = on.iter().map(|id| Dpid(id.0)).collect();
            entry("releasing", json(id)?, some(&on)?)
        }
        Fact::Freed(id) => entry("releasing", json(id)?, None),
        Fact::Key(Secret(bytes)) => entry("secret", "lldp".to_owned(), some(bytes)?),
        Fact::EverHeld => entry("ever", "held-a-network".to_owned(), some(&true)?),
    })
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
}

fn some<T: Serialize>(value: &T) -> Result<Option<Vec<u8>>> {
    serde_json::to_vec(value).map(Some)
}

fn dpid(key: &str) -> Result<DatapathId> {
    key.parse().map(|Dpid(id)| DatapathId(id)).map_err(serde_json::Error::custom)
}

type PlaceText = (Dpid, u32);

const fn place_text(place: Place) -> PlaceText {
    (Dpid(place.switch.0), place.port.0)
}

const fn place((Dpid(switch), port): PlaceText) -> Place {
    Place::new(DatapathId(switch), PortNo(port))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkText {
    declared: bool,
    silent: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownText {
    claims: Option<Name>,
    manufacturer: String,
    hardware: String,
    software: String,
    serial: String,
    ports: Vec<PortText>,
    foreign: bool,
    away: bool,
    avoided: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortText {
    number: u32,
    name: Option<Name>,
    mac: [u8; 6],
    up: bool,
}

impl From<Known> for KnownText {
    fn from(known: Known) -> Self {
        let Known { claims, description, ports, foreign, away, avoided } = known;
        let Description { manufacturer, hardware, software, serial } = description;
        let ports = ports.into_iter().map(|port| PortText {
            number: port.number.0,
            name: port.name,
            mac: port.mac.0,
            up: port.up,
        });
        let ports = ports.collect();
        Self { claims, manufacturer, hardware, software, serial, ports, foreign, away, avoided }
    }
}

impl From<KnownText> for Known {
    fn from(text: KnownText) -> Self {
        let KnownText { claims, manufacturer, hardware, software, serial, ports, .. } = text;
        let ports = ports.into_iter().map(|port| KnownPort {
            number: PortNo(port.number),
            name: port.name,
            mac: MacAddr(port.mac),
            up: port.up,
        });
        Self {
            claims,
            description: Description { manufacturer, hardware, software, serial },
            ports: ports.collect(),
            foreign: text.foreign,
            away: text.away,
            avoided: text.avoided,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldingText {
    slice: SliceText,
    sent: Option<SliceText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SliceText {
    edges: Vec<u32>,
    known_in: Vec<(u32, Encap)>,
    flood_in: Vec<(u32, Encap)>,
    sources: Vec<SourceText>,
    hosts: Vec<([u8; 6], OutText)>,
    flood_out: Vec<OutText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutText {
    Edge(u32),
    Trunk(u32, Encap),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceText {
    Learnt(u32, [u8; 6]),
    Declared(u32, [u8; 6]),
    Address(u32, [u8; 6], IpAddr),
    Bootstrap(u32, [u8; 6]),
    Deny(u32),
    Muted(u32),
    Full,
}

impl From<&Slice> for SliceText {
    fn from(slice: &Slice) -> Self {
        let Slice { edges, known_in, flood_in, sources, hosts, flood_out } = slice;
        let tags = |ports: &BTreeMap<PortNo, Encap>| {
            ports.iter().map(|(port, encap)| (port.0, *encap)).collect()
        };
        let source = |source: &Source| match *source {
            Source::Learnt(port, mac) => SourceText::Learnt(port.0, mac.0),
            Source::Declared(port, mac) => SourceText::Declared(port.0, mac.0),
            Source::Address(port, mac, ip) => SourceText::Address(port.0, mac.0, ip),
            Source::Bootstrap(port, mac) => SourceText::Bootstrap(port.0, mac.0),
            Source::Deny(port) => SourceText::Deny(port.0),
            Source::Muted(port) => SourceText::Muted(port.0),
            Source::Full => SourceText::Full,
        };
        Self {
            edges: edges.iter().map(|port| port.0).collect(),
            known_in: tags(known_in),
            flood_in: tags(flood_in),
            sources: sources.iter().map(source).collect(),
            hosts: hosts.iter().map(|(mac, out)| (mac.0, out.into())).collect(),
            flood_out: flood_out.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Out> for OutText {
    fn from(out: &Out) -> Self {
        match *out {
            Out::Edge(port) => Self::Edge(port.0),
            Out::Trunk(port, encap) => Self::Trunk(port.0, encap),
        }
    }
}

impl From<OutText> for Out {
    fn from(text: OutText) -> Self {
        match text {
            OutText::Edge(port) => Self::Edge(PortNo(port)),
            OutText::Trunk(port, encap) => Self::Trunk(PortNo(port), encap),
        }
    }
}

impl From<SliceText> for Slice {
    fn from(text: SliceText) -> Self {
        let tags = |ports: Vec<(u32, Encap)>| {
            ports.into_iter().map(|(port, encap)| (PortNo(port), encap)).collect()
        };
        let source = |source| match source {
            SourceText::Learnt(port, mac) => Source::Learnt(PortNo(port), MacAddr(mac)),
            SourceText::Declared(port, mac) => Source::Declared(PortNo(port), MacAddr(mac)),
            SourceText::Address(port, mac, ip) => Source::Address(PortNo(port), MacAddr(mac), ip),
            SourceText::Bootstrap(port, mac) => Source::Bootstrap(PortNo(port), MacAddr(mac)),
            SourceText::Deny(port) => Source::Deny(PortNo(port)),
            SourceText::Muted(port) => Source::Muted(PortNo(port)),
            SourceText::Full => Source::Full,
        };
        Self {
            edges: text.edges.into_iter().map(PortNo).collect::<BTreeSet<_>>(),
            known_in: tags(text.known_in),
            flood_in: tags(text.flood_in),
            sources: text.sources.into_iter().map(source).collect(),
            hosts: text.hosts.into_iter().map(|(mac, out)| (MacAddr(mac), out.into())).collect(),
            flood_out: text.flood_out.into_iter().map(Out::from).collect(),
        }
    }
}

/// One of each kind.
#[cfg(test)]
pub(super) fn samples() -> Vec<Fact> {
    let at = |switch, port| Place::new(DatapathId(switch), PortNo(port));
    let mac = MacAddr([2, 0, 0, 0, 0, 7]);
    let port = |number, name: Option<&str>| KnownPort {
        number: PortNo(number),
        name: name.and_then(|name| Name::new(name).ok()),
        mac,
        up: number == 1,
    };
    let known = Known {
        claims: Name::new("worker-1").ok(),
        description: Description { manufacturer: "Nicira".to_owned(), ..Description::default() },
        ports: vec![port(1, Some("eth1")), port(0xffff_fffe, None)],
        foreign: false,
        away: true,
        avoided: false,
    };
    let slice = Slice {
        edges: [PortNo(1)].into(),
        known_in: [(PortNo(9), Encap::Vlan)].into(),
        flood_in: [(PortNo(8), Encap::TunId)].into(),
        sources: [
            Source::Learnt(PortNo(1), mac),
            Source::Declared(PortNo(1), mac),
            Source::Address(PortNo(1), mac, IpAddr::from([10, 0, 0, 1])),
            Source::Bootstrap(PortNo(1), mac),
            Source::Deny(PortNo(1)),
            Source::Muted(PortNo(1)),
            Source::Full,
        ]
        .into(),
        hosts: [(mac, Out::Edge(PortNo(1)))].into(),
        flood_out: [Out::Edge(PortNo(1)), Out::Trunk(PortNo(9), Encap::Vlan)].into(),
    };
    let holding = Holding { slice, sent: Some(Slice::default()) };
    vec![
        Fact::Switch(DatapathId(1), known),
        Fact::Link((at(1, 2), at(2, 3)), KnownLink { declared: true, silent: false }),
        Fact::Holds(DatapathId(1), NetworkId::FIRST, holding),
        Fact::Releasing(NetworkId::FIRST, [DatapathId(1), DatapathId(2)].into()),
        Fact::Key(Secret([5; 32])),
        Fact::EverHeld,
    ]
}
