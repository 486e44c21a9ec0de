//! WebSocket by hand, as little of it as the statements need: both halves of the handshake, and frames.
//!
//! Frames are written whole and read whole; control frames other than Close are passed over.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::peer::Stop;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;

/// The headers of a request or response, without its first line; names in lower case.
pub type Headers = Vec<(String, String)>;

/// The value of a header.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

/// Answers the request of a client, choosing `mqtt`; returns what it asked for.
pub fn answer(stream: &mut TcpStream) -> Result<Headers, Stop> {
    let headers = read_head(stream)?;
    let Some(key) = header(&headers, "sec-websocket-key") else {
        return Stop::failed("the request has no Sec-WebSocket-Key");
    };
    let accept = accept_of(key);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    );
    write(stream, response.as_bytes())?;
    Ok(headers)
}

/// Asks a server for the subprotocol `mqtt`; returns what it answered.
pub fn ask(stream: &mut TcpStream) -> Result<Headers, Stop> {
    let request = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: d2lnd2FnLXdpZ3dhZy13dw==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    write(stream, request.as_bytes())?;
    read_head(stream)
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Stop> {
    let written = stream.write_all(bytes);
    written.map_err(|error| Stop::Failed(format!("the WebSocket handshake broke: {error}")))
}

/// Byte by byte: what follows the head belongs to the frames.
fn read_head(stream: &mut TcpStream) -> Result<Headers, Stop> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if let Err(error) = stream.read_exact(&mut byte) {
            return Stop::failed(format!("the WebSocket handshake broke: {error}"));
        }
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    Ok(lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect())
}

/// One frame; a client masks what it sends.
pub fn frame(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5A, 0x11, 0xC3, 0x7E];
    let mut bytes = vec![0x80 | opcode];
    let bit = if masked { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => bytes.push(bit | len as u8),
        len @ 126..65_536 => {
            bytes.push(bit | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(bit | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend(MASK);
        let mask = MASK.iter().cycle();
        bytes.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// What the frames at the start of a buffer hold.
#[derive(Debug, Default)]
pub struct Unframed {
    pub bytes: Vec<u8>,
    pub is_closed: bool,
    /// A data frame was not binary.
    pub is_wrong: bool,
}

/// Takes all whole frames off the buffer.
pub fn unframe(buffer: &mut Vec<u8>) -> Unframed {
    let mut unframed = Unframed::default();
    while let Some((opcode, payload, len)) = first_frame(buffer) {
        match opcode {
            BINARY | CONTINUATION => unframed.bytes.extend(payload),
            CLOSE => unframed.is_closed = true,
            TEXT => unframed.is_wrong = true,
            _ => {}
        }
        buffer.drain(..len);
    }
    unframed
}

fn first_frame(buffer: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let (len, mut at) = match second & 0x7F {
        126 => (number(buffer.get(2..4)?), 4),
        127 => (number(buffer.get(2..10)?), 10),
        len => (usize::from(len), 2),
    };
    let mask = if second & 0x80 == 0 {
        vec![0]
    } else {
        at += 4;
        buffer.get(at - 4..at)?.to_vec()
    };
    let payload = buffer.get(at..at + len)?.iter().zip(mask.iter().cycle());
    let payload = payload.map(|(byte, mask)| byte ^ mask).collect();
    Some((first & 15, payload, at + len))
}

/// What a server answers to a key: base64 of SHA-1 of the key and a fixed text.
fn accept_of(key: &str) -> String {
    const FIXED: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    base64(&sha1(format!("{key}{FIXED}").as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        for (byte, place) in chunk.iter().zip(1..) {
            group[place] = *byte;
        }
        let number = u32::from_be_bytes(group);
        for place in 0..4 {
            let index = (number >> (18 - 6 * place) & 63) as usize;
            let letter = LETTERS.get(index).copied().unwrap_or(b'=');
            text.push(if place > chunk.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

fn sha1(message: &[u8]) -> Vec<u8> {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xEFCD_AB89,
        0x98BA_DCFE,
        0x1032_5476,
        0xC3D2_E1F0,
    ];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|word| word.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
            .collect();
        for index in 16..80 {
            let mixed = [3, 8, 14, 16]
                .iter()
                .fold(0, |mixed, back| mixed ^ words[index - back]);
            words.push(mixed.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (index, word) in words.iter().enumerate() {
            let (mixed, constant) = match index / 20 {
                0 => (b & c | !b & d, 0x5A82_7999),
                1 => (b ^ c ^ d, 0x6ED9_EBA1),
                2 => (b & c | b & d | c & d, 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
            };
            let next = [mixed, e, constant, *word]
                .iter()
                .fold(a.rotate_left(5), |sum, part| sum.wrapping_add(*part));
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    state.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_rfc_6455() {
        let accept = accept_of("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        for len in [0, 125, 126, 65_535, 65_536] {
            for masked in [false, true] {
                let payload = vec![7; len];
                let mut bytes = frame(BINARY, &payload, masked);
                bytes.push(0x82);
                let unframed = unframe(&mut bytes);
                assert_eq!((unframed.bytes, bytes), (payload, vec![0x82]), "{len}");
            }
        }
    }
}
