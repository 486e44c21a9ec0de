//! Captures of a topic pattern as values: tuples and lists in their order, structs and maps by name.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Why captures are not the wanted value. It does not repeat them.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Error {
        Error(text.to_string())
    }
}

/// Reads a value from captures.
pub(crate) fn from_captures<T: DeserializeOwned>(captured: &[(&str, &str)]) -> Result<T, Error> {
    T::deserialize(All(captured))
}

/// All captures of a topic.
struct All<'a>(&'a [(&'a str, &'a str)]);

impl<'a> All<'a> {
    /// The one capture, for a value that is neither a sequence nor a map.
    fn only(&self) -> Result<One<'a>, Error> {
        match self.0 {
            [(name, value)] => Ok(One { name, value }),
            all => Err(Error(format!(
                "the pattern has {} captures, where a single value needs exactly one",
                all.len()
            ))),
        }
    }

    fn values(&self) -> impl Iterator<Item = One<'a>> {
        let one = |(name, value): &(&'a str, &'a str)| One { name, value };
        self.0.iter().map(one)
    }

    fn check_len(&self, len: usize) -> Result<(), Error> {
        if self.0.len() == len {
            return Ok(());
        }
        let own = self.0.len();
        Err(Error(format!(
            "the pattern has {own} captures, where the value has {len} fields"
        )))
    }
}

/// One capture.
#[derive(Clone, Copy)]
struct One<'a> {
    name: &'a str,
    value: &'a str,
}

macro_rules! only {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.only()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for All<'de> {
    type Error = Error;

    only! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(
            self.values().map(|one| (one.name, one)),
        ))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.check_len(len)?;
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { identifier ignored_any }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.value.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Error(format!(
                    "'{{{}}}' stands for something that is no {}", self.name, stringify!($type)
                ))),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for One<'de> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
        deserialize_char visit_char char;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.value.into_deserializer())
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for One<'de> {
    type Deserializer = One<'de>;

    fn into_deserializer(self) -> One<'de> {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    const TWO: &[(&str, &str)] = &[("id", "7"), ("part", "motor/left")];

    #[derive(Debug, Deserialize, PartialEq)]
    struct Named {
        part: String,
        id: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Id(u64);

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Motor,
        Pump,
    }

    #[test]
    fn captures_become_tuples_structs_lists_and_maps() {
        let left = || "motor/left".to_owned();
        assert_eq!(from_captures(TWO).ok(), Some((7_u32, left())));
        let named = Named {
            part: left(),
            id: 7,
        };
        assert_eq!(from_captures(TWO).ok(), Some(named));
        assert_eq!(from_captures(TWO).ok(), Some(vec!["7".to_owned(), left()]));
        let map: BTreeMap<String, String> = from_captures(TWO).expect("a map");
        assert_eq!(map["part"], left());
        let Some((first, _)) = TWO.split_first() else {
            unreachable!("it has two");
        };
        let one = std::slice::from_ref(first);
        assert_eq!(from_captures(one).ok(), Some(7_i8));
        assert_eq!(from_captures(one).ok(), Some("7".to_owned()));
        assert_eq!(from_captures(one).ok(), Some(Id(7)));
        assert_eq!(from_captures(one).ok(), Some((7_u16,)));
        assert_eq!(from_captures(one).ok(), Some(Some(7.0_f64)));
        assert_eq!(from_captures(&[("k", "pump")]).ok(), Some(Kind::Pump));
        assert_eq!(from_captures(&[]).ok(), Some(()));
    }

    #[test]
    fn errors_name_the_capture_and_not_what_it_stands_for() {
        fn check<T: DeserializeOwned + fmt::Debug>(captured: &[(&str, &str)], expect: &str) {
            let error = from_captures::<T>(captured).expect_err("invalid");
            assert!(error.to_string().contains(expect), "{error}");
        }
        check::<u8>(
            &[("id", "300")],
            "'{id}' stands for something that is no u8",
        );
        check::<(u8,)>(TWO, "2 captures, where the value has 1 fields");
        check::<u8>(TWO, "2 captures, where a single value needs exactly one");
        check::<Named>(&[("id", "7")], "missing field `part`");
    }
}
