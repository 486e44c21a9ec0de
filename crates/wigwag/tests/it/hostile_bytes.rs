//! Bytes that no decent client sends: the connection ends with the right Reason Code, and the
//! broker goes on serving the others.
//!
//! The same bytes go to Mosquitto, of which only the end of the connection is asked: that shows
//! that the bytes are as wrong as the tables say.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use crate::broker::{Broker, Kind};
use crate::wire::{CONNACK, Connect, DISCONNECT, Wire, field, open_websocket, packet};

against_both_brokers!(
    first_bytes_that_are_no_connect_end_the_connection,
    connect_that_is_wrong_is_refused,
    wrong_packets_of_mqtt_5_are_answered_with_their_reason,
    wrong_packets_of_mqtt_311_end_the_connection,
    silence_beyond_keep_alive_ends_the_connection,
    random_bytes_do_no_harm,
    cut_packets_do_no_harm,
    packets_may_come_in_pieces,
    websocket_carries_packets_in_any_framing,
);

/// How long a broker may take to close a connection. Shorter than the bound of other waits,
/// because a table of rows that are all wrong should still end soon.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the broker says before it closes the connection.
#[derive(Debug)]
enum Last {
    /// Nothing.
    Nothing,
    /// A CONNACK with one of these codes; several where the standard leaves the choice.
    Connack(&'static [u8]),
    /// A DISCONNECT with one of these codes.
    Disconnect(&'static [u8]),
}

struct Hostile {
    name: &'static str,
    bytes: Vec<u8>,
    last: Last,
    /// Mosquitto 2.0.11 takes it, or waits for more.
    ours_only: bool,
}

fn hostile(name: &'static str, bytes: impl Into<Vec<u8>>, last: Last) -> Hostile {
    Hostile {
        name,
        bytes: bytes.into(),
        last,
        ours_only: false,
    }
}

fn ours_only(name: &'static str, bytes: impl Into<Vec<u8>>, last: Last) -> Hostile {
    Hostile {
        ours_only: true,
        ..hostile(name, bytes, last)
    }
}

/// Sends the bytes of each row over a connection of its own, made by `open`.
fn check(broker: &Broker, rows: &[Hostile], open: impl Fn() -> Wire) {
    let mut wrong = Vec::new();
    for row in rows {
        if row.ours_only && broker.kind() == Kind::Mosquitto {
            continue;
        }
        let mut wire = open();
        wire.send(&row.bytes);
        match wire.receive_to_the_end_within(PATIENCE) {
            None => wrong.push(format!("{}: the connection stays open", row.name)),
            Some(said) if broker.kind() == Kind::Wigwag && !is_last(&row.last, &said) => {
                wrong.push(format!(
                    "{}: {said:02x?} instead of {:02x?}",
                    row.name, row.last
                ));
            }
            Some(_) => {}
        }
        check_alive(broker);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_last(last: &Last, said: &[(u8, Vec<u8>)]) -> bool {
    let code_at = |kind: u8, index: usize| match said {
        [(first_byte, body)] if *first_byte == kind => body.get(index),
        _ => None,
    };
    match last {
        Last::Nothing => said.is_empty(),
        Last::Connack(codes) => code_at(CONNACK, 1).is_some_and(|code| codes.contains(code)),
        Last::Disconnect(codes) => code_at(DISCONNECT, 0).is_some_and(|code| codes.contains(code)),
    }
}

/// Another client is served: CONNECT, PINGREQ.
fn check_alive(broker: &Broker) {
    let mut wire = Wire::connected(broker.mqtt_port(), &Connect::clean(4));
    wire.send(&packet(0xC0, &[]));
    assert_eq!(wire.receive(), Some((0xD0, Vec::new())), "PINGRESP");
}

fn first_bytes_that_are_no_connect_end_the_connection(kind: Kind) {
    let broker = Broker::start(kind);
    let rows = [
        hostile(
            "an HTTP request",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Last::Nothing,
        ),
        hostile(
            "a TLS greeting",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
            Last::Nothing,
        ),
        hostile("all ones", [0xFF; 64], Last::Nothing),
        hostile("all zeros", [0; 64], Last::Nothing),
        hostile("PINGREQ", packet(0xC0, &[]), Last::Nothing),
        hostile(
            "PUBLISH",
            packet(0x30, &[field(b"a"), b"x".to_vec()].concat()),
            Last::Nothing,
        ),
        hostile("CONNACK", packet(0x20, &[0, 0]), Last::Nothing),
        hostile(
            "a Remaining Length of five bytes",
            *b"\x10\xff\xff\xff\xff\x01",
            Last::Nothing,
        ),
    ];
    check(&broker, &rows, || Wire::open(broker.mqtt_port()));
}

fn connect_that_is_wrong_is_refused(kind: Kind) {
    let broker = Broker::start(kind);
    let v5 = Connect::clean(5);
    let v4 = Connect::clean(4);
    let rows = [
        hostile(
            "version 6",
            Connect {
                version: 6,
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x84]),
        ),
        hostile(
            "version 0",
            Connect {
                version: 0,
                ..v4.clone()
            }
            .bytes(),
            Last::Connack(&[0x01, 0x84]),
        ),
        // [MQTT-3.1.2-1]: the server may send a CONNACK; to what is not MQTT, ours sends nothing.
        hostile(
            "another protocol",
            Connect {
                protocol_name: b"MQXX",
                ..v5.clone()
            }
            .bytes(),
            Last::Nothing,
        ),
        hostile(
            "the reserved flag",
            Connect {
                flags: 0x03,
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x81]),
        ),
        hostile(
            "the reserved flag in 3.1.1",
            Connect {
                flags: 0x03,
                ..v4.clone()
            }
            .bytes(),
            Last::Nothing,
        ),
        hostile(
            "a will of QoS 3",
            Connect {
                flags: 0x1E,
                payload: [field(b"c"), vec![0], field(b"t"), field(b"p")].concat(),
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x81]),
        ),
        hostile(
            "a will on a Topic Filter",
            Connect {
                flags: 0x06,
                payload: [field(b"c"), vec![0], field(b"a/#"), field(b"p")].concat(),
                ..v5.clone()
            }
            .bytes(),
            // The standard names no code of its own for it.
            Last::Connack(&[0x81, 0x82, 0x90]),
        ),
        hostile(
            "a Client Identifier that is not UTF-8",
            Connect {
                payload: field(b"a\xff"),
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x81]),
        ),
        hostile(
            "a property twice",
            Connect {
                properties: &[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1],
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x82]),
        ),
        hostile(
            "a Receive Maximum of 0",
            Connect {
                properties: &[0x21, 0, 0],
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x82]),
        ),
        hostile(
            "a property of PUBLISH",
            Connect {
                properties: &[0x23, 0, 1],
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x81, 0x82]),
        ),
        hostile(
            "no payload",
            Connect {
                payload: Vec::new(),
                ..v5.clone()
            }
            .bytes(),
            Last::Connack(&[0x81]),
        ),
        hostile(
            "bytes behind the payload",
            Connect {
                payload: b"\0\0more".to_vec(),
                ..v5
            }
            .bytes(),
            Last::Connack(&[0x81]),
        ),
        hostile(
            "no payload in 3.1.1",
            Connect {
                payload: Vec::new(),
                ..v4
            }
            .bytes(),
            Last::Nothing,
        ),
    ];
    check(&broker, &rows, || Wire::open(broker.mqtt_port()));
}

/// A PUBLISH of MQTT 5 at QoS 0 without properties.
fn publish_5(first_byte: u8, topic: &[u8]) -> Vec<u8> {
    packet(first_byte, &[field(topic), vec![0], b"x".to_vec()].concat())
}

/// A SUBSCRIBE of MQTT 5.
fn subscribe_5(first_byte: u8, properties: &[u8], filters: &[u8]) -> Vec<u8> {
    let length = u8::try_from(properties.len()).unwrap();
    packet(first_byte, &[&[0, 1, length], properties, filters].concat())
}

fn wrong_packets_of_mqtt_5_are_answered_with_their_reason(kind: Kind) {
    let broker = Broker::start(kind);
    let filter = [field(b"a"), vec![0]].concat();
    let rows = [
        hostile(
            "a second CONNECT",
            Connect::clean(5).bytes(),
            Last::Disconnect(&[0x82]),
        ),
        hostile(
            "packet type 0",
            packet(0x00, &[]),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "a packet only servers send",
            packet(0x20, &[0, 0, 0]),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "a Remaining Length of five bytes",
            *b"\x30\xff\xff\xff\xff\x01",
            Last::Disconnect(&[0x81]),
        ),
        ours_only(
            "a packet of 256 MB",
            *b"\x30\xff\xff\xff\x7f",
            Last::Disconnect(&[0x95]),
        ),
        hostile(
            "a PUBLISH shorter than its topic",
            packet(0x30, b"\0\x10abc"),
            Last::Disconnect(&[0x81]),
        ),
        hostile(
            "a topic that is not UTF-8",
            publish_5(0x30, b"a\xc3\x28"),
            Last::Disconnect(&[0x81]),
        ),
        hostile(
            "a topic with U+0000",
            publish_5(0x30, b"a\0b"),
            Last::Disconnect(&[0x81, 0x90]),
        ),
        hostile(
            "a topic with #",
            publish_5(0x30, b"a/#"),
            Last::Disconnect(&[0x81, 0x90]),
        ),
        hostile(
            "a topic with +",
            publish_5(0x30, b"a/+/b"),
            Last::Disconnect(&[0x81, 0x90]),
        ),
        hostile(
            "no topic and no Topic Alias",
            publish_5(0x30, b""),
            Last::Disconnect(&[0x82]),
        ),
        hostile("QoS 3", publish_5(0x36, b"a"), Last::Disconnect(&[0x81])),
        ours_only(
            "DUP at QoS 0",
            publish_5(0x38, b"a"),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "Packet Identifier 0",
            packet(0x32, &[field(b"a"), vec![0, 0, 0]].concat()),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "Topic Alias 0",
            packet(0x30, &[field(b"a"), vec![3, 0x23, 0, 0]].concat()),
            Last::Disconnect(&[0x94]),
        ),
        hostile(
            "a Topic Alias above the maximum",
            packet(0x30, &[field(b"a"), vec![3, 0x23, 0xFF, 0xFF]].concat()),
            Last::Disconnect(&[0x94]),
        ),
        hostile(
            "a Topic Alias that was never set",
            packet(0x30, &[field(b""), vec![3, 0x23, 0, 1]].concat()),
            Last::Disconnect(&[0x82, 0x94]),
        ),
        ours_only(
            "a Subscription Identifier from a client",
            packet(0x30, &[field(b"a"), vec![2, 0x0B, 1]].concat()),
            Last::Disconnect(&[0x82]),
        ),
        ours_only(
            "a Payload Format Indicator of 2",
            packet(0x30, &[field(b"a"), vec![2, 0x01, 2]].concat()),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "an unknown property",
            packet(0x30, &[field(b"a"), vec![2, 0x7E, 1]].concat()),
            Last::Disconnect(&[0x81]),
        ),
        hostile(
            "SUBSCRIBE with wrong flags",
            subscribe_5(0x80, &[], &filter),
            Last::Disconnect(&[0x81]),
        ),
        hostile(
            "SUBSCRIBE without a filter",
            subscribe_5(0x82, &[], &[]),
            Last::Disconnect(&[0x82]),
        ),
        hostile(
            "a Subscription Identifier of 0",
            subscribe_5(0x82, &[0x0B, 0], &filter),
            Last::Disconnect(&[0x82]),
        ),
        hostile(
            "a subscription of QoS 3",
            subscribe_5(0x82, &[], &[field(b"a"), vec![3]].concat()),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "reserved subscription options",
            subscribe_5(0x82, &[], &[field(b"a"), vec![0xC0]].concat()),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "Retain Handling 3",
            subscribe_5(0x82, &[], &[field(b"a"), vec![0x30]].concat()),
            Last::Disconnect(&[0x81, 0x82]),
        ),
        hostile(
            "UNSUBSCRIBE with wrong flags",
            packet(0xA0, &[&[0, 1, 0], &field(b"a")[..]].concat()),
            Last::Disconnect(&[0x81]),
        ),
        hostile(
            "UNSUBSCRIBE without a filter",
            packet(0xA2, &[0, 1, 0]),
            Last::Disconnect(&[0x82]),
        ),
        hostile(
            "PUBREL with wrong flags",
            packet(0x60, &[0, 1]),
            Last::Disconnect(&[0x81]),
        ),
        ours_only(
            "PINGREQ with a body",
            packet(0xC0, &[0]),
            Last::Disconnect(&[0x81]),
        ),
        hostile(
            "AUTH without a method",
            packet(0xF0, &[]),
            Last::Disconnect(&[0x82]),
        ),
        hostile(
            "DISCONNECT with wrong flags",
            packet(0xE1, &[0]),
            Last::Disconnect(&[0x81]),
        ),
        // A Session Expiry Interval cannot grow from 0 at the end [MQTT-3.14.2-2].
        ours_only(
            "a session at the end",
            packet(0xE0, &[0, 5, 0x11, 0, 0, 0, 9]),
            Last::Disconnect(&[0x82]),
        ),
    ];
    check(&broker, &rows, || {
        Wire::connected(broker.mqtt_port(), &Connect::clean(5))
    });
}

fn wrong_packets_of_mqtt_311_end_the_connection(kind: Kind) {
    let broker = Broker::start(kind);
    let publish = |first_byte, topic| packet(first_byte, &[field(topic), b"x".to_vec()].concat());
    let rows = [
        hostile("a second CONNECT", Connect::clean(4).bytes(), Last::Nothing),
        hostile("packet type 15", packet(0xF0, &[]), Last::Nothing),
        hostile(
            "a Remaining Length of five bytes",
            *b"\x30\xff\xff\xff\xff\x01",
            Last::Nothing,
        ),
        ours_only(
            "a packet of 256 MB",
            *b"\x30\xff\xff\xff\x7f",
            Last::Nothing,
        ),
        hostile(
            "a PUBLISH shorter than its topic",
            packet(0x30, b"\0\x10abc"),
            Last::Nothing,
        ),
        hostile(
            "a topic that is not UTF-8",
            publish(0x30, b"a\xff"),
            Last::Nothing,
        ),
        hostile("a topic with #", publish(0x30, b"a/#"), Last::Nothing),
        hostile("no topic", publish(0x30, b""), Last::Nothing),
        hostile("QoS 3", publish(0x36, b"a"), Last::Nothing),
        hostile(
            "SUBSCRIBE with wrong flags",
            packet(0x80, &[&[0, 1], &field(b"a")[..], &[0]].concat()),
            Last::Nothing,
        ),
        hostile(
            "SUBSCRIBE without a filter",
            packet(0x82, &[0, 1]),
            Last::Nothing,
        ),
        hostile(
            "PUBREL with wrong flags",
            packet(0x60, &[0, 1]),
            Last::Nothing,
        ),
    ];
    check(&broker, &rows, || {
        Wire::connected(broker.mqtt_port(), &Connect::clean(4))
    });
}

fn silence_beyond_keep_alive_ends_the_connection(kind: Kind) {
    let broker = Broker::start(kind);
    for version in [4, 5] {
        let connect = Connect {
            keep_alive_secs: 1,
            ..Connect::clean(version)
        };
        let mut wire = Wire::connected(broker.mqtt_port(), &connect);
        let said = wire.receive_to_the_end();
        let last = if version == 5 {
            Last::Disconnect(&[0x8D])
        } else {
            Last::Nothing
        };
        if broker.kind() == Kind::Wigwag {
            assert!(
                is_last(&last, &said),
                "MQTT {version}: {said:02x?} instead of {last:02x?}"
            );
        }
    }
}

#[test]
fn connection_without_connect_is_closed_after_a_while() {
    let broker = Broker::start(Kind::Wigwag);
    let mut silent = Wire::open(broker.mqtt_port());
    let mut slow = Wire::open(broker.mqtt_port());
    slow.send(&Connect::clean(5).bytes()[..5]);
    assert_eq!(silent.receive(), None);
    assert_eq!(slow.receive(), None);
}

/// A sequence that looks random and is the same in every run.
fn scrambled(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(step).collect()
}

fn random_bytes_do_no_harm(kind: Kind) {
    let broker = Broker::start(kind);
    for seed in 1..=150_u8 {
        let bytes = scrambled(usize::from(seed) * 3, seed.into());
        for version in [None, Some(4), Some(5)] {
            let mut wire = match version {
                None => Wire::open(broker.mqtt_port()),
                Some(version) => Wire::connected(broker.mqtt_port(), &Connect::clean(version)),
            };
            wire.send(&bytes);
            wire.finish_sending();
            wire.receive_to_the_end();
        }
    }
    check_alive(&broker);
}

fn cut_packets_do_no_harm(kind: Kind) {
    let broker = Broker::start(kind);
    let publish = packet(
        0x34,
        &[
            field(b"topic/name"),
            vec![0, 9, 3, 0x23, 0, 1],
            b"payload".to_vec(),
        ]
        .concat(),
    );
    for whole in [Connect::clean(5).bytes(), publish] {
        for length in 1..whole.len() {
            let is_connect = whole[0] == 0x10;
            let mut wire = if is_connect {
                Wire::open(broker.mqtt_port())
            } else {
                Wire::connected(broker.mqtt_port(), &Connect::clean(5))
            };
            wire.send(&whole[..length]);
            wire.finish_sending();
            wire.receive_to_the_end();
        }
    }
    check_alive(&broker);
}

fn packets_may_come_in_pieces(kind: Kind) {
    let broker = Broker::start(kind);
    let mut wire = Wire::open(broker.mqtt_port());
    for byte in Connect::clean(5).bytes() {
        wire.send(&[byte]);
    }
    assert_eq!(
        wire.receive()
            .map(|(first_byte, body)| (first_byte, body[1])),
        Some((CONNACK, 0))
    );
    // And several may come in one piece.
    wire.send(&[0xC0, 0, 0xC0, 0, 0xC0]);
    wire.send(&[0]);
    for _ in 0..3 {
        assert_eq!(wire.receive(), Some((0xD0, Vec::new())));
    }
}

/// A short frame as a client sends it, masked with zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126, "longer frames have another form");
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;

fn websocket_carries_packets_in_any_framing(kind: Kind) {
    let broker = Broker::start(kind);
    let mut stream = open_websocket(broker.ws_port());
    let connect = Connect::clean(4).bytes();
    // [MQTT-6.0.0-2]: packets need not align with frames.
    for piece in connect.chunks(3) {
        stream.write_all(&frame(BINARY, piece)).unwrap();
    }
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x82, 4, CONNACK, 2, 0, 0]);
    stream
        .write_all(&frame(BINARY, &[0xC0, 0, 0xC0, 0]))
        .unwrap();
    // The two answers may come in one frame or in two.
    let mut pings = 0;
    while pings < 2 {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let mut body = vec![0; usize::from(head[1])];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(body, [0xD0, 0].repeat(body.len() / 2));
        pings += body.len() / 2;
    }
}

// [MQTT-6.0.0-1]
#[test]
fn websocket_text_frame_ends_the_connection() {
    let broker = Broker::start(Kind::Wigwag);
    let mut stream = open_websocket(broker.ws_port());
    stream
        .write_all(&frame(TEXT, &Connect::clean(4).bytes()))
        .unwrap();
    let mut rest = Vec::new();
    // A reset is an end, too.
    _ = stream.read_to_end(&mut rest);
    assert!(
        !rest.windows(2).any(|bytes| bytes == [CONNACK, 2]),
        "{rest:02x?}"
    );
    check_alive(&broker);
}
