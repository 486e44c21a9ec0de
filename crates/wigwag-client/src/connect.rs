//! What an attempt to connect says and how it gets there: credentials, the words of CONNECT and
//! DISCONNECT, and the way to the server.
//!
//! Which server, and when, is the core's business; what the user wants is written down in `config`.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wigwag_net::dial::{self, Open, Opening, Target, dial_with};
use wigwag_net::{Stream, Transport};
use wigwag_proto::codec::EncodeError;
use wigwag_proto::{PropertiesBuf, Property, ReasonCode, Version};

use crate::authentication::{self, Authenticator, FirstWords, Maker};
use crate::state::OfflineReason;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Providing = Pin<Box<dyn Future<Output = Result<Credentials, BoxError>> + Send>>;

pub(crate) type Provider = Arc<dyn Fn(Attempt) -> Providing + Send + Sync>;
pub(crate) type EditConnect = Arc<dyn Fn(&Attempt, &mut ConnectPacket) + Send + Sync>;
pub(crate) type EditDisconnect = Arc<dyn Fn(&mut DisconnectPacket) + Send + Sync>;

/// An attempt to connect that is about to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The server to be called.
    pub server: Target,
    /// Attempts since the last stable connection, this one included.
    pub number: u32,
    /// The version of MQTT that will be spoken.
    pub version: Version,
}

/// A user name and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    user_name: Option<String>,
    password: Option<Bytes>,
}

impl Credentials {
    /// Both. At most 65,535 bytes each.
    pub fn new(user_name: impl Into<String>, password: impl Into<Bytes>) -> Credentials {
        Credentials {
            user_name: Some(user_name.into()),
            password: Some(password.into()),
        }
    }

    /// A user name without a password.
    pub fn user_name(user_name: impl Into<String>) -> Credentials {
        Credentials {
            user_name: Some(user_name.into()),
            password: None,
        }
    }

    /// A password, or a token, without a user name. MQTT 5 only.
    pub fn token(password: impl Into<Bytes>) -> Credentials {
        Credentials {
            user_name: None,
            password: Some(password.into()),
        }
    }
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

/// The parts of a CONNECT that [`Builder::edit_connect`](crate::Builder::edit_connect) may change.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectPacket {
    /// The Client Identifier; empty to let the server choose. Changing it changes the session.
    pub client_id: String,
    /// The user name.
    pub user_name: Option<String>,
    /// The password; MQTT 3.x sends none without a user name.
    pub password: Option<Bytes>,
    /// User Properties, in order. MQTT 5 only; others never see them.
    pub user_properties: Vec<(String, String)>,
    pub(crate) authentication: Option<FirstWords>,
}

/// Without the password.
impl fmt::Debug for ConnectPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectPacket")
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("user_properties", &self.user_properties)
            .finish_non_exhaustive()
    }
}

/// The DISCONNECT of [`Client::disconnect`](crate::Client::disconnect), as far as
/// [`Builder::edit_disconnect`](crate::Builder::edit_disconnect) may change it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DisconnectPacket {
    /// The Reason Code: `Success`, or `DisconnectWithWillMessage` to have the Will published.
    pub reason: ReasonCode,
    /// How long the server is to keep the session from now on, in whole seconds, if that is to change. A
    /// session that ends with its connection cannot be prolonged any more.
    pub session_expiry: Option<Duration>,
    /// The Reason String.
    pub reason_string: Option<String>,
    /// User Properties, in order.
    pub user_properties: Vec<(String, String)>,
}

impl Default for DisconnectPacket {
    fn default() -> DisconnectPacket {
        DisconnectPacket {
            reason: ReasonCode::Success,
            session_expiry: None,
            reason_string: None,
            user_properties: Vec::new(),
        }
    }
}

impl DisconnectPacket {
    /// `may_expire_later` is false when the CONNECT had no Session Expiry Interval. `[MQTT-3.14.2-2]`
    pub(crate) fn properties(&self, may_expire_later: bool) -> Result<PropertiesBuf, EncodeError> {
        let mut properties = PropertiesBuf::new();
        if let Some(expiry) = self.session_expiry.filter(|_| may_expire_later) {
            let secs = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
            properties.push(Property::SessionExpiryInterval(secs))?;
        }
        if let Some(text) = &self.reason_string {
            properties.push(Property::ReasonString(text))?;
        }
        for (name, value) in &self.user_properties {
            properties.push(Property::UserProperty((name, value)))?;
        }
        Ok(properties)
    }
}

/// The way to a server. The same for all attempts.
#[derive(Clone, Default)]
pub(crate) struct Dialler {
    pub(crate) options: dial::Options,
    pub(crate) frame_size_max: usize,
    pub(crate) provider: Option<Provider>,
    pub(crate) authenticator: Option<Maker>,
    pub(crate) edit_connect: Option<EditConnect>,
}

/// What an attempt has come to: an open connection, and the words of its CONNECT.
pub(crate) struct Dialled {
    pub(crate) stream: Stream,
    pub(crate) packet: ConnectPacket,
    /// Who goes on with the enhanced authentication.
    pub(crate) authenticator: Option<Box<dyn Authenticator>>,
}

impl Dialler {
    /// Makes one attempt: asks for the credentials, opens the connection, decides on the words.
    pub(crate) async fn dial(
        self: Arc<Dialler>,
        attempt: Attempt,
        mut packet: ConnectPacket,
    ) -> Result<Dialled, OfflineReason> {
        if let Some(provider) = &self.provider {
            let credentials = provider(attempt.clone())
                .await
                .map_err(|error| OfflineReason::Credentials(error.to_string().into()))?;
            packet.user_name = credentials.user_name;
            packet.password = credentials.password;
        }
        let mut authenticator = None;
        if let Some(maker) = &self.authenticator {
            let begun = authentication::begin(maker.clone(), attempt.clone()).await;
            let (made, words) = begun.map_err(OfflineReason::Authentication)?;
            authenticator = Some(made);
            packet.authentication = Some(words);
        }
        if let Some(edit) = &self.edit_connect {
            edit(&attempt, &mut packet);
        }
        let stream = dial_with(&attempt.server, self.frame_size_max, &self.options)
            .await
            .map_err(|error| OfflineReason::Dial(crate::task::with_sources(&error).into()))?;
        Ok(Dialled {
            stream,
            packet,
            authenticator,
        })
    }
}

/// A closure that opens transports.
pub(crate) struct OpenWith<F>(pub(crate) F);

impl<F, H, T> Open for OpenWith<F>
where
    F: Fn(Target) -> H + Send + Sync,
    H: Future<Output = io::Result<T>> + Send + 'static,
    T: Transport + 'static,
{
    fn open(&self, target: &Target) -> Opening {
        let opening = (self.0)(target.clone());
        Box::pin(async move { Ok(Box::new(opening.await?) as Box<dyn Transport>) })
    }
}
