//! What every store must do, run against each of them; and what a directory must survive.

#[cfg(feature = "fjall")]
mod crash;

use std::collections::BTreeMap;

use proptest::prelude::*;
use wigwag_store::{Batch, Keyspace, Memory, Operation, Store};

const A: Keyspace = Keyspace(0);
const B: Keyspace = Keyspace(1);

fn values(store: &mut dyn Store, keyspace: Keyspace) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = store.scan(keyspace).expect("scanned");
    assert_eq!(entries.corrupt, Vec::<Vec<u8>>::new());
    entries.intact
}

fn pair(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

fn batch(build: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new();
    build(&mut batch);
    batch
}

/// The conformance suite: `open` gives an empty store.
fn conforms<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    assert_eq!(values(&mut store, A), []);
    store.commit(&Batch::new()).expect("an empty batch");

    // Keyspaces are apart, keys are in order, an empty value and an empty key are entries.
    let changes = batch(|batch| {
        batch.put(A, &[2], b"two");
        batch.put(A, &[1, 255], b"");
        batch.put(A, &[1], b"one");
        batch.put(A, &[], b"none");
        batch.put(B, &[1], b"other");
    });
    store.commit(&changes).expect("committed");
    let expected = [
        pair(&[], b"none"),
        pair(&[1], b"one"),
        pair(&[1, 255], b""),
        pair(&[2], b"two"),
    ];
    assert_eq!(values(&mut store, A), expected);
    assert_eq!(values(&mut store, B), [pair(&[1], b"other")]);

    // Inside a batch, the last change of a key wins; deleting nothing is nothing.
    let changes = batch(|batch| {
        batch.put(A, &[1], b"old");
        batch.put(A, &[1], b"new");
        batch.put(A, &[2], b"gone");
        batch.delete(A, &[2]);
        batch.delete(A, &[]);
        batch.delete(A, &[9]);
        batch.delete(B, &[1]);
        batch.put(B, &[1], b"back");
    });
    store.commit(&changes).expect("committed");
    let expected = [pair(&[1], b"new"), pair(&[1, 255], b"")];
    assert_eq!(values(&mut store, A), expected);
    assert_eq!(values(&mut store, B), [pair(&[1], b"back")]);
    store.sync().expect("synced");

    // Large values come back as they were.
    let large = vec![7; 1024 * 1024];
    store
        .commit(&batch(|batch| batch.put(A, b"large", &large)))
        .expect("committed");
    assert_eq!(values(&mut store, A).last(), Some(&pair(b"large", &large)));
}

#[test]
fn memory_conforms() {
    conforms(Memory::new);
}

#[cfg(feature = "fjall")]
#[test]
fn a_directory_conforms_under_every_policy() {
    use std::time::Duration;
    use wigwag_store::{Dir, SyncPolicy};

    let interval = SyncPolicy::Interval(Duration::from_millis(1));
    for policy in [SyncPolicy::Each, interval, SyncPolicy::None] {
        let folder = tempfile::tempdir().expect("a folder");
        conforms(|| Dir::open(folder.path().join("a/b"), policy).expect("opened"));
    }
}

fn operations() -> impl Strategy<Value = Vec<Vec<(bool, u8, u8, u8)>>> {
    let operation = (any::<bool>(), 0_u8..2, 0_u8..6, any::<u8>());
    prop::collection::vec(prop::collection::vec(operation, 0..6), 0..20)
}

type Model = BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>;

/// Commits the batches to the store and to a model, and compares them after each.
fn follows_the_model(
    store: &mut dyn Store,
    batches: &[Vec<(bool, u8, u8, u8)>],
    mut reopen: impl FnMut(&mut Model),
) {
    let mut model = Model::new();
    for operations in batches {
        let changes = batch(|batch| {
            for &(is_put, keyspace, key, value) in operations {
                match is_put {
                    true => batch.put(Keyspace(keyspace), &[key], &[value; 3]),
                    false => batch.delete(Keyspace(keyspace), &[key]),
                }
            }
        });
        store.commit(&changes).expect("committed");
        for operation in changes.operations() {
            match operation {
                Operation::Put {
                    keyspace,
                    key,
                    value,
                } => drop(model.insert((*keyspace, key.to_vec()), value.to_vec())),
                Operation::Delete { keyspace, key } => {
                    model.remove(&(*keyspace, key.to_vec()));
                }
            }
        }
        reopen(&mut model);
        compare(store, &model);
    }
}

fn compare(store: &mut dyn Store, model: &Model) {
    for keyspace in [A, B] {
        let expected: Vec<_> = model
            .iter()
            .filter(|((of, _), _)| *of == keyspace)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(values(store, keyspace), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_follows_the_model(batches in operations()) {
        follows_the_model(&mut Memory::new(), &batches, |_| ());
    }

    #[cfg(feature = "fjall")]
    #[test]
    fn a_directory_follows_the_model_and_is_the_same_when_opened_again(batches in operations()) {
        use wigwag_store::{Dir, SyncPolicy};

        let folder = tempfile::tempdir().expect("a folder");
        let open = || Dir::open(folder.path(), SyncPolicy::None).expect("opened");
        let mut last = Model::new();
        follows_the_model(&mut open(), &batches, |model| last = model.clone());
        compare(&mut open(), &last);
    }
}
