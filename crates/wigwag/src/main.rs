//! The wigwag binary.
fn main() {}
