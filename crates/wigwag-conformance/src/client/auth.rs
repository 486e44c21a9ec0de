//! Enhanced authentication: what a client with a method sends before and after CONNACK.

use super::{Row, World};
use crate::peer::{Connection, Stop};
use crate::script::Ids;
use crate::subject::{Command, Options};
use crate::wire::{self, AUTH, Packet};

const METHOD: &str = "CHALLENGE";

const IDS: Ids = ["3.1.2-30 3.15.2-1 3.15.2-2 3.15.2-3 4.12.0-3 4.12.0-5", ""];

pub(super) const SCRIPTS: &[Row] = &[
    ("challenges_are_answered_before_connack", IDS, challenged),
    (
        "a_client_authenticates_again_with_the_same_method",
        ["4.12.1-1 4.12.1-2", ""],
        again,
    ),
];

/// AUTH of the server with the method of the client.
fn auth(code: u8) -> Vec<u8> {
    let props = [
        wire::text(0x15, METHOD.as_bytes()),
        wire::text(0x16, b"challenge"),
    ];
    let props = props.concat();
    wire::packet(AUTH, 0, &[vec![code, props.len() as u8], props].concat())
}

fn names_method(packet: &Packet) -> bool {
    packet.bytes(0x15) == Some(METHOD.as_bytes())
}

fn begin(w: &mut World<'_>) -> Result<(Connection, Packet), Stop> {
    let options = Options {
        authentication_method: Some(METHOD.to_owned()),
        ..w.options()
    };
    w.start(options)?;
    // The client may have said that it cannot.
    w.accept().map_err(|stop| w.unsupported().unwrap_or(stop))
}

fn challenged(w: &mut World<'_>) -> Result<(), Stop> {
    let (mut connection, connect) = begin(w)?;
    // Asked for before CONNACK: it must wait.
    w.publish("early", 1)?;
    for _ in 0..2 {
        connection.send(&auth(0x18));
        let answer = connection.receive()?;
        let Some(answer) = answer.filter(|packet| packet.kind == AUTH) else {
            return Stop::failed("the challenge is not answered with AUTH");
        };
        let seen = answer.describe();
        w.check(["3.1.2-30", ""], true, "");
        w.check(["3.15.2-1 4.12.0-3", ""], answer.code == 0x18, &seen);
        // No Maximum Packet Size was named: nothing may be left out or too large.
        w.check(["3.15.2-2 3.15.2-3", ""], answer.size < 256, &seen);
        let same = names_method(&connect) && names_method(&answer);
        w.check(["4.12.0-5", ""], same, "the Authentication Method differs");
    }
    Ok(())
}

fn again(w: &mut World<'_>) -> Result<(), Stop> {
    let (mut connection, _) = begin(w)?;
    let method = wire::text(0x15, METHOD.as_bytes());
    connection.send(&wire::connack(w.version, false, 0, &method));
    w.client.command(Command::Reauthenticate)?;
    let first = connection.expect(AUTH);
    let first = first.map_err(|stop| w.unsupported().unwrap_or(stop))?;
    let kept = first.code == 0x19 && names_method(&first);
    w.check(["4.12.1-1", ""], kept, first.describe());
    connection.send(&wire::disconnect(w.version, 0x87, &[]));
    let closed = connection.is_closed();
    w.check(
        ["4.12.1-2", ""],
        closed,
        "open after a failed re-authentication",
    );
    Ok(())
}
