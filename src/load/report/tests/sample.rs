//! Runs as the harness could find them: one that is fine, one that is not, and what people could write.

use crate::load::prng::Prng;
use crate::load::report::format::whole;
use crate::load::report::run::{
    About, Generator, Machine, Mark, Objective, Point, Promise, Quantiles, Resources, Run, Stage, Times,
    Traffic,
};

const MIB: u64 = 1_048_576;

/// A distribution around a median.
fn quantiles(count: u64, p50_ms: f64) -> Quantiles {
    Quantiles {
        count,
        mean_ms: p50_ms * 1.25,
        p50_ms,
        p90_ms: p50_ms * 1.75,
        p99_ms: p50_ms * 4.5,
        p999_ms: p50_ms * 14.0,
        max_ms: p50_ms * 26.5,
    }
}

/// A number around another one.
fn around(prng: &mut Prng, middle: f64, spread: f64) -> f64 {
    let chance = f64::from(u32::try_from(prng.between(0, 1_000)).unwrap()) / 500.0 - 1.0;
    // In steps that a file holds exactly.
    ((middle * (1.0 + chance * spread)).max(0.0) * 64.0).round() / 64.0
}

/// How many messages a second are written at this second of a run of five minutes.
fn load_at(second: usize) -> f64 {
    match second {
        0..30 => 20.0 + second as f64 * 6.0,
        30..150 => 200.0,
        150..180 => 200.0 + (second - 150) as f64 * 12.0,
        180..240 => 560.0,
        _ => 120.0,
    }
}

fn point(second: usize, prng: &mut Prng, faults: &[f64]) -> Point {
    let at_s = second as f64;
    let load = load_at(second);
    // For some seconds after a fault nothing is acknowledged, and what waited comes at once.
    let since = faults.iter().map(|at| at_s - at).filter(|since| *since >= 0.0).fold(f64::INFINITY, f64::min);
    let is_down = since < 4.0;
    let strain = if since < 15.0 { 40.0 / (1.0 + since) } else { 1.0 } * (1.0 + load / 300.0);
    let sent = whole(around(prng, load, 0.12));
    let answered = match () {
        () if is_down => 0,
        () if since < 12.0 => whole(around(prng, load * 1.4, 0.1)),
        () => whole(around(prng, load, 0.15)),
    };
    let measured = |value: f64| (!is_down).then_some(value);
    Point {
        at_s,
        people: (second as u64 * 9).min(1_800),
        sent,
        acknowledged: if is_down { 0 } else { sent },
        answered,
        backlog: whole(around(prng, load * if since < 12.0 { 6.0 } else { 2.2 }, 0.1)),
        acknowledge_p50_ms: measured(around(prng, 2.1 + load / 250.0, 0.15)),
        acknowledge_p99_ms: measured(around(prng, 7.0 * strain, 0.4)),
        overhead_p50_ms: measured(around(prng, 5.5 + load / 90.0, 0.15)),
        overhead_p99_ms: measured(around(prng, 22.0 * strain, 0.45)),
        lag_p99_ms: Some(around(prng, 0.7, 0.5)),
        cpu_cores: measured(around(prng, 0.05 + load / 420.0, 0.08)),
        memory_bytes: measured(around(prng, 38.0 + at_s / 12.0 + load / 40.0, 0.01))
            .map(|mib| whole(mib * MIB as f64)),
        files: Some(60 + sent / 10),
        database_bytes: Some(whole(2.0 * MIB as f64 + at_s * 180_000.0)),
        wal_bytes: Some(whole(((at_s * 37.0) % 400.0) * 10_240.0)),
        commits: measured(around(prng, 60.0 + load / 3.0, 0.1)).map(whole),
        commit_requests: measured(around(prng, load * 2.6, 0.1)).map(whole),
        commit_rows: measured(load * 7.0).map(whole),
    }
}

fn promise(name: &str, says: &str, checked: u64) -> Promise {
    Promise { name: name.to_owned(), says: says.to_owned(), checked, ..Promise::default() }
}

fn promises() -> Vec<Promise> {
    let mut promises = vec![
        promise("lost", "every acknowledged message is answered, suppressed or dead-lettered", 63_412),
        promise("doubled", "no message is answered twice", 21_204),
        promise("split", "a burst within the quiet period is answered once", 21_204),
        promise("merged", "no answer covers two people", 21_204),
        promise("reordered", "a person's answers come in the order of the questions", 21_204),
        promise("cross_user", "nobody's words reach another person", 63_412),
        promise("books", "received = answered + suppressed + dead-lettered + pending", 300),
    ];
    promises[1].note =
        Some("2 parts are recorded as ambiguous: cut off between the first byte and the answer".to_owned());
    promises
}

fn stage(name: &str, from_s: f64, to_s: f64, per_s: f64, overhead: f64) -> Stage {
    Stage {
        name: name.to_owned(),
        from_s,
        to_s,
        is_warm_up: name == "warm-up",
        messages_per_s: per_s,
        acknowledge: quantiles(whole(per_s * (to_s - from_s)), 2.625),
        overhead: quantiles(whole(per_s * (to_s - from_s) / 3.0), overhead),
    }
}

fn about() -> About {
    About {
        profile: "steady".to_owned(),
        purpose: "People who write in bursts, more and more of them, while the process is killed and the database locked."
            .to_owned(),
        target: "tertulia 0.1.0".to_owned(),
        command: "tertulia load steady --seed 7 --people 1800 --set conversation.quiet_ms=1500 --html steady.html".to_owned(),
        version: "0.1.0".to_owned(),
        build: "release".to_owned(),
        seed: 7,
        began_at: "2026-03-14T09:26:53Z".to_owned(),
        lasted_s: 305,
        machine: Machine {
            processor: "Example Processor 9000".to_owned(),
            cores: 8,
            memory_bytes: 16 * 1_024 * MIB,
            system: "Linux 6.12".to_owned(),
            file_system: "ext4".to_owned(),
        },
        settings: vec![
            "conversation.quiet_ms=1500".to_owned(),
            "pipeline.skip=false".to_owned(),
            "routes.*=query".to_owned(),
        ],
    }
}

/// A run in which all held.
pub(in super::super) fn run() -> Run {
    let mut prng = Prng::new(7);
    let faults = [96.0, 206.0];
    Run {
        about: about(),
        traffic: Traffic {
            people: 1_800,
            bursts: 21_204,
            messages: 63_412,
            webhooks: 64_020,
            refused: 0,
            acknowledged: 63_412,
            replies: 21_204,
            prompts: 21_377,
            messages_per_s: 231.5,
            bursts_per_s: 77.25,
        },
        times: Times {
            acknowledge: quantiles(63_412, 2.75),
            overhead: quantiles(21_204, 8.5),
            answer: quantiles(21_204, 1_820.0),
        },
        resources: Resources {
            cpu_s_per_1000: Some(2.375),
            memory_before_bytes: Some(31 * MIB),
            memory_max_bytes: Some(81 * MIB),
            memory_slope_percent_per_hour: Some(1.5),
            files_max: Some(142),
            database_bytes: Some(53 * MIB),
            wal_max_bytes: Some(4 * MIB),
            commits: Some(33_120),
            requests_per_commit: Some(4.25),
            rows_per_commit: Some(11.5),
        },
        generator: Generator { lag: quantiles(64_020, 0.25), cpu_s_per_1000: Some(1.125), bottleneck: None },
        promises: promises(),
        objectives: vec![
            Objective {
                name: "overhead_p99_ms".to_owned(),
                limit: 250.0,
                is_minimum: false,
                measured: Some(38.25),
                held: true,
            },
            Objective {
                name: "messages_per_s".to_owned(),
                limit: 200.0,
                is_minimum: true,
                measured: Some(231.5),
                held: true,
            },
        ],
        stages: vec![
            stage("warm-up", 0.0, 30.0, 100.0, 6.5),
            stage("steady", 30.0, 150.0, 200.0, 7.5),
            stage("ramp to the peak", 150.0, 180.0, 380.0, 9.5),
            stage("peak", 180.0, 240.0, 560.0, 11.5),
            stage("calm", 240.0, 300.0, 120.0, 6.5),
        ],
        series: (0..300).map(|second| point(second, &mut prng, &faults)).collect(),
        marks: vec![
            Mark { at_s: 96.0, to_s: None, what: "kill -9".to_owned() },
            Mark { at_s: 120.0, to_s: Some(135.0), what: "lock the database".to_owned() },
            Mark { at_s: 206.0, to_s: None, what: "kill -9".to_owned() },
        ],
        failure: None,
    }
}

/// What a customer could write to take a page or a terminal over.
pub(in super::super) const NASTY: &str =
    "</td></pre></title></style><script>alert('x')</script>\" onload=\"x\u{1b}[31m &amp; \u{202e}شكرا";

/// A run in which much went wrong, with nasty words wherever a text may stand.
pub(in super::super) fn broken() -> Run {
    let mut run = run();
    run.promises[0].broken = 3;
    run.promises[0].examples = vec![
        "u17-b3-m2: acknowledged at 96.2 s, never answered".to_owned(),
        format!("u18-b1-m1: {NASTY}"),
        "u402-b9-m3: acknowledged at 96.9 s, never answered".to_owned(),
    ];
    run.promises[4].broken = 1;
    run.promises[6].checked = 0;
    run.objectives[0].held = false;
    run.objectives[0].measured = Some(812.0);
    run.objectives.push(Objective {
        name: "memory_slope_percent_per_hour".to_owned(),
        limit: 5.0,
        ..Objective::default()
    });
    run.generator.bottleneck = Some("the harness used 1.9 of 2 processors".to_owned());
    run
}

/// A run whose every text is nasty.
pub(in super::super) fn nasty() -> Run {
    let mut run = broken();
    let nasty = || NASTY.to_owned();
    let About { profile, purpose, target, command, version, build, began_at, machine, settings, .. } =
        &mut run.about;
    for text in [profile, purpose, target, command, version, build, began_at] {
        *text = nasty();
    }
    let Machine { processor, system, file_system, .. } = machine;
    for text in [processor, system, file_system] {
        *text = nasty();
    }
    *settings = vec![nasty(), format!("a={NASTY}")];
    for promise in &mut run.promises {
        (promise.name, promise.says, promise.note, promise.examples) =
            (nasty(), nasty(), Some(nasty()), vec![nasty()]);
    }
    run.objectives.iter_mut().for_each(|objective| objective.name = nasty());
    run.stages.iter_mut().for_each(|stage| stage.name = nasty());
    run.marks.iter_mut().for_each(|mark| mark.what = nasty());
    run.generator.bottleneck = Some(nasty());
    run
}

/// The same profile by a slower build on another machine.
pub(in super::super) fn slower() -> Run {
    let mut run = broken();
    run.about.build = "debug".to_owned();
    run.about.machine.cores = 4;
    run.about.settings[0] = "conversation.quiet_ms=2000".to_owned();
    run.traffic.messages_per_s = 184.0;
    run.traffic.refused = 12;
    run.times.overhead = quantiles(20_100, 14.5);
    run.times.acknowledge = quantiles(62_000, 2.7);
    run.resources.memory_max_bytes = Some(70 * MIB);
    run.resources.memory_slope_percent_per_hour = None;
    for point in &mut run.series {
        point.overhead_p99_ms = point.overhead_p99_ms.map(|ms| ms * 1.8);
        point.answered = point.answered * 8 / 10;
        point.memory_bytes = point.memory_bytes.map(|bytes| bytes * 8 / 9);
    }
    run
}
