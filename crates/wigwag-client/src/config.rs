//! What a client is told before it starts: the builder, its parts, and what is wrong with them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wigwag_net::dial::{Target, TargetError};
use wigwag_proto::codec::EncodeError;
use wigwag_proto::{PropertiesBuf, Property, Qos, TopicError, TopicName, Version};

use crate::client::Client;
use crate::connect::{Dialler, EditDisconnect};
use crate::lane::{Handled, Handler};
use crate::message::{Message, Outgoing, Publish};
use crate::store::Store;

/// The longest text or binary field of a packet in bytes.
const FIELD_LEN_MAX: usize = 65_535;

/// Everything that the core and the task need to know. Valid: [`Builder::build`] has checked it.
pub(crate) struct Config {
    /// Not empty.
    pub(crate) servers: Vec<Target>,
    pub(crate) prefers_first_server: bool,
    pub(crate) server_references_max: u8,
    pub(crate) dialler: Arc<Dialler>,
    pub(crate) edit_disconnect: Option<EditDisconnect>,
    pub(crate) version: Version,
    pub(crate) fall_back_to_3_1_1: bool,
    pub(crate) is_bridge: bool,
    pub(crate) uses_identifiers: bool,
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    pub(crate) session_expiry_secs: u32,
    pub(crate) keep_alive_secs: u16,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) will: Option<Will>,
    pub(crate) birth: Option<Outgoing>,
    pub(crate) backoff: Backoff,
    pub(crate) connect_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) offline_qos0: OfflineQos0,
    pub(crate) refusal: RefusalPolicy,
    pub(crate) take_over: TakeOverPolicy,
    pub(crate) resubscribe: Resubscribe,
    pub(crate) session_loss: SessionLossPolicy,
    pub(crate) queue_overflow: QueueOverflow,
}

/// Describes a client; made by [`Client::builder`].
#[must_use = "a client is made by `build`"]
pub struct Builder {
    pub(crate) way: crate::way::Way,
    version: Version,
    fall_back_to_3_1_1: bool,
    is_bridge: bool,
    uses_identifiers: bool,
    client_id: String,
    clean_start: bool,
    session_expiry: Duration,
    keep_alive: Duration,
    credentials: Option<(String, Option<Bytes>)>,
    will: Option<Will>,
    birth: Option<Publish>,
    backoff: Backoff,
    connect_timeout: Duration,
    drain_timeout: Duration,
    limits: Limits,
    offline_qos0: OfflineQos0,
    refusal: RefusalPolicy,
    take_over: TakeOverPolicy,
    resubscribe: Resubscribe,
    session_loss: SessionLossPolicy,
    queue_overflow: QueueOverflow,
    store: Store,
    fallback: Option<Arc<dyn Handler>>,
}

/// Why a description is not one of a client. Nothing has been opened or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is not valid.
    #[error("the address is not valid: {0}")]
    Address(#[from] TargetError),
    /// The description of TLS cannot be used.
    #[cfg(feature = "tls")]
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] crate::TlsError),
    /// The proxy is not valid.
    #[cfg(feature = "proxy")]
    #[error("the proxy cannot be used: {0}")]
    Proxy(#[from] crate::ProxyError),
    /// A header or the subprotocol of the WebSocket request is not valid.
    #[cfg(feature = "ws")]
    #[error("the WebSocket request is not valid: {0}")]
    WebSocket(#[from] crate::HeaderError),
    /// The Keep Alive does not fit into its field.
    #[error("the Keep Alive is {0:?}; whole seconds up to 65535 are allowed, 0 turns it off")]
    KeepAlive(Duration),
    /// The topic of the Will is not a Topic Name.
    #[error("the topic of the Will is not valid: {0}")]
    WillTopic(TopicError),
    /// The payload or a property of the Will does not fit into its field.
    #[error("the Will cannot be sent: {0}")]
    Will(EncodeError),
    /// The message that is to be said first cannot be sent.
    #[error("the birth message cannot be sent: {0}")]
    Birth(crate::PublishError),
    /// A session that outlives its connection needs a name in MQTT 3.x.
    #[error("MQTT 3.x needs a client id when clean_start is false")]
    ClientIdMissing,
    /// MQTT 3.1 knows client ids of 1 to 23 characters.
    #[error("the client id has {0} bytes; MQTT 3.1 allows 1 to 23, other versions up to 65535")]
    ClientIdLength(usize),
    /// The user name or the password does not fit into its field.
    #[error("the user name or the password has more than 65535 bytes")]
    Credentials,
    /// A text of the CONNECT contains the null character.
    #[error("the {0} contains the null character U+0000")]
    Nul(&'static str),
    /// Only MQTT 5.0 has enhanced authentication, and it must not get lost.
    #[error(
        "an Authenticator needs MQTT 5.0; the client is told to speak, or to fall back to, another version"
    )]
    AuthenticatorVersion,
    /// The store cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] wigwag_store::Error),
    /// A limit that must allow at least one.
    #[error("{0} is 0; at least 1 is needed")]
    ZeroLimit(&'static str),
    /// The connect timeout is zero.
    #[error("the connect timeout is 0; some time is needed")]
    ConnectTimeout,
}

impl Builder {
    pub(crate) fn new(address: &str) -> Builder {
        Builder {
            way: crate::way::Way::new(address),
            version: Version::V5,
            fall_back_to_3_1_1: false,
            is_bridge: false,
            uses_identifiers: true,
            client_id: String::new(),
            clean_start: true,
            session_expiry: Duration::ZERO,
            keep_alive: Duration::from_secs(60),
            credentials: None,
            will: None,
            birth: None,
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            limits: Limits::default(),
            offline_qos0: OfflineQos0::Refuse,
            refusal: RefusalPolicy::Stop,
            take_over: TakeOverPolicy::Retry,
            resubscribe: Resubscribe::default(),
            session_loss: SessionLossPolicy::Indeterminate,
            queue_overflow: QueueOverflow::Wait,
            store: Store::memory(),
            fallback: None,
        }
    }

    /// Sets the version of MQTT. Default: 5.0.
    pub fn version(mut self, version: Version) -> Builder {
        self.version = version;
        self
    }

    /// Speaks MQTT 3.1.1 from then on when a server answers the first CONNECT of MQTT 5.0 with
    /// 'unsupported protocol version'. Default: that refusal is final.
    ///
    /// What only MQTT 5.0 can say is then left out, as with `version(Version::V3_1_1)`. A server that
    /// closes the connection without an answer is not taken for one that wants another version.
    pub fn fall_back_to_3_1_1(mut self) -> Builder {
        self.fall_back_to_3_1_1 = true;
        self
    }

    /// Tells an MQTT 3.x server that this client is a bridge from another broker, in the way that Mosquitto
    /// and other brokers know: by a bit of the protocol level. Such a server does not send the client its
    /// own messages back, and sends messages with the RETAIN flag that they were published with. In MQTT 5
    /// [`SubscriptionOptions`](crate::SubscriptionOptions) say both, and nothing is added.
    ///
    /// A server that does not know such a protocol level, and says so, is called again without the bit;
    /// so is one that closes the connection without an answer, every other time.
    pub fn bridge(mut self) -> Builder {
        self.is_bridge = true;
        self
    }

    /// Subscribes without Subscription Identifiers. They tell which of several subscriptions that overlap a
    /// message is for; a client whose subscriptions do not overlap can do without.
    pub fn without_subscription_identifiers(mut self) -> Builder {
        self.uses_identifiers = false;
        self
    }

    /// Sets the Client Identifier. Without one, the server assigns it, and the client keeps what it was
    /// assigned.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Builder {
        self.client_id = client_id.into();
        self
    }

    /// Whether to throw an old session away. Default: true.
    ///
    /// In MQTT 5 this concerns the first connection; reconnects go on with the session as long as it
    /// has not expired. In MQTT 3.x a clean session ends with its connection.
    pub fn clean_start(mut self, clean_start: bool) -> Builder {
        self.clean_start = clean_start;
        self
    }

    /// Sets how long the server keeps the session after the connection has ended, in whole seconds;
    /// from 2³² − 1 on, for ever. Default: not at all. MQTT 3.x has no such interval: there a session
    /// ends with its connection or never, as [`Builder::clean_start`] says.
    pub fn session_expiry(mut self, expiry: Duration) -> Builder {
        self.session_expiry = expiry;
        self
    }

    /// Sets the longest silence of the client, in whole seconds; 0 turns the check off. The server may
    /// demand another. Default: 60 s.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Builder {
        self.keep_alive = keep_alive;
        self
    }

    /// Sets the user name and the password. They go before those in the address.
    pub fn credentials(
        mut self,
        user_name: impl Into<String>,
        password: impl Into<Bytes>,
    ) -> Builder {
        self.credentials = Some((user_name.into(), Some(password.into())));
        self
    }

    /// Sets what the server publishes when the connection ends without a DISCONNECT.
    pub fn will(mut self, will: Will) -> Builder {
        self.will = Some(will);
        self
    }

    /// Sets what the client says first on every connection, before anything else: the counterpart of a Will. It
    /// has QoS 0 or 1; one of QoS 2 has 1. What has been said on a connection is not said again for that one.
    ///
    /// Where the server has no room for such a QoS or for retained messages, it goes without.
    pub fn birth(mut self, birth: Publish) -> Builder {
        self.birth = Some(birth);
        self
    }

    /// Sets how long to wait between attempts to connect.
    pub fn backoff(mut self, backoff: Backoff) -> Builder {
        self.backoff = backoff;
        self
    }

    /// Sets the longest time from dialling to the server's CONNACK. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long [`Client::disconnect`] waits for what is under way. Default: 5 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Builder {
        self.drain_timeout = timeout;
        self
    }

    /// Sets the bounds of queues and packets.
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Sets what becomes of messages of QoS 0 while there is no connection.
    pub fn offline_qos0(mut self, policy: OfflineQos0) -> Builder {
        self.offline_qos0 = policy;
        self
    }

    /// Sets what to do when the server refuses the client for good.
    pub fn refusal_policy(mut self, policy: RefusalPolicy) -> Builder {
        self.refusal = policy;
        self
    }

    /// Sets what to do when another connection takes the session over.
    pub fn take_over_policy(mut self, policy: TakeOverPolicy) -> Builder {
        self.take_over = policy;
        self
    }

    /// Sets what becomes of messages of QoS 1 in flight when the server has forgotten the session.
    pub fn session_loss_policy(mut self, policy: SessionLossPolicy) -> Builder {
        self.session_loss = policy;
        self
    }

    /// Sets what happens when the outgoing queue is full.
    pub fn queue_overflow(mut self, policy: QueueOverflow) -> Builder {
        self.queue_overflow = policy;
        self
    }

    /// Sets where the session and the outgoing queue are kept. Default: [`Store::memory`].
    ///
    /// A client that opens a store goes on where the last one has stopped or was killed: to the server
    /// it looks like a reconnect, so [`Builder::clean_start`] concerns the first connection in the life
    /// of the store, and [`Builder::session_expiry`] should be longer than the program may be away. In
    /// MQTT 3.x a session that is to survive needs `clean_start(false)`.
    pub fn store(mut self, store: Store) -> Builder {
        self.store = store;
        self
    }

    /// Sets when subscriptions are made again after a reconnect.
    pub fn resubscribe(mut self, resubscribe: Resubscribe) -> Builder {
        self.resubscribe = resubscribe;
        self
    }

    /// Sets the handler of messages that no subscription of this client matches, as a resumed session
    /// may deliver them. Without one they are acknowledged and forgotten.
    pub fn fallback<F, H, M>(mut self, handler: F) -> Builder
    where
        F: Fn(Message) -> H + Send + Sync + 'static,
        H: Handled<M>,
        M: 'static,
    {
        self.fallback = Some(crate::lane::erase(handler));
        self
    }

    /// Checks the description and makes the client. No connection is opened before [`Client::start`]; a
    /// store is opened and read here.
    pub fn build(mut self) -> Result<Client, BuildError> {
        let fallback = self.fallback.take();
        let store = std::mem::replace(&mut self.store, Store::memory());
        let config = self.into_config()?;
        Ok(Client::new(config, fallback, store.open()?))
    }

    /// What holds for a connection without a client.
    pub(crate) fn into_way(self) -> Result<(crate::way::Way, Version, Limits), BuildError> {
        self.limits.check()?;
        Ok((self.way, self.version, self.limits))
    }

    pub(crate) fn into_config(self) -> Result<Config, BuildError> {
        let servers = self.way.targets()?;
        let (user_name, password) = self.credentials.unzip();
        let password = password.flatten();
        check_client_id(&self.client_id, self.version, self.clean_start)?;
        if self.fall_back_to_3_1_1 {
            check_client_id(&self.client_id, Version::V3_1_1, self.clean_start)?;
        }
        check_credentials(user_name.as_deref(), password.as_deref())?;
        for given in servers.iter().filter_map(Target::credentials) {
            let password = given.password.as_deref().map(str::as_bytes);
            check_credentials(Some(&given.user_name), password)?;
        }
        if let Some(will) = &self.will {
            will.check()?;
        }
        let birth = self.birth.map(Publish::into_outgoing).transpose();
        let birth = birth.map_err(BuildError::Birth)?;
        self.limits.check()?;
        let may_speak_3_x = self.version != Version::V5 || self.fall_back_to_3_1_1;
        if self.way.authenticator.is_some() && may_speak_3_x {
            return Err(BuildError::AuthenticatorVersion);
        }
        if self.connect_timeout.is_zero() {
            return Err(BuildError::ConnectTimeout);
        }
        let keep_alive_secs = u16::try_from(self.keep_alive.as_secs())
            .ok()
            .filter(|_| self.keep_alive.subsec_nanos() == 0)
            .ok_or(BuildError::KeepAlive(self.keep_alive))?;
        Ok(Config {
            dialler: Arc::new(self.way.dialler(&servers, self.limits.packet_size_max)?),
            prefers_first_server: self.way.prefers_first_server,
            server_references_max: self.way.server_references_max,
            edit_disconnect: self.way.edit_disconnect,
            servers,
            version: self.version,
            fall_back_to_3_1_1: self.fall_back_to_3_1_1,
            is_bridge: self.is_bridge,
            uses_identifiers: self.uses_identifiers,
            client_id: self.client_id,
            clean_start: self.clean_start,
            session_expiry_secs: u32::try_from(self.session_expiry.as_secs()).unwrap_or(u32::MAX),
            keep_alive_secs,
            user_name,
            password,
            will: self.will,
            birth,
            backoff: self.backoff,
            connect_timeout: self.connect_timeout,
            drain_timeout: self.drain_timeout,
            limits: self.limits,
            offline_qos0: self.offline_qos0,
            refusal: self.refusal,
            take_over: self.take_over,
            resubscribe: self.resubscribe,
            session_loss: self.session_loss,
            queue_overflow: self.queue_overflow,
        })
    }
}

fn check_client_id(id: &str, version: Version, clean_start: bool) -> Result<(), BuildError> {
    check_text("client id", id)?;
    let allowed = match version {
        Version::V3_1 => 1..=23,
        Version::V3_1_1 | Version::V5 => 0..=FIELD_LEN_MAX,
    };
    if !allowed.contains(&id.len()) {
        return Err(BuildError::ClientIdLength(id.len()));
    }
    // [MQTT-3.1.3-7] of 3.1.1
    if id.is_empty() && !clean_start && !version.has_properties() {
        return Err(BuildError::ClientIdMissing);
    }
    Ok(())
}

fn check_credentials(user_name: Option<&str>, password: Option<&[u8]>) -> Result<(), BuildError> {
    check_text("user name", user_name.unwrap_or_default())?;
    let too_long = |len: usize| len > FIELD_LEN_MAX;
    if user_name.is_some_and(|name| too_long(name.len()))
        || password.is_some_and(|bytes| too_long(bytes.len()))
    {
        return Err(BuildError::Credentials);
    }
    Ok(())
}

fn check_text(name: &'static str, text: &str) -> Result<(), BuildError> {
    if text.contains('\0') {
        Err(BuildError::Nul(name))
    } else {
        Ok(())
    }
}

/// What the server publishes in the client's name when the connection ends without a DISCONNECT.
#[derive(Clone)]
pub struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    delay: Option<Duration>,
}

impl Will {
    /// A Will of QoS 0 that is not retained.
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Will {
        Will {
            topic: topic.into(),
            payload: payload.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            delay: None,
        }
    }

    /// Sets the QoS.
    #[must_use]
    pub fn qos(mut self, qos: Qos) -> Will {
        self.qos = qos;
        self
    }

    /// Lets the server keep the message for future subscribers.
    #[must_use]
    pub fn retain(mut self) -> Will {
        self.retain = true;
        self
    }

    /// Lets the server wait, in whole seconds: a reconnect within that time cancels the Will. MQTT 5
    /// only.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Will {
        self.delay = Some(delay);
        self
    }

    fn check(&self) -> Result<(), BuildError> {
        TopicName::new(&self.topic).map_err(BuildError::WillTopic)?;
        if self.payload.len() > FIELD_LEN_MAX {
            return Err(BuildError::Will(EncodeError::FieldTooLong(
                self.payload.len(),
            )));
        }
        self.properties().map(drop).map_err(BuildError::Will)
    }

    pub(crate) fn properties(&self) -> Result<PropertiesBuf, EncodeError> {
        let mut properties = PropertiesBuf::new();
        if let Some(delay) = self.delay {
            let secs = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX);
            properties.push(Property::WillDelayInterval(secs))?;
        }
        Ok(properties)
    }
}

/// How long to wait between attempts to connect: exponential, with full jitter.
///
/// Before attempt n + 1 the client waits a random time of at most `first` · 2ⁿ⁻¹, and at most `max`. The
/// count goes back to zero only after a connection has lasted for a while: a server that accepts
/// connections and ends them at once is not called in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    least: Duration,
    stable_after: Duration,
}

impl Default for Backoff {
    /// From 1 s to 60 s; a connection is stable after 30 s.
    fn default() -> Backoff {
        Backoff {
            first: Duration::from_secs(1),
            max: Duration::from_secs(60),
            least: Duration::ZERO,
            stable_after: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// Sets the bound of the first wait.
    #[must_use]
    pub const fn first(mut self, first: Duration) -> Backoff {
        self.first = first;
        self
    }

    /// Sets the bound of all waits.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Backoff {
        self.max = max;
        self
    }

    /// Sets what no wait is shorter than, whatever the other bounds say. Default: nothing. As long as
    /// [`Backoff::max`], it makes every wait the same.
    #[must_use]
    pub const fn least(mut self, least: Duration) -> Backoff {
        self.least = least;
        self
    }

    /// Sets how long a connection must last to be called stable.
    #[must_use]
    pub const fn stable_after(mut self, stable_after: Duration) -> Backoff {
        self.stable_after = stable_after;
        self
    }

    /// Whether a connection of this length sets the count back.
    pub(crate) fn is_stable(&self, online: Duration) -> bool {
        online >= self.stable_after
    }

    /// The wait after so many failures in a row; `random` is uniform over its range.
    pub(crate) fn delay(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let bound = self.first.saturating_mul(1 << doublings).min(self.max);
        // A tenth of the first wait keeps a lucky draw from becoming a busy loop.
        let drawn = bound.mul_f64(random).max(self.first.min(self.max) / 10);
        drawn.max(self.least)
    }
}

/// The bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest packet to receive, in bytes. An MQTT 5 server is told and withholds larger ones; over
    /// MQTT 3.x a larger message is skipped and reported. Default: 1 MiB.
    pub packet_size_max: u32,
    /// Messages that may be queued or in flight; at the bound [`Client::publish`] waits. Default: 1024.
    pub queue_messages: usize,
    /// Bytes that these messages may have together. Default: 16 MiB.
    pub queue_bytes: usize,
    /// Messages of QoS 1 and 2 that the server may send ahead of their acknowledgements. Default: 64.
    pub receive_maximum: u16,
    /// Received messages that may wait for their handlers; at the bound the client stops reading, unless
    /// it waits for an acknowledgement or the answer to a request. Default: 256.
    pub handler_messages: usize,
    /// Bytes that these messages may have together. Default: 4 MiB.
    pub handler_bytes: usize,
    /// Topic Aliases that the server may use. Default: 32.
    pub topic_alias_maximum: u16,
    /// Topic Aliases that this client uses, if the server offers as many: the topics that it has published
    /// to last are sent as numbers. Default: 16.
    pub topic_aliases: u16,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            packet_size_max: 1024 * 1024,
            queue_messages: 1_024,
            queue_bytes: 16 * 1024 * 1024,
            receive_maximum: 64,
            handler_messages: 256,
            handler_bytes: 4 * 1024 * 1024,
            topic_alias_maximum: 32,
            topic_aliases: 16,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), BuildError> {
        let limits = [
            ("packet_size_max", self.packet_size_max as usize),
            ("queue_messages", self.queue_messages),
            ("queue_bytes", self.queue_bytes),
            ("receive_maximum", usize::from(self.receive_maximum)),
            ("handler_messages", self.handler_messages),
            ("handler_bytes", self.handler_bytes),
        ];
        match limits.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(BuildError::ZeroLimit(name)),
            None => Ok(()),
        }
    }
}

/// What becomes of messages of QoS 0 while there is no connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfflineQos0 {
    /// They are refused with [`PublishError::Offline`](crate::PublishError::Offline).
    #[default]
    Refuse,
    /// They wait for the next connection in the outgoing queue.
    Queue,
}

/// What to do when the server refuses the client for good: bad credentials, not authorized, banned,
/// unsupported version, client id or authentication method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusalPolicy {
    /// Give up; [`Client::await_connection`] says why.
    #[default]
    Stop,
    /// Try again, as if the server had been out of reach.
    Retry,
}

/// What to do when another connection with the same client id takes the session over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakeOverPolicy {
    /// Come back after the backoff.
    #[default]
    Retry,
    /// Give up: the other one is right.
    Stop,
}

/// What becomes of messages of QoS 1 that are in flight when the server forgets the session. Those of QoS 2
/// are always [`Indeterminate`](crate::Outcome::Indeterminate): sent again, they might arrive twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionLossPolicy {
    /// Their outcome is unknown, and the sender is told.
    #[default]
    Indeterminate,
    /// They are published again as new messages, before those in the queue. Some may arrive twice.
    Republish,
}

/// What happens to a message for which the outgoing queue has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOverflow {
    /// It waits for room.
    #[default]
    Wait,
    /// It is refused with [`PublishError::Full`](crate::PublishError::Full).
    Reject,
    /// Those that have waited longest in the queue give way, with
    /// [`PublishError::Displaced`](crate::PublishError::Displaced). When all room is taken by messages in
    /// flight, it waits.
    DropOldest,
}

/// When subscriptions that the server has answered are made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resubscribe {
    /// When the server has lost the session, and with it the subscriptions.
    #[default]
    IfSessionLost,
    /// On every connection, for servers that forget subscriptions of a session that they resume.
    /// Retained messages come again each time, unless
    /// [`RetainHandling`](crate::RetainHandling) says otherwise.
    Always,
    /// On every connection, and what has been unsubscribed from is unsubscribed from again, both in the order
    /// in which they were asked for: for servers whose sessions others may have changed.
    AndUnsubscribe,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: Builder) -> String {
        builder.build().expect_err("invalid").to_string()
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_is_allowed() {
        let builder = || Builder::new("mqtt://h");
        assert!(error(Builder::new("h:1883")).contains("mqtt://host:1883"));
        assert!(error(builder().keep_alive(Duration::from_secs(70_000))).contains("65535"));
        assert!(error(builder().keep_alive(Duration::from_millis(500))).contains("whole seconds"));
        assert!(error(builder().will(Will::new("a/#", ""))).contains("wildcards"));
        assert!(error(builder().will(Will::new("a", vec![0; 70_000]))).contains("70000"));
        assert!(error(builder().client_id("a\0")).contains("client id"));
        let old = builder().version(Version::V3_1_1).clean_start(false);
        assert!(error(old).contains("client id"));
        assert!(error(builder().version(Version::V3_1)).contains("1 to 23"));
        let limits = Limits {
            receive_maximum: 0,
            ..Limits::default()
        };
        assert!(error(builder().limits(limits)).contains("receive_maximum is 0"));
        assert!(error(builder().server("second:1883")).contains("'second:1883' has no scheme"));
        let both = builder().clean_start(false).fall_back_to_3_1_1();
        assert!(error(both).contains("client id"));
        #[cfg(feature = "scram")]
        {
            let scram = crate::Scram::sha256("user", "pencil").expect("allowed");
            let authenticated = || builder().authenticator(scram.clone());
            let needs = "an Authenticator needs MQTT 5.0";
            assert!(error(authenticated().version(Version::V3_1_1)).contains(needs));
            assert!(error(authenticated().fall_back_to_3_1_1()).contains(needs));
        }
        #[cfg(not(feature = "tls"))]
        assert!(error(builder().server("mqtts://h")).contains("needs the feature 'tls'"));
        #[cfg(feature = "tls")]
        assert!(error(builder().tls(crate::Tls::ca_pem(""))).contains("no certificate in PEM"));
        #[cfg(feature = "proxy")]
        assert!(error(builder().proxy("ftp://h")).contains("'ftp' is no proxy"));
        #[cfg(feature = "ws")]
        assert!(
            error(builder().websocket_header("Host", "h")).contains("belongs to the WebSocket")
        );
    }

    #[test]
    fn credentials_of_the_builder_go_before_those_of_the_address() {
        let check = |builder: Builder, user_name: &str, password: &[u8]| {
            let core = crate::core::Core::<()>::new(
                builder.into_config().expect("valid"),
                7,
                std::time::Instant::now(),
            );
            let packet = core.connect_packet();
            assert_eq!(packet.user_name.as_deref(), Some(user_name));
            assert_eq!(packet.password.as_deref(), Some(password));
        };
        check(Builder::new("mqtt://u:p@h"), "u", b"p");
        let both = Builder::new("mqtt://u:p@h").credentials("v", "q");
        check(both, "v", b"q");
    }

    #[test]
    fn waits_double_up_to_their_bound_and_never_vanish() {
        let backoff = Backoff::default();
        let secs = |failures| backoff.delay(failures, 1.0).as_secs();
        assert_eq!([1, 2, 3, 7, 100, u32::MAX].map(secs), [1, 2, 4, 60, 60, 60]);
        assert_eq!(backoff.delay(9, 0.0), Duration::from_millis(100));
        assert_eq!(backoff.delay(3, 0.5), Duration::from_secs(2));
        let at_least = backoff.least(Duration::from_secs(3));
        assert_eq!(at_least.delay(1, 0.0), Duration::from_secs(3));
        assert_eq!(at_least.delay(4, 0.75), Duration::from_secs(6));
    }
}
