//! Tables without lines that fit 80 columns.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

use super::text::{BOLD, WIDTH, styled};

/// A table with a heading for each column; long cells break into several lines. Cells hold
/// plain text that was made harmless before.
pub(crate) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    table_with_whole(COLUMNS, headings, rows)
}

/// As [`table`]; the cells of one column, counted from 0, never break.
pub(crate) fn table_with_whole<const COLUMNS: usize>(
    whole: usize,
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(WIDTH).unwrap_or(80))
        .set_header(headings);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(column) = table.column_mut(whole) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    let text = table.to_string();
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.next().map(|line| styled(BOLD, line)).unwrap_or_default();
    let mut out = first;
    for line in lines {
        out.push('\n');
        out.push_str(line);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_break_and_no_line_is_wider_than_the_screen() {
        let rows = [["git.log".to_owned(), "word ".repeat(60)], ["x".to_owned(), String::new()]];
        let text = anstream::adapter::strip_str(&table(["CAPABILITY", "WHAT"], rows)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("CAPABILITY"), "{text}");
        assert!(text.lines().count() > 3);
    }
}
