//! The text format of Prometheus, version 0.0.4: families with their type and help, each once, whatever order
//! their samples come in.
//!
//! By hand, because the names of Mosquitto's usual exporter are not those that a library of today would let through.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::names::Kind;

/// What the page is, for whoever reads it over HTTP.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics that fills.
#[derive(Debug, Default)]
pub(super) struct Page {
    families: BTreeMap<String, Family>,
    /// Stands in front of each sample's own labels.
    label: Option<String>,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    /// By their labels; the lines of a histogram are one sample.
    samples: BTreeMap<String, String>,
}

/// The name, the type and the help of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) help: &'a str,
}

impl Page {
    /// Gives what is added from here on another label, or none, in front of its own.
    pub(super) fn set_label(&mut self, label: Option<(&str, &str)>) {
        self.label = label.map(|(name, value)| pair(name, value));
    }

    /// Adds a sample. Of two with the same name and labels the first stays, and so does the type of a name.
    pub(super) fn add(&mut self, about: About<'_>, labels: &[(&str, &str)], value: f64) {
        let labels = self.labels(labels);
        let line = format!("{}{} {value}\n", about.name, in_braces(&labels));
        self.insert(about, labels, line);
    }

    /// Adds a histogram: the upper bounds of its buckets with the number of values up to there, all values, and
    /// their sum.
    pub(super) fn add_histogram(
        &mut self,
        about: About<'_>,
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let (name, labels) = (about.name, self.labels(&[]));
        let mut lines = String::new();
        let bucket = |lines: &mut String, bound: &str, count: u64| {
            let le = pair("le", bound);
            let all = match labels.as_str() {
                "" => le,
                labels => format!("{labels},{le}"),
            };
            _ = writeln!(lines, "{name}_bucket{{{all}}} {count}");
        };
        for (bound, count) in buckets {
            bucket(&mut lines, &bound.to_string(), count);
        }
        bucket(&mut lines, "+Inf", count);
        let shown = in_braces(&labels);
        _ = write!(
            lines,
            "{name}_sum{shown} {sum}\n{name}_count{shown} {count}\n"
        );
        self.insert(about, labels, lines);
    }

    fn insert(&mut self, about: About<'_>, labels: String, lines: String) {
        let family = self
            .families
            .entry(about.name.to_owned())
            .or_insert_with(|| Family {
                kind: about.kind,
                help: about.help.to_owned(),
                samples: BTreeMap::new(),
            });
        if family.kind == about.kind {
            family.samples.entry(labels).or_insert(lines);
        }
    }

    fn labels(&self, own: &[(&str, &str)]) -> String {
        let own = own.iter().map(|(name, value)| pair(name, value));
        let all: Vec<String> = self.label.iter().cloned().chain(own).collect();
        all.join(",")
    }

    /// The page as text.
    pub(super) fn into_text(self) -> String {
        let mut text = String::new();
        for (name, family) in self.families {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            let kind = family.kind.name();
            _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            text.extend(family.samples.into_values());
        }
        text
    }
}

fn pair(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

fn in_braces(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: About<'_> = About {
        name: "up",
        kind: Kind::Gauge,
        help: "Whether\\it\nis",
    };

    #[test]
    fn a_family_is_told_once_with_all_its_samples() {
        let mut page = Page::default();
        page.set_label(Some(("broker", "b")));
        page.add(UP, &[], 1.0);
        page.add(UP, &[("x", "a\"\\\n")], 0.5);
        page.set_label(None);
        page.add(UP, &[], 99_999_999_999.0);
        page.add(UP, &[], 2.0);
        let counter = About {
            kind: Kind::Counter,
            ..UP
        };
        page.add(counter, &[("y", "z")], 3.0);
        let expect = "# HELP up Whether\\\\it\\nis\n# TYPE up gauge\nup 99999999999\nup{broker=\"b\"} 1\n\
                      up{broker=\"b\",x=\"a\\\"\\\\\\n\"} 0.5\n";
        assert_eq!(page.into_text(), expect);
    }

    #[test]
    fn a_histogram_has_its_buckets_together() {
        let mut page = Page::default();
        page.set_label(Some(("broker", "b")));
        let about = About {
            name: "h",
            kind: Kind::Histogram,
            help: "help",
        };
        page.add_histogram(about, [(0.5, 1), (1.0, 3)].into_iter(), 4, 7.25);
        let expect = "# HELP h help\n# TYPE h histogram\nh_bucket{broker=\"b\",le=\"0.5\"} 1\n\
                      h_bucket{broker=\"b\",le=\"1\"} 3\nh_bucket{broker=\"b\",le=\"+Inf\"} 4\n\
                      h_sum{broker=\"b\"} 7.25\nh_count{broker=\"b\"} 4\n";
        assert_eq!(page.into_text(), expect);
    }
}
