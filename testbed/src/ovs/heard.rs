//! What hosts heard.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::LabError;
use crate::host::Frame;

/// All frames that came out at hosts' ports, in order, but for markers and LLDP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    frames: BTreeMap<String, Vec<Frame>>,
    lldp: BTreeMap<String, usize>,
}

impl Heard {
    /// Frames at one host, in the order they came.
    pub fn at(&self, host: &str) -> &[Frame] {
        self.frames.get(host).map_or(&[], Vec::as_slice)
    }

    /// Hosts that heard anything.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.frames.keys().map(String::as_str)
    }

    /// LLDP frames that came out at a host's port: a controller looks for trunks where no host is attached.
    pub fn lldp_at(&self, host: &str) -> usize {
        self.lldp.get(host).copied().unwrap_or(0)
    }

    /// Whether each of `hosts` heard `frame` exactly once, and nobody anything else.
    ///
    /// # Errors
    /// [`LabError::Wrong`] with who should have heard what, and who did.
    pub fn exactly(&self, frame: &Frame, hosts: &[&str]) -> Result<(), LabError> {
        self.exactly_all(&[(frame.clone(), hosts.to_vec())])
    }

    /// The same for several frames; their order at one host doesn't count.
    ///
    /// # Errors
    /// [`LabError::Wrong`] with who should have heard what, and who did.
    pub fn exactly_all(&self, expected: &[(Frame, Vec<&str>)]) -> Result<(), LabError> {
        let mut want = Self::default();
        for (frame, hosts) in expected {
            hosts.iter().for_each(|host| want.add(host, frame.clone()));
        }
        if want.sorted() == self.sorted() {
            return Ok(());
        }
        Err(LabError::Wrong(format!("expected\n{want}but heard was\n{self}")))
    }

    /// Notes one more frame.
    pub(super) fn add(&mut self, host: &str, frame: Frame) {
        self.frames.entry(host.to_owned()).or_default().push(frame);
    }

    /// Notes one more LLDP frame.
    pub(super) fn add_lldp(&mut self, host: &str) {
        *self.lldp.entry(host.to_owned()).or_default() += 1;
    }

    /// Adds what was heard later.
    pub(super) fn append(&mut self, later: Self) {
        later
            .frames
            .into_iter()
            .for_each(|(host, frames)| self.frames.entry(host).or_default().extend(frames));
        later
            .lldp
            .into_iter()
            .for_each(|(host, count)| *self.lldp.entry(host).or_default() += count);
    }

    fn sorted(&self) -> BTreeMap<&str, Vec<&Frame>> {
        self.frames
            .iter()
            .map(|(host, frames)| {
                let mut frames: Vec<&Frame> = frames.iter().collect();
                frames.sort();
                (host.as_str(), frames)
            })
            .collect()
    }
}

/// One line for each host and frame.
impl fmt::Display for Heard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frames.is_empty() {
            return writeln!(out, "  nothing");
        }
        for (host, frames) in &self.frames {
            for frame in frames {
                writeln!(out, "  {host}: {frame:?}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::BROADCAST;

    #[test]
    fn once_each_and_nobody_else_is_all_that_passes() {
        let frame = |id| Frame::probe(BROADCAST, [2, 0, 0, 0, 0, 1], id);
        type Case<'a> = (&'a str, &'a [(&'a str, u64)], bool);
        let cases: [Case<'_>; 6] = [
            ("both once", &[("a", 1), ("b", 1)], true),
            ("one twice", &[("a", 1), ("b", 1), ("b", 1)], false),
            ("one not", &[("a", 1)], false),
            ("a third", &[("a", 1), ("b", 1), ("c", 1)], false),
            ("another frame", &[("a", 1), ("b", 2)], false),
            ("none", &[], false),
        ];
        for (name, heard, want) in cases {
            let mut all = Heard::default();
            heard.iter().for_each(|(host, id)| all.add(host, frame(*id)));
            assert_eq!(all.exactly(&frame(1), &["b", "a"]).is_ok(), want, "{name}");
        }
    }
}
