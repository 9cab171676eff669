//! Looks at the run once a second: one point of the report each, and the line of progress.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::desk::Desk;
use super::meters::Timed;
use super::plan::Moment;
use super::report::run::Point;
use super::watch::{Look, look, metrics};

/// What is looked at.
pub struct Subject {
    /// The process; none while it does not run, or where it is elsewhere.
    pub pid: Rc<Cell<Option<u32>>>,
    /// Its database.
    pub database: Option<PathBuf>,
    /// Where its `/metrics` are.
    pub base: String,
    /// Asks for them.
    pub client: reqwest::Client,
    /// How long people wait for an answer.
    pub patience: Duration,
    /// Whether a line of progress is written on standard error.
    pub shows_progress: bool,
}

/// What all looks together found.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One point a second.
    pub points: Vec<Point>,
    /// The last metrics.
    pub metrics: Option<HashMap<String, f64>>,
    /// The figures that grow, as they were last seen.
    last: Last,
}

/// Figures that grow, of the process that was seen last.
#[derive(Clone, Debug, Default)]
struct Last {
    pid: Option<u32>,
    cpu_s: Option<f64>,
    commits: Option<f64>,
    requests: Option<f64>,
    rows: Option<f64>,
    sent: u64,
    acknowledged: u64,
    answered: u64,
}

/// Looks until the task is aborted.
pub async fn watch(desk: Rc<Desk>, subject: Subject, seen: Rc<RefCell<Seen>>) {
    let mut second = 1;
    loop {
        desk.until(second * 1_000_000).await;
        let metrics = metrics(&subject.client, &subject.base).await;
        let look = look(subject.pid.get(), subject.database.as_deref());
        let point = seen.borrow_mut().add(&desk, subject.pid.get(), look, metrics);
        if subject.shows_progress {
            progress(&desk, &point, subject.patience);
        }
        second = desk.now() / 1_000_000 + 1;
    }
}

impl Seen {
    fn add(
        &mut self,
        desk: &Desk,
        pid: Option<u32>,
        look: Look,
        metrics: Option<HashMap<String, f64>>,
    ) -> Point {
        if self.last.pid != pid {
            // A new process counts from nothing.
            let zero = Some(0.0);
            self.last =
                Last { pid, cpu_s: zero, commits: zero, requests: zero, rows: zero, ..self.last.clone() };
        }
        let figure = |name: &str| metrics.as_ref().and_then(|metrics| metrics.get(name)).copied();
        let mut point = self.traffic(desk);
        point.cpu_cores = grown(&mut self.last.cpu_s, look.cpu_s);
        let commits = grown(&mut self.last.commits, figure("tertulia_store_commits_total"));
        point.commits = commits.map(|commits| commits as u64);
        let requests = grown(&mut self.last.requests, figure("tertulia_store_requests_total"));
        point.commit_requests = requests.map(|requests| requests as u64);
        let rows = grown(&mut self.last.rows, figure("tertulia_store_rows_total"));
        point.commit_rows = rows.map(|rows| rows as u64);
        point.memory_bytes = look.memory_bytes;
        point.files = look.files;
        (point.database_bytes, point.wal_bytes) = (look.database_bytes, look.wal_bytes);
        self.points.push(point);
        if metrics.is_some() {
            self.metrics = metrics;
        }
        point
    }

    /// What people wrote and got in the last second.
    fn traffic(&mut self, desk: &Desk) -> Point {
        let ledger = desk.ledger.borrow();
        let mut meters = desk.meters.borrow_mut();
        let (tally, second) = (desk.tally(), &mut meters.second);
        let point = Point {
            at_s: desk.now() as f64 / 1_000_000.0,
            people: ledger.people(),
            sent: tally.sent - self.last.sent,
            acknowledged: ledger.acknowledged() - self.last.acknowledged,
            answered: ledger.answered() - self.last.answered,
            backlog: ledger.backlog(),
            acknowledge_p50_ms: second.of(Timed::Acknowledge).at(50.0),
            acknowledge_p99_ms: second.of(Timed::Acknowledge).at(99.0),
            overhead_p50_ms: second.of(Timed::Overhead).at(50.0),
            overhead_p99_ms: second.of(Timed::Overhead).at(99.0),
            lag_p99_ms: second.of(Timed::Lag).at(99.0),
            ..Point::default()
        };
        second.clear();
        self.last.sent = tally.sent;
        self.last.acknowledged = ledger.acknowledged();
        self.last.answered = ledger.answered();
        point
    }
}

/// How much a figure has grown since it was last seen.
fn grown(last: &mut Option<f64>, now: Option<f64>) -> Option<f64> {
    let now = now?;
    let before = last.replace(now).unwrap_or(now);
    Some((now - before).max(0.0))
}

/// One line that replaces the last one. Lost so far is what has waited for its answer for longer than people do; should it come
/// after all, it is not lost any more.
fn progress(desk: &Desk, point: &Point, patience: Duration) {
    let ms = |time: Option<f64>| time.map_or("–".to_owned(), |time| format!("{time:.1}"));
    let (lost, doubled) = {
        let mut ledger = desk.ledger.borrow_mut();
        let patience = Moment::try_from(patience.as_micros()).unwrap_or(Moment::MAX);
        (ledger.overdue(desk.now().saturating_sub(patience)), ledger.doubled())
    };
    let line = format!(
        "{:>5.0} s  {} people  {} messages/s  overhead p50 {} ms, p99 {} ms  backlog {}  lost {lost}  doubled {doubled}",
        point.at_s,
        point.people,
        point.answered,
        ms(point.overhead_p50_ms),
        ms(point.overhead_p99_ms),
        point.backlog,
    );
    // Nobody misses it who has closed standard error.
    let _ = write!(std::io::stderr(), "\r\x1b[2K{line}").and_then(|()| std::io::stderr().flush());
}

/// Ends the line of progress.
pub fn end_progress() {
    let _ = writeln!(std::io::stderr());
}

/// How long a look may still take when the run has ended.
pub const LAST_LOOK: Duration = Duration::from_secs(2);

/// The slope of a figure over time: by least squares, in per cent of its mean an hour. None for fewer than 10 points.
#[must_use]
pub fn slope_percent_per_hour(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 10 {
        return None;
    }
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (middle, level) = (mean(|point| point.0), mean(|point| point.1));
    let rise: f64 = points.iter().map(|(at, value)| (at - middle) * (value - level)).sum();
    let run: f64 = points.iter().map(|(at, _)| (at - middle).powi(2)).sum();
    (run > 0.0 && level > 0.0).then(|| rise / run * 3_600.0 / level * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_told_in_per_cent_an_hour() {
        let rising: Vec<_> = (0..3_600).map(|s| (f64::from(s), 100.0 + f64::from(s) / 3_600.0)).collect();
        let slope = slope_percent_per_hour(&rising).unwrap();
        assert!((slope - 1.0).abs() < 0.01, "{slope}");
        let level: Vec<_> = (0..20).map(|s| (f64::from(s), 5.0)).collect();
        assert_eq!(slope_percent_per_hour(&level), Some(0.0));
        assert_eq!(slope_percent_per_hour(&level[..9]), None);
    }

    #[test]
    fn what_grows_is_told_by_its_growth() {
        let mut last = None;
        assert_eq!(grown(&mut last, Some(5.0)), Some(0.0));
        assert_eq!(grown(&mut last, Some(7.5)), Some(2.5));
        assert_eq!(grown(&mut last, None), None);
        assert_eq!(grown(&mut last, Some(1.0)), Some(0.0), "it began anew");
    }
}
