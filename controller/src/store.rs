//! What must survive the process.

use tokio::sync::oneshot;

use crate::intents::Record;

/// Keeps desired state.
pub trait Store: Send {
    /// All records, in an order in which they can be applied.
    ///
    /// # Errors
    /// When what is kept can't be read; the text says what is wrong with it.
    fn load(&mut self) -> anyhow::Result<Vec<Record>>;

    /// Takes a batch, all or nothing, and answers once it is durable. Batches
    /// become durable in the order in which they were given.
    fn commit(&mut self, records: &[Record]) -> Committed;
}

/// Resolves once a batch is durable; to an error if it never will be.
pub type Committed = oneshot::Receiver<Result<(), String>>;

/// Keeps nothing beyond the process.
#[derive(Debug, Default)]
pub struct Memory;

impl Store for Memory {
    fn load(&mut self) -> anyhow::Result<Vec<Record>> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _: &[Record]) -> Committed {
        let (done, committed) = oneshot::channel();
        // The receiver is right here.
        let _ = done.send(Ok(()));
        committed
    }
}
