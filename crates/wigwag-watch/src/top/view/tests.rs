//! What is on the screen, as text, at the sizes that it must fit.

use std::time::Duration;

use expect_test::expect_file;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use wigwag_client::sys::SysSnapshot;

use super::*;

/// A broker that has told so many trees, ten seconds apart.
fn model(trees: u64) -> Model {
    let mut model = Model::new("mqtt://plant:1883".to_owned());
    let mut sys = SysSnapshot::default();
    model.link = Link::Online;
    for tree in 1..=trees {
        let uptime = tree * 10;
        for (topic, value) in [
            ("version", "wigwag version 0.1.0".to_owned()),
            ("publish/messages/received", (tree * tree * 100).to_string()),
            ("publish/messages/sent", (tree * 123_456).to_string()),
            ("publish/messages/dropped", (tree / 4).to_string()),
            ("messages/received", (tree * 1_000).to_string()),
            ("messages/sent", (tree * 200_000).to_string()),
            ("bytes/received", (tree * tree * 10_000).to_string()),
            ("bytes/sent", (tree * 50_000_000).to_string()),
            ("connections/socket/count", (tree * 3).to_string()),
            ("clients/connected", (20 + tree % 5).to_string()),
            ("clients/total", "31".to_owned()),
            ("clients/disconnected", "7".to_owned()),
            ("clients/maximum", "40".to_owned()),
            ("subscriptions/count", "1234".to_owned()),
            ("retained messages/count", "56789".to_owned()),
            ("store/messages/bytes", "1234567".to_owned()),
            ("heap/current", "45000000".to_owned()),
            ("connection/uplink/state", "0".to_owned()),
            ("uptime", format!("{uptime} seconds")),
        ] {
            sys.update(&format!("$SYS/broker/{topic}"), value.as_bytes());
        }
        let now = Duration::from_secs(uptime);
        model.handle_sys(&sys, now);
        model.handle_time(now + Duration::from_secs(1));
    }
    let alarm = br#"{"name":"queue","severity":"warning","message":"Queues are nearly full"}"#;
    model.handle_alarm("$SYS/broker/alarms/activate/queue", alarm);
    model
}

fn topics() -> Topics {
    let mut topics = Topics::default();
    for (number, topic) in [
        "plant/press/1/state",
        "plant/press/2/state",
        "office/\x1b[31mdoor",
    ]
    .into_iter()
    .enumerate()
    {
        for _ in 0..100 / (number + 1) {
            topics.note(topic, 120 * number + 30);
        }
    }
    topics.advance(Duration::from_secs(60));
    topics
}

fn drawn(width: u16, height: u16, model: &Model, choice: &Choice) -> TestBackend {
    let topics = topics();
    let picture = Picture {
        model,
        topics: &topics,
        filter: "plant/#",
        choice,
        theme: Theme { has_colours: false },
    };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| picture.draw(frame))
        .expect("it is drawn");
    terminal.backend().clone()
}

fn check(name: &str, (width, height): (u16, u16), model: &Model, choice: &Choice) {
    let text = drawn(width, height, model, choice).to_string();
    expect_file![format!("../../../testdata/top/{name}.txt")].assert_eq(&text);
}

fn choice(view: View) -> Choice {
    Choice {
        view,
        ..Choice::default()
    }
}

#[test]
fn the_overview_fits_80_columns_and_24_lines() {
    check("overview", (80, 24), &model(30), &choice(View::Overview));
}

#[test]
fn the_overview_fits_40_columns() {
    check(
        "overview-narrow",
        (40, 24),
        &model(30),
        &choice(View::Overview),
    );
}

#[test]
fn topics_are_a_table_with_as_many_columns_as_fit() {
    check("topics", (80, 12), &model(2), &choice(View::Topics));
    check("topics-narrow", (40, 12), &model(2), &choice(View::Topics));
}

#[test]
fn alarms_and_bridges_have_a_page() {
    check("alarms", (80, 8), &model(2), &choice(View::Alarms));
}

#[test]
fn the_tree_scrolls() {
    let choice = Choice {
        scroll: 3,
        ..choice(View::Tree)
    };
    check("tree", (80, 12), &model(2), &choice);
}

#[test]
fn there_is_help() {
    let choice = Choice {
        shows_help: true,
        ..Choice::default()
    };
    check("help", (80, 20), &model(1), &choice);
}

#[test]
fn a_broker_that_is_not_there_and_a_filter_that_is_typed_are_shown() {
    let mut model = Model::new("mqtt://plant:1883".to_owned());
    model.link = Link::Offline("connection refused".to_owned());
    let choice = Choice {
        typing: Some("plant/+".to_owned()),
        is_paused: true,
        ..Choice::default()
    };
    check("offline", (80, 8), &model, &choice);
}

#[test]
fn no_size_is_too_small() {
    let model = model(30);
    for (view, _, _) in View::ALL {
        for width in [1, 2, 5, 13, 25, 39] {
            for height in 1..12 {
                drawn(width, height, &model, &choice(view));
            }
        }
    }
}

#[test]
fn without_colours_there_are_none() {
    let backend = drawn(80, 24, &model(30), &choice(View::Overview));
    for cell in backend.buffer().content() {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
}
