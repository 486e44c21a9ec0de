//! Passwords are checked here, on threads of their own: a hash takes from one to some hundred milliseconds.
//!
//! Everything is bounded. Who finds the queue full, or has as much in it from one address as is its share, is
//! told that the broker is busy; who has waited so long that it is gone is not checked. A wrong password is
//! answered late, and later with each one more from the same address.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wigwag_access::password::PasswordHash;
use wigwag_engine::auth::Verdict;
use wigwag_engine::policy::Identity;
use wigwag_engine::proto::ReasonCode;

use super::policy::Shared;
use super::tables::Judgement;
use crate::origin;

/// Passwords that wait to be checked.
pub(crate) const JOBS_MAX: usize = 5_000;

/// Those of them that may come from one address once half of the places are taken. A whole fleet may come from
/// one address, that of its router, so until then nobody is held to a share.
const JOBS_PER_ADDRESS_MAX: usize = 500;

/// Who has waited longer than this has given up, or soon will.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// Threads, of those that the machine has: the shards need them too.
const THREADS_MAX: usize = 4;

/// A wrong password is answered after this, doubled with each one more from the same address.
const DELAY: Duration = Duration::from_millis(50);
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(3);

/// After this long without a wrong password, an address begins anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Late answers and addresses with wrong passwords that are kept; beyond them, answers are not late.
const LATE_MAX: usize = 10_000;

/// Takes a verdict to who waits for it.
pub(super) type Reply = Box<dyn FnOnce(Verdict) + Send>;

/// A password to be checked.
pub(super) struct Job {
    pub(super) reply: Reply,
    pub(super) identity: Identity,
    pub(super) password: Box<[u8]>,
    pub(super) hash: Arc<PasswordHash>,
    pub(super) is_nobodys: bool,
}

/// The threads. They end when this is dropped.
pub(super) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Instant, Job)>,
    /// How many of them come from where.
    by_address: HashMap<IpAddr, usize>,
    late: BinaryHeap<Reverse<Late>>,
    /// Wrong passwords, and when the last came.
    wrong: HashMap<IpAddr, (u32, Instant)>,
    is_over: bool,
}

/// A refusal that is not to be given before its time.
struct Late {
    at: Instant,
    reply: Reply,
}

impl Pool {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Pool> {
        let pool = Pool {
            inner: Arc::new(Inner {
                shared: Arc::clone(shared),
                queue: Mutex::default(),
                changed: Condvar::new(),
            }),
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for number in 0..cores.min(THREADS_MAX) {
            let inner = Arc::clone(&pool.inner);
            thread::Builder::new()
                .name(format!("wigwag-hash-{number}"))
                .spawn(move || inner.run())?;
        }
        Ok(pool)
    }

    /// Has a password checked.
    pub(super) fn submit(&self, job: Job) {
        let mut queue = self.inner.lock();
        let from_there = address(&job.identity).map_or(0, |address| queue.count(address));
        if !has_place(queue.jobs.len(), from_there) {
            drop(queue);
            return refuse(job.reply, ReasonCode::ServerBusy);
        }
        if let Some(address) = address(&job.identity) {
            *queue.by_address.entry(address).or_default() += 1;
        }
        queue.jobs.push_back((Instant::now(), job));
        drop(queue);
        self.inner.changed.notify_one();
    }

    /// Refuses, as late as a wrong password is refused.
    pub(super) fn refuse_late(&self, identity: &Identity, reply: Reply) {
        self.inner.refuse_late(identity, reply);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.lock().is_over = true;
        self.inner.changed.notify_all();
    }
}

impl Inner {
    fn run(&self) {
        while let Some((since, job)) = self.next() {
            if since.elapsed() > WAIT_MAX {
                refuse(job.reply, ReasonCode::ServerBusy);
            } else if job.hash.verify(&job.password) && !job.is_nobodys {
                self.right(job);
            } else {
                self.refuse_late(&job.identity, job.reply);
            }
        }
    }

    /// The next password to be checked. Late answers that are due are given on the way.
    fn next(&self) -> Option<(Instant, Job)> {
        let mut queue = self.lock();
        loop {
            if queue.is_over {
                return None;
            }
            let now = Instant::now();
            while let Some(late) = queue.pop_due(now) {
                refuse(late.reply, ReasonCode::NotAuthorized);
            }
            if let Some(next) = queue.pop() {
                return Some(next);
            }
            let wait = queue
                .late
                .peek()
                .map_or(Duration::MAX, |Reverse(late)| late.at - now);
            let waited = self.changed.wait_timeout(queue, wait);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The password fits the hash that was the user's when it was sent. What counts is the hash of now.
    fn right(&self, job: Job) {
        let is_still_right = match self.shared.judge(&job.identity, false, true) {
            Judgement::Admit => true,
            Judgement::Refuse => false,
            Judgement::Check { hash, is_nobodys } => !is_nobodys && *hash == *job.hash,
        };
        if !is_still_right {
            return refuse(job.reply, ReasonCode::NotAuthorized);
        }
        self.shared.remember(&job.identity, &job.password, job.hash);
        let verdict = Verdict::Allow {
            user_name: job.identity.user_name,
            data: None,
        };
        (job.reply)(verdict);
    }

    fn refuse_late(&self, identity: &Identity, reply: Reply) {
        let mut queue = self.lock();
        let now = Instant::now();
        let delay = address(identity).map_or(DELAY, |address| queue.delay(address, now));
        if queue.late.len() >= LATE_MAX {
            drop(queue);
            return refuse(reply, ReasonCode::NotAuthorized);
        }
        queue.late.push(Reverse(Late {
            at: now + delay,
            reply,
        }));
        drop(queue);
        // Somebody may be waiting for a later one.
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn count(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Option<(Instant, Job)> {
        let next = self.jobs.pop_front()?;
        if let Some(address) = address(&next.1.identity) {
            let count = self.count(address).saturating_sub(1);
            if count == 0 {
                self.by_address.remove(&address);
            } else {
                self.by_address.insert(address, count);
            }
        }
        Some(next)
    }

    fn pop_due(&mut self, now: Instant) -> Option<Late> {
        let Reverse(late) = self.late.peek()?;
        let is_due = late.at <= now;
        is_due
            .then(|| self.late.pop())
            .flatten()
            .map(|Reverse(late)| late)
    }

    /// How long the answer to one more wrong password from there is put off.
    fn delay(&mut self, address: IpAddr, now: Instant) -> Duration {
        if self.wrong.len() >= LATE_MAX {
            self.wrong.clear();
        }
        let (count, last) = self.wrong.entry(address).or_insert((0, now));
        if now - *last >= FORGIVEN_AFTER {
            *count = 0;
        }
        let delay = DELAY.saturating_mul(1_u32.checked_shl(*count).unwrap_or(u32::MAX));
        (*count, *last) = (count.saturating_add(1), now);
        delay.min(DELAY_MAX)
    }
}

/// Whether one more may wait, with so many of all and so many of its address waiting.
const fn has_place(waiting: usize, from_there: usize) -> bool {
    waiting < JOBS_MAX / 2 || waiting < JOBS_MAX && from_there < JOBS_PER_ADDRESS_MAX
}

fn address(identity: &Identity) -> Option<IpAddr> {
    identity.address.map(|address| origin::of(address.ip()))
}

fn refuse(reply: Reply, reason: ReasonCode) {
    reply(Verdict::Refuse(reason));
}

impl PartialEq for Late {
    fn eq(&self, other: &Late) -> bool {
        self.at == other.at
    }
}

impl Eq for Late {}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Late) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Late {
    fn cmp(&self, other: &Late) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        assert!(has_place(JOBS_MAX / 2 - 1, JOBS_MAX / 2 - 1));
        assert!(!has_place(JOBS_MAX / 2, JOBS_MAX / 2));
        assert!(has_place(JOBS_MAX - 1, 0));
        assert!(!has_place(JOBS_MAX, 0));
    }

    #[test]
    fn wrong_passwords_from_one_address_are_answered_later_and_later() {
        let mut queue = Queue::default();
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        let delays: Vec<Duration> = (0..8).map(|_| queue.delay(here, start)).collect();
        assert_eq!(delays[..3], [DELAY, DELAY * 2, DELAY * 4]);
        assert_eq!(delays[7], DELAY_MAX);
        assert_eq!(queue.delay(there, start), DELAY);
        assert_eq!(queue.delay(here, start + FORGIVEN_AFTER), DELAY);
        for _ in 0..100 {
            assert!(queue.delay(here, start + FORGIVEN_AFTER) <= DELAY_MAX);
        }
    }
}
