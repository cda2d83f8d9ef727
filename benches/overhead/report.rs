//! Where the figures go: the terminal, `benches/README.md` between two markers, and
//! `benches/results.json`, which keeps the rows of benches that did not run this time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::figures::median;
use crate::table;
use crate::target::Target;

/// One line of `results.json`. Shape and subject together occur once in a bench.
#[derive(Serialize)]
pub(crate) struct Row {
    /// The section that the row belongs to.
    pub(crate) bench: &'static str,
    /// The graph, or whatever else was put before the subject.
    pub(crate) shape: String,
    /// Who ran it.
    pub(crate) subject: String,
    /// What a task cost, where tasks are what is measured.
    #[serde(flatten)]
    pub(crate) cost: Option<Cost>,
    /// The number of timed rounds.
    pub(crate) rounds: usize,
    /// What only some benches know, by name.
    #[serde(flatten, serialize_with = "all_rounded")]
    pub(crate) figures: BTreeMap<&'static str, f64>,
    /// What was promised for this row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<Target>,
}

/// The cost of a task.
#[derive(Serialize)]
pub(crate) struct Cost {
    /// The median of the rounds.
    #[serde(serialize_with = "rounded")]
    pub(crate) us_per_task: f64,
    /// That median through rayon's in the same rounds, when rayon took part.
    #[serde(serialize_with = "rounded_if_any")]
    pub(crate) ratio_to_rayon: Option<f64>,
    /// The number of tasks of the graph.
    pub(crate) tasks: u32,
    /// The fastest round.
    #[serde(serialize_with = "rounded")]
    pub(crate) us_min: f64,
    /// The slowest round.
    #[serde(serialize_with = "rounded")]
    pub(crate) us_max: f64,
}

impl Cost {
    /// The cost by the microseconds a task of each round.
    pub(crate) fn new(rounds: &[f64], tasks: u32) -> Self {
        Self {
            us_per_task: median(rounds.iter().copied()),
            ratio_to_rayon: None,
            tasks,
            us_min: rounds.iter().copied().fold(f64::INFINITY, f64::min),
            us_max: rounds.iter().copied().fold(0.0, f64::max),
        }
    }
}

impl Row {
    /// What a task costs by this row, if it says so.
    pub(crate) fn us_per_task(&self) -> Option<f64> {
        self.cost.as_ref().map(|cost| cost.us_per_task)
    }

    /// What a task costs by this row, as a multiple of rayon's cost.
    pub(crate) fn ratio_to_rayon(&self) -> Option<f64> {
        self.cost.as_ref()?.ratio_to_rayon
    }

    /// One of the row's own figures; not a number if it has none of that name.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        self.figures.get(name).copied().unwrap_or(f64::NAN)
    }
}

/// A part of the report.
pub(crate) struct Section {
    /// What stands in the report, as Markdown.
    pub(crate) text: String,
    /// The rows behind it.
    pub(crate) rows: Vec<Row>,
    /// What could not be measured, and why.
    pub(crate) notes: Vec<String>,
}

/// Under which conditions the figures came about.
pub(crate) struct Conditions {
    /// The command that leads to them.
    pub(crate) command: String,
    /// How many rounds there were, where a section has no number of its own.
    pub(crate) rounds: usize,
    /// How many workers each subject had.
    pub(crate) workers: usize,
    /// How many threads wanted to run before anything was measured, where the system says so.
    pub(crate) load: Option<f64>,
    /// How many times longer than at its best a fixed stretch of arithmetic took, at its worst.
    pub(crate) unrest: f64,
}

/// How many threads wanted to run in the last minute, where the system says so.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The whole report as Markdown.
pub(crate) fn render(sections: &[Section], conditions: &Conditions) -> String {
    let Conditions { command, rounds, workers, load, unrest } = conditions;
    let load = load.map(|load| format!("load {load:.1} before the start; ")).unwrap_or_default();
    let mut text = format!(
        "`{command}`: medians of {rounds} interleaved rounds; {workers} workers, {}, {}-{}.\n\
         The machine: {load}between the sections, a fixed stretch of arithmetic took up to \
         {unrest:.2} times its shortest time (1 is quiet).\n",
        compiler(),
        std::env::consts::ARCH,
        std::env::consts::OS,
    );
    text += &score(sections);
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        text += "\n";
        text += &section.text;
        text += &verdicts(section);
    }
    let notes: Vec<&String> = sections.iter().flat_map(|section| &section.notes).collect();
    if !notes.is_empty() {
        text += "\nNot measured:\n\n";
        text.extend(notes.iter().map(|note| format!("- {note}\n")));
    }
    text
}

/// How many targets are met, and which are not.
fn score(sections: &[Section]) -> String {
    let rows = || sections.iter().flat_map(|section| &section.rows);
    let targets = || rows().flat_map(|row| &row.targets);
    let (all, met) = (targets().count(), targets().filter(|target| target.is_met()).count());
    if all == 0 {
        return String::new();
    }
    let missed = targets().filter(|target| !target.is_met()).map(|target| {
        let [promise, figure, bound, _] = target.cells();
        format!("- missed: {promise}: {figure}, where {bound} is the target\n")
    });
    let missed: String = missed.collect();
    format!("\nTargets met: {met} of {all}.\n\n{missed}")
}

/// The table of a section's targets.
fn verdicts(section: &Section) -> String {
    let targets = section.rows.iter().flat_map(|row| &row.targets);
    let lines: Vec<Vec<String>> = targets.map(|target| target.cells().to_vec()).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{}", table::grid(&["promised", "measured", "target", "verdict"], &lines))
}

/// Writes the report into `benches/README.md`, between `<!-- name:begin -->` and `<!-- name:end -->`,
/// and the rows into `benches/results.json`, in the place of earlier rows of the same benches.
pub(crate) fn publish(name: &str, text: &str, sections: &[Section]) -> Result<(), Box<dyn Error>> {
    let readme = folder().join("README.md");
    let page = fs::read_to_string(&readme)?;
    fs::write(&readme, between_markers(&page, name, text)?)?;

    let rows = || sections.iter().flat_map(|section| &section.rows);
    let file = folder().join("results.json");
    let earlier = if file.exists() { fs::read_to_string(&file)? } else { String::new() };
    let mut lines = Vec::new();
    // Each row has a line of its own, so the lines that stay can stay as they are.
    for line in earlier.lines().filter(|line| line.starts_with('{')) {
        let line = line.trim_end_matches(',');
        let row: Value = serde_json::from_str(line)?;
        if !rows().any(|new| row["bench"] == new.bench) {
            lines.push(line.to_owned());
        }
    }
    for row in rows() {
        lines.push(serde_json::to_string(row)?);
    }
    Ok(fs::write(&file, format!("[\n{}\n]\n", lines.join(",\n")))?)
}

/// The page with the text in the place of what stood between the markers.
fn between_markers(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let missing = |marker: &str| format!("benches/README.md has no line `{marker}`");
    let (before, rest) = page.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

/// The folder of the benches.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

/// The compiler's name and version.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let words = text.as_deref().map(|text| text.split_whitespace().take(2).collect::<Vec<_>>());
    words.map_or_else(|| "an unknown rustc".into(), |words| words.join(" "))
}

/// Four decimals, which is more than the clock is good for.
pub(crate) fn four_decimals(figure: f64) -> f64 {
    (figure * 1e4).round() / 1e4
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn rounded<S: Serializer>(figure: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(four_decimals(*figure))
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn rounded_if_any<S: Serializer>(figure: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    figure.map(four_decimals).serialize(serializer)
}

fn all_rounded<S: Serializer>(
    figures: &BTreeMap<&'static str, f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().map(|(name, figure)| (name, four_decimals(*figure))))
}
