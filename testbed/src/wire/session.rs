//! One TCP session with a controller.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use openflow::{Body, ErrorMsg, Framer, Hello, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::net::{Letters, Net, Node};
use crate::switch::Channel;

/// With so many bytes unsent, nothing more is read: a controller that doesn't read gets no more answers.
const MOST_UNSENT: usize = 1 << 20;
/// Where there is no deadline: far enough.
const FAR: Duration = Duration::from_secs(3600);

/// A session's stream and what is on its way in and out.
pub struct Session {
    stream: TcpStream,
    framer: Framer,
    unsent: BytesMut,
    probe_interval: Duration,
    heard: Instant,
    probed: bool,
}

impl Session {
    /// A session at its start.
    pub fn new(stream: TcpStream, probe_interval: Duration) -> Self {
        Self {
            stream,
            framer: Framer::new(),
            unsent: BytesMut::new(),
            probe_interval,
            heard: Instant::now(),
            probed: false,
        }
    }

    /// Hellos go both ways (1.3.5, 6.3.1).
    pub async fn hello(&mut self) -> io::Result<()> {
        self.send(&Message::new(1, Hello::ours()))?;
        let peer = loop {
            if let Some(frame) = self.framer.next_frame().map_err(invalid)? {
                break Message::decode(frame).map_err(invalid)?;
            }
            self.turn_until_read().await?;
        };
        match peer.body {
            Body::Hello(hello) if hello.negotiate().is_some() => Ok(()),
            Body::Hello(hello) => {
                let text = format!("version {:#04x} offered, 0x04 spoken", hello.version);
                self.send(&Message::new(peer.xid, ErrorMsg::hello_failed(hello.version, text)))?;
                self.stream.write_all_buf(&mut self.unsent).await?;
                Err(invalid("no version in common"))
            }
            other => Err(invalid(format!("the first message is {}, not hello", other.name()))),
        }
    }

    /// Serves the controller until the session ends. `Ok` when the controller closed it.
    pub async fn serve(
        &mut self,
        net: &Net,
        node: &Node,
        channel: Channel,
        mut letters: Letters,
    ) -> io::Result<()> {
        loop {
            // Also before the first read: the controller may have sent more behind its hello.
            while let Some(frame) = self.framer.next_frame().map_err(invalid)? {
                self.request(net, node, channel, frame)?;
            }
            let deadline = node.deadline().unwrap_or_else(|| Instant::now() + FAR);
            let silence = self.heard + self.probe_interval * if self.probed { 2 } else { 1 };
            let (mut reader, mut writer) = self.stream.split();
            tokio::select! {
                read = reader.read_buf(self.framer.buffer()), if self.unsent.len() < MOST_UNSENT => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.heard = Instant::now();
                    self.probed = false;
                }
                written = writer.write_buf(&mut self.unsent), if !self.unsent.is_empty() => {
                    written?;
                }
                letter = letters.next(), if self.unsent.len() < MOST_UNSENT => {
                    if let Some(message) = letter {
                        self.send(&message)?;
                    }
                    while let Some(message) = letters.try_next() {
                        self.send(&message)?;
                    }
                }
                () = sleep_until(deadline) => {
                    net.with(node, |datapath| ((), datapath.advance(node.now())));
                }
                () = sleep_until(silence) => {
                    if self.probed {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "the controller is silent"));
                    }
                    self.probed = true;
                    self.send(&Message::new(0, Body::EchoRequest(Bytes::new())))?;
                }
            }
        }
    }

    fn request(
        &mut self,
        net: &Net,
        node: &Node,
        channel: Channel,
        frame: Bytes,
    ) -> io::Result<()> {
        match Message::decode(frame.clone()) {
            Ok(message) => {
                for answer in net.handle(node, channel, message) {
                    self.send(&answer)?;
                }
            }
            Err(error) => {
                if let Some(answer) = error.answer(&frame) {
                    self.send(&answer)?;
                }
            }
        }
        Ok(())
    }

    async fn turn_until_read(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.unsent).await?;
        match tokio::time::timeout(self.probe_interval, self.stream.read_buf(self.framer.buffer()))
            .await
        {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read.map(drop),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no hello")),
        }
    }

    fn send(&mut self, message: &Message) -> io::Result<()> {
        message.encode_into(&mut self.unsent).map_err(invalid)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
