//! The console: who signs in, what they see live, and what they did.

pub(super) mod audit;
pub(super) mod live;
pub(super) mod page;
mod role;
mod session;
pub(super) mod sign_in;
mod users;

pub(super) use audit::{Deed, REASON_MAX_CHARS, Reason, audited, by_people, note_reading};
pub(super) use live::Frame;
pub use role::Role;
pub(super) use role::{Operator, TOKEN_NAME};
pub(super) use session::Sessions;
pub(super) use sign_in::{COOKIE, Pass, signed_in};
pub use users::{User, check_user, hash_password};
