//! A directory whose process is killed, shared or not writable.
//!
//! The process that is killed is this test binary itself, told by the environment to write.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use wigwag_store::{Batch, Dir, Error, Keyspace, Store, SyncPolicy};

const FIRST: Keyspace = Keyspace(0);
const SECOND: Keyspace = Keyspace(1);
const FOLDER: &str = "WIGWAG_STORE_CRASH_TEST";
const POLICY: &str = "WIGWAG_STORE_CRASH_POLICY";
const KILLS: usize = 12;

/// Not a test of its own: the child of the test below, which does nothing in an ordinary run.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let policy = match std::env::var(POLICY).as_deref() {
        Ok("none") => SyncPolicy::None,
        _ => SyncPolicy::Each,
    };
    let mut store = Dir::open(folder, policy).expect("opened");
    let next = store.scan(FIRST).expect("scanned").intact.len() as u64;
    let mut out = std::io::stdout();
    for n in next.. {
        let mut batch = Batch::new();
        batch.put(FIRST, &n.to_be_bytes(), &[b'x'; 200]);
        batch.put(SECOND, &n.to_be_bytes(), b"y");
        store.commit(&batch).expect("committed");
        writeln!(out, "committed {n}").expect("the parent reads");
    }
}

fn writer(folder: &std::path::Path, policy: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "crash::the_process_that_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(POLICY, policy)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

#[test]
fn what_was_committed_survives_kill_9_and_batches_stay_whole() {
    for policy in ["each", "none"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut committed = 0;
        for kill in 0..KILLS {
            let mut child = writer(folder.path(), policy);
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let mut seen = 0;
            for line in lines.map_while(Result::ok) {
                let Some((_, n)) = line.rsplit_once("committed ") else {
                    continue;
                };
                committed = n.parse::<u64>().expect("a number") + 1;
                seen += 1;
                if seen == 1 + kill * 7 {
                    child.kill().expect("running");
                }
            }
            child.wait().expect("ended");
            assert!(seen > kill * 7, "the child ended by itself");
            let mut store = Dir::open(folder.path(), SyncPolicy::Each).expect("opened");
            let first = store.scan(FIRST).expect("scanned");
            let second = store.scan(SECOND).expect("scanned");
            assert!(first.corrupt.is_empty() && second.corrupt.is_empty());
            // One more than was reported may have been committed, but never half of it.
            assert!(first.intact.len() as u64 >= committed, "{policy}: lost");
            let keys = |entries: &wigwag_store::Entries| {
                let keys = entries.intact.iter().map(|(key, _)| key.clone());
                keys.collect::<Vec<_>>()
            };
            assert_eq!(keys(&first), keys(&second), "{policy}: half a batch");
        }
    }
}

#[test]
fn a_directory_belongs_to_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Dir::open(folder.path(), SyncPolicy::None).expect("opened");
    let second = Dir::open(folder.path(), SyncPolicy::None).map(drop);
    assert_eq!(second, Err(Error::InUse(folder.path().to_owned())));
    drop(store);
    Dir::open(folder.path(), SyncPolicy::None).expect("free again");
}

#[cfg(unix)]
#[test]
fn a_directory_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let store = Dir::open(&path, SyncPolicy::None).expect("opened");
    let mode = std::fs::metadata(store.path())
        .expect("there")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
}

#[test]
fn a_file_in_the_way_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, "not a store").expect("writable");
    let opened = Dir::open(&path, SyncPolicy::None).map(drop);
    assert!(matches!(opened, Err(Error::Io(_))), "{opened:?}");
}
