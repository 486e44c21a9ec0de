//! Values under Packet Identifiers that are given out in a circle: one that has been used comes again only after all
//! others, so that a late acknowledgement does not meet another message.
//!
//! The memory follows the values that there are, not the distance between their identifiers. Between two bursts it is
//! kept as long as they use it.

use std::collections::VecDeque;

use crate::packet::PacketId;

/// The values, from the oldest identifier to the one that was given out last.
#[derive(Debug)]
pub(super) struct Circle<T> {
    places: VecDeque<Place<T>>,
    /// Places without a value.
    holes: usize,
    /// The identifier that was given out last.
    last: Option<PacketId>,
    /// Whether the next identifier is to be looked for anew, because some were put in by hand.
    is_turned: bool,
    /// The identifier that was given out last before it was empty.
    emptied_at: PacketId,
}

#[derive(Debug)]
struct Place<T> {
    packet_id: PacketId,
    value: Option<T>,
}

/// How many identifiers there are.
const ALL: u16 = u16::MAX;

/// So many places are not worth giving back.
const KEEP: usize = 32;

impl<T> Circle<T> {
    pub(super) const fn new() -> Circle<T> {
        Circle {
            places: VecDeque::new(),
            holes: 0,
            last: None,
            is_turned: false,
            emptied_at: PacketId::MIN,
        }
    }

    /// Lets the next identifier be the one behind this, if none has been given out.
    pub(super) fn begin_behind(&mut self, packet_id: PacketId) {
        self.last.get_or_insert(packet_id);
    }

    /// Whether no identifier is free.
    pub(super) fn is_full(&self) -> bool {
        self.places.len() - self.holes == usize::from(ALL)
    }

    /// Puts the value under the next identifier; gives it back when none is free.
    pub(super) fn push(&mut self, value: T) -> Result<PacketId, T> {
        if self.is_full() {
            return Err(value);
        }
        self.turn();
        let mut packet_id = self.last.map_or(PacketId::MIN, next);
        // What has been there for a whole round is passed over.
        while self.first() == Some(packet_id) {
            match self.places.pop_front() {
                Some(Place { value: None, .. }) | None => {
                    self.holes -= 1;
                    break;
                }
                Some(place) => self.places.push_back(place),
            }
            packet_id = next(packet_id);
        }
        self.last = Some(packet_id);
        self.places.push_back(Place {
            packet_id,
            value: Some(value),
        });
        Ok(packet_id)
    }

    /// Puts the value under this identifier, which becomes the last one if `is_last`; gives it back when there is one.
    pub(super) fn insert(&mut self, packet_id: PacketId, value: T, is_last: bool) -> Result<(), T> {
        match self.position(packet_id) {
            Ok(position) => match self.places.get_mut(position) {
                Some(Place {
                    value: place @ None,
                    ..
                }) => {
                    *place = Some(value);
                    self.holes -= 1;
                }
                _ => return Err(value),
            },
            Err(position) => {
                let value = Some(value);
                self.places.insert(position, Place { packet_id, value });
            }
        }
        if is_last {
            self.last = Some(packet_id);
        }
        self.is_turned = true;
        Ok(())
    }

    pub(super) fn get(&self, packet_id: PacketId) -> Option<&T> {
        let position = self.position(packet_id).ok()?;
        self.places.get(position)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, packet_id: PacketId) -> Option<&mut T> {
        let position = self.position(packet_id).ok()?;
        self.places.get_mut(position)?.value.as_mut()
    }

    /// Takes the value out if it is one of these.
    pub(super) fn remove_if(
        &mut self,
        packet_id: PacketId,
        accept: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        // Acknowledgements mostly come in order, and the first place is never a hole.
        if self.first() == Some(packet_id) {
            let oldest = self.places.front()?.value.as_ref();
            oldest.filter(|value| accept(value))?;
            let oldest = self.places.pop_front()?;
            self.tidy();
            return oldest.value;
        }
        let position = self.position(packet_id).ok()?;
        let value = &mut self.places.get_mut(position)?.value;
        let value = value.take_if(|value| accept(value))?;
        self.holes += 1;
        self.tidy();
        Some(value)
    }

    /// The values with their identifiers, from the oldest identifier on.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (PacketId, &mut T)> {
        let places = self.places.iter_mut();
        places.filter_map(|place| Some((place.packet_id, place.value.as_mut()?)))
    }

    /// The same, for reading.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PacketId, &T)> {
        let places = self.places.iter();
        places.filter_map(|place| Some((place.packet_id, place.value.as_ref()?)))
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.places.into_iter().filter_map(|place| place.value)
    }

    /// Where the identifier stands, or would stand.
    fn position(&self, packet_id: PacketId) -> Result<usize, usize> {
        let Some(first) = self.first() else {
            return Err(0);
        };
        // Acknowledgements mostly come in order.
        if first == packet_id {
            return Ok(0);
        }
        let wanted = distance(first, packet_id);
        self.places
            .binary_search_by_key(&wanted, |place| distance(first, place.packet_id))
    }

    fn first(&self) -> Option<PacketId> {
        self.places.front().map(|place| place.packet_id)
    }

    /// Makes the one that follows the last the first.
    fn turn(&mut self) {
        if std::mem::take(&mut self.is_turned) {
            let from = self.last.map_or(PacketId::MIN, next);
            let places = self.places.make_contiguous();
            places.sort_unstable_by_key(|place| distance(from, place.packet_id));
        }
    }

    /// Lets the first place be none that is empty, and gives back the memory of what is gone.
    fn tidy(&mut self) {
        while self.holes > 0 && matches!(self.places.front(), Some(Place { value: None, .. })) {
            self.places.pop_front();
            self.holes -= 1;
        }
        if self.holes > KEEP && self.holes > self.places.len() / 2 {
            self.places.retain(|place| place.value.is_some());
            self.holes = 0;
        }
        if self.places.is_empty() {
            self.rest();
        }
    }

    /// It is empty; what was in use since the last time is likely to be in use again.
    fn rest(&mut self) {
        let last = self.last.unwrap_or(PacketId::MIN);
        let used = distance(self.emptied_at, last).into();
        self.emptied_at = last;
        if self.places.capacity() > KEEP && self.places.capacity() / 4 >= used {
            self.places.shrink_to(2 * used);
        }
    }

    /// Gives back what is kept for the next burst.
    pub(super) fn relax(&mut self) {
        if self.places.capacity() > KEEP {
            self.places.shrink_to_fit();
        }
    }
}

fn next(packet_id: PacketId) -> PacketId {
    PacketId::new(packet_id.get().wrapping_add(1)).unwrap_or(PacketId::MIN)
}

/// How many steps lead from one identifier to another.
fn distance(from: PacketId, to: PacketId) -> u16 {
    let (from, to) = (from.get(), to.get());
    if to >= from {
        to - from
    } else {
        ALL - (from - to)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(id: u16) -> PacketId {
        PacketId::new(id).expect("not zero")
    }

    #[test]
    fn an_identifier_comes_again_after_all_others() {
        let mut circle = Circle::new();
        for n in 1..=65_535 {
            assert_eq!(circle.push(n), Ok(id(n)));
            assert_eq!(circle.remove_if(id(n), |_| true), Some(n));
        }
        assert_eq!(circle.push(0), Ok(id(1)));
    }

    #[test]
    fn one_that_stays_is_passed_over_and_takes_no_room_for_others() {
        let mut circle = Circle::new();
        assert_eq!(circle.push(0), Ok(id(1)));
        for round in 0..3 {
            for n in 2..=65_535 {
                assert_eq!(circle.push(round), Ok(id(n)));
                assert_eq!(circle.remove_if(id(n), |_| true), Some(round));
                assert!(circle.places.len() < 100);
            }
        }
        assert_eq!(circle.remove_if(id(1), |_| true), Some(0));
    }

    #[test]
    fn its_memory_follows_its_use() {
        let mut circle = Circle::new();
        let burst = |circle: &mut Circle<u16>, len: u16| {
            let ids: Vec<PacketId> = (0..len).filter_map(|n| circle.push(n).ok()).collect();
            for packet_id in ids {
                assert!(circle.remove_if(packet_id, |_| true).is_some());
            }
            circle.places.capacity()
        };
        let kept = burst(&mut circle, 1_000);
        assert!(kept >= 1_000);
        assert_eq!(burst(&mut circle, 1_000), kept);
        assert!(burst(&mut circle, 10) <= 40);
        burst(&mut circle, 1_000);
        circle.relax();
        assert_eq!(circle.places.capacity(), 0);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(steps in prop::collection::vec((0_u8..4, 0_usize..40, 1_u16..90), 1..300)) {
            let mut circle = Circle::new();
            // Near the end of the round.
            prop_assert!(circle.insert(id(65_500), 0, true).is_ok());
            let mut map = BTreeMap::from([(id(65_500), 0)]);
            for (n, (step, nth, other)) in (1..).zip(steps) {
                match step {
                    0 | 1 => if let Ok(packet_id) = circle.push(n) {
                        prop_assert_eq!(map.insert(packet_id, n), None);
                    },
                    2 => if let Some(packet_id) = map.keys().nth(nth % map.len().max(1)).copied() {
                        prop_assert_eq!(circle.remove_if(packet_id, |_| true), map.remove(&packet_id));
                    },
                    _ => {
                        let inserted = circle.insert(id(other), n, nth % 2 == 0);
                        prop_assert_eq!(inserted.is_ok(), !map.contains_key(&id(other)));
                        map.entry(id(other)).or_insert(n);
                    }
                }
                for (packet_id, value) in &map {
                    prop_assert_eq!(circle.get(*packet_id), Some(value));
                }
                prop_assert_eq!(circle.iter().count(), map.len());
            }
        }
    }
}
