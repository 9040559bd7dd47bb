//! A table in Markdown.

use std::fmt;

/// A table; every row has as many cells as the header.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) header: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

// === impl Table ===

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.header.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.header.len()))?;
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(|cell| one_line(cell)).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// A bar ends a cell and a line break ends a row, so a cell can contain neither.
fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', r"\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_line_breaks_stay_inside_their_cell() {
        let table =
            Table { header: vec!["a", "b"], rows: vec![vec!["x|y".to_owned(), "one\n  two".to_owned()]] };
        assert_eq!(table.to_string(), "| a | b |\n|---|---|\n| x\\|y | one two |\n");
    }
}
