//! What the embedder decides and asks for: authentication, kicks, its own messages, claimed topics.

use std::sync::Arc;

use bytes::Bytes;
use wigwag_proto::packet::{Auth, Version};
use wigwag_proto::{
    Packet, Properties, PropertiesBuf, Property, Qos, ReasonCode, TopicFilter, TopicName,
};

use super::world::{Client, Heard, Hello, Publication, Q1, World, name};
use crate::auth::{Answer, Attempt, AuthRequest, AuthStep, Exchange, Verdict};
use crate::kick::{Kick, Who};
use crate::limits::Limits;
use crate::listener::ListenerSettings;
use crate::message::MessageRef;
use crate::policy::{Identity, Policy};
use crate::settings::Settings;

/// Knows the password of `quick`, needs time for everybody else.
struct Later;

impl Policy for Later {
    fn authenticate(&self, attempt: &Attempt<'_>) -> Answer {
        match attempt.password {
            Some(b"known") => Answer::allow(attempt),
            Some(b"wrong") => Answer::refuse(ReasonCode::BadUserNameOrPassword),
            _ => Answer::Later,
        }
    }
    fn may_publish(&self, who: &Identity, _: TopicName<'_>) -> bool {
        who.user_name.as_deref() != Some("reader")
    }
    fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
        true
    }
    fn may_receive(&self, _: &Identity, _: TopicName<'_>) -> bool {
        true
    }
}

fn world(shards: u16) -> World {
    World::with_policy(shards, &Limits::default(), || Box::new(Later))
}

fn request(world: &World, shard: usize) -> AuthRequest {
    let request = world.embed(shard, |shard, _| shard.poll_auth_request());
    request.expect("the embedder is asked")
}

fn decide(world: &World, shard: usize, request: &AuthRequest, verdict: Verdict) {
    world.embed(shard, |shard, now| {
        shard.handle_verdict(now, request.connection, verdict);
    });
}

fn allow(user_name: Option<&str>) -> Verdict {
    Verdict::Allow {
        user_name: user_name.map(Into::into),
        data: None,
    }
}

/// A step that says how far it is.
fn go_on(step: u32, data: &'static str) -> Verdict {
    Verdict::Continue {
        data: Some(Bytes::from_static(data.as_bytes())),
        exchange: Exchange(Box::new(step)),
    }
}

fn auth(client: &Client, reason: ReasonCode, method: &str, data: &str) {
    let properties = PropertiesBuf::new()
        .with(Property::AuthenticationMethod(method))
        .and_then(|all| all.with(Property::AuthenticationData(data.as_bytes())))
        .expect("short");
    client.send(&Packet::Auth(Auth {
        reason,
        properties: properties.as_properties(),
    }));
}

/// The step that was given with the last verdict, and what the client sent.
fn step(request: AuthRequest) -> (u32, String) {
    match request.step {
        AuthStep::Continue { data, exchange } => {
            let step = exchange.0.downcast::<u32>().expect("what was given");
            let data = data.expect("there is some");
            (*step, String::from_utf8_lossy(&data).into_owned())
        }
        other => panic!("an answer, not {other:?}"),
    }
}

#[test]
fn a_policy_that_knows_the_answer_gives_it_at_once() {
    let world = world(1);
    world.connect(0, Hello::new("a").user_name("quick").password("known"));
    let wrong = world.dial(0, Hello::new("b").user_name("quick").password("wrong"));
    assert_eq!(wrong.heard(), ["CONNACK 0x86", "closed"]);
    let nobody_asked = world.embed(0, |shard, _| shard.poll_auth_request().is_none());
    assert!(nobody_asked);
}

#[test]
fn a_connect_is_parked_until_the_verdict() {
    for shards in [1, 2] {
        let world = world(shards);
        world.connect(
            0,
            Hello::new("a")
                .password("known")
                .user_name("u")
                .persistent(),
        );
        let shard = usize::from(shards - 1);
        let mut client = world.dial(
            shard,
            Hello::new("a").user_name("u").password("p").persistent(),
        );
        client.publish("t", "behind the CONNECT", Q1);
        assert!(client.heard_packets().is_empty());
        let asked = request(&world, shard);
        assert_eq!(asked.identity.user_name.as_deref(), Some("u"));
        assert!(
            matches!(&asked.step, AuthStep::Connect { password: Some(password), .. } if **password == *b"p")
        );
        decide(&world, shard, &asked, allow(Some("u")));
        client.expect_accepted();
        assert!(client.session_present);
        assert_eq!(client.heard(), ["PUBACK 1 0x10"]);
        decide(&world, shard, &asked, Verdict::Refuse(ReasonCode::Banned));
        assert!(!client.is_closed(), "a verdict counts once");
    }
}

#[test]
fn nobody_waits_for_a_verdict_longer_than_for_a_connect() {
    let world = world(1);
    let client = world.dial(0, "a");
    let asked = request(&world, 0);
    world.advance(11);
    assert_eq!(client.heard(), ["closed"]);
    decide(&world, 0, &asked, allow(None));
    world.assert_empty();
    let client = world.dial(0, "b");
    let asked = request(&world, 0);
    client.lose();
    decide(&world, 0, &asked, allow(None));
    world.assert_empty();
}

#[test]
fn a_refusal_is_told_in_connack() {
    let world = world(1);
    let clients = [Hello::new("a"), Hello::new("b").v3()].map(|hello| world.dial(0, hello));
    for client in clients {
        let asked = request(&world, 0);
        decide(
            &world,
            0,
            &asked,
            Verdict::Refuse(ReasonCode::NotAuthorized),
        );
        assert_eq!(client.heard(), ["CONNACK 0x87", "closed"]);
    }
}

#[test]
fn the_verdict_names_the_user() {
    let world = world(1);
    let mut client = world.dial(0, "a");
    let asked = request(&world, 0);
    decide(&world, 0, &asked, allow(Some("reader")));
    client.expect_accepted();
    client.publish("t", "m", Q1);
    assert_eq!(client.heard(), ["PUBACK 1 0x87"]);
    let certified = Hello::new("b").user_name("claimed").certified("proved");
    world.dial(0, certified);
    let asked = request(&world, 0);
    assert_eq!(asked.identity.user_name.as_deref(), Some("proved"));
    let is_certified = matches!(
        asked.step,
        AuthStep::Connect {
            is_certified: true,
            ..
        }
    );
    assert!(is_certified);
}

#[test]
fn an_enhanced_authentication_goes_on_until_it_is_decided() {
    // [MQTT-4.12.0-2] to [MQTT-4.12.0-6]
    let world = world(1);
    let hello = Hello::new("a").property(Property::AuthenticationMethod("M"));
    let client = world.dial(0, hello.property(Property::AuthenticationData(b"first")));
    let asked = request(&world, 0);
    assert!(
        matches!(&asked.step, AuthStep::Connect { method: Some(method), data: Some(data), .. }
            if &**method == "M" && data == "first")
    );
    decide(&world, 0, &asked, go_on(1, "challenge"));
    assert_eq!(client.heard(), ["AUTH 0x18"]);
    auth(&client, ReasonCode::ContinueAuthentication, "M", "answer");
    let asked = request(&world, 0);
    let connection = asked.connection;
    assert_eq!(step(asked), (1, "answer".to_owned()));
    world.embed(0, |shard, now| {
        let verdict = Verdict::Allow {
            user_name: Some("reader".into()),
            data: Some(Bytes::from_static(b"proof")),
        };
        shard.handle_verdict(now, connection, verdict);
    });
    let heard = client.heard_packets();
    let [
        Heard::ConnAck {
            properties,
            reason: ReasonCode::Success,
            ..
        },
    ] = heard.as_slice()
    else {
        panic!("{heard:?}");
    };
    let properties = properties.as_properties();
    assert_eq!(properties.authentication_method(), Some("M"));
    assert_eq!(properties.authentication_data(), Some(&b"proof"[..]));
    client.publish("t", "m", Q1);
    assert_eq!(
        client.heard(),
        ["PUBACK 1 0x87"],
        "it is who the exchange says"
    );
}

#[test]
fn before_connack_only_the_right_auth_goes_on() {
    // [MQTT-4.12.0-5], [MQTT-3.1.2-30]
    let start = |world: &World| {
        let hello = Hello::new("a").property(Property::AuthenticationMethod("M"));
        let client = world.dial(0, hello);
        let asked = request(world, 0);
        decide(world, 0, &asked, go_on(1, "c"));
        client.heard();
        client
    };
    let world = world(1);
    let client = start(&world);
    client.publish("t", "m", Q1);
    assert_eq!(client.heard(), ["CONNACK 0x82", "closed"]);
    let client = start(&world);
    auth(&client, ReasonCode::ContinueAuthentication, "other", "");
    assert_eq!(client.heard(), ["CONNACK 0x82", "closed"]);
    let client = start(&world);
    auth(&client, ReasonCode::ReAuthenticate, "M", "");
    assert_eq!(client.heard(), ["CONNACK 0x82", "closed"]);
    let client = start(&world);
    client.disconnect();
    assert_eq!(client.heard(), ["closed"]);
    let client = start(&world);
    world.advance(11);
    assert_eq!(client.heard(), ["closed"]);
    world.assert_empty();
}

#[test]
fn a_client_authenticates_again_while_everything_goes_on() {
    // [MQTT-4.12.1-1], [MQTT-4.12.1-2]
    let world = world(1);
    let hello = Hello::new("a").property(Property::AuthenticationMethod("M"));
    let mut client = world.dial(0, hello.clone());
    let asked = request(&world, 0);
    decide(&world, 0, &asked, allow(Some("u")));
    client.expect_accepted();
    auth(&client, ReasonCode::ReAuthenticate, "M", "again");
    let asked = request(&world, 0);
    assert!(matches!(&asked.step, AuthStep::ReAuthenticate { method, .. } if &**method == "M"));
    client.publish("t", "meanwhile", Q1);
    decide(&world, 0, &asked, go_on(7, "challenge"));
    auth(&client, ReasonCode::ContinueAuthentication, "M", "answer");
    assert_eq!(client.heard(), ["PUBACK 1 0x10", "AUTH 0x18"]);
    let asked = request(&world, 0);
    decide(&world, 0, &asked, allow(Some("reader")));
    client.publish("t", "as another", Q1);
    assert_eq!(client.heard(), ["AUTH", "PUBACK 2 0x87"]);
    auth(&client, ReasonCode::ReAuthenticate, "M", "again");
    let asked = request(&world, 0);
    decide(
        &world,
        0,
        &asked,
        Verdict::Refuse(ReasonCode::BadUserNameOrPassword),
    );
    assert_eq!(client.heard(), ["DISCONNECT 0x87", "closed"]);
    let mut other = world.dial(0, hello);
    let asked = request(&world, 0);
    decide(&world, 0, &asked, allow(None));
    other.expect_accepted();
    auth(&other, ReasonCode::ReAuthenticate, "not M", "");
    assert_eq!(other.heard(), ["DISCONNECT 0x82", "closed"]);
}

#[test]
fn kicks_reach_clients_wherever_they_are() {
    let kick = |who| Kick {
        who,
        reason: ReasonCode::AdministrativeAction,
        with_will: false,
    };
    for (who, gone) in [
        (Who::Client("b".into()), [false, true, false]),
        (Who::User("u".into()), [true, true, false]),
        (Who::Anonymous, [false, false, true]),
        (
            Who::Matching(Arc::new(|who: &Identity| &*who.client_id < "b")),
            [true, false, false],
        ),
    ] {
        let world = World::new(2);
        let will = || Publication::new("will", "w");
        let watcher = world.connect(0, Hello::new("z").user_name("watcher"));
        watcher.subscribe("will", Q1);
        let clients = [
            world.connect(0, Hello::new("a").user_name("u").persistent().will(will())),
            world.connect(1, Hello::new("b").user_name("u").persistent().will(will())),
            world.connect(1, Hello::new("c").persistent().will(will())),
        ];
        let kick = kick(who);
        world.embed(0, |shard, now| shard.handle_kick(now, &kick));
        assert_eq!(clients.each_ref().map(Client::is_closed), gone, "{kick:?}");
        for (client, _) in clients.iter().zip(gone).filter(|(_, gone)| *gone) {
            assert_eq!(client.heard(), ["DISCONNECT 0x98", "closed"]);
        }
        assert!(watcher.received().is_empty(), "no Will was wanted");
        let again = world.connect(0, Hello::new("b").persistent());
        assert!(again.session_present, "the session stays");
    }
}

#[test]
fn a_kick_also_ends_what_waits_for_its_verdict() {
    let world = world(1);
    let client = world.dial(0, Hello::new("a").user_name("u"));
    let asked = request(&world, 0);
    let kick = Kick {
        who: Who::User("u".into()),
        reason: ReasonCode::NotAuthorized,
        with_will: true,
    };
    world.embed(0, |shard, now| shard.handle_kick(now, &kick));
    assert_eq!(client.heard(), ["closed"]);
    decide(&world, 0, &asked, allow(Some("u")));
    world.assert_empty();
}

#[test]
fn a_kick_also_ends_what_waits_for_its_session() {
    for (who, is_meant) in [
        (Who::User("u".into()), true),
        (Who::Client("a".into()), true),
        (Who::User("other".into()), false),
        (Who::Anonymous, false),
    ] {
        let world = World::new(2);
        let hello = || Hello::new("a").user_name("u").persistent();
        let mut old = world.dial(0, hello());
        old.expect_accepted();
        world.hold_letters();
        let new = world.dial(1, hello());
        let kick = Kick {
            who,
            reason: ReasonCode::NotAuthorized,
            with_will: true,
        };
        world.embed(1, |shard, now| shard.handle_kick(now, &kick));
        world.release_letters();
        assert_eq!(new.is_closed(), is_meant, "{kick:?}");
        assert!(old.is_closed());
        let again = world.connect(0, hello());
        assert!(again.session_present, "the session stays");
    }
}

#[test]
fn the_embedders_messages_go_to_all_shards_and_are_retained() {
    let world = World::new(2);
    let clients = [0, 1].map(|shard| world.connect(shard, if shard == 0 { "a" } else { "b" }));
    clients
        .iter()
        .for_each(|client| client.subscribe("$SYS/#", Q1));
    let message = MessageRef {
        topic: name("$SYS/x"),
        qos: Qos::ExactlyOnce,
        retain: true,
        properties: Properties::EMPTY,
        payload: b"1",
        expires_at: None,
    };
    world.embed(1, |shard, now| shard.handle_injected(now, message));
    for client in &clients {
        assert_eq!(client.received(), ["$SYS/x 1 q1"]);
        client.subscribe("$SYS/x", Q1);
        assert_eq!(client.received(), ["$SYS/x 1 q1 retain"]);
    }
}

#[test]
fn messages_of_claimed_topics_are_the_embedders_alone() {
    let settings = Settings {
        claimed_topics: vec!["$CONTROL/".into()],
        ..Settings::default()
    };
    let world = World::build(1, &settings, || Box::new(Later));
    let client = world.connect(0, Hello::new("a").user_name("u").password("known"));
    client.subscribe("$CONTROL/#", Q1);
    client.publish_with(
        &Publication::new("$CONTROL/x", "{}")
            .qos(Q1)
            .retain()
            .property(Property::ResponseTopic(name("answer"))),
    );
    client.publish("$CONTROLLED", "not claimed", Q1);
    assert_eq!(client.heard(), ["PUBACK 2", "PUBACK 3 0x10"]);
    let claimed = world.embed(0, |shard, _| [shard.poll_claimed(), shard.poll_claimed()]);
    let [Some(claimed), None] = claimed else {
        panic!("one message, not {claimed:?}");
    };
    assert_eq!(&*claimed.identity.client_id, "a");
    let view = claimed.message.view();
    assert_eq!(
        (view.topic.as_str(), view.payload),
        ("$CONTROL/x", &b"{}"[..])
    );
    assert_eq!(view.properties.response_topic(), Some(name("answer")));
    let reader = world.connect(0, Hello::new("r").user_name("reader").password("known"));
    reader.publish("$CONTROL/x", "{}", Q1);
    assert_eq!(reader.heard(), ["PUBACK 1 0x87"], "rights count there too");
    let will = Hello::new("w").password("known").user_name("u");
    let will = will.will(Publication::new("$CONTROL/x", "{}"));
    assert_eq!(world.dial(0, will).heard(), ["CONNACK 0x87", "closed"]);
}

#[test]
fn a_listener_that_closes_takes_its_connections_with_it() {
    let world = world(2);
    let at = |number| {
        Arc::new(ListenerSettings {
            number,
            ..ListenerSettings::default()
        })
    };
    let (closing, other) = (at(1), at(0));
    let known = |client_id, listener| Hello::new(client_id).password("known").at(listener);
    let mut stays = world.dial(0, known("stays", &other));
    stays.expect_accepted();
    let mut watcher = world.dial(0, known("watcher", &other));
    watcher.expect_accepted();
    watcher.subscribe("will", Q1);
    let will = Publication::new("will", "w");
    let mut goes = world.dial(1, known("goes", &closing).will(will));
    goes.expect_accepted();
    let waits = world.dial(1, Hello::new("waits").at(&closing));
    let silent = world.open_at(0, Version::V5, &closing, crate::Peer::default());
    let kick = Kick {
        who: Who::Listener(1),
        reason: ReasonCode::AdministrativeAction,
        with_will: true,
    };
    world.embed(0, |shard, now| shard.handle_kick(now, &kick));
    assert_eq!(goes.heard(), ["DISCONNECT 0x98", "closed"]);
    assert_eq!(waits.heard(), ["closed"]);
    assert_eq!(silent.heard(), ["closed"]);
    assert_eq!(watcher.received(), ["will w"]);
    assert!(!stays.is_closed());
}

#[test]
fn what_connack_has_told_a_client_holds_until_it_connects_again() {
    let world = World::new(1);
    let early = world.connect(0, "early");
    early.stop_acknowledging();
    let mut less = Settings {
        retain_available: false,
        ..Settings::default()
    };
    less.limits.packet_size_max = 100;
    less.limits.receive_maximum = 1;
    world.embed(0, |shard, _| shard.handle_settings(less));
    let large = "x".repeat(200);
    early.publish_with(&Publication::new("a", &large).qos(Qos::AtLeastOnce).retain());
    assert_eq!(early.heard(), ["PUBACK 1 0x10"]);
    let publication = Publication::new("a", "b").qos(Qos::ExactlyOnce);
    (0..3).for_each(|_| _ = early.publish_with(&publication));
    assert_eq!(early.heard(), ["PUBREC 2", "PUBREC 3", "PUBREC 4"]);
    let late = || world.connect(0, "late");
    let client = late();
    client.publish("a", &large, Qos::AtMostOnce);
    assert_eq!(client.heard(), ["DISCONNECT 0x95", "closed"]);
    let client = late();
    client.publish_with(&Publication::new("a", "b").retain());
    assert_eq!(client.heard(), ["DISCONNECT 0x9A", "closed"]);
    let client = late();
    client.stop_acknowledging();
    (0..3).for_each(|_| _ = client.publish_with(&publication));
    assert_eq!(
        client.heard(),
        ["PUBREC 1", "PUBREC 2", "DISCONNECT 0x93", "closed"]
    );
}
