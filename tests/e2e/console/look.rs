//! What is looked for on a page: faults of accessibility that axe finds, in both themes, wide and narrow; what does not fit; and a
//! picture where one is wanted.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::webdriver::Browser;

/// Window sizes by name, in CSS pixels.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("narrow", 360, 780)];

const THEMES: [&str; 2] = ["light", "dark"];

/// Waits until what was changed is drawn.
const DRAWN: &str =
    "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))";

/// Looks at what a browser shows, and gathers what is wrong.
pub(super) struct Inspector<'a> {
    browser: &'a Browser,
    axe: Option<String>,
    pictures: Option<PathBuf>,
    wrong: Vec<String>,
}

impl<'a> Inspector<'a> {
    pub(super) fn new(browser: &'a Browser) -> Self {
        let pictures = std::env::var_os("TERTULIA_SCREENSHOTS").map(PathBuf::from);
        Self { browser, axe: axe(), pictures, wrong: vec![] }
    }

    /// Looks at what is shown, in every size and theme.
    pub(super) async fn look(&mut self, name: &str) {
        for (size, width, height) in SIZES {
            self.browser.resize(width, height).await;
            self.browser.wait_until(&format!("return innerWidth === {width}")).await;
            for theme in THEMES {
                self.browser.script(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
                self.browser.script(DRAWN).await;
                let what = format!("{name}, {theme}, {size}");
                self.measure(&what).await;
                self.find_violations(&what).await;
                self.take_picture(&format!("{name}-{theme}-{size}").replace(' ', "-")).await;
            }
        }
    }

    /// Fails where anything was wrong.
    pub(super) fn end(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }

    async fn measure(&mut self, what: &str) {
        let excess = "return Math.max(0, document.documentElement.scrollWidth - innerWidth)";
        let excess = self.browser.script(excess).await;
        if excess != 0 {
            self.wrong.push(format!("{what}: {excess} px wider than the window"));
        }
    }

    async fn find_violations(&mut self, what: &str) {
        let Some(axe) = &self.axe else { return };
        // Once for each page that was loaded: it is large.
        if self.browser.script("return typeof axe === 'undefined'").await == true {
            self.browser.script(axe).await;
        }
        let run = "return axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
            .then(({ violations }) => violations.map(({ id, nodes }) =>
                `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`))";
        let found = self.browser.script(run).await;
        let found = found.as_array().expect("a list").iter().filter_map(Value::as_str);
        self.wrong.extend(found.map(|found| format!("{what}: {found}")));
    }

    async fn take_picture(&self, name: &str) {
        let Some(folder) = &self.pictures else { return };
        fs::create_dir_all(folder).expect("a folder");
        let picture = decode(&self.browser.screenshot().await);
        fs::write(folder.join(format!("{name}.png")), picture).expect("a picture is written");
    }
}

/// The source of axe-core; none where it could not be fetched, which was said loudly.
#[expect(clippy::print_stderr, reason = "what is skipped is said loudly")]
fn axe() -> Option<String> {
    if std::env::var_os("TERTULIA_SKIP_AXE").is_some() {
        eprintln!("SKIPPED: axe-core is not there (TERTULIA_SKIP_AXE is set)");
        return None;
    }
    let path = std::env::var_os("TERTULIA_TEST_AXE").expect("tests/run fetches axe-core");
    Some(fs::read_to_string(path).expect("axe-core can be read"))
}

/// The bytes of a base64 text (RFC 4648, 4).
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |digit: u8| DIGITS.iter().position(|known| *known == digit).unwrap_or(0);
    let (mut bytes, mut bits, mut held) = (vec![], 0_usize, 0_u32);
    for digit in text.bytes().filter(|digit| DIGITS.contains(digit)) {
        bits = (bits << 6) | value(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).expect("eight bits"));
        }
    }
    bytes
}
