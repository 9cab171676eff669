use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer, web};
use sha2::{Digest, Sha256};

use super::*;
use crate::secret::hex;

const COMMIT: &str = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41";
const WEIGHTS: &str = "weights of a small model";
const CONFIG: &str = r#"{"model_type": "bert", "hidden_size": 384}"#;

/// What the hub of a test says for a path below `/owner/name/resolve/`.
#[derive(Clone)]
enum Say {
    /// A small file.
    File(&'static str),
    /// A large file, which is elsewhere, with the hash that it should have.
    Elsewhere { hash: String, to: String },
    /// A status alone.
    Status(u16),
    /// The beginning of a file, of which more should come.
    Cut,
}

/// A hub on a port of its own, and the paths that it was asked for with who asked.
struct FakeHub {
    address: SocketAddr,
    calls: Receiver<(String, Option<String>)>,
    server: ServerHandle,
}

impl FakeHub {
    fn start(says: impl IntoIterator<Item = (String, Say)>) -> Self {
        let says: Arc<HashMap<String, Say>> = Arc::new(says.into_iter().collect());
        let (sender, calls) = channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = move || {
            let (says, sender) = (says.clone(), sender.clone());
            App::new().default_service(web::to(move |request: HttpRequest| {
                let token =
                    request.headers().get("authorization").map(|token| token.to_str().unwrap().to_owned());
                sender.send((request.path().to_owned(), token)).unwrap();
                let answer = respond(says.get(request.path()));
                async move { answer }
            }))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, calls, server: handle }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn respond(say: Option<&Say>) -> HttpResponse {
    let mut told: HttpResponseBuilder = HttpResponse::Ok();
    told.insert_header(("x-repo-commit", COMMIT));
    match say {
        None => HttpResponse::NotFound().insert_header(("x-error-code", "EntryNotFound")).finish(),
        Some(Say::File(text)) => told.insert_header(("x-linked-etag", "\"a-hash-of-git\"")).body(*text),
        Some(Say::Elsewhere { hash, to }) => HttpResponse::Found()
            .insert_header(("x-repo-commit", COMMIT))
            .insert_header(("x-linked-etag", format!("\"{hash}\"")))
            .insert_header(("location", to.as_str()))
            .finish(),
        Some(Say::Status(code)) => {
            HttpResponse::build(actix_web::http::StatusCode::from_u16(*code).unwrap()).body("k3y")
        }
        Some(Say::Cut) => {
            let parts = [
                Ok(web::Bytes::from_static(b"weights")),
                Err(actix_web::Error::from(std::io::Error::other("cut"))),
            ];
            told.no_chunking(1_000_000).streaming(futures_util::stream::iter(parts))
        }
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// A whole model: what is asked for first at `main` is then asked for at the commit.
fn model(weights: Say) -> Vec<(String, Say)> {
    let at = |revision: &str, file: &str| format!("/owner/name/resolve/{revision}/{file}");
    vec![
        (at("main", "config.json"), Say::File(CONFIG)),
        (at(COMMIT, "config.json"), Say::File(CONFIG)),
        (at(COMMIT, "tokenizer.json"), Say::File("{}")),
        (at(COMMIT, "1_Pooling/config.json"), Say::File("{\"a\": 1}")),
        (at(COMMIT, "model.safetensors"), weights),
    ]
}

struct Asked {
    models: tempfile::TempDir,
    hub: String,
    revision: Option<&'static str>,
}

impl Asked {
    fn of(hub: &FakeHub) -> Self {
        Self { models: tempfile::tempdir().unwrap(), hub: hub.url(), revision: None }
    }

    async fn fetch(&self, name: &str) -> Result<Fetched, FetchError> {
        let (name, token) = (name.parse().unwrap(), Secret::new("k3y"));
        let models = self.models.path();
        let wanted = Wanted { name: &name, revision: self.revision, models, hub: &self.hub, token: &token };
        fetch(&wanted, &ProgressBar::hidden()).await
    }

    /// What is in the folder of models, hidden or not.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.models.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[actix_web::test]
async fn a_model_of_a_hub_is_fetched_whole_checked_and_pinned() {
    // What is stored elsewhere is served without any header of the hub.
    let elsewhere = FakeHub::start([("/store/weights".to_owned(), Say::File(WEIGHTS))]);
    let to = format!("{}/store/weights?signature=x", elsewhere.url());
    let hub = FakeHub::start(model(Say::Elsewhere { hash: hash(WEIGHTS), to }));
    let asked = Asked::of(&hub);
    let fetched = asked.fetch("owner/name").await.unwrap();
    let folder = asked.models.path().join("name");
    assert_eq!((&fetched.folder, fetched.was_there), (&folder, false));
    assert_eq!(asked.left(), ["name"]);
    let written = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    assert_eq!(
        written,
        format!(
            "# owner/name {COMMIT} main\n{}  config.json\n{}  tokenizer.json\n{}  1_Pooling/config.json\n{}  \
             model.safetensors\n",
            hash(CONFIG),
            hash("{}"),
            hash("{\"a\": 1}"),
            hash(WEIGHTS)
        )
    );
    assert_eq!(fs::read_to_string(folder.join("model.safetensors")).unwrap(), WEIGHTS);
    let calls: Vec<_> = hub.calls.try_iter().collect();
    assert_eq!(calls.len(), REQUIRED.len() + OPTIONAL.len());
    assert!(calls.iter().all(|(_, token)| token.as_deref() == Some("Bearer k3y")), "{calls:?}");
    let calls: Vec<_> = elsewhere.calls.try_iter().collect();
    assert_eq!(calls, [("/store/weights".to_owned(), None)], "the token went to another host");

    // The second time there is nothing to ask.
    hub.server.stop(false).await;
    elsewhere.server.stop(false).await;
    let again = asked.fetch("owner/name").await.unwrap();
    assert_eq!(again, Fetched { was_there: true, ..fetched });
}

#[actix_web::test]
async fn a_fetch_that_fails_says_why_and_leaves_nothing() {
    let at = |file: &str| format!("/owner/name/resolve/{COMMIT}/{file}");
    let elsewhere = |to: &str| Say::Elsewhere { hash: hash(WEIGHTS), to: to.to_owned() };
    let with = |file: &str, say: Say| {
        let mut says = model(Say::File(WEIGHTS));
        says.push((at(file), say));
        says
    };
    let without = |file: &str| {
        model(Say::File(WEIGHTS)).into_iter().filter(|(path, _)| !path.ends_with(file)).collect()
    };
    let mut wrong = model(elsewhere("/store/weights"));
    wrong.push(("/store/weights".into(), Say::File("other weights")));
    let cases: [(Vec<(String, Say)>, &str); 12] = [
        (wrong, "model.safetensors has the sha256 "),
        (model(Say::Cut), "127.0.0.1 broke the connection while model.safetensors"),
        (without("config.json"), "owner/name at main has no config.json"),
        (without("/tokenizer.json"), &format!("owner/name at {COMMIT} has no tokenizer.json")),
        (without("model.safetensors"), "has no model.safetensors"),
        (with("modules.json", Say::Status(500)), "127.0.0.1 answered 500 for modules.json: it is overloaded"),
        (with("tokenizer.json", Say::Status(401)), "set HF_TOKEN"),
        (with("tokenizer.json", Say::Status(429)), "try again later"),
        (with("tokenizer.json", Say::Status(304)), "does not answer as the hub"),
        (with("tokenizer.json", Say::File("<html>")), "tokenizer.json is no JSON"),
        (model(elsewhere(&at("model.safetensors"))), "sent us around too often"),
        (model(elsewhere("http://store.example/weights")), "store.example without encryption"),
    ];
    for (says, expected) in cases {
        let hub = FakeHub::start(says);
        let asked = Asked::of(&hub);
        let error = asked.fetch("owner/name").await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains(expected), "{told} instead of {expected}");
        assert!(!error.is_usage() && !told.contains("k3y"), "{told}");
        assert!(asked.left().is_empty(), "{expected}: {:?} is left", asked.left());
        hub.server.stop(false).await;
    }
}

#[actix_web::test]
async fn a_hub_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let asked = Asked { models: tempfile::tempdir().unwrap(), hub, revision: None };
    let told = asked.fetch("owner/name").await.unwrap_err().to_string();
    assert_eq!(
        told,
        "127.0.0.1 could not be reached while config.json was fetched: nothing was kept; try again"
    );
    assert!(asked.left().is_empty());
}

#[actix_web::test]
async fn a_fetch_that_is_interrupted_leaves_nothing() {
    // Never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("http://{}", silent.local_addr().unwrap());
    let asked = Asked { models: tempfile::tempdir().unwrap(), hub, revision: None };
    let has_begun = async {
        while asked.left().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        found = asked.fetch("owner/name") => unreachable!("{found:?}"),
        () = has_begun => {}
    }
    assert!(asked.left().is_empty());
}

#[actix_web::test]
async fn two_fetches_at_the_same_time_both_find_the_model() {
    let hub = FakeHub::start(model(Say::File(WEIGHTS)));
    let asked = Asked::of(&hub);
    let (one, two) = tokio::join!(asked.fetch("owner/name"), asked.fetch("owner/name"));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.manifest, two.manifest);
    assert!(one.was_there != two.was_there, "only one of them has put it there");
    assert_eq!(asked.left(), ["name"]);
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn a_revision_is_asked_for_and_remembered() {
    let says = model(Say::File(WEIGHTS)).into_iter();
    let hub =
        FakeHub::start(says.chain([("/owner/name/resolve/v1.0/config.json".into(), Say::File(CONFIG))]));
    let mut asked = Asked::of(&hub);
    asked.revision = Some("v1.0");
    let fetched = asked.fetch("owner/name").await.unwrap();
    assert_eq!(hub.calls.try_recv().unwrap().0, "/owner/name/resolve/v1.0/config.json");
    assert_eq!(fetched.manifest.asked.as_deref(), Some("v1.0"));
    for (revision, expected) in [
        (None, true),
        (Some("v1.0"), true),
        (Some(COMMIT), true),
        (Some("1110a24"), true),
        (Some("v2"), false),
    ] {
        asked.revision = revision;
        let found = asked.fetch("owner/name").await;
        assert_eq!(found.is_ok_and(|fetched| fetched.was_there), expected, "{revision:?}");
    }
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn what_is_in_the_place_of_a_model_is_never_replaced() {
    let hub = FakeHub::start(model(Say::File(WEIGHTS)));
    let asked = Asked::of(&hub);
    asked.fetch("owner/name").await.unwrap();
    let folder = asked.models.path().join("name");
    let manifest = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    let weights = || fs::read_to_string(folder.join("model.safetensors")).unwrap();

    fs::write(folder.join("model.safetensors"), "mine").unwrap();
    let told = asked.fetch("owner/name").await.unwrap_err().to_string();
    assert!(told.contains("is not as it was fetched: model.safetensors has another sha256"), "{told}");
    fs::write(folder.join(MANIFEST), manifest.replace("owner/name", "other/name")).unwrap();
    let told = asked.fetch("owner/name").await.unwrap_err().to_string();
    assert!(told.contains(&format!("holds other/name {COMMIT}")), "{told}");
    fs::remove_file(folder.join(MANIFEST)).unwrap();
    let told = asked.fetch("owner/name").await.unwrap_err().to_string();
    assert!(told.contains("has no files.sha256") && told.contains("--to"), "{told}");
    assert_eq!(weights(), "mine");
    assert_eq!(asked.left(), ["name"]);
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn a_wrong_wish_is_told_before_anybody_is_asked() {
    let hub = FakeHub::start([]);
    for (name, revision, url, expected) in [
        ("unknown", None, None, "no known model is named 'unknown': known are all-MiniLM-L6-v2, "),
        (DEFAULT_MODEL, Some("main"), None, "leave out --revision"),
        ("owner/name", Some("../x"), None, "'../x' is no revision"),
        ("owner/name", None, Some("http://hub.example"), "'http://hub.example' is no address of a hub"),
    ] {
        let mut asked = Asked::of(&hub);
        asked.revision = revision;
        asked.hub = url.map_or(asked.hub, str::to_owned);
        let error = asked.fetch(name).await.unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(expected), "{error}");
        assert!(asked.left().is_empty());
    }
    assert!(hub.calls.try_recv().is_err(), "the hub was asked");
    hub.server.stop(false).await;
}
