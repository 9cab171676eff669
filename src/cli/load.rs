//! `tertulia load`: runs the harness, tells what it found, and compares runs.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, output};
use crate::load::profile::{Profile, built_in, find};
use crate::load::report::{self, run::Run};
use crate::load::run::{Order, Ports, Target, can_be_written, run};
use crate::secret::Secret;
use crate::shutdown;

pub(super) const HELP: &str = "\
Examples:
  tertulia load                                  twenty users for ten seconds
  tertulia load concurrent-users --html run.html
  tertulia load crash --seed 7 --json crash.json
  tertulia load quick --llm-errors 0.05 --redeliver 0.2 --kill-every 2000
  tertulia load my-shop.toml
  tertulia load list                             what profiles there are, and what for
  tertulia load compare before.json after.json --html compared.html

Without --target a server is started on a temporary database, and ended with the run.

Exit codes:
  0  every promise and every objective held
  1  something did not hold, or the run failed; the table and standard error say what
  2  wrong usage, or a profile that cannot be run";

/// What to run, or what to do with what was run.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Load {
    #[command(subcommand)]
    command: Option<Act>,
    #[command(flatten)]
    order: Options,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Say what profiles are built in, and what for.
    List,
    /// Print the text of a built-in profile, to begin one's own with.
    Show {
        /// Its name.
        profile: String,
    },
    /// Make the page of a run that was written with --json.
    Report {
        /// The run.
        run: PathBuf,
        /// Where the page goes.
        #[arg(long)]
        html: Option<PathBuf>,
    },
    /// Compare runs that were written with --json, side by side, with ratios.
    Compare {
        /// The runs; all others are compared with the first.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<PathBuf>,
        /// Where the page goes.
        #[arg(long)]
        html: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// A built-in profile, or a file that ends in .toml.
    #[arg(default_value = "quick")]
    profile: String,
    /// What texts, times and faults derive from; the same seed writes the same texts at the same intended times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The seconds of every stage that is no warm-up, instead of the profile's.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Where the run is written as JSON; - is standard output.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Where the run is written as a page to look at.
    #[arg(long, value_name = "PATH")]
    html: Option<PathBuf>,
    /// Shows no line of progress.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    faults: FaultOptions,
    #[command(flatten)]
    target: TargetOptions,
}

/// Faults, over those of the profile. Probabilities are 0 to 1, times in milliseconds.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
struct FaultOptions {
    /// Kills the server with SIGKILL this often on average, and starts it again; the objective `refused` is not asked then.
    #[arg(long, value_name = "MS")]
    kill_every: Option<u64>,
    /// Delivers acknowledged webhooks again.
    #[arg(long, value_name = "P")]
    redeliver: Option<f64>,
    /// Lets a message overtake the one before it.
    #[arg(long, value_name = "P")]
    shuffle: Option<f64>,
    /// Delivers messages two seconds late.
    #[arg(long, value_name = "P")]
    late: Option<f64>,
    /// Accepts replies and cuts the connection before the answer.
    #[arg(long, value_name = "P")]
    cut_sends: Option<f64>,
    /// Lets the model answer 500.
    #[arg(long, value_name = "P")]
    llm_errors: Option<f64>,
    /// Lets the model never answer.
    #[arg(long, value_name = "P")]
    llm_stall: Option<f64>,
    /// Fills the database's disk for a second, this often on average; needs root. The objective `refused` is not asked then.
    #[arg(long, value_name = "MS")]
    disk_full: Option<u64>,
    /// Locks the database for half a second, this often on average.
    #[arg(long, value_name = "MS")]
    lock_db: Option<u64>,
    /// Lets a service panic: embedding, vectors, classifier, query or channel. Needs a build with failpoints. Repeatable.
    #[arg(long, value_name = "SERVICE=P", value_parser = rate)]
    panic: Vec<(String, f64)>,
}

/// A server that runs already, instead of one that is started for the run.
#[derive(Debug, Args)]
#[command(next_help_heading = "A server that runs already")]
struct TargetOptions {
    /// Its webhook: http://host:port/path.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The file with its app secret; without it, TERTULIA_LOAD_APP_SECRET is read.
    #[arg(long, value_name = "PATH", requires = "target")]
    app_secret_file: Option<PathBuf>,
    /// Its quiet period.
    #[arg(long, value_name = "MS", default_value_t = 200, requires = "target")]
    quiet_ms: u64,
    /// Its process, to see its processor and memory.
    #[arg(long, requires = "target")]
    pid: Option<u32>,
    /// The port of the emulated WhatsApp API, where the server is told to send.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    whatsapp_port: u16,
    /// The port of the emulated model.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    model_port: u16,
}

fn rate(text: &str) -> Result<(String, f64), String> {
    let (service, rate) = text.split_once('=').ok_or("write it as SERVICE=P")?;
    Ok((service.to_owned(), rate.parse().map_err(|_| format!("{rate} is no number"))?))
}

/// Does what was asked.
pub(super) fn load(load: Load) -> Result<ExitCode, Failure> {
    match load.command {
        None => play(&load.order),
        Some(Act::List) => {
            let profiles = built_in();
            for (name, purpose) in profiles {
                output::say(format_args!("{name:18} {purpose}"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(Act::Show { profile }) => match crate::load::profile::text(&profile) {
            Some(text) => Ok(output::say(text.trim_end()).map(|()| ExitCode::SUCCESS)?),
            None => {
                wrong(&format!("there is no built-in profile '{profile}'; 'tertulia load list' names them"))
            }
        },
        Some(Act::Report { run, html }) => tell(&report::read(&run)?, None, html.as_deref()),
        Some(Act::Compare { runs, html }) => compare(&runs, html.as_deref()),
    }
}

fn play(options: &Options) -> Result<ExitCode, Failure> {
    let profile = match find(&options.profile).map(|profile| changed(profile, options)) {
        Ok(profile) => profile,
        Err(error) => return wrong(&error.to_string()),
    };
    if let Err(error) = profile.check() {
        return wrong(&error);
    }
    for path in [&options.json, &options.html].into_iter().flatten() {
        if !can_be_written(path) {
            return wrong(&format!("there is no folder for '{}'", path.display()));
        }
    }
    let order = Order {
        profile,
        seed: options.seed,
        target: target(&options.target)?,
        ports: Ports { whatsapp: options.target.whatsapp_port, model: options.target.model_port },
        command: command(),
        shows_progress: !options.quiet && std::io::stderr().is_terminal(),
    };
    let ran = actix_rt::System::new().block_on(async {
        tokio::select! {
            // First, so that no server is started before it is listened to. The server under test ends with the run that is dropped.
            biased;
            _ = shutdown::asked(|| {}) => Ok(None),
            ran = run(order) => ran.map(Some),
        }
    })?;
    match ran {
        Some(ran) => tell(&ran, options.json.as_deref(), options.html.as_deref()),
        None => {
            output::complain("tertulia: the run was stopped; nothing is reported");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The profile with what the command line changes.
fn changed(mut profile: Profile, options: &Options) -> Profile {
    let (faults, given) = (&mut profile.faults, &options.faults);
    faults.kill_every_ms = given.kill_every.unwrap_or(faults.kill_every_ms);
    faults.redeliver = given.redeliver.unwrap_or(faults.redeliver);
    faults.shuffle = given.shuffle.unwrap_or(faults.shuffle);
    faults.late = given.late.unwrap_or(faults.late);
    faults.cut_sends = given.cut_sends.unwrap_or(faults.cut_sends);
    faults.llm_errors = given.llm_errors.unwrap_or(faults.llm_errors);
    faults.llm_stall = given.llm_stall.unwrap_or(faults.llm_stall);
    faults.disk_full_every_ms = given.disk_full.unwrap_or(faults.disk_full_every_ms);
    faults.lock_db_every_ms = given.lock_db.unwrap_or(faults.lock_db_every_ms);
    faults.panics.extend(given.panic.iter().cloned());
    if let Some(seconds) = options.seconds {
        profile.stages.iter_mut().filter(|stage| !stage.warm_up).for_each(|stage| stage.seconds = seconds);
    }
    profile
}

fn target(options: &TargetOptions) -> Result<Option<Target>, Failure> {
    let Some(url) = options.target.clone() else { return Ok(None) };
    let app_secret = match &options.app_secret_file {
        Some(path) => Secret::read(path)?,
        None => std::env::var("TERTULIA_LOAD_APP_SECRET").map_err(
            |_| "give the target's app secret with --app-secret-file or in TERTULIA_LOAD_APP_SECRET",
        )?,
    };
    Ok(Some(Target { url, app_secret, quiet_ms: options.quiet_ms, pid: options.pid }))
}

/// The command of this process, as it can be typed again.
fn command() -> String {
    let words = std::env::args().skip(1).map(|word| match word.contains([' ', '\'', '"', '$']) {
        true => format!("'{}'", word.replace('\'', "'\\''")),
        false => word,
    });
    std::iter::once("tertulia".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn tell(run: &Run, json: Option<&Path>, html: Option<&Path>) -> Result<ExitCode, Failure> {
    let is_on_stdout = json == Some(Path::new("-"));
    match json {
        Some(_) if is_on_stdout => output::say(report::json(run)?.trim_end())?,
        Some(path) => report::write(run, path)?,
        None => {}
    }
    if let Some(path) = html {
        std::fs::write(path, report::html(run))?;
    }
    if !is_on_stdout {
        output::say(report::table(run, std::io::stdout().is_terminal()).trim_end())?;
    }
    Ok(if run.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(paths: &[PathBuf], html: Option<&Path>) -> Result<ExitCode, Failure> {
    let runs = paths.iter().map(|path| report::read(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = html {
        std::fs::write(path, report::compare_html(&runs))?;
    }
    output::say(report::compare_table(&runs, std::io::stdout().is_terminal()).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn wrong(reason: &str) -> Result<ExitCode, Failure> {
    output::complain(format_args!("tertulia: {reason}"));
    Ok(ExitCode::from(2))
}
