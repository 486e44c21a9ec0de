//! SUBSCRIBE and UNSUBSCRIBE: grants, the index, and retained messages for new subscriptions.

use std::num::NonZeroU32;

use wigwag_proto::packet::{RetainHandling, Subscribe, SubscribeAck, Subscription, Unsubscribe};
use wigwag_proto::{Packet, Properties, Qos, ReasonCode, Time};

use super::{ConnectionKey, Shard};
use crate::event::Event;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::retained::Cursor;
use crate::routes::Grant;
use crate::session::{Replay, Session, SessionKey};
use crate::trace::{Traced, Way};

impl Shard {
    pub(super) fn handle_subscribe(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet: &Subscribe<'_>,
    ) {
        let target = self.target(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let identifier = packet
            .properties
            .subscription_identifiers()
            .next()
            .and_then(NonZeroU32::new);
        let mut granted = Vec::new();
        let reasons: Vec<ReasonCode> = packet
            .subscriptions
            .iter()
            .map(|subscription| {
                match refusal(session, subscription, &*self.policy, &self.settings.limits) {
                    Some(reason) => reason,
                    None => {
                        let grant = Grant {
                            options: subscription.options,
                            identifier,
                        };
                        // [MQTT-3.8.4-3]
                        let replaced = session
                            .subscriptions
                            .insert(subscription.filter.into(), grant);
                        if replaced.is_none() {
                            session.filter_bytes += subscription.filter.as_str().len();
                        }
                        granted.push((subscription.filter, grant, replaced.is_none()));
                        match subscription.options.qos {
                            Qos::AtMostOnce => ReasonCode::Success,
                            Qos::AtLeastOnce => ReasonCode::GrantedQos1,
                            Qos::ExactlyOnce => ReasonCode::GrantedQos2,
                        }
                    }
                }
            })
            .collect();
        let denied = |reason: &&ReasonCode| **reason == ReasonCode::NotAuthorized;
        self.stats.subscribe_denied += reasons.iter().filter(denied).count() as u64;
        if self.is_tracing {
            let traced = Traced::subscribe(packet, &reasons);
            let client_id = Some(session.identity.client_id.clone());
            self.events.push(Event::Packet {
                connection,
                client_id,
                way: Way::Received,
                packet: traced,
            });
        }
        if !granted.is_empty() {
            self.node.routes.change(|change| {
                granted
                    .iter()
                    .for_each(|(filter, grant, _)| session.enlist(change, *filter, target, *grant));
            });
        }
        // Nobody of a group gets retained messages for having joined it.
        granted.retain(|(filter, _, _)| filter.share().is_none());
        for (filter, grant, is_new) in granted {
            let wanted = match grant.options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            // One replay for each subscription, so that they are as bounded as these.
            let running = |replay: &&mut Replay| replay.filter.as_filter() == filter;
            if let Some(replay) = session.replays.iter_mut().find(running) {
                replay.grant = grant;
                if wanted {
                    replay.cursor = Cursor::START;
                }
            } else if wanted {
                session.replays.push_back(Replay {
                    filter: filter.into(),
                    grant,
                    cursor: Cursor::START,
                });
            }
        }
        let (packet_id, properties) = (packet.packet_id, Properties::EMPTY);
        self.send(
            connection,
            &Packet::SubAck(SubscribeAck {
                packet_id,
                properties,
                reasons,
            }),
        );
        self.send_waiting(now, key);
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        connection: ConnectionKey,
        key: SessionKey,
        packet: &Unsubscribe<'_>,
    ) {
        let target = self.target(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let mut removed = Vec::new();
        let reasons = packet
            .filters
            .iter()
            .map(|&filter| {
                if !self.policy.may_unsubscribe(&session.identity, filter) {
                    return ReasonCode::NotAuthorized;
                }
                if session.subscriptions.remove(&filter.into()).is_none() {
                    return ReasonCode::NoSubscriptionExisted;
                }
                session.filter_bytes -= filter.as_str().len();
                session
                    .replays
                    .retain(|replay| replay.filter.as_filter() != filter);
                removed.push(filter);
                ReasonCode::Success
            })
            .collect();
        if !removed.is_empty() {
            self.node.routes.change(|change| {
                removed
                    .iter()
                    .for_each(|&filter| change.unsubscribe(filter, target));
            });
        }
        let (packet_id, properties) = (packet.packet_id, Properties::EMPTY);
        self.send(
            connection,
            &Packet::UnsubAck(SubscribeAck {
                packet_id,
                properties,
                reasons,
            }),
        );
    }
}

/// Why a subscription is not granted, if it is not.
fn refusal(
    session: &Session,
    subscription: &Subscription<'_>,
    policy: &dyn Policy,
    limits: &Limits,
) -> Option<ReasonCode> {
    let filter = subscription.filter;
    if !policy.may_subscribe(&session.identity, filter) {
        return Some(ReasonCode::NotAuthorized);
    }
    let full = session.subscriptions.len() >= limits.subscriptions_max
        || session.filter_bytes + filter.as_str().len() > limits.filter_bytes_max;
    if full && !session.subscriptions.contains_key(&filter.into()) {
        return Some(ReasonCode::QuotaExceeded);
    }
    None
}
