//! Who is told: webhooks and Slack here, by couriers of their own; standard output and topics by the keeper.
//!
//! `body` says what is sent, `courier` sees to it that it arrives, `post` is one attempt.

mod body;
mod courier;
mod post;

use std::time::Duration;

use super::quiet::QuietHours;
use super::secret::Source;

pub(super) use body::{Form, full};
pub(super) use courier::Courier;
pub(super) use post::{Trust, check, trust};

/// All who are to be told, and when.
#[derive(Debug)]
pub(super) struct Sinks {
    pub(super) web: Vec<WebSink>,
    pub(super) publish: Option<String>,
    pub(super) quiet: Vec<QuietHours>,
    pub(super) repeat: Option<Duration>,
    pub(super) tells_end: bool,
    pub(super) is_json: bool,
    /// How the broker is called.
    pub(super) broker: String,
}

/// An address that is told by POST.
#[derive(Clone, Debug)]
pub(super) struct WebSink {
    pub(super) source: Source,
    pub(super) form: Form,
    /// Where the Authorization header is.
    pub(super) auth: Option<Source>,
    pub(super) tls: Trust,
}

impl Sinks {
    /// In one line.
    pub(super) fn told(&self) -> String {
        let mut told = vec!["standard output".to_owned()];
        told.extend(self.web.iter().map(WebSink::shown));
        told.extend((self.publish.iter()).map(|topic| format!("topic {topic}/…")));
        told.join(", ")
    }
}

impl WebSink {
    /// Without what is secret.
    pub(super) fn shown(&self) -> String {
        match self.form {
            Form::Slack => format!("Slack ({})", self.source),
            Form::Json => format!("webhook {}", self.source),
        }
    }
}
