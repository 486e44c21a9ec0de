//! A message that goes to a broker and comes back: what only a client can see of whether a broker works.
//!
//! A [`Traveller`] is a connection of its own with a subscription to a topic of its own. Each step has its time, and
//! each failure says which step it was.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use wigwag_client::{Bytes, Client, Message, OfflineReason, Outcome, Publish, Qos, State};

use super::board::as_value;
use super::names::Kind;
use super::target::Target;
use super::text_format::{About, Page};

/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long it may take when there is no time left: whoever asked waits no longer.
const SHORT_FAREWELL: Duration = Duration::from_millis(100);

/// Messages of the topic that wait to be looked at: a late one may come before the one that is waited for.
const ARRIVALS_MAX: usize = 16;

/// How messages are sent.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The topic, but for the last level, which is that of the client.
    pub(super) topic: String,
    pub(super) qos: Qos,
    /// For all steps together.
    pub(super) timeout: Duration,
}

/// What is done, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    Subscribe,
    Publish,
    Receive,
}

impl Step {
    pub(super) const ALL: [Step; 4] =
        [Step::Connect, Step::Subscribe, Step::Publish, Step::Receive];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Step::Connect => "connect",
            Step::Subscribe => "subscribe",
            Step::Publish => "publish",
            Step::Receive => "receive",
        }
    }
}

/// The step that failed, and why.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = match self.step {
            Step::Connect => "cannot connect",
            Step::Subscribe => "cannot subscribe",
            Step::Publish => "cannot publish",
            Step::Receive => "the message did not come back",
        };
        write!(f, "{tried}: {}", self.reason)
    }
}

/// How long the steps took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) connect: Duration,
    pub(super) subscribe: Duration,
    /// From the publication to the arrival.
    pub(super) trip: Duration,
}

/// A client that sends messages to itself.
pub(super) struct Traveller {
    client: Client,
    arrivals: mpsc::Receiver<Bytes>,
    topic: String,
    plan: Plan,
    sent: u64,
    /// What this client has sent begins with it.
    mark: u64,
}

/// Connects, subscribes, sends a message and takes it back. Dropping the future ends the connection.
pub(super) async fn travel_once(
    target: &Target,
    client_id: &str,
    plan: &Plan,
) -> Result<Times, Failure> {
    let until = Instant::now() + plan.timeout;
    let (mut traveller, connect, subscribe) =
        Traveller::set_out(target, client_id, plan, until).await?;
    let trip = traveller.travel(until).await;
    let left = until.saturating_duration_since(Instant::now());
    traveller
        .leave_within(left.clamp(SHORT_FAREWELL, FAREWELL))
        .await;
    Ok(Times {
        connect,
        subscribe,
        trip: trip?,
    })
}

impl Traveller {
    /// Connects and subscribes, and says how long both took. Dropping the future ends the connection.
    pub(super) async fn set_out(
        target: &Target,
        client_id: &str,
        plan: &Plan,
        until: Instant,
    ) -> Result<(Traveller, Duration, Duration), Failure> {
        let begin = Instant::now();
        let client = target.prober(client_id).build().map_err(|error| Failure {
            step: Step::Connect,
            reason: error.to_string(),
        })?;
        client.start();
        within(until, plan, Step::Connect, first_answer(&client)).await?;
        let connected = Instant::now();
        let topic = format!("{}/{client_id}", plan.topic);
        let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let subscribing = client.subscribe(&*topic, plan.qos, move |message: Message| {
            // Whoever waits wants the last one; nobody sends so many.
            let _ = sender.try_send(message.payload().clone());
        });
        let subscribing = async { subscribing.await.map_err(|error| error.to_string()) };
        within(until, plan, Step::Subscribe, subscribing).await?;
        let traveller = Traveller {
            client,
            arrivals,
            topic,
            plan: plan.clone(),
            sent: 0,
            mark: fastrand::u64(..),
        };
        Ok((traveller, connected - begin, connected.elapsed()))
    }

    /// Sends a message and waits for it. Dropping the future takes nothing back.
    pub(super) async fn travel(&mut self, until: Instant) -> Result<Duration, Failure> {
        self.sent += 1;
        let payload = Bytes::from(format!("{:016x} {}", self.mark, self.sent));
        let message = Publish::new(&*self.topic, payload.clone())
            .qos(self.plan.qos)
            .message_expiry(self.plan.timeout.max(Duration::from_secs(1)))
            .text();
        let begin = Instant::now();
        let publishing = self.client.publish(message);
        let publishing = async {
            match publishing.await {
                Ok(Outcome::Delivered) => Ok(()),
                Ok(Outcome::Rejected(code)) => {
                    Err(format!("the broker refuses the message: {code}"))
                }
                Ok(Outcome::Indeterminate(reason)) => Err(reason.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        let arrivals = &mut self.arrivals;
        let arriving = async {
            while let Some(arrived) = arrivals.recv().await {
                if arrived == payload {
                    return Ok(begin.elapsed());
                }
            }
            Err("the client has stopped".to_owned())
        };
        tokio::pin!(arriving);
        // It may be back before its acknowledgement.
        tokio::select! {
            published = within(until, &self.plan, Step::Publish, publishing) => published?,
            arrived = &mut arriving => {
                return arrived.map_err(|reason| Failure { step: Step::Receive, reason });
            }
        }
        within(until, &self.plan, Step::Receive, arriving).await
    }

    /// Ends the connection.
    pub(super) async fn leave(self) {
        self.leave_within(FAREWELL).await;
    }

    async fn leave_within(self, within: Duration) {
        // A broker that does not answer lets the client wait beyond its own bound, for the end of the stream.
        let _ = timeout(within, self.client.disconnect_within(within)).await;
    }
}

/// Waits until the broker has accepted the connection, or the first attempt has failed.
async fn first_answer(client: &Client) -> Result<(), String> {
    let mut states = client.state();
    loop {
        match &*states.borrow_and_update() {
            State::Online { .. } => return Ok(()),
            State::Offline { reason, .. } if *reason != OfflineReason::NotStarted => {
                return Err(reason.to_string());
            }
            State::Offline { .. } | State::Connecting { .. } => {}
        }
        if states.changed().await.is_err() {
            return Err("the client has stopped".to_owned());
        }
    }
}

/// Bounds a step.
async fn within<T>(
    until: Instant,
    plan: &Plan,
    step: Step,
    doing: impl Future<Output = Result<T, String>>,
) -> Result<T, Failure> {
    let done = timeout_at(until.into(), doing).await;
    let too_long = |_| Err(format!("no answer within {:?}", plan.timeout));
    done.unwrap_or_else(too_long)
        .map_err(|reason| Failure { step, reason })
}

/// What has become of all messages that were sent to one broker.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// How the last one fared.
    last: Option<Last>,
    failures: [u64; Step::ALL.len()],
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    is_success: bool,
    /// Of a connection that was made for this message alone.
    times: Option<Times>,
}

/// Upper bounds of the buckets in seconds.
const BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

impl Record {
    /// A message has come back over a connection that was there.
    pub(super) fn handle_trip(&mut self, trip: Duration) {
        self.count_trip(trip);
        self.last = Some(Last {
            is_success: true,
            times: None,
        });
    }

    /// A message has come back over a connection of its own.
    pub(super) fn handle_times(&mut self, times: Times) {
        self.count_trip(times.trip);
        self.last = Some(Last {
            is_success: true,
            times: Some(times),
        });
    }

    pub(super) fn handle_failure(&mut self, failure: &Failure) {
        let index = Step::ALL.iter().position(|step| *step == failure.step);
        if let Some(count) = index.and_then(|index| self.failures.get_mut(index)) {
            *count += 1;
        }
        self.last = Some(Last {
            is_success: false,
            times: None,
        });
    }

    fn count_trip(&mut self, trip: Duration) {
        let secs = trip.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| secs <= *bound);
        if let Some(count) = bucket.and_then(|index| self.buckets.get_mut(index)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += secs;
    }

    /// Writes all, if anything has been sent.
    pub(super) fn write(&self, page: &mut Page) {
        let Some(last) = self.last else {
            return;
        };
        page.add(SUCCESS, &[], if last.is_success { 1.0 } else { 0.0 });
        for (step, count) in Step::ALL.iter().zip(self.failures) {
            page.add(FAILURES, &[("step", step.name())], as_value(count));
        }
        let mut up_to = 0;
        let buckets = BOUNDS.into_iter().zip(self.buckets).map(|(bound, count)| {
            up_to += count;
            (bound, up_to)
        });
        page.add_histogram(DURATION, buckets, self.count, self.sum);
        if let Some(times) = last.times {
            for (step, time) in [
                ("connect", times.connect),
                ("subscribe", times.subscribe),
                ("roundtrip", times.trip),
            ] {
                page.add(STEP_DURATION, &[("step", step)], time.as_secs_f64());
            }
        }
    }
}

const SUCCESS: About<'_> = About {
    name: "mqtt_probe_success",
    kind: Kind::Gauge,
    help: "Whether the last message that was sent to the broker came back",
};
const DURATION: About<'_> = About {
    name: "mqtt_probe_duration_seconds",
    kind: Kind::Histogram,
    help: "Time from the publication of a message to its arrival",
};
const FAILURES: About<'_> = About {
    name: "mqtt_probe_failures_total",
    kind: Kind::Counter,
    help: "Messages that did not come back, by the step that failed",
};
const STEP_DURATION: About<'_> = About {
    name: "mqtt_probe_step_duration_seconds",
    kind: Kind::Gauge,
    help: "Time that the steps of this probe took",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn text(record: &Record) -> String {
        let mut page = Page::default();
        record.write(&mut page);
        page.into_text()
    }

    #[test]
    fn buckets_add_up_and_failures_are_counted_by_step() {
        let mut record = Record::default();
        assert_eq!(text(&record), "");
        for millis in [1, 2, 40, 60_000] {
            record.handle_trip(Duration::from_millis(millis));
        }
        let shown = text(&record);
        for expect in [
            "mqtt_probe_success 1\n",
            "mqtt_probe_duration_seconds_bucket{le=\"0.0005\"} 0\n",
            "mqtt_probe_duration_seconds_bucket{le=\"0.001\"} 1\n",
            "mqtt_probe_duration_seconds_bucket{le=\"0.0025\"} 2\n",
            "mqtt_probe_duration_seconds_bucket{le=\"10\"} 3\n",
            "mqtt_probe_duration_seconds_bucket{le=\"+Inf\"} 4\n",
            "mqtt_probe_duration_seconds_sum 60.043\n",
            "mqtt_probe_duration_seconds_count 4\n",
            "mqtt_probe_failures_total{step=\"receive\"} 0\n",
        ] {
            assert!(shown.contains(expect), "{expect}{shown}");
        }
        assert!(!shown.contains("step_duration"));
        record.handle_failure(&Failure {
            step: Step::Receive,
            reason: String::new(),
        });
        let shown = text(&record);
        assert!(shown.contains("mqtt_probe_success 0\n"), "{shown}");
        assert!(
            shown.contains("mqtt_probe_failures_total{step=\"receive\"} 1\n"),
            "{shown}"
        );
        record.handle_times(Times {
            connect: Duration::from_millis(5),
            subscribe: Duration::from_millis(6),
            trip: Duration::from_millis(7),
        });
        let shown = text(&record);
        let expect = "mqtt_probe_step_duration_seconds{step=\"roundtrip\"} 0.007\n";
        assert!(shown.contains(expect), "{shown}");
    }
}
