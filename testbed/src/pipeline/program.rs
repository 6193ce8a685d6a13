//! Lists of instructions, each distinct one kept once.

use std::collections::HashSet;
use std::sync::Arc;

use openflow::Instruction;

use super::Program;

/// All lists in use. Many flows do the same ("to port 7"), and a list takes far more room than a flow.
#[derive(Debug, Default)]
pub struct Programs {
    known: HashSet<Program>,
    /// How many lists there may be before those without a flow are thrown out.
    sweep_at: usize,
}

/// Below so many, sweeping isn't worth it.
const FEW: usize = 1024;

impl Programs {
    /// The shared list that equals this one.
    pub fn intern(&mut self, instructions: Vec<Instruction>) -> Program {
        if let Some(known) = self.known.get(&instructions[..]) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|program| Arc::strong_count(program) > 1);
            self.sweep_at = (self.known.len() * 2).max(FEW);
        }
        let program: Program = instructions.into();
        self.known.insert(Arc::clone(&program));
        program
    }
}
