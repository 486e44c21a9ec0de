//! Every bound of the engine in one table, with what happens when it is reached.

use std::num::NonZeroU16;
use std::time::Duration;

use wigwag_proto::DecodeLimits;

/// The bounds of one shard. Sizes are in bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Time from opening a connection to its CONNACK; then the connection is closed.
    pub connect_timeout: Duration,
    /// Time that a closed connection may take to read its last bytes; then they are dropped.
    pub linger: Duration,
    /// Size of a CONNECT, which arrives before anything is known of its sender; larger ones are refused
    /// with `0x95`.
    pub connect_packet_size_max: u32,
    /// Size of any other packet, announced as Maximum Packet Size; larger ones end the connection with
    /// `0x95`.
    pub packet_size_max: u32,
    /// What one packet may hold; more ends the connection with `0x97`.
    pub decode: DecodeLimits,
    /// Length of a Client Identifier; longer ones are refused with `0x85`.
    pub client_id_len_max: usize,
    /// Longest Keep Alive: MQTT 5 clients that ask for a longer one, or for none, are given this one as Server
    /// Keep Alive; clients of MQTT 3.x are refused with 2, as Mosquitto does. `None`: any.
    pub keep_alive_secs_max: Option<NonZeroU16>,
    /// Length of a payload; a PUBLISH with more is answered with `0x97` and goes nowhere, a Will with more is
    /// refused with `0x95`.
    pub payload_size_max: usize,
    /// Receive Maximum that clients are told. One that exceeds it twofold is disconnected with `0x93`. Clients of
    /// MQTT 3.x, which cannot be told, may have 4096 in any case.
    pub receive_maximum: u16,
    /// Topic and payload bytes from which no further QoS 2 message of a session waits for its PUBREL, if it is
    /// routed only then: it is refused with `0x97`, and the connection of a client of MQTT 3.x, which cannot be
    /// told, is closed.
    pub unreleased_bytes_max: usize,
    /// Topic Names behind the aliases of one connection, together; more end it with `0x97`.
    pub topic_alias_bytes_max: usize,
    /// Unacknowledged QoS 1 and 2 messages to one client, if it does not ask for fewer; further ones wait
    /// in its queue.
    pub inflight_max: u16,
    /// Topic and payload bytes that are kept of them for sending them again; at the bound further messages
    /// wait in the queue.
    pub inflight_bytes_max: usize,
    /// QoS 1 and 2 messages that wait for one session; further ones are dropped for it.
    pub queued_messages_max: usize,
    /// Payload and topic bytes that wait for one session; further messages are dropped for it.
    pub queued_bytes_max: usize,
    /// Bytes in one out-buffer from which QoS 0 messages to that client are dropped and others queued, and
    /// from which it is not read while the broker's answers to it wait.
    pub out_buffer_max: usize,
    /// Bytes in one out-buffer from which its reader holds back who publishes to it: the publisher is not read
    /// for [`Limits::nap`] at a time. A reader with half of its queue filled does the same.
    pub hold_back_from: usize,
    /// Bytes in one out-buffer from which QoS 0 messages are dropped while its reader may hold back
    /// publishers: room for what is on its way from other shards.
    pub held_back_max: usize,
    /// How long a publisher that is held back is not read before it is tried again.
    pub nap: Duration,
    /// How long a reader may hold back publishers until it has read everything; then what is too much for it
    /// is dropped. No publisher is held back for longer in four times that, by all readers together.
    pub hold_back_max: Duration,
    /// How long a reader that takes nothing at all may hold back publishers.
    pub stall_max: Duration,
    /// Subscriptions of one session; further ones are refused with `0x97`.
    pub subscriptions_max: usize,
    /// Bytes of the Topic Filters of one session; further ones are refused with `0x97`.
    pub filter_bytes_max: usize,
    /// Longest time that a session outlives its connection, in seconds; longer wishes are cut to it.
    pub session_expiry_secs_max: u32,
    /// Retained messages of the node; a new topic beyond them is not retained and, from QoS 1 on, refused
    /// with `0x97`.
    pub retained_messages_max: usize,
    /// Payload and topic bytes of the retained messages of the node; a message beyond them is treated
    /// like a new topic beyond their number. So is one beyond half of [`Limits::memory_max`]: what nobody waits for
    /// must not keep clients out.
    pub retained_bytes_max: usize,
    /// How long a message is retained at most. `None`: until it is replaced or expires by itself.
    pub retained_for_max: Option<Duration>,
    /// Sessions of the node, connected or not; a client that would need another is refused with `0x89`.
    pub clients_max: usize,
    /// Sessions of the shard, connected or not; a client that would need another is refused with `0x97`.
    pub sessions_max: usize,
    /// Bytes of all that the node holds for its peers, about. From 80 % on, nothing is begun that would be kept:
    /// new sessions, subscriptions and retained topics are refused with `0x97`, QoS 0 messages to slow readers
    /// are dropped. At the bound nothing grows: what would wait is dropped, and connections that hold more
    /// than 64 KiB are ended with `0x97`. Who has a session may come back to it, which makes room again; of connections
    /// without one, a shard has 32 and closes further ones.
    pub memory_max: usize,
    /// Topics whose receivers a shard remembers; the memory is emptied when it is full.
    pub cached_topics_max: usize,
    /// Receivers of these topics together; the memory is emptied when it is full, and a topic with more is
    /// not remembered.
    pub cached_receivers_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            connect_packet_size_max: 64 * 1024,
            packet_size_max: 2_000_000,
            decode: DecodeLimits::default(),
            client_id_len_max: 256,
            keep_alive_secs_max: None,
            payload_size_max: usize::MAX,
            receive_maximum: 1_000,
            unreleased_bytes_max: 16 * 1024 * 1024,
            topic_alias_bytes_max: 64 * 1024,
            inflight_max: 8_192,
            inflight_bytes_max: 16 * 1024 * 1024,
            queued_messages_max: 10_000,
            queued_bytes_max: 16 * 1024 * 1024,
            out_buffer_max: 4 * 1024 * 1024,
            hold_back_from: 1024 * 1024,
            held_back_max: 24 * 1024 * 1024,
            nap: Duration::from_millis(5),
            hold_back_max: Duration::from_secs(5),
            stall_max: Duration::from_millis(250),
            subscriptions_max: 1_000,
            filter_bytes_max: 256 * 1024,
            session_expiry_secs_max: 7 * 24 * 3600,
            retained_messages_max: 100_000,
            retained_bytes_max: 256 * 1024 * 1024,
            retained_for_max: None,
            clients_max: usize::MAX,
            sessions_max: 1_000_000,
            memory_max: usize::MAX,
            cached_topics_max: 4_096,
            cached_receivers_max: 262_144,
        }
    }
}
