//! CONNECT and its answer, sessions, Wills, take-over, Keep Alive, the end of a connection.

use std::time::{Duration, Instant};

use super::{Row, World};
use crate::peer::{Connection, Stop, describe};
use crate::script::Ids;
use crate::wire::{self, CONNACK, ConnectBytes, DISCONNECT, PUBACK, PUBLISH, Version};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_first_packet_other_than_connect_closes",
        ["3.1.0-1"; 2],
        first_packet,
    ),
    ("a_second_connect_closes", ["3.1.0-2"; 2], second_connect),
    (
        "an_unknown_protocol_is_not_served",
        ["3.1.2-1 3.1.2-2"; 2],
        unknown_protocol,
    ),
    (
        "connect_flags_and_fields_must_fit_together",
        [
            "3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-12 3.1.2-13 3.1.2-16 3.1.2-17 3.1.2-18 3.1.2-19 3.1.4-1",
            "3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-13 3.1.2-14 3.1.2-15 3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.2-22 3.1.4-1",
        ],
        flags,
    ),
    (
        "a_session_is_created_resumed_and_discarded",
        [
            "3.1.2-4 3.1.2-5 3.1.2-6 3.1.2-23 3.1.3-2 3.1.4-4 3.1.4-5 3.2.0-1 3.2.2-1 3.2.2-2 3.2.2-3 3.2.2-8 4.1.0-1 4.5.0-1",
            "3.1.2-4 3.1.2-5 3.1.2-6 3.1.3-2 3.1.4-3 3.1.4-4 3.2.0-1 3.2.2-1 3.2.2-2 3.2.2-3 4.1.0-1 4.5.0-1",
        ],
        sessions,
    ),
    (
        "a_will_is_published_after_a_cut",
        [
            "3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-14",
            "3.1.2-8 3.1.2-10 3.1.2-16",
        ],
        will_after_cut,
    ),
    (
        "a_retained_will_is_retained",
        ["3.1.2-15", "3.1.2-17"],
        retained_will,
    ),
    (
        "a_disconnect_discards_the_will",
        ["3.1.2-10 3.14.4-3", "3.1.2-10 3.1.2-12 3.14.4-3"],
        will_called_off,
    ),
    (
        "a_quick_return_cancels_a_delayed_will",
        ["3.1.3-9", ""],
        delayed_will,
    ),
    (
        "user_properties_of_a_will_keep_their_order",
        ["3.1.3-10", ""],
        will_properties,
    ),
    (
        "client_identifiers_are_accepted_or_assigned",
        [
            "3.1.3-3 3.1.3-5 3.1.3-6 3.1.3-7 3.2.2-16",
            "3.1.3-3 3.1.3-5 3.1.3-6",
        ],
        client_identifiers,
    ),
    (
        "an_empty_identifier_needs_a_clean_session",
        ["", "3.1.3-7 3.1.3-8 3.1.3-9 3.2.2-4 3.2.2-5"],
        empty_identifier,
    ),
    (
        "a_second_client_with_the_identifier_takes_over",
        ["3.1.4-3", "3.1.4-2"],
        take_over,
    ),
    (
        "silence_ends_the_connection",
        ["3.1.2-22 3.2.2-22", "3.1.2-24"],
        keep_alive,
    ),
    ("pings_are_answered", ["3.12.4-1"; 2], ping),
    (
        "an_unknown_authentication_method_is_refused",
        ["3.2.2-6 3.2.2-7 3.14.0-1 4.12.0-1 4.13.2-1", ""],
        authentication,
    ),
    (
        "what_was_not_asked_for_does_not_come",
        ["3.1.2-27 3.1.2-28 3.2.0-2 4.12.0-6", ""],
        not_asked_for,
    ),
    (
        "a_disconnect_with_reserved_bits_closes",
        ["3.14.1-1", "3.14.1-1"],
        bad_disconnect,
    ),
    (
        "an_auth_with_reserved_bits_closes",
        ["3.15.1-1 4.13.1-1", ""],
        |w| w.closes(["3.15.1-1 4.13.1-1", ""], &wire::packet(wire::AUTH, 1, &[])),
    ),
    (
        "a_session_ends_with_its_interval",
        ["4.1.0-2", ""],
        session_expiry,
    ),
];

fn first_packet(w: &mut World) -> Result<(), Stop> {
    let mut connection = w.open()?;
    connection.send(&wire::packet(wire::PINGREQ, 0, &[]));
    let closed = connection.is_closed();
    w.check(["3.1.0-1"; 2], closed, "open after PINGREQ without CONNECT");
    Ok(())
}

fn second_connect(w: &mut World) -> Result<(), Stop> {
    let connect = w.connect("second").bytes();
    w.closes(["3.1.0-2"; 2], &connect)
}

fn unknown_protocol(w: &mut World) -> Result<(), Stop> {
    let connect = ConnectBytes {
        protocol_name: b"MQTX".to_vec(),
        ..w.connect("unknown")
    };
    refused(w, ["3.1.2-1"; 2], &connect)?;
    let connect = ConnectBytes {
        level: 9,
        ..w.connect("unknown")
    };
    if w.is_v5() {
        return refused(w, ["3.1.2-2", ""], &connect);
    }
    // A broker that knows MQTT 5 may refuse a level above it in the words of MQTT 5.
    let mut refusals = Vec::new();
    for version in [Version::V311, Version::V5] {
        let mut connection = w.open()?;
        connection.version = version;
        connection.send(&connect.bytes());
        let refusal = connection.expect(CONNACK);
        refusals.push(refusal.map(|connack| connack.code));
        let closed = connection.is_closed();
        w.check(["", "3.1.2-2"], closed, "open after a refusal");
    }
    let kept = refusals.contains(&Ok(1)) || refusals.contains(&Ok(0x84));
    w.check(["", "3.1.2-2"], kept, format!("{refusals:?}"));
    Ok(())
}

/// Whatever the broker answers, it must close the connection.
fn refused(w: &mut World, ids: Ids, connect: &ConnectBytes) -> Result<(), Stop> {
    let mut connection = w.open()?;
    connection.send(&connect.bytes());
    let closed = connection.is_closed();
    let seen = format!("open after CONNECT flags 0b{:08b}", connect.flags);
    w.check(ids, closed, seen);
    Ok(())
}

fn flags(w: &mut World) -> Result<(), Stop> {
    let user = wire::field(b"user");
    let rows: &[(Ids, u8, Vec<u8>)] = &[
        (["3.1.2-3 3.1.4-1", "3.1.2-3 3.1.4-1"], 0x03, Vec::new()),
        (["3.1.2-9", "3.1.2-9"], 0x06, Vec::new()),
        (["3.1.2-11", "3.1.2-11 3.1.2-13"], 0x0A, Vec::new()),
        (["3.1.2-13", "3.1.2-11 3.1.2-15"], 0x22, Vec::new()),
        (
            ["3.1.2-16 3.1.2-18", "3.1.2-18 3.1.2-20"],
            0x02,
            user.clone(),
        ),
        (["3.1.2-17", "3.1.2-19"], 0x82, Vec::new()),
        (["3.1.2-19", "3.1.2-21"], 0xC2, user.clone()),
        (["", "3.1.2-22"], 0x42, user),
    ];
    for (ids, flags, fields) in rows {
        let connect = ConnectBytes {
            flags: *flags,
            fields: fields.clone(),
            ..w.connect("flags")
        };
        refused(w, *ids, &connect)?;
    }
    let connect = w.connect("flags").will(b"a", b"", 0x18, &[]);
    refused(w, ["3.1.2-12", "3.1.2-14"], &connect)
}

fn sessions(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("session");
    let lasting = w.lasting("keeper");
    let (mut connection, first) = w.begin(&lasting)?;
    w.check(
        ["3.1.4-5 3.2.0-1 3.2.2-8", "3.1.4-4 3.2.0-1"],
        first.code == 0,
        first.describe(),
    );
    let new = first.session_present == 0;
    w.check(
        ["3.1.2-6 3.2.2-3", "3.1.2-4 3.2.2-3"],
        new,
        "a session that nobody made",
    );
    w.subscribe(&mut connection, &topic, 1)?;
    connection.send(&wire::disconnect(w.version, 0, &[]));
    connection.until_closed()?;
    let mut sender = w.client("sender")?;
    w.publish(&mut sender, false, &topic, "missed")?;
    let (mut connection, second) = w.begin(&lasting)?;
    let present = second.session_present;
    let ids = [
        "3.1.2-5 3.1.2-23 3.1.3-2 3.2.2-3 4.1.0-1",
        "3.1.2-4 3.1.3-2 3.2.2-2 4.1.0-1",
    ];
    w.check(
        ids,
        present == 1,
        format!("Session Present {present} for a session that was kept"),
    );
    w.check(
        ["3.2.2-1", ""],
        present <= 1,
        "reserved acknowledge flags are set",
    );
    let missed = w.receive(&mut connection)?;
    w.check(
        ["4.5.0-1", "3.1.2-5 4.5.0-1"],
        missed.payload == b"missed",
        missed.describe(),
    );
    drop(connection);
    let (mut connection, third) = w.begin(&w.connect("keeper"))?;
    let gone = third.session_present == 0;
    w.check(
        ["3.1.2-4 3.2.2-2", "3.1.2-6 3.2.2-1"],
        gone,
        "Session Present after a clean start",
    );
    w.publish(&mut sender, false, &topic, "unheard")?;
    let heard = w.fence(&mut connection)?;
    w.check(
        ["3.1.2-4 3.1.4-4", "3.1.2-6 3.1.4-3"],
        heard.is_empty(),
        describe(&heard),
    );
    Ok(())
}

/// A watcher of a topic, and a client with a Will for it.
fn with_will(w: &World, flags: u8, props: &[u8]) -> Result<(Connection, Connection, String), Stop> {
    let topic = w.name("will/");
    let watcher = w.subscriber("watcher", &topic, 1)?;
    let connect = w
        .connect("doomed")
        .will(topic.as_bytes(), b"gone", flags, props);
    Ok((watcher, w.online(&connect)?, topic))
}

fn will_after_cut(w: &mut World) -> Result<(), Stop> {
    let (mut watcher, doomed, topic) = with_will(w, 0x08, &[])?;
    doomed.cut();
    let will = w.receive(&mut watcher)?;
    let kept = will.payload == b"gone" && will.qos() == 1;
    w.check(["3.1.2-7 3.1.2-8", "3.1.2-8"], kept, will.describe());
    let mut late = w.client("late")?;
    w.subscribe(&mut late, &topic, 1)?;
    let retained = w.fence(&mut late)?;
    w.check(
        ["3.1.2-14", "3.1.2-16"],
        retained.is_empty(),
        describe(&retained),
    );
    let again = w.fence(&mut watcher)?;
    w.check(["3.1.2-10"; 2], again.is_empty(), describe(&again));
    Ok(())
}

fn retained_will(w: &mut World) -> Result<(), Stop> {
    let (mut watcher, doomed, topic) = with_will(w, 0x28, &[])?;
    doomed.cut();
    w.receive(&mut watcher)?;
    let mut late = w.subscriber("late", &topic, 1)?;
    let will = w.receive(&mut late)?;
    w.check(
        ["3.1.2-15", "3.1.2-17"],
        will.retain() && will.payload == b"gone",
        will.describe(),
    );
    w.publish(&mut watcher, true, &topic, "")
}

fn will_called_off(w: &mut World) -> Result<(), Stop> {
    let (mut watcher, mut polite, topic) = with_will(w, 0x08, &[])?;
    polite.send(&wire::disconnect(w.version, 0, &[]));
    polite.until_closed()?;
    w.publish(&mut watcher, false, &topic, "marker")?;
    let seen = w.fence(&mut watcher)?;
    let will = seen.iter().any(|packet| packet.payload == b"gone");
    w.check(
        ["3.1.2-10 3.14.4-3", "3.1.2-10 3.1.2-12 3.14.4-3"],
        !will,
        describe(&seen),
    );
    Ok(())
}

fn delayed_will(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("will/");
    let mut watcher = w.subscriber("watcher", &topic, 1)?;
    let delay = wire::number(0x18, 600, 4);
    let connect = w
        .lasting("doomed")
        .will(topic.as_bytes(), b"gone", 0, &delay);
    w.online(&connect)?.cut();
    let _back = w.online(&w.lasting("doomed"))?;
    w.publish(&mut watcher, false, &topic, "marker")?;
    let seen = w.fence(&mut watcher)?;
    let will = seen.iter().any(|packet| packet.payload == b"gone");
    w.check(["3.1.3-9", ""], !will, describe(&seen));
    Ok(())
}

fn will_properties(w: &mut World) -> Result<(), Stop> {
    let pairs = [
        wire::pair(b"b", b"1"),
        wire::pair(b"a", b"2"),
        wire::pair(b"b", b"3"),
    ];
    let (mut watcher, doomed, _) = with_will(w, 0, &pairs.concat())?;
    doomed.cut();
    let will = w.receive(&mut watcher)?;
    let kept = will.pairs() == [(&b"b"[..], &b"1"[..]), (b"a", b"2"), (b"b", b"3")];
    w.check(["3.1.3-10", ""], kept, format!("{:?}", will.properties));
    Ok(())
}

fn client_identifiers(w: &mut World) -> Result<(), Stop> {
    let longest = format!("{:x<23}", w.name("AZaz09"));
    for id in [longest, w.name("i")] {
        let (_, connack) = w.begin(&ConnectBytes::new(w.version, &id))?;
        w.check(
            ["3.1.3-5"; 2],
            connack.code == 0,
            format!("'{id}': {}", connack.describe()),
        );
    }
    let mut assigned = Vec::new();
    for _ in 0..2 {
        let (_, connack) = w.begin(&ConnectBytes::new(w.version, ""))?;
        w.check(["3.1.3-6"; 2], connack.code == 0, connack.describe());
        assigned.push(connack.bytes(0x12).map(<[u8]>::to_vec));
    }
    let unique = assigned[0].is_some() && assigned[0] != assigned[1];
    w.check(["3.1.3-7 3.2.2-16", ""], unique, format!("{assigned:?}"));
    // Without the field the packet is too short.
    let flags = [0, 4, b'M', b'Q', b'T', b'T', w.version.level(), 2, 0, 60];
    let rest: &[u8] = if w.is_v5() { &[0] } else { &[] };
    let mut connection = w.open()?;
    connection.send(&wire::packet(
        wire::CONNECT,
        0,
        &[&flags[..], rest].concat(),
    ));
    let closed = connection.is_closed();
    w.check(
        ["3.1.3-3"; 2],
        closed,
        "open after a CONNECT without a Client Identifier",
    );
    Ok(())
}

fn empty_identifier(w: &mut World) -> Result<(), Stop> {
    let connect = ConnectBytes {
        flags: 0,
        ..ConnectBytes::new(w.version, "")
    };
    let (mut connection, connack) = w.begin(&connect)?;
    let refused = connack.code == 2;
    w.check(["", "3.1.3-7 3.1.3-8 3.1.3-9"], refused, connack.describe());
    w.check(
        ["", "3.2.2-4"],
        connack.session_present == 0,
        "Session Present in a refusal",
    );
    let closed = connection.is_closed();
    w.check(["", "3.1.3-9 3.2.2-5"], closed, "open after a refusal");
    Ok(())
}

fn take_over(w: &mut World) -> Result<(), Stop> {
    let mut first = w.client("same")?;
    let _second = w.client("same")?;
    let last = first.until_closed()?;
    let told = last
        .iter()
        .any(|packet| packet.kind == DISCONNECT && packet.code == 0x8E);
    w.check(
        ["3.1.4-3", "3.1.4-2"],
        told || !w.is_v5(),
        format!("told: {}", describe(&last)),
    );
    Ok(())
}

fn keep_alive(w: &mut World) -> Result<(), Stop> {
    let connect = ConnectBytes {
        keep_alive: 1,
        ..w.connect("silent")
    };
    // The broker's clock begins later than this one, never before it.
    let begun = Instant::now();
    let mut connection = w.online(&connect)?;
    let closed = connection.is_closed();
    let after = begun.elapsed();
    let seen = format!("closed: {closed}, after {after:.1?}");
    let in_time = closed && after >= Duration::from_millis(1_400);
    w.check(["3.1.2-22 3.2.2-22", "3.1.2-24"], in_time, seen);
    Ok(())
}

fn ping(w: &mut World) -> Result<(), Stop> {
    let mut connection = w.client("pinger")?;
    connection.send(&wire::packet(wire::PINGREQ, 0, &[]));
    let answer = connection.expect(wire::PINGRESP)?;
    w.check(["3.12.4-1"; 2], answer.flags == 0, "reserved flags are set");
    Ok(())
}

fn authentication(w: &mut World) -> Result<(), Stop> {
    let connect = ConnectBytes {
        properties: wire::text(0x15, b"NO-SUCH-METHOD"),
        ..w.connect("auth")
    };
    let mut connection = w.open()?;
    connection.send(&connect.bytes());
    let packets = connection.until_closed()?;
    let refusal = packets.first();
    let kept = refusal.is_none_or(|p| p.kind == CONNACK && matches!(p.code, 0x8C | 0x87));
    w.check(["4.12.0-1", ""], kept, describe(&packets));
    let absent = refusal.is_none_or(|packet| packet.session_present == 0);
    w.check(["3.2.2-6", ""], absent, "Session Present in a refusal");
    let only = packets.len() <= 1;
    w.check(["3.2.2-7 3.14.0-1 4.13.2-1", ""], only, describe(&packets));
    Ok(())
}

fn not_asked_for(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("alias");
    let (mut connection, connack) = w.begin(&w.connect("modest"))?;
    let information = connack.bytes(0x1A).is_none();
    w.check(["3.1.2-28", ""], information, "Response Information");
    w.check(
        ["4.12.0-6", ""],
        connack.bytes(0x15).is_none(),
        "an Authentication Method",
    );
    w.subscribe(&mut connection, &topic, 0)?;
    for _ in 0..3 {
        connection.send(&w.message(0, &topic, 0, "x"));
        let message = connection.expect(PUBLISH)?;
        w.check(
            ["3.1.2-27", ""],
            message.number(0x23).is_none(),
            "a Topic Alias",
        );
    }
    let seen = w.fence(&mut connection)?;
    let again = seen
        .iter()
        .any(|packet| matches!(packet.kind, CONNACK | wire::AUTH));
    w.check(["3.2.0-2 4.12.0-6", ""], !again, describe(&seen));
    Ok(())
}

fn bad_disconnect(w: &mut World) -> Result<(), Stop> {
    let (mut watcher, mut doomed, _) = with_will(w, 0, &[])?;
    doomed.send(&wire::packet(DISCONNECT, 1, &[]));
    let closed = doomed.is_closed();
    w.check(
        ["3.14.1-1"; 2],
        closed,
        "open after a DISCONNECT with flags 1",
    );
    // A packet that is no DISCONNECT does not call the Will off.
    let will = w.receive(&mut watcher);
    w.check(
        ["3.14.1-1"; 2],
        will.is_ok(),
        "no Will after a malformed DISCONNECT",
    );
    Ok(())
}

fn session_expiry(w: &mut World) -> Result<(), Stop> {
    let connect = ConnectBytes {
        flags: 0,
        properties: Vec::new(),
        ..w.connect("short")
    };
    let mut connection = w.online(&connect)?;
    w.subscribe(&mut connection, &w.name("short"), 1)?;
    connection.send(&w.message(2, &w.name("other"), 3, "x"));
    connection.expect(PUBACK)?;
    connection.send(&wire::disconnect(w.version, 0, &[]));
    connection.until_closed()?;
    let (_, connack) = w.begin(&connect)?;
    let gone = connack.session_present == 0;
    w.check(
        ["4.1.0-2", ""],
        gone,
        "a session with an interval of 0 is still there",
    );
    Ok(())
}
