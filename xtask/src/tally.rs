//! Counts tests from the closing lines of the runners that the steps use: cargo test, vitest,
//! Node's test runner, and the plain `N passed, N failed`.

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// Adds what a line of output reports, if it is a closing line.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colour(line);
        let line = line.trim();
        if let Some((outcome, count)) = node_count(line) {
            match outcome {
                "pass" => self.passed += count,
                "fail" => self.failed += count,
                _ => {}
            }
            return;
        }
        let counts = if let Some(rest) = line.strip_prefix("test result:") {
            rest
        } else if let Some(rest) = line.strip_prefix("Tests ") {
            rest
        } else if is_plain(line) {
            line
        } else {
            return;
        };
        self.passed += count_before(counts, "passed");
        self.failed += count_before(counts, "failed");
    }

    pub(crate) fn total(self) -> usize {
        self.passed + self.failed
    }
}

/// Node's runner closes with a line per outcome: `# pass 3`, or `ℹ pass 3` on a terminal.
fn node_count(line: &str) -> Option<(&str, usize)> {
    let rest = line
        .strip_prefix("# ")
        .or_else(|| line.strip_prefix("ℹ "))?;
    let (outcome, count) = rest.split_once(' ')?;
    Some((outcome, count.parse().ok()?))
}

/// `3 passed, 0 failed`, with nothing but one `word:` before it and `, N skipped` after it.
fn is_plain(line: &str) -> bool {
    let counts = line.split_once(": ").map_or(line, |(_, counts)| counts);
    let words: Vec<&str> = counts.split(' ').collect();
    let (Some(passed), Some(failed)) = (words.first(), words.get(2)) else {
        return false;
    };
    passed.parse::<usize>().is_ok()
        && words.get(1) == Some(&"passed,")
        && failed.parse::<usize>().is_ok()
        && words
            .get(3)
            .is_some_and(|word| word.trim_end_matches(',') == "failed")
}

fn count_before(text: &str, noun: &str) -> usize {
    let mut previous = "";
    for word in text.split_whitespace() {
        if word.trim_end_matches([';', ',']) == noun {
            return previous.parse().unwrap_or(0);
        }
        previous = word;
    }
    0
}

/// Drops terminal colour sequences: `ESC [ … letter`.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        rest = rest.get(1..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, passed: usize, failed: usize) {
        let mut tally = Tally::default();
        tally.read(line);
        assert_eq!(tally, Tally { passed, failed }, "{line:?}");
    }

    #[test]
    fn closing_lines_are_counted() {
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured",
            12,
            0,
        );
        check("test result: FAILED. 11 passed; 2 failed; 0 ignored", 11, 2);
        check("      Tests  7 passed (7)\n", 7, 0);
        check("      Tests  1 failed | 6 passed (7)", 6, 1);
        check(
            "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m7 passed\u{1b}[39m\u{1b}[22m (7)",
            7,
            0,
        );
        check("# pass 14", 14, 0);
        check("ℹ fail 2", 0, 2);
        check("9 passed, 1 failed", 9, 1);
        check("e2e: 9 passed, 0 failed, 2 skipped", 9, 0);
    }

    #[test]
    fn other_lines_are_not() {
        check("test will_is_sent ... ok", 0, 0);
        check("running 12 tests", 0, 0);
        check("# tests 14", 0, 0);
        check("# pass the salt", 0, 0);
        check(" Test Files  3 passed (3)", 0, 0);
        check("we say that 3 passed, 0 failed", 0, 0);
        check("", 0, 0);
    }
}
