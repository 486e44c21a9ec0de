//! `-w`: each topic has a line of the terminal, with its last message.

use std::collections::HashMap;

/// The line of the first topic: the broker stands above.
const FIRST: usize = 2;

/// How many topics have a line of their own; the others share the last.
const TOPICS_MAX: usize = 10_000;

/// Which topic has which line.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: HashMap<String, usize>,
}

impl Screen {
    pub(super) fn new() -> Screen {
        Screen::default()
    }

    /// Clears the terminal and says which broker is watched.
    pub(super) fn head(&self, host: &str) -> String {
        format!("\x1b[2J\x1b[1;1HBroker: {host}\n")
    }

    /// Goes to the line of a topic, which is empty then.
    pub(super) fn go_to(&mut self, topic: &str, out: &mut Vec<u8>) {
        let next = FIRST + self.lines.len().min(TOPICS_MAX);
        let line = match self.lines.get(topic) {
            Some(line) => *line,
            None => {
                if self.lines.len() < TOPICS_MAX {
                    self.lines.insert(topic.to_owned(), next);
                }
                next
            }
        };
        out.extend_from_slice(format!("\x1b[{line};1H\x1b[K").as_bytes());
    }

    /// Goes below the last line, where a shell may go on when the tool ends.
    pub(super) fn leave(&self, out: &mut Vec<u8>) {
        let last = FIRST + self.lines.len() - 1;
        out.extend_from_slice(format!("\x1b[{last};1H\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_keeps_its_line() {
        let mut screen = Screen::new();
        let mut out = Vec::new();
        for topic in ["a", "b", "a"] {
            screen.go_to(topic, &mut out);
            out.extend_from_slice(topic.as_bytes());
            screen.leave(&mut out);
        }
        assert_eq!(
            String::from_utf8_lossy(&out),
            "\x1b[2;1H\x1b[Ka\x1b[2;1H\n\x1b[3;1H\x1b[Kb\x1b[3;1H\n\x1b[2;1H\x1b[Ka\x1b[3;1H\n"
        );
    }
}
