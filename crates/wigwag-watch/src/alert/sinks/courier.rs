//! A courier for each address: notices wait in a row of their own and are sent in their order, again and again while
//! that may help.
//!
//! Who does not answer keeps nobody else waiting. The row is bounded: a notice that finds it full is given up, and the
//! log says so.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::super::notices::Notice;
use super::WebSink;
use super::post::{Failure, post};

/// Notices that wait for one address.
const WAITING_MAX: usize = 256;

/// How long one attempt may take.
const ATTEMPT_TAKES: Duration = Duration::from_secs(10);

/// How long to wait before the second attempt; before each further one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

const WAIT_MAX: Duration = Duration::from_secs(60);

/// The longest wait that a server can ask for.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);

/// When a notice is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3_600);

/// The near end of a courier.
#[derive(Debug)]
pub(in crate::alert) struct Courier {
    shown: String,
    waiting: mpsc::Sender<Notice>,
    task: JoinHandle<()>,
}

impl Courier {
    /// Sets out, on the runtime of the caller.
    pub(in crate::alert) fn start(sink: WebSink, broker: String) -> Courier {
        let (waiting, notices) = mpsc::channel(WAITING_MAX);
        Courier {
            shown: sink.shown(),
            waiting,
            task: tokio::spawn(walk(sink, broker, notices)),
        }
    }

    /// Hands a notice over, without waiting.
    pub(in crate::alert) fn take(&self, notice: &Notice) {
        if self.waiting.try_send(notice.clone()).is_err() {
            let name = &*notice.entry.alarm.name;
            error!(
                to = self.shown,
                name, "{WAITING_MAX} notices wait already: this one is not told"
            );
        }
    }

    /// Waits until everything has been told, or has been given up, or time is up.
    ///
    /// Dropping the future gives up what waits.
    pub(in crate::alert) async fn finish(self, within: Duration) {
        drop(self.waiting);
        let mut task = self.task;
        if timeout(within, &mut task).await.is_err() {
            task.abort();
            warn!(to = self.shown, "not everything has been told");
        }
    }
}

async fn walk(sink: WebSink, broker: String, mut notices: mpsc::Receiver<Notice>) {
    let together = sink.form.together_max();
    let mut batch = Vec::new();
    while notices.recv_many(&mut batch, together).await > 0 {
        deliver(&sink, &broker, &batch).await;
        batch.clear();
    }
}

async fn deliver(sink: &WebSink, broker: &str, batch: &[Notice]) {
    let shown = sink.shown();
    let body = sink.form.write(batch, broker).to_string();
    let began = Instant::now();
    let mut waits = waits();
    loop {
        let failure = match timeout(ATTEMPT_TAKES, post(sink, body.clone())).await {
            Ok(Ok(())) => return info!(to = shown, notices = batch.len(), "told"),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::retry(format!("no answer within {ATTEMPT_TAKES:?}")),
        };
        let wait = failure
            .asked
            .map_or_else(|| waits.next(), |asked| Some(asked.min(ASKED_WAIT_MAX)));
        let wait = wait.unwrap_or(WAIT_MAX);
        let why = &failure.text;
        if failure.is_final || began.elapsed() + wait > GIVEN_UP_AFTER {
            return error!(
                to = shown,
                notices = batch.len(),
                why,
                "not told, and given up"
            );
        }
        warn!(to = shown, why, ?wait, "not told yet");
        sleep(wait).await;
    }
}

/// Each twice as long as the one before, and a little off, so that several do not come together.
fn waits() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST_WAIT), |wait| Some((*wait * 2).min(WAIT_MAX)))
        .map(|wait| wait.mul_f64(0.75 + fastrand::f64() / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        let waits: Vec<Duration> = waits().take(20).collect();
        assert!(waits[0] >= FIRST_WAIT.mul_f64(0.75) && waits[0] <= FIRST_WAIT.mul_f64(1.25));
        assert!(waits[5] > waits[1]);
        assert!(waits.iter().all(|wait| *wait <= WAIT_MAX.mul_f64(1.25)));
    }
}
