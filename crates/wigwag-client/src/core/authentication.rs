//! Enhanced authentication: whose turn it is, from CONNECT to CONNACK and again in re-authentications.
//!
//! The steps themselves are foreign code, run outside: [`Output::Authenticate`] asks for one,
//! [`Core::handle_authenticated`] says how it ended.

use std::sync::Arc;

use bytes::Bytes;
use wigwag_proto::codec::{EncodeError, encode};
use wigwag_proto::packet::{Auth, ConnAck, Packet, PacketType};
use wigwag_proto::{Properties, PropertiesBuf, Property, ReasonCode, Time};

use super::incoming::Violation;
use super::{Accepted, Core, Output, Phase};
use crate::authentication::{FirstWords, ReauthenticateError, Reply, Step};
use crate::state::OfflineReason;

/// The authentication of one connection.
#[derive(Default)]
pub(super) struct Authentication {
    /// The Authentication Method of the CONNECT, if it had one.
    method: Option<Arc<str>>,
    turn: Turn,
    /// When a re-authentication must have ended. The first authentication is part of the handshake.
    again_until: Option<Time>,
}

/// Whose turn it is.
#[derive(Default)]
enum Turn {
    /// Nobody's: no authentication is under way.
    #[default]
    Nobody,
    /// An authenticator is being made for a re-authentication. Nothing has been sent.
    Beginning,
    /// The authenticator's.
    Ours,
    /// The server's.
    Theirs,
    /// The authenticator's, to look at the last words of the server, which has accepted the connection
    /// or, without the box, the re-authentication.
    Checking(Option<Box<Accepted>>),
}

impl Authentication {
    /// The CONNECT leaves with these words.
    pub(super) fn new(words: Option<&FirstWords>) -> Authentication {
        Authentication {
            method: words.map(|words| words.method.clone()),
            turn: words.map_or(Turn::Nobody, |_| Turn::Theirs),
            again_until: None,
        }
    }

    /// Whether what comes after the CONNACK has to wait until the server has proved itself.
    pub(super) const fn holds_back(&self) -> bool {
        matches!(self.turn, Turn::Checking(Some(_)))
    }

    /// When a re-authentication must have ended.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.again_until
    }

    /// The server speaks: it must be its turn.
    fn check_turn(&self, packet: PacketType) -> Result<(), Violation> {
        match self.turn {
            Turn::Theirs => Ok(()),
            _ => Err(Violation::unexpected(packet)),
        }
    }

    /// The server names the method of the CONNECT. `[MQTT-4.12.0-5]`
    fn check_method(
        &self,
        packet: PacketType,
        properties: Properties<'_>,
    ) -> Result<(), Violation> {
        let method = self.method.as_deref().unwrap_or_default();
        if properties.authentication_method() == Some(method) {
            return Ok(());
        }
        let named = match properties.authentication_method() {
            Some(other) => format!("the Authentication Method '{other}'"),
            None => "no Authentication Method".to_owned(),
        };
        let text = format!("{packet} has {named}; the CONNECT had '{method}'");
        Err(Violation::new(ReasonCode::ProtocolError, text))
    }
}

/// The properties of a CONNECT or AUTH.
pub(super) fn push_properties(
    properties: &mut PropertiesBuf,
    method: &str,
    data: Option<&Bytes>,
) -> Result<(), EncodeError> {
    properties.push(Property::AuthenticationMethod(method))?;
    if let Some(data) = data {
        properties.push(Property::AuthenticationData(data))?;
    }
    Ok(())
}

fn data_of(properties: Properties<'_>) -> Option<Bytes> {
    properties.authentication_data().map(Bytes::copy_from_slice)
}

impl<R> Core<R> {
    /// Authenticates again; if it may begin, [`Output::Reauthenticated`] has the outcome.
    pub(crate) fn reauthenticate(&mut self, now: Time) -> Result<(), ReauthenticateError> {
        match (&self.phase, &self.authentication.turn) {
            _ if self.config.dialler.authenticator.is_none() => {
                return Err(ReauthenticateError::NotConfigured);
            }
            (Phase::Stopped, _) => return Err(ReauthenticateError::Stopped),
            (Phase::Online { .. }, Turn::Nobody) => {}
            (Phase::Online { .. }, _) => return Err(ReauthenticateError::UnderWay),
            _ => return Err(ReauthenticateError::Offline),
        }
        self.authentication.turn = Turn::Beginning;
        self.authentication.again_until = Some(now + self.config.connect_timeout);
        self.push(Output::Authenticate(Step::Begin));
        Ok(())
    }

    /// The authenticator has done what [`Output::Authenticate`] asked for, or gives up.
    pub(crate) fn handle_authenticated(&mut self, now: Time, result: Result<Reply, Arc<str>>) {
        if !matches!(self.phase, Phase::Handshaking { .. } | Phase::Online { .. }) {
            // The connection is ending, and its last packet has been written. [MQTT-3.14.4-1]
            return;
        }
        let turn = std::mem::take(&mut self.authentication.turn);
        match (turn, result) {
            (Turn::Beginning, Ok(Reply::Begun(words))) => self.begin_again(now, &words),
            (Turn::Beginning, Err(text)) => {
                self.end_again(Err(ReauthenticateError::Authenticator(text)));
            }
            (Turn::Ours, Ok(Reply::Proceeded(data))) => {
                self.send_auth(now, ReasonCode::ContinueAuthentication, data.as_ref());
            }
            (Turn::Checking(Some(accepted)), Ok(Reply::Finished)) => self.go_online(now, *accepted),
            (Turn::Checking(None), Ok(Reply::Finished)) => self.end_again(Ok(())),
            (Turn::Ours | Turn::Checking(_), Err(text)) => self.break_off(now, text),
            // The connection that it was for is gone.
            (turn, _) => self.authentication.turn = turn,
        }
        self.settle(now);
    }

    /// `[MQTT-4.12.1-1]`
    fn begin_again(&mut self, now: Time, words: &FirstWords) {
        let connected = self.authentication.method.clone().unwrap_or_default();
        if words.method == connected {
            self.send_auth(now, ReasonCode::ReAuthenticate, words.data.as_ref());
        } else {
            let offered = words.method.clone();
            self.end_again(Err(ReauthenticateError::Method { connected, offered }));
        }
    }

    fn send_auth(&mut self, now: Time, reason: ReasonCode, data: Option<&Bytes>) {
        match self.encode_auth(reason, data) {
            Ok(bytes) => {
                // Before what waits for the store: an AUTH tells the server nothing of the session.
                self.out.ready().copy(&bytes);
                self.authentication.turn = Turn::Theirs;
            }
            Err(text) => self.break_off(now, text.into()),
        }
    }

    fn encode_auth(&self, reason: ReasonCode, data: Option<&Bytes>) -> Result<Vec<u8>, String> {
        let mut properties = PropertiesBuf::new();
        let method = self.authentication.method.as_deref().unwrap_or_default();
        let mut bytes = Vec::new();
        push_properties(&mut properties, method, data)
            .and_then(|()| {
                let properties = properties.as_properties();
                let packet = Packet::Auth(Auth { reason, properties });
                encode(&packet, self.config.version, &mut bytes)
            })
            .map_err(|error| format!("the AUTH cannot be sent: {error}"))?;
        // Before CONNACK nobody knows the limit. [MQTT-3.2.2-15]
        let max = match self.phase {
            Phase::Online { .. } => self.server.packet_size_max,
            _ => u32::MAX,
        };
        if bytes.len() > max as usize {
            let len = bytes.len();
            return Err(format!(
                "the AUTH has {len} bytes, the server accepts {max}"
            ));
        }
        Ok(bytes)
    }

    /// AUTH of the server.
    pub(super) fn handle_auth(&mut self, auth: &Auth<'_>) -> Result<(), Violation> {
        let is_online = matches!(self.phase, Phase::Online { .. });
        self.authentication.check_turn(PacketType::Auth)?;
        // An AUTH of success has a short form, without any property.
        if auth.reason != ReasonCode::Success || !auth.properties.is_empty() {
            (self.authentication).check_method(PacketType::Auth, auth.properties)?;
        }
        let data = data_of(auth.properties);
        let (turn, step) = match auth.reason {
            ReasonCode::ContinueAuthentication => (Turn::Ours, Step::Proceed(data)),
            ReasonCode::Success if is_online => (Turn::Checking(None), Step::Finish(data)),
            reason => {
                let text = format!("AUTH with the Reason Code '{reason}' was not expected");
                return Err(Violation::new(ReasonCode::ProtocolError, text));
            }
        };
        self.authentication.turn = turn;
        self.push(Output::Authenticate(step));
        Ok(())
    }

    /// The server accepts the connection; if the CONNECT had a method, the authenticator has the last
    /// word.
    pub(super) fn handle_accepted(
        &mut self,
        now: Time,
        connack: &ConnAck<'_>,
    ) -> Result<(), Violation> {
        let accepted = Accepted::new(self.config.version, connack);
        if self.authentication.method.is_none() {
            self.go_online(now, accepted);
            return Ok(());
        }
        self.authentication.check_turn(PacketType::ConnAck)?;
        (self.authentication).check_method(PacketType::ConnAck, connack.properties)?;
        self.authentication.turn = Turn::Checking(Some(Box::new(accepted)));
        let data = data_of(connack.properties);
        self.push(Output::Authenticate(Step::Finish(data)));
        Ok(())
    }

    /// A re-authentication takes too long.
    pub(super) fn handle_authentication_timeout(&mut self, now: Time) {
        let timeout = self.config.connect_timeout;
        if matches!(self.authentication.turn, Turn::Beginning) {
            let text = format!("it was not ready within {timeout:?}").into();
            self.end_again(Err(ReauthenticateError::Authenticator(text)));
        } else {
            let text = format!("the re-authentication did not end within {timeout:?}");
            self.break_off(now, text.into());
        }
    }

    /// The authenticator, or the time, has decided: the server is told, and the connection ends.
    fn break_off(&mut self, now: Time, text: Arc<str>) {
        let reason = OfflineReason::Authentication(text);
        self.close(now, reason, ReasonCode::UnspecifiedError);
    }

    /// The connection ends, and with it what was under way.
    pub(super) fn leave_authentication(&mut self, reason: &OfflineReason) {
        if self.authentication.again_until.is_some() {
            let error = match reason {
                OfflineReason::Stopped => ReauthenticateError::Stopped,
                reason => ReauthenticateError::Ended(reason.clone()),
            };
            self.end_again(Err(error));
        }
        self.authentication = Authentication::default();
    }

    fn end_again(&mut self, result: Result<(), ReauthenticateError>) {
        self.authentication.turn = Turn::Nobody;
        self.authentication.again_until = None;
        self.push(Output::Reauthenticated(result));
    }
}
