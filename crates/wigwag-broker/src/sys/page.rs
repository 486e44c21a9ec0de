//! The page of `$SYS` topics, written from the table.

use std::fmt::Write as _;

use super::table::{LOAD_SPANS, LOADS, ROWS};
use super::{PACKET_TYPES, VERSION, name};

const HEAD: &str = "\
# `$SYS` topics

The broker tells about itself below `$SYS`, as Mosquitto does: `mosquitto_sub -t '$SYS/#' -v` shows all of it. This
page is written by `cargo xtask docs` from the table that the broker publishes by.

Every message is retained and of QoS 2, its payload decimal digits unless the table says otherwise. A number is
published when it has changed, at the moments at which the clock shows a multiple of `sys_interval` (10 seconds; 0
turns the tree off), so the trees of several brokers move together. Clients cannot publish here.
";

const LOADS_HEAD: &str = "
## Loads

Rates per minute as moving averages, with two decimals. After an interval of `dt` seconds in which a counter
grew by `delta`, with T of 60, 300 and 900 seconds:

```text
rate = delta * 60 / dt
load = rate + exp(-dt / T) * (load - rate)
```

A load is published when it has changed by 0.01 or more; all begin with `0.00`.
";

const PACKETS_HEAD: &str = "
## Packets by type

Mosquitto documents these and does not publish them. A topic appears when its first packet has come or gone.
";

const REST: &str = "
## Others

- `$SYS/broker/alarms/activate/NAME` and `deactivate/NAME`: [what is wrong](alarms.md), as JSON. They are not retained.
- `$SYS/broker/log/E`, `W`, `N`, `I`, `WS`, `M/subscribe` and `M/unsubscribe`: the lines of the log, with `log_dest topic`. They
  are not retained. Debugging lines are left out: delivering them would make more of them.
";

/// The page in Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Numbers\n\n| topic | what it is |\n|---|---|\n");
    row(
        &mut page,
        &["$SYS/broker/version"],
        &format!("`{VERSION}`; the version is the third word"),
    );
    row(
        &mut page,
        &["$SYS/broker/uptime"],
        "seconds since the start, as in `42 seconds`; published every time",
    );
    for entry in &ROWS {
        let mut topics = vec![entry.topic];
        topics.extend(entry.alias);
        row(&mut page, &topics, entry.meaning);
    }
    page.push_str(LOADS_HEAD);
    page.push_str("\n| topics | what is counted |\n|---|---|\n");
    for load in &LOADS {
        let topics: Vec<String> = LOAD_SPANS
            .iter()
            .map(|(span, _)| load.topic(span))
            .collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        row(&mut page, &topics, load.meaning);
    }
    page.push_str(PACKETS_HEAD);
    page.push_str("\n| topics | what is counted |\n|---|---|\n");
    for packet_type in PACKET_TYPES {
        let word = name(packet_type);
        let received = format!("$SYS/broker/mqtt/{word}/received");
        let sent = format!("$SYS/broker/mqtt/{word}/sent");
        let what = format!("{} packets from and to clients", word.to_uppercase());
        row(&mut page, &[&received, &sent], &what);
    }
    page.push_str(REST);
    page
}

fn row(page: &mut String, topics: &[&str], what: &str) {
    let topics: Vec<String> = topics.iter().map(|topic| format!("`{topic}`")).collect();
    _ = writeln!(page, "| {} | {what} |", topics.join(", "));
}
