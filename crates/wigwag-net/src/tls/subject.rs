//! The names in a certificate's subject, in the form in which OpenSSL writes them (RFC 2253).
//!
//! Reads DER, as far as it takes to get to the subject. The certificate has been verified before; what
//! cannot be read all the same has no names.

use std::fmt::Write as _;

pub(super) const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const BMP_STRING: u8 = 0x1E;
const UNIVERSAL_STRING: u8 = 0x1C;
/// Strings of one byte per character: numeric, printable, teletex, IA5, visible.
const BYTE_STRINGS: [u8; 5] = [0x12, 0x13, 0x14, 0x16, 0x1A];
const EXPLICIT_VERSION: u8 = 0xA0;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Attributes and their short names.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x04], "SN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "street"),
    (&[0x55, 0x04, 0x0A], "O"),
    (&[0x55, 0x04, 0x0B], "OU"),
    (&[0x55, 0x04, 0x0C], "title"),
    (&[0x55, 0x04, 0x0D], "description"),
    (&[0x55, 0x04, 0x11], "postalCode"),
    (&[0x55, 0x04, 0x29], "name"),
    (&[0x55, 0x04, 0x2A], "GN"),
    (&[0x55, 0x04, 0x2B], "initials"),
    (&[0x55, 0x04, 0x2C], "generationQualifier"),
    (&[0x55, 0x04, 0x2D], "x500UniqueIdentifier"),
    (&[0x55, 0x04, 0x2E], "dnQualifier"),
    (&[0x55, 0x04, 0x41], "pseudonym"),
    (
        &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01],
        "emailAddress",
    ),
    (
        &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x02],
        "unstructuredName",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x01],
        "UID",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x19],
        "DC",
    ),
];

/// The first Common Name; none if there is none, or if it is no text without NUL.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let subject = subject(certificate)?;
    let mut attributes = Der(subject)
        .flat_map(|rdn| Der(rdn.content))
        .filter_map(Attribute::new);
    let name = attributes.find(|attribute| attribute.oid == COMMON_NAME)?;
    name.text().filter(|text| !text.contains('\0'))
}

/// The whole subject, the last of its parts first: `CN=…,OU=…,O=…`.
pub(super) fn distinguished_name(certificate: &[u8]) -> Option<String> {
    let rdns: Vec<Element<'_>> = Der(subject(certificate)?).collect();
    let mut name = String::new();
    for rdn in rdns.iter().rev() {
        let attributes = Der(rdn.content).filter_map(Attribute::new);
        for (index, attribute) in attributes.enumerate() {
            if !name.is_empty() {
                name.push(if index == 0 { ',' } else { '+' });
            }
            attribute.write_to(&mut name);
        }
    }
    (!name.is_empty()).then_some(name)
}

/// The content of the subject of a certificate.
fn subject(certificate: &[u8]) -> Option<&[u8]> {
    // Serial number, signature, issuer and validity come before it.
    fields(certificate)?.nth(4)?.of(SEQUENCE)
}

/// What is signed of a certificate, without its version.
pub(super) fn fields(certificate: &[u8]) -> Option<impl Iterator<Item = Element<'_>>> {
    let certificate = Der(certificate).next()?.of(SEQUENCE)?;
    let to_be_signed = Der(certificate).next()?.of(SEQUENCE)?;
    Some(Der(to_be_signed).filter(|field| field.tag != EXPLICIT_VERSION))
}

/// One tag, length and value.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    pub(super) fn of(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// Elements one after the other.
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Der<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let whole = self.0;
        let (&[tag, first], rest) = whole.split_first_chunk()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7F);
            if count == 0 || count > 4 {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(count)?;
            let len = digits
                .iter()
                .fold(0, |len, digit| len << 8 | usize::from(*digit));
            (len, rest)
        };
        let (content, after) = rest.split_at_checked(len)?;
        self.0 = after;
        Some(Element {
            tag,
            content,
            whole: whole.get(..whole.len() - after.len())?,
        })
    }
}

/// A part of a name: what it is, and its text.
struct Attribute<'a> {
    oid: &'a [u8],
    value: Element<'a>,
}

impl<'a> Attribute<'a> {
    fn new(element: Element<'a>) -> Option<Attribute<'a>> {
        let mut parts = Der(element.of(SEQUENCE)?);
        Some(Attribute {
            oid: parts.next()?.of(OBJECT_IDENTIFIER)?,
            value: parts.next()?,
        })
    }

    fn text(&self) -> Option<String> {
        let content = self.value.content;
        match self.value.tag {
            UTF8_STRING => std::str::from_utf8(content).ok().map(str::to_owned),
            tag if BYTE_STRINGS.contains(&tag) => {
                Some(content.iter().copied().map(char::from).collect())
            }
            BMP_STRING => content.chunks(2).map(code_point).collect(),
            UNIVERSAL_STRING => content.chunks(4).map(code_point).collect(),
            _ => None,
        }
    }

    fn write_to(&self, name: &mut String) {
        let short = SHORT_NAMES.iter().find(|(oid, _)| *oid == self.oid);
        match (short, self.text()) {
            (Some((_, short)), Some(text)) => {
                let _ = write!(name, "{short}=");
                escape(&text, name);
            }
            (short, _) => {
                match short {
                    Some((_, short)) => name.push_str(short),
                    None => name.push_str(&dotted(self.oid)),
                }
                name.push_str("=#");
                for byte in self.value.whole {
                    let _ = write!(name, "{byte:02X}");
                }
            }
        }
    }
}

fn code_point(bytes: &[u8]) -> Option<char> {
    char::from_u32(
        bytes
            .iter()
            .fold(0, |point, byte| point << 8 | u32::from(*byte)),
    )
}

/// What has a meaning in a name gets a backslash; what is not ASCII is written byte by byte.
fn escape(text: &str, name: &mut String) {
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.bytes().enumerate() {
        let at_an_end = index == 0 || index == last;
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                name.push('\\');
                name.push(char::from(byte));
            }
            b'#' if index == 0 => name.push_str("\\#"),
            b' ' if at_an_end => name.push_str("\\ "),
            b' '..=b'~' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "\\{byte:02X}");
            }
        }
    }
}

/// `1.2.840.…`
fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in oid {
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    // The first two numbers share one.
    if let Some(both) = numbers.first().copied() {
        let first = (both / 40).min(2);
        numbers.splice(..1, [first, both - 40 * first]);
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(".")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn certificate(parts: &[(DnType, DnValue)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let key = KeyPair::generate().expect("a key");
        params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .to_vec()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    #[test]
    fn a_subject_is_written_from_its_end() {
        let certificate = certificate(&[
            (
                DnType::CountryName,
                DnValue::PrintableString("DE".try_into().expect("printable")),
            ),
            (DnType::OrganizationName, utf8("Äther, Inc. + Söhne")),
            (DnType::OrganizationalUnitName, utf8(" #1 ")),
            (DnType::CommonName, utf8("#a<b>;\"\\")),
        ]);
        assert_eq!(
            distinguished_name(&certificate).as_deref(),
            Some(
                "CN=\\#a\\<b\\>\\;\\\"\\\\,OU=\\ #1\\ ,O=\\C3\\84ther\\, Inc. \\+ S\\C3\\B6hne,C=DE"
            )
        );
        assert_eq!(common_name(&certificate).as_deref(), Some("#a<b>;\"\\"));
    }

    #[test]
    fn an_unknown_part_is_written_in_hexadecimal() {
        let kind = DnType::CustomDnType(vec![1, 2, 840, 99_999, 1]);
        let certificate = certificate(&[(kind, utf8("x"))]);
        assert_eq!(
            distinguished_name(&certificate).as_deref(),
            Some("1.2.840.99999.1=#0C0178")
        );
        assert_eq!(common_name(&certificate), None);
    }

    #[test]
    fn bytes_that_are_cut_have_no_names() {
        let whole = certificate(&[(DnType::CommonName, utf8("a"))]);
        assert_eq!(common_name(&whole).as_deref(), Some("a"));
        for end in 0..whole.len() {
            assert_eq!(common_name(&whole[..end]), None, "{end}");
            assert_eq!(distinguished_name(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_name_with_a_nul_is_none() {
        let certificate = certificate(&[(DnType::CommonName, utf8("admin\0.evil"))]);
        assert_eq!(common_name(&certificate), None);
    }
}
