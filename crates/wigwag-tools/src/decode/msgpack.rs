//! MessagePack as JSON.
//!
//! Binary data is base64, a timestamp is seconds since 1970, and an extension of another type is an object of its number and
//! its data. Keys that are no text become text.

use bytes::Bytes;

use crate::format::reprint::Writer;

use super::reader::{Reader, length};
use super::{DEPTH_MAX, Flaw};

/// The type of extension that the specification itself defines.
const TIMESTAMP: i8 = -1;

pub(super) fn to_json(payload: &[u8]) -> Result<Bytes, Flaw> {
    let mut out = Vec::with_capacity(2 * payload.len());
    let mut reader = Reader::new(payload);
    value(&mut reader, &mut Writer::new(&mut out, false), 0)?;
    if reader.is_empty() {
        Ok(out.into())
    } else {
        Err(Flaw::Trailing)
    }
}

fn value(reader: &mut Reader<'_>, writer: &mut Writer<'_>, depth: usize) -> Result<(), Flaw> {
    if depth > DEPTH_MAX {
        return Err(Flaw::TooDeep);
    }
    match reader.u8()? {
        number @ ..0x80 => writer.number(number.into()),
        first @ 0x80..0x90 => map((first & 0x0f).into(), reader, writer, depth)?,
        first @ 0x90..0xa0 => array((first & 0x0f).into(), reader, writer, depth)?,
        first @ 0xa0..0xc0 => writer.string(reader.text((first & 0x1f).into())?),
        0xc0 => writer.raw("null"),
        0xc1 => return Err(Flaw::Other("it has a byte that stands for nothing")),
        0xc2 => writer.raw("false"),
        0xc3 => writer.raw("true"),
        first @ 0xc4..=0xc6 => {
            let len = sized(first - 0xc4, reader)?;
            writer.bytes(reader.take(length(len))?);
        }
        first @ 0xc7..=0xc9 => {
            let len = sized(first - 0xc7, reader)?;
            extension(length(len), reader, writer)?;
        }
        0xca => writer.real_32(f32::from_bits(reader.u32()?)),
        0xcb => writer.real(f64::from_bits(reader.u64()?)),
        first @ 0xcc..=0xcf => writer.raw(&sized(first - 0xcc, reader)?.to_string()),
        first @ 0xd0..=0xd3 => writer.raw(&signed(first - 0xd0, reader)?.to_string()),
        first @ 0xd4..=0xd8 => extension(1 << (first - 0xd4), reader, writer)?,
        first @ 0xd9..=0xdb => {
            let len = sized(first - 0xd9, reader)?;
            writer.string(reader.text(length(len))?);
        }
        0xdc => array(reader.u16()?.into(), reader, writer, depth)?,
        0xdd => array(reader.u32()?, reader, writer, depth)?,
        0xde => map(reader.u16()?.into(), reader, writer, depth)?,
        0xdf => map(reader.u32()?, reader, writer, depth)?,
        negative @ 0xe0.. => writer.raw(&negative.cast_signed().to_string()),
    }
    Ok(())
}

/// A number of 1, 2, 4 or 8 bytes.
fn sized(power: u8, reader: &mut Reader<'_>) -> Result<u64, Flaw> {
    Ok(match power {
        0 => reader.u8()?.into(),
        1 => reader.u16()?.into(),
        2 => reader.u32()?.into(),
        _ => reader.u64()?,
    })
}

/// The same with a sign.
fn signed(power: u8, reader: &mut Reader<'_>) -> Result<i64, Flaw> {
    Ok(match power {
        0 => reader.u8()?.cast_signed().into(),
        1 => reader.u16()?.cast_signed().into(),
        2 => reader.u32()?.cast_signed().into(),
        _ => reader.u64()?.cast_signed(),
    })
}

fn array(
    count: u32,
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    writer.begin_array();
    for index in 0..count {
        if index > 0 {
            writer.next_item();
        }
        value(reader, writer, depth + 1)?;
    }
    writer.end_array();
    Ok(())
}

fn map(
    count: u32,
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    let mut object = writer.begin_object();
    for _ in 0..count {
        let key = key(reader, depth + 1)?;
        writer.key(&mut object, &key);
        value(reader, writer, depth + 1)?;
    }
    writer.end_object(&object);
    Ok(())
}

/// A key: a text as it is, everything else as its JSON.
fn key(reader: &mut Reader<'_>, depth: usize) -> Result<String, Flaw> {
    // An array would have quotes, escaped once more for each level: the text would grow without bound.
    if matches!(reader.peek(), Some(0x80..0xa0 | 0xdc..=0xdf)) {
        return Err(Flaw::Other("a key is neither a text nor a number"));
    }
    let is_text = matches!(reader.peek(), Some(0xa0..0xc0 | 0xd9..=0xdb));
    let mut json = Vec::new();
    value(reader, &mut Writer::new(&mut json, false), depth)?;
    if is_text {
        serde_json::from_slice(&json).map_err(|_| Flaw::NotText)
    } else {
        String::from_utf8(json).map_err(|_| Flaw::NotText)
    }
}

fn extension(len: usize, reader: &mut Reader<'_>, writer: &mut Writer<'_>) -> Result<(), Flaw> {
    let kind = reader.u8()?.cast_signed();
    let data = reader.take(len)?;
    if kind == TIMESTAMP
        && let Some((secs, nanos)) = timestamp(data)?
    {
        let fraction = format!("{nanos:09}");
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        writer.raw(&format!("{secs}{point}{fraction}"));
        return Ok(());
    }
    let mut object = writer.begin_object();
    writer.key(&mut object, "type");
    writer.raw(&kind.to_string());
    writer.key(&mut object, "data");
    writer.bytes(data);
    writer.end_object(&object);
    Ok(())
}

/// Seconds and nanoseconds, in one of three sizes. A time before 1970 with a fraction is left as data: no number that one
/// would write down says it.
fn timestamp(data: &[u8]) -> Result<Option<(i64, u32)>, Flaw> {
    let mut reader = Reader::new(data);
    Ok(match data.len() {
        4 => Some((reader.u32()?.into(), 0)),
        8 => {
            let bits = reader.u64()?;
            let secs = (bits & 0x3_ffff_ffff).cast_signed();
            Some((secs, u32::try_from(bits >> 34).unwrap_or(u32::MAX)))
        }
        12 => {
            let nanos = reader.u32()?;
            let secs = reader.u64()?.cast_signed();
            (secs >= 0 || nanos == 0).then_some((secs, nanos))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Result<&str, Flaw>) {
        let json = to_json(bytes).map(|json| String::from_utf8(json.into()).expect("text"));
        assert_eq!(json.as_deref().map_err(|flaw| *flaw), expect, "{bytes:x?}");
    }

    #[test]
    fn values_of_every_kind_are_read() {
        check(&[0x07], Ok("7"));
        check(&[0xff], Ok("-1"));
        check(&[0xc0], Ok("null"));
        check(&[0xc2], Ok("false"));
        check(&[0xc3], Ok("true"));
        check(&[0xcc, 0xff], Ok("255"));
        check(&[0xcd, 1, 0], Ok("256"));
        check(
            &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
            Ok("18446744073709551615"),
        );
        check(&[0xd0, 0x80], Ok("-128"));
        check(&[0xd1, 0xff, 0x7f], Ok("-129"));
        check(
            &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
            Ok("-9223372036854775808"),
        );
        check(&[0xca, 0x3d, 0xcc, 0xcc, 0xcd], Ok("0.1"));
        check(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Ok("1.5"));
        check(&[0xa2, b'h', b'i'], Ok("\"hi\""));
        check(&[0xd9, 2, b'h', b'"'], Ok("\"h\\\"\""));
        check(&[0xc4, 3, 1, 2, 3], Ok("\"AQID\""));
        check(&[0x92, 1, 0x91, 0xa1, b'x'], Ok("[1,[\"x\"]]"));
        check(&[0xdc, 0, 1, 9], Ok("[9]"));
        check(
            &[0x82, 0xa1, b'"', 1, 0x05, 0xc0],
            Ok(r#"{"\"":1,"5":null}"#),
        );
        check(&[0xd4, 5, 0xaa], Ok(r#"{"type":5,"data":"qg=="}"#));
        check(&[0xd6, 0xff, 0x65, 0, 0, 0], Ok("1694498816"));
        check(&[0xd7, 0xff, 0x77, 0x35, 0x94, 0x00, 0, 0, 0, 1], Ok("1.5"));
        check(
            &[
                0xc7, 12, 0xff, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255,
            ],
            Ok("-1"),
        );
    }

    #[test]
    fn what_is_no_messagepack_is_refused() {
        check(&[], Err(Flaw::Truncated));
        check(&[0xdd, 255, 255, 255, 255], Err(Flaw::Truncated));
        check(&[0xc6, 255, 255, 255, 255, 0], Err(Flaw::Truncated));
        check(
            &[0xc1],
            Err(Flaw::Other("it has a byte that stands for nothing")),
        );
        check(
            &[0x81, 0x90, 1],
            Err(Flaw::Other("a key is neither a text nor a number")),
        );
        check(&[1, 2], Err(Flaw::Trailing));
        check(&[0xa1, 0xff], Err(Flaw::NotText));
        check(&[0x91; 100_000], Err(Flaw::TooDeep));
    }
}
