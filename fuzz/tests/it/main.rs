//! Replays the committed corpora of all targets, on any toolchain.

use std::fs;
use std::path::Path;

#[test]
fn no_input_of_the_corpora_makes_a_target_panic() {
    for (name, target) in wigwag_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let mut inputs = 0;
        for entry in
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("an entry").path();
            target(&fs::read(&path).expect("a file"));
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no corpus", folder.display());
    }
}

/// A few thousand mutations of the corpora, so that a plain test run finds the cheap bugs.
#[test]
fn mutations_of_the_corpora_do_not_panic_either() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits")
    };
    for (name, target) in wigwag_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        for entry in fs::read_dir(&folder).expect("a folder") {
            let original = fs::read(entry.expect("an entry").path()).expect("a file");
            for _ in 0..40 {
                let mut input = original.clone();
                for _ in 0..=random() % 4 {
                    if input.is_empty() {
                        input.push(0);
                    }
                    let at = random() % input.len();
                    match random() % 3 {
                        0 => input[at] = u8::try_from(random() % 256).expect("a byte"),
                        1 => input.truncate(at),
                        _ => input.insert(at, u8::try_from(random() % 256).expect("a byte")),
                    }
                }
                target(&input);
            }
        }
    }
}
