//! A reader of the stream of events, as the console is one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client};

/// Reads the stream until it is dropped; connects again where it left off.
pub struct Listener {
    heard: Arc<Mutex<Vec<Value>>>,
    reading: JoinHandle<()>,
}

impl Listener {
    pub fn start(bench: &Bench) -> Self {
        let heard = Arc::new(Mutex::new(vec![]));
        let reading = tokio::spawn(read(bench.url("/v1/supervision/events"), Arc::clone(&heard)));
        Self { heard, reading }
    }

    /// What was heard so far.
    pub fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something was heard.
    pub async fn wait_for(&self, bench: &Bench, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                if let Some(event) = self.heard().into_iter().find(&is_meant) {
                    return event;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let heard = tokio::time::timeout(PATIENCE, waiting).await;
        heard.unwrap_or_else(|_| panic!("{what} was not heard: {:?}\n{}", self.heard(), bench.log()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(url: String, heard: Arc<Mutex<Vec<Value>>>) {
    let mut last = String::from("0");
    loop {
        let request = client().get(&url).bearer_auth(CONSOLE_TOKEN).header("last-event-id", &last);
        let mut text = Vec::new();
        if let Ok(mut stream) = request.header("accept", "text/event-stream").send().await {
            while let Ok(Some(chunk)) = stream.chunk().await {
                text.extend_from_slice(&chunk);
                while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                    let frame: Vec<u8> = text.drain(..end + 2).collect();
                    take(&String::from_utf8_lossy(&frame), &mut last, &heard);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes one event; its name and its number must be those in its data.
fn take(frame: &str, last: &mut String, heard: &Mutex<Vec<Value>>) {
    let line = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    let Some(data) = line("data: ") else { return };
    let event: Value = serde_json::from_str(data).expect("an event's data is JSON");
    assert_eq!(line("id: "), Some(event["id"].to_string().as_str()), "{frame}");
    assert_eq!(line("event: "), event["kind"].as_str(), "{frame}");
    *last = event["id"].to_string();
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
}
