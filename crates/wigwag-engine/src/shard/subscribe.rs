//! SUBSCRIBE and UNSUBSCRIBE: grants, the index, and retained messages for new subscriptions.

use std::num::NonZeroU32;
use std::sync::Arc;

use wigwag_proto::packet::{
    RetainHandling, Subscribe, SubscribeAck, Subscription, SubscriptionOptions, Unsubscribe,
};
use wigwag_proto::{Packet, Properties, Qos, ReasonCode, Time, TopicFilterBuf};

use super::{ConnectionKey, Shard};
use crate::event::{CloseReason, Event};
use crate::limits::Limits;
use crate::memory::{Pressure, of_subscription};
use crate::mount;
use crate::policy::Policy;
use crate::retained::Cursor;
use crate::routes::Grant;
use crate::session::{Replay, Session, SessionKey};
use crate::stats::Action;
use crate::trace::{Traced, Way};

impl Shard {
    pub(super) fn handle_subscribe(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet: &Subscribe<'_>,
    ) {
        if !self.can_answer(now, connection, packet.subscriptions.len()) {
            return;
        }
        let target = self.target(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let identifier = packet
            .properties
            .subscription_identifiers()
            .next()
            .and_then(NonZeroU32::new);
        let listener = Arc::clone(&session.identity.listener);
        let is_tight = self.memory.pressure > Pressure::None;
        let mut granted = Vec::new();
        let mut answer = |subscription: &Subscription<'_>| {
            let mounted = mount::filter(subscription.filter, listener.mount_point.as_deref());
            let filter = mounted.ok_or(ReasonCode::TopicFilterInvalid)?;
            let limits = &self.settings.limits;
            check(session, &filter, &*self.policy, limits, is_tight)?;
            let qos = subscription.options.qos.min(listener.qos_max);
            let is_bridge = session.identity.is_bridge && filter.as_filter().share().is_none();
            let options = SubscriptionOptions {
                qos,
                no_local: subscription.options.no_local || is_bridge,
                retain_as_published: subscription.options.retain_as_published || is_bridge,
                ..subscription.options
            };
            let grant = Grant {
                options,
                identifier,
            };
            // [MQTT-3.8.4-3]
            let replaced = session.subscriptions.insert(filter.clone(), grant);
            if replaced.is_none() {
                session.filter_bytes += filter.as_filter().as_str().len();
                session.subscriptions_weight += of_subscription(filter.as_filter());
            }
            granted.push((filter, grant, replaced.is_none()));
            Ok(qos)
        };
        let reasons: Vec<ReasonCode> = packet
            .subscriptions
            .iter()
            .map(|subscription| match answer(subscription) {
                Ok(Qos::AtMostOnce) => ReasonCode::Success,
                Ok(Qos::AtLeastOnce) => ReasonCode::GrantedQos1,
                Ok(Qos::ExactlyOnce) => ReasonCode::GrantedQos2,
                Err(reason) => reason,
            })
            .collect();
        self.stats.checked_all(Action::Subscribe, &reasons);
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
                for (filter, grant, _) in &granted {
                    session.enlist(change, filter.as_filter(), target, *grant);
                }
            });
        }
        if !granted.is_empty() {
            self.notes.note_head(key, session);
        }
        // Nobody of a group gets retained messages for having joined it.
        granted.retain(|(filter, _, _)| filter.as_filter().share().is_none());
        for (filter, grant, is_new) in granted {
            let wanted = match grant.options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            // One replay for each subscription, so that they are as bounded as these.
            let running = |replay: &&mut Replay| replay.filter == filter;
            if let Some(replay) = session.replays.iter_mut().find(running) {
                replay.grant = grant;
                if wanted {
                    replay.cursor = Cursor::START;
                }
            } else if wanted {
                session.replays.push_back(Replay {
                    filter,
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

    /// Whether the client accepts a SUBACK or UNSUBACK with so many Reason Codes. Nothing is granted that
    /// cannot be answered. `[MQTT-3.1.2-24]`
    fn can_answer(&mut self, now: Time, key: ConnectionKey, codes: usize) -> bool {
        let Some(connection) = self.connections.get(key) else {
            return false;
        };
        // Packet Identifier and the length of no properties; then type and length.
        let body = 2 + 1 + codes;
        let header = 1 + (1..4).take_while(|bytes| body >> (7 * bytes) > 0).count() + 1;
        let fits = header + body <= connection.receiving.packet_size_max as usize;
        if !fits {
            let what = CloseReason::Quota(
                "an answer would be larger than the client's Maximum Packet Size",
            );
            self.close(now, key, what, Some(ReasonCode::PacketTooLarge));
        }
        fits
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet: &Unsubscribe<'_>,
    ) {
        if !self.can_answer(now, connection, packet.filters.len()) {
            return;
        }
        let target = self.target(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let listener = Arc::clone(&session.identity.listener);
        let mut removed = Vec::new();
        let reasons = packet
            .filters
            .iter()
            .map(|&filter| {
                let Some(filter) = mount::filter(filter, listener.mount_point.as_deref()) else {
                    return ReasonCode::NoSubscriptionExisted;
                };
                let may = self
                    .policy
                    .may_unsubscribe(&session.identity, filter.as_filter());
                if !may {
                    return ReasonCode::NotAuthorized;
                }
                if session.subscriptions.remove(&filter).is_none() {
                    return ReasonCode::NoSubscriptionExisted;
                }
                session.filter_bytes -= filter.as_filter().as_str().len();
                session.subscriptions_weight -= of_subscription(filter.as_filter());
                session.replays.retain(|replay| replay.filter != filter);
                removed.push(filter);
                ReasonCode::Success
            })
            .collect::<Vec<_>>();
        self.stats.checked_all(Action::Unsubscribe, &reasons);
        if !removed.is_empty() {
            self.notes.note_head(key, session);
            self.node.routes.change(|change| {
                removed
                    .iter()
                    .for_each(|filter| change.unsubscribe(filter.as_filter(), target));
            });
        }
        self.note_kept(key);
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

/// Whether a subscription can be granted, or why not.
fn check(
    session: &Session,
    filter: &TopicFilterBuf,
    policy: &dyn Policy,
    limits: &Limits,
    is_tight: bool,
) -> Result<(), ReasonCode> {
    if !policy.may_subscribe(&session.identity, filter.as_filter()) {
        return Err(ReasonCode::NotAuthorized);
    }
    let bytes = session.filter_bytes + filter.as_filter().as_str().len();
    let full = is_tight
        || session.subscriptions.len() >= limits.subscriptions_max
        || bytes > limits.filter_bytes_max;
    if full && !session.subscriptions.contains_key(filter) {
        return Err(ReasonCode::QuotaExceeded);
    }
    Ok(())
}
