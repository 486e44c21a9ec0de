//! Text, topics and malformed packets: what a broker must refuse, and what it must keep as it is.

use super::{Row, World};
use crate::peer::{Stop, describe};
use crate::script::Ids;
use crate::wire::{self, ConnectBytes, PUBREL, SUBSCRIBE, UNSUBSCRIBE};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_topic_name_that_is_not_utf8_closes",
        ["1.5.4-1 3.3.2-1 4.13.1-1", "1.4.0-1 3.3.2-1 4.8.0-1"],
        |w| {
            let ids = ["1.5.4-1 3.3.2-1 4.13.1-1", "1.4.0-1 3.3.2-1 4.8.0-1"];
            wrong_publish(w, ids, 0, b"a\xED\xA0\x80", &[])
        },
    ),
    (
        "a_null_character_in_a_topic_closes",
        ["1.5.4-2 4.7.3-2", "4.7.3-2"],
        |w| wrong_publish(w, ["1.5.4-2 4.7.3-2", "4.7.3-2"], 0, b"a\0b", &[]),
    ),
    (
        "a_wildcard_in_a_topic_name_closes",
        ["3.3.2-2 4.7.0-1", "3.3.2-2 4.7.1-1"],
        |w| {
            wrong_publish(w, ["3.3.2-2 4.7.0-1", "3.3.2-2 4.7.1-1"], 0, b"a/#", &[])?;
            wrong_publish(w, ["3.3.2-2 4.7.0-1", "3.3.2-2 4.7.1-1"], 0, b"a/+", &[])
        },
    ),
    ("an_empty_topic_name_closes", ["4.7.3-1"; 2], |w| {
        wrong_publish(w, ["4.7.3-1"; 2], 0, b"", &[])
    }),
    ("qos_3_closes", ["3.3.1-4"; 2], |w| {
        wrong_publish(w, ["3.3.1-4"; 2], 6, b"a", &[])
    }),
    (
        "a_user_property_that_is_not_utf8_closes",
        ["1.5.7-1", ""],
        |w| {
            wrong_publish(w, ["1.5.7-1", ""], 0, b"a", &wire::pair(b"k", b"\xFF"))?;
            wrong_publish(w, ["1.5.7-1", ""], 0, b"a", &wire::pair(b"\xFF", b"v"))
        },
    ),
    (
        "a_response_topic_is_a_topic_name",
        ["3.3.2-13 3.3.2-14", ""],
        |w| {
            wrong_publish(w, ["3.3.2-13", ""], 0, b"a", &wire::text(8, b"\xFF"))?;
            wrong_publish(w, ["3.3.2-14", ""], 0, b"a", &wire::text(8, b"r/#"))
        },
    ),
    ("a_content_type_is_utf8", ["3.3.2-19", ""], |w| {
        wrong_publish(w, ["3.3.2-19", ""], 0, b"a", &wire::text(3, b"\xFF"))
    }),
    ("alias_zero_closes", ["3.3.2-8", ""], |w| {
        wrong_publish(w, ["3.3.2-8", ""], 0, b"a", &wire::number(0x23, 0, 2))
    }),
    (
        "a_subscription_identifier_from_a_client_closes",
        ["3.3.4-6", ""],
        |w| wrong_publish(w, ["3.3.4-6", ""], 0, b"a", &[0x0B, 5]),
    ),
    (
        "reserved_flags_close",
        [
            "2.1.3-1 3.6.1-1 3.8.1-1 3.10.1-1",
            "2.2.2-1 2.2.2-2 3.6.1-1 3.8.1-1 3.10.1-1",
        ],
        reserved_flags,
    ),
    (
        "requests_without_filters_close",
        ["3.8.3-2 3.10.3-2", "3.8.3-3 3.10.3-2"],
        no_filters,
    ),
    (
        "a_request_without_an_identifier_closes",
        ["", "2.3.1-1"],
        |w| {
            let bytes = wire::subscribe(w.version, 0, &[], &[(b"a", 0)]);
            w.closes(["", "2.3.1-1"], &bytes)
        },
    ),
    (
        "filters_that_are_not_utf8_close",
        ["3.8.3-1 3.10.3-1"; 2],
        |w| {
            let bytes = wire::subscribe(w.version, 1, &[], &[(b"a\xFF", 0)]);
            w.closes(["3.8.3-1"; 2], &bytes)?;
            let bytes = wire::unsubscribe(w.version, 1, &[b"a\xFF"]);
            w.closes(["3.10.3-1"; 2], &bytes)
        },
    ),
    (
        "wrong_subscription_options_close",
        ["3.8.3-5", "3.8.3-4"],
        |w| {
            let ids = ["3.8.3-5", "3.8.3-4"];
            let reserved = if w.is_v5() { 0x40 } else { 0x04 };
            for options in [reserved, 0x03] {
                let bytes = wire::subscribe(w.version, 1, &[], &[(b"a", options)]);
                w.closes(ids, &bytes)?;
            }
            Ok(())
        },
    ),
    (
        "no_local_on_a_shared_subscription_closes",
        ["3.8.3-4", ""],
        |w| {
            let bytes = wire::subscribe(w.version, 1, &[], &[(b"$share/g/a", 0x04)]);
            w.closes(["3.8.3-4", ""], &bytes)
        },
    ),
    (
        "misplaced_wildcards_are_refused",
        ["4.7.1-1 4.7.1-2 4.8.2-1 4.8.2-2", "4.7.1-2 4.7.1-3"],
        misplaced_wildcards,
    ),
    (
        "texts_of_connect_are_utf8",
        ["3.1.3-4 3.1.3-11 3.1.3-12", "3.1.3-4 3.1.3-10 3.1.3-11"],
        connect_texts,
    ),
    (
        "a_byte_order_mark_is_data",
        ["1.5.4-3", "1.4.0-3"],
        byte_order_mark,
    ),
    ("a_length_in_too_many_bytes_closes", ["1.5.5-1", ""], |w| {
        // A Remaining Length of five bytes cannot be read at all.
        w.closes(["1.5.5-1", ""], &[0xC0, 0x80, 0x80, 0x80, 0x80, 0x01])
    }),
    ("the_longest_topic_passes", ["4.7.3-3"; 2], longest_topic),
    ("topics_are_not_normalised", ["4.7.3-4"; 2], not_normalised),
];

fn wrong_publish(
    w: &mut World,
    ids: Ids,
    flags: u8,
    topic: &[u8],
    props: &[u8],
) -> Result<(), Stop> {
    let id = if flags & 6 == 0 { 0 } else { 1 };
    let bytes = wire::publish(w.version, flags, topic, id, props, b"x");
    w.closes(ids, &bytes)
}

fn reserved_flags(w: &mut World) -> Result<(), Stop> {
    let request = wire::subscribe(w.version, 1, &[], &[(b"a", 0)]);
    let with_flags = |kind: u8, body: &[u8]| wire::packet(kind, 0, body);
    let body = request.get(2..).unwrap_or_default();
    w.closes(["3.8.1-1"; 2], &with_flags(SUBSCRIBE, body))?;
    let request = wire::unsubscribe(w.version, 1, &[b"a"]);
    let body = request.get(2..).unwrap_or_default();
    w.closes(["3.10.1-1"; 2], &with_flags(UNSUBSCRIBE, body))?;
    w.closes(["3.6.1-1"; 2], &with_flags(PUBREL, &[0, 1]))?;
    let ids = ["2.1.3-1", "2.2.2-1 2.2.2-2"];
    w.closes(ids, &wire::packet(wire::PINGREQ, 1, &[]))
}

fn no_filters(w: &mut World) -> Result<(), Stop> {
    let bytes = wire::subscribe(w.version, 1, &[], &[]);
    w.closes(["3.8.3-2", "3.8.3-3"], &bytes)?;
    let bytes = wire::unsubscribe(w.version, 1, &[]);
    w.closes(["3.10.3-2"; 2], &bytes)
}

/// The connection is closed, or the code of the SUBACK is a failure.
fn misplaced_wildcards(w: &mut World) -> Result<(), Stop> {
    let hash = ["4.7.1-1", "4.7.1-2"];
    let plus = ["4.7.1-2", "4.7.1-3"];
    let rows: [(Ids, &[u8]); 8] = [
        (hash, b"a/#/b"),
        (hash, b"a#"),
        (plus, b"a+"),
        (plus, b"a/+b"),
        (["4.8.2-1", ""], b"$share//a"),
        (["4.8.2-2", ""], b"$share/a+/b"),
        (["4.8.2-2", ""], b"$share/a#/b"),
        (["4.8.2-2", ""], b"$share/a/"),
    ];
    for (ids, filter) in rows {
        let mut connection = w.client("wild")?;
        connection.send(&wire::subscribe(w.version, 1, &[], &[(filter, 0)]));
        let kept = match connection.receive()? {
            Some(answer) => {
                answer.kind == wire::DISCONNECT || answer.codes.iter().all(|code| *code >= 0x80)
            }
            None => true,
        };
        w.check(
            ids,
            kept,
            format!("'{}' is accepted", filter.escape_ascii()),
        );
    }
    Ok(())
}

fn connect_texts(w: &mut World) -> Result<(), Stop> {
    let bad = ConnectBytes {
        client_id: b"a\xFF".to_vec(),
        ..w.connect("text")
    };
    closes_connect(w, ["3.1.3-4"; 2], &bad)?;
    let bad = w.connect("text").will(b"a\xFF", b"", 0, &[]);
    closes_connect(w, ["3.1.3-11", "3.1.3-10"], &bad)?;
    let bad = ConnectBytes {
        flags: 0x82,
        fields: wire::field(b"a\xFF"),
        ..w.connect("text")
    };
    closes_connect(w, ["3.1.3-12", "3.1.3-11"], &bad)
}

fn closes_connect(w: &mut World, ids: Ids, connect: &ConnectBytes) -> Result<(), Stop> {
    let mut connection = w.open()?;
    connection.send(&connect.bytes());
    let closed = connection.is_closed();
    w.check(
        ids,
        closed,
        "open after a CONNECT with a text that is not UTF-8",
    );
    Ok(())
}

fn byte_order_mark(w: &mut World) -> Result<(), Stop> {
    let topic = format!("\u{FEFF}{}", w.name("mark"));
    let mut connection = w.subscriber("mark", &topic, 0)?;
    connection.send(&w.message(0, &topic, 0, "x"));
    let message = w.receive(&mut connection)?;
    w.check(
        ["1.5.4-3", "1.4.0-3"],
        message.topic == topic.as_bytes(),
        message.describe(),
    );
    Ok(())
}

fn longest_topic(w: &mut World) -> Result<(), Stop> {
    let topic = format!("{:x<65535}", w.name("long"));
    let mut connection = w.subscriber("long", &format!("{}#", ""), 0)?;
    connection.send(&w.message(0, &topic, 0, "longest"));
    let packets = connection.until(|packet| packet.payload == b"longest");
    let kept = packets.is_ok_and(|mut p| p.pop().is_some_and(|m| m.topic.len() == 65_535));
    w.check(
        ["4.7.3-3"; 2],
        kept,
        "a Topic Name of 65,535 bytes is not delivered",
    );
    Ok(())
}

fn not_normalised(w: &mut World) -> Result<(), Stop> {
    // The same letter, composed and decomposed.
    let (composed, decomposed) = (w.name("caf\u{E9}"), w.name("cafe\u{301}"));
    let mut connection = w.subscriber("exact", &composed, 0)?;
    connection.send(&w.message(0, &decomposed, 0, "other"));
    let seen = w.fence(&mut connection)?;
    w.check(["4.7.3-4"; 2], seen.is_empty(), describe(&seen));
    Ok(())
}
