//! The payload of Sparkplug B in protobuf: those of its messages and fields that an edge node writes and reads.
//!
//! Fields that are not here are passed over when a payload is read, as protobuf has it.

/// A Sparkplug payload.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    /// Milliseconds since the beginning of 1970, UTC.
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

/// A metric with its value; one that has an alias is named in birth certificates only.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(enumeration = "DataType", optional, tag = "4")]
    pub(super) datatype: Option<i32>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<PropertySet>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15")]
    pub(super) value: Option<Value>,
}

/// What is said of a metric besides: keys, and values in the same order.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<PropertyValue>,
}

/// A property; those that we write are text.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PropertyValue {
    #[prost(enumeration = "DataType", optional, tag = "1")]
    pub(super) datatype: Option<i32>,
    #[prost(string, optional, tag = "8")]
    pub(super) text: Option<String>,
}

/// A value in the field that its type has.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
}

/// The data types that we write, by their numbers in Sparkplug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum DataType {
    Unknown = 0,
    UInt64 = 8,
    Double = 10,
    Boolean = 11,
    Text = 12,
}

impl Metric {
    /// A metric as a birth certificate has it.
    pub(super) fn born(name: impl Into<String>, value: Value, timestamp: u64) -> Metric {
        let datatype = match value {
            Value::Int(_) | Value::Long(_) => DataType::UInt64,
            Value::Float(_) | Value::Double(_) => DataType::Double,
            Value::Boolean(_) => DataType::Boolean,
            Value::Text(_) => DataType::Text,
        };
        Metric {
            name: Some(name.into()),
            timestamp: Some(timestamp),
            datatype: Some(datatype.into()),
            value: Some(value),
            ..Metric::default()
        }
    }

    pub(super) fn under(self, alias: u64) -> Metric {
        Metric {
            alias: Some(alias),
            ..self
        }
    }

    /// The unit of the values, under the name that Sparkplug has for it.
    pub(super) fn unit(self, unit: &str) -> Metric {
        let value = PropertyValue {
            datatype: Some(DataType::Text.into()),
            text: Some(unit.to_owned()),
        };
        Metric {
            properties: Some(PropertySet {
                keys: vec!["engUnit".to_owned()],
                values: vec![value],
            }),
            ..self
        }
    }

    /// A change of a metric that has been born: an alias stands for its name and type.
    pub(super) fn changed(alias: u64, value: Value, timestamp: u64) -> Metric {
        Metric {
            alias: Some(alias),
            timestamp: Some(timestamp),
            value: Some(value),
            ..Metric::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_payload_has_the_bytes_that_sparkplug_defines() {
        let payload = Payload {
            timestamp: Some(1),
            metrics: vec![Metric::born("bdSeq", Value::Long(5), 2)],
            seq: Some(0),
        };
        let expected = [
            &[0x08, 1][..], // timestamp
            &[0x12, 13],    // a metric of 13 bytes
            &[0x0a, 5],
            b"bdSeq",   // its name
            &[0x18, 2], // its timestamp
            &[0x20, 8], // its data type, UInt64
            &[0x58, 5], // its value, in the field for 64 bits
            &[0x18, 0], // the sequence number, said though it is 0
        ]
        .concat();
        assert_eq!(payload.encode_to_vec(), expected);
        assert_eq!(Payload::decode(expected.as_slice()), Ok(payload));
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let uuid_and_body = [0x22, 1, b'u', 0x2a, 2, 1, 2];
        assert_eq!(Payload::decode(&uuid_and_body[..]), Ok(Payload::default()));
    }
}
