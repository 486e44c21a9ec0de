//! A bridge's client of the other broker, as its options describe it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wigwag_client::{
    Backoff, BuildError, Client, Limits, OfflineQos0, Publish, Qos, RefusalPolicy, Resubscribe,
    SessionLossPolicy, TcpKeepAlive, TcpOptions, Tls, Version, Will,
};

use super::plan::Plan;
use super::topics::Way;
use crate::certificates;
use crate::conf::config::{BridgeTls, BridgeVersion, Restart, StartType, TlsVersion};

/// The largest packet that there can be.
const PACKET_SIZE_MAX: u32 = 268_435_460;

/// Messages that may wait for the other broker in this client. Those that do have not been acknowledged in
/// their own broker, whose bounds therefore hold; and who had to wait for room here could be overtaken.
const QUEUE_MESSAGES: usize = 1024 * 1024;

/// Messages from the other broker that may wait to be taken, beyond what it may have in flight.
const WAITING_MESSAGES: usize = 1_024;

/// Bytes that these may have together.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Why a bridge cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("Unable to load {what} \"{path}\", check {option}", path = path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        option: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Client(#[from] BuildError),
}

/// Describes the client of the other broker; it has not been started.
pub(super) fn client(plan: &Plan) -> Result<Client, PlanError> {
    let said = &plan.said;
    let mut addresses = plan.addresses().into_iter();
    let first = addresses.next().unwrap_or_default();
    let mut builder = Client::builder(&first);
    for address in addresses {
        builder = builder.server(address);
    }
    if !said.round_robin {
        builder = builder.prefer_first_server();
    }
    let version = match said.protocol_version {
        BridgeVersion::V3_1 => Version::V3_1,
        BridgeVersion::V3_1_1 => Version::V3_1_1,
        BridgeVersion::V5 => Version::V5,
    };
    if said.try_private {
        builder = builder.bridge();
    }
    // As long as there is nothing to tell apart, what Mosquitto sends.
    if !plan.lines.overlap(Way::In) {
        builder = builder.without_subscription_identifiers();
    }
    if said.tls.is_wanted() {
        builder = builder.tls(tls(&said.tls)?);
    }
    if let Some(will) = will(plan) {
        builder = builder.will(will);
    }
    if let Some(birth) = birth(plan) {
        builder = builder.birth(birth);
    }
    let expiry = Duration::from_secs(said.session_expiry_interval.into());
    let (user_name, password) = (said.remote_username.clone(), said.remote_password.clone());
    let keeps_qos0 = plan.bounds.queue_qos0 || said.start_type == StartType::Lazy;
    let client = builder
        .version(version)
        .client_id(&plan.remote_client_id)
        .clean_start(said.cleansession)
        .session_expiry(expiry)
        .keep_alive(said.keepalive_interval)
        .edit_connect(move |_, packet| {
            packet.user_name.clone_from(&user_name);
            packet.password = password.clone().map(Into::into);
        })
        .tcp(tcp(plan))
        .connect_timeout(Plan::CONNECT_TIMEOUT)
        .backoff(backoff(&said.restart))
        .refusal_policy(RefusalPolicy::Retry)
        // As Mosquitto does it: retained messages come again with every connection.
        .resubscribe(Resubscribe::AndUnsubscribe)
        .session_loss_policy(SessionLossPolicy::Republish)
        .offline_qos0(if keeps_qos0 {
            OfflineQos0::Queue
        } else {
            OfflineQos0::Refuse
        })
        .limits(limits(plan))
        .build()?;
    Ok(client)
}

/// What the other broker says of the bridge when it is gone.
fn will(plan: &Plan) -> Option<Will> {
    let topic = plan.notification_topic.as_ref()?;
    if plan.said.notifications_local_only {
        return None;
    }
    Some(Will::new(topic, "0").qos(Qos::AtLeastOnce).retain())
}

/// What the other broker is told of the bridge with every connection.
fn birth(plan: &Plan) -> Option<Publish> {
    let topic = plan.notification_topic.as_deref()?;
    if plan.said.notifications_local_only {
        return None;
    }
    let birth = Publish::new(topic, "1").qos(Qos::AtLeastOnce);
    Some(if plan.said.outgoing_retain {
        birth.retain()
    } else {
        birth
    })
}

fn limits(plan: &Plan) -> Limits {
    let said = &plan.said;
    let receive_maximum = said.receive_maximum.unwrap_or(plan.bounds.inflight_max);
    Limits {
        packet_size_max: said.max_packet_size.unwrap_or(PACKET_SIZE_MAX),
        receive_maximum,
        topic_alias_maximum: said.max_topic_alias,
        handler_messages: usize::from(receive_maximum) + WAITING_MESSAGES,
        handler_bytes: WAITING_BYTES,
        queue_messages: QUEUE_MESSAGES,
        queue_bytes: u32::MAX as usize,
        ..Limits::default()
    }
}

fn tcp(plan: &Plan) -> TcpOptions {
    let said = &plan.said;
    let mut options = TcpOptions::default();
    options.bind = said.bind_address;
    options.keep_alive = said
        .tcp_keepalive
        .map(|(idle, interval, probes)| TcpKeepAlive {
            idle,
            interval,
            probes,
        });
    options.user_timeout = said.tcp_user_timeout;
    options
}

/// A fixed wait, or one between base and cap that grows by threes.
fn backoff(restart: &Restart) -> Backoff {
    let bounds = match restart.cap {
        None => Backoff::default().first(restart.base).max(restart.base),
        Some(cap) => Backoff::default()
            .first(restart.base.saturating_mul(3))
            .max(cap),
    };
    bounds.least(restart.base).stable_after(restart.stable)
}

fn tls(said: &BridgeTls) -> Result<Tls, PlanError> {
    let mut tls = if said.use_os_certs {
        Tls::native_roots()
    } else {
        Tls::default()
    };
    if let Some(path) = &said.cafile {
        tls = tls.add_ca_pem(read("CA certificates", path, "bridge_cafile")?);
    }
    if let Some(path) = &said.capath {
        let found = certificates::certificates_in(path).map_err(|source| PlanError::Read {
            what: "CA certificates",
            path: path.clone(),
            option: "bridge_capath",
            source,
        })?;
        for pem in found {
            tls = tls.add_ca_pem(pem);
        }
    }
    if let (Some(certificate), Some(key)) = (&said.certfile, &said.keyfile) {
        tls = tls.client_certificate_pem(
            read("client certificate", certificate, "bridge_certfile")?,
            read("client key file", key, "bridge_keyfile")?,
        );
    }
    if said.insecure {
        tls = tls.dangerous_accept_any_host();
    }
    if said.version == TlsVersion::From1_3 {
        tls = tls.tls_1_3_only();
    }
    if let Some(list) = &said.ciphers {
        tls = tls.cipher_suites(list);
    }
    if let Some(list) = &said.ciphers_tls13 {
        tls = tls.cipher_suites_tls_1_3(list);
    }
    if let Some(protocol) = &said.alpn {
        tls = tls.alpn(protocol.as_bytes());
    }
    Ok(tls)
}

fn read(what: &'static str, path: &Path, option: &'static str) -> Result<Vec<u8>, PlanError> {
    fs::read(path).map_err(|source| PlanError::Read {
        what,
        path: path.to_owned(),
        option,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_fixed_without_a_cap() {
        let fixed = Restart {
            base: Duration::from_secs(7),
            cap: None,
            stable: Duration::ZERO,
        };
        let expect = Backoff::default()
            .first(Duration::from_secs(7))
            .max(Duration::from_secs(7))
            .least(Duration::from_secs(7))
            .stable_after(Duration::ZERO);
        assert_eq!(backoff(&fixed), expect);
    }
}
