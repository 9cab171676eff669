//! Sessions: who signed in, until when. A session is what the browser shows, signed by the server, so that one outlives a restart of the
//! server; stored are those alone that were signed out of. It ends with its time, when it is signed out of, and when what was signed in with changes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tertulia_actors::domain::Timestamp;
use tertulia_actors::ports::store::SignedOut;

use crate::secret::hex;

/// Sessions that were signed out of and have not ended by themselves; beyond, the ones that end first are forgotten.
const SIGNED_OUT_MAX: usize = 10_000;

/// The key of a user's sessions: it changes with the console's token and with their own password.
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of the sessions of who signed in by `credential`, on a server whose console has `token`.
    pub(super) fn of(token: &str, credential: &str) -> Self {
        let mut digest = Sha256::new();
        for part in ["tertulia console session", token, credential] {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    fn sign(&self, content: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        mac.update(content.as_bytes());
        mac
    }
}

/// A session that is valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::http) struct Session {
    /// Which.
    pub(in crate::http) id: String,
    /// When it ends.
    pub(in crate::http) ends_at: Timestamp,
}

/// What a browser shows, not yet believed.
pub(super) struct Shown<'a> {
    /// Whose session it says it is.
    pub(super) name: &'a str,
    session: Session,
    content: &'a str,
    mac: &'a str,
}

impl<'a> Shown<'a> {
    /// Reads `{end}:{id}:{name}:{mac}`.
    pub(super) fn read(cookie: &'a str) -> Option<Self> {
        let (content, mac) = cookie.rsplit_once(':')?;
        let mut parts = content.splitn(3, ':');
        let ends_at = Timestamp(parts.next()?.parse().ok()?);
        let (id, name) = (parts.next()?.to_owned(), parts.next()?);
        Some(Self { name, session: Session { id, ends_at }, content, mac })
    }
}

/// Makes and checks sessions. Holds those that were signed out of.
#[derive(Default)]
pub(in crate::http) struct Sessions {
    signed_out: Mutex<HashMap<String, Timestamp>>,
}

impl Sessions {
    /// Those that were signed out of before the server started are among them.
    pub(in crate::http) fn without(ended: Vec<SignedOut>) -> Self {
        let signed_out = ended.into_iter().map(|ended| (ended.session, ended.ends_at)).collect();
        Self { signed_out: Mutex::new(signed_out) }
    }

    /// What the browser of somebody who has signed in shows from now on.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn begin(
        &self,
        name: &str,
        key: &Key,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<(String, Session), getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let session = Session { id: hex(&id), ends_at: Timestamp(now.0.saturating_add(lasts)) };
        let content = format!("{}:{}:{name}", session.ends_at.0, session.id);
        let mac = hex(&key.sign(&content).finalize().into_bytes());
        Ok((format!("{content}:{mac}"), session))
    }

    /// The session that a browser shows; none where it is not ours, has ended, or was signed out of.
    pub(super) fn check(&self, shown: &Shown<'_>, key: &Key, now: Timestamp) -> Option<Session> {
        let mac = unhex(shown.mac)?;
        key.sign(shown.content).verify_slice(&mac).ok()?;
        self.lasts(&shown.session, now).then(|| shown.session.clone())
    }

    /// Whether a session has neither ended nor been signed out of.
    pub(super) fn lasts(&self, session: &Session, now: Timestamp) -> bool {
        let signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        now < session.ends_at && !signed_out.contains_key(&session.id)
    }

    /// Ends a session before its time.
    pub(super) fn end(&self, session: &Session, now: Timestamp) {
        let mut signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        signed_out.retain(|_, ends_at| *ends_at > now);
        while signed_out.len() >= SIGNED_OUT_MAX {
            let first = signed_out.iter().min_by_key(|(_, ends_at)| **ends_at).map(|(id, _)| id.clone());
            first.and_then(|id| signed_out.remove(&id));
        }
        signed_out.insert(session.id.clone(), session.ends_at);
    }
}

/// The bytes of lower-case hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    bytes.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn begun(name: &str, key: &Key) -> (Sessions, String, Session) {
        let sessions = Sessions::default();
        let (cookie, session) = sessions.begin(name, key, NOW, HOUR).unwrap();
        (sessions, cookie, session)
    }

    #[test]
    fn a_session_is_believed_until_it_ends_and_only_by_its_own_key() {
        let key = Key::of("token", "credential");
        let (sessions, cookie, session) = begun("ana", &key);
        let shown = Shown::read(&cookie).unwrap();
        assert_eq!(shown.name, "ana");
        assert_eq!(sessions.check(&shown, &key, NOW), Some(session.clone()));
        assert_eq!(sessions.check(&shown, &key, Timestamp(session.ends_at.0 - 1)), Some(session.clone()));
        assert_eq!(sessions.check(&shown, &key, session.ends_at), None);
        for other in
            [Key::of("token", "changed"), Key::of("changed", "credential"), Key::of("tokenc", "redential")]
        {
            assert_eq!(sessions.check(&shown, &other, NOW), None);
        }
    }

    #[test]
    fn nothing_in_a_session_can_be_changed() {
        let key = Key::of("token", "credential");
        let (sessions, cookie, session) = begun("ana", &key);
        let (content, mac) = cookie.rsplit_once(':').unwrap();
        let later = content.replacen(&session.ends_at.0.to_string(), "9999999999999", 1);
        for forged in [
            format!("{later}:{mac}"),
            format!("{}:{mac}", content.replace("ana", "root")),
            format!("{content}:{}", &mac[2..]),
            format!("{content}:"),
            format!("{content}:zz"),
            format!("{content}:{}", mac.replace(&mac[..1], if mac.starts_with('0') { "1" } else { "0" })),
        ] {
            let found = Shown::read(&forged).and_then(|shown| sessions.check(&shown, &key, NOW));
            assert_eq!(found, None, "{forged}");
        }
        for nonsense in ["", ":", "::", ":::", "x:y:z:w", "1"] {
            assert!(Shown::read(nonsense).is_none_or(|shown| sessions.check(&shown, &key, NOW).is_none()));
        }
    }

    #[test]
    fn who_signs_out_ends_that_session_alone() {
        let key = Key::of("token", "credential");
        let (sessions, cookie, session) = begun("ana", &key);
        let (other, _) = sessions.begin("ana", &key, NOW, HOUR).unwrap();
        sessions.end(&session, NOW);
        assert_eq!(sessions.check(&Shown::read(&cookie).unwrap(), &key, NOW), None);
        assert!(sessions.check(&Shown::read(&other).unwrap(), &key, NOW).is_some());
    }

    #[test]
    fn what_is_remembered_of_those_who_signed_out_is_bounded() {
        let sessions = Sessions::default();
        for n in 0..SIGNED_OUT_MAX + 10 {
            let ends_at = Timestamp(NOW.0 + 1 + i64::try_from(n).unwrap());
            sessions.end(&Session { id: n.to_string(), ends_at }, NOW);
        }
        assert_eq!(sessions.signed_out.lock().unwrap().len(), SIGNED_OUT_MAX);
        let late = Timestamp(NOW.0 + 1_000_000);
        sessions.end(&Session { id: "x".into(), ends_at: Timestamp(late.0 + 1) }, late);
        assert_eq!(sessions.signed_out.lock().unwrap().len(), 1, "what has ended is forgotten");
    }
}
