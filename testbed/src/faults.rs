//! Control messages that are refused, delayed, doubled or lost.
//!
//! [`Faults`] stands between a controller and a switch. What it does to which message is planned or drawn from a
//! seed, so that a run can be repeated.

use std::collections::BTreeMap;

use openflow::{Body, ErrorCode, ErrorMsg, Message};

/// What happens to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives after so many later ones, at the latest before the next barrier: a switch may reorder between
    /// barriers, never across one (1.3.5, 6.1.1).
    Delay(usize),
    /// It never arrives; the switch answers with this error.
    Refuse(ErrorCode),
}

/// Chances, each in parts of 1,000, drawn for every message that nothing is planned for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chances {
    /// Of being lost.
    pub drop: u16,
    /// Of arriving twice.
    pub duplicate: u16,
    /// Of arriving late.
    pub delay: u16,
    /// Of being refused with `error`.
    pub refuse: u16,
    /// The error of refusals; `None` refuses nothing.
    pub error: Option<ErrorCode>,
}

/// The faults of one direction of one connection.
#[derive(Clone, Debug)]
pub struct Faults {
    planned: BTreeMap<u64, Fault>,
    chances: Chances,
    random: u64,
    seen: u64,
    /// Delayed messages, with how many more are to pass each.
    late: Vec<(usize, Message)>,
}

/// What becomes of a message.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Passed {
    /// What arrives now, in order.
    pub forward: Vec<Message>,
    /// What goes back to the sender.
    pub back: Vec<Message>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl Faults {
    /// None.
    pub fn new() -> Self {
        Self {
            planned: BTreeMap::new(),
            chances: Chances::default(),
            random: 1,
            seen: 0,
            late: Vec::new(),
        }
    }

    /// What is drawn for each message from `seed`; the same seed draws the same.
    pub fn random(seed: u64, chances: Chances) -> Self {
        // Xorshift never leaves 0.
        Self { chances, random: seed | 1 << 63, ..Self::new() }
    }

    /// Plans a fault for the nth message from now on, counted from 0.
    pub fn plan(&mut self, nth: u64, fault: Fault) -> &mut Self {
        self.planned.insert(self.seen + nth, fault);
        self
    }

    /// No more faults; what is late stays late until the next message.
    pub fn stop(&mut self) {
        self.planned.clear();
        self.chances = Chances::default();
    }

    /// A message passes.
    pub fn pass(&mut self, message: Message) -> Passed {
        let fault = self.planned.remove(&self.seen).or_else(|| self.draw());
        self.seen += 1;
        let mut passed = Passed::default();
        if matches!(message.body, Body::BarrierRequest) {
            passed.forward.extend(self.flush());
        }
        match fault {
            None => passed.forward.push(message),
            Some(Fault::Drop) => {}
            Some(Fault::Duplicate) => passed.forward.extend([message.clone(), message]),
            // A barrier can't be late without what is behind it.
            Some(Fault::Delay(_)) if matches!(message.body, Body::BarrierRequest) => {
                passed.forward.push(message)
            }
            Some(Fault::Delay(by)) => {
                self.late.push((by + 1, message));
            }
            Some(Fault::Refuse(code)) => {
                let quoted = message.encode().unwrap_or_default();
                passed.back.push(Message::new(message.xid, ErrorMsg::about(code, &quoted)));
            }
        }
        for (left, _) in &mut self.late {
            *left = left.saturating_sub(1);
        }
        let due = self.late.extract_if(.., |(left, _)| *left == 0);
        passed.forward.extend(due.map(|(_, message)| message));
        passed
    }

    /// What was still late, now.
    pub fn flush(&mut self) -> Vec<Message> {
        self.late.drain(..).map(|(_, message)| message).collect()
    }

    fn draw(&mut self) -> Option<Fault> {
        let Chances { drop, duplicate, delay, refuse, error } = self.chances;
        let number = (self.next_random() % 1_000) as u16;
        let mut above = 0;
        let mut falls = |chance: u16| {
            above += chance;
            number < above
        };
        if falls(drop) {
            Some(Fault::Drop)
        } else if falls(duplicate) {
            Some(Fault::Duplicate)
        } else if falls(delay) {
            Some(Fault::Delay(1 + (self.next_random() % 8) as usize))
        } else if falls(refuse) {
            error.map(Fault::Refuse)
        } else {
            None
        }
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}

#[cfg(test)]
mod tests {
    use openflow::FlowModFailed;

    use super::*;

    const FULL: ErrorCode = ErrorCode::FlowModFailed(FlowModFailed::TableFull);

    fn message(xid: u32) -> Message {
        Message::new(xid, Body::FeaturesRequest)
    }

    fn xids(messages: &[Message]) -> Vec<u32> {
        messages.iter().map(|message| message.xid).collect()
    }

    #[test]
    fn planned_faults_hit_the_messages_they_are_planned_for() {
        let mut faults = Faults::new();
        faults
            .plan(1, Fault::Drop)
            .plan(2, Fault::Duplicate)
            .plan(3, Fault::Delay(2))
            .plan(4, Fault::Refuse(FULL));
        let passed: Vec<_> = (0..8).map(|xid| faults.pass(message(xid))).collect();
        let forward: Vec<_> = passed.iter().map(|p| xids(&p.forward)).collect();
        assert_eq!(
            forward,
            [vec![0], vec![], vec![2, 2], vec![], vec![], vec![5, 3], vec![6], vec![7]]
        );
        assert_eq!(xids(&passed[4].back), [4]);
        assert!(matches!(&passed[4].back[0].body, Body::Error(error) if error.code == FULL));
    }

    #[test]
    fn nothing_is_delayed_past_a_barrier() {
        let mut faults = Faults::new();
        faults.plan(0, Fault::Delay(100));
        assert!(faults.pass(message(1)).forward.is_empty());
        let passed = faults.pass(Message::new(2, Body::BarrierRequest));
        assert_eq!(xids(&passed.forward), [1, 2]);
    }

    #[test]
    fn a_seed_repeats_a_run_and_chances_are_about_what_they_say() {
        let chances =
            Chances { drop: 100, duplicate: 100, delay: 100, refuse: 100, error: Some(FULL) };
        let run = |seed| {
            let mut faults = Faults::random(seed, chances);
            (0..2_000).map(|xid| faults.pass(message(xid))).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let refused = run(7).iter().filter(|p| !p.back.is_empty()).count();
        assert!((100..300).contains(&refused), "{refused}");
    }
}
