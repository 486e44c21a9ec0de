//! What other shards send: deliveries, and sessions on the move. The protocol is told in [`crate::peer`].

use wigwag_proto::Time;

use super::Shard;
use super::publish::Carried;
use crate::event::CloseReason;
use crate::node::{Epoch, ShardId};
use crate::peer::{AwaitedBy, Backlog, Departed, Envelope, Letter, Moving};
use crate::routes::Target;
use crate::session::{Local, SessionKey};
use crate::timers::Timer;

impl Shard {
    /// Another shard has sent something. Envelopes of one shard must come in the order of sending.
    pub fn handle_envelope(&mut self, now: Time, envelope: Envelope) {
        self.notes.handled += 1;
        self.look_at_memory(now);
        match envelope.0 {
            Letter::Deliver {
                message,
                receivers,
                publisher,
            } => {
                self.too_much = false;
                self.writer.begin();
                for receiver in receivers.iter() {
                    self.deliver_shared(now, &message, receiver);
                }
                self.hold_back_if_wanted(now, publisher);
            }
            Letter::HoldBack(publisher) => self.nap(now, publisher),
            Letter::Release {
                client_id,
                epoch,
                to,
            } => self.handle_release(now, client_id, epoch, to),
            Letter::HandOver { client_id, session } => {
                self.handle_hand_over(now, client_id, session);
            }
            Letter::Fence { from, to } => self.handle_fence(now, from, to),
            Letter::Fenced { from, to } => self.handle_fenced(now, from, to),
            Letter::Settle { session, backlog } => self.handle_settle(now, session, backlog),
            Letter::Kick(kick) => self.kick(now, &kick),
            Letter::PassOn {
                message,
                receivers,
                tried,
            } => {
                self.writer.begin();
                if let Some(receiver) = receivers.first() {
                    self.deliver_to_member(now, &mut Carried::of(&message), receiver, tried);
                }
            }
        }
    }

    /// Another shard has claimed a session of this one. By now this shard may have claimed it back: the
    /// epoch tells which claim was made before the other shard's.
    fn handle_release(&mut self, now: Time, client_id: Box<str>, epoch: Epoch, to: ShardId) {
        let awaited = self.awaited.get_mut(&client_id);
        if let Some(overtaken) = awaited.and_then(|awaited| awaited.overtake(epoch, to)) {
            // It is not here yet: whoever waits for it has been overtaken.
            if let AwaitedBy::Connection(connection, _) = overtaken {
                self.close(now, connection, CloseReason::TakenOver, None);
            }
            return;
        }
        let Some(&key) = self.clients.get(&client_id) else {
            return self.post(
                to,
                Letter::HandOver {
                    client_id,
                    session: None,
                },
            );
        };
        self.displace(now, key);
        match self.sessions.get_mut(key) {
            Some(session) if session.local.arriving.is_some() => {
                session.local.release_to = Some(to);
            }
            _ => self.hand_over(key, client_id, to),
        }
    }

    /// Sends a session away and remembers where it was.
    fn hand_over(&mut self, key: SessionKey, client_id: Box<str>, to: ShardId) {
        self.clients.remove(&client_id);
        let session = self.strike_off(key).map(|mut session| {
            let mut local = std::mem::take(&mut session.local);
            self.census.forget(&local.counted);
            self.timers
                .cancel(&mut local.expiry_alarm, Timer::SessionExpiry(key));
            self.timers.cancel(&mut local.will_alarm, Timer::Will(key));
            self.timers
                .cancel(&mut local.replay_alarm, Timer::Replay(key));
            let unfenced = self.node.shards;
            self.departed.insert(
                key,
                Departed {
                    backlog: Backlog::default(),
                    unfenced,
                },
            );
            self.notes.leave(&session);
            Box::new(Moving {
                session,
                from: self.target(key),
            })
        });
        self.post(to, Letter::HandOver { client_id, session });
    }

    /// The session that was asked for.
    fn handle_hand_over(&mut self, now: Time, client_id: Box<str>, session: Option<Box<Moving>>) {
        let Some(awaited) = self.awaited.get_mut(&client_id) else {
            return;
        };
        let claim = awaited.claims.pop_front();
        if awaited.claims.is_empty() {
            self.awaited.remove(&client_id);
        }
        match claim {
            Some(AwaitedBy::Connection(connection, pending)) => {
                let session = session.map(|moving| self.take_in(now, *moving));
                self.accept(now, connection, *pending, session);
            }
            Some(AwaitedBy::Shard(to)) => {
                // It was never taken in, so its routes still point at where it came from.
                self.post(to, Letter::HandOver { client_id, session });
            }
            Some(AwaitedBy::Nobody(epoch)) => match session {
                Some(moving) => {
                    let key = self.take_in(now, *moving);
                    if let Some(session) = self.sessions.get_mut(key) {
                        session.epoch = epoch;
                    }
                    self.part_from_connection(now, key);
                }
                None => self.node.directory.release(&client_id, self.id, epoch),
            },
            None => {}
        }
    }

    /// Makes a session one of this shard, and everybody route to it here.
    fn take_in(&mut self, now: Time, moving: Moving) -> SessionKey {
        let Moving { mut session, from } = moving;
        session.local = Local {
            arriving: Some(Backlog::default()),
            ..Local::default()
        };
        let client_id = session.identity.client_id.clone();
        let key = self.enrol(client_id, session);
        self.note_kept(key);
        let to = self.target(key);
        if let Some(session) = self.sessions.get_mut(key) {
            let subscriptions = std::mem::take(&mut session.subscriptions);
            self.node.routes.change(|change| {
                for (filter, grant) in &subscriptions {
                    change.unsubscribe(filter.as_filter(), from);
                    session.enlist(change, filter.as_filter(), to, *grant);
                }
            });
            session.subscriptions = subscriptions;
            self.notes.arrive(key, session);
        }
        let here = self.id;
        for shard in (0..self.node.shards)
            .map(ShardId)
            .filter(|&shard| shard != here)
        {
            self.post(shard, Letter::Fence { from, to });
        }
        self.handle_fence(now, from, to);
        key
    }

    /// A session has moved. What this shard sent to its old place is in the outbox before the answer, and
    /// the version of the index that it routes by from here on knows the new one.
    ///
    /// The old shard may be this one: a session can come back to where it has just left.
    fn handle_fence(&mut self, now: Time, from: Target, to: Target) {
        if from.shard == self.id {
            return self.handle_fenced(now, from.session, to);
        }
        self.post(
            from.shard,
            Letter::Fenced {
                from: from.session,
                to,
            },
        );
    }

    fn handle_fenced(&mut self, now: Time, from: SessionKey, to: Target) {
        let Some(departed) = self.departed.get_mut(&from) else {
            return;
        };
        departed.unfenced -= 1;
        if departed.unfenced == 0
            && let Some(departed) = self.departed.remove(&from)
        {
            if to.shard == self.id {
                return self.handle_settle(now, to.session, departed.backlog);
            }
            self.post(
                to.shard,
                Letter::Settle {
                    session: to.session,
                    backlog: departed.backlog,
                },
            );
        }
    }

    /// All that went to the session's old place has come: first that, then what came here meanwhile.
    fn handle_settle(&mut self, now: Time, key: SessionKey, backlog: Backlog) {
        let Some(session) = self.sessions.get_mut(key) else {
            return self.bequeath_backlog(now, backlog);
        };
        let direct = session.local.arriving.take().unwrap_or_default();
        for (message, receiver) in backlog.into_deliveries() {
            self.writer.begin();
            let receiver = super::Receiver {
                session: key,
                ..receiver
            };
            self.deliver_shared(now, &message, &receiver);
        }
        for (message, receiver) in direct.into_deliveries() {
            self.writer.begin();
            self.deliver_shared(now, &message, &receiver);
        }
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if let Some(to) = session.local.release_to.take() {
            let client_id = session.identity.client_id.clone();
            return self.hand_over(key, client_id, to);
        }
        // Retained messages have waited for this.
        self.send_waiting(now, key);
    }
}
