//! The store on disk, and the thread that writes it.
//!
//! Group commit: while one transaction is being synced, batches gather; all
//! that are there when it is done go into the next. So many clients share one
//! sync, and one client alone waits for one.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::file::StoreFile;
use super::format;
use super::lock::Lock;
use super::medium::{Folder, Medium};
use super::{Outcome, Store};
use crate::intents::Record;

/// Records of one transaction, about: a larger one delays who waits.
const MOST: usize = 16 * 1024;

/// Keeps records in a file.
pub struct Disk {
    loaded: Vec<Record>,
    commands: Option<std_mpsc::Sender<Command>>,
    outcomes: Option<mpsc::UnboundedReceiver<Outcome>>,
    writer: Option<JoinHandle<()>>,
}

enum Command {
    Commit(u64, Arc<[Record]>),
    Note(Arc<[Record]>),
    Resume,
}

impl Disk {
    /// The store in a data folder, which is made if it isn't there.
    ///
    /// # Errors
    /// When another process has the folder, the file is damaged or of a newer
    /// version, or either can't be read and written; the text says what to do.
    pub fn open(folder: &Path) -> Result<Self> {
        make(folder).with_context(|| format!("can't make the data folder {}", folder.display()))?;
        let lock = Lock::take(folder)?;
        let at_least =
            lock.stored().with_context(|| format!("can't read {}", lock.path().display()))?;
        let file = StoreFile::open(Folder::new(folder), at_least)?;
        lock.say(Some(file.stored()))
            .with_context(|| format!("can't write {}", lock.path().display()))?;
        Self::start(file, Some(lock))
    }

    /// The store on a medium of which nobody else knows.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on<M: Medium>(medium: M) -> Result<Self> {
        Self::start(StoreFile::open(medium, None)?, None)
    }

    fn start<M: Medium>(mut file: StoreFile<M>, lock: Option<Lock>) -> Result<Self> {
        let loaded = file.records()?;
        file.keep()?;
        let (commands, commanded) = std_mpsc::channel();
        let (told, outcomes) = mpsc::unbounded_channel();
        let writer = Writer { file, lock, commanded, told, failed: false, left: None };
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .context("can't start the store's thread")?;
        Ok(Self {
            loaded,
            commands: Some(commands),
            outcomes: Some(outcomes),
            writer: Some(writer),
        })
    }

    fn send(&self, command: Command) {
        // Without a thread no outcome comes, and the engine says so.
        if let Some(commands) = &self.commands {
            let _ = commands.send(command);
        }
    }
}

impl Store for Disk {
    fn load(&mut self) -> Result<Vec<Record>> {
        Ok(std::mem::take(&mut self.loaded))
    }

    fn commit(&mut self, batch: u64, records: Arc<[Record]>) {
        self.send(Command::Commit(batch, records));
    }

    fn note(&mut self, records: Arc<[Record]>) {
        self.send(Command::Note(records));
    }

    fn resume(&mut self) {
        self.send(Command::Resume);
    }

    fn outcomes(&mut self) -> mpsc::UnboundedReceiver<Outcome> {
        self.outcomes.take().unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}

/// What was given is stored, then the file is closed.
impl Drop for Disk {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            error!("the store's thread failed");
        }
    }
}

fn make(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

struct Writer<M> {
    file: StoreFile<M>,
    lock: Option<Lock>,
    commanded: std_mpsc::Receiver<Command>,
    told: mpsc::UnboundedSender<Outcome>,
    /// A batch failed, and the engine doesn't know yet.
    failed: bool,
    /// A command that was taken and belongs to the next transaction.
    left: Option<Command>,
}

impl<M: Medium> Writer<M> {
    fn run(mut self) {
        while let Some(command) = self.next() {
            match command {
                Command::Resume => self.failed = false,
                Command::Commit(..) if self.failed => {}
                Command::Commit(batch, records) => self.group(batch, records),
                Command::Note(records) => self.note(records),
            }
        }
        if let Err(error) = self.file.close() {
            warn!(error = %format!("{error:#}"), "the store couldn't be closed in order; nothing stored is lost");
            return;
        }
        if let Some(lock) = &self.lock
            && let Err(error) = lock.say(None)
        {
            warn!(%error, file = %lock.path().display(), "can't write");
        }
    }

    fn next(&mut self) -> Option<Command> {
        self.left.take().or_else(|| self.commanded.recv().ok())
    }

    /// Stores a batch and all that wait behind it.
    fn group(&mut self, batch: u64, records: Arc<[Record]>) {
        let mut last = batch;
        let mut batches = 1_u64;
        let mut count = records.len();
        let mut group = vec![records];
        while count < MOST {
            match self.commanded.try_recv() {
                Ok(Command::Commit(batch, records)) => {
                    last = batch;
                    batches += 1;
                    count += records.len();
                    group.push(records);
                }
                Ok(other) => {
                    self.left = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let begin = Instant::now();
        match self.store(&group) {
            Ok(()) => {
                metrics::counter!("isolane_store_batches_total").increment(batches);
                metrics::counter!("isolane_store_commits_total").increment(1);
                metrics::histogram!("isolane_store_commit_seconds").record(begin.elapsed());
                metrics::gauge!("isolane_store_up").set(1.0);
                self.say();
                // The engine may have ended; its callers were told that.
                let _ = self.told.send(Outcome::Stored(last));
            }
            Err(failure) => {
                let reason = format!("{failure:#}");
                error!(%reason, "changes can't be stored");
                metrics::counter!("isolane_store_failures_total").increment(1);
                metrics::gauge!("isolane_store_up").set(0.0);
                self.failed = true;
                let _ = self.told.send(Outcome::Failed(reason));
            }
        }
    }

    fn note(&mut self, records: Arc<[Record]>) {
        let stored = self.store(&[records]);
        match &stored {
            Ok(()) => {
                metrics::counter!("isolane_store_notes_total").increment(1);
                self.say();
            }
            Err(failure) => {
                metrics::counter!("isolane_store_failures_total").increment(1);
                warn!(reason = %format!("{failure:#}"), "what is known of switches and links can't be noted");
            }
        }
        // The engine may have ended.
        let _ = self.told.send(Outcome::Noted(stored.map_err(|failure| format!("{failure:#}"))));
    }

    /// Which transaction was stored last.
    fn say(&self) {
        if let Some(lock) = &self.lock
            && let Err(error) = lock.say(Some(self.file.stored()))
        {
            warn!(%error, file = %lock.path().display(), "can't write");
        }
    }

    fn store(&mut self, group: &[Arc<[Record]>]) -> Result<()> {
        let entries = group
            .iter()
            .flat_map(|records| records.iter())
            .map(format::entry)
            .collect::<Result<Vec<_>, _>>()
            .context("a record has no text")?;
        self.file.write(&entries)
    }
}
