//! What a client has said about itself: sizes, aliases, problem information; and what a refusal stops.

use super::{Row, World};
use crate::peer::{Stop, describe};
use crate::wire::{
    self, CONNACK, ConnectBytes, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK,
    UNSUBACK,
};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "answers_leave_out_what_would_make_them_too_large",
        [
            "3.2.2-19 3.2.2-20 3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 \
             3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.14.2-3 3.14.2-4",
            "",
        ],
        small_answers,
    ),
    (
        "a_disconnect_of_the_broker_is_its_last_packet",
        ["3.14.2-1 3.14.2-2 3.14.4-1 3.14.4-2", ""],
        disconnect,
    ),
    (
        "overlapping_subscriptions_are_all_named",
        ["3.3.4-4 3.3.4-5", ""],
        overlaps,
    ),
    (
        "a_message_that_expired_is_not_delivered",
        ["3.3.2-5", ""],
        expired,
    ),
    (
        "no_problem_information_means_no_reasons_in_words",
        ["3.1.2-29", ""],
        problem_information,
    ),
    (
        "what_follows_a_refused_connect_is_not_acted_upon",
        ["3.1.4-6", "3.1.4-5"],
        after_refusal,
    ),
    (
        "aliases_stay_below_the_clients_maximum",
        ["3.1.2-26 3.3.2-11", ""],
        aliases,
    ),
    (
        "a_null_character_is_not_passed_on",
        ["", "1.4.0-2"],
        null_character,
    ),
    (
        "a_session_lasts_as_long_as_its_connection",
        ["", "4.1.0-2"],
        clean_session,
    ),
];

fn small_answers(w: &mut World) -> Result<(), Stop> {
    const MAX: usize = 60;
    let topic = w.name("small");
    let connect = ConnectBytes {
        properties: wire::number(0x27, MAX as u32, 4),
        ..w.connect("small")
    };
    let (mut connection, connack) = w.begin(&connect)?;
    let mut seen = vec![(connack, "3.2.2-19 3.2.2-20")];
    let filters = [(topic.as_bytes(), 2)];
    connection.send(&wire::subscribe(w.version, 1, &[], &filters));
    seen.push((connection.expect(SUBACK)?, "3.9.2-1 3.9.2-2"));
    connection.send(&wire::unsubscribe(w.version, 2, &[b"nothing"]));
    seen.push((connection.expect(UNSUBACK)?, "3.11.2-1 3.11.2-2"));
    connection.send(&w.message(2, "elsewhere", 3, "x"));
    seen.push((connection.expect(PUBACK)?, "3.4.2-2 3.4.2-3"));
    connection.send(&w.message(4, "elsewhere", 4, "x"));
    seen.push((connection.expect(PUBREC)?, "3.5.2-2 3.5.2-3"));
    connection.send(&wire::ack(PUBREL, 4, 0));
    seen.push((connection.expect(PUBCOMP)?, "3.7.2-2 3.7.2-3"));
    let mut sender = w.client("sender")?;
    sender.send(&w.message(4, &topic, 5, "x"));
    sender.expect(PUBREC)?;
    sender.send(&wire::ack(PUBREL, 5, 0));
    let message = connection.expect(PUBLISH)?;
    connection.send(&wire::ack(PUBREC, message.id, 0));
    seen.push((connection.expect(PUBREL)?, "3.6.2-2 3.6.2-3"));
    connection.send(&wire::ack(PUBCOMP, message.id, 0));
    connection.send(&w.connect("small").bytes());
    let last = connection.until_closed()?;
    w.check(["3.14.2-3 3.14.2-4", ""], true, "");
    seen.extend(last.into_iter().map(|packet| (packet, "3.14.2-3 3.14.2-4")));
    for (packet, ids) in seen {
        let text = format!("{} of {} bytes", packet.name(), packet.size);
        w.check([ids, ""], packet.size <= MAX, text);
    }
    Ok(())
}

fn disconnect(w: &mut World) -> Result<(), Stop> {
    /// The codes that a server may give.
    const LISTED: &[u8] = &[
        0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
        0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    ];
    let mut connection = w.client("wrong")?;
    connection.send(&wire::publish(w.version, 0, b"a/#", 0, &[], b"x"));
    let packets = connection.until_closed()?;
    let Some(index) = packets.iter().position(|packet| packet.kind == DISCONNECT) else {
        return Err(Stop::Unsupported("it closes without a word".to_owned()));
    };
    let said = &packets[index];
    w.check(
        ["3.14.2-1", ""],
        LISTED.contains(&said.code),
        said.describe(),
    );
    let interval = said.number(0x11).is_none();
    w.check(["3.14.2-2", ""], interval, "a Session Expiry Interval");
    w.check(
        ["3.14.4-1", ""],
        index + 1 == packets.len(),
        describe(&packets),
    );
    w.check(["3.14.4-2", ""], true, "");
    Ok(())
}

fn overlaps(w: &mut World) -> Result<(), Stop> {
    let root = w.name("overlap");
    let mut connection = w.client("both")?;
    for (identifier, filter) in [(1, format!("{root}/+")), (2, format!("{root}/a"))] {
        let props = [0x0B, identifier];
        connection.send(&wire::subscribe(
            w.version,
            1,
            &props,
            &[(filter.as_bytes(), 0)],
        ));
        connection.expect(SUBACK)?;
    }
    connection.send(&w.message(0, &format!("{root}/a"), 0, "x"));
    let copies = w.fence(&mut connection)?;
    let mut identifiers: Vec<Vec<u32>> = copies.iter().map(|copy| copy.numbers(0x0B)).collect();
    let seen = format!("{identifiers:?}");
    for named in &mut identifiers {
        named.sort_unstable();
    }
    identifiers.sort_unstable();
    if copies.len() == 1 {
        w.check(["3.3.4-4", ""], identifiers == [[1, 2]], seen);
        Err(Stop::Unsupported(
            "it sends one copy for all subscriptions".to_owned(),
        ))
    } else {
        w.check(["3.3.4-5", ""], identifiers == [[1], [2]], seen);
        Err(Stop::Unsupported(
            "it sends a copy for each subscription".to_owned(),
        ))
    }
}

fn expired(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("expired");
    let lasting = w.lasting("away");
    let mut away = w.online(&lasting)?;
    w.subscribe(&mut away, &topic, 1)?;
    // It is away once the broker has closed the connection.
    away.send(&wire::packet(DISCONNECT, 0, &[]));
    away.until_closed()?;
    let mut sender = w.client("sender")?;
    let expiry = wire::number(0x02, 1, 4);
    sender.send(&wire::publish(
        w.version,
        2,
        topic.as_bytes(),
        1,
        &expiry,
        b"short",
    ));
    sender.expect(PUBACK)?;
    w.publish(&mut sender, false, &topic, "long")?;
    // The lifetime passes while nobody is there.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let mut back = w.online(&lasting)?;
    let message = back.expect(PUBLISH)?;
    w.check(
        ["3.3.2-5", ""],
        message.payload == b"long",
        "an expired message is delivered",
    );
    Ok(())
}

fn problem_information(w: &mut World) -> Result<(), Stop> {
    let connect = ConnectBytes {
        properties: wire::number(0x17, 0, 1),
        ..w.connect("terse")
    };
    let mut connection = w.online(&connect)?;
    connection.send(&wire::subscribe(
        w.version,
        1,
        &[],
        &[(b"$share/g/terse", 0)],
    ));
    connection.send(&wire::unsubscribe(w.version, 2, &[b"nothing"]));
    connection.send(&w.message(2, "elsewhere", 3, "x"));
    connection.send(&wire::ack(PUBREL, 999, 0));
    let answers = w.fence(&mut connection)?;
    let terse = answers.iter().all(|packet| packet.properties.is_empty());
    w.check(["3.1.2-29", ""], terse, format!("{answers:?}"));
    Ok(())
}

fn after_refusal(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("refused");
    let mut watcher = w.subscriber("watcher", &topic, 0)?;
    let connect = if w.is_v5() {
        ConnectBytes {
            properties: wire::text(0x15, b"NO-SUCH-METHOD"),
            ..w.connect("refused")
        }
    } else {
        ConnectBytes {
            flags: 0,
            ..ConnectBytes::new(w.version, "")
        }
    };
    let mut connection = w.open()?;
    connection.send(&[connect.bytes(), w.message(0, &topic, 0, "x")].concat());
    let answers = connection.until_closed()?;
    let only = answers
        .iter()
        .all(|packet| packet.kind == CONNACK && packet.code != 0);
    w.check(["3.1.4-6", "3.1.4-5"], only, describe(&answers));
    let seen = w.fence(&mut watcher)?;
    w.check(["3.1.4-6", "3.1.4-5"], seen.is_empty(), describe(&seen));
    Ok(())
}

fn aliases(w: &mut World) -> Result<(), Stop> {
    const MAX: u32 = 2;
    let root = w.name("alias");
    let connect = ConnectBytes {
        properties: wire::number(0x22, MAX, 2),
        ..w.connect("both")
    };
    let mut connection = w.online(&connect)?;
    w.subscribe(&mut connection, &format!("{root}/#"), 0)?;
    for name in ["a", "b", "c", "a", "b", "c"] {
        connection.send(&w.message(0, &format!("{root}/{name}"), 0, "x"));
        let message = connection.expect(PUBLISH)?;
        let alias = message.number(0x23);
        let kept = alias.is_none_or(|alias| (1..=MAX).contains(&alias));
        w.check(
            ["3.1.2-26 3.3.2-11", ""],
            kept,
            format!("alias {alias:?}, maximum {MAX}"),
        );
    }
    Ok(())
}

fn null_character(w: &mut World) -> Result<(), Stop> {
    let root = w.name("null");
    let mut watcher = w.subscriber("watcher", &format!("{root}/#"), 0)?;
    let mut wrong = w.client("wrong")?;
    wrong.send(&w.message(0, &format!("{root}/a\0b"), 0, "x"));
    // It may close the connection, or go on without the message.
    let _ = w.fence(&mut wrong);
    w.publish(
        &mut w.client("sender")?,
        false,
        &format!("{root}/end"),
        "end",
    )?;
    // The strict reader takes no text with a null character.
    let seen = watcher.until(|packet| packet.payload == b"end");
    w.check(
        ["", "1.4.0-2"],
        seen.is_ok_and(|seen| seen.len() == 1),
        "it is passed on",
    );
    Ok(())
}

fn clean_session(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("clean");
    let mut connection = w.subscriber("clean", &topic, 1)?;
    w.fence(&mut connection)?;
    w.publish(&mut w.client("sender")?, false, &topic, "x")?;
    let message = w.receive(&mut connection)?;
    w.check(["", "4.1.0-2"], message.payload == b"x", message.describe());
    Ok(())
}
