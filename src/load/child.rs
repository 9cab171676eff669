//! The server under test as a child process, on a database of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use tertulia_actors::domain::Class;
use thiserror::Error;

use super::providers::EmulatedProviders;

/// What the emulated provider signs its webhooks with.
pub const APP_SECRET: &str = "the-app-secret-of-the-load-harness";

/// What the emulated provider wants to be shown.
pub const ACCESS_TOKEN: &str = "emulated-token";

/// How long a start may take, recovery after a kill included.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a drain may take.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no server to test.
#[derive(Debug, Error)]
pub enum ChildError {
    /// The program cannot be run, or its folder not be written.
    #[error("cannot start the server under test: {0}")]
    Io(#[from] io::Error),
    /// It ended while it was expected to serve.
    #[error("the server under test ended ({status}): {log}")]
    Ended {
        /// How.
        status: String,
        /// The end of what it logged.
        log: String,
    },
    /// It does not answer.
    #[error("the server under test is not ready after {} s: {log}", START_PATIENCE.as_secs())]
    NotReady {
        /// The end of what it logged.
        log: String,
    },
}

/// A server that can be started, killed and started again on one database.
pub struct Child {
    program: PathBuf,
    folder: PathBuf,
    database: PathBuf,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    process: Option<Process>,
}

impl Child {
    /// A server with the settings of every run and those of a profile; not started yet. Everything of it is kept below
    /// `folder`; its database in `disk`.
    ///
    /// # Errors
    /// When there is no free port, or this program's file cannot be found.
    pub fn new(
        folder: &Path,
        disk: &Path,
        providers: &EmulatedProviders,
        profile: &BTreeMap<String, toml::Value>,
    ) -> Result<Self, ChildError> {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
        let database = disk.join("tertulia.db");
        let mut settings: Vec<(String, String)> = [
            ("server.bind", address.to_string()),
            ("storage.path", database.display().to_string()),
            ("log.level", "warn".into()),
            ("conversation.quiet_ms", "200".into()),
            ("channels.whatsapp.enabled", "true".into()),
            ("channels.whatsapp.verify_token", "the-verify-token".into()),
            ("channels.whatsapp.app_secret", APP_SECRET.into()),
            ("channels.whatsapp.access_token", ACCESS_TOKEN.into()),
            ("channels.whatsapp.graph_base_url", providers.graph_base_url()),
            ("query.llm.base_url", providers.model_base_url()),
            ("query.llm.model", "echo".into()),
            ("knowledge.sample", "false".into()),
            ("pipeline.skip", "false".into()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        settings.extend(Class::ALL.map(|class| (format!("routes.{class}"), "query".to_owned())));
        settings.extend(profile.iter().map(|(key, value)| (key.clone(), plain(value))));
        let program = std::env::current_exe()?;
        Ok(Self { program, folder: folder.to_owned(), database, address, settings, process: None })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What it is started with, secrets left out.
    #[must_use]
    pub fn settings(&self) -> Vec<String> {
        let is_secret = |key: &str| key.ends_with("secret") || key.ends_with("token");
        let shown = self.settings.iter().filter(|(key, _)| !is_secret(key));
        shown.map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// The value of a setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let last = self.settings.iter().rev().find(|(known, _)| known == key);
        last.map(|(_, value)| value.as_str())
    }

    /// Sets the failpoints of a build that has them, from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_failpoints(&self, failpoints: &str) -> io::Result<()> {
        // Replaced as a whole, so that no half of it is read.
        let new = self.folder.join("failpoints.new");
        fs::write(&new, failpoints)?;
        fs::rename(new, self.folder.join("failpoints"))
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self, client: &reqwest::Client) -> Result<(), ChildError> {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = Command::new(&self.program);
        command.arg("serve").current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // The symbols of a backtrace would be counted as its memory.
        command.env("RUST_BACKTRACE", "0");
        #[cfg(feature = "failpoints")]
        command.env("TERTULIA_FAILPOINTS_FILE", self.folder.join("failpoints"));
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        self.process = Some(command.spawn()?);
        let (began, url) = (Instant::now(), format!("http://{}/readyz", self.address));
        loop {
            let answer = client.get(&url).timeout(Duration::from_secs(1)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                return Err(ChildError::Ended { status, log: self.log() });
            }
            if began.elapsed() > START_PATIENCE {
                return Err(ChildError::NotReady { log: self.log() });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<String>> {
        let Some(process) = &mut self.process else { return Ok(Some("not started".into())) };
        Ok(process.try_wait()?.map(|status| status.to_string()))
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks it to drain and stop, and waits until it has.
    ///
    /// # Errors
    /// When it ends with another code than 0, or not in time.
    pub async fn stop(&mut self) -> Result<(), ChildError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        Command::new("kill").args(["-s", "TERM", &pid.to_string()]).status()?;
        let began = Instant::now();
        loop {
            if let Some(process) = &mut self.process
                && let Some(status) = process.try_wait()?
            {
                self.process = None;
                return match status.success() {
                    true => Ok(()),
                    false => Err(ChildError::Ended { status: status.to_string(), log: self.log() }),
                };
            }
            if began.elapsed() > STOP_PATIENCE {
                self.kill();
                let status = format!("killed: it did not drain within {} s", STOP_PATIENCE.as_secs());
                return Err(ChildError::Ended { status, log: self.log() });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last lines that it logged.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A value as `--set` takes it.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
