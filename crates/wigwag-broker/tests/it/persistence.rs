//! What a broker keeps beyond its end, with a store in memory and with one in a folder, and what it says of
//! stores that it cannot use.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use wigwag_broker::conf::config::{LogDest, Logging};
use wigwag_broker::persist::{Autosave, PersistError};
use wigwag_broker::{Broker, Listener, Log, Persistence, StartError, Transport};
use wigwag_proto::packet::{Qos, Version};
use wigwag_store::{Batch, Dir, Entries, Error, Keyspace, Memory, Store, SyncPolicy};

use super::client::Client;
use super::{ANY_PORT, addr, connect};

/// Longer than anything that these tests wait for.
const PATIENCE: Duration = Duration::from_secs(60);

const ABOUT: Keyspace = Keyspace(0);
const SESSIONS: Keyspace = Keyspace(2);
const UNREADABLE: Keyspace = Keyspace(7);

/// A store that tells of its commits, and whose disk can be full.
#[derive(Clone)]
struct Watched {
    store: Memory,
    is_full: Arc<AtomicBool>,
    commits: mpsc::UnboundedSender<()>,
}

impl Store for Watched {
    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Error::Full("a test".to_owned()));
        }
        self.store.commit(batch)?;
        // The test may have ended.
        let _ = self.commits.send(());
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.store.sync()
    }

    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, Error> {
        self.store.scan(keyspace)
    }
}

fn watched(store: &Memory) -> (Watched, mpsc::UnboundedReceiver<()>) {
    let (commits, committed) = mpsc::unbounded_channel();
    let store = store.clone();
    let is_full = Arc::default();
    (
        Watched {
            store,
            is_full,
            commits,
        },
        committed,
    )
}

async fn next_commit(commits: &mut mpsc::UnboundedReceiver<()>) {
    timeout(PATIENCE, commits.recv())
        .await
        .expect("in time")
        .expect("the store is open");
}

fn try_start(shards: u16, persistence: Persistence, log: Log) -> Result<Broker, StartError> {
    Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .shards(NonZeroU16::new(shards).expect("not zero"))
        .persistence(persistence)
        .log(log)
        .start()
}

fn start(shards: u16, persistence: Persistence) -> Broker {
    try_start(shards, persistence, Log::default()).expect("the store can be used")
}

async fn session(broker: &Broker, client_id: &str) -> Client {
    Client::connect_session(addr(broker, Transport::Tcp), client_id, 3_600).await
}

fn memory() -> impl Fn() -> Persistence {
    let store = Memory::new();
    move || Persistence::store(store.clone())
}

async fn sessions_survive(persistence: impl Fn() -> Persistence) {
    const SESSIONS: usize = 20;
    let broker = start(3, persistence());
    for n in 0..SESSIONS {
        let mut client = session(&broker, &format!("s{n}")).await;
        client.subscribe("t/+", Qos::ExactlyOnce).await;
    }
    let mut publisher = connect(&broker, "publisher").await;
    publisher.publish("t/1", b"one", Qos::AtLeastOnce).await;
    publisher.publish("t/2", b"two", Qos::ExactlyOnce).await;
    publisher.publish_retained("kept", b"here").await;
    drop(publisher);
    broker.shutdown().await;
    for shards in [1, 2] {
        let broker = start(shards, persistence());
        for n in 0..SESSIONS {
            let mut client = session(&broker, &format!("s{n}")).await;
            assert!(client.session_present, "s{n}");
            if shards == 1 {
                let topics = [client.message().await.topic, client.message().await.topic];
                assert_eq!(topics, ["t/1", "t/2"]);
            }
        }
        let mut client = connect(&broker, "reader").await;
        client.subscribe("#", Qos::AtMostOnce).await;
        let message = client.message().await;
        assert_eq!((&*message.topic, &*message.payload), ("kept", &b"here"[..]));
        drop(client);
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn sessions_queues_and_retained_messages_survive_in_memory() {
    sessions_survive(memory()).await;
}

#[tokio::test]
async fn sessions_queues_and_retained_messages_survive_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.wigwag");
    sessions_survive(|| Persistence::folder(&path)).await;
}

#[tokio::test]
async fn a_session_that_moves_between_shards_while_it_is_saved_loses_nothing() {
    const MESSAGES: usize = 300;
    let memory = Memory::new();
    let persistence = || Persistence::store(memory.clone()).autosave(Autosave::Changes(1));
    let broker = start(3, persistence());
    let mut client = session(&broker, "mover").await;
    client.subscribe("t", Qos::AtLeastOnce).await;
    let addr = addr(&broker, Transport::Tcp);
    let publishing = tokio::spawn(async move {
        let mut publisher = Client::connect(addr, Version::V5, "publisher").await;
        for n in 0..MESSAGES {
            let payload = n.to_string();
            publisher
                .publish("t", payload.as_bytes(), Qos::ExactlyOnce)
                .await;
        }
    });
    let mut got = BTreeSet::new();
    while !publishing.is_finished() {
        // Each on the next shard, with a few messages of what has come by then.
        let mut client = session(&broker, "mover").await;
        assert!(client.session_present);
        for _ in 0..3 {
            if let Ok(message) = timeout(Duration::from_millis(5), client.message()).await {
                got.insert(String::from_utf8(message.payload).expect("a number"));
            }
        }
    }
    publishing.await.expect("published");
    broker.shutdown().await;
    let broker = start(2, persistence());
    let mut client = session(&broker, "mover").await;
    assert!(client.session_present);
    while got.len() < MESSAGES {
        let message = timeout(PATIENCE, client.message()).await;
        let payload = message.expect("no message is lost").payload;
        got.insert(String::from_utf8(payload).expect("a number"));
    }
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn changes_are_saved_when_there_are_enough_of_them() {
    let memory = Memory::new();
    let (store, mut commits) = watched(&memory);
    let persistence = Persistence::store(store).autosave(Autosave::Changes(10));
    let broker = start(2, persistence);
    next_commit(&mut commits).await;
    let mut client = connect(&broker, "c").await;
    for n in 0..10 {
        client.publish_retained(&format!("kept/{n}"), b"1").await;
    }
    next_commit(&mut commits).await;
    // Only what was saved is there for another broker: this one is not asked.
    let other = start(1, Persistence::store(copy(&memory)));
    let mut reader = connect(&other, "reader").await;
    reader.subscribe("#", Qos::AtMostOnce).await;
    assert_eq!(reader.message().await.topic, "kept/0");
    drop((reader, client));
    other.shutdown().await;
    broker.shutdown().await;
}

#[tokio::test]
async fn fewer_changes_that_are_demanded_later_count_those_that_are_there() {
    let memory = Memory::new();
    let (store, mut commits) = watched(&memory);
    let persistence = Persistence::store(store).autosave(Autosave::Changes(1_000));
    let broker = start(2, persistence);
    next_commit(&mut commits).await;
    let mut client = connect(&broker, "c").await;
    for n in 0..10 {
        client.publish_retained(&format!("kept/{n}"), b"1").await;
    }
    broker.set_autosave(Autosave::Changes(5));
    next_commit(&mut commits).await;
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn what_the_broker_tells_of_itself_is_no_change() {
    let memory = Memory::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .persistence(Persistence::store(memory).autosave(Autosave::Changes(1)))
        .log(log_to(&file))
        .sys_interval(Some(Duration::from_secs(1)))
        .start()
        .expect("it starts");
    let mut reader = connect(&broker, "reader").await;
    reader
        .subscribe("$SYS/broker/uptime", Qos::AtMostOnce)
        .await;
    for _ in 0..2 {
        reader.message().await;
    }
    drop(reader);
    broker.shutdown().await;
    let log = fs::read_to_string(&file).expect("a log");
    // At the end.
    assert_eq!(log.matches("Saving").count(), 1, "{log}");
}

/// A file of Mosquitto's with one session, in the shortest of its formats.
fn mosquitto_file(client_id: &str) -> Vec<u8> {
    let text = [
        &(client_id.len() as u16).to_be_bytes()[..],
        client_id.as_bytes(),
    ]
    .concat();
    let client = [&text[..], &[0; 2]].concat();
    let configuration = [&[1, 8][..], &[0; 8]].concat();
    let chunk = |number: u16, fields: Vec<u8>| {
        let len = (fields.len() as u32).to_be_bytes();
        [&number.to_be_bytes()[..], &len, &fields].concat()
    };
    let version = [0, 0, 0, 0, 0, 0, 0, 2];
    let head = [&b"\x00\xB5\x00mosquitto db"[..], &version].concat();
    [head, chunk(1, configuration), chunk(6, client)].concat()
}

#[tokio::test]
async fn a_store_is_not_ours_before_it_has_what_was_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mosquitto.db");
    fs::write(&file, mosquitto_file("old")).expect("written");
    let memory = Memory::new();
    let (store, mut commits) = watched(&memory);
    let broker = start(2, Persistence::store(store).take_over_mosquitto(&file));
    next_commit(&mut commits).await;
    let killed = copy(&memory);
    broker.shutdown().await;
    let broker = start(1, Persistence::store(killed).take_over_mosquitto(&file));
    let client = session(&broker, "old").await;
    assert!(client.session_present);
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn what_may_be_there_and_cannot_be_read_is_not_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing =
        Persistence::store(Memory::new()).take_over_mosquitto(folder.path().join("no.db"));
    start(1, missing).shutdown().await;
    let file = folder.path().join("mosquitto.db");
    fs::write(&file, "").expect("written");
    // Behind something that is no folder.
    let hidden = Persistence::store(Memory::new()).take_over_mosquitto(file.join("x.db"));
    let error = try_start(1, hidden, Log::default()).expect_err("it must not start");
    assert!(error.to_string().contains("cannot read"), "{error}");
}

/// What a killed process leaves.
fn copy(memory: &Memory) -> Memory {
    let (mut from, mut to) = (memory.clone(), Memory::new());
    let mut batch = Batch::new();
    for keyspace in (0..8).map(Keyspace) {
        for (key, value) in from.scan(keyspace).expect("in memory").intact {
            batch.put(keyspace, &key, &value);
        }
    }
    to.commit(&batch).expect("in memory");
    to
}

#[tokio::test]
async fn a_full_disk_is_reported_and_nothing_is_lost_when_there_is_room_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = Memory::new();
    let (store, mut commits) = watched(&memory);
    let is_full = Arc::clone(&store.is_full);
    let log = log_to(&folder.path().join("log"));
    let persistence = Persistence::store(store).autosave(Autosave::Changes(1));
    let broker = try_start(2, persistence, log.clone()).expect("it starts");
    next_commit(&mut commits).await;
    is_full.store(true, Ordering::SeqCst);
    let mut client = connect(&broker, "c").await;
    for n in 0..20 {
        client.publish_retained(&format!("kept/{n:02}"), b"1").await;
    }
    // The broker goes on, and says so until there is room.
    await_line(&folder.path().join("log"), "Error: Nothing can be saved").await;
    is_full.store(false, Ordering::SeqCst);
    assert!(broker.save());
    next_commit(&mut commits).await;
    drop(client);
    broker.shutdown().await;
    let broker = start(1, Persistence::store(memory));
    let mut reader = connect(&broker, "reader").await;
    reader.subscribe("#", Qos::AtMostOnce).await;
    for n in 0..20 {
        assert_eq!(reader.message().await.topic, format!("kept/{n:02}"));
    }
    drop(reader);
    broker.shutdown().await;
}

fn log_to(file: &Path) -> Log {
    let logging = Logging {
        destinations: [LogDest::File(file.to_owned())].into(),
        ..Logging::default()
    };
    Log::open(&logging).expect("the file can be made")
}

async fn await_line(file: &Path, text: &str) {
    let found = async {
        while !fs::read_to_string(file).is_ok_and(|log| log.contains(text)) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, found).await.expect("the line is written");
}

#[tokio::test]
async fn a_damaged_record_is_moved_aside_and_the_others_are_there() {
    let memory = Memory::new();
    let broker = start(2, Persistence::store(memory.clone()));
    for client_id in ["a", "b"] {
        session(&broker, client_id).await;
    }
    broker.shutdown().await;
    let mut store = memory.clone();
    let sessions = store.scan(SESSIONS).expect("in memory").intact;
    let (key, value) = &sessions[0];
    let mut batch = Batch::new();
    batch.put(SESSIONS, key, &value[..value.len() - 1]);
    store.commit(&batch).expect("in memory");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let broker = try_start(1, Persistence::store(memory), log_to(&file)).expect("it starts");
    await_line(&file, "Error: A session in").await;
    let mut present = Vec::new();
    for client_id in ["a", "b"] {
        present.push(session(&broker, client_id).await.session_present);
    }
    present.sort_unstable();
    assert_eq!(present, [false, true]);
    broker.shutdown().await;
    assert_eq!(store.scan(UNREADABLE).expect("in memory").intact.len(), 1);
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.wigwag");
    let broker = start(1, Persistence::folder(&path));
    let refusal = |persistence| match try_start(1, persistence, Log::default()) {
        Err(StartError::Persistence(error)) => error,
        other => panic!("it must not start: {other:?}"),
    };
    let error = refusal(Persistence::folder(&path));
    assert!(
        matches!(
            &error,
            PersistError::Store {
                source: Error::InUse(_),
                ..
            }
        ),
        "{error}"
    );
    broker.shutdown().await;
    let mut store = Dir::open(&path, SyncPolicy::Each).expect("free again");
    let about = store.scan(ABOUT).expect("readable").intact;
    let [(key, _)] = about.as_slice() else {
        panic!("one entry: {about:?}")
    };
    let mut batch = Batch::new();
    batch.put(ABOUT, key, &[200]);
    store.commit(&batch).expect("written");
    drop(store);
    let error = refusal(Persistence::folder(&path));
    assert!(
        matches!(error, PersistError::Newer { found: 200, .. }),
        "{error}"
    );
    let mut foreign = Memory::new();
    let mut batch = Batch::new();
    batch.put(Keyspace(4), b"key", b"value");
    foreign.commit(&batch).expect("in memory");
    let error = refusal(Persistence::store(foreign));
    assert!(matches!(error, PersistError::Foreign { .. }), "{error}");
}
