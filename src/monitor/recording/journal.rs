//! Reading a journal: a text file with one JSON object a line, each a record.
//!
//! What a process that died leaves behind can be read: a last line that is cut off is left out, and runs that
//! never ended are marked as going on. Records of kinds that a newer version has added are passed over.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Recorder, Recording};
use crate::monitor::record::{Ended, Record};

/// The version of the form that is read here.
const VERSION: u64 = 1;

/// The first lines of a file, to tell what else it may be, must not fill the memory.
const LONGEST_HEADER: u64 = 1 << 20;

impl Recording {
    /// Reads the journal of a cluster, which may have crashed.
    ///
    /// A million tasks take a few seconds.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the file cannot be read, is no journal, or holds a line that makes no sense.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mobula::monitor::Recording;
    ///
    /// let recording = Recording::read_journal("journal.jsonl")?;
    /// println!("{} tasks were seen", recording.spans.len());
    /// # Ok::<(), mobula::monitor::JournalError>(())
    /// ```
    pub fn read_journal(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref();
        let read = File::open(path)
            .map_err(|error| JournalError::new(None, Kind::Read(error)))
            .and_then(|file| Self::from_journal(BufReader::with_capacity(1 << 18, file)));
        read.map_err(|error| JournalError { path: Some(path.to_owned()), ..error })
    }

    /// Reads a journal from wherever it is: a part of memory, a compressed file.
    ///
    /// # Errors
    ///
    /// As [`read_journal`](Self::read_journal).
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::monitor::{Recording, RunStatus};
    ///
    /// let journal = r#"{"t":"journal","version":1,"mobula":"0.1.0","at":0.0,"unix_time":1.0,"pid":7}
    /// {"t":"run","at":0.5,"run":1,"tasks":1}
    /// {"t":"ended","run":1,"worker":0,"from":500000000,"to":60"#;
    ///
    /// // The process died while it wrote the last line.
    /// let recording = Recording::from_journal(journal.as_bytes())?;
    /// assert_eq!(recording.runs[0].status, RunStatus::Running);
    /// # Ok::<(), mobula::monitor::JournalError>(())
    /// ```
    pub fn from_journal(mut journal: impl BufRead) -> Result<Self, JournalError> {
        let mut recorder = Recorder::new();
        let mut line = Vec::new();
        let failed = |number, kind| JournalError::new(Some(number), kind);
        header(&mut journal, &mut line).map_err(|kind| failed(1, kind))?;
        let mut number = 1;
        loop {
            if number == 1 || !line.trim_ascii().is_empty() {
                let is_whole = line.ends_with(b"\n");
                match parse(&line) {
                    Ok(Some(Record::Journal { .. })) if number > 1 => {
                        return Err(failed(number, Kind::Second));
                    }
                    Ok(Some(record)) => recorder.add(record),
                    Ok(None) => {}
                    Err(error) if is_whole => return Err(failed(number, Kind::Record(error))),
                    // The process died while it wrote this.
                    Err(_) => break,
                }
            }
            line.clear();
            number += 1;
            let length = journal.read_until(b'\n', &mut line);
            if length.map_err(|error| failed(number, Kind::Read(error)))? == 0 {
                break;
            }
        }
        Ok(recorder.finish())
    }
}

/// Reads the first line and looks whether it is that of a journal in this form.
fn header(journal: &mut impl BufRead, line: &mut Vec<u8>) -> Result<(), Kind> {
    #[derive(Deserialize)]
    struct Header {
        t: String,
        version: u64,
    }

    let read = io::Read::take(&mut *journal, LONGEST_HEADER).read_until(b'\n', line);
    if read.map_err(Kind::Read)? == 0 {
        return Err(Kind::Empty);
    }
    match serde_json::from_slice::<Header>(line) {
        Ok(header) if header.t != "journal" => Err(Kind::NoJournal),
        Ok(header) if header.version != VERSION => Err(Kind::Version(header.version)),
        Ok(_) => Ok(()),
        Err(_) => Err(Kind::NoJournal),
    }
}

/// A line as a record; `None` if a newer version wrote it. The most frequent kind is read without the detour
/// that finds out the kind.
fn parse(line: &[u8]) -> Result<Option<Record>, serde_json::Error> {
    #[derive(Deserialize)]
    struct AnyKind {
        t: String,
    }

    const KINDS: [&str; 18] = [
        "journal",
        "worker_up",
        "worker_down",
        "run",
        "keys",
        "same_keys",
        "cached",
        "started",
        "ended",
        "failed",
        "retried",
        "given_up",
        "skipped",
        "spilled",
        "restored",
        "trouble",
        "memory",
        "unseen",
    ];
    if line.starts_with(br#"{"t":"ended","#) {
        return serde_json::from_slice::<Ended>(line).map(|ended| Some(Record::Ended(ended)));
    }
    serde_json::from_slice(line).map(Some).or_else(|error| {
        let kind = serde_json::from_slice::<AnyKind>(line);
        let is_known = |kind: &str| KINDS.contains(&kind) || kind == "run_ended";
        if kind.is_ok_and(|kind| !is_known(&kind.t)) { Ok(None) } else { Err(error) }
    })
}

/// Why a journal cannot be read. The message names the file and the line, and says what to do.
#[derive(Debug)]
pub struct JournalError {
    path: Option<PathBuf>,
    line: Option<u64>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Read(io::Error),
    Empty,
    NoJournal,
    Version(u64),
    /// A second header.
    Second,
    Record(serde_json::Error),
}

impl JournalError {
    fn new(line: Option<u64>, kind: Kind) -> Self {
        Self { path: None, line, kind }
    }

    /// The file, if it has a name.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The line that cannot be read, counted from 1.
    pub fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "`{}`", path.display())?,
            None => f.write_str("the journal")?,
        }
        let line = self.line.unwrap_or(1);
        match &self.kind {
            Kind::Read(error) => write!(f, " cannot be read: {error}; check the path"),
            Kind::Empty => f.write_str(
                " is empty; a journal is written while a cluster runs, from its first moment on",
            ),
            Kind::NoJournal => f.write_str(
                " is no journal: its first line is not `{\"t\":\"journal\", …}`; name the file that a \
                 cluster has written",
            ),
            Kind::Version(version) => write!(
                f,
                " is a journal of form {version}, this version of Mobula reads form {VERSION}; use the \
                 version that has written it",
            ),
            Kind::Second => write!(
                f,
                ", line {line}: another journal begins; cut the file there, and give each cluster a file \
                 of its own",
            ),
            Kind::Record(error) => write!(
                f,
                ", line {line}: no record: {error}; if the file was damaged, remove the line and what \
                 follows it",
            ),
        }
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            Kind::Read(error) => Some(error),
            Kind::Record(error) => Some(error),
            Kind::Empty | Kind::NoJournal | Kind::Version(_) | Kind::Second => None,
        }
    }
}
