//! Two or more runs side by side, as text. All others are compared with the first.

use super::format::{duration, float, ratio, several};
use super::measures::{Judgement, Measure, measures};
use super::run::{About, Objective, Run};
use super::terminal::{Paint, fit, wrap};
use super::verdict::Verdict;

/// How many runs stand beside the first on a line; more of them follow in a table of their own.
const BESIDE_MAX: usize = 2;

/// The name of a run in a comparison: A, B, …
pub(super) fn letter(run: usize) -> String {
    match u8::try_from(run) {
        Ok(n @ 0..26) => char::from(b'A' + n).to_string(),
        _ => format!("#{}", run + 1),
    }
}

/// Runs side by side as text of no more than 100 columns, with the ratio to the first run and a word on each figure.
#[must_use]
pub fn compare_table(runs: &[Run], is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    for (n, run) in runs.iter().enumerate() {
        let verdict = Verdict::on(run);
        text.push_str(&format!("{}  {}\n", paint.heading(&letter(n)), fit(&name(&run.about), 96)));
        text.push_str(&wrap(&format!("{}: {}", verdict.word, verdict.sentence), 3));
    }
    if runs.len() < 2 {
        text.push_str("nothing to compare: it takes two runs\n");
        return text;
    }
    for warning in warnings(runs) {
        text.push_str(&paint.unsure("! "));
        text.push_str(wrap(&warning, 2).trim_start());
    }
    let measures = measures(runs);
    let others: Vec<usize> = (1..runs.len()).collect();
    for others in others.chunks(BESIDE_MAX) {
        text.push_str(&columns(&measures, others, paint));
        text.push_str(&objectives(runs, others));
    }
    text.push('\n');
    for n in 1..runs.len() {
        text.push_str(&format!("{} against A: {}\n", letter(n), Tally::of(&measures, n).sentence()));
    }
    text
}

/// What a run was, in a line.
pub(super) fn name(about: &About) -> String {
    let profile = if about.profile.is_empty() { "unnamed profile" } else { &about.profile };
    let parts = [
        profile.to_owned(),
        about.target.clone(),
        about.build.clone(),
        about.began_at.replacen('T', " ", 1),
        duration(float(about.lasted_s)),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn columns(measures: &[Measure], others: &[usize], paint: Paint) -> String {
    let mut text = String::new();
    let mut group = "";
    for measure in measures {
        if measure.group != group {
            group = measure.group;
            let mut line = format!("{}{:>11}", paint.heading(&format!("{:<28}", fit(group, 28))), "A");
            others.iter().for_each(|n| line.push_str(&format!("{:>11}", letter(*n))));
            others.iter().for_each(|n| line.push_str(&format!("{:>8}/A       ", letter(*n))));
            text.push_str(&format!("\n{}\n", line.trim_end()));
        }
        let value =
            |n: usize| measure.value(n).map_or_else(|| "-".to_owned(), |value| measure.unit.text(value));
        let mut line = format!("  {:<26}{:>11}", fit(&measure.name, 26), fit(&value(0), 11));
        others.iter().for_each(|n| line.push_str(&format!("{:>11}", fit(&value(*n), 11))));
        for n in others {
            let ratio = measure.ratio(*n).map_or_else(|| "-".to_owned(), ratio);
            line.push_str(&format!("{:>8} {}", fit(&ratio, 7), judged(measure.judgement(*n), paint)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn judged(judgement: Judgement, paint: Paint) -> String {
    let word = format!("{:<7}", judgement.word());
    match judgement {
        Judgement::Better => paint.good(&word),
        Judgement::Worse => paint.bad(&word),
        _ => word,
    }
}

fn objectives(runs: &[Run], others: &[usize]) -> String {
    let mut text = String::new();
    for name in objective_names(runs) {
        let word = |n: usize| match objective(&runs[n], name) {
            None => "-",
            Some(objective) if objective.held => "held",
            Some(_) => "MISSED",
        };
        if text.is_empty() {
            text.push_str("\nobjectives\n");
        }
        text.push_str(&format!("  {:<26}{:>11}", fit(name, 26), word(0)));
        others.iter().for_each(|n| text.push_str(&format!("{:>11}", word(*n))));
        text.push('\n');
    }
    text
}

/// The names of the objectives of all runs, each once.
pub(super) fn objective_names(runs: &[Run]) -> Vec<&str> {
    let mut names: Vec<&str> = vec![];
    for objective in runs.iter().flat_map(|run| &run.objectives) {
        if !names.contains(&objective.name.as_str()) {
            names.push(&objective.name);
        }
    }
    names
}

/// An objective of a run.
pub(super) fn objective<'a>(run: &'a Run, name: &str) -> Option<&'a Objective> {
    run.objectives.iter().find(|objective| objective.name == name)
}

/// How many figures went which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) better: usize,
    pub(super) worse: usize,
    pub(super) same: usize,
}

impl Tally {
    /// The tally of a run against the first.
    pub(super) fn of(measures: &[Measure], run: usize) -> Self {
        let number = |wanted| measures.iter().filter(|measure| measure.judgement(run) == wanted).count();
        Self {
            better: number(Judgement::Better),
            worse: number(Judgement::Worse),
            same: number(Judgement::Same),
        }
    }

    /// The tally in words.
    pub(super) fn sentence(self) -> String {
        format!(
            "{} better, {} worse, {} about the same",
            several(self.better, "figure").replace("0 figures", "no figure"),
            self.worse,
            self.same
        )
    }
}

/// What makes a comparison say less than it seems to: what differs beside what was to be compared.
pub(super) fn warnings(runs: &[Run]) -> Vec<String> {
    let Some((first, others)) = runs.split_first() else {
        return vec![];
    };
    let mut warnings = vec![];
    for (n, run) in runs.iter().enumerate() {
        if let Some(failure) = &run.failure {
            warnings.push(format!("{} came to no verdict: {failure}", letter(n)));
        }
        if let Some(bottleneck) = &run.generator.bottleneck {
            warnings.push(format!("the generator bounded {}, not the server: {bottleneck}", letter(n)));
        }
    }
    for (n, run) in others.iter().enumerate() {
        let letter = letter(n + 1);
        for (what, base, other) in facts(&first.about, &run.about) {
            if base != other {
                warnings.push(format!("{what} differs: A {}, {letter} {}", said(&base), said(&other)));
            }
        }
        warnings.extend(settings(&first.about, &run.about, &letter));
    }
    warnings
}

fn facts(base: &About, other: &About) -> Vec<(&'static str, String, String)> {
    let fact = |what, of: fn(&About) -> String| (what, of(base), of(other));
    let mut facts = vec![
        fact("the profile", |about| about.profile.clone()),
        fact("the build", |about| about.build.clone()),
        fact("the seed", |about| about.seed.to_string()),
        fact("the processor", |about| about.machine.processor.clone()),
        fact("the number of threads", |about| about.machine.cores.to_string()),
        fact("the memory of the machine", |about| super::format::bytes(float(about.machine.memory_bytes))),
        fact("the system", |about| about.machine.system.clone()),
        fact("the file system", |about| about.machine.file_system.clone()),
    ];
    let (shorter, longer) = (base.lasted_s.min(other.lasted_s), base.lasted_s.max(other.lasted_s));
    if float(longer) > float(shorter) * 1.1 {
        facts.push(fact("the length", |about| duration(float(about.lasted_s))));
    }
    facts
}

fn said(text: &str) -> String {
    if text.is_empty() { "says none".to_owned() } else { text.to_owned() }
}

/// What each run that starts a server chooses anew.
const CHOSEN_ANEW: [&str; 4] =
    ["server.bind", "storage.path", "channels.whatsapp.graph_base_url", "query.llm.base_url"];

fn settings(base: &About, other: &About, letter: &str) -> Vec<String> {
    // None were given to a server that ran already.
    match [base, other].map(|about| about.settings.is_empty()) {
        [true, true] => return vec![],
        [true, false] => return vec!["the settings of A are not known: its server ran already".to_owned()],
        [false, true] => {
            return vec![format!("the settings of {letter} are not known: its server ran already")];
        }
        [false, false] => {}
    }
    let split = |setting: &String| {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        (key.trim().to_owned(), value.trim().to_owned())
    };
    let base: Vec<_> = base.settings.iter().map(split).collect();
    let other: Vec<_> = other.settings.iter().map(split).collect();
    let value = |settings: &[(String, String)], key: &str| {
        settings
            .iter()
            .find(|(name, _)| name == key)
            .map_or_else(|| "its default".to_owned(), |(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = base.iter().chain(&other).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| !CHOSEN_ANEW.contains(&key.as_str()))
        .map(|key| (key, value(&base, key), value(&other, key)))
        .filter(|(_, base, other)| base != other)
        .map(|(key, base, other)| format!("the setting {key} differs: A {base}, {letter} {other}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn what_differs_beside_the_runs_is_said() {
        let a = sample::run();
        assert_eq!(warnings(&[a.clone(), a.clone()]), Vec::<String>::new());
        let mut b = a.clone();
        b.about.profile = "storm".to_owned();
        b.about.machine.cores = 64;
        b.about.settings = vec!["turns.max=9".to_owned(), "novelty=1".to_owned()];
        b.about.lasted_s = a.about.lasted_s * 2;
        b.generator.bottleneck = Some("one processor".to_owned());
        let found = warnings(&[a, b]).join("\n");
        for expected in [
            "the generator bounded B, not the server: one processor",
            "the profile differs: A steady, B storm",
            "the number of threads differs: A 8, B 64",
            "the length differs",
            "the setting conversation.quiet_ms differs: A 1500, B its default",
            "the setting novelty differs: A its default, B 1",
        ] {
            assert!(found.contains(expected), "{expected} in\n{found}");
        }
        assert!(!found.contains("processor differs"), "{found}");
    }

    #[test]
    fn a_setting_whose_order_changed_is_the_same() {
        let mut a = sample::run();
        a.about.settings = vec!["a=1".to_owned(), "b=2".to_owned()];
        let mut b = a.clone();
        b.about.settings.reverse();
        assert_eq!(warnings(&[a, b]), Vec::<String>::new());
    }

    #[test]
    fn of_a_server_that_ran_already_no_setting_is_told() {
        let mut known = sample::run();
        known.about.settings = vec!["server.bind=127.0.0.1:1".to_owned(), "a=1".to_owned()];
        let mut again = known.clone();
        again.about.settings[0] = "server.bind=127.0.0.1:2".to_owned();
        let mut ran = known.clone();
        ran.about.settings = vec![];
        for (runs, expected) in [
            ([&known, &again], vec![]),
            ([&ran, &known], vec!["the settings of A are not known: its server ran already"]),
            ([&known, &ran], vec!["the settings of B are not known: its server ran already"]),
            ([&ran, &ran], vec![]),
        ] {
            assert_eq!(warnings(&runs.map(Run::clone)), expected);
        }
    }

    #[test]
    fn runs_have_letters_as_long_as_there_are_some() {
        assert_eq!([0, 1, 25, 26].map(letter), ["A", "B", "Z", "#27"]);
    }
}
