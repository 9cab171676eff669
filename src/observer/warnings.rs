//! What is wrong: each warning with its cause and what to do. Pure; without a cause there is none.

use schemars::JsonSchema;
use serde::Serialize;
use tertulia_actors::domain::Timestamp;
use tertulia_actors::inbox::pressure::PressureLimits;
use tertulia_actors::supervision::snapshot::{Kind, Node, State};

use super::figures::nodes;
use super::{Figures, Silences};

/// From this share of a limit on it is warned of.
const NEAR: f64 = 0.8;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// People notice, or will soon.
    Critical,
    /// It will be critical if it goes on, or somebody asked for it.
    Warning,
    /// Somebody should look at it one day.
    Notice,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Warning {
    /// What kind it is, for programs: stable.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where, in the tree; none where it is about everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Since when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What is wrong, with its figures, and why.
    pub cause: String,
    /// What to do.
    pub advice: String,
}

/// Everything that is wrong, the worst first.
#[must_use]
pub(super) fn warnings(
    tree: Option<&Node>,
    silences: &Silences,
    figures: &Figures,
    limits: &PressureLimits,
    now: Timestamp,
) -> Vec<Warning> {
    let mut found = vec![];
    match tree {
        Some(tree) => found.extend(places(tree, silences, now)),
        None => found.push(Warning {
            code: "monitor_silent",
            severity: Severity::Critical,
            path: Some("monitor".into()),
            since: None,
            cause: "the monitor does not answer, so that nobody knows how anything is".into(),
            advice: "wait some seconds: it is started anew by itself; if it stays silent, restart the server, which loses nothing"
                .into(),
        }),
    }
    found.extend(pressure(figures, limits));
    found.extend(errors(figures));
    found.sort_by_key(|warning| warning.severity);
    found
}

/// What stands still, is given up, or was stopped by an operator. Groups and threads are as what is below them: that is told.
fn places(tree: &Node, silences: &Silences, now: Timestamp) -> Vec<Warning> {
    let mut found = vec![];
    for node in nodes(tree) {
        let speaks_for_others =
            node.kind == Kind::Group || node.children.iter().any(|child| child.state == node.state);
        if !speaks_for_others {
            found.extend(place(node, silences, now));
        }
    }
    found
}

fn place(node: &Node, silences: &Silences, now: Timestamp) -> Option<Warning> {
    let begun = match node.state {
        State::Frozen | State::Stopped => silences.since(node)?,
        _ => node.since,
    };
    let (name, since) = (title(&node.path), age(begun, now));
    let why = node.last_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let (code, severity, cause, advice) = match node.state {
        State::Running | State::Probing => return None,
        State::Down => ("down", Severity::Critical, format!("{name} has been open, and probed, for {since}{why}"), advice(&node.path)),
        State::Frozen => (
            "frozen",
            Severity::Critical,
            format!("{name} has not answered for {since}{why}"),
            "a thread is replaced, or ends the process, by itself; if this stays, look at what it was doing in the log, and restart the server, which loses nothing"
                .to_owned(),
        ),
        State::Restarting => (
            "restarting",
            Severity::Warning,
            format!("{name} failed and waits for its restart since {since}{why}"),
            "nothing, unless it comes again: then look at the reason in its events".to_owned(),
        ),
        State::Stopped => (
            "stopped",
            Severity::Critical,
            format!("{name} has ended{why}"),
            "restart the server, which loses nothing".to_owned(),
        ),
        State::Paused => (
            "paused",
            Severity::Warning,
            format!("{name} was paused by an operator {since} ago"),
            "resume it when the work is done".to_owned(),
        ),
        State::Draining => (
            "draining",
            Severity::Warning,
            format!("{name} has been draining for {since}: it begins nothing new"),
            "resume it when the work is done".to_owned(),
        ),
    };
    let (path, since) = (Some(node.path.to_string()), Some(begun));
    Some(Warning { code, severity, path, since, cause, advice })
}

/// What a place is called in a sentence.
fn title(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["services", name] => format!("the {name} front"),
        ["services", name, "threads", number] => format!("thread {number} of the {name} service"),
        ["channels", name] => format!("the channel {name}"),
        ["shards", number] => format!("the thread of shard {number}"),
        ["shards", number, name, ..] => format!("the {name} of shard {number}"),
        ["store"] => "the database".into(),
        ["store", name] => format!("the store's {name}"),
        _ => format!("the {path}"),
    }
}

/// What to do about what was given up.
fn advice(path: &str) -> String {
    match path {
        "services/query" => "see that query.llm.base_url can be reached and its api_key is right; people get the phrase `fallback` meanwhile",
        "services/embedding" => "see that the model, or embedding.endpoint, works; questions are answered by their words meanwhile",
        "services/vectors" => "see that the knowledge base can be searched (`tertulia db check`, or the Chroma server); people get the phrase `fallback` meanwhile",
        "services/classifier" => "look at the reason in its events; turns are answered without a class meanwhile, and a person is asked for",
        "store" => "see that the disk has room and is sound, and that no other program locks the database; nothing is accepted until it can be written",
        path if path.starts_with("channels/") => "see that the channel's provider can be reached and its access_token is right; replies wait meanwhile",
        _ => "look at the reason in its events; it is tried again by itself",
    }
    .to_owned()
}

/// How long ago, in words.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.0.saturating_sub(since.0).max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Limits that are near, or met.
fn pressure(figures: &Figures, limits: &PressureLimits) -> Vec<Warning> {
    let mut found = vec![];
    let general = |code, severity, cause, advice: &str| Warning {
        code,
        severity,
        path: None,
        since: None,
        cause,
        advice: advice.to_owned(),
    };
    let is_near = |value: u64, limit: u64| limit > 0 && value as f64 >= NEAR * limit as f64;
    let severity = |value: u64, limit: u64| {
        if value >= limit { Severity::Critical } else { Severity::Warning }
    };
    let backlog = u64::try_from(figures.backlog).unwrap_or(0);
    if is_near(backlog, limits.backlog_max) {
        found.push(general(
            "backlog",
            severity(backlog, limits.backlog_max),
            format!(
                "{backlog} messages wait for their answer, of {} that may (inbox.backlog_max)",
                limits.backlog_max
            ),
            "see what is slow (the fronts' p99 in the tree), and whether something is paused; at the limit, messages are refused",
        ));
    }
    let memory = figures.memory.anonymous_bytes;
    if is_near(memory, limits.memory_max_bytes) {
        found.push(general(
            "memory",
            severity(memory, limits.memory_max_bytes),
            format!(
                "the process has {} MiB of memory, of {} that it may (runtime.memory_max_bytes)",
                memory >> 20,
                limits.memory_max_bytes >> 20
            ),
            "raise the limit, or lower runtime.live_max; beyond it messages are refused while others wait",
        ));
    }
    found
}

/// What went wrong of late, and what is left of it.
fn errors(figures: &Figures) -> Vec<Warning> {
    let recent = &figures.rates.recent_errors;
    let dead = u64::try_from(figures.dead_letters).unwrap_or(0);
    let told = [
        (
            recent.refused,
            "refused",
            if figures.rates.refused > 0.0 { Severity::Critical } else { Severity::Warning },
            "webhooks or messages were refused in the last quarter of an hour; their senders try again",
            "see the warnings beside this one: the database, the backlog or memory refused them (admissions_refused in /metrics by reason)",
        ),
        (
            dead,
            "dead_letters",
            Severity::Notice,
            "messages failed alone, and wait for somebody to look at them",
            "read why they failed, mend that, and replay them (`tertulia dead-letters`)",
        ),
        (
            recent.parts_failed,
            "parts_failed",
            Severity::Warning,
            "parts of replies were refused by their channel, cancelled or discarded in the last quarter of an hour",
            "read the provider's error in the journeys of those turns",
        ),
        (
            recent.parts_ambiguous,
            "parts_ambiguous",
            Severity::Notice,
            "parts of replies are ambiguous since the last quarter of an hour: nobody knows whether they arrived",
            "look at those conversations; the part is not sent again by itself",
        ),
        (
            recent.commits_failed,
            "commits_failed",
            Severity::Warning,
            "transactions failed in the last quarter of an hour; nothing of them was written, and all was tried again",
            "see that the disk has room and is sound",
        ),
    ];
    let some = told.into_iter().filter(|(count, ..)| *count > 0);
    some.map(|(count, code, severity, cause, advice)| Warning {
        code,
        severity,
        path: None,
        since: None,
        cause: format!("{count} {cause}"),
        advice: advice.to_owned(),
    })
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use tertulia_actors::supervision::events::Path;
    use tertulia_actors::supervision::snapshot::Snapshot;

    use super::super::{Causes, figures::Rates};
    use super::*;

    const NOW: Timestamp = Timestamp(10_000_000);
    const NO_LIMITS: PressureLimits = PressureLimits { backlog_max: 1_000, memory_max_bytes: 0 };

    pub(in crate::observer) fn node(path: &str, kind: Kind, state: State) -> Node {
        Node {
            path: Path::from(path),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            kind,
            state,
            since: Timestamp(NOW.0 - 40_000),
            restarts: BTreeMap::new(),
            restarted_at: None,
            last_reason: None,
            actions: vec![],
            snapshot: Snapshot::default(),
            children: vec![],
        }
    }

    fn told(children: Vec<Node>, figures: &Figures) -> Vec<(&'static str, Severity, String)> {
        let tree = Node { children, ..node("", Kind::Group, State::Down) };
        let mut silences = Silences::default();
        for _ in 0..2 {
            silences.look(Some(&tree), Timestamp(NOW.0 - 40_000));
        }
        let found = warnings(Some(&tree), &silences, figures, &NO_LIMITS, NOW);
        found.into_iter().map(|warning| (warning.code, warning.severity, warning.cause)).collect()
    }

    #[test]
    fn nothing_is_told_where_nothing_is_wrong() {
        let nodes = vec![
            node("services/query", Kind::Front, State::Running),
            node("services/vectors", Kind::Front, State::Probing),
        ];
        let quiet = Figures { backlog: 799, ..Figures::default() };
        assert_eq!(told(nodes, &quiet), []);
    }

    #[test]
    fn what_is_given_up_is_told_with_its_name_age_and_reason() {
        let mut front = node("services/embedding", Kind::Front, State::Down);
        front.last_reason = Some("connection refused".into());
        let found = warnings(Some(&front), &Silences::default(), &Figures::default(), &NO_LIMITS, NOW);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].cause,
            "the embedding front has been open, and probed, for 40 s: connection refused"
        );
        assert!(found[0].advice.contains("embedding.endpoint"), "{}", found[0].advice);
        assert_eq!(
            (found[0].path.as_deref(), found[0].since),
            (Some("services/embedding"), Some(front.since))
        );
    }

    #[test]
    fn what_speaks_for_others_is_not_told_beside_them() {
        let mut front = node("services/query", Kind::Front, State::Frozen);
        front.children = vec![node("services/query/threads/1", Kind::Thread, State::Frozen)];
        let found = told(vec![front], &Figures::default());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].2.starts_with("thread 1 of the query service has not answered for 40 s"),
            "{found:?}"
        );
    }

    #[test]
    fn limits_and_errors_are_told_the_worst_first() {
        let paused = node("shards/0/turns", Kind::Actor, State::Paused);
        let recent_errors = Causes { refused: 3, ..Causes::default() };
        let figures = Figures {
            backlog: 800,
            dead_letters: 2,
            rates: Rates { recent_errors, refused: 0.5, ..Rates::default() },
            ..Figures::default()
        };
        let found = told(vec![paused], &figures);
        let codes: Vec<_> = found.iter().map(|(code, severity, _)| (*code, *severity)).collect();
        assert_eq!(
            codes,
            [
                ("refused", Severity::Critical),
                ("paused", Severity::Warning),
                ("backlog", Severity::Warning),
                ("dead_letters", Severity::Notice),
            ]
        );
        assert!(found[2].2.starts_with("800 messages wait for their answer, of 1000"), "{found:?}");
        assert_eq!(told(vec![], &Figures { backlog: 1_000, ..Figures::default() })[0].1, Severity::Critical);
        let limits = PressureLimits { backlog_max: 1_000, memory_max_bytes: 100 << 20 };
        let memory = tertulia_actors::domain::Memory { resident_bytes: 0, anonymous_bytes: 90 << 20 };
        let full =
            warnings(None, &Silences::default(), &Figures { memory, ..Figures::default() }, &limits, NOW);
        let causes: Vec<_> = full.iter().map(|warning| warning.code).collect();
        assert_eq!(causes, ["monitor_silent", "memory"]);
    }

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        for (seconds, expected) in [
            (-5, "0 s"),
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (200_000, "2 days"),
        ] {
            assert_eq!(age(Timestamp(0), Timestamp(seconds * 1_000)), expected);
        }
    }
}
