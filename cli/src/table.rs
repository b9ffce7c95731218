//! Aligned columns for people.

use unicode_width::UnicodeWidthStr;

use crate::clean;

/// The gap between columns.
const GAP: &str = "  ";

/// Collects rows and aligns them. Cells are cleaned, so callers may pass what tasks and agents say.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a table with the columns' names.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; what is missing stays empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| clean::line(cell.as_ref())).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }

    /// Returns the lines, the names first. The last column is cut so that a line fits `width`; without a width nothing
    /// is cut, since a program may read it.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let mut widths: Vec<usize> = self.head.iter().map(|cell| cell.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let before: usize = widths.iter().rev().skip(1).map(|width| width + GAP.len()).sum();
        // On a very narrow terminal a wrapped line says more than three letters.
        let last = width.map(|width| width.saturating_sub(before).max(16));
        std::iter::once(&self.head).chain(&self.rows).map(|row| layout(row, &widths, last)).collect()
    }
}

fn layout(row: &[String], widths: &[usize], last: Option<usize>) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        if index + 1 == row.len() {
            line.push_str(&last.map_or_else(|| cell.clone(), |room| cut(cell, room)));
        } else {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width()));
            line.push_str(GAP);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Shortens a text to this many columns, the last of them an ellipsis.
pub fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if short.width() + character.to_string().width() + 1 > room {
            break;
        }
        short.push(character);
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_for_wide_characters_too() {
        let mut table = Table::new(&["ID", "TITLE"]);
        table.row(["東京", "one"]);
        table.row(["abc", "two"]);
        assert_eq!(table.lines(None), ["ID    TITLE", "東京  one", "abc   two"]);
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal_and_nothing_is_cut_without_one() {
        let mut table = Table::new(&["ID", "TITLE"]);
        table.row(["a", "a title of more than sixteen columns"]);
        assert_eq!(table.lines(Some(10))[1], "a   a title of more…");
        assert_eq!(table.lines(None)[1], "a   a title of more than sixteen columns");
    }

    #[test]
    fn a_cell_cannot_break_its_row() {
        let mut table = Table::new(&["A", "B"]);
        table.row(["x\ny", "\u{1b}[31mred"]);
        assert_eq!(table.lines(None)[1], "x y  [31mred");
    }
}
