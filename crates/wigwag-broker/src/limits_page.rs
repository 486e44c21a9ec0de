//! The page of limits, written from the limits themselves: what they are without a configuration file and with
//! Mosquitto's defaults, how they are changed, what happens when they are reached, and where that shows.
//!
//! The limits are those of the engine's table and those that stand where they are needed; none is repeated here.

use std::fmt::{self, Write as _};
use std::num::NonZeroU16;
use std::time::Duration;

use wigwag_engine::{Limits, ListenerSettings};

use crate::conf::Config;
use crate::conf::config::{Bind, Listener as Said};
use crate::{access, alarms, http, logging, mailbox, plan, recorder, topics};

const HEAD: &str = "\
# Limits

Nothing that a client sends makes the broker hold or do more than these allow. The page is written by `cargo xtask docs` from the
limits themselves. *Own* is what holds for `wigwag up`, for `wigwag broker` without a configuration file and for `Broker::builder()`;
*Mosquitto* is what holds where the broker stands in for Mosquitto and the file says nothing else.

What is set with an option of the file is told in [options.md](options.md); all limits of the engine are fields of `Limits`, which
`Broker::builder()` takes. A reload changes what comes after it: who is connected keeps what CONNACK has told.

\"Dropped\" messages are counted by reason in `wigwag_messages_dropped` and in
`$SYS/broker/publish/messages/dropped`, connections that end in `wigwag_connections_closed`; the log says why (`notice`).
";

/// A section of the page, and its rows.
struct Section {
    title: &'static str,
    what: &'static str,
    rows: &'static [Row],
}

/// A limit.
struct Row {
    /// The field of [`Limits`], or a name in words.
    name: &'static str,
    value: Value,
    /// The option of the file, if there is one.
    option: &'static str,
    /// What it bounds, and what happens there.
    what: &'static str,
    /// Where that shows.
    shown: &'static str,
}

/// Where the value of a limit stands.
enum Value {
    Engine(fn(&Limits) -> Amount),
    Listener(fn(&ListenerSettings) -> Amount),
    /// It is the same for everybody.
    Fixed(Amount),
    /// Without a limit unless a file sets one.
    Unset(&'static str),
}

/// A value with its unit.
#[derive(Clone, Copy)]
enum Amount {
    Count(u64),
    Bytes(u64),
    Time(Duration),
    Secs(u32),
    Words(&'static str),
    None,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: u64 = 1_024;
        const MIB: u64 = KIB * KIB;
        match *self {
            Amount::None | Amount::Secs(u32::MAX) | Amount::Count(u64::MAX) => f.write_str("none"),
            Amount::Bytes(u64::MAX) => f.write_str("none"),
            Amount::Bytes(bytes) if bytes > 0 && bytes % MIB == 0 => {
                write!(f, "{} MiB", bytes / MIB)
            }
            Amount::Bytes(bytes) if bytes > 0 && bytes % KIB == 0 => {
                write!(f, "{} KiB", bytes / KIB)
            }
            Amount::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Amount::Count(count) => write!(f, "{count}"),
            Amount::Words(words) => f.write_str(words),
            Amount::Secs(secs) if secs > 0 && secs % 86_400 == 0 => {
                write!(f, "{} days", secs / 86_400)
            }
            Amount::Secs(secs) => write!(f, "{secs} s"),
            Amount::Time(time) if time.subsec_millis() > 0 => write!(f, "{} ms", time.as_millis()),
            Amount::Time(time) => write!(f, "{} s", time.as_secs()),
        }
    }
}

const fn count(count: usize) -> Amount {
    Amount::Count(count as u64)
}

const fn bytes(bytes: usize) -> Amount {
    Amount::Bytes(bytes as u64)
}

const fn engine(
    name: &'static str,
    value: fn(&Limits) -> Amount,
    option: &'static str,
    what: &'static str,
    shown: &'static str,
) -> Row {
    Row {
        name,
        value: Value::Engine(value),
        option,
        what,
        shown,
    }
}

const fn fixed(name: &'static str, amount: Amount, what: &'static str, shown: &'static str) -> Row {
    Row {
        name,
        value: Value::Fixed(amount),
        option: "",
        what,
        shown,
    }
}

const CLOSED: &str = "`wigwag_connections_closed`";
const DROPPED: &str = "dropped: `queue_full`";

static SECTIONS: &[Section] = &[
    Section {
        title: "All together",
        what: "What is held for clients is summed up: connections, out-buffers, parts of packets, sessions, subscriptions, messages. A message\ncounts once, however many sessions keep it; a large one that several clients have not read yet counts for each of them.",
        rows: &[
            engine(
                "memory_max",
                |limits| match limits.memory_max {
                    usize::MAX => Amount::Words("¾ of what there is"),
                    max => bytes(max),
                },
                "memory_limit",
                "Bytes of all of it. Where nothing is set, three quarters of what the machine or its control group has. From 80 % on, new sessions, subscriptions and retained topics are refused with `0x97` and QoS 0 messages to clients with 64 KiB unread are dropped. At the limit, what would wait is dropped, a CONNECT with a Will above 4 KiB is refused, and connections with more than 64 KiB in either direction are ended with `0x97`. Clients come back to the sessions that they have, which makes room again; of connections without a session, each shard has 32 and closes further ones. Nobody else notices.",
                "`wigwag_held_bytes`; dropped: `memory_full`; a `warning` and an `error` in the log",
            ),
            engine(
                "clients_max",
                |limits| count(limits.clients_max),
                "global_max_clients",
                "Sessions of the broker, connected or not. A client that would need another one is refused with `0x89`, in MQTT 3.x with 3.",
                "`wigwag_sessions`; `wigwag_connack`",
            ),
            engine(
                "sessions_max",
                |limits| count(limits.sessions_max),
                "",
                "The same of one shard; refused with `0x97`, in MQTT 3.x with 3.",
                "`wigwag_sessions`; `wigwag_connack`",
            ),
            Row {
                name: "connections of all listeners",
                value: Value::Unset("what descriptors there are, but 64"),
                option: "global_max_connections",
                what: "Further connections are closed at once. Descriptors are left for files and listeners, so that neither a reload nor a save fails for want of them.",
                shown: "`notice`: denied, global_max_connections exceeded",
            },
            Row {
                name: "connections of a listener",
                value: Value::Unset("none"),
                option: "max_connections",
                what: "Further ones are closed at once.",
                shown: "`notice`: denied, max_connections exceeded",
            },
            fixed(
                "mail between two shards",
                bytes(mailbox::CONGESTED),
                "Publishers are not read until there is less.",
                "`wigwag_route_duration_seconds`",
            ),
        ],
    },
    Section {
        title: "Before CONNACK",
        what: "",
        rows: &[
            engine(
                "connect_timeout",
                |limits| Amount::Time(limits.connect_timeout),
                "",
                "From the first byte of TCP to CONNACK: PROXY header, TLS, WebSocket, CONNECT and authentication together, however slowly they trickle. Then the connection is closed.",
                CLOSED,
            ),
            engine(
                "connect_packet_size_max",
                |limits| bytes(limits.connect_packet_size_max as usize),
                "",
                "Bytes of a CONNECT. A larger one is refused with `0x95` when its length is announced. Over WebSocket its frame may hold as many as any packet.",
                CLOSED,
            ),
            engine(
                "client_id_len_max",
                |limits| count(limits.client_id_len_max),
                "",
                "Bytes of a Client Identifier; longer ones are refused with `0x85`.",
                "`wigwag_connack`",
            ),
            fixed(
                "passwords that wait",
                count(access::JOBS_MAX),
                "To be checked, of all clients; from half of them on, an address has 500 of its own. Further ones are refused with `0x89`.",
                "`wigwag_connack`",
            ),
            fixed(
                "answer to a wrong password",
                Amount::Time(access::DELAY_MAX),
                "It comes after 50 ms, and after twice as long for each further one of an address, up to this.",
                "`wigwag_auth`",
            ),
            Row {
                name: "header of a WebSocket request",
                value: Value::Fixed(Amount::Bytes(4_096)),
                option: "packet_buffer_size",
                what: "Longer ones are answered with 431.",
                shown: "`notice`",
            },
        ],
    },
    Section {
        title: "A connection",
        what: "",
        rows: &[
            engine(
                "packet_size_max",
                |limits| bytes(limits.packet_size_max as usize),
                "max_packet_size",
                "Bytes of a packet, told as Maximum Packet Size. A larger one ends the connection with `0x95` when its length is announced; memory grows with bytes that have come. A WebSocket message has the same bound.",
                CLOSED,
            ),
            engine(
                "payload_size_max",
                |limits| bytes(limits.payload_size_max),
                "message_size_limit",
                "Bytes of a payload. A PUBLISH with more is answered with `0x97` and goes nowhere.",
                "PUBACK",
            ),
            engine(
                "decode.user_properties_max",
                |limits| count(limits.decode.user_properties_max as usize),
                "",
                "User Properties of a packet; more end the connection with `0x97`.",
                CLOSED,
            ),
            engine(
                "decode.filters_max",
                |limits| count(limits.decode.filters_max as usize),
                "",
                "Topic Filters of a SUBSCRIBE or UNSUBSCRIBE; more end the connection with `0x97`.",
                CLOSED,
            ),
            engine(
                "decode.topic_levels_max",
                |limits| count(limits.decode.topic_levels_max as usize),
                "",
                "Levels of a topic; more end the connection with `0x97`.",
                CLOSED,
            ),
            engine(
                "keep_alive_secs_max",
                |limits| {
                    limits.keep_alive_secs_max.map_or(Amount::None, |secs| {
                        Amount::Secs(NonZeroU16::get(secs).into())
                    })
                },
                "max_keepalive",
                "Longest Keep Alive. Clients of MQTT 5 are given it as Server Keep Alive, others that ask for more are refused with 2. Without one, a client that asks for none and vanishes stays until TCP notices.",
                CLOSED,
            ),
            engine(
                "receive_maximum",
                |limits| count(limits.receive_maximum.into()),
                "max_inflight_messages",
                "Unreleased QoS 2 messages of a client, told as Receive Maximum. With twice as many it is disconnected with `0x93`.",
                CLOSED,
            ),
            Row {
                name: "Topic Aliases of a client",
                value: Value::Listener(|listener| count(listener.topic_alias_maximum.into())),
                option: "max_topic_alias",
                what: "Told as Topic Alias Maximum; a higher alias ends the connection with `0x94`.",
                shown: CLOSED,
            },
            Row {
                name: "Topic Aliases of the broker",
                value: Value::Listener(|listener| count(listener.topic_alias_maximum_out.into())),
                option: "max_topic_alias_broker",
                what: "Towards a client that accepts as many.",
                shown: "",
            },
            engine(
                "topic_alias_bytes_max",
                |limits| bytes(limits.topic_alias_bytes_max),
                "",
                "Bytes of the Topic Names behind them; more end the connection with `0x97`.",
                CLOSED,
            ),
            engine(
                "out_buffer_max",
                |limits| bytes(limits.out_buffer_max),
                "",
                "Bytes that a client has not read. Above, its QoS 0 messages are dropped, others wait in its queue, and it is not read itself while answers to it wait.",
                "dropped: `slow_consumer`, `wigwag_slow_consumers`",
            ),
            engine(
                "hold_back_from",
                |limits| bytes(limits.hold_back_from),
                "",
                "Unread bytes from which its publishers are held back.",
                "",
            ),
            engine(
                "held_back_max",
                |limits| bytes(limits.held_back_max),
                "",
                "Unread bytes from which QoS 0 messages are dropped while publishers are held back.",
                "dropped: `slow_consumer`",
            ),
            engine(
                "nap",
                |limits| Amount::Time(limits.nap),
                "",
                "How long a publisher that is held back is not read at a time.",
                "",
            ),
            engine(
                "hold_back_max",
                |limits| Amount::Time(limits.hold_back_max),
                "",
                "How long a slow reader may hold back publishers until it has caught up. A publisher waits a quarter of its time at most.",
                "dropped: `slow_consumer`",
            ),
            engine(
                "stall_max",
                |limits| Amount::Time(limits.stall_max),
                "",
                "How long a reader that takes nothing may do so.",
                "dropped: `slow_consumer`",
            ),
            engine(
                "linger",
                |limits| Amount::Time(limits.linger),
                "",
                "Time to read the last bytes of a connection that is closed.",
                "",
            ),
        ],
    },
    Section {
        title: "A session",
        what: "",
        rows: &[
            engine(
                "session_expiry_secs_max",
                |limits| Amount::Secs(limits.session_expiry_secs_max),
                "persistent_client_expiration",
                "How long it waits for its client; longer wishes are cut, and MQTT 5 is told.",
                "`$SYS/broker/clients/expired`",
            ),
            engine(
                "subscriptions_max",
                |limits| count(limits.subscriptions_max),
                "",
                "Subscriptions; further ones are refused with `0x97`.",
                "SUBACK",
            ),
            engine(
                "filter_bytes_max",
                |limits| bytes(limits.filter_bytes_max),
                "",
                "Bytes of its Topic Filters; further ones are refused with `0x97`.",
                "SUBACK",
            ),
            engine(
                "queued_messages_max",
                |limits| count(limits.queued_messages_max),
                "max_queued_messages",
                "Messages that wait for it; further ones are dropped.",
                DROPPED,
            ),
            engine(
                "queued_bytes_max",
                |limits| bytes(limits.queued_bytes_max),
                "max_queued_bytes",
                "Their bytes.",
                DROPPED,
            ),
            engine(
                "inflight_max",
                |limits| count(limits.inflight_max.into()),
                "max_inflight_messages",
                "Messages that were sent and are not acknowledged; further ones wait.",
                "`wigwag_inflight_messages`",
            ),
            engine(
                "inflight_bytes_max",
                |limits| bytes(limits.inflight_bytes_max),
                "max_inflight_bytes",
                "Their bytes, as far as they are kept.",
                "",
            ),
            engine(
                "unreleased_bytes_max",
                |limits| bytes(limits.unreleased_bytes_max),
                "max_inflight_bytes",
                "Bytes of the QoS 2 messages that it has sent and not released, where they are routed with PUBREL: where the \
                 broker stands in for Mosquitto. At the limit a further one is refused with `0x97`; the connection of a client of MQTT 3.x, \
                 which would not be told, is closed.",
                "`wigwag_unreleased_messages`; PUBREC",
            ),
        ],
    },
    Section {
        title: "Retained messages, and what is remembered",
        what: "",
        rows: &[
            engine(
                "retained_messages_max",
                |limits| count(limits.retained_messages_max),
                "",
                "Topics with a retained message. A new one is refused with `0x97` at QoS 1 and 2; at QoS 0 the message is delivered and not retained.",
                "`wigwag_retained_messages`; PUBACK",
            ),
            engine(
                "retained_bytes_max",
                |limits| bytes(limits.retained_bytes_max),
                "",
                "Their bytes; the same. They have at most half of `memory_max`, so that they keep no clients out.",
                "`wigwag_retained_bytes`; PUBACK",
            ),
            engine(
                "retained_for_max",
                |limits| limits.retained_for_max.map_or(Amount::None, Amount::Time),
                "retain_expiry_interval",
                "How long one is kept.",
                "",
            ),
            engine(
                "cached_topics_max",
                |limits| count(limits.cached_topics_max),
                "",
                "Topics whose receivers a shard remembers; then it begins anew.",
                "",
            ),
            engine(
                "cached_receivers_max",
                |limits| count(limits.cached_receivers_max),
                "",
                "Their receivers together.",
                "",
            ),
        ],
    },
    Section {
        title: "Beside MQTT",
        what: "",
        rows: &[
            fixed(
                "HTTP connections of a `metrics_listener`, and of all with `http_api` together",
                count(http::CONNECTIONS_MAX),
                "Further ones wait to be accepted.",
                "",
            ),
            fixed(
                "HTTP connections of one address, once half of those are taken",
                count(http::CONNECTIONS_PER_ADDRESS),
                "Further ones are closed, so that others get an answer.",
                "",
            ),
            fixed(
                "headers of an HTTP request, time",
                Amount::Time(http::HEADERS_WITHIN),
                "Then the connection is closed. One that keeps to it may last five minutes.",
                "",
            ),
            fixed(
                "headers of an HTTP request, bytes",
                bytes(http::HEADERS_MAX),
                "Longer ones are answered with 431.",
                "",
            ),
            fixed(
                "sessions over HTTP",
                count(http::SESSIONS_MAX),
                "The one that was not used for longest ends for one more. One that nobody uses for a day ends too.",
                "the login",
            ),
            fixed(
                "sessions of one user over HTTP",
                count(http::SESSIONS_PER_USER),
                "The same among his own.",
                "the login",
            ),
            fixed(
                "request to log in over HTTP",
                bytes(http::LOGIN_SIZE_MAX),
                "Longer ones are answered with 413. A wrong password is answered after a second and more.",
                "",
            ),
            fixed(
                "viewers of the tree of topics",
                count(topics::VIEWERS_MAX),
                "A further one is answered with 503. Each is told four times a second at most, up to 512 KiB; one that \
                 takes nothing for 30 s, or says nothing for 60 s, is let go.",
                "the error",
            ),
            fixed(
                "topics of that tree",
                count(topics::TOPICS_MAX),
                "Messages of further ones are counted only. Their names have 32 MiB together.",
                "the page",
            ),
            fixed(
                "payload of a topic of that tree",
                bytes(topics::PAYLOAD_MAX),
                "Of a longer one, the beginning is shown; all together have 64 MiB, which cuts them further.",
                "the page",
            ),
            fixed(
                "clients in one answer over HTTP",
                count(http::CLIENTS_MAX),
                "The others are counted. Of each, 200 subscriptions with 16 KiB of filters are told, and how many more there are.",
                "`/api/v1/clients`",
            ),
            fixed(
                "messages that wait to be recorded, bytes",
                bytes(recorder::QUEUE_BYTES_MAX),
                "Further ones are not recorded; nobody waits.",
                "`wigwag_recorder_messages_lost`",
            ),
            fixed(
                "payload of a recorded message",
                bytes(recorder::PAYLOAD_MAX),
                "Of a longer one, the beginning is recorded.",
                "`wigwag_recorder_messages_cut`; `length`",
            ),
            fixed(
                "recorded messages in one answer over HTTP",
                count(http::MESSAGES_MAX),
                "The answer tells with `next` where it goes on; so does one of 4 MiB. Four are read from the disk at the \
                 same time; one that takes nothing for 10 s is cut off.",
                "`next`",
            ),
            fixed(
                "requests on control topics",
                count(access::REQUESTS_MAX),
                "Dynamic security works on one after the other; further ones are answered with an error.",
                "a `warning`",
            ),
            fixed(
                "rules for alarms",
                count(wigwag_alarm::RULES_MAX),
                "A file with more is refused; a rule has at most 4,096 bytes.",
                "the error",
            ),
            fixed(
                "topics that rules remember",
                count(wigwag_alarm::TOPICS_MAX),
                "Of all rules together: those with an alarm, and those that are counted or awaited. One more, or one of more than 4,096 bytes, is not watched.",
                "the log",
            ),
            fixed(
                "alarms that are over and can be looked up",
                count(wigwag_alarm::HISTORY_MAX),
                "Of the last day; the oldest goes first.",
                "`/api/v1/alarms`",
            ),
            fixed(
                "lines of the log about alarms in a second",
                count(alarms::LINES_PER_SEC as usize),
                "More are counted, which the log says in the next second.",
                "the log",
            ),
            fixed(
                "lines of the log that wait",
                count(logging::WAITING_MAX),
                "And 4 MiB of them; further lines are lost rather than waited for.",
                "`wigwag_log_lines_lost`",
            ),
        ],
    },
];

/// The page in Markdown.
pub fn limits_page() -> String {
    let own = (Limits::default(), ListenerSettings::default());
    let said = Said::new(Bind::tcp(None, 1883));
    let mosquitto = (
        plan::settings(&Config::default()).limits,
        plan::listener_settings(0, &said),
    );
    let mut page = HEAD.to_owned();
    for Section { title, what, rows } in SECTIONS {
        _ = write!(page, "\n## {title}\n\n");
        if !what.is_empty() {
            _ = write!(page, "{what}\n\n");
        }
        page.push_str("| limit | own | Mosquitto | option | what it bounds, and what happens there | shown by |\n|---|---|---|---|---|---|\n");
        for row in *rows {
            let value = |(limits, listener): &(Limits, ListenerSettings)| match row.value {
                Value::Engine(value) => value(limits).to_string(),
                Value::Listener(value) => value(listener).to_string(),
                Value::Fixed(amount) => amount.to_string(),
                Value::Unset(words) => words.to_owned(),
            };
            let name = match row.value {
                Value::Engine(_) => format!("`{}`", row.name),
                _ => row.name.to_owned(),
            };
            let option = match row.option {
                "" => String::new(),
                option => format!("`{option}`"),
            };
            _ = writeln!(
                page,
                "| {name} | {} | {} | {option} | {} | {} |",
                value(&own),
                value(&mosquitto),
                row.what,
                row.shown
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of what Debug shows, those of `decode` among them.
    fn fields(limits: &Limits) -> Vec<String> {
        let text = format!("{limits:#?}");
        let mut outer = None;
        let mut fields = Vec::new();
        for line in text.lines() {
            let depth = line.len() - line.trim_start().len();
            let Some((name, value)) = line.trim().split_once(": ") else {
                continue;
            };
            match depth {
                4 if value.starts_with("DecodeLimits") => outer = Some(name),
                4 => fields.push(name.to_owned()),
                8 if outer.is_some_and(|outer| outer == "decode") && name.ends_with("_max") => {
                    fields.push(format!("decode.{name}"));
                }
                _ => {}
            }
        }
        fields
    }

    #[test]
    fn every_limit_of_the_engine_has_a_row() {
        let fields = fields(&Limits::default());
        assert!(fields.len() > 30, "{fields:?}");
        let rows = || SECTIONS.iter().flat_map(|section| section.rows);
        let engine = || rows().filter(|row| matches!(row.value, Value::Engine(_)));
        for field in &fields {
            assert!(engine().any(|row| row.name == field), "{field} has no row");
        }
        for row in engine() {
            assert!(fields.iter().any(|field| field == row.name), "{}", row.name);
        }
    }

    #[test]
    fn every_metric_of_the_page_is_one() {
        let page = limits_page();
        let words = page.split('`').filter(|word| word.starts_with("wigwag_"));
        for word in words {
            let is_one = |family: &crate::metrics::Family| family.name == word;
            assert!(crate::metrics::FAMILIES.iter().any(is_one), "{word}");
        }
    }

    #[test]
    fn every_option_of_the_page_is_one() {
        let options = crate::conf::options_page();
        let rows = SECTIONS.iter().flat_map(|section| section.rows);
        for row in rows.filter(|row| !row.option.is_empty()) {
            assert!(
                options.contains(&format!("`{}`", row.option)),
                "{}",
                row.option
            );
        }
    }
}
