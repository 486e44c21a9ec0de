//! Text and topics: UTF-8, null characters, wildcards, lengths, shared filters, in both directions.

use super::{Row, World};
use crate::peer::{Stop, describe};
use crate::script::Ids;
use crate::subject::Publish;
use crate::wire::{self, Packet, SUBSCRIBE, UNSUBSCRIBE};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_text_that_is_not_utf8_closes_the_connection",
        ["1.5.4-1", "1.4.0-1 4.8.0-1"],
        |w| refuses(w, ["1.5.4-1", "1.4.0-1 4.8.0-1"], b"a\xED\xA0\x80", &[]),
    ),
    (
        "a_null_character_in_a_topic_is_refused_both_ways",
        ["1.5.4-2 4.7.3-2", "1.4.0-2 4.7.3-2"],
        null_character,
    ),
    (
        "a_byte_order_mark_is_data",
        ["1.5.4-3", "1.4.0-3"],
        byte_order_mark,
    ),
    (
        "both_halves_of_a_user_property_are_utf8",
        ["1.5.7-1", ""],
        user_property,
    ),
    (
        "a_response_topic_is_a_topic_name",
        ["3.3.2-13 3.3.2-14", ""],
        response_topic,
    ),
    ("a_content_type_is_utf8", ["3.3.2-19", ""], content_type),
    (
        "a_topic_name_has_no_wildcard",
        ["3.3.2-2 4.7.0-1", "3.3.2-2 4.7.1-1"],
        wildcards,
    ),
    (
        "a_topic_has_one_to_65535_bytes",
        ["4.7.3-1 4.7.3-3", "4.7.3-1 4.7.3-3"],
        lengths,
    ),
    (
        "wildcards_of_a_filter_stand_where_they_may",
        ["4.7.1-1 4.7.1-2", "4.7.1-2 4.7.1-3"],
        filters,
    ),
    (
        "a_shared_filter_has_a_name_and_a_filter",
        ["4.8.2-1 4.8.2-2", ""],
        shared_filters,
    ),
    (
        "subscribe_and_unsubscribe_are_well_formed",
        [
            "2.1.3-1 2.2.1-3 2.2.1-6 2.2.2-1 3.8.1-1 3.8.3-1 3.8.3-2 3.10.1-1 3.10.3-1 3.10.3-2",
            "2.2.2-1 2.3.1-1 3.8.1-1 3.8.3-1 3.8.3-3 3.10.1-1 3.10.3-1 3.10.3-2",
        ],
        subscriptions,
    ),
];

/// Sends a PUBLISH that breaks a rule: the client must close the connection and deliver nothing.
fn refuses(w: &mut World<'_>, ids: Ids, topic: &[u8], props: &[u8]) -> Result<(), Stop> {
    let mut connection = w.subscribed(w.options(), &[])?;
    connection.send(&wire::publish(w.version, 0, topic, 0, props, b"wrong"));
    let closed = connection.is_closed();
    let seen = format!("open after a PUBLISH of '{}'", topic.escape_ascii());
    w.check(ids, closed, seen);
    Ok(())
}

/// What the client sends when it is asked for this message, up to a valid one.
fn publishes(w: &mut World<'_>, publish: Publish) -> Result<Vec<Packet>, Stop> {
    let mut connection = w.online(w.options(), &[])?;
    w.publish_with(publish)?;
    w.until_marker(&mut connection)
}

fn to(topic: &str) -> Publish {
    Publish {
        topic: topic.to_owned(),
        ..Publish::default()
    }
}

fn null_character(w: &mut World<'_>) -> Result<(), Stop> {
    let ids = ["1.5.4-2 4.7.3-2", "1.4.0-2 4.7.3-2"];
    match publishes(w, to("a\0b")) {
        Ok(sent) => w.check(ids, sent.is_empty(), describe(&sent)),
        Err(Stop::Failed(what)) => w.check(ids, false, what),
        Err(stop) => return Err(stop),
    }
    // 3.1.1 lets a receiver choose whether to close, but not to send.
    if w.is_v5() {
        w.client = w.fresh_client()?;
        refuses(w, ids, b"a\0b", &[])?;
    }
    Ok(())
}

fn byte_order_mark(w: &mut World<'_>) -> Result<(), Stop> {
    let ids = ["1.5.4-3", "1.4.0-3"];
    let mut connection = w.subscribed(w.options(), &[])?;
    w.publish("\u{FEFF}a", 0)?;
    let publish = connection.expect(wire::PUBLISH)?;
    let kept = publish.topic == b"\xEF\xBB\xBFa";
    w.check(ids, kept, "the mark is gone from what is sent");
    connection.send(&wire::publish(w.version, 0, b"\xEF\xBB\xBFb", 0, &[], b"x"));
    let event = w.wait("that a message came", |event| {
        matches!(event, crate::subject::Event::Message { .. })
    })?;
    let kept =
        matches!(event, crate::subject::Event::Message { topic, .. } if topic == "\u{FEFF}b");
    w.check(ids, kept, "the mark is gone from what is received");
    Ok(())
}

fn user_property(w: &mut World<'_>) -> Result<(), Stop> {
    let ids = ["1.5.7-1", ""];
    let sent = publishes(
        w,
        Publish {
            user_properties: vec![("clé".to_owned(), "välue".to_owned())],
            ..to("a")
        },
    )?;
    let pair = ("clé".as_bytes(), "välue".as_bytes());
    let kept = sent
        .first()
        .is_some_and(|publish| publish.pairs() == [pair]);
    w.check(ids, kept, describe(&sent));
    for (name, value) in [(&b"k"[..], &b"\xFF"[..]), (b"\xC0\x80", b"v")] {
        w.client = w.fresh_client()?;
        refuses(w, ids, b"a", &wire::pair(name, value))?;
    }
    Ok(())
}

fn response_topic(w: &mut World<'_>) -> Result<(), Stop> {
    let with = |topic: &str| Publish {
        response_topic: Some(topic.to_owned()),
        ..to("a")
    };
    let sent = publishes(w, with("réply"))?;
    let first = sent.first().and_then(|publish| publish.bytes(0x08));
    let kept = first == Some("réply".as_bytes());
    w.check(["3.3.2-13", ""], kept, describe(&sent));
    w.client = w.fresh_client()?;
    let sent = publishes(w, with("reply/#"))?;
    w.check(["3.3.2-14", ""], sent.is_empty(), describe(&sent));
    Ok(())
}

fn content_type(w: &mut World<'_>) -> Result<(), Stop> {
    let sent = publishes(
        w,
        Publish {
            content_type: Some("té/xt".to_owned()),
            ..to("a")
        },
    )?;
    let first = sent.first().and_then(|publish| publish.bytes(0x03));
    w.check(
        ["3.3.2-19", ""],
        first == Some("té/xt".as_bytes()),
        describe(&sent),
    );
    Ok(())
}

fn wildcards(w: &mut World<'_>) -> Result<(), Stop> {
    let ids = ["3.3.2-2 4.7.0-1", "3.3.2-2 4.7.1-1"];
    let mut connection = w.online(w.options(), &[])?;
    for topic in ["a/+", "#", "a/#/b"] {
        w.publish(topic, 0)?;
    }
    let sent = w.until_marker(&mut connection)?;
    w.check(ids, sent.is_empty(), describe(&sent));
    Ok(())
}

fn lengths(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    w.publish("", 0)?;
    let sent = w.until_marker(&mut connection)?;
    w.check(["4.7.3-1", "4.7.3-1"], sent.is_empty(), describe(&sent));
    w.publish(&"x".repeat(65_536), 0)?;
    let sent = w.until_marker(&mut connection);
    let kept = sent.is_ok_and(|sent| sent.is_empty());
    w.check(
        ["4.7.3-3", "4.7.3-3"],
        kept,
        "a Topic Name of 65,536 bytes is sent",
    );
    w.client = w.fresh_client()?;
    let mut connection = w.subscribed(w.options(), &[])?;
    let longest = vec![b'x'; 65_535];
    connection.send(&wire::publish(w.version, 0, &longest, 0, &[], b"longest"));
    let kept = w.message()? == "longest";
    w.check(
        ["4.7.3-3", "4.7.3-3"],
        kept,
        "a Topic Name of 65,535 bytes is not delivered",
    );
    Ok(())
}

/// None of these filters may leave the client.
fn keeps_back(w: &mut World<'_>, ids: Ids, filters: &[&str]) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    for filter in filters {
        w.subscribe(filter, 0)?;
    }
    let sent = w.until_marker(&mut connection);
    let seen = match &sent {
        Ok(sent) => {
            let filters = sent.iter().flat_map(|packet| &packet.filters);
            let filters: Vec<_> = filters.map(|(f, _)| String::from_utf8_lossy(f)).collect();
            format!("sent: {}", filters.join(", "))
        }
        Err(stop) => format!("{stop:?}"),
    };
    w.check(ids, sent.is_ok_and(|sent| sent.is_empty()), seen);
    Ok(())
}

fn filters(w: &mut World<'_>) -> Result<(), Stop> {
    keeps_back(w, ["4.7.1-1", "4.7.1-2"], &["a/#/b", "a#", "#/a"])?;
    w.client = w.fresh_client()?;
    keeps_back(w, ["4.7.1-2", "4.7.1-3"], &["a+", "a/+b/c", "++"])
}

fn shared_filters(w: &mut World<'_>) -> Result<(), Stop> {
    keeps_back(w, ["4.8.2-1", ""], &["$share//a"])?;
    w.client = w.fresh_client()?;
    keeps_back(
        w,
        ["4.8.2-2", ""],
        &["$share/a+/b", "$share/a#/b", "$share/a/"],
    )
}

fn subscriptions(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let tag = w.subscribe("tøpic/+", 1)?;
    let subscribe = connection.expect(SUBSCRIBE)?;
    let seen = format!("flags {}, id {}", subscribe.flags, subscribe.id);
    let ids = ["2.1.3-1 3.8.1-1", "2.2.2-1 3.8.1-1"];
    w.check(ids, subscribe.flags == 2, &seen);
    w.check(["2.2.1-3", "2.3.1-1"], subscribe.id != 0, &seen);
    let filter = [("tøpic/+".as_bytes().to_vec(), 1)];
    let same = subscribe
        .filters
        .iter()
        .zip(&filter)
        .all(|(a, b)| a.0 == b.0 && a.1 & 3 == b.1);
    let exact = same && subscribe.filters.len() == 1;
    // The strict reader has found a property length, or it would have read the filter wrongly.
    w.check(["3.8.3-1 3.8.3-2 2.2.2-1", "3.8.3-1 3.8.3-3"], exact, &seen);
    if w.is_v5() {
        let other = subscribe.id.wrapping_add(77).max(1);
        connection.send(&wire::suback(w.version, other, &[1]));
        let still_there = w.fence(&mut connection).is_ok();
        let kept = !w.is_done(tag) || !still_there;
        w.check(["2.2.1-6", ""], kept, "a SUBACK of another id counts");
        if !still_there {
            return later_unsubscribe(w);
        }
    }
    connection.send(&wire::suback(w.version, subscribe.id, &[1]));
    w.done(tag)?;
    unsubscribes(w, &mut connection)
}

fn later_unsubscribe(w: &mut World<'_>) -> Result<(), Stop> {
    w.client = w.fresh_client()?;
    let mut connection = w.subscribed(w.options(), &[])?;
    unsubscribes(w, &mut connection)
}

fn unsubscribes(w: &mut World<'_>, connection: &mut crate::peer::Connection) -> Result<(), Stop> {
    w.unsubscribe("tøpic/+")?;
    let unsubscribe = connection.expect(UNSUBSCRIBE)?;
    let seen = format!("flags {}, id {}", unsubscribe.flags, unsubscribe.id);
    w.check(
        ["2.1.3-1 3.10.1-1", "2.2.2-1 3.10.1-1"],
        unsubscribe.flags == 2,
        &seen,
    );
    w.check(["2.2.1-3", "2.3.1-1"], unsubscribe.id != 0, &seen);
    let exact = unsubscribe.filters == [("tøpic/+".as_bytes().to_vec(), 0)];
    w.check(["3.10.3-1 3.10.3-2", "3.10.3-1 3.10.3-2"], exact, &seen);
    Ok(())
}
