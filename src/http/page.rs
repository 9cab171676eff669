//! The chat page: what a newcomer opens first.

use actix_web::{HttpRequest, web};

use super::auth::{new_visitor_cookie, visitor};
use super::files::{File, Html, Script, Style, file};
use super::messages::peer;
use super::problem::Problem;
use super::state::HttpState;

/// The page. A visitor without a cookie gets one.
pub(super) async fn index(request: HttpRequest, state: web::Data<HttpState>) -> Result<File<Html>, Problem> {
    expect_enabled(&state)?;
    let mut page = file("text/html; charset=utf-8", include_str!("page/index.html"));
    if visitor(&request).is_none() {
        state.rates.cookie(&peer(&request))?;
        let https = request.connection_info().scheme() == "https";
        let cookie = new_visitor_cookie(https || state.settings.web.secure_cookie)?;
        page.response.add_cookie(&cookie).map_err(|error| {
            tracing::error!(%error, "the visitor's cookie cannot be written");
            Problem::new(500, "internal", "the visitor's cookie cannot be written")
        })?;
    }
    Ok(page)
}

/// The page's script.
pub(super) async fn script(state: web::Data<HttpState>) -> Result<File<Script>, Problem> {
    expect_enabled(&state)?;
    Ok(file("text/javascript; charset=utf-8", include_str!("page/app.js")))
}

/// The page's style.
pub(super) async fn style(state: web::Data<HttpState>) -> Result<File<Style>, Problem> {
    expect_enabled(&state)?;
    Ok(file("text/css; charset=utf-8", include_str!("page/style.css")))
}

fn expect_enabled(state: &HttpState) -> Result<(), Problem> {
    if state.settings.web.enabled {
        return Ok(());
    }
    Err(Problem::new(404, "channel_disabled", "the chat page is not enabled here"))
}
