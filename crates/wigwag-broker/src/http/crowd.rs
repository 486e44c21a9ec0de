//! Who has how many of the places for HTTP, so that one address does not take all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CONNECTIONS_MAX;
use crate::origin;

/// Connections from one address at the same time, once half of the places are taken. Until then nobody is held to a
/// share: a whole office may come from one address, that of its router.
pub(crate) const CONNECTIONS_PER_ADDRESS: usize = 16;

/// How many connections there are from each address.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_address: BTreeMap<IpAddr, usize>,
    all: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct One {
    crowd: Arc<Crowd>,
    ip: Option<IpAddr>,
}

impl Crowd {
    /// None if there are too many already. Who has no address is not counted.
    pub(super) fn enter(self: &Arc<Crowd>, ip: Option<IpAddr>) -> Option<One> {
        let ip = ip.map(origin::of);
        if let Some(ip) = ip {
            let mut counts = self.lock();
            let from_there = counts.by_address.get(&ip).copied().unwrap_or(0);
            if from_there >= CONNECTIONS_PER_ADDRESS && counts.all >= CONNECTIONS_MAX / 2 {
                return None;
            }
            counts.by_address.insert(ip, from_there + 1);
            counts.all += 1;
        }
        Some(One {
            crowd: Arc::clone(self),
            ip,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let Some(ip) = self.ip else { return };
        let mut counts = self.crowd.lock();
        counts.all -= 1;
        if let Some(count) = counts.by_address.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let crowd = Arc::<Crowd>::default();
        let from = |last| Some(IpAddr::from([127, 0, 0, last]));
        let enter = |last| std::iter::from_fn(|| crowd.enter(from(last))).collect::<Vec<One>>();
        let mut here = enter(1);
        assert_eq!(here.len(), CONNECTIONS_MAX / 2);
        let there = enter(2);
        assert_eq!(there.len(), CONNECTIONS_PER_ADDRESS);
        assert!(crowd.enter(from(3)).is_some() && crowd.enter(None).is_some());
        here.truncate(CONNECTIONS_PER_ADDRESS);
        assert!(crowd.enter(from(1)).is_none());
        here.pop();
        assert!(crowd.enter(from(1)).is_some());
        drop((here, there));
        let counts = crowd.lock();
        assert!(counts.by_address.is_empty() && counts.all == 0);
    }
}
