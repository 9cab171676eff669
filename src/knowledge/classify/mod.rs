//! What a text wants. `features` counts the words of a text and their pieces, `learner` learns from examples,
//! `lexical` by their words and `meaning` by their vectors; `labels` classifies by both and any labels, and `classifier` by the classes
//! that are built in.

pub mod classifier;
pub(super) mod features;
pub mod labels;
mod learner;
mod lexical;
mod meaning;
