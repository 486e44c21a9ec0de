//! What is known of single sessions, and who may know it.

use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::packet::Version;
use wigwag_proto::{Properties, Time, TopicName};

use super::world::{Hello, Publication, Q0, Q1, World};
use crate::limits::Limits;
use crate::message::MessageRef;
use crate::restored::{Session, Will};
use crate::shard::{Found, LinkFacts, Progress, Search, Shard};

fn search() -> Search {
    Search {
        client_id: None,
        will_topic: None,
        may_know: Arc::new(|_| true),
        sessions_max: 10,
        subscriptions_max: 10,
        filter_bytes_max: 1_000,
    }
}

fn by_id(client_id: &str) -> Search {
    Search {
        client_id: Some(client_id.into()),
        ..search()
    }
}

fn by_will(topic: &str) -> Search {
    Search {
        will_topic: Some(topic.into()),
        ..search()
    }
}

/// Searches to the end, and how many steps that takes.
fn find_all(shard: &Shard, search: &Search) -> (Found, usize) {
    let (mut all, mut steps) = (Found::default(), 0);
    let mut from = Some(Progress::default());
    while let Some(progress) = from {
        let mut found = shard.search(search, progress);
        all.dossiers.append(&mut found.dossiers);
        all.beyond += found.beyond;
        from = found.next;
        steps += 1;
    }
    (all, steps)
}

fn find(shard: &Shard, search: &Search) -> Found {
    find_all(shard, search).0
}

fn names(found: &Found) -> Vec<&str> {
    let dossiers = found.dossiers.iter();
    dossiers.map(|it| &*it.identity.client_id).collect()
}

#[test]
fn a_session_is_found_by_its_client_and_by_its_will() {
    let world = World::new(1);
    let gone = || Publication::new("d/1/online", "false");
    let _one = world.connect(0, Hello::new("one").will(gone()));
    let _two = world.connect(
        0,
        Hello::new("two").will(Publication::new("d/2/online", "")),
    );
    let _spare = world.connect(0, Hello::new("spare").will(gone()));
    world.shard(0, |shard| {
        assert_eq!(names(&find(shard, &by_id("two"))), ["two"]);
        assert_eq!(
            names(&find(shard, &by_will("d/1/online"))),
            ["one", "spare"]
        );
        assert!(find(shard, &by_id("three")).dossiers.is_empty());
        assert!(find(shard, &search()).dossiers.is_empty());
        // Each once, the one with the name first.
        let both = Search {
            client_id: Some("spare".into()),
            ..by_will("d/1/online")
        };
        assert_eq!(names(&find(shard, &both)), ["spare", "one"]);
        let hidden = Search {
            may_know: Arc::new(|who| &*who.client_id != "one"),
            ..by_will("d/1/online")
        };
        assert_eq!(names(&find(shard, &hidden)), ["spare"]);
        let bounded = Search {
            sessions_max: 1,
            ..by_will("d/1/online")
        };
        let found = find(shard, &bounded);
        assert_eq!((names(&found), found.beyond), (vec!["one"], 1));
    });
}

#[test]
fn a_dossier_says_how_a_session_is() {
    let limits = Limits {
        queued_messages_max: 1,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let hello = Hello::new("s").user_name("u").keep_alive(45);
    let sleeper = world.connect(0, hello.clone().persistent());
    sleeper.subscribe("b/+", Q1);
    sleeper.subscribe("a", Q0);
    let connected = world.now();
    let one = |search| world.shard(0, |shard| find(shard, &search).dossiers.remove(0));
    let online = one(by_id("s"));
    let facts = LinkFacts {
        version: Version::V5,
        keep_alive_secs: 45,
        out_bytes: 0,
    };
    assert_eq!((online.link, online.since), (Some(facts), Some(connected)));
    assert_eq!(online.identity.user_name.as_deref(), Some("u"));
    assert_eq!((online.ends_at, online.will_topic), (None, None));
    let filters = online.subscriptions.iter();
    let filters: Vec<_> = filters
        .map(|(filter, qos)| (filter.as_filter().as_str(), *qos))
        .collect();
    assert_eq!(filters, [("a", Q0), ("b/+", Q1)]);

    world.advance(5);
    sleeper.lose();
    let publisher = world.connect(0, "p");
    for payload in ["one", "two", "three"] {
        publisher.publish("b/x", payload, Q1);
    }
    let offline = one(Search {
        subscriptions_max: 1,
        ..by_id("s")
    });
    assert_eq!((offline.link, offline.since), (None, Some(world.now())));
    let ends_at = world.now() + Duration::from_secs(offline.expiry_secs.into());
    assert_eq!(offline.ends_at, Some(ends_at));
    assert_eq!((offline.waiting.queued, offline.dropped), (1, 2));
    assert_eq!(
        (offline.subscriptions.len(), offline.subscriptions_beyond),
        (1, 1)
    );
    let no_room = one(Search {
        filter_bytes_max: 3,
        ..by_id("s")
    });
    assert_eq!(
        (no_room.subscriptions.len(), no_room.subscriptions_beyond),
        (1, 1)
    );
}

#[test]
fn what_a_client_has_lost_goes_along_with_its_session() {
    let limits = Limits {
        queued_messages_max: 1,
        ..Limits::default()
    };
    let world = World::with_limits(2, &limits);
    let sleeper = world.connect(0, Hello::new("s").persistent());
    sleeper.subscribe("t", Q1);
    sleeper.lose();
    let publisher = world.connect(0, "p");
    for payload in ["one", "two"] {
        publisher.publish("t", payload, Q1);
    }
    let _awake = world.connect(1, Hello::new("s").persistent().resume());
    let dropped = |shard| {
        let found = world.shard(shard, |shard| find(shard, &by_id("s")));
        found.dossiers.first().map(|dossier| dossier.dropped)
    };
    assert_eq!((dropped(0), dropped(1)), (None, Some(1)));
}

#[test]
fn a_search_among_many_goes_on_where_its_last_step_has_ended() {
    const SESSIONS: usize = 10_000;
    let world = World::new(1);
    let shared = |n: usize| n.is_multiple_of(100);
    world.shard_mut(0, |shard| {
        for n in 0..SESSIONS {
            let mut session = Session::new(&format!("client-{n}"));
            session.expiry_secs = 60;
            let topic = if shared(n) {
                "shared".to_owned()
            } else {
                format!("d/{n}")
            };
            let message = MessageRef {
                topic: TopicName::new(&topic).expect("valid"),
                qos: Q1,
                retain: false,
                properties: Properties::EMPTY,
                payload: b"",
                expires_at: None,
            };
            session.will = Some(Will {
                message: message.to_message(),
                expiry_secs: None,
                delay_secs: 3_600,
                due_at: None,
            });
            shard.handle_restored(Time::ZERO, session);
        }
        let (one, steps) = find_all(shard, &by_will("d/9999"));
        assert_eq!((names(&one), steps), (vec!["client-9999"], 3));
        // What fits takes longer, so steps are shorter.
        let all = Search {
            sessions_max: usize::MAX,
            ..by_will("shared")
        };
        let (many, steps) = find_all(shard, &all);
        assert_eq!((many.dossiers.len(), many.beyond, steps), (100, 0, 4));
        let hidden = Search {
            may_know: Arc::new(|_| false),
            ..all
        };
        let (none, steps) = find_all(shard, &hidden);
        assert_eq!((none.dossiers.len(), none.beyond, steps), (0, 0, 4));
        // Sessions that go in between are no obstacle.
        let first = shard.search(&by_will("d/9999"), Progress::default());
        shard.handle_timeout(Time::ZERO + Duration::from_secs(60));
        let rest = shard.search(&by_will("d/9999"), first.next.expect("more"));
        assert!(rest.dossiers.is_empty() && rest.next.is_none());
    });
}
