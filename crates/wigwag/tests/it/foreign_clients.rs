//! paho-mqtt and mqtt.js against both brokers, over TCP and WebSocket, and aiomqtt and gmqtt, in MQTT 3.1.1 and 5.
//!
//! The cases are in `tests/interop/`; here are the combinations, the names of the cases that must
//! have run, and the differences that we know of.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::broker::{Broker, Kind};
use crate::process::Process;
use crate::tools;

/// A case that fails for a reason that lies in the broker, and is no fault of the test.
struct Difference {
    broker: Kind,
    case: &'static str,
    protocol: &'static str,
    /// What the failure says.
    detail: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    // Mosquitto 2.0.11 closes the older connection without DISCONNECT 0x8E.
    Difference {
        broker: Kind::Mosquitto,
        case: "reason_code_of_a_take_over_is_told",
        protocol: "5",
        detail: "Reason Code of the end",
    },
];

const CASES_OF_BOTH: &[&str] = &[
    "bursts_arrive_complete_and_in_order",
    "payloads_are_opaque",
    "qos_0_to_0",
    "qos_0_to_1",
    "qos_0_to_2",
    "qos_1_to_0",
    "qos_1_to_1",
    "qos_1_to_2",
    "qos_2_to_0",
    "qos_2_to_1",
    "qos_2_to_2",
    "retained_message_reaches_a_later_subscriber",
    "second_connection_takes_over",
    "session_is_resumed_with_what_was_missed",
    "topics_are_utf8",
    "unsubscribing_stops_messages",
    "wildcards_match_by_level",
    "will_is_not_sent_after_disconnect",
    "will_is_sent_when_the_connection_breaks",
];
const CASES_OF_BOTH_IN_5: &[&str] = &[
    "empty_client_identifier_gets_one_assigned",
    "publish_properties_are_passed_on",
    "reason_code_of_a_take_over_is_told",
];
const CASES_OF_PAHO: &[&str] = &["overlapping_subscriptions_deliver_at_their_highest_qos"];
const CASES_OF_PAHO_IN_5: &[&str] = &[
    "no_local_keeps_own_messages_away",
    "retain_as_published_keeps_the_flag",
    "retain_handling_is_obeyed",
    "retained_message_keeps_its_properties",
    "session_ends_when_disconnect_says_so",
    "subscription_identifier_comes_with_the_message",
    "topic_alias_of_the_client_is_understood",
    "unsubscribing_from_nothing_says_so",
    "will_carries_its_properties_and_delay",
    "will_is_sent_when_disconnect_asks_for_it",
];
const CASES_OF_MQTTJS: &[&str] = &["idle_connection_is_kept_by_pings"];
const CASES_OF_ASYNCIO: &[&str] = &[
    "bursts_arrive_complete_and_in_order",
    "every_qos_arrives_at_the_lower_of_both",
    "messages_to_oneself_arrive",
    "retained_message_reaches_a_later_subscriber",
    "session_is_resumed_with_what_was_missed",
    "shared_subscription_takes_turns",
    "will_is_sent_when_the_connection_breaks",
];

against_both_brokers!(
    paho_speaks_mqtt_311_over_tcp,
    paho_speaks_mqtt_311_over_websocket,
    paho_speaks_mqtt_5_over_tcp,
    paho_speaks_mqtt_5_over_websocket,
    mqttjs_speaks_mqtt_311_over_tcp,
    mqttjs_speaks_mqtt_311_over_websocket,
    mqttjs_speaks_mqtt_5_over_tcp,
    mqttjs_speaks_mqtt_5_over_websocket,
    aiomqtt_speaks_mqtt_311_and_5,
    gmqtt_speaks_mqtt_311_and_5,
);

fn paho_speaks_mqtt_311_over_tcp(kind: Kind) {
    paho(kind, "tcp", "311", &[CASES_OF_BOTH, CASES_OF_PAHO]);
}

fn paho_speaks_mqtt_311_over_websocket(kind: Kind) {
    paho(kind, "websockets", "311", &[CASES_OF_BOTH, CASES_OF_PAHO]);
}

fn paho_speaks_mqtt_5_over_tcp(kind: Kind) {
    let cases = [
        CASES_OF_BOTH,
        CASES_OF_BOTH_IN_5,
        CASES_OF_PAHO,
        CASES_OF_PAHO_IN_5,
    ];
    paho(kind, "tcp", "5", &cases);
}

fn paho_speaks_mqtt_5_over_websocket(kind: Kind) {
    let cases = [
        CASES_OF_BOTH,
        CASES_OF_BOTH_IN_5,
        CASES_OF_PAHO,
        CASES_OF_PAHO_IN_5,
    ];
    paho(kind, "websockets", "5", &cases);
}

fn mqttjs_speaks_mqtt_311_over_tcp(kind: Kind) {
    mqttjs(
        kind,
        Broker::mqtt_url,
        "311",
        &[CASES_OF_BOTH, CASES_OF_MQTTJS],
    );
}

fn mqttjs_speaks_mqtt_311_over_websocket(kind: Kind) {
    mqttjs(
        kind,
        Broker::ws_url,
        "311",
        &[CASES_OF_BOTH, CASES_OF_MQTTJS],
    );
}

fn mqttjs_speaks_mqtt_5_over_tcp(kind: Kind) {
    let cases = [CASES_OF_BOTH, CASES_OF_BOTH_IN_5, CASES_OF_MQTTJS];
    mqttjs(kind, Broker::mqtt_url, "5", &cases);
}

fn mqttjs_speaks_mqtt_5_over_websocket(kind: Kind) {
    let cases = [CASES_OF_BOTH, CASES_OF_BOTH_IN_5, CASES_OF_MQTTJS];
    mqttjs(kind, Broker::ws_url, "5", &cases);
}

fn aiomqtt_speaks_mqtt_311_and_5(kind: Kind) {
    asyncio(kind, "aiomqtt");
}

fn gmqtt_speaks_mqtt_311_and_5(kind: Kind) {
    asyncio(kind, "gmqtt");
}

fn asyncio(kind: Kind, client: &str) {
    for protocol in ["311", "5"] {
        let broker = Broker::start(kind);
        let mut command = tools::python("asyncio_clients.py");
        command.args([
            "--host",
            "127.0.0.1",
            "--port",
            &broker.mqtt_port().to_string(),
        ]);
        command.args(["--protocol", protocol, "--client", client]);
        check(&broker, &mut command, protocol, &[CASES_OF_ASYNCIO]);
    }
}

fn paho(kind: Kind, transport: &str, protocol: &str, cases: &[&[&str]]) {
    let broker = Broker::start(kind);
    let port = if transport == "tcp" {
        broker.mqtt_port()
    } else {
        broker.ws_port()
    };
    let mut command = tools::python("paho_client.py");
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--transport", transport, "--protocol", protocol]);
    check(&broker, &mut command, protocol, cases);
}

fn mqttjs(kind: Kind, url: fn(&Broker) -> String, protocol: &str, cases: &[&[&str]]) {
    let broker = Broker::start(kind);
    let mut command = tools::node("mqttjs_client.mjs");
    command.args(["--url", &url(&broker), "--protocol", protocol]);
    check(&broker, &mut command, protocol, cases);
}

/// Every case ran, and failed exactly where a difference is known.
fn check(broker: &Broker, command: &mut Command, protocol: &str, cases: &[&[&str]]) {
    let script = Process::start(command);
    // The bound is that of one case.
    let line = loop {
        let line = script.await_line("a case or its verdict", |line| {
            line.starts_with("case ") || line.starts_with("{\"cases\"")
        });
        if line.starts_with('{') {
            break line;
        }
    };
    let verdict: Value = serde_json::from_str(&line).unwrap();
    // Names of the cases, with what went wrong: an empty text when nothing did.
    let actual: BTreeMap<&str, &str> = verdict["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            (
                case["name"].as_str().unwrap(),
                case["detail"].as_str().unwrap(),
            )
        })
        .collect();
    let mut wanted: Vec<&str> = cases.concat();
    wanted.sort_unstable();
    assert_eq!(
        actual.keys().copied().collect::<Vec<_>>(),
        wanted,
        "the cases that ran"
    );

    let wrong: Vec<String> = actual
        .iter()
        .filter_map(|(name, detail)| {
            let known = |difference: &&Difference| {
                (difference.broker, difference.case, difference.protocol)
                    == (broker.kind(), *name, protocol)
            };
            match DIFFERENCES.iter().find(known) {
                None if detail.is_empty() => None,
                None => Some(format!("{name}: {detail}")),
                Some(difference) if detail.contains(difference.detail) => None,
                Some(_) => Some(format!(
                    "{name}: a known difference is gone or has changed: {detail:?}"
                )),
            }
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{:?}:\n{}\n\n{}",
        broker.kind(),
        wrong.join("\n"),
        script.said()
    );
}
