//! SUBSCRIBE and UNSUBSCRIBE: answers, replacement, granted QoS, what stops and what does not.

use super::{Row, World};
use crate::peer::{Connection, Stop, describe};
use crate::wire::{self, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "many_filters_get_one_answer_in_their_order",
        [
            "2.2.1-6 3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2",
            "2.3.1-7 3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2",
        ],
        many_filters,
    ),
    (
        "a_repeated_subscription_replaces_the_old_one",
        ["3.8.4-3 3.8.4-4", "3.8.4-3"],
        replaced,
    ),
    (
        "delivery_has_the_lower_qos",
        ["3.8.4-8", "3.8.4-6"],
        lower_qos,
    ),
    (
        "overlaps_deliver_at_the_best_qos",
        ["3.3.4-2", "3.3.5-1"],
        overlaps,
    ),
    (
        "no_local_keeps_own_messages_away",
        ["3.8.3-3", ""],
        no_local,
    ),
    (
        "unsubscribing_stops_messages_and_is_answered",
        [
            "2.2.1-6 3.10.4-1 3.10.4-2 3.10.4-4 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2",
            "2.3.1-7 3.10.4-1 3.10.4-2 3.10.4-4 3.10.4-5 3.10.4-6",
        ],
        unsubscribe,
    ),
    (
        "unsubscribing_lets_deliveries_end",
        ["3.10.4-3"; 2],
        unsubscribe_in_between,
    ),
    (
        "a_member_gets_shared_messages_at_its_qos",
        ["4.8.2-3", ""],
        shared_qos,
    ),
    (
        "a_shared_message_that_is_rejected_is_done",
        ["4.8.2-6", ""],
        shared_rejection,
    ),
    (
        "a_member_that_is_back_finishes_what_it_began_at_qos_2",
        ["4.8.2-4", ""],
        shared_return,
    ),
    (
        "what_a_member_began_at_qos_2_is_for_nobody_else",
        ["4.8.2-5", ""],
        shared_end,
    ),
];

fn many_filters(w: &mut World) -> Result<(), Stop> {
    let names = ["a/", "b/", "c/"].map(|name| w.name(name));
    let mut connection = w.client("many")?;
    let filters: Vec<_> = names.iter().map(String::as_bytes).zip([2, 0, 1]).collect();
    connection.send(&wire::subscribe(w.version, 4711, &[], &filters));
    let answer = connection.expect(SUBACK)?;
    let seen = format!("id {}, codes {:?}", answer.id, answer.codes);
    let same_id = answer.id == 4711;
    w.check(["2.2.1-6 3.8.4-2", "2.3.1-7 3.8.4-2"], same_id, &seen);
    let ids = [
        "3.8.4-1 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2",
        "3.8.4-1 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2",
    ];
    w.check(ids, answer.codes == [2, 0, 1], &seen);
    let more = w.fence(&mut connection)?;
    w.check(["3.8.4-5", "3.8.4-4"], more.is_empty(), describe(&more));
    for name in &names {
        connection.send(&w.message(0, name, 0, "x"));
        let message = connection.expect(PUBLISH)?;
        let kept = message.topic == name.as_bytes();
        w.check(["3.8.4-5", "3.8.4-4"], kept, message.describe());
    }
    Ok(())
}

fn replaced(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("replaced/");
    let ids = ["3.8.4-3 3.8.4-4", "3.8.4-3"];
    let mut connection = w.client("both")?;
    w.publish(&mut connection, true, &topic, "kept")?;
    for qos in [0, 1] {
        connection.send(&wire::subscribe(
            w.version,
            5,
            &[],
            &[(topic.as_bytes(), qos)],
        ));
        let mut seen = w.fence(&mut connection)?;
        seen.retain(|packet| packet.kind == PUBLISH);
        w.check(
            ids,
            seen.len() == 1,
            format!("retained: {}", describe(&seen)),
        );
        for message in seen.iter().filter(|message| message.qos() == 1) {
            connection.send(&wire::ack(wire::PUBACK, message.id, 0));
        }
    }
    connection.send(&w.message(2, &topic, 6, "live"));
    let mut seen = w.fence(&mut connection)?;
    seen.retain(|packet| packet.kind == PUBLISH);
    let once = seen.len() == 1 && seen.iter().all(|message| message.qos() == 1);
    w.check(ids, once, format!("live: {}", describe(&seen)));
    w.publish(&mut w.client("sender")?, true, &topic, "")
}

fn lower_qos(w: &mut World) -> Result<(), Stop> {
    for granted in 0..=2_u8 {
        for published in 0..=2_u8 {
            let topic = w.name(&format!("lower/{granted}/{published}/"));
            let mut receiver = w.subscriber("receiver", &topic, granted)?;
            let mut sender = w.client("sender")?;
            let id = u16::from(published > 0);
            sender.send(&w.message(published << 1, &topic, id, "x"));
            if published == 2 {
                sender.expect(PUBREC)?;
                sender.send(&wire::ack(PUBREL, 1, 0));
            }
            let qos = w.receive(&mut receiver)?.qos();
            let seen = format!("published {published}, granted {granted}, delivered {qos}");
            w.check(["3.8.4-8", "3.8.4-6"], qos == granted.min(published), seen);
        }
    }
    Ok(())
}

fn overlaps(w: &mut World) -> Result<(), Stop> {
    let root = w.name("overlap");
    let mut receiver = w.client("receiver")?;
    w.subscribe(&mut receiver, &format!("{root}/+"), 0)?;
    w.subscribe(&mut receiver, &format!("{root}/a"), 1)?;
    let mut sender = w.client("sender")?;
    w.publish(&mut sender, false, &format!("{root}/a"), "x")?;
    let mut seen = vec![w.receive(&mut receiver)?];
    seen.extend(w.fence(&mut receiver)?);
    let best = seen.iter().any(|message| message.qos() == 1);
    w.check(["3.3.4-2", "3.3.5-1"], best, describe(&seen));
    Ok(())
}

fn no_local(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("local");
    let mut connection = w.subscriber("both", &topic, 0x04)?;
    connection.send(&w.message(0, &topic, 0, "own"));
    let seen = w.fence(&mut connection)?;
    w.check(["3.8.3-3", ""], seen.is_empty(), describe(&seen));
    w.publish(&mut w.client("other")?, false, &topic, "other")?;
    let message = w.receive(&mut connection)?;
    w.check(
        ["3.8.3-3", ""],
        message.payload == b"other",
        message.describe(),
    );
    Ok(())
}

fn unsubscribe(w: &mut World) -> Result<(), Stop> {
    let (one, two) = (w.name("one/a"), w.name("two/a"));
    let nothing = w.name("ONE/a");
    let mut connection = w.client("both")?;
    for filter in [&one, &two] {
        w.subscribe(&mut connection, filter, 0)?;
    }
    let filters = [nothing.as_bytes(), one.as_bytes()];
    connection.send(&wire::unsubscribe(w.version, 99, &filters));
    let answer = connection.expect(UNSUBACK)?;
    let seen = format!("id {}, codes {:02X?}", answer.id, answer.codes);
    let ids = [
        "2.2.1-6 3.10.4-4 3.10.4-5 3.10.4-6",
        "2.3.1-7 3.10.4-4 3.10.4-5 3.10.4-6",
    ];
    w.check(ids, answer.id == 99, &seen);
    let codes = answer.codes == [0x11, 0];
    w.check(["3.11.3-1 3.11.3-2", ""], codes, &seen);
    for topic in [&one, &two] {
        connection.send(&w.message(0, topic, 0, "x"));
    }
    let seen = w.fence(&mut connection)?;
    let topics: Vec<_> = seen.iter().map(|packet| packet.topic.as_slice()).collect();
    w.check(
        ["3.10.4-1 3.10.4-2"; 2],
        topics == [two.as_bytes()],
        describe(&seen),
    );
    Ok(())
}

fn unsubscribe_in_between(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("between");
    let mut receiver = w.subscriber("receiver", &topic, 2)?;
    let mut sender = w.client("sender")?;
    sender.send(&w.message(4, &topic, 1, "x"));
    sender.expect(PUBREC)?;
    sender.send(&wire::ack(PUBREL, 1, 0));
    let message = receiver.expect(PUBLISH)?;
    receiver.send(&wire::unsubscribe(w.version, 9, &[topic.as_bytes()]));
    receiver.expect(UNSUBACK)?;
    receiver.send(&wire::ack(PUBREC, message.id, 0));
    let release = receiver.expect(PUBREL)?;
    w.check(
        ["3.10.4-3"; 2],
        release.id == message.id,
        release.describe(),
    );
    Ok(())
}

fn shared_qos(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("shared");
    let mut members = Vec::new();
    for qos in 0..=2 {
        let filter = format!("$share/{}{qos}/{topic}", w.name("group"));
        members.push((w.subscriber(&format!("member{qos}"), &filter, qos)?, qos));
    }
    let mut sender = w.client("sender")?;
    sender.send(&w.message(4, &topic, 1, "x"));
    sender.expect(PUBREC)?;
    sender.send(&wire::ack(PUBREL, 1, 0));
    for (member, qos) in &mut members {
        let message = w.receive(member)?;
        w.check(["4.8.2-3", ""], message.qos() == *qos, message.describe());
    }
    Ok(())
}

fn shared_rejection(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("rejected");
    let filter = format!("$share/{}/{topic}", w.name("group"));
    let mut first = w.subscriber("first", &filter, 1)?;
    let mut sender = w.client("sender")?;
    w.publish(&mut sender, false, &topic, "rejected")?;
    let message = first.expect(PUBLISH)?;
    let mut second = w.subscriber("second", &filter, 1)?;
    first.send(&wire::ack(wire::PUBACK, message.id, 0x80));
    w.fence(&mut first)?;
    first.send(&wire::disconnect(w.version, 0, &[]));
    first.until_closed()?;
    w.publish(&mut sender, false, &topic, "next")?;
    let message = w.receive(&mut second)?;
    w.check(
        ["4.8.2-6", ""],
        message.payload == b"next",
        message.describe(),
    );
    Ok(())
}

/// A group of two at QoS 2. The first, whose session lasts, has begun with a message and is gone; the second has
/// come since. Returns the second and the identifier of the message.
fn shared_begun(w: &World, topic: &str) -> Result<(Connection, u16), Stop> {
    let filter = format!("$share/{}/{topic}", w.name("group"));
    let mut first = w.online(&w.lasting("first"))?;
    w.subscribe(&mut first, &filter, 2)?;
    let mut sender = w.client("sender")?;
    sender.send(&w.message(4, topic, 1, "begun"));
    sender.expect(PUBREC)?;
    sender.send(&wire::ack(PUBREL, 1, 0));
    sender.expect(PUBCOMP)?;
    let message = first.expect(PUBLISH)?;
    let second = w.subscriber("second", &filter, 2)?;
    first.cut();
    Ok((second, message.id))
}

fn shared_return(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("return");
    let (mut second, id) = shared_begun(w, &topic)?;
    let mut first = w.online(&w.lasting("first"))?;
    let message = first.expect(PUBLISH)?;
    let kept = message.id == id && message.payload == b"begun";
    w.check(["4.8.2-4", ""], kept, message.describe());
    first.send(&wire::ack(PUBREC, id, 0));
    first.expect(PUBREL)?;
    first.send(&wire::ack(PUBCOMP, id, 0));
    let others = w.fence(&mut second)?;
    w.check(["4.8.2-4", ""], others.is_empty(), describe(&others));
    Ok(())
}

fn shared_end(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("end");
    let (mut second, _) = shared_begun(w, &topic)?;
    // A clean start of the same name ends the session of the first.
    w.client("first")?;
    let others = w.fence(&mut second)?;
    w.check(["4.8.2-5", ""], others.is_empty(), describe(&others));
    Ok(())
}
