//! Whether what a page shows is what was said: one terminal, on which a command in the foreground and
//! those in the background write.
//!
//! The lines of each come in their order; how they come between one another is left open, as on a terminal.

use std::collections::HashSet;

/// On a line any text, as a line any lines.
const ANYTHING: char = '…';

/// How far each speaker has been read after all that is shown, if it fits: the first one, in the
/// foreground, to its end, the others as far as the page shows.
pub(super) fn read_as(shown: &[String], said: &[Vec<String>]) -> Option<Vec<usize>> {
    let mut failed = HashSet::new();
    search(shown, said, (0, vec![0; said.len()]), &mut failed)
}

/// Lines of the page that are passed, and of each speaker.
type Position = (usize, Vec<usize>);

fn search(
    shown: &[String],
    said: &[Vec<String>],
    at: Position,
    failed: &mut HashSet<Position>,
) -> Option<Vec<usize>> {
    let (line, read) = &at;
    let is_at_end = said.first().is_none_or(|first| read[0] == first.len());
    if *line == shown.len() && is_at_end {
        return Some(at.1);
    }
    if failed.contains(&at) {
        return None;
    }
    let mut found = None;
    if let Some(text) = shown.get(*line) {
        let is_gap = text.trim() == ANYTHING.to_string();
        if is_gap {
            found = search(shown, said, (line + 1, read.clone()), failed);
        }
        for (speaker, lines) in said.iter().enumerate() {
            let next = lines.get(read[speaker]);
            if found.is_none() && next.is_some_and(|next| is_gap || fits(text, next)) {
                let mut read = read.clone();
                read[speaker] += 1;
                let line = if is_gap { *line } else { line + 1 };
                found = search(shown, said, (line, read), failed);
            }
        }
    }
    if found.is_none() {
        failed.insert(at);
    }
    found
}

/// Whether a line of the page fits one that was said. Blanks at the end of a line are not seen.
fn fits(shown: &str, said: &str) -> bool {
    let (shown, said) = (shown.trim_end(), said.trim_end());
    let Some((begin, rest)) = shown.split_once(ANYTHING) else {
        return shown == said;
    };
    let Some(mut said) = said.strip_prefix(begin) else {
        return false;
    };
    let mut parts = rest.split(ANYTHING).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return said.ends_with(part);
        }
        let Some((_, after)) = said.split_once(part) else {
            return false;
        };
        said = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn check(shown: &str, said: &[&str], expect: Option<&[usize]>) {
        let said: Vec<Vec<String>> = said.iter().map(|text| lines(text)).collect();
        let read = read_as(&lines(shown), &said);
        assert_eq!(read.as_deref(), expect, "{shown:?} {said:?}");
    }

    #[test]
    fn all_that_the_foreground_says_has_to_be_shown() {
        check("", &[""], Some(&[0]));
        check("a\nb", &["a\nb"], Some(&[2]));
        check("a", &["a  "], Some(&[1]));
        check("a", &["a\nb"], None);
        check("a\nb", &["a"], None);
        check("b\na", &["a\nb"], None);
    }

    #[test]
    fn an_ellipsis_is_any_text_of_a_line() {
        for (shown, said, expect) in [
            ("took … ms", "took 12.5 ms", true),
            ("took … ms", "took ms", false),
            ("…", "", true),
            ("a…b…c", "a1b2b3c", true),
            ("a…b…c", "abc", true),
            ("a…b…c", "acb", false),
            ("…a", "ba", true),
            ("a…a", "a", false),
        ] {
            assert_eq!(fits(shown, said), expect, "{shown} {said}");
        }
    }

    #[test]
    fn a_line_of_an_ellipsis_alone_is_any_lines() {
        check("a\n…\nz", &["a\nz"], Some(&[2]));
        check("a\n…\nz", &["a\nb\nc\nz"], Some(&[4]));
        check("…\nz\n…", &["z\nz\nz"], Some(&[3]));
        check("a\n…", &["b"], None);
    }

    #[test]
    fn lines_of_the_background_come_between_in_their_order() {
        check("f\nb1\nb2", &["f", "b1\nb2\nb3"], Some(&[1, 2]));
        check("b1\nf\nb2", &["f", "b1\nb2"], Some(&[1, 2]));
        check("b2\nb1", &["", "b1\nb2"], None);
        check("b2", &["", "b1\nb2"], None);
        // What the page does not show waits for the next command.
        check("", &["", "b1"], Some(&[0, 0]));
        check("x\nx", &["x", "x", "x"], Some(&[1, 1, 0]));
        check("x\ny", &["y", "x", "x"], Some(&[1, 1, 0]));
    }
}
