//! Named places where a test build can be made to die, fail, stall or misread the time: `failpoint!("turn.started")`,
//! `failpoint!("tells.drop", return)` where something is done when an error is asked for, `failpoint!("turn.query", text:
//! words)` where it matters whose words pass, and `failpoint!("clock.wall", shift: ms, return now + ms)`.
//!
//! Without the feature `failpoints` a place expands to nothing: no call, no name, no variable is left in the program.
//!
//! A test build reads `TERTULIA_FAILPOINTS` once: `name=action` pairs separated by `;`. Actions: `kill` (as by `kill -9`),
//! `panic`, `quote` (a panic that quotes the place's text), `error`, `stall(MS)`, `hold` (until the file below
//! is replaced), `shift(MS)`. `N*action` acts on the N-th passage only, `N-M*action` from the N-th to the M-th,
//! `%N*action` on every N-th, without any of them on every one. `action@TOKEN` acts, and counts passages, only where the
//! place's text holds TOKEN. A name may stand several times; the first pair that acts decides. Each pair is logged when
//! it acts for the first time.
//!
//! `TERTULIA_FAILPOINTS_FILE` names a file with more of the same, also separated by lines. It is read again when it was
//! replaced, and all passages in it are counted anew, so that a test can mend a running server.

/// A named place; in this build it is not there.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($($anything:tt)*) => {};
}

/// A named place: may kill, panic or stall, and does what stands behind its name where an error, or another time, is
/// asked for.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        // An error that is asked for where nothing can fail is ignored.
        let _ = $crate::failpoint::passes($name, None);
    };
    ($name:literal, text: $text:expr) => {
        let _ = $crate::failpoint::passes($name, Some($text));
    };
    ($name:literal, text: $text:expr, $on_error:expr) => {
        if $crate::failpoint::passes($name, Some($text)) == $crate::failpoint::Passage::Fails {
            $on_error
        }
    };
    ($name:literal, shift: $ms:ident, $on_shift:expr) => {
        if let $crate::failpoint::Passage::Shifts($ms) = $crate::failpoint::passes($name, None) {
            $on_shift
        }
    };
    ($name:literal, $on_error:expr) => {
        if $crate::failpoint::passes($name, None) == $crate::failpoint::Passage::Fails {
            $on_error
        }
    };
}

#[cfg(feature = "failpoints")]
pub use switch::{Passage, passes};

#[cfg(feature = "failpoints")]
mod switch {
    use std::env;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError, RwLock};
    use std::time::{Duration, Instant};

    /// How a place was passed.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Passage {
        /// Nothing is asked for.
        Goes,
        /// An error is asked for.
        Fails,
        /// Another time is asked for, this many milliseconds away.
        Shifts(i64),
    }

    /// What a place does when it is passed.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) enum Action {
        Kill,
        Panic,
        Quote,
        Error,
        Stall(Duration),
        Hold,
        Shift(i64),
    }

    /// Which passages of a place trigger its action.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) enum When {
        Always,
        /// From the first number to the second.
        Within(u64, u64),
        /// Each whose number is a multiple of this.
        Every(u64),
    }

    impl When {
        const fn holds(self, passage: u64) -> bool {
            match self {
                Self::Always => true,
                Self::Within(first, last) => first <= passage && passage <= last,
                Self::Every(nth) => passage.is_multiple_of(nth),
            }
        }
    }

    /// A place with its action, when it acts, and how often it was passed.
    pub(super) struct Point {
        pub(super) name: String,
        pub(super) action: Action,
        pub(super) when: When,
        /// What the place's text must hold; none: it need not have one.
        pub(super) token: Option<String>,
        passed: AtomicU64,
        /// Whether it was told that it acts.
        told: AtomicBool,
    }

    impl Point {
        fn acts(&self, name: &str, text: Option<&str>) -> bool {
            let is_meant = self.name == name
                && self.token.as_deref().is_none_or(|token| text.is_some_and(|text| text.contains(token)));
            is_meant && self.when.holds(self.passed.fetch_add(1, Ordering::Relaxed) + 1)
        }

        /// Says so when it acts for the first time, so that a test can see that it did.
        fn acted(&self) -> Action {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::warn!(place = self.name, "a failpoint acts");
            }
            self.action
        }
    }

    /// How long the file is believed unchanged.
    const LOOK_AGAIN: Duration = Duration::from_millis(50);

    /// The version of a file that was read: when it was changed, to the nanosecond, and its number in the file system.
    type Version = (i64, i64, u64);

    /// How often one that is held looks whether it may go on.
    const HOLD_STEP: Duration = Duration::from_millis(10);

    /// All places that do something.
    pub(super) struct Points {
        set: Vec<Point>,
        file: Option<PathBuf>,
        from_file: RwLock<(Option<Version>, Vec<Point>)>,
        looking: Mutex<()>,
        began: Instant,
        /// When the file is looked at next, in milliseconds since the start.
        look_at: AtomicU64,
    }

    static POINTS: LazyLock<Points> = LazyLock::new(|| {
        Points::new(
            &env::var("TERTULIA_FAILPOINTS").unwrap_or_default(),
            env::var_os("TERTULIA_FAILPOINTS_FILE").map(PathBuf::from),
        )
    });

    impl Points {
        pub(super) fn new(set: &str, file: Option<PathBuf>) -> Self {
            let (from_file, looking) = <(RwLock<_>, Mutex<_>)>::default();
            let look_at = AtomicU64::new(0);
            Self { set: parse(set), file, from_file, looking, began: Instant::now(), look_at }
        }

        fn version(&self) -> Option<Version> {
            self.from_file.read().unwrap_or_else(PoisonError::into_inner).0
        }

        /// Stands still until the file is replaced; for ever without one.
        fn hold(&self) {
            let version = self.version();
            while self.version() == version {
                std::thread::sleep(HOLD_STEP);
                self.look_again();
            }
        }

        pub(super) fn action(&self, name: &str, text: Option<&str>) -> Option<Action> {
            let acting =
                |points: &[Point]| points.iter().find(|point| point.acts(name, text)).map(Point::acted);
            if self.file.is_some() {
                self.look_again();
                let read = self.from_file.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(action) = acting(&read.1) {
                    return Some(action);
                }
            }
            acting(&self.set)
        }

        /// Reads the file if it was replaced since; a file that is not there asks for nothing.
        fn look_again(&self) {
            let Some(path) = &self.file else { return };
            let now = || u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let is_due = || self.look_at.load(Ordering::Acquire) <= now();
            if !is_due() {
                return;
            }
            // Who passes meanwhile waits for what is read: nobody passes by a file that was replaced long enough ago.
            let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_due() {
                return;
            }
            let next = now() + LOOK_AGAIN.as_millis() as u64;
            let version = fs::metadata(path).ok().map(|data| (data.mtime(), data.mtime_nsec(), data.ino()));
            if version != self.version() {
                let points = parse(&fs::read_to_string(path).unwrap_or_default());
                *self.from_file.write().unwrap_or_else(PoisonError::into_inner) = (version, points);
            }
            self.look_at.store(next, Ordering::Release);
        }
    }

    pub(super) fn parse(text: &str) -> Vec<Point> {
        let pairs = text.split([';', '\n']).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter_map(|(name, action)| point(name, action)).collect()
    }

    fn point(name: &str, rest: &str) -> Option<Point> {
        let (when, rest) = match rest.split_once('*') {
            Some((when, rest)) => (parse_when(when)?, rest),
            None => (When::Always, rest),
        };
        let (action, token) = match rest.split_once('@') {
            Some((action, token)) => (action, Some(token.to_owned())),
            None => (rest, None),
        };
        let action = parse_action(action)?;
        Some(Point {
            name: name.to_owned(),
            action,
            when,
            token,
            passed: AtomicU64::new(0),
            told: AtomicBool::new(false),
        })
    }

    fn parse_when(text: &str) -> Option<When> {
        if let Some(nth) = text.strip_prefix('%') {
            return nth.parse().ok().filter(|nth| *nth > 0).map(When::Every);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(When::Within(first.parse().ok()?, last.parse().ok()?))
    }

    fn parse_action(text: &str) -> Option<Action> {
        match text {
            "kill" => return Some(Action::Kill),
            "panic" => return Some(Action::Panic),
            "quote" => return Some(Action::Quote),
            "error" => return Some(Action::Error),
            "hold" => return Some(Action::Hold),
            _ => {}
        }
        let (name, ms) = text.strip_suffix(')')?.split_once('(')?;
        match name {
            "stall" => ms.parse().ok().map(|ms| Action::Stall(Duration::from_millis(ms))),
            "shift" => ms.parse().ok().map(Action::Shift),
            _ => None,
        }
    }

    /// Passes a place; `text` is what passes it, where the place says so.
    #[expect(clippy::panic, reason = "panicking on request is what a failpoint is for")]
    pub fn passes(name: &'static str, text: Option<&str>) -> Passage {
        match POINTS.action(name, text) {
            None => Passage::Goes,
            Some(Action::Kill) => kill(),
            Some(Action::Panic) => {
                // As a text of the source, which may be quoted. What this leaks is a test build's.
                std::panic::panic_any::<&'static str>(Box::leak(format!("failpoint {name}").into_boxed_str()))
            }
            Some(Action::Quote) => panic!("failpoint {name} quotes {}", text.unwrap_or_default()),
            Some(Action::Stall(duration)) => {
                std::thread::sleep(duration);
                Passage::Goes
            }
            Some(Action::Hold) => {
                POINTS.hold();
                Passage::Goes
            }
            Some(Action::Error) => Passage::Fails,
            Some(Action::Shift(ms)) => Passage::Shifts(ms),
        }
    }

    /// Ends the process without a trace of order, as `kill -9` does: nothing is flushed, nothing is dropped.
    fn kill() -> ! {
        let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        std::process::abort();
    }

    #[cfg(test)]
    pub(super) fn acting(points: &[Point], name: &str, text: Option<&str>) -> Option<Action> {
        points.iter().find(|point| point.acts(name, text)).map(|point| point.action)
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use super::switch::{Action, Points, When, acting, parse};

    #[test]
    fn actions_are_read_from_the_environment() {
        let points = parse(
            "a=kill; b=3*panic;c=stall(20);d=error;e=nonsense;f\ng=2-4*error;h=%3*panic;i=shift(-5);j=panic@u1;k=%0*kill;l=hold",
        );
        let read = |name: &str| {
            let point = points.iter().find(|point| point.name == name);
            point.map(|point| (point.action, point.when, point.token.as_deref()))
        };
        assert_eq!(read("a"), Some((Action::Kill, When::Always, None)));
        assert_eq!(read("b"), Some((Action::Panic, When::Within(3, 3), None)));
        assert_eq!(read("c"), Some((Action::Stall(Duration::from_millis(20)), When::Always, None)));
        assert_eq!(read("d"), Some((Action::Error, When::Always, None)));
        assert_eq!(read("g"), Some((Action::Error, When::Within(2, 4), None)));
        assert_eq!(read("h"), Some((Action::Panic, When::Every(3), None)));
        assert_eq!(read("i"), Some((Action::Shift(-5), When::Always, None)));
        assert_eq!(read("j"), Some((Action::Panic, When::Always, Some("u1"))));
        assert_eq!(read("l"), Some((Action::Hold, When::Always, None)));
        assert_eq!(points.len(), 9);
    }

    #[test]
    fn a_place_acts_on_the_passages_and_texts_that_are_meant() {
        let passed = |text: &str, passages: &[Option<&str>]| {
            let points = parse(text);
            let acts = |text: &Option<&str>| acting(&points, "a", *text).is_some();
            passages.iter().map(acts).collect::<Vec<_>>()
        };
        assert_eq!(passed("a=2-3*error", &[None; 4]), [false, true, true, false]);
        assert_eq!(passed("a=%2*error", &[None; 5]), [false, true, false, true, false]);
        assert_eq!(passed("b=error", &[None]), [false]);
        // Only passages with the token count.
        let texts = [Some("u1 u2"), Some("u3"), None, Some("u1")];
        assert_eq!(passed("a=error@u1", &texts), [true, false, false, true]);
        assert_eq!(passed("a=2*error@u1", &texts), [false, false, false, true]);
        // What does not act leaves the place to the next.
        assert_eq!(passed("a=1*error@u1;a=1*error", &texts), [true, true, false, false]);
    }

    #[test]
    fn who_passes_while_the_file_is_read_goes_by_what_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("failpoints");
        // Reading a pipe takes until something was written.
        assert!(Command::new("mkfifo").arg(&file).status().expect("mkfifo runs").success());
        let points = Points::new("", Some(file.clone()));
        let passed = thread::scope(|scope| {
            let passing = [0, 1, 2, 3].map(|_| scope.spawn(|| points.action("a", None)));
            thread::sleep(Duration::from_millis(20));
            std::fs::write(&file, "a=error").expect("a reader");
            passing.map(|thread| thread.join().expect("no panic"))
        });
        assert_eq!(passed, [Some(Action::Error); 4]);
    }
}
