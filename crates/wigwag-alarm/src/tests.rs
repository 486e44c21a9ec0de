//! Rules at work in virtual time: what happens when, told line by line, and what must hold whatever happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use wigwag_proto::{Time, TopicName};

use crate::{Event, Rule, TOPIC_LEN_MAX, TOPICS_MAX, Watch};

fn at(secs: f64) -> Time {
    Time::new(Duration::from_secs_f64(secs))
}

fn name(topic: &str) -> TopicName<'_> {
    TopicName::new(topic).expect("a Topic Name")
}

fn rules(lines: &str) -> Vec<Rule> {
    crate::read_rules(lines).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A watch and what it has said.
struct World {
    watch: Watch,
    said: String,
}

impl World {
    fn new(lines: &str) -> World {
        World {
            watch: Watch::new(rules(lines), at(0.0)),
            said: String::new(),
        }
    }

    /// Lets time pass, with every moment at which the watch wants to be called.
    fn pass(&mut self, until: Time) {
        while let Some(next) = self.watch.poll_timeout().filter(|next| *next <= until) {
            self.watch.handle_timeout(next);
            self.write(next);
            let after = self.watch.poll_timeout();
            assert!(after.is_none_or(|after| after > next), "time stands still");
        }
    }

    fn hear(&mut self, now: f64, topic: &str, payload: &str, is_kept: bool) {
        self.pass(at(now));
        let topic = name(topic);
        (self.watch).handle_message(at(now), topic, payload.as_bytes(), is_kept);
        self.write(at(now));
    }

    fn write(&mut self, now: Time) {
        let secs = now.since_origin().as_secs_f64();
        while let Some(event) = self.watch.poll_event() {
            let line = match event {
                Event::Raised(alarm) => {
                    assert_eq!(alarm.raised_at, now);
                    format!("{} raised: {}", alarm.name, alarm.message)
                }
                Event::Over(alarm) => format!("{} over: {}", alarm.name, alarm.message),
                Event::Unreadable { name, topic } => format!("{name} cannot read {topic}"),
                Event::Full { name, topic } => format!("{name} does not watch {topic}"),
            };
            writeln!(self.said, "{secs} {line}").expect("memory");
        }
    }
}

/// Plays `SECONDS TOPIC PAYLOAD` lines, a `*` before the topic for what the server has kept, and compares what is said.
fn check(lines: &str, script: &str, expect: &str) {
    let mut world = World::new(lines);
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (secs, rest) = line.split_once(' ').unwrap_or((line, ""));
        let secs: f64 = secs.parse().expect(line);
        match rest.split_once(' ') {
            None if rest.is_empty() => world.pass(at(secs)),
            None => world.hear(secs, rest, "", false),
            Some(("*", rest)) => {
                let (topic, payload) = rest.split_once(' ').expect(line);
                world.hear(secs, topic, payload, true);
            }
            Some((topic, payload)) => world.hear(secs, topic, payload, false),
        }
    }
    let expect: Vec<&str> = expect
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(
        world.said.lines().collect::<Vec<_>>(),
        expect,
        "{lines}\n{script}"
    );
}

#[test]
fn a_threshold_raises_and_ends_an_alarm() {
    check(
        "many: $SYS/broker/clients/connected > 100",
        "0 $SYS/broker/clients/connected 100
         1 $SYS/broker/clients/connected 101
         2 $SYS/broker/clients/connected 120
         3 $SYS/broker/clients/connected 100",
        "1 many raised: $SYS/broker/clients/connected is 101 (limit: > 100)
         3 many over: $SYS/broker/clients/connected is 100",
    );
}

#[test]
fn between_the_watermarks_nothing_changes() {
    check(
        "hot: t/c > 80 until < 70",
        "0 t/c 75
         1 t/c 81
         2 t/c 75
         3 t/c 81
         4 t/c 70
         5 t/c 69
         6 t/c 75",
        "1 hot raised: t/c is 81 (limit: > 80)
         5 hot over: t/c is 69",
    );
}

#[test]
fn a_condition_must_hold_for_its_time_without_further_messages() {
    check(
        "hot: t/c > 80 for 30s until < 75 for 10s",
        "0 t/c 90
         29 t/c 80
         40 t/c 90
         60 t/c 95
         100 t/c 70
         105 t/c 77
         110 t/c 70
         200",
        "70 hot raised: t/c is 95 (limit: > 80)
         120 hot over: t/c is 70",
    );
}

#[test]
fn each_topic_of_a_wildcard_has_an_alarm_of_its_own() {
    check(
        "hot: device/+/state @ temperature > 80 severity critical say \"{topic} has {value}\"",
        r#"0 device/1/state {"temperature":85.5}
           1 device/2/state {"temperature":20}
           2 device/2/state {"temperature":90}
           3 device/1/state {"temperature":79}
           4 device/1/other {"temperature":99}"#,
        "0 hot raised: device/1/state has 85.5
         2 hot raised: device/2/state has 90
         3 hot over: device/1/state has 79",
    );
}

#[test]
fn silence_is_told_and_what_the_server_kept_is_no_sign_of_life() {
    check(
        "silent: absent device/+/state for 60s
         down: absent $SYS/broker/uptime for 30s",
        "0 * device/1/state on
         10 $SYS/broker/uptime 10 seconds
         50 device/2/state on
         70 * device/1/state on
         75 $SYS/broker/uptime 75 seconds
         80 device/1/state
         150",
        "40 down raised: $SYS/broker/uptime has had no message for 30s
         60 silent raised: device/1/state has had no message for 1m
         75 down over: $SYS/broker/uptime has a message again
         80 silent over: device/1/state has a message again
         105 down raised: $SYS/broker/uptime has had no message for 30s
         110 silent raised: device/2/state has had no message for 1m
         140 silent raised: device/1/state has had no message for 1m",
    );
}

#[test]
fn growth_is_compared_while_nothing_comes_too() {
    // $SYS tells of changes only: a counter that rests is silent.
    check(
        "drop: rate $SYS/broker/dropped > 0",
        "0 $SYS/broker/dropped 7
         20 $SYS/broker/dropped 10
         40 $SYS/broker/dropped 13
         200",
        "20 drop raised: $SYS/broker/dropped grows by 0.05 a second (limit: > 0)
         100 drop over: $SYS/broker/dropped grows by 0 a second",
    );
}

#[test]
fn too_little_is_told_only_after_the_whole_span() {
    check(
        "slow: messages t/1 over 10s < 1
         still: rate t/2 over 10s < 1",
        "0 t/2 100
         5 t/1 x
         30",
        "10 slow raised: t/1 has 0.1 messages a second (limit: < 1)
         10 still raised: t/2 grows by 0 a second (limit: < 1)",
    );
}

#[test]
fn many_messages_are_a_flood() {
    check(
        "flood: messages s/# over 2s >= 2",
        "0 * s/1 x
         1 s/1 x
         1.5 s/1 x
         1.6 s/1 x
         1.7 s/1 x
         9",
        "1.7 flood raised: s/1 has 2 messages a second (limit: >= 2)
         3 flood over: s/1 has 1.5 messages a second",
    );
}

#[test]
fn a_payload_that_cannot_be_read_changes_nothing_and_is_told_once() {
    check(
        "hot: t/c @ v > 5",
        r#"0 t/c {"v":9}
           1 t/c nonsense
           2 t/c {"w":1}
           3 t/c {"v":"cold"}
           4 t/c {"v":"1 degree"}"#,
        "0 hot raised: t/c: v is 9 (limit: > 5)
         1 hot cannot read t/c
         4 hot over: t/c: v is 1 degree",
    );
}

#[test]
fn texts_are_compared_as_such() {
    check(
        "off: d/+/online == offline",
        "0 d/1/online online
         1 d/1/online offline
         2 d/1/online online",
        "1 off raised: d/1/online is offline (limit: == \"offline\")
         2 off over: d/1/online is online",
    );
}

#[test]
fn a_share_changes_with_both_of_its_sides() {
    check(
        "full: m/+/used % of m/limit > 80 until < 70",
        "0 m/a/used 90
         1 m/limit 100
         2 m/limit 120
         3 m/limit 130
         4 m/a/used 50
         5 m/limit 0
         6 m/limit 55",
        "1 full raised: m/a/used is 90 % of m/limit (limit: > 80)
         3 full over: m/a/used is 69.231 % of m/limit
         6 full raised: m/a/used is 90.909 % of m/limit (limit: > 80)",
    );
}

#[test]
fn while_nothing_can_be_seen_no_time_passes() {
    let mut world = World::new("silent: absent a/b for 60s\nhot: c/d > 5 for 10s");
    world.hear(55.0, "c/d", "6", false);
    world.watch.handle_blindness(at(59.0));
    assert_eq!(world.watch.poll_timeout(), None);
    world.watch.handle_timeout(at(500.0));
    world.watch.handle_sight(at(1_059.0));
    world.pass(at(1_070.0));
    assert_eq!(
        world.said,
        "1060 silent raised: a/b has had no message for 1m\n1065 hot raised: c/d is 6 (limit: > 5)\n"
    );
    let raised: Vec<Time> = world.watch.alarms().map(|alarm| alarm.raised_at).collect();
    assert_eq!(raised, [at(1_060.0), at(1_065.0)]);
}

#[test]
fn a_rule_that_stays_keeps_what_it_knows_and_others_end_their_alarms() {
    let mut world = World::new("a: t/a > 1\nb: t/b > 1\nc: t/c > 1 for 10s");
    for topic in ["t/a", "t/b", "t/c"] {
        world.hear(0.0, topic, "5", false);
    }
    world.said.clear();
    let others = rules("d: t/d % of t/e > 1\na: t/a > 1\nb: t/b > 2\nc: t/c > 1 for 10s");
    let begun = world.watch.set_rules(others, at(5.0));
    assert_eq!(begun.into_iter().collect::<Vec<_>>(), ["t/b", "t/d", "t/e"]);
    world.write(at(5.0));
    world.pass(at(20.0));
    world.hear(21.0, "t/a", "1", false);
    assert_eq!(
        world.said,
        "5 b over: the rule has been changed or removed\n\
         10 c raised: t/c is 5 (limit: > 1)\n\
         21 a over: t/a is 1\n"
    );
}

#[test]
fn topics_are_bounded_and_those_that_are_quiet_take_no_room() {
    let mut world = World::new("hot: t/+ > 5");
    for number in 0..TOPICS_MAX * 2 {
        world.hear(1.0, &format!("t/{number}"), "1", false);
    }
    assert_eq!(world.said, "");
    for number in 0..TOPICS_MAX {
        world.hear(2.0, &format!("t/{number}"), "9", false);
    }
    assert_eq!(world.said.lines().count(), TOPICS_MAX);
    world.said.clear();
    world.hear(3.0, "t/more", "9", false);
    world.hear(3.0, "t/evenmore", "9", false);
    world.hear(4.0, "t/0", "1", false);
    world.hear(5.0, "t/more", "9", false);
    assert_eq!(
        world.said,
        "3 hot does not watch t/more\n4 hot over: t/0 is 1\n5 hot raised: t/more is 9 (limit: > 5)\n"
    );
}

#[test]
fn a_topic_that_is_too_long_is_not_watched() {
    let mut world = World::new("hot: t/+ > 5");
    let long = format!("t/{}", "x".repeat(TOPIC_LEN_MAX));
    world.hear(1.0, &long, "9", false);
    world.hear(2.0, &long[..TOPIC_LEN_MAX], "9", false);
    let lines: Vec<&str> = world.said.lines().collect();
    assert!(lines[0].starts_with("1 hot does not watch t/xxx"));
    assert!(lines[1].starts_with("2 hot raised: t/xxx"));
}

#[test]
fn a_topic_that_has_gone_still_is_forgotten_after_a_day() {
    let mut world = World::new("flood: messages t/+ over 10s > 100");
    world.hear(0.0, "t/1", "x", false);
    world.pass(at(86_399.0));
    assert!(world.watch.poll_timeout().is_some());
    world.pass(at(86_401.0));
    assert_eq!(world.watch.poll_timeout(), None);
}

/// What `> 5 for 3s until < 2 for 2s` must do, in the simplest way: each topic second by second.
fn oracle(script: &[(u32, u8, i8)], end: u32) -> Vec<(u32, u8, bool)> {
    let mut out = Vec::new();
    for topic in 0..3_u8 {
        let mut is_raised = false;
        let mut since = None;
        for second in 0..=end {
            let long = if is_raised { 2 } else { 3 };
            if since.is_some_and(|since| second - since >= long) {
                is_raised = !is_raised;
                since = None;
                out.push((second, topic, is_raised));
            }
            for (_, _, value) in script.iter().filter(|it| (it.0, it.1) == (second, topic)) {
                let holds = if is_raised { *value < 2 } else { *value > 5 };
                since = holds.then(|| since.unwrap_or(second));
            }
        }
    }
    out.sort_unstable();
    out
}

fn play(script: &[(u32, u8, i8)], end: u32, more: &[u32]) -> Vec<(u32, u8, bool)> {
    let mut watch = Watch::new(rules("x: t/+ > 5 for 3s until < 2 for 2s"), at(0.0));
    let mut out = Vec::new();
    let mut script = script.iter().peekable();
    for second in 0..=end {
        let now = at(f64::from(second));
        if watch.poll_timeout().is_some_and(|next| next <= now) || more.contains(&second) {
            watch.handle_timeout(now);
        }
        while let Some((_, topic, value)) = script.next_if(|it| it.0 == second) {
            let topic = format!("t/{topic}");
            watch.handle_message(now, name(&topic), value.to_string().as_bytes(), false);
        }
        while let Some(event) = watch.poll_event() {
            let (alarm, is_raised) = match event {
                Event::Raised(alarm) => (alarm, true),
                Event::Over(alarm) => (alarm, false),
                other => panic!("{other:?}"),
            };
            let topic = alarm.topic[2..].parse().expect("a number");
            out.push((second, topic, is_raised));
        }
    }
    out.sort_unstable();
    out
}

proptest! {
    /// One message at most for each topic and second, as the oracle looks once a second.
    #[test]
    fn alarms_come_and_go_as_in_the_simplest_model(
        values in proptest::collection::btree_map((0..60_u32, 0..3_u8), 0..8_i8, 0..80),
        more in proptest::collection::vec(0..60_u32, 0..20),
    ) {
        let script: Vec<_> = values.into_iter().map(|((second, topic), value)| (second, topic, value)).collect();
        prop_assert_eq!(play(&script, 70, &more), oracle(&script, 70));
    }

    /// Whatever comes: alarms end before they are raised again, nothing panics, and what is watched is bounded.
    #[test]
    fn raised_and_over_take_turns(
        script in proptest::collection::vec((0..2_000_u32, 0..6_u8, "[0-9]{1,2}|on|off|\\{\"v\":[0-9]\\}", any::<bool>(), 0..12_u8), 0..120)
    ) {
        let lines = "a: t/+ > 50\n\
             b: t/# @ v >= 5 for 3s until < 3\n\
             c: rate t/+ over 30s > 1 for 2s\n\
             d: messages t/1 over 20s < 0.2\n\
             e: absent t/+ for 40s\n\
             f: t/2 == on until != on for 5s\n\
             g: t/+ % of t/3 > 60 for 1s";
        let mut watch = Watch::new(rules(lines), at(0.0));
        let mut raised = BTreeMap::new();
        let mut now = Time::ZERO;
        for (millis, topic, payload, is_kept, what) in script {
            now = now + Duration::from_millis(millis.into());
            match what {
                0 => watch.handle_blindness(now),
                1 | 2 => watch.handle_sight(now),
                3 => watch.handle_timeout(now),
                4 => _ = watch.set_rules(rules(lines).into_iter().skip(usize::from(topic) % 3).collect(), now),
                _ => {
                    let topic = format!("t/{topic}");
                    watch.handle_message(now, name(&topic), payload.as_bytes(), is_kept);
                }
            }
            while let Some(event) = watch.poll_event() {
                match event {
                    Event::Raised(alarm) => {
                        prop_assert!(alarm.raised_at <= now);
                        prop_assert!(raised.insert((alarm.name, alarm.topic), ()).is_none());
                    }
                    Event::Over(alarm) => {
                        prop_assert!(raised.remove(&(alarm.name, alarm.topic)).is_some());
                    }
                    _ => {}
                }
            }
            let alarms: Vec<_> = watch.alarms().map(|alarm| (alarm.name, alarm.topic)).collect();
            let mut expect: Vec<_> = raised.keys().cloned().collect();
            expect.sort();
            let mut found = alarms;
            found.sort();
            prop_assert_eq!(found, expect);
        }
    }
}
