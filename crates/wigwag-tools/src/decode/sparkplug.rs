//! Payloads of Sparkplug B as JSON: metrics with the names of their types, and values as those types.
//!
//! The payload is a Protocol Buffers message with a schema that never changes, so its fields are tables here. A field that is
//! in no table is left out, as the wire format wants it.

use bytes::Bytes;

use crate::format::reprint::{Object, Writer};

use super::reader::{Reader, length};
use super::{DEPTH_MAX, Flaw};

/// Whether a topic carries payloads of Sparkplug B: `spBv1.0/GROUP/TYPE/NODE/…`, but not the state of a host, which is JSON.
pub(super) fn is_payload_topic(topic: &str) -> bool {
    topic
        .strip_prefix("spBv1.0/")
        .is_some_and(|rest| !rest.starts_with("STATE/"))
}

pub(super) fn to_json(payload: &[u8]) -> Result<Bytes, Flaw> {
    let mut out = Vec::with_capacity(2 * payload.len());
    message(payload, &PAYLOAD, &mut Writer::new(&mut out, false), 0)?;
    Ok(out.into())
}

/// A message: its fields by number.
struct Schema {
    fields: &'static [(u32, &'static str, Kind)],
    /// The field that says of what type the values are.
    type_field: u32,
}

#[derive(Clone, Copy)]
enum Kind {
    Unsigned,
    Bool,
    Text,
    Bytes,
    /// The number of a data type, of which the name is shown.
    DataType,
    /// One of the fields of which a value is one.
    Value(Value),
    Message(&'static Schema),
    Repeated(&'static Kind),
}

#[derive(Clone, Copy)]
enum Value {
    /// 32 bits, signed or not as the data type says.
    Int,
    /// 64 bits, the same.
    Long,
    Float,
    Double,
    Bool,
    Text,
    /// Bytes, or an array packed into them.
    Bytes,
    Message(&'static Schema),
}

static PAYLOAD: Schema = Schema {
    type_field: 0,
    fields: &[
        (1, "timestamp", Kind::Unsigned),
        (3, "seq", Kind::Unsigned),
        (4, "uuid", Kind::Text),
        (2, "metrics", Kind::Repeated(&Kind::Message(&METRIC))),
        (5, "body", Kind::Bytes),
    ],
};

static METRIC: Schema = Schema {
    type_field: 4,
    fields: &[
        (1, "name", Kind::Text),
        (2, "alias", Kind::Unsigned),
        (3, "timestamp", Kind::Unsigned),
        (4, "type", Kind::DataType),
        (5, "is_historical", Kind::Bool),
        (6, "is_transient", Kind::Bool),
        (7, "is_null", Kind::Bool),
        (8, "metadata", Kind::Message(&META_DATA)),
        (9, "properties", Kind::Message(&PROPERTY_SET)),
        (10, "value", Kind::Value(Value::Int)),
        (11, "value", Kind::Value(Value::Long)),
        (12, "value", Kind::Value(Value::Float)),
        (13, "value", Kind::Value(Value::Double)),
        (14, "value", Kind::Value(Value::Bool)),
        (15, "value", Kind::Value(Value::Text)),
        (16, "value", Kind::Value(Value::Bytes)),
        (17, "value", Kind::Value(Value::Message(&DATA_SET))),
        (18, "value", Kind::Value(Value::Message(&TEMPLATE))),
    ],
};

static META_DATA: Schema = Schema {
    type_field: 0,
    fields: &[
        (1, "is_multi_part", Kind::Bool),
        (2, "content_type", Kind::Text),
        (3, "size", Kind::Unsigned),
        (4, "seq", Kind::Unsigned),
        (5, "file_name", Kind::Text),
        (6, "file_type", Kind::Text),
        (7, "md5", Kind::Text),
        (8, "description", Kind::Text),
    ],
};

static PROPERTY_SET: Schema = Schema {
    type_field: 0,
    fields: &[
        (1, "keys", Kind::Repeated(&Kind::Text)),
        (2, "values", Kind::Repeated(&Kind::Message(&PROPERTY_VALUE))),
    ],
};

static PROPERTY_VALUE: Schema = Schema {
    type_field: 1,
    fields: &[
        (1, "type", Kind::DataType),
        (2, "is_null", Kind::Bool),
        (3, "value", Kind::Value(Value::Int)),
        (4, "value", Kind::Value(Value::Long)),
        (5, "value", Kind::Value(Value::Float)),
        (6, "value", Kind::Value(Value::Double)),
        (7, "value", Kind::Value(Value::Bool)),
        (8, "value", Kind::Value(Value::Text)),
        (9, "value", Kind::Value(Value::Message(&PROPERTY_SET))),
        (10, "value", Kind::Value(Value::Message(&PROPERTY_SETS))),
    ],
};

static PROPERTY_SETS: Schema = Schema {
    type_field: 0,
    fields: &[(1, "sets", Kind::Repeated(&Kind::Message(&PROPERTY_SET)))],
};

static DATA_SET: Schema = Schema {
    type_field: 0,
    fields: &[
        (1, "num_of_columns", Kind::Unsigned),
        (2, "columns", Kind::Repeated(&Kind::Text)),
        (3, "types", Kind::Repeated(&Kind::DataType)),
        (4, "rows", Kind::Repeated(&Kind::Message(&ROW))),
    ],
};

static ROW: Schema = Schema {
    type_field: 0,
    fields: &[(1, "elements", Kind::Repeated(&Kind::Message(&CELL)))],
};

static CELL: Schema = Schema {
    type_field: 0,
    fields: &[
        (1, "value", Kind::Value(Value::Int)),
        (2, "value", Kind::Value(Value::Long)),
        (3, "value", Kind::Value(Value::Float)),
        (4, "value", Kind::Value(Value::Double)),
        (5, "value", Kind::Value(Value::Bool)),
        (6, "value", Kind::Value(Value::Text)),
    ],
};

static TEMPLATE: Schema = Schema {
    type_field: 0,
    fields: &[
        (1, "version", Kind::Text),
        (4, "template_ref", Kind::Text),
        (5, "is_definition", Kind::Bool),
        (2, "metrics", Kind::Repeated(&Kind::Message(&METRIC))),
        (3, "parameters", Kind::Repeated(&Kind::Message(&PARAMETER))),
    ],
};

static PARAMETER: Schema = Schema {
    type_field: 2,
    fields: &[
        (1, "name", Kind::Text),
        (2, "type", Kind::DataType),
        (3, "value", Kind::Value(Value::Int)),
        (4, "value", Kind::Value(Value::Long)),
        (5, "value", Kind::Value(Value::Float)),
        (6, "value", Kind::Value(Value::Double)),
        (7, "value", Kind::Value(Value::Bool)),
        (8, "value", Kind::Value(Value::Text)),
    ],
};

/// The data types by number.
const DATA_TYPES: [&str; 35] = [
    "Unknown",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float",
    "Double",
    "Boolean",
    "String",
    "DateTime",
    "Text",
    "UUID",
    "DataSet",
    "Bytes",
    "File",
    "Template",
    "PropertySet",
    "PropertySetList",
    "Int8Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "UInt8Array",
    "UInt16Array",
    "UInt32Array",
    "UInt64Array",
    "FloatArray",
    "DoubleArray",
    "BooleanArray",
    "StringArray",
    "DateTimeArray",
];

/// A field as the wire has it.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Writes the fields in the order of the schema, whatever their order on the wire. The type has to be known before the value,
/// and the payloads of half the world have it behind.
fn message(
    bytes: &[u8],
    schema: &Schema,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    if depth > DEPTH_MAX {
        return Err(Flaw::TooDeep);
    }
    let found = fields(bytes)?;
    let of = |number: u32| {
        let found = found.iter();
        found
            .filter(move |(own, _)| *own == number)
            .map(|(_, wire)| *wire)
    };
    let data_type = match of(schema.type_field).next_back() {
        Some(Wire::Number(number)) => number,
        _ => 0,
    };
    let mut object = writer.begin_object();
    for (number, name, kind) in schema.fields {
        if let Kind::Repeated(kind) = kind {
            repeated(
                &of(*number).collect::<Vec<_>>(),
                name,
                **kind,
                &mut object,
                writer,
                depth,
            )?;
        } else if let Some(wire) = of(*number).next_back() {
            writer.key(&mut object, name);
            field(wire, *kind, data_type, writer, depth)?;
        }
    }
    writer.end_object(&object);
    Ok(())
}

fn repeated(
    values: &[Wire<'_>],
    name: &str,
    kind: Kind,
    object: &mut Object,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    let Some((first, others)) = values.split_first() else {
        return Ok(());
    };
    writer.key(object, name);
    writer.begin_array();
    field(*first, kind, 0, writer, depth)?;
    for wire in others {
        writer.next_item();
        field(*wire, kind, 0, writer, depth)?;
    }
    writer.end_array();
    Ok(())
}

fn field(
    wire: Wire<'_>,
    kind: Kind,
    data_type: u64,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), Flaw> {
    match (kind, wire) {
        (Kind::Unsigned, Wire::Number(number)) => writer.raw(&number.to_string()),
        (Kind::Bool | Kind::Value(Value::Bool), Wire::Number(number)) => {
            writer.raw(if number == 0 { "false" } else { "true" });
        }
        (Kind::DataType, Wire::Number(number)) => match DATA_TYPES.get(length(number)) {
            Some(name) => writer.string(name),
            None => writer.raw(&number.to_string()),
        },
        (Kind::Value(Value::Int), Wire::Number(number)) => {
            writer.raw(&int(number, data_type).to_string());
        }
        (Kind::Value(Value::Long), Wire::Number(number)) => match data_type_name(data_type) {
            "Int64" => writer.raw(&number.cast_signed().to_string()),
            _ => writer.raw(&number.to_string()),
        },
        (Kind::Value(Value::Float), Wire::Number(bits)) => {
            writer.real_32(f32::from_bits(low_32(bits)));
        }
        (Kind::Value(Value::Double), Wire::Number(bits)) => writer.real(f64::from_bits(bits)),
        (Kind::Text | Kind::Value(Value::Text), Wire::Bytes(text)) => {
            writer.string(std::str::from_utf8(text).map_err(|_| Flaw::NotText)?);
        }
        (Kind::Bytes, Wire::Bytes(bytes)) => writer.bytes(bytes),
        (Kind::Value(Value::Bytes), Wire::Bytes(bytes)) => array(bytes, data_type, writer)?,
        (Kind::Message(schema) | Kind::Value(Value::Message(schema)), Wire::Bytes(bytes)) => {
            message(bytes, schema, writer, depth + 1)?;
        }
        _ => {
            return Err(Flaw::Other(
                "a field is of another kind than Sparkplug has it",
            ));
        }
    }
    Ok(())
}

fn data_type_name(data_type: u64) -> &'static str {
    DATA_TYPES
        .get(length(data_type))
        .copied()
        .unwrap_or("Unknown")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is wanted"
)]
const fn low_32(number: u64) -> u32 {
    number as u32
}

/// A whole number of 32 bits or fewer: those with a sign are sent in two's complement.
fn int(number: u64, data_type: u64) -> i64 {
    match data_type_name(data_type) {
        "Int8" | "Int16" | "Int32" => low_32(number).cast_signed().into(),
        _ => low_32(number).into(),
    }
}

/// The elements of an array that is packed into bytes, in little-endian order; other bytes as base64.
fn array(bytes: &[u8], data_type: u64, writer: &mut Writer<'_>) -> Result<(), Flaw> {
    match data_type_name(data_type) {
        "Int8Array" => each(bytes, writer, |[byte]| {
            i8::from_le_bytes([byte]).to_string()
        }),
        "Int16Array" => each(bytes, writer, |raw| i16::from_le_bytes(raw).to_string()),
        "Int32Array" => each(bytes, writer, |raw| i32::from_le_bytes(raw).to_string()),
        "Int64Array" => each(bytes, writer, |raw| i64::from_le_bytes(raw).to_string()),
        "UInt8Array" => each(bytes, writer, |[byte]| byte.to_string()),
        "UInt16Array" => each(bytes, writer, |raw| u16::from_le_bytes(raw).to_string()),
        "UInt32Array" => each(bytes, writer, |raw| u32::from_le_bytes(raw).to_string()),
        "UInt64Array" | "DateTimeArray" => {
            each(bytes, writer, |raw| u64::from_le_bytes(raw).to_string())
        }
        "FloatArray" => each(bytes, writer, |raw| {
            Writer::real_32_text(f32::from_le_bytes(raw))
        }),
        "DoubleArray" => each(bytes, writer, |raw| {
            Writer::real_text(f64::from_le_bytes(raw))
        }),
        "BooleanArray" => booleans(bytes, writer),
        "StringArray" => texts(bytes, writer),
        _ => {
            writer.bytes(bytes);
            Ok(())
        }
    }
}

fn each<const N: usize>(
    bytes: &[u8],
    writer: &mut Writer<'_>,
    text: impl Fn([u8; N]) -> String,
) -> Result<(), Flaw> {
    let (elements, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(Flaw::Truncated);
    }
    items(elements.iter().map(|element| text(*element)), writer);
    Ok(())
}

/// A number of elements and then their bits, the highest first.
fn booleans(bytes: &[u8], writer: &mut Writer<'_>) -> Result<(), Flaw> {
    let mut reader = Reader::new(bytes);
    let count = length(u32::from_le_bytes(reader.array()?).into());
    if count.div_ceil(8) > reader.len() {
        return Err(Flaw::Truncated);
    }
    let bits = reader.take(count.div_ceil(8))?;
    let is_set = |index: usize| bits[index / 8] & (0x80 >> (index % 8)) != 0;
    items((0..count).map(|index| is_set(index).to_string()), writer);
    Ok(())
}

/// Each text ends with a NUL.
fn texts(bytes: &[u8], writer: &mut Writer<'_>) -> Result<(), Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::NotText)?;
    writer.begin_array();
    for (index, text) in text.split_terminator('\0').enumerate() {
        if index > 0 {
            writer.next_item();
        }
        writer.string(text);
    }
    writer.end_array();
    Ok(())
}

fn items(items: impl Iterator<Item = String>, writer: &mut Writer<'_>) {
    writer.begin_array();
    for (index, item) in items.enumerate() {
        if index > 0 {
            writer.next_item();
        }
        writer.raw(&item);
    }
    writer.end_array();
}

/// The fields of a message, by their numbers.
fn fields(bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, Flaw> {
    let mut reader = Reader::new(bytes);
    let mut fields = Vec::new();
    while !reader.is_empty() {
        let tag = varint(&mut reader)?;
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut reader)?),
            1 => Wire::Number(u64::from_le_bytes(reader.array()?)),
            2 => {
                let len = length(varint(&mut reader)?);
                Wire::Bytes(reader.take(len)?)
            }
            5 => Wire::Number(u32::from_le_bytes(reader.array()?).into()),
            _ => return Err(Flaw::Other("a field is of no known wire type")),
        };
        let number =
            u32::try_from(tag >> 3).map_err(|_| Flaw::Other("a field has too large a number"))?;
        if number == 0 {
            return Err(Flaw::Other("a field has the number 0"));
        }
        fields.push((number, wire));
    }
    Ok(fields)
}

fn varint(reader: &mut Reader<'_>) -> Result<u64, Flaw> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Flaw::Other("a number is longer than ten bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_varint(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    fn number(field: u64, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(field << 3, &mut out);
        put_varint(value, &mut out);
        out
    }

    fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(field << 3 | 2, &mut out);
        put_varint(value.len() as u64, &mut out);
        out.extend(value);
        out
    }

    fn metric(name: &str, data_type: u64, value: Vec<u8>) -> Vec<u8> {
        // The type after the value, as the wire format allows.
        bytes(
            2,
            &[bytes(1, name.as_bytes()), value, number(4, data_type)].concat(),
        )
    }

    fn json(payload: &[u8]) -> Result<String, Flaw> {
        to_json(payload).map(|json| String::from_utf8(json.into()).expect("text"))
    }

    #[test]
    fn metrics_are_shown_with_their_types() {
        let float = [&[12 << 3 | 5][..], &21.5_f32.to_le_bytes()].concat();
        let payload = [
            number(1, 1_486_144_502_122),
            metric("temperature", 9, float),
            metric("level", 3, number(10, u64::from((-7_i32).cast_unsigned()))),
            metric("total", 4, number(11, (-1_i64).cast_unsigned())),
            metric("count", 8, number(11, u64::MAX)),
            metric("on", 11, number(14, 1)),
            metric("text", 12, bytes(15, b"a \"b\"")),
            metric("set", 23, bytes(16, &[1, 0, 0xff, 0xff])),
            metric(
                "bits",
                32,
                bytes(16, &[10, 0, 0, 0, 0b1010_0000, 0b0100_0000]),
            ),
            metric("names", 33, bytes(16, b"a\0b\0")),
            metric("gone", 3, number(7, 1)),
            number(3, 2),
        ];
        assert_eq!(
            json(&payload.concat()).as_deref(),
            Ok(concat!(
                r#"{"timestamp":1486144502122,"seq":2,"metrics":["#,
                r#"{"name":"temperature","type":"Float","value":21.5},"#,
                r#"{"name":"level","type":"Int32","value":-7},"#,
                r#"{"name":"total","type":"Int64","value":-1},"#,
                r#"{"name":"count","type":"UInt64","value":18446744073709551615},"#,
                r#"{"name":"on","type":"Boolean","value":true},"#,
                r#"{"name":"text","type":"String","value":"a \"b\""},"#,
                r#"{"name":"set","type":"Int16Array","value":[1,-1]},"#,
                r#"{"name":"bits","type":"BooleanArray","value":[true,false,true,false,false,false,false,false,false,true]},"#,
                r#"{"name":"names","type":"StringArray","value":["a","b"]},"#,
                r#"{"name":"gone","type":"Int32","is_null":true}]}"#,
            ))
        );
    }

    #[test]
    fn data_sets_templates_and_properties_are_nested() {
        let row = bytes(1, &number(1, 5));
        let set = [number(1, 1), bytes(2, b"c"), number(3, 7), bytes(4, &row)].concat();
        let properties = [
            bytes(1, b"unit"),
            bytes(2, &[number(1, 12), bytes(8, b"C")].concat()),
        ]
        .concat();
        let value = [bytes(17, &set), bytes(9, &properties)].concat();
        assert_eq!(
            json(&metric("m", 16, value)).as_deref(),
            Ok(
                r#"{"metrics":[{"name":"m","type":"DataSet","properties":{"keys":["unit"],"values":[{"type":"String","value":"C"}]},"value":{"num_of_columns":1,"columns":["c"],"types":["UInt32"],"rows":[{"elements":[{"value":5}]}]}}]}"#
            )
        );
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        assert_eq!(json(b"").as_deref(), Ok("{}"));
        assert_eq!(json(&[0x08]), Err(Flaw::Truncated));
        assert_eq!(
            json(&[0x12, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            Err(Flaw::Truncated)
        );
        assert_eq!(
            json(b"{\"on\":true}"),
            Err(Flaw::Other("a field is of no known wire type"))
        );
        assert_eq!(
            json(&number(4, 1)),
            Err(Flaw::Other(
                "a field is of another kind than Sparkplug has it"
            ))
        );
        let bits = metric("b", 32, bytes(16, &[255, 255, 255, 255, 0]));
        assert_eq!(json(&bits), Err(Flaw::Truncated));
    }

    #[test]
    fn only_topics_of_sparkplug_carry_payloads() {
        assert!(is_payload_topic("spBv1.0/plant/NDATA/node"));
        assert!(!is_payload_topic("spBv1.0/STATE/host"));
        assert!(!is_payload_topic("plant/NDATA"));
    }
}
