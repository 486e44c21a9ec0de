//! The page of alarms, written from the table of the broker's own rules.

use std::fmt::Write as _;

use wigwag_alarm::{HISTORY_MAX, Rule, TOPIC_LEN_MAX, TOPICS_MAX};

use super::builtin::BUILT_IN;

const HEAD: &str = "\
# Alarms of the broker

The broker looks at itself and tells when something is wrong, without another program. This page is written by `cargo xtask
docs` from the table that the broker works by.

```text
# mosquitto.conf
alarm many_clients: $SYS/broker/clients/connected > 100 for 1m until < 90
alarm hot: device/+/state @ temperature > 80 severity critical
```

[The language of rules](../guide/tools/alert.md#rules) is that of `wigwag alert`, which sends what it finds to a webhook or to Slack.
`alarm` may stand several times and is read again on SIGHUP: a rule that has not changed goes on, the alarms of others are over.

A rule may look at

- a topic below `$SYS/`: at the moments at which the tree is published, also while `sys_interval 0` keeps it from that,
- a [metric](metrics.md) by the name that Prometheus sees, at the same moments: `$METRICS/wigwag_bridge_up/NAME`, with the values
  of its labels as levels. `$METRICS/wigwag_listener_cert_days_left/LISTENER` is there besides. No client can subscribe to these.
- any other topic, and `$SYS/broker/connection/…`, where bridges tell of themselves. For these the broker has a client within
  itself, `wigwag.alarms`, which counts as a client. It holds nobody back: what is published faster than rules can be looked at is
  left out, as for any client that reads too slowly, and counted in `wigwag_messages_dropped_total{reason=\"slow_consumer\"}`.

## What is told

An alarm is published when it is raised to `$SYS/broker/alarms/activate/NAME`, and when it is over to
`$SYS/broker/alarms/deactivate/NAME`. It is not retained; `GET /api/v1/alarms` answers with all that there are.

```json
{\"name\":\"many_clients\",\"severity\":\"warning\",
 \"message\":\"$SYS/broker/clients/connected is 104 (limit: > 100)\",
 \"details\":{\"topic\":\"$SYS/broker/clients/connected\",\"value\":\"104\",\"limit\":\"> 100\"},
 \"activate_at\":\"2026-01-31T09:12:10.001Z\",\"deactivate_at\":null}
```

- The log has a line each: a warning when it is raised, a notice when it is over. At most 100 such lines are written in a second,
  then how many there would have been besides.
- `GET /api/v1/alarms`, where the [other answers](metrics.md) are: `{\"active\":[…],\"history\":[…]}`, the last one first.
- `wigwag_alarms_active` and `wigwag_alarms_raised_total`, by `severity`, for Prometheus.

Topics and values of alarms are seen by everybody who may read `$SYS/broker/alarms/#`, the log or that page, whatever they may read
otherwise.
";

/// The page in Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    // Writing to a String does not fail.
    _ = write!(
        page,
        "\nThe history has {HISTORY_MAX} alarms at most, of a day at most. {TOPICS_MAX} topics are remembered, of all rules together: one \
         more is not watched, nor is one of more than {TOPIC_LEN_MAX} bytes, and the log says so.\n\n## The broker's own rules\n\nThey hold unless `builtin_alarms false` stands in \
         the configuration. An `alarm` of the same name takes the place of one.\n\n| name | rule | why |\n|---|---|---|\n"
    );
    for built_in in BUILT_IN {
        let name =
            (built_in.rule.parse()).map_or_else(|_| String::new(), |it: Rule| it.name().to_owned());
        let rule = built_in.rule.split_once(": ").map_or("", |(_, rule)| rule);
        _ = writeln!(page, "| `{name}` | `{rule}` | {} |", built_in.why);
    }
    page
}
