//! What a configuration asks of the engine: its words for limits, settings and listeners.
//!
//! Nothing is opened here. Where a file says "no limit" and the engine has a bound that keeps the broker
//! alive, that bound stays.

use std::num::NonZeroU16;

use wigwag_engine::proto::Qos;
use wigwag_engine::proto::packet::Version;
use wigwag_engine::{Limits, ListenerSettings, RoutesQos2, Settings, Versions};

use crate::access::CONTROL;
use crate::bridge;
use crate::conf::Config;
use crate::conf::config::{Bind, Listener as Said, Protocol};
use crate::http::HttpListener;
use crate::listener::Listener;

/// What comes before anything is known of its sender, as Mosquitto bounds it.
const CONNECT_PACKET_SIZE_MAX: u32 = 100_000;

/// Mosquitto counts the slashes, and takes 200 of them.
const TOPIC_LEVELS_MAX: u32 = 201;

const DEFAULT_PORT: u16 = 1883;

/// Bytes that the layers of a connection hold, about: buffers and keys.
const TLS_LEN: usize = 32 * 1024;
const WEBSOCKET_LEN: usize = 8 * 1024;

/// "Does not expire" in MQTT.
const NEVER: u32 = u32::MAX;

/// What all shards are to be like.
pub(crate) fn settings(config: &Config) -> Settings {
    let mut settings = Settings::from(limits(config));
    let delivery = &config.delivery;
    settings.retain_available = delivery.retain_available;
    settings.queue_qos0 = delivery.queue_qos0_messages;
    settings.upgrade_outgoing_qos = delivery.upgrade_outgoing_qos;
    settings.allow_duplicates = delivery.allow_duplicate_messages;
    settings.check_retain_source = delivery.check_retain_source;
    let prefixes = delivery.clientid_prefixes.iter();
    settings.client_id_prefixes = prefixes.map(|prefix| prefix.as_str().into()).collect();
    settings.is_terse = true;
    settings.routes_qos2_at = RoutesQos2::Release;
    if !settings.client_id_prefixes.is_empty() {
        // Bridges of this broker need no permission to come in.
        let bridges = bridge::local_client_ids(config).map(Into::into);
        settings.client_id_prefixes.extend(bridges);
    }
    settings.claimed_topics = vec![CONTROL.into()];
    settings
}

fn limits(config: &Config) -> Limits {
    let said = &config.limits;
    let mut limits = Limits::default();
    let size = |limit: Option<u32>, default: usize| {
        limit.map_or(default, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        })
    };
    limits.packet_size_max = said.max_packet_size;
    limits.decode.topic_levels_max = TOPIC_LEVELS_MAX;
    limits.decode.control_characters = false;
    limits.connect_packet_size_max = said.max_packet_size.min(CONNECT_PACKET_SIZE_MAX);
    limits.payload_size_max = size(said.message_size_limit, usize::MAX);
    limits.inflight_max = said.max_inflight_messages.unwrap_or(u16::MAX);
    limits.receive_maximum = limits.inflight_max;
    limits.inflight_bytes_max = size(said.max_inflight_bytes, limits.inflight_bytes_max);
    limits.unreleased_bytes_max = limits.inflight_bytes_max;
    limits.queued_messages_max = size(said.max_queued_messages, usize::MAX);
    limits.queued_bytes_max = size(said.max_queued_bytes, limits.queued_bytes_max);
    limits.keep_alive_secs_max = said.max_keepalive.and_then(NonZeroU16::new);
    limits.clients_max = size(said.global_max_clients, usize::MAX);
    limits.memory_max = said.memory_limit.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    limits.retained_for_max = said.retain_expiry_interval;
    limits.session_expiry_secs_max = said
        .persistent_client_expiration
        .and_then(|time| u32::try_from(time.as_secs()).ok())
        .unwrap_or(NEVER);
    limits
}

/// The listeners. In local only mode they are on these ports of this machine, or on 1883, with what the
/// file says of the default listener.
pub(crate) fn listeners(config: &Config, ports: &[u16]) -> Vec<Listener> {
    if !config.local_only {
        let listeners = config.listeners.iter().cloned();
        return listeners.map(Listener::from).collect();
    }
    let template = config.listeners.first().cloned().unwrap_or_else(|| {
        let mut listener = Said::new(Bind::tcp(None, DEFAULT_PORT));
        listener.security = config.security.clone();
        listener
    });
    let ports = if ports.is_empty() {
        &[DEFAULT_PORT]
    } else {
        ports
    };
    let hosts_and_ports = ports
        .iter()
        .flat_map(|port| ["127.0.0.1", "::1"].map(|host| (host, *port)));
    hosts_and_ports
        .map(|(host, port)| {
            let mut listener = template.clone();
            listener.bind = Bind::tcp(Some(host), port);
            Listener::from(listener).optional()
        })
        .collect()
}

/// Where metrics are served, besides the listeners for HTTP.
pub(crate) fn http_listeners(config: &Config) -> Vec<HttpListener> {
    let metrics = config.metrics_listeners.iter().copied();
    metrics
        .map(HttpListener::metrics)
        .map(HttpListener::configured)
        .collect()
}

/// What holds for the connections of a listener.
pub(crate) fn listener_settings(number: u16, listener: &Said) -> ListenerSettings {
    let versions = listener.accept_protocol_versions;
    let mut settings = ListenerSettings::default();
    settings.number = number;
    settings.qos_max = match listener.max_qos {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    };
    settings.topic_alias_maximum = listener.max_topic_alias;
    settings.topic_alias_maximum_out = listener.max_topic_alias_broker;
    settings.mount_point = listener.mount_point.as_deref().map(Into::into);
    settings.use_username_as_clientid = listener.use_username_as_clientid;
    settings.allow_zero_length_clientid = listener.security.allow_zero_length_clientid;
    settings.auto_id_prefix = listener.security.auto_id_prefix.as_str().into();
    let layers = [
        (listener.tls.is_some(), TLS_LEN),
        (listener.protocol != Protocol::Mqtt, WEBSOCKET_LEN),
    ];
    let worn = layers.iter().filter(|(is_worn, _)| *is_worn);
    settings.connection_bytes = worn.map(|(_, len)| len).sum();
    settings.versions = [
        (versions.v3_1, Version::V3_1),
        (versions.v3_1_1, Version::V3_1_1),
        (versions.v5, Version::V5),
    ]
    .into_iter()
    .filter(|(is_spoken, _)| *is_spoken)
    .fold(Versions::NONE, |versions, (_, version)| {
        versions.with(version)
    });
    settings
}
