//! Who calls: a visitor of the chat page, a program, or a person who supervises.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{AUTHORIZATION, HOST, ORIGIN};
use sha2::{Digest, Sha256};
use tertulia_actors::domain::{Account, Channel, ConversationId};

use super::console::{Operator, Role, TOKEN_NAME, note_reading, signed_in};
use super::problem::Problem;
use super::state::{HttpState, no_such_conversation};
use super::trace::note_conversation;
use crate::secret::hex;

/// The cookie that fixes who a visitor is.
pub(super) const VISITOR_COOKIE: &str = "tertulia_visitor";

/// The hexadecimal digits of a visitor's token of 256 bits.
const TOKEN_DIGITS: usize = 64;

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Caller {
    /// A visitor of the chat page, by the digest of their token.
    Visitor(String),
    /// A program.
    Program,
    /// A person who supervises.
    Console(Operator),
}

impl Caller {
    /// The account that the caller's messages are written to; none for a supervisor, who does not write.
    pub(super) fn account(&self) -> Option<Account> {
        match self {
            Self::Visitor(_) => Some(Account::new(Channel::Web, "chat")),
            Self::Program => Some(Account::new(Channel::Api, "default")),
            Self::Console(_) => None,
        }
    }
}

/// Who calls, or why that cannot be said.
///
/// A bearer token goes before a cookie. Without either, a caller counts as a program where no token is configured, the
/// server listens on the loopback interface, and nothing says that the request comes from elsewhere.
pub(super) fn caller(request: &HttpRequest, state: &HttpState) -> Result<Caller, Problem> {
    if let Some(token) = bearer(request) {
        return if state.settings.console.token.matches(token) {
            Ok(Caller::Console(Operator { name: TOKEN_NAME.into(), role: Role::Admin, session: None }))
        } else if state.settings.api.token.matches(token) {
            Ok(Caller::Program)
        } else {
            Err(Problem::unauthorized("the bearer token is wrong"))
        };
    }
    if state.settings.web.enabled
        && let Some(visitor) = visitor(request)
    {
        return Ok(Caller::Visitor(visitor));
    }
    if !state.settings.api.token.is_empty() {
        return Err(Problem::unauthorized("show channels.api.token as a bearer token"));
    }
    if !state.settings.server.is_loopback() {
        return Err(Problem::unauthorized("set channels.api.token to open the API beyond this machine"));
    }
    if comes_from_elsewhere(request) {
        return Err(Problem::new(
            403,
            "foreign_origin",
            "set channels.api.token to open the API beyond this machine",
        ));
    }
    Ok(Caller::Program)
}

/// Only people who supervise and may do what takes this role: who shows the console's token, or has signed in.
///
/// What changes something must come from the console's own page: a browser shows a session by itself, whoever asks it to.
pub(super) fn operator(request: &HttpRequest, state: &HttpState, needed: Role) -> Result<Operator, Problem> {
    let operator = match bearer(request) {
        Some(token) if state.settings.console.token.matches(token) => {
            Operator { name: TOKEN_NAME.into(), role: Role::Admin, session: None }
        }
        Some(_) => return Err(Problem::unauthorized(HOW_TO_SUPERVISE)),
        None => signed_in(request, state).ok_or_else(|| Problem::unauthorized(HOW_TO_SUPERVISE))?,
    };
    if operator.session.is_some() && !request.method().is_safe() {
        refuse_foreign_origin(request)?;
    }
    if operator.role < needed {
        let (role, needed) = (operator.role.as_str(), needed.as_str());
        let detail = format!("{} has the role {role}; this takes the role {needed}", operator.name);
        return Err(Problem::new(403, "forbidden", detail));
    }
    Ok(operator)
}

/// What somebody is told who does not supervise.
const HOW_TO_SUPERVISE: &str = "show console.token as a bearer token, or sign in at /console/";

/// Refuses what a page of another site makes a browser ask for: the origin must be the host that is asked. A proxy must hand on the
/// header `host`.
pub(super) fn refuse_foreign_origin(request: &HttpRequest) -> Result<(), Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_own = match header(ORIGIN.as_str()) {
        Some(origin) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some_and(|host| header(HOST.as_str()).is_some_and(|own| own.eq_ignore_ascii_case(host)))
        }
        // Browsers that leave the origin out of some requests say it so.
        None => header("sec-fetch-site") == Some("same-origin"),
    };
    if is_own {
        return Ok(());
    }
    Err(Problem::new(
        403,
        "foreign_origin",
        "this is done from the console's own page, or with console.token as a bearer token",
    ))
}

/// The conversation that a path names, where the caller may read it: `me` is a visitor's own, and whoever supervises must have the
/// role that it takes. What they read of its words is written down.
pub(super) async fn readable_conversation(
    request: &HttpRequest,
    state: &HttpState,
    id: &str,
    needed: Role,
) -> Result<(ConversationId, Caller), Problem> {
    let is_supervised = id != "me" && bearer(request).is_none() && signed_in(request, state).is_some();
    let caller = if is_supervised {
        Caller::Console(operator(request, state, needed)?)
    } else {
        caller(request, state)?
    };
    if let Caller::Visitor(handle) = &caller {
        let own = own_conversation(state, handle).await?.ok_or_else(no_such_conversation)?;
        let asked = id == "me" || id.parse() == Ok(own);
        note_conversation(own);
        return if asked { Ok((own, caller)) } else { Err(no_such_conversation()) };
    }
    let id: ConversationId = id.parse().map_err(|_| no_such_conversation())?;
    note_conversation(id);
    if let Caller::Console(who) = &caller
        && needed > Role::Viewer
    {
        note_reading(state, who, &format!("conversations/{id}")).await?;
    }
    if caller == Caller::Program && state.conversation(id).await?.channel != Channel::Api {
        return Err(no_such_conversation());
    }
    Ok((id, caller))
}

/// A visitor's conversation, if they ever wrote.
pub(super) async fn own_conversation(
    state: &HttpState,
    handle: &str,
) -> Result<Option<ConversationId>, Problem> {
    let found = state.store.find_conversation(Account::new(Channel::Web, "chat"), handle.to_owned()).await;
    found.map_err(|error| state.problem(&error))
}

/// The token of a bearer authorization. Other schemes are for somebody else, such as a proxy that asks for a password.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The handle of the visitor whose cookie the request carries. The handle is a digest: who reads the database cannot take
/// a visitor's place.
pub(super) fn visitor(request: &HttpRequest) -> Option<String> {
    let cookie = request.cookie(VISITOR_COOKIE)?;
    let token = cookie.value();
    let is_token = token.len() == TOKEN_DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token.then(|| hex(&Sha256::digest(token)))
}

/// A cookie for a new visitor. Lax, not strict: who comes back by a link on another site must not start anew. Other sites
/// still cannot write with it, since a message is a POST of JSON.
///
/// # Errors
/// When the system gives no randomness.
pub(super) fn new_visitor_cookie(secure: bool) -> Result<Cookie<'static>, Problem> {
    let mut token = [0; TOKEN_DIGITS / 2];
    getrandom::fill(&mut token).map_err(|error| {
        tracing::error!(%error, "the system gives no randomness");
        Problem::new(500, "internal", "the visitor's token cannot be made")
    })?;
    let cookie = Cookie::build(VISITOR_COOKIE, hex(&token));
    let cookie = cookie.path("/").http_only(true).same_site(SameSite::Lax).secure(secure);
    Ok(cookie.max_age(Duration::days(180)).finish())
}

/// Whether something says that a request comes from another machine or another site: a proxy's header, a page's origin, or
/// a name that only looks like this machine (DNS rebinding).
fn comes_from_elsewhere(request: &HttpRequest) -> bool {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host"];
    let foreign_host = header(HOST.as_str()).is_some_and(|host| !is_this_machine(host));
    let foreign_origin = header(ORIGIN.as_str())
        .is_some_and(|origin| !origin.split_once("://").is_some_and(|(_, host)| is_this_machine(host)));
    forwarded.into_iter().any(|name| header(name).is_some()) || foreign_host || foreign_origin
}

/// Whether `host`, with or without a port, is a name of the loopback interface.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_interface_are_this_machine() {
        for host in
            ["localhost", "localhost:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]", "LOCALHOST"]
        {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "example.com", "127.0.0.1.example.com:80", "localhost.evil:80", "10.0.0.1", "null"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn a_visitors_cookie_is_a_secret_that_scripts_and_other_sites_cannot_use() {
        let cookie = new_visitor_cookie(true).unwrap();
        let other = new_visitor_cookie(true).unwrap();
        assert_ne!(cookie.value(), other.value());
        let shown = cookie.to_string();
        for expected in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=15552000"] {
            assert!(shown.contains(expected), "{shown}");
        }
        assert_eq!(cookie.value().len(), TOKEN_DIGITS);
    }
}
