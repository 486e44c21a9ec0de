//! Messages through a broker: retained ones, properties, matching, order.

use super::{Row, World};
use crate::peer::{Connection, Stop, describe};
use crate::wire::{self, ConnectBytes, PUBLISH, Packet, SUBACK};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_retained_message_is_kept_replaced_and_removed",
        [
            "3.3.1-5 3.3.1-6 3.3.1-7 3.3.1-8",
            "3.1.2-7 3.3.1-5 3.3.1-6 3.3.1-7 3.3.1-8 3.3.1-9 3.3.1-10 3.3.1-11 3.3.1-12",
        ],
        retained,
    ),
    (
        "retain_handling_is_followed",
        ["3.3.1-9 3.3.1-10 3.3.1-11", ""],
        retain_handling,
    ),
    (
        "retain_as_published_is_followed",
        ["3.3.1-12 3.3.1-13", ""],
        retain_as_published,
    ),
    (
        "properties_arrive_as_they_were_sent",
        ["3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20", ""],
        properties,
    ),
    ("the_lifetime_is_handed_on", ["3.3.2-6", ""], lifetime),
    (
        "topics_match_their_filters",
        ["3.3.2-3 4.7.2-1", "3.3.2-3 4.7.2-1"],
        matching,
    ),
    ("messages_stay_in_order", ["4.6.0-5 4.6.0-6"; 2], order),
    (
        "every_alias_up_to_the_brokers_maximum_is_understood",
        ["3.3.2-12", ""],
        aliases,
    ),
    (
        "an_alias_does_not_outlive_its_connection",
        ["3.3.2-7", ""],
        alias_over_connections,
    ),
    (
        "a_message_too_large_for_a_client_is_left_out",
        ["3.1.2-24 3.1.2-25", ""],
        packet_size,
    ),
    (
        "subscription_identifiers_come_with_the_message",
        ["3.3.4-3", ""],
        identifiers,
    ),
    ("dup_is_not_passed_on", ["3.3.1-3"; 2], dup_is_own),
];

/// What a new subscription brings.
fn late(w: &World, topic: &str, options: u8) -> Result<Vec<Packet>, Stop> {
    let mut connection = w.subscriber("late", topic, options)?;
    w.fence(&mut connection)
}

fn retained(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("retained/");
    let mut sender = w.client("sender")?;
    let mut live = w.subscriber("live", &topic, 1)?;
    for payload in ["old", "kept"] {
        w.publish(&mut sender, true, &topic, payload)?;
    }
    w.publish(&mut sender, false, &topic, "passing")?;
    for _ in 0..3 {
        let message = w.receive(&mut live)?;
        w.check(["", "3.3.1-9"], !message.retain(), message.describe());
    }
    let got = late(w, &topic, 1)?;
    let payloads: Vec<_> = got
        .iter()
        .map(|message| message.payload.as_slice())
        .collect();
    let ids = ["3.3.1-5 3.3.1-8", "3.3.1-5 3.3.1-6 3.3.1-12"];
    w.check(ids, payloads == [b"kept"], describe(&got));
    let marked = got.iter().all(Packet::retain) && got.iter().all(|message| message.qos() == 1);
    w.check(["", "3.3.1-8 3.3.1-5"], marked, describe(&got));
    sender.cut();
    let again = late(w, &topic, 1)?;
    w.check(["", "3.1.2-7"], again.len() == 1, describe(&again));
    let mut sender = w.client("sender")?;
    sender.send(&w.message(1, &topic, 0, "at QoS 0"));
    w.fence(&mut sender)?;
    let got = late(w, &topic, 1)?;
    let dropped = got.iter().all(|message| message.payload == b"at QoS 0");
    w.check(["", "3.3.1-7"], dropped, describe(&got));
    w.publish(&mut sender, true, &topic, "")?;
    let got = late(w, &topic, 1)?;
    let ids = ["3.3.1-6 3.3.1-7", "3.3.1-10 3.3.1-11"];
    w.check(ids, got.is_empty(), describe(&got));
    Ok(())
}

fn retain_handling(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("handling/");
    let mut connection = w.client("sender")?;
    w.publish(&mut connection, true, &topic, "kept")?;
    for (options, expected, id) in [
        (0x20, 0, "3.3.1-11"),
        (0x10, 0, "3.3.1-10"),
        (0x00, 1, "3.3.1-9"),
    ] {
        connection.send(&wire::subscribe(
            w.version,
            9,
            &[],
            &[(topic.as_bytes(), options)],
        ));
        let mut seen = w.fence(&mut connection)?;
        seen.retain(|packet| packet.kind == PUBLISH);
        w.check(
            [id, ""],
            seen.len() == expected,
            format!("options {options:#x}: {}", describe(&seen)),
        );
    }
    let seen = late(w, &topic, 0x10)?;
    w.check(
        ["3.3.1-10", ""],
        seen.len() == 1,
        "nothing for a new subscription",
    );
    w.publish(&mut connection, true, &topic, "")
}

fn retain_as_published(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("published/");
    let mut plain = w.subscriber("plain", &topic, 0)?;
    let mut exact = w.subscriber("exact", &topic, 0x08)?;
    let mut sender = w.client("sender")?;
    for retain in [true, false] {
        w.publish(&mut sender, retain, &topic, "x")?;
        let message = w.receive(&mut plain)?;
        w.check(["3.3.1-12", ""], !message.retain(), "RETAIN 1 is passed on");
        let message = w.receive(&mut exact)?;
        w.check(
            ["3.3.1-13", ""],
            message.retain() == retain,
            "another RETAIN",
        );
    }
    w.publish(&mut sender, true, &topic, "")
}

fn properties(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("properties");
    let mut connection = w.subscriber("both", &topic, 0)?;
    let props = [
        wire::number(0x01, 1, 1),
        wire::text(0x08, b"reply/here"),
        wire::text(0x09, &[0, 1, 255]),
        wire::pair(b"b", b"1"),
        wire::pair(b"a", b"2"),
        wire::pair(b"b", b"3"),
        wire::text(0x03, b"text/plain"),
    ];
    connection.send(&wire::publish(
        w.version,
        0,
        topic.as_bytes(),
        0,
        &props.concat(),
        b"x",
    ));
    let message = connection.expect(PUBLISH)?;
    let seen = format!("{:?}", message.properties);
    w.check(["3.3.2-4", ""], message.number(1) == Some(1), &seen);
    w.check(
        ["3.3.2-15", ""],
        message.bytes(8) == Some(b"reply/here"),
        &seen,
    );
    w.check(
        ["3.3.2-16", ""],
        message.bytes(9) == Some(&[0, 1, 255]),
        &seen,
    );
    w.check(
        ["3.3.2-20", ""],
        message.bytes(3) == Some(b"text/plain"),
        &seen,
    );
    let pairs = [(&b"b"[..], &b"1"[..]), (b"a", b"2"), (b"b", b"3")];
    w.check(["3.3.2-17 3.3.2-18", ""], message.pairs() == pairs, &seen);
    Ok(())
}

fn lifetime(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("lifetime");
    let mut connection = w.subscriber("both", &topic, 0)?;
    let expiry = wire::number(0x02, 100, 4);
    connection.send(&wire::publish(
        w.version,
        0,
        topic.as_bytes(),
        0,
        &expiry,
        b"x",
    ));
    let message = connection.expect(PUBLISH)?;
    let left = message.number(0x02);
    let kept = left.is_some_and(|left| (90..=100).contains(&left));
    w.check(["3.3.2-6", ""], kept, format!("{left:?} of 100 s at once"));
    Ok(())
}

fn matching(w: &mut World) -> Result<(), Stop> {
    let root = w.name("match");
    let mut connection = w.client("both")?;
    let filters = ["#".to_owned(), format!("+/{root}")];
    for filter in filters {
        w.subscribe(&mut connection, &filter, 0)?;
    }
    connection.send(&w.message(0, &format!("$hidden/{root}"), 0, "hidden"));
    connection.send(&w.message(0, &format!("open/{root}"), 0, "open"));
    let seen = connection.until(|packet| packet.payload == b"open")?;
    let hidden = seen.iter().any(|packet| packet.payload == b"hidden");
    w.check(
        ["4.7.2-1"; 2],
        !hidden,
        "a leading wildcard matches a topic that begins with $",
    );
    let mut exact = w.subscriber("exact", &format!("{root}/+/c"), 0)?;
    for topic in ["a", "b/c/d", "b", "x/c"] {
        exact.send(&w.message(0, &format!("{root}/{topic}"), 0, topic));
    }
    let seen = w.fence(&mut exact)?;
    let payloads: Vec<_> = seen
        .iter()
        .map(|packet| packet.payload.as_slice())
        .collect();
    w.check(["3.3.2-3"; 2], payloads == [b"x/c"], describe(&seen));
    Ok(())
}

fn order(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("order");
    for qos in [0, 1, 2] {
        let mut receiver = w.subscriber("receiver", &topic, qos)?;
        let mut sender = w.client("sender")?;
        for number in 1..=10_u16 {
            let id = if qos == 0 { 0 } else { number };
            sender.send(&w.message(qos << 1, &topic, id, &number.to_string()));
            if qos == 2 {
                sender.expect(wire::PUBREC)?;
                sender.send(&wire::ack(wire::PUBREL, id, 0));
            }
        }
        let mut seen = Vec::new();
        while seen.len() < 10 {
            // At QoS 2 the releases come between the messages.
            let Some(packet) = receiver.receive()? else {
                return Stop::failed("the connection was closed");
            };
            match (packet.kind, packet.qos()) {
                (PUBLISH, 1) => receiver.send(&wire::ack(wire::PUBACK, packet.id, 0)),
                (PUBLISH, 2) => receiver.send(&wire::ack(wire::PUBREC, packet.id, 0)),
                (wire::PUBREL, _) => receiver.send(&wire::ack(wire::PUBCOMP, packet.id, 0)),
                _ => {}
            }
            if packet.kind == PUBLISH {
                seen.push(String::from_utf8_lossy(&packet.payload).into_owned());
            }
        }
        let sent: Vec<_> = (1..=10).map(|number| number.to_string()).collect();
        w.check(
            ["4.6.0-5 4.6.0-6"; 2],
            seen == sent,
            format!("QoS {qos}: {seen:?}"),
        );
    }
    Ok(())
}

fn aliases(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("alias");
    let (mut connection, connack) = w.begin(&w.connect("both"))?;
    let maximum = connack.number(0x22).unwrap_or(0);
    if maximum == 0 {
        return Err(Stop::Unsupported("it takes no aliases".to_owned()));
    }
    w.subscribe(&mut connection, &format!("{topic}/#"), 0)?;
    for alias in [1, maximum] {
        let named = format!("{topic}/{alias}");
        let props = wire::number(0x23, alias, 2);
        for name in [named.as_bytes(), b""] {
            connection.send(&wire::publish(w.version, 0, name, 0, &props, b"x"));
            let message = connection.expect(PUBLISH)?;
            let kept = message.topic == named.as_bytes();
            w.check(["3.3.2-12", ""], kept, message.describe());
        }
    }
    Ok(())
}

fn alias_over_connections(w: &mut World) -> Result<(), Stop> {
    let lasting = w.lasting("alias");
    let props = wire::number(0x23, 1, 2);
    let mut connection = w.online(&lasting)?;
    connection.send(&wire::publish(w.version, 0, b"a", 0, &props, b"x"));
    w.fence(&mut connection)?;
    connection.cut();
    let mut connection = w.online(&lasting)?;
    connection.send(&wire::publish(w.version, 0, b"", 0, &props, b"x"));
    let closed = connection.is_closed();
    w.check(
        ["3.3.2-7", ""],
        closed,
        "an alias of the last connection is understood",
    );
    Ok(())
}

fn packet_size(w: &mut World) -> Result<(), Stop> {
    const MAX: u32 = 100;
    let topic = w.name("size");
    let connect = ConnectBytes {
        properties: wire::number(0x27, MAX, 4),
        ..w.connect("small")
    };
    let mut small = w.online(&connect)?;
    w.subscribe(&mut small, &topic, 1)?;
    let mut sender = w.client("sender")?;
    w.publish(&mut sender, false, &topic, &"x".repeat(200))?;
    w.publish(&mut sender, false, &topic, "fits")?;
    let message = w.receive(&mut small)?;
    let seen = format!("{} bytes", message.size);
    w.check(["3.1.2-24", ""], message.size <= MAX as usize, &seen);
    w.check(["3.1.2-25", ""], message.payload == b"fits", &seen);
    Ok(())
}

fn identifiers(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("identified");
    let (mut connection, connack) = w.begin(&w.connect("both"))?;
    if connack.number(0x29) == Some(0) {
        return Err(Stop::Unsupported(
            "it offers no Subscription Identifiers".to_owned(),
        ));
    }
    let identifier = [vec![0x0B], wire::var_int(4711)].concat();
    let filter = [(topic.as_bytes(), 0)];
    connection.send(&wire::subscribe(w.version, 1, &identifier, &filter));
    connection.expect(SUBACK)?;
    connection.send(&w.message(0, &topic, 0, "x"));
    let message = connection.expect(PUBLISH)?;
    w.check(
        ["3.3.4-3", ""],
        message.number(0x0B) == Some(4711),
        format!("{:?}", message.properties),
    );
    Ok(())
}

fn dup_is_own(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("dup");
    let mut receiver = w.subscriber("receiver", &topic, 1)?;
    let mut sender: Connection = w.client("sender")?;
    sender.send(&w.message(0x0A, &topic, 5, "x"));
    sender.expect(wire::PUBACK)?;
    let message = w.receive(&mut receiver)?;
    w.check(["3.3.1-3"; 2], !message.dup(), "DUP 1 is passed on");
    Ok(())
}
