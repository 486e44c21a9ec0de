//! How a shard behaves where the standard leaves a choice. The bounds are in [`Limits`].
//!
//! All of it can be changed while the shard runs, with `Shard::handle_settings`.

use wigwag_proto::TopicName;

use crate::limits::Limits;

/// What a shard is to be like. The defaults are those of a broker of its own, not Mosquitto's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Every bound.
    pub limits: Limits,
    /// Whether messages are retained. If not, CONNACK says so, and a PUBLISH or Will with RETAIN ends the
    /// connection with `0x9A`.
    pub retain_available: bool,
    /// Whether QoS 0 messages wait for a client that is away, as those of QoS 1 and 2 do.
    pub queue_qos0: bool,
    /// Whether a message is sent with the QoS of the subscription even if it was published with less.
    pub upgrade_outgoing_qos: bool,
    /// Whether a client with overlapping subscriptions gets a message once for each of them.
    pub allow_duplicates: bool,
    /// Whether a retained message is sent only if its publisher may still publish to its topic. It has to
    /// have been set when the message was retained.
    pub check_retain_source: bool,
    /// What the Response Information begins with that clients get who ask for it; their Client Identifier
    /// and `/` follow. `None`: they get none.
    pub response_information: Option<Box<str>>,
    /// What a Client Identifier has to begin with, one of these; others are refused with `0x87`. Empty:
    /// anything.
    pub client_id_prefixes: Vec<Box<str>>,
    /// Whether clients are answered as Mosquitto 2.1 answers them where the standard leaves a choice. There are no
    /// Reason Strings; most CONNECTs that are malformed, and a second one, end the connection without a packet; PUBREL
    /// and PUBCOMP say nothing of unknown Packet Identifiers; a client of MQTT 5 may not overstep the Receive Maximum
    /// at all.
    pub is_terse: bool,
    /// When a message of QoS 2 goes to those who want it.
    pub routes_qos2_at: RoutesQos2,
    /// Topics that begin with one of these are the embedder's: a PUBLISH there is not routed but given to
    /// `Shard::poll_claimed`. Each begins with `$`.
    pub claimed_topics: Vec<Box<str>>,
}

/// When a message that a client sends at QoS 2 is retained and routed; section 4.3.3 allows both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutesQos2 {
    /// With its PUBLISH: only its Packet Identifier is kept until PUBREL comes.
    #[default]
    Publish,
    /// With its PUBREL, as Mosquitto does: the message waits in the session of its publisher until then. Whether it is
    /// taken is said with PUBREC all the same.
    Release,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: Limits::default(),
            retain_available: true,
            queue_qos0: false,
            upgrade_outgoing_qos: false,
            allow_duplicates: false,
            check_retain_source: false,
            response_information: None,
            client_id_prefixes: Vec::new(),
            is_terse: false,
            routes_qos2_at: RoutesQos2::Publish,
            claimed_topics: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether the topic is the embedder's.
    pub(crate) fn claims(&self, topic: TopicName<'_>) -> bool {
        topic.is_reserved()
            && self
                .claimed_topics
                .iter()
                .any(|prefix| topic.as_str().starts_with(&**prefix))
    }
}

impl From<Limits> for Settings {
    fn from(limits: Limits) -> Settings {
        Settings {
            limits,
            ..Settings::default()
        }
    }
}
