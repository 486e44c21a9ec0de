//! Routers, streams and requests against the real Mosquitto.

use std::task::{Context, Waker};
use std::time::Duration;
#[cfg(feature = "stream")]
use std::{future::poll_fn, pin::Pin};

use tokio::sync::mpsc;
use wigwag_client::extract::{Captures, Topic};
use wigwag_client::{
    Bytes, Client, Limits, Publish, Qos, ReasonCode, Reject, Router, State, shared,
};

use super::{Mosquitto, Proxy, online};
use crate::{builder, wait_for_state, within};

async fn publish(client: &Client, topic: &str, payload: &str) {
    let publish = Publish::new(topic, payload.to_owned()).qos(Qos::AtLeastOnce);
    let outcome = within(client.publish(publish)).await.expect("sent");
    assert!(outcome.is_delivered());
}

#[tokio::test]
async fn a_router_gets_what_its_patterns_match_and_nothing_reserved() {
    let broker = Mosquitto::start().await;
    let client = builder(&broker.tcp()).build().expect("valid");
    let (sender, mut handled) = mpsc::unbounded_channel();
    let (all, one) = (sender.clone(), sender);
    let router = Router::new()
        .on("{*all}", move |Topic(topic): Topic| {
            let _ = all.send(format!("all {topic}"));
            async {}
        })
        .on("device/{id}", move |Captures(id): Captures<u8>| {
            let _ = one.send(format!("device {id}"));
            async {}
        });
    let mounting = client.mount(router, Qos::ExactlyOnce).expect("valid");
    client.start();
    within(mounting).await.all_granted().expect("granted");
    for topic in ["device/7", "other"] {
        publish(&client, topic, "").await;
    }
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.extend(within(handled.recv()).await);
    }
    calls.sort();
    assert_eq!(calls, ["all device/7", "all other", "device 7"]);
    // Mosquitto publishes its statistics; `{*all}` must not have got any.
    let mut uptime = within(client.subscribe_stream("$SYS/broker/version", Qos::AtMostOnce))
        .await
        .expect("granted");
    within(uptime.next()).await.expect("a retained message");
    within(client.disconnect()).await;
    assert!(handled.try_recv().is_err());
}

#[tokio::test]
async fn a_group_shares_its_messages() {
    const MESSAGES: usize = 100;
    let broker = Mosquitto::start().await;
    let (sender, mut handled) = mpsc::unbounded_channel();
    let mut members = Vec::new();
    for member in 0..2 {
        let client = online(builder(&broker.tcp())).await;
        let sender = sender.clone();
        let router = Router::new().on(
            shared("workers", "jobs/{job}"),
            move |job: Captures<usize>| {
                let _ = sender.send((member, job.0));
                async {}
            },
        );
        let mounting = client.mount(router, Qos::AtLeastOnce).expect("valid");
        within(mounting).await.all_granted().expect("granted");
        members.push(client);
    }
    let publisher = online(builder(&broker.tcp())).await;
    for job in 0..MESSAGES {
        publish(&publisher, &format!("jobs/{job}"), "").await;
    }
    let mut jobs = Vec::new();
    let mut counts = [0; 2];
    for _ in 0..MESSAGES {
        let (member, job) = within(handled.recv()).await.expect("a job");
        counts[member] += 1;
        jobs.push(job);
    }
    jobs.sort_unstable();
    assert!(jobs.iter().copied().eq(0..MESSAGES), "each once");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[tokio::test]
async fn rejections_are_taken_by_a_real_server_at_every_qos() {
    let broker = Mosquitto::start().await;
    let client = builder(&broker.tcp()).build().expect("valid");
    let (sender, mut handled) = mpsc::unbounded_channel();
    let router = Router::new().on("a", move |payload: Bytes| {
        let _ = sender.send(payload);
        async { Err::<(), Reject>(ReasonCode::QuotaExceeded.into()) }
    });
    let mounting = client.mount(router, Qos::ExactlyOnce).expect("valid");
    client.start();
    within(mounting).await.all_granted().expect("granted");
    for qos in super::ALL_QOS {
        // Mosquitto 2.0.11 does not count a message of QoS 2 that was rejected as done: it stops after as
        // many as the Receive Maximum allows.
        let messages = match qos {
            Qos::ExactlyOnce => 64,
            Qos::AtMostOnce | Qos::AtLeastOnce => 100,
        };
        for _ in 0..messages {
            let sent = within(client.publish(Publish::new("a", "x").qos(qos))).await;
            assert!(sent.expect("sent").is_delivered());
            within(handled.recv()).await.expect("a message");
        }
    }
    assert!(client.state().borrow().is_online());
    assert!(within(client.disconnect()).await.is_clean());
}

#[tokio::test]
async fn a_session_of_an_earlier_process_brings_its_messages_to_what_is_declared() {
    let broker = Mosquitto::start().await;
    let describe = || {
        builder(&broker.tcp())
            .client_id("c")
            .clean_start(false)
            .session_expiry(Duration::from_secs(600))
    };
    let first = online(describe()).await;
    let stream = within(first.subscribe_stream("a/+", Qos::ExactlyOnce)).await;
    stream.expect("granted").detach();
    within(first.disconnect()).await;
    let publisher = online(builder(&broker.tcp())).await;
    for number in 0..100 {
        publish(&publisher, "a/b", &number.to_string()).await;
    }
    // The messages come right behind the CONNACK, before any SUBACK.
    let second = describe().build().expect("valid");
    let streaming = second.subscribe_stream("a/+", Qos::ExactlyOnce);
    second.start();
    let mut stream = within(streaming).await.expect("granted");
    for number in 0..100 {
        let message = within(stream.next()).await.expect("a message");
        assert_eq!(message.payload(), &number.to_string());
    }
}

#[tokio::test]
async fn messages_that_are_not_settled_stop_the_server_at_the_receive_maximum() {
    const AHEAD: u16 = 4;
    let broker = Mosquitto::start().await;
    let limits = Limits {
        receive_maximum: AHEAD,
        ..Limits::default()
    };
    let client = online(builder(&broker.tcp()).limits(limits)).await;
    let mut slow = within(client.subscribe_stream("slow", Qos::AtLeastOnce))
        .await
        .expect("granted");
    let mut sync = within(client.subscribe_stream("sync", Qos::AtMostOnce))
        .await
        .expect("granted");
    let publisher = online(builder(&broker.tcp())).await;
    for number in 0..3 * AHEAD {
        publish(&publisher, "slow", &number.to_string()).await;
    }
    let mut open = Vec::new();
    for _ in 0..AHEAD {
        open.push(within(slow.next_with_ack()).await.expect("a message"));
    }
    // QoS 0 is not held back: what could have come has come when this has.
    within(publisher.publish(Publish::new("sync", "")))
        .await
        .expect("sent")
        .is_delivered();
    within(sync.next()).await.expect("a message");
    let mut context = Context::from_waker(Waker::noop());
    assert!(slow.poll_next(&mut context).is_pending());
    // Mosquitto 2.0.11 counts no further than this: each acknowledgement may bring more than one.
    for (number, (message, ack)) in open.into_iter().enumerate() {
        assert_eq!(message.payload(), &number.to_string());
        ack.accept();
    }
    for number in AHEAD..3 * AHEAD {
        let message = within(slow.next()).await.expect("a message");
        assert_eq!(message.payload(), &number.to_string());
    }
}

#[cfg(feature = "stream")]
#[tokio::test]
async fn a_message_stream_is_a_stream() {
    use futures_core::Stream;

    let broker = Mosquitto::start().await;
    let client = online(builder(&broker.tcp())).await;
    let mut stream = within(client.subscribe_stream("a", Qos::AtLeastOnce))
        .await
        .expect("granted");
    publish(&client, "a", "x").await;
    let next = poll_fn(|cx| Stream::poll_next(Pin::new(&mut stream), cx));
    assert_eq!(within(next).await.expect("a message").payload(), "x");
}

#[tokio::test]
async fn requests_are_answered_through_cut_connections() {
    const REQUESTS: usize = 20;
    let broker = Mosquitto::start().await;
    let proxy = Proxy::start(broker.tcp_port).await;
    let persistent = |address: &str, id: &str| {
        let builder = builder(address).client_id(id);
        builder.session_expiry(Duration::from_secs(600))
    };
    let server = online(persistent(&proxy.address, "server")).await;
    let serving = server.serve("square/{*rest}", |text: String| async move {
        let number: usize = text.parse().map_err(|_| ReasonCode::PayloadFormatInvalid)?;
        Ok::<_, Reject>((number * number).to_string())
    });
    let mounted = within(serving.expect("valid")).await;
    mounted.all_granted().expect("granted");
    let client = online(persistent(&proxy.address, "client")).await;
    // The inbox is there before the first cut.
    let warm = within(client.request("square/1", "1").into_future()).await;
    assert_eq!(warm.expect("answered").payload(), "1");
    for round in 0..5 {
        let requests: Vec<_> = (0..REQUESTS)
            .map(|number| {
                let topic = format!("square/{number}");
                let request = client
                    .request(topic, number.to_string())
                    .qos(Qos::ExactlyOnce);
                tokio::spawn(request.into_future())
            })
            .collect();
        tokio::task::yield_now().await;
        proxy.open.send_replace(false);
        wait_for_state(&client, |state| !state.is_online()).await;
        proxy.open.send_replace(true);
        for (number, request) in requests.into_iter().enumerate() {
            let answer = within(request).await.expect("no panic");
            let answer = answer.expect("answered");
            assert_eq!(answer.payload(), &(number * number).to_string(), "{round}");
        }
        wait_for_state(&client, State::is_online).await;
    }
}
