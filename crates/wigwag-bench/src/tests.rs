//! The bench against brokers: one that misbehaves on purpose, so that the counters themselves are
//! tested, and the real Mosquitto. The command line is tested here too.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use wigwag_proto::codec::{DecodeLimits, decode, encode, encode_publish, frame};
use wigwag_proto::packet::{ConnAck, Packet, PublishAck, SubscribeAck};
use wigwag_proto::{Properties, Qos, ReasonCode, Version};

use super::*;
use crate::case::{Bound, Case, Load, Pace, Run, Topology};
use crate::generator::Round;
use crate::report::{Row, Subject};

#[derive(Debug, clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Result<Args, String> {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    CommandLine::try_parse_from(words)
        .map(|parsed| parsed.args)
        .map_err(|error| error.to_string())
}

// --- a broker with faults ---------------------------------------------------------------------

/// What the broker does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    Dropped,
    Twice,
    /// Delivered after the next one.
    Overtaken,
    /// Delivered after the broker has done nothing for a while.
    Stalled(Duration),
    /// Neither delivered nor acknowledged.
    Swallowed,
    /// The connection of its publisher is closed.
    Fatal,
}

#[derive(Clone, Copy)]
struct Faults {
    /// By the number of the message, from 0.
    fate: fn(u64) -> Fate,
    connect: ReasonCode,
    subscribe: ReasonCode,
}

impl Faults {
    const fn of(fate: fn(u64) -> Fate) -> Faults {
        Faults {
            fate,
            connect: ReasonCode::Success,
            subscribe: ReasonCode::GrantedQos1,
        }
    }
}

/// A broker for one publisher: everything goes to everybody who has subscribed.
fn faulty_broker(faults: Faults) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (subscribed, subscribers) = channel();
    thread::spawn(move || {
        let subscribers = std::sync::Arc::new(std::sync::Mutex::new(subscribers));
        for stream in listener.incoming().map_while(Result::ok) {
            let (subscribed, subscribers) = (subscribed.clone(), subscribers.clone());
            thread::spawn(move || {
                // Broken connections are what some of these tests are about.
                let _ = Peer::new(stream, faults).serve(&subscribed, &subscribers);
            });
        }
    });
    address
}

struct Peer {
    stream: TcpStream,
    faults: Faults,
    version: Version,
    published: u64,
    overtaken: Option<Vec<u8>>,
}

type Subscribers = std::sync::Mutex<Receiver<TcpStream>>;

impl Peer {
    fn new(stream: TcpStream, faults: Faults) -> Peer {
        Peer {
            stream,
            faults,
            version: Version::V3_1_1,
            published: 0,
            overtaken: None,
        }
    }

    fn serve(
        &mut self,
        subscribed: &Sender<TcpStream>,
        subscribers: &Subscribers,
    ) -> anyhow::Result<()> {
        let mut receivers = Vec::new();
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            while let Some(packet) = frame(&bytes, u32::MAX)? {
                let len = packet.len;
                let packet = decode(packet, self.version, &DecodeLimits::UNLIMITED)?;
                receivers.extend(subscribers.lock().unwrap().try_iter());
                self.handle(&packet, &mut receivers, subscribed)?;
                bytes.drain(..len);
            }
            let len = self.stream.read(&mut chunk)?;
            anyhow::ensure!(len > 0, "closed");
            bytes.extend_from_slice(&chunk[..len]);
        }
    }

    fn handle(
        &mut self,
        packet: &Packet<'_>,
        receivers: &mut [TcpStream],
        subscribed: &Sender<TcpStream>,
    ) -> anyhow::Result<()> {
        match packet {
            Packet::Connect(connect) => {
                self.version = connect.version;
                self.send(&Packet::ConnAck(ConnAck {
                    session_present: false,
                    reason: self.faults.connect,
                    properties: Properties::EMPTY,
                }))
            }
            Packet::Subscribe(subscribe) => {
                subscribed.send(self.stream.try_clone()?)?;
                let asked = subscribe.subscriptions[0].options.qos as u8;
                let granted = ReasonCode::from_u8(asked).unwrap();
                let refused = self.faults.subscribe.is_error();
                self.send(&Packet::SubAck(SubscribeAck {
                    packet_id: subscribe.packet_id,
                    properties: Properties::EMPTY,
                    reasons: vec![if refused {
                        self.faults.subscribe
                    } else {
                        granted
                    }],
                }))
            }
            Packet::PingReq => self.send(&Packet::PingResp),
            Packet::Publish(publish) => {
                let fate = (self.faults.fate)(self.published);
                self.published += 1;
                let mut copy = Vec::new();
                encode_publish(publish, self.version, &mut copy)?;
                if let (Some(packet_id), true) =
                    (publish.delivery.packet_id(), fate != Fate::Swallowed)
                {
                    let receipt = PublishAck::new(packet_id, ReasonCode::Success);
                    self.send(&match publish.delivery.qos() {
                        Qos::ExactlyOnce => Packet::PubRec(receipt),
                        _ => Packet::PubAck(receipt),
                    })?;
                }
                let copies = self.copies(fate, copy)?;
                receivers
                    .iter_mut()
                    .try_for_each(|receiver| receiver.write_all(&copies))?;
                Ok(())
            }
            // Its subscriber's half of QoS 2, and its publisher's.
            Packet::PubRec(receipt) => self.send(&Packet::PubRel(*receipt)),
            Packet::PubRel(receipt) => self.send(&Packet::PubComp(*receipt)),
            _ => Ok(()),
        }
    }

    fn copies(&mut self, fate: Fate, mut copy: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match fate {
            Fate::Delivered => copy.extend(self.overtaken.take().unwrap_or_default()),
            Fate::Twice => copy.extend_from_within(..),
            Fate::Stalled(time) => thread::sleep(time),
            Fate::Dropped | Fate::Swallowed => copy.clear(),
            Fate::Overtaken => {
                self.overtaken = Some(std::mem::take(&mut copy));
            }
            Fate::Fatal => anyhow::bail!("closed on purpose"),
        }
        Ok(copy)
    }

    fn send(&mut self, packet: &Packet<'_>) -> anyhow::Result<()> {
        let mut out = Vec::new();
        encode(packet, self.version, &mut out)?;
        Ok(self.stream.write_all(&out)?)
    }
}

fn load(version: Version) -> Load {
    Load {
        version,
        user_name: None,
        password: None,
        bound: Bound::Deliveries(100),
        warm_up: None,
        connect_rate: None,
        interrupt: Interrupt::default(),
        stall_max: Duration::from_secs(60),
        silence_max: GRACE,
    }
}

/// What a test waits in full where something does not come. Between two things that do come, a busy machine takes
/// less.
const GRACE: Duration = Duration::from_secs(5);

fn one_to(subscribers: usize, qos: Qos) -> Case {
    Case {
        name: None,
        topology: Topology::FanOut,
        publishers: 1,
        subscribers,
        qos,
        payload_lens: vec![64],
        pace: Pace::Window(10),
    }
}

/// One round of one flow.
fn measure(address: SocketAddr, case: &Case, load: &Load) -> anyhow::Result<Round> {
    let run = Run {
        cases: vec![case.clone()],
        ..Run::default()
    };
    let endpoint = Endpoint::tcp(address);
    let mut progress = Progress::hidden();
    let mut round = generator::measure(&endpoint, None, &run, load, &mut progress)?;
    Ok(round.flows.remove(0))
}

#[test]
fn losses_duplicates_and_order_violations_are_counted_exactly() {
    thread::scope(|scope| {
        for version in [Version::V3_1_1, Version::V5] {
            for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
                scope.spawn(move || faults_are_counted(version, qos));
            }
        }
    });
}

fn faults_are_counted(version: Version, qos: Qos) {
    // 20 messages of the warm-up and 100 measured; the last one arrives.
    let address = faulty_broker(Faults::of(|number| match number % 10 {
        3 => Fate::Dropped,
        5 => Fate::Twice,
        7 => Fate::Overtaken,
        _ => Fate::Delivered,
    }));
    let (case, load) = (one_to(1, qos), load(version));
    let round = measure(address, &case, &load).unwrap();
    let counted = (
        round.delivered,
        round.lost,
        round.duplicates,
        round.reordered,
    );
    assert_eq!(counted, (90, 12, 12, 12), "{version} {qos:?}");
    assert_eq!((round.unacknowledged, &round.aborted), (0, &None));
    assert_eq!(round.latency.len(), 90);

    let row = Row::new(Subject::Case(&case), "faulty", &[Ok(round)]);
    assert_eq!(row.is_failure(), qos != Qos::AtMostOnce, "{row:?}");
}

#[test]
fn a_lost_end_is_counted_and_a_lost_window_does_not_stop_qos_0() {
    // A whole window and the last three messages vanish.
    let fate = |number| match number {
        40..50 | 117.. => Fate::Dropped,
        _ => Fate::Delivered,
    };
    let address = faulty_broker(Faults::of(fate));
    let case = one_to(1, Qos::AtMostOnce);
    let round = measure(address, &case, &load(Version::V3_1_1)).unwrap();
    assert_eq!((round.delivered, round.lost), (87, 13));
    assert_eq!(round.aborted, None);
}

#[test]
fn a_case_without_progress_is_aborted_with_its_reason() {
    let aborted = |fate, qos| {
        let address = faulty_broker(Faults::of(fate));
        let load = Load {
            stall_max: GRACE,
            ..load(Version::V5)
        };
        let round = measure(address, &one_to(1, qos), &load).unwrap();
        (round.aborted.unwrap(), round.lost, round.unacknowledged)
    };
    let swallow = |number| match number {
        30.. => Fate::Swallowed,
        _ => Fate::Delivered,
    };
    let (reason, lost, unacknowledged) = aborted(swallow, Qos::AtLeastOnce);
    assert_eq!(reason, "no message and no acknowledgement for 5 s");
    assert_eq!((lost, unacknowledged), (10, 10));

    let fatal = |number| match number {
        30 => Fate::Fatal,
        _ => Fate::Delivered,
    };
    let (reason, ..) = aborted(fatal, Qos::AtMostOnce);
    assert!(reason.contains("p0'"), "{reason}");
}

#[test]
fn no_number_of_messages_is_too_large_for_the_clock() {
    let address = faulty_broker(Faults::of(|number| match number {
        30 => Fate::Fatal,
        _ => Fate::Delivered,
    }));
    let case = Case {
        pace: Pace::Rate(1_000),
        ..one_to(1, Qos::AtMostOnce)
    };
    let load = Load {
        bound: Bound::Deliveries(u64::MAX),
        ..load(Version::V3_1_1)
    };
    let round = measure(address, &case, &load).unwrap();
    assert!(round.aborted.is_some_and(|reason| reason.contains("p0'")));
}

#[test]
fn a_refused_load_says_who_refused_what() {
    let refusal = |faults| {
        let address = faulty_broker(faults);
        let case = one_to(1, Qos::AtLeastOnce);
        let error = measure(address, &case, &load(Version::V5)).unwrap_err();
        format!("{error:#}")
    };
    let sound = Faults::of(|_| Fate::Delivered);
    let reason = refusal(Faults {
        connect: ReasonCode::NotAuthorized,
        ..sound
    });
    assert!(
        reason.contains("refused the connection: not authorized (0x87)"),
        "{reason}"
    );
    let reason = refusal(Faults {
        subscribe: ReasonCode::QuotaExceeded,
        ..sound
    });
    assert!(reason.contains("did not grant QoS 1"), "{reason}");
    assert!(reason.contains("quota exceeded"), "{reason}");
}

#[test]
fn a_stall_shows_in_every_message_that_was_due_during_it() {
    // Only lower bounds: a busy machine makes latencies longer, never shorter.
    let address = faulty_broker(Faults::of(|number| match number {
        300 => Fate::Stalled(Duration::from_millis(400)),
        _ => Fate::Delivered,
    }));
    let load = Load {
        bound: Bound::Deliveries(1_000),
        ..load(Version::V3_1_1)
    };
    let case = Case {
        pace: Pace::Rate(1_000),
        ..one_to(1, Qos::AtLeastOnce)
    };
    let round = measure(address, &case, &load).unwrap();
    assert_eq!(
        (round.delivered, round.lost, &round.aborted),
        (1_000, 0, &None)
    );
    let above = |millis: u64| round.latency.count_between(millis * 1_000_000, u64::MAX);
    assert!(above(100) >= 290, "{}", above(100));
    assert!(above(300) >= 90, "{}", above(300));
    assert!(round.elapsed >= Duration::from_millis(999));
}

// --- Mosquitto --------------------------------------------------------------------------------

struct Mosquitto {
    child: Child,
    port: u16,
    _config: tempfile::NamedTempFile,
}

impl Mosquitto {
    /// Starts on a free port and waits until it listens.
    fn start() -> Mosquitto {
        let port = free_port();
        let mut config = tempfile::NamedTempFile::new().unwrap();
        writeln!(
            config,
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_dest stderr"
        )
        .unwrap();
        let mut child = Command::new("mosquitto")
            .env(
                "PATH",
                "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin",
            )
            .arg("-c")
            .arg(config.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mosquitto is installed (cargo xtask test does it)");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let running = log
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("running"));
        assert!(running.is_some(), "mosquitto did not start");
        // Its log must not fill the pipe.
        thread::spawn(move || log.for_each(drop));
        Mosquitto {
            child,
            port,
            _config: config,
        }
    }

    fn args(&self, line: &str) -> Args {
        let Mosquitto { child, port, .. } = self;
        args(&format!(
            "--broker m=127.0.0.1:{port},pid={} {line}",
            child.id()
        ))
        .unwrap()
    }
}

/// A port that nobody listens on, never the same one twice. The system's own choice will not do: it comes from the
/// range of outgoing connections, of which these tests make many.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the command line finds, without a word.
fn found(mut args: Args) -> Document {
    let plan = args.plan().unwrap();
    let tls = args.tls().unwrap();
    let targets = args.targets().unwrap().into_iter();
    let brokers: Vec<_> = targets
        .map(|target| Broker::reach(target, &tls).unwrap())
        .collect();
    run_plan(&plan, &brokers, &Output { is_json: true }).unwrap()
}

#[test]
fn every_case_runs_against_mosquitto_without_losses() {
    let mosquitto = Mosquitto::start();
    for line in ["--window 200", "--version 5 --window 200", "--rate 5000"] {
        let all = "--topology pairs,fan-out,fan-in,shared,publish --qos 0,1,2 --size 64,24+1024";
        let args = mosquitto.args(&format!("--messages 400 --rounds 2 {all} {line}"));
        let document = found(args);
        assert_eq!(document.cases.len(), 30);
        for row in &document.cases {
            assert!(!row.is_failure(), "{row:?}");
            assert_eq!((row.lost, row.reordered), (0, 0), "{row:?}");
            assert!(row.delivered_per_second.is_some(), "{row:?}");
            assert_eq!(row.cells(row).len(), 15);
        }
    }
}

#[test]
fn everything_at_once_runs_against_mosquitto() {
    let mosquitto = Mosquitto::start();
    let args = mosquitto.args("--scenario mixed --seconds 1 --warm-up 100ms");
    let mut document = found(args);
    let objective = |text: &str| text.parse().unwrap();
    document.judge(&[objective("connect-failed=0"), objective("loss=0")]);
    assert_eq!(document.cases.len(), 5, "four flows and their sum");
    for row in &document.cases {
        assert!(!row.is_failure(), "{row:?}");
        assert!(row.delivered > 0, "{row:?}");
    }
    assert!(document.objectives.iter().all(|verdict| verdict.is_met));
    assert_eq!(document.exit_code(), ExitCode::SUCCESS);
}

#[test]
fn connections_are_counted_against_mosquitto() {
    let mosquitto = Mosquitto::start();
    let mut args = mosquitto.args("--connect --idle 200 --rounds 2");
    let (tls, target) = (args.tls().unwrap(), args.targets().unwrap().remove(0));
    let broker = Broker::reach(target, &tls).unwrap();
    let document = run_connects(
        &args,
        &[broker],
        &Interrupt::default(),
        &Output { is_json: true },
    )
    .unwrap();
    let row = &document.connects[0];
    assert!(!row.is_failure(), "{row:?}");
    let unknown = row.cells(row).iter().filter(|cell| *cell == "–").count();
    assert_eq!(unknown, 1, "only the time of a SUBACK: {row:?}");
}

// --- the command line -------------------------------------------------------------------------

#[test]
fn by_default_twelve_cases_run_on_this_machine() {
    let args = args("").unwrap();
    let plan = args.plan().unwrap();
    let cases = plan.runs.iter().map(|run| run.cases[0].to_string());
    let names: Vec<_> = cases.collect();
    assert_eq!(names.len(), 12);
    assert_eq!(names[0], "pairs 10:10 QoS 0 64 B");
    assert_eq!(names[5], "fan-out 1:20 QoS 0 1024 B");
    assert_eq!(names[11], "fan-in 20:1 QoS 1 1024 B");
    assert_eq!(args.broker[0].name, "localhost:1883");
    assert_eq!(plan.pace, Some(Pace::Window(2_000)));
    assert_eq!(plan.load.bound, Bound::Time(Duration::from_secs(3)));
    assert_eq!((plan.rounds, plan.load.version), (3, Version::V3_1_1));
}

#[test]
fn a_case_is_bounded_by_time_or_by_deliveries() {
    let bound = |line| args(line).unwrap().plan().unwrap().load.bound;
    assert_eq!(bound("--seconds 7"), Bound::Time(Duration::from_secs(7)));
    assert_eq!(bound("--rate 100 --messages 5"), Bound::Deliveries(5));
}

#[test]
fn commas_make_cases_and_pluses_make_mixes() {
    let plan = args("--topology pairs --qos 0,1+2 --size 64+128 --hold 7 --churn 3").unwrap();
    let plan = plan.plan().unwrap();
    let shown = |run: &Run| run.cases.iter().map(Case::to_string).collect::<Vec<_>>();
    assert_eq!(plan.runs.len(), 2);
    assert_eq!(shown(&plan.runs[0]), ["pairs 10:10 QoS 0 64+128 B"]);
    assert_eq!(
        shown(&plan.runs[1]),
        ["pairs 5:5 QoS 1 64+128 B", "pairs 5:5 QoS 2 64+128 B"]
    );
    assert_eq!(plan.runs[1].holds[0].clients, 7);
    assert_eq!(plan.runs[1].churns[0].rate, 3);
}

#[test]
fn the_command_line_goes_before_the_scenario() {
    let plan = |line: &str| args(line).unwrap().plan().unwrap();
    let as_written = plan("--scenario telemetry");
    assert_eq!((as_written.rounds, as_written.objectives.len()), (1, 2));
    assert_eq!(as_written.load.bound, Bound::Time(Duration::from_secs(10)));
    let changed =
        plan("--scenario telemetry --messages 9 --rounds 4 --version 5 --objective cpu<5us");
    assert_eq!((changed.rounds, changed.objectives.len()), (4, 3));
    assert_eq!(changed.load.bound, Bound::Deliveries(9));
    assert_eq!(changed.load.version, Version::V5);
    assert_eq!(plan("--compare a b").rounds, 5);
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let cases = [
        ("--qos 3", "3 is not a QoS; 0, 1 and 2 are"),
        ("--version 4.2", "3.1, 3.1.1 and 5 are"),
        ("--size 23", "23 is not in 24..="),
        ("--rate 0", "0 is not in 1..="),
        ("--rate 5 --window 5", "cannot be used with"),
        ("--seconds 5 --messages 5", "cannot be used with"),
        ("--idle 5", "--connect"),
        ("--connect --rate 5", "cannot be used with"),
        ("--broker host:x", "not a port"),
        ("--compare a", "2 values required"),
        ("--compare a b --broker c", "cannot be used with"),
        ("--scenario mixed --qos 1", "cannot be used with"),
        ("--objective speed", "none of <, <=, =, >= and >"),
        ("--stall soon", "is not a time"),
        ("--stall 0s", "no time to wait"),
        ("--cert a.pem", "--key"),
    ];
    for (line, expected) in cases {
        let error = args(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn what_is_wrong_with_the_plan_is_told_before_anybody_is_called() {
    let refused = |line: &str| format!("{:#}", args(line).unwrap().plan().unwrap_err());
    assert!(refused("--scenario nowhere.toml").contains("the program has telemetry"));
    let reason = refused("--scenario telemetry --objective news:loss=0");
    assert!(
        reason.contains("there are all, opened, reports"),
        "{reason}"
    );
    // Nobody listens there, so who is called is not what is told.
    let line = args("--broker 127.0.0.1:1 --summary /nonexistent/summary.json");
    let reason = format!("{:#}", run(line.unwrap()).unwrap_err());
    assert!(
        reason.starts_with("cannot write /nonexistent/summary.json"),
        "{reason}"
    );
}
