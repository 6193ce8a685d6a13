//! What goes over a wire, taken down by tcpdump and judged by tshark.

use std::fs::{self, File};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::netns::{NetNs, run_command};
use crate::wait::{Look, until};

const LIMIT: Duration = Duration::from_secs(20);
/// Where the datagram goes that marks the end of what a capture must hold: UDP port 9, "discard" (RFC 863).
const DISCARD: u16 = 9;
const MARKER: &[u8] = b"isolane testbed: the capture may end here";
/// tshark's filter for messages of OpenFlow, by the versions it knows to be told apart: 1.0, 1.3 and 1.4.
const OPENFLOW: &str = "openflow_v1 || openflow_v4 || openflow_v5";
/// Expert items of this severity and above are complaints: "warning" in Wireshark.
const WARNING: &str = "0x600000";

/// A capture of the OpenFlow traffic of one TCP port, until it is finished or dropped.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
    port: u16,
    namespace: Arc<NetNs>,
    neighbour: Ipv4Addr,
}

impl Capture {
    /// Starts to take down TCP port `port` on a device of a namespace, into a file in `folder`; returns once it is on.
    ///
    /// `neighbour` is any address that is reached over that device.
    ///
    /// # Errors
    /// [`LabError`] when tcpdump isn't installed or refuses.
    pub fn start(
        namespace: &Arc<NetNs>,
        (device, neighbour): (&str, Ipv4Addr),
        port: u16,
        folder: &Path,
    ) -> Result<Self, LabError> {
        let told = |source| LabError::io("starting tcpdump", source);
        let (file, said) =
            (folder.join(format!("{device}.pcap")), folder.join(format!("{device}.tcpdump")));
        let errors = File::create(&said).map_err(told)?;
        let mut command = Command::new("tcpdump");
        // `-Z root`: stays root, so that it may write into the lab's folder.
        command.args([
            "-i",
            device,
            "-U",
            "--immediate-mode",
            "-s",
            "0",
            "-B",
            "16384",
            "-Z",
            "root",
            "-w",
        ]);
        command.arg(&file).arg(format!("tcp port {port} or udp port {DISCARD}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let tcpdump = namespace.inside(move || command.spawn())?.map_err(told)?;
        let started = Self { tcpdump, file, port, namespace: Arc::clone(namespace), neighbour };
        until("tcpdump to listen", LIMIT, || {
            let said = fs::read_to_string(&said).unwrap_or_default();
            Ok(if said.contains("listening on") { Look::Done(()) } else { Look::NotYet(said) })
        })?;
        Ok(started)
    }

    /// Ends the capture and tells everything that tshark's OpenFlow dissector finds wrong in it, one thing a line.
    ///
    /// # Errors
    /// [`LabError`] when tshark isn't installed or can't read the capture, or nothing of OpenFlow was captured.
    pub fn complaints(mut self) -> Result<Vec<String>, LabError> {
        self.stop()?;
        if self.dissect(OPENFLOW, &[])?.is_empty() {
            return Err(LabError::Wrong(format!("{}: no OpenFlow in it", self.file.display())));
        }
        let wrong = format!("({OPENFLOW}) && (_ws.malformed || _ws.expert.severity >= {WARNING})");
        let fields = ["_ws.expert.severity", "_ws.expert.message", "_ws.col.Info"];
        self.dissect(&wrong, &fields)
    }

    fn dissect(&self, filter: &str, fields: &[&str]) -> Result<Vec<String>, LabError> {
        let mut command = Command::new("tshark");
        command
            .arg("-n")
            .arg("-r")
            .arg(&self.file)
            .arg("-d")
            .arg(format!("tcp.port=={},openflow", self.port));
        command.args(["-Y", filter, "-T", "fields", "-e", "frame.number"]);
        fields.iter().for_each(|field| {
            command.args(["-e", field]);
        });
        Ok(run_command(command, "")?.lines().map(str::to_owned).collect())
    }

    /// Ends tcpdump once it has written down all that went over the device until now.
    fn stop(&mut self) -> Result<(), LabError> {
        let told = |source| LabError::io("ending tcpdump", source);
        let to = (self.neighbour, DISCARD);
        let mark =
            move || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(MARKER, to).map(drop);
        self.namespace.inside(mark)?.map_err(told)?;
        until("the end of the capture", LIMIT, || {
            let written = fs::read(&self.file).map_err(told)?;
            let marked = written.windows(MARKER.len()).any(|it| it == MARKER);
            Ok(if marked {
                Look::Done(())
            } else {
                Look::NotYet(format!("{} bytes", written.len()))
            })
        })?;
        let pid = Pid::from_raw(self.tcpdump.id().cast_signed());
        kill(pid, Signal::SIGINT).map_err(|error| told(error.into()))?;
        self.tcpdump.wait().map(drop).map_err(told)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.tcpdump.kill().and_then(|()| self.tcpdump.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::rights::needs_ovs;

    /// Sends messages over loopback of a namespace of its own, each followed until it has been read.
    fn judged(messages: &[&[u8]]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let namespace = Arc::new(NetNs::new("wire").unwrap());
        let wire = ("lo", Ipv4Addr::LOCALHOST);
        let capture = Capture::start(&namespace, wire, 6653, folder.path()).unwrap();
        let exchange = || {
            let listener = TcpListener::bind("127.0.0.1:6653").unwrap();
            let mut here = TcpStream::connect("127.0.0.1:6653").unwrap();
            let (mut there, _) = listener.accept().unwrap();
            for message in messages {
                here.write_all(message).unwrap();
                let mut read = vec![0; message.len()];
                there.read_exact(&mut read).unwrap();
            }
        };
        namespace.inside(exchange).unwrap();
        capture.complaints().unwrap()
    }

    const HELLO: &[u8] = &[4, 0, 0, 8, 0, 0, 0, 1];

    #[test]
    fn tshark_accepts_what_is_right_and_complains_about_what_is_not() {
        if !needs_ovs("tshark accepts what is right and complains about what is not") {
            return;
        }
        let barrier: &[u8] = &[4, 20, 0, 8, 0, 0, 0, 2];
        assert_eq!(judged(&[HELLO, barrier]), [""; 0]);
        // A flow-mod (OpenFlow 1.3.5, 7.3.4.1) that ends in the middle of its match.
        let cut =
            [&[4, 14, 0, 56, 0, 0, 0, 3][..], &[0; 40], &[0, 1, 0, 64, 0x80, 0, 0, 4]].concat();
        assert!(!judged(&[HELLO, &cut]).is_empty());
    }
}
