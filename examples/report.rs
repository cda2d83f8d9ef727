//! From a journal to a report: one HTML file that opens offline, and a trace for Perfetto. The run may have failed, or
//! crashed with its process.
//!
//! ```text
//! cargo run --release --example report -- journal.jsonl report.html trace.json
//! ```
//!
//! Without arguments it writes the journal of a run that fails, and reads that.
//!
//! Prints, with other times:
//!
//! ```text
//! the run failed: task 'mean' failed: there is nothing to take the mean of
//! mobula-report-example.jsonl: 1 run, 3 tasks seen, 2 incidents
//! mobula-report-example.html is written
//! mobula-report-example.json is written
//! read_ms=0.1
//! written_ms=1.3
//! tasks_seen=3
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]
#![expect(clippy::disallowed_methods, reason = "it measures how long reading and writing take")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mobula::monitor::Recording;
use mobula::report::{write_html_file, write_trace_file};
use mobula::{Cluster, graph};

fn load(count: u32) -> Vec<f64> {
    (0..count).map(f64::from).collect()
}

fn negative(numbers: Vec<f64>) -> Vec<f64> {
    numbers.into_iter().filter(|number| *number < 0.0).collect()
}

fn mean(numbers: &[f64]) -> Result<f64, String> {
    let count = u32::try_from(numbers.len()).map_err(|error| error.to_string())?;
    if count == 0 {
        return Err("there is nothing to take the mean of".to_owned());
    }
    Ok(numbers.iter().sum::<f64>() / f64::from(count))
}

/// Has a cluster write down what it does while a run fails.
fn write_journal(path: &Path) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::builder().workers(2).start()?;
    let journal = cluster.monitor()?.journal_blocking(path)?;
    let graph = graph! {
        "load" => (load, 50_000_u32),
        "negative" => (negative, "load"),
        "mean" => (|numbers: &Vec<f64>| mean(numbers), "negative"),
    };
    if let Err(error) = cluster.get_blocking(graph, "mean") {
        println!("the run failed: {error}");
    }
    journal.close_blocking()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let example = |ending| std::env::temp_dir().join(format!("mobula-report-example.{ending}"));
    let journal = if let Some(journal) = arguments.next() {
        journal
    } else {
        write_journal(&example("jsonl"))?;
        example("jsonl")
    };
    let report = arguments.next().unwrap_or_else(|| example("html"));
    let trace = arguments.next().unwrap_or_else(|| example("json"));

    let start = Instant::now();
    let recording = Recording::read_journal(&journal)?;
    let read = start.elapsed();
    let (runs, seen) = (recording.runs.len(), recording.spans.len());
    let (runs, incidents) = (count(runs, "run"), count(recording.incidents.len(), "incident"));
    println!("{}: {runs}, {} seen, {incidents}", name(&journal), count(seen, "task"));

    let start = Instant::now();
    write_html_file(&recording, &report)?;
    println!("{} is written", name(&report));
    let written = start.elapsed();
    write_trace_file(&recording, &trace)?;
    println!("{} is written", name(&trace));

    println!("read_ms={:.1}", read.as_secs_f64() * 1e3);
    println!("written_ms={:.1}", written.as_secs_f64() * 1e3);
    println!("tasks_seen={seen}");
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
