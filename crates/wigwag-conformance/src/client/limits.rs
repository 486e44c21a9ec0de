//! Limits of both sides: what the server said in CONNACK, what the client said in CONNECT.

use super::session::with_aliases;
use super::{Row, World};
use crate::peer::{Stop, describe};
use crate::subject::{Command, Publish};
use crate::wire::{self, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBSCRIBE};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "nothing_is_published_above_maximum_qos",
        ["3.2.2-11", ""],
        maximum_qos,
    ),
    (
        "nothing_is_retained_without_retain_available",
        ["3.2.2-14", ""],
        retain,
    ),
    (
        "no_packet_is_larger_than_the_server_accepts",
        ["3.2.2-15", ""],
        packet_size,
    ),
    (
        "acknowledgements_leave_out_what_would_make_them_too_large",
        [
            "3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 3.14.2-3 3.14.2-4",
            "",
        ],
        small_acknowledgements,
    ),
    (
        "aliases_stay_below_the_servers_maximum",
        ["3.2.2-17 3.3.2-8 3.3.2-9", ""],
        aliases_sent,
    ),
    (
        "no_alias_is_sent_without_a_maximum",
        ["3.2.2-18", ""],
        no_aliases_sent,
    ),
    (
        "every_alias_up_to_the_clients_maximum_is_understood",
        ["3.3.2-10", ""],
        aliases_received,
    ),
    (
        "an_alias_does_not_outlive_its_connection",
        ["3.3.2-7", ""],
        alias_over_a_cut,
    ),
    (
        "messages_wait_for_receive_maximum_and_nothing_else_does",
        ["3.3.4-7 3.3.4-8 4.9.0-1 4.9.0-2 4.9.0-3", ""],
        receive_maximum,
    ),
];

fn publish(qos: u8) -> Publish {
    Publish {
        topic: "a".to_owned(),
        qos,
        ..Publish::default()
    }
}

fn maximum_qos(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &wire::number(0x24, 0, 1))?;
    for qos in [1, 2] {
        w.publish_with(publish(qos))?;
    }
    let sent = w.until_marker(&mut connection)?;
    let kept = sent.iter().all(|packet| packet.qos() == 0);
    w.check(["3.2.2-11", ""], kept, describe(&sent));
    Ok(())
}

fn retain(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &wire::number(0x25, 0, 1))?;
    for qos in [0, 1] {
        w.publish_with(Publish {
            retain: true,
            ..publish(qos)
        })?;
    }
    let sent = w.until_marker(&mut connection)?;
    let kept = !sent
        .iter()
        .any(|packet| packet.kind == PUBLISH && packet.retain());
    w.check(["3.2.2-14", ""], kept, "RETAIN 1 is sent");
    Ok(())
}

fn packet_size(w: &mut World<'_>) -> Result<(), Stop> {
    const MAX: u32 = 60;
    let mut connection = w.online(w.options(), &wire::number(0x27, MAX, 4))?;
    w.publish_with(Publish {
        payload: "x".repeat(100),
        ..publish(1)
    })?;
    w.subscribe(&"f".repeat(100), 0)?;
    let sent = w.until_marker(&mut connection)?;
    let kept = sent.iter().all(|packet| packet.size <= MAX as usize);
    w.check(["3.2.2-15", ""], kept, describe(&sent));
    Ok(())
}

fn small_acknowledgements(w: &mut World<'_>) -> Result<(), Stop> {
    const MAX: usize = 20;
    let limit = wire::number(0x27, MAX as u32, 4);
    let mut connection = w.online(w.options(), &limit)?;
    let mut seen = Vec::new();
    connection.send(&wire::publish(w.version, 2, b"a", 1, &[], b""));
    seen.push((connection.expect(PUBACK)?, "3.4.2-2 3.4.2-3"));
    connection.send(&wire::publish(w.version, 4, b"a", 2, &[], b""));
    seen.push((connection.expect(PUBREC)?, "3.5.2-2 3.5.2-3"));
    connection.send(&wire::ack(PUBREL, 2, 0));
    seen.push((connection.expect(PUBCOMP)?, "3.7.2-2 3.7.2-3"));
    w.publish("a", 2)?;
    let id = connection.expect(PUBLISH)?.id;
    connection.send(&wire::ack(PUBREC, id, 0));
    seen.push((connection.expect(PUBREL)?, "3.6.2-2 3.6.2-3"));
    connection.send(&wire::ack(PUBCOMP, id, 0));
    w.client.command(Command::Disconnect)?;
    seen.push((connection.expect(DISCONNECT)?, "3.14.2-3 3.14.2-4"));
    for (packet, ids) in seen {
        let text = format!("{} of {} bytes", packet.name(), packet.size);
        w.check([ids, ""], packet.size <= MAX, text);
    }
    Ok(())
}

fn aliases_sent(w: &mut World<'_>) -> Result<(), Stop> {
    const MAX: u32 = 2;
    let mut connection = w.online(w.options(), &wire::number(0x22, MAX, 2))?;
    let mut names: std::collections::BTreeMap<u32, Vec<u8>> = Default::default();
    let topics = ["a/long/topic", "b/long/topic", "c/long/topic"];
    for topic in topics.into_iter().chain(topics).chain(topics) {
        w.publish(topic, 0)?;
        let publish = connection.expect(PUBLISH)?;
        let alias = publish.number(0x23);
        let allowed = alias.is_none_or(|alias| (1..=MAX).contains(&alias));
        let seen = format!("alias {alias:?} with a maximum of {MAX}");
        w.check(["3.2.2-17 3.3.2-8 3.3.2-9", ""], allowed, seen);
        let named = if publish.topic.is_empty() {
            alias.and_then(|alias| names.get(&alias).cloned())
        } else {
            Some(publish.topic.clone())
        };
        let kept = named.as_deref() == Some(topic.as_bytes());
        w.check(["3.3.2-9", ""], kept, "an alias stands for another topic");
        if let (Some(alias), Some(name)) = (alias, named) {
            names.insert(alias, name);
        }
    }
    Ok(())
}

fn no_aliases_sent(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    for _ in 0..3 {
        w.publish("a", 0)?;
        let publish = connection.expect(PUBLISH)?;
        let kept = publish.number(0x23).is_none() && publish.topic == b"a";
        w.check(["3.2.2-18", ""], kept, "an alias without a maximum");
    }
    Ok(())
}

fn aliases_received(w: &mut World<'_>) -> Result<(), Stop> {
    const MAX: u16 = 10;
    let mut connection = w.subscribed(with_aliases(w.options(), MAX), &[])?;
    for alias in 1..=MAX {
        let topic = format!("topic/{alias}");
        let alias = wire::number(0x23, alias.into(), 2);
        connection.send(&wire::publish(
            w.version,
            0,
            topic.as_bytes(),
            0,
            &alias,
            b"named",
        ));
        w.message()?;
    }
    for alias in 1..=MAX {
        let props = wire::number(0x23, alias.into(), 2);
        connection.send(&wire::publish(w.version, 0, b"", 0, &props, b"alias"));
        let event = w.wait("that a message came", |event| {
            matches!(event, crate::subject::Event::Message { .. })
        })?;
        let wanted = format!("topic/{alias}");
        let kept =
            matches!(&event, crate::subject::Event::Message { topic, .. } if *topic == wanted);
        w.check(["3.3.2-10", ""], kept, format!("{event:?}"));
    }
    Ok(())
}

fn alias_over_a_cut(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.subscribed(with_aliases(w.lasting(), 10), &[])?;
    let alias = wire::number(0x23, 1, 2);
    connection.send(&wire::publish(w.version, 0, b"a", 0, &alias, b"named"));
    w.message()?;
    connection.cut();
    let mut connection = w.welcome(true, &[])?;
    connection.send(&wire::publish(w.version, 0, b"", 0, &alias, b"stale"));
    let closed = connection.is_closed();
    w.check(
        ["3.3.2-7", ""],
        closed,
        "an alias of the last connection is understood",
    );
    Ok(())
}

fn receive_maximum(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &wire::number(0x21, 2, 2))?;
    let tags = [1, 2, 1, 2, 1].map(|qos| w.publish("a", qos));
    let mut under_way = vec![connection.expect(PUBLISH)?, connection.expect(PUBLISH)?];
    let mut sent = under_way.len();
    w.check(["4.9.0-1", ""], true, "");
    w.subscribe("other", 0)?;
    let between = connection.until(|packet| packet.kind == SUBSCRIBE)?;
    let more = between.len() > 1;
    w.check(["3.3.4-7 4.9.0-1 4.9.0-2", ""], !more, describe(&between));
    w.check(["3.3.4-8 4.9.0-3", ""], true, "");
    for _ in 0..tags.len() {
        let Some(publish) = under_way.pop() else {
            return Stop::failed("a message that waited does not follow an acknowledgement");
        };
        if publish.qos() == 1 {
            connection.send(&wire::ack(PUBACK, publish.id, 0));
        } else {
            connection.send(&wire::ack(PUBREC, publish.id, 0));
            let release = connection.expect(PUBREL)?;
            connection.send(&wire::ack(PUBCOMP, release.id, 0));
        }
        // One acknowledgement makes room for exactly one message, as long as there are any.
        if sent < tags.len()
            && let Some(next) = connection.receive()?
        {
            under_way.push(next);
            sent += 1;
        }
        let kept = under_way.len() <= 2;
        w.check(["3.3.4-7 4.9.0-2", ""], kept, describe(&under_way));
    }
    Ok(())
}
