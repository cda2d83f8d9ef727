//! Reports as files: whole or not at all.
//!
//! A report is written beside its place under another name and then renamed, so whoever opens it never sees
//! half of one, and the one before stays until then.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::html::write_html;
use super::trace::write_trace;
use crate::monitor::Recording;

/// A report that could not be written. The message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("could not write {what} `{}`: {source}; check the directory, or name another file", .path.display())]
pub struct ReportError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ReportError {
    /// The file that was to be written.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes the [report](write_html) of a recording to a file. A file of that name is replaced once the new one is
/// whole.
///
/// # Errors
///
/// [`ReportError`] if the file cannot be written; then nothing is left of it.
///
/// # Examples
///
/// ```
/// use mobula::monitor::Recording;
/// use mobula::report::write_html_file;
///
/// let path = std::env::temp_dir().join(format!("mobula-{}.html", std::process::id()));
/// write_html_file(&Recording::default(), &path)?;
/// assert!(std::fs::read_to_string(&path)?.starts_with("<!doctype html>"));
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_html_file(recording: &Recording, path: impl AsRef<Path>) -> Result<(), ReportError> {
    write_file("the report", path.as_ref(), |out| write_html(recording, out))
}

/// Writes the [trace](write_trace) of a recording to a file. A file of that name is replaced once the new one is
/// whole.
///
/// # Errors
///
/// [`ReportError`] if the file cannot be written; then nothing is left of it.
///
/// # Examples
///
/// ```
/// use mobula::monitor::Recording;
/// use mobula::report::write_trace_file;
///
/// let error = write_trace_file(&Recording::default(), "/nowhere/trace.json").unwrap_err();
/// assert!(error.to_string().starts_with("could not write the trace `/nowhere/trace.json`: "));
/// ```
pub fn write_trace_file(recording: &Recording, path: impl AsRef<Path>) -> Result<(), ReportError> {
    write_file("the trace", path.as_ref(), |out| write_trace(recording, out))
}

pub(crate) fn write_file(
    what: &'static str,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), ReportError> {
    let failed = |source| ReportError { what, path: path.to_owned(), source };
    let temporary = beside(path).map_err(failed)?;
    let file = File::create_new(&temporary).map_err(failed)?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let written = write(&mut out).and_then(|()| out.flush());
    drop(out);
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // Who cannot write here may not be able to remove anything, either; it was said already.
        drop(fs::remove_file(&temporary));
        failed(error)
    })
}

/// A name in the same directory that nobody else has.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this names no file"));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}-{}.new", std::process::id(), NEXT.fetch_add(1, Relaxed)));
    Ok(path.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write};

    use super::write_file;

    #[test]
    fn what_fails_leaves_nothing_and_keeps_the_old_one() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("report.html");
        write_file("the report", &path, |out| out.write_all(b"old")).expect("it can be written");
        let error = write_file("the report", &path, |out| {
            out.write_all(&vec![b'x'; 1 << 20])?;
            Err(io::Error::other("no more"))
        })
        .expect_err("writing failed");
        assert_eq!(error.path(), path);
        assert!(error.to_string().contains("report.html`: no more; check"), "{error}");
        assert_eq!(fs::read(&path).expect("the old one is there"), b"old");
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn a_path_without_a_file_is_refused() {
        for path in ["/", "..", "/nowhere/report.html"] {
            let error = write_file("the report", path.as_ref(), |_| Ok(()));
            let error = error.expect_err("no file can be there").to_string();
            assert!(
                error.starts_with(&format!("could not write the report `{path}`: ")),
                "{error}"
            );
        }
    }
}
