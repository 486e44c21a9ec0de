//! How long a shard stops for a save, and how long the save takes: `cargo run --release -p wigwag-broker
//! --example save_pause`. The state is made in memory, the store is a folder, all on one thread. Each figure is
//! the least of five runs: what else the machine does is not meant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wigwag_engine::message::MessageRef;
use wigwag_engine::policy::AllowAll;
use wigwag_engine::record::Changes;
use wigwag_engine::record::save::{Extent, Save, Step};
use wigwag_engine::restored::{Clock, Outgoing, Session};
use wigwag_engine::{Node, Settings, Shard, ShardId, Time};
use wigwag_proto::{Properties, Qos, TopicName};
use wigwag_store::{Batch, Dir, Keyspace, Store as _, SyncPolicy};

const RUNS: usize = 5;

/// What waits: so many sessions with so many messages each.
const STATES: [(usize, usize); 3] = [(10_000, 10), (100_000, 1), (1, 100_000)];

const PAYLOAD: [u8; 100] = [b'x'; 100];

fn main() {
    println!("sessions  messages each  changes  steps   mean step  longest step  to the disk");
    for (sessions, messages) in STATES {
        let runs: Vec<[Took; 2]> = (0..RUNS).map(|_| run(sessions, messages)).collect();
        for (save, size) in [(0, (sessions, messages)), (1, (1, 1))] {
            let least = |of: fn(&Took) -> Duration| {
                let all = runs.iter().map(|run| of(&run[save]));
                all.min().unwrap_or_default().as_secs_f64() * 1_000.0
            };
            println!(
                "{:8}  {:13}  {:7}  {:5}  {:>6.2} ms  {:>9.2} ms  {:>8.2} ms",
                size.0,
                size.1,
                runs[0][save].changes,
                runs[0][save].steps,
                least(|took| took.mean),
                least(|took| took.longest),
                least(|took| took.disk),
            );
        }
    }
}

/// What a save took.
struct Took {
    changes: usize,
    steps: u32,
    mean: Duration,
    longest: Duration,
    disk: Duration,
}

/// Saves everything, and then the change of one session.
fn run(sessions: usize, messages: usize) -> [Took; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Dir::open(folder.path().join("store"), SyncPolicy::Each).expect("a store");
    let node = Arc::new(Node::new(1, 7).with_records());
    let mut shard = Shard::new(
        ShardId(0),
        Arc::clone(&node),
        Settings::default(),
        Box::new(AllowAll),
    );
    for n in 0..sessions {
        shard.handle_restored(Time::ZERO, session(n, messages));
    }
    let all = save(&node, &mut shard, &mut store);
    shard.handle_restored(Time::ZERO, session(sessions, 1));
    [all, save(&node, &mut shard, &mut store)]
}

fn session(n: usize, messages: usize) -> Session {
    let mut session = Session::new(&format!("client-{n}"));
    let topic = TopicName::new("some/topic/of/usual/length").expect("valid");
    session.queue.extend((0..messages).map(|_| {
        let message = MessageRef {
            topic,
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: Properties::EMPTY,
            payload: &PAYLOAD,
            expires_at: None,
        };
        Outgoing::new(message.to_message(), Qos::AtLeastOnce)
    }));
    session
}

fn save(node: &Node, shard: &mut Shard, store: &mut Dir) -> Took {
    let clock = Clock::new(Time::ZERO, Duration::from_secs(1_000_000_000));
    let mut save = Save::new(node, Extent::Running).expect("records are kept");
    let mut batch = Batch::new();
    let (mut steps, mut longest, mut asking) = (0, Duration::ZERO, Duration::ZERO);
    let take = |changes: Changes, batch: &mut Batch| {
        changes.write(&clock, |kind, key, value| match value {
            Some(value) => batch.put(Keyspace(kind as u8), key, value),
            None => batch.delete(Keyspace(kind as u8), key),
        });
    };
    loop {
        match save.poll() {
            Step::Ask(_, question) => {
                let began = Instant::now();
                let answer = shard.handle_save(&clock, question);
                longest = longest.max(began.elapsed());
                asking += began.elapsed();
                steps += 1;
                save.handle_answer(Some(&answer));
                take(answer.changes, &mut batch);
            }
            Step::Wait => {}
            Step::Done => break,
        }
    }
    take(save.finish(), &mut batch);
    let changes = batch.operations().len();
    let began = Instant::now();
    store.commit(&batch).expect("written");
    Took {
        changes,
        steps,
        mean: asking / steps,
        longest,
        disk: began.elapsed(),
    }
}
