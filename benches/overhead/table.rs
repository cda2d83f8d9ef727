//! Markdown tables out of rows.

use crate::report::Row;

/// A table with a line for each subject and a column for each shape, in order of appearance. A line
/// or a column without any cell is left out.
pub(crate) fn pivot(rows: &[Row], cell: impl Fn(&Row) -> Option<String>) -> String {
    let cells: Vec<(&Row, String)> =
        rows.iter().filter_map(|row| Some((row, cell(row)?))).collect();
    let subjects = distinct(cells.iter().map(|(row, _)| row.subject.as_str()));
    let shapes = distinct(cells.iter().map(|(row, _)| row.shape.as_str()));
    let lines: Vec<Vec<String>> = subjects
        .iter()
        .map(|&subject| {
            let cell = |shape: &str| {
                let found =
                    cells.iter().find(|(row, _)| row.subject == subject && row.shape == shape);
                found.map_or_else(|| "–".to_owned(), |(_, cell)| cell.clone())
            };
            let first = std::iter::once(subject.to_owned());
            first.chain(shapes.iter().map(|&shape| cell(shape))).collect()
        })
        .collect();
    let headings: Vec<&str> = std::iter::once("subject").chain(shapes).collect();
    grid(&headings, &lines)
}

/// A table with these headings, the first one of a column of names.
pub(crate) fn grid(headings: &[&str], lines: &[Vec<String>]) -> String {
    let words = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let rule = std::iter::once("---").chain(headings.iter().skip(1).map(|_| "---:"));
    let rule: Vec<String> = rule.map(str::to_owned).collect();
    let mut text = words(&headings) + &words(&rule);
    text.extend(lines.iter().map(|line| words(line)));
    text
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
