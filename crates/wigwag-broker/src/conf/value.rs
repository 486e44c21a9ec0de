//! The values of options: how each kind is written, and what is wrong with what is not.

use super::table::Range;

/// The first word and what follows it, as far as spaces go: a tab separates nothing.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    match text.split_once(' ') {
        Some((word, rest)) => (word, rest.trim_matches([' ', '\t'])),
        None => (text, ""),
    }
}

/// Exactly four words mean something.
pub(super) fn parse_bool(name: &str, word: &str) -> Result<bool, String> {
    match word {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!(
            "Invalid '{name}' value ({word}). Allowed: true, false, 1 or 0."
        )),
    }
}

/// Why a word is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberError {
    NotANumber,
    OutOfRange,
}

/// As C writes numbers: decimal, `0x` and hexadecimal, or `0` and octal, with an optional sign.
pub(super) fn parse_int(word: &str) -> Result<i64, NumberError> {
    let word = word.trim_start_matches(['\t', '\u{b}', '\u{c}']);
    let (is_negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => (16, hexadecimal),
        None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NumberError::NotANumber);
    }
    let value = i64::from_str_radix(digits, radix).map_err(|_| NumberError::OutOfRange)?;
    let value = if is_negative { -value } else { value };
    // What C's int holds: Mosquitto knows no other numbers.
    match i32::try_from(value) {
        Ok(value) => Ok(i64::from(value)),
        Err(_) => Err(NumberError::OutOfRange),
    }
}

pub(super) fn parse_in_range(name: &str, word: &str, range: Range) -> Result<i64, String> {
    match parse_int(word) {
        Ok(value) if range.holds(value) => Ok(value),
        Ok(_) => Err(format!(
            "Invalid '{name}' value ({word}). Allowed: {range}."
        )),
        Err(NumberError::NotANumber) => Err(format!(
            "'{name}' value not a number. It is '{word}'; allowed: {range}."
        )),
        Err(NumberError::OutOfRange) => Err(format!(
            "'{name}' value out of range. It is {word}; allowed: {range}."
        )),
    }
}

/// The rest of a line, blanks around it apart. It may hold spaces, but nothing that cannot be seen.
pub(super) fn parse_text(name: &str, rest: &str) -> Result<String, String> {
    let text = rest.trim_matches([' ', '\t']);
    if text.is_empty() {
        return Err(empty(name));
    }
    if text.len() > usize::from(u16::MAX) {
        return Err(format!(
            "The value of '{name}' is too long. It has {} bytes; allowed: 65535.",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!(
            "Malformed UTF-8 in configuration. The value of '{name}' has a control character in it."
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn empty(name: &str) -> String {
    format!("Empty '{name}' value in configuration.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_c() {
        let good = [
            ("10", 10),
            ("+10", 10),
            ("-1", -1),
            ("0x1F", 31),
            ("010", 8),
            ("0", 0),
            ("2147483647", 2_147_483_647),
        ];
        for (word, value) in good {
            assert_eq!(parse_int(word), Ok(value), "{word}");
        }
        for word in ["", "-", "x", "10x", "0x", "1.5", "08", "--1", "٣"] {
            assert_eq!(parse_int(word), Err(NumberError::NotANumber), "{word}");
        }
        for word in ["2147483648", "-2147483649", "99999999999999999999"] {
            assert_eq!(parse_int(word), Err(NumberError::OutOfRange), "{word}");
        }
    }

    #[test]
    fn a_tab_separates_nothing() {
        assert_eq!(first_word("  a  b c "), ("a", "b c"));
        assert_eq!(first_word("a\tb"), ("a\tb", ""));
    }
}
