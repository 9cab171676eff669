//! Figures over the last quarter of an hour. Pure.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::Serialize;
use tertulia_actors::domain::Timestamp;

use super::{Causes, Figures};

/// Points that are kept: a quarter of an hour, at one every five seconds.
const POINTS_MAX: usize = 180;

/// The figures of one moment, as they are drawn.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SeriesPoint")]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// Messages that came, a second.
    pub messages: f64,
    /// Turns that ended, a second.
    pub turns: f64,
    /// Parts of replies that their channel accepted, a second.
    pub replies: f64,
    /// How long answers took, of late, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95 of a hundred took as long at the most.
    pub p95_ms: Option<f64>,
    /// 99 of a hundred did.
    pub p99_ms: Option<f64>,
    /// Messages that wait or are in a turn.
    pub backlog: i64,
    /// Errors of all causes, a second.
    pub errors: f64,
    /// Errors since the point before, by cause.
    pub causes: Causes,
    /// Conversations in memory.
    pub conversations: u64,
    /// Memory of the process that belongs to no file, in bytes.
    pub memory: u64,
    /// Requests that wait for the writer.
    pub queue: u64,
    /// Requests of the last commit.
    pub commit_size: u64,
    /// How long half of the commits took at the most, of late, in milliseconds.
    pub commit_ms: Option<f64>,
    /// 99 of a hundred did.
    pub commit_p99_ms: Option<f64>,
    /// Reads under way or waiting.
    pub reads: u64,
}

impl Point {
    /// The point of a look.
    #[must_use]
    pub fn of(at: Timestamp, figures: &Figures, causes: Causes) -> Self {
        let Figures { rates, answers, store, .. } = figures;
        Self {
            at,
            messages: rates.messages,
            turns: rates.turns,
            replies: rates.replies,
            p50_ms: answers.map(|answers| answers.p50_ms),
            p95_ms: answers.map(|answers| answers.p95_ms),
            p99_ms: answers.map(|answers| answers.p99_ms),
            backlog: figures.backlog,
            errors: rates.errors,
            causes,
            conversations: figures.conversations,
            memory: figures.memory.anonymous_bytes,
            queue: store.queue,
            commit_size: store.commit_size,
            commit_ms: store.commits.map(|commits| commits.p50_ms),
            commit_p99_ms: store.commits.map(|commits| commits.p99_ms),
            reads: store.reads_waiting + store.reads_in_flight,
        }
    }
}

/// The last points, the oldest first.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Series(VecDeque<Point>);

impl Series {
    /// One more; the oldest goes where there are too many.
    pub fn push(&mut self, point: Point) {
        while self.0.len() >= POINTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those behind a moment.
    pub fn after(&self, seen: Timestamp) -> impl Iterator<Item = &Point> {
        self.0.iter().filter(move |point| point.at > seen)
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&Point> {
        self.0.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_an_hour_is_kept_and_the_oldest_goes() {
        let mut series = Series::default();
        for n in 0..500 {
            series.push(Point::of(Timestamp(n), &Figures::default(), Causes::default()));
        }
        assert_eq!(series.len(), 180);
        assert_eq!(series.0.front().map(|point| point.at), Some(Timestamp(320)));
        assert_eq!(series.last().map(|point| point.at), Some(Timestamp(499)));
        assert_eq!(
            series.after(Timestamp(497)).map(|point| point.at).collect::<Vec<_>>(),
            [Timestamp(498), Timestamp(499)]
        );
    }
}
