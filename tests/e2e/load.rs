//! The load harness against the real server, and against one that breaks every promise.

use std::path::Path;
use std::process::{Command, Output};

use tertulia::load::report::{self, run::Run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::run;

fn load(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tertulia"));
    command.arg("load").args(arguments).current_dir(folder).env("TERTULIA_LOAD_APP_SECRET", "secret");
    command.output().expect("the binary runs")
}

fn profile(folder: &Path, text: &str) {
    std::fs::write(folder.join("own.toml"), text).expect("a writable folder");
}

fn found(folder: &Path) -> Run {
    report::read(&folder.join("run.json")).expect("a report")
}

fn broken(run: &Run) -> Vec<(&str, u64)> {
    let broken = run.promises.iter().filter(|promise| promise.broken > 0);
    broken.map(|promise| (promise.name.as_str(), promise.broken)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_run_with_every_fault_finds_that_every_promise_is_kept_and_writes_its_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    profile(
        folder.path(),
        "purpose = 'Everything goes wrong.'\n[server]\n'supervision.probe_ms' = 200\n'supervision.probe_max_ms' = 500\n\
         [[stage]]\nname = 'all'\nseconds = 6\nusers = 30\nramp_ms = 300\n[objectives]\noverhead_p50_ms = 60000\n",
    );
    #[rustfmt::skip]
    let output = load(folder.path(), &[
        "own.toml", "--seed", "5", "--json", "run.json", "--html", "run.html", "--kill-every", "2500",
        "--redeliver", "0.2", "--shuffle", "0.1", "--late", "0.05", "--cut-sends", "0.02", "--llm-errors", "0.05",
        "--lock-db", "1500", "--panic", "embedding=0.05",
    ]);
    let (told, complained) = (text(&output.stdout), text(&output.stderr));
    let run = found(folder.path());
    assert_eq!(output.status.code(), Some(0), "{told}{complained}");
    assert_eq!((broken(&run), run.failure.as_deref()), (vec![], None), "{told}");
    assert!(run.traffic.messages > 300 && run.traffic.webhooks > run.traffic.messages, "{told}");
    for what in ["kill -9", "database locked"] {
        assert!(run.marks.iter().any(|mark| mark.what == what), "no {what}: {told}");
    }
    assert!(told.contains("HELD") && told.contains("--seed 5"), "{told}");
    let page = std::fs::read_to_string(folder.path().join("run.html")).expect("a page");
    assert!(page.contains("<svg") && !page.contains("<script"));
}

#[test]
fn a_server_that_acknowledges_and_forgets_is_found_out() {
    run(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        profile(
            folder.path(),
            "purpose = 'A server that forgets.'\n[limits]\nsettle_ms = 1000\n\
             [[stage]]\nname = 'all'\nseconds = 1\nbursts_per_s = 20\n[objectives]\noverhead_p99_ms = 20\n",
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let server = tokio::spawn(acknowledge(listener));
        let path = folder.path().to_owned();
        let ran = tokio::task::spawn_blocking(move || {
            load(&path, &["own.toml", "--target", &url, "--json", "run.json"])
        });
        let output = ran.await.expect("no panic");
        server.abort();
        let run = found(folder.path());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert!(run.traffic.acknowledged > 20, "{}", text(&output.stdout));
        assert_eq!(broken(&run), [("lost", run.traffic.acknowledged)]);
        assert!(run.objectives.iter().all(|objective| !objective.held), "nothing could be measured");
        assert!(text(&output.stdout).contains("FAILED"));
    });
}

/// Answers 200 to everything, and does nothing.
async fn acknowledge(listener: TcpListener) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        tokio::spawn(async move {
            let mut read = vec![];
            while stream.read_buf(&mut read).await.is_ok_and(|bytes| bytes > 0) {
                // Every webhook of the harness ends with the brackets of its envelope.
                if read.ends_with(b"}]}]}") {
                    read.clear();
                    let answer = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    if answer.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

#[test]
fn what_is_answered_behind_a_stage_does_not_count_as_its_throughput() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    profile(
        folder.path(),
        "purpose = 'A slow model.'\n[model]\nlatency_ms = 3000\n\
         [[stage]]\nname = 'all'\nseconds = 1\nbursts_per_s = 20\n",
    );
    let output = load(folder.path(), &["own.toml", "--json", "run.json"]);
    let run = found(folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(run.traffic.messages > 20 && run.times.answer.count > 10, "{}", text(&output.stdout));
    assert!(run.traffic.messages_per_s.abs() < 0.01, "{} a second", run.traffic.messages_per_s);
}

#[test]
fn a_model_that_says_nothing_for_longer_than_others_are_waited_for_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    profile(
        folder.path(),
        "purpose = 'A silent model.'\n[server]\n'query.llm.timeout_ms' = 22000\n\
         [[stage]]\nname = 'all'\nseconds = 2\nbursts_per_s = 20\n",
    );
    let arguments = ["own.toml", "--llm-stall", "0.1", "--seed", "3", "--json", "run.json"];
    let output = load(folder.path(), &arguments);
    let run = found(folder.path());
    assert_eq!((output.status.code(), broken(&run)), (Some(0), vec![]), "{}", text(&output.stdout));
    let waited = run.times.answer.max_ms;
    assert!(waited > 21_000.0, "nobody waited for the model: {waited} ms at most");
}

#[test]
fn a_run_that_is_stopped_takes_its_server_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tertulia"));
    command.args(["load", "quick"]).current_dir(folder.path()).stderr(std::process::Stdio::null());
    let mut harness = command.spawn().expect("the binary runs");
    let children = format!("/proc/{0}/task/{0}/children", harness.id());
    let began = std::time::Instant::now();
    let server = loop {
        // Source: proc_pid_children(5).
        let found = std::fs::read_to_string(&children).expect("a process");
        if let Some(pid) = found.split_whitespace().next() {
            break pid.to_owned();
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "no server was started");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let told = Command::new("kill").args(["-s", "TERM", &harness.id().to_string()]).status();
    assert!(told.expect("kill runs").success());
    assert_eq!(harness.wait().expect("a child").code(), Some(1), "a stopped run has not held");
    assert!(!Path::new(&format!("/proc/{server}")).exists(), "the server outlived its run");
}

#[test]
fn wrong_usage_exits_2_and_says_what_is_right() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    profile(folder.path(), "purpose = 'Too much.'\n[[stage]]\nname = 's'\nseconds = 0\n");
    for (arguments, expected) in [
        (&["sleepy"][..], "concurrent-users"),
        (&["own.toml"][..], "seconds: 0"),
        (&["quick", "--redeliver", "3"][..], "faults.redeliver: 3: a probability is 0 to 1"),
        (&["quick", "--json", "/no/where/run.json"][..], "there is no folder for"),
        (&["quick", "--panic", "kitchen=0.1"][..], "known are embedding"),
        (&["show", "sleepy"][..], "tertulia load list"),
    ] {
        let output = load(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
    let listed = load(folder.path(), &["list"]);
    assert!(text(&listed.stdout).contains("idle-100k") && listed.status.success());
}

#[test]
fn two_runs_are_compared_with_their_ratios() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, rate) in [("a.json", 100.0), ("b.json", 300.0)] {
        let mut run = Run::default();
        (run.traffic.messages_per_s, run.traffic.replies) = (rate, 1);
        report::write(&run, &folder.path().join(name)).expect("a writable folder");
    }
    let output = load(folder.path(), &["compare", "a.json", "b.json", "--html", "both.html"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("3.00"), "{}", text(&output.stdout));
    let page = std::fs::read_to_string(folder.path().join("both.html")).expect("a page");
    assert!(page.contains("3.00"));
    let missing = load(folder.path(), &["compare", "a.json", "c.json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("c.json"), "{}", text(&missing.stderr));
}
