//! The rules of the house that no compiler keeps: who may import whom, what is never used, and that the documents speak of
//! things that exist. Every rule is tried on a planted violation too, so that it cannot pass by finding nothing.

mod documents;
mod failpoints;
mod routes;

use std::fs;
use std::path::Path;
use std::process::Command;

use toml::Table;

/// A file of this repository.
#[derive(Clone)]
struct Source {
    /// Its path from the root.
    path: String,
    text: String,
}

/// What breaks a rule, each in one line.
type Findings = Vec<String>;

/// The longest a file may be.
const LINES_MAX: usize = 500;

/// What each module of the actors may import from its own crate. Outside in, the order is
/// `domain <- ports <- supervision <- services <- pipeline <- (inbox, conversation, outbox, shard) <- runtime`.
const ACTORS: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("failpoint", &[]),
    ("settings", &["domain"]),
    ("feed", &["domain", "failpoint", "supervision"]),
    ("ports", &["domain", "ports"]),
    ("supervision", &["domain", "failpoint", "ports", "settings", "supervision"]),
    ("services", &["domain", "failpoint", "ports", "services", "settings", "supervision"]),
    ("pipeline", &["domain", "pipeline", "ports", "services", "settings", "supervision"]),
    ("indexer", &["ports", "services", "supervision"]),
    (
        "inbox",
        &[
            "conversation",
            "domain",
            "failpoint",
            "inbox",
            "outbox",
            "ports",
            "settings",
            "shard",
            "supervision",
        ],
    ),
    ("operations", &["domain", "inbox", "supervision"]),
    (
        "conversation",
        &[
            "conversation",
            "domain",
            "failpoint",
            "feed",
            "inbox",
            "outbox",
            "pipeline",
            "ports",
            "settings",
            "shard",
            "supervision",
        ],
    ),
    ("outbox", &["domain", "failpoint", "outbox", "ports", "services", "settings", "shard", "supervision"]),
    (
        "shard",
        &[
            "conversation",
            "domain",
            "feed",
            "inbox",
            "outbox",
            "pipeline",
            "ports",
            "services",
            "settings",
            "supervision",
        ],
    ),
    (
        "runtime",
        &[
            "conversation",
            "domain",
            "failpoint",
            "feed",
            "inbox",
            "operations",
            "outbox",
            "pipeline",
            "ports",
            "settings",
            "shard",
            "supervision",
        ],
    ),
    ("testkit", &["domain", "ports", "services", "settings", "supervision"]),
    ("lib", &[]),
];

/// What each module of the binary may import from its own crate. Only `app`, `cli`, `config`, `metrics` and
/// `simulate` know adapters.
const BINARY: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &[]),
    ("lock_file", &[]),
    ("memory", &[]),
    ("secret", &[]),
    ("shutdown", &[]),
    ("system", &[]),
    ("telemetry", &[]),
    ("traces", &["secret", "traces"]),
    ("store", &["store"]),
    ("knowledge", &["endpoint", "knowledge", "secret"]),
    ("endpoint", &["secret"]),
    ("embedding", &["embedding", "endpoint", "secret"]),
    ("llm", &["endpoint", "llm", "secret"]),
    ("channels", &["channels", "secret"]),
    ("http", &["http", "observer", "secret"]),
    ("load", &["channels", "load", "secret"]),
    ("eval", &["embedding", "eval", "knowledge", "load"]),
    ("metrics", &["metrics", "observer", "store", "traces"]),
    ("observer", &["observer"]),
    ("simulate", &["channels", "config", "knowledge", "load", "secret", "simulate", "store", "system"]),
    (
        "config",
        &["channels", "embedding", "http", "knowledge", "llm", "secret", "store", "telemetry", "traces"],
    ),
    (
        "cli",
        &[
            "app",
            "channels",
            "config",
            "embedding",
            "eval",
            "http",
            "knowledge",
            "load",
            "lock_file",
            "secret",
            "shutdown",
            "simulate",
            "store",
            "system",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "channels",
            "config",
            "embedding",
            "http",
            "knowledge",
            "llm",
            "lock_file",
            "memory",
            "metrics",
            "observer",
            "secret",
            "shutdown",
            "store",
            "system",
            "traces",
        ],
    ),
];

/// What each module of the binary may import from the actors. Adapters know the ports, never an actor.
const BINARY_OF_ACTORS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &[]),
    ("lock_file", &[]),
    ("secret", &[]),
    ("shutdown", &[]),
    ("telemetry", &["domain"]),
    ("traces", &["domain", "ports"]),
    ("system", &["domain", "failpoint", "ports"]),
    ("memory", &["domain"]),
    ("store", &["domain", "failpoint", "ports", "settings"]),
    ("knowledge", &["domain", "failpoint", "ports", "settings"]),
    ("endpoint", &[]),
    ("embedding", &["domain", "failpoint", "ports"]),
    ("llm", &["domain", "failpoint", "ports", "settings"]),
    ("channels", &["domain", "failpoint", "ports", "settings"]),
    ("load", &["domain", "ports"]),
    ("eval", &["domain", "pipeline", "ports", "settings"]),
    ("metrics", &["domain", "inbox", "supervision"]),
    ("observer", &["domain", "inbox", "operations", "ports", "supervision"]),
    ("cli", &["domain", "ports"]),
    (
        "http",
        &[
            "domain",
            "feed",
            "inbox",
            "operations",
            "pipeline",
            "ports",
            "services",
            "settings",
            "supervision",
        ],
    ),
    ("config", &["domain", "pipeline", "settings"]),
    (
        "simulate",
        &["domain", "inbox", "pipeline", "ports", "runtime", "services", "settings", "shard", "supervision"],
    ),
    (
        "app",
        &[
            "domain",
            "inbox",
            "indexer",
            "operations",
            "pipeline",
            "ports",
            "runtime",
            "services",
            "settings",
            "shard",
            "supervision",
        ],
    ),
];

/// What the root may hold beside dotfiles.
const TOP_LEVEL: [&str; 8] =
    ["Cargo.lock", "Cargo.toml", "README.md", "actors", "config.toml", "docs", "src", "tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(path: &str) -> Source {
    let text = fs::read_to_string(root().join(path)).expect("a text file of the repository");
    Source { path: path.to_owned(), text }
}

/// The files below a folder with one of these endings, in order.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = vec![];
    for path in paths(folder) {
        if endings.iter().any(|ending| path.ends_with(ending)) {
            found.push(source(&path));
        }
    }
    assert!(!found.is_empty(), "no {endings:?} below {folder}");
    found
}

/// The paths of all files below a folder.
fn paths(folder: &str) -> Vec<String> {
    let mut paths = vec![];
    for entry in fs::read_dir(root().join(folder)).expect("a folder of the repository") {
        let entry = entry.expect("a readable folder");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() { paths.extend(self::paths(&path)) } else { paths.push(path) }
    }
    paths.sort();
    paths
}

fn documents() -> Vec<Source> {
    let mut documents = sources("docs", &[".md"]);
    documents.push(source("README.md"));
    documents
}

/// Tries a rule on what is there, and on a planted file, which it must find.
fn check(rule: impl Fn(&[Source]) -> Findings, mut real: Vec<Source>, planted: &[(&str, &str)]) {
    let findings = rule(&real);
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    for (path, text) in planted {
        real.push(Source { path: (*path).to_owned(), text: (*text).to_owned() });
        assert!(!rule(&real).is_empty(), "the rule does not find {text:?} in {path}");
        real.pop();
    }
}

/// The lines that are shipped: no comments, and nothing of the tests.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let is_test = source.path.contains("/tests/") || name == "tests.rs" || name.ends_with("_tests.rs");
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(all(test, feature = \"failpoints\"))]\nmod tests {"];
    let end = tests.iter().filter_map(|start| source.text.find(start)).min().unwrap_or(source.text.len());
    let text = if is_test { "" } else { &source.text[..end] };
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The module of a crate that a file belongs to.
fn module(path: &str) -> &str {
    let inside = path.strip_prefix("actors/src/").or_else(|| path.strip_prefix("src/")).unwrap_or(path);
    inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The modules that a text names behind `start`, as in `crate::a::B` and `crate::{a::B, c}`.
fn imports(text: &str, start: &str) -> Vec<String> {
    let is_inside_a_name =
        |at: usize| text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    let mut found = vec![];
    for (at, _) in text.match_indices(start).filter(|(at, _)| !is_inside_a_name(*at)) {
        let rest = &text[at + start.len()..];
        let (mut depth, mut begins) = (0, true);
        for (n, c) in rest.char_indices() {
            if begins && (c.is_alphanumeric() || c == '_') {
                let name: String =
                    rest[n..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.push(name);
                begins = false;
            }
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                _ => {}
            }
            if depth == 0 && !begins {
                break;
            }
        }
    }
    found
}

/// Imports that a table does not allow; a module without a row may import nothing and is named.
fn layering(files: &[Source], start: &str, table: &[(&str, &[&str])]) -> Findings {
    let mut findings = vec![];
    for file in files {
        let Some((_, allowed)) = table.iter().find(|(name, _)| *name == module(&file.path)) else {
            findings.push(format!("{}: its module has no row in tests/tidy/main.rs", file.path));
            continue;
        };
        let text: Vec<&str> = code(file).map(|(_, line)| line).collect();
        for name in imports(&text.join("\n"), start) {
            if name.starts_with(char::is_lowercase) && !allowed.contains(&name.as_str()) {
                findings.push(format!("{}: must not import {start}{name}", file.path));
            }
        }
    }
    findings
}

/// Words that must not stand in shipped code, but in these files.
fn forbidden(files: &[Source], words: &[&str], but: &[&str]) -> Findings {
    let mut findings = vec![];
    for file in files.iter().filter(|file| !but.iter().any(|path| file.path.starts_with(path))) {
        for (n, line) in code(file) {
            for word in words.iter().filter(|word| line.contains(*word)) {
                findings.push(format!("{}:{n}: {word} is not used here", file.path));
            }
        }
    }
    findings
}

fn shipped() -> Vec<Source> {
    let mut files = sources("actors/src", &[".rs"]);
    files.extend(sources("src", &[".rs"]));
    files
}

#[test]
fn the_actors_know_neither_the_web_nor_the_database() {
    let words = ["actix_web", "rusqlite", "reqwest", "r2d2"];
    let rule = |files: &[Source]| forbidden(files, &words, &[]);
    check(rule, sources("actors/src", &[".rs"]), &[("actors/src/inbox/x.rs", "use rusqlite::Connection;")]);
    let manifest = source("actors/Cargo.toml").text;
    for word in ["actix-web", "rusqlite", "reqwest", "r2d2"] {
        assert!(!manifest.contains(word), "actors/Cargo.toml depends on {word}");
    }
}

#[test]
fn the_modules_of_the_actors_import_only_what_lies_below_them() {
    let rule = |files: &[Source]| layering(files, "crate::", ACTORS);
    let planted = [
        ("actors/src/domain/x.rs", "use crate::ports::Clock;"),
        ("actors/src/ports/x.rs", "use crate::{domain::Tick, settings::TurnSettings};"),
        ("actors/src/outbox/x.rs", "fn f() -> crate::runtime::Runtime { todo!() }"),
        ("actors/src/novelty/x.rs", ""),
    ];
    check(rule, sources("actors/src", &[".rs"]), &planted);
}

#[test]
fn the_modules_of_the_binary_import_only_what_they_may() {
    let rule = |files: &[Source]| layering(files, "crate::", BINARY);
    let planted = [
        ("src/http/x.rs", "use crate::store::SqliteStore;"),
        ("src/http/x.rs", "use crate::{secret::Secret, llm};"),
        ("src/store/x.rs", "use crate::knowledge::entries;"),
    ];
    check(rule, sources("src", &[".rs"]), &planted);
}

#[test]
fn adapters_know_ports_and_never_an_actor() {
    let rule = |files: &[Source]| layering(files, "tertulia_actors::", BINARY_OF_ACTORS);
    let planted = [
        ("src/store/x.rs", "use tertulia_actors::inbox::router::Router;"),
        ("src/http/x.rs", "use tertulia_actors::{domain::Tick, runtime::Runtime};"),
        ("src/cli/x.rs", "use tertulia_actors::conversation::actor::Conversation;"),
    ];
    check(rule, sources("src", &[".rs"]), &planted);
}

#[test]
fn the_actors_share_no_state() {
    // Whole words are not needed: nothing else in the crate has such a name.
    let words = [
        "Mutex",
        "RwLock",
        "OnceLock",
        "OnceCell",
        "LazyLock",
        "LazyCell",
        "static mut",
        "thread_local!",
        "SystemService",
    ];
    let rule = |files: &[Source]| forbidden(files, &words, &["actors/src/failpoint.rs"]);
    check(rule, sources("actors/src", &[".rs"]), &[("actors/src/feed.rs", "static X: LazyLock<u8> = f();")]);
}

#[test]
fn nothing_shipped_unwraps_prints_or_silences_a_lint() {
    let rule = |files: &[Source]| {
        let mut findings = forbidden(
            files,
            &[".unwrap()", "dbg!(", "todo!(", "unimplemented!(", "#[allow(", "#![allow("],
            &[],
        );
        findings.extend(forbidden(files, &["println!(", "print!("], &["src/cli/"]));
        findings
    };
    let planted = [
        ("src/store/x.rs", "let x = f().unwrap();"),
        ("src/http/x.rs", "    eprintln!(\"here\");"),
        ("src/cli/x.rs", "dbg!(1);"),
        ("actors/src/feed.rs", "#[allow(dead_code)]"),
    ];
    check(rule, shipped(), &planted);
}

#[test]
fn nothing_is_unsafe() {
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    check(|files| forbidden(files, &words, &[]), shipped(), &[("src/store/x.rs", "unsafe { f() }")]);
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let rule = |files: &[Source]| {
        let long = files.iter().filter(|file| file.text.lines().count() > LINES_MAX);
        long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())).collect()
    };
    let endings = [".rs", ".js", ".css", ".html", ".md", ".sql"];
    let mut files = documents();
    for folder in ["actors", "src", "tests"] {
        files.extend(sources(folder, &endings));
    }
    check(rule, files, &[("src/x.rs", "\n".repeat(LINES_MAX + 1).as_str())]);
}

#[test]
fn every_migration_is_registered() {
    let schema = source("src/store/schema.rs").text;
    let rule = |files: &[Source]| {
        let name = |file: &Source| file.path.rsplit('/').next().unwrap_or_default().to_owned();
        let lost = files
            .iter()
            .filter(|file| !schema.contains(&format!("include_str!(\"migrations/{}\")", name(file))));
        lost.map(|file| format!("{}: not in src/store/schema.rs", file.path)).collect()
    };
    check(rule, sources("src/store/migrations", &[".sql"]), &[("src/store/migrations/0999_x.sql", "")]);
}
