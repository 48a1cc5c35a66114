//! Tables without lines that fit 80 columns. Cells break between words; a word, such as a name, is
//! never broken but shortened in its middle where there is no other way.

use super::text::{BOLD, WIDTH, shorten_middle, styled};

/// Spaces between two columns.
const GAP: usize = 2;
/// No column becomes narrower.
const COLUMN_MIN: usize = 6;

/// A table with a heading for each column. Cells hold plain text that was made harmless before;
/// a line break in a cell stays.
pub(crate) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    indented_table(0, headings, rows)
}

/// As [`table`], behind `indent` spaces.
pub(crate) fn indented_table<const COLUMNS: usize>(
    indent: usize,
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let rows: Vec<[String; COLUMNS]> = rows.into_iter().collect();
    let widths = widths(WIDTH - indent, &headings, &rows);
    let margin = " ".repeat(indent);
    let head = line(&widths, &headings.map(str::to_owned));
    let mut out = format!("{margin}{}\n", styled(BOLD, &head));
    for row in rows {
        let mut column = widths.iter();
        let cells = row.map(|cell| lines(&cell, column.next().copied().unwrap_or(COLUMN_MIN)));
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for number in 0..height {
            let parts = cells.each_ref().map(|cell| cell.get(number).cloned().unwrap_or_default());
            out.push_str(&format!("{margin}{}\n", line(&widths, &parts)));
        }
    }
    out
}

/// As wide as the cells, and where that is too much, narrower: first columns that can break
/// between words, then the widest.
fn widths<const COLUMNS: usize>(
    room: usize,
    headings: &[&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> [usize; COLUMNS] {
    let room = room.saturating_sub(GAP * COLUMNS.saturating_sub(1));
    let widest = |split: fn(&str) -> Vec<&str>| {
        std::array::from_fn::<usize, COLUMNS, _>(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
            let cells = cells.chain(headings.get(column).copied());
            let parts = cells.flat_map(split).map(|part| part.chars().count());
            parts.max().unwrap_or(0).max(COLUMN_MIN)
        })
    };
    let mut widths = widest(|cell| cell.lines().collect());
    let words = widest(|cell| cell.split_whitespace().collect());
    while widths.iter().sum::<usize>() > room {
        let breakable = widths.iter_mut().zip(words).filter(|(width, word)| **width > *word);
        let widest = breakable.map(|(width, _)| width).max_by_key(|width| **width);
        match widest {
            Some(width) => *width -= 1,
            None => match widths.iter_mut().filter(|width| **width > COLUMN_MIN).max() {
                Some(width) => *width -= 1,
                None => break,
            },
        }
    }
    widths
}

/// A cell in lines of at most `width` letters.
fn lines(cell: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for given in cell.lines() {
        let mut line = String::new();
        for word in given.split_whitespace() {
            let word = shorten_middle(word, width);
            let used = line.chars().count();
            if used > 0 && used + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            } else if used > 0 {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    lines
}

fn line<const COLUMNS: usize>(widths: &[usize; COLUMNS], cells: &[String; COLUMNS]) -> String {
    let mut line = String::new();
    for (width, cell) in widths.iter().zip(cells) {
        line.push_str(cell);
        let missing = width.saturating_sub(cell.chars().count());
        line.push_str(&" ".repeat(missing + GAP));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn long_cells_break_and_no_line_is_wider_than_the_screen() {
        let rows = [["git.log".to_owned(), "word ".repeat(60)], ["x".to_owned(), String::new()]];
        let text = plain(&indented_table(2, ["CAPABILITY", "WHAT"], rows));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("  CAPABILITY  WHAT\n  git.log     word word"), "{text}");
        assert!(text.lines().count() > 3 && text.ends_with("\n  x\n"), "{text}");
    }

    #[test]
    fn a_word_is_shortened_in_the_middle_before_it_breaks() {
        let name = "acme.weather.observations.current_temperature_by_station";
        let rows = [["7".to_owned(), name.to_owned(), "failure permission-denied".to_owned()]];
        let text = plain(&table(["NO", "CAPABILITY", "ENDED"], rows));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("acme.weather") && text.contains("permission-denied"), "{text}");
        assert!(text.contains("…") && text.contains("by_station"), "{text}");
    }

    #[test]
    fn a_line_break_stays() {
        let rows = [["1".to_owned(), "git.log\nfirst".to_owned()]];
        assert_eq!(
            plain(&table(["NO", "CALL"], rows)),
            "NO      CALL\n1       git.log\n        first\n"
        );
    }
}
