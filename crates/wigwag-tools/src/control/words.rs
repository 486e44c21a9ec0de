//! A line of the shell as words: blanks separate them, unless they stand in quotes or behind a backslash.

/// The words; `None` if a quote is not closed.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(characters.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_quotes_belong_to_the_word() {
        let check = |line: &str, expect: &[&str]| {
            let words = split(line).expect("closed quotes");
            assert_eq!(words, expect, "{line}");
        };
        check("", &[]);
        check("  getClient   bob ", &["getClient", "bob"]);
        check("a 'b c' \"d \\\" e\" f\\ g", &["a", "b c", "d \" e", "f g"]);
        check("'' x''y", &["", "xy"]);
        check(r"'a\b'", &[r"a\b"]);
        assert_eq!(split("a 'b"), None);
    }
}
