//! The numbers of `/metrics` as rules see them: below `$METRICS/`, with the values of labels as levels.
//!
//! Nobody can subscribe to them: they are not published, and only made while a rule asks for them.

use std::time::Duration;

use crate::metrics::{self, Scrape};

/// What their topics begin with.
pub(super) const ROOT: &str = "$METRICS/";

/// Days until the certificate of a listener ends: a rule cannot subtract.
const DAYS_LEFT: &str = "wigwag_listener_cert_days_left";

const SECS_OF_DAY: f64 = 86_400.0;

/// All of them at this moment.
pub(super) fn of(scrape: &Scrape, now: Duration) -> impl Iterator<Item = (String, String)> + '_ {
    let days = scrape.listeners.iter().filter_map(move |listener| {
        let left = listener.certificate_end_secs? - now.as_secs_f64();
        let topic = topic(DAYS_LEFT, std::iter::once(&*listener.label));
        Some((topic, (left / SECS_OF_DAY).to_string()))
    });
    metrics::numbers(scrape)
        .map(|(name, labels, number)| {
            let levels = labels.iter().map(|(_, value)| value);
            (topic(&name, levels), number.to_string())
        })
        .chain(days)
}

/// Their names, without the levels of labels.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = String> {
    let names = metrics::FAMILIES.iter().map(metrics::Family::full_name);
    names
        .chain(std::iter::once(DAYS_LEFT.to_owned()))
        .map(|name| format!("{ROOT}{name}"))
}

/// What cannot stand in a level is an underscore there.
fn topic<S: AsRef<str>>(name: &str, levels: impl Iterator<Item = S>) -> String {
    let mut topic = format!("{ROOT}{name}");
    for level in levels {
        topic.push('/');
        topic.extend(level.as_ref().chars().map(|c| match c {
            '/' | '+' | '#' | '\0' => '_',
            c => c,
        }));
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entrance::Visits;
    use crate::metrics::ListenerScrape;

    #[test]
    fn numbers_have_their_labels_as_levels() {
        let scrape = Scrape {
            max_connections: Some(7),
            listeners: vec![ListenerScrape {
                label: "/run/a+b".to_owned(),
                protocol: "mqtt",
                is_tls: true,
                visits: Visits::default(),
                certificate_end_secs: Some(10.5 * SECS_OF_DAY),
            }],
            ..Scrape::default()
        };
        let all: Vec<(String, String)> = of(&scrape, Duration::from_secs(86_400)).collect();
        let find = |topic: &str| {
            let mut found = all.iter().filter(|(name, _)| name == topic);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{topic} is there twice");
            value
        };
        assert_eq!(find("$METRICS/wigwag_max_connections"), Some("7"));
        assert_eq!(
            find("$METRICS/wigwag_listener_cert_days_left/_run_a_b"),
            Some("9.5")
        );
        assert_eq!(
            find("$METRICS/wigwag_connections/_run_a_b/mqtt/true"),
            Some("0")
        );
        assert_eq!(
            find("$METRICS/wigwag_connections_opened_total/_run_a_b"),
            Some("0")
        );
    }
}
