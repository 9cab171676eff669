//! Who supervises, and what each may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person who supervises may do. Each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees how everything is, the journeys and the knowledge base; no words of customers.
    Viewer,
    /// Reads what people wrote, restarts, pauses, replays, answers, and changes the knowledge base.
    Operator,
    /// Does what cannot be taken back.
    Admin,
}

impl Role {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A person who supervises, or a program that does so in their place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::http) struct Operator {
    /// The name of the user; [`TOKEN_NAME`] for who shows the console's token.
    pub(in crate::http) name: String,
    /// What they may do.
    pub(in crate::http) role: Role,
    /// Their session; none for who shows the token with each request.
    pub(in crate::http) session: Option<super::session::Session>,
}

/// The name under which everybody goes who shows the console's token. No user has it.
pub(in crate::http) const TOKEN_NAME: &str = "token";
