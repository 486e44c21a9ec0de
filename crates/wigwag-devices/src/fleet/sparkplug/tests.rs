//! What a host application sees of an edge node.

use super::*;

fn node() -> EdgeNode {
    let group = Group {
        name: "plant".to_owned(),
        devices: 2,
        metrics: vec![walk::Metric::new("pressure", "bar", "", (1.0, 3.0))],
    };
    let random = fastrand::Rng::with_seed(1);
    EdgeNode::new(Arc::new(group), "node-1".to_owned(), random)
}

fn payload(message: &Outgoing) -> Payload {
    Payload::decode(message.payload.as_slice()).expect("a payload of Sparkplug")
}

fn value_of(message: &Outgoing, name: &str) -> Option<Value> {
    let named = |metric: &Metric| metric.name.as_deref() == Some(name);
    let metrics = payload(message).metrics;
    metrics.into_iter().find(named)?.value
}

fn command(topic: &str, name: &str, value: bool) -> Command {
    let payload = Payload {
        metrics: vec![Metric::born(name, Value::Boolean(value), 0)],
        ..Payload::default()
    };
    Command {
        topic: topic.to_owned(),
        payload: payload.encode_to_vec(),
        ..Command::default()
    }
}

fn obey(node: &mut EdgeNode, command: &Command) -> Vec<Outgoing> {
    match node.obey(command, Moment(3_000)) {
        Reaction::Say(said) => said,
        other @ Reaction::ArriveWithin(_) => panic!("{other:?}"),
    }
}

#[test]
fn death_and_birth_of_a_connection_have_the_same_bd_seq_and_the_next_has_another() {
    let mut node = node();
    for expected in [0, 1, 2] {
        let death = node.last_words(Moment(1_000));
        assert_eq!(death.topic, "spBv1.0/plant/NDEATH/node-1");
        assert!(!death.retain && payload(&death).seq.is_none());
        let birth = &node.arrive(Moment(2_000))[0];
        assert_eq!(value_of(&death, "bdSeq"), Some(Value::Long(expected)));
        assert_eq!(value_of(birth, "bdSeq"), Some(Value::Long(expected)));
        assert_eq!(
            value_of(&node.leave(Moment(2_500))[0], "bdSeq"),
            Some(Value::Long(expected))
        );
    }
}

#[test]
fn bd_seq_comes_round() {
    let mut node = node();
    let last = (0..=256).map(|_| node.last_words(Moment(0))).last();
    let last = last.expect("there was one");
    assert_eq!(value_of(&last, "bdSeq"), Some(Value::Long(0)));
}

#[test]
fn sequence_numbers_begin_with_the_birth_and_come_round() {
    let mut node = node();
    node.last_words(Moment(0));
    let mut expected = 0;
    let mut check = |said: Vec<Outgoing>| {
        for message in said {
            assert_eq!(payload(&message).seq, Some(expected), "{}", message.topic);
            expected = (expected + 1) % 256;
        }
    };
    check(node.arrive(Moment(0)));
    for second in 1..300 {
        check(node.report(Moment(second * 1_000)));
    }
    let reborn = obey(
        &mut node,
        &command("spBv1.0/plant/NCMD/node-1", REBIRTH, true),
    );
    let topics: Vec<&str> = reborn.iter().map(|message| &*message.topic).collect();
    assert_eq!(
        topics,
        [
            "spBv1.0/plant/NBIRTH/node-1",
            "spBv1.0/plant/DBIRTH/node-1/device-1",
            "spBv1.0/plant/DBIRTH/node-1/device-2",
        ]
    );
    assert_eq!(payload(&reborn[0]).seq, Some(0));
}

#[test]
fn data_has_the_aliases_that_the_birth_has_given() {
    let mut node = node();
    node.last_words(Moment(0));
    let births = node.arrive(Moment(0));
    let aliases: Vec<u64> = births
        .iter()
        .flat_map(|birth| payload(birth).metrics)
        .filter_map(|metric| metric.alias)
        .collect();
    let mut unique = aliases.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), aliases.len(), "{aliases:?}");
    let pressure = &payload(&births[2]).metrics[1];
    let unit = pressure.properties.as_ref().expect("a unit");
    assert_eq!(unit.keys, ["engUnit"]);
    assert_eq!(unit.values[0].text.as_deref(), Some("bar"));
    // In small steps a reading does not always change by a decimal.
    let data = (1..100).find_map(|second| {
        let said = node.report(Moment(second * 1_000)).into_iter();
        said.into_iter()
            .find(|message| message.topic == "spBv1.0/plant/DDATA/node-1/device-2")
    });
    let metric = &payload(&data.expect("the pressure changes")).metrics[0];
    assert_eq!((metric.alias, &metric.name), (pressure.alias, &None));
}

#[test]
fn a_device_that_is_stopped_says_so_and_then_nothing() {
    let mut node = node();
    node.last_words(Moment(0));
    node.arrive(Moment(0));
    let stop = command("spBv1.0/plant/DCMD/node-1/device-1", RUNNING, false);
    let said = obey(&mut node, &stop);
    assert_eq!(said[0].topic, "spBv1.0/plant/DDATA/node-1/device-1");
    let metric = &payload(&said[0]).metrics[0];
    assert_eq!(metric.value, Some(Value::Boolean(false)));
    for second in 1..50 {
        for message in node.report(Moment(second * 1_000)) {
            assert!(!message.topic.ends_with("device-1"), "{}", message.topic);
        }
    }
}

#[test]
fn what_is_no_command_changes_nothing() {
    let mut node = node();
    node.last_words(Moment(0));
    node.arrive(Moment(0));
    let nonsense = Command {
        topic: "spBv1.0/plant/NCMD/node-1".to_owned(),
        payload: vec![0xff; 32],
        ..Command::default()
    };
    assert_eq!(obey(&mut node, &nonsense), []);
    for (topic, name) in [
        ("spBv1.0/plant/NCMD/node-1", "Node Control/Reboot"),
        ("spBv1.0/plant/DCMD/node-1/device-9", RUNNING),
        ("spBv1.0/plant/DCMD/node-1/device-1", "pressure"),
    ] {
        assert_eq!(obey(&mut node, &command(topic, name, true)), [], "{name}");
    }
}
