//! What a figure says, as text and as JSON.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use crate::machine;

/// One figure, measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    figure: String,
    machine: String,
    rows: Vec<Row>,
    error: Option<String>,
}

/// One number that was reached.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: String,
    reached: String,
    must: Option<String>,
    ok: Option<bool>,
    method: &'static str,
}

impl Row {
    /// A number that has to be reached.
    pub(crate) fn must(
        what: impl Into<String>,
        reached: impl Into<String>,
        must: &str,
        ok: bool,
    ) -> Self {
        let must = Some(must.to_owned());
        Self { what: what.into(), reached: reached.into(), must, ok: Some(ok), method: "" }
    }

    /// A number that only explains others.
    pub(crate) fn shown(what: impl Into<String>, reached: impl Into<String>) -> Self {
        Self { what: what.into(), reached: reached.into(), must: None, ok: None, method: "" }
    }

    /// How it was measured.
    pub(crate) const fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }
}

impl Figure {
    pub(crate) fn new(name: &str, measured: anyhow::Result<Vec<Row>>) -> Self {
        let (rows, error) = match measured {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Self { figure: name.to_owned(), machine: machine::description(), rows, error }
    }

    /// One line of JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people: a line for each row, its method under it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("\n{}", self.figure);
        if let Some(error) = &self.error {
            let _ = write!(text, "\n  could not be measured: {error}");
        }
        for Row { what, reached, must, ok, method } in &self.rows {
            let verdict = match (must, ok) {
                (Some(must), Some(true)) => format!("must {must}: reached"),
                (Some(must), _) => format!("must {must}: NOT REACHED"),
                (None, _) => String::new(),
            };
            let _ = write!(text, "\n  {what:<52} {reached:<40} {verdict}");
            if !method.is_empty() {
                let _ = write!(text, "\n      {method}");
            }
        }
        text
    }
}

/// Times of many equal pieces of work.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// The time that this share of the work (in hundredths) took at most.
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get((sorted.len() * hundredths / 100).min(last)).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// Median and 99th percentile.
    pub(crate) fn text(&self) -> String {
        format!("{} (p99 {})", shown(self.median()), shown(self.p99()))
    }
}

/// A time with three digits and a unit.
pub(crate) fn shown(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        nanos if nanos < 1e3 => return format!("{nanos:.0} ns"),
        nanos if nanos < 1e6 => (nanos / 1e3, "µs"),
        nanos if nanos < 1e9 => (nanos / 1e6, "ms"),
        nanos => (nanos / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// How often the second fits into the first.
pub(crate) fn ratio(long: Duration, short: Duration) -> f64 {
    long.as_secs_f64() / short.as_secs_f64().max(1e-12)
}

/// So many in so long, a second.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-12)
}

/// A rate with thousands set apart.
pub(crate) fn per_second(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text + " /s"
}
