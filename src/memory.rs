//! The allocator, and what memory this process takes, read from the system about once a second, and given back where it is not used.

use std::io;
use std::time::Duration;

use mimalloc::MiMalloc;
use tertulia_actors::domain::Memory;
use tokio::sync::watch;

/// Beside glibc's it gives 1.2 times the messages (docs/PERFORMANCE.md), and what was freed between blocks in use goes back to the system:
/// after a stall in which a thousand connections were open, or a burst of long texts, glibc would keep for good what it took then.
/// Without huge pages (feature `no_thp`): where programs may ask the system for them, it would take 55 MB before the first message. SQLite
/// keeps the C library's: a page of its cache with its header is a little more than 4 KiB, for which this one takes 5.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The time between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// Readings between two times that memory is given back: a minute.
const READINGS_PER_RETURN: u32 = 60;

/// A block large enough for the allocator to look for what it can give back when it is freed. Measured: one of 100 kB is not.
const LARGE_BYTES: usize = 1 << 20;

/// Where Linux tells it. Of the same figures in `/proc/self/statm` the unit, a page, is not told there.
const STATUS: &str = "/proc/self/status";

/// Publishes the memory of this process, from now on until nobody listens any more. Zero where the system does not tell.
///
/// Once a minute what was freed goes back to the system.
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
        let mut readings = 0_u32;
        while published.receiver_count() > 0 {
            tokio::time::sleep(PERIOD).await;
            readings = readings.wrapping_add(1);
            if readings.is_multiple_of(READINGS_PER_RETURN) {
                // It may walk through much memory, which is nothing for the thread of the actors. That it failed would change nothing.
                drop(actix_rt::task::spawn_blocking(give_back));
            }
            // A reading that fails once leaves the last one standing.
            if let Ok(memory) = read() {
                published.send_replace(memory);
            }
        }
    });
    memory
}

/// Gives what was freed a second ago or before back to the system. The allocator does so by itself when something large is freed, and
/// keeps all of it while only small blocks are.
fn give_back() {
    drop(std::hint::black_box(vec![1_u8; LARGE_BYTES]));
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

    /// One block in a hundred stays in use, so that what was freed lies between others.
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_was_freed_between_blocks_in_use_goes_back_to_the_system() {
        let mut blocks: Vec<Option<Vec<u8>>> = (0..32_768).map(|_| Some(vec![1_u8; 2_048])).collect();
        let before = read().unwrap();
        for (at, block) in blocks.iter_mut().enumerate() {
            if at % 100 != 0 {
                *block = None;
            }
        }
        let is_back = (0..60).any(|_| {
            std::thread::sleep(Duration::from_millis(500));
            give_back();
            read().unwrap().anonymous_bytes + (32 << 20) < before.anonymous_bytes
        });
        assert!(is_back, "{before:?}, {:?}", read());
        drop(blocks);
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
