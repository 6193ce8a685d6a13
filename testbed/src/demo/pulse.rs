//! What came of pings at a steady pace.

use std::fmt;

use super::PACE;

/// Pings, in order, and whether each was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// By number: whether an answer came.
    pub answered: Vec<bool>,
    /// Answers that came more than once.
    pub twice: usize,
}

impl Pulse {
    /// From what `ping -O -n` wrote: answers carry `icmp_seq=N`, counted from 1. The last one, if it is
    /// still under way, isn't written of and doesn't count.
    pub fn of_ping(output: &str) -> Self {
        let mut pulse = Self::default();
        for line in output.lines() {
            let number = line.split("icmp_seq=").nth(1).and_then(|rest| rest.split(' ').next());
            let Some(number) = number.and_then(|it| it.parse::<usize>().ok()) else { continue };
            pulse.answered.resize(pulse.answered.len().max(number), false);
            let Some(answered) = number.checked_sub(1).and_then(|at| pulse.answered.get_mut(at))
            else {
                continue;
            };
            if line.contains("bytes from") {
                pulse.twice += usize::from(*answered);
                *answered = true;
            }
        }
        pulse
    }

    /// How many got no answer.
    pub fn lost(&self) -> usize {
        self.answered.iter().filter(|answered| !**answered).count()
    }

    /// The longest run without an answer.
    fn longest(&self) -> usize {
        self.answered.split(|answered| *answered).map(<[bool]>::len).max().unwrap_or(0)
    }
}

/// `140 sent, none lost`, `140 sent, 3 lost (60 ms)`
impl fmt::Display for Pulse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} sent, ", self.answered.len())?;
        match self.lost() {
            0 => write!(out, "none lost")?,
            lost => {
                let silence = PACE * u32::try_from(self.longest()).unwrap_or(u32::MAX);
                write!(out, "{lost} lost ({} ms of silence)", silence.as_millis())?;
            }
        }
        match self.twice {
            0 => Ok(()),
            twice => write!(out, ", {twice} answered twice"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ping_writes_is_counted() {
        let output = "PING 10.77.0.3 (10.77.0.3) 56(84) bytes of data.\n\
            64 bytes from 10.77.0.3: icmp_seq=1 ttl=64 time=0.6 ms\n\
            no answer yet for icmp_seq=2\n\
            no answer yet for icmp_seq=3\n\
            64 bytes from 10.77.0.3: icmp_seq=4 ttl=64 time=0.3 ms\n\
            64 bytes from 10.77.0.3: icmp_seq=4 ttl=64 time=0.4 ms (DUP!)\n";
        let pulse = Pulse::of_ping(output);
        assert_eq!(pulse, Pulse { answered: vec![true, false, false, true], twice: 1 });
        assert_eq!(pulse.to_string(), "4 sent, 2 lost (40 ms of silence), 1 answered twice");
        let first = output.lines().take(2).collect::<Vec<_>>().join("\n");
        assert_eq!(Pulse::of_ping(&first).to_string(), "1 sent, none lost");
    }
}
