//! The documents speak of files, keys and figures that exist.

use super::*;

/// What stands in backticks in a document, outside of blocks of code.
fn quoted(document: &Source) -> Vec<&str> {
    let mut is_block = false;
    let prose = document.text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// Whether a quoted word is the path of a file or folder of this repository.
fn is_path(word: &str) -> bool {
    let is_plain =
        word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c)) && !word.starts_with('/');
    let endings = [".rs", ".md", ".sql", ".js", ".css", ".html", ".jsonl", ".toml"];
    let folders = ["src/", "actors/", "tests/", "docs/", ".ci/"];
    is_plain
        && (endings.iter().any(|ending| word.ends_with(ending))
            || folders.iter().any(|folder| word.starts_with(folder)))
}

#[test]
fn documents_name_only_files_that_exist() {
    let rule = |files: &[Source]| {
        let mut findings = vec![];
        for file in files {
            let lost = quoted(file).into_iter().filter(|word| is_path(word) && !root().join(word).exists());
            findings.extend(lost.map(|word| format!("{}: there is no {word}", file.path)));
        }
        findings
    };
    check(
        rule,
        documents(),
        &[("docs/X.md", "see `src/gone.rs`"), ("docs/X.md", "`a` and `actors/src/gone/`")],
    );
}

/// Whether a quoted word is the name of a test, which is a sentence.
fn is_test(word: &str) -> bool {
    let is_name = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_name && word.matches('_').count() >= 4 && !word.starts_with("tertulia_")
}

#[test]
fn documents_name_only_tests_that_exist() {
    let mut code = sources("tests", &[".rs"]);
    code.extend(shipped());
    let exists = |name: &str| code.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let rule = |files: &[Source]| {
        let mut findings = vec![];
        for file in files {
            let lost = quoted(file).into_iter().filter(|word| is_test(word) && !exists(word));
            findings.extend(lost.map(|word| format!("{}: there is no test {word}", file.path)));
        }
        findings
    };
    check(rule, documents(), &[("docs/X.md", "`nobody_ever_wrote_this_test`")]);
    assert!(documents().iter().flat_map(quoted).any(is_test), "no test is named at all");
}

#[test]
fn the_code_map_names_every_module() {
    let map = source("docs/ARCHITECTURE.md");
    let rule = |files: &[Source]| {
        let words = quoted(&map);
        let is_named = |path: &str| words.iter().any(|word| word.trim_end_matches('/') == path);
        let mut findings = vec![];
        for file in files.iter().filter(|file| !file.path.contains("/tests")) {
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !is_named(&file.path) && !is_named(folder) && !is_named(&format!("{folder}.rs")) {
                findings.push(format!("{}: docs/ARCHITECTURE.md names neither it nor its folder", file.path));
            }
        }
        findings
    };
    check(rule, shipped(), &[("src/novelty.rs", ""), ("src/http/novelty/x.rs", "")]);
}

/// Keys that are documented in comments of `config.toml` only, since they have no default.
const KEYS_WITHOUT_DEFAULT: [&str; 2] = ["query.llm.temperature", "query.llm.max_tokens"];

/// Whether a quoted word is a key of the configuration; none where it is something else.
fn key_exists(word: &str, config: &Table) -> Option<bool> {
    let key = word.split(['=', ' ']).next().unwrap_or_default();
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let names: Vec<&str> = key.split('.').collect();
    if names.len() < 2 || !names.iter().all(|name| is_name(name)) || !config.contains_key(names[0]) {
        return None;
    }
    let found = names.iter().try_fold(None::<&toml::Value>, |place, name| match place {
        None => config.get(*name).map(Some),
        Some(place) => place.get(name.trim_end_matches("_file")).map(Some),
    });
    let is_open = matches!(names[0], "phrases") || key.starts_with("classifier.examples.");
    Some(found.is_some() || is_open || KEYS_WITHOUT_DEFAULT.contains(&key))
}

#[test]
fn documents_name_only_keys_that_exist() {
    let config: Table = source("config.toml").text.parse().expect("config.toml is TOML");
    let rule = |files: &[Source]| {
        let mut findings = vec![];
        for file in files {
            let lost = quoted(file)
                .into_iter()
                .filter(|word| !is_path(word) && key_exists(word, &config) == Some(false));
            findings.extend(lost.map(|word| format!("{}: config.toml has no {word}", file.path)));
        }
        findings
    };
    let planted = [("docs/X.md", "`conversation.quite_ms`"), ("docs/X.md", "`server.bindd = \"x\"`")];
    check(rule, documents(), &planted);
    assert!(
        documents()
            .iter()
            .any(|file| quoted(file).iter().any(|word| key_exists(word, &config) == Some(true)))
    );
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let operations = source("docs/OPERATIONS.md");
    let documented: Vec<&str> =
        quoted(&operations).into_iter().filter(|word| word.starts_with("tertulia_")).collect();
    let rule = |files: &[Source]| {
        let names: Vec<String> = files.iter().flat_map(metrics).collect();
        let is_of = |word: &&str, name: &String| word.starts_with(name.as_str());
        let mut findings = vec![];
        for name in names.iter().filter(|name| !documented.iter().any(|word| is_of(word, name))) {
            findings.push(format!("{name}: not in docs/OPERATIONS.md"));
        }
        for word in documented.iter().filter(|word| !names.iter().any(|name| is_of(word, name))) {
            findings.push(format!("{word}: documented, and not in src/metrics.rs or its folder"));
        }
        findings
    };
    let files = vec![source("src/metrics.rs"), source("src/metrics/supervised.rs")];
    check(rule, files, &[("src/metrics.rs", "(\"made_up\", ")]);
    assert!(!rule(&[]).is_empty(), "a metric that is gone is not noticed");
}

#[test]
fn the_dashboard_shows_only_metrics_that_are_documented() {
    let operations = source("docs/OPERATIONS.md");
    let documented = quoted(&operations);
    let rule = |files: &[Source]| {
        let mut findings = vec![];
        for file in files {
            let words = file.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| word.starts_with("tertulia_")) {
                let name = word.trim_end_matches("_bucket");
                if !documented.contains(&name) {
                    findings.push(format!("{}: {word} is not in docs/OPERATIONS.md", file.path));
                }
            }
        }
        findings
    };
    check(
        rule,
        vec![source("docs/grafana.json")],
        &[("docs/grafana.json", "rate(tertulia_made_up_total[1m])")],
    );
}

/// The names of the metrics: words in quotes that begin a list of arguments, or follow `encoder`.
fn metrics(file: &Source) -> Vec<String> {
    let text: Vec<&str> = code(file).map(|(_, line)| line.trim()).collect();
    let text = text.join(" ");
    let mut names = vec![];
    for start in ["(\"", "( \"", "encoder, \""] {
        for (at, _) in text.match_indices(start) {
            let name = text[at + start.len()..].split('"').next().unwrap_or_default();
            if name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                names.push(format!("tertulia_{name}"));
            }
        }
    }
    names
}

#[test]
fn the_top_level_is_fixed() {
    let rule = |files: &[Source]| {
        let strange = files
            .iter()
            .filter(|file| !file.path.starts_with('.') && !TOP_LEVEL.contains(&file.path.as_str()));
        strange.map(|file| format!("{}: the root holds only {TOP_LEVEL:?} and dotfiles", file.path)).collect()
    };
    check(rule, top_level(), &[("LICENSE", "")]);
}

/// What the root holds: of a checkout what is tracked, of a plain copy all but what a build makes.
fn top_level() -> Vec<Source> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let names: Vec<String> = match listed {
        Ok(listed) if listed.status.success() && !listed.stdout.is_empty() => {
            let paths = String::from_utf8_lossy(&listed.stdout).into_owned();
            paths
                .split_terminator('\0')
                .map(|path| path.split('/').next().unwrap_or_default().to_owned())
                .collect()
        }
        _ => {
            let entries = fs::read_dir(root()).expect("the root").filter_map(Result::ok);
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| !["target", "data"].contains(&name.as_str())).collect()
        }
    };
    names.into_iter().map(|path| Source { path, text: String::new() }).collect()
}
