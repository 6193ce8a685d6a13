//! A stream of bytes to whole messages.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::header::HEADER_LEN;

/// Cuts a stream into messages; takes chunks of any size.
///
/// It holds what was fed and not yet taken. Whoever takes all messages before
/// feeding more never has it hold more than 65,534 bytes and one chunk.
///
/// ```
/// use openflow::{Body, Framer, Message};
/// let bytes = Message::new(1, Body::BarrierRequest).encode()?;
/// let mut framer = Framer::new();
/// framer.feed(&bytes[..5]);
/// assert_eq!(framer.next_frame()?, None);
/// framer.feed(&bytes[5..]);
/// assert_eq!(framer.next_frame()?, Some(bytes));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Bytes of the messages taken so far, for errors.
    taken: u64,
    broken: Option<FrameError>,
}

/// A length field that no message can have: where the next message starts isn't known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "length {length} in the header at byte {offset} of the stream, expected 8 or more: framing is lost"
)]
pub struct FrameError {
    /// What the length field says.
    pub length: u16,
    /// Where the header starts, in bytes from the start of the stream.
    pub offset: u64,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The buffer behind what was fed, to read into without a copy.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Bytes held that are not yet taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole message, or `None` until more is fed.
    ///
    /// # Errors
    /// If the framing is lost; from then on always. Close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        match Self::split(&mut self.buffer) {
            Ok(Some(frame)) => {
                self.taken += frame.len() as u64;
                Ok(Some(frame))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                let error = FrameError { offset: self.taken, ..error };
                self.broken = Some(error);
                Err(error)
            }
        }
    }

    /// Takes one whole message off the front of any buffer, without a state: for codecs of
    /// asynchronous runtimes. `None` if it isn't all there; room for the rest is then reserved.
    ///
    /// # Errors
    /// If the length field is less than a header; the buffer is left as it is.
    pub fn split(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some([_, _, high, low]) = buffer.first_chunk().copied() else {
            return Ok(None);
        };
        let length = u16::from_be_bytes([high, low]);
        if usize::from(length) < HEADER_LEN {
            return Err(FrameError { length, offset: 0 });
        }
        let missing = usize::from(length).saturating_sub(buffer.remaining());
        if missing > 0 {
            buffer.reserve(missing);
            return Ok(None);
        }
        Ok(Some(buffer.split_to(length.into()).freeze()))
    }
}
