//! Messages of shared subscriptions: to the member whose turn it is, on to the next one if that cannot take
//! it, and to another one when a session has ended.

use std::sync::Arc;

use wigwag_proto::{Time, TopicFilter};

use super::publish::{Carried, ROOM};
use super::{Receiver, Shard};
use crate::event::DropReason;
use crate::message::Message;
use crate::peer::{Backlog, Letter};
use crate::routes::Target;
use crate::session::{Outgoing, Session, SessionKey};
use crate::share::{Ready, Share, Tried, Wanted};

/// Why a member does not get a message.
enum Obstacle {
    /// Its session is over.
    Gone,
    /// It may not have it.
    NotAuthorised,
    /// It would have to wait.
    Waits,
}

/// What the members of a shard say to a message.
struct Asked<'a> {
    unable: Vec<Target>,
    busy: Vec<Target>,
    /// The first that can have it at once.
    at_once: Option<&'a Receiver>,
    /// With whom it waits if nobody has time: the one whose turn it was, or else the readiest.
    waiting: Option<(&'a Receiver, Ready)>,
    is_denied: bool,
}

impl Shard {
    /// Gives a message to one member of a group that is at least `ready`; `tried` comes back if there is
    /// none.
    pub(super) fn deliver_to_one(
        &mut self,
        now: Time,
        carried: &mut Carried<'_>,
        share: &Share,
        ready: Ready,
        tried: Tried,
    ) -> Result<(), Tried> {
        let member = share.choose(&Wanted {
            qos: carried.view.qos,
            ready,
            qos0_waits: self.settings.queue_qos0,
            tried: &tried,
        });
        let Some(member) = member else {
            return Err(tried);
        };
        if member.shard == self.id {
            if let Some(receiver) = member.receiver() {
                self.deliver_to_member(now, carried, receiver, tried);
            }
            return Ok(());
        }
        let (message, receivers) = (Arc::clone(carried.share()), Arc::clone(&member.receivers));
        let letter = if tried.is_none() {
            Letter::Deliver {
                message,
                receivers,
                publisher: None,
            }
        } else {
            Letter::PassOn {
                message,
                receivers,
                tried,
            }
        };
        self.post(member.shard, letter);
        Ok(())
    }

    /// Gives a message to a member of this shard, or passes it on.
    pub(super) fn deliver_to_member(
        &mut self,
        now: Time,
        carried: &mut Carried<'_>,
        receiver: &Receiver,
        tried: Tried,
    ) {
        match self.obstacle(carried, receiver) {
            None => self.deliver_here(now, carried, receiver),
            Some(Obstacle::Waits) if tried.may_wait => self.deliver_here(now, carried, receiver),
            Some(obstacle) => self.look_further(now, carried, receiver, &obstacle, tried),
        }
    }

    fn deliver_here(&mut self, now: Time, carried: &mut Carried<'_>, receiver: &Receiver) {
        let retain = carried.view.retain && receiver.retain_as_published;
        self.deliver(now, carried, receiver, retain);
        self.tell_readiness(receiver.session);
    }

    /// The member cannot have the message at once: asks the others of this shard, then those of the other
    /// shards. Each shard looks at its members once, however many they are.
    fn look_further(
        &mut self,
        now: Time,
        carried: &mut Carried<'_>,
        receiver: &Receiver,
        obstacle: &Obstacle,
        mut tried: Tried,
    ) {
        let Some(filter) = receiver.share() else {
            return;
        };
        let share = self.share_of(filter);
        let asked = self.ask_members(carried, share.as_ref(), receiver, obstacle);
        let waiting = asked.waiting.map(|(receiver, _)| receiver);
        if let Some(receiver) = asked.at_once.or(waiting.filter(|_| tried.may_wait)) {
            return self.deliver_here(now, carried, receiver);
        }
        // Nobody of this shard is chosen again.
        tried.add(asked.unable, asked.busy);
        let mut pass_on = |ready, tried| match &share {
            Some(share) => self.deliver_to_one(now, carried, share, ready, tried),
            None => Err(tried),
        };
        let passed_on = if waiting.is_some() {
            pass_on(Ready::Now, tried)
        } else {
            pass_on(Ready::Away, tried).or_else(|mut tried| {
                tried.may_wait = true;
                pass_on(Ready::Away, tried)
            })
        };
        match (passed_on, waiting) {
            (Ok(()), _) => {}
            (Err(_), Some(receiver)) => self.deliver_here(now, carried, receiver),
            (Err(_), None) if asked.is_denied => self.events.dropped(DropReason::NotAuthorised),
            (Err(_), None) => {}
        }
    }

    /// Asks the members of this shard, after one that cannot have the message at once.
    fn ask_members<'a>(
        &self,
        carried: &Carried<'_>,
        share: Option<&'a Share>,
        first: &'a Receiver,
        obstacle: &Obstacle,
    ) -> Asked<'a> {
        let wanted = Wanted {
            qos: carried.view.qos,
            ready: Ready::Away,
            qos0_waits: self.settings.queue_qos0,
            tried: &Tried::default(),
        };
        let here = self.target(first.session);
        let (unable, busy) = match obstacle {
            Obstacle::Waits => (Vec::new(), vec![here]),
            Obstacle::Gone | Obstacle::NotAuthorised => (vec![here], Vec::new()),
        };
        let mut asked = Asked {
            unable,
            busy,
            at_once: None,
            waiting: matches!(obstacle, Obstacle::Waits).then_some((first, Ready::Now)),
            is_denied: matches!(obstacle, Obstacle::NotAuthorised),
        };
        for member in share
            .into_iter()
            .flat_map(|share| share.members_in(self.id))
        {
            let Some(receiver) = member.receiver() else {
                continue;
            };
            let here = self.target(receiver.session);
            match self.obstacle(carried, receiver) {
                None => {
                    asked.at_once = Some(receiver);
                    return asked;
                }
                Some(Obstacle::Waits) => {
                    asked.busy.push(here);
                    self.tell_readiness(receiver.session);
                    if let Some(ready) = wanted.admits(member)
                        && asked.waiting.is_none_or(|(_, so_far)| ready > so_far)
                    {
                        asked.waiting = Some((receiver, ready));
                    }
                }
                Some(obstacle) => {
                    asked.unable.push(here);
                    asked.is_denied |= matches!(obstacle, Obstacle::NotAuthorised);
                }
            }
        }
        asked
    }

    /// The group of a shared subscription, as it is at this moment.
    fn share_of(&self, filter: &str) -> Option<Share> {
        let filter = TopicFilter::new(filter).expect("it was granted as one");
        self.node.routes.snapshot().group(filter).map(Share::new)
    }

    fn obstacle(&self, carried: &Carried<'_>, receiver: &Receiver) -> Option<Obstacle> {
        let Some(session) = self.sessions.get(receiver.session) else {
            // What has left is followed by what comes for it.
            let is_on_its_way = self.departed.contains_key(&receiver.session);
            return (!is_on_its_way).then_some(Obstacle::Gone);
        };
        if session.local.arriving.is_some() {
            return None;
        }
        let topic = carried.view.topic;
        if !self.policy.may_receive(&session.identity, topic) {
            return Some(Obstacle::NotAuthorised);
        }
        (self.readiness(session) != Ready::Now).then_some(Obstacle::Waits)
    }

    /// Gives a message to a member of the group that is at least `ready`; false if there is none.
    fn pass_on(&mut self, now: Time, message: &Arc<Message>, filter: &str, ready: Ready) -> bool {
        self.share_of(filter).is_some_and(|share| {
            let carried = &mut Carried::of(message);
            self.deliver_to_one(now, carried, &share, ready, Tried::default())
                .is_ok()
        })
    }

    /// What a session that is over leaves to others: what was shared and not acknowledged, and what waited.
    pub(super) fn bequeath(&mut self, now: Time, session: &mut Session) {
        if session.readiness.is_none() {
            return;
        }
        let in_flight = session.flight.unacknowledged().into_iter();
        let begun = in_flight.chain(session.queue.take()).map(|outgoing| {
            let share = outgoing.share().cloned();
            (outgoing.message, share)
        });
        let arriving = session.local.arriving.take().unwrap_or_default();
        for (message, share) in begun.chain(shares_of(arriving)) {
            self.bequeath_one(now, &message, share.as_deref());
        }
    }

    /// What came for a session that is over before all of it had arrived.
    pub(super) fn bequeath_backlog(&mut self, now: Time, backlog: Backlog) {
        for (message, share) in shares_of(backlog) {
            self.bequeath_one(now, &message, share.as_deref());
        }
    }

    fn bequeath_one(&mut self, now: Time, message: &Arc<Message>, share: Option<&str>) {
        let Some(filter) = share else { return };
        self.writer.begin();
        // With the last member goes what nobody has done.
        let _ = self.pass_on(now, message, filter, Ready::Away);
    }

    /// What waits for a client that has gone is given to those of its groups who are there. What it has in
    /// flight waits for it.
    pub(super) fn pass_on_queue(&mut self, now: Time, key: SessionKey) {
        self.tell_readiness(key);
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.readiness.is_none() || session.queue.is_empty() {
            return;
        }
        let queued: Vec<Outgoing> = session.queue.take().collect();
        let mut left = Vec::new();
        for outgoing in queued {
            self.writer.begin();
            let passed_on = outgoing
                .share()
                .is_some_and(|filter| self.pass_on(now, &outgoing.message, filter, Ready::Busy));
            if !passed_on {
                left.push(outgoing);
            }
        }
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        for outgoing in left {
            session.queue.restore(outgoing);
        }
        self.notes.note(key, session);
        self.census.note(key, session);
    }

    /// Lets the groups of a session know whether it can take messages.
    pub(super) fn tell_readiness(&self, key: SessionKey) {
        if let Some(session) = self.sessions.get(key)
            && let Some(readiness) = &session.readiness
        {
            readiness.set(self.readiness(session));
        }
    }

    fn readiness(&self, session: &Session) -> Ready {
        let connection = session
            .local
            .connection
            .and_then(|key| self.connections.get(key));
        let Some(connection) = connection else {
            return Ready::Away;
        };
        let has_time = session.queue.is_empty()
            && session.flight.has_room(&self.settings.limits)
            && connection.out.len() < ROOM;
        if has_time { Ready::Now } else { Ready::Busy }
    }
}

/// The messages of a backlog, each with the shared subscription that it came by.
fn shares_of(backlog: Backlog) -> impl Iterator<Item = (Arc<Message>, Option<Arc<str>>)> {
    backlog
        .into_deliveries()
        .map(|(message, receiver)| (message, receiver.share().cloned()))
}
