//! Frames on their way between switches.

use super::Place;
use crate::frame::Frame;

/// Steps of one frame and its copies in all, before it counts as a storm. Copies can double at each switch without
/// any of them coming by the same place twice; a network of many switches needs a few steps for each.
const MOST_STEPS: usize = 20_000;

/// Frames that are under way, and where each has been.
#[derive(Debug)]
pub struct Transit {
    steps: Vec<Step>,
    /// Steps that are still to be carried out.
    waiting: Vec<usize>,
    random: u64,
    looped: bool,
}

/// A frame arrives somewhere.
#[derive(Debug)]
struct Step {
    place: Place,
    frame: Frame,
    /// The step that it came of.
    after: Option<usize>,
}

impl Transit {
    /// Nothing is under way. Seed 0: first in, first out.
    pub fn new(seed: u64) -> Self {
        Self { steps: Vec::new(), waiting: Vec::new(), random: seed, looped: false }
    }

    /// A frame, which came of a step, arrives. One that was here in the same form goes no further: it loops.
    pub fn arrives(&mut self, place: Place, frame: Frame, after: Option<usize>) {
        let mut ancestor = after;
        while let Some(step) = ancestor.and_then(|index| self.steps.get(index)) {
            if step.place == place && step.frame == frame {
                self.looped = true;
                return;
            }
            ancestor = step.after;
        }
        if self.steps.len() >= MOST_STEPS {
            self.looped = true;
            return;
        }
        self.waiting.push(self.steps.len());
        self.steps.push(Step { place, frame, after });
    }

    /// The next arrival, and the number of its step.
    pub fn next(&mut self) -> Option<(Place, Frame, usize)> {
        if self.waiting.is_empty() {
            return None;
        }
        let chosen = self.choose();
        let index = self.waiting.remove(chosen);
        let step = self.steps.get(index)?;
        Some((step.place, step.frame.clone(), index))
    }

    /// Whether some frame looped.
    pub fn looped(&self) -> bool {
        self.looped
    }

    fn choose(&mut self) -> usize {
        if self.random == 0 {
            return 0;
        }
        // Xorshift (Marsaglia 2003), good enough to mix orders.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % self.waiting.len() as u64) as usize
    }
}
