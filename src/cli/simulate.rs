//! `tertulia simulate`: runs seeds one after another, and says how each one that failed is repeated.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::Failure;
use super::acts::Outcome;
use super::output::say;
use crate::config::Config;
use crate::simulate::{self, Faults, Trace, simulate};

pub(super) const HELP: &str = "\
Examples:
  tertulia simulate                                    50 people, one day, every fault, seed 1
  tertulia simulate --seeds 200                        the seeds 1 to 200: a night's work
  tertulia simulate --seeds 201-300 --users 20 --days 3
  tertulia simulate --seed 17 --faults crash,tells --trace -
  tertulia simulate --seed 17 --set conversation.max_messages=3

Faults:
  crash       the server dies without a drain, and is started again on its database
  redeliver   webhooks come several times, also at once; their senders hang up
  shuffle     webhooks overtake one another
  late        webhooks come hours late
  cut-sends   the channel's answer is cut off, after it accepted the part or before
  llm-errors  the model fails, throttles, and is away for minutes
  llm-stall   the model does not answer in time
  throttle    the channel throttles; connections to it are not made
  tells       hints from the store to the actors are lost

Each seed prints one line, with the SHA-256 of its trace: the same seed, options, configuration and program give the same
one. A seed that fails prints its first cases, and the command that repeats it.

Exit codes:
  0  every promise was kept
  1  one was not, or the simulation could not be run
  2  wrong usage or configuration";

/// How many cases of a failed seed are shown; the first tells the most.
const CASES_MAX: usize = 10;

/// What is simulated.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Decides everything that chance decides.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Many seeds, one after another: 200 for 1 to 200, or 201-300.
    #[arg(long, conflicts_with = "seed", value_name = "RANGE", value_parser = seeds)]
    seeds: Option<RangeInclusive<u64>>,
    /// How many people write.
    #[arg(long, default_value_t = 50, value_name = "N")]
    users: usize,
    /// For how many days.
    #[arg(long, default_value_t = 1, value_name = "N")]
    days: u32,
    /// What goes wrong: all, none, or a list.
    #[arg(long, default_value = "all", value_name = "LIST")]
    faults: Faults,
    /// Writes what happened, a line each; "-" is standard output. With many seeds, the last one's.
    #[arg(long, value_name = "PATH")]
    trace: Option<PathBuf>,
}

/// Reads `200` as 1 to 200, and `201-300` as it stands.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|error| format!("'{text}': {error}"));
    let range = match text.split_once('-') {
        Some((from, to)) => number(from)?..=number(to)?,
        None => 1..=number(text)?,
    };
    if range.is_empty() { Err("there is no seed in this range".into()) } else { Ok(range) }
}

/// Runs the seeds; `given` are the options that chose the configuration, as they must be repeated.
pub(super) fn run(asked: &Simulate, config: &Config, given: &[String]) -> Outcome {
    let seeds = asked.seeds.clone().unwrap_or(asked.seed..=asked.seed);
    let (count, mut failed) = (seeds.clone().count(), 0_usize);
    for seed in seeds {
        if !run_one(asked, seed, config, given)? {
            failed += 1;
        }
    }
    if count > 1 {
        say(format_args!("{count} seeds, {failed} failed"))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one seed; true if every promise was kept.
fn run_one(asked: &Simulate, seed: u64, config: &Config, given: &[String]) -> Result<bool, Failure> {
    let begun = Instant::now();
    let size = (asked.users, asked.days);
    let options = simulate::Options::new(seed, size, asked.faults.clone(), config.clone());
    let outcome = simulate(&options)?;
    if let Some(path) = &asked.trace {
        write(&outcome.trace, path)?;
    }
    let (books, took) = (outcome.books, begun.elapsed().as_secs_f64());
    let is_fine = outcome.findings.is_empty();
    let verdict = if is_fine { "fine" } else { "FAILED" };
    say(format_args!(
        "seed {seed}: {verdict}; {} messages: {} answered, {} suppressed, {} dead-lettered; {} parts: {} sent, {} failed, \
         {} ambiguous; {} starts; {took:.1} s; trace {}",
        books.received,
        books.answered,
        books.suppressed,
        books.dead_lettered,
        books.parts_created,
        books.parts_sent,
        books.parts_failed,
        books.parts_ambiguous,
        outcome.lives,
        outcome.trace.sha256(),
    ))?;
    if !is_fine {
        for finding in outcome.findings.iter().take(CASES_MAX) {
            say(format_args!("  {}: {}", finding.kind, finding.what))?;
        }
        if let Some(more) = outcome.findings.len().checked_sub(CASES_MAX).filter(|more| *more > 0) {
            say(format_args!("  and {more} more"))?;
        }
        say(format_args!("  repeat it with: {}", repetition(asked, seed, given)))?;
    }
    Ok(is_fine)
}

/// The command that repeats a seed.
fn repetition(asked: &Simulate, seed: u64, given: &[String]) -> String {
    let Simulate { users, days, faults, .. } = asked;
    let command = format!("tertulia simulate --seed {seed} --users {users} --days {days} --faults {faults}");
    given.iter().fold(command, |command, option| format!("{command} {option}"))
}

fn write(trace: &Trace, path: &Path) -> io::Result<()> {
    match trace.write_to(&mut if path == Path::new("-") {
        Out::Standard
    } else {
        Out::File(File::create(path)?)
    }) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Where a trace goes.
enum Out {
    Standard,
    File(File),
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard => io::stdout().write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard => io::stdout().flush(),
            Self::File(file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!(seeds("3"), Ok(1..=3));
        assert_eq!(seeds("201-300"), Ok(201..=300));
        for wrong in ["0", "5-4", "x", "1-x", ""] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_failed_seed_is_repeated_by_one_command_with_what_was_given() {
        let faults = "crash,tells".parse().unwrap();
        let asked = Simulate { seed: 1, seeds: Some(1..=9), users: 5, days: 2, faults, trace: None };
        let given = ["--set conversation.quiet_ms=1".to_owned()];
        assert_eq!(
            repetition(&asked, 7, &given),
            "tertulia simulate --seed 7 --users 5 --days 2 --faults crash,tells --set conversation.quiet_ms=1"
        );
    }
}
