//! Messages that come from the server: acknowledgements, their order, repeats, wrong packets.

use super::{Row, World};
use crate::peer::{Connection, Stop, describe};
use crate::wire::{self, PUBACK, PUBCOMP, PUBREC, PUBREL};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_message_of_qos_1_is_acknowledged_and_its_identifier_is_free_again",
        [
            "2.2.1-5 3.3.4-1 3.4.2-1 4.3.2-4 4.3.2-5",
            "2.3.1-6 3.3.4-1 4.3.2-2",
        ],
        qos_1,
    ),
    (
        "a_message_of_qos_2_is_delivered_once",
        [
            "2.2.1-5 3.3.4-1 3.5.2-1 3.7.2-1 4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12",
            "2.3.1-6 3.3.4-1 4.3.3-2",
        ],
        qos_2,
    ),
    (
        "a_refused_identifier_stands_for_another_message",
        ["4.3.3-9", ""],
        refused,
    ),
    (
        "a_message_that_expires_is_acknowledged_to_the_end",
        ["4.3.3-13", ""],
        expired,
    ),
    (
        "messages_without_a_subscription_are_acknowledged",
        ["4.5.0-2", "4.5.0-2"],
        unwanted,
    ),
    (
        "acknowledgements_leave_in_the_order_of_arrival",
        ["4.6.0-2 4.6.0-3", "4.6.0-2 4.6.0-3"],
        order,
    ),
    (
        "packets_are_found_at_any_split",
        ["3.3.4-1", "3.3.4-1"],
        split,
    ),
    ("qos_3_closes_the_connection", ["3.3.1-4", "3.3.1-4"], |w| {
        closes(w, ["3.3.1-4", "3.3.1-4"], |w| {
            wire::publish(w.version, 6, b"a", 1, &[], b"")
        })
    }),
    (
        "a_pubrel_with_wrong_flags_closes_the_connection",
        ["3.6.1-1", "3.6.1-1 2.2.2-2"],
        |w| {
            closes(w, ["3.6.1-1", "3.6.1-1 2.2.2-2"], |_| {
                wire::packet(PUBREL, 0, &[0, 1])
            })
        },
    ),
    (
        "a_pingresp_with_reserved_flags_closes_the_connection",
        ["2.1.3-1", "2.2.2-1 2.2.2-2 4.8.0-1"],
        |w| {
            closes(w, ["2.1.3-1", "2.2.2-1 2.2.2-2 4.8.0-1"], |_| {
                wire::packet(wire::PINGRESP, 1, &[])
            })
        },
    ),
];

fn closes(
    w: &mut World<'_>,
    ids: crate::script::Ids,
    bytes: fn(&World<'_>) -> Vec<u8>,
) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let bytes = bytes(w);
    connection.send(&bytes);
    let closed = connection.is_closed();
    w.check(ids, closed, format!("open after {bytes:02X?}"));
    Ok(())
}

fn send(w: &World<'_>, connection: &mut Connection, qos: u8, dup: bool, id: u16, payload: &str) {
    let flags = qos << 1 | u8::from(dup) << 3;
    connection.send(&wire::publish(
        w.version,
        flags,
        b"a",
        id,
        &[],
        payload.as_bytes(),
    ));
}

fn qos_1(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.subscribed(w.options(), &[])?;
    for payload in ["first", "second"] {
        send(w, &mut connection, 1, false, 7, payload);
        let ack = connection.expect(PUBACK)?;
        let ids = ["2.2.1-5 3.3.4-1 4.3.2-4", "2.3.1-6 3.3.4-1 4.3.2-2"];
        w.check(ids, ack.id == 7, ack.describe());
        w.check(
            ["3.4.2-1", ""],
            matches!(ack.code, 0 | 0x10),
            ack.describe(),
        );
        let message = w.message()?;
        w.check(
            ["4.3.2-5", "4.3.2-2"],
            message == payload,
            format!("'{message}' is delivered"),
        );
    }
    Ok(())
}

fn qos_2(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.subscribed(w.options(), &[])?;
    for payload in ["first", "second"] {
        // MQTT 5 allows repeats on another connection only: see the scripts of sessions.
        let repeats: &[bool] = if w.is_v5() {
            &[false]
        } else {
            &[false, true, true]
        };
        for dup in repeats.iter().copied() {
            send(w, &mut connection, 2, dup, 9, payload);
            let ack = connection.expect(PUBREC)?;
            let ids = ["2.2.1-5 3.3.4-1 4.3.3-8", "2.3.1-6 3.3.4-1 4.3.3-2"];
            w.check(ids, ack.id == 9, ack.describe());
            w.check(
                ["3.5.2-1", ""],
                matches!(ack.code, 0 | 0x10),
                ack.describe(),
            );
        }
        connection.send(&wire::ack(PUBREL, 9, 0));
        let ack = connection.expect(PUBCOMP)?;
        let ids = ["2.2.1-5 4.3.3-11", "2.3.1-6 4.3.3-2"];
        w.check(ids, ack.id == 9, ack.describe());
        w.check(["3.7.2-1", ""], ack.code == 0, ack.describe());
        let message = w.message()?;
        let ids = ["4.3.3-10 4.3.3-12", "4.3.3-2"];
        w.check(ids, message == payload, format!("'{message}' is delivered"));
    }
    send(w, &mut connection, 1, false, 10, "last");
    let message = w.message()?;
    let seen = format!("'{message}' is delivered again");
    w.check(["4.3.3-10", "4.3.3-2"], message == "last", seen);
    Ok(())
}

fn refused(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let tag = w.subscribe_and("#", 2, true)?;
    let subscribe = match connection.expect(wire::SUBSCRIBE) {
        Ok(subscribe) => subscribe,
        Err(stop) => return Err(w.unsupported().unwrap_or(stop)),
    };
    connection.send(&wire::suback(w.version, subscribe.id, &[2]));
    w.done(tag)?;
    for payload in ["first", "second"] {
        send(w, &mut connection, 2, false, 9, payload);
        let ack = connection.expect(PUBREC)?;
        w.check(["4.3.3-9", ""], ack.code >= 0x80, ack.describe());
        let message = w.message()?;
        let seen = format!("'{message}' is delivered");
        w.check(["4.3.3-9", ""], message == payload, seen);
    }
    Ok(())
}

fn expired(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.subscribed(w.options(), &[])?;
    let expiry = wire::number(0x02, 1, 4);
    connection.send(&wire::publish(w.version, 4, b"a", 3, &expiry, b"short"));
    connection.expect(PUBREC)?;
    // The message runs out between the two halves of its acknowledgement.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    connection.send(&wire::ack(PUBREL, 3, 0));
    let ack = connection.expect(PUBCOMP)?;
    w.check(["4.3.3-13", ""], ack.id == 3, ack.describe());
    Ok(())
}

fn unwanted(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    send(w, &mut connection, 1, false, 1, "x");
    send(w, &mut connection, 2, false, 2, "y");
    let acks = [connection.expect(PUBACK)?, connection.expect(PUBREC)?];
    let kept = acks.each_ref().map(|ack| ack.id) == [1, 2];
    w.check(["4.5.0-2", "4.5.0-2"], kept, describe(&acks));
    Ok(())
}

fn order(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.subscribed(w.options(), &[])?;
    for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
        let sent = [31, 12, 23, 4, 45];
        for id in sent {
            send(w, &mut connection, qos, false, id, "x");
        }
        let mut acks = Vec::new();
        for _ in sent {
            acks.push(connection.expect(kind)?.id);
        }
        let seen = format!("sent {sent:?}, acknowledged {acks:?}");
        let ids = if qos == 1 {
            ["4.6.0-2"; 2]
        } else {
            ["4.6.0-3"; 2]
        };
        w.check(ids, acks == sent, seen);
    }
    Ok(())
}

fn split(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.subscribed(w.options(), &[])?;
    let one = wire::publish(w.version, 2, b"a", 1, &[], b"split");
    let two = wire::publish(w.version, 2, b"a", 2, &[], b"joined");
    connection.send_split(&one);
    connection.send(
        &[
            two.as_slice(),
            &wire::publish(w.version, 2, b"a", 3, &[], b"x"),
        ]
        .concat(),
    );
    let acks = [(); 3].map(|()| connection.expect(PUBACK).map(|ack| ack.id));
    let kept = acks == [Ok(1), Ok(2), Ok(3)];
    w.check(["3.3.4-1", "3.3.4-1"], kept, format!("{acks:?}"));
    Ok(())
}
