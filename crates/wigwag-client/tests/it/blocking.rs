//! The blocking facade on real threads, against the real Mosquitto and, for what takes patience, nobody.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wigwag_client::blocking::{Client, WaitError};
use wigwag_client::{
    Backoff, Builder, Event, Message, OfflineReason, Outcome, Publish, PublishError, Qos,
    ReasonCode, Reject, RequestError, Router, State,
};

use crate::PATIENCE;
use crate::mosquitto::{Mosquitto, free_port};

/// A broker, and the runtime that the test's own side of it needs.
struct Broker {
    address: String,
    runtime: Runtime,
    mosquitto: Mosquitto,
}

impl Broker {
    fn start() -> Broker {
        let runtime = Runtime::new().expect("a runtime");
        let mosquitto = runtime.block_on(Mosquitto::start_with(""));
        Broker {
            address: mosquitto.tcp(),
            runtime,
            mosquitto,
        }
    }

    fn online(&self, client_id: &str) -> Client {
        let client = builder(&self.address).client_id(client_id);
        let client = client.build_blocking().expect("valid");
        client.start();
        client.await_connection(PATIENCE).expect("online");
        client
    }
}

fn builder(address: &str) -> Builder {
    let quick = Backoff::default()
        .first(Duration::from_millis(20))
        .max(Duration::from_millis(100));
    Client::builder(address).backoff(quick)
}

/// A client of a server that is not there.
fn alone() -> Client {
    let client = builder(&format!("mqtt://127.0.0.1:{}", free_port()));
    let client = client.build_blocking().expect("valid");
    client.start();
    client
}

#[test]
fn threads_share_a_client_and_each_waits_for_its_own_outcome() {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    let broker = Broker::start();
    let client = broker.online("shared");
    let (sender, received) = mpsc::channel();
    let subscribing = client.subscribe("t/+", Qos::ExactlyOnce, move |message: Message| {
        sender.send(message).expect("the test waits");
    });
    subscribing.wait_for(PATIENCE).expect("granted");
    let publishers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let client = client.clone();
            thread::spawn(move || {
                // All are under way before the first is waited for.
                let pending: Vec<_> = (0..EACH)
                    .map(|_| {
                        let publish = Publish::new(format!("t/{thread}"), "x");
                        client.publish(publish.qos(Qos::ExactlyOnce))
                    })
                    .collect();
                for publishing in pending {
                    assert_eq!(publishing.wait_for(PATIENCE), Ok(Outcome::Delivered));
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().expect("no panic");
    }
    for _ in 0..THREADS * EACH {
        received.recv_timeout(PATIENCE).expect("all arrive");
    }
    assert!(client.disconnect().is_clean());
}

#[test]
fn a_handler_may_publish_and_wait_on_its_thread_and_its_verdict_counts() {
    let broker = Broker::start();
    let client = broker.online("echo");
    let mut events = client.events();
    let own = client.clone();
    let echoing = client.subscribe("ask", Qos::AtLeastOnce, move |message: Message| {
        match &message.payload()[..] {
            b"reject" => return Err(Reject::new(ReasonCode::PayloadFormatInvalid)),
            b"panic" => std::panic::resume_unwind(Box::new("on purpose")),
            _ => {}
        }
        let echo = Publish::new("answer", message.payload().clone()).qos(Qos::AtLeastOnce);
        // The acknowledgement of this comes through the connection that delivered the message.
        let outcome = own.publish(echo).wait_for(PATIENCE);
        assert_eq!(outcome, Ok(Outcome::Delivered));
        Ok(())
    });
    echoing.wait_for(PATIENCE).expect("granted");
    let answers = client.subscribe_iter("answer", Qos::AtLeastOnce);
    let mut answers = answers.wait_for(PATIENCE).expect("granted");
    for payload in ["reject", "panic", "1", "2"] {
        let publish = Publish::new("ask", payload).qos(Qos::AtLeastOnce);
        let outcome = client.publish(publish).wait_for(PATIENCE);
        assert_eq!(outcome, Ok(Outcome::Delivered));
    }
    for payload in ["1", "2"] {
        let answer = answers.next_for(PATIENCE).expect("in time");
        assert_eq!(answer.expect("a message").payload(), payload);
    }
    drop(answers);
    let mut told = (false, false);
    while told != (true, true) {
        match events.next_for(PATIENCE).expect("in time") {
            Some(Event::Rejected { .. }) => told.0 = true,
            Some(Event::HandlerPanicked { .. }) => told.1 = true,
            Some(_) => {}
            None => break,
        }
    }
    assert_eq!(told, (true, true));
    assert!(client.disconnect().is_clean());
    assert!(events.last().is_some(), "the events end with the client");
}

#[test]
fn an_iterator_gives_messages_out_and_unsubscribes_when_it_is_dropped() {
    let broker = Broker::start();
    let client = broker.online("iterator");
    let publish = |payload: &'static str| {
        let publish = Publish::new("a", payload).qos(Qos::AtLeastOnce);
        let outcome = client.publish(publish).wait_for(PATIENCE);
        assert_eq!(outcome, Ok(Outcome::Delivered));
    };
    let subscription = client.subscribe_iter("a", Qos::AtLeastOnce);
    let mut subscription = subscription.wait_for(PATIENCE).expect("granted");
    assert_eq!(subscription.topic_filter(), "a");
    let bound = Duration::from_millis(50);
    assert_eq!(
        subscription.next_for(bound).err(),
        Some(WaitError::TimedOut(bound))
    );
    for payload in ["1", "2", "3"] {
        publish(payload);
    }
    let first = subscription.next().expect("a message");
    assert_eq!(first.payload(), "1");
    let (second, ack) = (subscription.next_with_ack_for(PATIENCE))
        .expect("in time")
        .expect("a message");
    assert_eq!(second.payload(), "2");
    ack.accept();
    drop(subscription);
    // Its UNSUBSCRIBE leaves before this: the server has no subscription left to remove.
    let left = client.unsubscribe("a").wait_for(PATIENCE);
    assert!(left.is_ok(), "{left:?}");
    publish("4");
    let again = client.subscribe_iter("a", Qos::AtLeastOnce);
    let mut again = again.wait_for(PATIENCE).expect("granted");
    publish("5");
    let next = again.next_for(PATIENCE).expect("in time");
    assert_eq!(next.expect("a message").payload(), "5");
    drop(again);
    assert!(client.disconnect().is_clean());
}

#[test]
fn requests_are_answered_by_threads() {
    let broker = Broker::start();
    let (asking, serving) = (broker.online("asking"), broker.online("serving"));
    let served = serving.serve("square", |message: Message| {
        let text = std::str::from_utf8(message.payload()).unwrap_or_default();
        let number: u64 = text.parse().map_err(|_| ReasonCode::PayloadFormatInvalid)?;
        Ok::<_, Reject>((number * number).to_string())
    });
    let mounted = served.expect("valid").wait_for(PATIENCE).expect("answered");
    mounted.all_granted().expect("granted");
    let pending: Vec<_> = (0..20_u64)
        .map(|number| {
            let request = asking.request("square", number.to_string());
            request.timeout(PATIENCE).send()
        })
        .collect();
    for (number, answer) in (0..20_u64).zip(pending) {
        let answer = answer.wait().expect("an answer");
        assert_eq!(answer.payload(), &(number * number).to_string());
    }
    let bound = Duration::from_millis(100);
    let nobody = asking.request("nobody", "?").timeout(bound).send();
    // Mosquitto tells that nobody listens only for QoS 1 and 2, and with a success.
    assert_eq!(
        nobody.wait().err(),
        Some(WaitError::Failed(RequestError::Timeout(bound)))
    );
    for client in [asking, serving] {
        client.disconnect();
    }
}

#[test]
fn time_outs_take_nothing_back() {
    let client = alone();
    let bound = Duration::from_millis(30);
    let began = Instant::now();
    assert_eq!(
        client.await_connection(bound),
        Err(WaitError::TimedOut(bound))
    );
    assert!(began.elapsed() >= bound);
    let publishing = client.publish(Publish::new("a", "kept").qos(Qos::AtLeastOnce));
    assert_eq!(publishing.wait_for(bound), Err(WaitError::TimedOut(bound)));
    let mut receipt = client.enqueue(Publish::new("a", "kept").qos(Qos::AtLeastOnce));
    while !receipt.is_ready() {
        thread::yield_now();
    }
    let receipt = receipt.wait().expect("taken over");
    let outcome = client.outcome(&receipt);
    assert_eq!(outcome.wait_for(bound), Err(WaitError::TimedOut(bound)));
    assert_eq!(
        client.try_publish(Publish::new("a", "now")),
        Err(PublishError::Offline)
    );
    let report = client.disconnect_within(Duration::ZERO);
    assert_eq!((report.queued, report.disconnect_sent), (2, false));
    assert_eq!(
        client.outcome(&receipt).wait(),
        Err(WaitError::Failed(PublishError::Stopped))
    );
}

#[test]
fn a_client_that_has_been_refused_for_good_says_so() {
    let client = alone();
    client
        .wait_for_state(|state| matches!(state, State::Offline { .. }), PATIENCE)
        .expect("nobody listens");
    client.disconnect();
    let waited = client.await_connection(PATIENCE);
    let Err(WaitError::Failed(fatal)) = waited else {
        unreachable!("{waited:?}")
    };
    assert_eq!(fatal.reason, OfflineReason::Stopped);
    let waited = client.wait_for_state(State::is_online, PATIENCE);
    assert!(matches!(waited, Err(WaitError::Failed(_))), "{waited:?}");
}

#[test]
fn the_connection_ends_with_the_last_handle() {
    let broker = Broker::start();
    let watcher = broker.online("watcher");
    let wills = watcher.subscribe_iter("gone", Qos::AtLeastOnce);
    let mut wills = wills.wait_for(PATIENCE).expect("granted");
    let will = wigwag_client::Will::new("gone", "true").qos(Qos::AtLeastOnce);
    let client = builder(&broker.address).will(will);
    let client = client.build_blocking().expect("valid");
    client.start();
    client.await_connection(PATIENCE).expect("online");
    // A subscription is a handle, too.
    let subscription = client.subscribe_iter("a", Qos::AtMostOnce);
    let mut subscription = subscription.wait_for(PATIENCE).expect("granted");
    drop(client);
    let still = Publish::new("a", "still here").qos(Qos::AtLeastOnce);
    let sent = watcher.publish(still).wait_for(PATIENCE);
    assert_eq!(sent, Ok(Outcome::Delivered));
    assert!(subscription.next_for(PATIENCE).expect("in time").is_some());
    drop(subscription);
    assert!(wills.next_for(PATIENCE).expect("in time").is_some());
}

#[test]
fn inside_an_async_runtime_it_blocks_and_neither_panics_nor_hangs() {
    let broker = Broker::start();
    let client = broker.online("inside");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    // More waits than the share of time that a runtime gives a task.
    runtime.expect("a runtime").block_on(async {
        for _ in 0..500 {
            let publish = Publish::new("a", "x").qos(Qos::AtLeastOnce);
            let outcome = client.publish(publish).wait_for(PATIENCE);
            assert_eq!(outcome, Ok(Outcome::Delivered));
        }
        assert!(client.disconnect().is_clean());
        drop(client);
    });
    let client = broker.online("outside");
    let on_worker = broker.runtime.spawn(async move {
        let publish = Publish::new("a", "x").qos(Qos::AtLeastOnce);
        client.publish(publish).wait_for(PATIENCE)
    });
    let outcome = broker.runtime.block_on(on_worker).expect("no panic");
    assert_eq!(outcome, Ok(Outcome::Delivered));
    drop(broker.mosquitto);
}

#[test]
fn a_wait_for_itself_is_refused() {
    let broker = Broker::start();
    let client = broker.online("itself");
    let (sender, refused) = mpsc::channel();
    let own = client.clone();
    // The handlers of a router are async functions, and run on the client's own thread.
    let router = Router::new().on("a", move || {
        let publishing = own.publish(Publish::new("b", "x").qos(Qos::AtLeastOnce));
        let report = own.disconnect();
        sender.send((publishing.wait(), report)).expect("waits");
        std::future::ready(())
    });
    let mounting = client.mount(router, Qos::AtLeastOnce).expect("valid");
    let mounted = mounting.wait_for(PATIENCE).expect("answered");
    mounted.all_granted().expect("granted");
    let publish = Publish::new("a", "x").qos(Qos::AtLeastOnce);
    let outcome = client.publish(publish).wait_for(PATIENCE);
    assert_eq!(outcome, Ok(Outcome::Delivered));
    let (waited, report) = refused.recv_timeout(PATIENCE).expect("handled");
    assert_eq!(waited, Err(WaitError::OwnThread));
    assert!(!report.is_clean());
    assert!(client.disconnect().is_clean(), "the client goes on");
}
