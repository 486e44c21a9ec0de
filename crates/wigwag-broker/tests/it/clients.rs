//! `GET /api/v1/clients`: what is told of a client, and to whom.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;
use wigwag_broker::conf::{self, Disk};
use wigwag_broker::{Broker, HttpListener, Listener, Transport};
use wigwag_proto::packet::{Qos, Version};

use crate::client::Client;
use crate::foreign::free_port;
use crate::observation::get;
use crate::{ANY_PORT, addr};

/// Longer than anything that these tests wait for.
const PATIENCE: Duration = Duration::from_secs(60);

async fn ask(api: SocketAddr, query: &str) -> (u16, Value) {
    let answer = get(api, &format!("/api/v1/clients{query}"), "").await;
    let body = serde_json::from_str(&answer.body);
    (answer.status, body.expect("JSON"))
}

async fn names(api: SocketAddr, query: &str) -> Vec<String> {
    let (status, answer) = ask(api, query).await;
    assert_eq!(status, 200, "{answer}");
    let clients = answer["clients"].as_array().expect("a list");
    let names = clients.iter().filter_map(|client| client["id"].as_str());
    names.map(str::to_owned).collect()
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_millis()).expect("not that late")
}

#[tokio::test]
async fn a_client_is_found_by_its_will_or_its_name_with_all_that_is_known() {
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .http(HttpListener::api(ANY_PORT, None))
        .start()
        .expect("port 0 is free");
    let (mqtt, api) = (addr(&broker, Transport::Tcp), broker.http_listeners()[0]);
    let before = now_millis();
    let mut device =
        Client::connect_with_will(mqtt, "<b>press/1</b>", "device/press 1/online").await;
    device.subscribe("device/+/command", Qos::AtLeastOnce).await;
    let _other = Client::connect(mqtt, Version::V3_1_1, "other").await;

    let (status, answer) = ask(api, "?topic=device%2Fpress+1/online").await;
    assert_eq!((status, &answer["beyond"]), (200, &Value::from(0)));
    let client = &answer["clients"][0];
    assert_eq!(client["id"], "<b>press/1</b>");
    assert_eq!(client["willTopic"], "device/press 1/online");
    assert_eq!(client["connection"]["protocol"], "5.0");
    assert_eq!(client["connection"]["keepAlive"], 60);
    assert_eq!(client["subscriptions"][0]["filter"], "device/+/command");
    assert_eq!(client["subscriptions"][0]["qos"], 1);
    assert_eq!(
        (&client["queued"], &client["dropped"]),
        (&0.into(), &0.into())
    );
    assert_eq!(
        (&client["expiry"], &client["endsAt"]),
        (&0.into(), &Value::Null)
    );
    assert_eq!(client["listener"], mqtt.to_string());
    let address = client["address"].as_str().expect("over TCP");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let since = client["since"].as_u64().expect("a time");
    assert!((before - 1..=now_millis()).contains(&since), "{since}");

    let (_, answer) = ask(api, "?id=other").await;
    assert_eq!(answer["clients"][0]["connection"]["protocol"], "3.1.1");
    assert_eq!(
        names(api, "?id=other&topic=device/press%201/online")
            .await
            .len(),
        2
    );
    assert!(names(api, "?id=nobody").await.is_empty());
    drop(device);
    let gone = async {
        while !names(api, "?topic=device/press%201/online")
            .await
            .is_empty()
        {}
    };
    timeout(PATIENCE, gone).await.expect("told in time");
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_told_what_is_wrong_with_it() {
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .http(HttpListener::api(ANY_PORT, None))
        .start()
        .expect("port 0 is free");
    let api = broker.http_listeners()[0];
    for (query, expect) in [
        ("", "give id="),
        ("?all=1", "give id="),
        ("?id=%f", "id is no text"),
    ] {
        let (status, answer) = ask(api, query).await;
        let why = answer["error"].as_str().expect("a reason");
        assert!(status == 400 && why.starts_with(expect), "{query}: {why}");
    }
}

/// A broker with a configuration, and its places for MQTT and HTTP.
fn start(folder: &TempDir, lines: &str) -> (Broker, SocketAddr, SocketAddr) {
    let [mqtt, http] = [(); 2].map(|()| free_port());
    let text = format!(
        "allow_anonymous true\nlistener {mqtt} 127.0.0.1\nlistener {http} 127.0.0.1\n\
         protocol http_api\n{lines}\n"
    );
    let file = folder.path().join("mosquitto.conf");
    fs::write(&file, text).expect("writable");
    let reading = conf::read(&file, &Disk).unwrap_or_else(|problems| panic!("{problems:?}"));
    let broker = Broker::builder()
        .config(&reading.config, &[])
        .start()
        .expect("started");
    let mqtt = addr(&broker, Transport::Tcp);
    let api = broker.http_listeners()[0];
    (broker, mqtt, api)
}

#[tokio::test]
async fn rules_for_topics_say_who_may_know_of_whom() {
    let folder = TempDir::new().expect("a folder");
    let acl = folder.path().join("acl");
    // What is said of one level is said of no name that looks like two.
    let rules = "topic read $SYS/wigwag/clients/press\ntopic read $SYS/wigwag/clients/a/+\n";
    fs::write(&acl, rules).expect("writable");
    let (_broker, mqtt, api) = start(&folder, &format!("acl_file {}", acl.display()));
    let mut all = Vec::new();
    for client_id in ["press", "mill", "a/b", "#"] {
        all.push(Client::connect_with_will(mqtt, client_id, "gone").await);
    }
    assert_eq!(names(api, "?topic=gone").await, ["press"]);
    assert_eq!(names(api, "?id=press").await, ["press"]);
    for hidden in ["mill", "a/b", "%23"] {
        assert!(names(api, &format!("?id={hidden}")).await.is_empty());
    }
}

#[tokio::test]
async fn who_may_receive_but_not_subscribe_knows_of_nobody() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("dynsec.json");
    let role = |acl: &str| {
        format!(
            r#"{{"defaultACLAccess":{{"publishClientSend":true,"publishClientReceive":true,
                "subscribe":false,"unsubscribe":true}},"clients":[],"anonymousGroup":"all",
                "groups":[{{"groupname":"all","roles":[{{"rolename":"r"}}]}}],
                "roles":[{{"rolename":"r","acls":[{acl}]}}]}}"#
        )
    };
    let lines = format!(
        "plugin mosquitto_dynamic_security.so\nplugin_opt_config_file {}",
        file.display()
    );
    fs::write(&file, role("")).expect("writable");
    let (broker, mqtt, api) = start(&folder, &lines);
    let _press = Client::connect_with_will(mqtt, "press", "gone").await;
    assert!(names(api, "?topic=gone&id=press").await.is_empty());
    drop(broker);

    let may = r#"{"acltype":"subscribePattern","topic":"$SYS/wigwag/clients/#","priority":0,"allow":true}"#;
    fs::write(&file, role(may)).expect("writable");
    let (_broker, mqtt, api) = start(&folder, &lines);
    let _press = Client::connect_with_will(mqtt, "press", "gone").await;
    assert_eq!(names(api, "?topic=gone&id=press").await, ["press"]);
}
