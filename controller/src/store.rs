//! What must survive the process.
//!
//! ```text
//! engine ──batches──► Disk ──► writer thread: all that wait, one transaction, one sync ──► isolane.redb
//!        ◄─outcomes──                                                                       isolane.lock
//! ```
//!
//! The engine gives batches and goes on; outcomes come back in the order of
//! the batches. A batch takes effect only once it is stored, so one that
//! can't be stored never happened. `format` says how records are written,
//! `file` keeps them in redb, `disk` is the thread, `lock` keeps others out.

pub mod disk;
pub mod facts;
pub mod file;
pub mod format;
mod held;
pub mod lock;
pub mod medium;
pub mod migrations;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::intents::Record;

pub use disk::Disk;

/// Keeps desired state, and what is worth knowing of the world.
pub trait Store: Send {
    /// All records, in an order in which they can be applied. Called once,
    /// before the first batch.
    ///
    /// # Errors
    /// When what is kept can't be read; the text says what is wrong with it.
    fn load(&mut self) -> anyhow::Result<Vec<Record>>;

    /// Takes a batch, all or nothing. Batches are numbered upwards, and become
    /// durable in this order.
    fn commit(&mut self, batch: u64, records: Arc<[Record]>);

    /// Takes what is only knowledge of the world, all or nothing. It is stored
    /// in order with batches, but is no part of them: if it fails, nothing else
    /// does.
    fn note(&mut self, records: Arc<[Record]>);

    /// The engine has dropped everything that came after the batch that
    /// failed: batches from here on count again.
    fn resume(&mut self);

    /// Where outcomes come from, the first time this is called.
    fn outcomes(&mut self) -> mpsc::UnboundedReceiver<Outcome>;
}

/// What became of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All batches up to this one are durable.
    Stored(u64),
    /// The batches after the last [`Outcome::Stored`] will never be durable,
    /// and none that is given before [`Store::resume`].
    Failed(String),
    /// What became of the oldest note of which nothing was told yet.
    Noted(Result<(), String>),
}

/// Keeps nothing beyond the process.
#[derive(Debug)]
pub struct Memory {
    told: mpsc::UnboundedSender<Outcome>,
    outcomes: Option<mpsc::UnboundedReceiver<Outcome>>,
}

impl Default for Memory {
    fn default() -> Self {
        let (told, outcomes) = mpsc::unbounded_channel();
        Self { told, outcomes: Some(outcomes) }
    }
}

impl Store for Memory {
    fn load(&mut self) -> anyhow::Result<Vec<Record>> {
        Ok(Vec::new())
    }

    fn commit(&mut self, batch: u64, _: Arc<[Record]>) {
        // Nobody listens any more at the end.
        let _ = self.told.send(Outcome::Stored(batch));
    }

    fn note(&mut self, _: Arc<[Record]>) {
        let _ = self.told.send(Outcome::Noted(Ok(())));
    }

    fn resume(&mut self) {}

    fn outcomes(&mut self) -> mpsc::UnboundedReceiver<Outcome> {
        self.outcomes.take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

#[cfg(test)]
mod tests;
