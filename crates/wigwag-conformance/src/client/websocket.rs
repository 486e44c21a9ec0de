//! A client over WebSocket: the subprotocol it asks for, and frames of every kind and size.

use super::{Row, World};
use crate::peer::{Connection, Stop};
use crate::script::Ids;
use crate::subject::{Event, Options};
use crate::websocket::{self, Headers, TEXT};
use crate::wire::{self, CONNECT, PUBACK, SUBSCRIBE};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "the_subprotocol_mqtt_is_asked_for",
        ["6.0.0-3"; 2],
        subprotocol,
    ),
    (
        "packets_are_found_across_frames",
        ["6.0.0-1 6.0.0-2"; 2],
        frames,
    ),
    (
        "a_text_frame_closes_the_connection",
        ["6.0.0-1"; 2],
        text_frame,
    ),
];

fn begin(w: &mut World<'_>) -> Result<(Connection, Headers), Stop> {
    let options = Options {
        websocket: true,
        ..w.options()
    };
    w.start(options)?;
    w.listener.accept_websocket()
}

/// A connected client with a subscription to everything.
fn subscribed(w: &mut World<'_>) -> Result<Connection, Stop> {
    let (mut connection, _) = begin(w)?;
    connection.expect(CONNECT)?;
    connection.send(&wire::connack(w.version, false, 0, &[]));
    w.wait("that it is connected", |event| *event == Event::Online)?;
    let tag = w.subscribe("#", 2)?;
    let id = connection.expect(SUBSCRIBE)?.id;
    connection.send(&wire::suback(w.version, id, &[2]));
    w.done(tag)?;
    Ok(connection)
}

fn subprotocol(w: &mut World<'_>) -> Result<(), Stop> {
    let (_connection, headers) = begin(w)?;
    let offered = websocket::header(&headers, "sec-websocket-protocol").unwrap_or("nothing");
    let kept = offered.split(',').any(|name| name.trim() == "mqtt");
    w.check(["6.0.0-3"; 2], kept, format!("offered: {offered}"));
    Ok(())
}

fn frames(w: &mut World<'_>) -> Result<(), Stop> {
    let ids: Ids = ["6.0.0-2"; 2];
    let mut connection = subscribed(w)?;
    let packets: Vec<_> = (1..=3)
        .map(|id| wire::publish(w.version, 2, b"a", id, &[], b"x"))
        .collect();
    let bytes = packets.concat();
    // One packet and a half, then the rest.
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    connection.send(head);
    connection.send(tail);
    let mut acks = Vec::new();
    for _ in &packets {
        acks.push(connection.expect(PUBACK)?.id);
    }
    w.check(ids, acks == [1, 2, 3], format!("{acks:?}"));
    let wrong = connection.has_wrong_frames();
    w.check(["6.0.0-1"; 2], !wrong, "the client sends a text frame");
    Ok(())
}

fn text_frame(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = subscribed(w)?;
    let publish = wire::publish(w.version, 0, b"a", 0, &[], b"x");
    connection.send_frame(TEXT, &publish);
    let closed = connection.is_closed();
    w.check(["6.0.0-1"; 2], closed, "open after a text frame");
    Ok(())
}
