//! A queue with many senders and one receiver that takes everything at once.
//!
//! What one message costs on its way between handle, task and handler decides how many of them a core
//! can carry: here, one lock that is hardly ever contended, and one more for each batch. The queue has
//! no bound of its own; what goes through it is counted elsewhere.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// Items for which a queue keeps its memory when it is empty: to give it back after each burst, and to
/// get it again, would cost more than all the rest.
const KEEP: usize = 1_024;

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        senders: AtomicUsize::new(1),
        contents: Mutex::new(Contents {
            items: VecDeque::new(),
            receiver: None,
            is_closed: false,
        }),
    });
    let receiver = Receiver {
        shared: shared.clone(),
        taken: VecDeque::new(),
    };
    (Sender { shared }, receiver)
}

struct Shared<T> {
    senders: AtomicUsize,
    contents: Mutex<Contents<T>>,
}

struct Contents<T> {
    items: VecDeque<T>,
    /// Waits for an item, or for the last sender to go.
    receiver: Option<Waker>,
    /// The receiver is gone.
    is_closed: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Contents<T>> {
        // Nothing that could panic runs under the lock.
        (self.contents.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Gives the item back if nobody will receive it.
    pub(crate) fn send(&self, item: T) -> Result<(), T> {
        let mut contents = self.shared.lock();
        if contents.is_closed {
            return Err(item);
        }
        contents.items.push_back(item);
        let receiver = contents.receiver.take();
        drop(contents);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.senders.fetch_add(1, Relaxed);
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, AcqRel) > 1 {
            return;
        }
        // A receiver that has not seen this yet has its waker in place as soon as the lock is free.
        let receiver = self.shared.lock().receiver.take();
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }
}

pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// What the last look has taken out, in order.
    taken: VecDeque<T>,
}

impl<T> Receiver<T> {
    /// The next item; `None` when there is none and all senders are gone.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = self.taken.pop_front() {
            return Poll::Ready(Some(item));
        }
        self.taken.shrink_to(KEEP);
        let mut contents = self.shared.lock();
        std::mem::swap(&mut contents.items, &mut self.taken);
        if let Some(item) = self.taken.pop_front() {
            return Poll::Ready(Some(item));
        }
        if self.shared.senders.load(Acquire) == 0 {
            return Poll::Ready(None);
        }
        contents.items.shrink_to(KEEP);
        contents.receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Gives back the memory of what has been received.
    pub(crate) fn rest(&mut self) {
        self.taken.shrink_to_fit();
        self.shared.lock().items.shrink_to_fit();
    }

    /// [`Receiver::poll_recv`] for a task of its own, which now and then lets others have a turn.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| {
            let budget = ready!(tokio::task::coop::poll_proceed(cx));
            let item = ready!(self.poll_recv(cx));
            budget.made_progress();
            Poll::Ready(item)
        })
        .await
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut contents = self.shared.lock();
        contents.is_closed = true;
        let items = std::mem::take(&mut contents.items);
        drop(contents);
        // Outside of the lock: an item may send when it is dropped.
        drop(items);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Times that a receiver has been woken.
    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (count.clone(), count.into())
    }

    #[test]
    fn items_come_in_order_and_one_wake_up_serves_many() {
        let (sender, mut receiver) = channel();
        let (woken, waker) = counted();
        let cx = &mut Context::from_waker(&waker);
        assert_eq!(receiver.poll_recv(cx), Poll::Pending);
        for item in 0..100 {
            sender.send(item).expect("somebody receives");
        }
        assert_eq!(woken.0.load(Relaxed), 1);
        for item in 0..100 {
            assert_eq!(receiver.poll_recv(cx), Poll::Ready(Some(item)));
        }
        assert_eq!(receiver.poll_recv(cx), Poll::Pending);
        receiver.rest();
        assert_eq!(receiver.taken.capacity(), 0);
    }

    #[test]
    fn the_end_is_told_after_the_last_item_of_the_last_sender() {
        let (sender, mut receiver) = channel();
        let other = sender.clone();
        let (woken, waker) = counted();
        let cx = &mut Context::from_waker(&waker);
        drop(sender);
        assert_eq!(receiver.poll_recv(cx), Poll::Pending);
        other.send(7).expect("somebody receives");
        drop(other);
        assert_eq!(woken.0.load(Relaxed), 1);
        assert_eq!(receiver.poll_recv(cx), Poll::Ready(Some(7)));
        assert_eq!(receiver.poll_recv(cx), Poll::Ready(None));
    }

    #[test]
    fn what_nobody_receives_comes_back() {
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send("a"), Err("a"));
    }

    #[test]
    fn many_threads_lose_nothing() {
        let (sender, mut receiver) = channel();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for item in 0..10_000_u64 {
                        sender.send(item).expect("somebody receives");
                    }
                })
            })
            .collect();
        drop(sender);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let sum = runtime.expect("built").block_on(async {
            let mut sum = 0;
            while let Some(item) = receiver.recv().await {
                sum += item;
            }
            sum
        });
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(sum, 4 * 9_999 * 10_000 / 2);
    }
}
