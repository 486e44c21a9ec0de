//! CONNECT and what follows it: fields and flags, the server's answer, Keep Alive, the end, WebSocket.

use std::time::{Duration, Instant};

use super::{Row, World};
use crate::peer::Stop;
use crate::subject::{Event, Options, Will};
use crate::wire::{self, CONNECT, DISCONNECT, PINGREQ};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "connect_comes_first_and_carries_no_more_than_its_flags_say",
        [
            "3.1.0-1 3.1.2-11 3.1.2-13 3.1.2-16 3.1.2-18 3.1.3-3 3.1.3-4 2.1.3-1",
            "3.1.0-1 3.1.2-11 3.1.2-13 3.1.2-15 3.1.2-18 3.1.2-20 3.1.2-22 3.1.3-3 3.1.3-4 2.2.2-1",
        ],
        bare_connect,
    ),
    (
        "connect_carries_will_user_name_and_password_in_their_order",
        [
            "3.1.2-9 3.1.2-12 3.1.2-17 3.1.2-19 3.1.3-1 3.1.3-11 3.1.3-12 1.5.4-1",
            "3.1.2-9 3.1.2-14 3.1.2-19 3.1.2-21 3.1.3-1 3.1.3-10 3.1.3-11 1.4.0-1",
        ],
        full_connect,
    ),
    (
        "nothing_but_connect_is_sent_before_connack_without_authentication",
        ["4.12.0-7", ""],
        no_auth_without_method,
    ),
    (
        "clean_start_and_the_client_identifier_name_the_session",
        ["3.1.2-4 3.1.3-2", "3.1.3-2 3.1.3-7"],
        session_is_named,
    ),
    (
        "a_refused_connection_is_closed",
        ["4.13.2-1", ""],
        refusal_closes,
    ),
    (
        "an_idle_client_pings",
        ["3.1.2-20", "3.1.2-23"],
        idle_client_pings,
    ),
    (
        "server_keep_alive_goes_before_the_clients",
        ["3.1.2-21 3.2.2-21", ""],
        server_keep_alive,
    ),
    (
        "disconnect_is_the_last_packet_and_the_connection_is_closed",
        ["3.14.1-1 3.14.2-1 3.14.4-1 3.14.4-2", "3.14.4-1 3.14.4-2"],
        disconnect_ends,
    ),
    (
        "a_disconnect_with_reserved_flags_closes_the_connection",
        ["3.14.1-1 4.13.2-1", ""],
        bad_disconnect,
    ),
    (
        "an_auth_with_reserved_flags_closes_the_connection",
        ["3.15.1-1 4.12.0-7", ""],
        bad_auth,
    ),
];

fn bare_connect(w: &mut World<'_>) -> Result<(), Stop> {
    let options = w.options();
    let id = options.client_id.clone();
    w.start(options)?;
    let mut connection = w.listener.accept()?;
    let packet = connection.receive()?;
    let Some(packet) = packet.filter(|packet| packet.kind == CONNECT) else {
        return Stop::failed("the first packet is not CONNECT");
    };
    let connect = &packet.connect;
    let seen = format!(
        "CONNECT flags 0b{:08b}, packet flags {}",
        connect.flags, packet.flags
    );
    let unset = |mask: u8| connect.flags & mask == 0;
    w.check(["3.1.0-1", "3.1.0-1"], true, "");
    w.check(["2.1.3-1", "2.2.2-1"], packet.flags == 0, &seen);
    w.check(["3.1.2-11", "3.1.2-11 3.1.2-13"], unset(0x1C), &seen);
    w.check(["3.1.2-13", "3.1.2-11 3.1.2-15"], unset(0x24), &seen);
    w.check(["3.1.2-16", "3.1.2-18"], unset(0x80), &seen);
    w.check(["3.1.2-18", "3.1.2-20 3.1.2-22"], unset(0x40), &seen);
    let is_first = connect.client_id == id.as_bytes();
    w.check(
        ["3.1.3-3 3.1.3-4", "3.1.3-3 3.1.3-4"],
        is_first,
        "another Client Identifier",
    );
    Ok(())
}

fn full_connect(w: &mut World<'_>) -> Result<(), Stop> {
    let options = Options {
        user_name: Some("üser".to_owned()),
        password: Some("secret".to_owned()),
        will: Some(Will {
            topic: "will/tøpic".to_owned(),
            payload: "gone".to_owned(),
            qos: 1,
            retain: true,
        }),
        ..w.options()
    };
    w.start(options.clone())?;
    let (_connection, packet) = w.accept()?;
    let connect = packet.connect;
    let seen = format!("{connect:?}");
    let will = connect.will.unwrap_or_default();
    let topic = will.topic == "will/tøpic".as_bytes();
    w.check(
        ["3.1.2-9", "3.1.2-9"],
        topic && will.payload == b"gone",
        &seen,
    );
    w.check(["3.1.3-11 1.5.4-1", "3.1.3-10 1.4.0-1"], topic, &seen);
    w.check(
        ["3.1.2-12", "3.1.2-14"],
        connect.flags & 0x3C == 0x2C,
        &seen,
    );
    let user = connect.user_name.as_deref() == Some("üser".as_bytes());
    w.check(["3.1.2-17 3.1.3-12", "3.1.2-19 3.1.3-11"], user, &seen);
    let password = connect.password.as_deref() == Some(b"secret");
    w.check(["3.1.2-19", "3.1.2-21"], password, &seen);
    let id = connect.client_id == options.client_id.as_bytes();
    w.check(
        ["3.1.3-1", "3.1.3-1"],
        id && topic && user && password,
        &seen,
    );
    Ok(())
}

fn no_auth_without_method(w: &mut World<'_>) -> Result<(), Stop> {
    w.start(w.options())?;
    let (mut connection, connect) = w.accept()?;
    let method = connect.bytes(0x15).is_some();
    connection.send(&wire::connack(w.version, false, 0, &[]));
    let packets = w.until_marker(&mut connection)?;
    let auth = packets.iter().any(|packet| packet.kind == wire::AUTH);
    w.check(["4.12.0-7", ""], !method && !auth, "AUTH without a method");
    Ok(())
}

fn session_is_named(w: &mut World<'_>) -> Result<(), Stop> {
    let options = w.lasting();
    let id = options.client_id.clone();
    w.start(options)?;
    let (mut connection, first) = w.accept()?;
    connection.send(&wire::connack(w.version, false, 0, &[]));
    w.wait("that it is connected", |event| *event == Event::Online)?;
    connection.cut();
    let (_connection, second) = w.accept()?;
    let same = second.connect.client_id == id.as_bytes();
    w.check(
        ["3.1.3-2", "3.1.3-2"],
        same,
        "another Client Identifier at the reconnect",
    );
    let clean = first.connect.flags & 2 != 0;
    let kept = if w.is_v5() {
        clean
    } else {
        !clean && !id.is_empty()
    };
    w.check(
        ["3.1.2-4", "3.1.3-7"],
        kept,
        "the clean flag is not what was asked for",
    );
    Ok(())
}

fn refusal_closes(w: &mut World<'_>) -> Result<(), Stop> {
    w.start(w.options())?;
    let (mut connection, _) = w.accept()?;
    connection.send(&wire::connack(w.version, false, 0x87, &[]));
    let closed = connection.is_closed();
    w.check(["4.13.2-1", ""], closed, "open after CONNACK 0x87");
    Ok(())
}

fn idle_client_pings(w: &mut World<'_>) -> Result<(), Stop> {
    let options = Options {
        keep_alive_secs: 4,
        ..w.options()
    };
    let mut connection = w.online(options, &[])?;
    let pinged = ping_within(&mut connection, Duration::from_secs(6))?;
    w.check(
        ["3.1.2-20", "3.1.2-23"],
        pinged,
        "no PINGREQ within 1.5 times a Keep Alive of 4 s",
    );
    Ok(())
}

fn server_keep_alive(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &wire::number(0x13, 4, 2))?;
    let pinged = ping_within(&mut connection, Duration::from_secs(6))?;
    let ids = ["3.1.2-21 3.2.2-21", ""];
    w.check(
        ids,
        pinged,
        "no PINGREQ within 1.5 times a Server Keep Alive of 4 s",
    );
    Ok(())
}

fn ping_within(connection: &mut crate::peer::Connection, within: Duration) -> Result<bool, Stop> {
    let packet = connection.receive_until(Instant::now() + within)?.flatten();
    Ok(packet.is_some_and(|packet| packet.kind == PINGREQ && packet.flags == 0))
}

fn disconnect_ends(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    w.client.command(crate::subject::Command::Disconnect)?;
    let disconnect = connection.expect(DISCONNECT)?;
    w.check(
        ["3.14.1-1", ""],
        disconnect.flags == 0,
        "reserved flags are set",
    );
    let listed = matches!(disconnect.code, 0 | 4);
    w.check(
        ["3.14.2-1", ""],
        listed,
        format!("code 0x{:02X}", disconnect.code),
    );
    let after = connection.until_closed();
    w.check(
        ["3.14.4-2", "3.14.4-1"],
        after.is_ok(),
        "open after DISCONNECT",
    );
    let nothing = after.is_ok_and(|packets| packets.is_empty());
    w.check(
        ["3.14.4-1", "3.14.4-2"],
        nothing,
        "something is sent after DISCONNECT",
    );
    Ok(())
}

fn bad_disconnect(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    connection.send(&wire::packet(DISCONNECT, 1, &[]));
    let closed = connection.is_closed();
    w.check(
        ["3.14.1-1 4.13.2-1", ""],
        closed,
        "open after a DISCONNECT with flags 1",
    );
    Ok(())
}

fn bad_auth(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.options(), &[])?;
    let method = wire::text(0x15, b"x");
    let body = [vec![0x18, method.len() as u8], method].concat();
    connection.send(&wire::packet(wire::AUTH, 1, &body));
    let packets = connection.until_closed();
    w.check(
        ["3.15.1-1", ""],
        packets.is_ok(),
        "open after an AUTH with flags 1",
    );
    let answered = packets.is_ok_and(|packets| packets.iter().any(|p| p.kind == wire::AUTH));
    w.check(["4.12.0-7", ""], !answered, "AUTH without a method");
    Ok(())
}
