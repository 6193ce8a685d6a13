//! Names and references of switches and ports.
//!
//! A name is any 1 to 255 bytes. Everywhere else than on a switch it is
//! written as text, always by these rules, in JSON, on a command line and,
//! percent-encoded, in a path:
//!
//! | text | is |
//! |---|---|
//! | `of:0000000000000001`, `0x1`, `1` | where a switch is meant: its datapath id |
//! | `7` | where a port is meant: its number |
//! | `pct:a%FF` | the name whose bytes these are, percent-encoded |
//! | anything else | the name itself |
//!
//! `pct:` is for the names that the other rules can't say: bytes that are not
//! UTF-8, a switch that is called `1`, a name that starts with `pct:`. Answers
//! use it for those names only. In a path a name may also stand as its bytes,
//! percent-encoded once: `a%FF` and `pct%3Aa%25FF` are the same port there.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::{Invalid, quoted, text, text_schema};
use crate::percent;

/// What starts the text of a name that needs percent-encoding.
const ESCAPE: &str = "pct:";

/// The name of a switch or of a port: 1 to 255 bytes, of any value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 255;

    /// The name that these bytes are; refused when empty or too long.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        match bytes.len() {
            1..=Self::MAX => Ok(Self(bytes.into_boxed_slice())),
            0 => Err(Invalid::new("name", "is empty; 1 to 255 bytes are accepted")),
            long => {
                Err(Invalid::new("name", format!("has {long} bytes; 1 to 255 bytes are accepted")))
            }
        }
    }

    /// The bytes, as the switch has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text, `pct:` and percent-encoded where `taken` says that
    /// the plain text would mean something else.
    fn text(&self, taken: impl Fn(&str) -> bool) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(plain) if !plain.starts_with(ESCAPE) && !taken(plain) => Cow::Borrowed(plain),
            _ => Cow::Owned(format!("{ESCAPE}{}", percent::encode(&self.0))),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|_| false))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text(|_| false), f)
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix(ESCAPE) {
            Some(encoded) => {
                let bytes = percent::decode(encoded.as_bytes())
                    .map_err(|error| Invalid::new("name", error.to_string()))?;
                Self::new(bytes)
            }
            None => Self::new(text),
        }
    }
}

text!(Name, "a name of 1 to 255 bytes", |schema| schema
    .description(Some(
        "A name of 1 to 255 bytes, written as text. `pct:` starts a percent-encoded one, for \
         bytes that are not UTF-8 and for names that would mean something else."
    ))
    .min_length(Some(1))
    .examples(["worker-1"]));

/// A switch's datapath id: any 64 bits. Text: `of:` and 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dpid(pub u64);

impl Dpid {
    /// The id that this text is; `None` if it doesn't look like one.
    fn read(text: &str) -> Option<Result<Self, Invalid>> {
        let hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
        let (digits, radix) = match text.strip_prefix("of:").or_else(|| text.strip_prefix("0x")) {
            Some(digits) if !digits.is_empty() && hex(digits) => (digits, 16),
            None if is_digits(text) => (text, 10),
            _ => return None,
        };
        Some(u64::from_str_radix(digits, radix).map(Self).map_err(|_| {
            Invalid::new("datapath id", format!("{} is more than 64 bits", quoted(text)))
        }))
    }
}

impl fmt::Display for Dpid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of:{:016x}", self.0)
    }
}

impl FromStr for Dpid {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::read(text).unwrap_or_else(|| {
            let why = format!("{} is not one; write of:0000000000000001, 0x1 or 1", quoted(text));
            Err(Invalid::new("datapath id", why))
        })
    }
}

text!(Dpid, "a datapath id", |schema| schema
    .description(Some("A switch's datapath id: `of:` and 16 hexadecimal digits."))
    .pattern(Some("^of:[0-9a-f]{16}$"))
    .examples(["of:0000000000000001"]));

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Which switch: by its datapath id or by its name.
///
/// What the caller wrote is what is stored; it is resolved on the live switch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwitchRef {
    /// The switch with this datapath id.
    Dpid(Dpid),
    /// The switch that has this name now.
    Name(Name),
}

impl SwitchRef {
    /// The reference that a path segment is, its percent-encoding undone.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Invalid> {
        match String::from_utf8(bytes) {
            Ok(text) => text.parse(),
            Err(error) => Name::new(error.into_bytes()).map(Self::Name),
        }
    }
}

impl fmt::Display for SwitchRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dpid(dpid) => dpid.fmt(f),
            Self::Name(name) => f.write_str(&name.text(|text| Dpid::read(text).is_some())),
        }
    }
}

impl FromStr for SwitchRef {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match Dpid::read(text) {
            Some(dpid) => dpid.map(Self::Dpid),
            None => text.parse().map(Self::Name),
        }
    }
}

impl From<Dpid> for SwitchRef {
    fn from(dpid: Dpid) -> Self {
        Self::Dpid(dpid)
    }
}

impl From<Name> for SwitchRef {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

/// Which port of a switch: by its number or by its name.
///
/// What the caller wrote is what is stored; a name survives renumbering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortRef {
    /// The port with this OpenFlow number; see [`PortRef::number`].
    Number(u32),
    /// The port that has this name now.
    Name(Name),
}

impl PortRef {
    /// The largest number of a port that is a place of its own (`OFPP_MAX`).
    pub const MAX: u32 = 0xffff_ff00;
    /// The switch's own port (`OFPP_LOCAL`).
    pub const LOCAL: u32 = 0xffff_fffe;

    /// A port by its number: 1 to [`Self::MAX`], or [`Self::LOCAL`]
    /// (OpenFlow 1.3.5, 7.2.1: the other numbers are not places).
    pub fn number(number: u64) -> Result<Self, Invalid> {
        match u32::try_from(number) {
            Ok(number @ (1..=Self::MAX | Self::LOCAL)) => Ok(Self::Number(number)),
            _ => Err(Invalid::new(
                "port number",
                format!("{number} is no port; 1 to {} and {} are", Self::MAX, Self::LOCAL),
            )),
        }
    }

    /// The reference that a path segment is, its percent-encoding undone.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Invalid> {
        match String::from_utf8(bytes) {
            Ok(text) => text.parse(),
            Err(error) => Name::new(error.into_bytes()).map(Self::Name),
        }
    }
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(&name.text(is_digits)),
        }
    }
}

impl FromStr for PortRef {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !is_digits(text) {
            return text.parse().map(Self::Name);
        }
        let number = text
            .parse()
            .map_err(|_| Invalid::new("port number", format!("{} is too large", quoted(text))))?;
        Self::number(number)
    }
}

impl From<Name> for PortRef {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

/// Serde for a reference: a string by the rules above, or a plain number.
macro_rules! reference {
    ($type:ty, $expecting:literal, |$number:ident| $from:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Reference;
                impl Visitor<'_> for Reference {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: serde::de::Error>(self, $number: u64) -> Result<$type, E> {
                        $from.map_err(E::custom)
                    }
                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$type, E> {
                        let number = u64::try_from(number)
                            .map_err(|_| E::custom(format_args!("{number} is negative")))?;
                        self.visit_u64(number)
                    }
                }
                // A YAML document may well say `port: 1`.
                from.deserialize_any(Reference)
            }
        }
    };
}

reference!(SwitchRef, "a switch's name or datapath id", |number| {
    Ok::<_, Invalid>(SwitchRef::Dpid(Dpid(number)))
});
reference!(PortRef, "a port's name or number", |number| PortRef::number(number));

text_schema!(SwitchRef, |schema| schema
    .description(Some(
        "A switch: a datapath id (`of:0000000000000001`, `0x1`, `1`), else its name. `pct:` \
         starts a percent-encoded name, for bytes that are not UTF-8 and for names that would \
         mean something else. A plain number is accepted too, as a datapath id."
    ))
    .min_length(Some(1))
    .examples(["worker-1"]));
text_schema!(PortRef, |schema| schema
    .description(Some(
        "A port: its number if all are digits, else its name. `pct:` starts a percent-encoded \
         name, for bytes that are not UTF-8 and for names that would mean something else. A \
         plain number is accepted too."
    ))
    .min_length(Some(1))
    .examples(["vhost3"]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_told_by_id_or_name() {
        let name = |bytes: &[u8]| SwitchRef::Name(Name::new(bytes).unwrap());
        let cases = [
            ("of:0000000000000001", SwitchRef::Dpid(Dpid(1)), "of:0000000000000001"),
            ("0x1f", SwitchRef::Dpid(Dpid(31)), "of:000000000000001f"),
            ("17", SwitchRef::Dpid(Dpid(17)), "of:0000000000000011"),
            ("worker-1", name(b"worker-1"), "worker-1"),
            ("of:", name(b"of:"), "of:"),
            ("of:xyz", name(b"of:xyz"), "of:xyz"),
            ("50%", name(b"50%"), "50%"),
            ("pct:a%FF", name(b"a\xff"), "pct:a%FF"),
            ("pct:17", name(b"17"), "pct:17"),
            ("pct:plain", name(b"plain"), "plain"),
            ("pct:pct%3Ax", name(b"pct:x"), "pct:pct%3Ax"),
        ];
        for (text, reference, printed) in cases {
            assert_eq!(text.parse(), Ok(reference.clone()), "{text}");
            assert_eq!(reference.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(reference), "{text}");
        }
    }

    #[test]
    fn ports_are_told_by_number_or_name() {
        let name = |bytes: &[u8]| PortRef::Name(Name::new(bytes).unwrap());
        assert_eq!("007".parse(), Ok(PortRef::Number(7)));
        assert_eq!("0x7".parse(), Ok(name(b"0x7")));
        assert_eq!("4294967294".parse(), Ok(PortRef::Number(PortRef::LOCAL)));
        assert_eq!(PortRef::from_bytes(vec![0xff]), Ok(name(b"\xff")));
        assert_eq!(name(b"7").to_string(), "pct:7");
        let json = serde_json::json!([7, "7", "eth0"]);
        let ports: Vec<PortRef> = serde_json::from_value(json).unwrap();
        assert_eq!(ports, [PortRef::Number(7), PortRef::Number(7), name(b"eth0")]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = "x".repeat(256);
        for text in ["", &long, "pct:", "pct:%f", "99999999999999999999", "0x11111111111111111"] {
            assert!(text.parse::<SwitchRef>().is_err(), "{text}");
        }
        for text in ["", &long, "0", "4294967295", "4294967041", "99999999999999999999"] {
            assert!(text.parse::<PortRef>().is_err(), "{text}");
        }
    }
}
