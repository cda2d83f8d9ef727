//! [`write_trace`]: a recording in the Trace Event Format, which Perfetto and `chrome://tracing` open.
//!
//! It is the form that the document "Trace Event Format" of the Chromium project describes: an object with
//! the list `traceEvents`, whose times are microseconds. Workers are threads of one process, tasks complete
//! events (`X`), runs asynchronous ones (`b`, `e`), incidents instants (`i`), memory counters (`C`).

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use super::order::{Lanes, by_worker, each_worker};
use crate::monitor::{Incident, MemorySample, RecordedRun, Recording, Span};

/// The number of the one process of the trace; children are told apart by the names of threads.
const PROCESS: u32 = 1;

/// The thread on which stands what belongs to no worker.
const MAIN: u32 = 0;

/// Writes a recording as a trace for <https://ui.perfetto.dev> or `chrome://tracing`: a row for each worker,
/// a slice for each task, named by its key prefix, with its key, run and size.
///
/// It is written as it is made, about 200 bytes a task; use a [`BufWriter`](io::BufWriter), or
/// [`write_trace_file`](super::write_trace_file).
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
/// {"t":"keys","run":1,"first":0,"keys":["x"],"prefixes":[0],"new_prefixes":["x"],"needs":[[]]}
/// {"t":"ended","run":1,"worker":0,"from":1500,"to":4750,"tasks":[0],"bytes":[8]}"#;
/// let recording = Recording::from_journal(journal.as_bytes())?;
/// let mut trace = Vec::new();
/// mobula::report::write_trace(&recording, &mut trace)?;
/// let trace = String::from_utf8(trace)?;
/// assert!(trace.contains(r#""ph":"X","ts":1.500,"dur":3.250,"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_trace(recording: &Recording, out: &mut impl Write) -> io::Result<()> {
    let mut trace = Trace { out, is_first: true };
    trace.out.write_all(b"{\"displayTimeUnit\":\"ms\",\"otherData\":{\"version\":")?;
    string(trace.out, &recording.version)?;
    write!(trace.out, ",\"unix_time\":{:.6}}},\"traceEvents\":[", recording.unix_time)?;
    trace.name("process_name", MAIN, &format!("Mobula {}", recording.version))?;
    trace.name("thread_name", MAIN, "runs and incidents")?;
    trace.tasks(recording)?;
    for run in &recording.runs {
        trace.run(run, recording.ended)?;
    }
    for incident in &recording.incidents {
        trace.incident(incident)?;
    }
    for sample in &recording.memory {
        trace.memory(sample)?;
    }
    trace.out.write_all(b"\n]}\n")
}

/// A list of events that is being written.
struct Trace<'a, W> {
    out: &'a mut W,
    is_first: bool,
}

impl<W: Write> Trace<'_, W> {
    /// Begins an event with what each one has; its last members and the closing brace are to follow.
    fn begin(&mut self, phase: &str, thread: u32, name: &str) -> io::Result<()> {
        self.out.write_all(if self.is_first { b"\n" } else { b",\n" })?;
        self.is_first = false;
        self.out.write_all(b"{\"name\":")?;
        string(self.out, name)?;
        write!(self.out, ",\"pid\":{PROCESS},\"tid\":{thread},\"ph\":\"{phase}\"")
    }

    /// Names the process or a thread.
    fn name(&mut self, what: &str, thread: u32, name: &str) -> io::Result<()> {
        self.begin("M", thread, what)?;
        self.out.write_all(b",\"args\":{\"name\":")?;
        string(self.out, name)?;
        self.out.write_all(b"}}")?;
        if what == "thread_name" {
            self.begin("M", thread, "thread_sort_index")?;
            write!(self.out, ",\"args\":{{\"sort_index\":{thread}}}}}")?;
        }
        Ok(())
    }

    fn tasks(&mut self, recording: &Recording) -> io::Result<()> {
        let order = by_worker(recording);
        let mut threads = MAIN;
        for (worker, places) in each_worker(recording, &order) {
            let mut lanes = Lanes::default();
            // A lane's thread has the number behind those of the lanes before it.
            let mut numbers = Vec::new();
            for place in places {
                let span = &recording.spans[*place as usize];
                let lane = lanes.place(span);
                if lane == numbers.len() {
                    threads += 1;
                    numbers.push(threads);
                    self.name("thread_name", threads, &thread_name(recording, worker, lane))?;
                }
                self.task(&recording.runs[span.run as usize], span, numbers[lane])?;
            }
        }
        Ok(())
    }

    fn task(&mut self, run: &RecordedRun, span: &Span, thread: u32) -> io::Result<()> {
        let prefix =
            run.prefix_of(span.task).and_then(|prefix| run.graph.prefix_names.get(prefix as usize));
        self.begin("X", thread, prefix.map_or("?", String::as_str))?;
        self.time("ts", span.from)?;
        self.time("dur", span.to.saturating_sub(span.from))?;
        let category: &[u8] = if span.failed {
            // Red, in the viewers that know the names of colours.
            b",\"cat\":\"task,failed\",\"cname\":\"terrible\""
        } else {
            b",\"cat\":\"task\""
        };
        self.out.write_all(category)?;
        self.out.write_all(b",\"args\":{\"key\":")?;
        string(self.out, &run.key_of(span.task))?;
        write!(self.out, ",\"run\":{},\"bytes\":{}}}}}", run.id, span.bytes)
    }

    fn run(&mut self, run: &RecordedRun, last: u64) -> io::Result<()> {
        let name = format!("run {}", run.id);
        for (phase, at) in [("b", run.began), ("e", run.ended.unwrap_or(last))] {
            self.begin(phase, MAIN, &name)?;
            self.time("ts", at)?;
            write!(self.out, ",\"cat\":\"run\",\"id\":\"{:#x}\",\"args\":{{", run.id)?;
            if phase == "e" {
                write!(self.out, "\"done\":{},\"failed\":{}", run.done, run.failed)?;
            } else {
                write!(self.out, "\"tasks\":{}", run.tasks)?;
            }
            self.out.write_all(b"}}")?;
        }
        Ok(())
    }

    fn incident(&mut self, incident: &Incident) -> io::Result<()> {
        self.begin("i", MAIN, incident.kind)?;
        self.time("ts", incident.at)?;
        self.out.write_all(b",\"s\":\"p\",\"cat\":\"incident\",\"args\":{\"about\":")?;
        string(self.out, &incident.about)?;
        self.out.write_all(b",\"text\":")?;
        string(self.out, &incident.text)?;
        if let Some(run) = incident.run {
            write!(self.out, ",\"run\":{run}")?;
        }
        self.out.write_all(b"}}")
    }

    fn memory(&mut self, sample: &MemorySample) -> io::Result<()> {
        let memory = &sample.memory;
        let counters = [
            ("values", [("in memory", memory.bytes), ("on disk", memory.spilled_bytes)]),
            ("resident", [("cluster", memory.resident), ("workers", memory.resident_workers)]),
        ];
        for (name, [(first, a), (second, b)]) in counters {
            self.begin("C", MAIN, name)?;
            self.time("ts", sample.at)?;
            write!(self.out, ",\"args\":{{\"{first}\":{a},\"{second}\":{b}}}}}")?;
        }
        Ok(())
    }

    /// Nanoseconds as microseconds, exactly.
    fn time(&mut self, name: &str, nanoseconds: u64) -> io::Result<()> {
        let (whole, parts) = (nanoseconds / 1000, nanoseconds % 1000);
        write!(self.out, ",\"{name}\":{whole}.{parts:03}")
    }
}

fn thread_name(recording: &Recording, worker: u32, lane: usize) -> String {
    let process = recording.workers.iter().find(|(id, _)| *id == worker).and_then(|(_, pid)| *pid);
    let process = process.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let beside = if lane == 0 { "" } else { ", at the same time" };
    format!("worker {worker}{process}{beside}")
}

/// Writes a text as JSON does.
fn string(out: &mut impl Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}
