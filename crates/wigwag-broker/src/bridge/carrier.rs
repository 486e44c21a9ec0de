//! Carries the messages of one subscription to the other side, and settles each when that side has taken it.
//!
//! Nothing is kept here that is not still in flight where it came from: what the other side does not take
//! stays unacknowledged, and the rest waits in its session.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use wigwag_client::{
    AckToken, Client, Message, MessageStream, Outcome, Publish, PublishError, Publishing, Qos,
};

use super::counters::Counters;
use super::topics::{Lines, Way};

/// The name of the User Property in which messages collect the brokers that they have come through.
const VIA: &str = "wigwag-via";

/// What all carriers of a bridge share.
pub(super) struct Shared {
    pub(super) lines: Lines,
    pub(super) counters: Arc<Counters>,
    /// Told when a message waits and there is nobody to carry it to.
    pub(super) waiting: Notify,
    /// Who this broker is, if messages are to be kept from going round in circles.
    pub(super) loops_cut_by: Option<Box<str>>,
    pub(super) sends_retain: bool,
    /// Messages of QoS 0 wait for a connection to be made.
    pub(super) holds_qos0: bool,
}

/// Carries the messages of one subscription.
pub(super) struct Carrier {
    pub(super) shared: Arc<Shared>,
    pub(super) way: Way,
    pub(super) filter: String,
    /// The client of the other side, while there is one.
    pub(super) to: watch::Receiver<Option<Client>>,
}

/// Where a message has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journey {
    /// Nobody looks.
    Unknown,
    /// Not here.
    New,
    /// Here, and nowhere since.
    ThisWasLast,
    /// Here, and elsewhere since.
    Round,
}

/// A message that has not been handed over.
struct Held {
    message: Message,
    ack: AckToken,
    /// Counted for as long as it lives.
    place: Place,
}

/// A message on one side that is not settled, as far as the counters know.
struct Place(Option<Arc<Counters>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(counters) = &self.0 {
            counters.release();
        }
    }
}

impl Carrier {
    /// Carries what these streams bring, one after the other: a subscription that is made again has a stream of
    /// its own, which must not overtake the last. Until all of them have ended.
    pub(super) async fn run(mut self, mut streams: mpsc::UnboundedReceiver<MessageStream>) {
        let mut held: VecDeque<Held> = VecDeque::new();
        let mut under_way = FuturesUnordered::new();
        let mut stream = streams.recv().await;
        while stream.is_some() || !held.is_empty() || !under_way.is_empty() {
            let client = self.to.borrow_and_update().clone();
            if let Some(client) = &client {
                for Held {
                    message,
                    ack,
                    place,
                } in held.drain(..)
                {
                    // Handed over here, one after the other: they arrive in this order.
                    let parcels = self.hand_over(client, &message);
                    let (shared, to) = (Arc::clone(&self.shared), self.to.clone());
                    under_way.push(deliver(shared, self.way, to, parcels, ack, place));
                }
            }
            tokio::select! {
                Some(()) = under_way.next() => {}
                changed = self.to.changed() => {
                    if changed.is_err() {
                        // The bridge ends; what is not settled stays where it came from.
                        return pending().await;
                    }
                }
                delivery = next_of(&mut stream), if stream.is_some() => match delivery {
                    Some((message, ack)) => self.take(message, ack, client.is_some(), &mut held),
                    None => stream = streams.try_recv().ok(),
                },
            }
        }
    }

    fn take(&self, message: Message, ack: AckToken, is_ready: bool, held: &mut VecDeque<Held>) {
        if !is_ready && message.qos() == Qos::AtMostOnce && !self.shared.holds_qos0 {
            self.shared.counters.count_dropped(self.way);
            return ack.accept();
        }
        let counters = (self.way == Way::Out).then(|| {
            self.shared.counters.hold();
            Arc::clone(&self.shared.counters)
        });
        held.push_back(Held {
            message,
            ack,
            place: Place(counters),
        });
        if !is_ready {
            self.shared.waiting.notify_one();
        }
    }

    /// Gives a message to the client of the other side, once for each name that it has there.
    fn hand_over(&self, client: &Client, message: &Message) -> Vec<(Publish, Publishing)> {
        if self.has_been_here(message) {
            return Vec::new();
        }
        let (lines, way) = (&self.shared.lines, self.way);
        let targets = lines.targets(way, &self.filter, message.topic());
        let publish = |(topic, qos): (String, Qos)| {
            let publish = self.translate(message, topic, qos);
            (publish.clone(), client.publish(publish))
        };
        targets.into_iter().map(publish).collect()
    }

    /// Where the message has been, as far as this broker is concerned.
    fn journey(&self, message: &Message) -> Journey {
        let Some(us) = self.shared.loops_cut_by.as_deref() else {
            return Journey::Unknown;
        };
        let via = message.user_properties().filter(|(name, _)| *name == VIA);
        via.fold(Journey::New, |journey, (_, value)| match journey {
            Journey::New if value == us => Journey::ThisWasLast,
            Journey::New => Journey::New,
            _ => Journey::Round,
        })
    }

    /// Whether the message has been here before and is going round.
    fn has_been_here(&self, message: &Message) -> bool {
        match self.journey(message) {
            Journey::Unknown | Journey::New => false,
            // Another bridge of this broker has just brought it.
            Journey::ThisWasLast => self.way == Way::In,
            Journey::Round => true,
        }
    }

    /// The message as the other side is to see it.
    fn translate(&self, message: &Message, topic: String, qos_max: Qos) -> Publish {
        let mut publish = message.to_publish(topic).qos(message.qos().min(qos_max));
        if self.way == Way::Out && !self.shared.sends_retain {
            publish = publish.not_retained();
        }
        if let Some(name) = message.response_topic()
            && let Some(there) = self.shared.lines.response_topic(self.way, name)
        {
            publish = publish.response_topic(there);
        }
        match &self.shared.loops_cut_by {
            Some(us) if self.journey(message) == Journey::New => publish.user_property(VIA, &**us),
            _ => publish,
        }
    }
}

async fn next_of(stream: &mut Option<MessageStream>) -> Option<(Message, AckToken)> {
    stream.as_mut()?.next_with_ack().await
}

/// Waits until the other side has taken all copies of a message, and settles it.
async fn deliver(
    shared: Arc<Shared>,
    way: Way,
    mut to: watch::Receiver<Option<Client>>,
    parcels: Vec<(Publish, Publishing)>,
    ack: AckToken,
    place: Place,
) {
    for (publish, publishing) in parcels {
        if deliver_one(&mut to, publish, publishing).await {
            shared.counters.count_carried(way);
        } else {
            shared.counters.count_dropped(way);
        }
    }
    ack.accept();
    drop(place);
}

/// Whether the other side has taken the message. One that may have got lost with a session or a client is
/// sent again: it may arrive twice rather than not at all.
async fn deliver_one(
    to: &mut watch::Receiver<Option<Client>>,
    mut publish: Publish,
    mut publishing: Publishing,
) -> bool {
    loop {
        match publishing.await {
            Ok(Outcome::Delivered) => return true,
            Ok(Outcome::Rejected(_)) => return false,
            Ok(Outcome::Indeterminate(_)) | Err(PublishError::Stopped) => {}
            Err(PublishError::QosNotSupported { max }) => publish = publish.qos(max),
            Err(PublishError::RetainNotAvailable) => publish = publish.not_retained(),
            Err(_) => return false,
        }
        publishing = await_client(to).await.publish(publish.clone());
    }
}

/// Waits for a client that goes on. Without one the bridge ends, and its messages stay where they came from.
async fn await_client(to: &mut watch::Receiver<Option<Client>>) -> Client {
    let alive = to.wait_for(|client| client.as_ref().is_some_and(is_alive));
    match alive.await.ok().and_then(|client| client.clone()) {
        Some(client) => client,
        None => pending().await,
    }
}

/// Whether the client goes on. One that has stopped is followed by another.
fn is_alive(client: &Client) -> bool {
    !matches!(
        &*client.state().borrow(),
        wigwag_client::State::Offline {
            reason: wigwag_client::OfflineReason::Stopped,
            ..
        }
    )
}
