//! Alarms of the broker: what it looks at, where it tells of them, and what a reload makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;
use wigwag_broker::Broker;
use wigwag_broker::conf::{self, Config, Disk};
use wigwag_proto::ReasonCode;
use wigwag_proto::packet::{Qos, Version};

use crate::client::{Client, Login};
use crate::foreign::free_port;
use crate::observation::get;

struct Site {
    folder: TempDir,
    broker: Broker,
    mqtt: u16,
    http: u16,
}

impl Site {
    fn start(alarms: &str) -> Site {
        let folder = TempDir::new().expect("a folder");
        let (mqtt, http) = (free_port(), free_port());
        let config = config(&folder, mqtt, http, alarms);
        let broker = Broker::builder().config(&config, &[]).start();
        Site {
            folder,
            broker: broker.expect("the ports are free"),
            mqtt,
            http,
        }
    }

    fn reload(&mut self, alarms: &str) {
        let config = config(&self.folder, self.mqtt, self.http, alarms);
        self.broker.reload(&config).expect("usable");
    }

    async fn connect(&self, client_id: &str) -> Client {
        Client::connect(at(self.mqtt), Version::V5, client_id).await
    }

    /// The messages of the alarms there are and of those there were, by their names.
    async fn listed(&self) -> [BTreeMap<String, String>; 2] {
        let answer = get(at(self.http), "/api/v1/alarms", "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: application/json"));
        let json: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        ["active", "history"].map(|list| {
            let alarms = json[list].as_array().expect("a list").iter();
            let text = |it: &serde_json::Value| it.as_str().expect("a text").to_owned();
            alarms
                .map(|it| (text(&it["name"]), text(&it["message"])))
                .collect()
        })
    }
}

fn config(folder: &TempDir, mqtt: u16, http: u16, alarms: &str) -> Config {
    let file = folder.path().join("broker.conf");
    let text = format!(
        "sys_interval 1\nallow_anonymous true\nlistener {mqtt} 127.0.0.1\nlistener {http} 127.0.0.1\n\
         protocol http_api\n{alarms}"
    );
    fs::write(&file, text).expect("writable");
    conf::read(&file, &Disk).expect("valid").config
}

const fn at(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The next message of an alarm: its topic below `$SYS/broker/alarms/`, and what it says.
async fn told(watcher: &mut Client) -> (String, String) {
    let message = watcher.message().await;
    let topic = message.topic.strip_prefix("$SYS/broker/alarms/");
    let topic = topic.expect("of an alarm").to_owned();
    let json: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
    let is_over = topic.starts_with("deactivate/");
    assert_eq!(json["deactivate_at"].is_null(), !is_over, "{json}");
    assert!(
        json["activate_at"]
            .as_str()
            .is_some_and(|it| it.ends_with('Z')),
        "{json}"
    );
    (topic, json["message"].as_str().expect("a text").to_owned())
}

fn is(topic: &str, message: &str) -> (String, String) {
    (topic.to_owned(), message.to_owned())
}

#[tokio::test]
async fn numbers_of_the_broker_raise_an_alarm_that_everybody_can_see() {
    let site =
        Site::start("alarm many: $SYS/broker/clients/connected >= 3 until < 2 severity critical\n");
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    let (a, b) = (site.connect("a").await, site.connect("b").await);
    let raised = "$SYS/broker/clients/connected is 3 (limit: >= 3)";
    assert_eq!(told(&mut watcher).await, is("activate/many", raised));
    let [active, history] = site.listed().await;
    assert_eq!(active.get("many").map(String::as_str), Some(raised));
    assert!(history.is_empty(), "{history:?}");
    let metrics = get(at(site.http), "/metrics", "").await.body;
    assert!(
        metrics.contains("wigwag_alarms_active{severity=\"critical\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("wigwag_alarms_raised_total{severity=\"critical\"} 1\n"),
        "{metrics}"
    );

    drop((a, b));
    let over = "$SYS/broker/clients/connected is 1";
    assert_eq!(told(&mut watcher).await, is("deactivate/many", over));
    let [active, history] = site.listed().await;
    assert!(active.is_empty(), "{active:?}");
    assert_eq!(history.get("many").map(String::as_str), Some(over));
}

#[tokio::test]
async fn what_clients_publish_raises_alarms_at_once() {
    let site = Site::start(
        "alarm hot: device/+/state @ temperature > 80\n\
         alarm all: # @ temperature > 90\n",
    );
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    // Whether the broker listens by now or not.
    let mut device = site.connect("device").await;
    device
        .publish_retained("device/1/state", br#"{"temperature":85}"#)
        .await;
    let raised = "device/1/state: temperature is 85 (limit: > 80)";
    assert_eq!(told(&mut watcher).await, is("activate/hot", raised));
    device
        .publish_retained("device/1/state", br#"{"temperature":20}"#)
        .await;
    let over = "device/1/state: temperature is 20";
    assert_eq!(told(&mut watcher).await, is("deactivate/hot", over));
}

#[tokio::test]
async fn metrics_are_looked_at_without_being_published() {
    let site = Site::start("alarm open: $METRICS/wigwag_sessions/connected > 1\n");
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    watcher.subscribe("$METRICS/#", Qos::AtMostOnce).await;
    let _other = site.connect("other").await;
    let raised = "$METRICS/wigwag_sessions/connected is 2 (limit: > 1)";
    assert_eq!(told(&mut watcher).await, is("activate/open", raised));
}

#[tokio::test]
async fn a_reload_ends_the_alarms_of_rules_that_are_gone_and_no_others() {
    let rules = "alarm hot: t/1 > 80\nalarm wet: t/2 > 80\n";
    let mut site = Site::start(rules);
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    let mut device = site.connect("device").await;
    device.publish_retained("t/1", b"90").await;
    assert_eq!(told(&mut watcher).await.0, "activate/hot");
    device.publish_retained("t/2", b"90").await;
    assert_eq!(told(&mut watcher).await.0, "activate/wet");

    // Nobody publishes again, and the changed rule knows all the same.
    site.reload("alarm hot: t/1 > 80\nalarm wet: t/2 > 70\nalarm new: t/3 > 80\n");
    assert_eq!(
        told(&mut watcher).await,
        is("deactivate/wet", "the rule has been changed or removed")
    );
    assert_eq!(
        told(&mut watcher).await,
        is("activate/wet", "t/2 is 90 (limit: > 70)")
    );
    device.publish_retained("t/3", b"81").await;
    assert_eq!(told(&mut watcher).await.0, "activate/new");
    let [active, _] = site.listed().await;
    assert_eq!(active.keys().collect::<Vec<_>>(), ["hot", "new", "wet"]);
}

#[tokio::test]
async fn nobody_else_is_called_like_the_ear_of_the_broker() {
    let site = Site::start("alarm hot: t/1 > 80\n");
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    let login = Login {
        client_id: "wigwag.alarms",
        user_name: None,
        password: None,
    };
    let refused = Client::try_connect(at(site.mqtt), Version::V5, login).await;
    assert_eq!(refused.err(), Some(ReasonCode::ClientIdentifierNotValid));
    let mut device = site.connect("device").await;
    device.publish_retained("t/1", b"90").await;
    assert_eq!(told(&mut watcher).await.0, "activate/hot");
}

#[tokio::test]
async fn a_bridge_that_is_down_is_seen_by_what_it_says_of_itself() {
    let site = Site::start(
        "alarm far: $SYS/broker/connection/+/state == 0\n\
         connection far\naddress 127.0.0.1:1\nremote_clientid far\ntopic # out\n",
    );
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    // It may have been told before.
    if !site.listed().await[0].contains_key("far") {
        assert_eq!(told(&mut watcher).await.0, "activate/far");
    }
}

#[tokio::test]
async fn a_large_message_counts_and_is_not_lost() {
    let site = Site::start("alarm flood: messages pictures over 1s > 0.5\n");
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/alarms/#", Qos::AtMostOnce)
        .await;
    let mut camera = site.connect("camera").await;
    // Until the broker listens.
    let sending = async {
        loop {
            camera
                .publish_retained("pictures", &vec![7; 1_500_000])
                .await;
        }
    };
    tokio::select! {
        () = sending => {}
        told = told(&mut watcher) => assert_eq!(told.0, "activate/flood"),
    }
    let metrics = get(at(site.http), "/metrics", "").await.body;
    let none = "wigwag_messages_dropped_total{reason=\"too_large\"} 0\n";
    assert!(metrics.contains(none), "{metrics}");
}

#[tokio::test]
async fn the_broker_has_a_client_only_while_a_rule_needs_it() {
    let mut site = Site::start("alarm hot: t/1 > 80\n");
    let mut watcher = site.connect("watcher").await;
    watcher
        .subscribe("$SYS/broker/clients/connected", Qos::AtMostOnce)
        .await;
    let mut await_clients = async |count: &[u8]| while watcher.message().await.payload != count {};
    await_clients(b"2").await;
    site.reload("");
    await_clients(b"1").await;
    site.reload("alarm hot: t/1 > 80\n");
    await_clients(b"2").await;
}
