//! What the sources say, and what is said about bad ones.

use super::super::ranges;
use super::*;

fn config(text: &str) -> Result<Config, ConfigError> {
    config_with(text, &[], &[])
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn config_with(
    text: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, text).unwrap();
    load(&Sources { file: Some(file), environment: variables(environment), flags: pairs(flags) })
}

fn complaint(text: &str) -> String {
    config(text).expect_err("the configuration is bad").to_string()
}

#[test]
fn the_file_in_the_repository_states_the_defaults() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")).unwrap();
    let written = Table::try_from(config(&text).unwrap()).unwrap();
    let defaults = Table::try_from(Config::default()).unwrap();
    assert_eq!(written, defaults);
    let stated: Table = text.parse().unwrap();
    let mut missing = vec![];
    compare("", &defaults, &stated, &mut missing);
    assert!(missing.is_empty(), "config.toml does not mention {missing:?}");
}

/// Collects the keys of `wanted` that `stated` does not have.
fn compare(prefix: &str, wanted: &Table, stated: &Table, missing: &mut Vec<String>) {
    for (key, value) in wanted {
        let path = format!("{prefix}{key}");
        match (value, stated.get(key)) {
            (Value::Table(wanted), Some(Value::Table(stated))) => {
                compare(&format!("{path}."), wanted, stated, missing);
            }
            (_, None) => missing.push(path),
            _ => {}
        }
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let text = "[conversation]\nquiet_ms = 1\nmax_wait_ms = 10\n";
    let environment =
        [("TERTULIA__CONVERSATION__QUIET_MS", "2"), ("TERTULIA__CONVERSATION__MAX_WAIT_MS", "20")];
    let config = config_with(text, &environment, &[("conversation.quiet_ms", "3")]).unwrap();
    assert_eq!((config.conversation.quiet_ms, config.conversation.max_wait_ms), (3, 20));
}

#[test]
fn the_environment_gives_text_numbers_truths_and_lists() {
    let environment = [
        ("TERTULIA__SERVER__BIND", "127.0.0.1:0"),
        ("TERTULIA__CONSOLE__TOKEN", "123456"),
        ("TERTULIA__QUERY__LLM__BASE_URL", "http://127.0.0.1:1/v1"),
        ("TERTULIA__KNOWLEDGE__SAMPLE", "false"),
        ("TERTULIA__PIPELINE__LANGUAGES", "[\"ar\"]"),
        ("TERTULIA__ROUTES__THANKS", "query"),
        ("TERTULIA_FAILPOINTS", "not a key"),
    ];
    let config = config_with("", &environment, &[]).unwrap();
    assert_eq!(config.server.bind, "127.0.0.1:0");
    assert_eq!(&*config.console.token.expose(), "123456");
    assert_eq!(config.query.llm.base_url, "http://127.0.0.1:1/v1");
    assert!(!config.knowledge.sample);
    assert_eq!(config.pipeline.languages.len(), 1);
    assert_eq!(config.routes.thanks, tertulia_actors::domain::Route::Query);
}

#[test]
fn bad_configuration_is_named_with_its_key_and_what_is_allowed() {
    for (text, expected) in [
        ("[server]\nbynd = 1", &["server", "bynd", "bind"][..]),
        ("[sever]\nbind = 1", &["sever", "server"]),
        ("[conversation]\nquiet_ms = \"soon\"", &["conversation.quiet_ms", "soon", "u64"]),
        ("[conversation]\nquiet_ms = -1", &["conversation.quiet_ms", "-1"]),
        ("[conversation]\non_new_message = \"drop\"", &["conversation.on_new_message", "drop", "queue"]),
        ("[conversation]\nmax_messages = 0", &["conversation.max_messages", "0", "1"]),
        ("[routes]\nthanks = \"phone\"", &["routes.thanks", "phone", "silent"]),
        ("[pipeline]\nreply_score_min = 7.0", &["pipeline.reply_score_min", "7", "0 to 1"]),
        ("[server]\nbind = \"here\"", &["server.bind", "here", "127.0.0.1:8080"]),
        ("[inbox]\ndedupe_days = 3", &["inbox.dedupe_days", "3", "8"]),
        ("[turns]\nmax_attempts = 0", &["turns.max_attempts", "0", "1 to 1000"]),
        ("[turns]\nmax_interrupted = 0", &["turns.max_interrupted", "0", "1 to 1000"]),
        ("[turns]\ntimeout_ms = 60000", &["query.front.deadline_ms", "120000", "turns.timeout_ms"]),
        ("[turns]\nretry_base_ms = 40000", &["turns.retry_base_ms", "40000", "turns.retry_max_ms"]),
        ("[channels.whatsapp]\ntimeout_ms = 0", &["channels.whatsapp.timeout_ms", "0", "1 to"]),
        (
            "[channels.whatsapp]\ntimeout_ms = 3000",
            &["channels.whatsapp.connect_timeout_ms", "3000", "channels.whatsapp.timeout_ms"],
        ),
        (
            "[channels.front]\ndeadline_ms = 15000",
            &["channels.whatsapp.timeout_ms", "15000", "channels.front.deadline_ms"],
        ),
        ("[query.llm]\ntimeout_ms = 120000", &["query.llm.timeout_ms", "120000", "query.front.deadline_ms"]),
        (
            "[classifier]\nbackend = \"llm\"\nllm_timeout_ms = 30000\n[query.llm]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"",
            &["classifier.llm_timeout_ms", "30000", "turns.timeout_ms less query.front.deadline_ms"],
        ),
        ("[query.llm]\ntemperature = -1.0", &["query.llm.temperature", "-1", "0 to 2"]),
        ("[sweep]\nsweep_ms = 0", &["sweep.sweep_ms", "0", "10 to"]),
        ("[storage]\nretry_after_ms = 0", &["storage.retry_after_ms", "0", "10 to"]),
        ("[storage]\nprobe_ms = 0", &["storage.probe_ms", "0", "10 to"]),
        ("[storage]\nqueue_max = 3072", &["storage.admission_queue_max", "3072", "storage.queue_max"]),
        ("[storage]\nwal_limit_pages = 10", &["storage.wal_checkpoint_pages", "1000", "wal_limit_pages"]),
        ("[conversation]\nidle_ms = 0", &["conversation.idle_ms", "0", "1 to"]),
        ("[outbox]\nlanes_max = 0", &["outbox.lanes_max", "0", "1 to"]),
        ("[outbox]\nretry_max_ms = 100", &["outbox.retry_base_ms", "500", "outbox.retry_max_ms"]),
        ("[server]\nbody_limit_bytes = 0", &["server.body_limit_bytes", "0", "1024 to"]),
        ("[log]\nlevel = \"inof\"", &["log.level", "inof", "info"]),
        ("[query.front]\ndeadline = 1", &["query.front", "deadline", "deadline_ms"]),
        ("[storage]\nbackend = \"oracle\"", &["storage.backend", "oracle", "sqlite"]),
        ("[phrases.fallbak]\nen = \"x\"", &["phrases.fallbak", "fallback"]),
        ("[channels.whatsapp]\nenabled = true", &["channels.whatsapp.app_secret"]),
        ("[query.llm]\nbase_url = \"ftp://x\"", &["query.llm.base_url", "ftp://x", "http"]),
    ] {
        let complaint = complaint(text);
        for word in expected {
            assert!(complaint.contains(word), "{text:?}: {complaint:?} does not say {word:?}");
        }
    }
}

#[test]
fn a_file_that_is_not_toml_is_named_with_the_line() {
    let complaint = complaint("[server\n");
    assert!(complaint.contains("config.toml") && complaint.contains("line 1"), "{complaint}");
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let sources = Sources { file: Some("/nowhere/config.toml".into()), ..Sources::default() };
    assert!(load(&sources).expect_err("no file").to_string().contains("/nowhere/config.toml"));
}

#[test]
fn a_secret_is_read_from_its_file_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, "hush\n").unwrap();
    let flags = [("console.token_file", file.to_str().unwrap())];
    let read = config_with("", &[], &flags).unwrap();
    assert_eq!(&*read.console.token.expose(), "hush");
    assert!(!format!("{read:?}").contains("hush"));
    let twice = config_with("[console]\ntoken = \"x\"", &[], &flags).expect_err("given twice");
    assert!(twice.to_string().contains("console.token"), "{twice}");
}

#[test]
fn every_secret_can_stand_in_a_file_from_which_it_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    for (key, _) in Config::default().secrets() {
        fs::write(&file, "old").unwrap();
        let flag = format!("{key}_file");
        let config = config_with("", &[], &[(&flag, file.to_str().unwrap())]).unwrap();
        let named = config.secrets().into_iter().filter(|(_, secret)| secret.matches("old"));
        assert_eq!(named.map(|(name, _)| name).collect::<Vec<_>>(), [key]);
        fs::write(&file, "new").unwrap();
        let changed = config.secrets().into_iter().filter(|(_, secret)| secret.reread().unwrap());
        assert_eq!(changed.map(|(name, _)| name).collect::<Vec<_>>(), [key]);
    }
}

#[test]
fn a_front_of_which_one_key_is_set_keeps_its_own_defaults_for_the_others() {
    let defaults = Table::try_from(Config::default()).unwrap();
    for front in ["channels", "query", "embedding", "vectors", "classifier"] {
        let own = ranges::find(&defaults, &format!("{front}.front.deadline_ms")).unwrap().clone();
        let own_threads = !matches!(front, "channels" | "query");
        for (name, value) in [("in_flight_max", 3_i64), ("queue_max", 7), ("deadline_ms", 80_000)] {
            if own_threads && name == "in_flight_max" {
                let refused = config(&format!("[{front}.front]\n{name} = {value}\n")).unwrap_err();
                assert!(refused.to_string().contains(name), "{refused}");
                continue;
            }
            let set = config(&format!("[{front}.front]\n{name} = {value}\n")).unwrap();
            let mut expected = defaults.clone();
            let section = expected.get_mut(front).unwrap().get_mut("front").unwrap().as_table_mut().unwrap();
            section.insert(name.to_owned(), Value::Integer(value));
            assert_eq!(
                Table::try_from(set).unwrap(),
                expected,
                "{front}.front.{name}; its deadline is {own}"
            );
        }
    }
}

#[test]
fn what_is_not_text_in_the_environment_matters_only_in_our_own_variables() {
    use std::os::unix::ffi::OsStringExt;
    let not_text = || OsString::from_vec(vec![b'a', 0xff]);
    let read = |name: OsString, value: OsString| {
        load(&Sources { environment: vec![(name, value)], flags: vec![], ..Sources::default() })
    };
    assert!(read("LS_COLORS".into(), not_text()).is_ok());
    assert!(read(not_text(), "x".into()).is_ok());
    let refused = read("TERTULIA__SERVER__BIND".into(), not_text()).expect_err("not text").to_string();
    assert!(refused.contains("TERTULIA__SERVER__BIND") && refused.contains("UTF-8"), "{refused}");
}

#[test]
fn no_complaint_shows_a_secret() {
    for text in [
        "[channels.whatsapp]\napp_secret = \"topsecret\nenabled = true",
        "[channels.whatsapp]\napp_secret = 31337001",
        "[console]\ntoken = [\"topsecret\"]",
    ] {
        let complaint = complaint(text);
        assert!(!complaint.contains("topsecret") && !complaint.contains("31337001"), "{complaint}");
    }
    assert!(complaint("[console]\ntoken = 5").contains("console.token"));
}

#[test]
fn an_empty_file_of_a_secret_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, "\n").unwrap();
    let flags = [("channels.api.token_file", file.to_str().unwrap())];
    let refused = config_with("", &[], &flags).expect_err("an empty token opens the channel").to_string();
    assert!(refused.contains("channels.api.token_file") && refused.contains("empty"), "{refused}");
}

#[test]
fn a_missing_file_of_a_secret_is_named_with_its_key() {
    let refused = complaint("[console]\ntoken_file = \"/nowhere/token\"");
    assert!(refused.contains("console.token_file") && refused.contains("/nowhere/token"), "{refused}");
}

#[test]
fn a_collection_elsewhere_needs_a_model_a_name_and_keys_that_differ() {
    let chroma = "[embedding]\nbackend = \"model\"\n[vectors]\nbackend = \"chroma\"\n[vectors.chroma]\n";
    assert!(config(&format!("{chroma}collection = \"kb\"")).is_ok());
    for (given, key, part) in [
        ("", "vectors.chroma.collection", "is empty"),
        ("collection = \"kb\"\nbase_url = \"127.0.0.1:8000\"", "vectors.chroma.base_url", "http://"),
        ("collection = \"kb\"\ntenant = \" \"", "vectors.chroma.tenant", "is empty"),
        ("collection = \"kb\"\ntoken_header = \"a b\"", "vectors.chroma.token_header", "'a b'"),
        ("collection = \"kb\"\nanswer_key = \"question\"", "vectors.chroma.answer_key", "also question_key"),
        ("collection = \"kb\"\nid_key = \"\"", "vectors.chroma.id_key", "is empty"),
        ("collection = \"kb\"\ntimeout_ms = 2000", "vectors.chroma.timeout_ms", "vectors.front.deadline_ms"),
    ] {
        let said = complaint(&format!("{chroma}{given}"));
        assert!(said.starts_with(&format!("{key}: ")) && said.contains(part), "{said}");
    }
    let said = complaint("[vectors]\nbackend = \"chroma\"\n[vectors.chroma]\ncollection = \"kb\"");
    assert!(said.starts_with("vectors.backend: ") && said.contains("embedding.backend"), "{said}");
}
