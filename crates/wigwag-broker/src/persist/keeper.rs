//! The thread that saves: asks one shard after the other for what has changed, and commits it.
//!
//! A save that cannot be written is kept and tried again, before anything else is asked for; the broker goes
//! on meanwhile. At the end the shards wait for the last save, with their connections closed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;
use wigwag_engine::node::RETAINED_STEP;
use wigwag_engine::record::Changes;
use wigwag_engine::record::save::{Answer, Extent, Question, Save, Step};
use wigwag_engine::restored::Clock;
use wigwag_engine::{Node, ShardId};
use wigwag_store::{Batch, Store};

use super::files::{clock, keyspace};
use super::{Autosave, Opened};
use crate::conf::config::LogType;
use crate::desk::Order;
use crate::logging::Log;
use crate::mailbox::Mailbox;

/// Bytes that are committed at once. A save with more is several batches: a crash between two of them leaves
/// some sessions as they were before. The first save to a new store is one batch, however large.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long shards are left alone when something is on its way from one to another.
const WAIT: Duration = Duration::from_millis(1);

/// When a save that has failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What the thread is told.
enum Command {
    Save,
    /// Another time to save has been set.
    Autosave,
    Stop,
}

/// How the others reach the thread, and what they tell it at every turn.
pub(crate) struct Pulse {
    /// Since the last save began.
    changes: AtomicU64,
    /// From how many on the thread is woken; `u64::MAX` for never.
    changes_max: AtomicU64,
    autosave: Mutex<Autosave>,
    commands: Sender<Command>,
    progress: Mutex<Progress>,
}

/// How saving has gone so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) saves: u64,
    /// Attempts to write that have failed.
    pub(crate) failures: u64,
    /// Changes that are on the disk.
    pub(crate) written: u64,
    /// When the last save ended.
    pub(crate) saved_at: Option<SystemTime>,
    /// How long it took.
    pub(crate) took: Duration,
    /// Changes since the last save began.
    pub(crate) pending: u64,
}

/// A keeper that has not started, with its end of the [`Pulse`].
pub(crate) struct Keeper {
    store: Box<dyn Store>,
    folder: PathBuf,
    pulse: Arc<Pulse>,
    commands: Receiver<Command>,
    node: Arc<Node>,
    mailboxes: Arc<[Mailbox]>,
    origin: Instant,
    log: Log,
    /// What could not be written.
    unwritten: Batch,
    unwritten_bytes: usize,
    /// Nothing was ever saved there.
    is_new: bool,
    has_failed: bool,
    /// Changes that this save has brought to the disk.
    written: usize,
    /// The shards wait for the keeper, whatever becomes of it.
    _end: EndOfShards,
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulse").finish_non_exhaustive()
    }
}

impl Pulse {
    /// So much has changed in a shard.
    pub(crate) fn note(&self, changes: u64) {
        if changes == 0 {
            return;
        }
        let before = self.changes.fetch_add(changes, Ordering::Relaxed);
        let max = self.changes_max.load(Ordering::Relaxed);
        if before < max && before + changes >= max {
            self.tell(Command::Save);
        }
    }

    /// Whether so much has changed that it is to be saved.
    fn is_due(&self) -> bool {
        self.changes.load(Ordering::Relaxed) >= self.changes_max.load(Ordering::Relaxed)
    }

    /// Saves soon, whatever the time.
    pub(crate) fn save(&self) {
        self.tell(Command::Save);
    }

    /// Sets when to save from here on.
    pub(crate) fn set_autosave(&self, autosave: Autosave) {
        self.changes_max
            .store(changes_max(autosave), Ordering::Relaxed);
        let mut current = self.autosave.lock().unwrap_or_else(PoisonError::into_inner);
        *current = autosave;
        drop(current);
        self.tell(Command::Autosave);
    }

    /// Saves for the last time. The shards have been told to stop before.
    pub(crate) fn stop(&self) {
        self.tell(Command::Stop);
    }

    /// How saving has gone so far.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            pending: self.changes.load(Ordering::Relaxed),
            ..*self.progress.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    fn progress_by(&self, step: impl FnOnce(&mut Progress)) {
        step(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn tell(&self, command: Command) {
        // Who has ended has saved.
        let _ = self.commands.send(command);
    }

    /// How long after the last save the next one is due.
    fn interval(&self) -> Option<Duration> {
        let autosave = self.autosave.lock().unwrap_or_else(PoisonError::into_inner);
        match *autosave {
            Autosave::Every(interval) => Some(interval),
            Autosave::Never | Autosave::Changes(_) => None,
        }
    }
}

const fn changes_max(autosave: Autosave) -> u64 {
    match autosave {
        Autosave::Changes(changes) => changes,
        Autosave::Never | Autosave::Every(_) => u64::MAX,
    }
}

impl Keeper {
    pub(crate) fn new(
        opened: Opened,
        node: &Arc<Node>,
        mailboxes: &Arc<[Mailbox]>,
        origin: Instant,
        log: &Log,
    ) -> Keeper {
        let unwritten = opened.first_batch();
        let Opened {
            store,
            folder,
            autosave,
            is_new,
            ..
        } = opened;
        let (sender, commands) = mpsc::channel();
        let pulse = Pulse {
            changes: AtomicU64::new(0),
            changes_max: AtomicU64::new(changes_max(autosave)),
            autosave: Mutex::new(autosave),
            commands: sender,
            progress: Mutex::default(),
        };
        Keeper {
            store,
            folder,
            pulse: Arc::new(pulse),
            commands,
            node: Arc::clone(node),
            mailboxes: Arc::clone(mailboxes),
            origin,
            log: log.clone(),
            unwritten,
            unwritten_bytes: 0,
            is_new,
            has_failed: false,
            written: 0,
            _end: EndOfShards(Arc::clone(mailboxes)),
        }
    }

    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Starts the thread. `running` is held for as long as it runs.
    pub(crate) fn start<T: Send + 'static>(self, running: T) -> std::io::Result<()> {
        let thread = thread::Builder::new().name("wigwag-persist".to_owned());
        thread.spawn(move || {
            self.run();
            drop(running);
        })?;
        Ok(())
    }

    fn run(mut self) {
        // A new store becomes ours with what was taken over from elsewhere, or not at all: once it is ours,
        // nothing is taken over again.
        if self.is_new {
            self.save(Extent::Running);
        }
        let mut saved_at = Instant::now();
        loop {
            let wait = self.wait(saved_at);
            match self.commands.recv_timeout(wait) {
                Ok(Command::Autosave) if !self.pulse.is_due() => {}
                Ok(Command::Autosave | Command::Save) | Err(RecvTimeoutError::Timeout) => {
                    self.save(Extent::Running);
                    saved_at = Instant::now();
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.save(Extent::Last);
                    return;
                }
            }
        }
    }

    /// Time until something is due.
    fn wait(&self, saved_at: Instant) -> Duration {
        const LONG: Duration = Duration::from_secs(24 * 3_600);
        let interval = match self.pulse.interval() {
            _ if self.has_failed => RETRY,
            Some(interval) => interval,
            None => return LONG,
        };
        interval.saturating_sub(saved_at.elapsed()).min(LONG)
    }

    /// Saves what has changed.
    fn save(&mut self, extent: Extent) {
        // The first one makes the store ours, and nobody has asked for it.
        let is_first = self.is_new;
        if !is_first {
            let folder = self.folder.display();
            let what = format_args!("Saving in-memory database to {folder}.");
            self.log.write(LogType::Information, what);
        }
        // What has not been written is older than what would be asked for.
        if self.has_failed {
            self.commit(extent);
            if self.has_failed {
                return;
            }
        }
        self.pulse.changes.store(0, Ordering::Relaxed);
        let began = Instant::now();
        self.written = 0;
        let Some(mut save) = Save::new(&self.node, extent) else {
            return;
        };
        let clock = clock(self.origin);
        loop {
            match save.poll() {
                Step::Ask(shard, question) => {
                    let answer = self.ask(shard, &clock, question);
                    save.handle_answer(answer.as_ref());
                    if let Some(answer) = answer {
                        self.take(answer.changes, &clock, extent);
                    }
                }
                Step::Wait => thread::sleep(WAIT),
                Step::Done => break,
            }
        }
        loop {
            let changes = self.node.poll_retained_changes();
            // Somebody may always be changing something.
            let is_all = changes.len() < RETAINED_STEP;
            self.take(changes, &clock, extent);
            if is_all {
                break;
            }
        }
        self.take(save.finish(), &clock, extent);
        self.commit(extent);
        if !self.has_failed && !is_first {
            let (written, took) = (self.written, began.elapsed().as_millis());
            let what = format_args!("Saved {written} changes in {took} ms.");
            self.log.write(LogType::Debug, what);
            self.pulse.progress_by(|progress| {
                progress.saves += 1;
                progress.saved_at = Some(SystemTime::now());
                progress.took = began.elapsed();
            });
        }
    }

    /// Asks a shard; `None` if it is gone.
    fn ask(&self, shard: ShardId, clock: &Clock, question: Question) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        let mailbox = self.mailboxes.get(usize::from(shard.0))?;
        mailbox.send_order(Order::Save(*clock, question, answer));
        answered.blocking_recv().ok().map(|answer| *answer)
    }

    fn take(&mut self, changes: Changes, clock: &Clock, extent: Extent) {
        let (batch, bytes) = (&mut self.unwritten, &mut self.unwritten_bytes);
        changes.write(clock, |kind, key, value| {
            *bytes += key.len() + value.map_or(0, <[u8]>::len);
            match value {
                Some(value) => batch.put(keyspace(kind), key, value),
                None => batch.delete(keyspace(kind), key),
            }
        });
        // What makes a new store ours is in its first batch, so that must be all.
        if self.unwritten_bytes >= BATCH_BYTES_MAX && !self.has_failed && !self.is_new {
            self.commit(extent);
        }
    }

    /// Makes the changes of the batch, or keeps them for later.
    fn commit(&mut self, extent: Extent) {
        if self.unwritten.is_empty() {
            return;
        }
        match self.store.commit(&self.unwritten) {
            Ok(()) => {
                let written = self.unwritten.operations().len();
                self.written += written;
                (self.pulse).progress_by(|progress| progress.written += written as u64);
                self.unwritten = Batch::new();
                self.unwritten_bytes = 0;
                self.is_new = false;
                if std::mem::take(&mut self.has_failed) {
                    let what = format_args!("{} can be written again.", self.folder.display());
                    self.log.write(LogType::Notice, what);
                }
            }
            Err(error) => {
                self.has_failed = true;
                self.pulse.progress_by(|progress| progress.failures += 1);
                let folder = self.folder.display();
                let what = match extent {
                    Extent::Running => format_args!(
                        "Error: Nothing can be saved to {folder}: {error}. The broker goes on, and tries again every {} s.",
                        RETRY.as_secs()
                    ),
                    Extent::Last => format_args!(
                        "Error: Nothing can be saved to {folder}: {error}. What has changed since the last save is lost."
                    ),
                };
                self.log.write(LogType::Error, what);
            }
        }
    }
}

/// Lets the shards end when their last state has been saved.
struct EndOfShards(Arc<[Mailbox]>);

impl Drop for EndOfShards {
    fn drop(&mut self) {
        for mailbox in self.0.iter() {
            mailbox.send_order(Order::End);
        }
    }
}
