//! One run as a page that stands by itself: no script, no other file, no request to anywhere.

use std::fmt::Write as _;

use super::distribution::{Curve, distribution};
use super::format::{self, Unit, count, duration, figure, millis};
use super::ground::Ground;
use super::markup::{Escaped, Icon, document};
use super::plot::{Fill, Plot};
use super::run::{Objective, Quantiles, Run};
use super::sections;
use super::series::{Series, some};
use super::verdict::{Outcome, Verdict, limit, measured};

/// A run as an HTML page.
#[must_use]
pub fn html(run: &Run) -> String {
    let body = format!(
        "{}<main>{}{}{}{}{}</main>",
        header(&run.about.profile, &run.about.purpose, &sections::facts(run)),
        verdict(run),
        tiles(run),
        plots(run),
        sections::results(run),
        sections::about(run),
    );
    let verdict = Verdict::on(run);
    document(&format!("{}: {} · Tertulia load", verdict.word, run.about.profile), &body)
}

/// The head of a page: what was run, what for, and the plain facts in a line.
pub(super) fn header(title: &str, purpose: &str, facts: &str) -> String {
    format!(
        "<header><div class=\"mark-of-house\" aria-hidden=\"true\"><i></i><i></i><i></i></div>\
         <div><p class=\"over\">Tertulia load report</p><h1>{}</h1><p>{}</p>{facts}</div></header>\n",
        Escaped(if title.is_empty() { "Unnamed profile" } else { title }),
        Escaped(purpose),
    )
}

fn verdict(run: &Run) -> String {
    let verdict = Verdict::on(run);
    let (class, icon) = match verdict.outcome {
        Outcome::Held => ("good", Icon::Good),
        Outcome::Failed => ("bad", Icon::Bad),
        Outcome::Silent => ("unsure", Icon::Unsure),
    };
    let mut text = format!(
        "<section class=\"verdict {class}\" aria-label=\"Verdict\">{}<div><h2>{}</h2><p>{}.</p>",
        icon.svg(),
        verdict.word,
        Escaped(sentence(&verdict.sentence))
    );
    let breaches = breaches(run);
    if !breaches.is_empty() {
        let _ = write!(text, "<ul>{breaches}</ul>");
    }
    text.push_str("</div></section>\n");
    if let Some(bottleneck) = &run.generator.bottleneck {
        let _ = write!(
            text,
            "<section class=\"verdict notice unsure\" aria-label=\"Generator\">{}<div><p><b>The generator bounded this \
             run, not the server</b>: {}. The figures say what the server did, not what it can do.</p></div></section>",
            Icon::Unsure.svg(),
            Escaped(bottleneck.trim_end_matches('.'))
        );
    }
    text
}

/// Words that begin as a sentence does, without a full stop.
fn sentence(words: &str) -> String {
    let mut rest = words.trim_end_matches('.').chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// What broke, in a line each.
fn breaches(run: &Run) -> String {
    let mut text = String::new();
    for promise in run.promises.iter().filter(|promise| promise.broken > 0) {
        let _ = write!(
            text,
            "<li><a href=\"#promises\"><b>{}</b></a> broken {} of {} times it was checked",
            Escaped(&promise.name),
            count(promise.broken),
            count(promise.checked),
        );
        if let Some(example) = promise.examples.first() {
            let _ = write!(text, ", first: <bdi class=\"example\">{}</bdi>", Escaped(example));
        }
        text.push_str("</li>");
    }
    for objective in run.objectives.iter().filter(|objective| !objective.held) {
        let _ = write!(
            text,
            "<li><a href=\"#objectives\"><b>{}</b></a> {}, {} wanted</li>",
            Escaped(&objective.name),
            Escaped(measured(objective)),
            Escaped(limit(objective))
        );
    }
    text
}

/// A key figure: its name, the figure, its unit and what stands beside it.
struct Tile {
    name: &'static str,
    value: String,
    beside: String,
}

/// A time whose unit never stands on another line.
fn tied(ms: f64) -> String {
    millis(ms).replace(' ', "\u{a0}")
}

fn tiles(run: &Run) -> String {
    let Run { traffic, times, resources, .. } = run;
    let quantile = |quantiles: &Quantiles, value: f64| match quantiles.count {
        0 => "–".to_owned(),
        _ => millis(value),
    };
    let tail = |name: &'static str, quantiles: &Quantiles| Tile {
        name,
        value: quantile(quantiles, quantiles.p99_ms),
        beside: match quantiles.count {
            0 => format::NOT_MEASURED.to_owned(),
            _ => format!("median {}, max {}", tied(quantiles.p50_ms), tied(quantiles.max_ms)),
        },
    };
    let optional =
        |unit: Unit, value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| unit.text(value));
    let beside = |value: Option<f64>, words: &str| {
        if value.is_some() { words.to_owned() } else { format::NOT_MEASURED.to_owned() }
    };
    let refused = match traffic.refused {
        0 => "none refused".to_owned(),
        refused => format!("{} refused", count(refused)),
    };
    let before = resources.memory_before_bytes.map_or_else(String::new, |bytes| {
        format!("{} before the first message", Unit::Bytes.text(format::float(bytes)))
    });
    let memory = resources.memory_max_bytes.map(format::float);
    let tiles = [
        Tile {
            name: "Messages answered",
            value: figure(traffic.messages_per_s) + "/s",
            beside: format!("{} bursts/s", figure(traffic.bursts_per_s)),
        },
        Tile {
            name: "Messages written",
            value: count(traffic.messages),
            beside: format!("by {} people, {refused}", count(traffic.people)),
        },
        tail("Acknowledgement p99", &times.acknowledge),
        tail("Overhead p99", &times.overhead),
        tail("Answer p99", &times.answer),
        Tile {
            name: "Processor per 1,000 answered",
            value: optional(Unit::Seconds, resources.cpu_s_per_1000),
            beside: beside(resources.cpu_s_per_1000, "of one core"),
        },
        Tile { name: "Most memory", value: optional(Unit::Bytes, memory), beside: beside(memory, &before) },
        Tile {
            name: "Requests a commit",
            value: optional(Unit::Plain, resources.requests_per_commit),
            beside: resources.commits.map_or_else(
                || format::NOT_MEASURED.to_owned(),
                |commits| format!("{} commits", count(commits)),
            ),
        },
    ];
    let mut text = "<section aria-label=\"Key figures\"><dl class=\"tiles\">".to_owned();
    for Tile { name, value, beside } in tiles {
        let (number, unit) = value.split_at(value.find([' ', '/']).unwrap_or(value.len()));
        let _ = write!(
            text,
            "<div><dt>{name}</dt><dd><b>{}</b><span>{}</span></dd><dd class=\"beside\">{}</dd></div>",
            Escaped(number),
            Escaped(unit),
            Escaped(beside)
        );
    }
    text + "</dl></section>\n"
}

fn plots(run: &Run) -> String {
    let ground = Ground::of(run);
    let mut text = "<section aria-labelledby=\"over-time\"><h2 id=\"over-time\">Over time</h2>".to_owned();
    if run.series.len() > 1 {
        let _ = write!(
            text,
            "<p class=\"lead\">One value a second over {}; where seconds share a pixel, the highest is drawn. Point \
             at a plot, or tap it, for its values.</p>",
            duration(ground.until_s)
        );
    }
    text.push_str("<div class=\"plots\">");
    for plot in time_plots(run).into_iter().chain(load_plots(run)).chain(resource_plots(run)) {
        text.push_str(&plot.figure(&ground));
        text.push('\n');
    }
    let times = [
        ("overhead", "one", &run.times.overhead),
        ("acknowledge", "two", &run.times.acknowledge),
        ("answer", "three", &run.times.answer),
    ];
    let curves =
        times.map(|(name, class, quantiles)| Curve { name: name.to_owned(), class, quantiles: *quantiles });
    text.push_str(&distribution("Distribution", "From the median to the longest, after warm-up", &curves));
    text + "</div></section>\n"
}

/// The limit that an objective sets to a line, in words.
fn limit_of(run: &Run, name: &str) -> Option<(f64, String)> {
    let objective: &Objective = run.objectives.iter().find(|objective| objective.name == name)?;
    Some((objective.limit, format!("objective: {}", limit(objective))))
}

fn time_plots(run: &Run) -> Vec<Plot<'_>> {
    vec![
        Plot {
            title: "Overhead",
            note: "From the moment an answer was due to its arrival at the provider",
            unit: Unit::Millis,
            may_be_log: true,
            series: vec![
                Series::new("p99", "one", run, |point| point.overhead_p99_ms),
                Series::new("p50", "one half", run, |point| point.overhead_p50_ms),
            ],
            fill: Fill::Between,
            limit: limit_of(run, "overhead_p99_ms"),
        },
        Plot {
            title: "Acknowledgement",
            note: "From the intended sending of a message to the 200 of its webhook",
            unit: Unit::Millis,
            may_be_log: true,
            series: vec![
                Series::new("p99", "two", run, |point| point.acknowledge_p99_ms),
                Series::new("p50", "two half", run, |point| point.acknowledge_p50_ms),
            ],
            fill: Fill::Between,
            limit: limit_of(run, "acknowledge_p99_ms"),
        },
    ]
}

fn load_plots(run: &Run) -> Vec<Plot<'_>> {
    vec![
        Plot {
            title: "Throughput",
            note: "Messages a second",
            unit: Unit::PerSecond,
            may_be_log: false,
            series: vec![
                Series::new("answered", "one", run, |point| some(point.answered)),
                Series::new("acknowledged", "two", run, |point| some(point.acknowledged)),
                Series::new("sent", "quiet", run, |point| some(point.sent)),
            ],
            fill: Fill::Below,
            limit: None,
        },
        single(
            "Backlog",
            "Messages acknowledged and not yet answered",
            Unit::Count,
            Series::new("backlog", "three", run, |point| some(point.backlog)),
        ),
    ]
}

fn resource_plots(run: &Run) -> Vec<Plot<'_>> {
    let of = |value: Option<u64>| value.map(format::float);
    vec![
        single(
            "Memory",
            "Anonymous memory of the server",
            Unit::Bytes,
            Series::new("memory", "one", run, move |point| of(point.memory_bytes)),
        ),
        single(
            "Processor",
            "Processors that the server kept busy",
            Unit::Cores,
            Series::new("server", "two", run, |point| point.cpu_cores),
        ),
        Plot {
            title: "Commits",
            note: "Transactions a second, and the requests and rows in them",
            unit: Unit::PerSecond,
            may_be_log: false,
            series: vec![
                Series::new("commits", "one", run, move |point| of(point.commits)),
                Series::new("requests", "quiet", run, move |point| of(point.commit_requests)),
                Series::new("rows", "three", run, move |point| of(point.commit_rows)),
            ],
            fill: Fill::Below,
            limit: None,
        },
        Plot {
            title: "Database",
            note: "The files on the disk",
            unit: Unit::Bytes,
            may_be_log: false,
            series: vec![
                Series::new("write-ahead log", "three", run, move |point| of(point.wal_bytes)),
                Series::new("database", "one", run, move |point| of(point.database_bytes)),
            ],
            fill: Fill::None,
            limit: None,
        },
        Plot {
            may_be_log: true,
            ..single(
                "Generator lag",
                "From the intended sending of a webhook to its first byte: how well the harness kept its own plan",
                Unit::Millis,
                Series::new("p99", "quiet", run, |point| point.lag_p99_ms),
            )
        },
    ]
}

fn single<'a>(title: &'a str, note: &'a str, unit: Unit, series: Series) -> Plot<'a> {
    Plot { title, note, unit, may_be_log: false, series: vec![series], fill: Fill::Below, limit: None }
}
