//! The console in a real browser, before the real server.

mod access;
mod actions;
mod knowledge;
mod live;
mod look;
mod pages;
mod states;
mod tree;
mod turns;

use serde_json::{Value, json};
use tertulia::http::hash_password;

use crate::support::{Bench, CONSOLE_TOKEN, client};
use crate::webdriver::Browser;

/// The password of every user.
const PASSWORD: &str = "correct horse battery";

/// Keys (W3C WebDriver 17.4.2).
const UP: &str = "\u{e013}";
const DOWN: &str = "\u{e015}";
const LEFT: &str = "\u{e012}";
const RIGHT: &str = "\u{e014}";

/// Gives the servers that are started from now on a user of each role, called as it is.
fn with_users(bench: &mut Bench) {
    let hash = hash_password(PASSWORD).expect("long enough");
    for role in ["viewer", "operator", "admin"] {
        bench.set(&format!("console.users.{role}.role"), role);
        bench.set(&format!("console.users.{role}.password_hash"), &hash);
    }
}

/// Opens a page of the console as somebody who has signed in by the token.
async fn open(browser: &Browser, bench: &Bench, path: &str) {
    visit(browser, bench, &format!("{path}#token={CONSOLE_TOKEN}")).await;
}

/// Opens a page of the console in a browser in which somebody has signed in already.
async fn visit(browser: &Browser, bench: &Bench, path: &str) {
    browser.open(&bench.url(&format!("/console/{path}"))).await;
    browser.wait_until("return document.querySelector('#main[data-live=\"true\"] h1') !== null").await;
}

/// The cookie of a user who has signed in as a program would.
async fn cookie_of(bench: &Bench, name: &str) -> String {
    let signed_in = client()
        .post(bench.url("/console/session"))
        .header("origin", bench.url(""))
        .json(&json!({"name": name, "password": PASSWORD}))
        .send()
        .await
        .expect("an answer");
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text");
    cookie.split(';').next().expect("a cookie").to_owned()
}

/// Signs in on the page that is shown.
async fn sign_in(browser: &Browser, name: &str, password: &str) {
    browser.wait_until("return document.querySelector('.sign-in form') !== null").await;
    browser
        .script("document.querySelectorAll('.sign-in input').forEach((input) => { input.value = '' })")
        .await;
    browser.type_into(".sign-in [name=name]", name).await;
    browser.type_into(".sign-in [name=password]", password).await;
    browser.click(".sign-in button").await;
}

/// Waits until the page shows this text.
async fn wait_for_text(browser: &Browser, text: &str) {
    browser.wait_until(&format!("return document.body.innerText.includes({})", Value::from(text))).await;
}

/// Clicks the first button that says this.
async fn press(browser: &Browser, name: &str) {
    let script = format!(
        "const button = [...document.querySelectorAll('button')].find((one) => one.textContent.trim() === '{name}' && !one.disabled);
         button?.click(); return button !== undefined"
    );
    browser.wait_until(&script).await;
}
