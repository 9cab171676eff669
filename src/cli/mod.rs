//! The command line. Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.

mod acts;
mod chroma;
mod classifier;
mod console;
mod eval;
mod knowledge;
mod load;
mod meaning;
mod model;
mod output;
mod simulate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Sources};
use crate::http::openapi;
use crate::{app, telemetry};

const HELP: &str = "\
Examples:
  tertulia                                      serve; the chat page is at http://127.0.0.1:8080/, the console at /console/
  tertulia --set conversation.quiet_ms=1000     serve, and answer a second after the last message
  tertulia --config /etc/tertulia.toml check-config
  TERTULIA__SERVER__BIND=0.0.0.0:80 tertulia    set a key by the environment

Exit codes:
  0  fine
  1  failed; standard error says why
  2  wrong usage or configuration; standard error names the key, its value and what is allowed";

const SERVE_HELP: &str = "\
SIGTERM and SIGINT drain within server.drain_ms and end with 0; a second server on the same database ends with 1.";

const CHECK_CONFIG_HELP: &str = "\
Exit codes:
  0  the configuration is fine
  2  it is not; the first thing that is wrong is named by its key, its value and what is allowed";

const OPENAPI_HELP: &str = "\
Examples:
  tertulia openapi > openapi.json     what a running server has at /openapi.json

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration";

const LETTERS_HELP: &str = "\
Examples:
  tertulia dead-letters list --limit 20     one JSON object a line: number, conversation, text, reason, time
  tertulia dead-letters replay 17 23
  tertulia dead-letters replay --all

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration";

const DB_HELP: &str = "\
Examples:
  tertulia db check
  tertulia db backup /backups/tertulia-monday.db     while the server runs, too

Exit codes: 0 fine, 1 failed (of check: something was found), 2 wrong usage or configuration";

/// A conversation server: gathers a person's short messages and answers the thought once.
#[derive(Debug, Parser)]
#[command(name = "tertulia", version, about, after_help = HELP)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Options {
    /// The configuration file; without it, config.toml is read if it is there.
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Sets one key, over the file and the environment (TERTULIA__SECTION__KEY). May be repeated.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

/// What to do; without a command it serves.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    #[command(after_help = SERVE_HELP)]
    Serve,
    /// Check the configuration and say what is wrong with it; nothing is started or written.
    #[command(after_help = CHECK_CONFIG_HELP)]
    CheckConfig,
    /// Print the description of the HTTP interface (OpenAPI 3.1), as JSON.
    #[command(after_help = OPENAPI_HELP)]
    Openapi,
    /// List messages that failed alone, or make them pending again.
    #[command(subcommand, after_help = LETTERS_HELP)]
    DeadLetters(DeadLetters),
    /// Migrate, check or copy the database.
    #[command(subcommand, after_help = DB_HELP)]
    Db(Db),
    /// Search, list, import, export or tidy the knowledge base.
    #[command(subcommand, after_help = knowledge::HELP)]
    Knowledge(knowledge::Knowledge),
    /// Show the class of texts: how sure it is, how much they have to do with any class, and their language.
    #[command(after_help = classifier::CLASSIFY_HELP)]
    Classify {
        /// The texts; each is classified by itself.
        #[arg(required = true)]
        texts: Vec<String>,
    },
    /// Manage the examples that the classifier learns from, or say what a turn really was.
    #[command(subcommand, after_help = classifier::HELP)]
    Classifier(classifier::Classifier),
    /// Make what people sign in to the console with.
    #[command(subcommand, after_help = console::HELP)]
    Console(console::Console),
    /// Measure how well texts are classified, entries found and answers decided, on your own data.
    #[command(subcommand, after_help = eval::HELP)]
    Eval(eval::Eval),
    /// Fetch, list or check models of meaning.
    #[command(subcommand, after_help = model::help())]
    Model(model::Model),
    /// Drive a server with realistic people and faults, check every promise, and report.
    #[command(after_help = load::HELP)]
    Load(Box<load::Load>),
    /// Simulate days of traffic with faults, in seconds, and check every promise; a seed repeats itself exactly.
    #[command(after_help = simulate::HELP)]
    Simulate(simulate::Simulate),
}

/// Messages that failed alone.
#[derive(Debug, Subcommand)]
enum DeadLetters {
    /// List them, oldest first, each as a line of JSON.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Make them pending again; their conversations answer them. Asks the running server where there is one.
    Replay {
        /// Their numbers, as `list` shows them.
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of them.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// The database.
#[derive(Debug, Subcommand)]
enum Db {
    /// Bring it to the schema of this program; `serve` does so too.
    Migrate,
    /// Check its integrity and its books; exit code 1 with a line for each finding.
    Check,
    /// Copy it to one new file, while it is in use or not.
    Backup {
        /// The copy's path; must not exist.
        destination: PathBuf,
    },
}

/// Every `--set` of a command line that was understood, in order. Of an option that may stand before a subcommand and behind it, the
/// parser keeps those of the last place alone.
fn every_set(arguments: &[OsString]) -> Vec<(String, String)> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let mut found = vec![];
    while let Some(word) = words.next() {
        match word.strip_prefix("--set") {
            _ if word == "--" => break,
            Some("") => found.extend(words.next()),
            Some(rest) => found.extend(rest.strip_prefix('=').map(|value| value.to_owned().into())),
            None => {}
        }
    }
    found.iter().filter_map(|text| key_value(text).ok()).collect()
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as section.key=value")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nothing is left to say when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let arguments: Vec<_> = std::env::args_os().collect();
    let options = Options { set: every_set(&arguments), ..cli.options };
    let given = given(&options);
    let sources =
        Sources { file: options.config, environment: std::env::vars_os().collect(), flags: options.set };
    let config = match config::load(&sources) {
        Ok(config) => config,
        Err(error) => return wrong(&error),
    };
    let command = cli.command.unwrap_or(Command::Serve);
    if let Err(error) = telemetry::start(&quieted(&config, &command).log) {
        return wrong(&error);
    }
    match carry_out(command, config, &given) {
        Ok(code) => code,
        Err(error) => {
            output::complain(format_args!("tertulia: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Commands other than `serve` log only what went wrong; their answer is on standard output. In a simulation everything
/// goes wrong, on purpose.
fn quieted(config: &Config, command: &Command) -> Config {
    let mut config = config.clone();
    match command {
        Command::Serve => {}
        Command::Simulate(_) => config.log.level = "off".to_owned(),
        _ => config.log.level = "warn".to_owned(),
    }
    config
}

/// The options of every command that were given, as they are written on a command line.
fn given(options: &Options) -> Vec<String> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let file = options.config.iter().map(|path| format!("--config {}", quoted(&path.to_string_lossy())));
    let keys = options.set.iter().map(|(key, value)| format!("--set {}", quoted(&format!("{key}={value}"))));
    file.chain(keys).collect()
}

fn wrong(error: &dyn std::fmt::Display) -> ExitCode {
    output::complain(format_args!("tertulia: configuration: {error}"));
    ExitCode::from(2)
}

type Failure = Box<dyn std::error::Error>;

fn carry_out(command: Command, config: Config, given: &[String]) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve => {
            actix_rt::System::new().block_on(app::serve(config))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::CheckConfig => {
            output::say("the configuration is fine")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => {
            output::say(openapi())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Classify { texts } => classifier::classify(&config, &texts),
        Command::Classifier(asked) => classifier::run(&asked, &config),
        Command::Console(asked) => console::run(&asked),
        Command::Eval(asked) => eval::run(&asked, &config),
        Command::Load(asked) => load::load(*asked),
        Command::Model(asked) => model::run(&asked, &config),
        Command::DeadLetters(DeadLetters::List { limit }) => acts::list_dead_letters(&config, limit),
        Command::DeadLetters(DeadLetters::Replay { ids, all }) => acts::replay(&config, ids, all),
        Command::Db(Db::Migrate) => acts::migrate(&config),
        Command::Db(Db::Check) => acts::check(&config),
        Command::Db(Db::Backup { destination }) => acts::back_up(&config, &destination),
        Command::Knowledge(asked) if chroma::is_live(&config) => chroma::carry_out(&asked, &config),
        Command::Knowledge(asked) => knowledge::run(&asked, &config),
        Command::Simulate(asked) => simulate::run(&asked, &config, given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_the_program_and_of_each_command_says_how_it_exits() {
        use clap::CommandFactory;
        let mut program = Cli::command();
        let mut helps = vec![program.render_help().to_string()];
        let written_elsewhere = ["serve", "help"];
        let commands = program.get_subcommands_mut();
        helps.extend(
            commands
                .filter(|command| !written_elsewhere.contains(&command.get_name()))
                .map(|command| command.render_help().to_string()),
        );
        assert!(helps.len() >= 4);
        for help in helps {
            assert!(help.contains("Exit codes:"), "{help}");
        }
    }

    #[test]
    fn keys_are_set_before_a_subcommand_and_behind_it() {
        let sets = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let found = every_set(&words).into_iter();
            found.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            ("tertulia", ""),
            ("tertulia --set a.b=1 serve", "a.b=1"),
            ("tertulia --set a.b=1 knowledge --set=c.d=2 list --set e.f=x=y", "a.b=1 c.d=2 e.f=x=y"),
            ("tertulia classify -- --set a.b=1", ""),
            ("tertulia --settle x", ""),
        ] {
            assert_eq!(sets(line), expected, "{line}");
        }
    }

    #[test]
    fn flags_are_keys_with_values() {
        assert_eq!(key_value("a.b = c=d"), Ok(("a.b".into(), "c=d".into())));
        assert!(key_value("a.b").is_err());
    }
}
