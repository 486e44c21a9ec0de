//! Who has logged in over HTTP: a random number for each, which its browser shows from then on.
//!
//! Sessions live in memory only and end with the process.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::access::Login;
use crate::desk::Order;
use crate::mailbox::Mailbox;

/// Sessions at the same time; the one that was not used for longest gives way to one more.
pub(crate) const SESSIONS_MAX: usize = 1_024;

/// Those of them that one user may have, on all his machines.
pub(crate) const SESSIONS_PER_USER: usize = 32;

/// A session that nobody uses for so long is over.
pub(crate) const UNUSED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The random number of a session.
type Key = [u8; 32];

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    begun: Instant,
    by_key: Mutex<HashMap<Key, Arc<Session>>>,
    /// Who may have connections that were opened with one.
    workers: Arc<[Mailbox]>,
}

/// A session. Whoever holds one uses it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) login: Login,
    /// When it was last used, in seconds since the sessions began.
    used_at: AtomicU64,
    is_over: AtomicBool,
}

impl Sessions {
    pub(crate) fn new(workers: &Arc<[Mailbox]>) -> Sessions {
        Sessions {
            begun: Instant::now(),
            by_key: Mutex::default(),
            workers: Arc::clone(workers),
        }
    }

    /// Begins a session; answers with its number in hexadecimal digits.
    pub(super) fn begin(&self, login: Login) -> String {
        let mut key = Key::default();
        getrandom::fill(&mut key).expect("the system has randomness once it has started");
        self.begin_as(key, login, self.begun.elapsed());
        let mut text = String::with_capacity(2 * key.len());
        for byte in key {
            write!(text, "{byte:02x}").expect("a string takes all");
        }
        text
    }

    /// The session with this number, which is used thereby.
    pub(super) fn find(&self, number: &str) -> Option<Arc<Session>> {
        self.find_at(key(number)?, self.begun.elapsed())
    }

    /// Ends a session, for everybody who holds it too.
    pub(super) fn end(&self, number: &str) {
        if let Some(key) = key(number) {
            self.end_in(&mut self.lock(), &key);
        }
    }

    fn end_in(&self, by_key: &mut HashMap<Key, Arc<Session>>, key: &Key) {
        let Some(session) = by_key.remove(key) else {
            return;
        };
        session.is_over.store(true, Ordering::Release);
        if Arc::strong_count(&session) > 1 {
            let workers = self.workers.iter();
            workers.for_each(|worker| worker.send_order(Order::LoggedOut));
        }
    }

    /// Ends the session that was not used for longest, of those that are meant.
    fn end_oldest(
        &self,
        by_key: &mut HashMap<Key, Arc<Session>>,
        is_meant: impl Fn(&Session) -> bool,
    ) {
        let meant = by_key.iter().filter(|(_, session)| is_meant(session));
        let oldest = meant.min_by_key(|(_, session)| session.used_at());
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.end_in(by_key, &key);
        }
    }

    fn begin_as(&self, key: Key, login: Login, now: Duration) {
        let mut by_key = self.lock();
        by_key.retain(|_, session| !session.is_forgotten(now));
        let user_name = login.identity.user_name.as_deref();
        let is_his = |session: &Session| session.login.identity.user_name.as_deref() == user_name;
        let his = by_key.values().filter(|session| is_his(session)).count();
        if his >= SESSIONS_PER_USER {
            self.end_oldest(&mut by_key, is_his);
        } else if by_key.len() >= SESSIONS_MAX {
            self.end_oldest(&mut by_key, |_| true);
        }
        let session = Session {
            login,
            used_at: AtomicU64::new(now.as_secs()),
            is_over: AtomicBool::new(false),
        };
        by_key.insert(key, Arc::new(session));
    }

    fn find_at(&self, key: Key, now: Duration) -> Option<Arc<Session>> {
        let mut by_key = self.lock();
        let session = by_key.get(&key)?;
        if session.is_forgotten(now) {
            self.end_in(&mut by_key, &key);
            return None;
        }
        session.used_at.store(now.as_secs(), Ordering::Relaxed);
        Some(Arc::clone(session))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Session>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Whether it has not been ended, and what it was begun with would still do.
    pub(crate) fn holds(&self) -> bool {
        !self.is_over.load(Ordering::Acquire) && self.login.still_holds()
    }

    fn used_at(&self) -> Duration {
        Duration::from_secs(self.used_at.load(Ordering::Relaxed))
    }
}

/// Asked of the sessions' own reference.
trait Forgotten {
    fn is_forgotten(&self, now: Duration) -> bool;
}

impl Forgotten for Arc<Session> {
    fn is_forgotten(&self, now: Duration) -> bool {
        let is_held = Arc::strong_count(self) > 1;
        !is_held && now.saturating_sub(self.used_at()) > UNUSED_MAX
    }
}

/// What hexadecimal digits say; none if they are not as many as a session has.
fn key(number: &str) -> Option<Key> {
    let mut key = Key::default();
    let digits = number.as_bytes();
    if digits.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn sessions(count: usize, user_name: impl Fn(usize) -> String) -> Sessions {
        let sessions = Sessions::new(&Arc::default());
        for number in 0..count {
            let at = Duration::from_secs(number as u64);
            sessions.begin_as(named(number), Login::of_tests(&user_name(number)), at);
        }
        sessions
    }

    fn named(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn a_number_is_drawn_shown_and_known_again() {
        let sessions = Sessions::new(&Arc::default());
        let (joe, ann) = ["joe", "ann"].map(Login::of_tests).into();
        let (joe, ann) = (sessions.begin(joe), sessions.begin(ann));
        assert_ne!(joe, ann);
        let session = sessions.find(&joe).expect("it has begun");
        assert_eq!(session.login.identity.user_name.as_deref(), Some("joe"));
        sessions.end(&joe);
        assert!(!session.holds() && sessions.find(&joe).is_none());
        assert!(sessions.find(&ann).is_some());
        for wrong in [
            "",
            "é",
            &ann[1..],
            &format!("{ann}0"),
            &ann.replace(['0', '1', '2'], "x"),
        ] {
            assert!(sessions.find(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_session_that_nobody_uses_or_holds_is_over_after_a_day() {
        let sessions = sessions(1, |_| "joe".to_owned());
        let day = 24 * HOUR;
        let session = sessions.find_at(named(0), day);
        assert!(session.is_some(), "used within a day");
        assert!(sessions.find_at(named(0), 4 * day).is_some(), "it is held");
        drop(session);
        assert!(sessions.find_at(named(0), 5 * day).is_some(), "used again");
        assert!(sessions.find_at(named(0), 6 * day + HOUR).is_none());
        assert!(sessions.lock().is_empty(), "nothing of it is kept");
    }

    #[test]
    fn a_user_has_a_share_and_the_oldest_gives_way() {
        let one = sessions(SESSIONS_PER_USER + 1, |_| "joe".to_owned());
        let now = Duration::from_secs(100);
        assert_eq!(one.lock().len(), SESSIONS_PER_USER);
        assert!(one.find_at(named(0), now).is_none());
        assert!(one.find_at(named(1), now).is_some());

        let many = sessions(SESSIONS_MAX + 1, |number| (number / 2).to_string());
        let now = Duration::from_secs(SESSIONS_MAX as u64);
        assert_eq!(many.lock().len(), SESSIONS_MAX);
        assert!(many.find_at(named(0), now).is_none());
    }
}
