//! Texts made comparable: `words` folds what differs only in writing, `stems` what differs only in word endings,
//! `language` says which rules apply, `features` counts words and pieces for who learns from them.

pub(super) mod features;
pub(super) mod language;
pub(super) mod stems;
pub(super) mod words;
