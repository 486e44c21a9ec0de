//! Metrics for Prometheus, in two views of the same numbers.
//!
//! The native view follows the naming guide of Prometheus; its families are the rows of `table`. The other
//! one, in `mosquitto`, has the names under which the usual exporter shows Mosquitto, so that dashboards made
//! for it go on. Nothing is registered beforehand: a scrape encodes what the broker has counted.

mod mosquitto;
mod page;
mod process;
mod table;

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::alarms::AlarmCounts;
use crate::bridge::BridgeReport;
use crate::entrance::Visits;
use crate::persist::Progress;
use crate::recorder::RecorderReport;
use crate::sys::Reading;

pub(crate) use mosquitto::{write as write_mosquitto, write_more as write_more_of_mosquitto};
pub use page::page;
pub(crate) use process::Process;
use table::Value;
pub use table::{FAMILIES, Family, Kind};

/// Everything that one scrape shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    pub(crate) reading: Reading,
    pub(crate) process: Process,
    /// Seconds since 1970 at which the broker started.
    pub(crate) started_secs: f64,
    /// Whether the configuration could be used when it was read last.
    pub(crate) configuration_is_usable: bool,
    /// Seconds since 1970 at which that was.
    pub(crate) configuration_read_secs: f64,
    /// Seconds since 1970 at which the configuration was read that holds.
    pub(crate) configuration_used_since_secs: f64,
    /// Of dynamic security, if there is any.
    pub(crate) dynsec: Option<DynsecScrape>,
    pub(crate) shards: u16,
    pub(crate) listeners: Vec<ListenerScrape>,
    pub(crate) bridges: Vec<BridgeReport>,
    /// Of saving, if sessions and messages outlive the process.
    pub(crate) persistence: Option<Progress>,
    /// Of recording, if there is a recorder.
    pub(crate) recorder: Option<RecorderReport>,
    /// Connections that are taken at the same time, if there is a limit.
    pub(crate) max_connections: Option<u64>,
    /// Bytes that may be held for clients, if there is a limit.
    pub(crate) memory_limit_bytes: Option<u64>,
    /// By severity.
    pub(crate) alarms: Vec<AlarmCounts>,
    /// Log lines that no destination took.
    pub(crate) log_lines_lost: u64,
}

/// What one scrape shows of dynamic security.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DynsecScrape {
    /// Changes that hold, and those that could not be written.
    pub(crate) changes: [u64; 2],
    /// Seconds since 1970 of the last one that holds.
    pub(crate) changed_secs: Option<f64>,
}

/// What one scrape shows of a listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenerScrape {
    /// Differs from listener to listener.
    pub(crate) label: String,
    pub(crate) protocol: &'static str,
    pub(crate) is_tls: bool,
    pub(crate) visits: Visits,
    /// Seconds since 1970 at which its certificate ends.
    pub(crate) certificate_end_secs: Option<f64>,
}

/// The two formats of the native view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    /// The older text format, 0.0.4.
    Text,
}

impl Format {
    /// What a scraper asks for with its Accept header. Whoever does not name OpenMetrics gets the text
    /// format, which everything can read.
    pub(crate) fn of_accept(accept: &str) -> Format {
        let wants = accept
            .split(',')
            .filter_map(|range| range.split(';').next())
            .any(|media_type| media_type.trim() == "application/openmetrics-text");
        if wants {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => TEXT,
        }
    }
}

/// A name, labels and a number.
type Number = (String, Vec<(&'static str, Cow<'static, str>)>, f64);

/// What is one number in the native view, by the names that it has there.
pub(crate) fn numbers(scrape: &Scrape) -> impl Iterator<Item = Number> + '_ {
    let plain = FAMILIES.iter().filter(|family| family.kind != Kind::Info);
    plain.flat_map(move |family| {
        let samples = (family.samples)(scrape).into_iter();
        samples.filter_map(|sample| {
            let number = match sample.value {
                #[expect(clippy::cast_precision_loss, reason = "no limit is that exact")]
                Value::Count(count) => count as f64,
                Value::Number(number) => number,
                Value::Buckets(..) => return None,
            };
            Some((family.full_name(), sample.labels, number))
        })
    })
}

/// The content type of the text format.
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The native view.
pub(crate) fn write_native(scrape: Scrape, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(match format {
        Format::OpenMetrics => out,
        Format::Text => as_text(&out),
    })
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in FAMILIES {
            let metric_type = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Histogram => MetricType::Histogram,
                Kind::Gauge | Kind::Info => MetricType::Gauge,
            };
            let metric = encoder.encode_descriptor(family.name, family.help, None, metric_type)?;
            encode_samples(family, self, metric)?;
        }
        Ok(())
    }
}

fn encode_samples(family: &Family, scrape: &Scrape, mut metric: MetricEncoder<'_>) -> fmt::Result {
    for sample in (family.samples)(scrape) {
        if sample.labels.is_empty() {
            encode_value(family.kind, &sample.value, &mut metric)?;
        } else {
            let mut metric = metric.encode_family(&sample.labels)?;
            encode_value(family.kind, &sample.value, &mut metric)?;
        }
    }
    Ok(())
}

fn encode_value(kind: Kind, value: &Value, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(count, None)
        }
        (Kind::Counter, Value::Number(number)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(number, None)
        }
        (_, Value::Count(count)) => metric.encode_gauge(count),
        (_, Value::Number(number)) => metric.encode_gauge(number),
        (_, Value::Buckets(sum, buckets)) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
    }
}

/// OpenMetrics as the text format has it: a counter's name there includes `_total`, and nothing marks the
/// end.
fn as_text(open_metrics: &str) -> String {
    let counters: Vec<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let about = ["# HELP ", "# TYPE "].into_iter().find_map(|prefix| {
            let (name, rest) = line.strip_prefix(prefix)?.split_once(' ')?;
            counters.contains(&name).then_some((prefix, name, rest))
        });
        match about {
            Some((prefix, name, rest)) => out.extend([prefix, name, "_total ", rest, "\n"]),
            None => out.extend([line, "\n"]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_only_for_those_who_do_not_ask_for_the_newer_one() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::of_accept(prometheus), Format::OpenMetrics);
        for accept in ["", "*/*", "text/plain", "text/html, application/json"] {
            assert_eq!(Format::of_accept(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn counters_end_in_total_in_both_formats() {
        let mut scrape = Scrape::default();
        scrape.reading.stats.bytes_received = 7;
        let open_metrics = write_native(scrape.clone(), Format::OpenMetrics).expect("encoded");
        let text = write_native(scrape, Format::Text).expect("encoded");
        assert!(open_metrics.contains("# TYPE wigwag_bytes counter\n"));
        assert!(open_metrics.ends_with("# EOF\n"));
        assert!(text.contains("# TYPE wigwag_bytes_total counter\n"));
        assert!(!text.contains("# EOF"));
        let sample = "wigwag_bytes_total{direction=\"received\"} 7\n";
        assert!(open_metrics.contains(sample) && text.contains(sample));
    }

    #[test]
    fn a_histogram_ends_in_a_bucket_for_everything() {
        for format in [Format::OpenMetrics, Format::Text] {
            let text = write_native(Scrape::default(), format).expect("encoded");
            let mut lines = text.lines().rev();
            let last = lines.find(|line| line.contains("_bucket{"));
            let last = last.expect("a histogram");
            // Without it, Prometheus takes no quantile.
            assert!(last.contains("le=\"+Inf\""), "{last}");
        }
    }

    #[test]
    fn bridges_are_told_apart_in_both_views() {
        let bridge = |name: &str, is_connected| BridgeReport {
            name: name.to_owned(),
            is_connected,
            carried_out: 3,
            carried_in: 2,
            dropped_out: 1,
            dropped_in: 0,
            held: 4,
            connections: 1,
            failures: 5,
            last_error: None,
        };
        let scrape = Scrape {
            bridges: vec![bridge("up", true), bridge("d\"own", false)],
            ..Scrape::default()
        };
        let mut mosquitto = String::new();
        write_more_of_mosquitto(&mut mosquitto, &scrape);
        let native = write_native(scrape, Format::Text).expect("encoded");
        for (text, expect) in [
            (&native, "wigwag_bridge_up{bridge=\"up\"} 1\n"),
            (&native, "wigwag_bridge_up{bridge=\"d\\\"own\"} 0\n"),
            (
                &native,
                "wigwag_bridge_messages_total{bridge=\"up\",direction=\"sent\"} 3\n",
            ),
            (&native, "wigwag_bridge_failures_total{bridge=\"up\"} 5\n"),
            (&mosquitto, "mosquitto_bridge_state{bridge=\"up\"} 1\n"),
            (
                &mosquitto,
                "mosquitto_bridge_state{bridge=\"d\\\"own\"} 0\n",
            ),
        ] {
            assert!(text.contains(expect), "{expect}: {text}");
        }
    }

    #[test]
    fn families_have_distinct_names_and_no_suffix_of_their_own() {
        let mut names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for family in FAMILIES {
            assert!(!family.name.ends_with("_total"), "{}", family.name);
            assert!(!family.help.ends_with('.'), "{}", family.name);
        }
    }

    #[test]
    fn no_label_has_more_values_than_the_protocol_has_words() {
        for family in FAMILIES {
            let samples = (family.samples)(&Scrape::default());
            assert!(samples.len() <= 64, "{}", family.name);
        }
    }
}
