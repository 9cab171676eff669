//! Puts what a run found into its report. Pure but for reading the meters.

use super::desk::Desk;
use super::meters::Timed;
use super::misfortune::Story;
use super::objectives::measure;
use super::plan::Moment;
use super::profile::Profile;
use super::report::run::{About, Generator, Objective, Point, Promise, Resources, Run, Stage, Traffic};
use super::sampler::{Seen, slope_percent_per_hour};
use super::watch::{Look, cpu_seconds};

/// A stage that was played.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// When it began.
    pub from: Moment,
    /// When it ended.
    pub to: Moment,
    /// Whether its figures are left out.
    pub is_warm_up: bool,
    /// A rate that was tried and not held.
    pub missed: bool,
}

impl Span {
    fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1_000_000.0
    }

    fn holds(&self, point: &Point) -> bool {
        let at = (point.at_s * 1_000_000.0) as Moment;
        at > self.from && at <= self.to + 500_000
    }
}

/// What is known beside the meters.
pub struct Facts {
    /// What was run.
    pub about: About,
    /// The server before the first message.
    pub before: Look,
    /// The stages.
    pub spans: Vec<Span>,
    /// The verdict.
    pub promises: Vec<Promise>,
    /// Why the run says nothing.
    pub failure: Option<String>,
}

/// A generator whose 99th percentile of lag is above this has fallen behind.
const LAG_MAX_MS: f64 = 50.0;

/// The report.
#[must_use]
pub fn report(profile: &Profile, desk: &Desk, seen: &Seen, story: &Story, facts: Facts) -> Run {
    let meters = desk.meters.borrow();
    let mut run = Run {
        traffic: traffic(desk, &facts.spans),
        times: meters.measured.times(),
        resources: resources(desk, seen, &facts),
        generator: generator(desk),
        promises: facts.promises,
        stages: stages(desk, &facts.spans),
        series: seen.points.clone(),
        marks: story.marks.clone(),
        failure: facts.failure,
        about: facts.about,
        objectives: vec![],
    };
    let mut limits = profile.objectives.clone();
    if profile.faults.refuse() {
        // A server that is not there, or has no room, refuses what the provider sends again.
        limits.remove("refused");
    }
    run.objectives = measure(&limits, &run);
    if profile.search.is_some() {
        run.objectives = vec![highest(&facts.spans)];
    }
    run
}

/// The highest rate that was held, as the search's answer.
fn highest(spans: &[Span]) -> Objective {
    let rate = |span: &Span| span.name.strip_suffix(" bursts/s")?.parse::<f64>().ok();
    let held = spans.iter().filter(|span| !span.missed).filter_map(rate);
    let highest = held.max_by(f64::total_cmp);
    Objective {
        name: "highest_bursts_per_s".to_owned(),
        limit: 0.0,
        is_minimum: true,
        measured: highest,
        held: highest.is_some(),
    }
}

/// Messages and bursts answered in the stages that are no warm-up, and how many seconds those lasted.
fn measured(desk: &Desk, spans: &[Span]) -> (u64, u64, f64) {
    let meters = desk.meters.borrow();
    let counted = spans.iter().zip(&meters.stages).filter(|(span, _)| !span.is_warm_up);
    counted.fold((0, 0, 0.0), |(messages, bursts, seconds), (span, stage)| {
        (messages + stage.answered, bursts + stage.bursts, seconds + span.seconds())
    })
}

fn traffic(desk: &Desk, spans: &[Span]) -> Traffic {
    let (ledger, tally) = (desk.ledger.borrow(), desk.tally());
    let (messages, bursts, seconds) = measured(desk, spans);
    let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    Traffic {
        people: ledger.people(),
        bursts: ledger.bursts().len() as u64,
        messages: tally.sent,
        webhooks: tally.webhooks,
        refused: tally.refused,
        acknowledged: ledger.acknowledged(),
        replies: ledger.replies().len() as u64,
        prompts: ledger.prompts(),
        messages_per_s: rate(messages),
        bursts_per_s: rate(bursts),
    }
}

fn resources(desk: &Desk, seen: &Seen, facts: &Facts) -> Resources {
    let played: Vec<&Point> =
        seen.points.iter().filter(|point| facts.spans.iter().any(|span| span.holds(point))).collect();
    let counts = |span: &Span, point: &Point| !span.is_warm_up && span.holds(point);
    let warm: Vec<&Point> =
        played.iter().copied().filter(|point| facts.spans.iter().any(|span| counts(span, point))).collect();
    let most = |of: fn(&Point) -> Option<u64>| played.iter().filter_map(|point| of(point)).max();
    let (messages, _, _) = measured(desk, &facts.spans);
    let cpu: Option<f64> = warm.iter().map(|point| point.cpu_cores).sum();
    let sum = |of: fn(&Point) -> Option<u64>| {
        let all: Vec<u64> = seen.points.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum::<u64>())
    };
    let commits = sum(|point| point.commits);
    let per_commit = |sum: Option<u64>| {
        let (commits, sum) = commits.filter(|commits| *commits > 0).zip(sum)?;
        Some(sum as f64 / commits as f64)
    };
    let memory: Vec<_> =
        warm.iter().filter_map(|point| Some((point.at_s, point.memory_bytes? as f64))).collect();
    Resources {
        cpu_s_per_1000: cpu.filter(|_| messages > 0).map(|cpu| cpu / messages as f64 * 1_000.0),
        memory_before_bytes: facts.before.memory_bytes,
        memory_max_bytes: most(|point| point.memory_bytes),
        memory_slope_percent_per_hour: slope_percent_per_hour(&memory),
        files_max: most(|point| point.files),
        database_bytes: seen.points.iter().rev().find_map(|point| point.database_bytes),
        wal_max_bytes: most(|point| point.wal_bytes),
        commits,
        requests_per_commit: per_commit(sum(|point| point.commit_requests)),
        rows_per_commit: per_commit(sum(|point| point.commit_rows)),
    }
}

fn generator(desk: &Desk) -> Generator {
    let meters = desk.meters.borrow();
    let lag = meters.measured.of(Timed::Lag).quantiles();
    let sent = desk.tally().sent;
    let cpu = cpu_seconds(std::process::id()).filter(|_| sent > 0);
    let bottleneck = (lag.p99_ms > LAG_MAX_MS).then(|| {
        format!(
            "one in a hundred webhooks left more than {:.0} ms after its intended time: the generator needs more processor \
             than it got, and the times of the server are worse for it",
            lag.p99_ms
        )
    });
    Generator { lag, cpu_s_per_1000: cpu.map(|cpu| cpu / sent as f64 * 1_000.0), bottleneck }
}

fn stages(desk: &Desk, spans: &[Span]) -> Vec<Stage> {
    let meters = desk.meters.borrow();
    let stage = |(span, meter): (&Span, &super::meters::StageMeter)| Stage {
        name: if span.missed { format!("{} (too much)", span.name) } else { span.name.clone() },
        from_s: span.from as f64 / 1_000_000.0,
        to_s: span.to as f64 / 1_000_000.0,
        is_warm_up: span.is_warm_up,
        messages_per_s: if span.seconds() > 0.0 { meter.answered as f64 / span.seconds() } else { 0.0 },
        acknowledge: meter.times.of(Timed::Acknowledge).quantiles(),
        overhead: meter.times.of(Timed::Overhead).quantiles(),
    };
    spans.iter().zip(&meters.stages).map(stage).collect()
}
