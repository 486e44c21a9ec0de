//! The format of `mosquitto.db`: bytes in, what its chunks say out, borrowed from the bytes.
//!
//! Knows versions 2 to 6, which are Mosquitto 1.0 to 2.1. Nothing is interpreted here: whether a topic is a topic is
//! asked by who makes something of it. A length that is announced reserves nothing; it only says where to look.

use std::fmt;

/// What a file begins with: this, a checksum that Mosquitto leaves at 0, and the version.
const MAGIC: &[u8] = b"\x00\xB5\x00mosquitto db";

/// The size of numbers of messages in every file that there is.
const STORE_ID_LEN: u8 = 8;

/// Later than the year 30000: the number was written in another order of bytes.
const TIME_MAX: i64 = 1 << 40;

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is something else.
    #[error("it does not begin as a file of Mosquitto does")]
    Foreign,
    /// Mosquitto has learned something new.
    #[error(
        "its version is {0}; versions 2 to 6 can be read, which are those of Mosquitto 1.0 to 2.1"
    )]
    Version(u32),
    /// What it says cannot be.
    #[error("it is damaged: {what} at byte {at}: {problem}")]
    Damaged {
        /// The chunk.
        what: Chunk,
        /// Where that begins in the file.
        at: usize,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Mosquitto always says something of the file itself, so the end is missing.
    #[error("it is damaged: it ends before its first chunk")]
    Empty,
}

/// What is wrong with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is to be longer than the file.
    CutOff,
    /// Its fields are to be longer than itself.
    TooShort,
    /// It goes on behind its fields.
    TooLong,
    /// Numbers of messages have another size.
    StoreId(u8),
    /// A point in time that never comes.
    Time(i64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::CutOff => f.write_str("the file ends before it does"),
            Problem::TooShort => f.write_str("its fields do not fit into it"),
            Problem::TooLong => f.write_str("it is longer than its fields"),
            Problem::StoreId(len) => {
                write!(f, "numbers of {len} bytes where {STORE_ID_LEN} are usual")
            }
            Problem::Time(time) => write!(
                f,
                "{time} is no time; was it written by a machine with another order of bytes?"
            ),
        }
    }
}

/// The kinds of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Header,
    Configuration,
    Message,
    ClientMessage,
    Retained,
    Subscription,
    Client,
}

impl Chunk {
    const fn of(number: u32) -> Option<Chunk> {
        Some(match number {
            1 => Chunk::Configuration,
            2 => Chunk::Message,
            3 => Chunk::ClientMessage,
            4 => Chunk::Retained,
            5 => Chunk::Subscription,
            6 => Chunk::Client,
            _ => return None,
        })
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chunk::Header => "the head of a chunk",
            Chunk::Configuration => "the configuration",
            Chunk::Message => "a message",
            Chunk::ClientMessage => "a message of a client",
            Chunk::Retained => "a retained message",
            Chunk::Subscription => "a subscription",
            Chunk::Client => "a client",
        })
    }
}

/// All that a file says, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump<'a> {
    pub(crate) version: u32,
    pub(crate) messages: Vec<Message<'a>>,
    pub(crate) clients: Vec<Client<'a>>,
    pub(crate) client_messages: Vec<ClientMessage<'a>>,
    pub(crate) subscriptions: Vec<Subscription<'a>>,
    /// Which messages are retained.
    pub(crate) retained: Vec<u64>,
}

/// A message, which clients and topics refer to by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) store_id: u64,
    /// In seconds of the wall clock; 0 for never.
    pub(crate) expiry_time: i64,
    /// Empty if nobody sent it.
    pub(crate) source_id: &'a [u8],
    /// Empty if there is none.
    pub(crate) source_user_name: &'a [u8],
    pub(crate) topic: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) payload: &'a [u8],
    /// With their length in front, or nothing at all.
    pub(crate) properties: &'a [u8],
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client<'a> {
    pub(crate) client_id: &'a [u8],
    /// Empty if there is none.
    pub(crate) user_name: &'a [u8],
    /// 0 if it is not known.
    pub(crate) listener_port: u16,
    pub(crate) expiry: Expiry,
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Not said in old files.
    Unknown,
    Said {
        interval_secs: u32,
        /// In seconds of the wall clock; 0 if the client was connected, or the session does not end.
        time: i64,
    },
}

/// A message on its way to a client, or from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientMessage<'a> {
    pub(crate) client_id: &'a [u8],
    pub(crate) store_id: u64,
    pub(crate) packet_id: u16,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) is_outgoing: bool,
    /// One of Mosquitto's numbers.
    pub(crate) state: u8,
    /// With their length in front, or nothing at all.
    pub(crate) properties: &'a [u8],
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription<'a> {
    pub(crate) client_id: &'a [u8],
    pub(crate) filter: &'a [u8],
    pub(crate) qos: u8,
    /// The bits of a SUBSCRIBE.
    pub(crate) options: u8,
    /// 0 for none.
    pub(crate) identifier: u32,
}

/// Reads a whole file.
pub(crate) fn read(bytes: &[u8]) -> Result<Dump<'_>, Unreadable> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Unreadable::Foreign)?;
    let mut file = Fields(rest);
    let version = file.u32().and_then(|_checksum| file.u32());
    let version = version.map_err(|_| Unreadable::Empty)?;
    if !(2..=6).contains(&version) {
        return Err(Unreadable::Version(version));
    }
    let mut dump = Dump {
        version,
        ..Dump::default()
    };
    let mut has_configuration = false;
    while !file.0.is_empty() {
        let at = bytes.len() - file.0.len();
        let damaged = |what| move |problem| Unreadable::Damaged { what, at, problem };
        let (number, fields) = file.chunk(version).map_err(damaged(Chunk::Header))?;
        // What a later Mosquitto has to say besides is passed over, as Mosquitto does.
        let Some(chunk) = Chunk::of(number) else {
            continue;
        };
        has_configuration |= chunk == Chunk::Configuration;
        dump.add(chunk, fields).map_err(damaged(chunk))?;
    }
    if has_configuration {
        Ok(dump)
    } else {
        Err(Unreadable::Empty)
    }
}

impl<'a> Dump<'a> {
    fn add(&mut self, chunk: Chunk, mut fields: Fields<'a>) -> Read<()> {
        let is_old = self.version < 5;
        match chunk {
            Chunk::Header => {}
            Chunk::Configuration if is_old => {
                let _shutdown = fields.u8()?;
                check_store_id(fields.u8()?)?;
                let _last_id = fields.native_u64()?;
            }
            Chunk::Configuration => {
                let _last_id = fields.native_u64()?;
                let _shutdown = fields.u8()?;
                check_store_id(fields.u8()?)?;
                fields.padding();
            }
            Chunk::Message if is_old => self.messages.push(fields.old_message(self.version)?),
            Chunk::Message => self.messages.push(fields.message()?),
            Chunk::ClientMessage if is_old => {
                self.client_messages.push(fields.old_client_message()?);
            }
            Chunk::ClientMessage => self.client_messages.push(fields.client_message()?),
            Chunk::Retained => self.retained.push(fields.native_u64()?),
            Chunk::Subscription if is_old => self.subscriptions.push(fields.old_subscription()?),
            Chunk::Subscription => self.subscriptions.push(fields.subscription()?),
            Chunk::Client if is_old => self.clients.push(fields.old_client(self.version)?),
            Chunk::Client => self.clients.push(fields.client(self.version)?),
        }
        if fields.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::TooLong)
        }
    }
}

const fn check_store_id(len: u8) -> Read<()> {
    if len == STORE_ID_LEN {
        Ok(())
    } else {
        Err(Problem::StoreId(len))
    }
}

type Read<T> = Result<T, Problem>;

/// What is left of a chunk, or of the file. Numbers are in the order of the network, but for those that Mosquitto
/// writes in the order of the machine, which on every machine of today is the other one.
#[derive(Clone, Copy, Debug)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Problem::TooShort)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Problem::TooShort)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn native_u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn native_time(&mut self) -> Read<i64> {
        let time = self.array().map(i64::from_le_bytes)?;
        if (0..TIME_MAX).contains(&time) {
            Ok(time)
        } else {
            Err(Problem::Time(time))
        }
    }

    /// Bytes with their length in front.
    fn text(&mut self) -> Read<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// Structures were written as they lay in memory: a compiler may have filled them up.
    fn padding(&mut self) {
        if self.0.len() < STORE_ID_LEN.into() {
            self.0 = &[];
        }
    }

    /// A chunk's number, and its fields.
    fn chunk(&mut self, version: u32) -> Read<(u32, Fields<'a>)> {
        let number = if version < 5 {
            self.u16().map(u32::from)
        } else {
            self.u32()
        };
        let mut read = || {
            let number = number?;
            let len = self.u32()?;
            // More than memory holds is more than the file does.
            let fields = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
            Ok((number, Fields(fields)))
        };
        read().map_err(|_: Problem| Problem::CutOff)
    }

    fn message(&mut self) -> Read<Message<'a>> {
        let store_id = self.native_u64()?;
        let expiry_time = self.native_time()?;
        let payload_len = self.u32()?;
        let _source_packet_id = self.u16()?;
        let source_id_len = self.u16()?;
        let source_user_name_len = self.u16()?;
        let topic_len = self.u16()?;
        let _source_port = self.u16()?;
        Ok(Message {
            store_id,
            expiry_time,
            qos: self.u8()?,
            retain: self.u8()? != 0,
            source_id: self.take(source_id_len.into())?,
            source_user_name: self.take(source_user_name_len.into())?,
            topic: self.take(topic_len.into())?,
            payload: self.take(usize::try_from(payload_len).unwrap_or(usize::MAX))?,
            properties: std::mem::take(&mut self.0),
        })
    }

    fn old_message(&mut self, version: u32) -> Read<Message<'a>> {
        let store_id = self.native_u64()?;
        let source_id = self.text()?;
        let mut source_user_name: &[u8] = &[];
        if version == 4 {
            source_user_name = self.text()?;
            let _source_port = self.u16()?;
        }
        let _source_packet_id = self.u16()?;
        let _packet_id = self.u16()?;
        let topic = self.text()?;
        let qos = self.u8()?;
        let retain = self.u8()? != 0;
        let payload_len = self.u32()?;
        Ok(Message {
            store_id,
            expiry_time: 0,
            source_id,
            source_user_name,
            topic,
            qos,
            retain,
            payload: self.take(usize::try_from(payload_len).unwrap_or(usize::MAX))?,
            properties: &[],
        })
    }

    fn client_message(&mut self) -> Read<ClientMessage<'a>> {
        let store_id = self.native_u64()?;
        let packet_id = self.u16()?;
        let client_id_len = self.u16()?;
        let qos = self.u8()?;
        let state = self.u8()?;
        let retain_and_dup = self.u8()?;
        let direction = self.u8()?;
        Ok(ClientMessage {
            client_id: self.take(client_id_len.into())?,
            store_id,
            packet_id,
            qos,
            retain: retain_and_dup >> 4 != 0,
            is_outgoing: direction != 0,
            state,
            properties: std::mem::take(&mut self.0),
        })
    }

    fn old_client_message(&mut self) -> Read<ClientMessage<'a>> {
        let client_id = self.text()?;
        let store_id = self.native_u64()?;
        let packet_id = self.u16()?;
        let qos = self.u8()?;
        let retain = self.u8()? != 0;
        let direction = self.u8()?;
        let state = self.u8()?;
        let _dup = self.u8()?;
        Ok(ClientMessage {
            client_id,
            store_id,
            packet_id,
            qos,
            retain,
            is_outgoing: direction != 0,
            state,
            properties: &[],
        })
    }

    fn subscription(&mut self) -> Read<Subscription<'a>> {
        let identifier = self.u32()?;
        let client_id_len = self.u16()?;
        let filter_len = self.u16()?;
        let qos = self.u8()?;
        let options = self.u8()?;
        let _padding = self.u16()?;
        Ok(Subscription {
            client_id: self.take(client_id_len.into())?,
            filter: self.take(filter_len.into())?,
            qos,
            options,
            identifier,
        })
    }

    fn old_subscription(&mut self) -> Read<Subscription<'a>> {
        Ok(Subscription {
            client_id: self.text()?,
            filter: self.text()?,
            qos: self.u8()?,
            options: 0,
            identifier: 0,
        })
    }

    fn client(&mut self, version: u32) -> Read<Client<'a>> {
        let time = self.native_time()?;
        let interval_secs = self.u32()?;
        let _last_packet_id = self.u16()?;
        let client_id_len = self.u16()?;
        let (mut listener_port, mut user_name_len) = (0, 0);
        if version == 6 {
            listener_port = self.u16()?;
            user_name_len = self.u16()?;
            // A number of eight bytes makes most compilers fill the structure up to a multiple of eight, and some not.
            let texts_len = usize::from(client_id_len) + usize::from(user_name_len);
            let padding_len = self.0.len().saturating_sub(texts_len).min(4);
            self.take(padding_len)?;
        }
        Ok(Client {
            client_id: self.take(client_id_len.into())?,
            user_name: self.take(user_name_len.into())?,
            listener_port,
            expiry: Expiry::Said {
                interval_secs,
                time,
            },
        })
    }

    fn old_client(&mut self, version: u32) -> Read<Client<'a>> {
        let client_id = self.text()?;
        let _last_packet_id = self.u16()?;
        if version > 2 {
            // When it left, in four bytes or in eight: sessions of that time do not end by themselves.
            let len = if self.0.len() == 4 { 4 } else { 8 };
            let _left_at = self.take(len)?;
        }
        Ok(Client {
            client_id,
            user_name: &[],
            listener_port: 0,
            expiry: Expiry::Unknown,
        })
    }
}
