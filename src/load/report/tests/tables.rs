//! The texts for the terminal as a whole.

use super::sample;
use crate::load::report::run::Run;
use crate::load::report::{compare_table, table};

/// Texts are narrow enough for every terminal, and hold nothing that commands one.
fn check(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        assert!(!line.chars().any(char::is_control) && line.trim_end() == line, "{line:?}");
    }
    assert!(text.ends_with('\n') && !text.ends_with("\n\n") && !text.contains("NaN"), "{text}");
}

/// What the harness prints, which is looked at in a file of its own: `tests/table.txt`.
#[test]
fn a_run_is_printed_as_it_was_agreed() {
    let text = table(&sample::broken(), false);
    check(&text);
    let expected = include_str!("table.txt");
    assert!(text == expected, "the table is not as in src/load/report/tests/table.txt:\n{text}");
}

#[test]
fn two_runs_are_printed_as_it_was_agreed() {
    let text = compare_table(&[sample::run(), sample::slower()], false);
    check(&text);
    let expected = include_str!("compare.txt");
    assert!(text == expected, "the comparison is not as in src/load/report/tests/compare.txt:\n{text}");
}

#[test]
fn no_run_makes_a_table_too_wide_or_commands_a_terminal() {
    for run in [sample::run(), sample::nasty(), Run::default()] {
        check(&table(&run, false));
    }
    let several = [sample::run(), Run::default(), sample::nasty(), sample::slower(), sample::run()];
    for runs in [&several[..0], &several[..1], &several[..2], &several] {
        check(&compare_table(runs, false));
    }
}

#[test]
fn the_last_line_is_the_verdict() {
    let failed = Run { failure: Some("the server did not start".to_owned()), ..Run::default() };
    let cases = [
        (sample::run(), "HELD: 7 promises kept, 2 objectives met"),
        (failed, "NO VERDICT: the server did not start"),
        (sample::broken(), "FAILED: 2 of 7 promises broken, 2 of 3 objectives missed"),
    ];
    for (run, expected) in cases {
        let text = table(&run, false);
        assert_eq!(text.lines().last(), Some(expected));
    }
}

#[test]
fn colours_are_there_only_where_they_are_asked_for() {
    let plain = |text: &str| {
        let pieces = text.split('\u{1b}').enumerate();
        pieces
            .map(|(n, piece)| if n == 0 { piece } else { piece.split_once('m').unwrap().1 })
            .collect::<String>()
    };
    let coloured = table(&sample::broken(), true);
    assert!(coloured.contains("\u{1b}[1;31mBROKEN 3"), "{coloured}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&plain(&coloured)), words(&table(&sample::broken(), false)));
    let runs = [sample::run(), sample::slower()];
    assert_eq!(words(&plain(&compare_table(&runs, true))), words(&compare_table(&runs, false)));
}
