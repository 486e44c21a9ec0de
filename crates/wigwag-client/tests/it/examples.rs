//! Every example, run against the real Mosquitto and watched by another client.

macro_rules! examples {
    ($($(#[cfg($condition:meta)])? $name:ident = $path:literal;)*) => {
        $(
            $(#[cfg($condition)])?
            #[path = $path]
            #[expect(dead_code, reason = "`main` is for the program, a test calls `run`")]
            pub(crate) mod $name;
        )*
    };
}

examples! {
    #[cfg(feature = "json")] autopaho_port = "../../examples/autopaho_port.rs";
    #[cfg(feature = "blocking")] blocking = "../../examples/blocking.rs";
    #[cfg(feature = "json")] device = "../../examples/device.rs";
    #[cfg(feature = "store-fjall")] persistent_queue = "../../examples/persistent_queue.rs";
    publish = "../../examples/publish.rs";
    request = "../../examples/request.rs";
    #[cfg(all(feature = "scram", target_os = "linux"))] scram = "../../examples/scram.rs";
    subscribe = "../../examples/subscribe.rs";
    #[cfg(feature = "tls")] tls = "../../examples/tls.rs";
}

use tokio::sync::mpsc::UnboundedReceiver;
use wigwag_client::{Client, Message, Outcome, Publish, Qos};

use crate::mosquitto::{Mosquitto, online};
use crate::{builder, collect, next, within};

/// A broker, a client that watches a filter, and what it has seen.
async fn watch(filter: &str) -> (Mosquitto, Client, UnboundedReceiver<Message>) {
    let broker = Mosquitto::start_with("").await;
    let watcher = online(builder(&broker.tcp())).await;
    let (handler, messages) = collect();
    within(watcher.subscribe(filter, Qos::ExactlyOnce, handler))
        .await
        .expect("granted");
    (broker, watcher, messages)
}

/// Publishes at QoS 1.
#[cfg(feature = "json")]
async fn tell(client: &Client, topic: &str, payload: &'static str) {
    let publish = Publish::new(topic, payload).qos(Qos::AtLeastOnce);
    assert_eq!(
        within(client.publish(publish)).await,
        Ok(Outcome::Delivered)
    );
}

#[tokio::test]
async fn publish() {
    let (broker, _watcher, mut seen) = watch("wigwag/example/+").await;
    within(publish::run(&broker.tcp())).await.expect("it works");
    assert_eq!(next(&mut seen).await.topic(), "wigwag/example/temperature");
    for number in 0..100 {
        assert_eq!(next(&mut seen).await.payload(), &number.to_string());
    }
    assert_eq!(next(&mut seen).await.payload(), "psst");
}

#[tokio::test]
async fn request() {
    let (broker, _watcher, mut seen) = watch("wigwag/example/square").await;
    within(request::run(&broker.tcp())).await.expect("it works");
    for _ in 0..20 {
        assert!(next(&mut seen).await.response_topic().is_some());
    }
}

#[tokio::test]
async fn subscribe() {
    let (broker, watcher, mut seen) = watch("alarm/+").await;
    // Retained: they are there when the example has subscribed.
    for (topic, payload) in [("device/7/temperature", "21.5"), ("alarm/stop", "now")] {
        let publish = Publish::new(topic, payload).qos(Qos::AtLeastOnce).retain();
        let sent = within(watcher.publish(publish)).await;
        assert_eq!(sent, Ok(Outcome::Delivered));
    }
    assert_eq!(next(&mut seen).await.topic(), "alarm/stop");
    within(subscribe::run(&broker.tcp()))
        .await
        .expect("it works");
}

#[cfg(feature = "blocking")]
#[tokio::test]
async fn blocking() {
    let (broker, _watcher, mut seen) = watch("wigwag/example/answer").await;
    let address = broker.tcp();
    let run = tokio::task::spawn_blocking(move || {
        blocking::run(&address).map_err(|error| error.to_string())
    });
    assert_eq!(within(run).await.expect("no panic"), Ok(()));
    for number in 0..3 {
        assert_eq!(next(&mut seen).await.payload(), &number.to_string());
    }
}

#[cfg(feature = "store-fjall")]
#[tokio::test]
async fn persistent_queue() {
    let (broker, _watcher, mut seen) = watch("wigwag/example/reading").await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().display().to_string();
    for _ in 0..2 {
        within(persistent_queue::run(&broker.tcp(), &folder))
            .await
            .expect("it works");
        for number in 1..=10 {
            assert_eq!(next(&mut seen).await.payload(), &number.to_string());
        }
    }
}

#[cfg(feature = "json")]
#[tokio::test]
async fn device() {
    let (broker, watcher, mut seen) = watch("device/7/+").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let address = broker.tcp();
    let running = device::run(&address, "7", async {
        // Dropped or sent, it is the end.
        let _ = stopped.await;
    });
    let watching = async {
        let mut expect = async |topic: &str, words: &[&str]| {
            let message = loop {
                let message = next(&mut seen).await;
                // The watcher sees the commands, too.
                if !message.topic().ends_with("command") {
                    break message;
                }
            };
            let text = String::from_utf8_lossy(message.payload()).into_owned();
            assert_eq!(message.topic(), topic, "{text}");
            for word in words {
                assert!(text.contains(word), "{word} in {text}");
            }
        };
        expect("device/7/online", &["true"]).await;
        let idle = [
            "\"deviceId\":\"7\"",
            "\"status\":\"idle\"",
            "\"timestamp\":",
        ];
        expect("device/7/state", &idle).await;
        let running = ["\"deviceId\":\"7\"", "\"status\":\"running\""];
        tell(&watcher, "device/7/command", r#"{"command":"start"}"#).await;
        expect("device/7/state", &running).await;
        // The period goes on.
        expect("device/7/state", &running).await;
        let answer = watcher.request("device/7/command", "louder").await;
        let answer = String::from_utf8_lossy(answer.expect("an answer").payload()).into_owned();
        assert!(answer.contains("\"ok\":false,\"error\":"), "{answer}");
        let answer = watcher.request("device/7/command", r#"{"action":"stop"}"#);
        let answer = answer.await.expect("an answer");
        let expected = r#"{"deviceId":"7","ok":true,"status":"idle"}"#;
        assert_eq!(answer.payload(), expected);
        stop.send(()).expect("it runs");
        loop {
            let message = next(&mut seen).await;
            if message.topic() == "device/7/online" {
                assert_eq!(message.payload(), "false");
                break;
            }
        }
    };
    let (result, ()) = within(async { tokio::join!(running, watching) }).await;
    result.expect("it works");
}

#[cfg(feature = "json")]
#[tokio::test]
async fn autopaho_port() {
    let (broker, watcher, mut seen) = watch("alarm/+").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let address = broker.tcp();
    let running = autopaho_port::run(&address, async {
        // Dropped or sent, it is the end.
        let _ = stopped.await;
    });
    let watching = async {
        // The example's own reading tells that it has subscribed.
        let (handler, mut readings) = collect();
        within(watcher.subscribe("sensor/+/temperature", Qos::AtLeastOnce, handler))
            .await
            .expect("granted");
        let reading = next(&mut readings).await;
        let properties: Vec<_> = reading.user_properties().collect();
        assert_eq!(properties, [("device-id", "sensor-001")]);
        tell(&watcher, "sensor/9/temperature", r#"{"value":99.0}"#).await;
        assert_eq!(next(&mut seen).await.topic(), "alarm/9");
        stop.send(()).expect("it runs");
    };
    let (result, ()) = within(async { tokio::join!(running, watching) }).await;
    result.expect("it works");
}
