//! Who gets in.

use super::{PASSWORD, cookie_of, sign_in, wait_for_text, with_users};
use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client, run};
use crate::webdriver::Browser;

#[test]
fn a_wrong_password_says_so_and_a_right_one_gets_in_until_one_signs_out() {
    run(async {
        let mut bench = Bench::new();
        with_users(&mut bench);
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        browser.open(&bench.url("/console/tree")).await;
        sign_in(&browser, "viewer", "wrong horse battery").await;
        wait_for_text(&browser, "the name or the password is wrong").await;
        sign_in(&browser, "viewer", PASSWORD).await;
        browser.wait_until("return document.querySelector('.tree') !== null").await;
        // Whoever comes back is still signed in, and is where they were.
        browser.open(&bench.url("/console/tree")).await;
        browser.wait_until("return document.querySelector('.tree') !== null").await;
        assert_eq!(browser.script("return document.cookie").await, "", "a script sees the session");
        browser.click(".sign-out").await;
        sign_in(&browser, "", "not the token").await;
        wait_for_text(&browser, "the token is wrong").await;
        sign_in(&browser, "", CONSOLE_TOKEN).await;
        browser.wait_until("return document.querySelector('.tree') !== null").await;
    });
}

#[test]
fn a_session_outlives_a_restart_unless_it_was_signed_out_of() {
    run(async {
        let mut bench = Bench::new();
        with_users(&mut bench);
        let mut server = bench.start().await;
        let (left, kept) = (cookie_of(&bench, "operator").await, cookie_of(&bench, "operator").await);
        let session = bench.url("/console/session");
        let shows = async |cookie: &str| {
            let answer = client().get(&session).header("cookie", cookie).send().await.expect("an answer");
            answer.status().as_u16()
        };
        assert_eq!((shows(&left).await, shows(&kept).await), (200, 200));
        let live = async |cookie: &str| {
            let asked = client().get(bench.url("/console/live?show=overview")).header("cookie", cookie);
            asked.send().await.expect("an answer")
        };
        let (mut ends, mut goes_on) = (live(&left).await, live(&kept).await);
        let out = client().delete(&session).header("cookie", &left).header("origin", bench.url(""));
        assert_eq!(out.send().await.expect("an answer").status().as_u16(), 204);
        assert_eq!((shows(&left).await, shows(&kept).await), (401, 200));
        let end = async { while let Ok(Some(_)) = ends.chunk().await {} };
        tokio::time::timeout(PATIENCE, end).await.expect("the stream ends with its session");
        let frame = tokio::time::timeout(PATIENCE, goes_on.chunk()).await.expect("another goes on");
        assert!(frame.expect("it goes on").is_some());
        server.kill();
        let _server = bench.start().await;
        assert_eq!((shows(&left).await, shows(&kept).await), (401, 200));
    });
}

#[test]
fn attempts_to_sign_in_are_limited_and_the_page_says_so() {
    run(async {
        let mut bench = Bench::new();
        bench.set("console.sign_ins_per_minute", "1");
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        browser.open(&bench.url("/console/")).await;
        browser.wait_until("return document.querySelector('.sign-in form') !== null").await;
        // So many, one behind the other, that the one of a minute is gone for the next.
        let script = "const answers = []; for (let n = 0; n < 40; n++) {
            const r = new XMLHttpRequest(); r.open('POST', '/console/session', false);
            r.setRequestHeader('content-type', 'application/json'); r.send('{\"token\":\"wrong\"}'); answers.push(r.status); }
            return answers.join(',')";
        let answers = browser.script(script).await;
        assert!(
            answers.as_str().expect("text").starts_with("401,")
                && answers.as_str().expect("text").ends_with("429"),
            "{answers}"
        );
        sign_in(&browser, "", CONSOLE_TOKEN).await;
        wait_for_text(&browser, "too many attempts").await;
    });
}

#[test]
fn the_first_start_prints_a_link_that_signs_in_and_later_ones_do_not() {
    run(async {
        let mut bench = Bench::as_it_comes();
        bench.set("log.level", "info");
        let mut server = bench.start().await;
        let said = bench.printed();
        let link = said.split_whitespace().find(|word| word.contains("#token=")).expect("a link").to_owned();
        let token = std::fs::read_to_string(bench.folder().join("console.token")).expect("a token");
        assert!(link.ends_with(token.trim()), "{link}");
        assert!(!bench.log().contains(token.trim()), "the token is in the log");
        if let Some(browser) = Browser::start().await {
            browser.open(&link).await;
            browser.wait_until("return document.querySelector('.figures') !== null").await;
            assert_eq!(browser.script("return location.hash").await, "", "the token stays in the address");
        }
        server.ends_clean(&bench).await;
        let _server = bench.start().await;
        assert_eq!(bench.printed(), "", "it is printed once");
        let page = client().get(bench.url("/console/")).send().await.expect("an answer");
        assert_eq!(page.status().as_u16(), 200);
    });
}
