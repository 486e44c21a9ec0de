//! Enhanced authentication: what a broker sends in an exchange, and what it does when one fails.

use super::{Place, Row, World};
use crate::peer::{Connection, Stop};
use crate::scram;
use crate::script::Ids;
use crate::wire::{self, AUTH, CONNACK, ConnectBytes, DISCONNECT, Packet};

const AUTHS: Ids = ["3.15.2-1 3.15.2-2 3.15.2-3 4.12.0-2 4.12.0-5", ""];

pub(super) const SCRIPTS: &[Row] = &[
    ("an_exchange_keeps_its_method", AUTHS, exchange),
    (
        "an_exchange_that_fails_ends_the_connection",
        ["4.12.0-4", ""],
        refused,
    ),
    (
        "a_client_that_cannot_authenticate_again_is_closed",
        ["3.15.2-1 3.15.2-2 3.15.2-3 4.12.0-5 4.12.1-2", ""],
        again,
    ),
];

const CONTINUE: u8 = 0x18;
const RE_AUTHENTICATE: u8 = 0x19;

/// What the client says it can take.
const SIZE_MAX: u32 = 300;

fn properties(data: &str) -> Vec<u8> {
    let method = wire::text(0x15, scram::METHOD.as_bytes());
    [method, wire::text(0x16, data.as_bytes())].concat()
}

fn auth(code: u8, data: &str) -> Vec<u8> {
    let properties = properties(data);
    let length = wire::var_int(properties.len());
    wire::packet(AUTH, 0, &[vec![code], length, properties].concat())
}

/// A connection that has been asked for its proof.
fn begin(w: &mut World) -> Result<(Connection, Packet), Stop> {
    w.place = Place::Guarded;
    let limit = wire::number(0x27, SIZE_MAX, 4);
    let connect = ConnectBytes {
        properties: [properties(&scram::first()), limit].concat(),
        ..w.connect("proof")
    };
    let mut connection = w.open()?;
    connection.send(&connect.bytes());
    let answer = connection.receive()?;
    match answer {
        Some(connack) if connack.kind == CONNACK && connack.code == 0x8C => Err(Stop::Unsupported(
            "it has no Authentication Method by itself".to_owned(),
        )),
        Some(challenge) if challenge.kind == AUTH => Ok((connection, challenge)),
        _ => Stop::failed("neither AUTH nor a refusal of the method"),
    }
}

/// The proof of this password.
fn proof(challenge: &Packet, password: &str) -> Result<Vec<u8>, Stop> {
    let proof = challenge
        .bytes(0x16)
        .and_then(|data| scram::last(data, password));
    match proof {
        Some(proof) => Ok(auth(CONTINUE, &proof)),
        None => Stop::failed("the challenge is none of SCRAM-SHA-256"),
    }
}

fn check_auth(w: &mut World, packet: &Packet) {
    let seen = packet.describe();
    let is_listed = matches!(packet.code, 0 | CONTINUE | RE_AUTHENTICATE);
    w.check(["3.15.2-1", ""], is_listed, &seen);
    let fits = packet.size <= SIZE_MAX as usize;
    w.check(
        ["3.15.2-2 3.15.2-3", ""],
        fits,
        format!("{} bytes", packet.size),
    );
    check_method(w, packet);
}

fn check_method(w: &mut World, packet: &Packet) {
    let names = packet.bytes(0x15) == Some(scram::METHOD.as_bytes());
    let seen = format!("{} names another method", packet.name());
    w.check(["4.12.0-5", ""], names, seen);
}

fn exchange(w: &mut World) -> Result<(), Stop> {
    let (mut connection, challenge) = begin(w)?;
    w.check(
        ["4.12.0-2", ""],
        challenge.code == CONTINUE,
        challenge.describe(),
    );
    check_auth(w, &challenge);
    connection.send(&proof(&challenge, scram::PASSWORD)?);
    let connack = connection.expect(CONNACK)?;
    if connack.code != 0 {
        return Stop::failed(format!("a right proof is refused: {}", connack.describe()));
    }
    check_method(w, &connack);
    Ok(())
}

fn refused(w: &mut World) -> Result<(), Stop> {
    let (mut connection, challenge) = begin(w)?;
    connection.send(&proof(&challenge, "not the password")?);
    let answers = connection.until_closed()?;
    let refuses = |packet: &Packet| packet.kind == CONNACK && packet.code >= 0x80;
    let seen = crate::peer::describe(&answers);
    w.check(["4.12.0-4", ""], answers.iter().all(refuses), seen);
    Ok(())
}

fn again(w: &mut World) -> Result<(), Stop> {
    let (mut connection, challenge) = begin(w)?;
    connection.send(&proof(&challenge, scram::PASSWORD)?);
    connection.expect(CONNACK)?;
    connection.send(&auth(RE_AUTHENTICATE, &scram::first()));
    let challenge = connection.expect(AUTH)?;
    check_auth(w, &challenge);
    connection.send(&proof(&challenge, scram::PASSWORD)?);
    let end = connection.expect(AUTH)?;
    check_auth(w, &end);
    connection.send(&auth(RE_AUTHENTICATE, &scram::first()));
    let challenge = connection.expect(AUTH)?;
    connection.send(&proof(&challenge, "not the password")?);
    let answers = connection.until_closed()?;
    let refuses = |packet: &Packet| packet.kind == DISCONNECT && packet.code >= 0x80;
    let seen = crate::peer::describe(&answers);
    w.check(["4.12.1-2", ""], answers.iter().all(refuses), seen);
    Ok(())
}
