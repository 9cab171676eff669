//! Named places where a test build can be made to die, fail or stall: `failpoint!("turn.started")`, and
//! `failpoint!("tells.drop", return)` where something is done when an error is asked for.
//!
//! Without the feature `failpoints` a place expands to nothing: no call, no name, no variable is left in the program.
//!
//! A test build reads `TERTULIA_FAILPOINTS` once: `name=action` pairs separated by `;`. Actions: `kill` (as by `kill -9`),
//! `panic`, `error`, `stall(MS)`; `N*action` acts on the N-th passage only, without `N*` on every one.

/// A named place; in this build it is not there.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal $(, $on_error:expr)?) => {};
}

/// A named place: may kill, panic or stall, and does what stands behind its name where an error is asked for.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        // An error that is asked for where nothing can fail is ignored.
        let _ = $crate::failpoint::passes($name);
    };
    ($name:literal, $on_error:expr) => {
        if $crate::failpoint::passes($name) == $crate::failpoint::Passage::Fails {
            $on_error
        }
    };
}

#[cfg(feature = "failpoints")]
pub use switch::{Passage, passes};

#[cfg(feature = "failpoints")]
mod switch {
    use std::collections::HashMap;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// How a place was passed.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Passage {
        /// Nothing is asked for.
        Goes,
        /// An error is asked for.
        Fails,
    }

    /// What a place does when it is passed.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) enum Action {
        Kill,
        Panic,
        Error,
        Stall(Duration),
    }

    /// A place with its action, the passage that triggers it (none: every one), and how often it was passed.
    pub(super) struct Point {
        pub(super) action: Action,
        pub(super) only: Option<u64>,
        passed: AtomicU64,
    }

    static POINTS: LazyLock<HashMap<String, Point>> =
        LazyLock::new(|| parse(&std::env::var("TERTULIA_FAILPOINTS").unwrap_or_default()));

    pub(super) fn parse(text: &str) -> HashMap<String, Point> {
        text.split(';').filter_map(|pair| pair.trim().split_once('=')).filter_map(point).collect()
    }

    fn point((name, action): (&str, &str)) -> Option<(String, Point)> {
        let (only, action) = match action.split_once('*') {
            Some((count, action)) => (Some(count.parse().ok()?), action),
            None => (None, action),
        };
        let action = match action {
            "kill" => Action::Kill,
            "panic" => Action::Panic,
            "error" => Action::Error,
            other => {
                let ms = other.strip_prefix("stall(")?.strip_suffix(')')?.parse().ok()?;
                Action::Stall(Duration::from_millis(ms))
            }
        };
        Some((name.to_owned(), Point { action, only, passed: AtomicU64::new(0) }))
    }

    /// Passes a place.
    #[expect(clippy::panic, reason = "panicking on request is what a failpoint is for")]
    pub fn passes(name: &'static str) -> Passage {
        let Some(point) = POINTS.get(name) else { return Passage::Goes };
        let passage = point.passed.fetch_add(1, Ordering::Relaxed) + 1;
        if point.only.is_some_and(|only| only != passage) {
            return Passage::Goes;
        }
        match point.action {
            Action::Kill => kill(),
            Action::Panic => panic!("failpoint {name}"),
            Action::Stall(duration) => std::thread::sleep(duration),
            Action::Error => return Passage::Fails,
        }
        Passage::Goes
    }

    /// Ends the process without a trace of order, as `kill -9` does: nothing is flushed, nothing is dropped.
    fn kill() {
        let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        std::process::abort();
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use std::time::Duration;

    use super::switch::{Action, parse};

    #[test]
    fn actions_are_read_from_the_environment() {
        let points = parse("a=kill; b=3*panic;c=stall(20);d=error;e=nonsense;f");
        let read = |name: &str| points.get(name).map(|point| (point.action, point.only));
        assert_eq!(read("a"), Some((Action::Kill, None)));
        assert_eq!(read("b"), Some((Action::Panic, Some(3))));
        assert_eq!(read("c"), Some((Action::Stall(Duration::from_millis(20)), None)));
        assert_eq!(read("d"), Some((Action::Error, None)));
        assert_eq!(points.len(), 4);
    }
}
