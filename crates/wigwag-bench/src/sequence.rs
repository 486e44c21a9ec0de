//! What became of a numbered stream: gaps, repetitions, arrivals out of order.
//!
//! One `Sequence` watches the messages of one publisher at one subscriber, another the PUBACKs of one
//! publisher. Numbers start at 0 and are sent in ascending order. Memory grows with the number of
//! gaps, not with the length of the stream.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Sequence {
    /// One above the highest number seen.
    next: u64,
    /// Ranges below `next` that have not been seen: first number to one past the last.
    missing: BTreeMap<u64, u64>,
    duplicates: u64,
    reordered: u64,
}

impl Sequence {
    /// Notes the arrival of `number`; false if it has been seen before.
    #[inline]
    pub(crate) fn observe(&mut self, number: u64) -> bool {
        if number == self.next {
            self.next += 1;
            return true;
        }
        self.observe_out_of_turn(number)
    }

    #[cold]
    fn observe_out_of_turn(&mut self, number: u64) -> bool {
        if number > self.next {
            self.missing.insert(self.next, number);
            self.next = number + 1;
            return true;
        }
        self.observe_late(number)
    }

    fn observe_late(&mut self, number: u64) -> bool {
        let gap = self.missing.range(..=number).next_back();
        let Some((&first, &end)) = gap.filter(|&(_, &end)| number < end) else {
            self.duplicates += 1;
            return false;
        };
        self.missing.remove(&first);
        if first < number {
            self.missing.insert(first, number);
        }
        if number + 1 < end {
            self.missing.insert(number + 1, end);
        }
        self.reordered += 1;
        true
    }

    /// One above the highest number seen: everything below has arrived or has been overtaken.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// How many of the first `sent` numbers have not been seen.
    pub(crate) fn lost(&self, sent: u64) -> u64 {
        let overtaken: u64 = self.missing.iter().map(|(first, end)| end - first).sum();
        overtaken + sent.saturating_sub(self.next)
    }

    /// Arrivals of numbers that had been seen before.
    pub(crate) const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// First arrivals of numbers that a higher one had overtaken.
    pub(crate) const fn reordered(&self) -> u64 {
        self.reordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost of ten, duplicates and order violations after these arrivals.
    fn after(arrivals: &[u64]) -> (u64, u64, u64) {
        let mut sequence = Sequence::default();
        for &number in arrivals {
            sequence.observe(number);
        }
        (
            sequence.lost(10),
            sequence.duplicates(),
            sequence.reordered(),
        )
    }

    #[test]
    fn a_complete_stream_has_nothing_to_report() {
        assert_eq!(after(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), (0, 0, 0));
    }

    #[test]
    fn gaps_and_the_missing_end_are_lost() {
        assert_eq!(after(&[]), (10, 0, 0));
        assert_eq!(after(&[0, 1, 5, 6, 8]), (5, 0, 0));
        assert_eq!(after(&[9]), (9, 0, 0));
    }

    #[test]
    fn a_second_arrival_is_a_duplicate_even_inside_former_gaps() {
        assert_eq!(after(&[0, 0, 1, 2]), (7, 1, 0));
        assert_eq!(after(&[0, 5, 3, 3, 5, 0]), (7, 3, 1));
    }

    #[test]
    fn a_late_arrival_fills_its_gap_and_violates_the_order() {
        assert_eq!(after(&[0, 2, 1, 3, 4, 5, 6, 7, 8, 9]), (0, 0, 1));
        assert_eq!(after(&[9, 4, 0, 8, 1, 2, 3, 5, 6, 7]), (0, 0, 9));
    }

    #[test]
    fn any_order_of_arrival_agrees_with_a_set_of_numbers() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut sequence = Sequence::default();
            let (mut seen, mut highest, mut reordered, mut duplicates) =
                (vec![false; 40], None, 0, 0);
            for _ in 0..random.usize(..80) {
                let number = random.usize(..40);
                let first = !std::mem::replace(&mut seen[number], true);
                duplicates += u64::from(!first);
                reordered += u64::from(first && highest > Some(number));
                highest = highest.max(Some(number));
                assert_eq!(sequence.observe(number as u64), first);
            }
            let lost = seen.iter().filter(|seen| !**seen).count() as u64;
            assert_eq!(sequence.lost(40), lost);
            assert_eq!(sequence.duplicates(), duplicates);
            assert_eq!(sequence.reordered(), reordered);
        }
    }
}
