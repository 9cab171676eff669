//! The parts of a drawing. Across, everything is in per cent of the width, so that lines stretch with the page while letters
//! keep their size; upright, everything is in pixels.

use std::fmt::Write as _;

use super::format::Unit;
use super::markup::Escaped;
use super::scale::Scale;

/// How high a drawing is, in pixels.
pub(super) const HEIGHT: f64 = 196.0;
/// Where its field begins, and where it ends.
const TOP: f64 = 18.0;
const FOOT: f64 = 172.0;

/// A place in a drawing: per cent across, pixels down.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Spot {
    /// The place of a value.
    pub(super) fn of(x: f64, value: f64, scale: &Scale) -> Self {
        Self { x, y: FOOT - scale.share(value) * (FOOT - TOP) }
    }
}

/// A number of a drawing: two digits after the point are a fiftieth of a pixel and less.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" || text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

/// A drawing.
pub(super) fn drawing(parts: &str) -> String {
    format!(
        "<svg class=\"field\" height=\"{}\" width=\"100%\" aria-hidden=\"true\">{parts}</svg>",
        number(HEIGHT)
    )
}

/// What is stretched to the width of a drawing; its lines keep their breadth.
fn stretched(parts: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 1000 {0}\" preserveAspectRatio=\"none\" width=\"100%\" height=\"{0}\">{parts}</svg>",
        number(HEIGHT)
    )
}

/// The lines of an upright axis.
pub(super) fn grid(scale: &Scale) -> String {
    let mut text = String::new();
    for tick in &scale.ticks {
        let y = number(Spot::of(0.0, *tick, scale).y.round() + 0.5);
        let _ = write!(text, "<line class=\"grid\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>");
    }
    text
}

/// The labels of an upright axis, each upon its line; after the lines, so that nothing hides them. The foot of a linear axis
/// needs none: it is zero, as the axis across says beside it.
pub(super) fn labels(scale: &Scale, unit: Unit) -> String {
    let mut text = String::new();
    for tick in scale.ticks.iter().filter(|tick| **tick != 0.0) {
        let y = number(Spot::of(0.0, *tick, scale).y - 4.0);
        let _ = write!(text, "<text class=\"tick\" y=\"{y}\">{}</text>", Escaped(unit.text(*tick)));
    }
    text
}

/// The labels of the axis across. Every other one gives way where the page is narrow.
pub(super) fn foot(ticks: &[(f64, String)]) -> String {
    foot_with(ticks, |n| n % 2 == 1)
}

/// The same, and all of them stay.
pub(super) fn foot_of_all(ticks: &[(f64, String)]) -> String {
    foot_with(ticks, |_| false)
}

fn foot_with(ticks: &[(f64, String)], may_go: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    for (n, (x, label)) in ticks.iter().enumerate() {
        let anchor = match *x {
            ..4.0 => "start",
            96.0.. => "end",
            _ => "middle",
        };
        let minor = if may_go(n) { " minor" } else { "" };
        let x = number(*x);
        let _ = write!(
            text,
            "<line class=\"stub{minor}\" x1=\"{x}%\" x2=\"{x}%\" y1=\"{}\" y2=\"{}\"/>\
             <text class=\"tick {anchor}{minor}\" x=\"{x}%\" y=\"{}\">{}</text>",
            number(FOOT),
            number(FOOT + 4.0),
            number(FOOT + 18.0),
            Escaped(label)
        );
    }
    text
}

/// Cuts a line where nothing was measured.
fn pieces(spots: &[Option<Spot>]) -> impl Iterator<Item = Vec<Spot>> {
    spots
        .split(Option::is_none)
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.iter().flatten().copied().collect())
}

fn path(spots: impl Iterator<Item = Spot>) -> String {
    let mut text = String::new();
    for (n, spot) in spots.enumerate() {
        let _ =
            write!(text, "{}{} {}", if n == 0 { 'M' } else { 'L' }, number(spot.x * 10.0), number(spot.y));
    }
    text
}

/// A line through measured values, with gaps where nothing was measured, and a dot where one stands alone.
pub(super) fn line(spots: &[Option<Spot>], class: &str) -> String {
    let (mut lines, mut dots) = (String::new(), String::new());
    for piece in pieces(spots) {
        match piece.as_slice() {
            [one] => dots.push_str(&dot(*one, class, 2.0)),
            _ => lines.push_str(&path(piece.into_iter())),
        }
    }
    let lines = if lines.is_empty() {
        lines
    } else {
        stretched(&format!("<path class=\"line {class}\" d=\"{lines}\"/>"))
    };
    lines + &dots
}

/// A dot.
pub(super) fn dot(spot: Spot, class: &str, radius: f64) -> String {
    let (x, y, r) = (number(spot.x), number(spot.y), number(radius));
    format!("<circle class=\"dot {class}\" cx=\"{x}%\" cy=\"{y}\" r=\"{r}\"/>")
}

/// What lies between a line and the foot.
pub(super) fn area(spots: &[Option<Spot>], class: &str) -> String {
    let at_foot = |spot: &Spot| Spot { x: spot.x, y: FOOT };
    between(spots, &spots.iter().map(|spot| spot.as_ref().map(at_foot)).collect::<Vec<_>>(), class)
}

/// What lies between two lines, where both were measured.
pub(super) fn between(upper: &[Option<Spot>], lower: &[Option<Spot>], class: &str) -> String {
    let mut outlines = String::new();
    let both: Vec<Option<(Spot, Spot)>> =
        upper.iter().zip(lower).map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    for piece in both.split(Option::is_none).filter(|piece| piece.len() > 1) {
        let there = piece.iter().flatten().map(|(spot, _)| *spot);
        let back = piece.iter().rev().flatten().map(|(_, spot)| *spot);
        outlines.push_str(&path(there.chain(back)));
        outlines.push('Z');
    }
    if outlines.is_empty() {
        outlines
    } else {
        stretched(&format!("<path class=\"area {class}\" d=\"{outlines}\"/>"))
    }
}

/// A strip of the whole height, as of a stage; its title shows where a pointer rests.
pub(super) fn strip(from: f64, to: f64, class: &str, title: &str) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{}%\" width=\"{}%\" height=\"{}\"><title>{}</title></rect>",
        number(from),
        number((to - from).max(0.0)),
        number(FOOT),
        Escaped(title)
    )
}

/// An upright line, as of a fault, with a title where it has one.
pub(super) fn upright(x: f64, class: &str, title: &str) -> String {
    let x = number(x);
    let title = if title.is_empty() { String::new() } else { format!("<title>{}</title>", Escaped(title)) };
    format!("<line class=\"{class}\" x1=\"{x}%\" x2=\"{x}%\" y1=\"0\" y2=\"{}\">{title}</line>", number(FOOT))
}

/// A level line with its words at the right, as of a limit.
pub(super) fn level(spot: Spot, words: &str) -> String {
    let (y, above) = (number(spot.y), number(spot.y - 4.0));
    format!(
        "<line class=\"limit\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
         <text class=\"tick limit end\" x=\"100%\" y=\"{above}\">{}</text>",
        Escaped(words)
    )
}

/// What shows where a pointer rests: a strip, and its values at the top.
pub(super) fn hover(from: f64, to: f64, words: &str) -> String {
    let words = Escaped(words);
    format!(
        "<g class=\"hover\"><title>{words}</title><rect x=\"{}%\" width=\"{}%\" height=\"{}\"/>\
         <text x=\"100%\" y=\"11\">{words}</text></g>",
        number(from),
        number(to - from),
        number(FOOT)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(text: &str) -> Vec<Option<Spot>> {
        let spot = |(n, c): (usize, char)| Some(Spot { x: n as f64, y: f64::from(c.to_digit(10)?) });
        text.chars().enumerate().map(spot).collect()
    }

    #[test]
    fn a_line_has_gaps_where_nothing_was_measured_and_a_dot_where_a_value_stands_alone() {
        let cases = [
            ("", 0, 0),
            ("-", 0, 0),
            ("5", 0, 1),
            ("12", 1, 0),
            ("12-34", 2, 0),
            ("1-2-3", 0, 3),
            ("-12-3-", 1, 1),
        ];
        for (text, lines, dots) in cases {
            let drawn = line(&spots(text), "x");
            assert_eq!(drawn.matches('M').count(), lines, "{text}: {drawn}");
            assert_eq!(drawn.matches("<circle").count(), dots, "{text}: {drawn}");
        }
        assert!(line(&spots("12"), "x").contains("d=\"M0 1L10 2\""));
    }

    #[test]
    fn an_area_is_closed_and_needs_both_lines() {
        assert_eq!(area(&spots("1"), "x"), "");
        assert!(area(&spots("12"), "x").contains("d=\"M0 1L10 2L10 172L0 172Z\""));
        let drawn = between(&spots("12-45"), &spots("11111"), "x");
        assert_eq!(drawn.matches('Z').count(), 2, "{drawn}");
        assert_eq!(between(&spots("123"), &spots("1-1"), "x"), "");
    }

    #[test]
    fn coordinates_are_short_and_plain() {
        let cases = [(0.0, "0"), (-0.001, "0"), (1.0, "1"), (1.239, "1.24"), (100.0, "100"), (1e-9, "0")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }
}
