//! Authentication: the question of a CONNECT, the AUTH exchange behind it, and authenticating again.

use bytes::Bytes;
use wigwag_proto::packet::{Auth, Connect, PacketType};
use wigwag_proto::{Packet, PropertiesBuf, Property, ReasonCode, Time};

use super::connect::Introduction;
use super::{ConnectionKey, Phase, Shard};
use crate::auth::{Answer, Attempt, AuthRequest, AuthStep, Exchange, Verdict};
use crate::event::CloseReason;
use crate::session::SessionKey;
use crate::stats::Presented;

/// The enhanced authentication of a connection.
#[derive(Debug)]
pub(super) struct Authentication {
    /// The method that its CONNECT named.
    method: Box<str>,
    again: Again,
}

/// How far a client that is online has got with authenticating again.
#[derive(Debug)]
enum Again {
    Idle,
    AwaitVerdict,
    AwaitAuth(Exchange),
}

const OTHER_METHOD: CloseReason =
    CloseReason::Protocol("an AUTH with another Authentication Method than CONNECT");

impl Shard {
    /// Asks whether the client of a CONNECT is who it says.
    pub(super) fn authenticate(
        &mut self,
        now: Time,
        key: ConnectionKey,
        introduction: Introduction,
        connect: &Connect<'_>,
        is_certified: bool,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let (method, data) = (
            connect.properties.authentication_method(),
            connect.properties.authentication_data(),
        );
        let attempt = Attempt {
            identity: introduction.identity(),
            is_certified,
            password: connect.password,
            method,
            data,
        };
        connection.authentication = method.map(|method| {
            Box::new(Authentication {
                method: method.into(),
                again: Again::Idle,
            })
        });
        match self.policy.authenticate(&attempt) {
            Answer::Now(verdict) => self.handle_first_verdict(now, key, introduction, verdict),
            Answer::Later => {
                self.auth_requests.push_back(AuthRequest {
                    connection: key,
                    identity: introduction.identity().clone(),
                    step: AuthStep::Connect {
                        is_certified,
                        password: connect.password.map(Into::into),
                        method: method.map(Into::into),
                        data: data.map(Bytes::copy_from_slice),
                    },
                });
                connection.phase = Phase::AwaitVerdict(Box::new(introduction));
            }
        }
    }

    /// The embedder has decided. A verdict that nobody waits for any more is ignored.
    pub fn handle_verdict(&mut self, now: Time, key: ConnectionKey, verdict: Verdict) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        match &mut connection.phase {
            Phase::AwaitVerdict(_) => {
                let phase = std::mem::replace(&mut connection.phase, Phase::AwaitConnect);
                if let Phase::AwaitVerdict(introduction) = phase {
                    self.handle_first_verdict(now, key, *introduction, verdict);
                }
                // What the client has sent behind its CONNECT can be read.
                self.touch(key);
            }
            Phase::Online(session) => {
                let session = *session;
                if let Some(authentication) = &mut connection.authentication
                    && matches!(authentication.again, Again::AwaitVerdict)
                {
                    authentication.again = Again::Idle;
                    self.handle_later_verdict(now, key, session, verdict);
                }
            }
            _ => {}
        }
    }

    /// The verdict on a client that has no CONNACK yet.
    fn handle_first_verdict(
        &mut self,
        now: Time,
        key: ConnectionKey,
        mut introduction: Introduction,
        verdict: Verdict,
    ) {
        self.stats.judged(introduction.presented(), &verdict);
        match verdict {
            Verdict::Allow { user_name, data } => {
                let connection = self.connections.get(key);
                let method = connection
                    .and_then(|connection| connection.authentication.as_ref())
                    .map(|authentication| authentication.method.clone());
                introduction.authenticated(user_name, method, data);
                self.admit(now, key, introduction);
            }
            Verdict::Continue { data, exchange } => {
                if !self.send_auth(key, ReasonCode::ContinueAuthentication, data.as_ref()) {
                    let client_id = &introduction.identity().client_id;
                    let reason = ReasonCode::BadAuthenticationMethod;
                    return self.refuse(now, key, reason, client_id);
                }
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.phase = Phase::AwaitAuth(Box::new(introduction), exchange);
                }
            }
            Verdict::Refuse(reason) => {
                self.refuse(now, key, reason, &introduction.identity().client_id);
            }
        }
    }

    /// The verdict on a client that authenticates again.
    fn handle_later_verdict(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session: SessionKey,
        verdict: Verdict,
    ) {
        self.stats.judged(Presented::Enhanced, &verdict);
        match verdict {
            Verdict::Allow { user_name, data } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.identity.user_name = user_name;
                }
                self.send_auth(key, ReasonCode::Success, data.as_ref());
            }
            Verdict::Continue { data, exchange } => {
                if self.send_auth(key, ReasonCode::ContinueAuthentication, data.as_ref())
                    && let Some(connection) = self.connections.get_mut(key)
                    && let Some(authentication) = &mut connection.authentication
                {
                    authentication.again = Again::AwaitAuth(exchange);
                }
            }
            // [MQTT-4.12.1-2]
            Verdict::Refuse(reason) => {
                let code = Some(reason)
                    .filter(|reason| reason.is_valid_in(PacketType::Disconnect))
                    .unwrap_or(ReasonCode::NotAuthorized);
                self.close(now, key, CloseReason::Refused(reason), Some(code));
            }
        }
    }

    /// An AUTH that answers the one that followed CONNECT.
    pub(super) fn handle_auth_before_connack(
        &mut self,
        now: Time,
        key: ConnectionKey,
        auth: &Auth<'_>,
    ) {
        if !self.is_auth_in_order(key, auth, ReasonCode::ContinueAuthentication) {
            self.send_connack_refusal(key, ReasonCode::ProtocolError, None);
            return self.close(now, key, OTHER_METHOD, None);
        }
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let phase = std::mem::replace(&mut connection.phase, Phase::AwaitConnect);
        let Phase::AwaitAuth(introduction, exchange) = phase else {
            return;
        };
        self.auth_requests.push_back(AuthRequest {
            connection: key,
            identity: introduction.identity().clone(),
            step: AuthStep::Continue {
                data: auth
                    .properties
                    .authentication_data()
                    .map(Bytes::copy_from_slice),
                exchange,
            },
        });
        connection.phase = Phase::AwaitVerdict(introduction);
    }

    /// An AUTH of a client that is online.
    pub(super) fn handle_auth(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session: SessionKey,
        auth: &Auth<'_>,
    ) {
        let again = self
            .connections
            .get(key)
            .and_then(|connection| connection.authentication.as_ref())
            .map(|authentication| &authentication.again);
        let expected = match again {
            Some(Again::Idle) => Some(ReasonCode::ReAuthenticate),
            Some(Again::AwaitAuth(_)) => Some(ReasonCode::ContinueAuthentication),
            // [MQTT-4.12.0-7]
            Some(Again::AwaitVerdict) | None => None,
        };
        if !expected.is_some_and(|reason| self.is_auth_in_order(key, auth, reason)) {
            let what = if again.is_none() {
                CloseReason::Protocol("AUTH without an Authentication Method in CONNECT")
            } else {
                OTHER_METHOD
            };
            return self.close(now, key, what, Some(ReasonCode::ProtocolError));
        }
        let data = auth
            .properties
            .authentication_data()
            .map(Bytes::copy_from_slice);
        let (Some(connection), Some(session)) =
            (self.connections.get_mut(key), self.sessions.get(session))
        else {
            return;
        };
        let Some(authentication) = &mut connection.authentication else {
            return;
        };
        let step = match std::mem::replace(&mut authentication.again, Again::AwaitVerdict) {
            Again::AwaitAuth(exchange) => AuthStep::Continue { data, exchange },
            Again::Idle | Again::AwaitVerdict => AuthStep::ReAuthenticate {
                method: authentication.method.clone(),
                data,
            },
        };
        self.auth_requests.push_back(AuthRequest {
            connection: key,
            identity: session.identity.clone(),
            step,
        });
    }

    /// Whether the AUTH has the reason that is due and the method of its CONNECT. `[MQTT-4.12.0-5]`,
    /// `[MQTT-4.12.1-1]`
    fn is_auth_in_order(&self, key: ConnectionKey, auth: &Auth<'_>, due: ReasonCode) -> bool {
        let method = self
            .connections
            .get(key)
            .and_then(|connection| connection.authentication.as_ref())
            .map(|authentication| &*authentication.method);
        auth.reason == due && auth.properties.authentication_method() == method
    }

    /// Sends an AUTH with the client's method; false if it has none.
    fn send_auth(&mut self, key: ConnectionKey, reason: ReasonCode, data: Option<&Bytes>) -> bool {
        let method = self
            .connections
            .get(key)
            .and_then(|connection| connection.authentication.as_ref())
            .map(|authentication| authentication.method.clone());
        let Some(method) = method else {
            return false;
        };
        let mut properties = PropertiesBuf::new();
        properties
            .push(Property::AuthenticationMethod(&method))
            .expect("it was received as one");
        if let Some(data) = data {
            // More than a property can hold is a mistake of the embedder's; the client will notice.
            let _ = properties.push(Property::AuthenticationData(data));
        }
        self.send(
            key,
            &Packet::Auth(Auth {
                reason,
                properties: properties.as_properties(),
            }),
        );
        true
    }
}
