//! Files of the pages, which are part of the program.

use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};

/// Only our own files, nothing inline, and nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What a file is.
pub(super) trait FileKind {
    /// Its media type, or all of them that it may have.
    const TYPES: &'static [&'static str];
}

/// A page.
pub(super) struct Html;
/// A script.
pub(super) struct Script;
/// A style.
pub(super) struct Style;
/// Any file of the console.
pub(super) struct ConsoleFile;

impl FileKind for Html {
    const TYPES: &'static [&'static str] = &["text/html"];
}

impl FileKind for Script {
    const TYPES: &'static [&'static str] = &["text/javascript"];
}

impl FileKind for Style {
    const TYPES: &'static [&'static str] = &["text/css"];
}

impl FileKind for ConsoleFile {
    const TYPES: &'static [&'static str] = &["text/html", "text/javascript", "text/css", "text/plain"];
}

/// A file of a page.
pub(super) struct File<K> {
    pub(super) response: HttpResponse,
    of: PhantomData<fn() -> K>,
}

impl<K> Responder for File<K> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}

/// A file, which browsers ask for each time: a new program has new files, and a page may set a cookie that no shared cache may give
/// to somebody else.
pub(super) fn file<K>(content_type: &'static str, content: &'static str) -> File<K> {
    let response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)))
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-frame-options", "DENY"))
        .insert_header(("cache-control", "no-store"))
        .body(content);
    File { response, of: PhantomData }
}
