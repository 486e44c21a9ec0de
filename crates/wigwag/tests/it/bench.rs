//! `wigwag bench` as an instrument: it must see what a broker does wrong, and see nothing where nothing is.
//!
//! The faults come from a broker that loses, repeats, swaps and stalls on purpose, written in raw bytes; the rest is
//! played against real brokers. What is read is the JSON that scripts read.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::process::Process;
use crate::tools;
use crate::wire::packet;

against_both_brokers!(
    every_transport_carries_the_load,
    what_a_broker_costs_is_read_from_its_process,
    connections_come_and_go_beside_the_messages,
);

// --- a broker with faults ---------------------------------------------------------------------

/// What the broker does with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Lost,
    Twice,
    /// Delivered after the next one.
    Overtaken,
    /// Delivered after the broker has done nothing for a while.
    After(Duration),
    /// Delivered, and never acknowledged.
    Unacknowledged,
}

/// By the number of the message, from 0 on each connection.
type Fates = fn(u64) -> Fate;

#[derive(Clone, Copy)]
struct Faults {
    fate: Fates,
    /// Whether a client of this id may connect.
    admits: fn(&str) -> bool,
}

const SOUND: Faults = Faults {
    fate: |_| Fate::Delivered,
    admits: |_| true,
};

/// Starts it and says where: everything that is published goes to everybody who has subscribed.
fn faulty(faults: Faults) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let subscribers = Arc::<Mutex<Vec<TcpStream>>>::default();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut peer = Peer {
                stream,
                faults,
                subscribers: subscribers.clone(),
                published: 0,
                overtaken: Vec::new(),
            };
            // It ends when the client goes.
            thread::spawn(move || while peer.answer_one().is_ok() {});
        }
    });
    address
}

fn faulty_by(fate: Fates) -> String {
    faulty(Faults { fate, ..SOUND })
}

struct Peer {
    stream: TcpStream,
    faults: Faults,
    subscribers: Arc<Mutex<Vec<TcpStream>>>,
    published: u64,
    overtaken: Vec<u8>,
}

impl Peer {
    /// Reads one packet of MQTT 3.1.1 and does what is to be done.
    fn answer_one(&mut self) -> io::Result<()> {
        let (first, body) = self.read_packet()?;
        match first >> 4 {
            1 => self.connect(&body),
            3 => self.publish(first, &body),
            // PUBREC is answered with PUBREL, PUBREL with PUBCOMP.
            5 => self.stream.write_all(&packet(0x62, &body[..2])),
            6 => self.stream.write_all(&packet(0x70, &body[..2])),
            8 => self.subscribe(&body),
            12 => self.stream.write_all(&[0xD0, 0]),
            14 => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }

    fn read_packet(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        let first = byte[0];
        let (mut len, mut shift) = (0, 0);
        loop {
            self.stream.read_exact(&mut byte)?;
            len |= usize::from(byte[0] & 0x7F) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        Ok((first, body))
    }

    fn connect(&mut self, body: &[u8]) -> io::Result<()> {
        // Protocol Name, version, flags and Keep Alive, then the length of the Client Identifier.
        let client_id = String::from_utf8_lossy(&body[12..]);
        let code = if (self.faults.admits)(&client_id) {
            0
        } else {
            5
        };
        self.stream.write_all(&packet(0x20, &[0, code]))
    }

    fn subscribe(&mut self, body: &[u8]) -> io::Result<()> {
        let subscriber = self.stream.try_clone()?;
        self.subscribers.lock().unwrap().push(subscriber);
        let qos = *body.last().unwrap();
        self.stream
            .write_all(&packet(0x90, &[body[0], body[1], qos]))
    }

    fn publish(&mut self, first: u8, body: &[u8]) -> io::Result<()> {
        let fate = (self.faults.fate)(self.published);
        self.published += 1;
        let qos = first >> 1 & 3;
        if qos > 0 && fate != Fate::Unacknowledged {
            let id_at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let receipt = if qos == 1 { 0x40 } else { 0x50 };
            self.stream
                .write_all(&packet(receipt, &body[id_at..id_at + 2]))?;
        }
        let copies = self.copies(fate, packet(first, body));
        for subscriber in self.subscribers.lock().unwrap().iter_mut() {
            // Those of earlier rounds have gone.
            let _ = subscriber.write_all(&copies);
        }
        Ok(())
    }

    fn copies(&mut self, fate: Fate, mut copy: Vec<u8>) -> Vec<u8> {
        match fate {
            Fate::Lost => copy.clear(),
            Fate::Twice => copy.extend_from_within(..),
            Fate::Overtaken => self.overtaken = std::mem::take(&mut copy),
            Fate::After(time) => thread::sleep(time),
            Fate::Delivered | Fate::Unacknowledged => copy.append(&mut self.overtaken),
        }
        copy
    }
}

// --- the instrument ---------------------------------------------------------------------------

fn bench(line: &str) -> Output {
    tools::wigwag()
        .arg("bench")
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

/// Its exit code and its JSON.
fn measured(line: &str) -> (i32, Value) {
    let output = bench(&format!("{line} --json"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Nobody looks at a terminal here, so nothing is drawn.
    assert_eq!(said, "", "{line}");
    let json = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), json)
}

fn refused(line: &str) -> (i32, String) {
    let output = bench(line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

/// What a row counts, and its latency in microseconds.
fn counted(row: &Value, names: &[&str]) -> HashMap<String, u64> {
    let count = |name: &&str| ((*name).to_owned(), row[*name].as_u64().unwrap());
    names.iter().map(count).collect()
}

const COUNTERS: &[&str] = &[
    "delivered",
    "lost",
    "duplicates",
    "reordered",
    "unacknowledged",
];

/// A hundred messages of one publisher to one subscriber.
fn a_hundred(address: &str, qos: u8, more: &str) -> (i32, Value) {
    measured(&format!(
        "--broker {address} --topology pairs --pairs 1 --qos {qos} --size 64 --messages 100 --window 10 \
         --rounds 1 {more}"
    ))
}

#[test]
fn each_counter_sees_its_fault_and_no_other() {
    // Twenty messages of the warm-up come before the hundred; their faults are counted too. No fault is the last
    // message, so none is only late.
    let faults: [(&str, Fates, [u64; 4]); 4] = [
        ("none", |_| Fate::Delivered, [100, 0, 0, 0]),
        (
            "lost",
            |number| {
                if number % 10 == 3 {
                    Fate::Lost
                } else {
                    Fate::Delivered
                }
            },
            [90, 12, 0, 0],
        ),
        (
            "twice",
            |number| {
                if number % 10 == 5 {
                    Fate::Twice
                } else {
                    Fate::Delivered
                }
            },
            [100, 0, 12, 0],
        ),
        (
            "overtaken",
            |number| {
                if number % 10 == 7 {
                    Fate::Overtaken
                } else {
                    Fate::Delivered
                }
            },
            [100, 0, 0, 12],
        ),
    ];
    let check = |qos: u8, (name, fate, expected): (&str, Fates, [u64; 4])| {
        let (code, json) = a_hundred(&faulty_by(fate), qos, "");
        let row = &json["cases"][0];
        let seen = ["delivered", "lost", "duplicates", "reordered"];
        let seen = seen.map(|counter| row[counter].as_u64().unwrap());
        assert_eq!(seen, expected, "{name} at QoS {qos}: {json}");
        // QoS 0 promises nothing, QoS 1 not to lose, QoS 2 not to repeat either.
        let is_broken = (expected[1] > 0 && qos > 0) || (expected[2] > 0 && qos == 2);
        assert_eq!(code, i32::from(is_broken), "{name} at QoS {qos}: {json}");
    };
    // What is lost is waited for as long as a busy machine may need for the rest, and that but once.
    thread::scope(|scope| {
        for qos in [0, 1, 2] {
            for fault in faults {
                scope.spawn(move || check(qos, fault));
            }
        }
    });
}

#[test]
fn a_message_without_its_acknowledgement_is_a_broken_promise() {
    let check = |qos| {
        let address = faulty_by(|number| match number {
            60 => Fate::Unacknowledged,
            _ => Fate::Delivered,
        });
        let (code, json) = a_hundred(&address, qos, "");
        let counts = counted(&json["cases"][0], COUNTERS);
        assert_eq!((counts["lost"], counts["unacknowledged"]), (0, 1), "{json}");
        assert_eq!(code, 1);
    };
    thread::scope(|scope| {
        scope.spawn(|| check(1));
        scope.spawn(|| check(2));
    });
}

#[test]
fn an_open_loop_counts_the_wait_of_every_message_that_was_due_during_a_stall() {
    // A thousand messages a second for a second, of which the broker sleeps through 0.4 s: four tenths of them wait, a
    // tenth of all for more than 0.3 s. Only lower bounds: a busy machine makes latencies longer, never shorter.
    let address = faulty_by(|number| match number {
        300 => Fate::After(Duration::from_millis(400)),
        _ => Fate::Delivered,
    });
    let (code, json) = measured(&format!(
        "--broker {address} --topology pairs --pairs 1 --qos 1 --size 64 --messages 1000 --rate 1000 --rounds 1"
    ));
    let row = &json["cases"][0];
    let micros = |name: &str| row["latency_micros"][name].as_f64().unwrap();
    assert_eq!(
        (code, row["delivered"].as_u64()),
        (0, Some(1_000)),
        "{json}"
    );
    assert!(micros("p90") >= 290_000.0, "{json}");
    assert!(micros("max") >= 400_000.0, "{json}");
}

#[test]
fn a_rate_that_a_broker_cannot_keep_up_with_is_no_good_latency() {
    // 16 KiB a millisecond are taken at most, eight times that are due: the rest waits where no socket sees it. The
    // patience is for a busy machine, on which the broker may be kept from working for a while.
    let address = faulty_by(|_| Fate::After(Duration::from_millis(1)));
    let (code, json) = measured(&format!(
        "--broker {address} --topology pairs --pairs 1 --qos 0 --size 16384 --messages 8000 --rate 8000 --rounds 1 \
         --stall 3s --objective unsent=0"
    ));
    let row = &json["cases"][0];
    assert!(row["unsent"].as_u64().unwrap() > 0, "{json}");
    assert!(
        row["latency_micros"]["max"].as_f64().unwrap() > 500_000.0,
        "{json}"
    );
    assert_eq!(code, 3, "{json}");
}

#[test]
fn the_exit_code_tells_what_was_missed() {
    let sound = faulty(SOUND);
    let code = |objective: &str| a_hundred(&sound, 1, objective);
    let (met, json) = code("--objective loss=0 --objective p99<60s --objective rate>1");
    assert_eq!(met, 0, "{json}");
    let (missed, json) = code("--objective loss=0 --objective p50<1ns");
    assert_eq!(missed, 3);
    let verdicts = json["objectives"].as_array().unwrap();
    let are_met: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict["is_met"].as_bool())
        .collect();
    assert_eq!(are_met, [Some(true), Some(false)], "{json}");
    // Nobody has said which process it is.
    assert_eq!(code("--objective cpu<1s").0, 3);
    assert_eq!(refused("--objective speed>9").0, 2);
    // A broken promise weighs more than a missed objective.
    let losing = faulty_by(|number| {
        if number == 50 {
            Fate::Lost
        } else {
            Fate::Delivered
        }
    });
    assert_eq!(a_hundred(&losing, 1, "--objective loss=0").0, 1);
}

#[test]
fn an_interrupted_run_ends_at_once_and_tells_what_it_has_found() {
    let address = faulty(SOUND);
    let line = format!(
        "bench --broker {address} --topology pairs --pairs 1 --qos 0 --size 64 --seconds 600"
    );
    let mut process = Process::start(tools::wigwag().args(line.split_whitespace()));
    process.await_line("that it begins", |line| line.starts_with("| ----"));
    process.signal("INT");
    assert_eq!(process.await_exit().code(), Some(130), "{}", process.said());
}

#[test]
fn who_refuses_a_client_is_told_with_the_reason() {
    let nobody = faulty(Faults {
        admits: |_| false,
        ..SOUND
    });
    let (code, json) = a_hundred(&nobody, 0, "");
    let reason = json["cases"][0]["aborted"][0].as_str().unwrap();
    assert!(
        reason.contains("refused the connection: not authorized"),
        "{reason}"
    );
    assert_eq!(code, 1);

    let port = free_port();
    let (code, said) = refused(&format!("--broker localhost:{port}"));
    assert!(
        said.contains(&format!("cannot connect to mqtt://localhost:{port}")),
        "{said}"
    );
    assert_eq!(code, 1);
}

#[test]
fn clients_that_come_and_are_refused_are_counted() {
    // The clients of a churn have a `v` and their number in their ids: every tenth is sent away.
    let address = faulty(Faults {
        admits: |client_id| !(client_id.contains('v') && client_id.ends_with('0')),
        ..SOUND
    });
    let (code, json) = measured(&format!(
        "--broker {address} --topology pairs --pairs 1 --qos 0 --size 64 --seconds 1 --rate 100 --rounds 1 --churn 100"
    ));
    let churn = &json["connects"][1];
    assert_eq!(
        (churn["what"].as_str(), churn["connections"].as_u64()),
        (Some("churn"), Some(90)),
        "{json}"
    );
    assert_eq!((churn["failed"].as_u64(), code), (Some(10), 1), "{json}");
}

#[test]
fn a_comparison_shows_which_broker_is_slower() {
    // Slow by more than what a busy machine adds to every message of either.
    let (quick, slow) = (
        faulty(SOUND),
        faulty_by(|_| Fate::After(Duration::from_millis(20))),
    );
    let (code, json) = measured(&format!(
        "--compare quick={quick} slow={slow} --topology pairs --pairs 1 --qos 0 --size 64 --messages 100 --window 1 --rounds 3"
    ));
    let comparison = &json["comparisons"][0];
    assert_eq!(comparison["broker"], "slow");
    assert_eq!(comparison["compared_with"], "quick");
    let ratio = |name: &str, value: &str| comparison[name][value].as_f64().unwrap();
    assert!(ratio("delivered_per_second", "median") < 0.9, "{json}");
    assert!(ratio("latency_p50", "median") > 1.1, "{json}");
    assert!(ratio("latency_p50", "min") <= ratio("latency_p50", "max"));
    assert_eq!(code, 0);
}

// --- real brokers -----------------------------------------------------------------------------

fn every_transport_carries_the_load(kind: Kind) {
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (tls, ws, wss) = (free_port(), free_port(), free_port());
    let certificate = format!("certfile {cert}\nkeyfile {key}\n");
    let text = format!(
        "allow_anonymous true\nlistener {tls} 127.0.0.1\n{certificate}listener {ws} 127.0.0.1\nprotocol websockets\n\
         listener {wss} 127.0.0.1\nprotocol websockets\n{certificate}"
    );
    let _broker = Configured::start(kind, folder, &text);
    let load = "--topology pairs --pairs 5 --qos 0,1,2 --size 64+2000 --messages 1000 --window 200 --rounds 1";
    for address in [
        format!("mqtts://localhost:{tls}"),
        format!("ws://localhost:{ws}/mqtt"),
        format!("wss://localhost:{wss}/mqtt"),
    ] {
        let (code, json) = measured(&format!("--broker {address} --cafile {cert} {load}"));
        assert_eq!(code, 0, "{address}: {json}");
        for row in json["cases"].as_array().unwrap() {
            let counts = counted(row, COUNTERS);
            assert_eq!(
                (counts["delivered"], counts["lost"]),
                (1_000, 0),
                "{address}: {row}"
            );
        }
    }
    // Without the CA nobody is trusted, unless everybody is.
    let (code, json) = measured(&format!("--broker mqtts://localhost:{tls} {load}"));
    let reason = json["cases"][0]["aborted"][0].as_str().unwrap();
    assert!(
        reason.contains("TLS failed: invalid peer certificate"),
        "{reason}"
    );
    assert_eq!(code, 1);
    let (code, json) = measured(&format!(
        "--broker mqtts://localhost:{tls} --insecure {load}"
    ));
    assert_eq!(code, 0, "{json}");
    // MQTT is not HTTP.
    let (_, json) = measured(&format!(
        "--broker wss://localhost:{tls}/ --insecure --stall 1s {load}"
    ));
    assert!(json["cases"][0]["aborted"][0].is_string(), "{json}");
}

fn one_listener(kind: Kind) -> (Configured, u16) {
    let port = free_port();
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n");
    (
        Configured::start_quietly(kind, TempDir::new().unwrap(), &text),
        port,
    )
}

fn what_a_broker_costs_is_read_from_its_process(kind: Kind) {
    let (broker, port) = one_listener(kind);
    let pid = broker.process.id();
    let (code, json) = measured(&format!(
        "--broker localhost:{port} --pid {pid} --topology fan-out --qos 0 --size 64 --messages 200000 --rounds 1 \
         --objective cpu<1s --objective rss<8GiB"
    ));
    let row = &json["cases"][0];
    assert!(
        row["broker_cpu_micros_per_delivery"]["median"]
            .as_f64()
            .unwrap()
            > 0.0,
        "{json}"
    );
    assert!(
        row["rss_peak_mib"]["median"].as_f64().unwrap() > 0.5,
        "{json}"
    );
    assert_eq!(code, 0, "{json}");
}

fn connections_come_and_go_beside_the_messages(kind: Kind) {
    let (_broker, port) = one_listener(kind);
    let folder = TempDir::new().unwrap();
    let summary = folder.path().join("summary.json");
    let shown = bench("show mixed");
    let scenario = folder.path().join("mine.toml");
    std::fs::write(&scenario, shown.stdout).unwrap();
    let (code, json) = measured(&format!(
        "--broker localhost:{port} --scenario {} --seconds 1 --summary {}",
        scenario.display(),
        summary.display()
    ));
    assert_eq!(code, 0, "{json}");
    let cases = json["cases"].as_array().unwrap();
    assert_eq!(
        cases.len(),
        5,
        "four flows, and all of them together: {json}"
    );
    let (all, flows) = cases.split_last().unwrap();
    let delivered = |row: &Value| row["delivered"].as_u64().unwrap();
    assert_eq!(delivered(all), flows.iter().map(delivered).sum::<u64>());
    let connects = &json["connects"];
    assert_eq!(connects[0]["connections"], 400 + 2 + 200 + 1 + 200 + 300);
    assert_eq!(connects[1]["connections"], 50);
    let written: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    assert_eq!(written, json);
}
