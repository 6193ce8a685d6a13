//! `isolane decode` may be fed for ever: what it holds doesn't grow with what it has read.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

// Only the command's own part, so that nothing else allocates.
#[path = "../src/decode.rs"]
mod decode;

use std::io::{self, BufReader, Read};

/// The same lines again and again.
struct Lines {
    text: Vec<u8>,
    at: usize,
    left: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let count = buffer.len().min(self.text.len() - self.at);
        buffer[..count].copy_from_slice(&self.text[self.at..self.at + count]);
        self.at = (self.at + count) % self.text.len();
        self.left -= usize::from(self.at == 0);
        Ok(count)
    }
}

/// Most bytes held at once while `rounds` times a barrier, a role request, a port and two bad lines are answered.
fn held(rounds: usize) -> u64 {
    let port = format!("04130050000000010 00d 0000 00000000 {}", "0a".repeat(64));
    let text = format!(
        "0414000800000001\n0418001800000007000000020000000000000000000000 09\n{port}\n\nnot hex\n{}\n",
        "00".repeat(70_000)
    );
    let input = Lines { text: text.into_bytes(), at: 0, left: rounds };
    let mut lines = Counter(0);
    let info =
        allocation_counter::measure(|| decode::run(BufReader::new(input), &mut lines).unwrap());
    assert_eq!(lines.0, 6 * rounds, "one answer a line");
    info.bytes_max
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.iter().filter(|byte| **byte == b'\n').count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_held_does_not_grow_with_what_was_read() {
    held(1); // the codec keeps a buffer for each thread
    let few = held(2);
    assert_eq!(held(200), few);
    assert!(few < 1 << 20, "{few} bytes");
}
