//! What lies behind the lines of every plot over time: the stages, what was done to the server, and the axis of time.

use std::fmt::Write as _;

use super::format::duration;
use super::markup::Escaped;
use super::run::{Mark, Run, Stage};
use super::scale::{time_label, time_ticks};
use super::series::until_s;
use super::svg;

/// The number of a mark needs at least this much room, in per cent of the width; the lines stand however close they are.
const ROOM: f64 = 5.0;

/// What lies behind the lines.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ground<'a> {
    /// Where the axis ends, in seconds.
    pub(super) until_s: f64,
    stages: Vec<&'a Stage>,
    /// In the order of time.
    marks: Vec<&'a Mark>,
}

impl<'a> Ground<'a> {
    /// The ground of a run.
    pub(super) fn of(run: &'a Run) -> Self {
        let stages = run.stages.iter().filter(|stage| stage.from_s.is_finite() && stage.to_s.is_finite());
        let mut marks: Vec<_> = run.marks.iter().filter(|mark| mark.at_s.is_finite()).collect();
        marks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Self { until_s: until_s(run), stages: stages.collect(), marks }
    }

    /// Where a time stands, in per cent of the width.
    pub(super) fn x(&self, at_s: f64) -> f64 {
        (at_s / self.until_s * 100.0).clamp(0.0, 100.0)
    }

    /// What is drawn below the lines: the stages, and what lasted.
    pub(super) fn below(&self) -> String {
        let mut text = String::new();
        for (n, stage) in self.stages.iter().enumerate() {
            let class = match n % 2 {
                _ if stage.is_warm_up => "band warm-up",
                0 => "band",
                _ => "band other",
            };
            text.push_str(&svg::strip(self.x(stage.from_s), self.x(stage.to_s), class, &stage_title(stage)));
        }
        for mark in &self.marks {
            if let Some(to_s) = mark.to_s.filter(|to_s| to_s.is_finite()) {
                text.push_str(&svg::strip(self.x(mark.at_s), self.x(to_s), "lasting", &mark_title(mark)));
            }
        }
        text
    }

    /// What is drawn above the lines: when something was done to the server.
    pub(super) fn above(&self) -> String {
        self.marks.iter().map(|mark| svg::upright(self.x(mark.at_s), "mark", &mark_title(mark))).collect()
    }

    /// The axis of time.
    pub(super) fn foot(&self) -> String {
        let ticks = time_ticks(self.until_s);
        let step_s = ticks.get(1).copied().unwrap_or_default();
        let labels: Vec<_> = ticks.iter().map(|tick| (self.x(*tick), time_label(*tick, step_s))).collect();
        svg::foot(&labels)
    }

    /// The names of the stages and the marks, in rows above a drawing; each is cut where the next one begins.
    pub(super) fn names(&self) -> String {
        let mut text = String::new();
        if !self.stages.is_empty() {
            text.push_str("<div class=\"names\">");
            for stage in &self.stages {
                let (from, to) = (self.x(stage.from_s), self.x(stage.to_s));
                let class = if stage.is_warm_up { "stage warm-up" } else { "stage" };
                let _ = write!(
                    text,
                    "<span class=\"{class}\" style=\"left:{}%;width:{}%\" title=\"{}\">{}</span>",
                    svg::number(from),
                    svg::number((to - from).max(0.0)),
                    Escaped(stage_title(stage)),
                    Escaped(&stage.name)
                );
            }
            text.push_str("</div>");
        }
        if !self.marks.is_empty() {
            text.push_str(&self.mark_names());
        }
        text
    }

    /// The names of the marks, in two rows where one is too full.
    fn mark_names(&self) -> String {
        let mut rows: [Vec<Named<'_>>; 2] = [vec![], vec![]];
        for (n, mark) in self.marks.iter().enumerate() {
            let (x, name) = (self.x(mark.at_s), Named { number: n + 1, mark });
            // Where the name of the last one ends, if the page is wide; however narrow it is, its number must fit.
            let ends = |row: &[Named<'_>], room: fn(&str) -> f64| {
                row.last().map_or(f64::NEG_INFINITY, |last| self.x(last.mark.at_s) + room(&last.mark.what))
            };
            let free = rows.iter().position(|row| ends(row, room) <= x);
            let possible = || rows.iter().position(|row| ends(row, |_| ROOM) <= x);
            if let Some(row) = free.or_else(possible) {
                rows[row].push(name);
            }
        }
        let rows = rows.iter().filter(|row| !row.is_empty());
        rows.map(|row| format!("<div class=\"names\">{}</div>", self.mark_row(row))).collect()
    }

    fn mark_row(&self, row: &[Named<'_>]) -> String {
        let mut text = String::new();
        let mut free_from = 0.0;
        for (n, Named { number, mark }) in row.iter().enumerate() {
            let x = self.x(mark.at_s);
            let next = row.get(n + 1).map_or(100.0, |next| self.x(next.mark.at_s));
            // At the right end a name has more room before its line than after it.
            let is_back = x > 75.0 && next - x < (x - free_from).min(room(&mark.what));
            let (side, edge, most) =
                if is_back { ("right", 100.0 - x, x - free_from) } else { ("left", x, next - x) };
            free_from = x + if is_back { ROOM } else { room(&mark.what) };
            let _ = write!(
                text,
                "<span class=\"mark{}\" style=\"{side}:{}%;max-width:{}%\" title=\"{}\"><b>{number}</b> {}</span>",
                if is_back { " back" } else { "" },
                svg::number(edge),
                svg::number(most),
                Escaped(mark_title(mark)),
                Escaped(&mark.what)
            );
        }
        text
    }
}

/// A mark whose name is shown.
struct Named<'a> {
    number: usize,
    mark: &'a Mark,
}

/// How much room a name takes on a wide page, in per cent of the width, about.
fn room(name: &str) -> f64 {
    f64::from(u32::try_from(name.chars().count()).unwrap_or(u32::MAX)) * 1.2 + ROOM
}

fn stage_title(stage: &Stage) -> String {
    let warm_up = if stage.is_warm_up { " (warm-up, left out of the figures)" } else { "" };
    format!("{}{warm_up}: {} to {}", stage.name, duration(stage.from_s), duration(stage.to_s))
}

/// What was done, and when.
fn mark_title(mark: &Mark) -> String {
    match mark.to_s {
        Some(to_s) => format!("{}: {} to {}", mark.what, duration(mark.at_s), duration(to_s)),
        None => format!("{} at {}", mark.what, duration(mark.at_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::markup;
    use super::*;

    fn run(marks: &[f64]) -> Run {
        let marks = marks.iter().map(|at_s| Mark { at_s: *at_s, to_s: None, what: "kill <9>".to_owned() });
        let stages = vec![Stage { name: "steady".to_owned(), to_s: 100.0, ..Stage::default() }];
        Run { marks: marks.collect(), stages, ..Run::default() }
    }

    #[test]
    fn marks_too_close_for_their_names_have_all_their_lines_and_some_names() {
        let cases: [(&[f64], usize); 5] = [
            (&[], 0),
            (&[10.0], 1),
            (&[10.0, 12.0, 13.0], 2),
            (&[10.0, 50.0], 2),
            (&[99.0, 50.0, 98.0, 97.0], 3),
        ];
        for (marks, named) in cases {
            let run = run(marks);
            let ground = Ground::of(&run);
            let names = ground.names();
            markup::check(&names).unwrap();
            assert_eq!(names.matches("<b>").count(), named, "{names}");
            assert_eq!(ground.above().matches("<line").count(), marks.len());
        }
    }

    #[test]
    fn times_beyond_the_axis_stand_at_its_ends() {
        let run = run(&[-5.0, f64::NAN]);
        let ground = Ground::of(&run);
        assert!((ground.until_s - 100.0).abs() < 1e-9);
        assert_eq!([ground.x(-5.0), ground.x(50.0), ground.x(200.0)], [0.0, 50.0, 100.0]);
    }
}
