//! The parts of the page that are read, not looked at: promises, objectives, stages, marks, times, and what was run.

use std::fmt::Write as _;

use super::format::{NOT_MEASURED, Unit, count, duration, figure, float, millis};
use super::markup::{self, Escaped, Icon};
use super::run::{About, Objective, Promise, Quantiles, Run};
use super::verdict::{limit, measured, objective_word, promise_word};

/// The plain facts of a run, in a line.
pub(super) fn facts(run: &Run) -> String {
    let About { target, version, build, seed, began_at, lasted_s, .. } = &run.about;
    let facts = [
        ("Against", target.clone()),
        ("Harness", [version.as_str(), build.as_str()].join(" ").trim().to_owned()),
        ("Began", began_at.replacen('T', " ", 1)),
        ("Lasted", duration(float(*lasted_s))),
        ("Seed", seed.to_string()),
    ];
    let mut text = "<dl class=\"facts\">".to_owned();
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(value));
    }
    text + "</dl>"
}

/// Promises and objectives, times, stages, marks and resources.
pub(super) fn results(run: &Run) -> String {
    format!(
        "<div class=\"pair\">{}{}</div>\n{}{}<div class=\"pair\">{}{}</div>\n",
        section("promises", "Promises", &promises(&run.promises)),
        section("objectives", "Objectives", &objectives(&run.objectives)),
        section("times", "Times", &times(run)),
        if run.stages.is_empty() { String::new() } else { section("stages", "Stages", &stages(run)) },
        section("resources", "Resources", &resources(run)),
        section("marks", "Done to the server", &marks(run)),
    )
}

/// A section with a heading.
pub(super) fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section class=\"card\" aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title}</h2>{body}</section>\n")
}

fn none(words: &str) -> String {
    format!("<p class=\"none\">{words}</p>")
}

fn promises(promises: &[Promise]) -> String {
    if promises.is_empty() {
        return none("None was checked.");
    }
    let row = |promise: &Promise| {
        let icon = match promise {
            Promise { broken: 1.., .. } => Icon::Bad,
            Promise { checked: 0, .. } => Icon::Unsure,
            _ => Icon::Good,
        };
        let mut says = format!("<p>{}</p>", Escaped(&promise.says));
        if let Some(note) = &promise.note {
            let _ = write!(says, "<p class=\"note\">{}</p>", Escaped(note));
        }
        if !promise.examples.is_empty() {
            says.push_str("<ul class=\"examples\">");
            for example in &promise.examples {
                let _ = write!(says, "<li><bdi class=\"example\">{}</bdi></li>", Escaped(example));
            }
            says.push_str("</ul>");
        }
        vec![
            Escaped(&promise.name).to_string(),
            icon.word(&promise_word(promise)),
            count(promise.checked),
            says,
        ]
    };
    let rows: Vec<_> = promises.iter().map(row).collect();
    markup::table("Promises", &["promise", "<result", "checked", "<what it says"], &rows)
}

fn objectives(objectives: &[Objective]) -> String {
    if objectives.is_empty() {
        return none("The profile sets none.");
    }
    let row = |objective: &Objective| {
        let icon = if objective.held { Icon::Good } else { Icon::Bad };
        vec![
            Escaped(&objective.name).to_string(),
            icon.word(objective_word(objective)),
            Escaped(measured(objective)).to_string(),
            Escaped(limit(objective)).to_string(),
        ]
    };
    let rows: Vec<_> = objectives.iter().map(row).collect();
    markup::table("Objectives", &["objective", "<result", "measured", "limit"], &rows)
}

const QUANTILES: [&str; 7] = ["measured", "mean", "p50", "p90", "p99", "p99.9", "max"];

/// The cells of a distribution; dashes where nothing was measured.
fn quantiles(quantiles: &Quantiles) -> Vec<String> {
    let Quantiles { count: measured, mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = *quantiles;
    let text = |ms: f64| if measured == 0 { "–".to_owned() } else { millis(ms) };
    let mut cells = vec![count(measured)];
    cells.extend([mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms].map(text));
    cells
}

fn times(run: &Run) -> String {
    let rows = [
        (
            "acknowledge",
            "from the intended sending of a message to the 200 of its webhook",
            &run.times.acknowledge,
        ),
        ("overhead", "from the moment an answer was due to its arrival at the provider", &run.times.overhead),
        (
            "answer",
            "from the intended sending of a burst’s last message to the arrival of its answer",
            &run.times.answer,
        ),
        ("generator lag", "from the intended sending of a webhook to its first byte", &run.generator.lag),
    ];
    let row = |(name, says, of): &(&str, &str, &Quantiles)| {
        let mut cells = vec![format!("{name}<small>{says}</small>")];
        cells.extend(quantiles(of));
        cells
    };
    let mut titles = vec!["time"];
    titles.extend(QUANTILES);
    markup::table("Times after warm-up", &titles, &rows.iter().map(row).collect::<Vec<_>>())
}

fn stages(run: &Run) -> String {
    let titles = [
        "stage",
        "<from, to",
        "answered",
        "acknowledge p50",
        "acknowledge p99",
        "overhead p50",
        "overhead p99",
        "overhead max",
    ];
    let rows: Vec<_> = run
        .stages
        .iter()
        .map(|stage| {
            let warm_up =
                if stage.is_warm_up { "<small>warm-up, left out of the figures</small>" } else { "" };
            let text = |of: &Quantiles, ms: f64| if of.count == 0 { "–".to_owned() } else { millis(ms) };
            vec![
                format!("{}{warm_up}", Escaped(&stage.name)),
                format!("{} to {}", duration(stage.from_s), duration(stage.to_s)),
                Unit::PerSecond.text(stage.messages_per_s),
                text(&stage.acknowledge, stage.acknowledge.p50_ms),
                text(&stage.acknowledge, stage.acknowledge.p99_ms),
                text(&stage.overhead, stage.overhead.p50_ms),
                text(&stage.overhead, stage.overhead.p99_ms),
                text(&stage.overhead, stage.overhead.max_ms),
            ]
        })
        .collect();
    markup::table("Stages", &titles, &rows)
}

fn marks(run: &Run) -> String {
    if run.marks.is_empty() {
        return none("Nothing: no fault was part of this run.");
    }
    let mut marks: Vec<_> = run.marks.iter().collect();
    marks.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let rows: Vec<_> = marks
        .iter()
        .enumerate()
        .map(|(n, mark)| {
            let lasted = mark.to_s.map_or_else(|| "–".to_owned(), |to_s| duration(to_s - mark.at_s));
            vec![
                format!("<b class=\"badge\">{}</b>", n + 1),
                Escaped(&mark.what).to_string(),
                duration(mark.at_s),
                lasted,
            ]
        })
        .collect();
    markup::table("Done to the server", &["", "<what", "at", "lasted"], &rows)
}

fn resources(run: &Run) -> String {
    let of = |unit: Unit, value: Option<f64>| unit.text_or_none(value);
    let whole = |unit: Unit, value: Option<u64>| unit.text_or_none(value.map(float));
    let resources = &run.resources;
    let rows = [
        ("processor per 1,000 answered messages", of(Unit::Seconds, resources.cpu_s_per_1000)),
        ("memory before the first message", whole(Unit::Bytes, resources.memory_before_bytes)),
        ("most memory", whole(Unit::Bytes, resources.memory_max_bytes)),
        ("slope of memory after warm-up", of(Unit::PercentPerHour, resources.memory_slope_percent_per_hour)),
        ("most open files", whole(Unit::Count, resources.files_max)),
        ("database at the end", whole(Unit::Bytes, resources.database_bytes)),
        ("largest write-ahead log", whole(Unit::Bytes, resources.wal_max_bytes)),
        ("commits", whole(Unit::Count, resources.commits)),
        ("requests a commit, on average", of(Unit::Plain, resources.requests_per_commit)),
        ("rows a commit, on average", of(Unit::Plain, resources.rows_per_commit)),
        ("generator: processor per 1,000 messages", of(Unit::Seconds, run.generator.cpu_s_per_1000)),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(name, value)| vec![(*name).to_owned(), Escaped(value).to_string()]).collect();
    markup::table("Resources", &["of the server", "measured"], &rows)
}

/// What was run, where, and with what: all that it takes to run it again.
pub(super) fn about(run: &Run) -> String {
    let About { command, version, build, machine, settings, .. } = &run.about;
    let mut text = String::new();
    if !command.is_empty() {
        let _ = write!(
            text,
            "<p>This command repeats the run:</p><pre tabindex=\"0\"><code>{}</code></pre>",
            Escaped(command)
        );
    }
    let cores = if machine.cores == 0 { String::new() } else { machine.cores.to_string() };
    let memory =
        if machine.memory_bytes == 0 { String::new() } else { Unit::Bytes.text(float(machine.memory_bytes)) };
    let rows = [
        ("version", version.as_str()),
        ("build", build),
        ("processor", &machine.processor),
        ("threads at once", &cores),
        ("memory", &memory),
        ("system", &machine.system),
        ("file system of the database", &machine.file_system),
    ];
    let row = |(name, value): &(&str, &str)| {
        vec![(*name).to_owned(), Escaped(if value.is_empty() { NOT_MEASURED } else { value }).to_string()]
    };
    let machine = markup::table(
        "Version and machine",
        &["version and machine", "<"],
        &rows.iter().map(row).collect::<Vec<_>>(),
    );
    let traffic = traffic(run);
    let _ = write!(text, "<div class=\"pair\">{machine}{traffic}</div>");
    if !settings.is_empty() {
        let row = |setting: &String| {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            vec![
                format!("<code>{}</code>", Escaped(key.trim())),
                format!("<code>{}</code>", Escaped(value.trim())),
            ]
        };
        let rows: Vec<_> = settings.iter().map(row).collect();
        text.push_str(&markup::table("Settings", &["setting", "<value"], &rows));
    }
    section("about", "What was run", &text)
}

fn traffic(run: &Run) -> String {
    let traffic = &run.traffic;
    let rows = [
        ("people", count(traffic.people)),
        ("bursts", count(traffic.bursts)),
        ("messages", count(traffic.messages)),
        ("webhooks, repetitions included", count(traffic.webhooks)),
        ("webhooks refused or not answered", count(traffic.refused)),
        ("messages acknowledged", count(traffic.acknowledged)),
        ("replies accepted by the provider", count(traffic.replies)),
        ("prompts to the model", count(traffic.prompts)),
        ("messages answered a second", figure(traffic.messages_per_s)),
        ("bursts answered a second", figure(traffic.bursts_per_s)),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    markup::table("Traffic", &["traffic", "count"], &rows)
}
