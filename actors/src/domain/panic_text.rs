//! What a panic may be quoted with.

use std::any::Any;

/// Said in the place of a text that may hold somebody's words.
const WITHHELD: &str = "its text is withheld, as it may hold somebody's words; the log names the place";

/// What a caught panic says, for logs, events and records. Only a text that stands in the source is given: one that was made
/// while the program ran may quote what people wrote, as the panics of string slices do.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &'static str {
    match panic.downcast_ref::<&'static str>() {
        Some(text) => text,
        None if panic.is::<String>() => WITHHELD,
        None => "without a text",
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_that_quotes_what_it_failed_on_is_not_quoted() {
        let words = std::hint::black_box("my card is 4é11");
        let cut = words.find('é').expect("it is there") + 1;
        let panic = catch_unwind(|| words[cut..].len()).expect_err("in the middle of a character");
        let quoted = panic.downcast_ref::<String>().expect("a text that was made");
        assert!(quoted.contains("my card"), "this panic quotes: {quoted}");
        assert_eq!(panic_text(&*panic), WITHHELD);
    }

    #[test]
    fn a_text_of_the_source_is_given() {
        let panic = catch_unwind(|| panic!("the hat is empty")).expect_err("a panic");
        assert_eq!(panic_text(&*panic), "the hat is empty");
        assert_eq!(panic_text(&7), "without a text");
    }
}
