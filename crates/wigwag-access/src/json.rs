//! JSON to be written, with members in the order in which they were put in.
//!
//! Readers of files and replies compare texts, so the order is part of the form.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// A JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Bool(bool),
    Int(i64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(crate) fn text(text: &str) -> Json {
        Json::Text(text.to_owned())
    }

    /// Without blanks, on one line.
    pub(crate) fn compact(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and keys that are text can be written")
    }

    /// For people.
    pub(crate) fn pretty(&self) -> String {
        serde_json::to_string_pretty(self)
            .expect("text, numbers and keys that are text can be written")
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Bool(value) => to.serialize_bool(*value),
            Json::Int(value) => to.serialize_i64(*value),
            Json::Text(value) => to.serialize_str(value),
            Json::Array(values) => {
                let mut array = to.serialize_seq(Some(values.len()))?;
                for value in values {
                    array.serialize_element(value)?;
                }
                array.end()
            }
            Json::Object(members) => {
                let mut object = to.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    object.serialize_entry(key, value)?;
                }
                object.end()
            }
        }
    }
}
