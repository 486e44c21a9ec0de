//! The rules that every broker begins with: what is wrong with a broker whatever it is used for.

use wigwag_alarm::Rule;

/// A rule, and why it is there.
pub(super) struct BuiltIn {
    pub(super) rule: &'static str,
    pub(super) why: &'static str,
}

/// In the order in which they are shown.
pub(super) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        rule: "messages_dropped: rate $SYS/broker/publish/messages/dropped over 5m > 0 for 5m severity critical say \"{value} messages a second are dropped: queues are full or clients read too slowly\"",
        why: "Somebody loses messages, and not only for a moment.",
    },
    BuiltIn {
        rule: "connections_near_limit: $SYS/broker/clients/connected % of $METRICS/wigwag_max_connections > 85 for 1m until < 75",
        why: "Soon clients are refused: `global_max_connections`.",
    },
    BuiltIn {
        rule: "memory_near_limit: $METRICS/wigwag_held_bytes % of $METRICS/wigwag_memory_limit_bytes > 80 for 1m until < 70",
        why: "Soon messages are refused: `memory_limit`, or three quarters of what there is.",
    },
    BuiltIn {
        rule: "files_near_limit: $METRICS/process_open_fds % of $METRICS/process_max_fds > 80 for 1m until < 70",
        why: "Soon no connection can be accepted and no file opened: `ulimit -n`, `LimitNOFILE`.",
    },
    BuiltIn {
        rule: "bridge_down: $METRICS/wigwag_bridge_up/+ == 0 for 5m severity critical",
        why: "What the bridge is to carry waits, as long as there is room.",
    },
    BuiltIn {
        rule: "logins_denied: rate $METRICS/wigwag_auth_total/+/denied over 5m > 1 for 5m until < 0.5",
        why: "Somebody guesses passwords, or a client has a wrong one.",
    },
    BuiltIn {
        rule: "topics_denied: rate $METRICS/wigwag_acl_checks_total/+/deny over 10m > 5 for 10m until < 2",
        why: "Clients want what they may not: an access file that does not fit, or somebody who looks around.",
    },
    BuiltIn {
        rule: "certificate_ends: $METRICS/wigwag_listener_cert_days_left/+ < 30 for 1h",
        why: "The certificate of a listener has to be renewed.",
    },
    BuiltIn {
        rule: "certificate_ends_soon: $METRICS/wigwag_listener_cert_days_left/+ < 7 for 1h severity critical",
        why: "The same, and it is urgent.",
    },
    BuiltIn {
        rule: "configuration_unusable: $METRICS/wigwag_config_last_reload_success == 0",
        why: "What was changed does not hold, and the next start fails.",
    },
    BuiltIn {
        rule: "saving_fails: rate $METRICS/wigwag_persist_failures_total over 15m > 0 severity critical",
        why: "Sessions and messages do not get to the disk.",
    },
    BuiltIn {
        rule: "log_lines_lost: rate $METRICS/wigwag_log_lines_lost_total over 15m > 0 severity info",
        why: "A destination of the log is too slow.",
    },
];

/// As rules.
pub(super) fn rules() -> impl Iterator<Item = Rule> {
    // Each of them is read by a test.
    BUILT_IN
        .iter()
        .filter_map(|built_in| built_in.rule.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wigwag_proto::TopicName;

    use super::*;
    use crate::alarms::readings;
    use crate::sys::{Reading, SysTree};

    #[test]
    fn each_is_a_rule_with_a_name_of_its_own() {
        let names: BTreeSet<String> = rules().map(|rule| rule.name().to_owned()).collect();
        assert_eq!(names.len(), BUILT_IN.len());
    }

    #[test]
    fn each_looks_at_something_that_there_is() {
        let tree = SysTree::default().update(&Reading::default());
        let topics: Vec<String> = (tree.into_iter().map(|it| it.topic.into_owned()))
            .chain(readings::names().map(|name| format!("{name}/x/denied")))
            .chain(readings::names().map(|name| format!("{name}/x/deny")))
            .chain(readings::names().map(|name| format!("{name}/x")))
            .chain(readings::names())
            .collect();
        for rule in rules() {
            let is_there = |matches: &dyn Fn(TopicName<'_>) -> bool| {
                let mut topics = topics.iter().filter_map(|topic| TopicName::new(topic).ok());
                topics.any(matches)
            };
            assert!(is_there(&|topic| rule.filter().matches(topic)), "{rule}");
            if let Some(whole) = rule.whole() {
                assert!(is_there(&|topic| topic == whole), "{rule}");
            }
        }
    }
}
