//! From CONNECT to CONNACK, taking sessions over, and from DISCONNECT to the end of a session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wigwag_proto::packet::{ConnAck, Connect, Disconnect, Version};
use wigwag_proto::{Packet, PropertiesBuf, Property, Qos, ReasonCode, Time, TopicName};

use super::{ConnectionKey, Granted, Phase, Shard};
use crate::aliases::OutboundAliases;
use crate::event::{CloseReason, Event};
use crate::listener::{Certificate, ListenerSettings, Peer};
use crate::message::Forwarded;
use crate::mount;
use crate::node::{Epoch, Hasher};
use crate::peer::{AwaitedBy, Letter};
use crate::policy::Identity;
use crate::session::{Session, SessionKey, SessionWill};
use crate::stats::{Action, Presented};
use crate::timers::Timer;

/// Bytes of a CONNACK before its properties, which have a length of at most two bytes.
const CONNACK_HEADER_LEN: usize = 7;

/// Bytes of a Will that is taken when there is no memory left.
const WILL_AT_FULL: usize = 4 * 1024;

/// The longest text of MQTT in bytes.
const FIELD_LEN_MAX: usize = u16::MAX as usize;

/// Letters of a UUID.
const UUID_LEN: usize = 36;

/// What a CONNECT asks for.
#[derive(Debug)]
pub(crate) struct Introduction {
    identity: Identity,
    presented: Presented,
    assigned: bool,
    clean_start: bool,
    wished_expiry_secs: u32,
    keep_alive_secs: u16,
    receive_maximum: u16,
    wants_response_information: bool,
    will: Option<SessionWill>,
    /// What the CONNACK says of an enhanced authentication.
    authentication: PropertiesBuf,
}

impl Introduction {
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the client has shown to be let in.
    pub(super) fn presented(&self) -> Presented {
        self.presented
    }

    /// The client is who it says, or who the verdict says.
    pub(super) fn authenticated(
        &mut self,
        user_name: Option<Box<str>>,
        method: Option<Box<str>>,
        data: Option<Bytes>,
    ) {
        self.identity.user_name = user_name;
        if self.identity.listener.use_username_as_clientid
            && let Some(user_name) = &self.identity.user_name
        {
            self.identity.client_id = user_name.clone();
        }
        let properties = &mut self.authentication;
        if let Some(method) = method {
            properties
                .push(Property::AuthenticationMethod(&method))
                .expect("it was received as one");
            if let Some(data) = data {
                // More than a property can hold is a mistake of the embedder's; the client will notice.
                let _ = properties.push(Property::AuthenticationData(&data));
            }
        }
    }
}

/// What a CONNECT asks for, until the session is at hand.
#[derive(Debug)]
pub(crate) struct Pending {
    introduction: Introduction,
    epoch: Epoch,
}

impl Pending {
    /// The claim that this connection made.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.introduction.identity
    }
}

impl Shard {
    pub(super) fn handle_connect(&mut self, now: Time, key: ConnectionKey, connect: &Connect<'_>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.receiving.version = connect.version;
        connection.receiving.packet_size_max =
            connect.properties.maximum_packet_size().unwrap_or(u32::MAX);
        let listener = Arc::clone(&connection.listener);
        let peer = connection
            .peer
            .take()
            .map_or_else(Peer::default, |peer| *peer);
        let is_certified = matches!(peer.certificate, Certificate::Names(_));
        let is_nameless = peer.certificate == Certificate::Nameless;
        let user_name = match peer.certificate {
            Certificate::NotAsked => connect.user_name.map(Into::into),
            Certificate::Names(name) => Some(name),
            Certificate::Nameless => None,
        };
        connection.outbound_aliases = match connect.properties.topic_alias_maximum() {
            Some(1..) if listener.topic_alias_maximum_out > 0 => {
                let wished = connect.properties.topic_alias_maximum().unwrap_or(0);
                let max = wished.min(listener.topic_alias_maximum_out);
                Some(Box::new(OutboundAliases::new(max)))
            }
            _ => None,
        };
        connection.is_plain &= connection.outbound_aliases.is_none();
        if !listener.versions.contains(connect.version) {
            let reason = ReasonCode::UnsupportedProtocolVersion;
            return self.refuse(now, key, reason, connect.client_id);
        }
        if is_nameless {
            let reason = ReasonCode::BadUserNameOrPassword;
            return self.refuse(now, key, reason, connect.client_id);
        }
        let client_id = match self.client_id(connect, &listener, user_name.as_deref()) {
            Ok(client_id) => client_id,
            Err(reason) => return self.refuse(now, key, reason, connect.client_id),
        };
        let will = match self.will(connect, &listener) {
            Ok(will) => will,
            Err(reason) => return self.refuse(now, key, reason, connect.client_id),
        };
        let introduction = Introduction {
            presented: Presented::of(connect, is_certified),
            identity: Identity {
                client_id,
                user_name,
                is_bridge: connect.is_bridge,
                listener,
                address: peer.address,
            },
            assigned: connect.client_id.is_empty(),
            clean_start: connect.clean_start,
            wished_expiry_secs: connect.session_expiry_interval_secs(),
            keep_alive_secs: connect.keep_alive_secs,
            receive_maximum: connect.properties.receive_maximum().unwrap_or(u16::MAX),
            wants_response_information: connect
                .properties
                .request_response_information()
                .unwrap_or(false),
            will,
            authentication: PropertiesBuf::new(),
        };
        self.authenticate(now, key, introduction, connect, is_certified);
    }

    /// The name that the client goes by, or why it is refused.
    fn client_id(
        &mut self,
        connect: &Connect<'_>,
        listener: &ListenerSettings,
        user_name: Option<&str>,
    ) -> Result<Box<str>, ReasonCode> {
        if listener.use_username_as_clientid
            && let Some(user_name) = user_name
        {
            return Ok(user_name.into());
        }
        // An enhanced authentication gives the user name, and with it the identifier, at its end.
        if listener.use_username_as_clientid && connect.properties.authentication_method().is_none()
        {
            return Err(ReasonCode::NotAuthorized);
        }
        // [MQTT-3.1.3-8]
        if connect.client_id.len() > self.settings.limits.client_id_len_max {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        if !connect.client_id.is_empty() {
            let prefixes = &self.settings.client_id_prefixes;
            let begins_well = prefixes.is_empty()
                || prefixes
                    .iter()
                    .any(|prefix| connect.client_id.starts_with(&**prefix));
            return begins_well
                .then(|| connect.client_id.into())
                .ok_or(ReasonCode::NotAuthorized);
        }
        match (listener.allow_zero_length_clientid, connect.version) {
            (true, _) => Ok(self.assign_client_id(&listener.auto_id_prefix)),
            // As Mosquitto says it.
            (false, Version::V5) => Err(ReasonCode::UnspecifiedError),
            (false, Version::V3_1 | Version::V3_1_1) => Err(ReasonCode::ClientIdentifierNotValid),
        }
    }

    /// What the session keeps of the Will, or why the client is refused for it.
    fn will(
        &mut self,
        connect: &Connect<'_>,
        listener: &ListenerSettings,
    ) -> Result<Option<SessionWill>, ReasonCode> {
        let Some(mut will) = connect.will else {
            return Ok(None);
        };
        // [MQTT-3.2.2-12]
        if will.qos > listener.qos_max {
            return Err(ReasonCode::QosNotSupported);
        }
        // [MQTT-3.2.2-13]
        if will.retain && !self.settings.retain_available {
            return Err(ReasonCode::RetainNotSupported);
        }
        if will.payload.len() > self.settings.limits.payload_size_max {
            // MQTT 3.x has no word for it, and Mosquitto takes this one.
            let is_sayable = connect.version.has_properties();
            return Err(if is_sayable {
                ReasonCode::PacketTooLarge
            } else {
                ReasonCode::NotAuthorized
            });
        }
        if let Some(mount_point) = &listener.mount_point {
            will.topic = mount::name(will.topic, mount_point, &mut self.mounted)
                .ok_or(ReasonCode::TopicNameInvalid)?;
        }
        // The embedder answers who is there, and a Will speaks for who is not.
        if self.settings.claims(will.topic) {
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(Some(SessionWill {
            message: Forwarded::will(&will),
            expiry_secs: will.properties.message_expiry_interval(),
            delay_secs: will.properties.will_delay_interval().unwrap_or(0),
        }))
    }

    /// Names a client that did not name itself: a random UUID to those who do not know the seed, and never
    /// given twice.
    fn assign_client_id(&mut self, prefix: &str) -> Box<str> {
        use std::hash::BuildHasher as _;

        let fits = prefix.len() + UUID_LEN <= FIELD_LEN_MAX;
        let prefix = if fits { prefix } else { "" };
        self.assigned_ids += 1;
        let hasher = Hasher::with_seed(self.node.seed);
        let half = |half: u8| hasher.hash_one((self.id, self.assigned_ids, half));
        let (high, low) = (half(0), half(1));
        // Version 4 and variant 1, as the standard of UUIDs writes them.
        format!(
            "{prefix}{:08X}-{:04X}-4{:03X}-{:04X}-{:012X}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFF,
            low >> 48 & 0x3FFF | 0x8000,
            low & 0xFFFF_FFFF_FFFF
        )
        .into()
    }

    /// Whether a user name can take the place of a Client Identifier. Certificates and embedders know no bounds.
    fn stands_for_client_id(&self, user_name: &str) -> bool {
        let len_max = self.settings.limits.client_id_len_max.min(FIELD_LEN_MAX);
        (1..=len_max).contains(&user_name.len()) && !user_name.contains('\0')
    }

    /// The client is who it says: finds its session, or asks the shard that has it.
    pub(super) fn admit(&mut self, now: Time, key: ConnectionKey, introduction: Introduction) {
        let identity = &introduction.identity;
        if identity.listener.use_username_as_clientid
            && !self.stands_for_client_id(&identity.client_id)
        {
            // [MQTT-3.1.3-8]
            let reason = ReasonCode::ClientIdentifierNotValid;
            return self.refuse(now, key, reason, &identity.client_id);
        }
        let version = self
            .connections
            .get(key)
            .map_or(Version::V5, |connection| connection.receiving.version);
        // MQTT 3.x cannot be told of another Keep Alive.
        if !version.has_properties() && self.demanded_keep_alive_secs(&introduction).is_some() {
            let client_id = &introduction.identity.client_id;
            let reason = ReasonCode::ClientIdentifierNotValid;
            return self.refuse(now, key, reason, client_id);
        }
        // Without a CONNACK nothing else may be sent. [MQTT-3.1.2-24], [MQTT-3.2.0-1]
        let offer = self.offer(&introduction);
        let connack_len = CONNACK_HEADER_LEN + offer.as_properties().as_bytes().len();
        let packet_size_max = self
            .connections
            .get(key)
            .map_or(0, |connection| connection.receiving.packet_size_max);
        if connack_len > packet_size_max as usize {
            let client_id = &introduction.identity.client_id;
            return self.refuse(now, key, ReasonCode::PacketTooLarge, client_id);
        }
        let will = introduction.will.as_ref();
        let is_heavy = will.is_some_and(|will| will.message.size() > WILL_AT_FULL);
        if is_heavy && self.is_full() {
            let client_id = &introduction.identity.client_id;
            return self.refuse(now, key, ReasonCode::QuotaExceeded, client_id);
        }
        let client_id = introduction.identity.client_id.clone();
        let clients_max = self.settings.limits.clients_max;
        let Some(claim) = self.node.directory.claim(&client_id, self.id, clients_max) else {
            return self.refuse(now, key, ReasonCode::ServerBusy, &client_id);
        };
        let pending = Pending {
            introduction,
            epoch: claim.epoch,
        };
        match claim.previous {
            Some(shard) if shard != self.id => {
                self.post(
                    shard,
                    Letter::Release {
                        client_id,
                        epoch: pending.epoch,
                        to: self.id,
                    },
                );
                self.await_session(now, key, pending, true);
            }
            // The session that this shard owns may itself still be on its way here.
            Some(_) if self.awaited.contains_key(&client_id) => {
                self.await_session(now, key, pending, false);
            }
            Some(_) | None => {
                let session = self.clients.get(&client_id).copied();
                self.accept(now, key, pending, session);
            }
        }
    }

    /// Refuses a CONNECT. `[MQTT-3.2.2-7]`
    pub(super) fn refuse(
        &mut self,
        now: Time,
        key: ConnectionKey,
        reason: ReasonCode,
        client_id: &str,
    ) {
        let version = self.connections.get(key).map(|c| c.receiving.version);
        // MQTT 3.x has no word for these, and Mosquitto none for MQTT 3.x.
        let is_unspeakable = matches!(
            reason,
            ReasonCode::QosNotSupported | ReasonCode::RetainNotSupported
        );
        if !is_unspeakable || version.is_some_and(Version::has_properties) {
            self.send_connack_refusal(key, reason, Some(client_id));
        }
        self.events.push(Event::Refused {
            connection: key,
            client_id: Some(client_id).filter(|id| !id.is_empty()).map(Into::into),
            reason,
        });
        self.close(now, key, CloseReason::Refused(reason), None);
    }

    /// Parks a CONNECT until another shard has handed the session over. `anew`: a hand-over has been asked
    /// for; else the connection takes the place of the one that waits.
    fn await_session(&mut self, now: Time, key: ConnectionKey, pending: Pending, anew: bool) {
        let client_id = pending.introduction.identity.client_id.clone();
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::AwaitSession(client_id.clone());
        }
        let awaited = self.awaited.entry(client_id).or_default();
        let earlier = if anew {
            None
        } else {
            awaited.claims.pop_back()
        };
        awaited
            .claims
            .push_back(AwaitedBy::Connection(key, Box::new(pending)));
        if let Some(AwaitedBy::Connection(earlier, _)) = earlier {
            self.close(now, earlier, CloseReason::TakenOver, None);
        }
    }

    /// The connection is gone before its session came.
    pub(super) fn abandon_claim(&mut self, key: ConnectionKey, client_id: &str) {
        let Some(awaited) = self.awaited.get_mut(client_id) else {
            return;
        };
        for claim in &mut awaited.claims {
            if let AwaitedBy::Connection(waiting, pending) = claim
                && *waiting == key
            {
                *claim = AwaitedBy::Nobody(pending.epoch);
            }
        }
    }

    /// The connection gets the session, if there is one to go on with, and a CONNACK.
    pub(super) fn accept(
        &mut self,
        now: Time,
        key: ConnectionKey,
        pending: Pending,
        old: Option<SessionKey>,
    ) {
        let Pending {
            mut introduction,
            epoch,
        } = pending;
        let is_known = old.is_some();
        let old = old.filter(|&session| self.take_over(now, session, introduction.clean_start));
        let session_present = old.is_some();
        // A session in another's place is none.
        let is_one_more = !is_known
            && (self.is_tight() || self.sessions.len() >= self.settings.limits.sessions_max);
        if is_one_more {
            let client_id = &introduction.identity.client_id;
            self.node.directory.release(client_id, self.id, epoch);
            return self.refuse(now, key, ReasonCode::QuotaExceeded, client_id);
        }
        let mut will = None;
        let session_key =
            old.unwrap_or_else(|| self.new_session(introduction.identity.clone(), epoch));
        let expiry_secs = self.granted_expiry_secs(&introduction);
        if let Some(session) = self.sessions.get_mut(session_key) {
            self.timers.cancel(
                &mut session.local.expiry_alarm,
                Timer::SessionExpiry(session_key),
            );
            self.timers
                .cancel(&mut session.local.will_alarm, Timer::Will(session_key));
            session.local.connection = Some(key);
            session.local.since = Some(now);
            session.identity = introduction.identity.clone();
            session.epoch = epoch;
            session.expiry_secs = expiry_secs;
            // [MQTT-3.1.3-9]: a Will that was waiting is replaced, not published.
            session.will = introduction.will.take();
            if let Some(will) = &session.will {
                will.message.charge(&self.memory.account);
            }
            will = session.will.as_ref().map(|will| will.message.view().into());
            session.flight.resume(
                introduction
                    .receive_maximum
                    .min(self.settings.limits.inflight_max),
            );
        }
        self.track(session_key);
        let keep_alive_secs = self.demanded_keep_alive_secs(&introduction);
        let silence_max = match keep_alive_secs.unwrap_or(introduction.keep_alive_secs) {
            0 => None,
            secs => Some(Duration::from_millis(u64::from(secs) * 1_500)),
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let version = connection.receiving.version;
        connection.phase = Phase::Online(session_key);
        connection.granted = Granted::from(&self.settings);
        connection.silence_max = silence_max;
        match silence_max {
            Some(silence_max) => self.set_connection_timer(key, now + silence_max),
            None => self
                .timers
                .cancel(&mut connection.alarm, Timer::Connection(key)),
        }
        let properties = self.offer(&introduction);
        self.events.push(Event::Connected {
            connection: key,
            client_id: introduction.identity.client_id.clone(),
            version,
            session_present,
            user_name: introduction.identity.user_name.clone(),
            clean_start: introduction.clean_start,
            keep_alive_secs: introduction.keep_alive_secs,
            will,
            is_bridge: introduction.identity.is_bridge,
        });
        let reason = ReasonCode::Success;
        self.stats.connack(reason);
        self.stats.sessions_resumed += u64::from(session_present);
        self.send(
            key,
            &Packet::ConnAck(ConnAck {
                session_present,
                reason,
                properties: properties.as_properties(),
            }),
        );
        self.send_waiting(now, session_key);
    }

    /// The Keep Alive that takes the place of the one that the client wishes.
    fn demanded_keep_alive_secs(&self, introduction: &Introduction) -> Option<u16> {
        let longest = self.settings.limits.keep_alive_secs_max?.get();
        let wished = introduction.keep_alive_secs;
        (wished == 0 || wished > longest).then_some(longest)
    }

    /// How long the session outlives its connection.
    fn granted_expiry_secs(&self, introduction: &Introduction) -> u32 {
        let longest = self.settings.limits.session_expiry_secs_max;
        introduction.wished_expiry_secs.min(longest)
    }

    /// What the server offers and demands, for the CONNACK.
    fn offer(&self, introduction: &Introduction) -> PropertiesBuf {
        let expiry_secs = self.granted_expiry_secs(introduction);
        let is_cut = expiry_secs != introduction.wished_expiry_secs;
        let limits = &self.settings.limits;
        let (identity, listener) = (&introduction.identity, &introduction.identity.listener);
        let response_information = self
            .settings
            .response_information
            .as_ref()
            .filter(|_| introduction.wants_response_information)
            .map(|base| format!("{base}{}/", identity.client_id))
            .filter(|text| TopicName::new(text).is_ok());
        let mut properties = PropertiesBuf::new();
        let aliases = Some(listener.topic_alias_maximum).filter(|&maximum| maximum > 0);
        // As Mosquitto orders them.
        let first = [
            self.demanded_keep_alive_secs(introduction)
                .map(Property::ServerKeepAlive),
            aliases.map(Property::TopicAliasMaximum),
            introduction
                .assigned
                .then_some(Property::AssignedClientIdentifier(&identity.client_id)),
        ];
        let last = [
            is_cut.then_some(Property::SessionExpiryInterval(expiry_secs)),
            response_information
                .as_deref()
                .map(Property::ResponseInformation),
            (!self.settings.retain_available).then_some(Property::RetainAvailable(false)),
            Some(Property::MaximumPacketSize(limits.packet_size_max)),
            // What is not told is 65,535.
            (limits.receive_maximum < u16::MAX)
                .then_some(Property::ReceiveMaximum(limits.receive_maximum)),
            (listener.qos_max < Qos::ExactlyOnce)
                .then_some(Property::MaximumQos(listener.qos_max == Qos::AtLeastOnce)),
        ];
        let authentication = introduction.authentication.as_properties();
        let wanted = first
            .into_iter()
            .flatten()
            .chain(authentication.iter())
            .chain(last.into_iter().flatten());
        for property in wanted {
            properties
                .push(property)
                .expect("numbers, and texts that were read or made here");
        }
        properties
    }

    /// Ends what the session has of another connection. False if nothing is left to go on with.
    fn take_over(&mut self, now: Time, session: SessionKey, clean_start: bool) -> bool {
        self.displace(now, session);
        // [MQTT-3.1.2-4]
        if clean_start {
            self.end_session(now, session);
        }
        self.sessions.contains_key(session)
    }

    /// Closes the connection of a session that another one has claimed. `[MQTT-3.1.4-3]`
    pub(super) fn displace(&mut self, now: Time, session: SessionKey) {
        let connection = self
            .sessions
            .get(session)
            .and_then(|session| session.local.connection);
        if let Some(connection) = connection {
            self.stats.sessions_taken_over += 1;
            let code = Some(ReasonCode::SessionTakenOver);
            self.close(now, connection, CloseReason::TakenOver, code);
        }
    }

    fn new_session(&mut self, identity: Identity, epoch: Epoch) -> SessionKey {
        self.stats.sessions_created += 1;
        let client_id = identity.client_id.clone();
        self.enrol(client_id, Session::new(identity, epoch))
    }

    /// A DISCONNECT of the client.
    pub(super) fn handle_disconnect(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session: SessionKey,
        disconnect: &Disconnect<'_>,
    ) {
        if let Some(session) = self.sessions.get_mut(session) {
            match disconnect.properties.session_expiry_interval() {
                Some(secs) if secs > 0 && session.expiry_secs == 0 => {
                    let what = CloseReason::Protocol(
                        "a Session Expiry Interval that was 0 cannot be changed",
                    );
                    return self.close(now, key, what, Some(ReasonCode::ProtocolError));
                }
                Some(secs) => {
                    session.expiry_secs = secs.min(self.settings.limits.session_expiry_secs_max);
                }
                None => {}
            }
            // [MQTT-3.14.4-3]
            if disconnect.reason == ReasonCode::Success {
                session.will = None;
            }
        }
        self.close(now, key, CloseReason::Disconnect(disconnect.reason), None);
    }

    /// Who asks for nothing but a sign of life has time: its session keeps no memory ready meanwhile.
    pub(super) fn handle_pingreq(&mut self, connection: ConnectionKey, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.flight.relax();
        }
        self.send(connection, &Packet::PingResp);
    }

    /// The session has lost its connection: its Will and its end come now or are set for later.
    pub(super) fn part_from_connection(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.local.connection = None;
        session.local.since = Some(now);
        session.flight.relax();
        self.census.recount(session);
        let expiry_secs = session.expiry_secs;
        if expiry_secs == 0 {
            return self.end_session(now, key);
        }
        self.pass_on_queue(now, key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let secs = |secs: u32| now + Duration::from_secs(secs.into());
        if expiry_secs < u32::MAX {
            self.timers.set(
                &mut session.local.expiry_alarm,
                Timer::SessionExpiry(key),
                secs(expiry_secs),
            );
        }
        match session.will.as_ref().map(|will| will.delay_secs) {
            None => {}
            Some(0) => self.publish_will(now, key),
            Some(delay_secs) => {
                self.timers.set(
                    &mut session.local.will_alarm,
                    Timer::Will(key),
                    secs(delay_secs),
                );
            }
        }
        self.note_head(key);
    }

    /// Publishes the Will, if it is still there. `[MQTT-3.1.2-8]`, `[MQTT-3.1.2-10]`
    pub(super) fn publish_will(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        self.timers
            .cancel(&mut session.local.will_alarm, Timer::Will(key));
        let Some(will) = session.will.take() else {
            return;
        };
        self.notes.note_head(key, session);
        let mut message = will.message.view();
        let is_allowed = self.policy.may_publish(&session.identity, message.topic);
        self.stats.checked(Action::Publish, is_allowed);
        if !is_allowed {
            return;
        }
        message.expires_at = will
            .expiry_secs
            .map(|secs| now + Duration::from_secs(secs.into()));
        let publisher = Some(self.target(key));
        if self.distribute(now, message, publisher) == ReasonCode::QuotaExceeded {
            // Nobody is there to be told, so those who listen get it all the same.
            message.retain = false;
            self.distribute(now, message, publisher);
        }
    }

    /// Ends a session: its Will is published, its subscriptions go, its client is forgotten.
    pub(super) fn end_session(&mut self, now: Time, key: SessionKey) {
        self.publish_will(now, key);
        let Some(mut session) = self.strike_off(key) else {
            return;
        };
        self.census.forget(&session.local.counted);
        self.timers
            .cancel(&mut session.local.expiry_alarm, Timer::SessionExpiry(key));
        self.timers
            .cancel(&mut session.local.replay_alarm, Timer::Replay(key));
        let target = self.target(key);
        if !session.subscriptions.is_empty() {
            self.node.routes.change(|change| {
                session
                    .subscriptions
                    .keys()
                    .for_each(|filter| change.unsubscribe(filter.as_filter(), target));
            });
        }
        self.notes.end(&mut session);
        self.bequeath(now, &mut session);
        let client_id = &session.identity.client_id;
        if self.clients.get(client_id) == Some(&key) {
            self.clients.remove(client_id);
        }
        self.node
            .directory
            .release(client_id, self.id, session.epoch);
        if let Some(to) = session.local.release_to {
            let (client_id, session) = (session.identity.client_id, None);
            self.post(to, Letter::HandOver { client_id, session });
        }
    }
}
