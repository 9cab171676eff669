//! The tree of supervision over HTTP: a monitor that runs, and a front that does.

use std::rc::Rc;

use actix::prelude::*;
use serde_json::json;
use tertulia_actors::services::QueryFrontService;
use tertulia_actors::settings::{FrontSettings, SupervisionSettings};
use tertulia_actors::supervision::events::{Path, Report, Reporter};
use tertulia_actors::supervision::monitor::Register;
use tertulia_actors::supervision::snapshot::{Action, Kind};
use tertulia_actors::supervision::supervised::Keeper;
use tertulia_actors::supervision::{Front, events::EventKind};

use tertulia_actors::testkit::Silent;

use super::stream::{SOON, read_until};
use super::*;

const TREE: &str = "/v1/supervision/tree";
const EVENTS: &str = "/v1/supervision/events";
const NOBODY: &str = "00000000-0000-0000-0000-000000000009";

/// Readers of the stream at the same time.
const READERS_MAX: usize = 4;

fn limits() -> SupervisionSettings {
    SupervisionSettings { readers_max: READERS_MAX, ..SupervisionSettings::default() }
}

fn keeper(monitor: &Addr<Monitor>, path: &str) -> Rc<Keeper> {
    let mut keeper = silent_keeper(path);
    let reporter = Reporter::new(monitor.clone(), Path::from(path));
    Rc::get_mut(&mut keeper).unwrap().reporter = reporter;
    keeper
}

pub(super) fn start_monitor(world: &Arc<World>) -> Addr<Monitor> {
    let ctx = Context::new();
    let monitor = ctx.address();
    let keeper = keeper(&monitor, "monitor");
    keeper.run(ctx, Monitor::new(world.clone(), Rc::clone(&keeper), limits()));
    monitor
}

impl TestApp {
    /// With tokens, the query service's front, and a router that answers nothing.
    async fn supervised() -> Self {
        let app = Self::with_tokens();
        let query = || {
            QueryFrontService(Arc::new(tertulia_actors::testkit::Always(Err(
                tertulia_actors::ports::QueryError::Failed("x".into()),
            ))))
        };
        let settings = FrontSettings { in_flight_max: 8, queue_max: 8, deadline_ms: 1_000 };
        drop(Front::start_with(query, settings, &limits(), &keeper(&app.monitor, "services/query")));
        let silent = Silent(Reporter::silent("silent")).start();
        app.monitor.do_send(Register {
            path: Path::from("shards/0/router"),
            kind: Kind::Actor,
            inspect: None,
            act: Some(silent.recipient()),
            actions: &[Action::Restart],
        });
        let stands = async {
            while app.tree("?path=services/query").await.status != StatusCode::OK {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, stands).await.unwrap();
        app
    }

    async fn tree(&self, query: &str) -> Answer {
        self.call(bearer(get(&format!("{TREE}{query}")), CONSOLE_TOKEN)).await
    }

    async fn ask(&self, path_and_action: &str) -> Answer {
        let uri = format!("/v1/supervision/{path_and_action}");
        self.call(bearer(TestRequest::post().uri(&uri), CONSOLE_TOKEN)).await
    }

    async fn state(&self) -> Value {
        self.tree("?path=services/query").await.json()["state"].clone()
    }

    fn happens(&self, path: &str, kind: EventKind) {
        let path = Path::from(path);
        self.monitor.do_send(Report { path, kind, conversation: None, reason: None, count: None });
    }
}

fn streamed(request: TestRequest) -> TestRequest {
    bearer(request, CONSOLE_TOKEN).insert_header(("accept", "text/event-stream"))
}

#[actix_web::test]
async fn supervision_is_for_the_console_only() {
    let app = TestApp::supervised().await;
    let visitor = app.visit().await;
    let reads = [TREE, EVENTS, "/v1/supervision/conversations/x"].map(|uri| (true, uri));
    let acts = ["services/query/pause", "shards/0/router/restart", "nowhere/pause", "services/query/explode"];
    let acts = acts.map(|path| (false, format!("/v1/supervision/{path}")));
    let all = reads.into_iter().map(|(get, uri)| (get, uri.to_owned())).chain(acts);
    for (is_get, uri) in all {
        let request = || if is_get { get(&uri) } else { TestRequest::post().uri(&uri) };
        for refused in
            [request(), bearer(request(), "wrong"), bearer(request(), API_TOKEN), cookie(request(), &visitor)]
        {
            app.call(refused).await.assert_problem(401, "unauthorized");
        }
    }
    assert_eq!(app.state().await, "running", "somebody else's wish was done");
    let open = TestApp::new();
    open.call(get(TREE)).await.assert_problem(401, "unauthorized");
}

#[actix_web::test]
async fn the_tree_is_shown_whole_or_from_a_path_on() {
    let app = TestApp::supervised().await;
    let tree = app.tree("").await.json();
    let names = |node: &Value| -> Vec<String> {
        let children = node["children"].as_array().unwrap();
        children.iter().map(|child| child["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&tree), ["monitor", "services", "shards"]);
    let query = app.tree("?path=services/query").await.json();
    assert_eq!(query, tree["children"][1]["children"][0]);
    assert_eq!((&query["kind"], &query["state"]), (&json!("front"), &json!("running")));
    assert_eq!(query["actions"], json!(["restart", "pause", "resume", "drain"]));
    assert_eq!(query["detail"]["limits"]["queue_max"], 8);
    assert_eq!(names(&app.tree("?path=shards").await.json()), ["0"]);
    app.tree("?path=shards/00").await.assert_problem(404, "not_found");
    app.tree("?path=shards/0/router/x").await.assert_problem(404, "not_found");
}

#[actix_web::test]
async fn what_is_asked_is_done_and_a_read_changes_nothing() {
    let app = TestApp::supervised().await;
    for (action, state) in [("pause", "paused"), ("resume", "running"), ("drain", "draining")] {
        let uri = format!("/v1/supervision/services/query/{action}");
        app.call(bearer(get(&uri), CONSOLE_TOKEN)).await.assert_problem(405, "method_not_allowed");
        assert_ne!(app.state().await, state, "a read changed it");
        let answer = app.ask(&format!("services/query/{action}")).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(answer.json(), json!({"path": "services/query", "action": action}));
        assert_eq!(app.state().await, state);
    }
    app.ask("services/query/resume").await;
    let restarted = app.ask("services/query/restart").await;
    assert_eq!(restarted.status, StatusCode::ACCEPTED, "the handler unwinds: {}", restarted.body);
    let query = app.tree("?path=services/query").await.json();
    assert_eq!((&query["restarts"], &query["state"]), (&json!({"killed": 1}), &json!("running")));
}

#[actix_web::test]
async fn a_wish_that_cannot_be_done_is_refused_with_what_can() {
    let app = TestApp::supervised().await;
    let refused = async |path: &str, status, code, says: &str| {
        let answer = app.ask(path).await;
        answer.assert_problem(status, code);
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{}", answer.body);
    };
    refused("services/nothing/pause", 404, "not_found", "nothing stands at 'services/nothing'").await;
    refused("services/query/explode", 404, "not_found", "restart, pause, resume, drain").await;
    refused("shards/0/router/pause", 409, "not_allowed", "what can be asked of it: restart").await;
    refused("shards/0/pause", 409, "not_allowed", "nothing").await;
    refused("shards/0/router/restart", 503, "no_answer", "'shards/0/router' does not answer").await;
    refused("conversations/x/pause", 404, "not_found", "is not in memory").await;
    refused(&format!("conversations/{NOBODY}/pause"), 409, "not_allowed", "restart").await;
    refused(&format!("conversations/{NOBODY}/restart"), 404, "not_found", "it may exist all the same").await;
    for id in [NOBODY, "x"] {
        let answer =
            app.call(bearer(get(&format!("/v1/supervision/conversations/{id}")), CONSOLE_TOKEN)).await;
        answer.assert_problem(404, "not_found");
        assert!(answer.body.contains("is not in memory; it may exist all the same"), "{}", answer.body);
    }
}

#[actix_web::test]
async fn the_stream_tells_the_history_first_goes_on_and_resumes() {
    let app = TestApp::supervised().await;
    let (address, server) = app.serve().await;
    let client = crate::channels::client(SOON).unwrap();
    let open = async |after: &str, last: Option<&str>| {
        let mut request = client.get(format!("http://{address}{EVENTS}{after}")).bearer_auth(CONSOLE_TOKEN);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.send().await.unwrap()
    };
    app.happens("sweep", EventKind::Failed);
    let mut stream = open("", None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let text = read_until(&mut stream, "event: failed").await;
    assert!(text.starts_with("retry: 1000\n\nevent: started\nid: 170000000000"), "{text}");
    app.ask("services/query/pause").await;
    let text = read_until(&mut stream, "\"kind\":\"paused\"}\n\n").await;
    let id = text.split("id: ").nth(1).unwrap().split('\n').next().unwrap();
    let data = text.split("data: ").nth(1).unwrap().split('\n').next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&data["path"], &data["kind"]), (&json!("services/query"), &json!("paused")));
    assert_eq!(data["id"].to_string(), id);

    app.happens("sweep", EventKind::Restarted);
    for (after, last) in
        [(String::new(), Some(id)), (format!("?after={id}"), None), ("?after=1".into(), Some(id))]
    {
        let mut resumed = open(&after, last).await;
        let text = read_until(&mut resumed, "event: ").await;
        assert!(text.contains("event: restarted"), "{text}");
    }
    app.draining.send(true).unwrap();
    let ended = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(SOON, ended).await.expect("a drain ends the stream");
    app.call(streamed(get(EVENTS))).await.assert_problem(503, "draining");
    server.stop(false).await;
}

#[actix_web::test]
async fn the_history_is_read_as_json_and_takes_no_readers_place() {
    let app = TestApp::supervised().await;
    let open: Vec<_> =
        futures_util::future::join_all((0..READERS_MAX).map(|_| app.answer(streamed(get(EVENTS))))).await;
    assert!(open.iter().all(|stream| is_stream(stream.response().body())));
    app.call(streamed(get(EVENTS))).await.assert_problem(503, "too_many_streams");
    app.happens("sweep", EventKind::Failed);
    let read = async |query: &str| {
        let request = bearer(get(&format!("{EVENTS}{query}")), CONSOLE_TOKEN);
        app.call(request.insert_header(("accept", "application/json"))).await
    };
    let all = read("").await.json();
    let events = all["events"].as_array().unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["path"], &last["kind"], &last["at"]),
        (&json!("sweep"), &json!("failed"), &json!("2023-11-14T22:13:20.000Z"))
    );
    let before = events[events.len() - 2]["id"].clone();
    assert_eq!(read(&format!("?after={before}")).await.json()["events"], json!([last]));
    read("?after=x").await.assert_problem(400, "invalid_query");
    drop(open);
    assert!(is_stream(app.answer(streamed(get(EVENTS))).await.response().body()), "who left makes room");
}
