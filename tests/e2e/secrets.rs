//! Secrets that stand in files, and change while the server runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tertulia::load::bursts::{Burst, Bursts};
use tertulia::load::payloads::sign;
use tertulia::load::providers::{ModelBehaviour, ProviderOptions, WhatsappBehaviour};

use crate::bursts::judge;
use crate::support::{APP_SECRET, Bench, CONSOLE_TOKEN, PATIENCE, client, run};

/// Puts a secret of the bench into a file.
fn keep_in_file(bench: &mut Bench, key: &str, secret: &str) -> PathBuf {
    let path = bench.folder().join(key);
    std::fs::write(&path, secret).expect("a file");
    bench.set(key, "");
    bench.set(&format!("{key}_file"), path.to_str().expect("a readable path"));
    path
}

/// Waits until the log has a line with all these words.
async fn wait_for_log(bench: &Bench, words: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    while !bench.log().lines().any(|line| words.iter().all(|word| line.contains(word))) {
        assert!(Instant::now() < deadline, "no {words:?} in {}", bench.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn replies_wait_for_a_token_that_is_accepted_and_go_out_once_when_its_file_has_it() {
    run(async {
        let whatsapp = WhatsappBehaviour { access_token: "the-right-token".into(), ..Default::default() };
        let mut bench = Bench::with(ProviderOptions { whatsapp, ..ProviderOptions::default() });
        let file = keep_in_file(&mut bench, "channels.whatsapp.access_token", "the-wrong-token\n");
        bench.set("outbox.retry_base_ms", "50");
        bench.set("outbox.retry_max_ms", "200");
        // Nothing but the signal lets it be tried again before long.
        bench.set("supervision.probe_ms", "600000");
        bench.set("supervision.probe_max_ms", "600000");
        bench.set("log.level", "info");
        let server = bench.start().await;
        let made = Bursts::new(41, "token");
        let bursts: Vec<Burst> = (0..5).map(|person| made.burst(person, 0)).collect();
        for burst in &bursts {
            bench.sender().play(burst).await.expect("received although nothing can be sent");
        }
        bench.wait_for("SELECT count(*) FROM messages WHERE state = 'pending'", 0).await;
        bench.wait_for("SELECT count(*) FROM outbox WHERE attempt > 0", 5).await;
        assert_eq!(bench.count("SELECT count(*) FROM turns WHERE state = 'committed'"), 5);
        assert_eq!(bench.count("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')"), 5);
        assert_eq!(bench.providers.sent_count(), 0);

        // A file that is not there changes nothing, and is told.
        std::fs::remove_file(&file).expect("a file");
        server.signal("HUP");
        wait_for_log(&bench, &["WARN", "channels.whatsapp.access_token", "the old one is still used"]).await;

        std::fs::write(&file, "the-right-token\n").expect("a file");
        server.signal("HUP");
        assert!(bench.providers.wait_for_sent(5, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        let verdict = judge(&bursts, &bench.providers.sent(), "token");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
        assert_eq!(bench.providers.sent_count(), 5, "each once");
        let log = bench.log();
        assert!(
            log.lines()
                .any(|line| line.contains("channels.whatsapp.access_token") && line.contains("changed"))
        );
        assert!(!log.contains("-right-token") && !log.contains("-wrong-token"), "{log}");
        let leaked = "SELECT count(*) FROM outbox WHERE error LIKE '%-wrong-token%'";
        assert_eq!(bench.count(leaked), 0);
        for shown in ["/v1/supervision/events?after=0", "/v1/supervision/tree"] {
            let asked = client().get(bench.url(shown)).bearer_auth(CONSOLE_TOKEN);
            let answer = asked.header("accept", "application/json").send().await.expect("an answer");
            let text = answer.text().await.expect("a text");
            assert!(text.contains("401, code 190") && !text.contains("-wrong-token"), "{shown}: {text}");
        }
        assert!(!log.contains("channels.whatsapp.app_secret"), "what has not changed is not named");
    });
}

#[test]
fn webhooks_and_callers_must_show_the_new_secrets_once_their_files_have_them() {
    run(async {
        let mut bench = Bench::new();
        let app = keep_in_file(&mut bench, "channels.whatsapp.app_secret", APP_SECRET);
        let verify = keep_in_file(&mut bench, "channels.whatsapp.verify_token", "old-verify");
        let console = keep_in_file(&mut bench, "console.token", CONSOLE_TOKEN);
        let api = keep_in_file(&mut bench, "channels.api.token", "old-api");
        bench.set("log.level", "info");
        let server = bench.start().await;
        let status = async |request: reqwest::RequestBuilder| {
            request.send().await.expect("an answer").status().as_u16()
        };
        let webhook = |secret: &str| {
            let body = "{\"object\":\"whatsapp_business_account\",\"entry\":[]}";
            let request = client().post(bench.url("/webhooks/whatsapp"));
            status(request.header("x-hub-signature-256", sign(secret, body.as_bytes())).body(body))
        };
        let handshake = |token: &str| {
            let query = format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1");
            status(client().get(bench.url(&format!("/webhooks/whatsapp?{query}"))))
        };
        let review = |token: &str| status(client().get(bench.url("/v1/records")).bearer_auth(token));
        let post = |token: &str| {
            let request = client().post(bench.url("/v1/messages")).bearer_auth(token);
            let request = request.header("content-type", "application/json");
            status(request.body("{\"from\":\"p\",\"text\":\"hello\"}"))
        };
        assert_eq!((webhook(APP_SECRET).await, webhook("new-app").await), (200, 401));
        assert_eq!((handshake("old-verify").await, handshake("new-verify").await), (200, 403));
        assert_eq!((review(CONSOLE_TOKEN).await, review("new-console").await), (200, 401));
        assert_eq!((post("old-api").await, post("new-api").await), (202, 401));
        for (file, secret) in
            [(app, "new-app"), (verify, "new-verify"), (console, "new-console"), (api, "new-api")]
        {
            std::fs::write(file, secret).expect("a file");
        }
        assert_eq!(webhook(APP_SECRET).await, 200, "only when it is asked");
        server.signal("HUP");
        // They are read in the order of the configuration, this one last.
        wait_for_log(&bench, &["console.token", "changed"]).await;
        assert_eq!((webhook(APP_SECRET).await, webhook("new-app").await), (401, 200));
        assert_eq!((handshake("old-verify").await, handshake("new-verify").await), (403, 200));
        assert_eq!((review(CONSOLE_TOKEN).await, review("new-console").await), (401, 200));
        assert_eq!((post("old-api").await, post("new-api").await), (401, 202));
    });
}

#[test]
fn a_model_whose_key_is_corrected_answers_what_waited() {
    run(async {
        let model = ModelBehaviour { api_key: Some("the-right-key".into()), ..ModelBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model, ..ProviderOptions::default() });
        let file = keep_in_file(&mut bench, "query.llm.api_key", "the-wrong-key");
        bench.set("turns.unavailable_retry_ms", "50");
        // Nothing but the signal lets it be tried again before long.
        bench.set("supervision.probe_ms", "600000");
        bench.set("supervision.probe_max_ms", "600000");
        let server = bench.start().await;
        let burst = Bursts::new(43, "key").burst(0, 0);
        bench.sender().play(&burst).await.expect("acknowledged");
        let refused = async {
            while bench.providers.prompts().len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, refused).await.is_ok(), "{}", bench.log());
        assert_eq!(bench.providers.sent_count(), 0);
        std::fs::write(&file, "the-right-key").expect("a file");
        server.signal("HUP");
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        let verdict = judge(&[burst], &bench.providers.sent(), "key");
        assert_eq!((verdict.unanswered, verdict.doubled), (vec![], vec![]));
    });
}
