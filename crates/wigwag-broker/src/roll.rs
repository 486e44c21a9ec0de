//! Who is there, and who has subscribed to what: for people who ask, on a thread that may wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use wigwag_engine::routes::{Subscribed, Target};
use wigwag_engine::{Node, Present};

use crate::desk::Order;
use crate::mailbox::Mailbox;

/// How long the shards may take to answer; whoever has not by then is left out.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Subscriptions that are printed.
const PRINTED_MAX: usize = 100_000;

/// All sessions of all shards that answer in time.
pub(crate) fn call(mailboxes: &[Mailbox]) -> Vec<Present> {
    let (answer, answers) = channel();
    for mailbox in mailboxes {
        mailbox.send_order(Order::Roll(answer.clone()));
    }
    drop(answer);
    let until = Instant::now() + ANSWER_WITHIN;
    let mut all = Vec::new();
    while let Ok(some) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
        all.extend(some);
    }
    all
}

/// The subscriptions as Mosquitto prints them: a level in each line, and behind a filter its clients with
/// their QoS; then those of shared subscriptions, which Mosquitto prints without their clients.
pub(crate) fn tree(node: &Node, mailboxes: &[Mailbox]) -> String {
    let (subscribed, all) = node.subscriptions(PRINTED_MAX);
    let present = call(mailboxes);
    let names: HashMap<Target, &str> = (present.iter())
        .map(|present| (present.target, &*present.identity.client_id))
        .collect();
    let mut text = draw(&subscribed, &names, false, &["", "$SYS"]);
    text += &draw(&subscribed, &names, true, &[""]);
    if all > subscribed.len() {
        let _ = writeln!(text, "and {} more subscriptions", all - subscribed.len());
    }
    text
}

type Path<'a> = Vec<&'a str>;

fn draw(
    subscribed: &[Subscribed],
    names: &HashMap<Target, &str>,
    is_shared: bool,
    roots: &[&str],
) -> String {
    let mut clients: BTreeMap<Path<'_>, BTreeSet<(&str, u8)>> = BTreeMap::new();
    for root in roots {
        clients.entry(vec![root]).or_default();
    }
    for it in (subscribed.iter()).filter(|it| it.share.is_some() == is_shared) {
        let levels = it.filter.split('/');
        // Mosquitto has two levels above the first, or one that is called like the first.
        let above: &[&str] = match levels.clone().next() {
            Some(first) if first.starts_with('$') => &[first],
            _ => &["", ""],
        };
        let path = above.iter().copied().chain(levels).collect();
        // Whose shard has not answered has no name here.
        let name = names.get(&it.target).copied().unwrap_or_default();
        clients
            .entry(path)
            .or_default()
            .insert((name, it.qos as u8));
    }
    let mut text = String::new();
    let mut above: &[&str] = &[];
    for (path, clients) in &clients {
        let shared = above.iter().zip(path).take_while(|(a, b)| a == b).count();
        for (depth, level) in path.iter().enumerate().skip(shared) {
            let indent = (depth + 2) * 2;
            let _ = write!(text, "{:indent$}{level}", "");
            if depth + 1 == path.len() {
                for (name, qos) in clients {
                    let _ = write!(text, " ({name}, {qos})");
                }
            }
            text.push('\n');
        }
        above = path;
    }
    text
}

#[cfg(test)]
mod tests {
    use wigwag_engine::ShardId;
    use wigwag_engine::proto::Qos;
    use wigwag_engine::session::SessionKey;

    use super::*;

    #[test]
    fn the_tree_looks_like_mosquittos() {
        let target = Target {
            shard: ShardId(0),
            session: SessionKey::default(),
        };
        let subscribed = |filter: &str, qos: Qos, share: Option<&str>| Subscribed {
            filter: filter.to_owned(),
            share: share.map(Into::into),
            target,
            qos,
        };
        let all = [
            subscribed("#", Qos::AtLeastOnce, None),
            subscribed("$SYS/x", Qos::AtLeastOnce, None),
            subscribed("a/+/c", Qos::AtMostOnce, None),
            subscribed("a/b", Qos::AtLeastOnce, None),
            subscribed("a/b", Qos::AtMostOnce, Some("g")),
        ];
        let names = HashMap::from([(target, "one")]);
        let expected = concat!(
            "    \n      \n        # (one, 1)\n        a\n          +\n            c (one, 0)\n",
            "          b (one, 1)\n    $SYS\n      $SYS\n        x (one, 1)\n",
        );
        assert_eq!(draw(&all, &names, false, &["", "$SYS"]), expected);
        let expected = "    \n      \n        a\n          b (one, 0)\n";
        assert_eq!(draw(&all, &names, true, &[""]), expected);
        let expected = "    \n    $SYS\n";
        assert_eq!(draw(&[], &names, false, &["", "$SYS"]), expected);
    }
}
