//! Flows run out (1.3.5, 5.5).

use std::time::Duration;

use openflow::FlowRemovedReason;

use super::{Datapath, Output};
use crate::pipeline::Flow;
use crate::pipeline::tuples::Pattern;
use openflow::TableId;

impl Datapath {
    /// Lets time pass: flows whose timeout has come go. Time never goes back; an earlier `now` counts as the last one.
    #[must_use]
    pub fn advance(&mut self, now: Duration) -> Vec<Output> {
        self.now = self.now.max(now);
        let mut out = Vec::new();
        let nanos = self.now.as_nanos() as u64;
        while self.expiry_due.is_some_and(|due| due <= nanos) {
            self.expire(nanos, &mut out);
        }
        out
    }

    /// When a flow may next run out. There may be none then: a frame that keeps a flow isn't looked after at once.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.expiry_due.map(Duration::from_nanos)
    }

    /// All flows that run out without traffic do so now, as after a long silence.
    #[must_use]
    pub fn fall_silent(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        for number in 0..self.pipeline.tables.len() {
            let Some(table) = self.pipeline.tables.get_mut(number) else { continue };
            let gone = table.flows.extract(&Pattern::default(), |_, flow| flow.idle_timeout != 0);
            for (priority, pattern, flow) in gone {
                self.count_groups(&flow, -1);
                let gone = vec![(TableId(number as u8), priority, pattern, flow)];
                self.tell_gone(self.now, FlowRemovedReason::IdleTimeout, gone, &mut out);
            }
        }
        out
    }

    /// A new flow may run out before all others.
    pub(super) fn expect_expiry(&mut self, flow: &Flow) {
        self.expiry_due = [self.expiry_due, due(flow)].into_iter().flatten().min();
    }

    fn expire(&mut self, now: u64, out: &mut Vec<Output>) {
        let mut next = None;
        for number in 0..self.pipeline.tables.len() {
            let Some(table) =
                self.pipeline.tables.get_mut(number).filter(|table| !table.flows.is_empty())
            else {
                continue;
            };
            let gone = table.flows.extract(&Pattern::default(), |_, flow| match due(flow) {
                Some(due) if due <= now => true,
                other => {
                    next = [next, other].into_iter().flatten().min();
                    false
                }
            });
            for (priority, pattern, flow) in gone {
                let hard = hard_due(&flow).is_some_and(|due| due <= now);
                let reason = if hard {
                    FlowRemovedReason::HardTimeout
                } else {
                    FlowRemovedReason::IdleTimeout
                };
                self.count_groups(&flow, -1);
                let gone = vec![(TableId(number as u8), priority, pattern, flow)];
                self.tell_gone(Duration::from_nanos(now), reason, gone, out);
            }
        }
        self.expiry_due = next;
    }
}

fn due(flow: &Flow) -> Option<u64> {
    let idle = (flow.idle_timeout != 0).then(|| flow.used + seconds(flow.idle_timeout));
    [idle, hard_due(flow)].into_iter().flatten().min()
}

fn hard_due(flow: &Flow) -> Option<u64> {
    (flow.hard_timeout != 0).then(|| flow.added + seconds(flow.hard_timeout))
}

fn seconds(seconds: u16) -> u64 {
    u64::from(seconds) * 1_000_000_000
}
