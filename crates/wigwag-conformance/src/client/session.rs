//! What outlives a connection: messages under way in both directions, and what must not outlive it.

use super::{Row, World};
use crate::peer::{Connection, Stop, describe};
use crate::subject::{Options, Publish};
use crate::wire::{self, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_resumed_session_goes_on_with_what_was_under_way",
        [
            "3.1.2-23 3.3.1-1 4.1.0-1 4.3.2-3 4.3.3-3 4.3.3-5 4.3.3-6 4.4.0-1 4.6.0-1",
            "2.3.1-3 3.1.2-4 3.3.1-1 4.1.0-1 4.1.0-2 4.3.2-1 4.3.3-1 4.4.0-1 4.6.0-1",
        ],
        resumed,
    ),
    (
        "a_received_message_of_qos_2_is_remembered_over_a_cut",
        ["4.1.0-1 4.3.3-10", "4.1.0-1 4.3.3-2"],
        received_is_remembered,
    ),
    ("a_lost_session_is_forgotten", ["3.2.2-5", "3.1.2-6"], lost),
    (
        "a_session_that_the_client_does_not_have_closes_the_connection",
        ["3.2.2-4", ""],
        unknown_session,
    ),
    (
        "a_rejected_message_is_not_sent_again",
        ["4.4.0-2", ""],
        rejected,
    ),
    (
        "a_message_of_qos_2_does_not_expire_once_sent",
        ["4.3.3-7", ""],
        no_expiry,
    ),
];

fn resumed(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.lasting(), &[])?;
    let mut sent = Vec::new();
    for (topic, qos) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
        w.publish(topic, qos)?;
        sent.push(connection.expect(PUBLISH)?);
    }
    // The first message of QoS 2 gets one step further than the second.
    connection.send(&wire::ack(PUBREC, sent[1].id, 0));
    connection.expect(PUBREL)?;
    connection.cut();
    let mut connection = w.welcome(true, &[])?;
    let again = sent_again(&mut connection, &sent)?;
    let seen = describe(&again);
    let published: Vec<_> = again.iter().filter(|p| p.kind == PUBLISH).collect();
    let expected = [sent[0].id, sent[2].id, sent[3].id];
    let ids: Vec<_> = published.iter().map(|publish| publish.id).collect();
    let all = expected.iter().all(|id| ids.contains(id));
    w.check(
        [
            "3.1.2-23 4.1.0-1 4.3.2-3 4.3.3-3",
            "2.3.1-3 3.1.2-4 4.1.0-1 4.1.0-2 4.3.2-1",
        ],
        all,
        &seen,
    );
    w.check(["4.6.0-1"; 2], ids == expected, &seen);
    let dup = !published.is_empty() && published.iter().all(|publish| publish.dup());
    w.check(["3.3.1-1"; 2], dup, &seen);
    let released = again.iter().any(|p| p.kind == PUBREL && p.id == sent[1].id);
    w.check(["4.3.3-5", "4.3.3-1"], released, &seen);
    w.check(["4.3.3-6", "4.3.3-1"], !ids.contains(&sent[1].id), &seen);
    w.check(["4.4.0-1"; 2], all && released, &seen);
    Ok(())
}

/// What the client repeats, each answered: a client may wait for one answer before the next repeat.
fn sent_again(connection: &mut Connection, sent: &[Packet]) -> Result<Vec<Packet>, Stop> {
    let mut again: Vec<Packet> = Vec::new();
    while again.len() < sent.len() {
        let Some(packet) = connection.receive()? else {
            return Stop::failed(format!("closed after [{}]", describe(&again)));
        };
        match (packet.kind, packet.qos()) {
            (PUBLISH, 1) => connection.send(&wire::ack(PUBACK, packet.id, 0)),
            (PUBLISH, _) => connection.send(&wire::ack(PUBREC, packet.id, 0)),
            _ => connection.send(&wire::ack(PUBCOMP, packet.id, 0)),
        }
        // A PUBREL for what was published again on this connection is no repeat.
        if packet.kind != PUBREL || !again.iter().any(|other| other.id == packet.id) {
            again.push(packet);
        }
    }
    Ok(again)
}

fn received_is_remembered(w: &mut World<'_>) -> Result<(), Stop> {
    let ids = ["4.1.0-1 4.3.3-10", "4.1.0-1 4.3.3-2"];
    let mut connection = w.subscribed(w.lasting(), &[])?;
    connection.send(&wire::publish(w.version, 4, b"a", 5, &[], b"first"));
    connection.expect(PUBREC)?;
    connection.cut();
    let mut connection = w.welcome(true, &[])?;
    connection.send(&wire::publish(w.version, 12, b"a", 5, &[], b"first"));
    connection.until(|packet| packet.kind == PUBREC)?;
    connection.send(&wire::ack(PUBREL, 5, 0));
    connection.until(|packet| packet.kind == PUBCOMP)?;
    connection.send(&wire::publish(w.version, 2, b"a", 6, &[], b"last"));
    let delivered = [w.message()?, w.message()?];
    w.check(
        ids,
        delivered == ["first", "last"],
        format!("delivered: {delivered:?}"),
    );
    Ok(())
}

fn lost(w: &mut World<'_>) -> Result<(), Stop> {
    let options = if w.is_v5() { w.lasting() } else { w.options() };
    let mut connection = w.subscribed(options, &[])?;
    connection.send(&wire::publish(w.version, 4, b"a", 5, &[], b"old"));
    connection.expect(PUBREC)?;
    connection.cut();
    let mut connection = w.welcome(false, &[])?;
    connection.send(&wire::publish(w.version, 4, b"a", 5, &[], b"new"));
    connection.until(|packet| packet.kind == PUBREC)?;
    connection.send(&wire::ack(PUBREL, 5, 0));
    connection.until(|packet| packet.kind == PUBCOMP)?;
    let new = w.wait(
        "that the second message came",
        |event| matches!(event, crate::subject::Event::Message { payload, .. } if payload == "new"),
    );
    let seen = "an identifier of the lost session makes a message a repeat";
    w.check(["3.2.2-5", "3.1.2-6"], new.is_ok(), seen);
    Ok(())
}

fn unknown_session(w: &mut World<'_>) -> Result<(), Stop> {
    w.start(w.lasting())?;
    let (mut connection, _) = w.accept()?;
    connection.send(&wire::connack(w.version, true, 0, &[]));
    let closed = connection.is_closed();
    w.check(
        ["3.2.2-4", ""],
        closed,
        "open after Session Present 1 without a session",
    );
    Ok(())
}

fn rejected(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.lasting(), &[])?;
    for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
        w.publish("a", qos)?;
        let id = connection.expect(PUBLISH)?.id;
        connection.send(&wire::ack(kind, id, 0x97));
        w.fence(&mut connection)?;
    }
    connection.cut();
    let mut connection = w.welcome(true, &[])?;
    // The client deals with CONNACK before it acknowledges this; twice, for what it reads from a store.
    let mut again = w.fence(&mut connection)?;
    again.extend(w.fence(&mut connection)?);
    again.retain(|packet| packet.kind == PUBLISH);
    w.check(["4.4.0-2", ""], again.is_empty(), describe(&again));
    Ok(())
}

fn no_expiry(w: &mut World<'_>) -> Result<(), Stop> {
    let mut connection = w.online(w.lasting(), &[])?;
    w.publish_with(Publish {
        topic: "a".to_owned(),
        qos: 2,
        expiry_secs: Some(4),
        ..Publish::default()
    })?;
    let id = connection.expect(PUBLISH)?.id;
    connection.cut();
    let (mut connection, _) = w.accept()?;
    // The interval runs out while the message is unacknowledged.
    std::thread::sleep(std::time::Duration::from_millis(4_100));
    connection.send(&wire::connack(w.version, true, 0, &[]));
    let again = connection.receive()?;
    let kept = again
        .as_ref()
        .is_some_and(|p| p.kind == PUBLISH && p.id == id);
    let seen = again.map_or("closed".to_owned(), |packet| packet.describe());
    w.check(["4.3.3-7", ""], kept, seen);
    Ok(())
}

/// A session option that both versions know.
pub(super) fn with_aliases(options: Options, maximum: u16) -> Options {
    Options {
        topic_alias_maximum: maximum,
        ..options
    }
}
