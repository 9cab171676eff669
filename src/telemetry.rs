//! Structured logs: readable on a terminal, JSON otherwise. Ids are logged, message texts never.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use serde::{Deserialize, Serialize};
use tertulia_actors::domain::panic_text;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

/// What is logged, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,tertulia=debug`.
    pub level: String,
    /// The form.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// The form of logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The levels by name.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a level, or a list of directives, before anything is logged by it.
///
/// # Errors
/// When it is neither. A word that stands alone must be a level: the filter itself would take a typo such as `inof` for the
/// name of a module, and say nothing from then on.
pub fn check_level(level: &str) -> Result<(), String> {
    let known = || format!("levels are {}, directives look like info,tertulia=debug", LEVELS.join(", "));
    for directive in level.split(',') {
        let is_alone = !directive.contains(['=', '[']);
        if is_alone && !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(directive.trim())) {
            return Err(format!("'{directive}' is not a level: {}", known()));
        }
    }
    match EnvFilter::try_new(level) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("'{level}' is not understood ({error}): {}", known())),
    }
}

/// Starts to log to standard error. A second call changes nothing.
///
/// # Errors
/// When the level is not one.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    check_level(&settings.level).map_err(|reason| format!("log.level: {reason}"))?;
    let filter = EnvFilter::new(&settings.level);
    let is_pretty = match settings.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(ChronoUtc::rfc_3339())
        .with_writer(std::io::stderr);
    // A subscriber that is set already stays: tests start several servers in one process.
    let _ = if is_pretty {
        logs.with_target(false).try_init()
    } else {
        logs.json().flatten_event(true).try_init()
    };
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic with its place. The hook that stands otherwise would print a text that may quote what people wrote.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let (location, thread) = (panic.location().map(tracing::field::display), std::thread::current());
    let text = panic_text(panic.payload());
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace));
    tracing::error!(location, thread = thread.name(), text, backtrace, "a panic");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_level_and_a_directive_has_one() {
        for level in [
            "info",
            "WARN",
            "off",
            "info,tertulia=debug",
            "warn,tertulia::store=trace",
            "error,[outbox.send]=debug",
        ] {
            assert_eq!(check_level(level), Ok(()), "{level}");
        }
        for (level, word) in [
            ("inof", "'inof'"),
            ("", "''"),
            ("info,tertulia", "'tertulia'"),
            ("tertulia=inof", "tertulia=inof"),
            ("3", "'3'"),
        ] {
            let refused = check_level(level).expect_err(level);
            assert!(refused.contains(word) && refused.contains("trace"), "{refused}");
        }
    }
}
