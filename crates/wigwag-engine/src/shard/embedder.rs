//! What the embedder asks of a shard besides connections: settings, kicks, messages of its own, and the
//! messages of the topics that it has claimed.

use std::sync::Arc;

use wigwag_proto::Time;

use super::{ConnectionKey, Phase, Shard};
use crate::auth::AuthRequest;
use crate::event::CloseReason;
use crate::kick::{Kick, Who};
use crate::message::{Message, MessageRef};
use crate::node::ShardId;
use crate::peer::Letter;
use crate::policy::{Identity, Policy};
use crate::routes::Target;
use crate::session::SessionKey;
use crate::settings::Settings;

/// A message to a topic that the embedder has claimed.
#[derive(Debug)]
pub struct Claimed {
    /// The connection that it came on, which may be closed by now.
    pub connection: ConnectionKey,
    /// Who published it; the policy has allowed that.
    pub identity: Identity,
    /// The message, with its Response Topic and Correlation Data among the properties.
    pub message: Arc<Message>,
}

/// A session, and whose it is.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Present {
    pub target: Target,
    /// As it was shown by the last connection.
    pub identity: Identity,
    pub is_connected: bool,
}

impl Shard {
    /// All sessions. It takes a look at each of them, so this is for people who ask, not for messages.
    pub fn call_the_roll(&self) -> Vec<Present> {
        let sessions = self.sessions.iter();
        sessions
            .map(|(key, session)| Present {
                target: self.target(key),
                identity: session.identity.clone(),
                is_connected: session.local.connection.is_some(),
            })
            .collect()
    }

    /// Takes other settings. What has been granted to connections and sessions stays: what CONNACK has told
    /// a client holds until it connects again.
    pub fn handle_settings(&mut self, settings: Settings) {
        self.cache.set_limits(&settings.limits);
        self.settings = settings;
    }

    /// The settings that hold now.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes another policy, which decides from here on.
    pub fn handle_policy(&mut self, policy: Box<dyn Policy>) {
        self.policy = policy;
    }

    /// Disconnects clients, here and in every other shard.
    pub fn handle_kick(&mut self, now: Time, kick: &Kick) {
        let here = self.id;
        for shard in (0..self.node.shards)
            .map(ShardId)
            .filter(|&shard| shard != here)
        {
            self.post(shard, Letter::Kick(kick.clone()));
        }
        self.kick(now, kick);
    }

    /// Disconnects clients of this shard.
    pub(super) fn kick(&mut self, now: Time, kick: &Kick) {
        let sessions: Vec<SessionKey> = match &kick.who {
            Who::Client(client_id) => self.clients.get(client_id).copied().into_iter().collect(),
            who => self
                .sessions
                .iter()
                .filter(|(_, session)| who.includes(&session.identity))
                .map(|(key, _)| key)
                .collect(),
        };
        for session in sessions {
            let Some(session) = self.sessions.get_mut(session) else {
                continue;
            };
            let Some(connection) = session.local.connection else {
                continue;
            };
            if !kick.with_will {
                session.will = None;
            }
            self.close(
                now,
                connection,
                CloseReason::Kicked(kick.reason),
                Some(kick.reason),
            );
        }
        self.kick_parked(now, kick);
    }

    /// Those who are still waiting for their verdict, or for their session, have shown what may be no longer
    /// true. By which listener it has come is known of every connection.
    fn kick_parked(&mut self, now: Time, kick: &Kick) {
        let parked: Vec<ConnectionKey> = self
            .connections
            .iter()
            .filter(|&(key, connection)| match (&connection.phase, &kick.who) {
                (Phase::Online(_) | Phase::Closing | Phase::Over, _) => false,
                (_, Who::Listener(number)) => connection.listener.number == *number,
                (Phase::AwaitVerdict(introduction) | Phase::AwaitAuth(introduction, _), who) => {
                    who.includes(introduction.identity())
                }
                (Phase::AwaitSession(client_id), who) => self
                    .awaited
                    .get(client_id)
                    .and_then(|awaited| awaited.identity(key))
                    .is_some_and(|identity| who.includes(identity)),
                (Phase::AwaitConnect, _) => false,
            })
            .map(|(key, _)| key)
            .collect();
        for connection in parked {
            self.close(now, connection, CloseReason::Kicked(kick.reason), None);
        }
    }

    /// Publishes a message of the embedder's own. It is retained if it says so, and goes to everybody who
    /// has subscribed and may receive it.
    pub fn handle_injected(&mut self, now: Time, message: MessageRef<'_>) {
        self.distribute(now, message, None);
    }

    /// Takes the next question about a client that wants to be let in.
    pub fn poll_auth_request(&mut self) -> Option<AuthRequest> {
        self.auth_requests.pop_front()
    }

    /// Takes the next message of a claimed topic.
    pub fn poll_claimed(&mut self) -> Option<Claimed> {
        self.claimed.pop_front()
    }
}
