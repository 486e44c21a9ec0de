//! The publishers and subscribers of a case: what each may send, and what it makes of what it reads.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use wigwag_proto::codec::Frame;
use wigwag_proto::packet::PacketType;
use wigwag_proto::{Qos, ReasonCode, Version};

use super::{Arrivals, BACKLOG_MAX};
use crate::case::{Case, Load, Topology};
use crate::connection::{Connection, Identity};
use crate::sequence::Sequence;
use crate::wire::{PACKET_IDS, Received, Stamp, Template, append_puback, number_of};

const PINGREQ: [u8; 2] = [(PacketType::PingReq as u8) << 4, 0];

/// With more messages unacknowledged an identifier could mean two of them.
const UNACKNOWLEDGED_MAX: u64 = PACKET_IDS / 2;

/// The topic of a publisher, below one that only this run uses.
fn topic(run: u32, publisher: usize) -> String {
    format!("bench/{run:08x}/{publisher}")
}

fn identity<'a>(load: &'a Load, client_id: &'a str) -> Identity<'a> {
    Identity {
        client_id,
        version: load.version,
        user_name: load.user_name.as_deref(),
        password: load.password.as_deref(),
    }
}

#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) connection: Connection,
    index: u32,
    template: Template,
    /// Messages since the connection began, and so the number of the next.
    sent: u64,
    /// `sent` when the phase began.
    phase_start: u64,
    /// `sent` when the phase is over.
    target: u64,
    /// Messages that may be on their way to the slowest receiver.
    outstanding_max: u64,
    unacknowledged_max: u64,
    acknowledged: Sequence,
    /// What has become of its messages at each of its receivers.
    received: Vec<Sequence>,
    /// Messages below this number are not waited for.
    written_off: u64,
    /// The socket did not take everything; an event will say when it does.
    is_blocked: bool,
}

impl Publisher {
    pub(crate) fn connect(
        address: SocketAddr,
        case: &Case,
        load: &Load,
        run: u32,
        index: usize,
    ) -> anyhow::Result<Publisher> {
        let client_id = format!("bench{run:08x}p{index}");
        let topic = topic(run, index);
        let template = Template::new(&topic, case.qos, load.version, case.payload_len)?;
        let receivers = usize::try_from(case.receivers())?;
        Ok(Publisher {
            connection: Connection::open(address, &identity(load, &client_id), None)?,
            index: u32::try_from(index)?,
            template,
            sent: 0,
            phase_start: 0,
            target: 0,
            outstanding_max: 0,
            unacknowledged_max: 0,
            acknowledged: Sequence::default(),
            received: (0..receivers).map(|_| Sequence::default()).collect(),
            written_off: 0,
            is_blocked: false,
        })
    }

    pub(crate) const fn packet_len(&self) -> usize {
        self.template.len()
    }

    pub(crate) fn begin(&mut self, messages: u64, outstanding_max: u64) {
        // What the warm-up lost must not narrow the window.
        self.write_off();
        self.phase_start = self.sent;
        self.target = self.sent.saturating_add(messages);
        self.outstanding_max = outstanding_max;
        self.unacknowledged_max = outstanding_max
            .min(self.connection.receive_maximum.get().into())
            .min(UNACKNOWLEDGED_MAX);
    }

    /// Sends nothing more in this phase.
    pub(crate) const fn stop(&mut self) {
        self.target = self.sent;
    }

    /// Gives up what has not arrived.
    pub(crate) const fn write_off(&mut self) {
        self.written_off = self.sent;
    }

    pub(crate) const fn sent_in_phase(&self) -> u64 {
        self.sent - self.phase_start
    }

    /// How many messages may be sent at once.
    pub(crate) fn allowance(&self, qos: Qos) -> u64 {
        if self.is_blocked {
            return 0;
        }
        let by_window = self.outstanding_max.saturating_sub(self.outstanding());
        let by_acks = match qos {
            Qos::AtMostOnce => u64::MAX,
            _ => {
                let waiting = self.sent - self.acknowledged.next();
                self.unacknowledged_max.saturating_sub(waiting)
            }
        };
        by_window.min(by_acks).min(self.target - self.sent)
    }

    /// Messages on their way to the slowest receiver.
    fn outstanding(&self) -> u64 {
        let slowest = self.received.iter().map(Sequence::next).min();
        self.sent - slowest.unwrap_or(0).max(self.written_off)
    }

    /// Whether anything must come before it can send what it may.
    pub(crate) fn is_waiting(&self, qos: Qos) -> bool {
        self.is_blocked || self.outstanding() > 0 || !self.is_acknowledged(qos)
    }

    pub(crate) fn is_acknowledged(&self, qos: Qos) -> bool {
        qos == Qos::AtMostOnce || self.unacknowledged() == 0
    }

    /// Everything is sent, and the socket has taken it.
    pub(crate) const fn is_done(&self) -> bool {
        self.sent == self.target && !self.is_blocked
    }

    /// Sends one batch of at most `allowed` messages. `sent_nanos` gives the stamp of each by its
    /// number in the phase.
    pub(crate) fn send(
        &mut self,
        allowed: u64,
        run: u32,
        mut sent_nanos: impl FnMut(u64) -> u64,
    ) -> anyhow::Result<()> {
        let batch_max = (BACKLOG_MAX / self.template.len()).max(1) as u64;
        for _ in 0..allowed.min(batch_max) {
            let stamp = Stamp {
                run,
                publisher: self.index,
                number: self.sent,
                sent_nanos: sent_nanos(self.sent_in_phase()),
            };
            self.template.append(stamp, self.connection.out());
            self.sent += 1;
        }
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.connection.flush()?;
        self.is_blocked = self.connection.backlog() > 0;
        Ok(())
    }

    /// Reads PUBACKs; true if there may be more.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        version: Version,
        arrivals: &mut Arrivals,
    ) -> anyhow::Result<bool> {
        let (acknowledged, sent) = (&mut self.acknowledged, self.sent);
        self.connection.read(buffer, |frame, _| {
            let packet_id = puback(frame, version)?;
            let number = number_of(packet_id, acknowledged.next())
                .filter(|&number| number < sent)
                .with_context(|| {
                    format!(
                        "the broker acknowledged Packet Identifier {packet_id}, which is not in use"
                    )
                })?;
            arrivals.acknowledged += u64::from(acknowledged.observe(number));
            Ok(())
        })
    }

    pub(crate) fn unacknowledged(&self) -> u64 {
        self.acknowledged.lost(self.sent)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.received
            .iter()
            .map(|received| received.lost(self.sent))
            .sum()
    }

    pub(crate) fn duplicates(&self) -> u64 {
        self.received.iter().map(Sequence::duplicates).sum()
    }

    pub(crate) fn reordered(&self) -> u64 {
        self.received.iter().map(Sequence::reordered).sum()
    }
}

/// The Packet Identifier of a PUBACK that accepts its message.
fn puback(frame: &Frame<'_>, version: Version) -> anyhow::Result<u16> {
    let Some((&packet_id, rest)) = frame.body.split_first_chunk() else {
        bail!("the broker sent a PUBACK that ends inside a field");
    };
    // Without a Reason Code it is Success; an error would be counted as a loss with a false cause.
    let reason = rest.first().filter(|_| version.has_properties());
    let refusal = reason
        .and_then(|&code| ReasonCode::from_u8(code))
        .filter(|code| code.is_error());
    if let Some(reason) = refusal {
        bail!("the broker refused a message: {reason}");
    }
    Ok(u16::from_be_bytes(packet_id))
}

#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) connection: Connection,
    /// The publishers it hears.
    heard: std::ops::Range<usize>,
    /// Its place among the receivers of each of them.
    slot: usize,
}

impl Subscriber {
    pub(crate) fn connect(
        address: SocketAddr,
        case: &Case,
        load: &Load,
        run: u32,
        index: usize,
    ) -> anyhow::Result<Subscriber> {
        let client_id = format!("bench{run:08x}s{index}");
        let (filter, slot) = match case.topology {
            Topology::Pairs => (topic(run, index), 0),
            Topology::FanOut => (topic(run, 0), index),
            Topology::FanIn => (format!("bench/{run:08x}/+"), 0),
        };
        let identity = identity(load, &client_id);
        Ok(Subscriber {
            connection: Connection::open(address, &identity, Some((&filter, case.qos)))?,
            heard: case.heard_by(index),
            slot,
        })
    }

    /// Asks for a sign that the broker has read all that was sent before.
    pub(crate) fn ping(&mut self) -> anyhow::Result<()> {
        self.connection.out().extend_from_slice(&PINGREQ);
        self.connection.flush()
    }

    /// Reads messages, counts and acknowledges them; true if there may be more.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        version: Version,
        clock: Instant,
        arrivals: &mut Arrivals,
        publishers: &mut [Publisher],
    ) -> anyhow::Result<bool> {
        let (heard, slot) = (self.heard.clone(), self.slot);
        // One look at the clock for all messages of one read, and only if there are any.
        let mut read_nanos = None;
        let more = self.connection.read(buffer, |frame, out| {
            if frame.packet_type == PacketType::PingResp {
                arrivals.pings_answered += 1;
                return Ok(());
            }
            let received = Received::read(frame, version)?;
            let stamp = arrivals.expect(received.payload)?;
            let publisher = usize::try_from(stamp.publisher)
                .ok()
                .filter(|index| heard.contains(index))
                .and_then(|index| publishers.get_mut(index))
                .filter(|publisher| stamp.number < publisher.sent)
                .context("the broker delivered a message that was not sent to this subscriber")?;
            if let Some(packet_id) = received.packet_id {
                append_puback(packet_id, out);
            }
            if publisher.received[slot].observe(stamp.number) {
                let now = *read_nanos.get_or_insert_with(|| clock.elapsed().as_nanos() as u64);
                arrivals.record(now.saturating_sub(stamp.sent_nanos));
            }
            Ok(())
        })?;
        self.connection.flush()?;
        Ok(more)
    }
}

impl Arrivals {
    /// The stamp of a payload, if the payload is as it was sent.
    fn expect(&self, payload: &[u8]) -> anyhow::Result<Stamp> {
        ensure!(
            payload.len() == self.payload_len,
            "a payload of {} bytes arrived as {} bytes",
            self.payload_len,
            payload.len()
        );
        let stamp = Stamp::read(payload).context("a payload has no room for its stamp")?;
        ensure!(stamp.run == self.run, "a payload was changed on its way");
        Ok(stamp)
    }
}
