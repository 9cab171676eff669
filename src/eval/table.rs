//! Tables for a terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// What stands where there is no figure.
const NONE: &str = "-";

/// A share as people read it: `92.4 %`.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// Names and values, one of each a line.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let rows = facts.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
    draw(&[], rows)
}

/// A table with a head; nothing where it has no rows.
pub(super) fn rows(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    format!("\n{}", draw(head, rows))
}

fn draw(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !head.is_empty() {
        table.set_header(head);
    }
    // Labels are other people's words: none of them commands the terminal.
    table.add_rows(
        rows.map(|row| row.iter().map(|cell| cell.replace(char::is_control, " ")).collect::<Vec<_>>()),
    );
    for (at, column) in table.column_iter_mut().enumerate() {
        // Figures stand below each other at their end; names at their beginning.
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_any_script() {
        let text = rows(
            &["label", "texts"],
            [["سعر".to_owned(), "7".to_owned()], ["水".to_owned(), "12".to_owned()]]
                .map(Vec::from)
                .into_iter(),
        );
        assert_eq!(text, "\n label  texts\n سعر        7\n 水        12\n");
        assert!(!rows(&["a"], [vec!["\u{1b}[31mred".to_owned()]].into_iter()).contains('\u{1b}'));
        assert_eq!(rows(&["a"], std::iter::empty()), "");
        assert_eq!(percent(Some(0.9244)), "92.4 %");
        assert_eq!(percent(None), "-");
    }
}
