//! What a listener asks of its connections and grants them, and what it knows of a peer.
//!
//! A connection keeps the settings that it was opened with: a reload is for those who come after it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wigwag_proto::Qos;
use wigwag_proto::packet::Version;

/// The settings of one listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerSettings {
    /// Which listener this is, counted from 0: for policies that differ from one to the next.
    pub number: u16,
    /// The highest QoS, announced as Maximum QoS. A PUBLISH above it ends the connection with `0x9B`, a Will
    /// above it is refused with that, and a subscription is granted less than it asks for.
    pub qos_max: Qos,
    /// Topic Alias Maximum that clients are told; a higher alias ends the connection with `0x94`.
    pub topic_alias_maximum: u16,
    /// Topic Aliases that the broker sets towards a client, if the client accepts as many.
    pub topic_alias_maximum_out: u16,
    /// Stands before every topic of the listener's clients, without their knowing it.
    pub mount_point: Option<Box<str>>,
    /// Whether the user name takes the place of the Client Identifier; a client without one is refused, and one
    /// that is empty or too long for a Client Identifier with `0x85`.
    pub use_username_as_clientid: bool,
    /// The versions that are spoken; others are refused with `0x84`, in MQTT 3.x with 1.
    pub versions: Versions,
    /// Whether clients may leave their Client Identifier to the broker; if not they are refused with `0x85`.
    pub allow_zero_length_clientid: bool,
    /// What an assigned Client Identifier begins with; nothing if it leaves no room for the rest.
    pub auto_id_prefix: Box<str>,
    /// Bytes that a connection holds outside the engine, about, for the sake of [`Limits::memory_max`].
    ///
    /// [`Limits::memory_max`]: crate::Limits::memory_max
    pub connection_bytes: usize,
    /// If it is there, the listener's clients hold back nobody who publishes: what is too much for them is dropped,
    /// and counted here instead of among what the node drops.
    pub lost: Option<Arc<AtomicU64>>,
}

impl ListenerSettings {
    /// Counts a message that a client of the listener does not get, if the listener does that itself.
    pub(crate) fn counts_loss(&self) -> bool {
        let lost = self.lost.as_deref();
        lost.is_some_and(|lost| {
            lost.fetch_add(1, Ordering::Relaxed);
            true
        })
    }
}

impl Default for ListenerSettings {
    fn default() -> ListenerSettings {
        ListenerSettings {
            number: 0,
            qos_max: Qos::ExactlyOnce,
            topic_alias_maximum: 16,
            topic_alias_maximum_out: 16,
            mount_point: None,
            use_username_as_clientid: false,
            versions: Versions::ALL,
            allow_zero_length_clientid: true,
            auto_id_prefix: "auto-".into(),
            connection_bytes: 0,
            lost: None,
        }
    }
}

/// A set of protocol versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions(u8);

impl Versions {
    /// Every version.
    pub const ALL: Versions = Versions(0b111);
    /// None.
    pub const NONE: Versions = Versions(0);

    /// This set and one version more.
    #[must_use]
    pub const fn with(self, version: Version) -> Versions {
        Versions(self.0 | Versions::bit(version))
    }

    /// Whether the version is in the set.
    pub const fn contains(self, version: Version) -> bool {
        self.0 & Versions::bit(version) != 0
    }

    const fn bit(version: Version) -> u8 {
        match version {
            Version::V3_1 => 1,
            Version::V3_1_1 => 2,
            Version::V5 => 4,
        }
    }
}

/// What is known of a peer before it has said anything.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Where it is; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Who its certificate says it is.
    pub certificate: Certificate,
}

/// What a certificate says of its owner's user name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// Nobody asks it.
    #[default]
    NotAsked,
    /// Nothing, or there is none: who has no name must not choose one, and is refused with `0x86`.
    Nameless,
    /// This. It stands in the place of the one in CONNECT.
    Names(Box<str>),
}
