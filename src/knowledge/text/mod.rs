//! Texts made comparable: `words` folds what differs only in writing, `stems` what differs only in word endings,
//! `language` says which rules apply.

pub(super) mod language;
pub(super) mod stems;
pub(super) mod words;
