//! Reads what a device sent from the capture that Open vSwitch writes.

use std::fs;
use std::path::PathBuf;

/// File header and record header of a capture (pcap, version 2.4).
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// A capture, and how far it was read.
#[derive(Debug)]
pub struct Pcap {
    path: PathBuf,
    read: usize,
}

impl Pcap {
    pub fn new(path: PathBuf) -> Self {
        Self { path, read: FILE_HEADER }
    }

    /// The frames since the last time.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let mut frames = Vec::new();
        while let Some(header) = bytes.get(self.read..self.read + RECORD_HEADER) {
            let length = u32::from_ne_bytes(header[8..12].try_into().unwrap()) as usize;
            let start = self.read + RECORD_HEADER;
            let Some(frame) = bytes.get(start..start + length) else { break };
            frames.push(frame.to_vec());
            self.read = start + length;
        }
        frames
    }
}
