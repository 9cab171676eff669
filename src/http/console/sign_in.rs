//! Signing in and out: `/console/session`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::{CustomizeResponder, HttpRequest, Responder, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tertulia_actors::domain::Timestamp;
use tertulia_actors::ports::Clock;
use tertulia_actors::ports::store::SignedOut;

use super::role::{Operator, Role, TOKEN_NAME};
use super::session::{Key, Session, Sessions, Shown};
use super::users::{NAME_MAX_CHARS, PASSWORD_MAX_BYTES, is_password};
use crate::http::answer::{Empty, Json};
use crate::http::auth::{operator, refuse_foreign_origin};
use crate::http::body::Body;
use crate::http::messages::peer;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// How long a password waits for its check.
const CHECK_WAIT: Duration = Duration::from_secs(5);

/// How long it may take to keep that somebody signed out.
const SIGN_OUT_WAIT: Duration = Duration::from_secs(1);

/// How the name of the cookie that holds a session begins.
pub(in crate::http) const COOKIE: &str = "tertulia_console";

/// The cookie that holds a session, one for each port: browsers give a host's cookies to all of its ports, and two servers on one host
/// would sign each other's people out. Source: RFC 6265, section 8.5.
fn cookie_name(request: &HttpRequest) -> String {
    format!("{COOKIE}_{}", request.app_config().local_addr().port())
}

/// Who signed in.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct SignedIn {
    /// The name of the user; `token` for who signed in with the console's token.
    name: String,
    /// What they may do.
    role: Role,
    /// When the session ends; none for who shows the token with each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
}

/// What somebody signs in with.
#[derive(PartialEq, Eq, Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::http) enum Credentials {
    /// The console's token, which gives the role admin.
    Token {
        /// `console.token`.
        token: String,
    },
    /// A user of `console.users`.
    Password {
        /// Their name.
        name: String,
        /// Their password.
        password: String,
    },
}

/// Signs somebody in who shows the console's token, or a name and its password.
pub(in crate::http) async fn sign_in(
    request: HttpRequest,
    body: Body<Credentials>,
    state: web::Data<HttpState>,
) -> Result<CustomizeResponder<Json<SignedIn>>, Problem> {
    refuse_foreign_origin(&request)?;
    state.rates.sign_in(&peer(&request))?;
    let credentials = read_credentials(body.fields(&state.settings.server).await?)?;
    let settings = &state.settings.console;
    let (name, role, key) = match credentials {
        Credentials::Token { token } if settings.token.matches(&token) => {
            (TOKEN_NAME.to_owned(), Role::Admin, key(&state, TOKEN_NAME))
        }
        Credentials::Password { name, password } if check(&state, &name, &password).await? => {
            let role = settings.users.get(&name).map(|user| user.role);
            (name.clone(), role.unwrap_or(Role::Viewer), key(&state, &name))
        }
        Credentials::Token { .. } => return Err(refused(&peer(&request), TOKEN_NAME, "the token is wrong")),
        Credentials::Password { name, .. } => {
            return Err(refused(&peer(&request), &name, "the name or the password is wrong"));
        }
    };
    let lasts = Duration::from_millis(settings.session_ms);
    let begun = key.and_then(|key| state.sessions.begin(&name, &key, state.clock.now(), lasts).ok());
    let Some((text, session)) = begun else {
        tracing::error!("the system gives no randomness");
        return Err(Problem::new(500, "internal", "a session cannot be made"));
    };
    tracing::info!(who = name, role = role.as_str(), "signed in to the console");
    let signed_in = SignedIn { name, role, ends_at: Some(session.ends_at) };
    let lasts = time::Duration::milliseconds(i64::try_from(settings.session_ms).unwrap_or(i64::MAX));
    let cookie = cookie(&request, &state, text, lasts);
    Ok(Json(signed_in).customize().add_cookie(&cookie))
}

/// Who is signed in.
pub(in crate::http) async fn show(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<CustomizeResponder<Json<SignedIn>>, Problem> {
    let Operator { name, role, session } = operator(&request, &state, Role::Viewer)?;
    let ends_at = session.map(|session| session.ends_at);
    let signed_in = Json(SignedIn { name, role, ends_at });
    Ok(signed_in.customize().insert_header(("cache-control", "no-store")))
}

/// Ends a session: for this process at once, for later ones where the database can be written.
pub(in crate::http) async fn sign_out(
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<CustomizeResponder<Empty<204>>, Problem> {
    if let Some(session) = operator(&request, &state, Role::Viewer)?.session {
        state.sessions.end(&session, state.clock.now());
        let ended = SignedOut { session: session.id, ends_at: session.ends_at };
        let kept = tokio::time::timeout(SIGN_OUT_WAIT, state.store.sign_out(ended)).await;
        if !matches!(kept, Ok(Ok(()))) {
            tracing::warn!(?kept, "a session that was signed out of may be used again after a restart");
        }
    }
    let cookie = cookie(&request, &state, String::new(), time::Duration::ZERO);
    Ok(Empty.customize().add_cookie(&cookie))
}

/// Who shows a session that is valid.
pub(in crate::http) fn signed_in(request: &HttpRequest, state: &HttpState) -> Option<Operator> {
    let cookie = request.cookie(&cookie_name(request))?;
    let shown = Shown::read(cookie.value())?;
    let role = match shown.name {
        TOKEN_NAME => Role::Admin,
        name => state.settings.console.users.get(name)?.role,
    };
    let session = state.sessions.check(&shown, &key(state, shown.name)?, state.clock.now())?;
    Some(Operator { name: shown.name.to_owned(), role, session: Some(session) })
}

/// Whether somebody is still signed in, as a stream must ask again and again. Who shows the token with each request has no session that
/// could end.
pub(in crate::http) struct Pass {
    session: Option<Session>,
    sessions: Arc<Sessions>,
    clock: Arc<dyn Clock>,
}

impl Pass {
    /// The pass of who has just been let in.
    pub(in crate::http) fn of(who: &Operator, state: &HttpState) -> Self {
        let (sessions, clock) = (Arc::clone(&state.sessions), Arc::clone(&state.clock));
        Self { session: who.session.clone(), sessions, clock }
    }

    /// Whether they may still see what comes.
    pub(in crate::http) fn holds(&self) -> bool {
        self.session.as_ref().is_none_or(|session| self.sessions.lasts(session, self.clock.now()))
    }
}

/// The key of the sessions of a user, or of who shows the token; none where nobody can sign in so.
fn key(state: &HttpState, name: &str) -> Option<Key> {
    let console = &state.settings.console;
    let token = console.token.expose();
    if name == TOKEN_NAME {
        return (!token.is_empty()).then(|| Key::of(&token, ""));
    }
    let user = console.users.get(name)?;
    Some(Key::of(&token, &format!("{name}\n{}", user.password_hash.expose())))
}

/// Whether it is the password of that user. Few are checked at the same time, on a thread where that holds nobody up.
async fn check(state: &HttpState, name: &str, password: &str) -> Result<bool, Problem> {
    let hash = state.settings.console.users.get(name).map(|user| user.password_hash.expose());
    let busy = || Problem::new(503, "busy", "too many sign in at the same time; try again");
    let turn = tokio::time::timeout(CHECK_WAIT, state.password_checks.acquire()).await;
    let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    let password = password.to_owned();
    let checked = web::block(move || is_password(&password, hash.as_deref())).await;
    checked.map_err(|_| busy())
}

/// The log says from where, and as whom: no more of a name than one may have, since anything can stand there.
fn refused(peer: &str, name: &str, detail: &str) -> Problem {
    let who: String = name.chars().filter(char::is_ascii_graphic).take(NAME_MAX_CHARS).collect();
    tracing::warn!(peer, who, "somebody could not sign in to the console: {detail}");
    Problem::new(401, "unauthorized", detail)
}

fn read_credentials(mut fields: Map<String, Value>) -> Result<Credentials, Problem> {
    let mut take = |name: &str| match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= PASSWORD_MAX_BYTES => Ok(Some(text)),
        Some(_) => {
            Err(Problem::invalid(name, format!("expects a text of at most {PASSWORD_MAX_BYTES} bytes")))
        }
    };
    match (take("token")?, take("name")?, take("password")?) {
        (Some(token), None, None) => Ok(Credentials::Token { token }),
        (None, Some(name), Some(password)) => Ok(Credentials::Password { name, password }),
        _ => Err(Problem::invalid("token", "either token, or name and password, are expected")),
    }
}

/// Strict: no other site can make a browser show it, not even by a link.
fn cookie(request: &HttpRequest, state: &HttpState, text: String, lasts: time::Duration) -> Cookie<'static> {
    let https = request.connection_info().scheme() == "https";
    let cookie =
        Cookie::build(cookie_name(request), text).path("/").http_only(true).same_site(SameSite::Strict);
    cookie.secure(https || state.settings.web.secure_cookie).max_age(lasts).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_or_a_name_with_its_password_is_taken() {
        let read = |body: &str| read_credentials(serde_json::from_str(body).unwrap());
        assert_eq!(read(r#"{"token":"x"}"#), Ok(Credentials::Token { token: "x".into() }));
        let both = Credentials::Password { name: "ana".into(), password: "y".into() };
        assert_eq!(read(r#"{"name":"ana","password":"y"}"#), Ok(both));
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(PASSWORD_MAX_BYTES + 1));
        for wrong in [
            "{}",
            r#"{"name":"ana"}"#,
            r#"{"token":5}"#,
            r#"{"token":"x","name":"ana"}"#,
            r#"{"token":"x","password":"y"}"#,
            &long,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
