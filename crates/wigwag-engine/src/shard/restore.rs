//! Sessions of an earlier run: each is put into a shard before that shard has any connection.

use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::Time;

use super::{Shard, Terms};
use crate::listener::ListenerSettings;
use crate::memory::of_subscription;
use crate::policy::Identity;
use crate::record::ledger::Track;
use crate::restored;
use crate::retained::Cursor;
use crate::session::{Outgoing, Replay, Session, SessionKey, SessionWill};
use crate::timers::Timer;

impl Shard {
    /// Takes a session of an earlier run, whose client may connect to any shard. What of it was due in the
    /// meantime happens with the first timers.
    pub fn handle_restored(&mut self, now: Time, restored: restored::Session) {
        let clients_max = usize::MAX;
        let claim = (self.node.directory).claim(&restored.client_id, self.id, clients_max);
        let Some(epoch) = claim
            .filter(|claim| claim.previous.is_none())
            .map(|claim| claim.epoch)
        else {
            // There is one of this client already.
            return;
        };
        let listener = ListenerSettings {
            number: restored.listener,
            ..ListenerSettings::default()
        };
        let identity = Identity {
            client_id: restored.client_id.clone(),
            user_name: restored.user_name.clone(),
            is_bridge: restored.is_bridge,
            listener: Arc::new(listener),
            address: None,
        };
        let mut session = Session::new(identity, epoch);
        let longest = self.settings.limits.session_expiry_secs_max;
        session.expiry_secs = restored.expiry_secs.min(longest);
        let begins_now = restored.ends_at.is_none() && session.expiry_secs < u32::MAX
            || (restored.will.as_ref()).is_some_and(|will| will.due_at.is_none());
        let ends_at = ends_at(now, &restored, session.expiry_secs);
        let will_due_at = put_back(now, &mut session, restored, self.node.ledger.is_some());
        let client_id = session.identity.client_id.clone();
        let key = self.enrol(client_id, session);
        let target = self.target(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let subscriptions = std::mem::take(&mut session.subscriptions);
        if !subscriptions.is_empty() {
            self.node.routes.change(|change| {
                for (filter, grant) in &subscriptions {
                    session.enlist(change, filter.as_filter(), target, *grant);
                }
            });
        }
        session.subscriptions = subscriptions;
        // Its time begins anew at each start, unless that is written down.
        let is_stale = session.track.is_none() || begins_now;
        let (expiry, will) = (Timer::SessionExpiry(key), Timer::Will(key));
        if let Some(at) = ends_at {
            self.timers.set(&mut session.local.expiry_alarm, expiry, at);
        }
        if let Some(at) = will_due_at {
            self.timers.set(&mut session.local.will_alarm, will, at);
        }
        self.charge_all(key);
        self.note_kept(key);
        self.look_at_memory(now);
        if is_stale {
            self.track(key);
        }
    }
}

impl Shard {
    /// Counts the messages that the session keeps.
    fn charge_all(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let charge = |outgoing: &mut Outgoing| outgoing.message.charge(&self.memory.account);
        session.queue.iter_mut().for_each(charge);
        session.flight.for_each_kept(charge);
        for message in session.unreleased.messages() {
            message.charge(&self.memory.account);
        }
        if let Some(will) = &session.will {
            will.message.charge(&self.memory.account);
        }
    }
}

/// When a session without a connection ends.
fn ends_at(now: Time, restored: &restored::Session, expiry_secs: u32) -> Option<Time> {
    let latest = now + Duration::from_secs(expiry_secs.into());
    match restored.ends_at {
        Some(at) => Some(at.min(latest)),
        None => (expiry_secs < u32::MAX).then_some(latest),
    }
}

/// Puts everything into the session but what needs its place. Returns when its Will is due.
fn put_back(
    now: Time,
    session: &mut Session,
    restored: restored::Session,
    keeps_records: bool,
) -> Option<Time> {
    for (filter, grant) in restored.subscriptions {
        session.filter_bytes += filter.as_filter().as_str().len();
        session.subscriptions_weight += of_subscription(filter.as_filter());
        session.subscriptions.insert(filter, grant);
    }
    for restored::InFlight {
        packet_id,
        message,
        order,
    } in restored.in_flight
    {
        let kept = message.map(outgoing);
        session.flight.restore(order, packet_id, kept);
    }
    for restored::Received { packet_id, message } in restored.received {
        match message {
            Some(message) => session.unreleased.hold(packet_id, message),
            None => session.unreleased.receive(packet_id),
        }
    }
    restored
        .queue
        .into_iter()
        .for_each(|message| session.queue.restore(outgoing(message)));
    for replay in restored.replays {
        // Of a subscription that is there.
        if let Some(grant) = session.subscriptions.get(&replay.filter) {
            session.replays.push_back(Replay {
                grant: *grant,
                cursor: Cursor::After(replay.after),
                filter: replay.filter,
            });
        }
    }
    let mut due_at = None;
    if let Some(will) = restored.will {
        let begins_now = now + Duration::from_secs(will.delay_secs.into());
        due_at = Some(will.due_at.map_or(begins_now, |at| at.min(begins_now)));
        session.will = Some(SessionWill {
            message: will.message,
            expiry_secs: will.expiry_secs,
            delay_secs: will.delay_secs,
        });
    }
    if keeps_records && let Some(filed) = restored.filed {
        session.flight.track(true);
        session.track = Some(Box::new(Track::restored(filed)));
    }
    due_at
}

fn outgoing(restored: restored::Outgoing) -> Outgoing {
    Outgoing {
        message: restored.message,
        qos: restored.qos,
        retain: restored.retain,
        terms: Terms::new(restored.identifiers, restored.share),
        filed: restored.filed,
    }
}
