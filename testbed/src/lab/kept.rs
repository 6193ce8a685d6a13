//! A store that outlives its controller, in memory.

use std::sync::{Arc, Mutex, PoisonError};

use controller::intents::Record;
use controller::store::{Outcome, Store};
use tokio::sync::mpsc;

/// All that was ever stored, in order.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    records: Arc<Mutex<Vec<Record>>>,
}

impl Kept {
    /// The store as a controller opens it.
    pub fn open(&self) -> impl Store + use<> {
        let (told, outcomes) = mpsc::unbounded_channel();
        Opened { kept: self.clone(), told, outcomes: Some(outcomes) }
    }
}

struct Opened {
    kept: Kept,
    told: mpsc::UnboundedSender<Outcome>,
    outcomes: Option<mpsc::UnboundedReceiver<Outcome>>,
}

impl Store for Opened {
    fn load(&mut self) -> anyhow::Result<Vec<Record>> {
        Ok(self.kept.records.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn commit(&mut self, batch: u64, records: Arc<[Record]>) {
        let mut kept = self.kept.records.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(records.iter().cloned());
        // A controller that was stopped doesn't want to know.
        let _ = self.told.send(Outcome::Stored(batch));
    }

    fn note(&mut self, records: Arc<[Record]>) {
        let mut kept = self.kept.records.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(records.iter().cloned());
        let _ = self.told.send(Outcome::Noted(Ok(())));
    }

    fn resume(&mut self) {}

    fn outcomes(&mut self) -> mpsc::UnboundedReceiver<Outcome> {
        self.outcomes.take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}
