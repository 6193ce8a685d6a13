//! Ports' and queues' counters (1.3.5, 7.3.5.6, 7.3.5.8). All ones means "not counted".

use crate::id::{PortNo, QueueId};
use crate::wire::{Failure, Reader, Writer};

/// What one port counted (`ofp_port_stats`).
///
/// port_no u32 | pad 4 | twelve counters u64 | duration_sec u32 | duration_nsec u32
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PortStats {
    /// The port.
    pub port_no: PortNo,
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames dropped on receipt.
    pub rx_dropped: u64,
    /// Frames dropped instead of sent.
    pub tx_dropped: u64,
    /// Frames received with errors, of all kinds.
    pub rx_errors: u64,
    /// Frames not sent for errors.
    pub tx_errors: u64,
    /// Frames received misaligned.
    pub rx_frame_err: u64,
    /// Frames lost to overruns.
    pub rx_over_err: u64,
    /// Frames received with a wrong checksum.
    pub rx_crc_err: u64,
    /// Collisions.
    pub collisions: u64,
    /// Whole seconds that the port has been there.
    pub duration_sec: u32,
    /// Nanoseconds beyond those.
    pub duration_nsec: u32,
}

impl PortStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.port_no.0);
        out.pad(4);
        for counter in [
            self.rx_packets,
            self.tx_packets,
            self.rx_bytes,
            self.tx_bytes,
            self.rx_dropped,
            self.tx_dropped,
            self.rx_errors,
            self.tx_errors,
            self.rx_frame_err,
            self.rx_over_err,
            self.rx_crc_err,
            self.collisions,
        ] {
            out.u64(counter);
        }
        out.u32(self.duration_sec);
        out.u32(self.duration_nsec);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let port_no = PortNo(body.u32("port_no")?);
        body.skip(4, "port stats pad")?;
        Ok(Self {
            port_no,
            rx_packets: body.u64("rx_packets")?,
            tx_packets: body.u64("tx_packets")?,
            rx_bytes: body.u64("rx_bytes")?,
            tx_bytes: body.u64("tx_bytes")?,
            rx_dropped: body.u64("rx_dropped")?,
            tx_dropped: body.u64("tx_dropped")?,
            rx_errors: body.u64("rx_errors")?,
            tx_errors: body.u64("tx_errors")?,
            rx_frame_err: body.u64("rx_frame_err")?,
            rx_over_err: body.u64("rx_over_err")?,
            rx_crc_err: body.u64("rx_crc_err")?,
            collisions: body.u64("collisions")?,
            duration_sec: body.u32("duration_sec")?,
            duration_nsec: body.u32("duration_nsec")?,
        })
    }
}

/// Which queues are asked for (`ofp_queue_stats_request`).
///
/// port_no u32 | queue_id u32
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueueStatsRequest {
    /// The port, or `ANY`.
    pub port_no: PortNo,
    /// The queue, or `ALL`.
    pub queue_id: QueueId,
}

impl QueueStatsRequest {
    pub(super) fn encode(self, out: &mut Writer<'_>) {
        out.u32(self.port_no.0);
        out.u32(self.queue_id.0);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { port_no: PortNo(body.u32("port_no")?), queue_id: QueueId(body.u32("queue_id")?) })
    }
}

/// What one queue counted (`ofp_queue_stats`).
///
/// port_no u32 | queue_id u32 | tx_bytes u64 | tx_packets u64 | tx_errors u64 | duration_sec u32 | duration_nsec u32
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueueStats {
    /// The port.
    pub port_no: PortNo,
    /// The queue.
    pub queue_id: QueueId,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Frames dropped for overruns.
    pub tx_errors: u64,
    /// Whole seconds that the queue has been there.
    pub duration_sec: u32,
    /// Nanoseconds beyond those.
    pub duration_nsec: u32,
}

impl QueueStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.port_no.0);
        out.u32(self.queue_id.0);
        out.u64(self.tx_bytes);
        out.u64(self.tx_packets);
        out.u64(self.tx_errors);
        out.u32(self.duration_sec);
        out.u32(self.duration_nsec);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            port_no: PortNo(body.u32("port_no")?),
            queue_id: QueueId(body.u32("queue_id")?),
            tx_bytes: body.u64("tx_bytes")?,
            tx_packets: body.u64("tx_packets")?,
            tx_errors: body.u64("tx_errors")?,
            duration_sec: body.u32("duration_sec")?,
            duration_nsec: body.u32("duration_nsec")?,
        })
    }
}
