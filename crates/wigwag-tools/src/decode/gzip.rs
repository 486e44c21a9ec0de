//! What was compressed by gzip.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::{DECODED_MAX, Flaw};

/// All members of the file, one after the other.
pub(super) fn decompress(payload: &[u8]) -> Result<Bytes, Flaw> {
    let mut decoder = MultiGzDecoder::new(payload).take(DECODED_MAX as u64 + 1);
    let mut out = Vec::new();
    let read = decoder.read_to_end(&mut out);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Flaw::Truncated,
        _ => Flaw::Other("its header, its data or its checksum is wrong"),
    })?;
    if out.len() > DECODED_MAX {
        return Err(Flaw::TooLarge);
    }
    Ok(out.into())
}

#[cfg(test)]
pub(super) fn compress(bytes: &[u8]) -> Bytes {
    use std::io::Write as _;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_comes_back() {
        let text = "a line that repeats\n".repeat(1_000);
        assert_eq!(
            decompress(&compress(text.as_bytes())).as_deref(),
            Ok(text.as_bytes())
        );
    }

    #[test]
    fn what_is_damaged_or_too_large_is_refused() {
        let whole = compress(b"hello");
        assert_eq!(decompress(&whole[..whole.len() - 1]), Err(Flaw::Truncated));
        let mut damaged = whole.to_vec();
        damaged[0] ^= 1;
        assert_eq!(
            decompress(&damaged),
            Err(Flaw::Other("its header, its data or its checksum is wrong"))
        );
        let bomb = compress(&vec![0; DECODED_MAX + 1]);
        assert_eq!(decompress(&bomb), Err(Flaw::TooLarge));
    }
}
