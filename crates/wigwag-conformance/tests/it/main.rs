//! Clients and brokers against the scripts: ours in this process, foreign ones beside it.

mod brokers;
mod differential;
mod foreign;
mod page_golden;
mod results;
mod wigwag;

use wigwag_conformance::client;
use wigwag_conformance::script::{Results, run_all};
use wigwag_conformance::subject::Subject;

/// Scripts wait most of their time.
const THREADS: usize = 16;

fn watch_client(subject: &dyn Subject) -> Results {
    run_all(&client::scripts(), THREADS, |script, version| {
        client::run(subject, script, version)
    })
}

#[test]
fn wigwag_client_does_as_recorded() {
    results::compare("client-wigwag", &watch_client(&wigwag::Wigwag));
}

#[test]
fn paho_does_as_recorded() {
    results::compare("client-paho", &watch_client(&foreign::paho()));
}

#[test]
fn mqttjs_does_as_recorded() {
    results::compare("client-mqttjs", &watch_client(&foreign::mqttjs()));
}

#[test]
fn wigwag_broker_does_as_recorded() {
    let wigwag = brokers::Wigwag::start();
    results::compare("broker-wigwag", &brokers::watch(&wigwag.places));
}

#[test]
fn mosquitto_does_as_recorded() {
    let mosquitto = brokers::Mosquitto::start();
    results::compare("broker-mosquitto", &brokers::watch(&mosquitto.places));
}
