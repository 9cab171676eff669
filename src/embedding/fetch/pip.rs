//! pip, which knows how this machine reaches the Python index: mirrors, proxies, certificates.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::FetchError;
use super::known::Wheel;

/// The arguments with which a Python is a pip.
const OF_PYTHON: [&str; 2] = ["-m", "pip"];

/// What a Python says where its program is.
const WHERE: [&str; 2] = ["-c", "import sys; print(sys.executable)"];

/// How often we look whether it is done.
const LOOK: Duration = Duration::from_millis(100);

/// A download that takes longer than this is given up; within it pip has limits of its own.
const DOWNLOAD_MAX: Duration = Duration::from_secs(3600);

/// The least that is shown of what pip said: its last lines.
const LINES_SHOWN: usize = 3;

/// A way to call pip.
#[derive(Clone, Debug)]
pub(super) struct Pip {
    program: OsString,
    arguments: Vec<OsString>,
}

/// A process that does not outlive its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pip {
    /// A way to call pip.
    pub(super) fn new(program: impl Into<OsString>, arguments: &[&str]) -> Self {
        Self { program: program.into(), arguments: arguments.iter().map(Into::into).collect() }
    }

    /// The first that runs: that of the Python that runs is the surest.
    pub(super) fn find() -> Option<Self> {
        let python = python().map(|python| Self::new(python, &OF_PYTHON));
        let others = ["pip3", "pip"].map(|pip| Self::new(pip, &[]));
        python.into_iter().chain(others).find(Self::runs)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        command
    }

    fn runs(&self) -> bool {
        let mut command = self.command();
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Downloads a wheel, of which nothing is run, into a folder; all that pip writes is in there.
    pub(super) async fn download(
        &self,
        wheel: &Wheel,
        folder: &Path,
        bar: &ProgressBar,
    ) -> Result<PathBuf, FetchError> {
        let failed = |why: String| FetchError::Pip { package: wheel.package, why };
        let (scratch, log) = (folder.join("pip"), folder.join("pip.log"));
        fs::create_dir(&scratch).map_err(FetchError::at("create", &scratch))?;
        let out = File::create(&log).map_err(FetchError::at("create", &log))?;
        let err = out.try_clone().map_err(FetchError::at("create", &log))?;
        let mut command = self.command();
        command
            // No cache: a copy of it that is damaged would come again and again.
            .args(["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"])
            .args(["--disable-pip-version-check", "--progress-bar", "off", "-d"])
            .arg(folder)
            .arg(format!("{}=={}", wheel.package, wheel.version))
            .env("TMPDIR", &scratch)
            .stdout(out)
            .stderr(err);
        bar.set_message(wheel.package);
        bar.set_length(wheel.bytes);
        let child = command.spawn().map_err(|error| failed(format!("it cannot be started: {error}")))?;
        let status = ended(Owned(child), || bar.set_position(size(folder))).await;
        match status {
            Some(Ok(status)) if status.success() => Ok(folder.join(wheel.file)),
            Some(Ok(status)) => Err(failed(format!("{status}; {}", last_lines(&log)))),
            Some(Err(error)) => Err(failed(error.to_string())),
            None => Err(failed(format!("it took longer than {} s", DOWNLOAD_MAX.as_secs()))),
        }
    }
}

/// The program behind `python3`. What is called so may be a script that starts it, as pyenv's is, and ending the script
/// would not end what it started.
fn python() -> Option<OsString> {
    let told = Command::new("python3").args(WHERE).stdin(Stdio::null()).output().ok()?;
    let path = told.stdout.trim_ascii_end();
    (told.status.success() && !path.is_empty()).then(|| OsStr::from_bytes(path).to_owned())
}

/// Waits until a process has ended; nothing when it took too long.
async fn ended(mut process: Owned, look: impl Fn()) -> Option<std::io::Result<ExitStatus>> {
    let began = Instant::now();
    while began.elapsed() < DOWNLOAD_MAX {
        if let Some(status) = process.0.try_wait().transpose() {
            return Some(status);
        }
        look();
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// What the files below a folder take. What comes and goes meanwhile does not matter: it is only shown.
pub(super) fn size(folder: &Path) -> u64 {
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    fs::read_dir(folder).into_iter().flatten().flatten().map(of).sum()
}

/// The end of what pip said, in one line.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("; ")
}
