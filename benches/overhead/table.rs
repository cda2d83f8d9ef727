//! Markdown tables out of rows.

use crate::report::Row;

/// A table with a line for each subject and a column for each shape, in order of appearance.
pub(crate) fn pivot(rows: &[Row], cell: impl Fn(&Row) -> Option<String>) -> String {
    let subjects = distinct(rows.iter().map(|row| row.subject.as_str()));
    let shapes = distinct(rows.iter().map(|row| row.shape.as_str()));
    let mut lines = vec![line("subject", shapes.iter().map(|&shape| shape.to_owned()))];
    lines.push(line("---", shapes.iter().map(|_| "---:".to_owned())));
    for subject in subjects {
        let cells: Vec<Option<String>> = shapes
            .iter()
            .map(|&shape| {
                let row = rows.iter().find(|row| row.subject == subject && row.shape == shape)?;
                cell(row)
            })
            .collect();
        if cells.iter().any(Option::is_some) {
            lines.push(line(subject, cells.into_iter().map(|cell| cell.unwrap_or("–".into()))));
        }
    }
    lines.concat()
}

/// One line of a table.
fn line(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

/// The different ones, in order of appearance.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
