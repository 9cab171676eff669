//! The lines of a plot: what was measured, second by second, and few enough points to draw.

use super::format::float;
use super::run::{Point, Run};

/// How many points a line has at the most. More would be narrower than a pixel.
pub(super) const POINTS_MAX: usize = 400;

/// A line of a plot.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Series {
    /// What it shows, for the key and the values.
    pub(super) name: String,
    /// How it looks.
    pub(super) class: &'static str,
    /// Times in seconds, and what was measured then.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Series {
    /// One value of each second of a run. What is no number counts as not measured.
    pub(super) fn new(
        name: impl Into<String>,
        class: &'static str,
        run: &Run,
        value: impl Fn(&Point) -> Option<f64>,
    ) -> Self {
        let measured = |point: &Point| value(point).filter(|value| value.is_finite());
        let points = run.series.iter().filter(|point| point.at_s.is_finite());
        let mut points: Vec<_> = points.map(|point| (point.at_s.max(0.0), measured(point))).collect();
        points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Self { name: name.into(), class, points }
    }

    /// What was measured.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> + Clone {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// The highest value, and when.
    pub(super) fn highest(&self) -> Option<(f64, f64)> {
        let measured = self.points.iter().filter_map(|(at, value)| Some((*at, (*value)?)));
        measured.reduce(|a, b| if b.1 > a.1 { b } else { a })
    }

    /// The lowest value.
    pub(super) fn lowest(&self) -> Option<f64> {
        self.values().reduce(f64::min)
    }

    /// The same line with at most so many points: of each stretch of time the highest value, so that a spike stays.
    pub(super) fn thinned(&self, points_max: usize, until_s: f64) -> Vec<(f64, Option<f64>)> {
        if self.points.len() <= points_max {
            return self.points.clone();
        }
        let slots = slots(std::slice::from_ref(self), until_s, points_max);
        slots.into_iter().map(|slot| (slot.from_s, slot.values.first().copied().flatten())).collect()
    }
}

/// A stretch of time, and the highest value of each line in it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Slot {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) values: Vec<Option<f64>>,
}

/// Cuts a run into so many stretches of whole seconds at the most, and leaves out those without a point.
pub(super) fn slots(series: &[Series], until_s: f64, slots_max: usize) -> Vec<Slot> {
    let length_s = (until_s / slots_max.max(1) as f64).ceil().max(1.0);
    let mut slots: Vec<Slot> = vec![];
    let mut places: Vec<usize> = vec![0; series.len()];
    for n in 0..slots_max {
        let (from_s, to_s) = (n as f64 * length_s, (n as f64 + 1.0) * length_s);
        let mut slot = Slot { from_s, to_s, values: vec![None; series.len()] };
        let mut has_point = false;
        for (line, (series, place)) in series.iter().zip(&mut places).enumerate() {
            while let Some((_, value)) = series.points.get(*place).filter(|(at, _)| *at < to_s) {
                has_point = true;
                *place += 1;
                slot.values[line] = slot.values[line].into_iter().chain(*value).reduce(f64::max);
            }
        }
        if has_point {
            slots.push(slot);
        }
    }
    slots
}

/// The end of everything that a plot of a run may show, in seconds; at least one.
pub(super) fn until_s(run: &Run) -> f64 {
    let points = run.series.iter().map(|point| point.at_s + 1.0);
    let stages = run.stages.iter().map(|stage| stage.to_s);
    let marks = run.marks.iter().map(|mark| mark.to_s.unwrap_or(mark.at_s));
    points.chain(stages).chain(marks).filter(|at| at.is_finite()).fold(1.0, f64::max)
}

/// A count, as a value of a line.
pub(super) fn some(count: u64) -> Option<f64> {
    Some(float(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        let points = values.iter().enumerate().map(|(n, value)| (n as f64, *value)).collect();
        Series { name: "x".to_owned(), class: "x", points }
    }

    #[test]
    fn a_spike_stays_however_many_points_there_are() {
        let mut values = vec![Some(1.0); 10_000];
        values[7_321] = Some(900.0);
        let line = series(&values).thinned(POINTS_MAX, 10_000.0);
        assert!(line.len() <= POINTS_MAX, "{}", line.len());
        assert_eq!(line.iter().filter(|(_, value)| *value == Some(900.0)).count(), 1);
        let at = line.iter().find(|(_, value)| *value == Some(900.0)).map(|(at, _)| *at).unwrap();
        assert!((7_321.0 - 25.0..=7_321.0).contains(&at), "{at}");
    }

    #[test]
    fn a_gap_stays_a_gap_and_few_points_stay_as_they_are() {
        let values = [Some(1.0), None, Some(3.0)];
        assert_eq!(
            series(&values).thinned(POINTS_MAX, 3.0),
            [(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0))]
        );
        let mut values = vec![Some(1.0); 1_000];
        values[400..600].fill(None);
        let line = series(&values).thinned(100, 1_000.0);
        assert_eq!(line.iter().filter(|(_, value)| value.is_none()).count(), 20);
    }

    #[test]
    fn slots_hold_the_highest_value_of_every_line() {
        let lines = [series(&[Some(1.0), Some(5.0), Some(2.0)]), series(&[None, None, Some(7.0)])];
        let found = slots(&lines, 3.0, 2);
        let expected = [
            Slot { from_s: 0.0, to_s: 2.0, values: vec![Some(5.0), None] },
            Slot { from_s: 2.0, to_s: 4.0, values: vec![Some(2.0), Some(7.0)] },
        ];
        assert_eq!(found, expected);
        assert_eq!(slots(&[], 10.0, 5), []);
    }

    #[test]
    fn what_is_no_number_was_not_measured() {
        let mut run = Run { series: vec![Point::default(); 3], ..Run::default() };
        run.series[0].cpu_cores = Some(f64::NAN);
        run.series[1].cpu_cores = Some(2.0);
        run.series[2].at_s = f64::INFINITY;
        let line = Series::new("x", "x", &run, |point| point.cpu_cores);
        assert_eq!(line.values().collect::<Vec<_>>(), [2.0]);
        assert_eq!(line.points.len(), 2);
        assert!((until_s(&run) - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn thinning_keeps_the_highest_value(values in prop::collection::vec(prop::option::of(0.0..1e6_f64), 0..3_000), points in 1_usize..500) {
            let line = series(&values);
            let thin = line.thinned(points, values.len() as f64);
            prop_assert!(thin.len() <= points.max(values.len().min(points)));
            let highest = |line: &[(f64, Option<f64>)]| line.iter().filter_map(|(_, v)| *v).reduce(f64::max);
            prop_assert_eq!(highest(&thin), highest(&line.points));
            prop_assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
