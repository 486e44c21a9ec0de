//! The tree of topics, one for all who look at it over HTTP: as long as there is one of them, the broker listens to
//! itself. While there is none, there is neither a tree nor anybody who listens.

mod tree;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use thiserror::Error;
use tree::{Heard, Look, Tree};
pub(crate) use tree::{News, PAYLOAD_MAX, TOPICS_MAX, Told};

use crate::bridge::{self, Bridges, Ear, Role};

/// Who may look at the same time.
pub(crate) const VIEWERS_MAX: usize = 32;

/// All there are, and what the broker tells of itself.
const FILTERS: [&str; 2] = ["#", "$SYS/#"];

/// The tree, while somebody looks at it.
#[derive(Debug, Default)]
pub(crate) struct Topics(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    viewers: usize,
    tree: Tree,
    ear: Option<Ear>,
    /// Which tree it is: what is heard for one before it is for nobody.
    number: Arc<AtomicU64>,
    since: u64,
}

/// Why somebody may not look.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    #[error(
        "{VIEWERS_MAX} others are looking at the topics; no more than that may at the same time"
    )]
    TooMany,
    #[error("the broker is starting or stopping")]
    NotNow,
    #[error("the broker cannot listen to itself: {0}")]
    Ear(#[from] io::Error),
}

impl Topics {
    /// Begins to look.
    pub(crate) fn look(self: &Arc<Topics>, bridges: Option<&Bridges>) -> Result<Viewing, Refused> {
        let mut inner = self.lock();
        if inner.viewers >= VIEWERS_MAX {
            return Err(Refused::TooMany);
        }
        if inner.viewers == 0 {
            self.begin(&mut inner, bridges.ok_or(Refused::NotNow)?)?;
        }
        inner.viewers += 1;
        let look = inner.tree.look();
        Ok(Viewing {
            since: inner.since,
            topics: Arc::clone(self),
            look,
        })
    }

    fn begin(self: &Arc<Topics>, inner: &mut Inner, bridges: &Bridges) -> io::Result<()> {
        let number = inner.number.fetch_add(1, Ordering::Relaxed) + 1;
        let current = Arc::clone(&inner.number);
        let topics = Arc::downgrade(self);
        let hear: bridge::Hear = Arc::new(move |heard| {
            if current.load(Ordering::Relaxed) == number {
                hear(&topics, heard);
            }
        });
        let ear = bridges.open_ear(Role::Topics, &hear)?;
        ear.listen(BTreeSet::from(FILTERS.map(str::to_owned)));
        inner.tree = Tree::default();
        inner.since = now();
        inner.ear = Some(ear);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hear(topics: &Weak<Topics>, heard: bridge::Heard<'_>) {
    let Some(topics) = topics.upgrade() else {
        return;
    };
    let mut inner = topics.lock();
    if inner.viewers > 0 {
        inner.tree.add(Heard {
            topic: heard.topic,
            payload: heard.payload,
            qos: heard.qos as u8,
            retain: heard.retain,
            at: now(),
        });
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Somebody who looks, until it is dropped.
#[derive(Debug)]
pub(crate) struct Viewing {
    /// When the counts of this tree began.
    pub(crate) since: u64,
    topics: Arc<Topics>,
    look: Look,
}

/// What there is beside the topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Messages of topics for which there was no room.
    pub(crate) beyond: u64,
    /// Messages that came faster than they could be heard.
    pub(crate) lost: u64,
}

impl Viewing {
    /// What there is to tell since the last time, as far as `room` for its bytes goes.
    pub(crate) fn tell(&mut self, room: usize, may_read: impl Fn(&str) -> bool) -> (News, Missing) {
        let mut inner = self.topics.lock();
        let news = inner.tree.tell(&mut self.look, room, may_read);
        let missing = Missing {
            beyond: inner.tree.beyond(),
            lost: inner.ear.as_ref().map_or(0, Ear::lost),
        };
        (news, missing)
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        let mut inner = self.topics.lock();
        inner.viewers -= 1;
        if inner.viewers == 0 {
            inner.number.fetch_add(1, Ordering::Relaxed);
            inner.ear = None;
            inner.tree = Tree::default();
        }
    }
}
