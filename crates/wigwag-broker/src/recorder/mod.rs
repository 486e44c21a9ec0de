//! A day of messages on disk, for whoever comes later and wants to know what was: bounded in bytes and in age.
//!
//! An ear hears what the filters match, a queue takes it, a thread writes it down (`writer`), in segments of which the
//! oldest goes. Nobody who publishes waits for any of that: what is too much is counted and lost.

mod disk;
mod entry;
mod queue;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use wigwag_proto::{TopicFilter, TopicFilterBuf, TopicName};
use wigwag_store::{Error, Reader};

use crate::bridge::{Bridges, Ear, Hear, Role};
use crate::conf::Config;
use crate::conf::config::Protocol;
use crate::logging::Log;
use crate::persist;

use disk::RealDisk;
pub(crate) use entry::{Entry, PAYLOAD_MAX};
pub(crate) use queue::BYTES_MAX as QUEUE_BYTES_MAX;
use queue::Queue;
use writer::Writer;

/// What the folder is called beside that of the sessions.
const FOLDER: &str = "history.wigwag";

/// What is recorded unless somebody says otherwise: states of devices, and all of Sparkplug.
const TOPICS: [&str; 3] = ["device/+/state", "device/+/online", "spBv1.0/#"];

/// Bytes on disk and age, unless somebody says otherwise.
const SIZE_MAX: u64 = 256 * 1024 * 1024;
const AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What is recorded, where, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    folder: PathBuf,
    topics: Vec<TopicFilterBuf>,
    size_max: u64,
    age_max: Duration,
}

impl Recording {
    /// In a folder, which is made if it is not there: what devices publish by the dashboard's contract and Sparkplug, at
    /// most 256 MiB of it and at most a day.
    pub fn folder(path: impl Into<PathBuf>) -> Recording {
        let topics = TOPICS.iter().filter_map(|text| TopicFilter::new(text).ok());
        Recording {
            folder: path.into(),
            topics: topics.map(TopicFilterBuf::from).collect(),
            size_max: SIZE_MAX,
            age_max: AGE_MAX,
        }
    }

    /// Records every topic but those that begin with `$`.
    #[must_use]
    pub fn everything(self) -> Recording {
        self.topics(TopicFilter::new("#").map(TopicFilterBuf::from))
    }

    /// Sets which topics are recorded. `#` does not mean those that begin with `$`.
    #[must_use]
    pub fn topics(mut self, filters: impl IntoIterator<Item = TopicFilterBuf>) -> Recording {
        self.topics = filters.into_iter().collect();
        self
    }

    /// Sets how many bytes the tables on disk may have; the journals beside them have at most 128 MiB. What is too
    /// much goes, the oldest first, a sixteenth at a time.
    #[must_use]
    pub const fn size_max(mut self, bytes: u64) -> Recording {
        self.size_max = bytes;
        self
    }

    /// Sets for how long messages are kept.
    #[must_use]
    pub const fn age_max(mut self, age: Duration) -> Recording {
        self.age_max = age;
        self
    }

    /// What a configuration says. Unless it says so, nothing is recorded that nobody could read, nor by a broker that
    /// has no place on disk.
    pub(crate) fn from_config(config: &Config) -> Option<Recording> {
        let said = &config.recorder;
        let mut listeners = config.listeners.iter();
        let is_read = listeners.any(|listener| listener.protocol == Protocol::HttpApi);
        let beside = persist::folder(config);
        let has_place = said.recorder_location.is_some() || beside.is_some();
        if !said.recorder.unwrap_or(is_read && has_place) {
            return None;
        }
        let folder = match &said.recorder_location {
            Some(folder) => folder.clone(),
            None => beside.unwrap_or_default().with_file_name(FOLDER),
        };
        let mut recording = Recording::folder(folder);
        if !said.recorder_topics.is_empty() {
            recording.topics.clone_from(&said.recorder_topics);
        }
        recording.size_max = said.recorder_size_limit;
        recording.age_max = said.recorder_age_limit;
        Some(recording)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

/// Records until it is dropped; what has been heard by then is written.
#[derive(Debug)]
pub(crate) struct Recorder {
    ear: Ear,
    archive: Arc<Archive>,
}

impl Recorder {
    /// Begins. The broker has not ended before everything is written.
    pub(crate) fn start(
        recording: Recording,
        bridges: &Bridges,
        log: &Log,
    ) -> io::Result<Recorder> {
        let archive = Arc::new(Archive::new(recording));
        let hear: Hear = {
            let archive = Arc::clone(&archive);
            Arc::new(move |heard| {
                let is_taken = archive.queue.push(|at| {
                    let key = entry::key(heard.topic, at);
                    (key, entry::value(heard.payload, heard.qos, heard.retain))
                });
                if !is_taken {
                    archive.counts.too_much.fetch_add(1, Ordering::Relaxed);
                } else if heard.payload.len() > PAYLOAD_MAX {
                    archive.counts.cut.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let ear = bridges.open_ear(Role::Recorder, &hear)?;
        archive.counts.too_slow.store(Arc::clone(ear.losses()));
        let running = bridges.running();
        let writer = Writer::new(Arc::clone(&archive), log.clone(), RealDisk);
        std::thread::Builder::new()
            .name("wigwag-record".to_owned())
            .spawn(move || {
                writer.run();
                drop(running);
            })?;
        let recorder = Recorder { ear, archive };
        recorder.listen();
        Ok(recorder)
    }

    /// Lets this be recorded from here on. False if that takes another recorder.
    pub(crate) fn become_like(&self, recording: &Recording) -> bool {
        let is_there = self.archive.recording.load().folder == recording.folder;
        if is_there {
            self.archive.recording.store(Arc::new(recording.clone()));
            self.listen();
        }
        is_there
    }

    fn listen(&self) {
        let recording = self.archive.recording.load();
        let filters = recording.topics.iter();
        let filters = filters.map(|filter| filter.as_filter().as_str().to_owned());
        self.ear.listen(filters.collect::<BTreeSet<_>>());
    }

    pub(crate) const fn archive(&self) -> &Arc<Archive> {
        &self.archive
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.archive.queue.close();
    }
}

/// What has been recorded.
#[derive(Debug)]
pub(crate) struct Archive {
    recording: ArcSwap<Recording>,
    queue: Queue,
    state: ArcSwap<State>,
    /// Whether the disk takes nothing, as far as it has been tried.
    is_failing: AtomicBool,
    counts: Counts,
}

#[derive(Debug)]
enum State {
    Open(Reader),
    /// Why not.
    Closed(String),
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    cut: AtomicU64,
    /// Lost because the queue was full.
    too_much: AtomicU64,
    /// Lost because the disk did not take them.
    unwritten: AtomicU64,
    /// Lost because the ear was too slow.
    too_slow: ArcSwap<AtomicU64>,
    size: AtomicU64,
}

/// How recording goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RecorderReport {
    pub(crate) is_up: bool,
    pub(crate) written: u64,
    pub(crate) cut: u64,
    /// By reason, in the order of [`LOSSES`].
    pub(crate) lost: [u64; LOSSES.len()],
    pub(crate) size: u64,
    pub(crate) size_max: u64,
    /// Seconds since 1970 from which on messages are there.
    pub(crate) since_secs: Option<f64>,
}

/// Why messages are lost.
pub(crate) const LOSSES: [&str; 3] = ["slow_reader", "queue_full", "disk"];

/// What can be read at one moment.
pub(crate) struct History {
    reader: Reader,
    /// Microseconds since 1970 from which on messages are there.
    pub(crate) since: u64,
}

impl Archive {
    fn new(recording: Recording) -> Archive {
        let why = "the recorder has not opened its folder yet".to_owned();
        Archive {
            recording: ArcSwap::from_pointee(recording),
            queue: Queue::default(),
            state: ArcSwap::from_pointee(State::Closed(why)),
            is_failing: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// What has been recorded, or why that cannot be read.
    pub(crate) fn history(&self) -> Result<History, String> {
        match &**self.state.load() {
            State::Open(reader) => Ok(History {
                since: self.since(reader),
                reader: reader.clone(),
            }),
            State::Closed(why) => Err(why.clone()),
        }
    }

    /// Whether messages of this topic are recorded.
    pub(crate) fn records(&self, topic: TopicName<'_>) -> bool {
        let recording = self.recording.load();
        let mut filters = recording.topics.iter();
        filters.any(|filter| filter.as_filter().matches(topic))
    }

    fn since(&self, reader: &Reader) -> u64 {
        let age_max = micros(self.recording.load().age_max);
        let oldest = queue::now().saturating_sub(age_max);
        reader.first().unwrap_or(oldest).max(oldest)
    }

    pub(crate) fn report(&self) -> RecorderReport {
        let counts = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let state = self.state.load();
        let since = match &**state {
            State::Open(reader) => Some(self.since(reader)),
            State::Closed(_) => None,
        };
        RecorderReport {
            is_up: since.is_some() && !self.is_failing.load(Ordering::Relaxed),
            written: read(&counts.written),
            cut: read(&counts.cut),
            lost: [
                read(&counts.too_slow.load()),
                read(&counts.too_much),
                read(&counts.unwritten),
            ],
            size: read(&counts.size),
            size_max: self.recording.load().size_max,
            since_secs: since.map(|since| Duration::from_micros(since).as_secs_f64()),
        }
    }
}

impl History {
    /// The messages of a topic from a time to before another, the oldest first. It may wait for the disk.
    pub(crate) fn read(
        &self,
        topic: &str,
        from: u64,
        until: u64,
    ) -> impl Iterator<Item = Result<Entry, Error>> {
        let from = entry::key(topic, from.max(self.since));
        let until = entry::key(topic, until);
        (self.reader.range(from, until)).filter_map(|found| match found {
            Ok((key, value)) => entry::read(&key, &value).map(Ok),
            Err(error) => Some(Err(error)),
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
