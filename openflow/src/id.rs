//! Newtypes for the numbers and addresses of OpenFlow.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

wire_id! {
    /// A port of a switch (1.3.5, 7.2.1). Ports proper are 1 to `0xffff_ff00`.
    pub struct PortNo(u32) {
        /// Back out of the port the frame came in by.
        IN_PORT = 0xffff_fff8 => "IN_PORT",
        /// Through the flow tables, from the first one; only in a packet-out.
        TABLE = 0xffff_fff9 => "TABLE",
        /// The switch's own layer-2 or layer-3 forwarding.
        NORMAL = 0xffff_fffa => "NORMAL",
        /// All ports of the VLAN, by the switch's own flooding.
        FLOOD = 0xffff_fffb => "FLOOD",
        /// All ports but the one the frame came in by.
        ALL = 0xffff_fffc => "ALL",
        /// To the controllers, as a packet-in.
        CONTROLLER = 0xffff_fffd => "CONTROLLER",
        /// The switch's own host.
        LOCAL = 0xffff_fffe => "LOCAL",
        /// No particular port: a wildcard in requests, "none" in a bucket.
        ANY = 0xffff_ffff => "ANY",
    }
}

impl PortNo {
    /// Highest number a port proper can have (`OFPP_MAX`); a number like others below it.
    pub const MAX: Self = Self(0xffff_ff00);

    /// Whether this can be the number of a port proper, not a reserved one.
    #[must_use]
    pub const fn is_physical(self) -> bool {
        self.0 >= 1 && self.0 <= Self::MAX.0
    }
}

/// Accepts a decimal number, `0x…`, or a reserved name in any case.
impl FromStr for PortNo {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let reserved = [
            Self::IN_PORT,
            Self::TABLE,
            Self::NORMAL,
            Self::FLOOD,
            Self::ALL,
            Self::CONTROLLER,
            Self::LOCAL,
            Self::ANY,
        ];
        let named = |port: &PortNo| {
            port.reserved_name().is_some_and(|name| name.eq_ignore_ascii_case(text))
        };
        if let Some(port) = reserved.into_iter().find(named) {
            return Ok(port);
        }
        let number = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.map(Self).map_err(|source| ParseIdError::new("a port number or name", text, source))
    }
}

wire_id! {
    /// A group of a switch (1.3.5, 7.3.4.2). Groups proper are 0 to `0xffff_ff00`.
    pub struct GroupId(u32) {
        /// All groups, when deleting.
        ALL = 0xffff_fffc => "ALL",
        /// No particular group: a wildcard in requests, "none" in a bucket.
        ANY = 0xffff_ffff => "ANY",
    }
}

impl GroupId {
    /// Highest number a group can have (`OFPG_MAX`).
    pub const MAX: Self = Self(0xffff_ff00);
}

wire_id! {
    /// A meter of a switch (1.3.5, 7.3.4.4). Meters proper are 1 to `0xffff_0000`.
    pub struct MeterId(u32) {
        /// The virtual meter of the switch's slow path.
        SLOWPATH = 0xffff_fffd => "SLOWPATH",
        /// The virtual meter of what goes to the controllers.
        CONTROLLER = 0xffff_fffe => "CONTROLLER",
        /// All meters, in statistics requests and deletions.
        ALL = 0xffff_ffff => "ALL",
    }
}

impl MeterId {
    /// Highest number a meter can have (`OFPM_MAX`).
    pub const MAX: Self = Self(0xffff_0000);
}

wire_id! {
    /// A queue of a port (1.3.5, 7.2.2).
    pub struct QueueId(u32) {
        /// All queues, in statistics requests.
        ALL = 0xffff_ffff => "ALL",
    }
}

wire_id! {
    /// A flow table (1.3.5, 7.3.4.1). Tables proper are 0 to 254.
    pub struct TableId(u8) {
        /// All tables, in requests and deletions.
        ALL = 0xff => "ALL",
    }
}

impl TableId {
    /// Highest number a table can have (`OFPTT_MAX`).
    pub const MAX: Self = Self(0xfe);
}

wire_id! {
    /// A frame that the switch keeps for the controller (1.3.5, 6.1.2).
    pub struct BufferId(u32) {
        /// No frame is kept; it is in the message itself (`OFP_NO_BUFFER`).
        NONE = 0xffff_ffff => "NONE",
    }
}

/// The `max_len` of an output to the controller (1.3.5, 7.2.5, `ofp_controller_max_len`)
/// and the `miss_send_len` of a switch: `0xffff` sends whole frames, unbuffered.
pub const NO_BUFFER: u16 = 0xffff;

/// A switch: its MAC in the lower 48 bits, the implementer's choice above (1.3.5, 7.3.1).
///
/// ```
/// use openflow::DatapathId;
/// let dpid: DatapathId = "of:000000000000002a".parse()?;
/// assert_eq!(dpid, DatapathId(42));
/// assert_eq!("0x2a".parse(), Ok(dpid));
/// assert_eq!(dpid.to_string(), "of:000000000000002a");
/// # Ok::<(), openflow::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatapathId(pub u64);

impl fmt::Display for DatapathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of:{:016x}", self.0)
    }
}

/// Accepts `of:` and 16 hex digits, 16 hex digits alone (as Open vSwitch prints
/// them), `0x` and hex digits, or a decimal number.
impl FromStr for DatapathId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        const WANT: &str = "a datapath id (of:0000000000000001, 0x1 or 1)";
        let all_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
        let parsed = if let Some(hex) = text.strip_prefix("of:") {
            if hex.len() != 16 || !all_hex(hex) {
                return Err(ParseIdError { want: WANT, text: text.to_owned(), source: None });
            }
            u64::from_str_radix(hex, 16)
        } else if let Some(hex) = text.strip_prefix("0x") {
            if !all_hex(hex) {
                return Err(ParseIdError { want: WANT, text: text.to_owned(), source: None });
            }
            u64::from_str_radix(hex, 16)
        } else if text.len() == 16 && all_hex(text) {
            u64::from_str_radix(text, 16)
        } else if text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse()
        } else {
            return Err(ParseIdError { want: WANT, text: text.to_owned(), source: None });
        };
        parsed.map(Self).map_err(|source| ParseIdError::new(WANT, text, source))
    }
}

impl From<u64> for DatapathId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

/// An Ethernet address.
///
/// ```
/// use openflow::MacAddr;
/// let mac: MacAddr = "02:00:00:00:00:2a".parse()?;
/// assert_eq!(mac, MacAddr([2, 0, 0, 0, 0, 42]));
/// assert!(mac.is_unicast() && MacAddr::BROADCAST.is_group());
/// # Ok::<(), openflow::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`, everyone.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`, nobody.
    pub const ZERO: Self = Self([0; 6]);
    /// The group bit alone: as a mask it tells groups from single stations.
    pub const GROUP_BIT: Self = Self([1, 0, 0, 0, 0, 0]);

    /// The six bytes, first on the wire first.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether the group bit is set: multicast or broadcast.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether the group bit is clear.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        !self.is_group()
    }

    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Accepts six groups of two hex digits, with `:` or `-` between.
impl FromStr for MacAddr {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError {
            want: "an Ethernet address (aa:bb:cc:dd:ee:ff)",
            text: text.to_owned(),
            source: None,
        };
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut groups = text.split(separator);
        let mut octets = [0; 6];
        for octet in &mut octets {
            let group = groups.next().ok_or_else(bad)?;
            if group.len() != 2 || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *octet = u8::from_str_radix(group, 16).map_err(|_| bad())?;
        }
        if groups.next().is_some() { Err(bad()) } else { Ok(Self(octets)) }
    }
}

/// A text that isn't the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {want}")]
pub struct ParseIdError {
    want: &'static str,
    text: String,
    #[source]
    source: Option<ParseIntError>,
}

impl ParseIdError {
    fn new(want: &'static str, text: &str, source: ParseIntError) -> Self {
        Self { want, text: text.to_owned(), source: Some(source) }
    }
}

/// As their text.
#[cfg(feature = "serde")]
mod as_text {
    impl serde::Serialize for super::DatapathId {
        fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.collect_str(self)
        }
    }

    impl serde::Serialize for super::MacAddr {
        fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.collect_str(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_id_are_refused() {
        for text in [
            "",
            "of:1",
            "of:00000000000000zz",
            "0x",
            "0x+1",
            "+1",
            "-1",
            "zz",
            "0x11111111111111111",
        ] {
            assert!(text.parse::<DatapathId>().is_err(), "{text:?}");
        }
        for text in [
            "",
            "1:2:3:4:5:6",
            "00:00:00:00:00",
            "00:00:00:00:00:00:00",
            "0g:00:00:00:00:00",
            "+1:00:00:00:00:00",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text:?}");
        }
        for text in ["", "lan", "-1", "4294967296", "0x"] {
            assert!(text.parse::<PortNo>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn ids_print_as_they_are_read() {
        for text in ["LOCAL", "IN_PORT", "7"] {
            assert_eq!(text.parse::<PortNo>().unwrap().to_string(), text);
        }
        assert_eq!("controller".parse(), Ok(PortNo::CONTROLLER));
        // The highest numbers are numbers: only what means something else has a name.
        assert_eq!(PortNo::MAX.to_string(), "4294967040");
        assert_eq!(TableId::MAX.to_string(), "254");
        assert_eq!("0000000000000010".parse(), Ok(DatapathId(16)));
        assert_eq!("10".parse(), Ok(DatapathId(10)));
        assert_eq!(
            "aa-bb-cc-dd-ee-ff".parse::<MacAddr>().unwrap().to_string(),
            "aa:bb:cc:dd:ee:ff"
        );
    }
}
