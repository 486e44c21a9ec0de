//! Who comes over HTTP: the same users with the same rights as over MQTT.
//!
//! What somebody was let in by is kept with it, so that it can be asked later whether that still holds.

use std::sync::Arc;

use tokio::sync::oneshot;
use wigwag_access::dynsec::Operation;
use wigwag_engine::auth::Verdict;
use wigwag_engine::policy::Identity;
use wigwag_engine::proto::TopicName;
use wigwag_engine::{Certificate, ListenerSettings, Peer};

use super::desk::{AccessDesk, keeps_standing};
use super::policy::Shared;
use super::tables::Judgement;
use crate::http::Credentials;

/// The Client Identifier that rules see, as Mosquitto calls it.
const CLIENT_ID: &str = "http-api";

/// Who was let in, and by what.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) identity: Identity,
    is_certified: bool,
    judgement: Judgement,
    /// What holds at any moment.
    shared: Arc<Shared>,
}

impl Login {
    /// Whether it would still be let in with what it has shown.
    pub(crate) fn still_holds(&self) -> bool {
        let judgement = self.shared.judge(&self.identity, self.is_certified, true);
        keeps_standing(&self.judgement, &judgement)
    }
}

impl AccessDesk {
    /// Lets those in whom the configuration lets in by this listener. The name in a certificate stands in the place of
    /// any other.
    pub(crate) async fn log_in(
        &self,
        credentials: Option<Credentials>,
        listener: &Arc<ListenerSettings>,
        peer: &Peer,
    ) -> Option<Login> {
        let certificate_name = match &peer.certificate {
            // Who has no name must not choose one.
            Certificate::Nameless => return None,
            Certificate::Names(name) => Some(&**name),
            Certificate::NotAsked => None,
        };
        let (user_name, password) = match credentials {
            Some(it) => (Some(it.user_name), Some(it.password)),
            None => (None, None),
        };
        let is_certified = certificate_name.is_some();
        let mut identity = Identity::new(CLIENT_ID, certificate_name.or(user_name.as_deref()));
        identity.listener = Arc::clone(listener);
        identity.address = peer.address;
        let judgement = (self.shared).judge(&identity, is_certified, password.is_some());
        let login = Login {
            identity: identity.clone(),
            is_certified,
            judgement: judgement.clone(),
            shared: Arc::clone(&self.shared),
        };
        let (sender, verdict) = oneshot::channel();
        // Who has gone meanwhile needs no answer.
        let reply = Box::new(|verdict| _ = sender.send(verdict));
        self.decide(judgement, identity, password.map(Vec::into), reply);
        match verdict.await {
            Ok(Verdict::Allow { .. }) => Some(login),
            _ => None,
        }
    }

    /// Whether somebody may be shown a message of this topic, by the rules of this moment. A listener with a mount
    /// point has what is below it, and nothing else.
    pub(crate) fn may_read(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        let topic = topic.as_str();
        let mount_point = who.listener.mount_point.as_deref().unwrap_or_default();
        // Over MQTT nobody receives what he may not subscribe to, so dynamic security lets everybody receive unless told
        // otherwise.
        topic.starts_with(mount_point)
            && self.shared.allows(who, Operation::Subscribe(topic))
            && self.shared.allows(who, Operation::Receive(topic))
    }
}

#[cfg(test)]
use {
    super::settings::AccessSettings, super::tables::Tables, crate::logging::Log,
    wigwag_access::dynsec::Rights,
};

#[cfg(test)]
impl Login {
    /// Somebody of this name, let in by nothing.
    pub(crate) fn of_tests(user_name: &str) -> Login {
        let tables = Tables::read(&AccessSettings::default(), &Log::default());
        let tables = tables.expect("there are no files");
        Login {
            identity: Identity::new(CLIENT_ID, Some(user_name)),
            is_certified: false,
            judgement: Judgement::Admit,
            shared: Arc::new(Shared::new(tables, Rights::default(), None)),
        }
    }
}
