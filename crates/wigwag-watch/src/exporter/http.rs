//! What the exporter serves: `/metrics` of all brokers, `/probe` of one that it knows, and whether it lives.
//!
//! A question names a broker, never an address: nobody can make the exporter call whom he likes. Probes are bounded
//! in number and in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::names::Kind;
use super::text_format::{About, MEDIA_TYPE, Page};
use super::trip::Plan;
use super::watch::Watch;

/// Probes that are made at the same time for those who ask; more wait for their turn.
const PROBES_MAX: usize = 16;

/// What Prometheus says about how long it will wait.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// The time between our answer and the end of Prometheus' patience.
const MARGIN: Duration = Duration::from_millis(500);

/// All that is watched.
pub(super) struct Exporter {
    watches: Vec<Arc<Watch>>,
    plan: Plan,
    probes: Semaphore,
}

/// The question of `/probe`.
#[derive(Debug, serde::Deserialize)]
struct Question {
    target: Option<String>,
    module: Option<String>,
}

/// What is asked about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    /// What the broker tells, and whether a message comes back.
    All,
    Sys,
    Roundtrip,
}

impl Module {
    fn of(name: Option<&str>) -> Option<Module> {
        match name {
            None => Some(Module::All),
            Some("sys") => Some(Module::Sys),
            Some("roundtrip") => Some(Module::Roundtrip),
            Some(_) => None,
        }
    }
}

/// The paths that are served.
pub(super) fn router(watches: Vec<Arc<Watch>>, plan: Plan) -> Router {
    let exporter = Arc::new(Exporter {
        watches,
        plan,
        probes: Semaphore::new(PROBES_MAX),
    });
    Router::new()
        .route("/", get(about))
        .route("/metrics", get(metrics))
        .route("/probe", get(probe))
        .route("/healthz", get("ok\n"))
        .route("/readyz", get("ok\n"))
        .with_state(exporter)
}

async fn about(State(exporter): State<Arc<Exporter>>) -> String {
    let mut text = "wigwag exporter\n\n/metrics\n".to_owned();
    for watch in &exporter.watches {
        text.push_str("/probe?target=");
        text.push_str(watch.name());
        text.push('\n');
    }
    text
}

/// All brokers, by a label if there are several.
async fn metrics(State(exporter): State<Arc<Exporter>>) -> Response {
    let mut page = begin();
    for watch in &exporter.watches {
        if exporter.watches.len() > 1 {
            page.set_label(Some(("broker", watch.name())));
        }
        watch.write_board(&mut page);
        watch.write_record(&mut page);
    }
    respond(page)
}

/// One broker, without a label: Prometheus gives it that of the instance.
async fn probe(
    State(exporter): State<Arc<Exporter>>,
    Query(question): Query<Question>,
    headers: HeaderMap,
) -> Response {
    let Some(name) = question.target else {
        let text = "The target is missing: /probe?target=NAME, with one of the names at /.\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let Some(watch) = exporter.watches.iter().find(|watch| watch.name() == name) else {
        let text = "No such target. Only brokers that the exporter was started with are asked; / has their names.\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let Some(module) = Module::of(question.module.as_deref()) else {
        let text = "No such module: 'sys' and 'roundtrip' are allowed, and none for both.\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let mut page = begin();
    if module != Module::Sys {
        let until = Instant::now() + exporter.patience(&headers);
        let Ok(Ok(_place)) = timeout_at(until.into(), exporter.probes.acquire()).await else {
            let text = "Too many probes at the same time; try again.\n";
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        };
        let plan = Plan {
            timeout: until.saturating_duration_since(Instant::now()),
            ..exporter.plan.clone()
        };
        watch.probe_once(&plan, &mut page).await;
    }
    if module != Module::Roundtrip {
        watch.write_board(&mut page);
    }
    respond(page)
}

impl Exporter {
    /// How long a probe may take, with the wait for its turn.
    fn patience(&self, headers: &HeaderMap) -> Duration {
        let usual = self.plan.timeout;
        patience(headers).map_or(usual, |patience| patience.min(usual))
    }
}

/// How long whoever asks will wait, less the time for the answer.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let secs: f64 = headers.get(SCRAPE_TIMEOUT)?.to_str().ok()?.parse().ok()?;
    let patience = Duration::try_from_secs_f64(secs).ok()?;
    patience.checked_sub(MARGIN).filter(|left| !left.is_zero())
}

/// What is said of the exporter itself. First, so that no broker takes its names.
fn begin() -> Page {
    let mut page = Page::default();
    let about = About {
        name: "mosquitto_exporter_build_info",
        kind: Kind::Gauge,
        help: "The version of the exporter",
    };
    page.add(about, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page
}

fn respond(page: Page) -> Response {
    ([(CONTENT_TYPE, MEDIA_TYPE)], page.into_text()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_says_how_long_it_waits() {
        let patience = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, value.parse().expect("a header"));
            patience(&headers)
        };
        assert_eq!(patience("10"), Some(Duration::from_millis(9_500)));
        for value in ["", "0.5", "-1", "NaN", "1e300", "soon"] {
            assert_eq!(patience(value), None, "{value}");
        }
    }

    #[test]
    fn only_modules_that_there_are_can_be_asked_for() {
        assert_eq!(Module::of(None), Some(Module::All));
        assert_eq!(Module::of(Some("sys")), Some(Module::Sys));
        assert_eq!(Module::of(Some("roundtrip")), Some(Module::Roundtrip));
        assert_eq!(Module::of(Some("http_2xx")), None);
    }
}
