//! Bytes on their way out of one connection.
//!
//! Small packets are copied together, large payloads are shared, and both leave in one vectored write.
//! A buffer that has been drained holds no memory, so an idle connection costs none.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::codec::EncodeError;

/// From this size a shared payload is worth a piece of its own; below, copying is cheaper.
pub const SHARE_FROM: usize = 4 * 1024;

/// When a piece of copied bytes has this size, the next packet begins another.
const PIECE_LEN: usize = 64 * 1024;

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub struct OutBuf {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that have been written.
    written: usize,
    /// Bytes that wait, over all pieces.
    len: usize,
    /// The first piece is borrowed.
    is_lent: bool,
    /// Borrowed, and not in use.
    spare: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Piece {
    Copied(Vec<u8>),
    Shared(Bytes),
}

impl Piece {
    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Copied(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }
}

impl OutBuf {
    /// An empty buffer, without memory of its own.
    pub const fn new() -> OutBuf {
        OutBuf {
            pieces: VecDeque::new(),
            written: 0,
            len: 0,
            is_lent: false,
            spare: None,
        }
    }

    /// Lends the memory of `piece` to an empty buffer, until [`OutBuf::reclaim`].
    ///
    /// Who writes much saves the growing and the freeing of one piece after the other, and who writes
    /// little shares the memory with all others on its thread.
    pub fn lend(&mut self, mut piece: Vec<u8>) {
        if self.pieces.is_empty() {
            piece.clear();
            self.spare = Some(piece);
        }
    }

    /// Takes back what was lent, if nothing in it waits to be written.
    pub fn reclaim(&mut self) -> Option<Vec<u8>> {
        self.spare.take()
    }

    /// Bytes that wait to be written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets `write` append to the buffer. What it appended is taken back when it fails.
    pub fn append(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let tail = self.tail();
        let before = tail.len();
        let result = write(tail).inspect_err(|_| tail.truncate(before));
        let added = tail.len() - before;
        self.len += added;
        if self.is_empty() {
            // A piece that nothing has been put into is not in use.
            self.advance(0);
        }
        result
    }

    /// Appends a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends `bytes` without a copy if they are large enough for that to pay.
    pub fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            return self.copy(bytes);
        }
        self.len += bytes.len();
        self.pieces.push_back(Piece::Shared(bytes.clone()));
    }

    /// The vector at the end of the buffer.
    fn tail(&mut self) -> &mut Vec<u8> {
        let full = match self.pieces.back() {
            // A lent piece is filled as far as it goes without growing.
            Some(Piece::Copied(bytes)) => {
                bytes.len() >= PIECE_LEN.max(bytes.capacity().saturating_sub(SHARE_FROM))
            }
            Some(Piece::Shared(_)) | None => true,
        };
        if full {
            let spare = self.spare.take_if(|_| self.pieces.is_empty());
            self.is_lent |= spare.is_some();
            self.pieces
                .push_back(Piece::Copied(spare.unwrap_or_default()));
        }
        match self.pieces.back_mut() {
            Some(Piece::Copied(bytes)) => bytes,
            Some(Piece::Shared(_)) | None => {
                unreachable!("a piece of copied bytes has just been made sure of")
            }
        }
    }

    /// Fills `slices` with what waits, from the front; returns how many were filled.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut skip = self.written;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(piece.as_slice().get(skip..).unwrap_or_default());
            skip = 0;
            filled += 1;
        }
        filled
    }

    /// Forgets the first `count` bytes: they have been written.
    pub fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len, "no more can be written than waits");
        self.len = self.len.saturating_sub(count);
        self.written += count;
        while let Some(front) = self.pieces.front() {
            let len = front.as_slice().len();
            if self.written < len {
                return;
            }
            self.written -= len;
            self.forget_first();
        }
        // Give the memory of the queue itself back too.
        *self = OutBuf {
            spare: self.spare.take(),
            ..OutBuf::new()
        };
    }

    fn forget_first(&mut self) {
        let first = self.pieces.pop_front();
        if std::mem::take(&mut self.is_lent)
            && let Some(Piece::Copied(mut piece)) = first
        {
            piece.clear();
            self.spare = Some(piece);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = OutBuf::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(buffer: &mut OutBuf, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !buffer.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = buffer.io_slices(&mut slices);
            let waiting: Vec<u8> = slices[..filled]
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            let count = step.min(waiting.len());
            all.extend_from_slice(&waiting[..count]);
            buffer.advance(count);
        }
        all
    }

    #[test]
    fn order_is_kept_across_copied_and_shared_pieces() {
        let large = Bytes::from(vec![7; SHARE_FROM]);
        for step in [1, 3, 1_000, usize::MAX] {
            let mut buffer = OutBuf::new();
            buffer.copy(b"head");
            buffer.share(&large);
            buffer.share(&Bytes::from_static(b"small"));
            assert_eq!(buffer.len(), 4 + SHARE_FROM + 5);
            let expect = [b"head".as_slice(), &large, b"small"].concat();
            assert_eq!(drain(&mut buffer, step), expect);
        }
    }

    #[test]
    fn a_failed_append_leaves_nothing() {
        let mut buffer = OutBuf::new();
        buffer.copy(b"a");
        let failed = buffer.append(|out| {
            out.extend_from_slice(b"half");
            Err(EncodeError::FieldTooLong(70_000))
        });
        assert!(failed.is_err());
        assert_eq!(drain(&mut buffer, 10), b"a");

        buffer.lend(Vec::with_capacity(PIECE_LEN));
        let failed = buffer.append(|_| Err(EncodeError::FieldTooLong(70_000)));
        assert!(failed.is_err() && buffer.is_empty());
        assert!(buffer.reclaim().is_some(), "nothing waits in it");
    }

    #[test]
    fn what_is_lent_is_used_first_and_comes_back_when_it_is_written() {
        let mut buffer = OutBuf::new();
        let lent: Vec<u8> = Vec::with_capacity(2 * PIECE_LEN);
        let address = lent.as_ptr();
        buffer.lend(lent);
        assert!(buffer.is_empty());
        for round in 0..2 {
            for step in [7, usize::MAX] {
                buffer.copy(&[round; PIECE_LEN]);
                buffer.copy(b"still in the same piece");
                assert_eq!(buffer.pieces.len(), 1);
                buffer.share(&Bytes::from(vec![7; SHARE_FROM]));
                buffer.copy(b"tail");
                assert_eq!(buffer.reclaim(), None, "it is in use");
                assert_eq!(
                    drain(&mut buffer, step).len(),
                    PIECE_LEN + 23 + SHARE_FROM + 4
                );
            }
        }
        let back = buffer.reclaim().expect("nothing waits");
        assert_eq!((back.as_ptr(), back.len()), (address, 0));
        assert_eq!(buffer.reclaim(), None);
    }

    #[test]
    fn a_drained_buffer_holds_no_memory() {
        let mut buffer = OutBuf::new();
        buffer.copy(&[1; 1_000]);
        buffer.advance(1_000);
        assert_eq!(buffer.pieces.capacity(), 0);
    }
}
