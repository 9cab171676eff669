//! What a text wants. `features` counts the words of a text and their pieces, `learner` learns from examples, `lexical` by their
//! words and `meaning` by their vectors, `neighbours` and `shared` say which examples are near; `experts` are all of these,
//! `pool` makes one opinion of theirs and `calibrate` finds how much each counts. `labels` classifies by any labels, and `classifier`
//! by the classes that are built in; `trainer` lets it learn anew when the examples change: `school` is what is learnt,
//! and `vectors` what is known of the examples' meaning.

mod calibrate;
pub mod classifier;
mod experts;
pub(super) mod features;
pub mod labels;
mod learner;
mod lexical;
mod meaning;
mod neighbours;
mod pool;
mod school;
mod shared;
pub mod trainer;
mod vectors;
