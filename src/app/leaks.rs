//! Finds threads that are left once everything has been stopped.

/// The beginnings of the names of threads that this program starts and must end. Linux keeps 15 bytes of a name.
const OURS: [&str; 5] = ["store-", "embedding", "vectors", "classifier", "watchdog"];

/// Says so when a thread is left although everything was stopped: it would be left in a running server, too.
pub(super) fn report_threads() {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    for name in names.filter(|name| OURS.iter().any(|ours| name.starts_with(ours))) {
        tracing::error!(name = name.trim_end(), "a thread outlived the drain");
    }
}
