//! How a time is distributed: the median, the tail and the longest, with an axis that gives each nine the same room.

use super::format::{Unit, count};
use super::markup;
use super::plot::{Heading, KeyEntry, empty, figure};
use super::run::Quantiles;
use super::scale::Scale;
use super::svg::{self, Spot};

/// The places of the axis: a name, and how many nines it has (the longest has a place of its own behind them).
const PLACES: [(&str, f64); 5] = [("p50", 0.3), ("p90", 1.0), ("p99", 2.0), ("p99.9", 3.0), ("max", 4.0)];

/// A distribution to draw.
pub(super) struct Curve {
    /// What was measured.
    pub(super) name: String,
    /// How it looks.
    pub(super) class: &'static str,
    /// Its figures.
    pub(super) quantiles: Quantiles,
}

impl Curve {
    fn values(&self) -> [f64; 5] {
        let Quantiles { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = self.quantiles;
        [p50_ms, p90_ms, p99_ms, p999_ms, max_ms]
    }
}

/// Where a place stands, in per cent of the width.
fn x(nines: f64) -> f64 {
    let (first, last) = (PLACES[0].1, PLACES[4].1);
    12.0 + (nines - first) / (last - first) * 84.0
}

/// The figure of some distributions; those in which nothing was measured are left out.
pub(super) fn distribution(title: &str, note: &str, curves: &[Curve]) -> String {
    let curves: Vec<&Curve> = curves.iter().filter(|curve| curve.quantiles.count > 0).collect();
    if curves.is_empty() {
        return empty(title, note);
    }
    let scale = Scale::of(curves.iter().flat_map(|curve| curve.values()), Unit::Millis, true);
    let key: Vec<_> = curves
        .iter()
        .map(|curve| KeyEntry {
            class: curve.class,
            name: &curve.name,
            value: count(curve.quantiles.count) + " measured",
        })
        .collect();
    let summary: Vec<String> = curves.iter().map(|curve| words(curve)).collect();
    let summary = format!("{title}: {}", summary.join("; "));
    let frame = svg::drawing(&parts(&curves, &scale));
    figure(&Heading { title, note, is_log: scale.is_log }, &key, &summary, &frame, &table(title, &curves))
}

fn words(curve: &Curve) -> String {
    let values = PLACES.iter().zip(curve.values());
    let values: Vec<_> =
        values.map(|((name, _), value)| format!("{name} {}", Unit::Millis.text(value))).collect();
    format!("{}: {}", curve.name, values.join(", "))
}

fn parts(curves: &[&Curve], scale: &Scale) -> String {
    let mut text = svg::grid(scale);
    for (_, nines) in PLACES {
        text.push_str(&svg::upright(x(nines), "grid", ""));
    }
    let ticks = PLACES.map(|(name, nines)| (x(nines), name.to_owned()));
    text.push_str(&svg::foot_of_all(&ticks));
    for curve in curves.iter().rev() {
        let spots: Vec<_> = PLACES
            .iter()
            .zip(curve.values())
            .map(|((_, nines), value)| Spot::of(x(*nines), value, scale))
            .collect();
        text.push_str(&svg::line(&spots.iter().copied().map(Some).collect::<Vec<_>>(), curve.class));
        spots.iter().for_each(|spot| text.push_str(&svg::dot(*spot, curve.class, 3.5)));
    }
    text.push_str(&svg::labels(scale, Unit::Millis));
    for (n, (name, nines)) in PLACES.iter().enumerate() {
        let values: Vec<_> = curves
            .iter()
            .map(|curve| format!("{} {}", curve.name, Unit::Millis.text(curve.values()[n])))
            .collect();
        let from = n.checked_sub(1).map_or(0.0, |n| x((PLACES[n].1 + nines) / 2.0));
        let to = PLACES.get(n + 1).map_or(100.0, |(_, next)| x((nines + next) / 2.0));
        text.push_str(&svg::hover(from, to, &format!("{name} · {}", values.join(" · "))));
    }
    text
}

fn table(title: &str, curves: &[&Curve]) -> String {
    let mut titles = vec!["", "measured", "mean"];
    titles.extend(PLACES.iter().map(|(name, _)| *name));
    let row = |curve: &&Curve| {
        let mut cells = vec![
            markup::Escaped(&curve.name).to_string(),
            count(curve.quantiles.count),
            Unit::Millis.text(curve.quantiles.mean_ms),
        ];
        cells.extend(curve.values().map(|value| Unit::Millis.text(value)));
        cells
    };
    markup::table(&format!("{title}: values"), &titles, &curves.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::tests::markup;
    use super::*;

    fn curve(count: u64, last: f64) -> Curve {
        let quantiles = Quantiles {
            count,
            mean_ms: 2.0,
            p50_ms: 1.5,
            p90_ms: 3.0,
            p99_ms: 9.0,
            p999_ms: 20.0,
            max_ms: last,
        };
        Curve { name: "over<head>".to_owned(), class: "one", quantiles }
    }

    #[test]
    fn a_distribution_shows_every_quantile_and_leaves_out_what_was_not_measured() {
        let text = distribution("Times", "Note", &[curve(5, 30.0), curve(0, 1e9)]);
        markup::check(&text).unwrap();
        assert_eq!(text.matches("<circle").count(), 5);
        for expected in [
            "over&lt;head&gt;",
            "p99.9 · over&lt;head&gt; 20 ms",
            "<td class=\"figure\">30 ms</td>",
            "5 measured",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("logarithmic"), "{text}");
        assert!(distribution("Times", "Note", &[curve(5, 3_000.0)]).contains("logarithmic"));
        assert!(distribution("Times", "Note", &[curve(0, 1.0)]).contains("Not measured"));
        assert!(distribution("Times", "Note", &[]).contains("Not measured"));
    }

    #[test]
    fn a_figure_that_is_no_number_does_no_harm() {
        let text = distribution("Times", "Note", &[curve(5, f64::NAN)]);
        markup::check(&text).unwrap();
        assert!(!text.contains("NaN"), "{text}");
    }
}
