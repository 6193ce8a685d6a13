//! `isolane decode`: OpenFlow messages as hex, one a line, to JSON, one a line.
//!
//! Takes any bytes for any time: a line is held only as far as a message can
//! go, a bad one gives an error and the next one is read. An answer is written
//! out before more input is waited for, so that a peer may ask line by line.

use std::fmt;
use std::io::{self, BufRead, BufWriter, Write};

use bytes::Bytes;
use openflow::{Body, Header, Hex, Message};
use serde::{Serialize, Serializer};

/// Most bytes a message can have.
const MESSAGE_MAX: usize = u16::MAX as usize;

/// Answers each line of `input` with one line on `output`, until the input ends.
///
/// # Errors
/// If input can't be read or output can't be written; bad lines are no errors.
pub fn run(mut input: impl BufRead, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let mut line = Line::default();
    loop {
        // Nothing is left of what was read: the next read may wait, the answers must not.
        output.flush()?;
        let mut chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = chunk.len();
        if read == 0 {
            if line.length > 0 {
                answer(&mut line, &mut output)?;
            }
            return output.flush();
        }
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            line.take(&chunk[..end]);
            answer(&mut line, &mut output)?;
            chunk = &chunk[end + 1..];
        }
        line.take(chunk);
        input.consume(read);
    }
}

/// A line being read: its bytes, or what is wrong with it.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// The first half of a byte, and where it stands.
    half: Option<(u8, u64)>,
    /// Characters so far.
    length: u64,
    wrong: Option<Wrong>,
}

/// What makes a line no message, before OpenFlow is looked at. Bytes are those of the line.
#[derive(Clone, Copy)]
enum Wrong {
    Digit { found: u8, at: u64 },
    Half { at: u64 },
    TooLong { at: u64 },
    Empty,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Digit { found, at } => {
                write!(
                    f,
                    "'{}' at byte {at} of the line, expected a hex digit",
                    found.escape_ascii()
                )
            }
            Self::Half { at } => {
                write!(f, "half a byte at byte {at} of the line, expected two hex digits")
            }
            Self::TooLong { at } => {
                write!(
                    f,
                    "more than {MESSAGE_MAX} bytes, from byte {at} of the line on: no message is that long"
                )
            }
            Self::Empty => {
                write!(f, "an empty line, expected a message in hex at byte 0 of the line")
            }
        }
    }
}

impl Line {
    fn take(&mut self, text: &[u8]) {
        for digit in text {
            let at = self.length;
            self.length += 1;
            if self.wrong.is_some() {
                continue;
            }
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => continue,
                found => {
                    self.wrong = Some(Wrong::Digit { found: *found, at });
                    continue;
                }
            };
            match self.half.take() {
                None if self.bytes.len() == MESSAGE_MAX => self.wrong = Some(Wrong::TooLong { at }),
                None => self.half = Some((value, at)),
                Some((high, _)) => self.bytes.push(high << 4 | value),
            }
        }
    }

    /// The line's bytes, ready for the next line.
    fn finish(&mut self) -> Result<Bytes, Wrong> {
        let half = self.half.take().map(|(_, at)| Wrong::Half { at });
        let empty = self.bytes.is_empty().then_some(Wrong::Empty);
        let result = match self.wrong.take().or(half).or(empty) {
            Some(wrong) => Err(wrong),
            None => Ok(Bytes::copy_from_slice(&self.bytes)),
        };
        self.bytes.clear();
        self.length = 0;
        result
    }
}

/// What is said about a message.
#[derive(Serialize)]
struct Decoded<'a> {
    #[serde(rename = "type")]
    name: String,
    version: u8,
    xid: u32,
    len: usize,
    body: &'a Body,
    #[serde(serialize_with = "hex")]
    reencoded: Option<Bytes>,
    error: Option<String>,
}

/// What is said about a line that is no message.
#[derive(Serialize)]
struct Refused {
    #[serde(rename = "type")]
    name: Option<String>,
    error: String,
}

fn answer(line: &mut Line, output: &mut impl Write) -> io::Result<()> {
    match decode(line) {
        Ok((bytes, message)) => {
            let encoded = message.encode();
            let error = encoded.as_ref().err().map(ToString::to_string);
            let decoded = Decoded {
                name: message.body.name(),
                version: message.version(),
                xid: message.xid,
                len: bytes.len(),
                body: &message.body,
                reencoded: encoded.ok(),
                error,
            };
            serde_json::to_writer(&mut *output, &decoded)?;
        }
        Err(error) => serde_json::to_writer(&mut *output, &Refused { name: None, error })?,
    }
    output.write_all(b"\n")
}

fn decode(line: &mut Line) -> Result<(Bytes, Message), String> {
    let bytes = line.finish().map_err(|wrong| wrong.to_string())?;
    match Message::decode(bytes.clone()) {
        Ok(message) => Ok((bytes, message)),
        // The number, where the type has no name.
        Err(error) => Err(match Header::decode(&bytes) {
            Ok(header) => format!("{error} (version {}, xid {})", header.version, header.xid),
            Err(_) => error.to_string(),
        }),
    }
}

fn hex<S: Serializer>(bytes: &Option<Bytes>, out: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => out.collect_str(&Hex(bytes)),
        None => out.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::BufReader;
    use std::rc::Rc;

    use serde_json::{Value, json};

    use super::*;

    fn answers(input: &[u8]) -> Vec<Value> {
        let mut output = Vec::new();
        run(input, &mut output).unwrap();
        output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn a_message_is_told_and_encoded_again() {
        let role = "04 18 0018 00000007  00000002 00000000\t0000000000000009\r\n";
        assert_eq!(
            answers(role.as_bytes()),
            [json!({
                "type": "role_request",
                "version": 4,
                "xid": 7,
                "len": 24,
                "body": {"role": "master", "generation_id": 9},
                "reencoded": "041800180000000700000002000000000000000000000009",
                "error": null,
            })]
        );
        let answer = &answers(b"0412001000000001000D000000000000")[0];
        assert_eq!(answer["type"], "multipart_request.port_desc");
    }

    #[test]
    fn a_bad_line_gives_an_error_and_the_next_one_is_read() {
        let cases = [
            ("", "an empty line, expected a message in hex at byte 0 of the line"),
            (" \t", "an empty line, expected a message in hex at byte 0 of the line"),
            ("04 1g", "'g' at byte 4 of the line, expected a hex digit"),
            ("04\u{fc}", "'\\xc3' at byte 2 of the line, expected a hex digit"),
            ("041", "half a byte at byte 2 of the line, expected two hex digits"),
            ("0414", "header: length at byte 2: 2 bytes needed, 0 left"),
            (
                "0414000900000001",
                "barrier_request: length at byte 2: 9, but there are 8 bytes (version 4, xid 1)",
            ),
            (
                "041400080000000100",
                "barrier_request: length at byte 2: 8, but there are 9 bytes (version 4, xid 1)",
            ),
            (
                "0463000800000001",
                "message: type at byte 1: value 99, expected a message type, 0 to 29 (version 4, xid 1)",
            ),
            (
                "0114000800000001",
                "barrier_request: version at byte 0: value 1, expected 4, OpenFlow 1.3 (version 1, xid 1)",
            ),
        ];
        for (line, error) in cases {
            let got = answers(format!("{line}\n0414000800000001\n").as_bytes());
            assert_eq!(got.len(), 2, "{line:?}");
            assert_eq!(got[0], json!({"type": null, "error": error}), "{line:?}");
            assert_eq!(got[1]["type"], "barrier_request", "{line:?}");
        }
    }

    #[test]
    fn a_line_can_be_as_long_as_a_message_and_no_longer() {
        let echo = |length: usize| {
            let mut line = format!("0402{:04x}00000001", length.min(0xffff)).into_bytes();
            line.resize(2 * length, b'0');
            line
        };
        let longest = &answers(&echo(0xffff))[0];
        assert_eq!((&longest["len"], &longest["error"]), (&json!(0xffff), &Value::Null));
        let longer = &answers(&echo(0x10000))[0];
        assert_eq!(longer["type"], Value::Null);
        assert!(
            longer["error"].as_str().unwrap().contains("from byte 131070 of the line on"),
            "{longer}"
        );
    }

    #[test]
    fn the_last_line_needs_no_end_but_an_empty_one_after_it_is_none() {
        assert_eq!(answers(b"0414000800000001").len(), 1);
        assert_eq!(answers(b"0414000800000001\n").len(), 1);
        assert_eq!(answers(b"").len(), 0);
        assert_eq!(answers(b"\n").len(), 1);
    }

    /// What `docs/decode.md` shows is what is answered.
    #[test]
    fn the_documentation_tells_the_truth() {
        let text = include_str!("../../docs/decode.md");
        let shown = text.split("$ isolane decode\n").nth(1).unwrap().split("```").next().unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        for pair in lines.chunks(2) {
            let answer: Value = serde_json::from_str(pair[1]).unwrap();
            assert_eq!(answers(pair[0].as_bytes()), [answer], "{}", pair[0]);
        }
        assert_eq!(lines.len(), 6);
    }

    /// 64 bits are written out: no digit is lost on the way to a reader that takes them.
    #[test]
    fn large_numbers_are_exact() {
        let role = b"041800180000000700000002000000000123456789abcdef";
        let mut output = Vec::new();
        run(&role[..], &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(text.contains(r#""generation_id":81985529216486895}"#), "{text}");
    }

    /// Gives a line only when the answers to all before it have come out.
    struct Peer {
        given: usize,
        lines: usize,
        output: Rc<RefCell<Vec<u8>>>,
    }

    impl io::Read for Peer {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let answered = self.output.borrow().iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(
                answered, self.given,
                "a line was asked for before the answer to the last one"
            );
            if self.given == self.lines {
                return Ok(0);
            }
            self.given += 1;
            let line = b"0414000800000001\n";
            buffer[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }

    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_is_out_before_the_next_line_is_asked_for() {
        let output = Rc::new(RefCell::new(Vec::new()));
        let peer = Peer { given: 0, lines: 3, output: output.clone() };
        run(BufReader::new(peer), Shared(output.clone())).unwrap();
        assert_eq!(output.borrow().iter().filter(|byte| **byte == b'\n').count(), 3);
    }
}
