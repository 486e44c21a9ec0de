//! How long a shard stops to look for the client whose Will has a topic: `cargo run --release -p wigwag-broker
//! --example search_pause`. The sessions are made in memory, all in one shard, each with a Will on a topic of its
//! own. Each figure is the least of five runs: what else the machine does is not meant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wigwag_engine::message::MessageRef;
use wigwag_engine::policy::AllowAll;
use wigwag_engine::restored::{Session, Will};
use wigwag_engine::{Node, Progress, Search, Settings, Shard, ShardId, Time};
use wigwag_proto::{Properties, Qos, TopicName};

const RUNS: usize = 5;

const SESSIONS: [usize; 3] = [1_000, 10_000, 100_000];

fn main() {
    println!("sessions  by       steps  longest step");
    for sessions in SESSIONS {
        let shard = shard(sessions);
        for (by, search) in [("client", by_client(sessions)), ("Will", by_will(sessions))] {
            let runs: Vec<(usize, Duration)> = (0..RUNS).map(|_| run(&shard, &search)).collect();
            let longest = runs.iter().map(|run| run.1).min().unwrap_or_default();
            let millis = longest.as_secs_f64() * 1_000.0;
            println!("{sessions:8}  {by:6}  {:6}  {millis:9.3} ms", runs[0].0);
        }
    }
}

/// Searches until it is over: how many steps that took, and the longest of them.
fn run(shard: &Shard, search: &Search) -> (usize, Duration) {
    let (mut steps, mut longest, mut count) = (0, Duration::ZERO, 0);
    let mut from = Some(Progress::default());
    while let Some(progress) = from {
        let began = Instant::now();
        let found = shard.search(search, progress);
        longest = longest.max(began.elapsed());
        steps += 1;
        count += found.dossiers.len();
        from = found.next;
    }
    assert_eq!(count, 1, "it is there");
    (steps, longest)
}

fn by_client(sessions: usize) -> Search {
    Search {
        client_id: Some(client_id(sessions - 1).into()),
        will_topic: None,
        may_know: Arc::new(|_| true),
        sessions_max: 50,
        subscriptions_max: 200,
        filter_bytes_max: 16 * 1024,
    }
}

fn by_will(sessions: usize) -> Search {
    Search {
        client_id: None,
        will_topic: Some(topic(sessions - 1).into()),
        ..by_client(sessions)
    }
}

fn client_id(n: usize) -> String {
    format!("client-{n}")
}

fn topic(n: usize) -> String {
    format!("device/{n}/online")
}

fn shard(sessions: usize) -> Shard {
    let node = Arc::new(Node::new(1, 7));
    let mut shard = Shard::new(ShardId(0), node, Settings::default(), Box::new(AllowAll));
    for n in 0..sessions {
        let mut session = Session::new(&client_id(n));
        let topic = topic(n);
        let message = MessageRef {
            topic: TopicName::new(&topic).expect("valid"),
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: Properties::EMPTY,
            payload: b"false",
            expires_at: None,
        };
        session.will = Some(Will {
            message: message.to_message(),
            expiry_secs: None,
            delay_secs: 3_600,
            due_at: None,
        });
        shard.handle_restored(Time::ZERO, session);
    }
    shard
}
