//! Messages on their way to the server, at each QoS, on one connection.

use super::{Row, World};
use crate::peer::{Stop, describe};
use crate::subject::Publish;
use crate::wire::{self, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_message_of_qos_0_has_no_identifier_and_no_dup",
        [
            "1.5.5-1 2.2.1-2 2.2.2-1 3.3.1-2 3.3.1-4 3.3.2-1 3.3.4-6 4.3.1-1",
            "2.3.1-5 3.3.1-2 3.3.1-4 3.3.2-1 4.3.1-1",
        ],
        qos_0,
    ),
    (
        "a_message_of_qos_1_has_an_unused_identifier_until_puback",
        ["2.2.1-3 4.3.2-1 4.3.2-2 4.3.2-3", "2.3.1-1 2.3.1-2 4.3.2-1"],
        qos_1,
    ),
    (
        "a_message_of_qos_2_is_released_once_received",
        [
            "2.2.1-3 2.2.1-5 3.6.1-1 3.6.2-1 4.3.3-1 4.3.3-2 4.3.3-3 4.3.3-4 4.3.3-5",
            "2.3.1-1 2.3.1-2 2.3.1-6 3.6.1-1 4.3.3-1",
        ],
        qos_2,
    ),
    (
        "pubrels_leave_in_the_order_of_the_pubrecs",
        ["4.6.0-4", "4.6.0-4"],
        pubrel_order,
    ),
    (
        "nothing_is_sent_again_on_a_connection_that_lasts",
        ["4.4.0-1", ""],
        no_repeats,
    ),
];

fn qos_0(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    w.publish_with(Publish {
        topic: "tøpic".to_owned(),
        payload: "x".repeat(200),
        ..Publish::default()
    })?;
    let publish = connection.expect(PUBLISH)?;
    let seen = format!("{}, {} bytes", publish.describe(), publish.size);
    let short = publish.length_bytes == publish.length_bytes_needed;
    w.check(
        ["1.5.5-1", ""],
        short,
        "the Remaining Length is not the shortest",
    );
    let whole = publish.topic == "tøpic".as_bytes() && publish.payload == [b'x'; 200];
    w.check(["2.2.1-2 2.2.2-1 3.3.2-1", "2.3.1-5 3.3.2-1"], whole, &seen);
    w.check(["3.3.1-2", "3.3.1-2"], !publish.dup(), &seen);
    w.check(
        ["3.3.1-4 4.3.1-1", "3.3.1-4 4.3.1-1"],
        publish.flags & 14 == 0,
        &seen,
    );
    w.check(
        ["3.3.4-6", ""],
        publish.number(0x0B).is_none(),
        "a Subscription Identifier",
    );
    Ok(())
}

fn qos_1(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let mut tags = Vec::new();
    let mut ids = Vec::new();
    for topic in ["a", "b", "c"] {
        tags.push(w.publish(topic, 1)?);
        let publish = connection.expect(PUBLISH)?;
        let new = publish.id != 0 && !ids.contains(&publish.id);
        w.check(
            ["2.2.1-3 4.3.2-1", "2.3.1-1 2.3.1-2 4.3.2-1"],
            new,
            publish.describe(),
        );
        let first = publish.qos() == 1 && !publish.dup();
        w.check(["4.3.2-2", "4.3.2-1"], first, publish.describe());
        ids.push(publish.id);
    }
    w.subscribe("other", 0)?;
    let id = connection.expect(wire::SUBSCRIBE)?.id;
    w.check(
        ["2.2.1-3", "2.3.1-2"],
        !ids.contains(&id),
        "SUBSCRIBE uses the id of a PUBLISH",
    );
    w.fence(&mut connection)?;
    for (tag, id) in tags.into_iter().zip(ids) {
        let early = w.is_done(tag);
        w.check(["4.3.2-3", "4.3.2-1"], !early, "finished before PUBACK");
        connection.send(&wire::ack(PUBACK, id, 0));
        let ok = w.done(tag)?;
        w.check(["4.3.2-3", "4.3.2-1"], ok, "not finished by PUBACK");
    }
    Ok(())
}

fn qos_2(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let tag = w.publish("a", 2)?;
    let publish = connection.expect(PUBLISH)?;
    let seen = publish.describe();
    w.check(
        ["2.2.1-3 4.3.3-1", "2.3.1-1 2.3.1-2 4.3.3-1"],
        publish.id != 0,
        &seen,
    );
    let first = publish.qos() == 2 && !publish.dup();
    w.check(["4.3.3-2", "4.3.3-1"], first, &seen);
    let other = w.publish("b", 2)?;
    let second = connection.expect(PUBLISH)?;
    w.check(
        ["4.3.3-1 4.3.3-3", "4.3.3-1"],
        second.id != publish.id,
        "one id for two messages",
    );
    connection.send(&wire::ack(PUBREC, publish.id, 0));
    let pubrel = connection.expect(PUBREL)?;
    let same = pubrel.id == publish.id;
    w.check(
        ["2.2.1-5 4.3.3-4", "2.3.1-6 4.3.3-1"],
        same,
        pubrel.describe(),
    );
    w.check(
        ["3.6.1-1", "3.6.1-1"],
        pubrel.flags == 2,
        format!("flags {}", pubrel.flags),
    );
    w.check(["3.6.2-1", ""], pubrel.code == 0, pubrel.describe());
    // Not acknowledged before PUBREC, nor before PUBCOMP: the ids are still in use.
    let third_tag = w.publish("c", 2)?;
    let third = connection.expect(PUBLISH)?;
    let unused = ![publish.id, second.id].contains(&third.id);
    w.check(
        ["4.3.3-3 4.3.3-5", "4.3.3-1"],
        unused,
        "an id is used before PUBCOMP",
    );
    for (tag, id) in [(tag, publish.id), (other, second.id), (third_tag, third.id)] {
        if id != publish.id {
            connection.send(&wire::ack(PUBREC, id, 0));
            connection.expect(PUBREL)?;
        }
        connection.send(&wire::ack(PUBCOMP, id, 0));
        let ok = w.done(tag)?;
        w.check(["4.3.3-5", "4.3.3-1"], ok, "not finished by PUBCOMP");
    }
    Ok(())
}

fn pubrel_order(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let mut ids = Vec::new();
    for topic in ["a", "b", "c"] {
        w.publish(topic, 2)?;
        ids.push(connection.expect(PUBLISH)?.id);
    }
    ids.rotate_left(1);
    for id in &ids {
        connection.send(&wire::ack(PUBREC, *id, 0));
    }
    let mut released = Vec::new();
    for _ in &ids {
        released.push(connection.expect(PUBREL)?.id);
    }
    let seen = format!("PUBRECs {ids:?}, PUBRELs {released:?}");
    w.check(["4.6.0-4", "4.6.0-4"], released == ids, seen);
    Ok(())
}

fn no_repeats(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    w.publish("a", 1)?;
    connection.expect(PUBLISH)?;
    let between = w.fence(&mut connection)?;
    w.check(["4.4.0-1", ""], between.is_empty(), describe(&between));
    Ok(())
}
