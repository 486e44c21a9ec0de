//! What the engine says has happened, in the words in which Mosquitto 2.1 logs it: scripts look for them.
//!
//! Payloads and passwords never get here.

use std::fmt;
use std::net::SocketAddr;

use wigwag_engine::trace::{Traced, Way};
use wigwag_engine::{CloseReason, DropReason, Event, Pressure, WillNotice};
use wigwag_proto::packet::{Delivery, PacketType, Version};
use wigwag_proto::{DecodeError, PacketId, Qos, ReasonCode};

use super::Log;
use crate::conf::config::LogType::{
    Debug, Error, Information, Notice, Subscribe, Unsubscribe, Warning,
};
use crate::entrance::Refusal;

/// Logs an event; `peer` is the address of the connection that it is about.
pub(crate) fn log_event(log: &Log, event: &Event, peer: Option<SocketAddr>) {
    match event {
        Event::Connected { .. } => connected(log, event, Peer(peer)),
        Event::Refused {
            client_id, reason, ..
        } => {
            if log.connection_messages() {
                let who = Who(client_id.as_deref(), peer);
                let (peer, why) = (Peer(peer), refusal(*reason));
                log.write(
                    Notice,
                    format_args!("Client {who} [{peer}] disconnected: {why}."),
                );
            }
        }
        // Told with the refusal.
        Event::Closed {
            reason: CloseReason::Refused(_),
            ..
        } => {}
        Event::Closed {
            client_id, reason, ..
        } => closed(log, client_id.as_deref(), peer, reason),
        Event::SessionExpired { client_id } => {
            log.write(
                Notice,
                format_args!("Expiring client {client_id} due to timeout."),
            );
        }
        Event::Packet {
            client_id,
            way,
            packet,
            ..
        } => traced(log, Who(client_id.as_deref(), peer), *way, packet),
        Event::Dropped { reason, count } => dropped(log, *reason, *count),
        Event::MemoryPressure {
            pressure,
            held,
            max,
        } => memory(log, *pressure, *held, *max),
        _ => log.write(Information, format_args!("{event:?}")),
    }
}

/// The line that every connection begins with.
pub(crate) fn log_connection(log: &Log, peer: Option<SocketAddr>, port: u16) {
    if log.connection_messages() {
        let peer = Peer(peer);
        log.write(
            Notice,
            format_args!("New connection from {peer} on port {port}."),
        );
    }
}

/// That somebody was not let in before it spoke MQTT. Port scanners and health checks come and go.
pub(crate) fn log_refusal(log: &Log, peer: Option<SocketAddr>, refusal: &Refusal) {
    let log_type = if refusal.is_silence() { Debug } else { Notice };
    let peer = Peer(peer);
    log.write(
        log_type,
        format_args!("Connection from {peer} rejected, {refusal}."),
    );
}

fn closed(log: &Log, client_id: Option<&str>, peer: Option<SocketAddr>, reason: &CloseReason) {
    let (who, peer) = (Who(client_id, peer), Peer(peer));
    if *reason == CloseReason::SECOND_CONNECT {
        log.write(
            Notice,
            format_args!("Bad client {peer} sending multiple CONNECT messages."),
        );
    }
    if !log.connection_messages() {
        return;
    }
    // Mosquitto's line of the end does not say what exactly was wrong.
    match reason {
        &CloseReason::SECOND_CONNECT => {}
        // Mosquitto 2.0's line, which scripts wait for; 2.1 leaves it at the line of the end.
        CloseReason::TakenOver => log.write(
            Error,
            format_args!("Client {who} already connected, closing old connection."),
        ),
        CloseReason::Malformed(DecodeError::ProtocolVersion(level)) => log.write(
            Information,
            format_args!(
                "Protocol error from {peer}: CONNECT with invalid protocol version ({level})."
            ),
        ),
        CloseReason::Malformed(error @ DecodeError::ProtocolName) => log.write(
            Information,
            format_args!("Protocol error from {peer}: CONNECT with invalid protocol: {error}."),
        ),
        CloseReason::Malformed(_) | CloseReason::Protocol(_) => log.write(
            Information,
            format_args!("Client {who} [{peer}]: {reason}."),
        ),
        _ => {}
    }
    log.write(
        Notice,
        format_args!("Client {who} [{peer}] disconnected{}.", End(reason)),
    );
}

fn connected(log: &Log, event: &Event, peer: Peer) {
    let Event::Connected {
        client_id,
        version,
        user_name,
        clean_start,
        keep_alive_secs,
        will,
        is_bridge,
        ..
    } = event
    else {
        return;
    };
    if !log.connection_messages() {
        return;
    }
    let level = match version {
        Version::V3_1 => 3,
        Version::V3_1_1 => 4,
        Version::V5 => 5,
    };
    let kind = if *is_bridge { "bridge" } else { "client" };
    let clean_start = u8::from(*clean_start);
    let user_name = user_name
        .as_ref()
        .map_or_else(String::new, |name| format!(", u'{name}'"));
    log.write(
        Notice,
        format_args!(
            "New {kind} connected from {peer} as {client_id} (p{level}, c{clean_start}, k{keep_alive_secs}{user_name})."
        ),
    );
    match will {
        None => log.write(Debug, "No will message specified."),
        Some(WillNotice {
            topic,
            payload_len,
            qos,
            retain,
        }) => {
            let (retain, qos) = (u8::from(*retain), *qos as u8);
            log.write(
                Debug,
                format_args!("Will message specified ({payload_len} bytes) (r{retain}, q{qos})."),
            );
            log.write(Debug, format_args!("\t{topic}"));
        }
    }
}

fn traced(log: &Log, who: Who<'_>, way: Way, packet: &Traced) {
    let (verb, preposition) = match way {
        Way::Received => ("Received", "from"),
        Way::Sent => ("Sending", "to"),
    };
    let debug = |name: &str, rest: fmt::Arguments<'_>| {
        log.write(
            Debug,
            format_args!("{verb} {name} {preposition} {who}{rest}"),
        );
    };
    match packet {
        Traced::ConnAck {
            session_present,
            code,
        } => {
            let flags = u8::from(*session_present);
            debug("CONNACK", format_args!(" ({flags}, {code})"));
        }
        Traced::Publish {
            delivery,
            retain,
            topic,
            payload_len,
            is_denied,
        } => {
            let (dup, qos, packet_id) = parts(*delivery);
            let retain = u8::from(*retain);
            let verb = if *is_denied { "Denied" } else { verb };
            log.write(
                Debug,
                format_args!(
                    "{verb} PUBLISH {preposition} {who} (d{dup}, q{qos}, r{retain}, m{packet_id}, '{topic}', ... ({payload_len} bytes))"
                ),
            );
        }
        Traced::Ack {
            packet_type,
            packet_id,
            reason,
        } => {
            let (name, code) = (packet_type.name(), *reason as u8);
            match (way, packet_type) {
                (Way::Received, PacketType::PubAck | PacketType::PubComp) => {
                    debug(name, format_args!(" (Mid: {packet_id}, RC:{code})"));
                }
                (Way::Received, _) => debug(name, format_args!(" (Mid: {packet_id})")),
                (Way::Sent, PacketType::PubAck | PacketType::PubRec) => {
                    debug(name, format_args!(" (m{packet_id}, rc{code})"));
                }
                (Way::Sent, _) => debug(name, format_args!(" (m{packet_id})")),
            }
        }
        Traced::Subscribe(subscriptions) => {
            debug("SUBSCRIBE", format_args!(""));
            for (filter, wanted, answer) in subscriptions {
                log.write(Debug, format_args!("\t{filter} (QoS {})", *wanted as u8));
                if let Some(granted) = granted(*answer) {
                    log.write(Subscribe, format_args!("{who} {} {filter}", granted as u8));
                }
            }
        }
        Traced::Unsubscribe(filters) => {
            debug("UNSUBSCRIBE", format_args!(""));
            for filter in filters {
                log.write(Debug, format_args!("\t{filter}"));
                log.write(Unsubscribe, format_args!("{who} {filter}"));
            }
        }
        Traced::Disconnect(reason) if way == Way::Sent => {
            debug("DISCONNECT", format_args!(" (rc{})", *reason as u8));
        }
        Traced::Disconnect(_) => debug("DISCONNECT", format_args!("")),
        Traced::Auth(reason) => debug("AUTH", format_args!(" (rc{})", *reason as u8)),
        Traced::Bare(packet_type) => debug(packet_type.name(), format_args!("")),
        _ => {}
    }
}

fn dropped(log: &Log, reason: DropReason, count: u64) {
    let why = match reason {
        DropReason::QueueFull => "the queues of their clients are full",
        DropReason::SlowConsumer => "their clients read too slowly",
        DropReason::TooLarge => "their clients take no packets of that size",
        DropReason::Expired => "they have expired",
        DropReason::NotAuthorised => "their clients have no right to them",
        DropReason::MemoryFull => "memory_limit is reached",
        _ => "of another reason",
    };
    // What is not allowed and what has expired is no cause to look.
    let log_type = match reason {
        DropReason::QueueFull | DropReason::SlowConsumer => Notice,
        DropReason::TooLarge | DropReason::MemoryFull => Warning,
        _ => Debug,
    };
    log.write(
        log_type,
        format_args!("Outgoing messages are being dropped: {count} because {why}."),
    );
}

fn memory(log: &Log, pressure: Pressure, held: usize, max: usize) {
    let (log_type, what) = match pressure {
        Pressure::None => (Notice, "everybody is welcome again"),
        Pressure::High => (
            Warning,
            "new sessions, subscriptions and retained topics are refused",
        ),
        _ => (
            Error,
            "queues do not grow, and clients that hold much are disconnected",
        ),
    };
    log.write(
        log_type,
        format_args!("{held} bytes are held for clients, of {max} (memory_limit): {what}."),
    );
}

/// DUP, QoS and Packet Identifier, 0 for none.
fn parts(delivery: Delivery) -> (u8, u8, u16) {
    let dup = match delivery {
        Delivery::AtMostOnce => false,
        Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } => dup,
    };
    let packet_id = delivery.packet_id().map_or(0, PacketId::get);
    (u8::from(dup), delivery.qos() as u8, packet_id)
}

fn granted(reason: ReasonCode) -> Option<Qos> {
    match reason {
        ReasonCode::Success => Some(Qos::AtMostOnce),
        ReasonCode::GrantedQos1 => Some(Qos::AtLeastOnce),
        ReasonCode::GrantedQos2 => Some(Qos::ExactlyOnce),
        _ => None,
    }
}

fn refusal(reason: ReasonCode) -> String {
    match reason {
        ReasonCode::NotAuthorized
        | ReasonCode::BadUserNameOrPassword
        | ReasonCode::BadAuthenticationMethod => "not authorised".to_owned(),
        reason => reason.to_string(),
    }
}

/// A client, by its id, or before it has one by its address.
#[derive(Clone, Copy)]
struct Who<'a>(Option<&'a str>, Option<SocketAddr>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(client_id), _) => f.write_str(client_id),
            (None, Some(address)) => address.ip().fmt(f),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// Address and port, without the brackets around IPv6.
#[derive(Clone, Copy)]
struct Peer(Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{}:{}", address.ip(), address.port()),
            None => f.write_str("unix-socket:0"),
        }
    }
}

/// Why a connection ended: nothing is to be said of a DISCONNECT, of all else a colon and the reason.
struct End<'a>(&'a CloseReason);

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CloseReason::Disconnect(_) => Ok(()),
            CloseReason::Lost => f.write_str(": connection closed by client"),
            CloseReason::KeepAliveTimeout | CloseReason::ConnectTimeout => {
                f.write_str(": exceeded timeout")
            }
            CloseReason::TakenOver => f.write_str(": session taken over"),
            CloseReason::Malformed(DecodeError::PacketTooLarge { .. }) => {
                f.write_str(": oversize packet")
            }
            CloseReason::Malformed(_) => f.write_str(": malformed packet"),
            CloseReason::Protocol(_) => f.write_str(": protocol error"),
            CloseReason::Kicked(_) => f.write_str(": administrative action"),
            reason => write!(f, ": {reason}"),
        }
    }
}
