//! A broker that is set up to refuse: Maximum QoS 1, nothing retained, identifiers and passwords demanded, topics
//! that are not allowed. What each place is like is said by [`super::LIMITED`] and [`super::GUARDED`].

use super::{Place, Row, World};
use crate::peer::{Stop, describe};
use crate::wire::{
    self, CONNACK, ConnectBytes, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet, SUBACK,
};

pub(super) const SCRIPTS: &[Row] = &[
    (
        "a_maximum_qos_is_announced_and_subscriptions_of_any_qos_are_taken",
        ["3.2.2-9 3.2.2-10", ""],
        maximum_qos,
    ),
    (
        "a_will_that_cannot_be_kept_is_refused_with_the_connect",
        ["3.2.2-12 3.2.2-13", "3.2.2-6"],
        wills,
    ),
    (
        "an_empty_identifier_that_is_refused_closes",
        ["3.1.3-8", ""],
        empty_identifier,
    ),
    (
        "a_copy_for_each_subscription_names_its_own",
        ["3.3.4-5", ""],
        copies,
    ),
    ("a_wrong_password_closes", ["3.1.4-2", ""], wrong_password),
    (
        "a_message_that_is_not_allowed_is_answered_or_closes",
        ["", "3.3.5-2"],
        not_allowed,
    ),
    (
        "the_identifier_of_a_refused_message_is_free",
        ["4.3.3-9", ""],
        refused_by_the_broker,
    ),
    (
        "the_identifier_of_a_message_that_a_client_refused_is_free",
        ["4.3.3-9", ""],
        refused_by_the_client,
    ),
];

fn maximum_qos(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Limited;
    let (mut connection, connack) = w.begin(&w.connect("limited"))?;
    let announced = connack.number(0x24);
    w.check(
        ["3.2.2-9", ""],
        announced == Some(1),
        format!("Maximum QoS {announced:?}"),
    );
    let topic = w.name("any");
    let suback = w.subscribe(&mut connection, &topic, 2)?;
    let granted = suback.codes.iter().all(|code| *code <= 2);
    w.check(["3.2.2-10", ""], granted, format!("{:02X?}", suback.codes));
    Ok(())
}

/// What the broker says to a CONNECT until it closes.
fn answers(w: &World, connect: &ConnectBytes) -> Result<Vec<Packet>, Stop> {
    let mut connection = w.open()?;
    connection.send(&connect.bytes());
    connection.until_closed()
}

fn wills(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Limited;
    let topic = w.name("will");
    // The flags of QoS 2 and of RETAIN.
    for (flags, id) in [(0x10, "3.2.2-12"), (0x20, "3.2.2-13")] {
        let connect = w.connect("will").will(topic.as_bytes(), b"x", flags, &[]);
        let said = answers(w, &connect)?;
        let refuses = |packet: &Packet| packet.kind == CONNACK && packet.code >= 0x80;
        w.check([id, ""], said.iter().all(refuses), describe(&said));
        // MQTT 3.1.1 has no code for either.
        w.check(["", "3.2.2-6"], said.is_empty(), describe(&said));
    }
    Ok(())
}

fn empty_identifier(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Limited;
    let said = answers(w, &ConnectBytes::new(w.version, ""))?;
    let refuses = |packet: &Packet| packet.kind == CONNACK && packet.code >= 0x80;
    w.check(["3.1.3-8", ""], said.iter().all(refuses), describe(&said));
    Ok(())
}

fn copies(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Limited;
    let root = w.name("copies");
    let mut connection = w.client("both")?;
    for (identifier, filter) in [(1, format!("{root}/+")), (2, format!("{root}/a"))] {
        let properties = [0x0B, identifier];
        let filters = [(filter.as_bytes(), 0)];
        connection.send(&wire::subscribe(w.version, 1, &properties, &filters));
        connection.expect(SUBACK)?;
    }
    connection.send(&w.message(0, &format!("{root}/a"), 0, "x"));
    let copies = w.fence(&mut connection)?;
    let mut named: Vec<Vec<u32>> = copies.iter().map(|copy| copy.numbers(0x0B)).collect();
    named.sort_unstable();
    w.check(["3.3.4-5", ""], named == [[1], [2]], format!("{named:?}"));
    Ok(())
}

fn wrong_password(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Guarded;
    let right = w.login("right");
    w.online(&right)?;
    let mut wrong = right;
    wrong.fields = [wire::field(super::USER), wire::field(b"wrong")].concat();
    let said = answers(w, &wrong)?;
    let refuses = |packet: &Packet| packet.kind == CONNACK && packet.code != 0;
    w.check(["3.1.4-2", ""], said.iter().all(refuses), describe(&said));
    Ok(())
}

fn not_allowed(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Guarded;
    for (flags, answer) in [(2, PUBACK), (4, PUBREC)] {
        let mut connection = w.online(&w.login("denied"))?;
        connection.send(&w.message(flags, "denied", 1, "x"));
        let answered = match connection.receive()? {
            Some(packet) if packet.kind == answer => packet.id == 1,
            Some(_) => false,
            None => true,
        };
        w.check(["", "3.3.5-2"], answered, format!("flags {flags}"));
    }
    Ok(())
}

fn refused_by_the_broker(w: &mut World) -> Result<(), Stop> {
    w.place = Place::Guarded;
    let topic = format!("{}{}", super::ALLOWED, w.name("free"));
    let mut connection = w.online(&w.login("sender"))?;
    w.subscribe(&mut connection, &topic, 0)?;
    connection.send(&w.message(4, "denied", 7, "refused"));
    let refusal = connection.expect(PUBREC)?;
    if refusal.code < 0x80 {
        return Err(Stop::Unsupported(
            "it refuses no message of QoS 2".to_owned(),
        ));
    }
    connection.send(&w.message(4, &topic, 7, "another"));
    let accepted = connection.until(|packet| packet.kind == PUBREC && packet.id == 7)?;
    let is_taken = accepted.last().is_some_and(|packet| packet.code < 0x80);
    connection.send(&wire::ack(PUBREL, 7, 0));
    let mut seen = accepted;
    seen.extend(connection.until(|packet| packet.kind == PUBCOMP)?);
    seen.extend(w.fence(&mut connection)?);
    let messages = seen.iter().filter(|packet| packet.kind == PUBLISH);
    let payloads: Vec<_> = messages.map(|message| message.payload.clone()).collect();
    let kept = is_taken && payloads == [b"another"];
    w.check(["4.3.3-9", ""], kept, describe(&seen));
    Ok(())
}

fn refused_by_the_client(w: &mut World) -> Result<(), Stop> {
    let topic = w.name("refused");
    let one_at_a_time = ConnectBytes {
        properties: wire::number(0x21, 1, 2),
        ..w.connect("refuses")
    };
    let mut connection = w.online(&one_at_a_time)?;
    w.subscribe(&mut connection, &topic, 2)?;
    let mut sender = w.client("sender")?;
    for payload in ["refused", "another"] {
        sender.send(&w.message(4, &topic, 1, payload));
        sender.expect(PUBREC)?;
        sender.send(&wire::ack(PUBREL, 1, 0));
        sender.expect(PUBCOMP)?;
    }
    let refused = connection.expect(PUBLISH)?;
    connection.send(&wire::ack(PUBREC, refused.id, 0x80));
    // A PUBREL would come first, and there is room for the other only once the identifier is free.
    let next = connection.receive()?;
    let kept = next.is_some_and(|packet| packet.kind == PUBLISH && packet.payload == b"another");
    w.check(
        ["4.3.3-9", ""],
        kept,
        "something else than the next message",
    );
    Ok(())
}
