//! From a journal to a report: one HTML file that opens offline, and a trace for Perfetto. The run may have crashed.
//!
//! ```text
//! cargo run --release --example report -- journal.jsonl report.html trace.json
//! ```
//!
//! Without arguments it writes a journal of a run that failed, and reads that. Prints:
//!
//! ```text
//! mobula-report-example.jsonl: 1 run, 3 tasks seen, 4 incidents
//! run 1 failed: task 'mean' failed: division by zero
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

use mobula::monitor::{Recording, RunStatus};
use mobula::report::{write_html_file, write_trace_file};

/// What a cluster had written before `mean` failed.
const JOURNAL: &str = r#"{"t":"journal","version":1,"mobula":"0.1.0","at":0.0,"unix_time":1767225600.0,"pid":4711}
{"t":"worker_up","at":0.0,"worker":0}
{"t":"run","at":0.001,"run":1,"tasks":3}
{"t":"keys","run":1,"first":0,"keys":["load","clean","mean"],"prefixes":[0,1,2],"new_prefixes":["load","clean","mean"],"needs":[[],[0],[1]]}
{"t":"ended","run":1,"worker":0,"from":1100000,"to":4300000,"tasks":[0],"bytes":[8000]}
{"t":"ended","run":1,"worker":0,"from":4300000,"to":6100000,"tasks":[1],"bytes":[0]}
{"t":"ended","run":1,"worker":0,"from":6100000,"to":6150000,"tasks":[2],"bytes":[0],"failed":true}
{"t":"failed","at":0.00616,"run":1,"task":2,"error":"division by zero","details":"Traceback (most recent call last):\n  mean\nZeroDivisionError: division by zero"}
{"t":"given_up","at":0.00616,"run":1,"task":2,"attempts":1}
{"t":"trouble","at":0.0062,"run":1,"key":"load","what":"the disk is full, so it stays in memory"}
{"t":"run_ended","at":0.0063,"run":1,"status":"failed","error":"task 'mean' failed: division by zero","done":2,"failed":1}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let example = |ending| std::env::temp_dir().join(format!("mobula-report-example.{ending}"));
    let journal = match arguments.next() {
        Some(journal) => journal,
        None => {
            std::fs::write(example("jsonl"), JOURNAL)?;
            example("jsonl")
        }
    };
    let report = arguments.next().unwrap_or_else(|| example("html"));
    let trace = arguments.next().unwrap_or_else(|| example("json"));

    let start = Instant::now();
    let recording = Recording::read_journal(&journal)?;
    let read = start.elapsed();
    let (runs, seen) = (recording.runs.len(), recording.spans.len());
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    let incidents = recording.incidents.len();
    println!("{}: {runs}, {seen} tasks seen, {incidents} incidents", name(&journal));
    for run in recording.runs.iter().filter(|run| run.status == RunStatus::Failed) {
        println!(
            "run {} failed: {}",
            run.id,
            run.error.as_deref().unwrap_or("it is not known why")
        );
    }

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

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
