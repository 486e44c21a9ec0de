//! QoS 1 and 2 in both directions, over reconnects, and the windows that bound them.

use super::{Row, World};
use crate::peer::{Stop, describe};
use crate::wire::{self, ConnectBytes, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_message_of_qos_0_goes_out_without_identifier_and_dup",
        ["2.2.1-2 2.2.2-1 3.3.1-2 4.3.1-1", "2.3.1-5 3.3.1-2 4.3.1-1"],
        qos_0,
    ),
    (
        "a_message_of_qos_1_is_taken_over_once_for_each_puback",
        [
            "2.2.1-5 3.3.4-1 3.4.2-1 4.3.2-4 4.3.2-5",
            "2.3.1-6 3.3.4-1 4.3.2-2",
        ],
        receives_qos_1,
    ),
    (
        "a_message_of_qos_2_is_passed_on_once",
        [
            "2.2.1-5 3.3.4-1 3.5.2-1 3.7.2-1 4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12",
            "2.3.1-6 3.3.4-1 4.3.3-2",
        ],
        receives_qos_2,
    ),
    (
        "deliveries_take_identifiers_that_are_free",
        [
            "2.2.1-4 2.2.1-5 3.6.2-1 4.3.2-1 4.3.2-2 4.3.2-3 4.3.3-1 4.3.3-2 4.3.3-4",
            "2.3.1-4 2.3.1-6 4.3.2-1 4.3.3-1",
        ],
        sends,
    ),
    (
        "a_resumed_session_repeats_what_was_under_way",
        [
            "3.3.1-1 4.3.2-3 4.3.3-3 4.3.3-5 4.3.3-6 4.4.0-1",
            "3.3.1-1 4.3.2-1 4.3.3-1 4.4.0-1",
        ],
        resumes,
    ),
    (
        "deliveries_stay_within_receive_maximum",
        ["3.3.4-9 3.3.4-10 4.9.0-1 4.9.0-2 4.9.0-3", ""],
        receive_maximum,
    ),
    (
        "a_rejected_message_is_not_repeated",
        ["4.4.0-2", ""],
        rejected,
    ),
    (
        "expiry_does_not_cut_an_acknowledgement_short",
        ["4.3.3-7 4.3.3-13", ""],
        expired,
    ),
];

fn qos_0(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("zero");
    let mut connection = w.subscriber("both", &topic, 2)?;
    connection.send(&w.message(0, &topic, 0, "x"));
    let message = connection.expect(PUBLISH)?;
    let whole = message.topic == topic.as_bytes() && message.payload == b"x";
    w.check(["2.2.1-2 2.2.2-1", "2.3.1-5"], whole, message.describe());
    let plain = message.flags & 14 == 0;
    w.check(["3.3.1-2 4.3.1-1"; 2], plain, message.describe());
    Ok(())
}

fn receives_qos_1(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("one");
    let mut receiver = w.subscriber("receiver", &topic, 0)?;
    let mut sender = w.client("sender")?;
    for payload in ["first", "second"] {
        sender.send(&w.message(2, &topic, 7, payload));
        let ack = sender.expect(PUBACK)?;
        let ids = ["2.2.1-5 3.3.4-1 4.3.2-4", "2.3.1-6 3.3.4-1 4.3.2-2"];
        w.check(ids, ack.id == 7, ack.describe());
        w.check(
            ["3.4.2-1", ""],
            matches!(ack.code, 0 | 0x10),
            ack.describe(),
        );
        let message = w.receive(&mut receiver)?;
        let kept = message.payload == payload.as_bytes();
        w.check(["4.3.2-5", "4.3.2-2"], kept, "another message is passed on");
    }
    Ok(())
}

fn receives_qos_2(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("two");
    let mut receiver = w.subscriber("receiver", &topic, 0)?;
    let lasting = w.lasting("sender");
    let mut sender = w.online(&lasting)?;
    for payload in ["first", "second"] {
        for flags in [4, 12, 12] {
            if flags == 12 {
                // Only a new connection makes a sender repeat itself.
                sender.cut();
                sender = w.online(&lasting)?;
            }
            sender.send(&w.message(flags, &topic, 9, payload));
            let ack = sender.expect(PUBREC)?;
            let ids = ["2.2.1-5 3.3.4-1 4.3.3-8", "2.3.1-6 3.3.4-1 4.3.3-2"];
            w.check(ids, ack.id == 9, ack.describe());
            w.check(
                ["3.5.2-1", ""],
                matches!(ack.code, 0 | 0x10),
                ack.describe(),
            );
        }
        sender.send(&wire::ack(PUBREL, 9, 0));
        let ack = sender.expect(PUBCOMP)?;
        w.check(
            ["2.2.1-5 4.3.3-11", "2.3.1-6 4.3.3-2"],
            ack.id == 9,
            ack.describe(),
        );
        w.check(["3.7.2-1", ""], ack.code == 0, ack.describe());
        let message = w.receive(&mut receiver)?;
        let kept = message.payload == payload.as_bytes();
        w.check(
            ["4.3.3-10 4.3.3-12", "4.3.3-2"],
            kept,
            "another message is passed on",
        );
    }
    let more = w.fence(&mut receiver)?;
    w.check(["4.3.3-10", "4.3.3-2"], more.is_empty(), describe(&more));
    Ok(())
}

/// A subscriber, and messages of QoS 1, 2, 1, 2 on their way to it.
fn under_way(
    w: &World,
    connect: &ConnectBytes,
) -> Result<(crate::peer::Connection, Vec<wire::Packet>), Stop> {
    let topic = w.name("way");
    let mut receiver = w.online(connect)?;
    w.subscribe(&mut receiver, &topic, 2)?;
    let mut sender = w.client("sender")?;
    let mut messages = Vec::new();
    for (id, qos) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        sender.send(&w.message(qos << 1, &topic, id, &id.to_string()));
        if qos == 2 {
            sender.expect(PUBREC)?;
            sender.send(&wire::ack(PUBREL, id, 0));
            sender.expect(PUBCOMP)?;
        } else {
            sender.expect(PUBACK)?;
        }
        messages.push(receiver.expect(PUBLISH)?);
    }
    Ok((receiver, messages))
}

fn sends(w: &mut World) -> Result<(), Stop> {
    let (mut receiver, messages) = under_way(w, &w.connect("receiver"))?;
    let seen = describe(&messages);
    let mut ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let free = ids.len() == 4 && !ids.contains(&0);
    w.check(
        ["2.2.1-4 4.3.2-1 4.3.2-3 4.3.3-1", "2.3.1-4 4.3.2-1 4.3.3-1"],
        free,
        &seen,
    );
    let first = messages
        .iter()
        .all(|message| !message.dup() && message.qos() > 0);
    w.check(["4.3.2-2 4.3.3-2", "4.3.2-1 4.3.3-1"], first, &seen);
    for message in messages.iter().filter(|message| message.qos() == 2) {
        receiver.send(&wire::ack(PUBREC, message.id, 0));
        let release = receiver.expect(PUBREL)?;
        let same = release.id == message.id;
        w.check(
            ["2.2.1-5 4.3.3-4", "2.3.1-6 4.3.3-1"],
            same,
            release.describe(),
        );
        w.check(["3.6.2-1", ""], release.code == 0, release.describe());
        receiver.send(&wire::ack(PUBCOMP, release.id, 0));
    }
    Ok(())
}

fn resumes(w: &mut World) -> Result<(), Stop> {
    let lasting = w.lasting("receiver");
    let (mut receiver, messages) = under_way(w, &lasting)?;
    let [one, two, three, four] = messages.as_slice() else {
        return Stop::failed("not four messages");
    };
    receiver.send(&wire::ack(PUBREC, two.id, 0));
    receiver.expect(PUBREL)?;
    receiver.cut();
    let mut receiver = w.online(&lasting)?;
    let mut again = Vec::new();
    for _ in &messages {
        again.extend(receiver.receive()?);
    }
    let seen = describe(&again);
    let of = |kind: u8, id: u16| again.iter().any(|p| p.kind == kind && p.id == id);
    let published = of(PUBLISH, one.id) && of(PUBLISH, three.id) && of(PUBLISH, four.id);
    w.check(["4.3.2-3 4.3.3-3", "4.3.2-1"], published, &seen);
    let released = of(PUBREL, two.id);
    w.check(["4.3.3-5", "4.3.3-1"], released, &seen);
    w.check(["4.3.3-6", "4.3.3-1"], !of(PUBLISH, two.id), &seen);
    w.check(["4.4.0-1"; 2], published && released, &seen);
    let dup = again
        .iter()
        .all(|packet| packet.kind != PUBLISH || packet.dup());
    w.check(["3.3.1-1"; 2], dup, &seen);
    Ok(())
}

fn receive_maximum(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("window");
    let connect = ConnectBytes {
        properties: wire::number(0x21, 2, 2),
        ..w.connect("narrow")
    };
    let mut receiver = w.online(&connect)?;
    w.subscribe(&mut receiver, &topic, 1)?;
    let mut sender = w.client("sender")?;
    for _ in 0..4 {
        w.publish(&mut sender, false, &topic, "x")?;
    }
    sender.send(&w.message(0, &topic, 0, "free"));
    w.fence(&mut sender)?;
    let seen = receiver.until(|packet| packet.payload == b"free");
    let (count, text) = match &seen {
        Ok(seen) => (seen.iter().filter(|p| p.qos() == 1).count(), describe(seen)),
        Err(stop) => (0, format!("{stop:?}")),
    };
    w.check(["3.3.4-9 4.9.0-1 4.9.0-2", ""], count == 2, &text);
    let pinged = w.fence(&mut receiver).is_ok();
    w.check(["3.3.4-10 4.9.0-3", ""], seen.is_ok() && pinged, &text);
    Ok(())
}

fn rejected(w: &mut World) -> Result<(), Stop> {
    let lasting = w.lasting("receiver");
    let (mut receiver, messages) = under_way(w, &lasting)?;
    for message in &messages {
        let kind = if message.qos() == 1 { PUBACK } else { PUBREC };
        receiver.send(&wire::ack(kind, message.id, 0x83));
    }
    w.fence(&mut receiver)?;
    receiver.cut();
    let mut receiver = w.online(&lasting)?;
    let again = w.fence(&mut receiver)?;
    w.check(["4.4.0-2", ""], again.is_empty(), describe(&again));
    Ok(())
}

fn expired(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("expired");
    let lasting = w.lasting("receiver");
    let mut receiver = w.online(&lasting)?;
    w.subscribe(&mut receiver, &topic, 2)?;
    let mut sender = w.client("sender")?;
    let expiry = wire::number(0x02, 4, 4);
    sender.send(&wire::publish(
        w.version,
        4,
        topic.as_bytes(),
        1,
        &expiry,
        b"x",
    ));
    sender.expect(PUBREC)?;
    sender.send(&wire::ack(PUBREL, 1, 0));
    sender.expect(PUBCOMP)?;
    let message = receiver.expect(PUBLISH)?;
    receiver.cut();
    // The lifetime passes while the message is unacknowledged.
    std::thread::sleep(std::time::Duration::from_millis(5_100));
    let mut receiver = w.online(&lasting)?;
    let again = receiver.expect(PUBLISH)?;
    w.check(["4.3.3-7", ""], again.id == message.id, again.describe());
    receiver.send(&wire::ack(PUBREC, message.id, 0));
    let release = receiver.expect(PUBREL)?;
    w.check(
        ["4.3.3-13", ""],
        release.id == message.id,
        release.describe(),
    );
    Ok(())
}
