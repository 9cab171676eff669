//! A plot over time as a figure of the page: a heading, a key, the drawing, and its values as a table.

use std::fmt::Write as _;

use super::format::{Unit, duration};
use super::ground::Ground;
use super::markup::{self, Escaped};
use super::scale::Scale;
use super::series::{POINTS_MAX, Series, Slot, slots};
use super::svg::{self, Spot};

/// How many places across a drawing say their values.
const HOVERS_MAX: usize = 160;
/// How many rows the table of values has.
const ROWS_MAX: usize = 50;

/// How the space below or between the lines is filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fill {
    /// Not at all.
    None,
    /// Below the first line.
    Below,
    /// Between the first line and the second.
    Between,
}

/// A plot over time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Plot<'a> {
    /// What it shows.
    pub(super) title: &'a str,
    /// What that is, in a sentence.
    pub(super) note: &'a str,
    /// What its values count.
    pub(super) unit: Unit,
    /// Whether the upright axis may grow by factors.
    pub(super) may_be_log: bool,
    /// The lines; the first is the one to look at, and is drawn last.
    pub(super) series: Vec<Series>,
    /// What is filled.
    pub(super) fill: Fill,
    /// A limit that the profile sets, and its words.
    pub(super) limit: Option<(f64, String)>,
}

impl Plot<'_> {
    /// The figure.
    pub(super) fn figure(&self, ground: &Ground<'_>) -> String {
        if self.series.iter().all(|series| series.values().next().is_none()) {
            return empty(self.title, self.note);
        }
        let values = self.series.iter().flat_map(Series::values);
        let scale = Scale::of(values, self.unit, self.may_be_log);
        let frame = format!("{}{}", ground.names(), svg::drawing(&self.parts(&scale, ground)));
        let heading = Heading { title: self.title, note: self.note, is_log: scale.is_log };
        figure(&heading, &self.key(), &self.summary(ground), &frame, &self.table(ground))
    }

    fn parts(&self, scale: &Scale, ground: &Ground<'_>) -> String {
        let mut text = ground.below() + &svg::grid(scale) + &ground.foot();
        let place = |(at, value): &(f64, Option<f64>)| Some(Spot::of(ground.x(*at), (*value)?, scale));
        let lines: Vec<Vec<Option<Spot>>> = self
            .series
            .iter()
            .map(|series| series.thinned(POINTS_MAX, ground.until_s).iter().map(place).collect())
            .collect();
        match (self.fill, lines.as_slice(), self.series.first()) {
            (Fill::Below, [first, ..], Some(series)) => text.push_str(&svg::area(first, series.class)),
            (Fill::Between, [first, second, ..], Some(series)) => {
                text.push_str(&svg::between(first, second, series.class));
            }
            _ => {}
        }
        for (line, series) in lines.iter().zip(&self.series).rev() {
            text.push_str(&svg::line(line, series.class));
        }
        if let Some((limit, words)) = self.limit.as_ref().filter(|(limit, _)| scale.holds(*limit)) {
            text.push_str(&svg::level(Spot::of(0.0, *limit, scale), words));
        }
        text.push_str(&ground.above());
        text.push_str(&svg::labels(scale, self.unit));
        for slot in slots(&self.series, ground.until_s, HOVERS_MAX) {
            let words = self.words(&slot);
            text.push_str(&svg::hover(ground.x(slot.from_s), ground.x(slot.to_s), &words));
        }
        text
    }

    /// What a place across the drawing says.
    fn words(&self, slot: &Slot) -> String {
        let mut text = duration(slot.from_s);
        for (series, value) in self.series.iter().zip(&slot.values) {
            let value = value.map_or_else(|| "–".to_owned(), |value| self.unit.text(value));
            let _ = write!(text, " · {} {value}", series.name);
        }
        text
    }

    fn key(&self) -> Vec<KeyEntry<'_>> {
        let entry = |series: &'_ Series| (series.class, series.highest().map(|(_, value)| value));
        self.series
            .iter()
            .map(|series| {
                let (class, highest) = entry(series);
                let value = highest.map_or_else(
                    || "not measured".to_owned(),
                    |value| format!("max {}", self.unit.text(value)),
                );
                KeyEntry { class, name: &series.name, value }
            })
            .collect()
    }

    /// The drawing in words.
    fn summary(&self, ground: &Ground<'_>) -> String {
        let mut text = format!("{} over {}", self.title, duration(ground.until_s));
        for series in &self.series {
            let _ = match (series.lowest(), series.highest()) {
                (Some(lowest), Some((at, highest))) => write!(
                    text,
                    "; {}: from {} to {}, highest at {}",
                    series.name,
                    self.unit.text(lowest),
                    self.unit.text(highest),
                    duration(at)
                ),
                _ => write!(text, "; {}: not measured", series.name),
            };
        }
        text
    }

    fn table(&self, ground: &Ground<'_>) -> String {
        let slots = slots(&self.series, ground.until_s, ROWS_MAX);
        let length_s = slots.first().map_or(1.0, |slot| slot.to_s - slot.from_s);
        let from =
            if length_s > 1.0 { format!("from, highest of {}", duration(length_s)) } else { "at".to_owned() };
        let mut titles = vec![from.as_str()];
        titles.extend(self.series.iter().map(|series| series.name.as_str()));
        let cell = |value: &Option<f64>| value.map_or_else(|| "–".to_owned(), |value| self.unit.text(value));
        let row = |slot: &Slot| {
            std::iter::once(duration(slot.from_s)).chain(slot.values.iter().map(cell)).collect()
        };
        markup::table(&format!("{}: values", self.title), &titles, &slots.iter().map(row).collect::<Vec<_>>())
    }
}

/// A line of the key.
pub(super) struct KeyEntry<'a> {
    pub(super) class: &'a str,
    pub(super) name: &'a str,
    pub(super) value: String,
}

/// What stands above a drawing.
pub(super) struct Heading<'a> {
    pub(super) title: &'a str,
    /// What that is, in a sentence without a full stop.
    pub(super) note: &'a str,
    /// Whether equal steps of the upright axis are equal factors.
    pub(super) is_log: bool,
}

/// A figure of the page. The summary says to those who do not see it what the drawing shows.
pub(super) fn figure(
    heading: &Heading<'_>,
    key: &[KeyEntry<'_>],
    summary: &str,
    frame: &str,
    table: &str,
) -> String {
    let log = if heading.is_log { " <small class=\"chip\">logarithmic scale</small>" } else { "" };
    let mut text = format!(
        "<figure class=\"plot\"><figcaption><h3>{}{log}</h3><p>{}.</p></figcaption><ul class=\"key\">",
        Escaped(heading.title),
        Escaped(heading.note)
    );
    for KeyEntry { class, name, value } in key {
        let _ = write!(
            text,
            "<li><svg class=\"swatch\" width=\"20\" height=\"10\" aria-hidden=\"true\">\
             <line class=\"line {class}\" x1=\"1\" x2=\"19\" y1=\"5\" y2=\"5\"/></svg>{} <b>{}</b></li>",
            Escaped(name),
            Escaped(value)
        );
    }
    let _ = write!(
        text,
        "</ul><div class=\"frame\" role=\"img\" aria-label=\"{}\">{frame}</div>\
         <details><summary>Values</summary>{table}</details></figure>",
        Escaped(summary)
    );
    text
}

/// A figure without anything to draw.
pub(super) fn empty(title: &str, note: &str) -> String {
    format!(
        "<figure class=\"plot empty\"><figcaption><h3>{}</h3><p>{}.</p></figcaption>\
         <p class=\"none\">Not measured in this run.</p></figure>",
        Escaped(title),
        Escaped(note)
    )
}

#[cfg(test)]
mod tests {
    use super::super::run::{Point, Run};
    use super::super::tests::markup;
    use super::*;

    fn figure_of(values: &[Option<f64>], may_be_log: bool) -> String {
        let points = values.iter().enumerate();
        let points =
            points.map(|(n, value)| Point { at_s: n as f64, lag_p99_ms: *value, ..Point::default() });
        let run = Run { series: points.collect(), ..Run::default() };
        let series = vec![Series::new("p<99>", "one", &run, |point| point.lag_p99_ms)];
        let limit = Some((3.0, "limit".to_owned()));
        let plot = Plot {
            title: "Lag & so",
            note: "Note",
            unit: Unit::Millis,
            may_be_log,
            series,
            fill: Fill::Below,
            limit,
        };
        let text = plot.figure(&Ground::of(&run));
        markup::check(&text).unwrap();
        text
    }

    #[test]
    fn nothing_measured_is_said_and_not_drawn() {
        for values in [&[][..], &[None, None], &[Some(f64::NAN)]] {
            let text = figure_of(values, true);
            assert!(text.contains("Not measured") && !text.contains("<svg"), "{text}");
        }
    }

    #[test]
    fn a_single_point_is_a_dot() {
        let text = figure_of(&[Some(5.0)], true);
        assert!(text.contains("<circle") && !text.contains("<path"), "{text}");
        assert!(text.contains("from 5 ms to 5 ms, highest at 0 s"), "{text}");
    }

    #[test]
    fn a_plot_says_its_values_its_highest_and_the_limit_that_lies_within() {
        let text = figure_of(&[Some(1.0), Some(4.0), None], false);
        for expected in [
            "<h3>Lag &amp; so</h3>",
            "p&lt;99&gt; <b>max 4 ms</b>",
            "<title>1 s · p&lt;99&gt; 4 ms</title>",
            "<title>2 s · p&lt;99&gt; –</title>",
            "<th scope=\"row\">1 s</th><td class=\"figure\">4 ms</td>",
            ">limit</text>",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!figure_of(&[Some(1.0)], false).contains(">limit</text>"));
    }

    #[test]
    fn a_scale_by_factors_says_so() {
        assert!(figure_of(&[Some(1.0), Some(400.0)], true).contains("logarithmic scale"));
        assert!(!figure_of(&[Some(1.0), Some(400.0)], false).contains("logarithmic"));
    }
}
