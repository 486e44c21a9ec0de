//! What a query of Prometheus reads: its selectors, found by the names that our metrics can have.
//!
//! No parser of the language: Prometheus itself says whether a query can be read.

/// How the names of metrics begin here.
const BEGINNINGS: [&str; 7] = [
    "wigwag_",
    "broker_",
    "mosquitto_",
    "mqtt_",
    "process_",
    "instance:",
    "ALERTS",
];

/// The selectors of a query, `name{labels}` each, without ranges.
pub(super) fn selectors(query: &str) -> Vec<String> {
    let mut selectors = Vec::new();
    let mut rest = query;
    while let Some(begin) = rest.find(is_of_name) {
        rest = &rest[begin..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let is_metric = name == "up" || BEGINNINGS.iter().any(|begin| name.starts_with(begin));
        let labels = labels(after);
        if is_metric {
            selectors.push(format!("{name}{labels}"));
        }
        rest = &after[labels.len()..];
    }
    selectors
}

/// A selector that wants one more label.
pub(super) fn with_label(selector: &str, label: &str, value: &str) -> String {
    match selector.strip_suffix('}') {
        Some(open) => format!("{open}, {label}=\"{value}\"}}"),
        None => format!("{selector}{{{label}=\"{value}\"}}"),
    }
}

/// `{…}` at the beginning of a text, if that is there.
fn labels(text: &str) -> &str {
    let end = text.starts_with('{').then(|| text.find('}')).flatten();
    end.map_or("", |end| &text[..=end])
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_found_between_functions_labels_and_numbers() {
        for (query, expect) in [
            ("up{job=\"a\"} == 0", vec!["up{job=\"a\"}"]),
            (
                "sum by (job, instance) (rate(wigwag_auth_total{result=\"denied\"}[5m])) > 1e3",
                vec!["wigwag_auth_total{result=\"denied\"}"],
            ),
            (
                "instance:wigwag_x:rate1m / on (instance) broker_uptime offset 10m",
                vec!["instance:wigwag_x:rate1m", "broker_uptime"],
            ),
            ("time() - 30 * 86400", vec![]),
            (
                "f(process_open_fds{x=\"broker_y\"})",
                vec!["process_open_fds{x=\"broker_y\"}"],
            ),
        ] {
            assert_eq!(selectors(query), expect, "{query}");
        }
    }

    #[test]
    fn a_label_is_added_to_those_there_are() {
        assert_eq!(with_label("up", "a", "b"), "up{a=\"b\"}");
        assert_eq!(with_label("up{x=\"y\"}", "a", "b"), "up{x=\"y\", a=\"b\"}");
    }
}
