//! Who writes when: decided ahead, from the seed alone, so that two runs with the same seed send the same texts at the same
//! intended times, whatever the server does.

use std::collections::{BTreeMap, HashMap};

use super::prng::Prng;
use super::profile::{Arrivals, People, StagePlan};

/// Microseconds since the run began.
pub type Moment = u64;

/// Microseconds of a second.
pub(super) const SECOND: f64 = 1_000_000.0;

/// Somebody begins a burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When its first message is meant to be sent, since the beginning of the stage.
    pub at: Moment,
    /// Who.
    pub person: usize,
    /// The number of the burst of this person.
    pub burst: usize,
}

/// The bursts of the open-loop stages, one after the other.
#[derive(Clone, Debug)]
pub struct Plan {
    people: People,
    prng: Prng,
    zipf: Zipf,
    /// The next burst of each person who has written, and when the last began.
    written: HashMap<usize, (usize, Moment)>,
    next_in_turn: usize,
    /// When the next stage begins by the plan, not by the clock: who writes must not depend on the server.
    begins_at: Moment,
}

impl Plan {
    /// The plan of a run.
    #[must_use]
    pub fn new(people: &People, seed: u64) -> Self {
        Self {
            zipf: Zipf::new(people.roster, people.zipf),
            people: people.clone(),
            prng: Prng::derived(seed, u64::MAX),
            written: HashMap::new(),
            next_in_turn: 0,
            begins_at: 0,
        }
    }

    /// The bursts of the next stage, in order of time. Takes a while where there are many: whoever writes meanwhile is late.
    pub fn stage(&mut self, stage: &StagePlan) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let mut bursts = 0.0;
        loop {
            bursts += match stage.arrivals {
                Arrivals::Constant => 1.0,
                Arrivals::Poisson => self.prng.exponential(),
            };
            let Some(seconds) = reached(stage, bursts).filter(|seconds| *seconds < stage.seconds) else {
                self.begins_at += (stage.seconds * SECOND) as Moment;
                return arrivals;
            };
            arrivals.push(self.arrival(stage, (seconds * SECOND) as Moment));
        }
    }

    fn arrival(&mut self, stage: &StagePlan, at: Moment) -> Arrival {
        let person = if stage.in_turn {
            let person = self.next_in_turn % self.people.roster;
            self.next_in_turn += 1;
            person
        } else {
            self.rested(self.begins_at + at)
        };
        let written_at = self.begins_at + at;
        let next = self.written.entry(person).or_insert((0, written_at));
        let burst = next.0;
        *next = (burst + 1, written_at);
        Arrival { at, person, burst }
    }

    /// Somebody by activity who has not just written; whoever has is passed over for the next one.
    fn rested(&mut self, at: Moment) -> usize {
        let drawn = self.zipf.draw(&mut self.prng);
        let rest = self.people.rest_ms * 1_000;
        let has_rested = |person: &usize| self.written.get(person).is_none_or(|(_, last)| at >= last + rest);
        let roster = self.people.roster;
        (drawn..roster).chain(0..drawn).find(has_rested).unwrap_or(drawn)
    }
}

/// How many seconds into a stage so many bursts have begun, where its rate goes evenly from the first to the last; none: never.
fn reached(stage: &StagePlan, bursts: f64) -> Option<f64> {
    let first = stage.bursts_per_s;
    let change = (stage.to_bursts_per_s.unwrap_or(first) - first) / stage.seconds;
    if change.abs() < 1e-9 {
        return (first > 0.0).then(|| bursts / first);
    }
    // bursts = first * seconds + change / 2 * seconds², the form of whose root loses no digits.
    let inner = first * first + 2.0 * change * bursts;
    (inner >= 0.0).then(|| 2.0 * bursts / (first + inner.sqrt()))
}

/// Draws numbers below `count`, where n is drawn in proportion to 1/(n + 1) to the power of `exponent`.
///
/// Source of the method: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
/// distributions" (1996).
#[derive(Clone, Copy, Debug)]
struct Zipf {
    count: f64,
    exponent: f64,
    left: f64,
    right: f64,
}

impl Zipf {
    fn new(count: usize, exponent: f64) -> Self {
        let mut zipf = Self { count: count as f64, exponent, left: 0.0, right: 0.0 };
        zipf.left = zipf.area(1.5) - 1.0;
        zipf.right = zipf.area(zipf.count + 0.5);
        zipf
    }

    fn draw(&self, prng: &mut Prng) -> usize {
        loop {
            let area = self.right + prng.fraction() * (self.left - self.right);
            let x = self.inverse(area);
            let k = x.round().clamp(1.0, self.count);
            if area >= self.area(k + 0.5) - k.powf(-self.exponent) {
                return k as usize - 1;
            }
        }
    }

    /// The integral of 1/x to the power of the exponent.
    fn area(&self, x: f64) -> f64 {
        if (self.exponent - 1.0).abs() < 1e-9 {
            return x.ln();
        }
        (x.powf(1.0 - self.exponent) - 1.0) / (1.0 - self.exponent)
    }

    fn inverse(&self, area: f64) -> f64 {
        if (self.exponent - 1.0).abs() < 1e-9 {
            return area.exp();
        }
        (1.0 + area * (1.0 - self.exponent)).max(0.0).powf(1.0 / (1.0 - self.exponent))
    }
}

/// How many bursts each person of a list of arrivals begins.
#[must_use]
pub fn activity(arrivals: &[Arrival]) -> BTreeMap<usize, usize> {
    let mut activity = BTreeMap::new();
    for arrival in arrivals {
        *activity.entry(arrival.person).or_default() += 1;
    }
    activity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(roster: usize, zipf: f64) -> People {
        People { roster, zipf, rest_ms: 0, ..People::default() }
    }

    fn stage(rate: f64, arrivals: Arrivals) -> StagePlan {
        StagePlan { seconds: 10.0, bursts_per_s: rate, arrivals, ..StagePlan::default() }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_gives_another() {
        let plan = |seed| Plan::new(&people(100, 1.0), seed).stage(&stage(50.0, Arrivals::Poisson));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn rates_are_kept_whether_constant_poisson_or_rising() {
        for (arrivals, to, expected) in [
            (Arrivals::Constant, None, 990..=1_000),
            (Arrivals::Poisson, None, 900..=1_100),
            (Arrivals::Constant, Some(300.0), 1_950..=2_050),
        ] {
            let stage = StagePlan { to_bursts_per_s: to, ..stage(100.0, arrivals) };
            let bursts = Plan::new(&people(50, 0.0), 1).stage(&stage);
            assert!(expected.contains(&bursts.len()), "{arrivals:?}: {}", bursts.len());
            assert!(bursts.is_sorted_by_key(|arrival| arrival.at));
            assert!(bursts.iter().all(|arrival| (0..10_000_000).contains(&arrival.at)));
        }
        let rising = StagePlan { to_bursts_per_s: Some(10.0), ..stage(0.0, Arrivals::Constant) };
        assert!(!Plan::new(&people(50, 0.0), 1).stage(&rising).is_empty(), "it begins at nothing");
        assert_eq!(Plan::new(&people(50, 0.0), 1).stage(&stage(0.0, Arrivals::Poisson)), []);
    }

    #[test]
    fn activity_follows_zipf_and_bursts_of_a_person_are_numbered() {
        let bursts = Plan::new(&people(1_000, 1.0), 3).stage(&stage(2_000.0, Arrivals::Constant));
        let activity = activity(&bursts);
        let (first, tenth) = (activity[&0] as f64, activity[&9] as f64);
        assert!((7.0..14.0).contains(&(first / tenth)), "{first} and {tenth}");
        let numbers: Vec<_> =
            bursts.iter().filter(|arrival| arrival.person == 3).map(|arrival| arrival.burst).collect();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
        let even = Plan::new(&people(10, 0.0), 3).stage(&stage(1_000.0, Arrivals::Constant));
        assert!(super::activity(&even).values().all(|count| (900..1_100).contains(count)));
    }

    #[test]
    fn nobody_writes_again_before_they_have_rested_and_in_turn_everybody_writes_once() {
        let people = People { rest_ms: 1_000, ..people(100, 2.0) };
        let (mut plan, stage_of_10_s) = (Plan::new(&people, 3), stage(50.0, Arrivals::Constant));
        let mut last: HashMap<usize, Moment> = HashMap::new();
        for begins_at in [0, 10_000_000] {
            for arrival in plan.stage(&stage_of_10_s) {
                let at = begins_at + arrival.at;
                let before = last.insert(arrival.person, at);
                assert!(before.is_none_or(|before| at - before >= 1_000_000), "also across stages");
            }
        }
        let in_turn = StagePlan { in_turn: true, ..stage(10.0, Arrivals::Constant) };
        let bursts = Plan::new(&people, 3).stage(&in_turn);
        assert!(bursts.iter().enumerate().all(|(n, arrival)| (arrival.person, arrival.burst) == (n, 0)));
    }
}
