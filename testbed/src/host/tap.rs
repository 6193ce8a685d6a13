//! A host whose wire the test holds.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tappers::Interface;

use super::{EDGE_MTU, Frame};
use crate::error::LabError;
use crate::netns::NetNs;

/// Frames that wait in the device until they are read; what comes on top is lost.
const QUEUE: u32 = 4096;
const LARGEST: usize = 65_536;

/// A TAP device: the switch has the network end, this value the other.
pub struct Tap {
    name: String,
    device: tappers::Tap,
}

impl Tap {
    /// Makes the device in a namespace, up, with an MTU of [`EDGE_MTU`]. It goes when this is dropped.
    ///
    /// # Errors
    /// [`LabError`] without the right to, or when the name is taken or longer than 15 bytes.
    pub fn create(name: &str, namespace: &NetNs) -> Result<Self, LabError> {
        let make = || {
            let mut device = tappers::Tap::new_named(Interface::new(name)?)?;
            device.set_nonblocking(true)?;
            Ok(device)
        };
        let device = namespace
            .inside(make)?
            .map_err(|source| LabError::io(format!("making TAP device {name}"), source))?;
        namespace.ip(&format!("link set {name} mtu {EDGE_MTU} txqueuelen {QUEUE} up"))?;
        Ok(Self { name: name.to_owned(), device })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a frame on the wire towards the switch.
    ///
    /// # Errors
    /// [`LabError::Io`] when the device doesn't take it whole.
    pub fn send(&self, frame: &Frame) -> Result<(), LabError> {
        let sent = self.device.send(frame.bytes()).and_then(|sent| match sent {
            sent if sent == frame.bytes().len() => Ok(()),
            sent => Err(io::Error::other(format!("only {sent} bytes of {frame:?} were taken"))),
        });
        sent.map_err(|source| LabError::io(format!("sending from {}", self.name), source))
    }

    /// The next frame, if one is there now.
    ///
    /// # Errors
    /// [`LabError::Io`] when the device is gone.
    pub fn try_receive(&self) -> Result<Option<Frame>, LabError> {
        let mut bytes = [0; LARGEST];
        match self.device.recv(&mut bytes) {
            Ok(length) => Ok(Some(Frame::from_wire(&bytes[..length]))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(LabError::io(format!("receiving at {}", self.name), source)),
        }
    }

    /// The next frame, waiting for one until `limit`.
    ///
    /// # Errors
    /// [`LabError::Io`] when the device is gone.
    pub fn receive(&self, limit: Instant) -> Result<Option<Frame>, LabError> {
        loop {
            if let Some(frame) = self.try_receive()? {
                return Ok(Some(frame));
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut wanted = [PollFd::new(self.device.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut wanted, timeout) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => {
                    return Err(LabError::io(format!("waiting at {}", self.name), error.into()));
                }
            }
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Tap({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::{BROADCAST, Tag};
    use crate::rights::needs_rights;

    /// A kernel bridge between two TAP devices: what goes in at one comes out at the other, bit for bit.
    #[test]
    fn frames_with_any_tags_arrive_as_they_were_sent() {
        if !needs_rights("frames with any tags arrive as they were sent") {
            return;
        }
        let namespace = NetNs::new("taps").unwrap();
        let (left, right) =
            (Tap::create("left", &namespace).unwrap(), Tap::create("right", &namespace).unwrap());
        let bridge = "link add name mid type bridge\nlink set left master mid\nlink set right master mid\nlink set mid mtu 1508 up";
        namespace.ip(bridge).unwrap();
        let limit = Instant::now() + Duration::from_secs(10);
        let (q, ad) = (Tag::dot1q(100, 5), Tag::dot1ad(200, 1));
        let plain = Frame::probe_of_size(BROADCAST, [2, 0, 0, 0, 0, 1], 1, 1500);
        for sent in [
            plain.tagged(q),
            plain.tagged(ad),
            plain.tagged(q).tagged(ad),
            plain.tagged(q).tagged(q),
            plain,
        ] {
            left.send(&sent).unwrap();
            let got = right.receive(limit).unwrap().expect("the bridge forwards it");
            assert_eq!(got, sent);
        }
    }
}
