//! Matches as they come in messages, checked and laid out for look-up; and back.

use openflow::{BadMatch, ErrorCode, Field, Masked, Match, Oxm};

use super::layout::{self as f, Place};
use super::parse::VID_PRESENT;
use super::tuples::Pattern;

/// Fields that no frame of this switch has: it knows no ports under ports, no backbone bridges, and doesn't list
/// IPv6 extension headers. As in Open vSwitch.
const UNSUPPORTED: [Place; 3] = [f::IN_PHY_PORT, f::PBB_ISID, f::IPV6_EXTHDR];

/// Whether flows may match on a field.
pub fn is_supported(field: Field) -> bool {
    place_of(field).is_some_and(|place| !UNSUPPORTED.contains(&place))
}

/// The place of a field in a key.
pub fn place_of(field: Field) -> Option<Place> {
    f::of(field.into())
}

/// What a match means.
///
/// # Errors
/// The specification's code for the first field that is wrong (1.3.5, 7.2.3).
pub fn of_match(wanted: &Match) -> Result<Pattern, ErrorCode> {
    let mut pattern = Pattern::default();
    for oxm in wanted.fields() {
        add(&mut pattern, oxm).map_err(ErrorCode::BadMatch)?;
    }
    Ok(pattern)
}

/// The match of a pattern, fields by number: prerequisites have lower numbers than what needs them.
pub fn to_match(pattern: &Pattern) -> Match {
    let mut fields = Match::new();
    for &field in Field::NAMED {
        let Some(place) = place_of(field) else { continue };
        let mask = bits(pattern.mask.field(place));
        if mask == 0 {
            continue;
        }
        let value = bits(pattern.value.field(place));
        let mask = (mask != place.full_mask()).then_some(mask);
        if let Some(oxm) = Oxm::from_bits(field, Masked { value, mask }) {
            fields.push(oxm);
        }
    }
    fields
}

fn add(pattern: &mut Pattern, oxm: &Oxm) -> Result<(), BadMatch> {
    let (Some(field), Some(content)) = (oxm.field(), oxm.to_bits()) else {
        return Err(BadMatch::BadField);
    };
    let place = place_of(field).filter(|_| is_supported(field)).ok_or(BadMatch::BadField)?;
    let full = place.full_mask();
    let mask = content.mask.unwrap_or(full);
    if pattern.mask.field(place).iter().any(|byte| *byte != 0) {
        return Err(BadMatch::DupField);
    }
    if content.value & !full != 0 {
        return Err(BadMatch::BadValue);
    }
    if !field.maskable() && mask != full {
        return Err(BadMatch::BadMask);
    }
    if content.value & !mask != 0 {
        return Err(BadMatch::BadWildcards);
    }
    if !prerequisites_hold(pattern, place) {
        return Err(BadMatch::BadPrereq);
    }
    let size = usize::from(place.size);
    pattern.mask.set(place, &(mask & full).to_be_bytes()[16 - size..]);
    pattern.value.set(place, &content.value.to_be_bytes()[16 - size..]);
    Ok(())
}

/// Whether what makes a field exist is matched exactly by what stands before it (1.3.5, table 12).
pub fn prerequisites_hold(pattern: &Pattern, place: Place) -> bool {
    let is = |needed: Place, values: &[u64]| {
        bits(pattern.mask.field(needed)) == needed.full_mask()
            && values.contains(&pattern.value.u64(needed))
    };
    let ip = || is(f::ETH_TYPE, &[0x0800, 0x86dd]);
    let icmp6 = |types: &[u64]| {
        is(f::ETH_TYPE, &[0x86dd])
            && is(f::IP_PROTO, &[58])
            && (types.is_empty() || is(f::ICMPV6_TYPE, types))
    };
    match place {
        f::VLAN_PCP => {
            // A tag of any id will do: the mask may be the "there is a tag" bit alone.
            let present = u64::from(VID_PRESENT);
            pattern.mask.u64(f::VLAN_VID) & pattern.value.u64(f::VLAN_VID) & present != 0
        }
        f::IP_DSCP | f::IP_ECN | f::IP_PROTO => ip(),
        f::IPV4_SRC | f::IPV4_DST => is(f::ETH_TYPE, &[0x0800]),
        f::TCP_SRC | f::TCP_DST => ip() && is(f::IP_PROTO, &[6]),
        f::UDP_SRC | f::UDP_DST => ip() && is(f::IP_PROTO, &[17]),
        f::SCTP_SRC | f::SCTP_DST => ip() && is(f::IP_PROTO, &[132]),
        f::ICMPV4_TYPE | f::ICMPV4_CODE => is(f::ETH_TYPE, &[0x0800]) && is(f::IP_PROTO, &[1]),
        f::ARP_OP | f::ARP_SPA | f::ARP_TPA | f::ARP_SHA | f::ARP_THA => is(f::ETH_TYPE, &[0x0806]),
        f::IPV6_SRC | f::IPV6_DST | f::IPV6_FLABEL => is(f::ETH_TYPE, &[0x86dd]),
        f::ICMPV6_TYPE | f::ICMPV6_CODE => icmp6(&[]),
        f::IPV6_ND_TARGET => icmp6(&[135, 136]),
        f::IPV6_ND_SLL => icmp6(&[135]),
        f::IPV6_ND_TLL => icmp6(&[136]),
        f::MPLS_LABEL | f::MPLS_TC | f::MPLS_BOS => is(f::ETH_TYPE, &[0x8847, 0x8848]),
        _ => true,
    }
}

fn bits(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// As the match that it means.
impl std::fmt::Debug for Pattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to_match(self).fields().fmt(out)
    }
}
