//! The query service over a language model.
