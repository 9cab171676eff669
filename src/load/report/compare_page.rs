//! Two or more runs as a page: the same plots laid over each other, and every figure with its ratio and a word.

use std::fmt::Write as _;

use super::compare::{Tally, letter, name, objective, objective_names, warnings};
use super::distribution::{Curve, distribution};
use super::format::{Unit, float, ratio};
use super::ground::Ground;
use super::markup::{self, Escaped, Icon, document};
use super::measures::{BROKEN, Judgement, Measure, measures};
use super::page::header;
use super::plot::{Fill, Plot};
use super::run::{Point, Quantiles, Run};
use super::sections::section;
use super::series::{Series, some};
use super::verdict::{Outcome, Verdict, measured, objective_word};

/// How the runs look; after these it begins anew.
const LOOKS: [&str; 4] = ["one", "two", "three", "four"];

fn look(run: usize) -> &'static str {
    LOOKS[run % LOOKS.len()]
}

/// Runs side by side as an HTML page.
#[must_use]
pub fn compare_html(runs: &[Run]) -> String {
    let letters: Vec<_> = (0..runs.len()).map(letter).collect();
    let title = if runs.is_empty() { "Nothing to compare".to_owned() } else { letters.join(" and ") };
    let measures = measures(runs);
    let body = format!(
        "{}<main>{}{}{}{}{}</main>",
        header(&format!("Comparison: {title}"), "Every figure is compared with that of A.", ""),
        who(runs),
        tallies(&measures, runs.len()),
        cautions(runs),
        plots(runs),
        figures(&measures, runs),
    );
    document(&format!("{title} · Tertulia load"), &body)
}

/// Which runs these are, and what each came to.
fn who(runs: &[Run]) -> String {
    let mut text = "<section aria-label=\"Runs\"><ul class=\"runs\">".to_owned();
    for (n, run) in runs.iter().enumerate() {
        let verdict = Verdict::on(run);
        let icon = match verdict.outcome {
            Outcome::Held => Icon::Good,
            Outcome::Failed => Icon::Bad,
            Outcome::Silent => Icon::Unsure,
        };
        let _ = write!(
            text,
            "<li class=\"card\"><b class=\"letter {}\">{}</b><div><h2>{}</h2><p>{} {}</p>",
            look(n),
            letter(n),
            Escaped(name(&run.about)),
            icon.word(verdict.word),
            Escaped(&verdict.sentence)
        );
        if !run.about.command.is_empty() {
            let _ = write!(text, "<pre tabindex=\"0\"><code>{}</code></pre>", Escaped(&run.about.command));
        }
        text.push_str("</div></li>");
    }
    text + "</ul></section>\n"
}

fn tallies(measures: &[Measure], runs: usize) -> String {
    let mut text = String::new();
    for n in 1..runs {
        let tally = Tally::of(measures, n);
        let worse: Vec<&Measure> =
            measures.iter().filter(|measure| measure.judgement(n) == Judgement::Worse).collect();
        let (class, icon) = match worse.first() {
            None => ("good", Icon::Good),
            Some(first) if first.group == BROKEN => ("bad", Icon::Bad),
            Some(_) => ("unsure", Icon::Unsure),
        };
        let lines: String = worse
            .iter()
            .map(|measure| format!("<li>{}, {}</li>", Escaped(measure.group), Escaped(change(measure, n))))
            .collect();
        let list =
            if lines.is_empty() { lines } else { format!("<p>Worse:</p><ul class=\"many\">{lines}</ul>") };
        let _ = write!(
            text,
            "<section class=\"verdict {class}\" aria-label=\"{0} against A\">{1}<div><h2>{0} against A</h2><p>{2}.</p>{list}\
             </div></section>",
            letter(n),
            icon.svg(),
            tally.sentence(),
        );
    }
    text
}

/// What became of a figure: `overhead p99: 12 ms, was 9 ms`.
fn change(measure: &Measure, run: usize) -> String {
    let value = |n| measure.unit.text_or_none(measure.value(n));
    format!("{}: {} in {}, {} in A", measure.name, value(run), letter(run), value(0))
}

fn cautions(runs: &[Run]) -> String {
    let warnings = warnings(runs);
    if warnings.is_empty() {
        return String::new();
    }
    let list: String = warnings.iter().map(|warning| format!("<li>{}</li>", Escaped(warning))).collect();
    format!(
        "<section class=\"verdict notice unsure\" aria-label=\"Cautions\">{}<div><p><b>More differs than what was to be \
         compared</b>, or a run says little:</p><ul>{list}</ul></div></section>\n",
        Icon::Unsure.svg()
    )
}

type Value = fn(&Point) -> Option<f64>;
type Time = fn(&Run) -> Quantiles;

const PLOTS: [(&str, &str, Unit, bool, Value); 7] = [
    (
        "Overhead p99",
        "From the moment an answer was due to its arrival at the provider",
        Unit::Millis,
        true,
        |point| point.overhead_p99_ms,
    ),
    (
        "Acknowledgement p99",
        "From the intended sending of a message to the 200 of its webhook",
        Unit::Millis,
        true,
        |point| point.acknowledge_p99_ms,
    ),
    ("Throughput", "Messages answered a second", Unit::PerSecond, false, |point| some(point.answered)),
    ("Backlog", "Messages acknowledged and not yet answered", Unit::Count, false, |point| {
        some(point.backlog)
    }),
    ("Memory", "Anonymous memory of the server", Unit::Bytes, false, |point| point.memory_bytes.map(float)),
    ("Processor", "Processors that the server kept busy", Unit::Cores, false, |point| point.cpu_cores),
    ("Generator lag p99", "How well the harness kept its own plan", Unit::Millis, true, |point| {
        point.lag_p99_ms
    }),
];

/// The plots; stages and marks are those of the first run.
fn plots(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let mut ground = Ground::of(first);
    ground.until_s = runs.iter().map(super::series::until_s).fold(ground.until_s, f64::max);
    let mut text = "<section aria-labelledby=\"over-time\"><h2 id=\"over-time\">Over time</h2><p class=\"lead\">Each run \
                    from its first message; stages and faults are those of A.</p><div class=\"plots\">"
        .to_owned();
    for (title, note, unit, may_be_log, value) in PLOTS {
        let series = runs.iter().enumerate().map(|(n, run)| Series::new(letter(n), look(n), run, value));
        let plot =
            Plot { title, note, unit, may_be_log, series: series.collect(), fill: Fill::None, limit: None };
        text.push_str(&plot.figure(&ground));
        text.push('\n');
    }
    let times: [(&str, Time); 3] = [
        ("Distribution of overhead", |run| run.times.overhead),
        ("Distribution of acknowledgement", |run| run.times.acknowledge),
        ("Distribution of answers", |run| run.times.answer),
    ];
    for (title, of) in times {
        let curves: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(n, run)| Curve { name: letter(n), class: look(n), quantiles: of(run) })
            .collect();
        text.push_str(&distribution(title, "From the median to the longest, after warm-up", &curves));
    }
    text + "</div></section>\n"
}

fn figures(measures: &[Measure], runs: &[Run]) -> String {
    let mut groups: Vec<&str> = measures.iter().map(|measure| measure.group).collect();
    groups.dedup();
    let mut text = String::new();
    for group in groups {
        let rows: Vec<_> = measures
            .iter()
            .filter(|measure| measure.group == group)
            .map(|measure| row(measure, runs.len()))
            .collect();
        text.push_str(&table(group, &rows, runs.len()));
    }
    let objectives: Vec<_> = objective_names(runs).iter().map(|name| objective_row(name, runs)).collect();
    if !objectives.is_empty() {
        text.push_str("<h3>objectives</h3>");
        let letters: Vec<_> = (0..runs.len()).map(|n| format!("<{}", letter(n))).collect();
        let titles: Vec<_> = std::iter::once("objective").chain(letters.iter().map(String::as_str)).collect();
        text.push_str(&markup::table("objectives", &titles, &objectives));
    }
    section("figures", "Every figure", &text)
}

fn table(group: &str, rows: &[Vec<String>], runs: usize) -> String {
    let mut titles = vec!["figure".to_owned()];
    titles.extend((0..runs).map(letter));
    for n in 1..runs {
        titles.extend([format!("{}/A", letter(n)), format!("<{} is", letter(n))]);
    }
    let titles: Vec<_> = titles.iter().map(String::as_str).collect();
    format!("<h3>{}</h3>{}", Escaped(group), markup::table(group, &titles, rows))
}

fn row(measure: &Measure, runs: usize) -> Vec<String> {
    let mut cells = vec![Escaped(&measure.name).to_string()];
    let value = |n| measure.value(n).map_or_else(|| "–".to_owned(), |value| measure.unit.text(value));
    cells.extend((0..runs).map(value));
    for n in 1..runs {
        let judgement = measure.judgement(n);
        let word = match judgement {
            Judgement::Better => Icon::Good.word("better"),
            Judgement::Worse => Icon::Bad.word("worse"),
            Judgement::Unknown => "–".to_owned(),
            other => format!("<span class=\"word quiet\">{}</span>", other.word()),
        };
        cells.extend([measure.ratio(n).map_or_else(|| "–".to_owned(), ratio), word]);
    }
    cells
}

fn objective_row(name: &str, runs: &[Run]) -> Vec<String> {
    let cell = |run: &Run| match objective(run, name) {
        None => "–".to_owned(),
        Some(objective) => {
            let icon = if objective.held { Icon::Good } else { Icon::Bad };
            format!("{} {}", icon.word(objective_word(objective)), Escaped(measured(objective)))
        }
    };
    std::iter::once(Escaped(name).to_string()).chain(runs.iter().map(cell)).collect()
}
