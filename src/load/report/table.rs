//! One run as the text that the harness prints at its end.

use super::format::{Unit, count, duration, figure, float};
use super::run::{Objective, Promise, Quantiles, Run};
use super::terminal::{Paint, clean, command, fit, pairs, wrap};
use super::verdict::{Outcome, Verdict, limit, measured, objective_word, promise_word};

/// How many cases of a broken promise are shown.
const EXAMPLES_MAX: usize = 3;

/// A run as a table of no more than 100 columns (a command that must not be broken aside). Its last line is the verdict.
/// Colours are for a terminal.
#[must_use]
pub fn table(run: &Run, is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = head(run, paint);
    for (title, body) in [
        ("traffic", traffic(run)),
        ("resources", resources(run)),
        ("generator", generator(run, paint)),
        ("promises", promises(&run.promises, paint)),
        ("objectives", objectives(&run.objectives, paint)),
    ] {
        if title == "resources" {
            text.push_str(&times(run, paint));
        }
        text.push_str(&format!("\n{}\n{body}", paint.heading(title)));
    }
    text.push('\n');
    text.push_str(&verdict(run, paint));
    text
}

fn head(run: &Run, paint: Paint) -> String {
    let about = &run.about;
    let title = if about.profile.is_empty() { "unnamed profile" } else { &about.profile };
    let mut text = format!("{}\n{}", paint.heading(&fit(title, 98)), wrap(&about.purpose, 2));
    let harness = [about.version.as_str(), about.build.as_str()].join(" ");
    for facts in [
        [
            ("against ", about.target.clone()),
            ("harness ", harness.trim().to_owned()),
            ("seed ", about.seed.to_string()),
        ],
        [
            ("began ", about.began_at.clone()),
            ("lasted ", duration(float(about.lasted_s))),
            ("", String::new()),
        ],
    ] {
        let facts = facts.iter().filter(|(_, fact)| !fact.is_empty());
        let facts: Vec<_> = facts.map(|(name, fact)| format!("{name}{fact}")).collect();
        text.push_str(&wrap(&facts.join(", "), 2));
    }
    if !about.command.is_empty() {
        text.push_str("  repeat with\n");
        text.push_str(&command(&about.command, 4));
    }
    text
}

fn traffic(run: &Run) -> String {
    let traffic = &run.traffic;
    pairs(&[
        ("people", count(traffic.people)),
        ("bursts", count(traffic.bursts)),
        ("messages", count(traffic.messages)),
        ("webhooks, with repetitions", count(traffic.webhooks)),
        ("messages acknowledged", count(traffic.acknowledged)),
        ("webhooks refused", count(traffic.refused)),
        ("replies", count(traffic.replies)),
        ("prompts to the model", count(traffic.prompts)),
        ("messages answered a second", figure(traffic.messages_per_s)),
        ("bursts answered a second", figure(traffic.bursts_per_s)),
    ])
}

fn times(run: &Run, paint: Paint) -> String {
    let titles = ["measured", "mean", "p50", "p90", "p99", "p99.9", "max"];
    let titles: String = titles.iter().map(|title| format!("{title:>11}")).collect();
    let mut text = format!("\n{}{}\n", paint.heading(&format!("{:<17}", "times, ms")), titles);
    for (name, times) in [
        ("acknowledge", &run.times.acknowledge),
        ("overhead", &run.times.overhead),
        ("answer", &run.times.answer),
        ("generator lag", &run.generator.lag),
    ] {
        text.push_str(&format!("  {name:<15}{}\n", quantiles(times)));
    }
    text
}

fn quantiles(times: &Quantiles) -> String {
    let Quantiles { count: measured, mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = *times;
    let value = |ms: f64| if measured == 0 { "-".to_owned() } else { figure(ms) };
    let mut text = format!("{:>11}", count(measured));
    for ms in [mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms] {
        text.push_str(&format!("{:>11}", value(ms)));
    }
    text
}

fn resources(run: &Run) -> String {
    let resources = &run.resources;
    let whole = |unit: Unit, value: Option<u64>| unit.text_or_none(value.map(float));
    pairs(&[
        ("processor, 1,000 messages", Unit::Seconds.text_or_none(resources.cpu_s_per_1000)),
        ("open files, most", whole(Unit::Count, resources.files_max)),
        ("memory before", whole(Unit::Bytes, resources.memory_before_bytes)),
        ("memory, most", whole(Unit::Bytes, resources.memory_max_bytes)),
        ("memory, slope", Unit::PercentPerHour.text_or_none(resources.memory_slope_percent_per_hour)),
        ("database", whole(Unit::Bytes, resources.database_bytes)),
        ("write-ahead log, most", whole(Unit::Bytes, resources.wal_max_bytes)),
        ("commits", whole(Unit::Count, resources.commits)),
        ("requests a commit", Unit::Plain.text_or_none(resources.requests_per_commit)),
        ("rows a commit", Unit::Plain.text_or_none(resources.rows_per_commit)),
    ])
}

fn generator(run: &Run, paint: Paint) -> String {
    let cpu = Unit::Seconds.text_or_none(run.generator.cpu_s_per_1000);
    let mut text = pairs(&[("processor, 1,000 messages", cpu)]);
    match &run.generator.bottleneck {
        None => text.push_str("  kept up with its plan\n"),
        Some(why) => {
            text.push_str(&format!(
                "  {}\n",
                paint.unsure("BOUNDED THE RUN: the figures do not show the server's limit")
            ));
            text.push_str(&wrap(why, 4));
        }
    }
    text
}

fn promises(promises: &[Promise], paint: Paint) -> String {
    if promises.is_empty() {
        return "  none was checked\n".to_owned();
    }
    let mut text = String::new();
    for promise in promises {
        let word = format!("{:<13}", promise_word(promise));
        let word = match promise {
            Promise { broken: 1.., .. } => paint.bad(&word),
            Promise { checked: 0, .. } => paint.unsure(&word),
            _ => paint.good(&word),
        };
        let of = format!("of {}", count(promise.checked));
        // What it says goes on below itself.
        let says = wrap(&promise.says, 46);
        let says = says.trim();
        text.push_str(format!("  {:<14}{word} {of:<15} {says}", fit(&promise.name, 14)).trim_end());
        text.push('\n');
        if let Some(note) = &promise.note {
            text.push_str(&wrap(note, 16));
        }
        if promise.broken > 0 {
            promise
                .examples
                .iter()
                .take(EXAMPLES_MAX)
                .for_each(|example| text.push_str(&wrap(&format!("- {example}"), 16)));
        }
    }
    text
}

fn objectives(objectives: &[Objective], paint: Paint) -> String {
    if objectives.is_empty() {
        return "  the profile sets none\n".to_owned();
    }
    let mut text = String::new();
    for objective in objectives {
        let word = format!("{:<13}", objective_word(objective));
        let word = if objective.held { paint.good(&word) } else { paint.bad(&word) };
        let (limit, measured) = (fit(&limit(objective), 24), fit(&measured(objective), 16));
        text.push_str(&format!("  {:<34}{word}{measured:>16}   {limit}\n", fit(&objective.name, 33)));
    }
    text
}

/// The last line: no wider than the rest, so that it can be found by `tail -1`.
fn verdict(run: &Run, paint: Paint) -> String {
    let verdict = Verdict::on(run);
    let line = fit(&clean(&format!("{}: {}", verdict.word.to_uppercase(), verdict.sentence)), 100);
    let painted = match verdict.outcome {
        Outcome::Held => paint.good(&line),
        Outcome::Failed => paint.bad(&line),
        Outcome::Silent => paint.unsure(&line),
    };
    painted + "\n"
}
