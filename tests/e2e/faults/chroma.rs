//! A collection elsewhere whose server is killed in the middle of a load, and comes back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::panics::{bench_with, wait_until_told};
use super::{bursts, check_promises, play};
use crate::chroma::{Chroma, use_collection};
use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client, run};

/// People who write at the same time.
const PEOPLE: usize = 20;

/// The best hit for a question, if there is one; none where the search cannot be made now, and says so.
async fn best(bench: &Bench, question: &str) -> Option<Value> {
    let url = reqwest::Url::parse_with_params(&bench.url("/v1/knowledge/search"), [("q", question)]);
    let asked = client().get(url.expect("an address")).bearer_auth(CONSOLE_TOKEN).send().await;
    let answer = asked.expect("the server answers");
    let status = answer.status().as_u16();
    let mut found: Value = answer.json().await.expect("JSON");
    assert!(status == 503 && found["code"].is_string() || found["hits"].is_array(), "{status} {found}");
    found.get_mut("hits").map(|hits| hits.get_mut(0).map_or(Value::Null, |hit| hit["entry"]["id"].take()))
}

#[test]
fn a_collection_whose_server_is_killed_under_load_costs_no_message_and_is_found_again() {
    run(async {
        let Some(mut chroma) = Chroma::start().await else { return };
        chroma.create("kb-load", "cosine").await;
        let mut bench = bench_with(tertulia::load::providers::ProviderOptions::default());
        use_collection(&mut bench, &chroma, "kb-load");
        bench.set("vectors.chroma.timeout_ms", "500");
        bench.set("turns.patience_ms", "1000");
        let mut server = bench.start().await;
        let camels =
            json!([{"id": "camels", "language": "en", "question": "Do you have camels?", "answer": "Two."}]);
        let put =
            client().post(bench.url("/v1/knowledge")).bearer_auth(CONSOLE_TOKEN).json(&camels).send().await;
        assert!(put.expect("the server answers").status().is_success(), "{}", bench.log());

        // Some turns are under way when it dies, and others begin without it.
        let mut all = bursts("collection", PEOPLE, 0);
        play(&bench, &all).await;
        chroma.kill();
        let later = bursts("collection", PEOPLE, 1);
        play(&bench, &later).await;
        all.extend(later);
        bench.wait_until_idle().await;
        check_promises(&bench, &all, "collection");
        wait_until_told(&bench, "services/vectors", "GaveUp").await;
        let degraded = "SELECT count(*) > 0 FROM turns WHERE journey LIKE '%\"degraded\":true%'";
        assert_eq!(bench.count(degraded), 1, "nobody was answered without it");
        assert_eq!(best(&bench, "Do you have camels?").await, None, "nothing pretends to have searched");
        let removed =
            client().delete(bench.url("/v1/knowledge?id=camels")).bearer_auth(CONSOLE_TOKEN).send().await;
        assert_eq!(removed.expect("the server answers").status().as_u16(), 503);

        chroma.run().await;
        let begun = Instant::now();
        while best(&bench, "Do you have camels?").await != Some(json!("camels")) {
            assert!(begun.elapsed() < PATIENCE, "it is not found again: {}", bench.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let last = bursts("collection", PEOPLE, 2);
        play(&bench, &last).await;
        all.extend(last);
        bench.wait_until_idle().await;
        check_promises(&bench, &all, "collection");
        server.ends_clean(&bench).await;
    });
}
