//! As much of a WebDriver client (W3C WebDriver, <https://www.w3.org/TR/webdriver2/>) as the tests of pages need. A handful
//! of JSON requests: the crates that do more bring second versions of a dozen crates that are here already.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, client};

/// The key of an element's reference in an answer (W3C WebDriver 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The Enter key (W3C WebDriver 17.4.2).
pub const ENTER: &str = "\u{e007}";

/// A headless Chromium with one page, and its driver; both end when this is dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser that nobody has used yet; none where the machine has none, which was said loudly.
    #[expect(clippy::print_stderr, reason = "what is skipped is said loudly")]
    pub async fn start() -> Option<Self> {
        if std::env::var_os("TERTULIA_SKIP_BROWSER").is_some() {
            eprintln!("SKIPPED: no chromium or chromedriver (TERTULIA_SKIP_BROWSER is set)");
            return None;
        }
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs; tests/run installs it");
        let address = SocketAddr::from(([127, 0, 0, 1], port_of(&mut driver)));
        let mut browser = Self { driver, address, session: String::new(), _profile: profile };
        let mut arguments = vec![format!("--user-data-dir={}", browser._profile.path().display())];
        // Without a sandbox, since root may not have one; without anything that looks for hosts outside.
        arguments.extend(
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
                .map(str::to_owned),
        );
        arguments.extend(
            [
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-quic",
                // So that a page can say exactly how much memory it has.
                "--enable-precise-memory-info",
            ]
            .map(str::to_owned),
        );
        let wanted =
            json!({"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}});
        let made = browser.post("/session", json!({ "capabilities": wanted })).await;
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.command("url", json!({ "url": url })).await;
    }

    /// Types into the one element that a selector finds.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let found = self.command("element", json!({"using": "css selector", "value": selector})).await;
        let element = found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector}: {found}"));
        self.command(&format!("element/{element}/value"), json!({ "text": text })).await;
    }

    /// Clicks on the one element that a selector finds, as a person does: what covers it is in the way.
    pub async fn click(&self, selector: &str) {
        let found = self.command("element", json!({"using": "css selector", "value": selector})).await;
        let element = found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector}: {found}"));
        self.command(&format!("element/{element}/click"), json!({})).await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.command("actions", json!({ "actions": [keyboard] })).await;
    }

    /// Waits until a script returns something that is neither null, false nor an error; that.
    pub async fn wait_until(&self, script: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.script(&format!("try {{ {script} }} catch {{ return null }}")).await;
            if !matches!(said, Value::Null | Value::Bool(false)) {
                return said;
            }
            if Instant::now() >= deadline {
                let page = self.script("return document.body.innerText").await;
                panic!("never: {script}\nthe page: {page}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives the window a size.
    pub async fn resize(&self, width: u32, height: u32) {
        self.command("window/rect", json!({"width": width, "height": height})).await;
    }

    /// What the window shows, as the base64 text of a PNG.
    pub async fn screenshot(&self) -> String {
        let path = format!("/session/{}/screenshot", self.session);
        let request = client().get(format!("http://{}{path}", self.address));
        let answer = request.timeout(PATIENCE).send().await.expect("the driver answers");
        let answer: Value = answer.json().await.expect("JSON");
        answer["value"].as_str().expect("a picture").to_owned()
    }

    /// What a script returns.
    pub async fn script(&self, script: &str) -> Value {
        self.command("execute/sync", json!({"script": script, "args": []})).await
    }

    /// The texts of all elements that a selector finds.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!("return [...document.querySelectorAll({selector:?})].map((e) => e.textContent)");
        let texts = self.script(&script).await;
        texts.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Waits until a selector finds as many elements as told; their texts.
    pub async fn wait_for(&self, selector: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let texts = self.texts(selector).await;
            if texts.len() == count {
                return texts;
            }
            assert!(Instant::now() < deadline, "{selector}: {texts:?}, not {count}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn command(&self, name: &str, body: Value) -> Value {
        self.post(&format!("/session/{}/{name}", self.session), body).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = client().post(format!("http://{}{path}", self.address)).json(&body);
        let answer = request.timeout(PATIENCE).send().await.expect("the driver answers");
        let mut answer: Value = answer.json().await.expect("JSON");
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{path}: {value}");
        value
    }
}

impl Drop for Browser {
    /// Ends the session, which ends the browser, and then the driver. Nothing here may panic: the test may have failed.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let (session, address) = (&self.session, self.address);
            let request =
                format!("DELETE /session/{session} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that the driver says it has taken.
fn port_of(driver: &mut Child) -> u16 {
    let lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    port.expect("chromedriver says where it listens")
}
