//! Ports: what they are, how they are set, how they do (1.3.5, 7.2.1).

use crate::id::{MacAddr, PortNo};
use crate::text::Text;
use crate::wire::{Failure, Reader, Writer};

/// One port of a switch (`ofp_port`).
///
/// port_no u32 | pad 4 | hw_addr 6 | pad 2 | name 16 | config u32 | state u32 |
/// curr u32 | advertised u32 | supported u32 | peer u32 | curr_speed u32 | max_speed u32
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Port {
    /// The port's number; Open vSwitch may give another after a restart.
    pub port_no: PortNo,
    /// The port's own Ethernet address.
    pub hw_addr: MacAddr,
    /// The port's name, such as the interface's.
    pub name: Text<16>,
    /// How the port is set.
    pub config: PortConfig,
    /// How the port is doing.
    pub state: PortState,
    /// What is in use.
    pub curr: PortFeatures,
    /// What the port tells its neighbour it can do.
    pub advertised: PortFeatures,
    /// What the port can do.
    pub supported: PortFeatures,
    /// What the neighbour says it can do.
    pub peer: PortFeatures,
    /// Bit rate in kbit/s.
    pub curr_speed: u32,
    /// Highest bit rate in kbit/s.
    pub max_speed: u32,
}

impl Port {
    /// A port with a number and a name that is up, for switches.
    #[must_use]
    pub fn new(port_no: impl Into<PortNo>, name: impl AsRef<[u8]>, hw_addr: MacAddr) -> Self {
        Self {
            port_no: port_no.into(),
            hw_addr,
            name: Text::truncated(name),
            state: PortState::LIVE,
            ..Self::default()
        }
    }

    /// Whether the port carries frames: its link is there, and nobody took it down.
    ///
    /// Looks at `LINK_DOWN` alone of the state's bits; Open vSwitch also sets `LIVE`.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.state.contains(PortState::LINK_DOWN) && !self.config.contains(PortConfig::PORT_DOWN)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.port_no.0);
        out.pad(4);
        out.bytes(&self.hw_addr.0);
        out.pad(2);
        self.name.encode(out);
        out.u32(self.config.0);
        out.u32(self.state.0);
        for features in [self.curr, self.advertised, self.supported, self.peer] {
            out.u32(features.0);
        }
        out.u32(self.curr_speed);
        out.u32(self.max_speed);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let port_no = PortNo(body.u32("port_no")?);
        body.skip(4, "port pad")?;
        let hw_addr = MacAddr(body.array("hw_addr")?);
        body.skip(2, "port pad")?;
        Ok(Self {
            port_no,
            hw_addr,
            name: Text::decode(body, "name")?,
            config: PortConfig(body.u32("config")?),
            state: PortState(body.u32("state")?),
            curr: PortFeatures(body.u32("curr")?),
            advertised: PortFeatures(body.u32("advertised")?),
            supported: PortFeatures(body.u32("supported")?),
            peer: PortFeatures(body.u32("peer")?),
            curr_speed: body.u32("curr_speed")?,
            max_speed: body.u32("max_speed")?,
        })
    }
}

wire_flags! {
    /// How a port is set (`ofp_port_config`).
    pub struct PortConfig(u32) {
        /// Taken down by an administrator.
        PORT_DOWN = 1 << 0 => "port_down",
        /// Drops all frames it receives.
        NO_RECV = 1 << 2 => "no_recv",
        /// Drops all frames it should send.
        NO_FWD = 1 << 5 => "no_fwd",
        /// Sends no packet-in.
        NO_PACKET_IN = 1 << 6 => "no_packet_in",
    }
}

wire_flags! {
    /// How a port is doing (`ofp_port_state`).
    pub struct PortState(u32) {
        /// No link.
        LINK_DOWN = 1 << 0 => "link_down",
        /// Blocked by a protocol of the switch's own.
        BLOCKED = 1 << 1 => "blocked",
        /// Alive, for fast-failover groups.
        LIVE = 1 << 2 => "live",
    }
}

wire_flags! {
    /// What a port can do (`ofp_port_features`).
    pub struct PortFeatures(u32) {
        /// 10 Mb/s, half duplex.
        HD_10MB = 1 << 0 => "10mb_hd",
        /// 10 Mb/s, full duplex.
        FD_10MB = 1 << 1 => "10mb_fd",
        /// 100 Mb/s, half duplex.
        HD_100MB = 1 << 2 => "100mb_hd",
        /// 100 Mb/s, full duplex.
        FD_100MB = 1 << 3 => "100mb_fd",
        /// 1 Gb/s, half duplex.
        HD_1GB = 1 << 4 => "1gb_hd",
        /// 1 Gb/s, full duplex.
        FD_1GB = 1 << 5 => "1gb_fd",
        /// 10 Gb/s, full duplex.
        FD_10GB = 1 << 6 => "10gb_fd",
        /// 40 Gb/s, full duplex.
        FD_40GB = 1 << 7 => "40gb_fd",
        /// 100 Gb/s, full duplex.
        FD_100GB = 1 << 8 => "100gb_fd",
        /// 1 Tb/s, full duplex.
        FD_1TB = 1 << 9 => "1tb_fd",
        /// Another rate.
        OTHER = 1 << 10 => "other",
        /// Copper.
        COPPER = 1 << 11 => "copper",
        /// Fibre.
        FIBER = 1 << 12 => "fiber",
        /// Negotiates rate and duplex.
        AUTONEG = 1 << 13 => "autoneg",
        /// Pause frames.
        PAUSE = 1 << 14 => "pause",
        /// Asymmetric pause frames.
        PAUSE_ASYM = 1 << 15 => "pause_asym",
    }
}
