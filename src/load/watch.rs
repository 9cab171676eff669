//! Looks at the server under test from outside: its process, its files and its `/metrics`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::report::run::Machine;

/// What one look found. None where it could not be seen.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Look {
    /// Seconds of processor so far.
    pub cpu_s: Option<f64>,
    /// Memory that belongs to no file, in bytes.
    pub memory_bytes: Option<u64>,
    /// Open files.
    pub files: Option<u64>,
    /// The database, in bytes.
    pub database_bytes: Option<u64>,
    /// Its write-ahead log, in bytes.
    pub wal_bytes: Option<u64>,
}

/// Looks at a process and its database.
#[must_use]
pub fn look(pid: Option<u32>, database: Option<&Path>) -> Look {
    let size = |path: PathBuf| std::fs::metadata(path).ok().map(|file| file.len());
    let wal = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    };
    Look {
        cpu_s: pid.and_then(cpu_seconds),
        memory_bytes: pid.and_then(anonymous_bytes),
        files: pid.and_then(open_files),
        database_bytes: database.and_then(|path| size(path.to_owned())),
        wal_bytes: database.and_then(|path| size(wal(path))),
    }
}

/// Seconds of processor of a process. Source: proc_pid_stat(5), fields 14 and 15, in hundredths of a second on Linux.
#[must_use]
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit(')').next()?.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some(ticks as f64 / 100.0)
}

/// Source: proc_pid_status(5), `RssAnon`.
fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn open_files(pid: u32) -> Option<u64> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    u64::try_from(files.count()).ok()
}

/// The figures of `/metrics` by name, those with labels left out.
#[must_use]
pub fn figures(text: &str) -> HashMap<String, f64> {
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        (!name.starts_with('#') && !name.contains('{')).then_some(())?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(figure).collect()
}

/// Asks a server for its metrics; none where it does not answer in time, or has none.
pub async fn metrics(client: &reqwest::Client, base: &str) -> Option<HashMap<String, f64>> {
    let request = client.get(format!("{base}/metrics")).timeout(Duration::from_secs(2));
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    Some(figures(&answer.text().await.ok()?))
}

/// The machine that this runs on; `folder` is where the database lies.
#[must_use]
pub fn machine(folder: &Path) -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let kib = value(&memory, "MemTotal").and_then(|value| value.strip_suffix(" kB")?.trim().parse().ok());
    Machine {
        processor: value(&processors, "model name").unwrap_or_default(),
        cores: std::thread::available_parallelism()
            .map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        memory_bytes: kib.map_or(0, |kib: u64| kib * 1_024),
        system: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        file_system: file_system(&read("/proc/self/mounts"), folder).unwrap_or_default(),
    }
}

/// The kind of file system that holds a folder: that of the longest mount point above it.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mount = |line: &str| {
        let mut fields = line.split_whitespace().skip(1).map(str::to_owned);
        Some((PathBuf::from(fields.next()?), fields.next()?))
    };
    let above = mounts.lines().filter_map(mount).filter(|(point, _)| folder.starts_with(point));
    above.max_by_key(|(point, _)| point.as_os_str().len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_name_and_those_with_labels_left_out() {
        let text = "# HELP x y\na_total 3\nb{reason=\"z\"} 4\nc_seconds 0.25\n# EOF\n";
        let expected = HashMap::from([("a_total".to_owned(), 3.0), ("c_seconds".to_owned(), 0.25)]);
        assert_eq!(figures(text), expected);
    }

    #[test]
    fn this_process_and_this_machine_can_be_seen() {
        let look = look(Some(std::process::id()), None);
        assert!(look.memory_bytes.is_some_and(|bytes| bytes > 100_000), "{look:?}");
        assert!(look.files.is_some_and(|files| files > 2) && look.cpu_s.is_some());
        assert_eq!(look.database_bytes, None);
        assert!(machine(Path::new("/")).cores > 0);
    }

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "a / ext4 rw 0 0\nb /proc proc rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/proc/self")).as_deref(), Some("proc"));
        assert_eq!(file_system(mounts, Path::new("/no/where")).as_deref(), Some("ext4"));
    }
}
