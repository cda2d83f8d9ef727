//! A subject in a process of its own, so that one that hangs or dies takes nothing with it.
//!
//! The parent starts this same program with `--child`, and writes a line for each run it wants; the
//! child answers with the times it took. The clock is read in the child, around the run alone.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::measure::{Time, once};
use crate::peers;
use crate::shapes::{Kind, Scale, Shape};
use crate::subject::Failure;
use crate::work::Work;

/// How long one answer may take, the building of the graph included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The argument that makes this program a child.
pub(crate) const FLAG: &str = "--child";

/// What an answer begins with; other lines are the subject's own talk.
const MARK: &str = "answer ";

/// The parent's end.
pub(crate) struct Child {
    process: std::process::Child,
    requests: ChildStdin,
    /// What the child answered; a thread reads it, so that waiting can have an end.
    answers: Receiver<String>,
}

impl Child {
    /// Starts the process and lets the subject warm up.
    pub(crate) fn start(
        subject: &str,
        kind: Kind,
        scale: Scale,
        work: Work,
    ) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([FLAG, subject, kind.name(), scale.name(), &work.steps().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = process.stdin.take().ok_or("the child has no input")?;
        let output = process.stdout.take().ok_or("the child has no output")?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix(MARK)
                    && sender.send(answer.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let mut child = Self { process, requests, answers };
        child.once()?;
        Ok(child)
    }

    /// One run.
    pub(crate) fn once(&mut self) -> Result<Time, Failure> {
        writeln!(self.requests, "run")?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => times(&answer).ok_or_else(|| answer.into()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("no end after {} s", PATIENCE.as_secs()).into())
            }
            Err(RecvTimeoutError::Disconnected) => Err("its process ended".into()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails only when the process has ended already, which is what is wanted.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The two times of an answer, in nanoseconds; none when it says what went wrong.
fn times(answer: &str) -> Option<Time> {
    let (result, whole) = answer.split_once(' ')?;
    let duration = |text: &str| text.parse().ok().map(Duration::from_nanos);
    Some(Time { result: duration(result)?, whole: duration(whole)? })
}

/// The child's end: runs the subject once for each line of input.
pub(crate) fn serve(arguments: &[String], workers: usize) -> Result<(), Box<dyn Error>> {
    let [subject, kind, scale, steps] = arguments else {
        return Err("a child needs subject, shape, scale and steps".into());
    };
    let entry = peers::named(subject).ok_or("no such subject")?;
    let kind = Kind::named(kind).ok_or("no such shape")?;
    let scale = Scale::named(scale).ok_or("no such scale")?;
    let work = match steps.parse()? {
        0 => Work::Trivial,
        steps => Work::Busy(steps),
    };
    let shape = Arc::new(Shape::new(kind, scale));
    let mut subject = (entry.start)(workers).map_err(|failure| failure.to_string())?;
    subject.prepare(&shape, work).map_err(|failure| failure.to_string())?;
    for _request in std::io::stdin().lines().map_while(Result::ok) {
        match once(subject.as_mut(), &shape) {
            Ok(time) => println!("{MARK}{} {}", time.result.as_nanos(), time.whole.as_nanos()),
            Err(failure) => println!("{MARK}{failure}"),
        }
    }
    Ok(())
}
