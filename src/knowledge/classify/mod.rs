//! What a text wants. `features` counts the words of a text and their pieces, `learner` learns from counted examples,
//! `lexical` classifies by any labels, and `classifier` by the classes that are built in.

pub mod classifier;
pub(super) mod features;
mod learner;
pub mod lexical;
