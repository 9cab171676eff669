//! The files of the console, which are part of the program.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

use crate::http::answer::Moved;
use crate::http::files::{self, ConsoleFile, File};
use crate::http::parameters::Path;
use crate::http::problem::Problem;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Every file by its name below `/console/`.
macro_rules! files {
    ($($kind:ident $name:literal),* $(,)?) => {
        const FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("page/", $name)))),*];
    };
}

files! {
    HTML "index.html",
    STYLE "console.css",
    SCRIPT "api.js",
    SCRIPT "audit.js",
    SCRIPT "chart.js",
    SCRIPT "conversation.js",
    SCRIPT "conversations.js",
    SCRIPT "entry.js",
    SCRIPT "format.js",
    SCRIPT "handoff.js",
    SCRIPT "journeys.js",
    SCRIPT "knowledge.js",
    SCRIPT "leftovers.js",
    SCRIPT "live.js",
    SCRIPT "main.js",
    SCRIPT "overview.js",
    SCRIPT "pages.js",
    SCRIPT "place.js",
    SCRIPT "route.js",
    SCRIPT "sign_in.js",
    SCRIPT "theme.js",
    SCRIPT "tree.js",
    SCRIPT "ui.js",
    TEXT "vendor/LICENSES.txt",
    SCRIPT "vendor/hooks.js",
    SCRIPT "vendor/htm.js",
    SCRIPT "vendor/preact.js",
}

/// Paths are looked up below `/console/`.
pub(in crate::http) async fn redirect() -> Moved {
    Moved("/console/")
}

/// A file; every other path is a view of the page, whose state is in the address.
pub(in crate::http) async fn file(
    request: HttpRequest,
    name: Path<String>,
) -> Result<File<ConsoleFile>, Problem> {
    let find = |wanted: &str| FILES.iter().find(|(name, ..)| *name == wanted);
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_view = !name.contains('.') || accept.contains("text/html");
    let found = find(&name).or_else(|| find("index.html").filter(|_| is_view));
    let (_, kind, content) = found.ok_or_else(|| Problem::not_found("the console has no such file"))?;
    Ok(files::file(kind, content))
}
