//! How far a change has come, and how long its caller waits for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::SwitchRef;

/// How far an object has come on the switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every switch concerned has confirmed it.
    Installed,
    /// It is stored, and waits for a switch or a port.
    Pending,
    /// It is stored, and an older reference turned out to mean the same port.
    Conflict,
    /// It is stored, and a switch or a tag space has no room for it.
    Degraded,
}

/// What one switch is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SwitchReason {
    /// The switch, by name where it has one.
    pub switch: SwitchRef,
    /// Why it has not confirmed yet, as a sentence without full stop.
    pub reason: String,
}

/// What became of an object that somebody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It didn't exist before.
    Created,
    /// It existed and was different.
    Updated,
    /// It existed and is as it was.
    Unchanged,
    /// It existed and is gone.
    Deleted,
}

/// Whether the switches that a change touched have confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// All of them have, or it touched none.
    Installed,
    /// The change is durable, but these switches have not confirmed it: they
    /// are away or unknown, or the caller didn't wait for them long enough, or
    /// at all. Empty where what is missing is not a switch; the object's own
    /// `reason` says then what it is.
    Pending(Vec<SwitchReason>),
}

/// A durable change: what it did, how far it has come, and the object now.
///
/// The router answers 201 or 200 where it is installed and 202 where it is
/// pending, and puts the reasons into the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// What became of the object.
    pub change: Change,
    /// Whether the switches have confirmed.
    pub ack: Ack,
    /// The object as it is now.
    pub now: T,
}

impl<T: Acknowledge> Changed<T> {
    /// The HTTP status, and the object with what it still waits for: 202 while
    /// it waits, else 201 for what is new and 200 for the rest.
    pub fn answer(self) -> (u16, T) {
        let Self { change, ack, mut now } = self;
        let status = match (&ack, change) {
            (Ack::Pending(_), _) => 202,
            (Ack::Installed, Change::Created) => 201,
            (Ack::Installed, _) => 200,
        };
        now.acknowledge(ack);
        (status, now)
    }
}

/// The answer to a removal that waits for a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// `pending`.
    pub state: State,
    /// The reasons in one sentence.
    pub reason: Option<String>,
    /// What each switch is waited for.
    pub reasons: Vec<SwitchReason>,
}

/// How long a caller waits for a change. Nothing is answered before the change
/// is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it is durable.
    Stored,
    /// Until the barrier of every connected switch that it touched, or until
    /// `timeout` has passed. What is held back behind a switch that is away is
    /// not waited for.
    Installed {
        /// 0 to [`Wait::MAX_TIMEOUT`].
        timeout: Duration,
    },
}

impl Wait {
    /// The longest time that a caller may wait.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(300);
    /// How long a caller waits who says nothing.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
}

impl Default for Wait {
    fn default() -> Self {
        Self::Installed { timeout: Self::DEFAULT_TIMEOUT }
    }
}

/// The reasons of several switches in one sentence; `None` if there are none.
pub(crate) fn sentence(reasons: &[SwitchReason]) -> Option<String> {
    const SHOWN: usize = 3;
    let mut parts: Vec<String> = reasons
        .iter()
        .take(SHOWN)
        .map(|SwitchReason { switch, reason }| {
            // Many a reason names its switch itself.
            if reason.contains(&format!("switch {switch}")) {
                reason.clone()
            } else {
                format!("{switch}: {reason}")
            }
        })
        .collect();
    if parts.is_empty() {
        return None;
    }
    if reasons.len() > SHOWN {
        parts.push(format!("and {} more", reasons.len() - SHOWN));
    }
    Some(parts.join("; "))
}

/// An object that can say what its change still waits for.
pub trait Acknowledge {
    /// Makes the object say it.
    fn acknowledge(&mut self, ack: Ack);
}

/// Adds what a change waits for to what an object says of itself.
pub(crate) fn merge(
    waiting: Vec<SwitchReason>,
    state: &mut State,
    reason: &mut Option<String>,
    reasons: &mut Vec<SwitchReason>,
) {
    if *state == State::Installed {
        *state = State::Pending;
    }
    for new in waiting {
        if !reasons.contains(&new) {
            reasons.push(new);
        }
    }
    if reason.is_none() {
        *reason = sentence(reasons);
    }
}

/// Implements [`Acknowledge`] for a struct with a state and its reasons.
macro_rules! acknowledge {
    ($type:ty) => {
        impl crate::types::state::Acknowledge for $type {
            fn acknowledge(&mut self, ack: crate::types::Ack) {
                if let crate::types::Ack::Pending(waiting) = ack {
                    crate::types::state::merge(
                        waiting,
                        &mut self.state,
                        &mut self.reason,
                        &mut self.reasons,
                    );
                }
            }
        }
    };
}

pub(crate) use acknowledge;

acknowledge!(Pending);

impl Pending {
    /// The answer to a removal that these switches have not confirmed.
    pub fn new(reasons: Vec<SwitchReason>) -> Self {
        Self { state: State::Pending, reason: sentence(&reasons), reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(switch: &str) -> SwitchReason {
        SwitchReason { switch: switch.parse().unwrap(), reason: "away".to_owned() }
    }

    fn object(state: State) -> Pending {
        Pending { state, reason: None, reasons: Vec::new() }
    }

    #[test]
    fn a_change_is_202_exactly_while_it_waits() {
        let waiting = Ack::Pending(vec![away("s1")]);
        let cases = [
            (Change::Created, Ack::Installed, 201, State::Installed),
            (Change::Updated, Ack::Installed, 200, State::Installed),
            (Change::Unchanged, Ack::Installed, 200, State::Installed),
            (Change::Created, waiting.clone(), 202, State::Pending),
            (Change::Unchanged, Ack::Pending(Vec::new()), 202, State::Pending),
        ];
        for (change, ack, status, state) in cases {
            let row = format!("{change:?} {ack:?}");
            let (got, now) = Changed { change, ack, now: object(State::Installed) }.answer();
            assert_eq!((got, now.state), (status, state), "{row}");
        }
        let conflict =
            Changed { change: Change::Created, ack: waiting, now: object(State::Conflict) };
        assert_eq!(conflict.answer().1.state, State::Conflict);
    }

    #[test]
    fn each_reason_is_said_once_and_long_lists_are_cut() {
        let mut now = object(State::Installed);
        now.acknowledge(Ack::Pending(vec![away("s1"), away("s1"), away("s2")]));
        assert_eq!(now.reasons, [away("s1"), away("s2")]);
        assert_eq!(now.reason.as_deref(), Some("s1: away; s2: away"));
        let five: Vec<_> = (1..=5).map(|n| away(&format!("s{n}"))).collect();
        assert_eq!(sentence(&five).unwrap(), "s1: away; s2: away; s3: away; and 2 more");
        let named =
            SwitchReason { switch: "s1".parse().unwrap(), reason: "switch s1 is away".to_owned() };
        assert_eq!(sentence(&[named]).unwrap(), "switch s1 is away");
    }
}
