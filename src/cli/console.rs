//! `tertulia console`: what people need who sign in to the console.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, output};
use crate::http::hash_password;

pub(super) const HELP: &str = "\
Examples:
  tertulia console hash-password                  asks for a password twice, and prints its hash
  tertulia console hash-password < password.txt   takes the first line

Put the hash into the configuration:
  [console.users.ana]
  role = \"operator\"                               viewer, operator or admin
  password_hash = \"$argon2id$…\"

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration";

/// The people who sign in to the console.
#[derive(Debug, Subcommand)]
pub(super) enum Console {
    /// Make the hash of a password, for console.users.NAME.password_hash; the password itself is not kept.
    HashPassword,
}

pub(super) fn run(command: &Console) -> Result<ExitCode, Failure> {
    match command {
        Console::HashPassword => {
            output::say(hash_password(&password()?)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The password, twice from a terminal, which does not show it, or once from elsewhere.
fn password() -> Result<String, String> {
    let failed = |error: io::Error| format!("the password cannot be read: {error}");
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(failed)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let first = rpassword::prompt_password("Password: ").map_err(failed)?;
    let again = rpassword::prompt_password("Again: ").map_err(failed)?;
    if first == again { Ok(first) } else { Err("the two are not the same; nothing was made".into()) }
}
