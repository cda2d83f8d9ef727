//! Interleaved rounds: in each round every subject runs the same graph once, in an order that
//! rotates from round to round, so that a slow moment of the machine hits all of them alike.
//!
//! The first runs of each subject warm up and count heap bytes; their times are not used. Each run's
//! result is checked, the first ones' too. A subject that fails is left out and gets a note.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alloc::counted;
use crate::child::Child;
use crate::shapes::{Kind, Scale, Shape};
use crate::subject::{Entry, Failure, Place, Subject};
use crate::work::Work;

/// What to measure on one shape.
pub(crate) struct Match<'a> {
    /// The kind of graph.
    pub(crate) kind: Kind,
    /// Its size.
    pub(crate) scale: Scale,
    /// What its tasks do.
    pub(crate) work: Work,
    /// Who runs it.
    pub(crate) entries: &'a [Entry],
    /// How many timed rounds.
    pub(crate) rounds: usize,
    /// How many threads each subject may use.
    pub(crate) workers: usize,
}

/// What came out.
pub(crate) struct Outcome {
    /// The graph's kind.
    pub(crate) kind: Kind,
    /// The graph's number of tasks.
    pub(crate) tasks: u32,
    /// The subjects that ran in all rounds, in the order of the entries.
    pub(crate) measured: Vec<Measured>,
    /// Why the others did not.
    pub(crate) notes: Vec<String>,
}

/// The time of one run.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// From the submission until the result is there.
    pub(crate) result: Duration,
    /// The same and the giving back of the run's memory.
    pub(crate) whole: Duration,
}

/// The figures of one subject on one shape.
pub(crate) struct Measured {
    /// Who.
    pub(crate) entry: Entry,
    /// The time of each round, in the order of the rounds.
    pub(crate) times: Vec<Time>,
    /// Bytes of the prepared graph and peak bytes of a run; known only in this process.
    pub(crate) heap: Option<(isize, isize)>,
}

impl Outcome {
    /// The figures of the subject of that name.
    pub(crate) fn of(&self, subject: &str) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.entry.name == subject)
    }
}

impl Match<'_> {
    /// Runs all rounds.
    pub(crate) fn run(&self) -> Outcome {
        let shape = Arc::new(Shape::new(self.kind, self.scale));
        let mut seats: Vec<Seat> = Vec::new();
        let mut notes = Vec::new();
        for &entry in self.entries {
            match self.seat(entry, &shape) {
                Ok(seat) => seats.push(seat),
                Err(failure) => notes.push(self.note(entry, &failure)),
            }
        }
        for round in 0..self.rounds {
            let mut failed = Vec::new();
            for turn in 0..seats.len() {
                let place = (turn + round) % seats.len();
                let seat = &mut seats[place];
                match seat.once(&shape) {
                    Ok(time) => seat.measured.times.push(time),
                    Err(failure) => {
                        notes.push(self.note(seat.measured.entry, &failure));
                        failed.push(seat.measured.entry.name);
                    }
                }
            }
            seats.retain(|seat| !failed.contains(&seat.measured.entry.name));
        }
        let measured = seats.into_iter().map(Seat::leave).collect();
        Outcome { kind: self.kind, tasks: shape.tasks(), measured, notes }
    }

    /// Starts a subject and lets it warm up.
    fn seat(&self, entry: Entry, shape: &Arc<Shape>) -> Result<Seat, Failure> {
        let mut measured = Measured { entry, times: Vec::new(), heap: None };
        let player = match entry.place {
            Place::Child => {
                Player::Child(Child::start(entry.name, self.kind, self.scale, self.work)?)
            }
            Place::Here => {
                let mut subject = (entry.start)(self.workers)?;
                measured.heap = Some(self.weigh(subject.as_mut(), shape)?);
                Player::Here(subject)
            }
        };
        Ok(Seat { measured, player })
    }

    /// Prepares the subject, and counts the bytes of the prepared graph and of a run at its peak. What
    /// a thread gives back late, of something that came before, can only lower a count; so each is
    /// taken several times, and the greatest holds.
    fn weigh(
        &self,
        subject: &mut dyn Subject,
        shape: &Arc<Shape>,
    ) -> Result<(isize, isize), Failure> {
        const TIMES: usize = 3;
        let (mut graph, mut run) = (0, 0);
        for _ in 0..TIMES {
            subject.clear();
            let (prepared, heap) = counted(|| subject.prepare(shape, self.work));
            prepared?;
            graph = graph.max(heap.kept);
        }
        once(subject, shape)?;
        for _ in 0..TIMES {
            let (ran, heap) = counted(|| once(subject, shape));
            ran?;
            run = run.max(heap.peak);
        }
        Ok((graph, run))
    }

    /// What to say of a subject that failed.
    fn note(&self, entry: Entry, failure: &Failure) -> String {
        format!("{} on {}: {failure}", entry.name, self.kind.name())
    }
}

/// A subject that takes part, and what it has shown so far.
struct Seat {
    measured: Measured,
    player: Player,
}

/// A subject here or in a process of its own.
enum Player {
    Here(Box<dyn Subject>),
    Child(Child),
}

impl Seat {
    /// One run.
    fn once(&mut self, shape: &Shape) -> Result<Time, Failure> {
        match &mut self.player {
            Player::Here(subject) => once(subject.as_mut(), shape),
            Player::Child(child) => child.once(),
        }
    }

    /// Ends the subject and keeps the figures.
    fn leave(self) -> Measured {
        match self.player {
            Player::Here(mut subject) => subject.clear(),
            Player::Child(child) => drop(child),
        }
        self.measured
    }
}

/// Runs the prepared graph once and checks the result.
pub(crate) fn once(subject: &mut dyn Subject, shape: &Shape) -> Result<Time, Failure> {
    subject.before_run()?;
    let (until_result, result) = timed(|| subject.run());
    let (release, ()) = timed(|| subject.release());
    let result = result?;
    if result == shape.expected() {
        Ok(Time { result: until_result, whole: until_result + release })
    } else {
        Err(format!("the result is {result} where it should be {}", shape.expected()).into())
    }
}

/// Runs `code` and says how long it took.
pub(crate) fn timed<T>(code: impl FnOnce() -> T) -> (Duration, T) {
    let clock = Clock::start();
    let result = code();
    (clock.elapsed(), result)
}

/// A running clock, for what cannot be put into a closure.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts the clock.
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock, here only")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
