//! The room of the outgoing queue: how many more messages and bytes it takes, and who waits for some.
//!
//! Taking and giving back is one atomic step as long as nobody waits; those who wait are served in the
//! order in which they came.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The bounds, and what is left of them. Clones share it.
#[derive(Clone)]
pub(crate) struct Room(Arc<Shared>);

struct Shared {
    /// Messages in the upper half, bytes in the lower.
    left: AtomicU64,
    messages_max: u32,
    bytes_max: u32,
    /// The length of `queue`, to be looked at without the lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next_number: u64,
    /// In the order of their numbers. Who is not in it any more has been given room.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    number: u64,
    bytes: u32,
    waker: Option<Waker>,
}

/// What one message of so many bytes takes.
const fn cost(bytes: u32) -> u64 {
    1 << 32 | bytes as u64
}

impl Room {
    pub(crate) fn new(messages_max: usize, bytes_max: usize) -> Room {
        let messages_max = u32::try_from(messages_max).unwrap_or(u32::MAX);
        let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
        Room(Arc::new(Shared {
            left: AtomicU64::new(u64::from(messages_max) << 32 | u64::from(bytes_max)),
            messages_max,
            bytes_max,
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }))
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.0.bytes_max as usize
    }

    /// Messages that have room.
    pub(crate) fn taken(&self) -> usize {
        let left = self.0.left.load(SeqCst) >> 32;
        self.0.messages_max as usize - left as usize
    }

    /// Whether somebody waits for room.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.waiting.load(SeqCst) > 0
    }

    /// A place for a message, if there is room at once and nobody waits for it.
    pub(crate) fn take_now(&self, bytes: u32) -> Option<Place> {
        let is_free = !self.is_wanted() && self.0.take(bytes);
        is_free.then(|| self.place(bytes))
    }

    /// A place for a message of at most [`Room::bytes_max`] bytes, when its turn has come.
    ///
    /// Dropped, the future gives up its turn.
    pub(crate) fn take(&self, bytes: u32) -> Taking {
        let mut queue = self.0.lock();
        let number = queue.next_number;
        queue.next_number += 1;
        queue.waiting.push_back(Waiting {
            number,
            bytes,
            waker: None,
        });
        self.0.waiting.fetch_add(1, SeqCst);
        // What was given back before the last line has not been given to anybody.
        self.0.serve(queue);
        Taking {
            room: self.clone(),
            number,
            bytes,
            is_over: false,
        }
    }

    fn place(&self, bytes: u32) -> Place {
        let room = self.clone();
        Place { room, bytes }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that could panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, bytes: u32) -> bool {
        let take = |left: u64| {
            let fits = left >> 32 > 0 && left as u32 >= bytes;
            fits.then(|| left - cost(bytes))
        };
        self.left.fetch_update(SeqCst, SeqCst, take).is_ok()
    }

    fn give_back(&self, bytes: u32) {
        self.left.fetch_add(cost(bytes), SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.serve(self.lock());
        }
    }

    /// Gives room to those at the front of the queue.
    fn serve(&self, mut queue: MutexGuard<'_, Queue>) {
        let mut wakers = Vec::new();
        while let Some(first) = queue.waiting.front()
            && self.take(first.bytes)
            && let Some(first) = queue.waiting.pop_front()
        {
            self.waiting.fetch_sub(1, SeqCst);
            wakers.extend(first.waker);
        }
        drop(queue);
        for waker in wakers {
            waker.wake();
        }
    }
}

/// The place of one message, until it is dropped.
pub(crate) struct Place {
    room: Room,
    bytes: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.0.give_back(self.bytes);
    }
}

/// Returned by [`Room::take`].
pub(crate) struct Taking {
    room: Room,
    number: u64,
    bytes: u32,
    /// A place has been handed out.
    is_over: bool,
}

impl Future for Taking {
    type Output = Place;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Place> {
        let mut queue = self.room.0.lock();
        let at = queue.position(self.number);
        if let Some(own) = at.and_then(|at| queue.waiting.get_mut(at)) {
            let earlier = own.waker.replace(cx.waker().clone());
            drop(queue);
            // Outside of the lock: with its last waker a task may go that waits here, too.
            drop(earlier);
            return Poll::Pending;
        }
        drop(queue);
        self.is_over = true;
        Poll::Ready(self.room.place(self.bytes))
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queue = self.room.0.lock();
        if let Some(at) = queue.position(self.number) {
            queue.waiting.remove(at);
            self.room.0.waiting.fetch_sub(1, SeqCst);
            // The next one may need less.
            self.room.0.serve(queue);
        } else {
            drop(queue);
            self.room.0.give_back(self.bytes);
        }
    }
}

impl Queue {
    fn position(&self, number: u64) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&number, |own| own.number)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(taking: &mut Taking) -> Option<Place> {
        let cx = &mut Context::from_waker(Waker::noop());
        match Pin::new(taking).poll(cx) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[test]
    fn messages_and_bytes_are_both_bounded() {
        let room = Room::new(2, 10);
        let large = room.take_now(9).expect("free");
        assert!(room.take_now(2).is_none(), "too many bytes");
        let small = room.take_now(1).expect("free");
        assert_eq!(room.taken(), 2);
        drop(large);
        let other = room.take_now(1).expect("free");
        assert!(room.take_now(1).is_none(), "too many messages");
        drop((small, other));
        assert_eq!(room.taken(), 0);
        assert!(room.take_now(10).is_some());
    }

    #[test]
    fn nobody_overtakes_who_waits() {
        let room = Room::new(10, 10);
        let first = room.take_now(6).expect("free");
        let mut large = room.take(5);
        let mut small = room.take(1);
        assert!(room.take_now(1).is_none(), "others wait");
        assert!(poll(&mut large).is_none() && poll(&mut small).is_none());
        drop(first);
        let (large, small) = (poll(&mut large), poll(&mut small));
        assert!(large.is_some() && small.is_some());
        assert_eq!(room.taken(), 2);
    }

    #[test]
    fn who_gives_up_lets_the_next_one_in_and_takes_nothing_along() {
        let room = Room::new(10, 10);
        let first = room.take_now(6).expect("free");
        let large = room.take(5);
        let mut small = room.take(4);
        drop(large);
        assert!(poll(&mut small).is_some());
        let unseen = room.take(10);
        drop((first, small));
        drop(unseen);
        assert_eq!(room.taken(), 0);
        assert!(room.take_now(10).is_some());
    }

    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let room = Room::new(3, 1_000);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let room = room.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.expect("built").block_on(async {
                        for bytes in 1..2_000 {
                            let place = room.take(bytes % 700).await;
                            assert!(room.taken() <= 3);
                            drop(place);
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(room.taken(), 0);
        assert!(room.take_now(1_000).is_some());
    }
}
