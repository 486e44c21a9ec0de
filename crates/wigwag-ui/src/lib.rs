//! The web UI of Wigwag, embedded
