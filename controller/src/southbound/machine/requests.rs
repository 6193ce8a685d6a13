//! What was asked of a switch and not answered yet, found again by xid.
//!
//! ```text
//! apply(token, [[a, b], [], [c]])   xid  10  11  12       13  14
//!                                        a   b   barrier  c   barrier
//! ```
//!
//! One apply has consecutive xids, and xids only grow, so the applies under
//! way are in the order of their xids: an error names its request, and the
//! last barrier's reply ends the apply.

use std::collections::VecDeque;
use std::time::Instant;

use openflow::{Body, ErrorCode, Message};

use super::super::event::{ApplyFailure, RequestError};

/// Applies under way, oldest first.
#[derive(Default)]
pub(super) struct Requests {
    applies: VecDeque<Apply>,
    messages: usize,
    /// When the switch last answered a barrier that was due, or had none to answer.
    progress: Option<Instant>,
}

struct Apply {
    token: u64,
    first: u32,
    length: u32,
    /// Of its requests so many are confirmed by a barrier.
    reached: u32,
    /// For each step its number, and how many requests it has; empty steps are left out.
    steps: Vec<(u32, u32)>,
    errors: Vec<RequestError>,
    total: usize,
}

/// An apply whose last barrier was answered.
#[derive(Debug, PartialEq)]
pub(super) struct Applied {
    pub token: u64,
    pub result: Result<(), ApplyFailure>,
}

/// Which request an xid belongs to.
struct Found {
    apply: usize,
    step: u32,
    index: u32,
    /// It is the barrier behind the step.
    barrier: bool,
    /// It is the very last one.
    last: bool,
}

impl Requests {
    /// Messages on their way that a barrier will confirm.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// Since when the switch owes a barrier reply, without any progress.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        if self.applies.is_empty() { None } else { self.progress }
    }

    /// The messages of an apply, with xids that `xid` gives one after the other.
    pub(super) fn apply(
        &mut self,
        token: u64,
        steps: Vec<Vec<Body>>,
        mut xid: impl FnMut() -> u32,
        now: Instant,
        mut send: impl FnMut(Message),
    ) {
        let mut first = None;
        let mut length = 0;
        let mut push = |body| {
            let xid = xid();
            first.get_or_insert(xid);
            length += 1;
            send(Message::new(xid, body));
        };
        let mut shape = Vec::with_capacity(steps.len().max(1));
        let last = steps.len().saturating_sub(1);
        for (number, step) in steps.into_iter().enumerate() {
            // Without anything to wait for, a barrier is needed only for its reply.
            if step.is_empty() && !(number == last && shape.is_empty()) {
                continue;
            }
            shape.push((number as u32, step.len() as u32));
            step.into_iter().for_each(&mut push);
            push(Body::BarrierRequest);
        }
        if shape.is_empty() {
            shape.push((0, 0));
            push(Body::BarrierRequest);
        }
        if self.applies.is_empty() {
            self.progress = Some(now);
        }
        self.messages += length as usize;
        let first = first.unwrap_or_default();
        self.applies.push_back(Apply {
            token,
            first,
            length,
            reached: 0,
            steps: shape,
            errors: Vec::new(),
            total: 0,
        });
    }

    /// A barrier was answered. `Err` if nobody asked for it.
    pub(super) fn barrier(&mut self, xid: u32, now: Instant) -> Result<Option<Applied>, ()> {
        let found = self.find(xid).filter(|found| found.barrier).ok_or(())?;
        let apply = self.applies.get_mut(found.apply).ok_or(())?;
        // A reply that is only repeated is none.
        let until = xid.wrapping_sub(apply.first) + 1;
        if until > apply.reached {
            apply.reached = until;
            self.progress = Some(now);
        }
        Ok(if found.last { self.end(found.apply) } else { None })
    }

    /// A request, or a barrier, was refused. `Err` if nobody waits for it; a
    /// refused last barrier ends its apply.
    pub(super) fn refused(
        &mut self,
        xid: u32,
        code: ErrorCode,
        text: Option<String>,
    ) -> Result<Option<Applied>, ()> {
        let found = self.find(xid).ok_or(())?;
        let apply = self.applies.get_mut(found.apply).ok_or(())?;
        apply.total += 1;
        if apply.errors.len() < ApplyFailure::TOLD {
            let type_name = code.type_name().unwrap_or("unknown type");
            let (step, index) = (found.step as usize, found.index as usize);
            apply.errors.push(RequestError { step, index, code, type_name, text });
        }
        Ok(if found.last { self.end(found.apply) } else { None })
    }

    fn end(&mut self, apply: usize) -> Option<Applied> {
        let Apply { token, length, errors, total, .. } = self.applies.remove(apply)?;
        self.messages = self.messages.saturating_sub(length as usize);
        let result = if total == 0 { Ok(()) } else { Err(ApplyFailure { errors, total }) };
        Some(Applied { token, result })
    }

    fn find(&self, xid: u32) -> Option<Found> {
        let origin = self.applies.front()?.first;
        let distance = xid.wrapping_sub(origin);
        let behind =
            self.applies.partition_point(|apply| apply.first.wrapping_sub(origin) <= distance);
        let at = behind.checked_sub(1)?;
        let apply = self.applies.get(at)?;
        let mut offset = xid.wrapping_sub(apply.first);
        if offset >= apply.length {
            return None;
        }
        let last = offset == apply.length - 1;
        for (step, requests) in &apply.steps {
            if offset <= *requests {
                return Some(Found {
                    apply: at,
                    step: *step,
                    index: offset,
                    barrier: offset == *requests,
                    last,
                });
            }
            offset -= requests + 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use openflow::{FlowMod, FlowModFailed};

    use super::*;

    fn flow() -> Body {
        Body::FlowMod(FlowMod::add(0))
    }

    fn begin(
        requests: &mut Requests,
        next: &mut u32,
        token: u64,
        steps: Vec<Vec<Body>>,
    ) -> Vec<(u32, bool)> {
        let mut sent = Vec::new();
        let xid = || {
            let xid = *next;
            *next = next.wrapping_add(1);
            xid
        };
        let send =
            |message: Message| sent.push((message.xid, message.body == Body::BarrierRequest));
        requests.apply(token, steps, xid, Instant::now(), send);
        sent
    }

    #[test]
    fn every_shape_of_steps_ends_with_one_barrier() {
        type Case = (&'static str, Vec<Vec<Body>>, &'static [bool]);
        let cases: [Case; 6] = [
            ("no steps", vec![], &[true]),
            ("one empty step", vec![vec![]], &[true]),
            ("two empty steps", vec![vec![], vec![]], &[true]),
            ("one step", vec![vec![flow()]], &[false, true]),
            (
                "a gap",
                vec![vec![flow(), flow()], vec![], vec![flow()]],
                &[false, false, true, false, true],
            ),
            ("an empty end", vec![vec![flow()], vec![]], &[false, true]),
        ];
        for (name, steps, want) in cases {
            let mut requests = Requests::default();
            // Xids wrap around in the middle of some.
            let sent = begin(&mut requests, &mut (u32::MAX - 1), 5, steps);
            let barriers: Vec<_> = sent.iter().map(|(_, barrier)| *barrier).collect();
            assert_eq!(barriers, want, "{name}");
            let mut ends = Vec::new();
            for (xid, barrier) in sent {
                assert_eq!(
                    requests.barrier(xid, Instant::now()).is_ok(),
                    barrier || ends.len() > 1,
                    "{name} {xid}"
                );
                if requests.applies.is_empty() && ends.is_empty() {
                    ends.push(xid);
                }
            }
            assert_eq!(ends.len(), 1, "{name}");
            assert_eq!(requests.messages(), 0, "{name}");
        }
    }

    #[test]
    fn an_error_finds_its_request_among_many() {
        let mut requests = Requests::default();
        let mut next = u32::MAX - 7;
        let mut all = Vec::new();
        for token in 0..5 {
            all.push(begin(
                &mut requests,
                &mut next,
                token,
                vec![vec![flow(), flow()], vec![], vec![flow()]],
            ));
            next = next.wrapping_add(3); // echoes and reads in between
        }
        let code = ErrorCode::FlowModFailed(FlowModFailed::TableFull);
        assert_eq!(requests.refused(all[3][3].0, code, None), Ok(None));
        assert_eq!(requests.refused(all[1][1].0, code, None), Ok(None));
        assert_eq!(
            requests.refused(all[4][4].0.wrapping_add(1), code, None),
            Err(()),
            "xids in between are nobody's"
        );
        for (token, sent) in all.iter().enumerate() {
            assert_eq!(requests.barrier(sent[2].0, Instant::now()), Ok(None));
            let applied = requests.barrier(sent[4].0, Instant::now()).unwrap().unwrap();
            assert_eq!(applied.token, token as u64);
            let places: Vec<_> = match &applied.result {
                Ok(()) => Vec::new(),
                Err(failure) => {
                    failure.errors.iter().map(|error| (error.step, error.index)).collect()
                }
            };
            let want: &[(usize, usize)] = match token {
                1 => &[(0, 1)],
                3 => &[(2, 0)],
                _ => &[],
            };
            assert_eq!(places, want, "{token}");
        }
        assert_eq!(requests.barrier(all[0][4].0, Instant::now()), Err(()), "answered already");
    }

    /// A peer that answered the xid before the first brought an overflow about.
    #[test]
    fn xids_all_around_those_under_way_are_nobodys() {
        let mut requests = Requests::default();
        let sent = begin(&mut requests, &mut 1, 1, vec![vec![flow()]]);
        for xid in [0, 3, u32::MAX, 1 << 31, (1 << 31) + 1] {
            assert_eq!(requests.barrier(xid, Instant::now()), Err(()), "{xid}");
        }
        assert!(matches!(requests.barrier(sent[1].0, Instant::now()), Ok(Some(_))));
    }

    #[test]
    fn errors_beyond_the_bound_are_counted() {
        let mut requests = Requests::default();
        let mut next = 1;
        let sent = begin(&mut requests, &mut next, 1, vec![(0..500).map(|_| flow()).collect()]);
        let code = ErrorCode::FlowModFailed(FlowModFailed::TableFull);
        for (xid, _) in &sent[..500] {
            assert_eq!(requests.refused(*xid, code, None), Ok(None));
        }
        let failure =
            requests.barrier(sent[500].0, Instant::now()).unwrap().unwrap().result.unwrap_err();
        assert_eq!((failure.errors.len(), failure.total), (ApplyFailure::TOLD, 500));
    }
}
