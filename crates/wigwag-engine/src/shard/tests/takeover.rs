//! One client, two connections: sessions that change their connection, and their shard.

use wigwag_proto::ReasonCode;

use super::world::{Client, Hello, Publication, Q0, Q1, Q2, World};
use crate::event::{CloseReason, Event};

fn sub() -> Hello {
    Hello::new("sub").persistent()
}

#[test]
fn the_old_connection_is_told_and_closed() {
    // [MQTT-3.1.4-3]; 3.1.4-2 of 3.1.1
    for (shards, new) in [(1, 0), (2, 1)] {
        let world = World::new(shards);
        let old = world.connect(0, sub());
        let current = world.connect(new, sub());
        assert_eq!(old.heard(), ["DISCONNECT 0x8E", "closed"]);
        assert!(current.session_present);
        let older = world.connect(0, Hello::new("x").v3());
        let _newer = world.connect(new, Hello::new("x").v3());
        assert_eq!(older.heard(), ["closed"]);
        let taken = |event: &Event| {
            matches!(
                event,
                Event::Closed {
                    reason: CloseReason::TakenOver,
                    client_id: Some(_),
                    ..
                }
            )
        };
        assert_eq!(
            world.events().iter().filter(|event| taken(event)).count(),
            2
        );
    }
}

#[test]
fn a_session_that_ends_with_its_connection_is_not_taken_over() {
    for (shards, new) in [(1, 0), (2, 1)] {
        let world = World::new(shards);
        let old = world.connect(0, Hello::new("sub"));
        old.subscribe("t", Q1);
        let current = world.connect(new, Hello::new("sub").resume());
        assert!(!current.session_present);
        world.connect(0, "pub").publish("t", "m", Q1);
        assert!(current.received().is_empty());
    }
}

#[test]
fn queue_flight_and_subscriptions_come_along() {
    // [MQTT-4.4.0-1], [MQTT-3.1.2-5]
    for (shards, new) in [(1, 0), (2, 1), (3, 2)] {
        let world = World::new(shards);
        let old = world.connect(0, sub().receive_maximum(3));
        old.stop_acknowledging();
        old.subscribe("t", Q2);
        let publisher = world.connect(0, "pub");
        for (payload, qos) in [("1", Q1), ("2", Q2), ("3", Q2), ("4", Q1), ("5", Q1)] {
            publisher.publish("t", payload, qos);
        }
        assert_eq!(
            old.heard(),
            ["PUBLISH 1 t 1 q1", "PUBLISH 2 t 2 q2", "PUBLISH 3 t 3 q2"]
        );
        old.pubrec(2);
        let current = world.connect(new, sub());
        assert_eq!(
            current.heard(),
            [
                "PUBLISH 1 t 1 q1 dup",
                "PUBREL 2",
                "PUBLISH 3 t 3 q2 dup",
                "PUBLISH 4 t 4 q1",
                "PUBLISH 5 t 5 q1",
                "PUBREL 3",
            ]
        );
        publisher.publish("t", "6", Q1);
        assert_eq!(current.received(), ["t 6 q1"]);
        current.disconnect_with(ReasonCode::Success, Some(0));
        publisher.disconnect();
        world.assert_empty();
    }
}

#[test]
fn unreleased_qos_2_messages_come_along() {
    // [MQTT-4.3.3-10]
    let world = World::new(2);
    let listener = world.connect(0, "listener");
    listener.subscribe("t", Q2);
    let old = world.connect(0, sub());
    old.stop_acknowledging();
    let publication = Publication::new("t", "m").qos(Q2).packet_id(4);
    old.publish_with(&publication);
    let current = world.connect(1, sub());
    current.publish_with(&publication.dup());
    assert_eq!(current.heard(), ["PUBREC 4", "PUBCOMP 4"]);
    assert_eq!(listener.received(), ["t m q2"]);
}

#[test]
fn clean_start_ends_a_session_wherever_it_is() {
    // [MQTT-3.1.2-4]
    for (shards, new) in [(1, 0), (2, 1)] {
        let world = World::new(shards);
        let old = world.connect(0, sub());
        old.subscribe("t", Q1);
        let current = world.connect(new, Hello::new("sub"));
        assert!(!current.session_present);
        let publisher = world.connect(0, "pub");
        publisher.publish("t", "m", Q1);
        assert!(current.received().is_empty());
        // Whoever comes next finds this session and no other.
        let last = world.connect(0, Hello::new("sub"));
        assert_eq!(current.heard(), ["DISCONNECT 0x8E", "closed"]);
        last.disconnect();
        publisher.disconnect();
        world.assert_empty();
    }
}

#[test]
fn messages_published_at_every_step_of_a_hand_over_arrive_once_and_in_order() {
    // [MQTT-4.5.0-1], [MQTT-4.6.0-5]: three publishers on three shards, while a session moves from one
    // to the next under every order that mailboxes may have.
    for seed in 0..200 {
        let mut pick = Picks(seed);
        let world = World::new(3);
        let mut subs = vec![world.connect(0, sub())];
        subs[0].subscribe("t/+", Q2);
        let publishers: Vec<Client> = (0..3)
            .map(|n| world.connect(n, Hello::new(&format!("p{n}"))))
            .collect();
        world.hold_letters();
        let mut sent = vec![Vec::new(); 3];
        for step in 0..60 {
            let from = pick.below(3);
            let payload = format!("{from}.{step}");
            publishers[from].publish(&format!("t/{from}"), &payload, Q2);
            sent[from].push(payload);
            if step % 15 == 7 {
                subs.push(world.dial(pick.below(3), sub()));
            }
            for _ in 0..pick.below(4) {
                world.deliver_one(pick.next());
            }
        }
        while world.deliver_one(pick.next()) {}
        let got: Vec<String> = subs.iter().flat_map(payloads).collect();
        for (from, sent) in sent.iter().enumerate() {
            let prefix = format!("{from}.");
            let from_here: Vec<_> = got
                .iter()
                .filter(|payload| payload.starts_with(&prefix))
                .collect();
            assert_eq!(
                from_here,
                sent.iter().collect::<Vec<_>>(),
                "publisher {from}, seed {seed}"
            );
        }
        let current = subs.last().expect("there is one");
        current.disconnect_with(ReasonCode::Success, Some(0));
        publishers.iter().for_each(Client::disconnect);
        while world.deliver_one(pick.next()) {}
        world.assert_empty();
    }
}

#[test]
fn the_last_of_many_connects_wins_whatever_the_mailboxes_do() {
    for seed in 0..2_000 {
        let mut pick = Picks(seed);
        let world = World::new(3);
        let publisher = world.connect(pick.below(3), "pub");
        let first = world.connect(pick.below(3), sub());
        first.subscribe("t", Q2);
        world.hold_letters();
        let mut clients = vec![first];
        for _ in 0..2 + pick.below(4) {
            clients.push(world.dial(pick.below(3), sub()));
            if pick.below(3) == 0 {
                publisher.publish("t", "m", Q2);
            }
            for _ in 0..pick.below(3) {
                world.deliver_one(pick.next());
            }
        }
        while world.deliver_one(pick.next()) {}
        let mut last = clients.pop().expect("there are some");
        last.expect_accepted();
        assert!(last.session_present, "seed {seed}");
        assert!(clients.iter().all(Client::is_closed), "seed {seed}");
        last.heard();
        publisher.publish("t", "end", Q2);
        while world.deliver_one(pick.next()) {}
        assert_eq!(last.received(), ["t end q2"], "seed {seed}");
        last.disconnect_with(ReasonCode::Success, Some(0));
        publisher.disconnect();
        while world.deliver_one(pick.next()) {}
        world.assert_empty();
    }
}

#[test]
fn a_session_waits_where_its_client_died() {
    for dies_at in 0..6 {
        let world = World::new(3);
        let old = world.connect(0, sub());
        old.subscribe("t", Q1);
        let publisher = world.connect(2, "pub");
        world.hold_letters();
        let dying = world.dial(1, sub());
        let mut pick = Picks(dies_at);
        for _ in 0..dies_at {
            world.deliver_one(pick.next());
        }
        dying.stop_acknowledging();
        publisher.publish("t", "1", Q1);
        dying.lose();
        publisher.publish("t", "2", Q1);
        while world.deliver_one(pick.next()) {}
        let current = world.dial(0, sub());
        publisher.publish("t", "3", Q1);
        while world.deliver_one(pick.next()) {}
        let got: Vec<String> = [&old, &dying, &current]
            .into_iter()
            .flat_map(payloads)
            .collect();
        let repeated = got.windows(2).position(|pair| pair[0] == pair[1]);
        let once: Vec<_> = (0..got.len())
            .filter(|&at| Some(at) != repeated)
            .map(|at| &got[at])
            .collect();
        assert_eq!(once, ["1", "2", "3"], "died after {dies_at} letters");
        current.disconnect_with(ReasonCode::Success, Some(0));
        publisher.disconnect();
        while world.deliver_one(pick.next()) {}
        world.assert_empty();
    }
}

#[test]
fn a_client_that_dies_with_a_session_that_has_ended_leaves_nothing() {
    let world = World::new(2);
    let old = world.connect(0, Hello::new("x"));
    world.hold_letters();
    let dying = world.dial(1, Hello::new("x"));
    dying.lose();
    while world.deliver_one(0) {}
    assert_eq!(old.heard(), ["DISCONNECT 0x8E", "closed"]);
    world.assert_empty();
}

#[test]
fn a_session_that_expires_while_it_settles_is_let_go() {
    // The session is at shard 1, still settling, and claimed by shard 0 when its time is up.
    let world = World::new(3);
    let hello = Hello::new("x").resume().expiry(1);
    let _first = world.connect(0, hello.clone());
    world.hold_letters();
    let second = world.dial(1, hello.clone());
    world.deliver_from(1, 0);
    world.deliver_from(0, 1);
    assert_eq!(second.heard(), ["CONNACK present"]);
    let mut third = world.dial(2, hello);
    world.deliver_from(2, 1);
    world.advance(5);
    while world.deliver_one(1) {}
    third.expect_accepted();
    assert!(!third.session_present);
    third.disconnect_with(ReasonCode::Success, Some(0));
    while world.deliver_one(1) {}
    world.assert_empty();
}

#[test]
fn retained_messages_of_a_session_that_settles_keep_their_flag() {
    // [MQTT-3.3.1-8] of 3.1.1
    let world = World::new(2);
    let publisher = world.connect(0, "pub");
    for n in 0..2_000 {
        publisher.publish_with(&Publication::new(&format!("t/{n:04}"), "m").retain());
    }
    let _old = world.connect(0, sub());
    world.hold_letters();
    let mut current = world.dial(1, sub());
    world.deliver_from(1, 0);
    world.deliver_from(0, 1);
    current.expect_accepted();
    current.subscribe("#", Q0);
    world.release_letters();
    let got = current.messages();
    assert_eq!(got.len(), 2_000);
    assert!(got.iter().all(|message| message.retain));
}

#[test]
fn a_connection_that_waits_for_its_session_is_read_when_it_comes() {
    let world = World::new(2);
    let _old = world.connect(0, sub());
    world.hold_letters();
    let current = world.dial(1, sub());
    current.ping();
    assert!(current.heard().is_empty());
    world.release_letters();
    assert_eq!(current.heard(), ["CONNACK present", "PINGRESP"]);
}

fn payloads(client: &Client) -> Vec<String> {
    client
        .messages()
        .into_iter()
        .map(|message| message.payload)
        .collect()
}

/// Numbers that look random and are the same in every run.
pub(super) struct Picks(pub(super) u64);

impl Picks {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
