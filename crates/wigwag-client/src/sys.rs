//! What a server tells about itself under `$SYS/broker/`, as Mosquitto publishes it.
//!
//! One table names the topics; parser, names and documentation are made from it. What is not in the table,
//! or not a number where one belongs, is kept as it came. Nothing in a value can make this panic.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use wigwag_proto::packet::SubscriptionOptions;

use crate::ack::{Finished, Verdict};
use crate::client::{Client, KeySlot, Subscribing};
use crate::core::Token;
use crate::lane::Sink;
use crate::mailbox::Sender;
use crate::message::Message;
use crate::{Granted, SubscribeError};

const PREFIX: &str = "$SYS/broker/";

/// Bytes of topics and values that a snapshot keeps besides those it understands.
const OTHER_BYTES_MAX: usize = 256 * 1024;

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident = [$($topic:literal),+];)*) => {
        /// A number that a server publishes under `$SYS/broker/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum SysCount {
            $($(#[doc = $doc])+ #[doc = concat!("\n\nTopics below `$SYS/broker/`:" $(, " `", $topic, "`")+)] $name,)*
        }

        impl SysCount {
            /// All of them.
            pub const ALL: &[SysCount] = &[$(SysCount::$name,)*];

            /// The topics that carry the number, below `$SYS/broker/`, the usual one first.
            pub const fn topics(self) -> &'static [&'static str] {
                match self {
                    $(SysCount::$name => &[$($topic),+],)*
                }
            }

            fn of(topic: &str) -> Option<SysCount> {
                match topic {
                    $($($topic)|+ => Some(SysCount::$name),)*
                    _ => None,
                }
            }
        }
    };
}

counts! {
    /// Sessions, with and without a connection.
    ClientsTotal = ["clients/total"];
    /// The most sessions that there have been.
    ClientsMaximum = ["clients/maximum"];
    /// Clients with a connection.
    ClientsConnected = ["clients/connected", "clients/active"];
    /// Sessions without a connection.
    ClientsDisconnected = ["clients/disconnected", "clients/inactive"];
    /// Sessions that have expired.
    ClientsExpired = ["clients/expired"];
    /// Messages in the store, retained ones and those of `$SYS` included.
    StoredMessages = ["store/messages/count", "messages/stored"];
    /// Bytes of their payloads.
    StoredBytes = ["store/messages/bytes"];
    /// Subscriptions.
    Subscriptions = ["subscriptions/count"];
    /// Shared subscriptions.
    SharedSubscriptions = ["shared_subscriptions/count"];
    /// Retained messages.
    RetainedMessages = ["retained messages/count"];
    /// Bytes of memory in use.
    HeapCurrent = ["heap/current"];
    /// The most bytes of memory that have been in use.
    HeapMaximum = ["heap/maximum"];
    /// Packets of any type that have been received.
    MessagesReceived = ["messages/received"];
    /// Packets of any type that have been sent.
    MessagesSent = ["messages/sent"];
    /// Bytes that have been received.
    BytesReceived = ["bytes/received"];
    /// Bytes that have been sent.
    BytesSent = ["bytes/sent"];
    /// PUBLISH packets that have been received.
    PublishReceived = ["publish/messages/received"];
    /// PUBLISH packets that have been sent.
    PublishSent = ["publish/messages/sent"];
    /// PUBLISH packets that have been dropped because of a limit.
    PublishDropped = ["publish/messages/dropped"];
    /// Bytes of payloads that have been received.
    PublishBytesReceived = ["publish/bytes/received"];
    /// Bytes of payloads that have been sent.
    PublishBytesSent = ["publish/bytes/sent"];
    /// Packets that wait to be written to sockets.
    PacketsOut = ["packet/out/count"];
    /// Their bytes.
    PacketsOutBytes = ["packet/out/bytes"];
    /// Connections that have been accepted.
    SocketsAccepted = ["connections/socket/count"];
}

macro_rules! loads {
    ($($(#[doc = $doc:literal])+ $name:ident = $topic:literal;)*) => {
        /// Something whose rate a server publishes under `$SYS/broker/load/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum SysLoad {
            $($(#[doc = $doc])+ #[doc = concat!("\n\nTopics: `$SYS/broker/load/", $topic, "/`…")] $name,)*
        }

        impl SysLoad {
            /// All of them.
            pub const ALL: &[SysLoad] = &[$(SysLoad::$name,)*];

            /// The topic below `$SYS/broker/load/`, without the last level.
            pub const fn topic(self) -> &'static str {
                match self {
                    $(SysLoad::$name => $topic,)*
                }
            }

            fn of(topic: &str) -> Option<SysLoad> {
                match topic {
                    $($topic => Some(SysLoad::$name),)*
                    _ => None,
                }
            }
        }
    };
}

loads! {
    /// CONNECT packets.
    Connections = "connections";
    /// Accepted sockets.
    Sockets = "sockets";
    /// Packets received.
    MessagesReceived = "messages/received";
    /// Packets sent.
    MessagesSent = "messages/sent";
    /// PUBLISH packets received.
    PublishReceived = "publish/received";
    /// PUBLISH packets sent.
    PublishSent = "publish/sent";
    /// PUBLISH packets dropped.
    PublishDropped = "publish/dropped";
    /// Bytes received.
    BytesReceived = "bytes/received";
    /// Bytes sent.
    BytesSent = "bytes/sent";
}

/// A rate per minute, as moving averages; `None` for one that has not been published.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SysRate {
    /// Over a minute.
    pub one: Option<f64>,
    /// Over five minutes.
    pub five: Option<f64>,
    /// Over fifteen minutes.
    pub fifteen: Option<f64>,
}

/// What a message has changed in a [`SysSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysChange {
    /// A value that is understood.
    Understood,
    /// One of [`SysSnapshot::others`]: its topic is not known, or its value is not what belongs there.
    Other,
    /// Nothing: the topic is not below `$SYS/`, or too much is kept already.
    Nothing,
}

/// What a server has told about itself under `$SYS/`. It fills as messages come.
///
/// ```
/// use wigwag_client::sys::{SysCount, SysLoad, SysSnapshot};
///
/// let mut server = SysSnapshot::default();
/// server.update("$SYS/broker/clients/connected", b"12");
/// server.update("$SYS/broker/load/messages/sent/1min", b"99.75");
/// assert_eq!(server.count(SysCount::ClientsConnected), Some(12));
/// assert_eq!(server.rate(SysLoad::MessagesSent).one, Some(99.75));
/// assert_eq!(server.count(SysCount::HeapCurrent), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SysSnapshot {
    version: Option<String>,
    uptime: Option<Duration>,
    counts: BTreeMap<SysCount, u64>,
    rates: BTreeMap<SysLoad, SysRate>,
    bridges: BTreeMap<String, bool>,
    others: BTreeMap<String, Bytes>,
    others_bytes: usize,
    left_out: u64,
}

impl SysSnapshot {
    /// The name and the version of the server, in its own words.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// How long the server has been running.
    pub const fn uptime(&self) -> Option<Duration> {
        self.uptime
    }

    /// A number, if it has been published.
    pub fn count(&self, count: SysCount) -> Option<u64> {
        self.counts.get(&count).copied()
    }

    /// All numbers that have been published.
    pub fn counts(&self) -> impl Iterator<Item = (SysCount, u64)> {
        self.counts.iter().map(|(count, value)| (*count, *value))
    }

    /// A rate, as far as it has been published.
    pub fn rate(&self, load: SysLoad) -> SysRate {
        self.rates.get(&load).copied().unwrap_or_default()
    }

    /// The bridges by their names, and whether each is connected.
    pub fn bridges(&self) -> impl Iterator<Item = (&str, bool)> {
        (self.bridges.iter()).map(|(name, connected)| (&**name, *connected))
    }

    /// What was published below `$SYS/` besides: whole topics, and values as they came. Together they are
    /// at most 256 KiB.
    pub fn others(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.others.iter().map(|(topic, value)| (&**topic, value))
    }

    /// Messages that had no place in [`SysSnapshot::others`].
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes a message in. An empty payload, which ends a retained message, removes the value.
    pub fn update(&mut self, topic: &str, payload: &[u8]) -> SysChange {
        if !topic.starts_with("$SYS/") {
            return SysChange::Nothing;
        }
        let own = topic.strip_prefix(PREFIX);
        if let Some(own) = own
            && self.understand(own, payload).is_some()
        {
            self.forget_other(topic);
            return SysChange::Understood;
        }
        // What was understood before is no longer what the server says.
        if let Some(own) = own {
            self.forget(own);
        }
        self.keep_other(topic, payload)
    }

    /// Takes a value in if it is what belongs to the topic.
    fn understand(&mut self, topic: &str, payload: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(payload).ok()?;
        if let Some(count) = SysCount::of(topic) {
            self.counts.insert(count, text.parse().ok()?);
        } else if let Some((load, minutes)) = split_load(topic) {
            let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
            *minutes.of(self.rates.entry(load).or_default()) = Some(value);
        } else if let Some(name) = bridge_name(topic) {
            let is_connected = match text {
                "1" => true,
                "0" => false,
                _ => return None,
            };
            // Clients may publish these.
            self.reserve(name.len())?;
            if self.bridges.insert(name.to_owned(), is_connected).is_none() {
                self.others_bytes += name.len();
            }
        } else if topic == "version" && !text.is_empty() {
            self.version = Some(text.to_owned());
        } else if topic == "uptime" {
            let secs = text.strip_suffix(" seconds").unwrap_or(text);
            self.uptime = Some(Duration::from_secs(secs.parse().ok()?));
        } else {
            return None;
        }
        Some(())
    }

    fn forget(&mut self, topic: &str) {
        if let Some(count) = SysCount::of(topic) {
            self.counts.remove(&count);
        } else if let Some((load, minutes)) = split_load(topic) {
            *minutes.of(self.rates.entry(load).or_default()) = None;
        } else if let Some(name) = bridge_name(topic) {
            if self.bridges.remove(name).is_some() {
                self.others_bytes -= name.len();
            }
        } else if topic == "version" {
            self.version = None;
        } else if topic == "uptime" {
            self.uptime = None;
        }
    }

    fn forget_other(&mut self, topic: &str) {
        if let Some(value) = self.others.remove(topic) {
            self.others_bytes -= topic.len() + value.len();
        }
    }

    fn keep_other(&mut self, topic: &str, payload: &[u8]) -> SysChange {
        self.forget_other(topic);
        if payload.is_empty() {
            return SysChange::Other;
        }
        let len = topic.len() + payload.len();
        if self.reserve(len).is_none() {
            self.left_out += 1;
            return SysChange::Nothing;
        }
        self.others_bytes += len;
        let value = Bytes::copy_from_slice(payload);
        self.others.insert(topic.to_owned(), value);
        SysChange::Other
    }

    /// Whether there is room for so many bytes more.
    fn reserve(&self, len: usize) -> Option<()> {
        (len <= OTHER_BYTES_MAX - self.others_bytes).then_some(())
    }
}

/// One of the averages of a [`SysRate`].
#[derive(Clone, Copy)]
enum Minutes {
    One,
    Five,
    Fifteen,
}

impl Minutes {
    const fn of(self, rate: &mut SysRate) -> &mut Option<f64> {
        match self {
            Minutes::One => &mut rate.one,
            Minutes::Five => &mut rate.five,
            Minutes::Fifteen => &mut rate.fifteen,
        }
    }
}

/// `load/bytes/sent/5min`
fn split_load(topic: &str) -> Option<(SysLoad, Minutes)> {
    let (what, minutes) = topic.strip_prefix("load/")?.rsplit_once('/')?;
    let minutes = match minutes {
        "1min" => Minutes::One,
        "5min" => Minutes::Five,
        "15min" => Minutes::Fifteen,
        _ => return None,
    };
    Some((SysLoad::of(what)?, minutes))
}

/// `connection/NAME/state`, where the name may have levels.
fn bridge_name(topic: &str) -> Option<&str> {
    let name = topic.strip_prefix("connection/")?.strip_suffix("/state")?;
    (!name.is_empty()).then_some(name)
}

/// What a server tells about itself, kept up to date; made by [`Client::watch_sys`].
///
/// Dropped, it unsubscribes.
#[derive(Debug)]
pub struct SysWatch {
    client: Client,
    key: KeySlot,
    answer: Subscribing,
    snapshot: watch::Receiver<SysSnapshot>,
}

impl SysWatch {
    /// Waits for the server's answer to the subscription. Ask once: the second answer is
    /// [`SubscribeError::Stopped`].
    ///
    /// Dropping the future changes nothing.
    pub async fn granted(&mut self) -> Result<Granted, SubscribeError> {
        (&mut self.answer).await
    }

    /// What has been told so far.
    pub fn snapshot(&self) -> impl Deref<Target = SysSnapshot> + '_ {
        self.snapshot.borrow()
    }

    /// Waits for the next change; `false` when there will be none, because the client has stopped or the
    /// subscription has been removed or replaced.
    ///
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> bool {
        self.snapshot.changed().await.is_ok()
    }

    /// Waits until the server has told what is `wanted`, and returns all that it has told; `None` when
    /// nothing more will come.
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for(
        &mut self,
        wanted: impl FnMut(&SysSnapshot) -> bool,
    ) -> Option<SysSnapshot> {
        let found = self.snapshot.wait_for(wanted).await;
        found.ok().map(|snapshot| snapshot.clone())
    }
}

impl Drop for SysWatch {
    fn drop(&mut self) {
        self.client.leave(self.key.clone());
    }
}

/// The end of the watch in the background task.
struct SysSink(watch::Sender<SysSnapshot>);

impl Sink for SysSink {
    fn deliver(&mut self, message: Message, token: Token, finished: &Sender<Finished>) {
        self.0.send_if_modified(|snapshot| {
            snapshot.update(message.topic(), message.payload()) != SysChange::Nothing
        });
        let verdict = Verdict::Accepted;
        // The client has stopped otherwise, and acknowledges nothing.
        let _ = finished.send(Finished { token, verdict });
    }
}

impl Client {
    /// Subscribes to `$SYS/#`, where servers tell about themselves, and keeps what they say.
    ///
    /// A server may not allow that; [`SysWatch::granted`] has its answer. The first values come as retained
    /// messages, the others as often as the server publishes them: every ten seconds by default.
    ///
    /// Like [`Client::subscribe`], this declares desired state. It takes the place of any other
    /// subscription with this filter.
    pub fn watch_sys(&self) -> SysWatch {
        let (sender, snapshot) = watch::channel(SysSnapshot::default());
        let filter: Arc<str> = "$SYS/#".into();
        let options = SubscriptionOptions::default();
        let (answer, key) = self.subscribe_sink(filter, options, Box::new(SysSink(sender)));
        SysWatch {
            client: self.clone(),
            key,
            answer,
            snapshot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_the_table_is_understood_and_removed() {
        let mut server = SysSnapshot::default();
        let mut topics: Vec<String> = Vec::new();
        for (value, count) in (1_u64..).zip(SysCount::ALL) {
            for topic in count.topics() {
                let topic = format!("{PREFIX}{topic}");
                let change = server.update(&topic, value.to_string().as_bytes());
                assert_eq!(change, SysChange::Understood, "{topic}");
                assert_eq!(server.count(*count), Some(value), "{topic}");
                topics.push(topic);
            }
        }
        for load in SysLoad::ALL {
            for minutes in ["1min", "5min", "15min"] {
                let topic = format!("{PREFIX}load/{}/{minutes}", load.topic());
                assert_eq!(server.update(&topic, b"0.25"), SysChange::Understood);
                topics.push(topic);
            }
            let all = SysRate {
                one: Some(0.25),
                five: Some(0.25),
                fifteen: Some(0.25),
            };
            assert_eq!(server.rate(*load), all);
        }
        for (topic, value) in [
            ("version", "mosquitto version 2.0.11"),
            ("uptime", "61 seconds"),
            ("connection/to/the/cloud/state", "1"),
        ] {
            let topic = format!("{PREFIX}{topic}");
            assert_eq!(
                server.update(&topic, value.as_bytes()),
                SysChange::Understood
            );
            topics.push(topic);
        }
        assert_eq!(server.version(), Some("mosquitto version 2.0.11"));
        assert_eq!(server.uptime(), Some(Duration::from_secs(61)));
        assert_eq!(
            server.bridges().collect::<Vec<_>>(),
            [("to/the/cloud", true)]
        );
        assert_eq!(server.others().count(), 0);

        for topic in topics {
            server.update(&topic, b"");
        }
        assert_eq!((server.counts().count(), server.others_bytes), (0, 0));
        assert_eq!((server.version(), server.uptime()), (None, None));
        assert_eq!(server.rate(SysLoad::Sockets), SysRate::default());
        assert_eq!(server.bridges().count(), 0);
    }

    #[test]
    fn what_is_not_understood_is_kept_as_it_came() {
        let mut server = SysSnapshot::default();
        server.update("$SYS/broker/clients/total", b"7");
        for (topic, value) in [
            ("$SYS/broker/clients/total", &b"many"[..]),
            ("$SYS/broker/clients/maximum", b"-1"),
            ("$SYS/broker/messages/sent", b"18446744073709551616"),
            ("$SYS/broker/load/sockets/1min", b"NaN"),
            ("$SYS/broker/load/sockets/5min", b"inf"),
            ("$SYS/broker/load/sockets/1h", b"1"),
            ("$SYS/broker/load//1min", b"1"),
            ("$SYS/broker/uptime", b"\xff\xfe"),
            ("$SYS/broker/version", b"\0\xff"),
            ("$SYS/broker/connection/state", b"1"),
            ("$SYS/broker/connection//state", b"1"),
            ("$SYS/broker/connection/b/state", b"2"),
            ("$SYS/broker/log/N", b"1700000000: hello"),
            ("$SYS/brokers/node/version", b"5.8"),
            ("$SYS/broker/", b"x"),
            ("$SYS/", b"x"),
        ] {
            assert_eq!(server.update(topic, value), SysChange::Other, "{topic}");
            let kept = server.others().find(|(own, _)| *own == topic);
            assert_eq!(kept.map(|(_, value)| &value[..]), Some(value), "{topic}");
        }
        assert_eq!(server.count(SysCount::ClientsTotal), None);
        assert_eq!(server.update("a/b", b"1"), SysChange::Nothing);
        // And it is replaced by what is understood.
        server.update("$SYS/broker/clients/total", b"8");
        assert_eq!(server.count(SysCount::ClientsTotal), Some(8));
        let topics: Vec<&str> = server.others().map(|(topic, _)| topic).collect();
        assert!(!topics.contains(&"$SYS/broker/clients/total"));
    }

    #[test]
    fn a_server_that_invents_topics_fills_a_bounded_place() {
        let mut server = SysSnapshot::default();
        let value = vec![b'x'; 10_000];
        for number in 0..100 {
            server.update(&format!("$SYS/invented/{number}"), &value);
            server.update(&format!("$SYS/broker/connection/{number}/state"), b"1");
        }
        let topics: usize = (server.others())
            .map(|(topic, value)| topic.len() + value.len())
            .sum();
        let bridges: usize = server.bridges().map(|(name, _)| name.len()).sum();
        assert_eq!(topics + bridges, server.others_bytes);
        assert!(server.others_bytes <= OTHER_BYTES_MAX);
        assert!(server.left_out() > 0);
        let huge = vec![b'9'; 1_000_000];
        let change = server.update("$SYS/broker/clients/total", &huge);
        assert_eq!(change, SysChange::Nothing);
    }
}
