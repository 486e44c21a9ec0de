//! What differs from one listener to the next, and from one set of settings to another.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wigwag_proto::packet::Version;
use wigwag_proto::{Property, TopicFilter, TopicName};

use super::world::{Client, Hello, Publication, Q0, Q1, Q2, Wanted, World};
use crate::event::DropReason;
use crate::limits::Limits;
use crate::listener::{ListenerSettings, Versions};
use crate::policy::{Identity, Policy};
use crate::settings::Settings;

fn listener(change: impl FnOnce(&mut ListenerSettings)) -> Arc<ListenerSettings> {
    let mut settings = ListenerSettings::default();
    change(&mut settings);
    Arc::new(settings)
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

fn limits(change: impl FnOnce(&mut Limits)) -> Settings {
    settings(|settings| change(&mut settings.limits))
}

/// What a client of MQTT 5 and one of 3.1.1 hear when they say the same.
fn answers(world: &World, hello: &Hello) -> [Vec<String>; 2] {
    [hello.clone(), hello.clone().v3()].map(|hello| world.dial(0, hello).heard())
}

#[test]
fn the_maximum_qos_is_announced_granted_and_not_to_be_passed() {
    // [MQTT-3.2.2-9] to [MQTT-3.2.2-12]
    let world = World::new(1);
    let at_most_1 = listener(|listener| listener.qos_max = Q1);
    let client = world.connect(0, Hello::new("a").at(&at_most_1));
    let offer = client.offer.as_properties();
    assert_eq!(offer.maximum_qos(), Some(true));
    assert_eq!(client.subscribe_with(&[Wanted::new("t", Q2)]), [1]);
    world.connect(0, "pub").publish("t", "m", Q2);
    assert_eq!(client.received(), ["t m q1"]);
    client.publish("t", "m", Q2);
    assert_eq!(client.heard(), ["DISCONNECT 0x9B", "closed"]);
    let will = Hello::new("b").will(Publication::new("t", "gone").qos(Q2));
    let refused = answers(&world, &will.at(&at_most_1));
    assert_eq!(refused[0], ["CONNACK 0x9B", "closed"]);
    assert_eq!(refused[1], ["closed"], "MQTT 3.x has no word for it");
}

#[test]
fn a_mount_point_stands_before_the_topics_of_its_clients_and_they_do_not_see_it() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let mounted = listener(|listener| listener.mount_point = Some("home/".into()));
        let inside = world.connect(0, Hello::new("in").at(&mounted));
        inside.subscribe("#", Q1);
        inside.subscribe("$share/g/shared", Q1);
        let outside = world.connect(usize::from(shards - 1), "out");
        outside.subscribe("#", Q1);
        inside.publish("t", "from inside", Q1);
        outside.publish("home/t", "from outside", Q1);
        outside.publish("home/shared", "one", Q1);
        outside.publish("t", "not for inside", Q1);
        let got = inside.received();
        assert_eq!(
            got,
            [
                "t from inside q1",
                "t from outside q1",
                "shared one q1",
                "shared one q1"
            ]
        );
        assert_eq!(outside.received()[0], "home/t from inside q1");
        assert_eq!(inside.unsubscribe(&["#", "other"]), [0, 0x11]);
        let will = Publication::new("gone", "w").retain();
        world
            .connect(0, Hello::new("w").at(&mounted).will(will))
            .lose();
        inside.subscribe("+", Q0);
        assert_eq!(inside.received(), ["gone w retain"]);
        assert_eq!(outside.received().last().expect("the Will"), "home/gone w");
    }
}

#[test]
fn aliases_stand_for_long_topics_towards_clients_that_accept_them() {
    // [MQTT-3.1.2-26], [MQTT-3.1.2-27]; the client of the simulation checks and resolves them.
    let world = World::new(2);
    let hello = |id| Hello::new(id).property(Property::TopicAliasMaximum(1));
    let long = "a/topic/that/is/long";
    let client = world.connect(0, hello("a").persistent());
    client.subscribe("a/#", Q1);
    client.subscribe("b", Q1);
    let plain = world.connect(1, "plain");
    plain.subscribe("a/#", Q1);
    let publisher = world.connect(1, "pub");
    client.stall();
    let lengths: Vec<usize> = [long, long, "a/topic/that/is/longer", "b"]
        .iter()
        .map(|topic| {
            let before = client.waiting_bytes();
            publisher.publish(topic, "m", Q1);
            client.waiting_bytes() - before
        })
        .collect();
    // Header, topic, identifier, properties and their length, payload.
    assert_eq!(
        lengths,
        [
            2 + 22 + 2 + 4 + 1,
            2 + 2 + 2 + 4 + 1,
            2 + 24 + 2 + 1 + 1,
            2 + 3 + 2 + 1 + 1
        ]
    );
    client.read_on();
    let topics: Vec<String> = client.messages().into_iter().map(|m| m.topic).collect();
    assert_eq!(topics, [long, long, "a/topic/that/is/longer", "b"]);
    assert_eq!(plain.messages().len(), 3);
    client.lose();
    let again = world.connect(0, hello("a").persistent());
    publisher.publish(long, "m", Q1);
    assert_eq!(
        again.messages()[0].topic,
        long,
        "the connection knows no alias yet"
    );
    let none = listener(|listener| listener.topic_alias_maximum_out = 0);
    let without = world.connect(0, hello("b").at(&none));
    without.subscribe("a/#", Q0);
    publisher.publish(long, "m", Q0);
    let property = without.messages()[0]
        .properties
        .as_properties()
        .topic_alias();
    assert_eq!(property, None);
}

#[test]
fn those_who_know_the_same_alias_get_the_same_bytes() {
    let world = World::new(1);
    let topic = "a/topic/that/is/long";
    let hello = |id| Hello::new(id).property(Property::TopicAliasMaximum(2));
    let [one, two, late] = ["one", "two", "late"].map(|id| world.connect(0, hello(id)));
    let plain = world.connect(0, "plain");
    // The late one has another alias for it; the second is not asked for the same Packet Identifiers.
    late.subscribe("another/long/topic", Q0);
    two.subscribe("skewed", Q1);
    let publisher = world.connect(0, "pub");
    publisher.publish("another/long/topic", "m", Q0);
    publisher.publish("skewed", "m", Q1);
    let all = [&one, &two, &late, &plain];
    all.iter().for_each(|client| client.subscribe(topic, Q1));
    for payload in ["1", "2", "3"] {
        publisher.publish(topic, payload, Q1);
    }
    // The client of the simulation checks aliases and acknowledges by Packet Identifier.
    for client in all {
        let got = client
            .messages()
            .into_iter()
            .filter(|got| got.topic == topic);
        let last: Vec<String> = got.map(|got| got.payload).collect();
        let expect = ["1", "2", "3"];
        assert_eq!(last, expect);
    }
}

#[test]
fn a_listener_may_speak_some_versions_only() {
    let world = World::new(1);
    let new = listener(|listener| listener.versions = Versions::NONE.with(Version::V5));
    let old = listener(|listener| {
        listener.versions = Versions::NONE.with(Version::V3_1).with(Version::V3_1_1);
    });
    let [five, three] = answers(&world, &Hello::new("a").at(&new));
    assert_eq!(
        (five.as_slice(), three.as_slice()),
        (
            &["CONNACK".to_owned()][..],
            &["CONNACK 0x84".to_owned(), "closed".to_owned()][..]
        )
    );
    let [five, three] = answers(&world, &Hello::new("b").at(&old));
    assert_eq!(five, ["CONNACK 0x84", "closed"]);
    assert_eq!(three, ["CONNACK"]);
}

#[test]
fn identifiers_are_assigned_demanded_and_taken_from_user_names() {
    let world = World::new(1);
    let prefixed = listener(|listener| listener.auto_id_prefix = "dev-".into());
    let client = world.connect(0, Hello::new("").at(&prefixed));
    let assigned = client.offer.as_properties().assigned_client_identifier();
    let assigned = assigned.expect("a name");
    assert!(
        assigned.starts_with("dev-") && assigned.len() == 4 + 36,
        "{assigned}"
    );
    let strict = listener(|listener| listener.allow_zero_length_clientid = false);
    let [five, three] = answers(&world, &Hello::new("").at(&strict));
    assert_eq!(five, ["CONNACK 0x80", "closed"], "as Mosquitto says it");
    assert_eq!(three, ["CONNACK 0x85", "closed"]);
    let named = listener(|listener| listener.use_username_as_clientid = true);
    let first = world.connect(0, Hello::new("x").user_name("u").at(&named));
    world.connect(0, Hello::new("y").user_name("u").at(&named));
    assert_eq!(first.heard(), ["DISCONNECT 0x8E", "closed"]);
    let nameless = world.dial(0, Hello::new("z").at(&named));
    assert_eq!(nameless.heard(), ["CONNACK 0x87", "closed"]);
    // Certificates know no bounds.
    for name in ["", "a\0b", &"n".repeat(257), &"n".repeat(70_000)] {
        for client_id in ["z", ""] {
            let certified = Hello::new(client_id).certified(name).at(&named);
            assert_eq!(world.dial(0, certified).heard(), ["CONNACK 0x85", "closed"]);
        }
    }
    let endless = listener(|listener| listener.auto_id_prefix = "p".repeat(65_500).into());
    let client = world.connect(0, Hello::new("").at(&endless));
    let assigned = client.offer.as_properties().assigned_client_identifier();
    assert_eq!(assigned.map(str::len), Some(36));
    let begins = settings(|settings| settings.client_id_prefixes = vec!["a-".into(), "b-".into()]);
    let world = World::with_settings(1, &begins);
    world.connect(0, "b-1");
    world.connect(0, "");
    assert_eq!(world.dial(0, "c-1").heard(), ["CONNACK 0x87", "closed"]);
}

#[test]
fn who_has_no_name_in_its_certificate_cannot_choose_one() {
    let world = World::new(1);
    let hello = Hello::new("a").user_name("chosen").nameless();
    let [five, three] = answers(&world, &hello);
    assert_eq!(five, ["CONNACK 0x86", "closed"]);
    assert_eq!(three, ["CONNACK 0x86", "closed"]);
}

#[test]
fn a_longer_keep_alive_than_the_longest_is_replaced_or_refused() {
    // [MQTT-3.1.2-21], [MQTT-3.2.2-21]
    let world = World::with_settings(
        1,
        &limits(|limits| limits.keep_alive_secs_max = NonZeroU16::new(10)),
    );
    for wished in [0, 11] {
        let client = world.connect(0, Hello::new("a").keep_alive(wished));
        let demanded = client.offer.as_properties().server_keep_alive();
        assert_eq!(demanded, Some(10));
        world.advance(14);
        assert!(!client.is_closed());
        world.advance(2);
        assert_eq!(client.heard(), ["DISCONNECT 0x8D", "closed"]);
        let old = world.dial(0, Hello::new("b").keep_alive(wished).v3());
        assert_eq!(old.heard(), ["CONNACK 0x85", "closed"]);
    }
    let short = world.connect(0, Hello::new("a").keep_alive(10));
    assert_eq!(short.offer.as_properties().server_keep_alive(), None);
}

#[test]
fn where_nothing_is_retained_retain_is_not_allowed() {
    // [MQTT-3.2.2-13], [MQTT-3.2.2-14]
    let world = World::with_settings(1, &settings(|settings| settings.retain_available = false));
    let client = world.connect(0, "a");
    assert_eq!(client.offer.as_properties().retain_available(), Some(false));
    client.publish_with(&Publication::new("t", "m").retain());
    assert_eq!(client.heard(), ["DISCONNECT 0x9A", "closed"]);
    let will = Hello::new("b").will(Publication::new("t", "gone").retain());
    let [five, three] = answers(&world, &will);
    assert_eq!(five, ["CONNACK 0x9A", "closed"]);
    assert_eq!(three, ["closed"]);
}

#[test]
fn a_payload_above_the_bound_is_answered_and_goes_nowhere() {
    let world = World::with_settings(1, &limits(|limits| limits.payload_size_max = 4));
    let client = world.connect(0, "a");
    client.subscribe("t", Q0);
    for (payload, qos) in [("12345", Q0), ("12345", Q1), ("12345", Q2), ("1234", Q0)] {
        client.publish("t", payload, qos);
    }
    assert_eq!(
        client.heard(),
        ["PUBACK 2 0x97", "PUBREC 3 0x97", "PUBLISH t 1234"]
    );
    let will = Hello::new("b").will(Publication::new("t", "12345"));
    assert_eq!(world.dial(0, will).heard(), ["CONNACK 0x95", "closed"]);
}

#[test]
fn qos_0_waits_with_the_others_if_that_is_wanted() {
    let world = World::with_settings(1, &settings(|settings| settings.queue_qos0 = true));
    let away = world.connect(0, Hello::new("a").persistent());
    away.subscribe("t", Q1);
    away.lose();
    let publisher = world.connect(0, "pub");
    for (payload, qos) in [("1", Q0), ("2", Q1), ("3", Q0)] {
        publisher.publish("t", payload, qos);
    }
    let back = world.connect(0, Hello::new("a").persistent());
    assert_eq!(back.received(), ["t 1", "t 2 q1", "t 3"]);
}

#[test]
fn a_shared_qos_0_waits_with_a_member_if_that_is_wanted() {
    for (waits, expect) in [(true, &["t m"][..]), (false, &[])] {
        for shards in [1, 2] {
            let wanted = settings(|settings| settings.queue_qos0 = waits);
            let world = World::with_settings(shards, &wanted);
            let member = |id| Hello::new(id).persistent();
            for (shard, id) in [(0, "a"), (usize::from(shards - 1), "b")] {
                let away = world.connect(shard, member(id));
                away.subscribe("$share/g/t", Q1);
                away.lose();
            }
            world.connect(0, "pub").publish("t", "m", Q0);
            let back = ["a", "b"].map(|id| world.connect(0, member(id)).received());
            assert_eq!(back.concat(), expect, "{shards} shards");
        }
    }
}

#[test]
fn messages_are_sent_with_the_qos_of_the_subscription_if_that_is_wanted() {
    let world = World::with_settings(
        1,
        &settings(|settings| settings.upgrade_outgoing_qos = true),
    );
    let client = world.connect(0, "a");
    client.subscribe("t", Q2);
    world.connect(0, "pub").publish("t", "m", Q0);
    assert_eq!(client.received(), ["t m q2"]);
}

#[test]
fn overlapping_subscriptions_bring_a_copy_each_if_that_is_wanted() {
    // [MQTT-3.3.4-2] leaves the choice.
    let duplicates = settings(|settings| settings.allow_duplicates = true);
    for shards in [1, 2] {
        let world = World::with_settings(shards, &duplicates);
        let client = world.connect(0, "a");
        client.subscribe_with(&[Wanted::new("t/+", Q2).identifier(1)]);
        client.subscribe_with(&[Wanted::new("t/#", Q0).identifier(2)]);
        let publisher = world.connect(usize::from(shards - 1), "pub");
        publisher.publish("t/x", "m", Q2);
        let mut got = client.received();
        got.sort();
        assert_eq!(got, ["t/x m id=2", "t/x m q2 id=1"]);
        let once = Settings::default();
        for shard in 0..usize::from(shards) {
            world.embed(shard, |shard, _| shard.handle_settings(once.clone()));
        }
        publisher.publish("t/x", "m", Q2);
        assert_eq!(client.received().len(), 1, "settings can change");
    }
}

#[test]
fn retained_messages_are_kept_for_a_time_and_only_with_their_publishers_rights() {
    struct Rights(std::rc::Rc<std::cell::Cell<bool>>);
    impl Policy for Rights {
        fn may_publish(&self, who: &Identity, _: TopicName<'_>) -> bool {
            self.0.get() || &*who.client_id != "b"
        }
        fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
            true
        }
        fn may_receive(&self, _: &Identity, _: TopicName<'_>) -> bool {
            true
        }
    }
    let kept = settings(|settings| {
        settings.check_retain_source = true;
        settings.limits.retained_for_max = Some(Duration::from_secs(60));
    });
    let may = std::rc::Rc::new(std::cell::Cell::new(true));
    let world = World::build(1, &kept, || Box::new(Rights(std::rc::Rc::clone(&may))));
    for id in ["a", "b"] {
        let message = Publication::new(id, "m").retain().expiry(1_000);
        world.connect(0, id).publish_with(&message);
    }
    let read = |id: &str| {
        let client: Client = world.connect(0, id);
        client.subscribe("#", Q0);
        client.received()
    };
    assert_eq!(
        read("x"),
        ["a m retain expiry=1000", "b m retain expiry=1000"]
    );
    may.set(false);
    assert_eq!(read("x"), ["a m retain expiry=1000"]);
    world.advance(60);
    assert!(read("x").is_empty());
}

#[test]
fn only_so_many_clients_have_sessions_in_the_node() {
    let world = World::with_settings(2, &limits(|limits| limits.clients_max = 2));
    let first = world.connect(0, "a");
    world.connect(1, Hello::new("b").persistent()).lose();
    assert_eq!(world.dial(0, "c").heard(), ["CONNACK 0x89", "closed"]);
    world.connect(0, Hello::new("b").persistent());
    first.disconnect();
    world.connect(1, "c");
}

#[test]
fn response_information_is_for_those_who_ask() {
    let world = World::with_settings(
        1,
        &settings(|settings| settings.response_information = Some("answers/".into())),
    );
    let asks = Hello::new("a").property(Property::RequestResponseInformation(true));
    let client = world.connect(0, asks);
    let information = client.offer.as_properties().response_information();
    assert_eq!(information, Some("answers/a/"));
    let silent = world.connect(0, "b");
    assert_eq!(silent.offer.as_properties().response_information(), None);
}

#[test]
fn a_listener_whose_clients_may_lose_messages_holds_nobody_back_and_counts_them() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let lost = Arc::<AtomicU64>::default();
        let impatient = listener(|listener| listener.lost = Some(Arc::clone(&lost)));
        let reader = world.connect(0, Hello::new("reader").at(&impatient));
        reader.subscribe("t", Q2);
        reader.stall();
        let publisher = world.connect(usize::from(shards - 1), "pub");
        for number in 0..1_000 {
            let payload = format!("{number:010000}");
            publisher.publish_with(&Publication::new("t", &payload));
        }
        publisher.ping();
        assert_eq!(publisher.heard(), ["PINGRESP"], "it is not held back");
        reader.read_on();
        let got = reader.messages().len() as u64;
        assert!(got > 100, "what there is room for: {got}");
        assert_eq!(lost.load(Ordering::Relaxed), 1_000 - got);
        let dropped = world.shard_mut(0, |shard| shard.stats().dropped(DropReason::SlowConsumer));
        assert_eq!(dropped, 0);
    }
}
