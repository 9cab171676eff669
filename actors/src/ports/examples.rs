//! The examples of the classes, as people manage them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store::StoreFuture;
use crate::domain::{Class, ConversationId, Language, Timestamp, TurnId};

/// Where an example comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExampleOrigin {
    /// Somebody added it.
    Import,
    /// An operator said that a turn was of this class.
    Correction,
}

impl ExampleOrigin {
    /// Its name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Correction => "correction",
        }
    }
}

/// A text and the class that it is an example of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassExample {
    /// What somebody wrote.
    pub text: String,
    /// What that is.
    #[serde(alias = "label", alias = "category", alias = "intent")]
    pub class: Class,
    /// In which language, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// An example that is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct KeptExample {
    /// Its number.
    pub id: i64,
    /// What it says.
    #[serde(flatten)]
    pub example: ClassExample,
    /// Where it comes from.
    pub origin: ExampleOrigin,
    /// When that was said last.
    pub at: Timestamp,
}

/// A row of the examples that says nothing which can be learnt, as one of a class that there is not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct UnreadableExample {
    /// Its number.
    pub id: i64,
    /// What of it cannot be read, and why.
    #[serde(rename = "unreadable")]
    pub reason: String,
}

/// A row of the examples. One that cannot be read keeps nobody from the others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ExampleRow {
    /// An example.
    Kept(KeptExample),
    /// It is left out.
    Unreadable(UnreadableExample),
}

impl ExampleRow {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> i64 {
        match self {
            Self::Kept(KeptExample { id, .. }) | Self::Unreadable(UnreadableExample { id, .. }) => *id,
        }
    }
}

/// What an operator corrected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Corrected {
    /// The example that this made, or changed.
    pub example: i64,
    /// What the turn had been taken for, if it was classified.
    pub was: Option<String>,
}

/// The examples that are kept beside the built-in ones. The classifier learns from a change by itself.
pub trait ClassExamples: Send + Sync + 'static {
    /// One page of examples behind the number `after`, in the order of their numbers, with those that cannot be read.
    fn list(&self, after: i64, limit: usize) -> StoreFuture<Vec<ExampleRow>>;

    /// Adds examples, all or none, in one commit; of texts with the same words the latest is kept. Tells how many.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) when an example is not acceptable, or there is no room for more.
    fn put(&self, examples: Vec<ClassExample>) -> StoreFuture<usize>;

    /// Removes examples by their numbers; tells how many there were.
    fn remove(&self, ids: Vec<i64>) -> StoreFuture<usize>;

    /// Makes the text of a turn an example of its right class; none where the conversation has no such turn.
    ///
    /// # Errors
    /// [`StoreError::Refused`](super::StoreError) when the turn has not ended, or nothing in it is text.
    fn correct(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        class: Class,
    ) -> StoreFuture<Option<Corrected>>;
}
