//! The stream of a tab.

use std::time::{Duration, Instant};

use super::{open, wait_for_text};
use crate::support::{Bench, CONSOLE_TOKEN, client, run};
use crate::webdriver::Browser;

/// Says whether the page can be seen, as the browser does when a tab is hidden.
async fn show(browser: &Browser, is_seen: bool) {
    let script = format!(
        "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {} }});
         document.dispatchEvent(new Event('visibilitychange'))",
        !is_seen
    );
    browser.script(&script).await;
}

/// Waits until the page says whether what it shows is live.
async fn wait_until_live(browser: &Browser, is_live: bool) {
    let script = format!("return document.querySelector('#main').dataset.live === '{is_live}'");
    browser.wait_until(&script).await;
}

#[test]
fn what_is_shown_is_stale_while_nothing_comes_and_live_again_by_itself() {
    run(async {
        let bench = Bench::new();
        let mut server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        open(&browser, &bench, "").await;
        server.kill();
        wait_for_text(&browser, "stale since").await;
        wait_until_live(&browser, false).await;
        let _server = bench.start().await;
        wait_until_live(&browser, true).await;
        // A tab that nobody sees asks for nothing.
        show(&browser, false).await;
        wait_until_live(&browser, false).await;
        show(&browser, true).await;
        wait_until_live(&browser, true).await;
    });
}

#[test]
fn a_stream_has_at_most_two_frames_a_second() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let asked = client().get(bench.url("/console/live?show=overview")).bearer_auth(CONSOLE_TOKEN);
        let mut stream = asked.send().await.expect("an answer");
        let mut said = String::new();
        let began = Instant::now();
        let end = tokio::time::sleep(Duration::from_secs(3));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                chunk = stream.chunk() => {
                    said.push_str(&String::from_utf8_lossy(&chunk.expect("a stream").expect("it goes on")));
                }
            }
        }
        let (frames, most) =
            (said.matches("event: frame").count(), 2.0 * began.elapsed().as_secs_f64() + 1.0);
        assert!(frames >= 2, "{said}");
        assert!(f64::from(u32::try_from(frames).expect("few")) <= most, "{frames} frames");
    });
}
