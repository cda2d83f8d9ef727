//! [`write_html`]: a recording as one page that opens offline.
//!
//! Tables and texts are plain HTML, made here (`sections.rs`, `trouble.rs`, with the words of `words.rs`); the
//! task stream and the chart are drawn by the scripts of `page/` and `report.js` from numbers that `pack.rs`
//! packs. Nothing in the page comes from anywhere else, and its security policy forbids it to ask.

mod base64;
mod graph;
mod pack;
mod sections;
#[cfg(test)]
mod tests;
mod trouble;
mod words;

use std::io::{self, Write};

use serde::Serialize;

use super::summary::Summary;
use crate::monitor::{MemorySample, Recording};
use words::Escaped;

/// The style sheets of the page.
const STYLES: [&str; 2] = [include_str!("../../page/theme.css"), include_str!("report.css")];

/// The scripts of the page, in the order in which they need each other.
const SCRIPTS: [&str; 9] = [
    include_str!("../../page/format.js"),
    include_str!("../../page/surface.js"),
    include_str!("../../page/tables.js"),
    include_str!("../../page/spans.js"),
    include_str!("../../page/stream-draw.js"),
    include_str!("../../page/stream-input.js"),
    include_str!("../../page/stream.js"),
    include_str!("../../page/charts.js"),
    include_str!("report.js"),
];

/// What the page may do: run what stands in it, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// How many samples of the memory go into the chart.
const SAMPLES: usize = 3000;

/// Writes a recording as one HTML page, which needs no other file and no network: what ran when and where, sums
/// by key prefix and by worker, memory over time, graphs, what failed and why, what callbacks took.
///
/// It is written as it is made; use a [`BufWriter`](io::BufWriter), or [`write_html_file`](super::write_html_file).
/// A million tasks take 8 to 16 MB: 16 if their keys are random. Keys and errors are shown as they are, and never as
/// markup.
///
/// # Errors
///
/// What `out` says.
///
/// # Examples
///
/// ```
/// use mobula::monitor::Recording;
///
/// let journal = r#"{"t":"journal","version":1,"mobula":"0.1.0","at":0.0,"unix_time":1.0,"pid":7}
/// {"t":"run","at":0.0,"run":1,"tasks":1}
/// {"t":"keys","run":1,"first":0,"keys":["<x>"],"prefixes":[0],"new_prefixes":["<x>"],"needs":[[]]}
/// {"t":"ended","run":1,"worker":0,"from":1500,"to":4750,"tasks":[0],"bytes":[8]}"#;
/// let recording = Recording::from_journal(journal.as_bytes())?;
/// let mut page = Vec::new();
/// mobula::report::write_html(&recording, &mut page)?;
/// assert!(String::from_utf8(page)?.contains("&lt;x&gt;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_html(recording: &Recording, out: &mut impl Write) -> io::Result<()> {
    let summary = Summary::of(recording);
    head(recording, &summary, out)?;
    sections::write(recording, &summary, out)?;
    out.write_all(b"</main>\n<script type=\"application/json\" id=\"page-data\">")?;
    page_data(recording, &summary, out)?;
    out.write_all(b"</script>\n<script type=\"text/plain\" id=\"span-data\">")?;
    pack::write_spans(recording, &summary, out)?;
    out.write_all(b"</script>\n")?;
    for script in SCRIPTS {
        writeln!(out, "<script>\n{script}</script>")?;
    }
    // The stream is being drawn while the browser reads on.
    out.write_all(b"<script type=\"text/plain\" id=\"key-data\">")?;
    let were_cut = pack::write_keys(recording, out)?;
    write!(
        out,
        "</script>\n<script type=\"application/json\" id=\"keys-were-cut\">{were_cut}</script>\n\
         </body>\n</html>\n"
    )
}

fn head(recording: &Recording, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let title = sections::title(recording, summary);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"Mobula {}\">\n\
         <title>{}</title>",
        Escaped(&recording.version),
        Escaped(&title),
    )?;
    for style in STYLES {
        writeln!(out, "<style>\n{style}</style>")?;
    }
    out.write_all(b"</head>\n<body>\n<main class=\"page\">\n")
}

/// What the scripts need to know beside the packed numbers. Times are seconds.
#[derive(Serialize)]
struct PageData<'a> {
    workers: Vec<u32>,
    prefixes: Vec<&'a str>,
    /// When the recording begins.
    began: f64,
    ended: f64,
    tick: f64,
    limit: Option<u64>,
    /// By sample: when, values in memory, values on disk, resident.
    memory: [Vec<f64>; 4],
}

#[expect(clippy::cast_precision_loss, reason = "what is drawn is not that exact")]
fn page_data(recording: &Recording, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    let samples = thinned(&recording.memory);
    let column =
        |number: fn(&MemorySample) -> u64| samples.iter().map(|one| number(one) as f64).collect();
    let data = PageData {
        workers: summary.workers.iter().map(|worker| worker.id).collect(),
        prefixes: summary.prefixes.iter().map(|prefix| &*prefix.name).collect(),
        began: seconds(recording.began),
        ended: seconds(recording.ended),
        tick: seconds(pack::tick(summary.elapsed)),
        limit: recording.memory.last().and_then(|sample| sample.memory.limit),
        memory: [
            samples.iter().map(|sample| seconds(sample.at)).collect(),
            column(|sample| sample.memory.bytes),
            column(|sample| sample.memory.spilled_bytes),
            column(|sample| sample.memory.resident + sample.memory.resident_workers),
        ],
    };
    let json = serde_json::to_string(&data)?;
    // No text may end the element.
    out.write_all(json.replace('<', "\\u003c").as_bytes())
}

/// Of each of some equal parts the sample with the most in it.
fn thinned(samples: &[MemorySample]) -> Vec<&MemorySample> {
    let part = samples.len().div_ceil(SAMPLES).max(1);
    let most = |part: &'_ [MemorySample]| {
        let weight = |sample: &MemorySample| sample.memory.bytes + sample.memory.spilled_bytes;
        (0..part.len()).max_by_key(|place| weight(&part[*place])).unwrap_or_default()
    };
    samples.chunks(part).map(|part| &part[most(part)]).collect()
}
