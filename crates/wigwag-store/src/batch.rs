//! What is to change, as one: puts and deletes in any of the keyspaces.

/// Entries that belong together, in an order of their own. A store may have 254 of them: the last two
/// numbers are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyspace(pub u8);

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The key has this value from here on.
    Put {
        /// Where.
        keyspace: Keyspace,
        /// Its place in the order.
        key: Box<[u8]>,
        /// The bytes to keep.
        value: Box<[u8]>,
    },
    /// The key has no value from here on.
    Delete {
        /// Where.
        keyspace: Keyspace,
        /// Its place in the order.
        key: Box<[u8]>,
    },
}

/// Changes that are made together or not at all. A later one of the same key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    operations: Vec<Operation>,
}

impl Batch {
    /// No changes.
    pub const fn new() -> Batch {
        Batch {
            operations: Vec::new(),
        }
    }

    /// Sets the value of a key.
    pub fn put(&mut self, keyspace: Keyspace, key: &[u8], value: &[u8]) {
        self.operations.push(Operation::Put {
            keyspace,
            key: key.into(),
            value: value.into(),
        });
    }

    /// Removes a key, which need not be there.
    pub fn delete(&mut self, keyspace: Keyspace, key: &[u8]) {
        self.operations.push(Operation::Delete {
            keyspace,
            key: key.into(),
        });
    }

    /// The changes in their order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Adds the changes of `later` behind these.
    pub fn append(&mut self, later: Batch) {
        self.operations.extend(later.operations);
    }
}
