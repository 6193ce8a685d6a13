//! Values that bodies are made of, each valid once it exists.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::invalid::{Invalid, quoted, text};

/// The name of a virtual network: 1 to 317 of `a-z 0-9 . -`, starting and
/// ending with a letter or digit. (Room for Kubernetes' `namespace.name`.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkName(String);

impl NetworkName {
    /// The longest name, in characters.
    pub const MAX: usize = 317;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NetworkName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let good = bytes.iter().all(|&b| end(b) || matches!(b, b'.' | b'-'))
            && bytes.first().is_some_and(|&b| end(b))
            && bytes.last().is_some_and(|&b| end(b))
            && bytes.len() <= Self::MAX;
        if good {
            return Ok(Self(text.to_owned()));
        }
        let why = format!(
            "{} is not one; 1 to {} of a-z, 0-9, dot and hyphen are accepted, with a letter or \
             digit at both ends",
            quoted(text),
            Self::MAX
        );
        Err(Invalid::new("network name", why))
    }
}

text!(NetworkName, "a network name", |schema| schema
    .description(Some("The name of a virtual network."))
    .pattern(Some("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))
    .min_length(Some(1))
    .max_length(Some(NetworkName::MAX))
    .examples(["shop.blue"]));

/// Text of a bounded length without control characters.
fn line(what: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    let why = match text.len() {
        0 => format!("is empty; 1 to {max} bytes are accepted"),
        long if long > max => format!("has {long} bytes; 1 to {max} bytes are accepted"),
        _ if text.contains(char::is_control) => {
            format!("{} has a control character", quoted(text))
        }
        _ => return Ok(()),
    };
    Err(Invalid::new(what, why))
}

/// A type for text of a bounded length without control characters.
macro_rules! line {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal, $example:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The longest one, in bytes.
            pub const MAX: usize = $max;

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                line($what, text, Self::MAX)?;
                Ok(Self(text.to_owned()))
            }
        }

        text!($name, $what, |schema| schema
            .min_length(Some(1))
            .max_length(Some($name::MAX))
            .examples([$example]));
    };
}

line! {
    /// Who a port is held for: 1 to 512 bytes without control characters.
    Owner, "owner", 512, "k8s/9a1c/shop/5c0d/net1"
}
line! {
    /// The name of a set of objects that are applied, and pruned, together:
    /// 1 to 253 bytes without control characters.
    SetName, "set name", 253, "shop"
}
line! {
    /// What names an attachment: 1 to 64 bytes, chosen by the controller.
    AttachmentId, "attachment id", 64, "a-17"
}

/// A station's MAC address: neither a group address nor all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// The address with these bytes, if a station can have it.
    pub fn new(bytes: [u8; 6]) -> Result<Self, Invalid> {
        let why = if bytes[0] & 1 == 1 {
            "is a group address; only a station's own address can be declared"
        } else if bytes == [0; 6] {
            "is all zero; no station has it"
        } else {
            return Ok(Self(bytes));
        };
        Err(Invalid::new("MAC address", format!("{} {why}", Self(bytes))))
    }

    /// The six bytes, in the order they are sent.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut parts = text.split(separator).map(|part| match part.as_bytes() {
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                u8::from_str_radix(part, 16).ok()
            }
            _ => None,
        });
        let mut bytes = [0; 6];
        let full = bytes.iter_mut().all(|byte| match parts.next() {
            Some(Some(part)) => {
                *byte = part;
                true
            }
            _ => false,
        });
        if full && parts.next().is_none() {
            return Self::new(bytes);
        }
        let why = format!("{} is not one; write 02:00:00:00:00:01", quoted(text));
        Err(Invalid::new("MAC address", why))
    }
}

text!(MacAddr, "a MAC address", |schema| schema
    .description(Some("A station's MAC address: neither a group address nor all zero."))
    .pattern(Some("^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$"))
    .examples(["02:00:00:00:00:01"]));

/// A host's own IP address: neither unspecified, multicast nor broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostIp(IpAddr);

impl HostIp {
    /// This address, if a host can have it.
    pub fn new(ip: IpAddr) -> Result<Self, Invalid> {
        let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        if ip.is_unspecified() || ip.is_multicast() || broadcast {
            let why = format!("{ip} is no host's own address");
            return Err(Invalid::new("IP address", why));
        }
        Ok(Self(ip))
    }

    /// The address itself.
    pub fn addr(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for HostIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HostIp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let ip = text.parse().map_err(|_| {
            let why = format!("{} is not one; write 10.0.0.1 or 2001:db8::1", quoted(text));
            Invalid::new("IP address", why)
        })?;
        Self::new(ip)
    }
}

text!(HostIp, "an IP address", |schema| schema
    .description(Some("A host's own IPv4 or IPv6 address."))
    .examples(["10.0.0.1"]));

/// How many MAC addresses a network may learn in all: 0 to 1,000,000.
/// Declared ones don't count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(minimum = 0, maximum = 1_000_000, default = 1024)]
pub struct MacLimit(u32);

impl MacLimit {
    /// The largest limit.
    pub const MAX: u32 = 1_000_000;

    /// This limit; refused above [`Self::MAX`].
    pub fn new(limit: u64) -> Result<Self, Invalid> {
        match u32::try_from(limit) {
            Ok(limit) if limit <= Self::MAX => Ok(Self(limit)),
            _ => Err(Invalid::new(
                "mac_limit",
                format!("{limit} is too large; 0 to {} are accepted", Self::MAX),
            )),
        }
    }

    /// The number itself.
    pub fn value(self) -> u32 {
        self.0
    }
}

impl Default for MacLimit {
    fn default() -> Self {
        Self(1024)
    }
}

impl FromStr for MacLimit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let limit = text
            .parse()
            .map_err(|_| Invalid::new("mac_limit", format!("{} is not a number", quoted(text))))?;
        Self::new(limit)
    }
}

impl<'de> Deserialize<'de> for MacLimit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// What a caller writes on an object for its own use: up to 64 pairs.
///
/// Keys have 1 to 317 bytes, values at most 1,024; neither has control
/// characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The most pairs that one object may have.
    pub const MAX: usize = 64;

    /// These pairs, if they keep the bounds.
    pub fn new(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        if labels.len() > Self::MAX {
            let why = format!("{} are too many; up to {}", labels.len(), Self::MAX);
            return Err(Invalid::new("labels", why));
        }
        for (key, value) in &labels {
            line("label key", key, 317)?;
            if !value.is_empty() {
                line("label value", value, 1024)?;
            }
        }
        Ok(Self(labels))
    }

    /// The pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of this key.
    pub fn of(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Which port names are meant: `*` stands for any bytes, `?` for one byte.
/// 0 to 255 bytes; the empty pattern matches no name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// The longest pattern, in bytes.
    pub const MAX: usize = 255;

    /// Ports that may be given out, unless something else is said: `vhost*`.
    pub fn default_pool() -> Self {
        Self("vhost*".to_owned())
    }

    /// Ports that may be trunks, unless something else is said: all.
    pub fn default_trunks() -> Self {
        Self("*".to_owned())
    }

    /// The pattern itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a port of this name is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        // One pass with a way back to the latest star: earlier stars never
        // need to take more, so this is linear in practice and needs no memory.
        let (pattern, mut p, mut n) = (self.0.as_bytes(), 0, 0);
        let mut star = None;
        while let Some(&byte) = name.get(n) {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&wanted) if wanted == byte || wanted == b'?' => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((star_p, star_n)) => {
                        star = Some((star_p, star_n + 1));
                        p = star_p + 1;
                        n = star_n + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.get(p..).is_some_and(|rest| rest.iter().all(|&b| b == b'*'))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !text.is_empty() {
            line("pattern", text, Self::MAX)?;
        }
        Ok(Self(text.to_owned()))
    }
}

text!(Pattern, "a pattern of port names", |schema| schema
    .description(Some(
        "Which port names are meant: `*` stands for any bytes, `?` for one. Empty: none."
    ))
    .max_length(Some(Pattern::MAX))
    .examples(["vhost*"]));

/// A moment, to the millisecond. Text: RFC 3339, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last moment that RFC 3339 can write: the end of the year 9999.
    const MAX: u64 = 253_402_300_799_999;

    /// The moment this many milliseconds after 1970 began, in UTC.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(Self::MAX))
    }

    /// Milliseconds since 1970 began, in UTC.
    pub fn millis(self) -> u64 {
        self.0
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(Self::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(self.0);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let time = humantime::parse_rfc3339(text).map_err(|error| {
            Invalid::new("time", format!("{} is not RFC 3339 in UTC: {error}", quoted(text)))
        })?;
        Ok(time.into())
    }
}

text!(Timestamp, "a time", |schema| schema
    .description(Some("A moment in UTC, to the millisecond (RFC 3339)."))
    .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
        utoipa::openapi::KnownFormat::DateTime
    )))
    .examples(["2026-05-04T12:30:00.250Z"]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_names_keep_their_alphabet() {
        let long = "a".repeat(317);
        for good in ["a", "7", "blue", "ns.name", "a-b.c", "a..b", &long] {
            assert!(good.parse::<NetworkName>().is_ok(), "{good}");
        }
        let longer = "a".repeat(318);
        for bad in ["", "-a", "a.", "A", "a_b", "a b", "ä", "a/b", "a\n", &longer] {
            let error = bad.parse::<NetworkName>().unwrap_err();
            assert_eq!(error.what, "network name", "{bad}");
        }
    }

    #[test]
    fn only_a_stations_mac_is_one() {
        for good in ["02:00:00:00:00:0a", "02-00-00-00-00-0A"] {
            let mac: MacAddr = good.parse().unwrap();
            assert_eq!(mac.to_string(), "02:00:00:00:00:0a");
        }
        let bad = [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:0a:00",
            "2:0:0:0:0:a",
            "02:00:00:00:00:0g",
            "02:00:00:00:00:+a",
            "0200.0000.000a",
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
        ];
        for text in bad {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_hosts_ip_is_one() {
        for good in ["10.0.0.1", "2001:db8::1", "fe80::1"] {
            assert_eq!(good.parse::<HostIp>().unwrap().to_string(), good);
        }
        for bad in ["", "10.0.0", "10.0.0.1/24", "0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
            assert!(bad.parse::<HostIp>().is_err(), "{bad}");
        }
        assert!("255.255.255.255".parse::<HostIp>().is_err());
    }

    #[test]
    fn patterns_match_whole_names() {
        let cases: [(&str, &[u8], bool); 13] = [
            ("vhost*", b"vhost3", true),
            ("vhost*", b"vhost", true),
            ("vhost*", b"xvhost3", false),
            ("*", b"\xff", true),
            ("", b"a", false),
            ("a?c", b"abc", true),
            ("a?c", b"ac", false),
            ("*a*b", b"xaxxab", true),
            ("*a*b", b"xaxxabx", false),
            ("a*a", b"a", false),
            ("a*a", b"aa", true),
            ("**x", b"x", true),
            ("*?", b"", false),
        ];
        for (pattern, name, want) in cases {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(name), want, "{pattern} {name:?}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        let time = Timestamp::from_millis(1_777_897_800_250);
        assert_eq!(time.to_string(), "2026-05-04T12:30:00.250Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn labels_are_bounded() {
        let labels = |n: usize, value: &str| {
            Labels::new((0..n).map(|i| (format!("k{i}"), value.to_owned())).collect())
        };
        assert!(labels(64, "").is_ok());
        assert!(labels(65, "").is_err());
        assert!(labels(1, "a\nb").is_err());
        assert!(labels(1, &"x".repeat(1025)).is_err());
    }
}
