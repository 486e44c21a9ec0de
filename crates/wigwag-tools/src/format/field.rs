//! Fields of a format: alignment, padding, widths and groups, to the byte as `mosquitto_sub` prints them.
//!
//! Widths count bytes, as C's `printf` does, so that a text may be cut within a character.

/// How one value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    is_left: bool,
    is_zero: bool,
    /// 0 if none was given.
    width: usize,
    pub(super) precision: Option<usize>,
    /// Between the groups of a payload in hexadecimal numbers.
    pub(super) hex_separator: u8,
}

impl Field {
    pub(super) const fn new(is_left: bool, is_zero: bool, width: usize) -> Field {
        Field {
            is_left,
            is_zero,
            width,
            precision: None,
            hex_separator: b' ',
        }
    }

    pub(super) const fn pad(&self) -> u8 {
        if self.is_zero { b'0' } else { b' ' }
    }

    /// The field without a value.
    pub(super) fn put_blank(&self, pad: u8, out: &mut Vec<u8>) {
        out.resize(out.len() + self.width, pad);
    }

    /// A value among its padding.
    fn put(&self, value: &[u8], pad: u8, out: &mut Vec<u8>) {
        let padding = self.width.saturating_sub(value.len());
        if self.is_left {
            out.extend_from_slice(value);
            out.resize(out.len() + padding, b' ');
        } else {
            out.resize(out.len() + padding, pad);
            out.extend_from_slice(value);
        }
    }

    /// A payload as hexadecimal numbers; the precision is the size of the groups. The width bounds the bytes that are
    /// printed and is the least number of digits, and padding is grouped as if it were digits: so does Mosquitto 2.1.
    pub(super) fn put_hex(&self, payload: &[u8], is_upper: bool, out: &mut Vec<u8>) {
        let len = match self.width {
            0 => payload.len(),
            width => payload.len().min(width),
        };
        let padding = self.width.saturating_sub(2 * len);
        let mut digits = Vec::with_capacity(2 * len + padding);
        if !self.is_left {
            digits.resize(padding, self.pad());
        }
        let alphabet = if is_upper {
            b"0123456789ABCDEF"
        } else {
            b"0123456789abcdef"
        };
        for byte in payload.iter().take(len) {
            digits.push(alphabet[usize::from(byte >> 4)]);
            digits.push(alphabet[usize::from(byte & 0x0f)]);
        }
        let group = self.precision.filter(|group| *group > 0);
        for (index, group) in digits.chunks(group.unwrap_or(usize::MAX)).enumerate() {
            if index > 0 {
                out.push(self.hex_separator);
            }
            out.extend_from_slice(group);
        }
        if self.is_left {
            out.resize(out.len() + padding, b' ');
        }
    }
}

/// A number without a sign, as `%d`.
pub(super) fn put_integer(value: u64, field: &Field, out: &mut Vec<u8>) {
    field.put(value.to_string().as_bytes(), field.pad(), out);
}

/// A text, as `%s`: the precision is the most that is printed of it.
pub(super) fn put_text(value: &[u8], field: &Field, out: &mut Vec<u8>) {
    let len = value.len().min(field.precision.unwrap_or(usize::MAX));
    field.put(&value[..len], b' ', out);
}

/// The bytes of a payload; the width is also the most that is printed of it.
pub(super) fn put_payload(payload: &[u8], field: &Field, out: &mut Vec<u8>) {
    let len = match field.width {
        0 => payload.len(),
        width => payload.len().min(width),
    };
    field.put(&payload[..len], field.pad(), out);
}

/// A real number, as `%f`.
pub(super) fn put_real(value: f64, field: &Field, out: &mut Vec<u8>) {
    // The least that C is sure of; a longer fraction would be bytes of memory and nothing else.
    const PRECISION_MAX: usize = 1_100;
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if !value.is_finite() {
        let name = if value.is_nan() { "nan" } else { "inf" };
        field.put(format!("{sign}{name}").as_bytes(), b' ', out);
        return;
    }
    let precision = field.precision.unwrap_or(6).min(PRECISION_MAX);
    let digits = format!("{:.precision$}", value.abs());
    if field.is_zero && !field.is_left {
        let zeros = field.width.saturating_sub(sign.len() + digits.len());
        out.extend_from_slice(sign.as_bytes());
        out.resize(out.len() + zeros, b'0');
        out.extend_from_slice(digits.as_bytes());
    } else {
        field.put(format!("{sign}{digits}").as_bytes(), b' ', out);
    }
}
