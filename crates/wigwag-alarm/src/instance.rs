//! One topic of one rule: what is remembered of it, and what a moment makes of that.
//!
//! Time and readings come in, and what has become of the alarm goes out. Which topics are remembered at all is decided in
//! `watch`.

use std::time::Duration;

use wigwag_proto::Time;

use crate::counter::Counter;
use crate::reading::{Reading, show_number};
use crate::rule::{Condition, Measure, Test};

/// When a topic that has gone still is forgotten: it may never come again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// What is remembered of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    state: State,
    /// When it was raised, if it is.
    raised_at: Option<Time>,
    last: Option<Reading>,
    /// If growth or messages are counted.
    counter: Option<Counter>,
    seen_at: Time,
    looked_at: Time,
    /// When to look again, as `watch` has noted it.
    pub(crate) timer: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Quiet,
    /// The condition has held since then, not long enough yet.
    Rising(Time),
    Raised,
    /// The alarm would be over, if this had held long enough.
    Falling(Time),
}

/// What has become of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Raised,
    Over { raised_at: Time },
}

impl Instance {
    pub(crate) fn new(now: Time) -> Instance {
        Instance {
            state: State::Quiet,
            raised_at: None,
            last: None,
            counter: None,
            seen_at: now,
            looked_at: now,
            timer: None,
        }
    }

    pub(crate) const fn raised_at(&self) -> Option<Time> {
        self.raised_at
    }

    /// A message has come. What a server has kept says how things stand and is no sign of life.
    ///
    /// False if the rule can make nothing of the payload.
    pub(crate) fn note(&mut self, now: Time, test: &Test, payload: &[u8], is_kept: bool) -> bool {
        if !is_kept {
            self.seen_at = now;
        }
        let Test::Compared { measure, .. } = test else {
            return true;
        };
        match measure {
            Measure::Value { path, .. } => {
                let reading = Reading::read(payload, path.as_ref());
                let is_readable = reading.as_ref().is_some_and(|it| test.can_compare(it));
                if is_readable {
                    self.last = reading;
                }
                is_readable
            }
            Measure::Rate { path, over } => {
                let reading = Reading::read(payload, path.as_ref());
                let value = reading.as_ref().and_then(Reading::number);
                if let Some(value) = value {
                    let counter = self.counter.get_or_insert_with(|| Counter::new(now));
                    counter.set(now, value, *over);
                }
                value.is_some()
            }
            Measure::Messages { over } => {
                let counter = self.counter.get_or_insert_with(|| Counter::new(now));
                if !is_kept {
                    counter.grow(now, 1.0, *over);
                }
                true
            }
        }
    }

    /// What has become of the alarm by now. `whole` is what shares are reckoned of, if it is known.
    pub(crate) fn look(&mut self, now: Time, test: &Test, whole: Option<f64>) -> Option<Step> {
        self.looked_at = now;
        match test {
            Test::Absent { after } => {
                let is_raised = now.saturating_since(self.seen_at) >= *after;
                self.advance(now, is_raised, Duration::ZERO, !is_raised, Duration::ZERO)
            }
            Test::Compared {
                measure,
                raise,
                raise_for,
                clear,
                clear_for,
            } => {
                let is_whole = self.measure(now, measure);
                let reading = self.shown(test, whole);
                let holds = |condition: &Condition| {
                    // What is not known does not hold, and neither does its contrary.
                    let holds = condition.holds(reading.as_ref()?)?;
                    // What is counted can only be more in the end.
                    (is_whole || condition.is_lower_bound() && holds).then_some(holds)
                };
                let is_raised = holds(raise);
                let is_clear = match clear {
                    Some(clear) => holds(clear),
                    None => is_raised.map(|is_raised| !is_raised),
                };
                let (is_raised, is_clear) = (is_raised.unwrap_or(false), is_clear.unwrap_or(false));
                self.advance(now, is_raised, *raise_for, is_clear, *clear_for)
            }
        }
    }

    /// Reckons what is counted. False if that may be too little yet.
    fn measure(&mut self, now: Time, measure: &Measure) -> bool {
        let (Measure::Rate { over, .. } | Measure::Messages { over }) = measure else {
            return true;
        };
        let Some(counter) = &mut self.counter else {
            return false;
        };
        self.last = Some(Reading::of_number(counter.rate(now, *over)));
        counter.is_complete(now, *over)
    }

    fn advance(
        &mut self,
        now: Time,
        is_raised: bool,
        raise_for: Duration,
        is_clear: bool,
        clear_for: Duration,
    ) -> Option<Step> {
        let is_long = |since: Time, span| now.saturating_since(since) >= span;
        self.state = match self.state {
            State::Quiet | State::Rising(_) if !is_raised => State::Quiet,
            State::Quiet => State::Rising(now),
            State::Raised | State::Falling(_) if !is_clear => State::Raised,
            State::Raised => State::Falling(now),
            waiting => waiting,
        };
        match self.state {
            State::Rising(since) if is_long(since, raise_for) => {
                self.state = State::Raised;
                self.raised_at = Some(now);
                Some(Step::Raised)
            }
            State::Falling(since) if is_long(since, clear_for) => {
                self.state = State::Quiet;
                let raised_at = self.raised_at.take().unwrap_or(now);
                Some(Step::Over { raised_at })
            }
            _ => None,
        }
    }

    /// When to look again although nothing has come.
    pub(crate) fn next_look(&self, test: &Test) -> Option<Time> {
        match test {
            Test::Absent { after } => (self.state == State::Quiet).then(|| self.seen_at + *after),
            Test::Compared {
                measure,
                raise_for,
                clear_for,
                ..
            } => {
                let waits = match self.state {
                    State::Rising(since) => Some(since + *raise_for),
                    State::Falling(since) => Some(since + *clear_for),
                    State::Quiet | State::Raised => None,
                };
                let counts = match (measure, &self.counter) {
                    (Measure::Rate { over, .. } | Measure::Messages { over }, Some(counter)) => {
                        counter.next_change(self.looked_at, *over)
                    }
                    _ => None,
                };
                waits.into_iter().chain(counts).min()
            }
        }
    }

    /// Whether nothing would be lost without it: the next message would make the same again.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Quiet && self.counter.is_none()
    }

    /// When to forget a topic that may have come for the last time.
    pub(crate) fn forget_at(&self) -> Option<Time> {
        (self.state == State::Quiet).then(|| self.seen_at + FORGOTTEN_AFTER)
    }

    /// The value as messages tell it.
    pub(crate) fn value(&self, test: &Test, whole: Option<f64>) -> String {
        match (test, self.shown(test, whole)) {
            (Test::Absent { .. }, _) | (_, None) => String::new(),
            (_, Some(reading)) => match reading.number() {
                // What is reckoned has too many decimals.
                Some(number) if self.counter.is_some() || whole.is_some() => show_number(number),
                _ => reading.text().into_owned(),
            },
        }
    }

    /// What is compared.
    fn shown(&self, test: &Test, whole: Option<f64>) -> Option<Reading> {
        let last = self.last.as_ref()?;
        match test {
            Test::Compared {
                measure: Measure::Value { of: Some(_), .. },
                ..
            } => {
                let whole = whole.filter(|whole| *whole > 0.0)?;
                Some(Reading::of_number(last.number()? / whole * 100.0))
            }
            _ => Some(last.clone()),
        }
    }
}

impl Test {
    /// Whether a reading says anything about the conditions.
    fn can_compare(&self, reading: &Reading) -> bool {
        match self {
            Test::Absent { .. } => true,
            Test::Compared { raise, clear, .. } => {
                let mut all = std::iter::once(raise).chain(clear);
                all.any(|condition| condition.holds(reading).is_some())
            }
        }
    }
}
