//! The grammar of RFC 5802, section 7: attributes behind one another, and what their values may hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, MessageKind};
use crate::keys::Key;
use crate::nonce::is_nonce;

/// The longest message of a peer in bytes.
pub const MESSAGE_LEN_MAX: usize = 16 * 1024;

/// A message of the peer, attribute by attribute.
pub(crate) struct Reader<'a> {
    kind: MessageKind,
    /// `None` when everything has been read.
    rest: Option<&'a str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(kind: MessageKind, bytes: &'a [u8]) -> Result<Reader<'a>, Error> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(Error::TooLong {
                message: kind,
                len: bytes.len(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed(kind, "it is not UTF-8"))?;
        Ok(Reader {
            kind,
            rest: Some(text),
        })
    }

    pub(crate) fn malformed(&self, what: &'static str) -> Error {
        malformed(self.kind, what)
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest.unwrap_or_default()
    }

    /// The text up to the next comma.
    pub(crate) fn field(&mut self, missing: &'static str) -> Result<&'a str, Error> {
        let rest = self.rest.ok_or_else(|| self.malformed(missing))?;
        let (field, rest) = match rest.split_once(',') {
            Some((field, rest)) => (field, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        Ok(field)
    }

    /// The value of the attribute that must come next.
    pub(crate) fn attribute(
        &mut self,
        name: &str,
        missing: &'static str,
    ) -> Result<&'a str, Error> {
        let field = self.field(missing)?;
        if field.starts_with("m=") {
            return Err(Error::Extension(self.kind));
        }
        field
            .strip_prefix(name)
            .and_then(|field| field.strip_prefix('='))
            .ok_or_else(|| self.malformed(missing))
    }

    pub(crate) fn nonce(&mut self) -> Result<&'a str, Error> {
        let nonce = self.attribute("r", "the nonce (r=) is missing")?;
        if is_nonce(nonce) {
            Ok(nonce)
        } else {
            Err(self.malformed("the nonce (r=) is empty or has characters that are not allowed"))
        }
    }

    /// Optional attributes at the end mean nothing to us, but must have a name.
    pub(crate) fn extensions(&mut self) -> Result<(), Error> {
        while self.rest.is_some() {
            let field = self.field("")?;
            let mut characters = field.chars();
            let name = characters.next().is_some_and(|c| c.is_ascii_alphabetic());
            if !name || characters.next() != Some('=') {
                return Err(self.malformed("an extension has no name"));
            }
        }
        Ok(())
    }

    pub(crate) fn decode(&self, text: &str, what: &'static str) -> Result<Vec<u8>, Error> {
        STANDARD.decode(text).map_err(|_| self.malformed(what))
    }

    pub(crate) fn decode_key(&self, text: &str, what: &'static str) -> Result<Key, Error> {
        let bytes = self.decode(text, what)?;
        bytes.try_into().map_err(|_| self.malformed(what))
    }
}

pub(crate) const fn malformed(message: MessageKind, what: &'static str) -> Error {
    Error::Malformed { message, what }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A user name as it travels: commas and equals signs would end it.
pub(crate) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The user name that was meant; `None` if an equals sign stands for nothing.
pub(crate) fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        text.push(character);
        text.push_str(rest);
    }
    Some(text)
}

/// A user name as both ends compare it: prepared with SASLprep. A server stores its users under this name.
pub fn prepare_user_name(name: &str) -> Result<String, Error> {
    let prepared = stringprep::saslprep(name);
    let prepared = prepared.map_err(|error| Error::UserName(error.to_string()))?;
    if prepared.is_empty() {
        return Err(Error::UserName("it is empty".to_owned()));
    }
    Ok(prepared.into_owned())
}

/// A password as both ends hash it.
pub(crate) fn prepare_password(password: &str) -> Result<String, Error> {
    match stringprep::saslprep(password) {
        Ok(prepared) => Ok(prepared.into_owned()),
        Err(_) => Err(Error::Password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_survive_their_journey() {
        for (name, travels) in [
            ("user", "user"),
            ("a,b=c", "a=2Cb=3Dc"),
            ("=2C", "=3D2C"),
            (",", "=2C"),
        ] {
            assert_eq!(escape(name), travels);
            assert_eq!(unescape(travels).as_deref(), Some(name));
        }
        for wrong in ["=", "a=2", "a=2c", "a=00b", "=€"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    /// RFC 4013, section 3.
    #[test]
    fn texts_are_prepared_as_the_examples_of_saslprep() {
        for (text, prepared) in [
            ("I\u{AD}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{AA}", "a"),
            ("\u{2168}", "IX"),
        ] {
            assert_eq!(prepare_user_name(text).as_deref(), Ok(prepared));
            assert_eq!(prepare_password(text).as_deref(), Ok(prepared));
        }
        for text in ["\u{7}", "\u{627}1"] {
            assert!(matches!(prepare_user_name(text), Err(Error::UserName(_))));
            assert_eq!(prepare_password(text), Err(Error::Password));
        }
        // Nothing is left of the first: it is a soft hyphen.
        assert!(matches!(
            prepare_user_name("\u{AD}"),
            Err(Error::UserName(_))
        ));
        assert!(matches!(prepare_user_name(""), Err(Error::UserName(_))));
    }
}
