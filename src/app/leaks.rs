//! Finds threads that are left once everything has been stopped.

use std::time::{Duration, Instant};

/// The beginnings of the names of threads that this program starts and must end. Linux keeps 15 bytes of a name.
const OURS: [&str; 5] = ["store-", "embedding", "vectors", "classifier", "watchdog"];

/// How long a thread may take to end that has nothing more to do.
const ENDING: Duration = Duration::from_millis(500);

/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Says so when a thread is left although everything was stopped: it would be left in a running server, too.
pub(super) fn report_threads() {
    let begun = Instant::now();
    let mut left = threads();
    // Those of services are told to end, not waited for: one of them may be frozen.
    while !left.is_empty() && begun.elapsed() < ENDING {
        std::thread::sleep(LOOK_AGAIN);
        left = threads();
    }
    for name in left {
        tracing::error!(name = name.trim_end(), "a thread outlived the drain");
    }
}

/// The names of the threads that are ours.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| OURS.iter().any(|ours| name.starts_with(ours))).collect()
}
