//! Supervision as an operator meets it: the tree, the stream of events, and what can be asked of what stands there.

mod actions;
mod listener;
mod store;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tertulia::load::bursts::{Burst, Bursts};

use crate::bursts::judge;
use crate::support::{Bench, CONSOLE_TOKEN, client, run};

/// One burst each of so many people.
fn bursts(run: &str, people: usize, number: usize) -> Vec<Burst> {
    let made = Bursts::new(37, run);
    (0..people).map(|person| made.burst(person, number)).collect()
}

/// Writes bursts, all people at once, until all is acknowledged.
async fn play(bench: &Bench, bursts: &[Burst]) {
    let sender = bench.sender();
    for played in join_all(bursts.iter().map(|burst| sender.play(burst))).await {
        played.expect("acknowledged");
    }
}

/// Checks that everything that was written is answered once, to whom it belongs, and that the books are exact.
fn check_promises(bench: &Bench, bursts: &[Burst], run: &str) {
    let verdict = judge(bursts, &bench.providers.sent(), run);
    assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]), "lost, or answered twice");
    assert!(verdict.swapped.is_empty(), "somebody else's words: {:?}", verdict.swapped);
    let books = bench.books();
    assert!(books.balance(), "{books:?}");
    let left = (books.pending, books.parts_pending, books.parts_ambiguous, books.dead_lettered);
    let written: usize = bursts.iter().map(|burst| burst.messages.len()).sum();
    assert_eq!((usize::try_from(books.received), left), (Ok(written), (0, 0, 0, 0)), "{books:?}");
    let checked = bench.command(&["db", "check"]).output().expect("the binary runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// Asks for a path below `/v1/supervision` as an operator.
async fn call(bench: &Bench, method: Method, path: &str) -> (u16, Value) {
    let url = bench.url(&format!("/v1/supervision/{path}"));
    let answer = client().request(method, url).bearer_auth(CONSOLE_TOKEN).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// Asks what stands at a path to do something, which must be possible.
pub async fn ask(bench: &Bench, path: &str, action: &str) {
    let (status, body) = call(bench, Method::POST, &format!("{path}/{action}")).await;
    assert_eq!(status, 202, "{path}/{action}: {body}\n{}", bench.log());
}

/// Everything that stands in the tree, by path.
async fn tree(bench: &Bench) -> BTreeMap<String, Value> {
    let (status, root) = call(bench, Method::GET, "tree").await;
    assert_eq!(status, 200, "{root}");
    let (mut found, mut next) = (BTreeMap::new(), vec![root]);
    while let Some(mut node) = next.pop() {
        if let Some(Value::Array(children)) = node.as_object_mut().and_then(|node| node.remove("children")) {
            next.extend(children);
        }
        found.insert(node["path"].as_str().expect("a path").to_owned(), node);
    }
    found
}

/// How what stands at a path is.
pub async fn state(bench: &Bench, path: &str) -> String {
    tree(bench).await[path]["state"].as_str().expect("a state").to_owned()
}

/// A figure of what stands at a path.
async fn figure(bench: &Bench, path: &str, name: &str) -> u64 {
    tree(bench).await[path][name].as_u64().unwrap_or_default()
}

/// What stands below each shard.
const OF_SHARD: [(&str, &str); 6] = [
    ("", "thread"),
    ("/router", "actor"),
    ("/router/conversations", "conversations"),
    ("/dispatcher", "actor"),
    ("/turns", "actor"),
    ("/feed", "actor"),
];

#[test]
fn the_tree_lists_everything_that_works_and_everything_runs() {
    run(async {
        let mut bench = Bench::new();
        bench.set("runtime.shards", "2");
        let _server = bench.start().await;
        let one = bursts("tree", 5, 0);
        play(&bench, &one).await;
        bench.wait_until_idle().await;
        let tree = tree(&bench).await;
        let kinds: Vec<_> =
            tree.iter().map(|(path, node)| (path.as_str(), node["kind"].as_str().unwrap_or("?"))).collect();
        let mut expected = vec![
            ("", "group"),
            ("channels", "group"),
            ("channels/whatsapp", "front"),
            ("monitor", "actor"),
            ("services", "thread"),
            ("services/classifier", "front"),
            ("services/embedding", "front"),
            ("services/query", "front"),
            ("services/vectors", "front"),
            ("shards", "group"),
            ("store", "front"),
            ("store/checkpoints", "thread"),
            ("store/readers", "thread"),
            ("store/writer", "thread"),
            ("suspects", "actor"),
            ("sweep", "actor"),
        ];
        let shards = ["shards/0", "shards/1"];
        let of_shard =
            |(name, kind): &(&str, &'static str)| shards.map(|shard| (format!("{shard}{name}"), *kind));
        let of_shards: Vec<(String, &str)> = OF_SHARD.iter().flat_map(of_shard).collect();
        expected.extend(of_shards.iter().map(|(path, kind)| (path.as_str(), *kind)));
        expected.sort_unstable();
        let missing: Vec<_> = expected.iter().filter(|known| !kinds.contains(known)).collect();
        assert!(missing.is_empty(), "{missing:?} are not among {kinds:?}");
        for (path, node) in &tree {
            assert_eq!(node["state"], "running", "{path}: {node}");
        }
        let live: u64 = (0..2)
            .map(|shard| {
                tree[&format!("shards/{shard}/router/conversations")]["detail"]["live"].as_u64().unwrap_or(0)
            })
            .sum();
        assert_eq!(live, 5);
        assert!(
            tree["store"]["handled"].as_u64() >= Some(5)
                && tree["store"]["latency"]["p99_ms"].as_f64() > Some(0.0)
        );
        assert!(tree["channels/whatsapp"]["handled"].as_u64() >= Some(5), "{}", tree["channels/whatsapp"]);
        // No words of anybody.
        let text = format!("{tree:?}");
        assert!(
            one.iter()
                .flat_map(|burst| &burst.messages)
                .all(|message| !text.contains(&message.token.text("tree")))
        );
    });
}

#[test]
fn a_conversation_is_seen_while_it_is_in_memory() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "30000");
        bench.set("conversation.max_wait_ms", "60000");
        let _server = bench.start().await;
        let one = bursts("seen", 1, 0);
        play(&bench, &one).await;
        let id: String = bench
            .read()
            .query_row("SELECT id FROM conversations", [], |row| row.get(0))
            .expect("a conversation");
        let path = format!("conversations/{id}");
        let messages = one[0].messages.len() as u64;
        let seen = async {
            loop {
                let (status, seen) = call(&bench, Method::GET, &path).await;
                if status == 200 && seen["waiting"].as_u64() == Some(messages) {
                    return seen;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let seen = tokio::time::timeout(crate::support::PATIENCE, seen).await.expect("it is in memory");
        assert_eq!(
            (seen["id"].as_str(), seen["detail"]["phase"].as_str()),
            (Some(id.as_str()), Some("gathering"))
        );
        let (status, problem) =
            call(&bench, Method::GET, "conversations/00000000-0000-0000-0000-000000000009").await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")));
        let (status, problem) = call(&bench, Method::POST, &format!("{path}/pause")).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("not_allowed")));
    });
}
