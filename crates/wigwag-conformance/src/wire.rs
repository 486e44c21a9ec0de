//! MQTT by hand: packets taken apart strictly and put together freely, also wrongly.
//!
//! It does not use the codec of `wigwag-proto`: a mistake there must not hide itself. It knows the
//! layout of every packet in both versions, and nothing of what a packet means.

pub const CONNECT: u8 = 1;
pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const SUBSCRIBE: u8 = 8;
pub const SUBACK: u8 = 9;
pub const UNSUBSCRIBE: u8 = 10;
pub const UNSUBACK: u8 = 11;
pub const PINGREQ: u8 = 12;
pub const PINGRESP: u8 = 13;
pub const DISCONNECT: u8 = 14;
pub const AUTH: u8 = 15;

const NAMES: [&str; 16] = [
    "type 0",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// The name of a packet type.
pub fn name(kind: u8) -> &'static str {
    NAMES.get(usize::from(kind)).copied().unwrap_or("?")
}

/// The two versions that the statements are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V311,
    V5,
}

impl Version {
    pub const fn is_v5(self) -> bool {
        matches!(self, Version::V5)
    }

    pub const fn level(self) -> u8 {
        match self {
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }
}

/// A property as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub id: u8,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u32),
    Bytes(Vec<u8>),
    Pair(Vec<u8>, Vec<u8>),
}

/// The fields of a Will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Will {
    pub topic: Vec<u8>,
    pub payload: Vec<u8>,
    pub properties: Vec<Property>,
}

/// What only a CONNECT has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    pub protocol_name: Vec<u8>,
    pub level: u8,
    pub flags: u8,
    pub keep_alive: u16,
    pub client_id: Vec<u8>,
    pub will: Option<Will>,
    pub user_name: Option<Vec<u8>>,
    pub password: Option<Vec<u8>>,
}

/// Any packet. Fields that its type does not have are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    pub kind: u8,
    /// The low half of the first byte.
    pub flags: u8,
    /// Bytes of the whole packet.
    pub size: usize,
    /// Bytes of the Remaining Length field, and how many it needs.
    pub length_bytes: usize,
    pub length_bytes_needed: usize,
    pub id: u16,
    /// Reason Code, or return code; Session Present is in `session_present`.
    pub code: u8,
    pub session_present: u8,
    pub topic: Vec<u8>,
    pub payload: Vec<u8>,
    pub properties: Vec<Property>,
    /// Filters of a SUBSCRIBE with their options, of an UNSUBSCRIBE with 0.
    pub filters: Vec<(Vec<u8>, u8)>,
    /// Codes of a SUBACK or UNSUBACK.
    pub codes: Vec<u8>,
    pub connect: Connect,
}

impl Packet {
    pub fn name(&self) -> &'static str {
        name(self.kind)
    }

    pub const fn qos(&self) -> u8 {
        self.flags >> 1 & 3
    }

    pub const fn dup(&self) -> bool {
        self.flags & 8 != 0
    }

    pub const fn retain(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The numbers of all properties with this identifier.
    pub fn numbers(&self, id: u8) -> Vec<u32> {
        let all = self.properties.iter().filter(|property| property.id == id);
        all.filter_map(|property| match property.value {
            Value::Number(number) => Some(number),
            Value::Bytes(_) | Value::Pair(..) => None,
        })
        .collect()
    }

    /// The number of the first property with this identifier.
    pub fn number(&self, id: u8) -> Option<u32> {
        self.numbers(id).first().copied()
    }

    /// The bytes of the first property with this identifier.
    pub fn bytes(&self, id: u8) -> Option<&[u8]> {
        self.properties.iter().find_map(|property| match property {
            Property {
                id: found,
                value: Value::Bytes(bytes),
            } if *found == id => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// The pairs of all User Properties.
    pub fn pairs(&self) -> Vec<(&[u8], &[u8])> {
        let all = self.properties.iter();
        all.filter_map(|property| match &property.value {
            Value::Pair(name, value) => Some((name.as_slice(), value.as_slice())),
            Value::Number(_) | Value::Bytes(_) => None,
        })
        .collect()
    }

    /// What a message about it should show.
    pub fn describe(&self) -> String {
        let mut text = self.name().to_owned();
        if self.id != 0 {
            text += &format!(" id {}", self.id);
        }
        if self.kind == PUBLISH {
            let topic = String::from_utf8_lossy(&self.topic);
            text += &format!(" '{topic}' QoS {} DUP {}", self.qos(), u8::from(self.dup()));
        }
        if self.code != 0 {
            text += &format!(" code 0x{:02X}", self.code);
        }
        text
    }
}

/// The bytes of a whole packet at the start of `bytes`: how many there are, or `None` while some are missing.
pub fn packet_len(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let total = 2 + index + length;
            return (bytes.len() >= total).then_some((total, index + 1));
        }
    }
    None
}

/// Takes a whole packet apart; the error says which rule of layout it breaks.
pub fn parse(bytes: &[u8], length_bytes: usize, version: Version) -> Result<Packet, String> {
    let first = *bytes.first().ok_or("no bytes")?;
    let body = bytes.get(1 + length_bytes..).unwrap_or_default();
    let mut packet = Packet {
        kind: first >> 4,
        flags: first & 15,
        size: bytes.len(),
        length_bytes,
        length_bytes_needed: var_int(body.len()).len(),
        ..Packet::default()
    };
    let mut reader = Reader(body);
    read_body(&mut packet, &mut reader, version)
        .map_err(|what| format!("{} cannot be read: {what}", packet.name()))?;
    if reader.0.is_empty() {
        Ok(packet)
    } else {
        let rest = reader.0.len();
        Err(format!("{} has {rest} bytes too many", packet.name()))
    }
}

fn read_body(packet: &mut Packet, reader: &mut Reader<'_>, version: Version) -> Result<(), String> {
    match packet.kind {
        CONNECT => read_connect(packet, reader),
        CONNACK => {
            packet.session_present = reader.u8()?;
            packet.code = reader.u8()?;
            packet.properties = reader.properties(version)?;
            Ok(())
        }
        PUBLISH => {
            packet.topic = reader.text()?;
            if packet.qos() > 0 {
                packet.id = reader.u16()?;
            }
            packet.properties = reader.properties(version)?;
            packet.payload = std::mem::take(&mut reader.0).to_vec();
            Ok(())
        }
        PUBACK | PUBREC | PUBREL | PUBCOMP => {
            packet.id = reader.u16()?;
            read_reason(packet, reader, version)
        }
        DISCONNECT | AUTH => read_reason(packet, reader, version),
        SUBSCRIBE | UNSUBSCRIBE => {
            packet.id = reader.u16()?;
            packet.properties = reader.properties(version)?;
            while !reader.0.is_empty() {
                let filter = reader.text()?;
                let with_options = packet.kind == SUBSCRIBE;
                let options = if with_options { reader.u8()? } else { 0 };
                packet.filters.push((filter, options));
            }
            Ok(())
        }
        SUBACK | UNSUBACK => {
            packet.id = reader.u16()?;
            packet.properties = reader.properties(version)?;
            packet.codes = std::mem::take(&mut reader.0).to_vec();
            Ok(())
        }
        PINGREQ | PINGRESP => Ok(()),
        other => Err(format!("there is no packet type {other}")),
    }
}

fn read_reason(
    packet: &mut Packet,
    reader: &mut Reader<'_>,
    version: Version,
) -> Result<(), String> {
    if version.is_v5() && !reader.0.is_empty() {
        packet.code = reader.u8()?;
        if !reader.0.is_empty() {
            packet.properties = reader.properties(version)?;
        }
    }
    Ok(())
}

fn read_connect(packet: &mut Packet, reader: &mut Reader<'_>) -> Result<(), String> {
    let connect = &mut packet.connect;
    connect.protocol_name = reader.text()?;
    connect.level = reader.u8()?;
    let version = if connect.level == 5 {
        Version::V5
    } else {
        Version::V311
    };
    connect.flags = reader.u8()?;
    connect.keep_alive = reader.u16()?;
    packet.properties = reader.properties(version)?;
    connect.client_id = reader.text()?;
    if connect.flags & 0x04 != 0 {
        connect.will = Some(Will {
            properties: reader.properties(version)?,
            topic: reader.text()?,
            payload: reader.binary()?,
        });
    }
    if connect.flags & 0x80 != 0 {
        connect.user_name = Some(reader.text()?);
    }
    if connect.flags & 0x40 != 0 {
        connect.password = Some(reader.binary()?);
    }
    Ok(())
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return Err(format!(
                "{count} bytes are needed, {} are left",
                self.0.len()
            ));
        };
        self.0 = rest;
        Ok(taken.to_vec())
    }

    fn number(&mut self, bytes: usize) -> Result<u32, String> {
        let taken = self.take(bytes)?;
        Ok(taken
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.number(1).map(|number| number as u8)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.number(2).map(|number| number as u16)
    }

    fn binary(&mut self) -> Result<Vec<u8>, String> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    fn text(&mut self) -> Result<Vec<u8>, String> {
        let bytes = self.binary()?;
        match std::str::from_utf8(&bytes) {
            Err(error) => Err(format!("a text is not UTF-8: {error}")),
            Ok(text) if text.contains('\0') => Err("a text contains U+0000".to_owned()),
            Ok(_) => Ok(bytes),
        }
    }

    fn var_int(&mut self) -> Result<usize, String> {
        let mut number = 0;
        for index in 0..4 {
            let byte = self.u8()?;
            number |= usize::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                if var_int(number).len() != index + 1 {
                    return Err(format!("{number} is not in its shortest form"));
                }
                return Ok(number);
            }
        }
        Err("a variable byte integer has more than four bytes".to_owned())
    }

    fn properties(&mut self, version: Version) -> Result<Vec<Property>, String> {
        let mut properties = Vec::new();
        if !version.is_v5() {
            return Ok(properties);
        }
        let len = self.var_int()?;
        let bytes = self.take(len)?;
        let mut inner = Reader(&bytes);
        while !inner.0.is_empty() {
            let id = inner.u8()?;
            let value = inner.value(id)?;
            let repeatable = matches!(id, 0x26 | 0x0B);
            if !repeatable && properties.iter().any(|other: &Property| other.id == id) {
                return Err(format!("property 0x{id:02X} comes twice"));
            }
            properties.push(Property { id, value });
        }
        Ok(properties)
    }

    fn value(&mut self, id: u8) -> Result<Value, String> {
        Ok(match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => Value::Number(self.number(1)?),
            0x13 | 0x21 | 0x22 | 0x23 => Value::Number(self.number(2)?),
            0x02 | 0x11 | 0x18 | 0x27 => Value::Number(self.number(4)?),
            0x0B => Value::Number(self.var_int()? as u32),
            0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => Value::Bytes(self.text()?),
            0x09 | 0x16 => Value::Bytes(self.binary()?),
            0x26 => Value::Pair(self.text()?, self.text()?),
            _ => return Err(format!("there is no property 0x{id:02X}")),
        })
    }
}

/// A number in the shortest form of a variable byte integer.
pub fn var_int(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7F) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A packet with the right Remaining Length.
pub fn packet(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    [&[kind << 4 | flags][..], &var_int(body.len()), body].concat()
}

/// A text or binary field: two bytes of length, then the bytes.
pub fn field(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// A property whose value is a number of so many bytes.
pub fn number(id: u8, value: u32, bytes: usize) -> Vec<u8> {
    let all = value.to_be_bytes();
    [&[id][..], &all[4 - bytes.min(4)..]].concat()
}

/// A property whose value is text or binary.
pub fn text(id: u8, value: &[u8]) -> Vec<u8> {
    [vec![id], field(value)].concat()
}

/// A User Property.
pub fn pair(name: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![0x26], field(name), field(value)].concat()
}

fn properties(version: Version, bytes: &[u8]) -> Vec<u8> {
    if version.is_v5() {
        [var_int(bytes.len()), bytes.to_vec()].concat()
    } else {
        Vec::new()
    }
}

pub fn connack(version: Version, session_present: bool, code: u8, props: &[u8]) -> Vec<u8> {
    let head = vec![u8::from(session_present), code];
    packet(CONNACK, 0, &[head, properties(version, props)].concat())
}

/// A PUBLISH: its flags, and an identifier if it is not zero.
pub fn publish(
    version: Version,
    flags: u8,
    topic: &[u8],
    id: u16,
    props: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let id = if id == 0 {
        Vec::new()
    } else {
        id.to_be_bytes().to_vec()
    };
    let body = [
        field(topic),
        id,
        properties(version, props),
        payload.to_vec(),
    ];
    packet(PUBLISH, flags, &body.concat())
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP in its shortest form.
pub fn ack(kind: u8, id: u16, code: u8) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    let mut body = id.to_be_bytes().to_vec();
    if code != 0 {
        body.push(code);
    }
    packet(kind, flags, &body)
}

pub fn suback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let body = [
        id.to_be_bytes().to_vec(),
        properties(version, &[]),
        codes.to_vec(),
    ];
    packet(SUBACK, 0, &body.concat())
}

pub fn unsuback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let codes = if version.is_v5() {
        codes.to_vec()
    } else {
        Vec::new()
    };
    let body = [id.to_be_bytes().to_vec(), properties(version, &[]), codes];
    packet(UNSUBACK, 0, &body.concat())
}

/// SUBSCRIBE with filters and their options.
pub fn subscribe(version: Version, id: u16, props: &[u8], filters: &[(&[u8], u8)]) -> Vec<u8> {
    let mut body = [id.to_be_bytes().to_vec(), properties(version, props)].concat();
    for (filter, options) in filters {
        body.extend(field(filter));
        body.push(*options);
    }
    packet(SUBSCRIBE, 2, &body)
}

pub fn unsubscribe(version: Version, id: u16, filters: &[&[u8]]) -> Vec<u8> {
    let mut body = [id.to_be_bytes().to_vec(), properties(version, &[])].concat();
    for filter in filters {
        body.extend(field(filter));
    }
    packet(UNSUBSCRIBE, 2, &body)
}

pub fn disconnect(version: Version, code: u8, props: &[u8]) -> Vec<u8> {
    if version.is_v5() && (code != 0 || !props.is_empty()) {
        let body = [vec![code], properties(version, props)].concat();
        packet(DISCONNECT, 0, &body)
    } else {
        packet(DISCONNECT, 0, &[])
    }
}

/// The parts of a CONNECT that tests bend; `fields` follow the Client Identifier.
#[derive(Clone, Debug)]
pub struct ConnectBytes {
    pub version: Version,
    pub protocol_name: Vec<u8>,
    pub level: u8,
    pub flags: u8,
    pub keep_alive: u16,
    pub properties: Vec<u8>,
    pub client_id: Vec<u8>,
    pub fields: Vec<u8>,
}

impl ConnectBytes {
    /// A clean start without anything else.
    pub fn new(version: Version, client_id: &str) -> ConnectBytes {
        ConnectBytes {
            version,
            protocol_name: b"MQTT".to_vec(),
            level: version.level(),
            flags: 2,
            keep_alive: 60,
            properties: Vec::new(),
            client_id: client_id.as_bytes().to_vec(),
            fields: Vec::new(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let body = [
            field(&self.protocol_name),
            vec![self.level, self.flags],
            self.keep_alive.to_be_bytes().to_vec(),
            properties(self.version, &self.properties),
            field(&self.client_id),
            self.fields.clone(),
        ];
        packet(CONNECT, 0, &body.concat())
    }

    /// Adds a Will; the flags of its QoS and RETAIN go into `will_flags`.
    pub fn will(mut self, topic: &[u8], payload: &[u8], will_flags: u8, props: &[u8]) -> Self {
        self.flags |= 4 | will_flags;
        let fields = [
            properties(self.version, props),
            field(topic),
            field(payload),
        ];
        self.fields.extend(fields.concat());
        self
    }
}
