//! What memory this process takes, read from the system about once a second.

use std::io;
use std::time::Duration;

use tertulia_actors::domain::Memory;
use tokio::sync::watch;

/// The time between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// Where Linux tells it. Of the same figures in `/proc/self/statm` the unit, a page, is not told there.
const STATUS: &str = "/proc/self/status";

/// Publishes the memory of this process, from now on until nobody listens any more. Zero where the system does not tell.
///
/// Must be called on a thread with an arbiter.
#[must_use]
pub fn watched() -> watch::Receiver<Memory> {
    let first = read().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read {STATUS}: runtime.memory_max_bytes limits nothing here");
        Memory::default()
    });
    let (published, memory) = watch::channel(first);
    actix_rt::spawn(async move {
        while published.receiver_count() > 0 {
            tokio::time::sleep(PERIOD).await;
            // A reading that fails once leaves the last one standing.
            if let Ok(memory) = read() {
                published.send_replace(memory);
            }
        }
    });
    memory
}

/// One reading.
///
/// # Errors
/// When the system does not tell.
fn read() -> io::Result<Memory> {
    let status = std::fs::read_to_string(STATUS)?;
    parse(&status).ok_or_else(|| io::Error::other("it names neither VmRSS nor RssAnon"))
}

/// The figures in the text. Source: proc_pid_status(5), whose kB are 1,024 bytes.
fn parse(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1_024)
    };
    Some(Memory { resident_bytes: bytes("VmRSS")?, anonymous_bytes: bytes("RssAnon")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_in_what_the_system_tells() {
        let status =
            "Name:\ttertulia\nVmHWM:\t  99 kB\nVmRSS:\t     12 kB\nRssAnon:\t       8 kB\nRssFile:\t 4 kB\n";
        assert_eq!(parse(status), Some(Memory { resident_bytes: 12_288, anonymous_bytes: 8_192 }));
        for odd in
            ["", "VmRSS:\t12 kB\n", "VmRSS:\t12 kB\nRssAnon:\t8 pages\n", "VmRSS:\t12 kB\nRssAnon:\t-8 kB\n"]
        {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn memory_that_is_taken_shows() {
        let before = read().unwrap();
        let taken = vec![1_u8; 64 << 20];
        let after = read().unwrap();
        assert!(after.anonymous_bytes > before.anonymous_bytes + (48 << 20), "{before:?}, {after:?}");
        assert!(after.resident_bytes >= after.anonymous_bytes);
        drop(taken);
    }
}
