//! The header of the PROXY protocol, in which a load balancer tells where its client is.
//!
//! Whoever can connect can claim anything, so only listeners that nobody but the load balancer reaches may
//! ask for it. Which version is spoken is said beforehand and never guessed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest line of version 1 with its end.
const LINE_LEN_MAX: usize = 107;

/// What may follow the fixed part of version 2. The protocol allows 64 KiB; addresses and names need less.
const BODY_LEN_MAX: usize = 4_096;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

const TYPE_SSL: u8 = 0x20;
const SUBTYPE_SSL_COMMON_NAME: u8 = 0x22;
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERTIFICATE_IN_SESSION: u8 = 0x04;

/// The version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What a load balancer says of its client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Where it is; `None` if the load balancer speaks for itself or does not know.
    pub source: Option<SocketAddr>,
    /// How it came, if it came over TLS.
    pub tls: Option<ClientTls>,
}

/// What a load balancer says of its client's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// It showed a certificate that the load balancer accepts.
    pub has_certificate: bool,
    /// The Common Name in it.
    pub common_name: Option<String>,
}

/// Why there is no header. The culprit is the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Other bytes, or a header of the other version.
    #[error("the connection does not begin with a PROXY header of the right version")]
    Signature,
    /// A header that does not keep to the protocol.
    #[error("corrupt PROXY header: {0}")]
    Corrupt(&'static str),
    /// The connection broke.
    #[error("the connection broke in the PROXY header")]
    Io(#[from] io::Error),
}

/// Reads a header and not a byte more.
///
/// Bound its time. Dropping the future leaves the stream in the middle of the header: it is of no more use.
pub async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    version: Version,
) -> Result<Header, HeaderError> {
    match version {
        Version::V1 => read_line(stream).await,
        Version::V2 => read_binary(stream).await,
    }
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, HeaderError> {
    let mut line = [0; LINE_LEN_MAX];
    // Byte by byte: what comes after the line belongs to somebody else.
    for index in 0..line.len() {
        line[index] = stream.read_u8().await?;
        let read = line.get(..=index).unwrap_or_default();
        if !b"PROXY "
            .iter()
            .zip(read)
            .all(|(expected, byte)| expected == byte)
        {
            return Err(HeaderError::Signature);
        }
        if let Some(text) = read.strip_suffix(b"\r\n") {
            return parse_line(text);
        }
    }
    Err(HeaderError::Corrupt("the line has no end"))
}

fn parse_line(line: &[u8]) -> Result<Header, HeaderError> {
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Corrupt("not a line of text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Header::default()),
        [
            "PROXY",
            family @ ("TCP4" | "TCP6"),
            source,
            target,
            source_port,
            target_port,
        ] => {
            let parse = |text: &str| -> Option<IpAddr> {
                match *family {
                    "TCP4" => text.parse().ok().map(IpAddr::V4),
                    _ => text.parse().ok().map(IpAddr::V6),
                }
            };
            let (Some(source), Some(_)) = (parse(source), parse(target)) else {
                return Err(HeaderError::Corrupt("not an address"));
            };
            let (Some(port), Some(_)) = (parse_port(source_port), parse_port(target_port)) else {
                return Err(HeaderError::Corrupt("not a port"));
            };
            Ok(Header {
                source: Some(SocketAddr::new(source, port)),
                tls: None,
            })
        }
        _ => Err(HeaderError::Corrupt(
            "not a protocol, two addresses and two ports",
        )),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, HeaderError> {
    let mut start = [0; 16];
    // The first byte tells most of those who speak something else, and they may say no more.
    for index in 0..SIGNATURE.len() {
        start[index] = stream.read_u8().await?;
        if start[index] != SIGNATURE[index] {
            return Err(HeaderError::Signature);
        }
    }
    stream.read_exact(&mut start[SIGNATURE.len()..]).await?;
    let [.., command, family, high, low] = start;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > BODY_LEN_MAX {
        return Err(HeaderError::Corrupt("it is too long"));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    parse_binary(command, family, &body)
}

fn parse_binary(command: u8, family: u8, body: &[u8]) -> Result<Header, HeaderError> {
    match command {
        // The load balancer's own connection, to see whether we are well.
        0x20 => return Ok(Header::default()),
        0x21 => {}
        _ => return Err(HeaderError::Corrupt("neither LOCAL nor PROXY of version 2")),
    }
    let too_short = HeaderError::Corrupt("it ends within the addresses");
    let (source, extensions) = match family {
        0x11 => {
            let (addresses, rest) = body.split_first_chunk::<12>().ok_or(too_short)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            (
                Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port)),
                rest,
            )
        }
        0x21 => {
            let (addresses, rest) = body.split_first_chunk::<36>().ok_or(too_short)?;
            let (source, others) = addresses
                .split_first_chunk::<16>()
                .unwrap_or((&[0; 16], &[]));
            let port = match others {
                [.., high, low, _, _] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            };
            (
                Some(SocketAddr::new(Ipv6Addr::from(*source).into(), port)),
                rest,
            )
        }
        0x31 => (None, body.get(216..).ok_or(too_short)?),
        0x00 => (None, body),
        _ => return Err(HeaderError::Corrupt("an unknown family of addresses")),
    };
    Ok(Header {
        source,
        tls: parse_tls(extensions)?,
    })
}

fn parse_tls(extensions: &[u8]) -> Result<Option<ClientTls>, HeaderError> {
    let mut tls = None;
    for extension in Extensions(extensions) {
        let (TYPE_SSL, value) = extension? else {
            continue;
        };
        let (&[client, verify @ ..], inside) = value
            .split_first_chunk::<5>()
            .ok_or(HeaderError::Corrupt("it ends within what is said of TLS"))?;
        if client & CLIENT_SSL == 0 {
            continue;
        }
        let mut found = ClientTls {
            has_certificate: client & CLIENT_CERTIFICATE_IN_SESSION != 0 && verify == [0; 4],
            common_name: None,
        };
        for extension in Extensions(inside) {
            if let (SUBTYPE_SSL_COMMON_NAME, name) = extension? {
                let name = std::str::from_utf8(name)
                    .map_err(|_| HeaderError::Corrupt("a Common Name that is no text"))?;
                found.common_name = Some(name.to_owned());
            }
        }
        tls = Some(found);
    }
    Ok(tls)
}

/// Type, length and value, one after the other.
struct Extensions<'a>(&'a [u8]);

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<(u8, &'a [u8]), HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let found = self
            .0
            .split_first_chunk::<3>()
            .and_then(|(&[kind, high, low], rest)| {
                let len = usize::from(u16::from_be_bytes([high, low]));
                rest.split_at_checked(len)
                    .map(|(value, rest)| (kind, value, rest))
            });
        match found {
            Some((kind, value, rest)) => {
                self.0 = rest;
                Some(Ok((kind, value)))
            }
            None => {
                self.0 = &[];
                Some(Err(HeaderError::Corrupt("it ends within an extension")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn v1(bytes: &[u8]) -> Result<(Header, usize), HeaderError> {
        let mut rest = bytes;
        let header = read(&mut rest, Version::V1).await?;
        Ok((header, rest.len()))
    }

    async fn v2(bytes: &[u8]) -> Result<Header, HeaderError> {
        let mut rest = bytes;
        read(&mut rest, Version::V2).await
    }

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    fn source(text: &str) -> Option<SocketAddr> {
        Some(text.parse().expect("an address"))
    }

    #[tokio::test]
    async fn a_line_tells_the_client_and_nothing_after_it_is_read() {
        let (header, left) = v1(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n\x10\x0c")
            .await
            .expect("good");
        assert_eq!((header.source, left), (source("192.0.2.1:56324"), 2));
        let (header, _) = v1(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")
            .await
            .expect("good");
        assert_eq!(header.source, source("[2001:db8::1]:1"));
        for line in [&b"PROXY UNKNOWN\r\n"[..], b"PROXY UNKNOWN a b c d\r\n"] {
            assert_eq!(v1(line).await.expect("good").0, Header::default());
        }
    }

    #[tokio::test]
    async fn a_line_that_does_not_keep_to_the_protocol_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 0 1883\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 65536 1883\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY \r\n",
        ] {
            assert!(
                matches!(v1(line.as_bytes()).await, Err(HeaderError::Corrupt(_))),
                "{line}"
            );
        }
        let endless = [b'P', b'R', b'O', b'X', b'Y', b' ']
            .iter()
            .chain([b'x'; 200].iter());
        let endless: Vec<u8> = endless.copied().collect();
        assert!(matches!(v1(&endless).await, Err(HeaderError::Corrupt(_))));
        assert!(matches!(
            v1(b"\x10\x0c\0\x04MQTT").await,
            Err(HeaderError::Signature)
        ));
        assert!(matches!(v1(b"PROXY TCP4").await, Err(HeaderError::Io(_))));
    }

    #[tokio::test]
    async fn the_binary_form_tells_the_client_and_its_tls() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 7, 0x5B];
        assert_eq!(
            v2(&binary(0x21, 0x11, &v4)).await.expect("good").source,
            source("192.0.2.1:56324")
        );
        let mut v6 = [0; 36];
        v6[15] = 1;
        v6[33] = 9;
        assert_eq!(
            v2(&binary(0x21, 0x21, &v6)).await.expect("good").source,
            source("[::1]:9")
        );
        assert_eq!(
            v2(&binary(0x21, 0x31, &[0; 216])).await.expect("good"),
            Header::default()
        );
        assert_eq!(
            v2(&binary(0x20, 0, &[1, 2])).await.expect("good"),
            Header::default()
        );

        let ssl = [
            &[CLIENT_SSL | CLIENT_CERTIFICATE_IN_SESSION, 0, 0, 0, 0][..],
            &[0x22, 0, 2],
            b"me",
        ]
        .concat();
        let noop = [4, 0, 1, 0];
        let body = [&v4[..], &noop, &[TYPE_SSL, 0, 10], &ssl].concat();
        let tls = v2(&binary(0x21, 0x11, &body)).await.expect("good").tls;
        let expected = ClientTls {
            has_certificate: true,
            common_name: Some("me".to_owned()),
        };
        assert_eq!(tls, Some(expected));
    }

    #[tokio::test]
    async fn a_certificate_that_was_not_verified_does_not_count() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 7, 0x5B];
        let body = [&v4[..], &[TYPE_SSL, 0, 5, 5, 0, 0, 0, 1]].concat();
        let tls = v2(&binary(0x21, 0x11, &body)).await.expect("good").tls;
        assert_eq!(tls, Some(ClientTls::default()));
    }

    #[tokio::test]
    async fn the_binary_form_is_refused_wherever_it_is_cut_or_wrong() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 7, 0x5B];
        let body = [&v4[..], &[TYPE_SSL, 0, 8, 1, 0, 0, 0, 0, 0x22, 0, 0]].concat();
        let whole = binary(0x21, 0x11, &body);
        for end in 0..whole.len() {
            assert!(v2(&whole[..end]).await.is_err(), "{end}");
        }
        // The length is honest, the content ends early.
        for end in (0..body.len()).filter(|end| *end != v4.len()) {
            let header = binary(0x21, 0x11, &body[..end]);
            assert!(
                matches!(v2(&header).await, Err(HeaderError::Corrupt(_))),
                "{end}"
            );
        }
        for header in [
            binary(0x31, 0x11, &v4),
            binary(0x22, 0x11, &v4),
            binary(0x21, 0x12, &v4),
        ] {
            assert!(matches!(v2(&header).await, Err(HeaderError::Corrupt(_))));
        }
        assert!(matches!(
            v2(b"GET / HTTP/1.1\r\n").await,
            Err(HeaderError::Signature)
        ));
    }
}
