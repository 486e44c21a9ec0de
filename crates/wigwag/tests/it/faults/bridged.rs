//! A bridge of ours over a link that breaks in every way: what one broker has taken arrives at the other one,
//! QoS 2 exactly once, in order.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;

use super::proxy::{Plan, Proxy};
use super::{LAST, Receiver, Sent, limits, setting, tell};
use crate::broker::{Broker, Kind, free_port};
use crate::configured::Configured;
use crate::our_client::{block_on, builder, online, within};
use wigwag_client::{Outcome, Publish, Qos};

/// Which way the messages go, seen from the broker that has the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

#[test]
fn a_bridge_to_mosquitto_loses_nothing_on_its_way_out() {
    block_on(run(Kind::Mosquitto, "mqttv311", Way::Out));
}

#[test]
fn a_bridge_to_mosquitto_loses_nothing_on_its_way_in() {
    block_on(run(Kind::Mosquitto, "mqttv311", Way::In));
}

#[test]
fn a_bridge_to_one_of_ours_loses_nothing_over_mqtt_5() {
    for way in [Way::Out, Way::In] {
        block_on(run(Kind::Wigwag, "mqttv50", way));
    }
}

async fn run(far: Kind, version: &str, way: Way) {
    // A bridge waits a second before it comes back.
    let span = Duration::from_secs(setting("WIGWAG_FAULT_SECS", 6));
    let seed = setting("WIGWAG_FAULT_SEED", 8);
    let unbounded = "max_queued_messages 0\nmax_inflight_messages 0\n";
    let far = Broker::start_with(far, unbounded);
    let proxy = Proxy::start(far.mqtt_port(), Plan::Random(seed), version == "mqttv50").await;
    let proxy = Arc::new(proxy);
    let near_port = free_port();
    let direction = if way == Way::Out { "out" } else { "in" };
    let address = proxy.url.trim_start_matches("mqtt://");
    let text = format!(
        "user root\nlistener {near_port} 127.0.0.1\nallow_anonymous true\n{unbounded}\
         connection b\naddress {address}\nremote_clientid b\nrestart_timeout 1\n\
         keepalive_interval 5\nbridge_protocol_version {version}\n\
         bridge_session_expiry_interval 3600\ntopic f/# {direction} 2\n"
    );
    let near = Configured::start(Kind::Wigwag, TempDir::new().unwrap(), &text);
    let near_url = format!("mqtt://127.0.0.1:{near_port}");
    let (from, to) = match way {
        Way::Out => (near_url, far.mqtt_url()),
        Way::In => (far.mqtt_url(), near_url),
    };
    let changed = Arc::new(Notify::new());
    // The far broker's own mistakes are made on the bridge's connection.
    let receiving = match way {
        Way::Out => builder(&to).limits(limits(far.kind())),
        Way::In => builder(&to),
    };
    let (receiver, subscribing) = Receiver::new(online(receiving).await, Some(&proxy), &changed);
    within(subscribing).await.unwrap();
    let publisher = online(builder(&from)).await;
    // The session at the far broker is there before what it is to keep.
    near.process
        .await_line("the bridge", |line| line.contains("Connecting bridge b"));
    await_first(&publisher, &receiver, &changed).await;

    let mut sent = Sent::default();
    let arrived = || receiver.distinct();
    sent.publish_for(span, &publisher, &changed, arrived).await;
    proxy.heal();
    sent.conclude_all().await;
    let publishing = publisher.publish(Publish::new(LAST, "").qos(Qos::ExactlyOnce));
    assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
    receiver.await_all(sent.total()).await;
    println!(
        "a bridge to {:?} by {version}, {way:?}, {span:?} of faults:",
        far.kind()
    );
    tell(&sent, [&receiver, &receiver]);
    print!("  {}", proxy.counts());
    assert_eq!(sent.other, [], "outcomes other than Delivered");
    let seen = receiver.seen.lock().unwrap();
    assert_eq!(seen.distinct, sent.total(), "not all have arrived");
    assert_eq!(
        (seen.doubled, seen.reordered),
        (0, 0),
        "doubled and reordered"
    );
}

/// Until a message gets through: both sessions of the bridge exist then.
async fn await_first(publisher: &wigwag_client::Client, receiver: &Receiver, changed: &Notify) {
    loop {
        let publish = Publish::new(LAST, "").qos(Qos::AtLeastOnce);
        let outcome = within(publisher.publish(publish)).await;
        assert_eq!(outcome, Ok(Outcome::Delivered));
        // The subscription at the other side may not be there yet; then this one is lost.
        let patience = Duration::from_millis(200);
        _ = tokio::time::timeout(patience, changed.notified()).await;
        if std::mem::take(&mut receiver.seen.lock().unwrap().last_came) {
            return;
        }
    }
}
