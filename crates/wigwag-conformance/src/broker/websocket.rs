//! A broker over WebSocket: the subprotocol it selects, and frames of every kind and size.

use super::{Row, World};
use crate::peer::{Connection, Stop};
use crate::websocket::{self, Headers, TEXT};
use crate::wire::{self, CONNACK, PINGRESP};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "the_subprotocol_mqtt_is_selected",
        ["6.0.0-4"; 2],
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

fn open(w: &World) -> Result<(Connection, Headers), Stop> {
    Connection::open_websocket(w.places.websocket, w.version, w.patience)
}

fn subprotocol(w: &mut World) -> Result<(), Stop> {
    let (_connection, headers) = open(w)?;
    let selected = websocket::header(&headers, "sec-websocket-protocol").unwrap_or("nothing");
    w.check(
        ["6.0.0-4"; 2],
        selected == "mqtt",
        format!("selected: {selected}"),
    );
    Ok(())
}

fn frames(w: &mut World) -> Result<(), Stop> {
    let (mut connection, _) = open(w)?;
    let ping = wire::packet(wire::PINGREQ, 0, &[]);
    let bytes = [w.connect("frames").bytes(), ping.clone(), ping].concat();
    let (head, tail) = bytes.split_at(7);
    connection.send(head);
    connection.send(tail);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.extend(connection.receive()?.map(|packet| packet.kind));
    }
    let kept = answers == [CONNACK, PINGRESP, PINGRESP];
    w.check(
        ["6.0.0-2"; 2],
        kept,
        format!("answers of types {answers:?}"),
    );
    let wrong = connection.has_wrong_frames();
    w.check(["6.0.0-1"; 2], !wrong, "the broker sends a text frame");
    Ok(())
}

fn text_frame(w: &mut World) -> Result<(), Stop> {
    let (mut connection, _) = open(w)?;
    connection.send_frame(TEXT, &w.connect("text").bytes());
    let closed = connection.is_closed();
    w.check(["6.0.0-1"; 2], closed, "open after a text frame");
    Ok(())
}
