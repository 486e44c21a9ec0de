//! The one pump that drives a connection: bytes in, bytes out, and when to stop.
//!
//! It owns a stream and what is left of a packet that has not arrived in full, nothing else. The big
//! read buffer is lent by the caller, so an idle connection owns none.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use wigwag_proto::OutBuf;

use crate::Stream;

/// Pieces in one vectored write.
const SLICES: usize = 64;

/// Bytes at the front of the carry that may wait, although consumed, for the others to follow: moving
/// the rest to the front after each step would cost more than the steps.
const CONSUMED_MAX: usize = 64 * 1024;

/// Both directions of one connection.
///
/// Its methods poll and never wait, so that one task can drive both directions, timers and more. Each
/// arranges a wake-up when it returns [`Poll::Pending`].
#[derive(Debug)]
pub struct Pump<S = Stream> {
    stream: S,
    /// Bytes that have been received, from `consumed` on not consumed.
    carry: Vec<u8>,
    consumed: usize,
}

impl<S> Pump<S> {
    /// A pump for `stream`.
    pub const fn new(stream: S) -> Pump<S> {
        Pump {
            stream,
            carry: Vec::new(),
            consumed: 0,
        }
    }

    /// The stream.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// How many received bytes have not been consumed.
    pub const fn carried(&self) -> usize {
        self.carry.len() - self.consumed
    }

    /// Hands what is carried over to `consume` again, without reading: for a consumer that has left
    /// whole packets and is ready for them now.
    pub fn consume_carried(&mut self, consume: &mut dyn FnMut(&[u8]) -> usize) {
        if self.carried() > 0 {
            let used = consume(self.carry.get(self.consumed..).unwrap_or_default());
            self.consumed += used;
            if self.carried() == 0 || self.consumed > CONSUMED_MAX {
                self.carry = self.carry.split_off(self.consumed);
                self.consumed = 0;
            }
        }
    }

    /// Carries `rest` over, and nothing else.
    fn carry_over(&mut self, rest: &[u8]) {
        self.consumed = 0;
        if rest.is_empty() || self.carry.capacity() > CONSUMED_MAX {
            self.carry = rest.to_vec();
        } else {
            self.carry.clear();
            self.carry.extend_from_slice(rest);
        }
    }
}

impl<S: AsyncRead + Unpin> Pump<S> {
    /// Reads once and hands what has arrived to `consume`; `Ok(false)` when the peer has closed its side.
    ///
    /// `scratch` is the caller's read buffer; any connection may use it between two calls. `consume`
    /// gets the bytes carried over from the last call and the new ones as one slice and returns how
    /// many it has used: whole packets. The rest is carried over. The carry grows with what arrives,
    /// never with what a packet announces, and its memory is given back when nothing is left.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        consume: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        debug_assert!(
            !scratch.is_empty(),
            "a read into no room looks like the end"
        );
        let carried = self.carried();
        if carried > scratch.len() / 2 {
            return self.poll_receive_large(cx, scratch, consume);
        }
        let (front, room) = scratch.split_at_mut(carried);
        let count = ready!(poll_read(&mut self.stream, cx, room))?;
        if count == 0 {
            return Poll::Ready(Ok(false));
        }
        front.copy_from_slice(self.carry.get(self.consumed..).unwrap_or_default());
        let received = scratch.get(..carried + count).unwrap_or_default();
        let used = consume(received);
        if used == 0 {
            self.carry
                .extend_from_slice(received.get(carried..).unwrap_or_default());
        } else {
            self.carry_over(received.get(used..).unwrap_or_default());
        }
        Poll::Ready(Ok(true))
    }

    /// A packet larger than half the scratch buffer gathers in the carry itself.
    fn poll_receive_large(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        consume: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        let count = ready!(poll_read(&mut self.stream, cx, scratch))?;
        if count == 0 {
            return Poll::Ready(Ok(false));
        }
        self.carry.drain(..self.consumed);
        self.consumed = 0;
        self.carry
            .extend_from_slice(scratch.get(..count).unwrap_or_default());
        self.consume_carried(consume);
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncWrite + Unpin> Pump<S> {
    /// Writes what waits in `out` and flushes; ready when nothing is left.
    pub fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut OutBuf,
    ) -> Poll<io::Result<()>> {
        while !out.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = out.io_slices(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            out.advance(count);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Tells the peer that nothing more comes: ends the sending side, or sends a WebSocket close frame.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(room);
    ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Packets of these tests: one byte of length, then as many bytes.
    fn whole_packets(bytes: &[u8], packets: &mut Vec<Vec<u8>>) -> usize {
        let mut rest = bytes;
        while let Some((&len, body)) = rest.split_first()
            && let Some((packet, after)) = body.split_at_checked(usize::from(len))
        {
            packets.push(packet.to_vec());
            rest = after;
        }
        bytes.len() - rest.len()
    }

    #[tokio::test]
    async fn packets_arrive_whole_at_any_split() {
        let sent: Vec<Vec<u8>> = (0..40_u8).map(|len| vec![len; usize::from(len)]).collect();
        let wire: Vec<u8> = sent
            .iter()
            .flat_map(|packet| [&[packet.len() as u8], packet.as_slice()].concat())
            .collect();
        // Half of 16 is less than most packets: both ways of gathering are taken.
        for scratch_len in [1, 16, 4_096] {
            for step in [1, 2, 3, 7, 64, wire.len()] {
                let (ours, mut theirs) = tokio::io::duplex(step);
                let wire = wire.clone();
                let writer = tokio::spawn(async move { theirs.write_all(&wire).await });
                let mut pump = Pump::new(ours);
                let mut scratch = vec![0; scratch_len];
                let mut packets = Vec::new();
                while poll_fn(|cx| {
                    pump.poll_receive(cx, &mut scratch, &mut |bytes| {
                        whole_packets(bytes, &mut packets)
                    })
                })
                .await
                .expect("readable")
                {}
                writer.await.expect("joined").expect("written");
                assert_eq!(packets, sent, "scratch {scratch_len}, step {step}");
                assert_eq!(pump.carry.capacity(), 0);
            }
        }
    }

    #[tokio::test]
    async fn bytes_that_are_used_at_once_are_never_copied_into_the_carry() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"\x02ab").await.expect("written");
        let mut pump = Pump::new(ours);
        let mut scratch = [0; 64];
        let received = poll_fn(|cx| pump.poll_receive(cx, &mut scratch, &mut <[u8]>::len)).await;
        assert!(received.expect("readable"));
        assert_eq!(pump.carry.capacity(), 0);
        assert_eq!(&scratch[..3], b"\x02ab");
    }

    #[tokio::test]
    async fn packets_that_the_consumer_left_are_handed_over_again() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"\x01a\x01b").await.expect("written");
        let mut pump = Pump::new(ours);
        let mut scratch = [0; 64];
        let received = poll_fn(|cx| pump.poll_receive(cx, &mut scratch, &mut |_| 2)).await;
        assert!(received.expect("readable"));
        assert_eq!(pump.carried(), 2);
        let mut packets = Vec::new();
        pump.consume_carried(&mut |bytes| whole_packets(bytes, &mut packets));
        assert_eq!((packets, pump.carried()), (vec![b"b".to_vec()], 0));
    }

    #[tokio::test]
    async fn what_waits_is_written_in_order_through_a_narrow_pipe() {
        let (ours, mut theirs) = tokio::io::duplex(3);
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|_| all)
        });
        let mut pump = Pump::new(ours);
        let mut out = OutBuf::new();
        let mut expect = Vec::new();
        for index in 0..200_u8 {
            let payload = bytes::Bytes::from(vec![index; 4_096]);
            out.copy(&[index]);
            out.share(&payload);
            expect.push(index);
            expect.extend_from_slice(&payload);
        }
        poll_fn(|cx| pump.poll_transmit(cx, &mut out))
            .await
            .expect("written");
        assert!(out.is_empty());
        poll_fn(|cx| pump.poll_close(cx)).await.expect("closed");
        assert_eq!(reader.await.expect("joined").expect("read"), expect);
    }
}
