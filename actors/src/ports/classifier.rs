//! What a text wants, and in which language.

use serde::Serialize;
use thiserror::Error;

use super::Compute;
use crate::domain::{Class, Embedding, Language};

/// A text's class and language.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Classification {
    /// The class.
    pub class: Class,
    /// How probable the class is, 0 to 1; calibrated, so that of all texts with 0.7 about seven in ten have it.
    pub confidence: f32,
    /// How likely it is that the text is what any class is about, 0 to 1: half of it the confidence, half how near the nearest
    /// example is.
    pub scope: f32,
    /// The language, among the configured ones; none where the text does not tell.
    pub language: Option<Language>,
}

/// Why a text could not be classified.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ClassifierError {
    /// The model failed.
    #[error("classification failed: {0}")]
    Failed(String),
}

/// What is classified: a text, and its vector where an embedder is configured.
pub type Classifiable = (String, Option<Embedding>);

/// Assigns a class and a language, on this machine.
pub trait Classifier:
    Compute<Request = Classifiable, Response = Classification, Error = ClassifierError>
{
}

impl<T: Compute<Request = Classifiable, Response = Classification, Error = ClassifierError>> Classifier
    for T
{
}
