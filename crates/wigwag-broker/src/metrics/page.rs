//! The page of metrics, written from the tables of both views.

use std::fmt::Write as _;

use super::mosquitto;
use super::table::{FAMILIES, Kind};

const HEAD: &str = "\
# Metrics

`GET /metrics` shows what the broker counts, for Prometheus. This page is written by `cargo xtask docs` from the table that
the broker answers by.

`metrics_listener PORT [ADDRESS]` in the configuration file opens a port for it, on 127.0.0.1 unless an address is named;
a `listener` with `protocol http_api` serves it too, beside `/api/v1/systree`, `/api/v1/listeners`, `/api/v1/version` and
[`/api/v1/alarms`](alarms.md). Where a listener does not allow anonymous clients, HTTP asks for the name and password of a user of
the broker. `wigwag up` serves it beside its page. `/healthz` answers while the process runs, `/readyz` while every shard answers; neither asks who is there.

There are two views of the same numbers:

- `/metrics`: the names below, in OpenMetrics if the scraper asks for it and in the older text format if not.
- `/metrics?names=mosquitto`: the names under which the usual exporter shows Mosquitto, for dashboards made for it, with
  `mosquitto_up`, `mosquitto_broker_info`, `mosquitto_exporter_build_info`, `mosquitto_max_connections`,
  `mosquitto_bridge_state` and `process_…`.

Labels have few values, all of them known beforehand or from the configuration. There is none for clients or topics. A `listener` is
called by its address or port, or by the path of its socket.

## Native names

Counters end in `_total`, which is left out here.

| name | kind | labels | what it is |
|---|---|---|---|
";

const MOSQUITTO_HEAD: &str = "
## Mosquitto's names

| name | kind | `$SYS` topic |
|---|---|---|
";

/// The page in Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        let labels: Vec<String> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {} |",
            family.name,
            labels.join(", "),
            family.help
        );
    }
    page.push_str(MOSQUITTO_HEAD);
    for (name, kind, topic) in mosquitto::names() {
        _ = writeln!(page, "| `{name}` | {kind} | `{topic}` |");
    }
    page
}
