//! The one place that says which OpenFlow flows a rule means (design §5).
//!
//! ```text
//! metadata: 33   32      31        0
//!           flood known  network id
//! ```
//! An edge sets both bits, a *known* tag the second, a *flood* tag the first.
//! Table 2 sends what may be known to its host, and what may be flooded to
//! the group; what may only be known and isn't is dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openflow::{Action, Bucket, Instruction, MacAddr, Match, PortNo, VlanVid};

use crate::cookie::{Cookie, Kind};
use crate::diff::Rule;
use crate::model::{self, Encap, NetworkId};
use crate::slice::{Out, Source};

/// Seconds without traffic after which a learnt host is forgotten.
pub const LEARNT_IDLE: u16 = 300;

const NETWORK: u64 = 0xffff_ffff;
const MAY_BE_KNOWN: u64 = 1 << 32;
const MAY_FLOOD: u64 = 1 << 33;

/// Priorities, by table. In table 1 those of `base` are between.
mod priority {
    pub const TAG: u16 = 300;
    pub const EDGE: u16 = 200;

    pub const NEIGHBOUR_ADMITTED: u16 = 260;
    pub const NEIGHBOUR_DENIED: u16 = 250;
    pub const SOURCE: u16 = 200;
    pub const DENY: u16 = 150;
    pub const MUTED: u16 = 60;
    pub const FULL: u16 = 50;

    pub const HOST: u16 = 200;
    pub const FLOOD: u16 = 100;
}

/// A flow, without what only a switch knows of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Its table.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// What it matches, canonically.
    pub match_: Match,
    /// What it does, sorted.
    pub instructions: Vec<Instruction>,
    /// Its cookie.
    pub cookie: u64,
    /// Seconds without traffic until the switch removes it, and says so; 0: never.
    pub idle_timeout: u16,
    /// Seconds until the switch removes it anyway. Ours have none: one that was
    /// read with it isn't as it was written.
    pub hard_timeout: u16,
}

impl Flow {
    /// Whether the one takes the place of the other where it is added
    /// [OpenFlow 1.3.5, 6.4]: a table has one flow for a priority and match.
    pub fn overwrites(&self, other: &Self) -> bool {
        (self.table, self.priority, &self.match_) == (other.table, other.priority, &other.match_)
    }

    /// A flow that stays.
    pub fn new(
        table: u8,
        priority: u16,
        match_: Match,
        instructions: Vec<Instruction>,
        cookie: u64,
    ) -> Self {
        let mut instructions = instructions;
        instructions.sort();
        Self {
            table,
            priority,
            match_: match_.canonical(),
            instructions,
            cookie,
            idle_timeout: 0,
            hard_timeout: 0,
        }
    }
}

/// The network in the metadata of a frame, if it has one.
pub const fn network_of_metadata(metadata: u64) -> Option<NetworkId> {
    NetworkId::new((metadata & NETWORK) as u32)
}

/// The flows of a rule. Most rules are one flow; addresses need several.
pub fn flows(network: NetworkId, rule: Rule) -> Vec<Flow> {
    let id = u64::from(network.value());
    match rule {
        Rule::Edge(port) => {
            let instructions = enter(id | MAY_BE_KNOWN | MAY_FLOOD, 1, Vec::new());
            let cookie = Cookie::of(network, Kind::Edge);
            vec![Flow::new(0, priority::EDGE, Match::new().in_port(port), instructions, cookie)]
        }
        Rule::KnownIn(port, encap) => {
            tag_in(network, port, encap, model::Kind::Known, id | MAY_BE_KNOWN)
        }
        Rule::FloodIn(port, encap) => {
            tag_in(network, port, encap, model::Kind::Flood, id | MAY_FLOOD)
        }
        Rule::Source(source) => sources(network, source),
        Rule::Host(mac, out) => {
            let match_ = Match::new()
                .metadata_masked(id | MAY_BE_KNOWN, NETWORK | MAY_BE_KNOWN)
                .eth_dst(mac);
            let Some(actions) = send(network, out, model::Kind::Known) else { return Vec::new() };
            let cookie = Cookie::of(network, Kind::Host);
            vec![Flow::new(
                2,
                priority::HOST,
                match_,
                vec![Instruction::ApplyActions(actions)],
                cookie,
            )]
        }
        Rule::Flood => {
            let match_ = Match::new().metadata_masked(id | MAY_FLOOD, NETWORK | MAY_FLOOD);
            let actions = vec![Action::Group(network.group())];
            let cookie = Cookie::of(network, Kind::Flood);
            vec![Flow::new(
                2,
                priority::FLOOD,
                match_,
                vec![Instruction::ApplyActions(actions)],
                cookie,
            )]
        }
    }
}

/// The buckets of a flood group.
pub fn buckets<'a>(network: NetworkId, outs: impl IntoIterator<Item = &'a Out>) -> Vec<Bucket> {
    let outs = outs.into_iter().filter_map(|out| send(network, *out, model::Kind::Flood));
    outs.map(Bucket::new).collect()
}

/// What sends a frame out; `None` where the network has no tag for that.
fn send(network: NetworkId, out: Out, kind: model::Kind) -> Option<Vec<Action>> {
    let (port, encap) = match out {
        Out::Edge(port) => return Some(vec![Action::output(port)]),
        Out::Trunk(port, encap) => (port, encap),
    };
    let tag = network.tag(encap, kind)?;
    Some(match encap {
        Encap::Vlan => {
            let vid = VlanVid::tagged(u16::try_from(tag).ok()?);
            vec![Action::push_vlan(), Action::set_vlan_vid(vid), Action::output(port)]
        }
        Encap::TunId => {
            vec![Action::SetField(openflow::Oxm::tunnel_id(tag)), Action::output(port)]
        }
    })
}

fn enter(metadata: u64, table: u8, actions: Vec<Action>) -> Vec<Instruction> {
    let write = Instruction::WriteMetadata { metadata, mask: NETWORK | MAY_BE_KNOWN | MAY_FLOOD };
    let apply = (!actions.is_empty()).then_some(Instruction::ApplyActions(actions));
    apply.into_iter().chain([write, Instruction::goto(table)]).collect()
}

fn tag_in(
    network: NetworkId,
    port: PortNo,
    encap: Encap,
    kind: model::Kind,
    metadata: u64,
) -> Vec<Flow> {
    let Some(tag) = network.tag(encap, kind) else { return Vec::new() };
    let match_ = Match::new().in_port(port);
    let (match_, actions) = match encap {
        Encap::Vlan => (match_.vlan_vid(VlanVid::tagged(tag as u16)), vec![Action::PopVlan]),
        Encap::TunId => (match_.tunnel_id(tag), Vec::new()),
    };
    let cookie = Cookie::of(network, Kind::Trunk);
    vec![Flow::new(0, priority::TAG, match_, enter(metadata, 2, actions), cookie)]
}

fn sources(network: NetworkId, source: Source) -> Vec<Flow> {
    let id = u64::from(network.value());
    let here = || Match::new().metadata_masked(id, NETWORK);
    let flow = |priority, match_, pass: bool| {
        let instructions = if pass { vec![Instruction::goto(2)] } else { Vec::new() };
        Flow::new(1, priority, match_, instructions, Cookie::of(network, Kind::Source))
    };
    let admit = |match_| flow(priority::SOURCE, match_, true);
    match source {
        Source::Learnt(port, mac) => vec![Flow {
            idle_timeout: LEARNT_IDLE,
            cookie: Cookie::of(network, Kind::Learnt),
            ..admit(here().in_port(port).eth_src(mac))
        }],
        Source::Declared(port, mac) => vec![admit(here().in_port(port).eth_src(mac))],
        Source::Deny(port) => vec![flow(priority::DENY, here().in_port(port), false)],
        Source::Muted(port) => vec![flow(priority::MUTED, here().in_port(port), true)],
        Source::Full => vec![flow(priority::FULL, here(), true)],
        Source::Address(port, mac, ip) => {
            let from = Untagged(here().in_port(port).eth_src(mac));
            match ip {
                IpAddr::V4(ip) => vec![admit(from.arp(mac, ip)), admit(from.ipv4().ipv4_src(ip))],
                // The address that the MAC gives by itself may be advertised anyway.
                IpAddr::V6(ip) if ip == link_local(mac) => vec![admit(from.ipv6().ipv6_src(ip))],
                IpAddr::V6(ip) => vec![
                    admit(from.ipv6().ipv6_src(ip)),
                    flow(priority::NEIGHBOUR_ADMITTED, from.advertises(ip), true),
                ],
            }
        }
        Source::Bootstrap(port, mac) => {
            let from = Untagged(here().in_port(port).eth_src(mac));
            let any = Ipv4Addr::UNSPECIFIED;
            let link_local = link_local(mac);
            vec![
                admit(from.arp(mac, any)),
                admit(from.ipv4().ipv4_src(any).ip_proto(17).udp_src(68).udp_dst(67)),
                admit(from.ipv6().ipv6_src_masked(LINK_LOCAL, LINK_LOCAL_MASK)),
                admit(from.ipv6().ipv6_src(Ipv6Addr::UNSPECIFIED).ip_proto(58).icmpv6_type(135)),
                flow(priority::NEIGHBOUR_ADMITTED, from.advertises(link_local), true),
                flow(priority::NEIGHBOUR_DENIED, from.ipv6().ip_proto(58).icmpv6_type(136), false),
            ]
        }
    }
}

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
const LINK_LOCAL_MASK: Ipv6Addr = Ipv6Addr::new(0xffc0, 0, 0, 0, 0, 0, 0, 0);

/// A match on frames of one source that carry no tag: behind a tag, ARP could hide.
struct Untagged(Match);

impl Untagged {
    fn of_type(&self, ethertype: u16) -> Match {
        self.0.clone().vlan_vid(VlanVid::NONE).eth_type(ethertype)
    }

    fn arp(&self, mac: MacAddr, ip: Ipv4Addr) -> Match {
        self.of_type(0x0806).arp_sha(mac).arp_spa(ip)
    }

    fn ipv4(&self) -> Match {
        self.of_type(0x0800)
    }

    fn ipv6(&self) -> Match {
        self.of_type(0x86dd)
    }

    fn advertises(&self, ip: Ipv6Addr) -> Match {
        self.ipv6().ip_proto(58).icmpv6_type(136).ipv6_nd_target(ip)
    }
}

/// The link-local address that a MAC gives by itself (RFC 4291, appendix A).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

/// The rules that a flow read from a switch may be part of. Whether it really
/// is, comparing with what the rule means decides.
pub fn guess(flow: &Flow) -> Option<Rule> {
    let match_ = &flow.match_;
    let in_port = match_.in_port_field().map(|field| field.value);
    let eth_src = match_.eth_src_field().map(|field| field.value);
    match (flow.table, in_port) {
        (0, Some(port)) => {
            let vlan = match_.vlan_vid_field().map(|_| Encap::Vlan);
            let encap = vlan.or(match_.tunnel_id_field().map(|_| Encap::TunId));
            let metadata = flow.instructions.iter().find_map(|instruction| match instruction {
                Instruction::WriteMetadata { metadata, .. } => Some(*metadata),
                _ => None,
            })?;
            match encap {
                None => Some(Rule::Edge(port)),
                Some(encap) if metadata & MAY_FLOOD == 0 => Some(Rule::KnownIn(port, encap)),
                Some(encap) => Some(Rule::FloodIn(port, encap)),
            }
        }
        (1, None) => Some(Rule::Source(Source::Full)),
        (1, Some(port)) => Some(Rule::Source(guess_source(flow, port, eth_src))),
        (2, _) => match match_.eth_dst_field() {
            Some(mac) => Some(Rule::Host(mac.value, out_of(actions_of(flow)?)?)),
            None => Some(Rule::Flood),
        },
        _ => None,
    }
}

fn guess_source(flow: &Flow, port: PortNo, mac: Option<MacAddr>) -> Source {
    let match_ = &flow.match_;
    let passes = !flow.instructions.is_empty();
    let Some(mac) = mac else {
        return if passes { Source::Muted(port) } else { Source::Deny(port) };
    };
    let exact = |ip: IpAddr, masked: bool| (!masked && !ip.is_unspecified()).then_some(ip);
    let arp = match_.arp_spa_field().map(|field| exact(field.value.into(), false));
    let ipv4 = match_.ipv4_src_field().map(|field| exact(field.value.into(), false));
    let ipv6 = match_.ipv6_src_field().map(|field| exact(field.value.into(), field.mask.is_some()));
    let advertised = match_
        .ipv6_nd_target_field()
        .map(|field| exact(field.value.into(), field.value == link_local(mac)));
    match arp.or(ipv4).or(ipv6).or(advertised).flatten() {
        _ if flow.idle_timeout != 0 => Source::Learnt(port, mac),
        Some(ip) => Source::Address(port, mac, ip),
        None if match_.eth_type_field().is_none() => Source::Declared(port, mac),
        None => Source::Bootstrap(port, mac),
    }
}

fn actions_of(flow: &Flow) -> Option<&[Action]> {
    match flow.instructions.as_slice() {
        [Instruction::ApplyActions(actions)] => Some(actions),
        _ => None,
    }
}

/// Where actions of ours send a frame.
pub fn out_of(actions: &[Action]) -> Option<Out> {
    match actions {
        [Action::Output { port, .. }] => Some(Out::Edge(*port)),
        [Action::PushVlan(_), Action::SetField(_), Action::Output { port, .. }] => {
            Some(Out::Trunk(*port, Encap::Vlan))
        }
        [Action::SetField(_), Action::Output { port, .. }] => Some(Out::Trunk(*port, Encap::TunId)),
        _ => None,
    }
}
