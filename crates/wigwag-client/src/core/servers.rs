//! Which server to call next: the list that the user gave, and where servers send the client.
//!
//! A *round* is one attempt on each server of the list. Within a round there is no waiting, so that a
//! failover takes no longer than the dead server's refusal; the backoff counts rounds.

use wigwag_net::dial::Target;
use wigwag_proto::ReasonCode;

pub(super) struct Servers {
    list: Vec<Target>,
    current: usize,
    /// A connection that ends is followed by an attempt on the first.
    prefers_first: bool,
    /// Where a server has sent the client, in place of the current one.
    elsewhere: Option<Target>,
    /// What the next attempt is to be, if that is settled before the current one has ended.
    settled: bool,
    /// Failures in this round.
    failed: usize,
    /// How many times a server has sent the client elsewhere in this round, and how many are followed.
    redirects: u8,
    redirects_max: u8,
}

impl Servers {
    /// Begins with the first of `list`, which is not empty.
    pub(super) fn new(list: Vec<Target>, prefers_first: bool, redirects_max: u8) -> Servers {
        Servers {
            list,
            current: 0,
            prefers_first,
            elsewhere: None,
            settled: false,
            failed: 0,
            redirects: 0,
            redirects_max,
        }
    }

    /// The server to call.
    pub(super) fn current(&self) -> &Target {
        let listed = self.list.get(self.current).or(self.list.first());
        (self.elsewhere.as_ref().or(listed)).expect("the builder demands a server")
    }

    /// The connection was stable: a new round begins with whatever ends it.
    pub(super) fn begin_round(&mut self) {
        self.failed = 0;
        self.redirects = 0;
    }

    /// A connection has ended that the server had accepted.
    pub(super) fn handle_lost(&mut self) {
        // A server that has sent the client elsewhere, or wants other words, goes before.
        if self.prefers_first && !self.settled {
            self.elsewhere = None;
            // The one before the first.
            self.current = self.list.len() - 1;
        }
    }

    /// The same server is to be called again, with other words.
    pub(super) fn stay(&mut self) {
        self.settled = true;
    }

    /// Whether the next attempt is settled already, whatever the server's refusal means otherwise.
    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The server ends the connection and names others in its Server Reference: the first that can be
    /// called is the next. Does nothing past the bound, so that servers cannot send the client in a
    /// circle.
    pub(super) fn follow(&mut self, reason: ReasonCode, reference: Option<&str>) {
        let permanently = match reason {
            ReasonCode::UseAnotherServer => false,
            ReasonCode::ServerMoved => true,
            _ => return,
        };
        if self.redirects == self.redirects_max {
            return;
        }
        let current = self.current().clone();
        let mut named = reference.unwrap_or_default().split_ascii_whitespace();
        let Some(target) = named.find_map(|name| current.with_address(name).ok()) else {
            return;
        };
        self.redirects += 1;
        self.settled = true;
        if let Some(listed) = self.list.get_mut(self.current).filter(|_| permanently) {
            *listed = target;
            self.elsewhere = None;
        } else {
            self.elsewhere = Some(target);
        }
    }

    /// The attempt or the connection has ended. Moves on to the next server; returns whether the round is
    /// over, so that it is time to wait.
    pub(super) fn handle_failed(&mut self) -> bool {
        if std::mem::take(&mut self.settled) {
            return false;
        }
        if self.elsewhere.take().is_some() && self.redirects < self.redirects_max {
            // Back to the list, to the one that sent the client away.
            return false;
        }
        self.failed += 1;
        self.current = (self.current + 1) % self.list.len();
        let is_over = self.failed >= self.list.len();
        if is_over {
            self.begin_round();
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: usize) -> Servers {
        let list = (0..count).map(|index| {
            let address = format!("mqtt://listed{index}");
            Target::parse(&address).expect("valid")
        });
        Servers::new(list.collect(), false, 3)
    }

    fn host(servers: &Servers) -> &str {
        servers.current().host()
    }

    #[test]
    fn a_round_visits_each_server_before_it_waits() {
        let mut servers = servers(3);
        let mut visited = Vec::new();
        for _ in 0..6 {
            visited.push(host(&servers).to_owned());
            visited.push(servers.handle_failed().to_string());
        }
        let round = "listed0 false listed1 false listed2 true";
        assert_eq!(visited.join(" "), [round, round].join(" "));
    }

    #[test]
    fn the_first_is_called_when_a_connection_has_ended_if_it_is_preferred() {
        for (prefers_first, expect) in [(false, "listed2"), (true, "listed0")] {
            let mut servers = servers(3);
            servers.prefers_first = prefers_first;
            assert!(!servers.handle_failed());
            servers.begin_round();
            servers.handle_lost();
            assert!(!servers.handle_failed());
            assert_eq!(host(&servers), expect);
        }
    }

    #[test]
    fn a_reference_is_followed_and_left_when_it_leads_nowhere() {
        let mut servers = servers(1);
        servers.follow(ReasonCode::UseAnotherServer, Some("a:1884 b"));
        assert!(!servers.handle_failed());
        assert_eq!(servers.current().to_string(), "mqtt://a:1884");
        assert!(!servers.handle_failed(), "back to the list at once");
        assert_eq!(host(&servers), "listed0");
        assert!(servers.handle_failed());
    }

    #[test]
    fn a_server_that_has_moved_is_forgotten() {
        let mut servers = servers(2);
        servers.follow(ReasonCode::ServerMoved, Some("a b "));
        assert!(!servers.handle_failed());
        assert_eq!(host(&servers), "a");
        assert!(!servers.handle_failed());
        assert_eq!(host(&servers), "listed1");
        assert!(servers.handle_failed());
        assert_eq!(host(&servers), "a");
    }

    #[test]
    fn servers_cannot_send_the_client_in_a_circle() {
        let mut servers = servers(1);
        let mut at_once = 0;
        loop {
            let other = if host(&servers) == "a" { "b" } else { "a" };
            servers.follow(ReasonCode::UseAnotherServer, Some(other));
            if servers.handle_failed() {
                break;
            }
            at_once += 1;
            assert!(at_once < 10, "no end");
        }
        assert_eq!(at_once, 3);
    }

    #[test]
    fn what_cannot_be_followed_is_a_failure() {
        let check = |reason, reference| {
            let mut servers = servers(1);
            servers.follow(reason, reference);
            assert!(servers.handle_failed(), "{reason:?} {reference:?}");
            assert_eq!(host(&servers), "listed0");
        };
        check(ReasonCode::UseAnotherServer, None);
        check(ReasonCode::UseAnotherServer, Some("not:a:host"));
        check(ReasonCode::ServerBusy, Some("a"));
    }
}
