//! What a rule is: what it looks at, when it raises its alarm and when that is over.
//!
//! A rule that exists makes sense; `read` makes rules of text, and `Display` here writes that text again.

use std::fmt;
use std::time::Duration;

use wigwag_proto::{TopicFilter, TopicFilterBuf, TopicName, TopicNameBuf};

use crate::path::Path;
use crate::reading::Reading;
use crate::text::{Quoted, Span};

/// The longest name of a rule in bytes: it is a level of topics and a label.
pub const NAME_LEN_MAX: usize = 64;

/// A rule. Its text form is told in the documentation of the crate.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub(crate) name: Box<str>,
    pub(crate) filter: TopicFilterBuf,
    pub(crate) test: Test,
    pub(crate) severity: Severity,
    pub(crate) message: Option<Box<str>>,
}

/// How much an alarm matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must look, at night too.
    Critical,
}

/// When an alarm is raised, and when it is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// Nothing came for this long; over with the next message.
    Absent { after: Duration },
    Compared {
        measure: Measure,
        raise: Condition,
        raise_for: Duration,
        /// Without it, the alarm is over when it would not be raised.
        clear: Option<Condition>,
        clear_for: Duration,
    },
}

/// The number or text that is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    /// What the last message says, or one place in its JSON; as it is, or in percent of what another topic says.
    Value {
        path: Option<Path>,
        of: Option<TopicNameBuf>,
    },
    /// By how much a counter grows per second.
    Rate { path: Option<Path>, over: Duration },
    /// Messages per second.
    Messages { over: Duration },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) is: Comparison,
    pub(crate) limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Different,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limit {
    Number(f64),
    Text(Box<str>),
}

impl Rule {
    /// The name: letters, digits, `_`, `-` and `.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The topics that the rule looks at. Each topic has an alarm of its own.
    pub fn filter(&self) -> TopicFilter<'_> {
        self.filter.as_filter()
    }

    /// How much its alarms matter.
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// The topic of what is a hundred percent, if the rule asks for a share.
    pub fn whole(&self) -> Option<TopicName<'_>> {
        match &self.test {
            Test::Compared {
                measure: Measure::Value { of: Some(of), .. },
                ..
            } => Some(of.as_name()),
            _ => None,
        }
    }

    /// All that has to be listened to: the filter, and what is a hundred percent.
    pub fn topics(&self) -> impl Iterator<Item = String> + '_ {
        let whole = self.whole().map(TopicName::as_str);
        let topics = std::iter::once(self.filter().as_str()).chain(whole);
        topics.map(str::to_owned)
    }

    /// The one topic that the rule looks at, if its filter has no wildcard.
    pub(crate) fn only_topic(&self) -> Option<TopicName<'_>> {
        TopicName::new(self.filter.as_filter().as_str()).ok()
    }
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// The word for it in rules, labels and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl Comparison {
    pub(crate) const ALL: [Comparison; 6] = [
        Comparison::AtLeast,
        Comparison::AtMost,
        Comparison::Equal,
        Comparison::Different,
        Comparison::Above,
        Comparison::Below,
    ];

    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Equal => "==",
            Comparison::Different => "!=",
        }
    }

    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Comparison::Above => value > limit,
            Comparison::AtLeast => value >= limit,
            Comparison::Below => value < limit,
            Comparison::AtMost => value <= limit,
            #[expect(clippy::float_cmp, reason = "that is what the rule asks for")]
            Comparison::Equal => value == limit,
            #[expect(clippy::float_cmp, reason = "that is what the rule asks for")]
            Comparison::Different => value != limit,
        }
    }
}

impl Condition {
    /// Whether it holds; nothing if a number is wanted and what came is none.
    pub(crate) fn holds(&self, reading: &Reading) -> Option<bool> {
        match &self.limit {
            Limit::Number(limit) => {
                let value = reading.number()?;
                Some(self.is.holds(value, *limit))
            }
            Limit::Text(limit) => {
                let is_equal = reading.text() == **limit;
                Some(is_equal == (self.is == Comparison::Equal))
            }
        }
    }

    /// Whether a higher value can only make it hold.
    pub(crate) const fn is_lower_bound(&self) -> bool {
        matches!(self.is, Comparison::Above | Comparison::AtLeast)
    }

    /// Whether there is a value for which both hold.
    pub(crate) fn overlaps(&self, other: &Condition) -> bool {
        match (&self.limit, &other.limit) {
            (&Limit::Number(a), &Limit::Number(b)) => {
                // Both are half-lines, points or all but a point: one of these lies in both, or none does.
                let probes = [a, b, f64::midpoint(a, b), f64::MIN, f64::MAX];
                (probes.into_iter()).any(|it| self.is.holds(it, a) && other.is.holds(it, b))
            }
            (Limit::Text(a), Limit::Text(b)) => match (self.is, other.is) {
                (Comparison::Equal, Comparison::Equal) => a == b,
                (Comparison::Different, Comparison::Different) => true,
                _ => a != b,
            },
            // A text that is a number is both.
            _ => true,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.is.sign())?;
        match &self.limit {
            Limit::Number(limit) => write!(f, "{limit}"),
            Limit::Text(limit) => Quoted(limit).fmt(f),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        let topic = Quoted(self.filter.as_filter().as_str());
        match &self.test {
            Test::Absent { after } => write!(f, "absent {topic} for {}", Span(*after))?,
            Test::Compared {
                measure,
                raise,
                raise_for,
                clear,
                clear_for,
            } => {
                match measure {
                    Measure::Value { .. } => topic.fmt(f)?,
                    Measure::Rate { .. } => write!(f, "rate {topic}")?,
                    Measure::Messages { .. } => write!(f, "messages {topic}")?,
                }
                if let Measure::Value {
                    path: Some(path), ..
                }
                | Measure::Rate {
                    path: Some(path), ..
                } = measure
                {
                    write!(f, " @ {path}")?;
                }
                if let Measure::Value { of: Some(of), .. } = measure {
                    write!(f, " % of {}", Quoted(of.as_name().as_str()))?;
                }
                if let Measure::Rate { over, .. } | Measure::Messages { over } = measure {
                    write!(f, " over {}", Span(*over))?;
                }
                write!(f, " {raise}")?;
                if !raise_for.is_zero() {
                    write!(f, " for {}", Span(*raise_for))?;
                }
                if let Some(clear) = clear {
                    write!(f, " until {clear}")?;
                    if !clear_for.is_zero() {
                        write!(f, " for {}", Span(*clear_for))?;
                    }
                }
            }
        }
        if self.severity != Severity::default() {
            write!(f, " severity {}", self.severity)?;
        }
        if let Some(message) = &self.message {
            write!(f, " say {}", Quoted(message))?;
        }
        Ok(())
    }
}
