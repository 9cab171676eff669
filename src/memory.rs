//! What memory this process takes, read from the system about once a second, and given back where it is not used.

use std::io;
use std::time::Duration;

use tertulia_actors::domain::Memory;
use tokio::sync::watch;

/// The time between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// Readings between two times that memory is given back: a minute.
const READINGS_PER_RETURN: u32 = 60;

/// Where Linux tells it. Of the same figures in `/proc/self/statm` the unit, a page, is not told there.
const STATUS: &str = "/proc/self/status";

/// Publishes the memory of this process, from now on until nobody listens any more. Zero where the system does not tell.
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
                // It walks through the whole heap, which is nothing for the thread of the actors. That it failed would
                // change nothing.
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

/// Gives what was freed back to the system, and says whether that was anything.
///
/// The allocator of glibc gives back by itself only what lies behind the last block that is in use: after a stall in which
/// a thousand connections were open, or a burst of long texts, a process would keep for good what it took then. Measured:
/// a stall of 2 s added 13 MiB to 54 (`tertulia load memory`). Source: `malloc_trim(3)`. Other allocators do so themselves.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library has no other way, and the call takes no pointer")]
fn give_back() -> bool {
    // SAFETY: it may be called at any time by any thread; it takes the allocator's own locks.
    unsafe { libc::malloc_trim(0) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn give_back() -> bool {
    false
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
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn memory_that_was_freed_between_blocks_in_use_goes_back_to_the_system() {
        let mut blocks: Vec<Option<Vec<u8>>> = (0..32_768).map(|_| Some(vec![1_u8; 2_048])).collect();
        for (at, block) in blocks.iter_mut().enumerate() {
            if at % 100 != 0 {
                *block = None;
            }
        }
        let before = read().unwrap();
        assert!(give_back());
        let after = read().unwrap();
        assert!(after.anonymous_bytes + (48 << 20) < before.anonymous_bytes, "{before:?}, {after:?}");
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
