//! What reaches the disk, and when: told by the system calls, and by a disk that is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tertulia::load::bursts::Bursts;

use crate::bursts::judge;
use crate::support::{Bench, PATIENCE, client, run};

/// What a line of a trace shows that matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    /// The message was written to the log.
    Logged,
    /// The log was synced to the disk.
    Synced,
    /// The acknowledgement left.
    Acknowledged,
}

/// Reads one thread's line. A call that another thread interrupts is written in two lines: it has ended with the second.
fn call(line: &str, words: &str) -> Option<Call> {
    let is_log = line.contains("tertulia.db-wal>");
    if is_log && line.contains("pwrite64(") && line.contains(words) {
        Some(Call::Logged)
    } else if line.ends_with("= 0") && (is_log && line.contains("sync(") || line.contains("sync resumed")) {
        Some(Call::Synced)
    } else if line.contains("HTTP/1.1 200 OK") {
        Some(Call::Acknowledged)
    } else {
        None
    }
}

#[test]
fn the_log_is_synced_between_the_messages_write_and_its_acknowledgement() {
    if std::env::var_os("TERTULIA_SKIP_STRACE").is_some() {
        eprintln!("SKIPPED: no strace (TERTULIA_SKIP_STRACE is set)");
        return;
    }
    run(async {
        let bench = Bench::new();
        let trace = bench.folder().join("trace");
        let file = trace.to_str().expect("a readable path");
        // -D leaves the server this test's own child; -y names the files behind descriptors.
        let strace = ["strace", "-D", "-f", "-y", "-s", "8192", "-o", file];
        let calls = "trace=pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync";
        let command = bench.command_under(&[&strace[..], &["-e", calls]].concat(), &["serve"]);
        let mut server = bench.wait_until_ready(bench.run(command)).await;
        let burst = Bursts::new(1, "strace").burst(0, 0);
        let message = &burst.messages[..1];
        bench.sender().deliver(&burst.person, message).await.expect("acknowledged");
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await, "{}", bench.log());
        server.terminate().await;
        let trace = std::fs::read_to_string(&trace).expect("a trace");
        let words = message[0].token.text("strace");
        let calls: Vec<_> = trace.lines().filter_map(|line| call(line, &words)).collect();
        let logged = calls.iter().position(|call| *call == Call::Logged).expect("the message was written");
        let next = &calls[logged..];
        let synced = next.iter().position(|call| *call == Call::Synced).expect("the log was synced");
        let told = next.iter().position(|call| *call == Call::Acknowledged).expect("it was acknowledged");
        assert!(synced < told, "acknowledged before it was on the disk: {next:?}");
    });
}

/// A small file system of its own; mounting one takes root.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&path).expect("a new folder");
        let options = format!("size={size},mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        let mounted = mounted.expect("mount runs");
        let said = String::from_utf8_lossy(&mounted.stderr);
        assert!(mounted.status.success(), "{said}; without root set TERTULIA_SKIP_SMALL_DISK=1");
        Self { path }
    }

    /// Writes until nothing fits any more.
    fn fill(&self) -> PathBuf {
        let filler = self.path.join("filler");
        let mut file = std::fs::File::create(&filler).expect("an empty file fits");
        let full = std::io::copy(&mut std::io::repeat(7), &mut file).expect_err("the disk is small");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is killed a moment later still has its files open.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

async fn readiness(bench: &Bench) -> u16 {
    client().get(bench.url("/readyz")).send().await.expect("an answer").status().as_u16()
}

async fn wait_for_readiness(bench: &Bench, expected: u16) {
    let wait = async {
        while readiness(bench).await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "/readyz is not {expected}: {}", bench.log());
}

fn check(bench: &Bench) {
    let checked = bench.command(&["db", "check"]).output().expect("the binary runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn a_full_disk_refuses_messages_writes_nothing_by_halves_and_the_server_recovers_by_itself() {
    if std::env::var_os("TERTULIA_SKIP_SMALL_DISK").is_some() {
        eprintln!("SKIPPED: no small file system (TERTULIA_SKIP_SMALL_DISK is set)");
        return;
    }
    run(async {
        let mut bench = Bench::new();
        bench.set("storage.probe_ms", "100");
        let disk = SmallDisk::mount(bench.folder().join("disk"), "8m");
        bench.set("storage.path", path_text(&disk.path.join("tertulia.db")));
        let _server = bench.start().await;
        let made = Bursts::new(6, "full");
        let filler = disk.fill();
        let mut accepted = vec![];
        let once = bench.sender().with_tries(1, Duration::ZERO);
        let (refused, error) = loop {
            // What fits into the log as long as it is now may still be taken.
            let burst = made.burst(accepted.len(), 0);
            match once.deliver(&burst.person, &burst.messages).await {
                Ok(()) => accepted.push(burst),
                Err(error) => break (burst, error.to_string()),
            }
            assert!(accepted.len() < 10_000, "the disk is never full");
        };
        assert!(error.contains("503"), "{error}");
        wait_for_readiness(&bench, 503).await;
        let written: usize = accepted.iter().map(|burst| burst.messages.len()).sum();
        let stored = bench.count("SELECT count(*) FROM messages");
        assert_eq!(usize::try_from(stored), Ok(written), "half of a refused webhook is there");
        check(&bench);
        std::fs::remove_file(filler).expect("the filler is there");
        wait_for_readiness(&bench, 200).await;
        bench.sender().deliver(&refused.person, &refused.messages).await.expect("acknowledged");
        bench.wait_until_idle().await;
        accepted.push(refused);
        let verdict = judge(&accepted, &bench.providers.sent(), "full");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
        assert!(verdict.swapped.is_empty(), "{:?}", verdict.swapped);
        check(&bench);
    });
}

/// A path of this test's own making as text.
fn path_text(path: &Path) -> &str {
    path.to_str().expect("a readable path")
}
