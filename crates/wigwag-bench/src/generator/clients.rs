//! The publishers and subscribers of a flow: what each may send, and what it makes of what it reads.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use wigwag_proto::codec::Frame;
use wigwag_proto::packet::PacketType;
use wigwag_proto::{Qos, Version};

use super::BACKLOG_MAX;
use super::arrivals::Arrivals;
use crate::case::{Case, Load, Topology};
use crate::connection::{Connection, Hello};
use crate::sequence::Sequence;
use crate::wire::{
    PACKET_IDS, PUBCOMP, PUBREL, Received, Stamp, Template, accepted_id, append_ack,
    append_receipt, number_of,
};

const PINGREQ: [u8; 2] = [(PacketType::PingReq as u8) << 4, 0];

/// With more messages unacknowledged an identifier could mean two of them.
const UNACKNOWLEDGED_MAX: u64 = PACKET_IDS / 2;

/// A broker before MQTT 5 cannot say how many messages of QoS 2 it takes, and Mosquitto throws out who sends more.
const UNRELEASED_UNTOLD_MAX: u64 = 20;

/// The topic of a publisher, below one that only this run uses.
fn topic(run: u32, publisher: usize) -> String {
    format!("bench/{run:08x}/{publisher}")
}

/// What the clients of a flow say when they come: subscribers first, because they must not miss anything.
pub(super) fn hellos(case: &Case, run: u32) -> Vec<Hello> {
    let subscribers = (0..case.subscribers).map(|index| {
        let filter = match case.topology {
            Topology::Pairs => topic(run, index),
            Topology::FanOut | Topology::FanIn if case.publishers == 1 => topic(run, 0),
            Topology::FanOut | Topology::FanIn | Topology::Publish => format!("bench/{run:08x}/+"),
            Topology::Shared => format!("$share/bench/bench/{run:08x}/+"),
        };
        Hello {
            client_id: format!("bench{run:08x}s{index}"),
            subscription: Some((filter, case.qos)),
        }
    });
    let publishers = (0..case.publishers).map(|index| Hello {
        client_id: format!("bench{run:08x}p{index}"),
        subscription: None,
    });
    subscribers.chain(publishers).collect()
}

#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) connection: Connection,
    index: u32,
    template: Template,
    /// The templates of the other sizes, which take turns with the first.
    others: Vec<Template>,
    /// Messages since the connection began, and so the number of the next.
    sent: u64,
    /// `sent` when the phase began.
    phase_start: u64,
    /// What `sent` may become by now.
    pub(super) target: u64,
    /// Messages that may be on their way to the slowest receiver.
    outstanding_max: u64,
    /// Messages that may be without their last acknowledgement: in this phase, and ever.
    unacknowledged_max: u64,
    unacknowledged_limit: u64,
    acknowledged: Sequence,
    /// What has become of its messages at each of its receivers.
    received: Vec<Sequence>,
    /// Messages below this number are not waited for.
    written_off: u64,
    /// When its unacknowledged messages were sent, if that is what is measured.
    sent_nanos: Option<Box<SentTimes>>,
    /// The socket did not take everything; an event will say when it does.
    is_blocked: bool,
    /// It stands in the list of those that may have something to send.
    pub(super) is_active: bool,
}

impl Publisher {
    pub(super) fn new(
        connection: Connection,
        case: &Case,
        version: Version,
        run: u32,
        index: usize,
    ) -> anyhow::Result<Publisher> {
        let topic = topic(run, index);
        let templates: anyhow::Result<Vec<Template>> = case
            .payload_lens
            .iter()
            .map(|&len| Template::new(&topic, case.qos, version, len))
            .collect();
        let mut templates = templates?.into_iter();
        let template = templates.next().context("a case without a payload")?;
        let receivers = usize::try_from(case.receivers())?;
        let times_receipts = receivers == 0 && case.qos != Qos::AtMostOnce;
        let limit = if case.qos == Qos::ExactlyOnce && !version.has_properties() {
            UNRELEASED_UNTOLD_MAX
        } else {
            connection.receive_maximum.get().into()
        };
        Ok(Publisher {
            connection,
            index: u32::try_from(index)?,
            template,
            others: templates.collect(),
            sent: 0,
            phase_start: 0,
            target: 0,
            outstanding_max: 0,
            unacknowledged_max: 0,
            unacknowledged_limit: limit.min(UNACKNOWLEDGED_MAX),
            acknowledged: Sequence::default(),
            received: (0..receivers).map(|_| Sequence::default()).collect(),
            written_off: 0,
            sent_nanos: times_receipts.then(Box::default),
            is_blocked: false,
            is_active: false,
        })
    }

    pub(super) fn packet_len_max(&self) -> usize {
        let others = self.others.iter().map(Template::len);
        others.fold(self.template.len(), usize::max)
    }

    pub(super) fn begin(&mut self, messages: u64, outstanding_max: u64) {
        // What the warm-up lost must not narrow the window.
        self.write_off();
        self.phase_start = self.sent;
        self.target = self.sent.saturating_add(messages);
        self.outstanding_max = outstanding_max;
        self.unacknowledged_max = outstanding_max.min(self.unacknowledged_limit);
    }

    /// Sends nothing more in this phase; how many messages it has left unsent.
    pub(super) const fn stop(&mut self) -> u64 {
        let unsent = self.target - self.sent;
        self.target = self.sent;
        unsent
    }

    /// Gives up what has not arrived.
    pub(super) const fn write_off(&mut self) {
        self.written_off = self.sent;
    }

    pub(super) const fn sent_in_phase(&self) -> u64 {
        self.sent - self.phase_start
    }

    pub(super) const fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// How many messages may be sent at once.
    pub(super) fn allowance(&self, qos: Qos) -> u64 {
        if self.is_blocked {
            return 0;
        }
        let by_window = if self.received.is_empty() && qos == Qos::AtMostOnce {
            // Nobody tells what has become of it: the socket alone holds it back.
            u64::MAX
        } else {
            self.outstanding_max.saturating_sub(self.outstanding(qos))
        };
        let by_acks = match qos {
            Qos::AtMostOnce => u64::MAX,
            _ => self.unacknowledged_max.saturating_sub(self.waiting()),
        };
        by_window.min(by_acks).min(self.target - self.sent)
    }

    /// Messages from the oldest without an acknowledgement on.
    const fn waiting(&self) -> u64 {
        self.sent - self.acknowledged.next()
    }

    /// Messages on their way to the slowest receiver; without one, those that the broker has not taken.
    fn outstanding(&self, qos: Qos) -> u64 {
        match self.received.iter().map(Sequence::next).min() {
            Some(slowest) => self.sent - slowest.max(self.written_off),
            None if qos == Qos::AtMostOnce => 0,
            None => self.waiting(),
        }
    }

    /// Whether anything must come before it can send what it may.
    pub(super) fn is_waiting(&self, qos: Qos) -> bool {
        self.is_blocked || self.outstanding(qos) > 0 || !self.is_acknowledged(qos)
    }

    pub(super) fn is_acknowledged(&self, qos: Qos) -> bool {
        qos == Qos::AtMostOnce || self.unacknowledged() == 0
    }

    /// Everything is sent, and the socket has taken it.
    pub(super) const fn is_done(&self) -> bool {
        self.sent == self.target && !self.is_blocked
    }

    /// Sends one batch of at most `allowed` messages and says how many. `sent_nanos` gives the stamp of each by its
    /// number in the phase.
    pub(super) fn send(
        &mut self,
        allowed: u64,
        run: u32,
        mut sent_nanos: impl FnMut(u64) -> u64,
    ) -> anyhow::Result<u64> {
        let batch_max = (BACKLOG_MAX / self.template.len()).max(1) as u64;
        let batch = allowed.min(batch_max);
        for _ in 0..batch {
            let stamp = Stamp {
                run,
                publisher: self.index,
                number: self.sent,
                sent_nanos: sent_nanos(self.sent_in_phase()),
            };
            if let Some(times) = &mut self.sent_nanos {
                times.nanos.push_back(stamp.sent_nanos);
            }
            let template = match self.others.len() as u64 {
                0 => &self.template,
                others => match self.sent % (others + 1) {
                    0 => &self.template,
                    turn => &self.others[turn as usize - 1],
                },
            };
            template.append(stamp, self.connection.out());
            self.sent += 1;
        }
        self.flush()?;
        Ok(batch)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.connection.flush()?;
        self.is_blocked = self.connection.is_blocked();
        Ok(())
    }

    /// Asks for a sign that the broker has read all that was sent before.
    pub(super) fn ping(&mut self) -> anyhow::Result<()> {
        self.connection.out().extend_from_slice(&PINGREQ);
        self.flush()
    }

    /// Reads acknowledgements; true if there may be more.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        version: Version,
        clock: Instant,
        arrivals: &mut Arrivals,
    ) -> anyhow::Result<bool> {
        let (acknowledged, sent) = (&mut self.acknowledged, self.sent);
        let times = &mut self.sent_nanos;
        let mut answers = false;
        let more = self.connection.read(buffer, |frame, out| {
            if !matches!(frame.packet_type, PacketType::PubAck | PacketType::PubComp) {
                answers = true;
                return handle_other_of_publisher(frame, version, arrivals, out);
            }
            let packet_id = u16::from_be_bytes(accepted_id(frame, version)?);
            let number = number_of(packet_id, acknowledged.next())
                .filter(|&number| number < sent)
                .with_context(|| {
                    format!(
                        "the broker acknowledged Packet Identifier {packet_id}, which is not in use"
                    )
                })?;
            let is_first = acknowledged.observe(number);
            arrivals.acknowledged += u64::from(is_first);
            if let Some(times) = times {
                let waited = times.settle(number, acknowledged.next(), clock);
                if let Some(waited) = waited.filter(|_| is_first) {
                    arrivals.record(waited);
                }
            }
            Ok(())
        })?;
        if answers {
            self.flush()?;
        }
        Ok(more)
    }

    pub(super) fn unacknowledged(&self) -> u64 {
        self.acknowledged.lost(self.sent)
    }

    pub(super) fn lost(&self) -> u64 {
        self.received
            .iter()
            .map(|received| received.lost(self.sent))
            .sum()
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.received.iter().map(Sequence::duplicates).sum()
    }

    pub(super) fn reordered(&self) -> u64 {
        self.received.iter().map(Sequence::reordered).sum()
    }
}

/// When messages were sent that nobody has acknowledged yet: without a subscriber that is all there is to measure.
#[derive(Debug, Default)]
struct SentTimes {
    /// The number of the first.
    first: u64,
    nanos: VecDeque<u64>,
}

impl SentTimes {
    /// How long message `number` has waited; those below `settled` are forgotten.
    fn settle(&mut self, number: u64, settled: u64, clock: Instant) -> Option<u64> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let sent_nanos = *self.nanos.get(at)?;
        let done = usize::try_from(settled - self.first).ok()?;
        self.nanos.drain(..done.min(self.nanos.len()));
        self.first = settled;
        Some((clock.elapsed().as_nanos() as u64).saturating_sub(sent_nanos))
    }
}

/// What comes to a publisher besides the last word on a message.
#[cold]
fn handle_other_of_publisher(
    frame: &Frame<'_>,
    version: Version,
    arrivals: &mut Arrivals,
    out: &mut Vec<u8>,
) -> anyhow::Result<()> {
    match frame.packet_type {
        PacketType::PingResp => arrivals.pings_answered += 1,
        PacketType::PubRec => append_ack(PUBREL, accepted_id(frame, version)?, out),
        other => bail!("the broker sent a publisher an unexpected {other}"),
    }
    Ok(())
}

/// All publishers of a flow, and which of them may have something to send.
#[derive(Debug, Default)]
pub(super) struct Publishers {
    pub(super) all: Vec<Publisher>,
    pub(super) active: Vec<usize>,
}

impl Publishers {
    /// Notes that a publisher may be allowed to send.
    pub(super) fn wake(&mut self, index: usize) {
        let publisher = &mut self.all[index];
        if !publisher.is_active {
            publisher.is_active = true;
            self.active.push(index);
        }
    }

    pub(super) fn wake_all(&mut self) {
        (0..self.all.len()).for_each(|index| self.wake(index));
    }
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) connection: Connection,
    /// The publishers it hears.
    heard: std::ops::Range<usize>,
    /// Its place among the receivers of each of them.
    slot: usize,
}

impl Subscriber {
    pub(super) const fn new(connection: Connection, case: &Case, index: usize) -> Subscriber {
        Subscriber {
            connection,
            heard: case.heard_by(index),
            slot: match case.topology {
                Topology::FanOut => index,
                _ => 0,
            },
        }
    }

    /// Asks for a sign that the broker has read all that was sent before.
    pub(super) fn ping(&mut self) -> anyhow::Result<()> {
        self.connection.out().extend_from_slice(&PINGREQ);
        self.connection.flush()
    }

    /// Reads messages, counts and acknowledges them; true if there may be more.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        load: &Load,
        clock: Instant,
        arrivals: &mut Arrivals,
        publishers: &mut Publishers,
    ) -> anyhow::Result<bool> {
        let (heard, slot) = (self.heard.clone(), self.slot);
        // One look at the clock for all messages of one read, and only if there are any.
        let mut read_nanos = None;
        let more = self.connection.read(buffer, |frame, out| {
            if frame.packet_type != PacketType::Publish {
                return handle_other_of_subscriber(frame, load.version, arrivals, out);
            }
            let received = Received::read(frame, load.version)?;
            let stamp = arrivals.expect(received.payload)?;
            let index = stamp.publisher as usize;
            let publisher = Some(index)
                .filter(|index| heard.contains(index))
                .and_then(|index| publishers.all.get_mut(index))
                .filter(|publisher| stamp.number < publisher.sent)
                .context("the broker delivered a message that was not sent to this subscriber")?;
            if let Some(packet_id) = received.packet_id {
                append_receipt(frame, packet_id, out);
                arrivals.unreleased += u64::from(frame.flags >> 2 & 1);
            }
            if publisher.received[slot].observe(stamp.number) {
                let now = *read_nanos.get_or_insert_with(|| clock.elapsed().as_nanos() as u64);
                arrivals.record(now.saturating_sub(stamp.sent_nanos));
            }
            if !publisher.is_active {
                publishers.wake(index);
            }
            Ok(())
        })?;
        self.connection.flush()?;
        Ok(more)
    }
}

/// What comes to a subscriber besides messages.
#[cold]
fn handle_other_of_subscriber(
    frame: &Frame<'_>,
    version: Version,
    arrivals: &mut Arrivals,
    out: &mut Vec<u8>,
) -> anyhow::Result<()> {
    match frame.packet_type {
        PacketType::PingResp => arrivals.pings_answered += 1,
        PacketType::PubRel => {
            append_ack(PUBCOMP, accepted_id(frame, version)?, out);
            arrivals.unreleased = arrivals.unreleased.saturating_sub(1);
            arrivals.released += 1;
        }
        other => bail!("the broker sent a subscriber an unexpected {other}"),
    }
    Ok(())
}

impl Arrivals {
    /// The stamp of a payload, if the payload is as it was sent.
    fn expect(&self, payload: &[u8]) -> anyhow::Result<Stamp> {
        let stamp = Stamp::read(payload).context("a payload has no room for its stamp")?;
        ensure!(stamp.run == self.run, "a payload was changed on its way");
        let expected = match self.payload_lens.as_slice() {
            [only] => *only,
            lens => lens[(stamp.number % lens.len() as u64) as usize],
        };
        ensure!(
            payload.len() == expected,
            "a payload of {expected} bytes arrived as {} bytes",
            payload.len()
        );
        Ok(stamp)
    }
}
