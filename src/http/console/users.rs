//! People who sign in with a name and a password.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};

use super::role::{Role, TOKEN_NAME};
use crate::secret::Secret;

/// The shortest password that a hash is made of, in characters. Source: NIST SP 800-63B-4, 3.1.1.2: a single factor has 15 at the
/// least.
const PASSWORD_MIN_CHARS: usize = 15;

/// The longest password that is tried, in bytes: a hash takes as long as its text is.
pub(super) const PASSWORD_MAX_BYTES: usize = 1_024;

/// How every hash begins: argon2id, 19 MiB, two passes, one lane.
const PARAMETERS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The longest name of a user, in characters.
pub(super) const NAME_MAX_CHARS: usize = 64;

/// Somebody who may sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What they may do.
    pub role: Role,
    /// The argon2 hash of their password, as `tertulia console hash-password` prints it.
    pub password_hash: Secret,
}

/// Makes the hash of a password (argon2id, with the crate's parameters: 19 MiB, two passes. Source: OWASP Password Storage Cheat
/// Sheet).
///
/// # Errors
/// When it is too short or too long, or the system gives no randomness.
pub fn hash_password(password: &str) -> Result<String, String> {
    let chars = password.chars().count();
    if chars < PASSWORD_MIN_CHARS || password.len() > PASSWORD_MAX_BYTES {
        return Err(format!(
            "the password has {chars} characters: {PASSWORD_MIN_CHARS} are expected at the least, and {PASSWORD_MAX_BYTES} bytes at the most"
        ));
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether a name and a hash can be those of a user.
///
/// # Errors
/// Says what is wrong.
pub fn check_user(name: &str, user: &User) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX_CHARS || !name.chars().all(is_plain) {
        return Err(format!(
            "a name has 1 to {NAME_MAX_CHARS} of the characters a to z, 0 to 9, '-', '_' and '.'"
        ));
    }
    if name == TOKEN_NAME {
        return Err(format!("'{TOKEN_NAME}' is what everybody is called who shows console.token"));
    }
    // The same for all, so that the time of a check tells nothing of a name.
    let hash = user.password_hash.expose();
    if hash.starts_with(PARAMETERS) && PasswordHash::new(&hash).is_ok() {
        return Ok(());
    }
    Err(format!(
        "password_hash is no argon2 hash as {PARAMETERS}…: make one with `tertulia console hash-password`"
    ))
}

/// Whether `password` is that of the hash. Takes as long where there is no hash, so that nobody learns which names there are.
/// It takes some 20 ms of the processor and 19 MiB: call it where that holds nobody up.
pub(super) fn is_password(password: &str, hash: Option<&str>) -> bool {
    /// Of a password that nobody knows.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$dGVydHVsaWEtbm9ib2R5$KgI0zTQ6gBvzoIY2sq4kGk0jzbZ0cQkPVy0fwNUJ1l8";
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY)) else { return false };
    let is_right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    is_right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = hash_password("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!hash.contains("horse"));
        assert!(is_password("correct horse battery", Some(&hash)));
        assert!(!is_password("correct horse batterY", Some(&hash)));
        assert!(!is_password("", Some(&hash)));
        assert!(!is_password("anything", None));
        assert!(!is_password("anything", Some("no hash")));
        assert_ne!(hash, hash_password("correct horse battery").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn the_hash_that_stands_for_nobody_is_worked_at() {
        let hash =
            "$argon2id$v=19$m=19456,t=2,p=1$dGVydHVsaWEtbm9ib2R5$KgI0zTQ6gBvzoIY2sq4kGk0jzbZ0cQkPVy0fwNUJ1l8";
        assert!(PasswordHash::new(hash).is_ok());
    }

    #[test]
    fn what_is_no_user_is_refused_with_what_to_do() {
        let user = |hash: &str| User { role: Role::Viewer, password_hash: hash.into() };
        let hash = hash_password("correct horse battery").unwrap();
        assert_eq!(check_user("ana.maria-2_x", &user(&hash)), Ok(()));
        for name in ["", "token", "ana maria", "ana:x", "añá", &"x".repeat(65)] {
            assert!(check_user(name, &user(&hash)).is_err(), "{name}");
        }
        let refused = check_user("ana", &user("hunter2")).unwrap_err();
        assert!(refused.contains("hash-password") && !refused.contains("hunter2"), "{refused}");
        assert!(hash_password("short").unwrap_err().contains("15 are expected"));
        assert!(hash_password(&"x".repeat(1_025)).is_err());
    }
}
