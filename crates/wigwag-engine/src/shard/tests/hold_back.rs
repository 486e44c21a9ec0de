//! Readers that are slower than their publishers: for a while nothing is lost, and nobody waits for long.

use super::world::{Client, Hello, Publication, Q0, Q1, World};

/// Publishes messages of 10,000 bytes, and asks for an answer behind them.
fn flood(publisher: &Client, messages: u32) {
    for number in 0..messages {
        let payload = format!("{number:010000}");
        publisher.publish_with(&Publication::new("t", &payload));
    }
    publisher.ping();
}

fn numbers(client: &Client) -> Vec<u32> {
    let payloads = client.messages().into_iter().map(|message| message.payload);
    payloads
        .map(|text| text.parse().expect("a number"))
        .collect()
}

#[test]
fn a_reader_that_is_slower_for_a_while_loses_nothing() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let reader = world.connect(0, "reader");
        reader.subscribe("t", Q0);
        let publisher = world.connect(usize::from(shards - 1), "pub");
        reader.stall();
        flood(&publisher, 1_000);
        let mut got = Vec::new();
        // Each time it takes what is there: it is slower than the publisher, and does not stop.
        for _ in 0..100 {
            reader.read_on();
            got.extend(numbers(&reader));
            reader.stall();
            world.advance_millis(10);
        }
        assert_eq!(got, (0..1_000).collect::<Vec<_>>(), "{shards} shards");
        assert_eq!(publisher.heard(), ["PINGRESP"]);
    }
}

#[test]
fn a_reader_that_takes_nothing_holds_nobody_back_for_long() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let stalled = world.connect(0, "stalled");
        stalled.subscribe("t", Q0);
        let well = world.connect(0, "well");
        well.subscribe("t", Q0);
        let publisher = world.connect(usize::from(shards - 1), "pub");
        stalled.stall();
        flood(&publisher, 1_000);
        assert!(publisher.heard().is_empty(), "it is held back");
        world.advance_millis(300);
        assert_eq!(publisher.heard(), ["PINGRESP"], "{shards} shards");
        assert_eq!(numbers(&well).len(), 1_000);
        flood(&publisher, 10);
        assert_eq!(publisher.heard(), ["PINGRESP"], "its patience is used up");
        assert!(stalled.waiting_bytes() < 12 * 1024 * 1024);
        stalled.read_on();
        stalled.stall();
        flood(&publisher, 200);
        assert!(publisher.heard().is_empty(), "until it has caught up");
    }
}

#[test]
fn a_reader_that_does_not_acknowledge_fast_enough_holds_back_too() {
    let world = World::new(1);
    let reader = world.connect(0, Hello::new("reader").receive_maximum(1));
    reader.subscribe("t", Q1);
    let publisher = world.connect(0, "pub");
    reader.stall();
    for _ in 0..5_010 {
        publisher.publish("t", "m", Q1);
    }
    publisher.heard();
    publisher.ping();
    assert!(publisher.heard().is_empty(), "half of what may wait does");
    reader.read_on();
    world.advance_millis(10);
    assert_eq!(reader.received().len(), 5_010);
    assert_eq!(publisher.heard().last().expect("an answer"), "PINGRESP");
}

#[test]
fn who_is_held_back_can_go() {
    let world = World::new(2);
    let reader = world.connect(0, "reader");
    reader.subscribe("t", Q0);
    reader.stall();
    for shard in [0, 1] {
        let publisher = world.connect(shard, "pub");
        flood(&publisher, 200);
        publisher.lose();
    }
    world.advance(1);
    world.lose_all();
    world.assert_empty();
}

#[test]
fn many_readers_together_hold_nobody_back_for_long() {
    let world = World::new(1);
    let publisher = world.connect(0, "pub");
    let mut answered_after = 0;
    // One after the other takes nothing.
    for number in 0..40 {
        let reader = world.connect(0, Hello::new(&format!("reader {number}")));
        reader.subscribe("t", Q0);
        reader.stall();
        flood(&publisher, 300);
        while publisher.heard().is_empty() {
            world.advance_millis(10);
            answered_after += 10;
        }
        reader.lose();
    }
    assert!(
        (4_000..6_000).contains(&answered_after),
        "{answered_after} ms"
    );
}
