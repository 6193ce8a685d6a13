//! What came of a frame, or of a message.

use openflow::{Body, DatapathId, Message, PacketIn};

use super::Place;
use crate::frame::Frame;
use crate::switch::Channel;

/// All that left the fabric.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Deliveries {
    /// Frames at ports without a link, sorted; as often as they came.
    pub frames: Vec<(Place, Frame)>,
    /// Messages to controllers, in the order in which they came.
    pub messages: Vec<(DatapathId, Channel, Message)>,
    /// Whether some frame came by the same place in the same form again, and so would for ever.
    pub looped: bool,
}

impl Deliveries {
    /// The places of the frames, sorted, each as often as frames came there.
    pub fn places(&self) -> Vec<Place> {
        self.frames.iter().map(|(place, _)| *place).collect()
    }

    /// The frames at one place.
    pub fn at(&self, place: impl Into<Place>) -> Vec<&Frame> {
        let place = place.into();
        self.frames.iter().filter(|(there, _)| *there == place).map(|(_, frame)| frame).collect()
    }

    /// The packet-ins, with the switch that sent each.
    pub fn packet_ins(&self) -> impl Iterator<Item = (DatapathId, &PacketIn)> {
        self.messages.iter().filter_map(|(dpid, _, message)| match &message.body {
            Body::PacketIn(packet) => Some((*dpid, packet)),
            _ => None,
        })
    }

    /// Adds what came of something else.
    pub fn merge(&mut self, other: Self) {
        self.frames.extend(other.frames);
        self.frames.sort();
        self.messages.extend(other.messages);
        self.looped |= other.looped;
    }
}
