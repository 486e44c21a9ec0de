//! CBOR (RFC 8949) as JSON.
//!
//! As section 6.1 of the RFC advises, with two differences: byte strings are base64 with padding, as in the other decoders, and
//! keys that are no text become text. Tags are left out, what they tag is not.

use bytes::Bytes;

use crate::format::reprint::Writer;

use super::reader::{Reader, length};
use super::{DEPTH_MAX, Flaw};

/// The additional information of an item without a length.
const INDEFINITE: u8 = 31;

/// The byte that ends such an item.
const BREAK: u8 = 0xff;

pub(super) fn to_json(payload: &[u8]) -> Result<Bytes, Flaw> {
    let mut out = Vec::with_capacity(2 * payload.len());
    let mut reader = Reader::new(payload);
    item(&mut reader, &mut Writer::new(&mut out, false), 0)?;
    if reader.is_empty() {
        Ok(out.into())
    } else {
        Err(Flaw::Trailing)
    }
}

fn item(reader: &mut Reader<'_>, writer: &mut Writer<'_>, depth: usize) -> Result<(), Flaw> {
    if depth > DEPTH_MAX {
        return Err(Flaw::TooDeep);
    }
    let first = reader.u8()?;
    let info = first & 0x1f;
    match first >> 5 {
        0 => writer.raw(&argument(info, reader)?.to_string()),
        // As large as 2^64: -1 - n.
        1 => writer.raw(&(-1 - i128::from(argument(info, reader)?)).to_string()),
        2 => writer.bytes(&string(2, info, reader)?),
        3 => {
            let text = string(3, info, reader)?;
            writer.string(std::str::from_utf8(&text).map_err(|_| Flaw::NotText)?);
        }
        4 => array(info, reader, writer, depth)?,
        5 => map(info, reader, writer, depth)?,
        6 => {
            argument(info, reader)?;
            item(reader, writer, depth + 1)?;
        }
        _ => simple(info, reader, writer)?,
    }
    Ok(())
}

/// The number that belongs to an item: its value, its length or its tag.
fn argument(info: u8, reader: &mut Reader<'_>) -> Result<u64, Flaw> {
    Ok(match info {
        0..24 => info.into(),
        24 => reader.u8()?.into(),
        25 => reader.u16()?.into(),
        26 => reader.u32()?.into(),
        27 => reader.u64()?,
        _ => return Err(Flaw::Other("an item has a length of no known kind")),
    })
}

/// A string of the major type `major`, in one piece or in several.
fn string(major: u8, info: u8, reader: &mut Reader<'_>) -> Result<Vec<u8>, Flaw> {
    if info != INDEFINITE {
        let len = length(argument(info, reader)?);
        return Ok(reader.take(len)?.to_vec());
    }
    let mut string = Vec::new();
    loop {
        let first = reader.u8()?;
        if first == BREAK {
            return Ok(string);
        }
        if first >> 5 != major {
            return Err(Flaw::Other("a string has a part of another kind"));
        }
        let len = length(argument(first & 0x1f, reader)?);
        string.extend_from_slice(reader.take(len)?);
    }
}

/// Whether another item follows in an array or a map. `left` is how many, if that was said.
fn has_next(left: &mut Option<u64>, reader: &mut Reader<'_>) -> Result<bool, Flaw> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if reader.peek() == Some(BREAK) => reader.u8().map(|_| false),
        None => Ok(true),
    }
}

fn count(info: u8, reader: &mut Reader<'_>) -> Result<Option<u64>, Flaw> {
    if info == INDEFINITE {
        Ok(None)
    } else {
        argument(info, reader).map(Some)
    }
}

fn array(
    info: u8,
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    let mut left = count(info, reader)?;
    writer.begin_array();
    let mut is_first = true;
    while has_next(&mut left, reader)? {
        if !std::mem::take(&mut is_first) {
            writer.next_item();
        }
        item(reader, writer, depth + 1)?;
    }
    writer.end_array();
    Ok(())
}

fn map(
    info: u8,
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    let mut left = count(info, reader)?;
    let mut object = writer.begin_object();
    while has_next(&mut left, reader)? {
        let key = key(reader, depth + 1)?;
        writer.key(&mut object, &key);
        item(reader, writer, depth + 1)?;
    }
    writer.end_object(&object);
    Ok(())
}

/// A key: a text as it is, everything else as its JSON.
fn key(reader: &mut Reader<'_>, depth: usize) -> Result<String, Flaw> {
    let start = *reader;
    let first = reader.u8()?;
    if first >> 5 == 3 {
        let text = string(3, first & 0x1f, reader)?;
        return String::from_utf8(text).map_err(|_| Flaw::NotText);
    }
    // An array would have quotes, escaped once more for each level: the text would grow without bound.
    if matches!(first >> 5, 4..=6) {
        return Err(Flaw::Other("a key is neither a text nor a number"));
    }
    *reader = start;
    let mut json = Vec::new();
    item(reader, &mut Writer::new(&mut json, false), depth)?;
    String::from_utf8(json).map_err(|_| Flaw::NotText)
}

fn simple(info: u8, reader: &mut Reader<'_>, writer: &mut Writer<'_>) -> Result<(), Flaw> {
    match info {
        20 => writer.raw("false"),
        21 => writer.raw("true"),
        // Null, and undefined, for which JSON has no other word.
        22 | 23 => writer.raw("null"),
        25 => writer.real(half(reader.u16()?)),
        26 => writer.real_32(f32::from_bits(reader.u32()?)),
        27 => writer.real(f64::from_bits(reader.u64()?)),
        0..20 => writer.raw(&format!("\"simple({info})\"")),
        24 => writer.raw(&format!("\"simple({})\"", reader.u8()?)),
        INDEFINITE => return Err(Flaw::Other("an end without a beginning")),
        _ => return Err(Flaw::Other("a simple value of no known kind")),
    }
    Ok(())
}

/// A float of two bytes.
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let value = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1_024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hex: &str, expect: Result<&str, Flaw>) {
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect();
        let json = to_json(&bytes).map(|json| String::from_utf8(json.into()).expect("text"));
        assert_eq!(json.as_deref().map_err(|flaw| *flaw), expect, "{hex}");
    }

    /// From appendix A of RFC 8949.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        check("00", Ok("0"));
        check("1903e8", Ok("1000"));
        check("1bffffffffffffffff", Ok("18446744073709551615"));
        check("3bffffffffffffffff", Ok("-18446744073709551616"));
        check("3863", Ok("-100"));
        check("f90000", Ok("0"));
        check("f98000", Ok("-0"));
        check("f93e00", Ok("1.5"));
        check("f97bff", Ok("65504"));
        check("f90001", Ok("5.9604644775390625e-08"));
        check("f9c400", Ok("-4"));
        check("fa47c35000", Ok("100000"));
        check("fb3ff199999999999a", Ok("1.1"));
        check("fb7e37e43c8800759c", Ok("1e+300"));
        check("f97c00", Ok("null"));
        check("f5", Ok("true"));
        check("f6", Ok("null"));
        check("f7", Ok("null"));
        check("f0", Ok("\"simple(16)\""));
        check("f8ff", Ok("\"simple(255)\""));
        check("c11a514b67b0", Ok("1363896240"));
        check("4401020304", Ok("\"AQIDBA==\""));
        check("6449455446", Ok("\"IETF\""));
        check("62225c", Ok(r#""\"\\""#));
        check("8301820203820405", Ok("[1,[2,3],[4,5]]"));
        check("a201020304", Ok(r#"{"1":2,"3":4}"#));
        check("a26161016162820203", Ok(r#"{"a":1,"b":[2,3]}"#));
        check("5f42010243030405ff", Ok("\"AQIDBAU=\""));
        check("7f657374726561646d696e67ff", Ok("\"streaming\""));
        check("9f018202039f0405ffff", Ok("[1,[2,3],[4,5]]"));
        check("bf61610161629f0203ffff", Ok(r#"{"a":1,"b":[2,3]}"#));
    }

    #[test]
    fn what_is_no_cbor_is_refused() {
        check("", Err(Flaw::Truncated));
        check("19ff", Err(Flaw::Truncated));
        check("9bffffffffffffffff00", Err(Flaw::Truncated));
        check("5bffffffffffffffff00", Err(Flaw::Truncated));
        check("0000", Err(Flaw::Trailing));
        check("61ff", Err(Flaw::NotText));
        check("ff", Err(Flaw::Other("an end without a beginning")));
        check(
            "1c",
            Err(Flaw::Other("an item has a length of no known kind")),
        );
        check(
            "a1800000",
            Err(Flaw::Other("a key is neither a text nor a number")),
        );
        check(
            "5f6161ff",
            Err(Flaw::Other("a string has a part of another kind")),
        );
        check(&"81".repeat(100_000), Err(Flaw::TooDeep));
        check(&"c1".repeat(100_000), Err(Flaw::TooDeep));
    }
}
