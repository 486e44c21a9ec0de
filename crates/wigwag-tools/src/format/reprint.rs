//! JSON as the library cJSON writes it, which is what Mosquitto's tools print: from values, and from JSON text.
//!
//! Text is read and written in one go: the order of members, repeated names and all digits stay, which a tree of values would
//! lose.

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// How deep objects and arrays may be nested, as with cJSON.
const DEPTH_MAX: usize = 1_000;

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Writes one value after the other; whoever calls it keeps to the grammar.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    is_pretty: bool,
    depth: usize,
}

/// An object under construction.
pub(crate) struct Object {
    is_empty: bool,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(out: &'a mut Vec<u8>, is_pretty: bool) -> Writer<'a> {
        Writer {
            out,
            is_pretty,
            depth: 0,
        }
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u32) {
        self.raw(&number.to_string());
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        for byte in text.bytes() {
            match byte {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                0x08 => self.raw("\\b"),
                0x0c => self.raw("\\f"),
                b'\n' => self.raw("\\n"),
                b'\r' => self.raw("\\r"),
                b'\t' => self.raw("\\t"),
                control @ ..0x20 => self.raw(&format!("\\u{control:04x}")),
                other => self.out.push(other),
            }
        }
        self.out.push(b'"');
    }

    /// Bytes, as base64.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.raw("\"");
        self.raw(&BASE64_STANDARD.encode(bytes));
        self.raw("\"");
    }

    /// A real number; `null` if it is none that JSON has.
    pub(crate) fn real(&mut self, number: f64) {
        self.raw(&Writer::real_text(number));
    }

    /// The same, with the digits that a float of 32 bits has.
    pub(crate) fn real_32(&mut self, number: f32) {
        self.raw(&Writer::real_32_text(number));
    }

    /// What [`Writer::real`] writes.
    pub(crate) fn real_text(number: f64) -> String {
        if number.is_finite() {
            shortest(number, 15..=17, |text| text.parse() == Ok(number))
        } else {
            "null".to_owned()
        }
    }

    /// What [`Writer::real_32`] writes.
    pub(crate) fn real_32_text(number: f32) -> String {
        if number.is_finite() {
            shortest(number.into(), 6..=9, |text| text.parse() == Ok(number))
        } else {
            "null".to_owned()
        }
    }

    pub(crate) fn begin_object(&mut self) -> Object {
        self.raw(if self.is_pretty { "{\n" } else { "{" });
        self.depth += 1;
        Object { is_empty: true }
    }

    /// The name of the next member; its value follows.
    pub(crate) fn key(&mut self, object: &mut Object, key: &str) {
        if !object.is_empty {
            self.raw(if self.is_pretty { ",\n" } else { "," });
        }
        object.is_empty = false;
        self.indent();
        self.string(key);
        self.raw(if self.is_pretty { ":\t" } else { ":" });
    }

    pub(crate) fn end_object(&mut self, object: &Object) {
        self.depth -= 1;
        if self.is_pretty && !object.is_empty {
            self.raw("\n");
        }
        self.indent();
        self.raw("}");
    }

    pub(crate) fn begin_array(&mut self) {
        self.depth += 1;
        self.raw("[");
    }

    pub(crate) fn next_item(&mut self) {
        self.raw(if self.is_pretty { ", " } else { "," });
    }

    pub(crate) fn end_array(&mut self) {
        self.depth -= 1;
        self.raw("]");
    }

    fn indent(&mut self) {
        if self.is_pretty {
            self.out.resize(self.out.len() + self.depth, b'\t');
        }
    }

    /// The value that `text` holds, and nothing else, in this layout.
    pub(crate) fn reprint(&mut self, text: &[u8]) -> Result<(), NotJson> {
        let text = std::str::from_utf8(text).map_err(|_| NotJson)?;
        let mut reader = Reader { text, at: 0 };
        reader.skip_space();
        reader.value(self, 0)?;
        reader.skip_space();
        if reader.at == text.len() {
            Ok(())
        } else {
            Err(NotJson)
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether `token` comes next, which is then behind us, with the space after it.
    fn takes(&mut self, token: &str) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_next = rest.starts_with(token);
        if is_next {
            self.at += token.len();
            self.skip_space();
        }
        is_next
    }

    fn value(&mut self, writer: &mut Writer<'_>, depth: usize) -> Result<(), NotJson> {
        if depth > DEPTH_MAX {
            return Err(NotJson);
        }
        match self.peek().ok_or(NotJson)? {
            b'{' => self.object(writer, depth),
            b'[' => self.array(writer, depth),
            b'"' => {
                let text = self.string()?;
                writer.string(&text);
                Ok(())
            }
            b'-' | b'0'..=b'9' => {
                let number = self.number()?;
                writer.raw(&as_cjson_writes(number));
                Ok(())
            }
            _ => {
                let name = ["true", "false", "null"].into_iter();
                let name = name.into_iter().find(|name| self.takes(name));
                writer.raw(name.ok_or(NotJson)?);
                Ok(())
            }
        }
    }

    fn object(&mut self, writer: &mut Writer<'_>, depth: usize) -> Result<(), NotJson> {
        self.takes("{");
        let mut object = writer.begin_object();
        while !self.takes("}") {
            if !object.is_empty && !self.takes(",") {
                return Err(NotJson);
            }
            let key = self.string()?;
            if !self.takes(":") {
                return Err(NotJson);
            }
            writer.key(&mut object, &key);
            self.value(writer, depth + 1)?;
            self.skip_space();
        }
        writer.end_object(&object);
        Ok(())
    }

    fn array(&mut self, writer: &mut Writer<'_>, depth: usize) -> Result<(), NotJson> {
        self.takes("[");
        writer.begin_array();
        let mut is_first = true;
        while !self.takes("]") {
            if !is_first {
                if !self.takes(",") {
                    return Err(NotJson);
                }
                writer.next_item();
            }
            is_first = false;
            self.value(writer, depth + 1)?;
            self.skip_space();
        }
        writer.end_array();
        Ok(())
    }

    fn string(&mut self) -> Result<String, NotJson> {
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.text.get(self.at..).ok_or(NotJson)?;
            let len = rest.find(['"', '\\']).ok_or(NotJson)?;
            let (plain, rest) = rest.split_at(len);
            if plain.bytes().any(|byte| byte < 0x20) {
                return Err(NotJson);
            }
            text.push_str(plain);
            self.at += len + 1;
            if rest.starts_with('"') {
                self.skip_space();
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Result<char, NotJson> {
        let letter = self.peek().ok_or(NotJson)?;
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                let second = match first {
                    0xd800..0xdc00 => {
                        if !self
                            .text
                            .get(self.at..)
                            .is_some_and(|rest| rest.starts_with("\\u"))
                        {
                            return Err(NotJson);
                        }
                        self.at += 2;
                        Some(self.unit()?)
                    }
                    _ => None,
                };
                let units = std::iter::once(first).chain(second);
                let decoded = char::decode_utf16(units).next();
                decoded.and_then(Result::ok).ok_or(NotJson)?
            }
            _ => return Err(NotJson),
        })
    }

    fn unit(&mut self) -> Result<u16, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(NotJson)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotJson);
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|_| NotJson)
    }

    fn number(&mut self) -> Result<&'t str, NotJson> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(NotJson);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(NotJson)
    }

    fn digits(&mut self) -> Result<&'t str, NotJson> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        if digits.is_empty() {
            Err(NotJson)
        } else {
            Ok(digits)
        }
    }
}

/// A number as cJSON writes it: with 15 digits if they are enough, else with 17. What a `double` cannot hold stays as it was
/// written: there, cJSON would print another number.
fn as_cjson_writes(literal: &str) -> String {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let is_whole = !literal.contains(['.', 'e', 'E']);
    match literal.parse::<f64>() {
        Ok(value) if value.is_finite() && !(is_whole && value.abs() >= EXACT_MAX) => {
            let short = general(value, 15);
            if short.parse() == Ok(value) {
                short
            } else {
                general(value, 17)
            }
        }
        _ => literal.to_owned(),
    }
}

/// `value` with the fewest digits of `digits` from which it can be read again.
fn shortest(
    value: f64,
    digits: std::ops::RangeInclusive<usize>,
    is_exact: impl Fn(&str) -> bool,
) -> String {
    let all = *digits.end();
    let texts = digits.map(|digits| general(value, digits));
    let shortest = texts.into_iter().find(|text| is_exact(text));
    shortest.unwrap_or_else(|| general(value, all))
}

/// `value` with so many significant digits, as C's `%g`.
fn general(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match usize::try_from(exponent) {
        Ok(places) if places < digits => {
            without_zeros(&format!("{value:.*}", digits - 1 - places)).to_owned()
        }
        _ if (-4..0).contains(&exponent) => {
            let places = digits - 1 + exponent.unsigned_abs() as usize;
            without_zeros(&format!("{value:.places$}")).to_owned()
        }
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            let mantissa = without_zeros(mantissa);
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

/// Without the zeros at the end of a fraction.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reprint(text: &str) -> Result<String, NotJson> {
        let mut out = Vec::new();
        Writer::new(&mut out, false).reprint(text.as_bytes())?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn numbers_are_written_as_by_cjson() {
        let check = |text: &str, expect: &str| {
            assert_eq!(reprint(text).as_deref(), Ok(expect), "{text}");
        };
        check("1", "1");
        check("2.0", "2");
        check("1e3", "1000");
        check("-0", "-0");
        check("0.1", "0.1");
        check("1.0e-7", "1e-07");
        check("0.0001", "0.0001");
        check("0.00001234", "1.234e-05");
        check("100000000000000", "100000000000000");
        check("1000000000000000", "1e+15");
        check("123456789.125", "123456789.125");
        check("0.12345678901234567", "0.12345678901234566");
        check("1.5E+300", "1.5e+300");
    }

    #[test]
    fn numbers_that_would_change_stay_as_they_are() {
        for text in ["12345678901234567890", "9007199254740993", "1e999"] {
            assert_eq!(reprint(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn order_and_repeated_names_stay() {
        let text = r#" { "b" : [ true , false, null , [ ] ] , "a" : { } , "b" : "\u00e9\/\ud83d\ude00\n" } "#;
        assert_eq!(
            reprint(text).as_deref(),
            Ok(r#"{"b":[true,false,null,[]],"a":{},"b":"é/😀\n"}"#)
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "hello",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{,}",
            "01",
            "1.",
            "-",
            "+1",
            "1e",
            "\"a",
            "\"\n\"",
            r#""\x""#,
            r#""\ud800""#,
            r#""\u12g4""#,
            "1 2",
            "{\"a\":1}x",
            "tru",
            "'a'",
            "[,1]",
        ] {
            assert_eq!(reprint(text), Err(NotJson), "{text}");
        }
        assert_eq!(reprint(&"[".repeat(100_000)), Err(NotJson));
    }
}
